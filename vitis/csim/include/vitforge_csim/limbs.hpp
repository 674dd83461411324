// SPDX-License-Identifier: Apache-2.0
// Storage of ap_uint and ap_int: a native integer up to 64 bits, 64-bit limbs above, as large as AMD's.
#ifndef VITFORGE_CSIM_LIMBS_HPP
#define VITFORGE_CSIM_LIMBS_HPP

#include <cstdint>
#include <string>

#include "vitforge_csim/fault.hpp"

namespace vitforge_csim {

typedef unsigned long long word_t;
typedef long long sword_t;

constexpr word_t low_mask(int bits) { return bits >= 64 ? ~0ULL : (1ULL << bits) - 1; }

constexpr int limbs_of(int width) { return (width + 63) / 64; }

constexpr int native_bytes(int width) { return width <= 8 ? 1 : width <= 16 ? 2 : width <= 32 ? 4 : 8; }

template <int BYTES>
struct Native;
template <>
struct Native<1> {
    typedef unsigned char unsigned_t;
    typedef signed char signed_t;
};
template <>
struct Native<2> {
    typedef unsigned short unsigned_t;
    typedef short signed_t;
};
template <>
struct Native<4> {
    typedef unsigned int unsigned_t;
    typedef int signed_t;
};
template <>
struct Native<8> {
    typedef word_t unsigned_t;
    typedef sword_t signed_t;
};

[[noreturn]] inline void bad_range(int hi, int lo, int width) {
    throw Fault("bits " + std::to_string(hi) + " to " + std::to_string(lo) + " of a word of " +
                std::to_string(width) + " bits");
}

[[noreturn]] inline void does_not_fit(const std::string &value, int width) {
    throw Fault("value " + value + " does not fit a field of " + std::to_string(width) + " bits");
}

inline void check_shift(int shift) {
    if (shift < 0) {
        throw Fault("shift by " + std::to_string(shift) + " bits");
    }
}

// Little-endian limbs; the bits above W repeat the sign of a signed word and are zero in an unsigned one.
template <int W, bool S>
struct Limbs {
    typedef typename Native<native_bytes(W)>::unsigned_t limb_t;
    typedef typename Native<native_bytes(W)>::signed_t signed_t;
    static constexpr int count = limbs_of(W);
    static constexpr int limb_bits = 8 * static_cast<int>(sizeof(limb_t));

    limb_t limb[count];

    bool negative() const { return S && static_cast<signed_t>(limb[count - 1]) < 0; }

    // Bits 64 * index to 64 * index + 63 of the value, for every index from 0.
    word_t word(int index) const {
        if (index >= count) {
            return negative() ? ~0ULL : 0;
        }
        return S ? static_cast<word_t>(static_cast<signed_t>(limb[index])) : static_cast<word_t>(limb[index]);
    }

    void set_word(int index, word_t value) { limb[index] = static_cast<limb_t>(value); }

    // A field of 1 to 64 bits, which the caller has checked; `index + 1 < count` follows, but not for the compiler.
    word_t get(int hi, int lo) const {
        const int width = hi - lo + 1;
        const int index = lo / 64;
        const int shift = lo % 64;
        word_t value = static_cast<word_t>(limb[index]) >> shift;
        if (shift + width > 64 && index + 1 < count) {
            value |= static_cast<word_t>(limb[index + 1]) << (64 - shift);
        }
        return value & low_mask(width);
    }

    // The same, to be written; `value` has no bits above the field.
    void put(int hi, int lo, word_t value) {
        const int width = hi - lo + 1;
        const int index = lo / 64;
        const int shift = lo % 64;
        set_word(index, (limb[index] & ~(low_mask(width) << shift)) | (value << shift));
        if (shift + width > 64 && index + 1 < count) {
            const int rest = shift + width - 64;
            set_word(index + 1, (limb[index + 1] & ~low_mask(rest)) | (value >> (64 - shift)));
        }
        if (S) {
            trim();
        }
    }

    // Makes the bits above W what they must be.
    void trim() {
        if (W % limb_bits != 0) {
            const int unused = limb_bits - W % limb_bits;
            const limb_t left = static_cast<limb_t>(limb[count - 1] << unused);
            limb[count - 1] = S ? static_cast<limb_t>(static_cast<signed_t>(left) >> unused)
                                : static_cast<limb_t>(left >> unused);
        }
    }

    // Whether the bits from `first` on only repeat the sign.
    bool ends_at(int first) const {
        const word_t fill = negative() ? ~0ULL : 0;
        for (int i = first / 64; i < count; ++i) {
            const int start = first > 64 * i ? first - 64 * i : 0;
            if (((word(i) ^ fill) >> start) != 0) {
                return false;
            }
        }
        return true;
    }
};

}  // namespace vitforge_csim

#endif
