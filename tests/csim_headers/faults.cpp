// SPDX-License-Identifier: Apache-2.0
// One function a mistake that csim must not let pass.
#include "ap_int.h"
#include "hls_stream.h"
#include "vitforge_csim/capi.hpp"

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

long long all_right() {
    return vitforge_csim::guarded([]() -> long long {
        hls::stream<int> numbers("numbers");
        numbers.write(7);
        return numbers.read();
    });
}

const char *vitforge_sim_error() { return vitforge_csim::last_error(); }
}
