// SPDX-License-Identifier: Apache-2.0
// Keeps C++ exceptions of a simulation away from C callers: they get -1 and a sentence.
#ifndef VITFORGE_CSIM_CAPI_HPP
#define VITFORGE_CSIM_CAPI_HPP

#include <exception>
#include <string>

#include "vitforge_csim/fault.hpp"

namespace vitforge_csim {

inline std::string &message() {
    static thread_local std::string text;
    return text;
}

inline const char *last_error() { return message().c_str(); }

// Result of `body`; -1 if it threw, or left tokens in a stream.
template <class Body>
long long guarded(Body body) {
    take_leftover();
    try {
        const long long result = body();
        message() = take_leftover();
        return message().empty() ? result : -1;
    } catch (const std::exception &error) {
        message() = error.what();
    } catch (...) {
        message() = "unknown exception";
    }
    take_leftover();
    return -1;
}

}  // namespace vitforge_csim

#endif
