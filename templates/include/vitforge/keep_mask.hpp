// SPDX-License-Identifier: Apache-2.0
// Keep masks of pruned channels (Zhang et al., TECS 2021): layer norm compacts the kept channels on their way
// into the array, and the residual add restores a compact branch to its original shape.
//
// Both work on words of TC lanes, one word a cycle, with a window of two words per token. The mask is the
// same for all tokens, so one count steers the windows of all T tokens.
#ifndef VITFORGE_KEEP_MASK_HPP
#define VITFORGE_KEEP_MASK_HPP

#include "vitforge/ints.hpp"

namespace vitforge {

template <int TC>
inline int kept_lanes(const bool keep[TC]) {
#pragma HLS inline
    int count = 0;
kept_count:
    for (int lane = 0; lane < TC; ++lane) {
#pragma HLS unroll
        count += keep[lane] ? 1 : 0;
    }
    return count;
}

// Puts the kept lanes of `word` behind the `held` values of the window. Returns how many the window holds now.
template <int T, int TC, class V>
inline int compact_push(V window[T][2 * TC], int held, const V word[T][TC], const bool keep[TC]) {
#pragma HLS inline
    int position = held;
compact_lane:
    for (int lane = 0; lane < TC; ++lane) {
#pragma HLS unroll
        if (keep[lane]) {
        compact_token:
            for (int t = 0; t < T; ++t) {
#pragma HLS unroll
                window[t][position] = word[t][lane];
            }
            ++position;
        }
    }
    return position;
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

// Appends a whole compact word behind the `held` (< TC) values of the window.
template <int T, int TC, class V>
inline void restore_push(V window[T][2 * TC], int held, const V word[T][TC]) {
#pragma HLS inline
restore_token:
    for (int t = 0; t < T; ++t) {
#pragma HLS unroll
    restore_lane:
        for (int lane = 0; lane < TC; ++lane) {
#pragma HLS unroll
            window[t][held + lane] = word[t][lane];
        }
    }
}

// Deals the front of the window to the kept lanes of `word`; the other lanes get 0.
template <int T, int TC, class V>
inline void restore_take(const V window[T][2 * TC], const bool keep[TC], V word[T][TC]) {
#pragma HLS inline
    int position = 0;
deal_lane:
    for (int lane = 0; lane < TC; ++lane) {
#pragma HLS unroll
    deal_token:
        for (int t = 0; t < T; ++t) {
#pragma HLS unroll
            word[t][lane] = keep[lane] ? window[t][position] : static_cast<V>(0);
        }
        position += keep[lane] ? 1 : 0;
    }
}

}  // namespace vitforge

#endif
