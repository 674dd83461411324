// SPDX-License-Identifier: Apache-2.0
// Prints what the ap_uint operations that the kernels use give, for every width: the same text for every header set.
#include <cstdio>
#include <cstdlib>

#define AP_INT_MAX_W 4096  // AMD's headers stop at 1024 bits otherwise
#include "ap_int.h"
#include "hls_stream.h"

static unsigned long long state = 88172645463325252ULL;

static unsigned long long next_random() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

template <int W>
static void print_word(const char *name, const ap_uint<W> &value) {
    std::printf("%d %s", W, name);
    for (int low = 0; low < W; low += 32) {
        const int high = low + 31 < W ? low + 31 : W - 1;
        std::printf(" %08x", value.range(high, low).to_uint());
    }
    std::printf("\n");
}

template <int W>
static ap_uint<W> random_word() {
    ap_uint<W> value = 0;
    for (int low = 0; low < W; low += 32) {
        const int high = low + 31 < W ? low + 31 : W - 1;
        value.range(high, low) = static_cast<unsigned int>(next_random() & ((1ULL << (high - low + 1)) - 1));
    }
    return value;
}

template <int W>
static void exercise() {
    for (int round = 0; round < 20; ++round) {
        ap_uint<W> a = random_word<W>();
        const ap_uint<W> b = random_word<W>();
        print_word("a", a);
        print_word("or", ap_uint<W>(a | b));
        print_word("and", ap_uint<W>(a & b));
        print_word("xor", ap_uint<W>(a ^ b));
        print_word("not", ap_uint<W>(~a));
        const int shift = static_cast<int>(next_random() % W);
        print_word("left", ap_uint<W>(a << shift));
        print_word("right", ap_uint<W>(a >> shift));
        const int low = static_cast<int>(next_random() % W);
        const int most = W - low < 64 ? W - low : 64;
        const int width = 1 + static_cast<int>(next_random() % most);
        const int high = low + width - 1;
        std::printf("field %d %d %llx", high, low, static_cast<unsigned long long>(a.range(high, low).to_uint64()));
        if (width < 32) {
            std::printf(" %x %d", a.range(high, low).to_uint(), a.range(high, low).to_int());
        }
        const unsigned long long mask = width == 64 ? ~0ULL : (1ULL << width) - 1;
        a.range(high, low) = next_random() & mask;
        std::printf(" %d %d\n", a == b ? 1 : 0, a != b ? 1 : 0);
        print_word("set", a);
        a.range(high, low) = b.range(high, low);
        print_word("copied", a);
        a[low] = 1;
        print_word("bit", a);
        print_word("narrow", ap_uint<(W > 8 ? W - 7 : W)>(a));
        print_word("wide", ap_uint<W + 9>(a));
    }
    const ap_uint<W> minus_one = -1;
    print_word("ones", minus_one);
    const ap_uint<W> seven = 7;
    print_word("seven", seven);
}

// Fields of more than 64 bits: FIELD bits from bit `low` of a word of W bits.
template <int FIELD, int W>
static void exercise_wide_fields(int low) {
    const int high = low + FIELD - 1;
    ap_uint<W> word = random_word<W>();
    const ap_uint<W> other = random_word<W>();
    const ap_uint<FIELD> field = other.range(high, low);
    print_word("wide field", field);
    std::printf("low part %llx\n", static_cast<unsigned long long>(other.range(high, low).to_uint64()));
    word.range(high, low) = random_word<FIELD>();
    print_word("wide set", word);
    word.range(high, low) = other.range(FIELD - 1, 0);
    print_word("wide copied", word);
    word.range(high, low) = 5;
    print_word("wide five", word);
}

int main() {
    exercise<1>();
    exercise<7>();
    exercise<8>();
    exercise<16>();
    exercise<27>();
    exercise<32>();
    exercise<33>();
    exercise<48>();
    exercise<63>();
    exercise<64>();
    exercise<65>();
    exercise<96>();
    exercise<128>();
    exercise<160>();
    exercise<256>();
    exercise<320>();
    exercise<1000>();
    exercise<1024>();
    exercise<2048>();
    exercise_wide_fields<96, 256>(7);
    exercise_wide_fields<128, 256>(128);
    exercise_wide_fields<160, 1024>(64);
    hls::stream<ap_uint<128> > stream("words");
    for (int i = 0; i < 100; ++i) {
        stream.write(random_word<128>());
        stream << random_word<128>();
        print_word("first", stream.read());
    }
    while (!stream.empty()) {
        print_word("rest", stream.read());
    }
    std::printf("%d %d\n", static_cast<int>(sizeof(ap_uint<128>)), static_cast<int>(sizeof(ap_uint<64>)));
    return 0;
}
