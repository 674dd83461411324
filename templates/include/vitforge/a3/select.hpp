// SPDX-License-Identifier: Apache-2.0
// Greedy candidate selection (A3, sections IV-B and V-A): an iteration a cycle pops the largest product of query and
// key that is left, and the smallest.
//
// Each column of the sorted key has a ring of `queue` products ready on either side. A popped one is replaced from the
// sorted key `queue` - 1 cycles later, before the ring can run dry, so that the result is exact. The comparators are a
// tree of two levels with a register between: the best of a group of columns waits there until the root takes it, and
// the next one moves up in the same cycle. A cycle thus compares within a group, or between groups, never both.
#ifndef VITFORGE_A3_SELECT_HPP
#define VITFORGE_A3_SELECT_HPP

#include "vitforge/a3/launch.hpp"
#include "vitforge/a3/pair_dot.hpp"
#include "vitforge/a3/tournament.hpp"

namespace vitforge {
namespace a3 {

constexpr int nowhere = -1;  // the place of a product that is none
constexpr int sides = 2;     // 0 pops the largest product, 1 the smallest: the largest after a change of sign

// Less than any product: what a column has left when its pointer has passed its end.
template <class C>
struct NoProduct {
    static constexpr int32 value = -(1 << (C::product_bits - 1));
};

// An entry of the sorted key: a code and the row it comes from.
template <class C>
struct SortedEntry {
    static constexpr int bits = C::code_bits + C::row_bits;
    typedef Int<bits> type;
    static inline type make(uint32 word) {
#pragma HLS inline
        const uint32 code = word & ((1u << C::code_bits) - 1);
        const uint32 entry = (((word >> 16) & ((1u << C::row_bits) - 1)) << C::code_bits) | code;
        constexpr uint32 sign = 1u << (bits - 1);
        return static_cast<int32>(entry ^ sign) - static_cast<int32>(sign);
    }
    static inline int32 code(type entry) {
#pragma HLS inline
        constexpr int32 sign = 1 << (C::code_bits - 1);
        return ((static_cast<int32>(entry) & ((1 << C::code_bits) - 1)) ^ sign) - sign;
    }
    static inline int32 row(type entry) {
#pragma HLS inline
        return (static_cast<int32>(entry) >> C::code_bits) & ((1 << C::row_bits) - 1);
    }
};

// An iteration's outcome: what the row of the largest product gains, and what that of the smallest one loses.
template <class C>
struct Step {
    static constexpr int value_bits = C::product_bits - 1;
    static constexpr int side_bits = C::row_bits + value_bits;
    static constexpr int bits = sides * side_bits;
};

// Positions of the sorted key: whole columns, and both ends of each apart, for a query's first products.
template <class C>
static void load_columns(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &beats,
                         typename SortedEntry<C>::type sorted[C::columns][C::n_max],
                         typename SortedEntry<C>::type edge[sides][C::groups][C::per_beat][queue]) {
    const int last_beat = ceil_div(launch.d, C::sorted_per_beat) - 1;
    const int total = count_product(launch.n, last_beat + 1);
    int beat = 0;
    int position = 0;
sorted_beat:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=16384
        VITFORGE_ITERATION("sorted_beat", i)
        const ap_uint<C::beat_bits> word = beats.read();
    sorted_entry:
        for (int e = 0; e < C::sorted_per_beat; ++e) {
#pragma HLS unroll
            const typename SortedEntry<C>::type entry = SortedEntry<C>::make(get_field<32>(word, 32 * e));
            const int column = beat * C::sorted_per_beat + e;
            if (column < C::columns) {
                sorted[column][position] = entry;
                if (position < queue) {
                    edge[0][column / C::per_beat][column % C::per_beat][position] = entry;
                }
                if (launch.n - 1 - position < queue) {
                    edge[1][column / C::per_beat][column % C::per_beat][launch.n - 1 - position] = entry;
                }
            }
        }
        position = beat == last_beat ? position + 1 : position;
        beat = beat == last_beat ? 0 : beat + 1;
    }
}

// The first products of a group of columns, on both sides: from either end of the sorted key, by the query's sign.
template <class C>
inline void seed_group(const ap_uint<C::beat_bits> &beat, int index, int n,
                       const typename SortedEntry<C>::type edge[sides][C::groups][C::per_beat][queue],
                       Int<C::code_bits> query[C::columns], Int<C::product_bits> ring[sides][C::columns][queue],
                       int ring_row[sides][C::columns][queue]) {
#pragma HLS inline
seed_column:
    for (int e = 0; e < C::per_beat; ++e) {
#pragma HLS unroll
        const int32 code = get_code<C>(beat, e);
        const int column = index * C::per_beat + e;
        query[column] = code;
    seed_product:
        for (int s = 0; s < queue; ++s) {
#pragma HLS unroll
            const typename SortedEntry<C>::type low = edge[0][index][e][s];
            const typename SortedEntry<C>::type high = edge[1][index][e][s];
            int32 product[2];  // with the low and with the high one
            PairProduct<C, (C::packing_depth > 0)>::multiply(SortedEntry<C>::code(low), SortedEntry<C>::code(high),
                                                             code, product);
            const bool exists = s < n;
            ring[0][column][s] = !exists ? NoProduct<C>::value : product[code > 0 ? 1 : 0];
            ring[1][column][s] = !exists ? NoProduct<C>::value : -product[code < 0 ? 1 : 0];
            ring_row[0][column][s] = SortedEntry<C>::row(code > 0 ? high : low);
            ring_row[1][column][s] = SortedEntry<C>::row(code < 0 ? high : low);
        }
    }
}

// The column of a group whose next product is largest.
template <class C>
inline int best_column(const Int<C::product_bits> ring[C::columns][queue], const int head[C::columns], int index) {
#pragma HLS inline
    int32 heads[C::per_beat];
#pragma HLS array_partition variable=heads complete dim=0
best_head:
    for (int e = 0; e < C::per_beat; ++e) {
#pragma HLS unroll
        const int column = index * C::per_beat + e;
        heads[e] = ring[column][head[column]];
    }
    return index * C::per_beat + winner<C::per_beat, int32>(heads);
}

// Pops: the best product of group `index` moves up into its register, and its successor is fetched from the sorted key.
// A group that is not popped keeps its register. Returns the place in the rings that the successor is for.
template <class C>
inline int pop_group(int side, int index, int n, const typename SortedEntry<C>::type sorted[C::columns][C::n_max],
                     const Int<C::code_bits> query[C::columns], const Int<C::product_bits> ring[C::columns][queue],
                     const int ring_row[C::columns][queue], int head[C::columns], int fetched[C::columns],
                     Int<C::product_bits> best[C::groups], int best_row[C::groups], int32 &product, int &row) {
#pragma HLS inline
    int columns[C::groups];
#pragma HLS array_partition variable=columns complete dim=0
    // All groups compare in parallel with the root; which of them pops is known when it has decided.
pop_compare:
    for (int g = 0; g < C::groups; ++g) {
#pragma HLS unroll
        columns[g] = best_column<C>(ring, head, g);
    }
    const int column = columns[index];
    const int slot = head[column];
    best[index] = ring[column][slot];
    best_row[index] = ring_row[column][slot];
    head[column] = (slot + 1) % queue;
    const int steps = fetched[column];
    fetched[column] = steps + 1;
    const bool exists = steps < n;
    const int32 code = side == 0 ? static_cast<int32>(query[column]) : -static_cast<int32>(query[column]);
    const int position = !exists ? 0 : code > 0 ? n - 1 - steps : steps;
    const typename SortedEntry<C>::type entry = sorted[column][position];
    const Int<C::code_bits + 1> factor = code;
    const Int<C::code_bits> other = SortedEntry<C>::code(entry);
    product = exists ? static_cast<int32>(factor * other) : NoProduct<C>::value;
    row = SortedEntry<C>::row(entry);
    return column * queue + slot;
}

// What was fetched `queue` - 1 steps ago takes the place of what was popped then.
template <class C>
inline void land(int step, Int<C::product_bits> ring[C::columns][queue], int ring_row[C::columns][queue],
                 const Int<C::product_bits> coming[queue], const int coming_row[queue],
                 const int coming_place[queue]) {
#pragma HLS inline
    const int from = (step + 1) % queue;
    const int place = coming_place[from];
    if (step >= queue && place != nowhere) {
        ring[place / queue][place % queue] = coming[from];
        ring_row[place / queue][place % queue] = coming_row[from];
    }
}

template <class C, int Unit, int Lane>
static void select(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &beats,
                   hls::stream<ap_uint<Step<C>::bits> > &steps) {
    VITFORGE_PROCESS(Lane == 0 ? "select_0" : "select_1")
    typedef Int<C::product_bits> product_t;
    static typename SortedEntry<C>::type sorted[C::columns][C::n_max];
    static typename SortedEntry<C>::type edge[sides][C::groups][C::per_beat][queue];
#pragma HLS array_partition variable=sorted complete dim=1
#pragma HLS bind_storage variable=sorted type=ram_t2p impl=bram
#pragma HLS array_partition variable=edge complete dim=1
#pragma HLS array_partition variable=edge complete dim=3
#pragma HLS array_partition variable=edge complete dim=4
    if (is_loaded(launch, Unit)) {
        load_columns<C>(launch, beats, sorted, edge);
    }
    Int<C::code_bits> query[C::columns];
    product_t ring[sides][C::columns][queue];
    int ring_row[sides][C::columns][queue];
    int head[sides][C::columns];
    int fetched[sides][C::columns];
    product_t best[sides][C::groups];
    int best_row[sides][C::groups];
    product_t coming[sides][queue];  // products on their way from the sorted key to a ring
    int coming_row[sides][queue];
    int coming_place[sides][queue];
#pragma HLS array_partition variable=query complete dim=0
#pragma HLS array_partition variable=ring complete dim=0
#pragma HLS array_partition variable=ring_row complete dim=0
#pragma HLS array_partition variable=head complete dim=0
#pragma HLS array_partition variable=fetched complete dim=0
#pragma HLS array_partition variable=best complete dim=0
#pragma HLS array_partition variable=best_row complete dim=0
#pragma HLS array_partition variable=coming complete dim=1
#pragma HLS array_partition variable=coming_row complete dim=1
#pragma HLS array_partition variable=coming_place complete dim=1
    const int beats_in = row_beats<C>(launch);
    const int steps_of_query = beats_in + 1 + launch.m;
    const int total = launch.m > 0 ? count_product(queries_of<C>(launch, Unit, Lane), steps_of_query) : 0;
    Int<C::total_bits> accepted = 0;  // sum of all products accepted so far
    int step = 0;
select_step:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
// A product that is fetched is read three iterations later, so that memory and multiplier have three cycles.
#pragma HLS dependence variable=coming type=inter direction=raw distance=3 dependent=true
#pragma HLS dependence variable=coming_row type=inter direction=raw distance=3 dependent=true
#pragma HLS dependence variable=coming_place type=inter direction=raw distance=3 dependent=true
        VITFORGE_KIND_ITERATION("select_step", i, step > beats_in ? 1 : 2)
        if (step == 0) {
            accepted = 0;
        clear_column:
            for (int c = 0; c < C::columns; ++c) {
#pragma HLS unroll
                head[0][c] = head[1][c] = 0;
                fetched[0][c] = fetched[1][c] = queue;
            }
        clear_group:
            for (int g = 0; g < C::groups; ++g) {
#pragma HLS unroll
                best[0][g] = best[1][g] = NoProduct<C>::value;
            }
        clear_product:
            for (int e = 0; e < C::columns * queue; ++e) {
#pragma HLS unroll
                ring[0][e / queue][e % queue] = ring[1][e / queue][e % queue] = NoProduct<C>::value;
            }
        }
        // Groups fill while the query arrives, a beat and a group a cycle; then each cycle is an iteration.
        const bool iterates = step > beats_in;
        int from[sides] = {step - 1, step - 1};
        bool pops[sides] = {step > 0, step > 0};
        if (iterates) {
            from[0] = winner<C::groups, product_t>(best[0]);
            from[1] = winner<C::groups, product_t>(best[1]);
            const int32 high = best[0][from[0]];
            const int32 low = best[1][from[1]];
            const int32 gain = high > 0 ? high : 0;
            const int32 after = accepted + gain;
            pops[1] = after >= 0;  // else too few candidates would be left: the smallest product waits
            const int32 loss = pops[1] && low > 0 ? low : 0;
            accepted = after - loss;
            ap_uint<Step<C>::bits> word = 0;
            set_field<Step<C>::value_bits>(word, 0, gain);
            set_field<C::row_bits>(word, Step<C>::value_bits, best_row[0][from[0]]);
            set_field<Step<C>::value_bits>(word, Step<C>::side_bits, loss);
            set_field<C::row_bits>(word, Step<C>::side_bits + Step<C>::value_bits, best_row[1][from[1]]);
            steps.write(word);
        }
    select_side:
        for (int side = 0; side < sides; ++side) {
#pragma HLS unroll
            int32 product = NoProduct<C>::value;
            int row = 0;
            int place = nowhere;
            if (pops[side]) {
                place = pop_group<C>(side, from[side], launch.n, sorted, query, ring[side], ring_row[side], head[side],
                                     fetched[side], best[side], best_row[side], product, row);
            }
            coming[side][step % queue] = product;
            coming_row[side][step % queue] = row;
            coming_place[side][step % queue] = place;
            land<C>(step, ring[side], ring_row[side], coming[side], coming_row[side], coming_place[side]);
        }
        if (step < beats_in) {
            seed_group<C>(beats.read(), step, launch.n, edge, query, ring, ring_row);
        }
        step = step == steps_of_query - 1 ? 0 : step + 1;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
