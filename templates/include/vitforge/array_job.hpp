// SPDX-License-Identifier: Apache-2.0
// One job of a MAC array as one pipelined loop: the array multiplies a tile, the tile before it drains, and
// the weights of the next column tile arrive, all in the same cycles.
#ifndef VITFORGE_ARRAY_JOB_HPP
#define VITFORGE_ARRAY_JOB_HPP

#include "vitforge/mac_array.hpp"

namespace vitforge {

template <class C>
static void run_job(const ArrayJob &job, hls::stream<ap_uint<C::beat_bits> > &beats,
                    const int8 xn[C::xn_depth][C::tt][C::groups][C::tc],
                    int8 scratch[C::scratch_depth][C::tt][C::groups][C::tc],
                    int8 key[C::key_depth][C::key_banks][C::groups][C::tc],
                    int8 value[C::value_depth][C::value_banks][C::tc],
                    const int8 weights[C::weights_depth][C::tt][C::groups][C::tc],
                    const int32 reciprocal[C::reciprocal_depth][C::td], int16 branch[C::branch_depth][C::td][C::tc],
                    hls::stream<ap_uint<C::score_bits> > &scores, hls::stream<ap_uint<32 * C::tc> > &logits) {
    typedef TileLayout<C> Layout;
    // A bank for each beat of a weight word: a beat that arrives writes one bank, and all are read at once.
    int8 words[2][C::max_k_tiles][Layout::word_beats][C::beat_bytes];
#pragma HLS array_partition variable=words complete dim=1
#pragma HLS array_partition variable=words complete dim=3
#pragma HLS array_reshape variable=words complete dim=4
    int8 gelu[C::td][C::tc][256];
#pragma HLS array_partition variable=gelu complete dim=1
#pragma HLS array_partition variable=gelu complete dim=2
    acc_t acc[C::tt][C::tc];
#pragma HLS array_partition variable=acc complete dim=0
    acc_t done[C::tt][C::tc];  // the finished tile while it drains
#pragma HLS array_partition variable=done complete dim=0
    TileTarget targets[2];
    ColumnParams<C::tc> params[2];
    TileTarget done_target = {0, 0, 0, 0};
    ColumnParams<C::tc> done_params;
#pragma HLS array_partition variable=targets complete
#pragma HLS array_partition variable=params complete

    const bool linear = is_linear<C>(job);
    const int tile_beats = Layout::param_beats + job.k_tiles * Layout::word_beats;
    if (job.has_gelu) {
        load_gelu<C>(beats, gelu);
    }
    if (linear) {
    first_tile_beat:
        for (int beat = 0; beat < tile_beats; ++beat) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::max_tile_beats
            store_tile_beat<C>(beat, beats.read(), targets[0], params[0], words[0]);
        }
    }

    const int steps = job.k_tiles > C::drain_groups ? job.k_tiles : C::drain_groups;
    const int outer_count = linear ? job.column_tiles : job.token_tiles;
    const int inner_count = linear ? job.token_tiles : job.column_tiles;
    const int work = inner_count * steps;
    const int period = linear && tile_beats > work ? tile_beats : work;
    const int cycles = (outer_count - 1) * period + work + C::drain_groups;

    ArrayPosition at;
    DrainGroup drain = {0, C::drain_groups};  // group == drain_groups: nothing to drain
array_cycle:
    for (int cycle = 0; cycle < cycles; ++cycle) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::max_job_cycles
// A job reads and writes different regions, and of the weight words one half works while the other fills.
#pragma HLS dependence variable=scratch inter false
#pragma HLS dependence variable=key inter false
#pragma HLS dependence variable=value inter false
#pragma HLS dependence variable=words inter false
        if (drain.group < C::drain_groups) {
            int64 values[C::td][C::tc];
            int8 bytes[C::td][C::tc];
            drain_values<C>(job, done, drain, done_params, reciprocal, values);
            to_int8<C>(values, job.has_gelu, gelu, bytes);
            store_drained<C>(done_target, drain, values, bytes, scratch, key, value, branch, scores, logits);
            ++drain.group;
        }
        const int half = at.outer & 1;
        if (at.outer < outer_count && at.inner < inner_count && at.k < job.k_tiles) {
            const int column = linear ? at.outer : at.inner;
            const int tile = linear ? at.inner : at.outer;
            int8 left[C::tt][C::tk];
            int8 right[C::tc][C::tk];
            if (is_context<C>(job)) {
                read_left<C, C::weights_depth>(weights, tile * job.k_tiles + at.k, left);
                read_value<C>(value, job, column, at.k, right);
            } else {
                const int entry = job.src_base + tile * job.src_stride + at.k;
                if (job.from_scratch) {
                    read_left<C, C::scratch_depth>(scratch, entry, left);
                } else {
                    read_left<C, C::xn_depth>(xn, entry, left);
                }
                if (linear) {
                    read_weight<C>(words[half], at.k, right);
                } else {
                    read_key<C>(key, job, column, at.k, right);
                }
            }
            mac_cycle<C>(left, right, at.k == 0, acc);
            if (at.k == job.k_tiles - 1) {
            finish_token:
                for (int t = 0; t < C::tt; ++t) {
#pragma HLS unroll
                finish_column:
                    for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
                        done[t][c] = acc[t][c];
                    }
                }
                drain.tile = tile;
                drain.group = 0;
                done_params = params[half];
                done_target = linear ? targets[half] : attention_target<C>(job, column);
            }
        }
        if (linear && at.cycle < tile_beats && at.outer < outer_count - 1) {
            store_tile_beat<C>(at.cycle, beats.read(), targets[1 - half], params[1 - half], words[1 - half]);
        }
        at.advance(steps, inner_count, period);
    }
}

}  // namespace vitforge

#endif
