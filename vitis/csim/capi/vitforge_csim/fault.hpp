// SPDX-License-Identifier: Apache-2.0
// What can go wrong in a C simulation besides a wrong value.
#ifndef VITFORGE_CSIM_FAULT_HPP
#define VITFORGE_CSIM_FAULT_HPP

#include <stdexcept>
#include <string>

namespace vitforge_csim {

struct Fault : std::runtime_error {
    explicit Fault(const std::string &what) : std::runtime_error(what) {}
};

// The first leftover since it was last taken; a destructor cannot throw.
inline std::string &leftover() {
    static thread_local std::string text;
    return text;
}

inline void record_leftover(const std::string &text) {
    if (leftover().empty()) {
        leftover() = text;
    }
}

inline std::string take_leftover() {
    std::string text;
    text.swap(leftover());
    return text;
}

}  // namespace vitforge_csim

#endif
