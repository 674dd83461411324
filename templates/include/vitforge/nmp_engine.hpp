// SPDX-License-Identifier: Apache-2.0
// Norm + MLP half layer (ViA, TCAD 2022), the array side: patch embedding of the image that enters next, FC1
// with its activation table, FC2.
#ifndef VITFORGE_NMP_ENGINE_HPP
#define VITFORGE_NMP_ENGINE_HPP

#include "vitforge/array_job.hpp"

namespace vitforge {

template <class C>
static void nmp_step(hls::stream<ap_uint<C::beat_bits> > &beats, const int8 xn[C::xn_depth][C::tt][C::groups][C::tc],
                     int16 branch[C::branch_depth][C::td][C::tc]) {
    static int8 scratch[C::scratch_depth][C::tt][C::groups][C::tc];
#pragma HLS array_partition variable=scratch complete dim=2
#pragma HLS array_partition variable=scratch complete dim=3
#pragma HLS array_reshape variable=scratch complete dim=4
    // This engine has no attention: nothing reads or writes these, and they are not built.
    static int8 key[C::key_depth][C::key_banks][C::groups][C::tc];
    static int8 value[C::value_depth][C::value_banks][C::tc];
    static int8 weights[C::weights_depth][C::tt][C::groups][C::tc];
    static int32 reciprocal[C::reciprocal_depth][C::td];
    hls::stream<ap_uint<C::score_bits> > scores("nmp_scores");
    hls::stream<ap_uint<32 * C::tc> > logits("nmp_logits");
nmp_job:
    while (true) {
#pragma HLS loop_tripcount max=4
        uint32 words[header_words];
        read_header<C::beat_bits>(beats, words);
        const ArrayJob job = decode_array_job(words);
        if (job.op == array_end) {
            break;
        }
        run_job<C>(job, beats, xn, scratch, key, value, weights, reciprocal, branch, scores, logits);
    }
}

}  // namespace vitforge

#endif
