// SPDX-License-Identifier: Apache-2.0
// A DMA engine on either side of a kernel that works on packets: a beat a cycle, TLAST in the bit above it.
#ifndef VITFORGE_CSIM_PACKETS_HPP
#define VITFORGE_CSIM_PACKETS_HPP

#include "ap_int.h"
#include "hls_stream.h"
#include "vitforge/trace.hpp"
#include "vitforge_csim/fault.hpp"

namespace vitforge_csim {

template <int BEAT_BITS>
void feed(const unsigned char *data, long long bytes, hls::stream<ap_uint<BEAT_BITS + 8> > &stream) {
    VITFORGE_PROCESS("feed")
    const int beat_bytes = BEAT_BITS / 8;
    const long long beats = bytes / beat_bytes;
    if (bytes % beat_bytes != 0) {
        throw Fault("a packet must be whole beats");
    }
    for (long long i = 0; i < beats; ++i) {
        VITFORGE_ITERATION("feed_beat", i)
        ap_uint<BEAT_BITS + 8> word = 0;
        for (int b = 0; b < beat_bytes; ++b) {
            word.range(8 * b + 7, 8 * b) = static_cast<unsigned int>(data[i * beat_bytes + b]);
        }
        word.range(BEAT_BITS, BEAT_BITS) = i == beats - 1 ? 1u : 0u;
        stream.write(word);
    }
}

// Takes a packet, if there is one. Returns its bytes.
template <int BEAT_BITS>
long long drain(hls::stream<ap_uint<BEAT_BITS + 8> > &stream, unsigned char *data, long long capacity) {
    VITFORGE_PROCESS("drain")
    const int beat_bytes = BEAT_BITS / 8;
    long long beats = 0;
    bool ended = stream.empty();
    for (; !ended; ++beats) {
        VITFORGE_ITERATION("drain_beat", beats)
        const ap_uint<BEAT_BITS + 8> word = stream.read();
        if ((beats + 1) * beat_bytes > capacity) {
            throw Fault("the results are longer than the buffer for them");
        }
        for (int b = 0; b < beat_bytes; ++b) {
            data[beats * beat_bytes + b] = static_cast<unsigned char>(word.range(8 * b + 7, 8 * b).to_uint());
        }
        ended = word.range(BEAT_BITS, BEAT_BITS).to_uint() != 0;
    }
    return beats * beat_bytes;
}

}  // namespace vitforge_csim

#endif
