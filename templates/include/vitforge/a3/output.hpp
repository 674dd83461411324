// SPDX-License-Identifier: Apache-2.0
// Weighted sum of the value rows (A3, section III-A, module 3): a word of two rows a cycle.
#ifndef VITFORGE_A3_OUTPUT_HPP
#define VITFORGE_A3_OUTPUT_HPP

#include "vitforge/a3/exponent.hpp"

namespace vitforge {
namespace a3 {

template <class C, int Unit>
static void output(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &value_beats,
                   hls::stream<ap_uint<ScoreWord<C>::bits> > &weights,
                   hls::stream<ap_uint<C::width * C::acc_bits> > &weighted) {
    VITFORGE_PROCESS("output")
    static Int<C::code_bits> value[C::row_words * C::n_max][C::width / C::per_beat][C::per_beat];
#pragma HLS array_partition variable=value complete dim=2
#pragma HLS array_reshape variable=value complete dim=3
    VITFORGE_A3_BIND_VALUE
    if (is_loaded(launch, Unit)) {
        load_rows<C>(launch, value_beats, value);
    }
    const int queries = unit_queries<C>(launch, Unit);
    const int last_word = row_words<C>(launch) - 1;
    Int<C::acc_bits> sum[C::row_words][C::width];
#pragma HLS array_partition variable=sum complete dim=0
    ap_uint<ScoreWord<C>::bits> token = 0;
    int query = 0;
    int word = 0;
    bool is_fresh = true;  // the first rows of a query
output_word:
    for (int i = 0; query < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("output_word", i, 1 + (query & 1))
        if (word == 0) {
            token = weights.read();
        }
        const bool is_last = get_field<1>(token, ScoreWord<C>::last) != 0;
        Int<C::score_bits + 1> weight[ports];
        int address[ports];
#pragma HLS array_partition variable=weight complete dim=0
#pragma HLS array_partition variable=address complete dim=0
    output_port:
        for (int port = 0; port < ports; ++port) {
#pragma HLS unroll
            const int low = ScoreWord<C>::entry * port;
            weight[port] = static_cast<int32>(get_field<C::score_bits>(token, low));
            address[port] = static_cast<int>(get_field<C::row_bits>(token, low + C::score_bits)) * C::row_words + word;
        }
    output_element:
        for (int e = 0; e < C::width; ++e) {
#pragma HLS unroll
            const int32 lower = weight[0] * static_cast<int32>(value[address[0]][e / C::per_beat][e % C::per_beat]);
            const int32 upper = weight[1] * static_cast<int32>(value[address[1]][e / C::per_beat][e % C::per_beat]);
            sum[word][e] = (is_fresh ? 0 : static_cast<int32>(sum[word][e])) + (lower + upper);
        }
        if (is_last) {
            ap_uint<C::width * C::acc_bits> result = 0;
        emit_element:
            for (int e = 0; e < C::width; ++e) {
#pragma HLS unroll
                set_field<C::acc_bits>(result, C::acc_bits * e, sum[word][e]);
            }
            weighted.write(result);
        }
        if (word == last_word) {
            is_fresh = is_last;
            query = is_last ? query + 1 : query;
            word = 0;
        } else {
            ++word;
        }
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
