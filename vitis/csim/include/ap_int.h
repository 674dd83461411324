// SPDX-License-Identifier: Apache-2.0
// ap_uint and ap_int for C simulation: the subset that the kernels use, in native integers and plain limbs.
// A value that a range cannot hold, or a range outside its word, is an error instead of a silent loss.
#ifndef VITFORGE_CSIM_AP_INT_H
#define VITFORGE_CSIM_AP_INT_H

#define VITFORGE_CSIM_HEADERS 1

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "vitforge_csim/fault.hpp"

namespace vitforge_csim {

typedef unsigned long long word_t;
typedef long long sword_t;

constexpr word_t low_mask(int bits) { return bits >= 64 ? ~0ULL : (1ULL << bits) - 1; }

constexpr int limbs_of(int width) { return (width + 63) / 64; }

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

// Little-endian limbs; bits above W are always zero.
template <int W>
struct Limbs {
    static constexpr int count = limbs_of(W);
    word_t limb[count];

    // A field of 1 to 64 bits, which the caller has checked; `index + 1 < count` follows, but not for the compiler.
    word_t get(int hi, int lo) const {
        const int width = hi - lo + 1;
        const int index = lo / 64;
        const int shift = lo % 64;
        word_t value = limb[index] >> shift;
        if (shift + width > 64 && index + 1 < count) {
            value |= limb[index + 1] << (64 - shift);
        }
        return value & low_mask(width);
    }

    void set(int hi, int lo, word_t value) {
        const int width = hi - lo + 1;
        if ((value & ~low_mask(width)) != 0) {
            does_not_fit(std::to_string(value), width);
        }
        const int index = lo / 64;
        const int shift = lo % 64;
        limb[index] = (limb[index] & ~(low_mask(width) << shift)) | (value << shift);
        if (shift + width > 64 && index + 1 < count) {
            const int rest = shift + width - 64;
            limb[index + 1] = (limb[index + 1] & ~low_mask(rest)) | (value >> (64 - shift));
        }
    }

    void trim() {
        if (W % 64 != 0) {
            limb[count - 1] &= low_mask(W % 64);
        }
    }
};

}  // namespace vitforge_csim

template <int W>
struct ap_uint;

// A field of a word, to be read. It refers to the word, so it must not outlive it.
template <int W>
class ap_range_value {
  public:
    ap_range_value(const vitforge_csim::Limbs<W> &limbs, int hi, int lo) : hi_(hi), lo_(lo), limbs_(limbs) {
        if (lo < 0 || hi >= W || hi < lo) {
            vitforge_csim::bad_range(hi, lo, W);
        }
    }

    // The low 64 bits, as AMD's; a whole field of more bits is read by constructing an ap_uint from it.
    vitforge_csim::word_t to_uint64() const { return limbs_.get(chunk_end(lo_), lo_); }
    vitforge_csim::sword_t to_int64() const { return static_cast<vitforge_csim::sword_t>(to_uint64()); }
    unsigned int to_uint() const { return static_cast<unsigned int>(to_uint64()); }
    int to_int() const { return static_cast<int>(to_uint64()); }
    operator vitforge_csim::word_t() const { return to_uint64(); }

    // Bits 64 * index to 64 * index + 63 of the field, zero above it.
    vitforge_csim::word_t chunk(int index) const {
        const int start = lo_ + 64 * index;
        return start > hi_ ? 0 : limbs_.get(chunk_end(start), start);
    }
    int chunks() const { return vitforge_csim::limbs_of(hi_ - lo_ + 1); }

  protected:
    int chunk_end(int start) const { return hi_ - start < 64 ? hi_ : start + 63; }

    int hi_;
    int lo_;

  private:
    const vitforge_csim::Limbs<W> &limbs_;
};

// The same of a word that can be written: a field takes only what fits it.
template <int W>
class ap_range_ref : public ap_range_value<W> {
  public:
    ap_range_ref(vitforge_csim::Limbs<W> &limbs, int hi, int lo) : ap_range_value<W>(limbs, hi, lo), target_(limbs) {}
    ap_range_ref(const ap_range_ref &) = default;

    template <class T, class = typename std::enable_if<std::is_integral<T>::value>::type>
    ap_range_ref &operator=(T value) {
        if (std::is_signed<T>::value && value < static_cast<T>(0)) {
            vitforge_csim::does_not_fit(std::to_string(value), this->hi_ - this->lo_ + 1);
        }
        target_.set(this->chunk_end(this->lo_), this->lo_, static_cast<vitforge_csim::word_t>(value));
        for (int i = 1; i < this->chunks(); ++i) {
            set_chunk(i, 0);
        }
        return *this;
    }
    ap_range_ref &operator=(const ap_range_ref &other) {
        return *this = static_cast<const ap_range_value<W> &>(other);
    }
    template <int W2>
    ap_range_ref &operator=(const ap_range_value<W2> &other) {
        return *this = ap_uint<(W > W2 ? W : W2)>(other);  // a copy first: the fields may overlap
    }
    template <int W2>
    ap_range_ref &operator=(const ap_uint<W2> &other) {
        for (int i = 0; i < other.limbs.count || i < this->chunks(); ++i) {
            set_chunk(i, i < other.limbs.count ? other.limbs.limb[i] : 0);
        }
        return *this;
    }

  private:
    void set_chunk(int index, vitforge_csim::word_t value) {
        if (index < this->chunks()) {
            const int start = this->lo_ + 64 * index;
            target_.set(this->chunk_end(start), start, value);
        } else if (value != 0) {
            vitforge_csim::does_not_fit("of a longer word", this->hi_ - this->lo_ + 1);
        }
    }

    vitforge_csim::Limbs<W> &target_;
};

// Unsigned word of W bits. Assignment truncates, as the hardware does.
template <int W>
struct ap_uint {
    static_assert(W >= 1 && W <= 8191, "the tool takes 1 to 8191 bits");
    static constexpr int width = W;

    vitforge_csim::Limbs<W> limbs;

    ap_uint() = default;
    ap_uint(const ap_uint &) = default;
    ap_uint &operator=(const ap_uint &) = default;
    template <class T, class = typename std::enable_if<std::is_integral<T>::value>::type>
    ap_uint(T value) {  // NOLINT: implicit, as AMD's
        const vitforge_csim::word_t fill =
            std::is_signed<T>::value && value < static_cast<T>(0) ? ~0ULL : 0ULL;
        limbs.limb[0] = static_cast<vitforge_csim::word_t>(value);
        for (int i = 1; i < limbs.count; ++i) {
            limbs.limb[i] = fill;
        }
        limbs.trim();
    }
    template <int W2>
    ap_uint(const ap_uint<W2> &other) {  // NOLINT: implicit, as AMD's
        for (int i = 0; i < limbs.count; ++i) {
            limbs.limb[i] = i < other.limbs.count ? other.limbs.limb[i] : 0;
        }
        limbs.trim();
    }
    template <int W2>
    ap_uint(const ap_range_value<W2> &field) {  // NOLINT: implicit, as AMD's
        for (int i = 0; i < limbs.count; ++i) {
            limbs.limb[i] = field.chunk(i);
        }
        limbs.trim();
    }

    ap_range_ref<W> range(int hi, int lo) { return ap_range_ref<W>(limbs, hi, lo); }
    ap_range_value<W> range(int hi, int lo) const { return ap_range_value<W>(limbs, hi, lo); }
    ap_range_ref<W> operator()(int hi, int lo) { return range(hi, lo); }
    ap_range_value<W> operator()(int hi, int lo) const { return range(hi, lo); }
    ap_range_ref<W> operator[](int bit) { return range(bit, bit); }
    ap_range_value<W> operator[](int bit) const { return range(bit, bit); }

    vitforge_csim::word_t to_uint64() const { return limbs.limb[0]; }
    vitforge_csim::sword_t to_int64() const { return static_cast<vitforge_csim::sword_t>(limbs.limb[0]); }
    unsigned int to_uint() const { return static_cast<unsigned int>(limbs.limb[0]); }
    int to_int() const { return static_cast<int>(limbs.limb[0]); }

    bool operator==(const ap_uint &other) const {
        return std::memcmp(limbs.limb, other.limbs.limb, sizeof limbs.limb) == 0;
    }
    bool operator!=(const ap_uint &other) const { return !(*this == other); }

    ap_uint operator|(const ap_uint &other) const {
        ap_uint result;
        for (int i = 0; i < limbs.count; ++i) {
            result.limbs.limb[i] = limbs.limb[i] | other.limbs.limb[i];
        }
        return result;
    }
    ap_uint operator&(const ap_uint &other) const {
        ap_uint result;
        for (int i = 0; i < limbs.count; ++i) {
            result.limbs.limb[i] = limbs.limb[i] & other.limbs.limb[i];
        }
        return result;
    }
    ap_uint operator^(const ap_uint &other) const {
        ap_uint result;
        for (int i = 0; i < limbs.count; ++i) {
            result.limbs.limb[i] = limbs.limb[i] ^ other.limbs.limb[i];
        }
        return result;
    }
    ap_uint operator~() const {
        ap_uint result;
        for (int i = 0; i < limbs.count; ++i) {
            result.limbs.limb[i] = ~limbs.limb[i];
        }
        result.limbs.trim();
        return result;
    }
    ap_uint operator<<(int shift) const {
        vitforge_csim::check_shift(shift);
        ap_uint result = 0;
        for (int i = shift / 64; i < limbs.count; ++i) {
            const int source = i - shift / 64;
            result.limbs.limb[i] = limbs.limb[source] << (shift % 64);
            if (shift % 64 != 0 && source > 0) {
                result.limbs.limb[i] |= limbs.limb[source - 1] >> (64 - shift % 64);
            }
        }
        result.limbs.trim();
        return result;
    }
    ap_uint operator>>(int shift) const {
        vitforge_csim::check_shift(shift);
        ap_uint result = 0;
        for (int i = 0; i + shift / 64 < limbs.count; ++i) {
            const int source = i + shift / 64;
            result.limbs.limb[i] = limbs.limb[source] >> (shift % 64);
            if (shift % 64 != 0 && source + 1 < limbs.count) {
                result.limbs.limb[i] |= limbs.limb[source + 1] << (64 - shift % 64);
            }
        }
        return result;
    }
};

// Signed integer of W <= 64 bits; arithmetic is the native integer's.
template <int W>
struct ap_int {
    static_assert(W >= 1 && W <= 64, "the kernels use signed integers of at most 64 bits");
    static constexpr int width = W;

    vitforge_csim::sword_t value;

    ap_int() = default;
    template <class T, class = typename std::enable_if<std::is_integral<T>::value>::type>
    ap_int(T v)  // NOLINT: implicit, as AMD's; truncates to W bits
        : value(static_cast<vitforge_csim::sword_t>(static_cast<vitforge_csim::word_t>(v) << (64 - W)) >> (64 - W)) {}

    vitforge_csim::word_t to_uint64() const { return static_cast<vitforge_csim::word_t>(value); }
    vitforge_csim::sword_t to_int64() const { return value; }
    unsigned int to_uint() const { return static_cast<unsigned int>(value); }
    int to_int() const { return static_cast<int>(value); }
    operator vitforge_csim::sword_t() const { return value; }
};

#endif
