// SPDX-License-Identifier: Apache-2.0
// The unified sparse MAC (Zhang et al., TECS 2021): one array of tt tokens x tc columns x tk lanes serves every
// matrix product of the model. Two tokens share a DSP, and tk DSPs form a cascade.
#ifndef VITFORGE_MAC_ARRAY_HPP
#define VITFORGE_MAC_ARRAY_HPP

#include "vitforge/dsp_pack.hpp"
#include "vitforge/ints.hpp"
#include "vitforge/weight_tile.hpp"

namespace vitforge {

// Activations from which the lanes take theirs: of a k tile each its own; of 2:4 weights two lanes choose among four.
template <class C>
struct LanePool {
    static constexpr int size = C::sparse ? 2 * C::tk : C::tk;
    static constexpr int group = 4;      // activations that a pair of lanes chooses among
    static constexpr int group_lanes = 2;
    static inline int source(int lane, int pick) {
#pragma HLS inline
        return C::sparse ? lane / group_lanes * group + pick : lane;
    }
};

// One of the four activations that a lane chooses among.
template <class C>
inline int8 choose(const int8 pool[LanePool<C>::size], int lane, int pick) {
#pragma HLS inline
    constexpr int last = LanePool<C>::size - 1;
    const int base = LanePool<C>::source(lane, 0);
    const int second = base + 1 < last ? base + 1 : last;
    const int third = base + 2 < last ? base + 2 : last;
    const int fourth = base + 3 < last ? base + 3 : last;
    const int8 lower = (pick & 1) != 0 ? pool[second] : pool[base];
    const int8 upper = (pick & 1) != 0 ? pool[fourth] : pool[third];
    return (pick & 2) != 0 ? upper : lower;
}

// acc += left x right^T for tt tokens, tc columns and tk lanes: one cycle of the array. `pick` tells each lane of a
// column which of its activations it takes.
template <class C>
inline void mac_cycle(const int8 left[C::tt][LanePool<C>::size], const int8 right[C::tc][C::tk],
                      const int pick[C::tc][C::tk], bool starts, acc_t acc[C::tt][C::tc]) {
#pragma HLS inline
    static_assert(C::tt % 2 == 0, "tt must be even: two tokens share a DSP");
    static_assert(C::tk <= C::Dsp::max_depth, "tk must not exceed the packing depth of the DSP family");
mac_pair:
    for (int pair = 0; pair < C::tt / 2; ++pair) {
#pragma HLS unroll
        Int<C::Dsp::port_bits> packed[C::tk];
#pragma HLS array_partition variable=packed complete dim=0
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
                if (C::sparse) {
                    const int place = pick[column][lane];
                    packed[lane] = pack_pair<typename C::Dsp>(choose<C>(left[2 * pair + 1], lane, place),
                                                              choose<C>(left[2 * pair], lane, place));
                }
                sum = packed_mac<typename C::Dsp>(sum, packed[lane], right[column][lane]);
            }
            const acc_t lower = starts ? static_cast<acc_t>(0) : acc[2 * pair][column];
            const acc_t upper = starts ? static_cast<acc_t>(0) : acc[2 * pair + 1][column];
            acc[2 * pair][column] = lower + lower_sum<typename C::Dsp>(sum);
            acc[2 * pair + 1][column] = upper + upper_sum<typename C::Dsp>(sum);
        }
    }
}

// A finished tile, which drains while the array works on the next one.
template <class C>
inline void copy_tile(const acc_t acc[C::tt][C::tc], acc_t done[C::tt][C::tc]) {
#pragma HLS inline
finish_token:
    for (int t = 0; t < C::tt; ++t) {
#pragma HLS unroll
    finish_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            done[t][c] = acc[t][c];
        }
    }
}

// A k tile for lanes that each take their own: where lanes could choose, it lies on the first ones of each choice.
template <class C>
inline void spread_tile(const int8 tile[C::tt][C::tk], int8 pool[C::tt][LanePool<C>::size]) {
#pragma HLS inline
spread_token:
    for (int t = 0; t < C::tt; ++t) {
#pragma HLS unroll
    spread_lane:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            pool[t][LanePool<C>::source(lane, lane % LanePool<C>::group_lanes)] = tile[t][lane];
        }
    }
}

// What the lanes of a dense step pick.
template <class C>
inline void pick_own(int pick[C::tc][C::tk]) {
#pragma HLS inline
own_column:
    for (int column = 0; column < C::tc; ++column) {
#pragma HLS unroll
    own_lane:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            pick[column][lane] = lane % LanePool<C>::group_lanes;
        }
    }
}

// An entry of the left memory, or two: all tokens of a tile by tk lanes each.
template <class C>
inline void read_entries(const int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc], int entry, bool both,
                         int8 pool[C::tt][LanePool<C>::size]) {
#pragma HLS inline
    int8 tile[C::tt][C::tk];
#pragma HLS array_partition variable=tile complete dim=0
entry_token:
    for (int t = 0; t < C::tt; ++t) {
#pragma HLS unroll
    entry_lane:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            const int row = entry / C::left_parts;
            const int8 first = left[0][row][t][lane / C::tc][lane % C::tc];
            const int8 second = left[C::left_parts - 1][row][t][lane / C::tc][lane % C::tc];
            tile[t][lane] = entry % C::left_parts == 0 ? first : second;
            if (C::sparse) {
                pool[t][lane] = first;
                pool[t][LanePool<C>::size - C::tk + lane] = second;
            }
        }
    }
    if (!both) {
        spread_tile<C>(tile, pool);
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

// Places of the weights of a 2:4 step: two bits a lane, column by column.
template <class C>
inline void read_picks(const uint8 picks[WeightBuffer<C>::pick_depth][TileLayout<C>::pick_bytes], int word,
                       int pick[C::tc][C::tk]) {
#pragma HLS inline
pick_column:
    for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
    pick_lane:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            const int index = c * C::tk + lane;
            pick[c][lane] = (picks[word][index / 4] >> (2 * (index % 4))) & 3;
        }
    }
}

}  // namespace vitforge

#endif
