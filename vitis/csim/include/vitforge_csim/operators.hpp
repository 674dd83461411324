// SPDX-License-Identifier: Apache-2.0
// Arithmetic and comparison of words, fields and native integers. A result has all bits that it can need, as AMD's
// has, so that no expression overflows; only storing it in a narrower word cuts bits off.
#ifndef VITFORGE_CSIM_OPERATORS_HPP
#define VITFORGE_CSIM_OPERATORS_HPP

#include <type_traits>

#include "vitforge_csim/word.hpp"

namespace vitforge_csim {

// The Word that an operand stands for. `OURS` is false of native integers, whose own operators stay as they are.
template <int W, bool S, bool OURS>
struct OperandOf {
    typedef Word<W, S> word_type;
    static constexpr int width = W;
    static constexpr bool is_signed = S;
    static constexpr bool ours = OURS;
};

template <int W, bool S>
OperandOf<W, S, true> operand_of(const Word<W, S> *);
template <int W, bool S>
OperandOf<W, false, true> operand_of(const FieldValue<W, S> *);
template <class T, class = typename std::enable_if<std::is_integral<T>::value>::type>
OperandOf<std::is_same<T, bool>::value ? 1 : 8 * static_cast<int>(sizeof(T)), std::is_signed<T>::value, false>
operand_of(const T *);

template <class T>
using Operand = decltype(operand_of(static_cast<const T *>(nullptr)));

constexpr int wider(int a, int b) { return a > b ? a : b; }

// Two operands of which at least one is ours, and the type that holds the value of either.
template <class A, class B, class = typename std::enable_if<Operand<A>::ours || Operand<B>::ours>::type>
struct Pair {
    typedef Operand<A> First;
    typedef Operand<B> Second;
    static constexpr bool is_signed = First::is_signed || Second::is_signed;
    static constexpr int width = wider(First::width + (is_signed && !First::is_signed ? 1 : 0),
                                       Second::width + (is_signed && !Second::is_signed ? 1 : 0));
    typedef Word<width, is_signed> common;
    typedef Word<width + 1, is_signed> sum;
    typedef Word<width + 1, true> difference;
    typedef Word<First::width + Second::width, is_signed> product;
};

template <class R>
R add(const R &a, const R &b, bool carry) {
    R result;
    for (int i = 0; i < result.limbs.count; ++i) {
        const word_t x = a.limbs.word(i);
        const word_t part = x + b.limbs.word(i);
        const word_t total = part + (carry ? 1 : 0);
        carry = part < x || total < part;
        result.limbs.set_word(i, total);
    }
    result.limbs.trim();
    return result;
}

// Two's complement, so the same for either sign: both factors are extended to the width of the product first.
template <class R>
R multiply(const R &a, const R &b) {
    constexpr int count = limbs_of(R::width);
    word_t total[count] = {};
    for (int i = 0; i < count; ++i) {
        word_t carry = 0;
        for (int j = 0; i + j < count; ++j) {
            const unsigned __int128 step =
                static_cast<unsigned __int128>(a.limbs.word(i)) * b.limbs.word(j) + total[i + j] + carry;
            total[i + j] = static_cast<word_t>(step);
            carry = static_cast<word_t>(step >> 64);
        }
    }
    R result;
    for (int i = 0; i < count; ++i) {
        result.limbs.set_word(i, total[i]);
    }
    result.limbs.trim();
    return result;
}

// -1, 0 or 1. By value; AMD's headers compare a negative value with 32 or more unsigned bits as if it were positive,
// as C++ does, and the tool need not. What the two could disagree on is an error.
template <class P>
int compare(const typename P::common &a, const typename P::common &b) {
    typedef typename P::First First;
    typedef typename P::Second Second;
    constexpr bool risky = (!First::is_signed && Second::is_signed && First::width >= 32) ||
                           (First::is_signed && !Second::is_signed && Second::width >= 32);
    static_assert(!risky || !First::ours || !Second::ours,
                  "comparison of a signed word with an unsigned one of 32 bits or more: convert one of them first");
    const bool negative = a.limbs.negative();
    if (risky && (negative || b.limbs.negative())) {
        throw Fault("comparison of a negative value with an unsigned one of 32 bits or more");
    }
    if (negative != b.limbs.negative()) {
        return negative ? -1 : 1;
    }
    for (int i = a.limbs.count - 1; i >= 0; --i) {
        if (a.limbs.word(i) != b.limbs.word(i)) {
            return a.limbs.word(i) < b.limbs.word(i) ? -1 : 1;
        }
    }
    return 0;
}

template <class A, class B, class P = Pair<A, B> >
typename P::sum operator+(const A &a, const B &b) {
    return add<typename P::sum>(a, b, false);
}
template <class A, class B, class P = Pair<A, B> >
typename P::difference operator-(const A &a, const B &b) {
    return add<typename P::difference>(a, ~typename P::difference(b), true);
}
template <class A, class B, class P = Pair<A, B> >
typename P::product operator*(const A &a, const B &b) {
    return multiply<typename P::product>(a, b);
}
template <int W, bool S>
Word<W + 1, true> operator-(const Word<W, S> &a) {
    return 0 - Word<W, S>(a);
}

template <class A, class B, class P = Pair<A, B> >
typename P::common operator&(const A &a, const B &b) {
    const typename P::common x = a;
    const typename P::common y = b;
    typename P::common result;
    for (int i = 0; i < result.limbs.count; ++i) {
        result.limbs.set_word(i, x.limbs.word(i) & y.limbs.word(i));
    }
    return result;
}
template <class A, class B, class P = Pair<A, B> >
typename P::common operator|(const A &a, const B &b) {
    return ~(~typename P::common(a) & ~typename P::common(b));
}
template <class A, class B, class P = Pair<A, B> >
typename P::common operator^(const A &a, const B &b) {
    const typename P::common x = a;
    const typename P::common y = b;
    return (x | y) & ~(x & y);
}

template <class A, class B, class P = Pair<A, B> >
bool operator==(const A &a, const B &b) {
    return compare<P>(a, b) == 0;
}
template <class A, class B, class P = Pair<A, B> >
bool operator!=(const A &a, const B &b) {
    return compare<P>(a, b) != 0;
}
template <class A, class B, class P = Pair<A, B> >
bool operator<(const A &a, const B &b) {
    return compare<P>(a, b) < 0;
}
template <class A, class B, class P = Pair<A, B> >
bool operator<=(const A &a, const B &b) {
    return compare<P>(a, b) <= 0;
}
template <class A, class B, class P = Pair<A, B> >
bool operator>(const A &a, const B &b) {
    return compare<P>(a, b) > 0;
}
template <class A, class B, class P = Pair<A, B> >
bool operator>=(const A &a, const B &b) {
    return compare<P>(a, b) >= 0;
}

// Not part of the subset. Native operators would take over silently, with other widths and signs than AMD's.
template <class A, class B, class P = Pair<A, B> >
void operator/(const A &a, const B &b) = delete;
template <class A, class B, class P = Pair<A, B> >
void operator%(const A &a, const B &b) = delete;
template <int W, bool S>
void operator<<(const FieldValue<W, S> &field, int shift) = delete;
template <int W, bool S>
void operator>>(const FieldValue<W, S> &field, int shift) = delete;
template <int W, bool S>
void operator~(const FieldValue<W, S> &field) = delete;
template <int W, bool S>
void operator-(const FieldValue<W, S> &field) = delete;

}  // namespace vitforge_csim

#endif
