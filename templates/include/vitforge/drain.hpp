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
    int pass;   // over the same tokens (to the residual)
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
    at.pass = 0;
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
        const int tokens = target.destination == to_residual ? C::tr : 1;
        ++at.pass;
        if (at.pass == target.passes) {
            at.pass = 0;
            at.address += C::channel_tiles;
            at.token += tokens;
            at.lane += tokens;
        }
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

// What a pass adds to a lane of the residual: the column that goes there, if there is one. A lane of its own is written
// where something is added; of a shared word all lanes are, unless the pass is one that the tile does not need.
struct LaneSource {
    bool exists;
    bool writes;
    int column;
    int word;
};

// Sources of all lanes in a pass. Where the lanes of a word share an address, so do the columns of a pass.
template <class C>
inline void find_sources(const ColumnParams<C::tc> &params, int pass, LaneSource source[C::tc]) {
#pragma HLS inline
    int shared_word = 0;
    bool any = false;
source_lane:
    for (int lane = 0; lane < C::tc; ++lane) {
#pragma HLS unroll
        source[lane].exists = false;
        source[lane].column = 0;
        source[lane].word = 0;
    source_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            if (params.lane[c] == lane && params.pass[c] == pass) {
                source[lane].exists = true;
                source[lane].column = c;
                source[lane].word = params.word[c];
                shared_word = params.word[c];
                any = true;
            }
        }
    }
source_word:
    for (int lane = 0; lane < C::tc; ++lane) {
#pragma HLS unroll
        source[lane].word = C::lane_banks ? source[lane].word : shared_word;
        source[lane].writes = C::lane_banks ? source[lane].exists : any;
    }
}

// tr tokens of the residual stream, [group of tokens, word][token][lane]: the branch is added where it leaves the
// array, each column to the channel that it belongs to, so that what pruning removed stays as it is (Zhang et al., TECS
// 2021). Row 0 is spare: the class token of an image that leaves moves there, so that the next image can move in.
template <class C>
inline void add_residual(const ArrayJob &job, const int64 values[C::td][C::tc], const DrainPosition &at,
                         const ColumnParams<C::tc> &params, int16 residual[C::residual_depth][C::tr][C::tc]) {
#pragma HLS inline
    LaneSource source[C::tc];
#pragma HLS array_partition variable=source complete
    find_sources<C>(params, at.pass, source);
    if (at.token < job.seq_len) {
    residual_lane:
        for (int lane = 0; lane < C::tc; ++lane) {
#pragma HLS unroll
            const int from = at.address + source[C::lane_banks ? lane : 0].word;
            const int to = job.spares ? from - C::channel_tiles : from;
            if (source[lane].writes) {
            residual_token:
                for (int t = 0; t < C::tr; ++t) {
#pragma HLS unroll
                    const bool adds = source[lane].exists && at.token + t < job.seq_len;
                    const int32 branch = adds ? clamp(values[at.lane + t][source[lane].column], int16_limit) : 0;
                    const int32 before = adds && job.replaces ? 0 : static_cast<int32>(residual[from][t][lane]);
                    residual[to][t][lane] = static_cast<int16>(clamp(branch + before, int16_limit));
                }
            }
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
                          const ColumnParams<C::tc> &params, const int64 values[C::td][C::tc],
                          const int8 bytes[C::td][C::tc], LeftWrite<C> &write,
                          int8 key[C::key_depth][C::key_banks][C::groups][C::tc],
                          int8 value[C::value_depth][C::value_banks][C::tc],
                          int16 residual[C::residual_depth][C::tr][C::tc],
                          hls::stream<ap_uint<C::score_bits> > &scores, hls::stream<ap_uint<32 * C::tc> > &logits) {
#pragma HLS inline
    if (target.destination == to_left) {
        to_left_write<C>(bytes, at, target.group, write);
    } else if (target.destination == to_residual) {
        add_residual<C>(job, values, at, params, residual);
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
