// SPDX-License-Identifier: Apache-2.0
// Dyadic requantisation, round half up: (acc * mult + 2^(shift-1)) >> shift, one 27 x 18 multiplier.
#ifndef VITFORGE_REQUANTIZE_HPP
#define VITFORGE_REQUANTIZE_HPP

#include "vitforge/ints.hpp"

namespace vitforge {

constexpr int accumulator_bits = 27;
constexpr int multiplier_bits = 18;  // unsigned 17 bits and a sign

typedef Int<accumulator_bits> acc_t;
typedef Int<multiplier_bits> mult_t;

inline int64 requantize(acc_t acc, mult_t mult, int shift) {
#pragma HLS inline
    // One DSP48E2; a DSP48E1 is narrower, and two of them are counted.
    const Int<accumulator_bits + multiplier_bits> product =
        static_cast<Int<accumulator_bits + multiplier_bits> >(acc) * mult;  // NOLINT(multiplier)
    const int64 half = static_cast<int64>(1) << (shift - 1);
    return (static_cast<int64>(product) + half) >> shift;
}

}  // namespace vitforge

#endif
