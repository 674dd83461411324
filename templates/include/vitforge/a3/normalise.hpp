// SPDX-License-Identifier: Apache-2.0
// The division by the sum of scores: of every weight, as in the paper, or deferred to one reciprocal a query.
#ifndef VITFORGE_A3_NORMALISE_HPP
#define VITFORGE_A3_NORMALISE_HPP

#include "vitforge/a3/exponent.hpp"
#include "vitforge/divide.hpp"

namespace vitforge {
namespace a3 {

// What the results of a query are multiplied by, with its counts. 1 and no shift where the weights are divided.
struct Factor {
    static constexpr int mult_bits = 17;
    static constexpr int shift_bits = 6;
    static constexpr int shift = mult_bits;
    static constexpr int counts = shift + shift_bits;
    static constexpr int bits = counts + Counts::bits;
    static inline ap_uint<bits> make(uint32 mult, int places, const ap_uint<Counts::bits> &count) {
#pragma HLS inline
        ap_uint<bits> token = 0;
        set_field<mult_bits>(token, 0, static_cast<int32>(mult));
        set_field<shift_bits>(token, shift, places);
        token.range(bits - 1, counts) = count;
        return token;
    }
};

// 2^(15 + length) / sum, 16 or 17 bits; the shift that goes with it is 15 + length.
inline uint32 reciprocal(uint32 sum, int length) {
#pragma HLS inline
    return divide_fast<Factor::mult_bits>(1ULL << (15 + length), sum);
}

// score / sum to score_bits bits, truncated.
template <class C>
inline int32 divide_score(uint32 score, uint32 sum) {
#pragma HLS inline
    const uint32 weight = divide_fast<C::score_bits + 1>(static_cast<uint64>(score) << C::score_bits, sum);
    return weight > C::score_limit ? C::score_limit : static_cast<int32>(weight);
}

// Deferred: the reciprocal of each sum.
template <class C, int Unit>
static void invert(const Launch &launch, hls::stream<ap_uint<SumToken<C>::bits> > &sums,
                   hls::stream<ap_uint<Factor::bits> > &factors) {
    VITFORGE_PROCESS("invert")
    const int queries = unit_queries<C>(launch, Unit);
invert_query:
    for (int query = 0; query < queries; ++query) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=4096
        VITFORGE_ITERATION("invert_query", query)
        const ap_uint<SumToken<C>::bits> token = sums.read();
        const ap_uint<Counts::bits> count = token.range(SumToken<C>::bits - 1, SumToken<C>::counts);
        const uint32 sum = get_field<C::sum_bits>(token, 0);
        const int length = bit_length<C::sum_bits>(sum);
        factors.write(Factor::make(reciprocal(sum, length), 15 + length - C::result_shift, count));
    }
}

// Divide first: every score of a query waits in a FIFO for their sum, and two are divided a cycle.
template <class C, int Unit>
static void weigh(const Launch &launch, hls::stream<ap_uint<ScoreWord<C>::bits> > &scores,
                  hls::stream<ap_uint<SumToken<C>::bits> > &sums, hls::stream<ap_uint<ScoreWord<C>::bits> > &weights,
                  hls::stream<ap_uint<Factor::bits> > &factors) {
    VITFORGE_PROCESS("weigh")
    const int queries = unit_queries<C>(launch, Unit);
    uint32 sum = 1;
    bool is_first = true;
    int query = 0;
weigh_rows:
    for (int i = 0; query < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("weigh_rows", i, 1 + (query & 1))
        if (is_first) {
            const ap_uint<SumToken<C>::bits> token = sums.read();
            const ap_uint<Counts::bits> count = token.range(SumToken<C>::bits - 1, SumToken<C>::counts);
            sum = get_field<C::sum_bits>(token, 0);
            factors.write(Factor::make(1, 0, count));
        }
        ap_uint<ScoreWord<C>::bits> word = scores.read();
    weigh_port:
        for (int port = 0; port < ports; ++port) {
#pragma HLS unroll
            const uint32 score = get_field<C::score_bits>(word, ScoreWord<C>::entry * port);
            set_field<C::score_bits>(word, ScoreWord<C>::entry * port, divide_score<C>(score, sum));
        }
        weights.write(word);
        is_first = get_field<1>(word, ScoreWord<C>::last) != 0;
        query = is_first ? query + 1 : query;
    }
}

// A result: rounded where a division was deferred to here.
template <class C>
inline int32 normalise_sum(int32 sum, uint32 mult, int shift) {
#pragma HLS inline
    if (!C::deferred) {
        return sum;
    }
    constexpr int factor_bits = Factor::mult_bits + 1;
    const Int<C::acc_bits> value = sum;
    const Int<factor_bits> factor = static_cast<int32>(mult);
    // A wide sum takes two DSPs, and they are counted.
    const Int<C::acc_bits + factor_bits> product =
        static_cast<Int<C::acc_bits + factor_bits> >(value) * factor;  // NOLINT(multiplier)
    return static_cast<int32>((static_cast<int64>(product) + (1LL << (shift - 1))) >> shift);
}

// Weighted sums to beats of results, one a cycle.
template <class C, int Unit>
static void normalise(const Launch &launch, hls::stream<ap_uint<C::width * C::acc_bits> > &weighted,
                      hls::stream<ap_uint<Factor::bits> > &factors, hls::stream<ap_uint<C::beat_bits> > &results,
                      hls::stream<ap_uint<Counts::bits> > &counts) {
    VITFORGE_PROCESS("normalise")
    constexpr int word_beats = C::width / C::result_per_beat;
    constexpr int part_bits = C::result_per_beat * C::acc_bits;
    const int last_beat = ceil_div(launch.d, C::result_per_beat) - 1;
    const int total = count_product(unit_queries<C>(launch, Unit), last_beat + 1);
    ap_uint<part_bits> part[word_beats];
#pragma HLS array_partition variable=part complete dim=0
    uint32 mult = 1;
    int shift = 0;
    int beat = 0;
    int index = 0;  // of its word
normalise_beat:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_ITERATION("normalise_beat", i)
        if (beat == 0) {
            const ap_uint<Factor::bits> factor = factors.read();
            mult = get_field<Factor::mult_bits>(factor, 0);
            shift = static_cast<int>(get_field<Factor::shift_bits>(factor, Factor::shift));
            const ap_uint<Counts::bits> count = factor.range(Factor::bits - 1, Factor::counts);
            counts.write(count);
        }
        if (index == 0) {
            const ap_uint<C::width * C::acc_bits> word = weighted.read();
        split_word:
            for (int b = 0; b < word_beats; ++b) {
#pragma HLS unroll
                part[b] = word.range(part_bits * (b + 1) - 1, part_bits * b);
            }
        }
        ap_uint<C::beat_bits> result = 0;
    normalise_element:
        for (int e = 0; e < C::result_per_beat; ++e) {
#pragma HLS unroll
            const int32 sum = get_signed<C::acc_bits>(part[index], C::acc_bits * e);
            set_field<C::result_bits>(result, C::result_bits * e, normalise_sum<C>(sum, mult, shift));
        }
        results.write(result);
        const bool ends = beat == last_beat;
        index = ends || index == word_beats - 1 ? 0 : index + 1;
        beat = ends ? 0 : beat + 1;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
