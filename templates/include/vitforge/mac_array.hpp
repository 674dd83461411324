// SPDX-License-Identifier: Apache-2.0
// The unified sparse MAC (Zhang et al., TECS 2021): one array of tt tokens x tc columns x tk lanes serves every
// matrix product of the model. Two tokens share a DSP, and tk DSPs form a cascade.
#ifndef VITFORGE_MAC_ARRAY_HPP
#define VITFORGE_MAC_ARRAY_HPP

#include "vitforge/dsp_pack.hpp"
#include "vitforge/ints.hpp"
#include "vitforge/weight_tile.hpp"

namespace vitforge {

// acc += left x right^T for tt tokens, tc columns and tk lanes: one cycle of the array.
template <class C>
inline void mac_cycle(const int8 left[C::tt][C::tk], const int8 right[C::tc][C::tk], bool starts,
                      acc_t acc[C::tt][C::tc]) {
#pragma HLS inline
    static_assert(C::tt % 2 == 0, "tt must be even: two tokens share a DSP");
    static_assert(C::tk <= C::Dsp::max_depth, "tk must not exceed the packing depth of the DSP family");
mac_pair:
    for (int pair = 0; pair < C::tt / 2; ++pair) {
#pragma HLS unroll
        Int<C::Dsp::port_bits> packed[C::tk];
    mac_pack:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            packed[lane] = pack_pair<typename C::Dsp>(left[2 * pair + 1][lane], left[2 * pair][lane]);
        }
    mac_column:
        for (int column = 0; column < C::tc; ++column) {
#pragma HLS unroll
            cascade_t sum = cascade_start<typename C::Dsp>();
        mac_lane:
            for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
                sum = packed_mac<typename C::Dsp>(sum, packed[lane], right[column][lane]);
            }
            const acc_t lower = starts ? static_cast<acc_t>(0) : acc[2 * pair][column];
            const acc_t upper = starts ? static_cast<acc_t>(0) : acc[2 * pair + 1][column];
            acc[2 * pair][column] = lower + lower_sum<typename C::Dsp>(sum);
            acc[2 * pair + 1][column] = upper + upper_sum<typename C::Dsp>(sum);
        }
    }
}

// One entry of a left operand, all tokens of a tile by tk lanes.
template <class C, int DEPTH>
inline void read_left(const int8 memory[DEPTH][C::tt][C::groups][C::tc], int entry, int8 left[C::tt][C::tk]) {
#pragma HLS inline
left_token:
    for (int t = 0; t < C::tt; ++t) {
#pragma HLS unroll
    left_lane:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            left[t][lane] = memory[entry][t][lane / C::tc][lane % C::tc];
        }
    }
}

// tc keys by tk channels: the right operand of Q.K^T.
template <class C>
inline void read_key(const int8 key[C::key_depth][C::key_banks][C::groups][C::tc], int row, int bank,
                     int8 right[C::tc][C::tk]) {
#pragma HLS inline
key_read_column:
    for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
    key_read_lane:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            right[c][lane] = key[row][bank * C::tc + c][lane / C::tc][lane % C::tc];
        }
    }
}

// tk keys (the reduction) by tc channels: the right operand of score x V.
template <class C>
inline void read_value(const int8 value[C::value_depth][C::value_banks][C::tc], int row, int bank,
                       int8 right[C::tc][C::tk]) {
#pragma HLS inline
value_read_column:
    for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
    value_read_lane:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            right[c][lane] = value[row][bank * C::tk + lane][c];
        }
    }
}

template <class C>
inline void read_weight(const int8 words[WeightBuffer<C>::depth][TileLayout<C>::word_beats][C::beat_bytes], int word,
                        int8 right[C::tc][C::tk]) {
#pragma HLS inline
weight_column:
    for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
    weight_lane:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            const int index = c * C::tk + lane;  // words lie column by column
            right[c][lane] = words[word][index / C::beat_bytes][index % C::beat_bytes];
        }
    }
}

}  // namespace vitforge

#endif
