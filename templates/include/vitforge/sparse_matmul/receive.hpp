// SPDX-License-Identifier: Apache-2.0
// Rows of activations on their way to the array: whole rows arrive a beat a cycle, and what pruning removed is dropped.
#ifndef VITFORGE_SPARSE_MATMUL_RECEIVE_HPP
#define VITFORGE_SPARSE_MATMUL_RECEIVE_HPP

#include "vitforge/keep_mask.hpp"
#include "vitforge/axis/packet.hpp"
#include "vitforge/sparse_matmul/launch.hpp"

namespace vitforge {
namespace sparse_matmul {

constexpr int held_bits = 7;       // of a signed count of the values in the window
constexpr int masks_per_beat = 8;  // a bit an activation: a beat of mask covers eight of activations

// How many activations of a beat are kept.
template <class C>
inline int count_kept(uint32 mask) {
#pragma HLS inline
    int count = 0;
count_bit:
    for (int bit = 0; bit < C::beat_bytes; ++bit) {
#pragma HLS unroll
        count += bit_of(mask, bit) ? 1 : 0;
    }
    return count;
}

// Bits of the activation beats of a row. Returns how many are set in front of its last beat.
template <class C>
inline int load_masks(int row_beats, hls::stream<ap_uint<C::beat_bits> > &head,
                      uint32 masks[C::mask_beats][masks_per_beat]) {
#pragma HLS inline
    int before = 0;
mask_beat:
    for (int beat = 0; beat < ceil_div(row_beats, masks_per_beat); ++beat) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::mask_beats
        VITFORGE_ITERATION("mask_beat", beat)
        const ap_uint<C::beat_bits> value = head.read();
        int kept = 0;
    mask_part:
        for (int part = 0; part < masks_per_beat; ++part) {
#pragma HLS unroll
            const int bit = C::beat_bytes * part;
            const uint32 mask = value.range(bit + C::beat_bytes - 1, bit).to_uint();
            masks[beat][part] = mask;
            kept += beat * masks_per_beat + part < row_beats - 1 ? count_kept<C>(mask) : 0;
        }
        before += kept;
    }
    return before;
}

// The values of a beat that are kept, behind the `held` ones that wait in the window until they make a word. They find
// their places apart from it: a lane of the window takes one choice from a beat to the next, and not one for each value
// that might come to lie there. Returns how many the window holds now.
template <class C>
inline int push_beat(const ap_uint<C::beat_bits> &beat, uint32 mask, int held, int8 window[1][2 * C::beat_bytes]) {
#pragma HLS inline
    int8 arrived[1][C::beat_bytes];
#pragma HLS array_partition variable=arrived complete dim=0
    bool keep[C::beat_bytes];
#pragma HLS array_partition variable=keep complete dim=0
    int8 placed[1][2 * C::beat_bytes] = {};
#pragma HLS array_partition variable=placed complete dim=0
push_lane:
    for (int lane = 0; lane < C::beat_bytes; ++lane) {
#pragma HLS unroll
        arrived[0][lane] = static_cast<int8>(beat.range(8 * lane + 7, 8 * lane).to_uint());
        keep[lane] = bit_of(mask, lane);
    }
    const int holds = compact_push<1, C::beat_bytes, int8>(placed, held, arrived, keep);
merge_lane:
    for (int lane = 0; lane < 2 * C::beat_bytes; ++lane) {
#pragma HLS unroll
        window[0][lane] = lane < held ? window[0][lane] : placed[0][lane];
    }
    return holds;
}

// The front of the window leaves; what the last word of a row lacks meets weights of 0. Returns how many values stay.
template <class C>
inline int send_word(int held, int8 window[1][2 * C::beat_bytes], hls::stream<ap_uint<C::beat_bits> > &words) {
#pragma HLS inline
    ap_uint<C::beat_bits> word = 0;
send_lane:
    for (int lane = 0; lane < C::beat_bytes; ++lane) {
#pragma HLS unroll
        word.range(8 * lane + 7, 8 * lane) = static_cast<uint32>(window[0][lane]) & 0xff;
    }
    words.write(word);
    window_shift<1, C::beat_bytes, int8>(window, C::beat_bytes);
    return held > C::beat_bytes ? held - C::beat_bytes : 0;
}

// All rows of a packet. A row takes a cycle a beat, and one more if its last beat fills a word and begins another
// (`overflows`). Rows are alike in that, so it is known beforehand: were it told by what the window holds, each beat
// would have to wait for the one before it until its mask can be read.
template <class C>
inline int compact_rows(int rows, int row_beats, bool overflows, const uint32 masks[C::mask_beats][masks_per_beat],
                        hls::stream<ap_uint<C::beat_bits + 8> > &activations,
                        hls::stream<ap_uint<C::beat_bits> > &words) {
#pragma HLS inline
    int8 window[1][2 * C::beat_bytes] = {};
#pragma HLS array_partition variable=window complete dim=0
    static_assert(2 * C::beat_bytes < 1 << (held_bits - 1), "held_bits must count a window of two beats");
    const int row_cycles = overflows ? row_beats + 1 : row_beats;
    Int<held_bits> held = 0;
    PacketState packet = {false, false};
    int cycle = 0;  // of the row
    int row = 0;
compact_beat:
    for (int i = 0; row < rows; ++i) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::max_arrivals
        VITFORGE_ITERATION("compact_beat", i)
        if (cycle < row_beats) {
            const uint32 mask = masks[cycle / masks_per_beat][cycle % masks_per_beat];
            held = push_beat<C>(take_beat<C::beat_bits>(activations, packet), mask, held, window);
        }
        const bool is_last = cycle == row_cycles - 1;
        if (held >= C::beat_bytes || (is_last && held > 0)) {
            held = send_word<C>(held, window, words);
        }
        cycle = is_last ? 0 : cycle + 1;
        row = is_last ? row + 1 : row;
    }
    return end_packet<C::beat_bits>(activations, packet);
}

template <class C>
static void receive(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &head,
                    hls::stream<ap_uint<C::beat_bits + 8> > &activations,
                    hls::stream<ap_uint<C::beat_bits> > &orders, hls::stream<ap_uint<C::beat_bits> > &words,
                    unsigned int *status) {
    VITFORGE_PROCESS("receive")
    uint32 masks[C::mask_beats][masks_per_beat];
#pragma HLS array_partition variable=masks complete dim=2
    int found = 0;
    if (launch.rows > 0) {
        uint32 header[header_words];
#pragma HLS array_partition variable=header complete dim=0
        read_header<C::beat_bits>(head, header);
        write_header<C::beat_bits>(header, orders);
        const Matrix matrix = decode_matrix<C>(header);
        const int row_beats = ceil_div(matrix.inputs, C::beat_bytes);
        const int before = load_masks<C>(row_beats, head, masks);
        const bool overflows = matrix.words > before / C::beat_bytes + 1;
        found = compact_rows<C>(launch.rows, row_beats, overflows, masks, activations, words);
    }
    *status = static_cast<unsigned int>(found);
}

}  // namespace sparse_matmul
}  // namespace vitforge

#endif
