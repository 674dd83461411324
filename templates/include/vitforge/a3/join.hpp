// SPDX-License-Identifier: Apache-2.0
// Results of both lanes of a unit in the order of their queries, and what the unit did.
#ifndef VITFORGE_A3_JOIN_HPP
#define VITFORGE_A3_JOIN_HPP

#include "vitforge/a3/packets.hpp"
#include "vitforge/a3/post_score.hpp"

namespace vitforge {
namespace a3 {

// Statistics of a unit in a launch.
struct Totals {
    static constexpr int candidates = 0;
    static constexpr int kept = 32;
    static constexpr int cycles = 64;
    static constexpr int bits = 96;
};

// Cycles of the busiest stage for a pair, from the counts of its queries.
template <class C>
inline uint32 busy_cycles(const Launch &launch, uint32 rows, uint32 kept) {
#pragma HLS inline
    const uint32 words = static_cast<uint32>(row_words<C>(launch));
    // The units share both streams.
    const uint32 queries = static_cast<uint32>(C::units * lanes * row_beats<C>(launch));
    const uint32 results = static_cast<uint32>(C::units * lanes * ceil_div(launch.d, C::result_per_beat));
    const uint32 selects = static_cast<uint32>(launch.m > 0 ? row_beats<C>(launch) + 1 + launch.m : 0);
    const int scan_cycles = ceil_div(launch.n, group) + lanes;
    const int adds = launch.m > scan_cycles ? launch.m : scan_cycles;
    const uint32 scans = static_cast<uint32>(launch.m > 0 ? adds + queue : 0);
    const uint32 dots = rows * words;
    const uint32 outputs = kept * words;
    uint32 most = results > queries ? results : queries;
    most = selects > most ? selects : most;
    most = scans > most ? scans : most;
    most = dots > most ? dots : most;
    return outputs > most ? outputs : most;
}

template <class C, int Unit>
static void join(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &results_0,
                 hls::stream<ap_uint<C::beat_bits> > &results_1, hls::stream<ap_uint<Counts::bits> > &counts_0,
                 hls::stream<ap_uint<Counts::bits> > &counts_1, hls::stream<ap_uint<C::beat_bits> > &results,
                 hls::stream<ap_uint<Totals::bits> > &totals) {
    VITFORGE_PROCESS("join")
    const int doubles = queries_of<C>(launch, Unit, 1);
    const int pairs = queries_of<C>(launch, Unit, 0);
    const int last_beat = ceil_div(launch.d, C::result_per_beat) - 1;
    const int total = (pairs + doubles) * (last_beat + 1);
    uint32 candidates = 0;
    uint32 kept = 0;
    uint32 cycles = 0;
    uint32 pair_kept = 0;  // of the lane that kept more
    int pair = 0;
    int lane = 0;
    int beat = 0;
join_beat:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("join_beat", i, 1 + (pair & 1))
        if (beat == 0) {
            const ap_uint<Counts::bits> count = lane == 0 ? counts_0.read() : counts_1.read();
            const uint32 lane_kept = get_field<count_bits>(count, Counts::kept);
            candidates += get_field<count_bits>(count, Counts::candidates);
            kept += lane_kept;
            pair_kept = lane == 0 || lane_kept > pair_kept ? lane_kept : pair_kept;
            if (lane == 1 || pair >= doubles) {
                cycles += busy_cycles<C>(launch, get_field<count_bits>(count, Counts::rows), pair_kept);
            }
        }
        results.write(lane == 0 ? results_0.read() : results_1.read());
        if (beat == last_beat) {
            beat = 0;
            const bool is_whole = lane == 1 || pair >= doubles;
            lane = is_whole ? 0 : 1;
            pair = is_whole ? pair + 1 : pair;
        } else {
            ++beat;
        }
    }
    ap_uint<Totals::bits> word = 0;
    set_field<32>(word, Totals::candidates, static_cast<int32>(candidates));
    set_field<32>(word, Totals::kept, static_cast<int32>(kept));
    set_field<32>(word, Totals::cycles, static_cast<int32>(cycles));
    totals.write(word);
}

}  // namespace a3
}  // namespace vitforge

#endif
