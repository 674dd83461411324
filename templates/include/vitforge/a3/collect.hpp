// SPDX-License-Identifier: Apache-2.0
// Dot products in groups, for what comes after them (A3, section III-A, module 1).
#ifndef VITFORGE_A3_COLLECT_HPP
#define VITFORGE_A3_COLLECT_HPP

#include "vitforge/a3/dot.hpp"

namespace vitforge {
namespace a3 {

// Dot products of a group of rows, the rows, and which of them are there.
template <class C>
struct ScoreGroup {
    static constexpr int row = group * C::dot_bits;
    static constexpr int present = row + group * C::row_bits;
    static constexpr int bits = present + group;
};

// What is known of a query when its last dot product is: the maximum, and counts.
template <class C>
struct Maximum {
    static constexpr int groups = C::dot_bits;
    static constexpr int candidates = groups + count_bits;
    static constexpr int turns = candidates + count_bits;  // of the dot product, each with up to two rows
    static constexpr int bits = turns + count_bits;
    static inline ap_uint<bits> make(int32 best, int group_count, int candidate_count, int turn_count) {
#pragma HLS inline
        ap_uint<bits> word = 0;
        set_field<C::dot_bits>(word, 0, best);
        set_field<count_bits>(word, groups, group_count);
        set_field<count_bits>(word, candidates, candidate_count);
        set_field<count_bits>(word, turns, turn_count);
        return word;
    }
};

// Rows of a group that is not full yet. A turn of the dot product takes two places.
template <class C>
struct OpenGroup {
    int32 dot[group];
    int row[group];
    uint32 present;
    int size;
};

template <class C>
inline void put_rows(const ap_uint<DotToken<C>::bits> &token, OpenGroup<C> &open) {
#pragma HLS inline
    const uint32 arrived = get_field<ports>(token, DotToken<C>::present);
put_row:
    for (int r = 0; r < group; ++r) {
#pragma HLS unroll
        const int port = r % ports;
        if (r / ports == open.size / ports) {
            open.dot[r] = get_signed<C::dot_bits>(token, C::dot_bits * port);
            open.row[r] = static_cast<int>(get_field<C::row_bits>(token, DotToken<C>::rows + C::row_bits * port));
        }
    }
    open.present |= arrived << open.size;
    open.size += arrived != 0 ? ports : 0;
}

template <class C>
inline bool is_complete(const OpenGroup<C> &open, bool is_last) {
#pragma HLS inline
    return open.size == group || (is_last && open.size > 0);
}

template <class C>
inline ap_uint<ScoreGroup<C>::bits> take_group(OpenGroup<C> &open) {
#pragma HLS inline
    ap_uint<ScoreGroup<C>::bits> word = 0;
take_row:
    for (int r = 0; r < group; ++r) {
#pragma HLS unroll
        const bool is_there = ((open.present >> r) & 1) != 0;
        set_field<C::dot_bits>(word, C::dot_bits * r, is_there ? open.dot[r] : 0);
        set_field<C::row_bits>(word, ScoreGroup<C>::row + C::row_bits * r, is_there ? open.row[r] : 0);
    }
    set_field<group>(word, ScoreGroup<C>::present, static_cast<int32>(open.present));
    open.size = 0;
    open.present = 0;
    return word;
}

// All rows of a query in groups, two a cycle, and their maximum. The groups of a whole query must fit the FIFO behind:
// the maximum is known at the end.
template <class C, int Unit>
static void collect(const Launch &launch, hls::stream<ap_uint<DotToken<C>::bits> > &dots,
                    hls::stream<ap_uint<ScoreGroup<C>::bits> > &score_groups,
                    hls::stream<ap_uint<Maximum<C>::bits> > &maxima) {
    VITFORGE_PROCESS("collect")
    const int queries = unit_queries<C>(launch, Unit);
    OpenGroup<C> open = {};
#pragma HLS array_partition variable=open.dot complete dim=0
#pragma HLS array_partition variable=open.row complete dim=0
    int query = 0;
    int groups = 0;
    int turns = 0;
    int32 best = 0;
collect_rows:
    for (int i = 0; query < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("collect_rows", i, 1 + (query & 1))
        const ap_uint<DotToken<C>::bits> token = dots.read();
        const bool is_last = get_field<1>(token, DotToken<C>::last) != 0;
        const int32 lower = get_signed<C::dot_bits>(token, 0);
        const int32 upper = get_signed<C::dot_bits>(token, C::dot_bits);
        const int32 most = get_field<ports>(token, DotToken<C>::present) == 3 && upper > lower ? upper : lower;
        best = turns == 0 || most > best ? most : best;
        put_rows<C>(token, open);
        ++turns;
        if (is_complete<C>(open, is_last)) {
            score_groups.write(take_group<C>(open));
            ++groups;
        }
        if (is_last) {
            maxima.write(Maximum<C>::make(best, groups, launch.n, turns));
            groups = 0;
            turns = 0;
            ++query;
        }
    }
}

// Rows of both lanes in groups, which must fit the FIFO behind: which of them are candidates is known at the end of
// their query.
template <class C, int Unit>
static void collect_slots(const Launch &launch, hls::stream<ap_uint<DotToken<C>::bits> > &dots,
                          hls::stream<ap_uint<ScoreGroup<C>::bits> > &slot_groups_0,
                          hls::stream<ap_uint<ScoreGroup<C>::bits> > &slot_groups_1) {
    VITFORGE_PROCESS("collect")
    const int queries = unit_queries<C>(launch, Unit);
    OpenGroup<C> open_0 = {};
    OpenGroup<C> open_1 = {};
#pragma HLS array_partition variable=open_0.dot complete dim=0
#pragma HLS array_partition variable=open_0.row complete dim=0
#pragma HLS array_partition variable=open_1.dot complete dim=0
#pragma HLS array_partition variable=open_1.row complete dim=0
    int query = 0;
collect_rows:
    for (int i = 0; query < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("collect_rows", i, 3)
        const ap_uint<DotToken<C>::bits> token = dots.read();
        const bool is_last = get_field<1>(token, DotToken<C>::last) != 0;
        if (get_field<1>(token, DotToken<C>::lane) == 0) {
            put_rows<C>(token, open_0);
            if (is_complete<C>(open_0, is_last)) {
                slot_groups_0.write(take_group<C>(open_0));
            }
        } else {
            put_rows<C>(token, open_1);
            if (is_complete<C>(open_1, is_last)) {
                slot_groups_1.write(take_group<C>(open_1));
            }
        }
        query = is_last ? query + 1 : query;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
