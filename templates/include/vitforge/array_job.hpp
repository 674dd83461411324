// SPDX-License-Identifier: Apache-2.0
// One job of a MAC array as one pipelined loop: the array multiplies a tile, the tile before it drains, the weights
// of the next column tile arrive and the activations of the next image are stored, all in the same cycles.
#ifndef VITFORGE_ARRAY_JOB_HPP
#define VITFORGE_ARRAY_JOB_HPP

#include "vitforge/drain.hpp"
#include "vitforge/mac_array.hpp"
#include "vitforge/position.hpp"
#include "vitforge/storage.hpp"

namespace vitforge {

// Scores leave for softmax; context overwrites the query of its head, which is done with.
template <class C>
inline TileTarget attention_target(const ArrayJob &job, const ArrayPosition<C> &at) {
#pragma HLS inline
    TileTarget target;
    target.destination = job.op == array_score ? to_scores : to_left;
    target.passes = 1;
    target.group = at.inner % C::groups;
    target.stride = 0;
    target.base = at.dst_row + at.inner / C::groups;
    return target;
}

// Both operands of a cycle, from the memories of the job's kind.
template <class C>
inline void read_operands(const ArrayJob &job, const ArrayPosition<C> &at, int half,
                          const int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc],
                          const int8 key[C::key_depth][C::key_banks][C::groups][C::tc],
                          const int8 value[C::value_depth][C::value_banks][C::tc],
                          const int8 attention[C::attention_depth][C::tt][C::groups][C::tc],
                          const int8 words[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes],
                          const uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes],
                          int8 left_operand[C::tt][LanePool<C>::size], int8 right_operand[C::tc][C::tk],
                          int pick[C::tc][C::tk]) {
#pragma HLS inline
    if (C::sparse) {
        pick_own<C>(pick);
    }
    if (is_context<C>(job)) {
        int8 tile[C::tt][C::tk];
#pragma HLS array_partition variable=tile complete dim=0
        read_left<C, C::attention_depth>(attention, at.left_row + at.k, tile);
        spread_tile<C>(tile, left_operand);
        read_value<C>(value, at.right_row, at.right_bank, right_operand);
    } else {
        read_entries<C>(left, at.left_row + (job.sparse ? 2 * at.k : at.k), job.sparse, left_operand);
        if (is_linear<C>(job)) {
            read_weight<C>(words, half * C::max_k_tiles + at.k, right_operand);
            if (job.sparse) {
                read_picks<C>(picks, half * C::max_k_tiles + at.k, pick);
            }
        } else {
            read_key<C>(key, at.right_row + at.k, at.right_bank, right_operand);
        }
    }
}

// The first weight tile of a section has nothing to hide behind.
template <class C>
inline void load_first_tile(int beats_of_tile, bool sparse, int half, hls::stream<ap_uint<C::beat_bits> > &beats,
                            TileTarget targets[2], ColumnParams<C::tc> params[2],
                            int8 words[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes],
                            uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes]) {
#pragma HLS inline
    TileCursor cursor = {0, 0, 0};
first_tile_beat:
    for (int beat = 0; beat < beats_of_tile; ++beat) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::max_tile_beats
        VITFORGE_KIND_ITERATION("first_tile_beat", beat, 0)
        store_tile_beat<C>(beats.read(), sparse, half, cursor, targets, params, words, picks);
    }
}

template <class C>
static void run_job(const ArrayJob &job, hls::stream<ap_uint<C::beat_bits> > &beats,
                    hls::stream<ap_uint<C::word_bits> > &activations, Arrivals &arrivals,
                    int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc],
                    int8 key[C::key_depth][C::key_banks][C::groups][C::tc],
                    int8 value[C::value_depth][C::value_banks][C::tc],
                    const int8 attention[C::attention_depth][C::tt][C::groups][C::tc],
                    const int32 reciprocal[C::reciprocal_depth][C::td],
                    int8 words[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes],
                    uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes], TileTarget targets[2],
                    ColumnParams<C::tc> params[2], int16 residual[C::residual_depth][C::tr][C::tc],
                    hls::stream<ap_uint<C::score_bits> > &scores, hls::stream<ap_uint<32 * C::tc> > &logits) {
    typedef TileLayout<C> Layout;
    int8 gelu[C::td][C::tc][GeluTable<C>::rows][C::beat_bytes];
#pragma HLS array_partition variable=gelu complete dim=1
#pragma HLS array_partition variable=gelu complete dim=2
#pragma HLS array_partition variable=gelu complete dim=4
    VITFORGE_BIND_GELU
    acc_t acc[C::tt][C::tc];
#pragma HLS array_partition variable=acc complete dim=0
    acc_t done[C::tt][C::tc];  // the finished tile while it drains
#pragma HLS array_partition variable=done complete dim=0
    TileTarget done_target = {0, 1, 0, 0, 0};
    ColumnParams<C::tc> done_params = {};
#pragma HLS array_partition variable=done_params.lane complete dim=0
#pragma HLS array_partition variable=done_params.pass complete dim=0
#pragma HLS array_partition variable=done_params.word complete dim=0
#pragma HLS array_partition variable=done_params.mult complete dim=0
#pragma HLS array_partition variable=done_params.shift complete dim=0
#pragma HLS array_partition variable=done_params.bias complete dim=0

    const int beats_of_tile = Layout::param_beats + count_product(job.k_tiles, Layout::step_beats(job.sparse));
    const int beats_of_next =
        Layout::param_beats + count_product(job.next_k_tiles, Layout::step_beats(job.next_sparse));
    const int next = job.next_k_tiles == 0 ? 0 : beats_of_next;
    const JobBounds bounds = job_bounds<C>(job, beats_of_tile, next);
    if (job.waits) {
        take_rest<C>(false, activations, arrivals, left, logits);
    }
    if (!C::has_attention && job.has_gelu) {
        load_gelu<C>(beats, gelu);
    }
    if (bounds.linear && !job.has_first) {
        load_first_tile<C>(beats_of_tile, job.sparse, job.first_half ? 1 : 0, beats, targets, params, words, picks);
    }
    const int work = count_product(bounds.inner, bounds.steps);
    const int period = bounds.beats > work ? bounds.beats : work;
    const int last = next > work ? next : work;
    const int ending = last > work + bounds.drains ? last : work + bounds.drains;
    const int cycles = count_product(period, bounds.outer - 1) + ending;

    ArrayPosition<C> at(job);
    DrainPosition drain = {0, 0, 0, 0, 0, 0, 0, 0};
    int half = job.first_half ? 1 : 0;
    TileCursor cursor = {0, 0, 0};
    int pause = 0;  // cycles until the next activation may be taken
array_cycle:
    for (int cycle = 0; cycle < cycles; ++cycle) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::max_job_cycles
// A job reads and writes different regions of a memory, and visits each address of the residual once. Of the weight
// words one half works while the other fills.
#pragma HLS dependence variable=left inter false
#pragma HLS dependence variable=key inter false
#pragma HLS dependence variable=value inter false
#pragma HLS dependence variable=words inter false
#pragma HLS dependence variable=picks inter false
#pragma HLS dependence variable=residual inter false
        const bool works = at.works(job, bounds);
        VITFORGE_KIND_ITERATION("array_cycle", cycle, (works ? job.op : 0) + (drain.left > 0 ? 4 : 0))
        LeftWrite<C> write;
#pragma HLS array_partition variable=write.lanes complete dim=0
        write.rows = 0;
        if (drain.left > 0) {
            int64 values[C::td][C::tc];
            int8 bytes[C::td][C::tc];
#pragma HLS array_partition variable=values complete dim=0
#pragma HLS array_partition variable=bytes complete dim=0
            drain_values<C>(job, done, drain, done_params, reciprocal, values);
            to_int8<C>(values, !C::has_attention && job.has_gelu, gelu, bytes);
            store_drained<C>(job, done_target, drain, done_params, values, bytes, write, key, value, residual, scores,
                             logits);
            advance_drain<C>(job, done_target, drain);
        }
        // While the array multiplies every other cycle, or more rarely: slower than layer norm delivers, so that it
        // never waits.
        const bool always = job.slow == 0 && (job.fast || !works);
        const bool takes = job.loads && (always || pause == 0);
        pause = pause == 0 ? 1 + job.slow : pause - 1;
        if (takes && !arrivals.at_mark && !arrivals.ended && write.rows == 0) {
            take_word<C>(activations, arrivals, write, logits);
        }
        if (works) {
            int8 left_operand[C::tt][LanePool<C>::size];
            int8 right_operand[C::tc][C::tk];
            int pick[C::tc][C::tk];
#pragma HLS array_partition variable=left_operand complete dim=0
#pragma HLS array_partition variable=right_operand complete dim=0
#pragma HLS array_partition variable=pick complete dim=0
            read_operands<C>(job, at, half, left, key, value, attention, words, picks, left_operand,
                             right_operand, pick);
            mac_cycle<C>(left_operand, right_operand, pick, at.k == 0, acc);
            if (at.k == job.k_tiles - 1) {
                copy_tile<C>(acc, done);
                done_params = params[half];
                done_target = bounds.linear ? targets[half] : attention_target<C>(job, at);
                start_drain(!bounds.linear || at.inner == 0, done_target.base, bounds.drains, at.reciprocal_row, drain);
            }
        }
        store_left<C>(write, left);
        const bool is_last = at.outer == bounds.outer - 1;
        if (at.cycle == 0) {
            cursor = {0, 0, 0};
        }
        if (at.outer < bounds.outer && at.cycle < (is_last ? bounds.next : bounds.beats)) {
            const bool sparse = is_last ? job.next_sparse : job.sparse;
            store_tile_beat<C>(beats.read(), sparse, 1 - half, cursor, targets, params, words, picks);
        }
        at.advance(job, bounds, is_last ? last : period);
        half = bounds.linear && at.cycle == 0 ? 1 - half : half;
    }
}

}  // namespace vitforge

#endif
