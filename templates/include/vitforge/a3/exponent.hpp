// SPDX-License-Identifier: Apache-2.0
// Scores of the rows that are kept: exp of the scaled distance by two tables (A3, section III-A, module 2).
#ifndef VITFORGE_A3_EXPONENT_HPP
#define VITFORGE_A3_EXPONENT_HPP

#include "vitforge/a3/post_score.hpp"
#include "vitforge/a3/tables.hpp"

namespace vitforge {
namespace a3 {

// Two rows with their scores, or with their weights once these are divided; the last of a query. The second score is 0
// where there is one row.
template <class C>
struct ScoreWord {
    static constexpr int entry = C::score_bits + C::row_bits;
    static constexpr int last = ports * entry;
    static constexpr int bits = last + 1;
};

// The sum of a query's scores, with its counts.
template <class C>
struct SumToken {
    static constexpr int counts = C::sum_bits;
    static constexpr int bits = counts + Counts::bits;
};

// exp(-u) of a distance that is scaled already.
template <class C>
inline int32 exponent(int64 u) {
#pragma HLS inline
    if (u >= C::exp_range) {
        return 0;
    }
    const int32 index = static_cast<int32>(u);
    const Int<exp_bits> high = exp_high[index / exp_low_entries];
    const Int<exp_bits> low = exp_low[index % exp_low_entries];
    const Int<2 * exp_bits> product = static_cast<Int<2 * exp_bits> >(high) * low;
    const int64 score = (static_cast<int64>(product) + (1LL << (exp_shift - 1))) >> exp_shift;
    return score > C::score_limit ? C::score_limit : static_cast<int32>(score);
}

// The place of the only bit that is set.
inline int bit_place(uint32 bit) {
#pragma HLS inline
    int place = 0;
place_bit:
    for (int r = 0; r < group; ++r) {
#pragma HLS unroll
        place |= bit == 1u << r ? r : 0;
    }
    return place;
}

// (distance * mult + half) >> shift: the scale after the dot product. `mult` has 17 bits.
template <class C>
inline int64 scale_distance(int32 distance, int mult, int shift) {
#pragma HLS inline
    const Int<C::dot_bits + 1> value = distance;
    const Int<18> factor = mult;
    // A wide distance takes two DSPs, and they are counted.
    const Int<C::dot_bits + 19> product = static_cast<Int<C::dot_bits + 19> >(value) * factor;  // NOLINT(multiplier)
    return (static_cast<int64>(product) + (1LL << (shift - 1))) >> shift;
}

// Takes the kept rows of a group, two a cycle. A last group of which none is kept gives scores of 0, as an end.
template <class C, int Unit>
static void exponentiate(const Launch &launch, hls::stream<ap_uint<KeptGroup<C>::bits> > &kept_groups,
                         hls::stream<ap_uint<Counts::bits> > &counts,
                         hls::stream<ap_uint<ScoreWord<C>::bits> > &scores,
                         hls::stream<ap_uint<SumToken<C>::bits> > &sums) {
    VITFORGE_PROCESS("exponentiate")
    const int queries = unit_queries<C>(launch, Unit);
    int32 distance[group] = {};
    int row[group] = {};
#pragma HLS array_partition variable=distance complete dim=0
#pragma HLS array_partition variable=row complete dim=0
    uint32 mask = 0;
    bool is_end = false;
    int query = 0;
    int kept = 0;
    uint32 sum = 0;
exponent_rows:
    for (int i = 0; query < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("exponent_rows", i, 1 + (query & 1))
        if (mask == 0) {
            const ap_uint<KeptGroup<C>::bits> next = kept_groups.read();
            mask = get_field<group>(next, KeptGroup<C>::mask);
            is_end = get_field<1>(next, KeptGroup<C>::last) != 0;
        take_distance:
            for (int r = 0; r < group; ++r) {
#pragma HLS unroll
                distance[r] = static_cast<int32>(get_field<C::dot_bits>(next, C::dot_bits * r));
                row[r] = static_cast<int>(get_field<C::row_bits>(next, KeptGroup<C>::row + C::row_bits * r));
            }
        }
        ap_uint<ScoreWord<C>::bits> word = 0;
    exponent_port:
        for (int port = 0; port < ports; ++port) {
#pragma HLS unroll
            const uint32 first = mask & (0u - mask);
            const int place = bit_place(first);
            const int64 u = scale_distance<C>(distance[place], launch.scale_mult, launch.scale_shift);
            const int32 score = mask != 0 ? exponent<C>(u) : 0;
            set_field<C::score_bits>(word, ScoreWord<C>::entry * port, score);
            set_field<C::row_bits>(word, ScoreWord<C>::entry * port + C::score_bits, row[place]);
            kept = mask != 0 ? kept + 1 : kept;
            sum += static_cast<uint32>(score);
            mask &= ~first;
        }
        const bool is_last = is_end && mask == 0;
        set_field<1>(word, ScoreWord<C>::last, is_last);
        scores.write(word);
        if (is_last) {
            ap_uint<Counts::bits> count = counts.read();
            set_field<count_bits>(count, Counts::kept, kept);
            ap_uint<SumToken<C>::bits> token = 0;
            set_field<C::sum_bits>(token, 0, static_cast<int32>(sum));
            token.range(SumToken<C>::bits - 1, SumToken<C>::counts) = count;
            sums.write(token);
            kept = 0;
            sum = 0;
            ++query;
        }
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
