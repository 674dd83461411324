// SPDX-License-Identifier: Apache-2.0
// What ap_uint and ap_int have in common, and the type of every expression of theirs: W bits, with a sign or without.
#ifndef VITFORGE_CSIM_WORD_HPP
#define VITFORGE_CSIM_WORD_HPP

#include <string>
#include <type_traits>

#include "vitforge_csim/field.hpp"

namespace vitforge_csim {

template <int W, bool S>
struct Word {
    static_assert(W >= 1 && W <= 8191, "the tool takes 1 to 8191 bits");
    static constexpr int width = W;

    Limbs<W, S> limbs;

    Word() = default;

    // From every other type: what does not fit is cut off, as the hardware does.
    template <class T, class = typename std::enable_if<std::is_integral<T>::value>::type>
    Word(T value) {  // NOLINT: implicit, as AMD's
        const word_t fill = std::is_signed<T>::value && value < static_cast<T>(0) ? ~0ULL : 0;
        limbs.set_word(0, static_cast<word_t>(value));
        for (int i = 1; i < limbs.count; ++i) {
            limbs.set_word(i, fill);
        }
        limbs.trim();
    }
    template <int W2, bool S2>
    Word(const Word<W2, S2> &other) {  // NOLINT: implicit, as AMD's
        for (int i = 0; i < limbs.count; ++i) {
            limbs.set_word(i, other.limbs.word(i));
        }
        limbs.trim();
    }
    template <int W2, bool S2>
    Word(const FieldValue<W2, S2> &field) {  // NOLINT: implicit, as AMD's
        for (int i = 0; i < limbs.count; ++i) {
            limbs.set_word(i, field.word(i));
        }
        limbs.trim();
    }

    FieldRef<W, S> range(int hi, int lo) { return FieldRef<W, S>(limbs, hi, lo); }
    FieldValue<W, S> range(int hi, int lo) const { return FieldValue<W, S>(limbs, hi, lo); }
    FieldRef<W, S> operator()(int hi, int lo) { return range(hi, lo); }
    FieldValue<W, S> operator()(int hi, int lo) const { return range(hi, lo); }
    FieldRef<W, S> operator[](int bit) { return range(bit, bit); }
    FieldValue<W, S> operator[](int bit) const { return range(bit, bit); }

    // The low bits of the value, its sign extended.
    word_t to_uint64() const { return limbs.word(0); }
    sword_t to_int64() const { return static_cast<sword_t>(limbs.word(0)); }
    unsigned int to_uint() const { return static_cast<unsigned int>(limbs.word(0)); }
    int to_int() const { return static_cast<int>(limbs.word(0)); }

    typedef typename std::conditional<S, typename Limbs<W, S>::signed_t, typename Limbs<W, S>::limb_t>::type native_t;
    operator native_t() const {
        static_assert(W <= 64, "a word of more than 64 bits fits no native integer: use to_uint64() or a range");
        return static_cast<native_t>(limbs.limb[0]);
    }

    Word operator~() const {
        Word result;
        for (int i = 0; i < limbs.count; ++i) {
            result.limbs.set_word(i, ~limbs.word(i));
        }
        result.limbs.trim();
        return result;
    }
    Word operator<<(int shift) const {
        check_shift(shift);
        Word result = 0;
        for (int i = shift / 64; i < limbs.count; ++i) {
            const int source = i - shift / 64;
            word_t bits = limbs.word(source) << (shift % 64);
            if (shift % 64 != 0 && source > 0) {
                bits |= limbs.word(source - 1) >> (64 - shift % 64);
            }
            result.limbs.set_word(i, bits);
        }
        result.limbs.trim();
        return result;
    }
    Word operator>>(int shift) const {
        check_shift(shift);
        const int skip = shift / 64 < limbs.count ? shift / 64 : limbs.count;  // beyond the word is its sign alone
        Word result;
        for (int i = 0; i < limbs.count; ++i) {
            word_t bits = limbs.word(i + skip) >> (shift % 64);
            if (shift % 64 != 0) {
                bits |= limbs.word(i + skip + 1) << (64 - shift % 64);
            }
            result.limbs.set_word(i, bits);
        }
        result.limbs.trim();
        return result;
    }
    Word &operator<<=(int shift) { return *this = *this << shift; }
    Word &operator>>=(int shift) { return *this = *this >> shift; }
    template <class T>
    Word &operator+=(const T &other) { return *this = *this + other; }
    template <class T>
    Word &operator-=(const T &other) { return *this = *this - other; }
    template <class T>
    Word &operator*=(const T &other) { return *this = *this * other; }
    template <class T>
    Word &operator&=(const T &other) { return *this = *this & other; }
    template <class T>
    Word &operator|=(const T &other) { return *this = *this | other; }
    template <class T>
    Word &operator^=(const T &other) { return *this = *this ^ other; }

    // For messages.
    std::string text() const {
        if (W > 64 && !limbs.ends_at(S ? 63 : 64)) {
            return "of a longer word";
        }
        return S ? std::to_string(to_int64()) : std::to_string(to_uint64());
    }
};

}  // namespace vitforge_csim

#endif
