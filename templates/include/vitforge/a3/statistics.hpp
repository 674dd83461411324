// SPDX-License-Identifier: Apache-2.0
// What the units did in a launch, from the counts that come with each query's results.
#ifndef VITFORGE_A3_STATISTICS_HPP
#define VITFORGE_A3_STATISTICS_HPP

#include "vitforge/a3/packets.hpp"
#include "vitforge/a3/post_score.hpp"

namespace vitforge {
namespace a3 {

// Cycles of the busiest stage of a unit for a pair: `turns` of the dot product and `kept` words of scores of its
// queries together.
template <class C>
inline uint32 busy_cycles(const Launch &launch, uint32 turns, uint32 kept) {
#pragma HLS inline
    const int words = row_words<C>(launch);
    // The units share both streams.
    const uint32 queries = static_cast<uint32>(C::units * lanes * row_beats<C>(launch));
    const uint32 results = static_cast<uint32>(C::units * lanes * ceil_div(launch.d, C::result_per_beat));
    const uint32 selects = static_cast<uint32>(launch.m > 0 ? row_beats<C>(launch) + 1 + launch.m : 0);
    const uint32 dots = static_cast<uint32>(count_product(static_cast<int32>(turns), words));
    const uint32 outputs = static_cast<uint32>(count_product(static_cast<int32>(kept), words));
    uint32 most = results > queries ? results : queries;
    most = selects > most ? selects : most;
    most = dots > most ? dots : most;
    return outputs > most ? outputs : most;
}

}  // namespace a3
}  // namespace vitforge

#endif
