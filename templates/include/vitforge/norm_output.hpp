// SPDX-License-Identifier: Apache-2.0
// Last process of a layer-norm unit: normalises, applies gamma and beta, keeps the channels that the next
// matmul has, and addresses them to the array's memory. It also sends the patches of an image that enters.
#ifndef VITFORGE_NORM_OUTPUT_HPP
#define VITFORGE_NORM_OUTPUT_HPP

#include "vitforge/keep_mask.hpp"
#include "vitforge/layer_norm.hpp"

namespace vitforge {

// clamp((yhat * gamma + beta + half) >> shift), yhat = (D*x - sum) * inverse in units of 2^-normal_bits.
inline int8 normalize(int16 x, int32 channels, int32 sum, Int<reciprocal_bits + 1> inverse, int length, int16 gamma,
                      int32 beta, int shift) {
#pragma HLS inline
    const Int<27> product = channels * x;
#pragma HLS bind_op variable=product op=mul impl=fabric
    const Int<27> centred = product - sum;
    // One DSP48E2; a DSP48E1 is narrower, and two of them are counted.
    const Int<45> scaled = static_cast<Int<45> >(centred) * inverse;  // NOLINT(multiplier)
    const int right = length + 16 - normal_bits;
    const int16 yhat =
        static_cast<int16>(clamp((static_cast<int64>(scaled) + (1LL << (right - 1))) >> right, int16_limit));
    const int64 affine = static_cast<int64>(static_cast<int32>(yhat) * gamma) + beta;
    return static_cast<int8>(clamp((affine + (1LL << (shift - 1))) >> shift, int8_limit));
}

// gamma, beta and the flag "the next matmul has this channel" of every channel.
template <class C>
inline void load_records(hls::stream<ap_uint<C::beat_bits> > &pass, int16 gamma[C::channel_tiles][C::tc],
                         int32 beta[C::channel_tiles][C::tc], bool emits[C::channel_tiles][C::tc]) {
#pragma HLS inline
record_beat:
    for (int beat = 0; beat < NormLayout<C>::record_beats; ++beat) {
#pragma HLS pipeline II=1
        VITFORGE_ITERATION("record_beat", beat)
        const ap_uint<C::beat_bits> value = pass.read();
    load_record:
        for (int record = 0; record < NormLayout<C>::records_per_beat; ++record) {
#pragma HLS unroll
            const int channel = beat * NormLayout<C>::records_per_beat + record;
            if (channel < C::channel_tiles * C::tc) {
                const int bit = 64 * record;
                const int tile = channel / C::tc;
                const int lane = channel % C::tc;
                gamma[tile][lane] = to_int16(value.range(bit + 15, bit).to_uint());
                emits[tile][lane] = (value.range(bit + 31, bit + 16).to_uint() & 1) != 0;
                beta[tile][lane] = static_cast<int32>(value.range(bit + 63, bit + 32).to_uint());
            }
        }
    }
}

// Token of an activation memory: its first entry, and its row in a tile.
template <class C>
struct TokenPlace {
    int entry;
    int row;

    TokenPlace(int base, int first_row) : entry(base), row(first_row) {}

    inline void advance(int stride) {
#pragma HLS inline
        ++row;
        if (row == C::tt) {
            row = 0;
            entry += stride;
        }
    }
};

// The front of the window as a word: group `emitted` of its token.
template <class C>
inline void send_window(const NormJob &job, const int8 window[1][2 * C::tc], int emitted, const TokenPlace<C> &token,
                        hls::stream<ap_uint<C::word_bits> > &activations) {
#pragma HLS inline
    const WordPlace place = {token.entry + emitted / C::groups, token.row, emitted % C::groups};
    int8 lanes[C::tk];
#pragma HLS array_partition variable=lanes complete dim=0
window_lane:
    for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
        lanes[lane] = window[0][lane % C::tc];
    }
    activations.write(make_word<C>(job.op == norm_features ? word_feature : word_store, place, lanes));
}

template <class C>
inline void normalize_tokens(const NormJob &job, const int16 gamma[C::channel_tiles][C::tc],
                             const int32 beta[C::channel_tiles][C::tc], const bool emits[C::channel_tiles][C::tc],
                             hls::stream<ap_uint<16 * C::tc> > &values, hls::stream<ap_uint<scale_bits> > &scales,
                             hls::stream<ap_uint<C::word_bits> > &activations) {
#pragma HLS inline
    int8 window[1][2 * C::tc] = {};
#pragma HLS array_partition variable=window complete dim=0
    ap_uint<scale_bits> scale = 0;
    TokenPlace<C> token(job.out_base, job.out_row);
    int held = 0;
    int emitted = 0;
    int column = 0;
normalize_word:
    for (int word = 0; word < job.tokens * (C::channel_tiles + 1); ++word) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::norm_out_words
        VITFORGE_ITERATION("normalize_word", word)
        if (column == 0) {
            scale = scales.read();
            held = 0;
            emitted = 0;
        }
        if (column < C::channel_tiles) {
            const ap_uint<16 * C::tc> packed = values.read();
            const Int<reciprocal_bits + 1> inverse = scale.range(reciprocal_bits - 1, 0).to_int();
            const int length = scale.range(31, 24).to_int();
            const int32 sum = static_cast<int32>(scale.range(63, 32).to_uint());
            int8 normal[1][C::tc];
#pragma HLS array_partition variable=normal complete dim=0
        normalize_lane:
            for (int c = 0; c < C::tc; ++c) {
#pragma HLS unroll
                const int16 x = to_int16(packed.range(16 * c + 15, 16 * c).to_uint());
                normal[0][c] =
                    normalize(x, job.channels, sum, inverse, length, gamma[column][c], beta[column][c], job.shift);
            }
            held = compact_push<1, C::tc, int8>(window, held, normal, emits[column]);
        }
        // A full word leaves at once; what is left of a token leaves in its extra cycle.
        if (held >= C::tc || (column == C::channel_tiles && held > 0)) {
            send_window<C>(job, window, emitted, token, activations);
            window_shift<1, C::tc, int8>(window, C::tc);
            held = held > C::tc ? held - C::tc : 0;
            ++emitted;
        }
        ++column;
        if (column > C::channel_tiles) {
            column = 0;
            token.advance(job.out_stride);
        }
    }
}

// Pixels become int8 by -128, and 0 becomes -127: the packed array never sees -128.
inline int8 centre_pixel(uint32 pixel) {
#pragma HLS inline
    return static_cast<int8>(pixel == 0 ? -127 : static_cast<int32>(pixel) - 128);
}

// The patches of an image, a token after the other; a mark tells the array that they are complete.
template <class C>
inline void load_patches(const NormJob &job, hls::stream<ap_uint<C::beat_bits> > &pass,
                         hls::stream<ap_uint<C::word_bits> > &activations) {
#pragma HLS inline
    constexpr int words_per_beat = C::beat_bytes / C::tk;
    ap_uint<C::beat_bits> beat = 0;
    TokenPlace<C> token(job.out_base, job.out_row);
    int k = 0;
    int part = 0;
    const int words = count_product(job.tokens, job.channels);
load_word:
    for (int word = 0; word < words; ++word) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::image_words
        VITFORGE_ITERATION("load_word", word)
        if (part == 0) {
            beat = pass.read();
        }
        const WordPlace place = {token.entry + k, token.row, whole_entry};
        int8 lanes[C::tk];
#pragma HLS array_partition variable=lanes complete dim=0
    load_lane:
        for (int lane = 0; lane < C::tk; ++lane) {
#pragma HLS unroll
            const int bit = 8 * (part * C::tk + lane);
            lanes[lane] = centre_pixel(beat.range(bit + 7, bit).to_uint());
        }
        activations.write(make_word<C>(word_store, place, lanes));
        ++part;
        ++k;
        if (part == words_per_beat || k == job.channels) {
            part = 0;
        }
        if (k == job.channels) {
            k = 0;
            token.advance(job.out_stride);
        }
    }
    activations.write(make_mark<C>(word_mark));
}

template <class C>
static void norm_output(hls::stream<ap_uint<C::beat_bits> > &pass, hls::stream<ap_uint<16 * C::tc> > &values,
                        hls::stream<ap_uint<scale_bits> > &scales,
                        hls::stream<ap_uint<C::word_bits> > &activations) {
    VITFORGE_PROCESS("norm_output")
    int16 gamma[C::channel_tiles][C::tc];
    int32 beta[C::channel_tiles][C::tc];
    bool emits[C::channel_tiles][C::tc];
#pragma HLS array_partition variable=gamma complete dim=2
#pragma HLS array_partition variable=beta complete dim=2
#pragma HLS array_partition variable=emits complete dim=2
norm_output_job:
    while (true) {
#pragma HLS loop_tripcount max=3
        uint32 words[header_words];
#pragma HLS array_partition variable=words complete dim=0
        read_header<C::beat_bits>(pass, words);
        const NormJob job = decode_norm_job(words);
        if (job.op == norm_end) {
            activations.write(make_mark<C>(word_end));
            break;
        }
        if (job.op == norm_load) {
            load_patches<C>(job, pass, activations);
        } else {
            load_records<C>(pass, gamma, beta, emits);
            normalize_tokens<C>(job, gamma, beta, emits, values, scales, activations);
        }
    }
}

}  // namespace vitforge

#endif
