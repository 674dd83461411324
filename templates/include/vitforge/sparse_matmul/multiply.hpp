// SPDX-License-Identifier: Apache-2.0
// The array at work: column tile by column tile all rows pass under the weights of a tile, while those of the next one
// arrive and the finished tile drains.
#ifndef VITFORGE_SPARSE_MATMUL_MULTIPLY_HPP
#define VITFORGE_SPARSE_MATMUL_MULTIPLY_HPP

#include "vitforge/mac_array.hpp"
#include "vitforge/sparse_matmul/arrival.hpp"
#include "vitforge/sparse_matmul/output.hpp"
#include "vitforge/sparse_matmul/storage.hpp"

namespace vitforge {
namespace sparse_matmul {

// Run-time bounds of the loops, all in cycles but the first.
struct Bounds {
    int token_tiles;
    int tile_beats;  // of weights
    int drains;      // of a whole token tile
    int last_drains;
    int token_period;   // from a token tile to the next
    int column_period;  // from a column tile to the next
    int total;          // of the block
};

// Beats of a column tile.
template <class C>
inline int count_tile_beats(const Matrix &matrix) {
#pragma HLS inline
    typedef TileLayout<C> Layout;
    const int dense = Layout::word_beats * matrix.steps;  // by constants, which take no DSP
    const int weights = matrix.sparse ? Layout::sparse_step_beats * matrix.steps : dense;
    return Layout::param_beats + weights;
}

// Of a block of `rows`; `more` tells that another one follows, whose first weight tile arrives in the last column tile.
template <class C>
inline Bounds find_bounds(const Matrix &matrix, int rows, bool more) {
#pragma HLS inline
    constexpr int tile_groups = C::tt / C::td;
    Bounds bounds;
    const int groups = ceil_div(rows, C::td);  // of tokens that leave for a column tile
    bounds.token_tiles = ceil_div(rows, C::tt);
    bounds.tile_beats = count_tile_beats<C>(matrix);
    const int drained = groups < tile_groups ? groups : tile_groups;
    const int last_drained = groups - (bounds.token_tiles - 1) * tile_groups;
    bounds.drains = matrix.wide ? wide_parts * drained : drained;
    bounds.last_drains = matrix.wide ? wide_parts * last_drained : last_drained;
    bounds.token_period = bounds.drains > matrix.steps ? bounds.drains : matrix.steps;
    const int work = count_product(bounds.token_period, bounds.token_tiles);
    const int loaded = bounds.tile_beats + C::settle_cycles;
    bounds.column_period = loaded > work ? loaded : work;
    const int last = work - bounds.token_period + matrix.steps + bounds.last_drains;
    bounds.total = count_product(bounds.column_period, matrix.column_tiles - 1) +
                   (more && bounds.tile_beats > last ? bounds.tile_beats : last);
    return bounds;
}

// Where the array stands.
struct Position {
    int column;  // tile
    int cycle;   // of the column tile
    int tile;    // of tokens
    int k;       // step of the reduction; past the last one the drain of the tile before is waited for
    int left_row;
    int half;  // of the weight buffer
    int side;  // of the left memory: its first row
};

inline void advance(const Matrix &matrix, const Bounds &bounds, Position &at) {
#pragma HLS inline
    ++at.cycle;
    ++at.k;
    if (at.k == bounds.token_period) {
        at.k = 0;
        ++at.tile;
        at.left_row += matrix.words;
    }
    if (at.cycle == bounds.column_period) {
        at.cycle = 0;
        at.k = 0;
        at.tile = 0;
        at.left_row = at.side;
        at.half = 1 - at.half;
        ++at.column;
    }
}

template <class C>
inline void read_step(const Matrix &matrix, const Position &at,
                      const int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc],
                      const int8 weights[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes],
                      const uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes],
                      int8 pool[C::tt][LanePool<C>::size], int8 right[C::tc][C::tk], int pick[C::tc][C::tk]) {
#pragma HLS inline
    const int word = at.half * C::max_k_tiles + at.k;
    const int entry = C::left_parts * at.left_row + (matrix.sparse ? C::left_parts * at.k : at.k);
    read_entries<C>(left, entry, matrix.sparse, pool);
    read_weight<C>(weights, word, right);
    if (C::sparse) {
        pick_own<C>(pick);
    }
    if (matrix.sparse) {
        read_picks<C>(picks, word, pick);
    }
}

// A block of rows under all column tiles, while those of the next block arrive.
template <class C>
inline void run_block(const Matrix &matrix, const Bounds &bounds, int rows, bool more, Position &at, Arrival &arrival,
                      hls::stream<ap_uint<C::beat_bits> > &words, hls::stream<ap_uint<C::beat_bits> > &tiles,
                      hls::stream<ap_uint<C::beat_bits + 8> > &results,
                      int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc], TileTarget targets[2],
                      ColumnParams<C::tc> params[2],
                      int8 weights[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes],
                      uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes]) {
#pragma HLS inline
    acc_t acc[C::tt][C::tc] = {};
#pragma HLS array_partition variable=acc complete dim=0
    acc_t done[C::tt][C::tc] = {};  // the finished tile while it drains
#pragma HLS array_partition variable=done complete dim=0
    ColumnParams<C::tc> done_params = {};
#pragma HLS array_partition variable=done_params.mult complete dim=0
#pragma HLS array_partition variable=done_params.shift complete dim=0
#pragma HLS array_partition variable=done_params.bias complete dim=0
    Output output = {0, 0, 0, 0, false};
    TileCursor cursor = {0, 0, 0};
    const int row_cycles = ceil_div(matrix.inputs, C::beat_bytes) + 1;
    arrival.credit = -row_cycles;
array_cycle:
    for (int cycle = 0; cycle < bounds.total; ++cycle) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::max_cycles
// Of weights and activations one half works while the other fills.
#pragma HLS dependence variable=left inter false
#pragma HLS dependence variable=weights inter false
#pragma HLS dependence variable=picks inter false
        const bool works = at.column < matrix.column_tiles && at.tile < bounds.token_tiles && at.k < matrix.steps;
        VITFORGE_KIND_ITERATION("array_cycle", cycle, (works ? 1 : 0) + (output.left > 0 ? 2 : 0))
        if (output.left > 0) {
            send_beat<C>(matrix, rows, done, done_params, output, results);
        }
        if (works) {
            int8 pool[C::tt][LanePool<C>::size];
            int8 right[C::tc][C::tk];
            int pick[C::tc][C::tk];
#pragma HLS array_partition variable=pool complete dim=0
#pragma HLS array_partition variable=right complete dim=0
#pragma HLS array_partition variable=pick complete dim=0
            read_step<C>(matrix, at, left, weights, picks, pool, right, pick);
            mac_cycle<C>(pool, right, pick, at.k == 0, acc);
            if (at.k == matrix.steps - 1) {
                const bool is_last = at.tile == bounds.token_tiles - 1;
                copy_tile<C>(acc, done);
                done_params = params[at.half];
                output.left = is_last ? bounds.last_drains : bounds.drains;
                output.part = 0;
                output.group = 0;
                output.row = at.tile * C::tt;
                output.ends_all = is_last && at.column == matrix.column_tiles - 1 && !more;
            }
        }
        if (is_due(matrix, row_cycles, arrival)) {
            take_word<C>(matrix, words, arrival, left);
        }
        if (at.cycle == 0) {
            cursor = {0, 0, 0};
        }
        const int last_load = more ? matrix.column_tiles : matrix.column_tiles - 1;
        if (at.column < last_load && at.cycle < bounds.tile_beats) {
            store_tile_beat<C>(tiles.read(), matrix.sparse, 1 - at.half, cursor, targets, params, weights, picks);
        }
        advance(matrix, bounds, at);
    }
}

// All rows of the launch, block by block; each lies in the other half of the left memory than the one before.
template <class C>
inline void run_matrix(const Launch &launch, const Matrix &matrix, hls::stream<ap_uint<C::beat_bits> > &words,
                       hls::stream<ap_uint<C::beat_bits> > &tiles,
                       hls::stream<ap_uint<C::beat_bits + 8> > &results, unsigned int *cycles) {
#pragma HLS inline
    static int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc];
    static int8 weights[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes];
    static uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes];
#pragma HLS array_partition variable=left complete dim=1
#pragma HLS array_partition variable=left complete dim=3
#pragma HLS array_partition variable=left complete dim=4
#pragma HLS array_reshape variable=left complete dim=5
    VITFORGE_BIND_LEFT
#pragma HLS array_partition variable=weights complete dim=2
#pragma HLS array_reshape variable=weights complete dim=3
    VITFORGE_BIND_WEIGHTS
#pragma HLS array_reshape variable=picks complete dim=2
#pragma HLS bind_storage variable=picks type=ram_s2p impl=lutram
    TileTarget targets[2];  // a record of the weight tiles of all kernels; here all results leave
    ColumnParams<C::tc> params[2] = {};
#pragma HLS array_partition variable=params complete dim=0
    uint32 total = 0;
    int half = 0;
    int side = 0;
    Arrival arrival = {0, count_product(block_rows<C>(launch, 0), matrix.words), 0, 0, 0};
    arrive<C>(matrix, count_tile_beats<C>(matrix), words, tiles, arrival, left, targets, params, weights, picks);
row_block:
    for (int first = 0; first < launch.rows; first += C::block_rows) {
#pragma HLS loop_tripcount max=16
        const int rows = block_rows<C>(launch, first);
        const int next_rows = block_rows<C>(launch, first + C::block_rows);
        const int other = side == 0 ? C::left_depth / 2 : 0;
        const Bounds bounds = find_bounds<C>(matrix, rows, next_rows > 0);
        Position at = {0, 0, 0, 0, side, half, side};
        arrival = {other, count_product(next_rows, matrix.words), 0, 0, 0};
        run_block<C>(matrix, bounds, rows, next_rows > 0, at, arrival, words, tiles, results, left, targets, params,
                     weights, picks);
        take_rest<C>(matrix, words, arrival, left);
        total += static_cast<uint32>(bounds.total);
        half = (half + matrix.column_tiles) & 1;
        side = other;
    }
    *cycles = total;
}

template <class C>
static void multiply(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &orders,
                     hls::stream<ap_uint<C::beat_bits> > &words, hls::stream<ap_uint<C::beat_bits> > &tiles,
                     hls::stream<ap_uint<C::beat_bits + 8> > &results, unsigned int *cycles) {
    VITFORGE_PROCESS("multiply")
    if (launch.rows > 0) {
        uint32 header[header_words];
#pragma HLS array_partition variable=header complete dim=0
        read_header<C::beat_bits>(orders, header);
        run_matrix<C>(launch, decode_matrix<C>(header), words, tiles, results, cycles);
    } else {
        *cycles = 0;
    }
}

}  // namespace sparse_matmul
}  // namespace vitforge

#endif
