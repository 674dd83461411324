// SPDX-License-Identifier: Apache-2.0
// Results on their way out of a MAC array: td tokens x tc columns a cycle are requantised and stored,
// while the array works on its next tile.
#ifndef VITFORGE_DRAIN_HPP
#define VITFORGE_DRAIN_HPP

#include "hls_stream.h"
#include "vitforge/gelu.hpp"
#include "vitforge/ints.hpp"
#include "vitforge/job.hpp"
#include "vitforge/left_memory.hpp"
#include "vitforge/requantize.hpp"
#include "vitforge/weight_tile.hpp"

namespace vitforge {

constexpr int int16_limit = 32767;

// Where the drain stands: which rows of the finished tile leave, and where they go. Addresses are running sums.
struct DrainPosition {
    int left;   // cycles to go; 0: nothing drains
    int group;  // td tokens of the tile
    int lane;   // token of the group (by_token)
    int token;  // of the job (by_token)
    int address;
    int bank;  // token bank of keys and values
    int reciprocal;
};

// Results of a tile are complete: they drain while the array works on the next one. `first` tells that their column
// starts: addresses begin anew.
inline void start_drain(bool first, int address, int cycles, int reciprocal, DrainPosition &at) {
#pragma HLS inline
    at.left = cycles;
    at.group = 0;
    at.lane = 0;
    at.reciprocal = reciprocal;
    if (first) {
        at.address = address;
        at.token = 0;
        at.bank = 0;
    }
}

// After a cycle of the drain.
template <class C>
inline void advance_drain(const ArrayJob &job, const TileTarget &target, DrainPosition &at) {
#pragma HLS inline
    --at.left;
    if (job.by_token) {
        at.address += C::channel_tiles;
        ++at.token;
        ++at.lane;
        if (at.lane == C::td) {
            at.lane = 0;
            ++at.group;
        }
    } else {
        const int banks = target.destination == to_key ? C::key_banks : C::value_banks;
        const bool has_banks = target.destination == to_key || target.destination == to_value;
        at.bank += C::td;
        const bool wraps = has_banks ? at.bank == banks : at.left == 0;
        if (wraps) {
            at.bank = 0;
            at.address += target.stride;
        }
        ++at.group;
        ++at.reciprocal;
    }
}

// Multiplier and shift of every drained value: per column (linear), per job (score), per token (context).
template <class C>
inline void drain_values(const ArrayJob &job, const acc_t acc[C::tt][C::tc], const DrainPosition &at,
                         const ColumnParams<C::tc> &params, const int32 reciprocal[C::reciprocal_depth][C::td],
                         int64 values[C::td][C::tc]) {
#pragma HLS inline
drain_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
        const bool context = is_context<C>(job);
        const int32 scale = context ? reciprocal[at.reciprocal][t] : 0;
    drain_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            const bool linear = is_linear<C>(job);
            const int32 mult = linear ? params.mult[c] : (context ? (scale & 0x3ffff) : job.mult);
            const int32 shift = linear ? params.shift[c] : (context ? (scale >> 18) : job.shift);
            const int32 bias = linear ? params.bias[c] : 0;
            const acc_t sum = acc[at.group * C::td + t][c] + bias;
            values[t][c] = requantize(sum, mult, shift);
        }
    }
}

// A group of int8 results on its way to the left memory.
template <class C>
inline void to_left_write(const int8 result[C::td][C::tc], const DrainPosition &at, int group, LeftWrite<C> &write) {
#pragma HLS inline
    write.rows = C::td;
    write.place.entry = at.address;
    write.place.row = at.group * C::td;
    write.place.group = group;
left_result_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
    left_result_lane:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            write.lanes[t][lane] = result[t][lane % C::tc];
        }
    }
}

// K: [row][token bank][group of tc][tc]. Token n lies in bank n % key_banks; a drain group fills td banks.
template <class C>
inline void store_key(const int8 result[C::td][C::tc], const DrainPosition &at, int group,
                      int8 key[C::key_depth][C::key_banks][C::groups][C::tc]) {
#pragma HLS inline
key_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
    key_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            key[at.address][at.bank + t][group][c] = result[t][c];
        }
    }
}

// V: [row][token bank][tc]. Token n lies in bank n % value_banks.
template <class C>
inline void store_value(const int8 result[C::td][C::tc], const DrainPosition &at,
                        int8 value[C::value_depth][C::value_banks][C::tc]) {
#pragma HLS inline
value_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
    value_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            value[at.address][at.bank + t][c] = result[t][c];
        }
    }
}

// One token of the residual stream, [token][column tile]: the branch is added where it leaves the array. Row 0 is spare:
// the class token of an image that leaves moves there, so that the next image can move in.
template <class C>
inline void add_residual(const ArrayJob &job, const int64 values[C::td][C::tc], const DrainPosition &at,
                         int16 residual[C::residual_depth][C::tc]) {
#pragma HLS inline
    if (at.token < job.seq_len) {
        const int to = job.spares ? at.address - C::channel_tiles : at.address;
    residual_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            const int32 branch = clamp(values[at.lane][c], int16_limit);
            const int32 sum = job.replaces ? branch : branch + residual[at.address][c];
            residual[to][c] = static_cast<int16>(clamp(sum, int16_limit));
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

// Class logits of one image.
template <class C>
inline void send_logits(const int64 values[C::tc], hls::stream<ap_uint<32 * C::tc> > &logits) {
#pragma HLS inline
    ap_uint<32 * C::tc> word = 0;
logit_column:
    for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
        word.range(32 * c + 31, 32 * c) = static_cast<uint32>(values[c]);
    }
    logits.write(word);
}

// Where a drained group goes: one of six places of an engine with attention, one of two of the other.
template <class C>
inline void store_drained(const ArrayJob &job, const TileTarget &target, const DrainPosition &at,
                          const int64 values[C::td][C::tc], const int8 bytes[C::td][C::tc], LeftWrite<C> &write,
                          int8 key[C::key_depth][C::key_banks][C::groups][C::tc],
                          int8 value[C::value_depth][C::value_banks][C::tc],
                          int16 residual[C::residual_depth][C::tc], hls::stream<ap_uint<C::score_bits> > &scores,
                          hls::stream<ap_uint<32 * C::tc> > &logits) {
#pragma HLS inline
    if (target.destination == to_left) {
        to_left_write<C>(bytes, at, target.group, write);
    } else if (target.destination == to_residual) {
        add_residual<C>(job, values, at, residual);
    } else if (C::has_attention) {
        if (target.destination == to_key) {
            store_key<C>(bytes, at, target.group, key);
        } else if (target.destination == to_value) {
            store_value<C>(bytes, at, value);
        } else if (target.destination == to_scores) {
            send_scores<C>(values, scores);
        } else if (at.token < job.seq_len) {
            send_logits<C>(values[at.lane], logits);
        }
    }
}

}  // namespace vitforge

#endif
