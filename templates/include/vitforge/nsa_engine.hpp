// SPDX-License-Identifier: Apache-2.0
// Norm + self-attention half layer (ViA, TCAD 2022), the array side: QKV, scores, context, projection, and the
// class head. A slot pairs the scores of one head with the context of the head before it, so that softmax
// works while the array does.
#ifndef VITFORGE_NSA_ENGINE_HPP
#define VITFORGE_NSA_ENGINE_HPP

#include "vitforge/array_job.hpp"
#include "vitforge/softmax.hpp"
#include "vitforge/storage.hpp"

namespace vitforge {

// Jobs of one slot, until its end mark; `ends_step` tells whether it was the last one.
template <class C>
static void nsa_array(hls::stream<ap_uint<C::beat_bits> > &beats, hls::stream<ap_uint<C::word_bits> > &activations,
                      const int8 attention[C::attention_depth][C::tt][C::groups][C::tc],
                      const int32 reciprocal[C::reciprocal_depth][C::td],
                      int16 residual[C::residual_depth][C::tr][C::tc],
                      hls::stream<ap_uint<64> > &controls, hls::stream<ap_uint<C::score_bits> > &scores,
                      hls::stream<ap_uint<32 * C::tc> > &logits, bool &ends_step) {
    VITFORGE_PROCESS("nsa_array")
    static int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc];
    static int8 key[C::key_depth][C::key_banks][C::groups][C::tc];
    static int8 value[C::value_depth][C::value_banks][C::tc];
    static int8 words[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes];
    static uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes];
    static TileTarget targets[2];
    static ColumnParams<C::tc> params[2];
    static Arrivals arrivals = {false, false};
#pragma HLS array_partition variable=left complete dim=1
#pragma HLS array_partition variable=left complete dim=3
#pragma HLS array_partition variable=left complete dim=4
#pragma HLS array_reshape variable=left complete dim=5
    VITFORGE_BIND_NSA_LEFT
#pragma HLS array_partition variable=key complete dim=2
#pragma HLS array_partition variable=key complete dim=3
#pragma HLS array_reshape variable=key complete dim=4
    VITFORGE_BIND_KEY
#pragma HLS array_partition variable=value complete dim=2
#pragma HLS array_reshape variable=value complete dim=3
    VITFORGE_BIND_VALUE
#pragma HLS array_partition variable=words complete dim=2
#pragma HLS array_reshape variable=words complete dim=3
    VITFORGE_BIND_NSA_WORDS
#pragma HLS array_reshape variable=picks complete dim=2
#pragma HLS bind_storage variable=picks type=ram_s2p impl=lutram
#pragma HLS array_partition variable=targets complete
#pragma HLS array_partition variable=params complete dim=0
nsa_job:
    while (true) {
#pragma HLS loop_tripcount max=4
        uint32 header[header_words];
#pragma HLS array_partition variable=header complete dim=0
        read_header<C::beat_bits>(beats, header);
        const ArrayJob job = decode_array_job<C>(header);
        if (job.op == array_end) {
            controls.write(softmax_control<C>(0, 0, 0));
            ends_step = job.ends_step;
            break;
        }
        if (job.op == array_score) {
            controls.write(softmax_control<C>(job.token_tiles, job.seq_len, job.context_scale));
        }
        run_job<C>(job, beats, activations, arrivals, left, key, value, attention, reciprocal, words, picks, targets,
                   params, residual, scores, logits);
    }
    if (ends_step) {
        take_rest<C>(true, activations, arrivals, left, logits);
        arrivals.ended = false;
        arrivals.at_mark = false;
    }
}

// Array and softmax of a slot: softmax writes the attention weights that the array reads in the next slot.
template <class C>
static void nsa_slot(hls::stream<ap_uint<C::beat_bits> > &beats, hls::stream<ap_uint<C::word_bits> > &activations,
                     const int8 attention_in[C::attention_depth][C::tt][C::groups][C::tc],
                     int8 attention_out[C::attention_depth][C::tt][C::groups][C::tc],
                     const int32 reciprocal_in[C::reciprocal_depth][C::td],
                     int32 reciprocal_out[C::reciprocal_depth][C::td], int16 residual[C::residual_depth][C::tr][C::tc],
                     hls::stream<ap_uint<32 * C::tc> > &logits, bool &ends_step) {
#pragma HLS dataflow
    VITFORGE_REGION("nsa_slot")
    hls::stream<ap_uint<64> > controls("controls");
#pragma HLS stream variable=controls depth=4
    hls::stream<ap_uint<C::score_bits> > scores("scores");
#pragma HLS stream variable=scores depth=16
    nsa_array<C>(beats, activations, attention_in, reciprocal_in, residual, controls, scores, logits, ends_step);
    softmax_slot<C>(controls, scores, attention_out, reciprocal_out);
}

template <class C>
static void nsa_step(hls::stream<ap_uint<C::beat_bits> > &beats, hls::stream<ap_uint<C::word_bits> > &activations,
                     int16 residual[C::residual_depth][C::tr][C::tc], hls::stream<ap_uint<32 * C::tc> > &logits) {
    VITFORGE_PROCESS("nsa_step")
    static int8 attention_even[C::attention_depth][C::tt][C::groups][C::tc];
    static int8 attention_odd[C::attention_depth][C::tt][C::groups][C::tc];
    static int32 reciprocal_even[C::reciprocal_depth][C::td];
    static int32 reciprocal_odd[C::reciprocal_depth][C::td];
#pragma HLS array_partition variable=attention_even complete dim=2
#pragma HLS array_partition variable=attention_even complete dim=3
#pragma HLS array_reshape variable=attention_even complete dim=4
    VITFORGE_BIND_ATTENTION_EVEN
#pragma HLS array_partition variable=attention_odd complete dim=2
#pragma HLS array_partition variable=attention_odd complete dim=3
#pragma HLS array_reshape variable=attention_odd complete dim=4
    VITFORGE_BIND_ATTENTION_ODD
#pragma HLS array_partition variable=reciprocal_even complete dim=2
    VITFORGE_BIND_RECIPROCAL_EVEN
#pragma HLS array_partition variable=reciprocal_odd complete dim=2
    VITFORGE_BIND_RECIPROCAL_ODD
#pragma HLS allocation function instances=nsa_slot limit=1
    bool odd = false;
    bool ends_step = false;
nsa_slots:
    while (!ends_step) {
#pragma HLS loop_tripcount max=C::max_slots
        if (odd) {
            nsa_slot<C>(beats, activations, attention_even, attention_odd, reciprocal_even, reciprocal_odd, residual,
                        logits, ends_step);
        } else {
            nsa_slot<C>(beats, activations, attention_odd, attention_even, reciprocal_odd, reciprocal_even, residual,
                        logits, ends_step);
        }
        odd = !odd;
    }
}

}  // namespace vitforge

#endif
