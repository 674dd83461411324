// SPDX-License-Identifier: Apache-2.0
// Layer norm in exact integers, tc channels of a token a cycle, as three processes:
// sum (of each token) -> reciprocal standard deviation (one a token) -> normalise.
#ifndef VITFORGE_LAYER_NORM_HPP
#define VITFORGE_LAYER_NORM_HPP

#include "hls_stream.h"
#include "vitforge/divide.hpp"
#include "vitforge/drain.hpp"
#include "vitforge/ints.hpp"
#include "vitforge/job.hpp"
#include "vitforge/storage.hpp"

namespace vitforge {

constexpr int normal_bits = 10;  // fraction bits of a normalised value
constexpr int sum_bits = 96;     // of a token on the way to the reciprocal: sum (32), sum of squares (64)
constexpr int scale_bits = 64;   // of a token on the way back: reciprocal (24), exponent (8), sum (32)

// One operation of a layer-norm unit.
struct NormJob {
    int op;
    bool has_table;  // first layer: the class token and position table in the stream is added to the residual
    int tokens;
    int channels;  // embed_dim; k tiles of an image row for a load
    int residual_base;
    int out_base, out_stride;
    int out_row;  // of the first token in its tile
    int shift;
    uint64 eps;
};

inline NormJob decode_norm_job(const uint32 words[header_words]) {
#pragma HLS inline
    NormJob job;
    job.op = static_cast<int>(words[0] & 0xff);
    job.has_table = bit_of(words[0], 8);
    job.tokens = low_half(words[1]);
    job.channels = high_half(words[1]);
    job.residual_base = static_cast<int>(words[2]);
    job.out_base = low_half(words[3]);
    job.out_stride = high_half(words[3]);
    job.shift = static_cast<int>(words[4]);
    job.eps = static_cast<uint64>(words[5]) | (static_cast<uint64>(words[6]) << 32);
    job.out_row = static_cast<int>(words[7]);
    return job;
}

template <class C>
struct NormLayout {
    static constexpr int record_bytes = 8;  // gamma int16, flags u16, beta int32
    static constexpr int records_per_beat = C::beat_bytes / record_bytes;
    static constexpr int record_beats = ceil_div(C::channel_tiles * C::tc, records_per_beat);
    static constexpr int lanes_per_beat = C::beat_bytes / 2;
    static constexpr int table_beats = ceil_div(C::tc, lanes_per_beat);  // beats of one residual word
};

template <class C>
inline void forward_beats(int count, hls::stream<ap_uint<C::beat_bits> > &beats,
                          hls::stream<ap_uint<C::beat_bits> > &pass) {
#pragma HLS inline
forward_beat:
    for (int beat = 0; beat < count; ++beat) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::image_beats
        VITFORGE_ITERATION("forward_beat", beat)
        pass.write(beats.read());
    }
}

// The first layer: the residual holds the embedded patches, and the class token and position table are added. The words
// of tr tokens come together, because they share an address.
template <class C>
inline void add_table(const NormJob &job, hls::stream<ap_uint<C::beat_bits> > &beats,
                      int16 residual[C::residual_depth][C::tr][C::tc]) {
#pragma HLS inline
    typedef NormLayout<C> Layout;
    constexpr int row_beats = C::tr * Layout::table_beats;
    int16 entry[C::tr][C::tc] = {};
#pragma HLS array_partition variable=entry complete dim=0
    int address = job.residual_base;
    int part = 0;
table_beat:
    for (int beat = 0; beat < ceil_div(job.tokens, C::tr) * C::channel_tiles * row_beats; ++beat) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::table_beats
#pragma HLS dependence variable=residual inter false
        VITFORGE_ITERATION("table_beat", beat)
        const ap_uint<C::beat_bits> value = beats.read();
    table_lane:
        for (int lane = 0; lane < Layout::lanes_per_beat; ++lane) {
#pragma HLS unroll
            const int c = part % Layout::table_beats * Layout::lanes_per_beat + lane;
            if (c < C::tc) {
                entry[part / Layout::table_beats][c] = to_int16(value.range(16 * lane + 15, 16 * lane).to_uint());
            }
        }
        ++part;
        if (part == row_beats) {
            part = 0;
        table_token:
            for (int t = 0; t < C::tr; ++t) {
#pragma HLS unroll
            table_channel:
                for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
                    const int32 sum = static_cast<int32>(entry[t][c]) + residual[address][t][c];
                    residual[address][t][c] = static_cast<int16>(clamp(sum, int16_limit));
                }
            }
            ++address;
        }
    }
}

// Sends every word of the residual on, and the sums of each token that layer norm needs.
template <class C>
inline void sum_tokens(const NormJob &job, const int16 residual[C::residual_depth][C::tr][C::tc],
                       hls::stream<ap_uint<16 * C::tc> > &values, hls::stream<ap_uint<sum_bits> > &sums) {
#pragma HLS inline
    int32 sum = 0;
    int64 square_sum = 0;
    int column = 0;
    int row = job.residual_base;  // of the group of tokens
    int token = 0;                // of the group
sum_word:
    for (int word = 0; word < job.tokens * C::channel_tiles; ++word) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::norm_words
        VITFORGE_ITERATION("sum_word", word)
        int32 total = column == 0 ? 0 : sum;
        int64 squares = column == 0 ? 0 : square_sum;
        ap_uint<16 * C::tc> packed = 0;
    sum_lane:
        for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
            const int16 x = residual[row + column][token][c];
            packed.range(16 * c + 15, 16 * c) = static_cast<uint32>(x) & 0xffff;
            const int32 square = static_cast<int32>(x) * x;
            VITFORGE_BIND_SQUARE
            total += x;
            squares += square;
        }
        sum = total;
        square_sum = squares;
        values.write(packed);
        ++column;
        if (column == C::channel_tiles) {
            ap_uint<sum_bits> packed_sums = 0;
            packed_sums.range(31, 0) = static_cast<uint32>(total);
            packed_sums.range(95, 32) = static_cast<uint64>(squares);
            sums.write(packed_sums);
            column = 0;
            row = token == C::tr - 1 ? row + C::channel_tiles : row;
            token = token == C::tr - 1 ? 0 : token + 1;
        }
    }
}

// Control word of the reciprocal process: tokens (0 ends the step), channels, epsilon.
inline ap_uint<sum_bits> norm_control(int tokens, int channels, uint64 eps) {
#pragma HLS inline
    ap_uint<sum_bits> word = 0;
    word.range(15, 0) = static_cast<uint32>(tokens) & 0xffff;
    word.range(31, 16) = static_cast<uint32>(channels) & 0xffff;
    word.range(95, 32) = eps;
    return word;
}

// First process of a step: reads the unit's stream to its end, sums, and passes on what the others need.
template <class C>
static void norm_sum(hls::stream<ap_uint<C::beat_bits> > &beats, int16 residual[C::residual_depth][C::tr][C::tc],
                     hls::stream<ap_uint<C::beat_bits> > &pass, hls::stream<ap_uint<16 * C::tc> > &values,
                     hls::stream<ap_uint<sum_bits> > &sums) {
    VITFORGE_PROCESS("norm_sum")
norm_sum_job:
    while (true) {
#pragma HLS loop_tripcount max=3
        uint32 words[header_words];
#pragma HLS array_partition variable=words complete dim=0
        read_header<C::beat_bits>(beats, words);
        const NormJob job = decode_norm_job(words);
        write_header<C::beat_bits>(words, pass);
        if (job.op == norm_end) {
            sums.write(norm_control(0, 0, 0));
            break;
        }
        if (job.op == norm_load) {
            forward_beats<C>(count_product(ceil_div(job.channels * C::tk, C::beat_bytes), job.tokens), beats, pass);
        } else {
            forward_beats<C>(NormLayout<C>::record_beats, beats, pass);
            if (job.has_table) {
                add_table<C>(job, beats, residual);
            }
            sums.write(norm_control(job.tokens, job.channels, job.eps));
            sum_tokens<C>(job, residual, values, sums);
        }
    }
}

// Reciprocal standard deviation of a token. The products are in fabric: one a token leaves DSPs idle.
inline ap_uint<scale_bits> token_scale(const ap_uint<sum_bits> &word, int64 channels, uint64 eps) {
#pragma HLS inline
    const int64 sum = static_cast<int32>(word.range(31, 0).to_uint());
    const int64 squares = static_cast<int64>(word.range(95, 32).to_uint64());
    const Int<56> scaled_squares = channels * squares;
    const Int<56> squared_sum = sum * sum;
#pragma HLS bind_op variable=scaled_squares op=mul impl=fabric
#pragma HLS bind_op variable=squared_sum op=mul impl=fabric
    const int64 difference = static_cast<int64>(scaled_squares) - static_cast<int64>(squared_sum);
    const uint64 variance = static_cast<uint64>(difference) + eps;
    const uint32 root = isqrt(variance);
    const uint32 deviation = root == 0 ? 1 : root;
    const int length = bit_length<root_bits>(deviation);
    ap_uint<scale_bits> scale = 0;
    scale.range(23, 0) = divide((1ULL << (length + 16)) - 1, deviation);
    scale.range(31, 24) = static_cast<uint32>(length);
    scale.range(63, 32) = static_cast<uint32>(sum);
    return scale;
}

// Second process: variance, root and reciprocal of each token.
static void norm_reciprocal(hls::stream<ap_uint<sum_bits> > &sums, hls::stream<ap_uint<scale_bits> > &scales) {
    VITFORGE_PROCESS("norm_reciprocal")
norm_reciprocal_job:
    while (true) {
#pragma HLS loop_tripcount max=3
        const ap_uint<sum_bits> control = sums.read();
        const int tokens = control.range(15, 0).to_int();
        const int64 channels = control.range(31, 16).to_int();
        const uint64 eps = control.range(95, 32).to_uint64();
        if (tokens == 0) {
            break;
        }
    reciprocal_token:
        for (int token = 0; token < tokens; ++token) {
#pragma HLS pipeline II=16
#pragma HLS loop_tripcount max=1024
            VITFORGE_ITERATION("reciprocal_token", token)
            scales.write(token_scale(sums.read(), channels, eps));
        }
    }
}

}  // namespace vitforge

#endif
