// SPDX-License-Identifier: Apache-2.0
// Both half-layer engines on four images at once. In every step each image moves to the next of four units:
//   layer norm 1 -> attention array -> layer norm 2 -> MLP array -> layer norm 1 of the next layer
// A layer norm streams into the array behind it, which stores what it will work on in the next step. The residual of
// an image stays where it is: the units take turns at it.
#ifndef VITFORGE_ACCELERATOR_HPP
#define VITFORGE_ACCELERATOR_HPP

#include "vitforge/fetch.hpp"
#include "vitforge/nmp_engine.hpp"
#include "vitforge/norm_step.hpp"
#include "vitforge/nsa_engine.hpp"
#include "vitforge/resident.hpp"
#include "vitforge/storage.hpp"

namespace vitforge {

template <class A, class M>
static void half_step(hls::stream<ap_uint<A::beat_bits> > &ln1_beats, hls::stream<ap_uint<A::beat_bits> > &nsa_beats,
                      hls::stream<ap_uint<A::beat_bits> > &ln2_beats, hls::stream<ap_uint<A::beat_bits> > &nmp_beats,
                      int16 ln1_residual[A::residual_depth][A::tr][A::tc],
                      int16 nsa_residual[A::residual_depth][A::tr][A::tc],
                      int16 ln2_residual[A::residual_depth][A::tr][A::tc],
                      int16 nmp_residual[A::residual_depth][A::tr][A::tc],
                      hls::stream<ap_uint<32 * A::tc> > &logits) {
#pragma HLS dataflow
    VITFORGE_REGION("half_step")
    hls::stream<ap_uint<A::word_bits> > nsa_activations("nsa_activations");
#pragma HLS stream variable=nsa_activations depth=16
    hls::stream<ap_uint<M::word_bits> > nmp_activations("nmp_activations");
#pragma HLS stream variable=nmp_activations depth=16
    norm_step<A>(ln1_beats, ln1_residual, nsa_activations);
    nsa_step<A>(nsa_beats, nsa_activations, nsa_residual, logits);
    norm_step<M>(ln2_beats, ln2_residual, nmp_activations);
    nmp_step<M>(nmp_beats, nmp_activations, nmp_residual);
}

// All steps of a batch. The units pass the four residuals round.
template <class A, class M>
static void compute(int n_steps, hls::stream<ap_uint<A::beat_bits> > &ln1_beats,
                    hls::stream<ap_uint<A::beat_bits> > &nsa_beats, hls::stream<ap_uint<A::beat_bits> > &ln2_beats,
                    hls::stream<ap_uint<A::beat_bits> > &nmp_beats, hls::stream<ap_uint<32 * A::tc> > &logits) {
    VITFORGE_PROCESS("compute")
    static int16 residual0[A::residual_depth][A::tr][A::tc];
    static int16 residual1[A::residual_depth][A::tr][A::tc];
    static int16 residual2[A::residual_depth][A::tr][A::tc];
    static int16 residual3[A::residual_depth][A::tr][A::tc];
#pragma HLS array_reshape variable=residual0 complete dim=2
    VITFORGE_SPLIT_RESIDUAL0
    VITFORGE_BIND_RESIDUAL0
#pragma HLS array_reshape variable=residual1 complete dim=2
    VITFORGE_SPLIT_RESIDUAL1
    VITFORGE_BIND_RESIDUAL1
#pragma HLS array_reshape variable=residual2 complete dim=2
    VITFORGE_SPLIT_RESIDUAL2
    VITFORGE_BIND_RESIDUAL2
#pragma HLS array_reshape variable=residual3 complete dim=2
    VITFORGE_SPLIT_RESIDUAL3
    VITFORGE_BIND_RESIDUAL3
#pragma HLS allocation function instances=half_step limit=1
compute_step:
    for (int step = 0; step < n_steps; ++step) {
#pragma HLS loop_tripcount max=1024
        switch (step & 3) {
            case 0:
                half_step<A, M>(ln1_beats, nsa_beats, ln2_beats, nmp_beats, residual0, residual3, residual2, residual1,
                                logits);
                break;
            case 1:
                half_step<A, M>(ln1_beats, nsa_beats, ln2_beats, nmp_beats, residual1, residual0, residual3, residual2,
                                logits);
                break;
            case 2:
                half_step<A, M>(ln1_beats, nsa_beats, ln2_beats, nmp_beats, residual2, residual1, residual0, residual3,
                                logits);
                break;
            default:
                half_step<A, M>(ln1_beats, nsa_beats, ln2_beats, nmp_beats, residual3, residual2, residual1, residual0,
                                logits);
                break;
        }
    }
}

// What the driver reads before it trusts the overlay.
inline void identify(uint32 magic_value, uint32 version_value, uint32 hash_lo_value, uint32 hash_hi_value,
                     uint32 *magic, uint32 *version, uint32 *hash_lo, uint32 *hash_hi) {
    VITFORGE_PROCESS("identify")
    *magic = magic_value;
    *version = version_value;
    *hash_lo = hash_lo_value;
    *hash_hi = hash_hi_value;
}

}  // namespace vitforge

#endif
