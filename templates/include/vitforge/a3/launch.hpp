// SPDX-License-Identifier: Apache-2.0
// What a launch of the A3 kernel is told, and the fields of the words between its processes.
#ifndef VITFORGE_A3_LAUNCH_HPP
#define VITFORGE_A3_LAUNCH_HPP

#include "hls_stream.h"
#include "vitforge/ints.hpp"
#include "vitforge/trace.hpp"

namespace vitforge {
namespace a3 {

constexpr int lanes = 2;   // queries that candidates are selected for at a time: a pair
constexpr int ports = 2;   // rows that the memories of key and value give in a cycle
constexpr int group = 16;  // rows that are filtered, or compared with the threshold, in a cycle
constexpr int queue = 4;   // products of a column that candidate selection has ready

enum Operation { op_identify = 0, op_load = 1, op_query = 2 };

// The registers, by the names that the driver has for them.
struct Launch {
    int op;
    int n;
    int d;
    int m;
    int threshold;
    int scale_mult;
    int scale_shift;
    int pairs;
    int single_from;
    int unit_mask;
};

// Of `total` pairs that go to the units in turn, those of one unit.
template <class C>
inline int share(int total, int unit) {
#pragma HLS inline
    return total > unit ? (total - unit + C::units - 1) / C::units : 0;
}

// Queries of a lane of a unit: lane 1 has none in a pair with a single query.
template <class C>
inline int queries_of(const Launch &launch, int unit, int lane) {
#pragma HLS inline
    return launch.op == op_query ? share<C>(lane == 0 ? launch.pairs : launch.single_from, unit) : 0;
}

// Queries of a unit, both of a pair one after the other.
template <class C>
inline int unit_queries(const Launch &launch, int unit) {
#pragma HLS inline
    return queries_of<C>(launch, unit, 0) + queries_of<C>(launch, unit, 1);
}

// Beats of a key row, a value row or a query.
template <class C>
inline int row_beats(const Launch &launch) {
#pragma HLS inline
    return ceil_div(launch.d, C::per_beat);
}

// Words of `width` elements of the same: the cycles of a row.
template <class C>
inline int row_words(const Launch &launch) {
#pragma HLS inline
    return ceil_div(launch.d, C::width);
}

// Whether a load is for a unit.
inline bool is_loaded(const Launch &launch, int unit) {
#pragma HLS inline
    return launch.op == op_load && ((launch.unit_mask >> unit) & 1) != 0;
}

template <int W, int B>
inline uint32 get_field(const ap_uint<B> &word, int low) {
#pragma HLS inline
    return word.range(low + W - 1, low).to_uint();
}

template <int W, int B>
inline int32 get_signed(const ap_uint<B> &word, int low) {
#pragma HLS inline
    constexpr uint32 sign = 1u << (W - 1);
    return static_cast<int32>(get_field<W>(word, low) ^ sign) - static_cast<int32>(sign);
}

template <int W, int B>
inline void set_field(ap_uint<B> &word, int low, int32 value) {
#pragma HLS inline
    word.range(low + W - 1, low) = static_cast<uint32>(value) & static_cast<uint32>((1ULL << W) - 1);
}

// Element `e` of a beat of codes.
template <class C, int B>
inline int32 get_code(const ap_uint<B> &beat, int e) {
#pragma HLS inline
    return get_signed<C::element_bits>(beat, C::element_bits * e);
}

}  // namespace a3
}  // namespace vitforge

#endif
