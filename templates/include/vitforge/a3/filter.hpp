// SPDX-License-Identifier: Apache-2.0
// Dot products of candidates, out of those of all rows that were multiplied (A3, section V-A).
#ifndef VITFORGE_A3_FILTER_HPP
#define VITFORGE_A3_FILTER_HPP

#include "vitforge/a3/collect.hpp"
#include "vitforge/a3/tournament.hpp"
#include "vitforge/a3/track.hpp"

namespace vitforge {
namespace a3 {

// The one row of a query without a candidate. Its dot product does not matter: it is the maximum, whatever it is.
template <class C>
inline ap_uint<ScoreGroup<C>::bits> lone_row(int row) {
#pragma HLS inline
    ap_uint<ScoreGroup<C>::bits> word = 0;
    set_field<C::row_bits>(word, ScoreGroup<C>::row, row);
    set_field<group>(word, ScoreGroup<C>::present, 1);
    return word;
}

// A group a cycle, once it is known which of its rows are candidates. Groups without any are dropped. Without selection
// all rows are.
template <class C, int Unit>
static void filter(const Launch &launch, hls::stream<ap_uint<Outcome<C>::bits> > &outcomes_0,
                   hls::stream<ap_uint<Outcome<C>::bits> > &outcomes_1,
                   hls::stream<ap_uint<ScoreGroup<C>::bits> > &slot_groups_0,
                   hls::stream<ap_uint<ScoreGroup<C>::bits> > &slot_groups_1,
                   hls::stream<ap_uint<ScoreGroup<C>::bits> > &score_groups,
                   hls::stream<ap_uint<Maximum<C>::bits> > &maxima) {
    VITFORGE_PROCESS("filter")
    const int queries = unit_queries<C>(launch, Unit);
    const int in_pairs = lanes * queries_of<C>(launch, Unit, 1);  // queries before those that are alone in a pair
    uint32 chosen[C::group_words];
#pragma HLS array_partition variable=chosen complete dim=0
    int groups = 0;  // that come
    int turns = 0;
    int fallback = 0;
    int query = 0;
    int index = 0;
    int passed = 0;
    int candidates = 0;
    int32 best = 0;
filter_group:
    for (int i = 0; query < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=8192
        VITFORGE_KIND_ITERATION("filter_group", i, 1 + (query & 1))
        const bool is_second = query < in_pairs && (query & 1) != 0;
        if (index == 0) {
            ap_uint<Outcome<C>::bits> outcome = 0;
            if (launch.m > 0) {
                outcome = is_second ? outcomes_1.read() : outcomes_0.read();
            }
            groups = launch.m > 0 ? static_cast<int>(get_field<count_bits>(outcome, Outcome<C>::groups))
                                  : ceil_div(launch.n, group);
            turns = launch.m > 0 ? static_cast<int>(get_field<count_bits>(outcome, Outcome<C>::turns))
                                 : ceil_div(launch.n, ports);
            fallback = static_cast<int>(get_field<C::row_bits>(outcome, Outcome<C>::row));
        choose_group:
            for (int g = 0; g < C::group_words; ++g) {
#pragma HLS unroll
                chosen[g] = launch.m > 0 ? get_field<group>(outcome, group * g) : (1u << group) - 1;
            }
        }
        ap_uint<ScoreGroup<C>::bits> scores = 0;
        if (groups > 0) {  // no product of a query may be positive, so that no row is sent
            scores = is_second ? slot_groups_1.read() : slot_groups_0.read();
        }
        const uint32 present = get_field<group>(scores, ScoreGroup<C>::present) & chosen[index];
        int32 dots[group];
#pragma HLS array_partition variable=dots complete dim=0
    filter_row:
        for (int r = 0; r < group; ++r) {
#pragma HLS unroll
            const bool is_chosen = ((present >> r) & 1) != 0;
            dots[r] = is_chosen ? get_signed<C::dot_bits>(scores, C::dot_bits * r) : -(1 << (C::dot_bits - 1));
            candidates += is_chosen ? 1 : 0;
        }
        const int32 most = dots[winner<group, int32>(dots)];
        best = index == 0 || most > best ? most : best;
        const bool is_last = index + 1 >= groups;
        const bool has_none = is_last && candidates == 0;
        set_field<group>(scores, ScoreGroup<C>::present, static_cast<int32>(present));
        if (present != 0 || has_none) {
            score_groups.write(has_none ? lone_row<C>(fallback) : scores);
            ++passed;
        }
        if (is_last) {
            maxima.write(Maximum<C>::make(has_none ? 0 : best, passed, has_none ? 1 : candidates, turns));
            passed = 0;
            candidates = 0;
            ++query;
        }
        index = is_last ? 0 : index + 1;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
