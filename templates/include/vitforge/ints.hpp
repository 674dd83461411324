// SPDX-License-Identifier: Apache-2.0
// Integers of a declared width: exact in hardware, native in simulation.
#ifndef VITFORGE_INTS_HPP
#define VITFORGE_INTS_HPP

#include "ap_int.h"

namespace vitforge {

typedef signed char int8;
typedef short int16;
typedef int int32;
typedef long long int64;
typedef unsigned char uint8;
typedef unsigned int uint32;
typedef unsigned long long uint64;

// Int<W> holds a signed value of W bits. Simulation uses the native integer that holds it, so that csim runs at
// machine speed; with VITFORGE_DECLARED_WIDTHS it computes in W bits as the hardware does, to prove that they suffice.
template <int W, bool IsWide = (W > 32)>
struct NativeInt {
    typedef int32 type;
};
template <int W>
struct NativeInt<W, true> {
    typedef int64 type;
};

#if defined(__SYNTHESIS__) || defined(VITFORGE_DECLARED_WIDTHS)
template <int W>
using Int = ap_int<W>;
#else
template <int W>
using Int = typename NativeInt<W>::type;
#endif

constexpr int ceil_div(int value, int divisor) { return (value + divisor - 1) / divisor; }

// A product of counts in one DSP: `large` is below 2^24, `small` below 2^17. Of two plain ints the tool makes three.
inline int32 count_product(int32 large, int32 small) {
#pragma HLS inline
    const Int<43> product = static_cast<Int<43> >(static_cast<Int<25> >(large)) * static_cast<Int<18> >(small);
    return static_cast<int32>(product);
}

constexpr int int8_limit = 127;

// Symmetric saturation to [-limit, limit]: -128 and -32768 never leave a kernel.
inline int32 clamp(int64 value, int32 limit) {
#pragma HLS inline
    return value > limit ? limit : (value < -limit ? -limit : static_cast<int32>(value));
}

// The signed value of a 16-bit field.
inline int16 to_int16(uint32 field) {
#pragma HLS inline
    return static_cast<int16>(static_cast<unsigned short>(field & 0xffff));
}

}  // namespace vitforge

#endif
