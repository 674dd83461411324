// SPDX-License-Identifier: Apache-2.0
// C functions of a traced simulation: begin a recording, run the kernel, read the recording. Include in one source.
#ifndef VITFORGE_CSIM_TRACE_API_HPP
#define VITFORGE_CSIM_TRACE_API_HPP

#include <algorithm>
#include <cstdint>
#include <vector>

#include "vitforge_csim/capi.hpp"
#include "vitforge_csim/trace.hpp"

namespace vitforge_csim {

inline std::vector<std::uint32_t> &recording_words() {
    static std::vector<std::uint32_t> words;
    return words;
}

}  // namespace vitforge_csim

extern "C" {

// Forgets what was recorded before.
long long vitforge_trace_begin() {
    return vitforge_csim::guarded([]() -> long long {
        vitforge_csim::recorder().reset();
        return 0;
    });
}

// Ends the recording; the number of words that `vitforge_trace_copy` then copies.
long long vitforge_trace_end() {
    return vitforge_csim::guarded([]() -> long long {
        vitforge_csim::recording_words() = vitforge_csim::recorder().serialised();
        return static_cast<long long>(vitforge_csim::recording_words().size());
    });
}

long long vitforge_trace_copy(unsigned int *words) {
    std::vector<std::uint32_t> &source = vitforge_csim::recording_words();
    std::copy(source.begin(), source.end(), words);
    source = std::vector<std::uint32_t>();
    return 0;
}

}  // extern "C"

#endif
