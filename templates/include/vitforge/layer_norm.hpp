// SPDX-License-Identifier: Apache-2.0
// Residual add and layer norm in exact integers, lt tokens x tc channels a cycle, as three processes:
// add (sums of a token) -> reciprocal standard deviation (one a token) -> normalise.
#ifndef VITFORGE_LAYER_NORM_HPP
#define VITFORGE_LAYER_NORM_HPP

#include "hls_stream.h"
#include "vitforge/divide.hpp"
#include "vitforge/drain.hpp"
#include "vitforge/ints.hpp"
#include "vitforge/job.hpp"
#include "vitforge/keep_mask.hpp"

namespace vitforge {

constexpr int normal_bits = 10;  // fraction bits of a normalised value
constexpr int sum_bits = 96;     // per token on the way to the reciprocal: sum (32), sum of squares (64)
constexpr int scale_bits = 64;   // per token on the way back: reciprocal (24), exponent (8), sum (32)

// One operation of a layer-norm unit.
struct NormJob {
    int op;
    bool has_table;  // the residual starts from a table in the stream (first layer)
    int tokens;
    int channels;  // embed_dim; k tiles of an image row for a load
    int branch_base, branch_stride;
    int out_base, out_stride;
    int shift;
    uint64 eps;
};

inline NormJob decode_norm_job(const uint32 words[header_words]) {
#pragma HLS inline
    NormJob job;
    job.op = static_cast<int>(words[0] & 0xff);
    job.has_table = ((words[0] >> 8) & 1) != 0;
    job.tokens = low_half(words[1]);
    job.channels = high_half(words[1]);
    job.branch_base = low_half(words[2]);
    job.branch_stride = high_half(words[2]);
    job.out_base = low_half(words[3]);
    job.out_stride = high_half(words[3]);
    job.shift = static_cast<int>(words[4]);
    job.eps = static_cast<uint64>(words[5]) | (static_cast<uint64>(words[6]) << 32);
    return job;
}

template <class C>
struct NormLayout {
    static constexpr int record_bytes = 8;  // gamma int16, flags u16, beta int32
    static constexpr int records_per_beat = C::beat_bytes / record_bytes;
    static constexpr int record_beats = ceil_div(C::channel_tiles * C::tc, records_per_beat);
    static constexpr int lanes_per_beat = C::beat_bytes / 2;
    static constexpr int table_beats = ceil_div(C::lt * C::tc, lanes_per_beat);  // beats of one residual word
    static constexpr int groups_per_word = C::td / C::lt;
};

// Where token group `group` (lt tokens) lies: word row and first token of the td in a word.
template <class C>
inline int group_row(int group) {
#pragma HLS inline
    return group / NormLayout<C>::groups_per_word;
}

template <class C>
inline int group_token(int group) {
#pragma HLS inline
    return group % NormLayout<C>::groups_per_word * C::lt;
}

template <class C>
inline void forward_beats(int count, hls::stream<ap_uint<C::beat_bits> > &beats,
                          hls::stream<ap_uint<C::beat_bits> > &pass) {
#pragma HLS inline
forward_beat:
    for (int beat = 0; beat < count; ++beat) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::image_beats
        pass.write(beats.read());
    }
}

// Bit 1 of a channel's flags: the branch has this channel (it was not pruned).
template <class C>
inline void forward_records(hls::stream<ap_uint<C::beat_bits> > &beats, hls::stream<ap_uint<C::beat_bits> > &pass,
                            bool in_branch[C::channel_tiles][C::tc]) {
#pragma HLS inline
record_beat:
    for (int beat = 0; beat < NormLayout<C>::record_beats; ++beat) {
#pragma HLS pipeline II=1
        const ap_uint<C::beat_bits> value = beats.read();
        pass.write(value);
    record_flag:
        for (int record = 0; record < NormLayout<C>::records_per_beat; ++record) {
#pragma HLS unroll
            const int channel = beat * NormLayout<C>::records_per_beat + record;
            if (channel < C::channel_tiles * C::tc) {
                const int bit = 64 * record;
                in_branch[channel / C::tc][channel % C::tc] = (value.range(bit + 31, bit + 16).to_uint() & 2) != 0;
            }
        }
    }
}

// The residual of the first layer: class token and position table.
template <class C>
inline void load_residual(int groups, hls::stream<ap_uint<C::beat_bits> > &beats,
                          int16 residual[C::residual_depth][C::td][C::tc]) {
#pragma HLS inline
table_word:
    for (int word = 0; word < groups * C::channel_tiles; ++word) {
#pragma HLS loop_tripcount max=C::norm_words
        const int group = word / C::channel_tiles;
        const int address = group_row<C>(group) * C::channel_tiles + word % C::channel_tiles;
    table_beat:
        for (int beat = 0; beat < NormLayout<C>::table_beats; ++beat) {
#pragma HLS pipeline II=1
            const ap_uint<C::beat_bits> value = beats.read();
        table_lane:
            for (int lane = 0; lane < NormLayout<C>::lanes_per_beat; ++lane) {
#pragma HLS unroll
                const int index = beat * NormLayout<C>::lanes_per_beat + lane;
                if (index < C::lt * C::tc) {
                    residual[address][group_token<C>(group) + index / C::tc][index % C::tc] =
                        to_int16(value.range(16 * lane + 15, 16 * lane).to_uint());
                }
            }
        }
    }
}

// x' = x + branch for all tokens, with the sums that layer norm needs.
template <class C>
static void add_tokens(const NormJob &job, const bool in_branch[C::channel_tiles][C::tc],
                       int16 residual[C::residual_depth][C::td][C::tc],
                       const int16 branch[C::norm_branch_depth][C::td][C::tc],
                       hls::stream<ap_uint<16 * C::lt * C::tc> > &values,
                       hls::stream<ap_uint<sum_bits * C::lt> > &sums) {
    int16 window[C::lt][2 * C::tc] = {};
    int32 sum[C::lt] = {};
    int64 square_sum[C::lt] = {};
#pragma HLS array_partition variable=window complete dim=0
#pragma HLS array_partition variable=sum complete
#pragma HLS array_partition variable=square_sum complete
    int held = 0;
    int fetched = 0;
    int column = 0;
    int group = 0;
add_word:
    for (int word = 0; word < ceil_div(job.tokens, C::lt) * C::channel_tiles; ++word) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::norm_words
#pragma HLS dependence variable=residual inter false
        const int row = group_row<C>(group);
        const int first = group_token<C>(group);
        const int kept = kept_lanes<C::tc>(in_branch[column]);
        if (column == 0) {
            held = 0;
            fetched = 0;
        }
        if (held < kept) {
            int16 packed[C::lt][C::tc];
        branch_token:
            for (int t = 0; t < C::lt; ++t) {
#pragma HLS unroll
            branch_lane:
                for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
                    packed[t][c] = branch[job.branch_base + row * job.branch_stride + fetched][first + t][c];
                }
            }
            restore_push<C::lt, C::tc, int16>(window, held, packed);
            held += C::tc;
            ++fetched;
        }
        int16 restored[C::lt][C::tc];
        restore_take<C::lt, C::tc, int16>(window, in_branch[column], restored);
        window_shift<C::lt, C::tc, int16>(window, kept);
        held -= kept;
        ap_uint<16 * C::lt * C::tc> packed_values = 0;
        ap_uint<sum_bits * C::lt> packed_sums = 0;
    add_token:
        for (int t = 0; t < C::lt; ++t) {
#pragma HLS unroll
            int32 total = column == 0 ? 0 : sum[t];
            int64 squares = column == 0 ? 0 : square_sum[t];
        add_lane:
            for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
                const int address = row * C::channel_tiles + column;
                const int32 added = static_cast<int32>(residual[address][first + t][c]) + restored[t][c];
                const int16 x = column * C::tc + c < job.channels ? static_cast<int16>(clamp(added, int16_limit)) : 0;
                residual[address][first + t][c] = x;
                const int bit = 16 * (t * C::tc + c);
                packed_values.range(bit + 15, bit) = static_cast<uint32>(x) & 0xffff;
                total += x;
                squares += static_cast<int32>(x) * x;
            }
            sum[t] = total;
            square_sum[t] = squares;
            packed_sums.range(sum_bits * t + 31, sum_bits * t) = static_cast<uint32>(total);
            packed_sums.range(sum_bits * t + 95, sum_bits * t + 32) = static_cast<uint64>(squares);
        }
        values.write(packed_values);
        ++column;
        if (column == C::channel_tiles) {
            sums.write(packed_sums);
            column = 0;
            ++group;
        }
    }
}

// Control word of the reciprocal process: token groups (0 ends the step), channels, epsilon.
template <class C>
inline ap_uint<sum_bits * C::lt> norm_control(int groups, int channels, uint64 eps) {
#pragma HLS inline
    ap_uint<sum_bits * C::lt> word = 0;
    word.range(15, 0) = static_cast<uint32>(groups) & 0xffff;
    word.range(31, 16) = static_cast<uint32>(channels) & 0xffff;
    word.range(95, 32) = eps;
    return word;
}

// First process of a step: reads the unit's stream to its end, adds, and passes on what the others need.
template <class C>
static void norm_add(hls::stream<ap_uint<C::beat_bits> > &beats, int16 residual[C::residual_depth][C::td][C::tc],
                     const int16 branch[C::norm_branch_depth][C::td][C::tc], hls::stream<ap_uint<C::beat_bits> > &pass,
                     hls::stream<ap_uint<16 * C::lt * C::tc> > &values, hls::stream<ap_uint<sum_bits * C::lt> > &sums) {
    bool in_branch[C::channel_tiles][C::tc];
#pragma HLS array_partition variable=in_branch complete dim=2
norm_add_job:
    while (true) {
#pragma HLS loop_tripcount max=3
        uint32 words[header_words];
        read_header<C::beat_bits>(beats, words);
        const NormJob job = decode_norm_job(words);
        write_header<C::beat_bits>(words, pass);
        if (job.op == norm_end) {
            sums.write(norm_control<C>(0, 0, 0));
            break;
        }
        if (job.op == norm_load) {
            forward_beats<C>(job.tokens * ceil_div(job.channels * C::tk, C::beat_bytes), beats, pass);
        } else {
            const int groups = ceil_div(job.tokens, C::lt);
            forward_records<C>(beats, pass, in_branch);
            if (job.has_table) {
                load_residual<C>(groups, beats, residual);
            }
            sums.write(norm_control<C>(groups, job.channels, job.eps));
            add_tokens<C>(job, in_branch, residual, branch, values, sums);
        }
    }
}

// Second process: variance, root and reciprocal of each token.
template <class C>
static void norm_reciprocal(hls::stream<ap_uint<sum_bits * C::lt> > &sums,
                            hls::stream<ap_uint<scale_bits * C::lt> > &scales) {
norm_reciprocal_job:
    while (true) {
#pragma HLS loop_tripcount max=3
        const ap_uint<sum_bits * C::lt> control = sums.read();
        const int groups = control.range(15, 0).to_int();
        const int64 channels = control.range(31, 16).to_int();
        const uint64 eps = control.range(95, 32).to_uint64();
        if (groups == 0) {
            break;
        }
    reciprocal_group:
        for (int group = 0; group < groups; ++group) {
#pragma HLS pipeline II=8
#pragma HLS loop_tripcount max=C::norm_groups
            const ap_uint<sum_bits * C::lt> word = sums.read();
            ap_uint<scale_bits * C::lt> scale = 0;
        reciprocal_token:
            for (int t = 0; t < C::lt; ++t) {
#pragma HLS unroll
                const int64 sum = static_cast<int32>(word.range(sum_bits * t + 31, sum_bits * t).to_uint());
                const int64 squares =
                    static_cast<int64>(word.range(sum_bits * t + 95, sum_bits * t + 32).to_uint64());
                const uint64 variance = static_cast<uint64>(channels * squares - sum * sum) + eps;
                const uint32 root = isqrt(variance);
                const uint32 deviation = root == 0 ? 1 : root;
                const int length = bit_length<root_bits>(deviation);
                const uint32 inverse = divide((1ULL << (length + 16)) - 1, deviation);
                const int bit = scale_bits * t;
                scale.range(bit + 23, bit) = inverse;
                scale.range(bit + 31, bit + 24) = static_cast<uint32>(length);
                scale.range(bit + 63, bit + 32) = static_cast<uint32>(sum);
            }
            scales.write(scale);
        }
    }
}

}  // namespace vitforge

#endif
