// SPDX-License-Identifier: Apache-2.0
// The packet of a launch: checked and tagged, spread over the units, and inside a unit over its processes.
#ifndef VITFORGE_A3_PACKETS_HPP
#define VITFORGE_A3_PACKETS_HPP

#include "vitforge/a3/launch.hpp"

namespace vitforge {
namespace a3 {

// What a beat belongs to; the order of a load.
enum Kind { kind_key = 0, kind_value = 1, kind_sorted = 2, kind_query = 3 };

enum Status { status_short = 1, status_long = 2 };

// Fields above the data of a beat: kind, lane, and the units it is for.
template <class C>
struct Tag {
    static constexpr int kind = C::beat_bits;
    static constexpr int lane = C::beat_bits + 2;
    static constexpr int units = C::beat_bits + 8;
    static constexpr int unit_bits = 16;
    static constexpr int bits = units + unit_bits;  // of a word to the units
    static constexpr int unit_word_bits = units;    // of a word inside a unit
};

// Beats of the whole packet.
template <class C>
inline int packet_beats(const Launch &launch) {
#pragma HLS inline
    const int row = row_beats<C>(launch);
    const int sorted = C::approximate ? ceil_div(launch.d, C::sorted_per_beat) : 0;
    if (launch.op == op_load) {
        return launch.n * (2 * row + sorted);
    }
    return launch.op == op_query ? (launch.pairs + launch.single_from) * row : 0;
}

// A beat on its way to several units, which are named in it.
template <class C, bool Spreads>
struct PacketWord {
    static constexpr int bits = Tag<C>::bits;
    static inline bool passes(const Launch &) { return true; }
    static inline void address(ap_uint<bits> &word, int mask) {
#pragma HLS inline
        set_field<Tag<C>::unit_bits>(word, Tag<C>::units, mask);
    }
};

// The same where there is one unit. What is for none is not written.
template <class C>
struct PacketWord<C, false> {
    static constexpr int bits = Tag<C>::unit_word_bits;
    static inline bool passes(const Launch &launch) { return launch.op == op_query || is_loaded(launch, 0); }
    static inline void address(ap_uint<bits> &, int) {}
};

// Reads one packet, to its end. Beats that are missing are taken as 0, those past the end of what the registers
// announce are dropped, and the status says so: a broken packet spoils no other.
template <class C, bool Spreads>
static void receive(const Launch &launch, hls::stream<ap_uint<C::beat_bits + 8> > &queries,
                    hls::stream<ap_uint<PacketWord<C, Spreads>::bits> > &packets, hls::stream<ap_uint<8> > &status) {
    VITFORGE_PROCESS("receive")
    const int total = packet_beats<C>(launch);
    const int last_beat = row_beats<C>(launch) - 1;
    const int last_sorted = ceil_div(launch.d, C::sorted_per_beat) - 1;
    bool ended = false;
    bool is_short = false;
    int kind = launch.op == op_load ? kind_key : kind_query;
    int beat = 0;
    int row = 0;   // of key, value or sorted key; of a query its pair
    int unit = 0;  // of that pair
    int lane = 0;
receive_beat:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=16384
        VITFORGE_ITERATION("receive_beat", i)
        ap_uint<PacketWord<C, Spreads>::bits> word = 0;
        is_short = is_short || ended;
        if (!ended) {
            const ap_uint<C::beat_bits + 8> arrived = queries.read();
            word.range(C::beat_bits - 1, 0) = arrived.range(C::beat_bits - 1, 0);
            ended = get_field<1>(arrived, C::beat_bits) != 0;
        }
        set_field<2>(word, Tag<C>::kind, kind);
        set_field<1>(word, Tag<C>::lane, lane);
        PacketWord<C, Spreads>::address(word, kind == kind_query ? 1 << unit : launch.unit_mask);
        if (PacketWord<C, Spreads>::passes(launch)) {
            packets.write(word);
        }
        ++beat;
        if (beat > (kind == kind_sorted ? last_sorted : last_beat)) {
            beat = 0;
            if (kind != kind_query) {
                ++row;
                if (row == launch.n) {
                    row = 0;
                    ++kind;
                }
            } else if (lane == 0 && row < launch.single_from) {
                lane = 1;
            } else {
                lane = 0;
                ++row;
                unit = unit == C::units - 1 ? 0 : unit + 1;
            }
        }
    }
    const bool is_long = total > 0 && !ended;
discard_beat:
    for (int i = 0; total > 0 && !ended; ++i) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=16
        VITFORGE_ITERATION("discard_beat", i)
        ended = get_field<1>(queries.read(), C::beat_bits) != 0;
    }
    status.write(static_cast<uint32>((is_short ? status_short : 0) | (is_long ? status_long : 0)));
}

// Beats of a unit in this launch.
template <class C>
inline int unit_beats(const Launch &launch, int unit) {
#pragma HLS inline
    const int queries = queries_of<C>(launch, unit, 0) + queries_of<C>(launch, unit, 1);
    return is_loaded(launch, unit) ? packet_beats<C>(launch) : queries * row_beats<C>(launch);
}

// A beat to the process that holds or uses it. Both lanes get all values.
template <class C>
inline void hand_on(const ap_uint<Tag<C>::unit_word_bits> &word, hls::stream<ap_uint<C::beat_bits> > &key_beats,
                    hls::stream<ap_uint<C::beat_bits> > &value_beats_0,
                    hls::stream<ap_uint<C::beat_bits> > &value_beats_1,
                    hls::stream<ap_uint<Tag<C>::unit_word_bits> > &pair_beats) {
#pragma HLS inline
    const ap_uint<C::beat_bits> data = word.range(C::beat_bits - 1, 0);
    const uint32 kind = get_field<2>(word, Tag<C>::kind);
    if (kind == kind_key) {
        key_beats.write(data);
    }
    if (kind == kind_value) {
        value_beats_0.write(data);
        value_beats_1.write(data);
    }
    if (kind == kind_query) {
        pair_beats.write(word);
    }
}

// Beats of a unit without candidate selection.
template <class C, int Unit>
static void distribute_rows(const Launch &launch, hls::stream<ap_uint<Tag<C>::unit_word_bits> > &beats,
                            hls::stream<ap_uint<C::beat_bits> > &key_beats,
                            hls::stream<ap_uint<C::beat_bits> > &value_beats_0,
                            hls::stream<ap_uint<C::beat_bits> > &value_beats_1,
                            hls::stream<ap_uint<Tag<C>::unit_word_bits> > &pair_beats) {
    VITFORGE_PROCESS("distribute")
    const int total = unit_beats<C>(launch, Unit);
row_beat:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=16384
        VITFORGE_ITERATION("row_beat", i)
        hand_on<C>(beats.read(), key_beats, value_beats_0, value_beats_1, pair_beats);
    }
}

// The same with it: each lane's selector gets the sorted key, and its own queries.
template <class C, int Unit>
static void distribute(const Launch &launch, hls::stream<ap_uint<Tag<C>::unit_word_bits> > &beats,
                       hls::stream<ap_uint<C::beat_bits> > &key_beats,
                       hls::stream<ap_uint<C::beat_bits> > &value_beats_0,
                       hls::stream<ap_uint<C::beat_bits> > &value_beats_1,
                       hls::stream<ap_uint<C::beat_bits> > &column_beats_0,
                       hls::stream<ap_uint<C::beat_bits> > &column_beats_1,
                       hls::stream<ap_uint<Tag<C>::unit_word_bits> > &pair_beats) {
    VITFORGE_PROCESS("distribute")
    const int total = unit_beats<C>(launch, Unit);
distribute_beat:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=16384
        VITFORGE_ITERATION("distribute_beat", i)
        const ap_uint<Tag<C>::unit_word_bits> word = beats.read();
        const ap_uint<C::beat_bits> data = word.range(C::beat_bits - 1, 0);
        const uint32 kind = get_field<2>(word, Tag<C>::kind);
        const uint32 lane = get_field<1>(word, Tag<C>::lane);
        const bool selects = kind == kind_query && launch.m > 0;
        hand_on<C>(word, key_beats, value_beats_0, value_beats_1, pair_beats);
        if (kind == kind_sorted || (selects && lane == 0)) {
            column_beats_0.write(data);
        }
        if (kind == kind_sorted || (selects && lane == 1)) {
            column_beats_1.write(data);
        }
    }
}

// Elements of both queries of a pair, word by word: lane 0 in the lower half. An absent query is 0.
template <class C, int Unit>
static void gather_pair(const Launch &launch, hls::stream<ap_uint<Tag<C>::unit_word_bits> > &pair_beats,
                        hls::stream<ap_uint<C::pair_bits> > &pair_words) {
    VITFORGE_PROCESS("gather_pair")
    constexpr int word_beats = C::width / C::per_beat;
    const int last_beat = row_beats<C>(launch) - 1;
    const int doubles = queries_of<C>(launch, Unit, 1);
    const int pairs = queries_of<C>(launch, Unit, 0);
    const int total = (pairs + doubles) * (last_beat + 1);
    Int<C::code_bits> first[C::row_words][C::width];  // lane 0 of the pair
    Int<C::code_bits> word[C::width];                 // of the lane that arrives
#pragma HLS array_partition variable=first complete dim=0
#pragma HLS array_partition variable=word complete dim=0
    int beat = 0;
    int part = 0;  // beat of its word
    int place = 0;
    int pair = 0;
gather_beat:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=4096
        VITFORGE_ITERATION("gather_beat", i)
        const ap_uint<Tag<C>::unit_word_bits> arrived = pair_beats.read();
        const bool is_second = get_field<1>(arrived, Tag<C>::lane) != 0;
        const bool is_single = pair >= doubles;
    gather_element:
        for (int e = 0; e < C::width; ++e) {
#pragma HLS unroll
            const bool is_here = e / C::per_beat == part;
            const int32 before = part == 0 ? 0 : static_cast<int32>(word[e]);
            word[e] = is_here ? get_code<C>(arrived, e % C::per_beat) : before;
        }
        const bool is_whole = part == word_beats - 1 || beat == last_beat;
        if (is_whole && (is_second || is_single)) {
            ap_uint<C::pair_bits> both = 0;
        gather_code:
            for (int e = 0; e < C::width; ++e) {
#pragma HLS unroll
                const int32 arrived_code = word[e];
                const int32 first_code = first[place][e];
                set_field<C::code_bits>(both, C::code_bits * e, is_second ? first_code : arrived_code);
                set_field<C::code_bits>(both, C::code_bits * (C::width + e), is_second ? arrived_code : 0);
            }
            pair_words.write(both);
        }
        if (is_whole && !is_second) {
        keep_code:
            for (int e = 0; e < C::width; ++e) {
#pragma HLS unroll
                first[place][e] = word[e];
            }
        }
        part = is_whole ? 0 : part + 1;
        place = beat == last_beat ? 0 : (is_whole ? place + 1 : place);
        pair = beat == last_beat && (is_second || is_single) ? pair + 1 : pair;
        beat = beat == last_beat ? 0 : beat + 1;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
