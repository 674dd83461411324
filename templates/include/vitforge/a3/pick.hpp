// SPDX-License-Identifier: Apache-2.0
// The rows that a query is compared with, two a cycle: its candidates, or all of them.
#ifndef VITFORGE_A3_PICK_HPP
#define VITFORGE_A3_PICK_HPP

#include "vitforge/a3/scan.hpp"

namespace vitforge {
namespace a3 {

// Up to two rows, which of them are there, and whether they are the last of their query. No row: an end alone.
template <class C>
struct RowToken {
    static constexpr int present = ports * C::row_bits;
    static constexpr int last = present + ports;
    static constexpr int bits = last + 1;
    static inline ap_uint<bits> make(int first, int second, uint32 mask, bool is_last) {
#pragma HLS inline
        ap_uint<bits> token = 0;
        set_field<C::row_bits>(token, 0, first);
        set_field<C::row_bits>(token, C::row_bits, second);
        set_field<ports>(token, present, static_cast<int32>(mask));
        set_field<1>(token, last, is_last);
        return token;
    }
};

// Two rows of a query that takes all of them.
template <class C>
inline ap_uint<RowToken<C>::bits> any_rows(const Launch &launch, int row, bool is_last) {
#pragma HLS inline
    const bool is_alone = row == launch.n - 1;
    return RowToken<C>::make(row, is_alone ? 0 : row + 1, is_alone ? 1u : 3u, is_last);
}

// All rows of each query.
template <class C, int Unit>
static void pick_all(const Launch &launch, hls::stream<ap_uint<RowToken<C>::bits> > &rows) {
    VITFORGE_PROCESS("pick")
    const int queries = unit_queries<C>(launch, Unit);
    const int total = count_product(queries, ceil_div(launch.n, ports));
    int query = 0;
    int row = 0;
count_rows:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("count_rows", i, 1 + (query & 1))
        const bool is_last = row + ports >= launch.n;
        rows.write(any_rows<C>(launch, row, is_last));
        query = is_last ? query + 1 : query;
        row = is_last ? 0 : row + ports;
    }
}

// The place of the only bit that is set.
inline int bit_place(uint32 bit) {
#pragma HLS inline
    int place = 0;
place_bit:
    for (int r = 0; r < group; ++r) {
#pragma HLS unroll
        place |= bit == 1u << r ? r : 0;
    }
    return place;
}

// Rows of each query, of both lanes by turns: those of its masks, or all of them where nothing is selected.
template <class C, int Unit>
static void pick(const Launch &launch, hls::stream<ap_uint<RowMask<C>::bits> > &masks_0,
                 hls::stream<ap_uint<RowMask<C>::bits> > &masks_1, hls::stream<ap_uint<RowToken<C>::bits> > &rows) {
    VITFORGE_PROCESS("pick")
    const int queries = unit_queries<C>(launch, Unit);
    const int in_pairs = lanes * queries_of<C>(launch, Unit, 1);  // queries before those that are alone in a pair
    int query = 0;
    int row = 0;
    int word = 0;
    uint32 mask = 0;
    bool is_end = false;  // of the query, with this mask
pick_rows:
    for (int i = 0; query < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("pick_rows", i, 1 + (query & 1))
        bool is_last = false;
        if (launch.m == 0) {
            is_last = row + ports >= launch.n;
            rows.write(any_rows<C>(launch, row, is_last));
            row = is_last ? 0 : row + ports;
        } else {
            if (mask == 0) {
                const bool is_second = query < in_pairs && (query & 1) != 0;
                const ap_uint<RowMask<C>::bits> next = is_second ? masks_1.read() : masks_0.read();
                mask = get_field<group>(next, 0);
                word = static_cast<int>(get_field<C::row_bits>(next, RowMask<C>::word));
                is_end = get_field<1>(next, RowMask<C>::last) != 0;
            }
            const uint32 lower = mask & (0u - mask);  // lowest bit
            const uint32 rest = mask & ~lower;
            const uint32 upper = rest & (0u - rest);
            const uint32 present = (lower != 0 ? 1u : 0u) | (upper != 0 ? 2u : 0u);
            mask = rest & ~upper;
            is_last = is_end && mask == 0;
            rows.write(RowToken<C>::make(word * group + bit_place(lower), word * group + bit_place(upper), present,
                                         is_last));
        }
        query = is_last ? query + 1 : query;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
