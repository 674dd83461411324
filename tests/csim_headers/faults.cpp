// SPDX-License-Identifier: Apache-2.0
// One function a mistake that csim must not let pass.
#include "ap_int.h"
#include "hls_stream.h"
#include "vitforge_csim/capi.hpp"

#include <type_traits>

static_assert(std::is_trivially_copyable<ap_uint<128> >::value && std::is_trivially_copyable<ap_int<16> >::value,
              "DDR buffers are read as words");

extern "C" {

long long empty_read() {
    return vitforge_csim::guarded([]() -> long long {
        hls::stream<int> numbers("numbers");
        numbers.write(1);
        numbers.read();
        return numbers.read();
    });
}

long long leftover() {
    return vitforge_csim::guarded([]() -> long long {
        hls::stream<int> numbers("numbers");
        numbers.write(1);
        numbers.write(2);
        return numbers.read();
    });
}

long long range_outside() {
    return vitforge_csim::guarded([]() -> long long {
        const ap_uint<96> word = 5;
        const int high = 96;
        return static_cast<long long>(word.range(high, 90).to_uint());
    });
}

long long too_big_for_its_field() {
    return vitforge_csim::guarded([]() -> long long {
        ap_uint<96> word = 0;
        word.range(15, 8) = 256;
        return 0;
    });
}

long long negative_in_a_field() {
    return vitforge_csim::guarded([]() -> long long {
        ap_uint<96> word = 0;
        word.range(63, 0) = -2;
        return 0;
    });
}

long long long_word_in_a_short_field() {
    return vitforge_csim::guarded([]() -> long long {
        ap_uint<256> word = 0;
        ap_uint<160> source = 0;
        source[150] = 1;
        word.range(127, 0) = source;
        return 0;
    });
}

long long word_in_a_short_field() {
    return vitforge_csim::guarded([]() -> long long {
        ap_uint<96> word = 0;
        word.range(15, 8) = ap_uint<9>(256);
        return 0;
    });
}

long long signed_word_in_a_short_field() {
    return vitforge_csim::guarded([]() -> long long {
        ap_uint<96> word = 0;
        word.range(15, 8) = ap_int<16>(-128);
        word.range(15, 8) = ap_int<16>(-129);
        return 0;
    });
}

long long long_field_in_a_short_field() {
    return vitforge_csim::guarded([]() -> long long {
        ap_uint<96> word = 0;
        const ap_uint<96> source = 1 << 9;
        word.range(15, 8) = source.range(9, 0);
        return 0;
    });
}

long long unsigned_compared_with_negative() {
    return vitforge_csim::guarded([]() -> long long {
        const ap_uint<40> word = 7;
        const int limit = -1;
        return word < limit ? 1 : 0;
    });
}

long long range_backwards() {
    return vitforge_csim::guarded([]() -> long long {
        ap_uint<96> word = 0;
        word.range(7, 8) = 0;
        return 0;
    });
}

long long negative_shift() {
    return vitforge_csim::guarded([]() -> long long {
        const ap_uint<96> word = 1;
        const int shift = -1;
        return (word << shift).to_int();
    });
}

long long tokens_in_order() {
    return vitforge_csim::guarded([]() -> long long {
        hls::stream<int> numbers("numbers");
        int next = 0;
        for (int i = 0; i < 300000; ++i) {  // never empty, so what was read must be given back on the way
            numbers << i;
            if (i % 3 != 0) {
                int token = -1;
                if (!numbers.read_nb(token) || token != next++) {
                    return 1;
                }
            }
        }
        while (!numbers.empty()) {
            if (numbers.read() != next++) {
                return 2;
            }
        }
        int token = -1;
        return next == 300000 && numbers.size() == 0 && !numbers.read_nb(token) ? 0 : 3;
    });
}

long long all_right() {
    return vitforge_csim::guarded([]() -> long long {
        hls::stream<int> numbers("numbers");
        numbers.write(7);
        return numbers.read();
    });
}

const char *vitforge_sim_error() { return vitforge_csim::last_error(); }
}
