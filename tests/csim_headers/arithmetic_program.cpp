// SPDX-License-Identifier: Apache-2.0
// Prints what expressions of ap_uint, ap_int, fields and native integers give, with the width of each result: the same
// text for every header set.
#include <cstdio>
#include <cstring>
#include <type_traits>

#define AP_INT_MAX_W 4096  // AMD's headers stop at 1024 bits otherwise
#include "ap_int.h"

static unsigned long long state = 88172645463325252ULL;

static unsigned int next_random() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<unsigned int>(state >> 16);
}

static void print_bits(const char *name, int width, const ap_uint<576> &bits, bool negative) {
    std::printf("%s %d", name, width);
    for (int low = 0; low < width; low += 32) {
        std::printf(" %08x", bits.range(low + 31 < width ? low + 31 : width - 1, low).to_uint());
    }
    std::printf(" %d\n", negative ? 1 : 0);
}

template <class T>
static void show(const char *name, const T &value) {
    static_assert(T::width <= 576, "print_bits takes no more");
    print_bits(name, T::width, value, value < 0);
}

// 0, 1, all ones, the top bit alone, all but the top bit, then random bits.
template <class T>
static T pick(int index) {
    const T ones = -1;
    const ap_uint<T::width> top = ap_uint<T::width>(1) << (T::width - 1);
    if (index == 2) {
        return ones;
    }
    if (index == 3) {
        return T(top);
    }
    if (index == 4) {
        return T(ap_uint<T::width>(~top));
    }
    ap_uint<T::width> value = index;
    for (int low = 0; index > 4 && low < T::width; low += 16) {
        const int high = low + 15 < T::width ? low + 15 : T::width - 1;
        value.range(high, low) = next_random() & ((1U << (high - low + 1)) - 1);
    }
    return T(value);
}

template <class A, class B>
static void exercise_pair(const A &a, const B &b) {
    show("sum", a + b);
    show("difference", a - b);
    show("product", a * b);
    show("and", a & b);
    show("or", a | b);
    show("xor", a ^ b);
    const A same = b;
    show("same", same);
    std::printf("compare %d%d%d%d%d%d\n", a == same, a != same, a < same, a <= same, a > same, a >= same);
    A changed = a;
    changed += b;
    show("+=", changed);
    changed -= 3;
    changed *= b;
    show("*=", changed);
    changed ^= a;
    changed |= A(5);
    changed &= same;
    show("&=", changed);
}

template <class A>
static void exercise_one(const A &a) {
    show("value", a);
    std::printf("native %llx %llx %x %x\n", static_cast<unsigned long long>(a.to_uint64()),
                static_cast<unsigned long long>(a.to_int64()), a.to_uint(), static_cast<unsigned int>(a.to_int()));
    show("minus", -a);
    show("not", A(~a));
    show("plus int", a + 7);
    show("int minus", -9 - a);
    show("times unsigned", a * 3000000000U);
    std::printf("compare int %d%d%d%d\n", a == 1, a < 5, 1 >= a, a != 0);
    const int shift = static_cast<int>(next_random() % (A::width + 3));
    show("left", A(a << shift));
    show("right", A(a >> shift));
    const int low = static_cast<int>(next_random() % A::width);
    const int most = A::width - low < 24 ? A::width - low : 24;
    const int high = low + static_cast<int>(next_random() % most);
    const unsigned int field = a.range(high, low).to_uint();
    std::printf("field %d %d %x %d %d %d\n", high, low, field, a(high, low) - 1 < 0, a.range(high, low) == field,
                a[low] ? 1 : 0);
    show("field sum", ap_uint<26>(a.range(high, low) + a.range(high, low) + 1));
    A changed = a;
    changed[A::width - 1] = 0;
    show("top off", changed);
    changed[A::width - 1] = 1;
    show("top on", changed);
    changed.range(high, low) = 0;
    changed(high, low) = a(high, low);
    show("copied", changed);
    unsigned char bytes[sizeof(A)];
    std::memcpy(bytes, static_cast<const void *>(&a), sizeof(A));
    std::printf("bytes %d", static_cast<int>(sizeof(A)));
    for (int i = 0; i < static_cast<int>(sizeof(A)); ++i) {
        std::printf(" %02x", bytes[i]);
    }
    std::printf("\n");
}

template <class A, class B>
static void exercise() {
    for (int i = 0; i < 8; ++i) {
        exercise_one(pick<A>(i));
        for (int j = 0; j < 8; ++j) {
            exercise_pair(pick<A>(i), pick<B>(j));
        }
    }
}

template <class A, class B>
static void exercise_comparison() {
    for (int i = 0; i < 8; ++i) {
        for (int j = 0; j < 8; ++j) {
            const A a = pick<A>(i);
            const B b = pick<B>(j);
            std::printf("mixed %d%d%d%d%d%d\n", a == b, a != b, a < b, a <= b, a > b, a >= b);
        }
    }
}

template <class T>
static void print_native(T value) {
    const T copy = value;
    std::printf("as native %lld %d %d\n", static_cast<long long>(copy), static_cast<int>(static_cast<short>(copy)),
                copy ? 1 : 0);
}

// Words with a sign in fields: their two's complement, extended to the field.
template <int W>
static void exercise_signed_fields() {
    for (int i = 0; i < 8; ++i) {
        ap_uint<W> word = 0;
        ap_int<W> other = -1;
        const ap_int<8> small = pick<ap_int<8> >(i);
        word.range(15, 8) = small;
        word.range(W - 1, W - 11) = small;
        other.range(W - 1, W - 8) = small;
        show("signed field", word);
        show("signed word", other);
    }
}

int main() {
    exercise<ap_uint<1>, ap_int<7> >();
    exercise<ap_int<8>, ap_uint<8> >();
    exercise<ap_int<27>, ap_int<18> >();
    exercise<ap_uint<32>, ap_int<33> >();
    exercise<ap_uint<63>, ap_int<64> >();
    exercise<ap_uint<64>, ap_uint<64> >();
    exercise<ap_int<65>, ap_uint<96> >();
    exercise<ap_uint<128>, ap_int<160> >();
    exercise<ap_int<320>, ap_uint<16> >();
    exercise_comparison<ap_uint<31>, ap_int<8> >();
    exercise_comparison<ap_int<64>, ap_uint<27> >();
    exercise_comparison<ap_int<160>, ap_uint<8> >();
    exercise_comparison<ap_int<48>, ap_int<33> >();
    exercise_comparison<ap_uint<96>, ap_uint<33> >();
    exercise_comparison<ap_int<65>, ap_int<256> >();
    exercise_signed_fields<27>();
    exercise_signed_fields<96>();
    exercise_signed_fields<256>();
    print_native<ap_uint<8> >(200);
    print_native<ap_int<8> >(200);
    print_native<ap_int<17> >(-65536);
    print_native<ap_uint<33> >(-1);
    print_native<ap_int<64> >(-1);
    return 0;
}
