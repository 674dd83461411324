// SPDX-License-Identifier: Apache-2.0
// Activations into the left memory: the first block before the array starts, the others while it works.
#ifndef VITFORGE_SPARSE_MATMUL_ARRIVAL_HPP
#define VITFORGE_SPARSE_MATMUL_ARRIVAL_HPP

#include "vitforge/sparse_matmul/launch.hpp"
#include "vitforge/weight_tile.hpp"

namespace vitforge {
namespace sparse_matmul {

// Where the next word of activations belongs, [word of the token tile][token], and how many are to come.
struct Arrival {
    int base;
    int left;
    int word;
    int row;
    int credit;  // grows by the words of a row; once it is not negative a word is due, which costs the cycles of a row
};

template <class C>
inline void take_word(const Matrix &matrix, hls::stream<ap_uint<C::beat_bits> > &words, Arrival &at,
                      int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc]) {
#pragma HLS inline
    const ap_uint<C::beat_bits> value = words.read();
store_lane:
    for (int lane = 0; lane < C::beat_bytes; ++lane) {
#pragma HLS unroll
        const int own = lane % C::tk;
        left[lane / C::tk][at.base + at.word][at.row][own / C::tc][own % C::tc] =
            static_cast<int8>(value.range(8 * lane + 7, 8 * lane).to_uint());
    }
    --at.left;
    ++at.word;
    if (at.word == matrix.words) {
        at.word = 0;
        ++at.row;
        if (at.row == C::tt) {
            at.row = 0;
            at.base += matrix.words;
        }
    }
}

// Whether a word is taken in this cycle: no sooner than they come, for a read that waits would stop the array. From one
// cycle to the next the credit passes one adder and a choice by its sign.
inline bool is_due(const Matrix &matrix, int row_cycles, Arrival &at) {
#pragma HLS inline
    const int grown = at.credit + matrix.words;
    const int spent = at.credit + (matrix.words - row_cycles);
    const bool due = grown >= 0;
    at.credit = due ? spent : grown;
    return due && at.left > 0;
}

// The first block of activations, and beside it the first weight tile.
template <class C>
inline void arrive(const Matrix &matrix, int tile_beats, hls::stream<ap_uint<C::beat_bits> > &words,
                   hls::stream<ap_uint<C::beat_bits> > &tiles, Arrival &arrival,
                   int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc], TileTarget targets[2],
                   ColumnParams<C::tc> params[2],
                   int8 weights[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes],
                   uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes]) {
#pragma HLS inline
    static_assert(C::left_parts * C::tk == C::beat_bytes, "a beat of activations must be an entry of each left memory");
    const int cycles = arrival.left > tile_beats ? arrival.left : tile_beats;
    TileCursor cursor = {0, 0, 0};
arrive_cycle:
    for (int cycle = 0; cycle < cycles; ++cycle) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::max_arrivals
        VITFORGE_KIND_ITERATION("arrive_cycle", cycle, 0)
        if (cycle < tile_beats) {
            store_tile_beat<C>(tiles.read(), matrix.sparse, 0, cursor, targets, params, weights, picks);
        }
        if (arrival.left > 0) {
            take_word<C>(matrix, words, arrival, left);
        }
    }
}

// What the array did not last long enough for.
template <class C>
inline void take_rest(const Matrix &matrix, hls::stream<ap_uint<C::beat_bits> > &words, Arrival &arrival,
                      int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc]) {
#pragma HLS inline
    const int rest = arrival.left;
rest_cycle:
    for (int cycle = 0; cycle < rest; ++cycle) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::max_arrivals
        VITFORGE_KIND_ITERATION("rest_cycle", cycle, 0)
        take_word<C>(matrix, words, arrival, left);
    }
}

}  // namespace sparse_matmul
}  // namespace vitforge

#endif
