// SPDX-License-Identifier: Apache-2.0
// Keep masks of pruned channels (Zhang et al., TECS 2021): layer norm compacts the kept channels on their way
// into the array, a word of TC lanes a cycle, with a window of two words per token.
#ifndef VITFORGE_KEEP_MASK_HPP
#define VITFORGE_KEEP_MASK_HPP

#include "vitforge/ints.hpp"

namespace vitforge {

// Puts the kept lanes of `word` behind the `held` values of the window. Returns how many the window holds now. Lanes
// are counted by the mask alone: from one word to the next `held` passes one adder.
template <int T, int TC, class V>
inline int compact_push(V window[T][2 * TC], int held, const V word[T][TC], const bool keep[TC]) {
#pragma HLS inline
    int count = 0;
compact_lane:
    for (int lane = 0; lane < TC; ++lane) {
#pragma HLS unroll
        if (keep[lane]) {
        compact_token:
            for (int t = 0; t < T; ++t) {
#pragma HLS unroll
                window[t][held + count] = word[t][lane];
            }
        }
        count += keep[lane] ? 1 : 0;
    }
    return held + count;
}

// Moves the window down by `count` lanes (count <= TC).
template <int T, int TC, class V>
inline void window_shift(V window[T][2 * TC], int count) {
#pragma HLS inline
shift_token:
    for (int t = 0; t < T; ++t) {
#pragma HLS unroll
    shift_lane:
        for (int lane = 0; lane < 2 * TC; ++lane) {
#pragma HLS unroll
            const int source = lane + count;
            window[t][lane] = source < 2 * TC ? window[t][source] : static_cast<V>(0);
        }
    }
}

}  // namespace vitforge

#endif
