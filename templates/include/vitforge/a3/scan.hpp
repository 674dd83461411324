// SPDX-License-Identifier: Apache-2.0
// Scores of greedy selection, and the scan for rows with a positive one (A3, section V-A).
#ifndef VITFORGE_A3_SCAN_HPP
#define VITFORGE_A3_SCAN_HPP

#include "vitforge/a3/select.hpp"

namespace vitforge {
namespace a3 {

constexpr int parities = 2;  // of a pair: one is summed up while the one before is scanned
constexpr int banks = 2;     // of a score, by turns: what one iteration adds is written before it is read again

// Some rows of a group word that a lane keeps, or the end of a query.
template <class C>
struct RowMask {
    static constexpr int word = group;
    static constexpr int last = word + C::row_bits;
    static constexpr int bits = last + 1;
    static inline ap_uint<bits> make(uint32 mask, int index, bool is_last) {
#pragma HLS inline
        ap_uint<bits> token = 0;
        set_field<group>(token, 0, static_cast<int32>(mask));
        set_field<C::row_bits>(token, word, index);
        set_field<1>(token, last, is_last);
        return token;
    }
};

// Every iteration adds to two rows of a lane.
template <class C>
inline void add_step(const ap_uint<Step<C>::bits> &step, int iteration,
                     uint32 sums[sides][banks][group][C::group_words]) {
#pragma HLS inline
add_side:
    for (int side = 0; side < sides; ++side) {
#pragma HLS unroll
        const int low = side * Step<C>::side_bits;
        const uint32 value = get_field<Step<C>::value_bits>(step, low);
        const int row = static_cast<int>(get_field<C::row_bits>(step, low + Step<C>::value_bits));
        sums[side][iteration % banks][row % group][row / group] += value;
    }
}

// Scores of a group word, which are cleared for the pair after the next one.
template <class C>
inline void take_scores(int word, uint32 sums[sides][banks][group][C::group_words], int32 score[group]) {
#pragma HLS inline
take_row:
    for (int r = 0; r < group; ++r) {
#pragma HLS unroll
        int32 sum = 0;
    take_bank:
        for (int bank = 0; bank < banks; ++bank) {
#pragma HLS unroll
            sum += static_cast<int32>(sums[0][bank][r][word]) - static_cast<int32>(sums[1][bank][r][word]);
            sums[0][bank][r][word] = sums[1][bank][r][word] = 0;
        }
        score[r] = sum;
    }
}

// Sums up the iterations of a pair while it scans the pair before, a group of rows of both lanes a cycle. A query
// without any candidate gets the row with the largest score, the lowest of several.
template <class C, int Unit>
static void scan(const Launch &launch, hls::stream<ap_uint<Step<C>::bits> > &steps_0,
                 hls::stream<ap_uint<Step<C>::bits> > &steps_1, hls::stream<ap_uint<RowMask<C>::bits> > &masks_0,
                 hls::stream<ap_uint<RowMask<C>::bits> > &masks_1) {
    VITFORGE_PROCESS("scan")
    static uint32 sums[parities][lanes][sides][banks][group][C::group_words];
#pragma HLS array_partition variable=sums complete dim=1
#pragma HLS array_partition variable=sums complete dim=2
#pragma HLS array_partition variable=sums complete dim=3
#pragma HLS array_partition variable=sums complete dim=4
#pragma HLS array_partition variable=sums complete dim=5
#pragma HLS bind_storage variable=sums type=ram_s2p impl=lutram latency=1
    const int pairs = launch.m > 0 ? queries_of<C>(launch, Unit, 0) : 0;
    const int doubles = queries_of<C>(launch, Unit, 1);
    const int words = ceil_div(launch.n, group);
    const int scan_cycles = words + 1;  // the last one for lanes without a candidate
    // A pause before the banks change their part: what was written last is there when it is read.
    constexpr int pause = banks - 1;
    const int first_period = launch.m + pause;  // with nothing to scan
    const int period = (launch.m > scan_cycles ? launch.m : scan_cycles) + pause;
    int pair = 0;  // that is summed up; the one before is scanned
    int cycle = 0;
    int32 best[lanes] = {0, 0};
    int best_row[lanes] = {0, 0};
    bool found[lanes] = {false, false};
#pragma HLS array_partition variable=best complete dim=0
#pragma HLS array_partition variable=best_row complete dim=0
#pragma HLS array_partition variable=found complete dim=0
scan_cycle:
    for (int i = 0; pairs > 0 && pair <= pairs; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
#pragma HLS dependence variable=sums type=inter direction=raw distance=2 dependent=true
        VITFORGE_KIND_ITERATION("scan_cycle", i, 1 + (pair & 1))
        const int odd = pair & 1;
        if (pair < pairs && cycle < launch.m) {
            add_step<C>(steps_0.read(), cycle, sums[odd][0]);
            if (pair < doubles) {
                add_step<C>(steps_1.read(), cycle, sums[odd][1]);
            }
        }
        if (pair > 0 && cycle < scan_cycles) {
            uint32 mask[lanes] = {0, 0};
            int word[lanes] = {cycle, cycle};
            bool is_last[lanes] = {false, false};
        scan_lane:
            for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                if (cycle < words) {
                    int32 score[group];
#pragma HLS array_partition variable=score complete dim=0
                    take_scores<C>(cycle, sums[1 - odd][lane], score);
                scan_row:
                    for (int r = 0; r < group; ++r) {
#pragma HLS unroll
                        const bool exists = cycle * group + r < launch.n;
                        mask[lane] |= exists && score[r] > 0 ? 1u << r : 0u;
                        score[r] = exists ? score[r] : -0x7fffffff;
                    }
                    const int top = winner<group, int32>(score);
                    const bool is_better = cycle == 0 || score[top] > best[lane];
                    best_row[lane] = is_better ? cycle * group + top : best_row[lane];
                    best[lane] = is_better ? score[top] : best[lane];
                    found[lane] = (cycle > 0 && found[lane]) || mask[lane] != 0;
                    is_last[lane] = found[lane] && cycle == words - 1;
                } else if (!found[lane]) {
                    mask[lane] = 1u << (best_row[lane] % group);
                    word[lane] = best_row[lane] / group;
                    is_last[lane] = true;
                }
            }
            if (mask[0] != 0 || is_last[0]) {
                masks_0.write(RowMask<C>::make(mask[0], word[0], is_last[0]));
            }
            if (pair - 1 < doubles && (mask[1] != 0 || is_last[1])) {
                masks_1.write(RowMask<C>::make(mask[1], word[1], is_last[1]));
            }
        }
        const int last_cycle = (pair == 0 ? first_period : pair == pairs ? scan_cycles : period) - 1;
        const bool ends = cycle == last_cycle;
        pair = ends ? pair + 1 : pair;
        cycle = ends ? 0 : cycle + 1;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
