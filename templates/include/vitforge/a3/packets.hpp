// SPDX-License-Identifier: Apache-2.0
// The packet of a launch: where each of its beats belongs, and words of a query.
#ifndef VITFORGE_A3_PACKETS_HPP
#define VITFORGE_A3_PACKETS_HPP

#include "vitforge/a3/launch.hpp"
#include "vitforge/axis/packet.hpp"

namespace vitforge {
namespace a3 {

// What a beat belongs to; the order of a load.
enum Kind { kind_key = 0, kind_value = 1, kind_sorted = 2, kind_query = 3 };

// Beats of the whole packet.
template <class C>
inline int packet_beats(const Launch &launch) {
#pragma HLS inline
    const int row = row_beats<C>(launch);
    const int sorted = C::approximate ? ceil_div(launch.d, C::sorted_per_beat) : 0;
    if (launch.op == op_load) {
        return count_product(launch.n, 2 * row + sorted);
    }
    return launch.op == op_query ? count_product(launch.pairs + launch.single_from, row) : 0;
}

// Where a beat lies in its packet. A pair of queries goes to one unit, the next one to the next unit.
struct Place {
    int kind;
    int beat;  // of its row
    int row;   // of key, value or sorted key; of a query its pair
    int unit;  // of that pair
    int lane;
};

// The place of the next beat.
template <class C>
inline void advance(const Launch &launch, Place &place) {
#pragma HLS inline
    const int last_beat =
        (place.kind == kind_sorted ? ceil_div(launch.d, C::sorted_per_beat) : row_beats<C>(launch)) - 1;
    if (place.beat != last_beat) {
        ++place.beat;
    } else if (place.kind != kind_query) {
        const bool ends = place.row == launch.n - 1;
        place.beat = 0;
        place.row = ends ? 0 : place.row + 1;
        place.kind = ends ? place.kind + 1 : place.kind;
    } else {
        const bool ends = place.lane == 1 || place.row >= launch.single_from;
        place.beat = 0;
        place.lane = ends ? 0 : 1;
        place.row = ends ? place.row + 1 : place.row;
        place.unit = !ends ? place.unit : place.unit == C::units - 1 ? 0 : place.unit + 1;
    }
}

// The units that a beat is for, a bit each.
inline uint32 units_of(const Launch &launch, const Place &place) {
#pragma HLS inline
    return place.kind == kind_query ? 1u << place.unit : static_cast<uint32>(launch.unit_mask);
}

// A beat to the process of a unit that holds or uses it.
template <class C>
inline void hand_on(const ap_uint<C::beat_bits> &beat, int kind, hls::stream<ap_uint<C::beat_bits> > &key_beats,
                    hls::stream<ap_uint<C::beat_bits> > &value_beats,
                    hls::stream<ap_uint<C::beat_bits> > &query_beats) {
#pragma HLS inline
    if (kind == kind_key) {
        key_beats.write(beat);
    }
    if (kind == kind_value) {
        value_beats.write(beat);
    }
    if (kind == kind_query) {
        query_beats.write(beat);
    }
}

// The same to a selector: the sorted key, and the queries of its lane.
template <class C>
inline void hand_column(const ap_uint<C::beat_bits> &beat, const Launch &launch, const Place &place, int lane,
                        hls::stream<ap_uint<C::beat_bits> > &column_beats) {
#pragma HLS inline
    if (place.kind == kind_sorted || (place.kind == kind_query && launch.m > 0 && place.lane == lane)) {
        column_beats.write(beat);
    }
}

// Beats of a query to words of `width` elements; what a last word lacks is 0.
template <class C, int Unit>
static void gather(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &query_beats,
                   hls::stream<ap_uint<C::word_bits> > &query_words) {
    VITFORGE_PROCESS("gather")
    constexpr int word_beats = C::width / C::per_beat;
    const int last_beat = row_beats<C>(launch) - 1;
    const int total = count_product(unit_queries<C>(launch, Unit), last_beat + 1);
    Int<C::code_bits> code[C::width];
#pragma HLS array_partition variable=code complete dim=0
    int beat = 0;
    int part = 0;  // beat of its word
gather_beat:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=4096
        VITFORGE_ITERATION("gather_beat", i)
        const ap_uint<C::beat_bits> arrived = query_beats.read();
        ap_uint<C::word_bits> word = 0;
    gather_element:
        for (int e = 0; e < C::width; ++e) {
#pragma HLS unroll
            const bool is_here = e / C::per_beat == part;
            const int32 before = part == 0 ? 0 : static_cast<int32>(code[e]);
            code[e] = is_here ? get_code<C>(arrived, e % C::per_beat) : before;
            set_field<C::code_bits>(word, C::code_bits * e, code[e]);
        }
        const bool is_whole = part == word_beats - 1 || beat == last_beat;
        if (is_whole) {
            query_words.write(word);
        }
        part = is_whole ? 0 : part + 1;
        beat = beat == last_beat ? 0 : beat + 1;
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
