// SPDX-License-Identifier: Apache-2.0
// Softmax of one attention head, a token tile at a time, with A3's exponent module (Ham et al., HPCA 2020):
// exp(-u) from two small tables, and one reciprocal a row whose multiplication is left to the output.
#ifndef VITFORGE_SOFTMAX_HPP
#define VITFORGE_SOFTMAX_HPP

#include "hls_stream.h"
#include "vitforge/divide.hpp"
#include "vitforge/exp_tables.hpp"
#include "vitforge/ints.hpp"
#include "vitforge/storage.hpp"
#include "vitforge/trace.hpp"

namespace vitforge {

constexpr int weight_limit = 127;    // attention weights are 7 bits: they feed the packed array as int8
constexpr int score_floor = -32768;  // below every score

// exp(-(row_max - score) / 256) in 7 bits.
inline int32 exponent(int32 row_max, int32 score) {
#pragma HLS inline
    const int32 u = row_max - score;
    if (u >= exp_range) {
        return 0;
    }
    const int32 product = exp_high[u / exp_low_entries] * exp_low[u % exp_low_entries];
#pragma HLS bind_op variable=product op=mul impl=fabric
    const int32 weight = (product + (1 << (exp_shift - 1))) >> exp_shift;
    return weight > weight_limit ? weight_limit : weight;
}

// What the array tells softmax before the scores of a head; 0 tiles end the slot.
template <class C>
inline ap_uint<64> softmax_control(int token_tiles, int seq_len, uint32 context_scale) {
#pragma HLS inline
    ap_uint<64> word = 0;
    word.range(15, 0) = static_cast<uint32>(token_tiles) & 0xffff;
    word.range(31, 16) = static_cast<uint32>(seq_len) & 0xffff;
    word.range(63, 32) = context_scale;
    return word;
}

// Collect: the running maximum of each row, over the keys that exist.
template <class C>
inline void collect_scores(const ap_uint<C::score_bits> &word, int column, int group, int seq_len,
                           int32 row_max[C::tt]) {
#pragma HLS inline
collect_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
        int32 best = column == 0 ? score_floor : row_max[group * C::td + t];
    collect_key:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            const int bit = 16 * (t * C::tc + c);
            const int32 score = to_int16(word.range(bit + 15, bit).to_uint());
            best = column * C::tc + c < seq_len && score > best ? score : best;
        }
        row_max[group * C::td + t] = best;
    }
}

// Exponent: attention weights go to the array's memory, their sums are kept.
template <class C>
inline void exponentiate(const ap_uint<C::score_bits> &word, int column, int group, int tile, int seq_len,
                         const int32 row_max[C::tt], int32 row_sum[C::tt],
                         int8 attention[C::attention_depth][C::tt][C::groups][C::tc]) {
#pragma HLS inline
    const int entry = tile * C::key_tiles + column / C::groups;
exponent_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
        const int token = group * C::td + t;
        int32 sum = column == 0 ? 0 : row_sum[token];
    exponent_key:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            const int bit = 16 * (t * C::tc + c);
            const int32 score = to_int16(word.range(bit + 15, bit).to_uint());
            const bool exists = column * C::tc + c < seq_len;
            const int32 weight = exists ? exponent(row_max[token], score) : 0;
            attention[entry][token][column % C::groups][c] = static_cast<int8>(weight);
            sum += weight;
        }
        row_sum[token] = sum;
    }
}

// context_scale / row sum as a 17-bit multiplier and a shift (mult | shift << 18).
inline int32 context_reciprocal(uint32 context_scale, int32 row_sum) {
#pragma HLS inline
    const int length = bit_length<reciprocal_bits + 1>(static_cast<uint32>(row_sum));
    const uint64 numerator = static_cast<uint64>(context_scale & 0xffff) << length;
    const uint32 mult = divide(numerator, static_cast<uint32>(row_sum));
    const uint32 shift = (context_scale >> 16) + static_cast<uint32>(length);
    return static_cast<int32>(mult | (shift << 18));
}

// Three stages work in the same cycles, each on a token tile of its own: collect, exponentiate, invert.
template <class C>
static void softmax_head(const ap_uint<64> &control, hls::stream<ap_uint<C::score_bits> > &scores,
                         int8 attention[C::attention_depth][C::tt][C::groups][C::tc],
                         int32 reciprocal[C::reciprocal_depth][C::td]) {
    const int token_tiles = control.range(15, 0).to_int();
    const int seq_len = control.range(31, 16).to_int();
    const uint32 context_scale = control.range(63, 32).to_uint();
    ap_uint<C::score_bits> tile_scores[2][C::key_columns * C::drain_groups];
    int32 row_max[2][C::tt];
    int32 row_sum[2][C::tt];
#pragma HLS array_partition variable=tile_scores complete dim=1
    VITFORGE_BIND_TILE_SCORES
#pragma HLS array_partition variable=row_max complete dim=0
#pragma HLS array_partition variable=row_sum complete dim=0
    constexpr int words = C::key_columns * C::drain_groups;
    constexpr int period = words > C::tt ? words : C::tt;
    int phase = 0;
    int position = 0;
    int column = 0;
    int group = 0;
softmax_cycle:
    for (int cycle = 0; cycle < (token_tiles + 2) * period; ++cycle) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::softmax_cycles
#pragma HLS dependence variable=tile_scores inter false
#pragma HLS dependence variable=attention inter false
        VITFORGE_ITERATION("softmax_cycle", cycle)
        const int odd = phase & 1;
        if (phase >= 2 && position < C::tt) {
            const int token = position;
            reciprocal[(phase - 2) * C::drain_groups + token / C::td][token % C::td] =
                context_reciprocal(context_scale, row_sum[odd][token]);
        }
        if (phase >= 1 && phase <= token_tiles && position < words) {
            exponentiate<C>(tile_scores[1 - odd][position], column, group, phase - 1, seq_len, row_max[1 - odd],
                            row_sum[1 - odd], attention);
        }
        if (phase < token_tiles && position < words) {
            const ap_uint<C::score_bits> word = scores.read();
            tile_scores[odd][position] = word;
            collect_scores<C>(word, column, group, seq_len, row_max[odd]);
        }
        ++position;
        ++group;
        if (group == C::drain_groups) {
            group = 0;
            ++column;
        }
        if (position == period) {
            position = 0;
            group = 0;
            column = 0;
            ++phase;
        }
    }
}

// All heads of a slot (at most one), as the array announces them.
template <class C>
static void softmax_slot(hls::stream<ap_uint<64> > &controls, hls::stream<ap_uint<C::score_bits> > &scores,
                         int8 attention[C::attention_depth][C::tt][C::groups][C::tc],
                         int32 reciprocal[C::reciprocal_depth][C::td]) {
    VITFORGE_PROCESS("softmax")
softmax_job:
    while (true) {
#pragma HLS loop_tripcount max=2
        const ap_uint<64> control = controls.read();
        if (control.range(15, 0).to_int() == 0) {
            break;
        }
        softmax_head<C>(control, scores, attention, reciprocal);
    }
}

}  // namespace vitforge

#endif
