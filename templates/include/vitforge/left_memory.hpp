// SPDX-License-Identifier: Apache-2.0
// The left operand of an array: one memory with a read port for the array and a write port that its drain and the
// arriving activations share. Layout: [entry][token of the tile][group of tc][tc]; for 2:4 weights even and odd entries
// lie apart, so that a step reads one of each.
#ifndef VITFORGE_LEFT_MEMORY_HPP
#define VITFORGE_LEFT_MEMORY_HPP

#include "hls_stream.h"
#include "vitforge/activation_word.hpp"
#include "vitforge/ints.hpp"
#include "vitforge/job.hpp"

namespace vitforge {

// How far the activations of a step have arrived.
struct Arrivals {
    bool at_mark;  // a section is complete and its job has not started
    bool ended;    // the step's last word has come
};

// What goes through the write port in a cycle: `rows` tokens from `place.row` on, one group of lanes or all.
template <class C>
struct LeftWrite {
    int rows;  // 0: nothing
    WordPlace place;
    int8 lanes[C::td][C::tk];
};

template <class C>
inline void store_left(const LeftWrite<C> &write, int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc]) {
#pragma HLS inline
left_write_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
        if (t < write.rows) {
        left_write_group:
            for (int group = 0; group < C::groups; ++group) {
#pragma HLS unroll
                if (write.place.group == whole_entry || write.place.group == group) {
                left_write_lane:
                    for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
                        left[write.place.entry % C::left_parts][write.place.entry / C::left_parts][write.place.row + t]
                            [group][c] = write.lanes[t][group * C::tc + c];
                    }
                }
            }
        }
    }
}

// A feature of the final norm goes to the host as an int32, beside the class logits of other models.
template <class C>
inline void send_features(const int8 lanes[C::tk], int group, hls::stream<ap_uint<32 * C::tc> > &logits) {
#pragma HLS inline
    ap_uint<32 * C::tc> word = 0;
feature_lane:
    for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
        word.range(32 * c + 31, 32 * c) = static_cast<uint32>(static_cast<int32>(lanes[group * C::tc + c]));
    }
    logits.write(word);
}

// Takes one word of the stream: it is to be stored, or ends a section or the step.
template <class C>
inline void take_word(hls::stream<ap_uint<C::word_bits> > &activations, Arrivals &arrivals, LeftWrite<C> &write,
                      hls::stream<ap_uint<32 * C::tc> > &logits) {
#pragma HLS inline
    int kind = 0;
    read_word<C>(activations.read(), kind, write.place, write.lanes[0]);
    write.rows = kind == word_store ? 1 : 0;
    arrivals.at_mark = arrivals.at_mark || kind == word_mark;
    arrivals.ended = arrivals.ended || kind == word_end;
    if (C::has_attention && kind == word_feature) {
        send_features<C>(write.lanes[0], write.place.group, logits);
    }
}

// Takes what is left of a section, or of the whole step.
template <class C>
inline void take_rest(bool whole_step, hls::stream<ap_uint<C::word_bits> > &activations, Arrivals &arrivals,
                      int8 left[C::left_parts][C::left_depth][C::tt][C::groups][C::tc],
                      hls::stream<ap_uint<32 * C::tc> > &logits) {
#pragma HLS inline
    bool more = whole_step ? !arrivals.ended : !arrivals.at_mark;
take_word:
    for (int word = 0; more; ++word) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::max_arrivals
        VITFORGE_KIND_ITERATION("take_word", word, 0)
        static_cast<void>(word);  // only the trace counts
        LeftWrite<C> write;
#pragma HLS array_partition variable=write.lanes complete dim=0
        take_word<C>(activations, arrivals, write, logits);
        store_left<C>(write, left);
        more = whole_step ? !arrivals.ended : !arrivals.at_mark;
    }
    if (!whole_step) {
        arrivals.at_mark = false;
    }
}

}  // namespace vitforge

#endif
