// SPDX-License-Identifier: Apache-2.0
// Rows that a query is to be multiplied with, two at a time; all rows of a query.
#ifndef VITFORGE_A3_ROWS_HPP
#define VITFORGE_A3_ROWS_HPP

#include "vitforge/a3/launch.hpp"

namespace vitforge {
namespace a3 {

constexpr int count_bits = 16;  // of rows

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

// All rows of `queries` queries, of one after the other.
template <class C>
inline void send_all_rows(const Launch &launch, int queries, hls::stream<ap_uint<RowToken<C>::bits> > &rows) {
#pragma HLS inline
    const int total = count_product(queries, ceil_div(launch.n, ports));
    int query = 0;
    int row = 0;
count_rows:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("count_rows", i, 1 + (query & 1))
        const bool is_alone = row == launch.n - 1;
        const bool is_last = row + ports >= launch.n;
        rows.write(RowToken<C>::make(row, is_alone ? 0 : row + 1, is_alone ? 1u : 3u, is_last));
        query = is_last ? query + 1 : query;
        row = is_last ? 0 : row + ports;
    }
}

// All rows of each query, without candidate selection.
template <class C, int Unit>
static void pick_all(const Launch &launch, hls::stream<ap_uint<RowToken<C>::bits> > &rows) {
    VITFORGE_PROCESS("pick")
    send_all_rows<C>(launch, unit_queries<C>(launch, Unit), rows);
}

}  // namespace a3
}  // namespace vitforge

#endif
