// SPDX-License-Identifier: Apache-2.0
// The rows within the threshold of the maximum (A3, section V-B).
#ifndef VITFORGE_A3_POST_SCORE_HPP
#define VITFORGE_A3_POST_SCORE_HPP

#include "vitforge/a3/collect.hpp"

namespace vitforge {
namespace a3 {

// A group's distances from the maximum, their rows, which of them are kept, and whether the group is the last.
template <class C>
struct KeptGroup {
    static constexpr int row = group * C::dot_bits;
    static constexpr int mask = row + group * C::row_bits;
    static constexpr int last = mask + group;
    static constexpr int bits = last + 1;
};

// Counts that travel with a query to its end.
struct Counts {
    static constexpr int candidates = 0;
    static constexpr int turns = count_bits;
    static constexpr int kept = 2 * count_bits;
    static constexpr int bits = 3 * count_bits;
};

// Post-scoring: a group a cycle is compared with the threshold. Groups of which nothing is left are dropped.
template <class C, int Unit>
static void post_score(const Launch &launch, hls::stream<ap_uint<ScoreGroup<C>::bits> > &score_groups,
                       hls::stream<ap_uint<Maximum<C>::bits> > &maxima,
                       hls::stream<ap_uint<KeptGroup<C>::bits> > &kept_groups,
                       hls::stream<ap_uint<Counts::bits> > &counts) {
    VITFORGE_PROCESS("post_score")
    const int queries = unit_queries<C>(launch, Unit);
    ap_uint<Maximum<C>::bits> maximum = 0;
    int query = 0;
    int index = 0;
post_score_group:
    for (int i = 0; query < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=8192
        VITFORGE_KIND_ITERATION("post_score_group", i, 1 + (query & 1))
        if (index == 0) {
            maximum = maxima.read();
            ap_uint<Counts::bits> word = 0;
            set_field<count_bits>(word, Counts::candidates,
                                  static_cast<int32>(get_field<count_bits>(maximum, Maximum<C>::candidates)));
            set_field<count_bits>(word, Counts::turns,
                                  static_cast<int32>(get_field<count_bits>(maximum, Maximum<C>::turns)));
            counts.write(word);
        }
        const ap_uint<ScoreGroup<C>::bits> scores = score_groups.read();
        const int groups = static_cast<int>(get_field<count_bits>(maximum, Maximum<C>::groups));
        const uint32 present = get_field<group>(scores, ScoreGroup<C>::present);
        const bool is_last = index == groups - 1;
        const int32 best = get_signed<C::dot_bits>(maximum, 0);
        ap_uint<KeptGroup<C>::bits> kept = 0;
        uint32 mask = 0;
    post_score_row:
        for (int r = 0; r < group; ++r) {
#pragma HLS unroll
            const int32 distance = best - get_signed<C::dot_bits>(scores, C::dot_bits * r);
            const bool is_kept = ((present >> r) & 1) != 0 && distance <= launch.threshold;
            mask |= is_kept ? 1u << r : 0u;
            set_field<C::dot_bits>(kept, C::dot_bits * r, is_kept ? distance : 0);
            set_field<C::row_bits>(
                kept, KeptGroup<C>::row + C::row_bits * r,
                static_cast<int32>(get_field<C::row_bits>(scores, ScoreGroup<C>::row + C::row_bits * r)));
        }
        if (mask != 0 || is_last) {
            set_field<group>(kept, KeptGroup<C>::mask, static_cast<int32>(mask));
            set_field<1>(kept, KeptGroup<C>::last, is_last);
            kept_groups.write(kept);
        }
        query = is_last ? query + 1 : query;
        index = is_last ? 0 : index + 1;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
