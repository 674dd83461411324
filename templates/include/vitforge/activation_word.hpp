// SPDX-License-Identifier: Apache-2.0
// Activations on their way from a layer-norm unit into the memory of an array: each word says where it belongs.
#ifndef VITFORGE_ACTIVATION_WORD_HPP
#define VITFORGE_ACTIVATION_WORD_HPP

#include "hls_stream.h"
#include "vitforge/ints.hpp"

namespace vitforge {

// What a word is: values to store, the end of a section, the end of the step, or features to send to the host.
enum WordKind { word_store = 0, word_mark = 1, word_end = 2, word_feature = 3 };

constexpr int word_address_bits = 40;  // entry (16), row (12), group (8), kind (4)
constexpr int whole_entry = 255;       // the group of a word that fills all tk lanes

// Address of a word: entry and token row of the memory, group of tc lanes.
struct WordPlace {
    int entry;
    int row;
    int group;
};

template <class C>
inline ap_uint<C::word_bits> make_word(WordKind kind, const WordPlace &place, const int8 lanes[C::tk]) {
#pragma HLS inline
    static_assert(C::word_bits == 8 * C::tk + word_address_bits, "a word holds tk values and their address");
    ap_uint<C::word_bits> word = 0;
word_lane:
    for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
        word.range(8 * lane + 7, 8 * lane) = static_cast<uint32>(lanes[lane]) & 0xff;
    }
    constexpr int base = 8 * C::tk;
    word.range(base + 15, base) = static_cast<uint32>(place.entry);
    word.range(base + 27, base + 16) = static_cast<uint32>(place.row);
    word.range(base + 35, base + 28) = static_cast<uint32>(place.group);
    word.range(base + 39, base + 36) = static_cast<uint32>(kind);
    return word;
}

template <class C>
inline void read_word(const ap_uint<C::word_bits> &word, int &kind, WordPlace &place, int8 lanes[C::tk]) {
#pragma HLS inline
read_word_lane:
    for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
        lanes[lane] = static_cast<int8>(word.range(8 * lane + 7, 8 * lane).to_uint());
    }
    constexpr int base = 8 * C::tk;
    place.entry = static_cast<int>(word.range(base + 15, base).to_uint());
    place.row = static_cast<int>(word.range(base + 27, base + 16).to_uint());
    place.group = static_cast<int>(word.range(base + 35, base + 28).to_uint());
    kind = static_cast<int>(word.range(base + 39, base + 36).to_uint());
}

// A word without values: the end of a section or of the step.
template <class C>
inline ap_uint<C::word_bits> make_mark(WordKind kind) {
#pragma HLS inline
    int8 lanes[C::tk] = {};
    const WordPlace nowhere = {0, 0, 0};
    return make_word<C>(kind, nowhere, lanes);
}

}  // namespace vitforge

#endif
