// SPDX-License-Identifier: Apache-2.0
// Exact integer root and quotient, one or two bits a stage: adders only, fully pipelined where they are inlined.
#ifndef VITFORGE_DIVIDE_HPP
#define VITFORGE_DIVIDE_HPP

#include "vitforge/ints.hpp"

namespace vitforge {

constexpr int root_bits = 27;        // root of the 54-bit layer-norm variance
constexpr int reciprocal_bits = 17;  // quotient of both reciprocals

// floor(sqrt(value)) for value < 2^(2 * root_bits).
inline uint32 isqrt(uint64 value) {
#pragma HLS inline
    uint64 remainder = 0;
    uint32 root = 0;
isqrt_bit:
    for (int bit = root_bits - 1; bit >= 0; --bit) {
#pragma HLS unroll
        remainder = (remainder << 2) | ((value >> (2 * bit)) & 3);
        const uint64 trial = (static_cast<uint64>(root) << 2) | 1;
        const bool is_set = remainder >= trial;
        remainder = is_set ? remainder - trial : remainder;
        root = (root << 1) | (is_set ? 1 : 0);
    }
    return root;
}

// Position of the highest set bit plus one: 0 for 0.
template <int W>
inline int bit_length(uint32 value) {
#pragma HLS inline
    int length = 0;
bit_length_scan:
    for (int bit = 0; bit < W; ++bit) {
#pragma HLS unroll
        length = ((value >> bit) & 1) != 0 ? bit + 1 : length;
    }
    return length;
}

// floor(numerator / divisor) with a quotient below 2^Bits.
template <int Bits = reciprocal_bits>
inline uint32 divide(uint64 numerator, uint32 divisor) {
#pragma HLS inline
    uint64 remainder = numerator >> Bits;  // < divisor, since the quotient fits
    uint32 quotient = 0;
divide_bit:
    for (int bit = Bits - 1; bit >= 0; --bit) {
#pragma HLS unroll
        remainder = (remainder << 1) | ((numerator >> bit) & 1);
        const bool is_set = remainder >= divisor;
        remainder = is_set ? remainder - divisor : remainder;
        quotient = (quotient << 1) | (is_set ? 1 : 0);
    }
    return quotient;
}

// The same, two bits a step: three subtractions side by side where there were two in a row. For where latency counts.
template <int Bits>
inline uint32 divide_fast(uint64 numerator, uint32 divisor) {
#pragma HLS inline
    constexpr int steps = (Bits + 1) / 2;
    const uint64 twice = static_cast<uint64>(divisor) << 1;
    const uint64 thrice = twice + divisor;
    uint64 remainder = numerator >> (2 * steps);
    uint32 quotient = 0;
divide_step:
    for (int step = steps - 1; step >= 0; --step) {
#pragma HLS unroll
        remainder = (remainder << 2) | ((numerator >> (2 * step)) & 3);
        const uint32 digit = remainder >= thrice ? 3 : remainder >= twice ? 2 : remainder >= divisor ? 1 : 0;
        remainder -= digit == 3 ? thrice : digit == 2 ? twice : digit == 1 ? divisor : 0;
        quotient = (quotient << 2) | digit;
    }
    return quotient;
}

}  // namespace vitforge

#endif
