// SPDX-License-Identifier: Apache-2.0
// Greedy scores while they change: which rows to multiply, and in the end which of them are candidates (A3, section V-A).
//
// A row can only become a candidate once the max pointer has met it. It is sent to the dot product then, and has a slot:
// its place among the rows of its query that are sent. The paper scans all rows for positive scores when selection is
// over, and multiplies after that; here dot products and signs are there as soon as it is over.
#ifndef VITFORGE_A3_TRACK_HPP
#define VITFORGE_A3_TRACK_HPP

#include "vitforge/a3/rows.hpp"
#include "vitforge/a3/select.hpp"

namespace vitforge {
namespace a3 {

// What is known when the selection of a query has ended: which slots hold candidates, groups of slots, turns of the dot
// product, and the row to take if there is no candidate.
template <class C>
struct Outcome {
    static constexpr int groups = C::group_words * group;
    static constexpr int turns = groups + count_bits;
    static constexpr int row = turns + count_bits;
    static constexpr int bits = row + C::row_bits;
};

// A bit for each row, or slot, of a query.
template <class C>
struct RowSet {
    static inline bool has(const uint32 set[C::group_words], int place) {
#pragma HLS inline
        return ((set[place / group] >> (place % group)) & 1) != 0;
    }
    static inline void put(uint32 set[C::group_words], int place, bool value) {
#pragma HLS inline
        const uint32 bit = 1u << (place % group);
        set[place / group] = (set[place / group] & ~bit) | (value ? bit : 0u);
    }
    static inline bool is_empty(const uint32 set[C::group_words]) {
#pragma HLS inline
        uint32 any = 0;
    any_word:
        for (int word = 0; word < C::group_words; ++word) {
#pragma HLS unroll
            any |= set[word];
        }
        return any == 0;
    }
    static inline void clear(uint32 set[C::group_words]) {
#pragma HLS inline
    clear_word:
        for (int word = 0; word < C::group_words; ++word) {
#pragma HLS unroll
            set[word] = 0;
        }
    }
};

// What the iteration before wrote, which the memories do not give yet.
template <class C>
struct Recent {
    int row[sides];
    Int<C::total_bits> sum[sides];
    int slot;
};

// Sums of both pointers for the two rows of an iteration, as they are before it: [row][pointer].
template <class C>
inline void read_sums(const int row[sides], const uint32 met[sides][C::group_words], const Recent<C> &recent,
                      const Int<C::total_bits> sums[sides][sides][C::n_max], int32 before[sides][sides]) {
#pragma HLS inline
read_row:
    for (int r = 0; r < sides; ++r) {
#pragma HLS unroll
    read_pointer:
        for (int side = 0; side < sides; ++side) {
#pragma HLS unroll
            const int32 stored = sums[side][r][row[r]];
            const int32 sum = row[r] == recent.row[side] ? static_cast<int32>(recent.sum[side]) : stored;
            before[r][side] = RowSet<C>::has(met[side], row[r]) ? sum : 0;
        }
    }
}

// What an iteration adds to the row of its largest product and to that of its smallest one, and what follows for their
// slots. `new_slot` is that of a row that is met for the first time, or nowhere.
template <class C>
inline void update_rows(const int32 value[sides], const int row[sides], int new_slot,
                        Int<C::total_bits> sums[sides][sides][C::n_max], Int<C::row_bits + 1> slots[sides][C::n_max],
                        uint32 met[sides][C::group_words], uint32 candidates[C::group_words], Recent<C> &recent) {
#pragma HLS inline
    int32 before[sides][sides];
#pragma HLS array_partition variable=before complete dim=0
    read_sums<C>(row, met, recent, sums, before);
    const bool is_shared = row[0] == row[1];
    const int32 high_score = before[0][0] + value[0] - before[0][1] - (is_shared ? value[1] : 0);
    const int32 low_score = before[1][0] + (is_shared ? value[0] : 0) - before[1][1] - value[1];
    const int high_stored = row[0] == recent.row[0] ? recent.slot : static_cast<int>(slots[0][row[0]]);
    const int low_stored = row[1] == recent.row[0] ? recent.slot : static_cast<int>(slots[1][row[1]]);
    const int high_slot = new_slot != nowhere ? new_slot : high_stored;
    const bool has_high = value[0] > 0;
    const bool has_low = value[1] > 0;
    if (has_high) {
        sums[0][0][row[0]] = sums[0][1][row[0]] = before[0][0] + value[0];
        slots[0][row[0]] = slots[1][row[0]] = high_slot;
        RowSet<C>::put(met[0], row[0], true);
        RowSet<C>::put(candidates, high_slot, high_score > 0);
    }
    if (has_low) {
        sums[1][0][row[1]] = sums[1][1][row[1]] = before[1][1] + value[1];
        RowSet<C>::put(met[1], row[1], true);
        if (RowSet<C>::has(met[0], row[1])) {
            RowSet<C>::put(candidates, is_shared && has_high ? high_slot : low_stored, low_score > 0);
        }
    }
    recent.row[0] = has_high ? row[0] : nowhere;
    recent.row[1] = has_low ? row[1] : nowhere;
    recent.sum[0] = before[0][0] + value[0];
    recent.sum[1] = before[1][1] + value[1];
    recent.slot = high_slot;
}

// The iterations of a query, one a cycle. Rows leave two by two, in the order of their slots; the last iteration also
// sends one that is left over, or an end alone.
template <class C>
inline void find_rows(const Launch &launch, hls::stream<ap_uint<Step<C>::bits> > &steps,
                      hls::stream<ap_uint<RowToken<C>::bits> > &rows,
                      Int<C::total_bits> sums[sides][sides][C::n_max], Int<C::row_bits + 1> slots[sides][C::n_max],
                      uint32 met[sides][C::group_words], uint32 candidates[C::group_words], int &sent, int &turns) {
#pragma HLS inline
    Recent<C> recent = {{nowhere, nowhere}, {0, 0}, 0};
#pragma HLS array_partition variable=recent.row complete dim=0
#pragma HLS array_partition variable=recent.sum complete dim=0
    int held = 0;  // a row that waits for its fellow
track_cycle:
    for (int i = 0; i < launch.m; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=512
// A sum is written in the cycle after it is read; the next iteration has it from `recent`.
#pragma HLS dependence variable=sums type=inter direction=raw distance=2 dependent=true
#pragma HLS dependence variable=slots type=inter direction=raw distance=2 dependent=true
        VITFORGE_ITERATION("track_cycle", i)
        const bool ends = i == launch.m - 1;
        const ap_uint<Step<C>::bits> step = steps.read();
        int32 value[sides];
        int row[sides];
    read_side:
        for (int side = 0; side < sides; ++side) {
#pragma HLS unroll
            const int low = side * Step<C>::side_bits;
            value[side] = static_cast<int32>(get_field<Step<C>::value_bits>(step, low));
            row[side] = static_cast<int>(get_field<C::row_bits>(step, low + Step<C>::value_bits));
        }
        const bool is_new = value[0] > 0 && !RowSet<C>::has(met[0], row[0]);
        const bool is_waiting = (sent & 1) != 0;
        if (ends || (is_new && is_waiting)) {
            const int count = (is_waiting ? 1 : 0) + (is_new ? 1 : 0);
            rows.write(RowToken<C>::make(is_waiting ? held : row[0], row[0], (1u << count) - 1, ends));
            ++turns;
        }
        held = is_new ? row[0] : held;
        update_rows<C>(value, row, is_new ? sent : nowhere, sums, slots, met, candidates, recent);
        sent = is_new ? sent + 1 : sent;
    }
}

// The row with the largest score, the lowest of several.
template <class C>
inline int best_row(int n, const uint32 met[sides][C::group_words],
                    const Int<C::total_bits> sums[sides][sides][C::n_max]) {
#pragma HLS inline
    int32 best = 0;
    int found = 0;
search_row:
    for (int row = 0; row < n; ++row) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=512
        VITFORGE_ITERATION("search_row", row)
        const int32 high = RowSet<C>::has(met[0], row) ? static_cast<int32>(sums[0][0][row]) : 0;
        const int32 low = RowSet<C>::has(met[1], row) ? static_cast<int32>(sums[1][0][row]) : 0;
        const int32 score = high - low;
        if (row == 0 || score > best) {
            best = score;
            found = row;
        }
    }
    return found;
}

template <class C>
inline ap_uint<Outcome<C>::bits> make_outcome(const uint32 candidates[C::group_words], int sent, int turns, int row) {
#pragma HLS inline
    ap_uint<Outcome<C>::bits> word = 0;
outcome_word:
    for (int g = 0; g < C::group_words; ++g) {
#pragma HLS unroll
        set_field<group>(word, group * g, static_cast<int32>(candidates[g]));
    }
    set_field<count_bits>(word, Outcome<C>::groups, (sent + group - 1) / group);
    set_field<count_bits>(word, Outcome<C>::turns, turns);
    set_field<C::row_bits>(word, Outcome<C>::row, row);
    return word;
}

// Query after query of a lane. All rows are sent where nothing is selected. If a query has no candidate, its rows are
// searched one by one: that is rare.
template <class C, int Unit, int Lane>
static void track(const Launch &launch, hls::stream<ap_uint<Step<C>::bits> > &steps,
                  hls::stream<ap_uint<RowToken<C>::bits> > &rows,
                  hls::stream<ap_uint<Outcome<C>::bits> > &outcomes) {
    VITFORGE_PROCESS(Lane == 0 ? "track_0" : "track_1")
    static Int<C::total_bits> sums[sides][sides][C::n_max];  // of a pointer, in a copy for either row of an iteration
    static Int<C::row_bits + 1> slots[sides][C::n_max];
#pragma HLS array_partition variable=sums complete dim=1
#pragma HLS array_partition variable=sums complete dim=2
#pragma HLS bind_storage variable=sums type=ram_s2p impl=lutram latency=1
#pragma HLS array_partition variable=slots complete dim=1
#pragma HLS bind_storage variable=slots type=ram_s2p impl=lutram latency=1
    const int queries = queries_of<C>(launch, Unit, Lane);
    if (launch.m == 0) {
        send_all_rows<C>(launch, queries, rows);
    }
    const int selected = launch.m > 0 ? queries : 0;
track_query:
    for (int query = 0; query < selected; ++query) {
#pragma HLS loop_tripcount max=65536
        uint32 met[sides][C::group_words];  // rows that a pointer has changed
        uint32 candidates[C::group_words];  // slots of rows with a positive score
#pragma HLS array_partition variable=met complete dim=0
#pragma HLS array_partition variable=candidates complete dim=0
        RowSet<C>::clear(met[0]);
        RowSet<C>::clear(met[1]);
        RowSet<C>::clear(candidates);
        int sent = 0;
        int turns = 0;
        find_rows<C>(launch, steps, rows, sums, slots, met, candidates, sent, turns);
        const bool has_none = RowSet<C>::is_empty(candidates);
        const int row = has_none ? best_row<C>(launch.n, met, sums) : 0;
        outcomes.write(make_outcome<C>(candidates, sent, turns, row));
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
