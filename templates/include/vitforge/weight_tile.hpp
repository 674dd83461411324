// SPDX-License-Identifier: Apache-2.0
// Column tiles of weights on their way from DDR: two on chip, one working while the next one fills.
#ifndef VITFORGE_WEIGHT_TILE_HPP
#define VITFORGE_WEIGHT_TILE_HPP

#include "hls_stream.h"
#include "vitforge/ints.hpp"
#include "vitforge/job.hpp"
#include "vitforge/requantize.hpp"

namespace vitforge {

// Where a column tile's results go.
struct TileTarget {
    int destination;
    int passes;  // over each group of tokens, to the residual: a pass has one column for each of its lanes at most
    int group;   // of tc lanes, in the left memory
    int stride;  // of a token tile (left memory) or of a row of token banks (keys, values)
    int base;
};

// Bias, multiplier and shift of the tc columns of a tile; and the channel of the residual that each is added to, by its
// word and lane, with the pass in which that is.
template <int TC>
struct ColumnParams {
    int32 bias[TC];
    int32 mult[TC];
    int32 shift[TC];
    int word[TC];
    int lane[TC];
    int pass[TC];
};

// Beats of a column tile in the stream: target with a byte for each column, records, weight words.
template <class C>
struct TileLayout {
    static constexpr int target_bytes = 8;
    static constexpr int target_beats = ceil_div(target_bytes + C::tc, C::beat_bytes);
    static constexpr int record_bytes = 8;
    static constexpr int records_per_beat = C::beat_bytes / record_bytes;
    static constexpr int param_beats = target_beats + ceil_div(C::tc, records_per_beat);
    static constexpr int word_beats = C::tc * C::tk / C::beat_bytes;
    static constexpr int pick_bytes = C::tc * C::tk / 4;  // two bits a weight, behind each word of a 2:4 matrix
    static_assert(C::tc * C::tk % C::beat_bytes == 0, "a weight word (tc x tk bytes) must be whole beats");
    static_assert(!C::sparse || (C::tk % 4 == 0 && pick_bytes <= C::beat_bytes), "picks of a word must fit a beat");
    static constexpr int sparse_step_beats = word_beats + 1;
    static inline int step_beats(bool sparse) { return sparse ? sparse_step_beats : word_beats; }
};

template <class C>
inline TileTarget decode_target(const ap_uint<C::beat_bits> &beat) {
#pragma HLS inline
    TileTarget target;
    target.destination = beat.range(7, 0).to_int();
    target.passes = beat.range(15, 8).to_int();
    target.group = beat.range(31, 16).to_int();
    target.stride = beat.range(47, 32).to_int();
    target.base = beat.range(63, 48).to_int();
    return target;
}

// Beat number `beat` of the target: lane (4 bits), pass (3) and the highest bit of the word (1) of the columns it has.
template <class C>
inline void decode_lanes(const ap_uint<C::beat_bits> &value, int beat, ColumnParams<C::tc> &params) {
#pragma HLS inline
decode_lane:
    for (int byte = 0; byte < C::beat_bytes; ++byte) {
#pragma HLS unroll
        const int column = beat * C::beat_bytes + byte - TileLayout<C>::target_bytes;
        if (column >= 0 && column < C::tc) {
            params.lane[column] = value.range(8 * byte + 3, 8 * byte).to_int();
            params.pass[column] = value.range(8 * byte + 6, 8 * byte + 4).to_int();
            params.word[column] = value.range(8 * byte + 7, 8 * byte + 7).to_int() << 8;
        }
    }
}

template <class C>
inline void decode_params(const ap_uint<C::beat_bits> &beat, int first_column, ColumnParams<C::tc> &params) {
#pragma HLS inline
decode_record:
    for (int record = 0; record < TileLayout<C>::records_per_beat; ++record) {
#pragma HLS unroll
        const int column = first_column + record;
        if (column < C::tc) {
            const int bit = 64 * record;
            params.bias[column] = static_cast<int32>(beat.range(bit + 31, bit).to_uint());
            params.mult[column] = beat.range(bit + 47, bit + 32).to_int();
            params.shift[column] = beat.range(bit + 55, bit + 48).to_int();
            params.word[column] = (params.word[column] & 256) | beat.range(bit + 63, bit + 56).to_int();
        }
    }
}

// Both halves of the weight buffer: a bank for each beat of a weight word, so that a beat that arrives writes one
// bank and all are read at once.
template <class C>
struct WeightBuffer {
    static constexpr int depth = 2 * C::max_k_tiles;
    static constexpr int pick_depth = C::sparse ? depth : 1;
};

// Where the next beat of a tile belongs.
struct TileCursor {
    int beat;  // of what precedes the weights
    int word;
    int part;  // beat of the word; behind the last one its picks
};

// The next beat of a tile goes where it belongs, into one half of the buffer.
template <class C>
inline void store_tile_beat(const ap_uint<C::beat_bits> &value, bool sparse, int half, TileCursor &at,
                            TileTarget targets[2], ColumnParams<C::tc> params[2],
                            int8 words[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes],
                            uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes]) {
#pragma HLS inline
    typedef TileLayout<C> Layout;
    if (at.beat < Layout::param_beats) {
        if (at.beat == 0) {
            targets[half] = decode_target<C>(value);
        }
        if (at.beat < Layout::target_beats) {
            decode_lanes<C>(value, at.beat, params[half]);
        } else {
            decode_params<C>(value, (at.beat - Layout::target_beats) * Layout::records_per_beat, params[half]);
        }
        ++at.beat;
    } else {
        const int word = half * C::max_k_tiles + at.word;
        if (!C::sparse || at.part < Layout::word_beats) {
        store_weight:
            for (int byte = 0; byte < C::beat_bytes; ++byte) {
#pragma HLS unroll
                words[word][at.part][byte] = static_cast<int8>(value.range(8 * byte + 7, 8 * byte).to_uint());
            }
        } else {
        store_pick:
            for (int byte = 0; byte < Layout::pick_bytes; ++byte) {
#pragma HLS unroll
                picks[word][byte] = static_cast<uint8>(value.range(8 * byte + 7, 8 * byte).to_uint());
            }
        }
        ++at.part;
        if (at.part == Layout::step_beats(sparse)) {
            at.part = 0;
            ++at.word;
        }
    }
}

}  // namespace vitforge

#endif
