// SPDX-License-Identifier: Apache-2.0
// Two INT8 products in one DSP: A = (upper << S) + lower, P += A * w (AMD WP486; the split by a preloaded
// bias needs no correction adder).
#ifndef VITFORGE_DSP_PACK_HPP
#define VITFORGE_DSP_PACK_HPP

#include "vitforge/ints.hpp"

namespace vitforge {

// A family states where the upper operand sits, how many products the lower lane can sum before it
// overflows (weights in [-127, 127]), and the width of the pre-adder port that A must fit.
struct Dsp48e2 {
    static constexpr int lane_shift = 18;
    static constexpr int max_depth = 8;
    static constexpr int port_bits = 27;
};

struct Dsp48e1 {
    static constexpr int lane_shift = 17;
    static constexpr int max_depth = 4;
    static constexpr int port_bits = 25;  // holds A because activations are never -128
};

// Product sum of a cascade: two lanes of at most max_depth products each.
typedef Int<48> cascade_t;

template <class Dsp>
inline Int<Dsp::port_bits> pack_pair(int8 upper, int8 lower) {
#pragma HLS inline
    return static_cast<int32>(upper) * (1 << Dsp::lane_shift) + lower;
}

// P before the first product: half a lower lane, so that the lower lane never goes negative.
template <class Dsp>
inline cascade_t cascade_start() {
#pragma HLS inline
    return static_cast<cascade_t>(1) << (Dsp::lane_shift - 1);
}

// One DSP: P = PCIN + A * w.
template <class Dsp>
inline cascade_t packed_mac(cascade_t sum, Int<Dsp::port_bits> pair, int8 weight) {
#pragma HLS inline
    return sum + static_cast<cascade_t>(pair) * weight;
}

template <class Dsp>
inline int32 upper_sum(cascade_t sum) {
#pragma HLS inline
    return static_cast<int32>(sum >> Dsp::lane_shift);
}

template <class Dsp>
inline int32 lower_sum(cascade_t sum) {
#pragma HLS inline
    const int32 lane = static_cast<int32>(sum & ((static_cast<cascade_t>(1) << Dsp::lane_shift) - 1));
    return lane - (1 << (Dsp::lane_shift - 1));
}

}  // namespace vitforge

#endif
