// SPDX-License-Identifier: Apache-2.0
// A field of a word: what range(hi, lo), (hi, lo) and [bit] give.
#ifndef VITFORGE_CSIM_FIELD_HPP
#define VITFORGE_CSIM_FIELD_HPP

#include <type_traits>

#include "vitforge_csim/limbs.hpp"

namespace vitforge_csim {

template <int W, bool S>
struct Word;

// A field to be read. It refers to the word, so it must not outlive it.
template <int W, bool S>
class FieldValue {
  public:
    FieldValue(const Limbs<W, S> &limbs, int hi, int lo) : hi_(hi), lo_(lo), limbs_(limbs) {
        if (lo < 0 || hi >= W || hi < lo) {
            bad_range(hi, lo, W);
        }
    }

    // The low 64 bits, as AMD's; a whole field of more bits is read by constructing an ap_uint from it.
    word_t to_uint64() const { return limbs_.get(chunk_end(lo_), lo_); }
    sword_t to_int64() const { return static_cast<sword_t>(to_uint64()); }
    unsigned int to_uint() const { return static_cast<unsigned int>(to_uint64()); }
    int to_int() const { return static_cast<int>(to_uint64()); }
    operator word_t() const { return to_uint64(); }

    int size() const { return hi_ - lo_ + 1; }
    // Bits 64 * index to 64 * index + 63 of the field, zero above it.
    word_t word(int index) const {
        const int start = lo_ + 64 * index;
        return start > hi_ ? 0 : limbs_.get(chunk_end(start), start);
    }

  protected:
    int chunk_end(int start) const { return hi_ - start < 64 ? hi_ : start + 63; }

    int hi_;
    int lo_;

  private:
    const Limbs<W, S> &limbs_;
};

// A field of a word that can be written: it takes only what fits it.
template <int W, bool S>
class FieldRef : public FieldValue<W, S> {
  public:
    FieldRef(Limbs<W, S> &limbs, int hi, int lo) : FieldValue<W, S>(limbs, hi, lo), target_(limbs) {}
    FieldRef(const FieldRef &) = default;

    template <class T, class = typename std::enable_if<std::is_integral<T>::value>::type>
    FieldRef &operator=(T value) {
        const int width = this->size();
        const word_t bits = static_cast<word_t>(value);
        if ((std::is_signed<T>::value && value < static_cast<T>(0)) || (bits & ~low_mask(width)) != 0) {
            does_not_fit(std::to_string(value), width);
        }
        target_.put(this->chunk_end(this->lo_), this->lo_, bits);
        for (int start = this->lo_ + 64; start <= this->hi_; start += 64) {
            target_.put(this->chunk_end(start), start, 0);
        }
        return *this;
    }
    FieldRef &operator=(const FieldRef &other) { return *this = static_cast<const FieldValue<W, S> &>(other); }
    template <int W2, bool S2>
    FieldRef &operator=(const FieldValue<W2, S2> &other) {
        if (other.size() <= 64) {
            return *this = other.to_uint64();
        }
        return *this = Word<W2, false>(other);  // a copy first: the fields may overlap
    }
    // A word with a sign may be negative: the field takes its two's complement, if the sign bit finds room.
    template <int W2, bool S2>
    FieldRef &operator=(const Word<W2, S2> &value) {
        const int width = this->size();
        if (!value.limbs.ends_at(value.limbs.negative() ? width - 1 : width)) {
            does_not_fit(value.text(), width);
        }
        for (int start = this->lo_; start <= this->hi_; start += 64) {
            const int end = this->chunk_end(start);
            target_.put(end, start, value.limbs.word((start - this->lo_) / 64) & low_mask(end - start + 1));
        }
        return *this;
    }

  private:
    Limbs<W, S> &target_;
};

}  // namespace vitforge_csim

#endif
