// SPDX-License-Identifier: Apache-2.0
// The packet of a launch on an AXI4-Stream port, read to its end: beats that are missing are taken as 0, those past the
// end are dropped, and a status says so. A broken packet spoils no other.
#ifndef VITFORGE_AXIS_PACKET_HPP
#define VITFORGE_AXIS_PACKET_HPP

#include "hls_stream.h"
#include "vitforge/ints.hpp"
#include "vitforge/trace.hpp"

namespace vitforge {

enum PacketStatus { packet_short = 1, packet_long = 2 };

struct PacketState {
    bool ended;
    bool is_short;
};

// The next beat; above it in the stream lies whether it is the last of its packet (TLAST).
template <int BEAT_BITS>
inline ap_uint<BEAT_BITS> take_beat(hls::stream<ap_uint<BEAT_BITS + 8> > &stream, PacketState &packet) {
#pragma HLS inline
    ap_uint<BEAT_BITS> beat = 0;
    packet.is_short = packet.is_short || packet.ended;
    if (!packet.ended) {
        const ap_uint<BEAT_BITS + 8> arrived = stream.read();
        beat = arrived.range(BEAT_BITS - 1, 0);
        packet.ended = arrived.range(BEAT_BITS, BEAT_BITS).to_uint() != 0;
    }
    return beat;
}

// What is left of a packet of which all that was announced has been taken. Returns its status.
template <int BEAT_BITS>
inline int end_packet(hls::stream<ap_uint<BEAT_BITS + 8> > &stream, const PacketState &packet) {
#pragma HLS inline
    bool ended = packet.ended;
discard_beat:
    for (int i = 0; !ended; ++i) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=16
        VITFORGE_ITERATION("discard_beat", i)
        ended = stream.read().range(BEAT_BITS, BEAT_BITS).to_uint() != 0;
    }
    return (packet.is_short ? packet_short : 0) | (packet.ended ? 0 : packet_long);
}

// A beat on its way out, with TLAST above it.
template <int BEAT_BITS>
inline ap_uint<BEAT_BITS + 8> with_last(const ap_uint<BEAT_BITS> &beat, bool is_last) {
#pragma HLS inline
    ap_uint<BEAT_BITS + 8> word = 0;
    word.range(BEAT_BITS - 1, 0) = beat;
    word.range(BEAT_BITS, BEAT_BITS) = is_last ? 1u : 0u;
    return word;
}

}  // namespace vitforge

#endif
