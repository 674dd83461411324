// SPDX-License-Identifier: Apache-2.0
// Results on their way out: a beat a cycle of the tile that is finished, while the array works on the next one.
#ifndef VITFORGE_SPARSE_MATMUL_OUTPUT_HPP
#define VITFORGE_SPARSE_MATMUL_OUTPUT_HPP

#include "vitforge/axis/packet.hpp"
#include "vitforge/sparse_matmul/launch.hpp"
#include "vitforge/weight_tile.hpp"

namespace vitforge {
namespace sparse_matmul {

constexpr int wide_parts = 4;  // beats of a group of tokens whose int32 sums leave; as int8 they take one

// Where the drain of a tile stands: td tokens by tc columns leave in a group.
struct Output {
    int left;  // cycles to go; 0: nothing drains
    int part;
    int group;       // of the tile
    int row;         // of activations, first of the group
    bool ends_all;   // the tile is the last of the launch
};

// Sums of a group. Of rows past the last one they are 0, whatever the left memory held, and so are their results.
template <class C>
inline void group_sums(const acc_t done[C::tt][C::tc], const ColumnParams<C::tc> &params, const Output &at, int rows,
                       int32 sums[C::td * C::tc]) {
#pragma HLS inline
sum_token:
    for (int t = 0; t < C::td; ++t) {
#pragma HLS unroll
    sum_column:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            const acc_t sum = done[at.group * C::td + t][c] + params.bias[c];
            sums[t * C::tc + c] = at.row + t < rows ? static_cast<int32>(sum) : 0;
        }
    }
}

template <class C>
inline ap_uint<C::beat_bits> int8_beat(const int32 sums[C::td * C::tc], const ColumnParams<C::tc> &params) {
#pragma HLS inline
    ap_uint<C::beat_bits> beat = 0;
byte_lane:
    for (int lane = 0; lane < C::beat_bytes; ++lane) {
#pragma HLS unroll
        const int column = lane % C::tc;
        const int64 scaled = requantize(sums[lane], params.mult[column], params.shift[column]);
        beat.range(8 * lane + 7, 8 * lane) = static_cast<uint32>(clamp(scaled, int8_limit)) & 0xff;
    }
    return beat;
}

template <class C>
inline ap_uint<C::beat_bits> int32_beat(const int32 sums[C::td * C::tc], int part) {
#pragma HLS inline
    constexpr int per_beat = C::beat_bytes / wide_parts;
    ap_uint<C::beat_bits> beat = 0;
wide_lane:
    for (int lane = 0; lane < per_beat; ++lane) {
#pragma HLS unroll
        beat.range(32 * lane + 31, 32 * lane) = static_cast<uint32>(sums[part * per_beat + lane]);
    }
    return beat;
}

// A beat of the finished tile.
template <class C>
inline void send_beat(const Matrix &matrix, int rows, const acc_t done[C::tt][C::tc],
                      const ColumnParams<C::tc> &params, Output &at,
                      hls::stream<ap_uint<C::beat_bits + 8> > &results) {
#pragma HLS inline
    static_assert(C::td * C::tc == C::beat_bytes, "a group of int8 results must be a beat");
    int32 sums[C::td * C::tc];
#pragma HLS array_partition variable=sums complete dim=0
    group_sums<C>(done, params, at, rows, sums);
    const ap_uint<C::beat_bits> narrow = int8_beat<C>(sums, params);
    const ap_uint<C::beat_bits> wide = int32_beat<C>(sums, at.part);
    results.write(with_last<C::beat_bits>(matrix.wide ? wide : narrow, at.ends_all && at.left == 1));
    --at.left;
    ++at.part;
    if (!matrix.wide || at.part == wide_parts) {
        at.part = 0;
        ++at.group;
        at.row += C::td;
    }
}

}  // namespace sparse_matmul
}  // namespace vitforge

#endif
