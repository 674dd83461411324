// SPDX-License-Identifier: Apache-2.0
// Both half-layer engines on four images at once. In every step each image moves to the next of four units:
//   layer norm 1 -> attention array -> layer norm 2 -> MLP array -> layer norm 1 of the next layer
// The units share nothing within a step; ping-pong memories hand their results to the next one.
#ifndef VITFORGE_ACCELERATOR_HPP
#define VITFORGE_ACCELERATOR_HPP

#include "vitforge/fetch.hpp"
#include "vitforge/nmp_engine.hpp"
#include "vitforge/norm_step.hpp"
#include "vitforge/nsa_engine.hpp"

namespace vitforge {

template <class A, class M>
static void half_step(hls::stream<ap_uint<A::beat_bits> > &ln1_beats, hls::stream<ap_uint<A::beat_bits> > &nsa_beats,
                      hls::stream<ap_uint<A::beat_bits> > &ln2_beats, hls::stream<ap_uint<A::beat_bits> > &nmp_beats,
                      int16 ln1_residual[A::residual_depth][A::td][A::tc],
                      int16 ln2_residual[A::residual_depth][A::td][A::tc],
                      const int8 nsa_xn_in[A::xn_depth][A::tt][A::groups][A::tc],
                      int8 nsa_xn_out[A::xn_depth][A::tt][A::groups][A::tc],
                      const int8 nmp_xn_in[M::xn_depth][M::tt][M::groups][M::tc],
                      int8 nmp_xn_out[M::xn_depth][M::tt][M::groups][M::tc],
                      const int16 nsa_branch_in[A::branch_depth][A::td][A::tc],
                      int16 nsa_branch_out[A::branch_depth][A::td][A::tc],
                      const int16 nmp_branch_in[M::branch_depth][M::td][M::tc],
                      int16 nmp_branch_out[M::branch_depth][M::td][M::tc],
                      hls::stream<ap_uint<32 * A::tc> > &logits) {
#pragma HLS dataflow
    norm_step<A>(ln1_beats, ln1_residual, nmp_branch_in, nsa_xn_out);
    nsa_step<A>(nsa_beats, nsa_xn_in, nsa_branch_out, logits);
    norm_step<M>(ln2_beats, ln2_residual, nsa_branch_in, nmp_xn_out);
    nmp_step<M>(nmp_beats, nmp_xn_in, nmp_branch_out);
}

// All steps of a batch. Residuals rotate with period four, ping-pong memories with period two.
template <class A, class M>
static void compute(int n_steps, hls::stream<ap_uint<A::beat_bits> > &ln1_beats,
                    hls::stream<ap_uint<A::beat_bits> > &nsa_beats, hls::stream<ap_uint<A::beat_bits> > &ln2_beats,
                    hls::stream<ap_uint<A::beat_bits> > &nmp_beats, hls::stream<ap_uint<32 * A::tc> > &logits) {
    static int16 residual0[A::residual_depth][A::td][A::tc];
    static int16 residual1[A::residual_depth][A::td][A::tc];
    static int16 residual2[A::residual_depth][A::td][A::tc];
    static int16 residual3[A::residual_depth][A::td][A::tc];
    static int8 nsa_xn0[A::xn_depth][A::tt][A::groups][A::tc];
    static int8 nsa_xn1[A::xn_depth][A::tt][A::groups][A::tc];
    static int8 nmp_xn0[M::xn_depth][M::tt][M::groups][M::tc];
    static int8 nmp_xn1[M::xn_depth][M::tt][M::groups][M::tc];
    static int16 nsa_branch0[A::branch_depth][A::td][A::tc];
    static int16 nsa_branch1[A::branch_depth][A::td][A::tc];
    static int16 nmp_branch0[M::branch_depth][M::td][M::tc];
    static int16 nmp_branch1[M::branch_depth][M::td][M::tc];
#pragma HLS array_partition variable=residual0 complete dim=2
#pragma HLS array_reshape variable=residual0 complete dim=3
#pragma HLS array_partition variable=residual1 complete dim=2
#pragma HLS array_reshape variable=residual1 complete dim=3
#pragma HLS array_partition variable=residual2 complete dim=2
#pragma HLS array_reshape variable=residual2 complete dim=3
#pragma HLS array_partition variable=residual3 complete dim=2
#pragma HLS array_reshape variable=residual3 complete dim=3
#pragma HLS array_partition variable=nsa_xn0 complete dim=2
#pragma HLS array_partition variable=nsa_xn0 complete dim=3
#pragma HLS array_reshape variable=nsa_xn0 complete dim=4
#pragma HLS array_partition variable=nsa_xn1 complete dim=2
#pragma HLS array_partition variable=nsa_xn1 complete dim=3
#pragma HLS array_reshape variable=nsa_xn1 complete dim=4
#pragma HLS array_partition variable=nmp_xn0 complete dim=2
#pragma HLS array_partition variable=nmp_xn0 complete dim=3
#pragma HLS array_reshape variable=nmp_xn0 complete dim=4
#pragma HLS array_partition variable=nmp_xn1 complete dim=2
#pragma HLS array_partition variable=nmp_xn1 complete dim=3
#pragma HLS array_reshape variable=nmp_xn1 complete dim=4
#pragma HLS array_partition variable=nsa_branch0 complete dim=2
#pragma HLS array_reshape variable=nsa_branch0 complete dim=3
#pragma HLS array_partition variable=nsa_branch1 complete dim=2
#pragma HLS array_reshape variable=nsa_branch1 complete dim=3
#pragma HLS array_partition variable=nmp_branch0 complete dim=2
#pragma HLS array_reshape variable=nmp_branch0 complete dim=3
#pragma HLS array_partition variable=nmp_branch1 complete dim=2
#pragma HLS array_reshape variable=nmp_branch1 complete dim=3
#pragma HLS allocation function instances=half_step limit=1
compute_step:
    for (int step = 0; step < n_steps; ++step) {
#pragma HLS loop_tripcount max=1024
        switch (step & 3) {
            case 0:
                half_step<A, M>(ln1_beats, nsa_beats, ln2_beats, nmp_beats, residual0, residual2, nsa_xn1, nsa_xn0,
                                nmp_xn1, nmp_xn0, nsa_branch1, nsa_branch0, nmp_branch1, nmp_branch0, logits);
                break;
            case 1:
                half_step<A, M>(ln1_beats, nsa_beats, ln2_beats, nmp_beats, residual1, residual3, nsa_xn0, nsa_xn1,
                                nmp_xn0, nmp_xn1, nsa_branch0, nsa_branch1, nmp_branch0, nmp_branch1, logits);
                break;
            case 2:
                half_step<A, M>(ln1_beats, nsa_beats, ln2_beats, nmp_beats, residual2, residual0, nsa_xn1, nsa_xn0,
                                nmp_xn1, nmp_xn0, nsa_branch1, nsa_branch0, nmp_branch1, nmp_branch0, logits);
                break;
            default:
                half_step<A, M>(ln1_beats, nsa_beats, ln2_beats, nmp_beats, residual3, residual1, nsa_xn0, nsa_xn1,
                                nmp_xn0, nmp_xn1, nsa_branch0, nsa_branch1, nmp_branch0, nmp_branch1, logits);
                break;
        }
    }
}

// What the driver reads before it trusts the overlay.
inline void identify(uint32 magic_value, uint32 version_value, uint32 hash_lo_value, uint32 hash_hi_value,
                     uint32 *magic, uint32 *version, uint32 *hash_lo, uint32 *hash_hi) {
    *magic = magic_value;
    *version = version_value;
    *hash_lo = hash_lo_value;
    *hash_hi = hash_hi_value;
}

}  // namespace vitforge

#endif
