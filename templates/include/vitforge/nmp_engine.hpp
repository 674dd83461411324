// SPDX-License-Identifier: Apache-2.0
// Norm + MLP half layer (ViA, TCAD 2022), the array side: FC1 with its activation table, FC2, and the patch embedding
// of an image that enters.
#ifndef VITFORGE_NMP_ENGINE_HPP
#define VITFORGE_NMP_ENGINE_HPP

#include "vitforge/array_job.hpp"
#include "vitforge/storage.hpp"

namespace vitforge {

template <class C>
static void nmp_step(hls::stream<ap_uint<C::beat_bits> > &beats, hls::stream<ap_uint<C::word_bits> > &activations,
                     int16 residual[C::residual_depth][C::tr][C::tc]) {
    VITFORGE_PROCESS("nmp_step")
    static int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc];
    static int8 words[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes];
    static uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes];
    static TileTarget targets[2];
    static ColumnParams<C::tc> params[2];
#pragma HLS array_partition variable=left complete dim=1
#pragma HLS array_partition variable=left complete dim=3
#pragma HLS array_partition variable=left complete dim=4
#pragma HLS array_reshape variable=left complete dim=5
    VITFORGE_BIND_NMP_LEFT
#pragma HLS array_partition variable=words complete dim=2
#pragma HLS array_reshape variable=words complete dim=3
    VITFORGE_BIND_NMP_WORDS
#pragma HLS array_reshape variable=picks complete dim=2
#pragma HLS bind_storage variable=picks type=ram_s2p impl=lutram
#pragma HLS array_partition variable=targets complete
#pragma HLS array_partition variable=params complete dim=0
    // This engine has no attention: nothing reads or writes these, and they are not built.
    static int8 key[C::key_depth][C::key_banks][C::groups][C::tc];
    static int8 value[C::value_depth][C::value_banks][C::tc];
    static int8 attention[C::attention_depth][C::tt][C::groups][C::tc];
    static int32 reciprocal[C::reciprocal_depth][C::td];
    hls::stream<ap_uint<C::score_bits> > scores("nmp_scores");
    hls::stream<ap_uint<32 * C::tc> > logits("nmp_logits");
    Arrivals arrivals = {false, false};
nmp_job:
    while (true) {
#pragma HLS loop_tripcount max=4
        uint32 header[header_words];
#pragma HLS array_partition variable=header complete dim=0
        read_header<C::beat_bits>(beats, header);
        const ArrayJob job = decode_array_job<C>(header);
        if (job.op == array_end) {
            break;
        }
        run_job<C>(job, beats, activations, arrivals, left, key, value, attention, reciprocal, words, picks, targets,
                   params, residual, scores, logits);
    }
    take_rest<C>(true, activations, arrivals, left, logits);
}

}  // namespace vitforge

#endif
