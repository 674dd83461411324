// SPDX-License-Identifier: Apache-2.0
// The maximum of a query's dot products, and the rows within the threshold of it (A3, sections III-A and V-B).
#ifndef VITFORGE_A3_POST_SCORE_HPP
#define VITFORGE_A3_POST_SCORE_HPP

#include "vitforge/a3/dot.hpp"

namespace vitforge {
namespace a3 {

constexpr int count_bits = 16;  // of rows

// Dot products of a group of candidates, their rows, and which of them are there.
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
};

// A group's distances from the maximum, their rows, which of them are kept, and whether the group is the last.
template <class C>
struct KeptGroup {
    static constexpr int row = group * C::dot_bits;
    static constexpr int mask = row + group * C::row_bits;
    static constexpr int last = mask + group;
    static constexpr int bits = last + 1;
};

// Counts that travel with a query to its end.
struct Counts {
    static constexpr int candidates = 0;
    static constexpr int turns = count_bits;
    static constexpr int kept = 2 * count_bits;
    static constexpr int bits = 3 * count_bits;
};

// Collects the candidates of a query in groups, two a cycle, and their maximum. A turn of the dot product takes two
// places of a group. The groups of a whole query must fit the FIFO behind: the maximum is known at the end.
template <class C, int Unit>
static void collect(const Launch &launch, hls::stream<ap_uint<DotToken<C>::bits> > &dots,
                    hls::stream<ap_uint<ScoreGroup<C>::bits> > &score_groups,
                    hls::stream<ap_uint<Maximum<C>::bits> > &maxima) {
    VITFORGE_PROCESS("collect")
    const int queries = unit_queries<C>(launch, Unit);
    int32 held[group];
    int held_row[group];
#pragma HLS array_partition variable=held complete dim=0
#pragma HLS array_partition variable=held_row complete dim=0
    uint32 present = 0;
    int query = 0;
    int size = 0;
    int groups = 0;
    int candidates = 0;
    int turns = 0;
    int32 best = 0;
collect_rows:
    for (int i = 0; query < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("collect_rows", i, 1 + (query & 1))
        const ap_uint<DotToken<C>::bits> token = dots.read();
        const uint32 arrived = get_field<ports>(token, DotToken<C>::present);
        const bool is_last = get_field<1>(token, DotToken<C>::last) != 0;
        const int32 lower = get_signed<C::dot_bits>(token, 0);
        const int32 upper = get_signed<C::dot_bits>(token, C::dot_bits);
        ++turns;
        if (arrived != 0) {  // the lower row is there whenever one is
            const int32 most = arrived == 3 && upper > lower ? upper : lower;
            best = candidates == 0 || most > best ? most : best;
        hold_rows:
            for (int r = 0; r < group; ++r) {
#pragma HLS unroll
                const int port = r % ports;
                if (r / ports == size / ports) {
                    held[r] = port == 0 ? lower : upper;
                    held_row[r] = static_cast<int>(
                        get_field<C::row_bits>(token, DotToken<C>::rows + C::row_bits * port));
                }
            }
            present |= arrived << size;
            size += ports;
            candidates += arrived == 3 ? 2 : 1;
        }
        if (size == group || (is_last && size > 0)) {
            ap_uint<ScoreGroup<C>::bits> word = 0;
        emit_row:
            for (int r = 0; r < group; ++r) {
#pragma HLS unroll
                const bool is_there = ((present >> r) & 1) != 0;
                set_field<C::dot_bits>(word, C::dot_bits * r, is_there ? held[r] : 0);
                set_field<C::row_bits>(word, ScoreGroup<C>::row + C::row_bits * r, is_there ? held_row[r] : 0);
            }
            set_field<group>(word, ScoreGroup<C>::present, static_cast<int32>(present));
            score_groups.write(word);
            ++groups;
            size = 0;
            present = 0;
        }
        if (is_last) {
            ap_uint<Maximum<C>::bits> word = 0;
            set_field<C::dot_bits>(word, 0, best);
            set_field<count_bits>(word, Maximum<C>::groups, groups);
            set_field<count_bits>(word, Maximum<C>::candidates, candidates);
            set_field<count_bits>(word, Maximum<C>::turns, turns);
            maxima.write(word);
            groups = 0;
            candidates = 0;
            turns = 0;
            ++query;
        }
    }
}

// Post-scoring: a group a cycle is compared with the threshold. Groups of which nothing is left are dropped.
template <class C, int Unit>
static void post_score(const Launch &launch, hls::stream<ap_uint<ScoreGroup<C>::bits> > &score_groups,
                       hls::stream<ap_uint<Maximum<C>::bits> > &maxima,
                       hls::stream<ap_uint<KeptGroup<C>::bits> > &kept_groups,
                       hls::stream<ap_uint<Counts::bits> > &counts) {
    VITFORGE_PROCESS("post_score")
    const int queries = unit_queries<C>(launch, Unit);
    ap_uint<Maximum<C>::bits> maximum = 0;
    int query = 0;
    int index = 0;
post_score_group:
    for (int i = 0; query < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=8192
        VITFORGE_KIND_ITERATION("post_score_group", i, 1 + (query & 1))
        if (index == 0) {
            maximum = maxima.read();
            ap_uint<Counts::bits> word = 0;
            set_field<count_bits>(word, Counts::candidates,
                                  static_cast<int32>(get_field<count_bits>(maximum, Maximum<C>::candidates)));
            set_field<count_bits>(word, Counts::turns,
                                  static_cast<int32>(get_field<count_bits>(maximum, Maximum<C>::turns)));
            counts.write(word);
        }
        const ap_uint<ScoreGroup<C>::bits> scores = score_groups.read();
        const int groups = static_cast<int>(get_field<count_bits>(maximum, Maximum<C>::groups));
        const uint32 present = get_field<group>(scores, ScoreGroup<C>::present);
        const bool is_last = index == groups - 1;
        const int32 best = get_signed<C::dot_bits>(maximum, 0);
        ap_uint<KeptGroup<C>::bits> kept = 0;
        uint32 mask = 0;
    post_score_row:
        for (int r = 0; r < group; ++r) {
#pragma HLS unroll
            const int32 distance = best - get_signed<C::dot_bits>(scores, C::dot_bits * r);
            const bool is_kept = ((present >> r) & 1) != 0 && distance <= launch.threshold;
            mask |= is_kept ? 1u << r : 0u;
            set_field<C::dot_bits>(kept, C::dot_bits * r, is_kept ? distance : 0);
            set_field<C::row_bits>(
                kept, KeptGroup<C>::row + C::row_bits * r,
                static_cast<int32>(get_field<C::row_bits>(scores, ScoreGroup<C>::row + C::row_bits * r)));
        }
        if (mask != 0 || is_last) {
            set_field<group>(kept, KeptGroup<C>::mask, static_cast<int32>(mask));
            set_field<1>(kept, KeptGroup<C>::last, is_last);
            kept_groups.write(kept);
        }
        query = is_last ? query + 1 : query;
        index = is_last ? 0 : index + 1;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
