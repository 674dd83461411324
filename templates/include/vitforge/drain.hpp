// SPDX-License-Identifier: Apache-2.0
// Results on their way out of a MAC array: td tokens x tc columns a cycle are requantised and stored,
// while the array works on its next tile.
#ifndef VITFORGE_DRAIN_HPP
#define VITFORGE_DRAIN_HPP

#include "hls_stream.h"
#include "vitforge/gelu.hpp"
#include "vitforge/ints.hpp"
#include "vitforge/job.hpp"
#include "vitforge/requantize.hpp"
#include "vitforge/weight_tile.hpp"

namespace vitforge {

constexpr int int16_limit = 32767;

// Place of one drain group: which tile, and which td of its tokens.
struct DrainGroup {
    int tile;
    int group;  // 0 .. drain_groups - 1
};

// Multiplier and shift of every drained value: per column (linear), per job (score), per token (context).
template <class C>
inline void drain_values(const ArrayJob &job, const acc_t acc[C::tt][C::tc], const DrainGroup &at,
                         const ColumnParams<C::tc> &params, const int32 reciprocal[C::reciprocal_depth][C::td],
                         int64 values[C::td][C::tc]) {
#pragma HLS inline
drain_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
        const int32 scale = C::has_attention ? reciprocal[at.tile * C::drain_groups + at.group][t] : 0;
    drain_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            const bool linear = is_linear<C>(job);
            const bool context = is_context<C>(job);
            const int32 mult = linear ? params.mult[c] : (context ? (scale & 0x3ffff) : job.mult);
            const int32 shift = linear ? params.shift[c] : (context ? (scale >> 18) : job.shift);
            const int32 bias = linear ? params.bias[c] : 0;
            const acc_t sum = acc[at.group * C::td + t][c] + bias;
            values[t][c] = requantize(sum, mult, shift);
        }
    }
}

// Activation layout: [entry][token of the tile][group of tc][tc], entry = base + tile * stride.
template <class C>
inline void store_scratch(const int8 result[C::td][C::tc], const DrainGroup &at, const TileTarget &target,
                          int8 scratch[C::scratch_depth][C::tt][C::groups][C::tc]) {
#pragma HLS inline
    const int entry = target.base + at.tile * target.stride;
scratch_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
    scratch_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            scratch[entry][at.group * C::td + t][target.group][c] = result[t][c];
        }
    }
}

// K: [row][token bank][group of tc][tc]. Token n lies in bank n % key_banks; a drain group fills td banks.
template <class C>
inline void store_key(const int8 result[C::td][C::tc], const DrainGroup &at, const TileTarget &target,
                      int8 key[C::key_depth][C::key_banks][C::groups][C::tc]) {
#pragma HLS inline
    const int position = at.tile * C::drain_groups + at.group;
    const int row = position / (C::key_banks / C::td);
    const int bank = position % (C::key_banks / C::td) * C::td;
key_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
    key_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            key[row * target.stride + target.base][bank + t][target.group][c] = result[t][c];
        }
    }
}

// V: [row][token bank][tc]. Token n lies in bank n % value_banks.
template <class C>
inline void store_value(const int8 result[C::td][C::tc], const DrainGroup &at, const TileTarget &target,
                        int8 value[C::value_depth][C::value_banks][C::tc]) {
#pragma HLS inline
    const int position = at.tile * C::drain_groups + at.group;
    const int row = position / (C::value_banks / C::td);
    const int bank = position % (C::value_banks / C::td) * C::td;
value_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
    value_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            value[row * target.stride + target.base][bank + t][c] = result[t][c];
        }
    }
}

// Branch: [word][td][tc] int16, word = base + drain group of the image * stride; either engine's tiling fits.
template <class C>
inline void store_branch(const int64 values[C::td][C::tc], const DrainGroup &at, const TileTarget &target,
                         int16 branch[C::branch_depth][C::td][C::tc]) {
#pragma HLS inline
    const int word = target.base + (at.tile * C::drain_groups + at.group) * target.stride;
branch_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
    branch_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            branch[word][t][c] = static_cast<int16>(clamp(values[t][c], int16_limit));
        }
    }
}

template <class C>
inline void send_scores(const int64 values[C::td][C::tc], hls::stream<ap_uint<C::score_bits> > &scores) {
#pragma HLS inline
    ap_uint<C::score_bits> word = 0;
score_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
    score_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            const int bit = 16 * (t * C::tc + c);
            word.range(bit + 15, bit) = static_cast<uint32>(clamp(values[t][c], int16_limit)) & 0xffff;
        }
    }
    scores.write(word);
}

// Class logits: one token, the first.
template <class C>
inline void send_logits(const int64 values[C::td][C::tc], hls::stream<ap_uint<32 * C::tc> > &logits) {
#pragma HLS inline
    ap_uint<32 * C::tc> word = 0;
logit_column:
    for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
        word.range(32 * c + 31, 32 * c) = static_cast<uint32>(values[0][c]);
    }
    logits.write(word);
}

// Where a drained group goes: one of five places of an engine with attention, one of two of the other.
template <class C>
inline void store_drained(const TileTarget &target, const DrainGroup &at, const int64 values[C::td][C::tc],
                          const int8 bytes[C::td][C::tc],
                          int8 scratch[C::scratch_depth][C::tt][C::groups][C::tc],
                          int8 key[C::key_depth][C::key_banks][C::groups][C::tc],
                          int8 value[C::value_depth][C::value_banks][C::tc],
                          int16 branch[C::branch_depth][C::td][C::tc],
                          hls::stream<ap_uint<C::score_bits> > &scores,
                          hls::stream<ap_uint<32 * C::tc> > &logits) {
#pragma HLS inline
    if (target.destination == to_scratch) {
        store_scratch<C>(bytes, at, target, scratch);
    } else if (target.destination == to_branch) {
        store_branch<C>(values, at, target, branch);
    } else if (C::has_attention) {
        if (target.destination == to_key) {
            store_key<C>(bytes, at, target, key);
        } else if (target.destination == to_value) {
            store_value<C>(bytes, at, target, value);
        } else if (target.destination == to_scores) {
            send_scores<C>(values, scores);
        } else if (at.tile == 0 && at.group == 0) {
            send_logits<C>(values, logits);
        }
    }
}

}  // namespace vitforge

#endif
