// SPDX-License-Identifier: Apache-2.0
// Which of N values is largest, the first of several: a tree of comparators.
#ifndef VITFORGE_A3_TOURNAMENT_HPP
#define VITFORGE_A3_TOURNAMENT_HPP

#include "vitforge/ints.hpp"

namespace vitforge {
namespace a3 {

template <int N, class Value>
inline int winner(const Value value[N]) {
#pragma HLS inline
    Value best[N];
    int index[N];
#pragma HLS array_partition variable=best complete dim=0
#pragma HLS array_partition variable=index complete dim=0
winner_entry:
    for (int i = 0; i < N; ++i) {
#pragma HLS unroll
        best[i] = value[i];
        index[i] = i;
    }
winner_level:
    for (int span = 1; span < N; span *= 2) {
#pragma HLS unroll
    winner_pair:
        for (int i = 0; i + span < N; i += 2 * span) {
#pragma HLS unroll
            if (best[i + span] > best[i]) {
                best[i] = best[i + span];
                index[i] = index[i + span];
            }
        }
    }
    return index[0];
}

}  // namespace a3
}  // namespace vitforge

#endif
