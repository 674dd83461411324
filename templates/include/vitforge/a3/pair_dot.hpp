// SPDX-License-Identifier: Apache-2.0
// Two key words times one of the query: two products in a DSP where the codes are short enough (AMD WP486).
#ifndef VITFORGE_A3_PAIR_DOT_HPP
#define VITFORGE_A3_PAIR_DOT_HPP

#include "vitforge/a3/launch.hpp"

namespace vitforge {
namespace a3 {

// A cascade of `packing_depth` DSPs sums as many pairs before the lower sum could reach into the upper one. The bias
// of half a lower lane keeps it positive, so that the split needs no correction.
template <class C, bool IsPacked>
struct PairDot {
    typedef Int<C::code_bits> code_t;
    static inline void word(const code_t lower[C::width / C::per_beat][C::per_beat],
                            const code_t upper[C::width / C::per_beat][C::per_beat], const code_t query[C::width],
                            Int<C::dot_bits> sum[ports]) {
#pragma HLS inline
        static_assert(C::width % C::packing_depth == 0, "whole cascades must fill the width");
        constexpr int64 bias = 1LL << (C::lane_shift - 1);
        int32 low = 0;
        int32 high = 0;
    pair_chain:
        for (int chain = 0; chain < C::width / C::packing_depth; ++chain) {
#pragma HLS unroll
            Int<48> cascade = bias;
        pair_product:
            for (int k = 0; k < C::packing_depth; ++k) {
#pragma HLS unroll
                const int e = chain * C::packing_depth + k;
                const int32 low_code = lower[e / C::per_beat][e % C::per_beat];
                const int32 high_code = upper[e / C::per_beat][e % C::per_beat];
                const Int<C::port_bits> pair = high_code * (1 << C::lane_shift) + low_code;
                cascade += static_cast<int64>(pair) * static_cast<int32>(query[e]);
            }
            const int64 total = cascade;
            high += static_cast<int32>(total >> C::lane_shift);
            low += static_cast<int32>((total & (2 * bias - 1)) - bias);
        }
        sum[0] = low;
        sum[1] = high;
    }
};

template <class C>
struct PairDot<C, false> {
    typedef Int<C::code_bits> code_t;
    static inline void word(const code_t lower[C::width / C::per_beat][C::per_beat],
                            const code_t upper[C::width / C::per_beat][C::per_beat], const code_t query[C::width],
                            Int<C::dot_bits> sum[ports]) {
#pragma HLS inline
        int32 low = 0;
        int32 high = 0;
    single_product:
        for (int e = 0; e < C::width; ++e) {
#pragma HLS unroll
            const int32 code = query[e];
            low += static_cast<int32>(lower[e / C::per_beat][e % C::per_beat]) * code;
            high += static_cast<int32>(upper[e / C::per_beat][e % C::per_beat]) * code;
        }
        sum[0] = low;
        sum[1] = high;
    }
};

// Two codes times one: a DSP where they fit it as a pair.
template <class C, bool IsPacked>
struct PairProduct {
    static inline void multiply(int32 lower, int32 upper, int32 code, int32 product[2]) {
#pragma HLS inline
        constexpr int64 bias = 1LL << (C::lane_shift - 1);
        const Int<C::port_bits> pair = upper * (1 << C::lane_shift) + lower;
        const Int<C::code_bits + 1> factor = code;
        const Int<48> sum = bias + static_cast<Int<48> >(pair) * factor;
        const int64 total = sum;
        product[0] = static_cast<int32>((total & (2 * bias - 1)) - bias);
        product[1] = static_cast<int32>(total >> C::lane_shift);
    }
};

template <class C>
struct PairProduct<C, false> {
    static inline void multiply(int32 lower, int32 upper, int32 code, int32 product[2]) {
#pragma HLS inline
        const Int<C::code_bits> first = lower;
        const Int<C::code_bits> second = upper;
        const Int<C::code_bits + 1> factor = code;
        product[0] = static_cast<int32>(first * factor);
        product[1] = static_cast<int32>(second * factor);
    }
};

}  // namespace a3
}  // namespace vitforge

#endif
