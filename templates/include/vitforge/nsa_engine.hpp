// SPDX-License-Identifier: Apache-2.0
// Norm + self-attention half layer (ViA, TCAD 2022), the array side: QKV, scores, context, projection, and the
// class head. A slot pairs the scores of one head with the context of the head before it, so that softmax
// works while the array does.
#ifndef VITFORGE_NSA_ENGINE_HPP
#define VITFORGE_NSA_ENGINE_HPP

#include "vitforge/array_job.hpp"
#include "vitforge/softmax.hpp"

namespace vitforge {

// Jobs of one slot, until its end mark; `ends_step` tells whether it was the last one.
template <class C>
static void nsa_array(hls::stream<ap_uint<C::beat_bits> > &beats, const int8 xn[C::xn_depth][C::tt][C::groups][C::tc],
                      int8 scratch[C::scratch_depth][C::tt][C::groups][C::tc],
                      int8 key[C::key_depth][C::key_banks][C::groups][C::tc],
                      int8 value[C::value_depth][C::value_banks][C::tc],
                      const int8 weights[C::weights_depth][C::tt][C::groups][C::tc],
                      const int32 reciprocal[C::reciprocal_depth][C::td], int16 branch[C::branch_depth][C::td][C::tc],
                      hls::stream<ap_uint<64> > &controls, hls::stream<ap_uint<C::score_bits> > &scores,
                      hls::stream<ap_uint<32 * C::tc> > &logits, bool &ends_step) {
nsa_job:
    while (true) {
#pragma HLS loop_tripcount max=4
        uint32 words[header_words];
        read_header<C::beat_bits>(beats, words);
        const ArrayJob job = decode_array_job(words);
        if (job.op == array_end) {
            controls.write(softmax_control<C>(0, 0, 0));
            ends_step = job.ends_step;
            break;
        }
        if (job.op == array_score) {
            controls.write(softmax_control<C>(job.token_tiles, job.seq_len, job.context_scale));
        }
        run_job<C>(job, beats, xn, scratch, key, value, weights, reciprocal, branch, scores, logits);
    }
}

// Array and softmax of a slot: softmax writes the weights that the array reads in the next slot.
template <class C>
static void nsa_slot(hls::stream<ap_uint<C::beat_bits> > &beats, const int8 xn[C::xn_depth][C::tt][C::groups][C::tc],
                     int8 scratch[C::scratch_depth][C::tt][C::groups][C::tc],
                     int8 key[C::key_depth][C::key_banks][C::groups][C::tc],
                     int8 value[C::value_depth][C::value_banks][C::tc],
                     const int8 weights_in[C::weights_depth][C::tt][C::groups][C::tc],
                     int8 weights_out[C::weights_depth][C::tt][C::groups][C::tc],
                     const int32 reciprocal_in[C::reciprocal_depth][C::td],
                     int32 reciprocal_out[C::reciprocal_depth][C::td], int16 branch[C::branch_depth][C::td][C::tc],
                     hls::stream<ap_uint<32 * C::tc> > &logits, bool &ends_step) {
#pragma HLS dataflow
    hls::stream<ap_uint<64> > controls("controls");
#pragma HLS stream variable=controls depth=4
    hls::stream<ap_uint<C::score_bits> > scores("scores");
#pragma HLS stream variable=scores depth=16
    nsa_array<C>(beats, xn, scratch, key, value, weights_in, reciprocal_in, branch, controls, scores, logits,
                 ends_step);
    softmax_slot<C>(controls, scores, weights_out, reciprocal_out);
}

template <class C>
static void nsa_step(hls::stream<ap_uint<C::beat_bits> > &beats, const int8 xn[C::xn_depth][C::tt][C::groups][C::tc],
                     int16 branch[C::branch_depth][C::td][C::tc], hls::stream<ap_uint<32 * C::tc> > &logits) {
    static int8 scratch[C::scratch_depth][C::tt][C::groups][C::tc];
    static int8 key[C::key_depth][C::key_banks][C::groups][C::tc];
    static int8 value[C::value_depth][C::value_banks][C::tc];
    static int8 weights_even[C::weights_depth][C::tt][C::groups][C::tc];
    static int8 weights_odd[C::weights_depth][C::tt][C::groups][C::tc];
    static int32 reciprocal_even[C::reciprocal_depth][C::td];
    static int32 reciprocal_odd[C::reciprocal_depth][C::td];
#pragma HLS array_partition variable=scratch complete dim=2
#pragma HLS array_partition variable=scratch complete dim=3
#pragma HLS array_reshape variable=scratch complete dim=4
#pragma HLS array_partition variable=key complete dim=2
#pragma HLS array_partition variable=key complete dim=3
#pragma HLS array_reshape variable=key complete dim=4
#pragma HLS array_partition variable=value complete dim=2
#pragma HLS array_reshape variable=value complete dim=3
#pragma HLS array_partition variable=weights_even complete dim=2
#pragma HLS array_partition variable=weights_even complete dim=3
#pragma HLS array_reshape variable=weights_even complete dim=4
#pragma HLS array_partition variable=weights_odd complete dim=2
#pragma HLS array_partition variable=weights_odd complete dim=3
#pragma HLS array_reshape variable=weights_odd complete dim=4
#pragma HLS array_partition variable=reciprocal_even complete dim=2
#pragma HLS array_partition variable=reciprocal_odd complete dim=2
    bool odd = false;
    bool ends_step = false;
nsa_slots:
    while (!ends_step) {
#pragma HLS loop_tripcount max=C::max_slots
        if (odd) {
            nsa_slot<C>(beats, xn, scratch, key, value, weights_even, weights_odd, reciprocal_even, reciprocal_odd,
                        branch, logits, ends_step);
        } else {
            nsa_slot<C>(beats, xn, scratch, key, value, weights_odd, weights_even, reciprocal_odd, reciprocal_even,
                        branch, logits, ends_step);
        }
        odd = !odd;
    }
}

}  // namespace vitforge

#endif
