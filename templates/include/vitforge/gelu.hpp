// SPDX-License-Identifier: Apache-2.0
// GELU as a table of 256 int8 values a layer, built in Python from the scales; one lookup a drained value.
#ifndef VITFORGE_GELU_HPP
#define VITFORGE_GELU_HPP

#include "hls_stream.h"
#include "vitforge/ints.hpp"
#include "vitforge/trace.hpp"

namespace vitforge {

// A bank for each byte of a beat, so that a beat is stored at once.
template <class C>
struct GeluTable {
    static constexpr int rows = 256 / C::beat_bytes;
};

// The table arrives before the weights of its layer and is copied for every drained value.
template <class C>
inline void load_gelu(hls::stream<ap_uint<C::beat_bits> > &beats,
                      int8 gelu[C::td][C::tc][GeluTable<C>::rows][C::beat_bytes]) {
#pragma HLS inline
gelu_beat:
    for (int beat = 0; beat < GeluTable<C>::rows; ++beat) {
#pragma HLS pipeline II=1
        VITFORGE_KIND_ITERATION("gelu_beat", beat, 0)
        const ap_uint<C::beat_bits> value = beats.read();
    gelu_byte:
        for (int byte = 0; byte < C::beat_bytes; ++byte) {
#pragma HLS unroll
            const int8 entry = static_cast<int8>(value.range(8 * byte + 7, 8 * byte).to_uint());
        gelu_copy:
            for (int copy = 0; copy < C::td * C::tc; ++copy) {
#pragma HLS unroll
                gelu[copy / C::tc][copy % C::tc][beat][byte] = entry;
            }
        }
    }
}

// int8 results: the activation table applies where the job has one.
template <class C>
inline void to_int8(const int64 values[C::td][C::tc], bool has_gelu,
                    const int8 gelu[C::td][C::tc][GeluTable<C>::rows][C::beat_bytes], int8 result[C::td][C::tc]) {
#pragma HLS inline
int8_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
    int8_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            const int32 value = clamp(values[t][c], int8_limit);
            const int index = value + 128;
            result[t][c] = has_gelu ? gelu[t][c][index / C::beat_bytes][index % C::beat_bytes]
                                    : static_cast<int8>(value);
        }
    }
}

}  // namespace vitforge

#endif
