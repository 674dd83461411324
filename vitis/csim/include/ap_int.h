// SPDX-License-Identifier: Apache-2.0
// ap_uint and ap_int for C simulation: the subset that kernels use, in native integers and plain limbs.
// A value that a range cannot hold, or a range outside its word, is an error instead of a silent loss.
#ifndef VITFORGE_CSIM_AP_INT_H
#define VITFORGE_CSIM_AP_INT_H

#define VITFORGE_CSIM_HEADERS 1

#include "vitforge_csim/operators.hpp"

// Unsigned word of W bits.
template <int W>
struct ap_uint : vitforge_csim::Word<W, false> {
    ap_uint() = default;
    template <class T, class = vitforge_csim::Operand<T> >
    ap_uint(const T &value) : vitforge_csim::Word<W, false>(value) {}  // NOLINT: implicit, as AMD's
};

// Signed word of W bits, two's complement.
template <int W>
struct ap_int : vitforge_csim::Word<W, true> {
    ap_int() = default;
    template <class T, class = vitforge_csim::Operand<T> >
    ap_int(const T &value) : vitforge_csim::Word<W, true>(value) {}  // NOLINT: implicit, as AMD's
};

#endif
