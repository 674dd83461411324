// SPDX-License-Identifier: Apache-2.0
// Scores of greedy selection, the scan for rows with a positive one, and the row numbers one by one (A3, section V-A).
#ifndef VITFORGE_A3_SCAN_HPP
#define VITFORGE_A3_SCAN_HPP

#include "vitforge/a3/select.hpp"

namespace vitforge {
namespace a3 {

constexpr int parities = 2;  // of a pair: one is summed up while the one before is scanned

// Some rows of a group word that a lane keeps, or the end of a pair.
template <class C>
struct RowMask {
    static constexpr int lane = 0;  // place of lane 0's mask; lane 1's is behind
    static constexpr int word = lanes * group;
    static constexpr int last = word + C::row_bits;
    static constexpr int bits = last + 1;
    static inline ap_uint<bits> make(int index, const uint32 mask[lanes], bool is_last) {
#pragma HLS inline
        ap_uint<bits> token = 0;
        set_field<group>(token, lane, static_cast<int32>(mask[0]));
        set_field<group>(token, lane + group, static_cast<int32>(mask[1]));
        set_field<C::row_bits>(token, word, index);
        set_field<1>(token, last, is_last);
        return token;
    }
};

// A row, the lanes it is a candidate of, and whether it is the last of its pair. No lane: an end without a row.
template <class C>
struct RowToken {
    static constexpr int lane_mask = C::row_bits;
    static constexpr int last = lane_mask + lanes;
    static constexpr int bits = last + 1;
};

// Every iteration adds to two rows of a lane. Four banks take turns, so that a bank that is written is read again four
// cycles later at the earliest.
template <class C>
inline void add_step(const ap_uint<Step<C>::bits> &step, int iteration, uint32 sums[sides][queue][group][C::group_words]) {
#pragma HLS inline
add_side:
    for (int side = 0; side < sides; ++side) {
#pragma HLS unroll
        const int low = side * Step<C>::side_bits;
        const uint32 value = get_field<Step<C>::value_bits>(step, low);
        const int row = static_cast<int>(get_field<C::row_bits>(step, low + Step<C>::value_bits));
        sums[side][iteration % queue][row % group][row / group] += value;
    }
}

// Scores of a group word, which are cleared for the pair after the next one.
template <class C>
inline void take_scores(int word, uint32 sums[sides][queue][group][C::group_words], int32 score[group]) {
#pragma HLS inline
take_row:
    for (int r = 0; r < group; ++r) {
#pragma HLS unroll
        int32 sum = 0;
    take_bank:
        for (int bank = 0; bank < queue; ++bank) {
#pragma HLS unroll
            sum += static_cast<int32>(sums[0][bank][r][word]) - static_cast<int32>(sums[1][bank][r][word]);
            sums[0][bank][r][word] = sums[1][bank][r][word] = 0;
        }
        score[r] = sum;
    }
}

// Sums up the iterations of a pair while it scans the pair before, a group of rows a cycle. A lane without any candidate
// gets the row with the largest score, the lowest of several.
template <class C, int Unit>
static void scan(const Launch &launch, hls::stream<ap_uint<Step<C>::bits> > &steps_0,
                 hls::stream<ap_uint<Step<C>::bits> > &steps_1, hls::stream<ap_uint<RowMask<C>::bits> > &masks) {
    VITFORGE_PROCESS("scan")
    static uint32 sums[parities][lanes][sides][queue][group][C::group_words];
#pragma HLS array_partition variable=sums complete dim=1
#pragma HLS array_partition variable=sums complete dim=2
#pragma HLS array_partition variable=sums complete dim=3
#pragma HLS array_partition variable=sums complete dim=4
#pragma HLS array_partition variable=sums complete dim=5
#pragma HLS bind_storage variable=sums type=ram_s2p impl=lutram
    const int pairs = launch.m > 0 ? queries_of<C>(launch, Unit, 0) : 0;
    const int doubles = queries_of<C>(launch, Unit, 1);
    const int words = ceil_div(launch.n, group);
    const int scan_cycles = words + lanes;  // the last ones for lanes without a candidate, and the end of the pair
    // The banks rest before they change their part: what was written last is there when it is read.
    const int period = (launch.m > scan_cycles ? launch.m : scan_cycles) + queue;
    const int total = pairs > 0 ? pairs * period + scan_cycles : 0;
    int pair = 0;  // that is summed up; the one before is scanned
    int cycle = 0;
    int32 best[lanes] = {0, 0};
    int best_row[lanes] = {0, 0};
    bool found[lanes] = {false, false};
#pragma HLS array_partition variable=best complete dim=0
#pragma HLS array_partition variable=best_row complete dim=0
#pragma HLS array_partition variable=found complete dim=0
scan_cycle:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
#pragma HLS dependence variable=sums type=inter direction=raw distance=4 dependent=true
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
            int word = cycle < words ? cycle : 0;
        scan_lane:
            for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS unroll
                const bool is_active = lane == 0 || pair - 1 < doubles;
                if (cycle < words) {
                    int32 score[group];
                    take_scores<C>(cycle, sums[1 - odd][lane], score);
                scan_row:
                    for (int r = 0; r < group; ++r) {
#pragma HLS unroll
                        const bool exists = is_active && cycle * group + r < launch.n;
                        mask[lane] |= exists && score[r] > 0 ? 1u << r : 0u;
                        score[r] = exists ? score[r] : -0x7fffffff;
                    }
                    const int top = winner<group, int32>(score);
                    const bool is_better = cycle == 0 || score[top] > best[lane];
                    best_row[lane] = is_better ? cycle * group + top : best_row[lane];
                    best[lane] = is_better ? score[top] : best[lane];
                    found[lane] = (cycle > 0 && found[lane]) || mask[lane] != 0;
                } else if (cycle - words == lane && is_active && !found[lane]) {
                    mask[lane] = 1u << (best_row[lane] % group);
                    word = best_row[lane] / group;
                }
            }
            const bool is_last = cycle == scan_cycles - 1;
            if (mask[0] != 0 || mask[1] != 0 || is_last) {
                masks.write(RowMask<C>::make(word, mask, is_last));
            }
        }
        const bool ends = cycle == period - 1;
        pair = ends ? pair + 1 : pair;
        cycle = ends ? 0 : cycle + 1;
    }
}

// A row of a pair that takes all of them.
template <class C>
inline ap_uint<RowToken<C>::bits> any_row(const Launch &launch, int row, bool is_double) {
#pragma HLS inline
    ap_uint<RowToken<C>::bits> token = 0;
    set_field<C::row_bits>(token, 0, row);
    set_field<lanes>(token, RowToken<C>::lane_mask, is_double ? 3 : 1);
    set_field<1>(token, RowToken<C>::last, row == launch.n - 1);
    return token;
}

// All rows of each pair, one a cycle.
template <class C, int Unit>
static void pick_all(const Launch &launch, hls::stream<ap_uint<RowToken<C>::bits> > &rows) {
    VITFORGE_PROCESS("pick")
    const int doubles = queries_of<C>(launch, Unit, 1);
    const int total = queries_of<C>(launch, Unit, 0) * launch.n;
    int pair = 0;
    int row = 0;
count_row:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("count_row", i, 1 + (pair & 1))
        rows.write(any_row<C>(launch, row, pair < doubles));
        const bool is_last = row == launch.n - 1;
        pair = is_last ? pair + 1 : pair;
        row = is_last ? 0 : row + 1;
    }
}

// Rows of a pair one a cycle: those of either lane's mask, or all of them where nothing is selected.
template <class C, int Unit>
static void pick(const Launch &launch, hls::stream<ap_uint<RowMask<C>::bits> > &masks,
                 hls::stream<ap_uint<RowToken<C>::bits> > &rows) {
    VITFORGE_PROCESS("pick")
    const int pairs = queries_of<C>(launch, Unit, 0);
    const int doubles = queries_of<C>(launch, Unit, 1);
    int pair = 0;
    int row = 0;
    int word = 0;
    uint32 mask[lanes] = {0, 0};
    bool is_end = false;  // of the pair, with this mask
#pragma HLS array_partition variable=mask complete dim=0
pick_row:
    for (int i = 0; pair < pairs; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("pick_row", i, 1 + (pair & 1))
        ap_uint<RowToken<C>::bits> token = 0;
        bool is_last = false;
        if (launch.m == 0) {
            token = any_row<C>(launch, row, pair < doubles);
            is_last = row == launch.n - 1;
            row = is_last ? 0 : row + 1;
        } else {
            if (mask[0] == 0 && mask[1] == 0) {
                const ap_uint<RowMask<C>::bits> next = masks.read();
                mask[0] = get_field<group>(next, RowMask<C>::lane);
                mask[1] = get_field<group>(next, RowMask<C>::lane + group);
                word = static_cast<int>(get_field<C::row_bits>(next, RowMask<C>::word));
                is_end = get_field<1>(next, RowMask<C>::last) != 0;
            }
            const uint32 either = mask[0] | mask[1];
            const uint32 first = either & (0u - either);  // lowest bit
            int place = 0;
        pick_place:
            for (int r = 0; r < group; ++r) {
#pragma HLS unroll
                place |= first == 1u << r ? r : 0;
            }
            set_field<C::row_bits>(token, 0, word * group + place);
            set_field<1>(token, RowToken<C>::lane_mask, (mask[0] & first) != 0);
            set_field<1>(token, RowToken<C>::lane_mask + 1, (mask[1] & first) != 0);
            mask[0] &= ~first;
            mask[1] &= ~first;
            is_last = is_end && mask[0] == 0 && mask[1] == 0;
        }
        set_field<1>(token, RowToken<C>::last, is_last);
        rows.write(token);
        pair = is_last ? pair + 1 : pair;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
