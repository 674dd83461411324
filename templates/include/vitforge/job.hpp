// SPDX-License-Identifier: Apache-2.0
// Descriptors that travel in the weight streams: what an engine does next, as data.
#ifndef VITFORGE_JOB_HPP
#define VITFORGE_JOB_HPP

#include "hls_stream.h"
#include "vitforge/ints.hpp"
#include "vitforge/trace.hpp"

namespace vitforge {

constexpr int header_words = 8;  // 32-bit words of every descriptor

enum ArrayOp { array_end = 0, array_linear = 1, array_score = 2, array_context = 3 };
enum NormOp { norm_end = 0, norm_layer = 1, norm_load = 2, norm_features = 3 };
enum Destination { to_left = 0, to_key = 1, to_value = 2, to_residual = 3, to_logits = 4, to_scores = 5 };

template <int BEAT_BITS>
inline void read_header(hls::stream<ap_uint<BEAT_BITS> > &beats, uint32 words[header_words]) {
#pragma HLS inline
    constexpr int per_beat = BEAT_BITS / 32;
header_beat:
    for (int beat = 0; beat < header_words / per_beat; ++beat) {
#pragma HLS pipeline II=1
        VITFORGE_ITERATION("header_beat", beat)
        const ap_uint<BEAT_BITS> value = beats.read();
    header_word:
        for (int word = 0; word < per_beat; ++word) {
#pragma HLS unroll
            words[beat * per_beat + word] = value.range(32 * word + 31, 32 * word).to_uint();
        }
    }
}

template <int BEAT_BITS>
inline void write_header(const uint32 words[header_words], hls::stream<ap_uint<BEAT_BITS> > &beats) {
#pragma HLS inline
    constexpr int per_beat = BEAT_BITS / 32;
write_beat:
    for (int beat = 0; beat < header_words / per_beat; ++beat) {
#pragma HLS pipeline II=1
        VITFORGE_ITERATION("write_beat", beat)
        ap_uint<BEAT_BITS> value = 0;
    write_word:
        for (int word = 0; word < per_beat; ++word) {
#pragma HLS unroll
            value.range(32 * word + 31, 32 * word) = words[beat * per_beat + word];
        }
        beats.write(value);
    }
}

inline int low_half(uint32 word) {
#pragma HLS inline
    return static_cast<int>(word & 0xffff);
}

inline int high_half(uint32 word) {
#pragma HLS inline
    return static_cast<int>(word >> 16);
}

inline bool bit_of(uint32 word, int bit) {
#pragma HLS inline
    return ((word >> bit) & 1) != 0;
}

// One job of a MAC array. Addresses count memory entries (all tokens of a tile, tk values each).
struct ArrayJob {
    int op;
    bool has_gelu;
    bool ends_step;
    bool by_token;     // results leave a token a cycle: to the residual, to which they are added, or to the host
    bool replaces;     // results replace the residual
    bool spares;       // results go to the spare row of the residual
    bool loads;        // the activations that arrive may be stored meanwhile
    bool fast;         // as many as come: their sender keeps pace
    int slow;          // else one every 2 + slow cycles: layer norm sends fewer where channels are pruned
    bool waits;        // a whole section of them must be there first
    bool has_first;    // the first weight tile came with the job before
    bool first_half;   // half of the weight buffer that holds it
    bool sparse;       // 2:4 weights: a step takes two k tiles, and tk of their weights with the places of these
    bool next_sparse;  // the same of the next linear job
    int next_k_tiles;  // of the first weight tile of the next linear job; 0: it comes with that job
    int k_tiles;  // steps of the reduction
    int column_tiles;
    int token_tiles;
    int seq_len;  // tokens that count: keys of softmax, rows of the residual, images of the class head
    int src_base, src_stride;
    int mult, shift;
    int right_base, right_stride;
    int dst_base, dst_stride;
    int drains;  // cycles in which a finished tile leaves
    uint32 context_scale;  // mult | shift << 16, on its way to softmax
};

template <class C>
inline ArrayJob decode_array_job(const uint32 words[header_words]) {
#pragma HLS inline
    ArrayJob job;
    job.op = static_cast<int>(words[0] & 0xff);
    job.has_gelu = bit_of(words[0], 8);
    job.ends_step = bit_of(words[0], 9);
    job.by_token = bit_of(words[0], 10);
    job.replaces = bit_of(words[0], 11);
    job.spares = bit_of(words[0], 12);
    job.loads = bit_of(words[0], 13);
    job.waits = bit_of(words[0], 14);
    job.has_first = bit_of(words[0], 15);
    job.first_half = bit_of(words[0], 16);
    job.fast = bit_of(words[0], 17);
    job.sparse = C::sparse && bit_of(words[0], 18);
    job.next_sparse = C::sparse && bit_of(words[0], 19);
    job.slow = static_cast<int>((words[0] >> 20) & 0xf);
    job.k_tiles = low_half(words[1]);
    job.column_tiles = high_half(words[1]);
    job.token_tiles = low_half(words[2]);
    job.seq_len = high_half(words[2]);
    job.src_base = low_half(words[3]);
    job.src_stride = high_half(words[3]);
    job.mult = low_half(words[4]);
    job.shift = high_half(words[4]);
    job.right_base = low_half(words[5]);
    job.right_stride = high_half(words[5]);
    job.dst_base = low_half(words[6]);
    job.dst_stride = high_half(words[6]);
    job.drains = job.dst_stride;  // a linear job's destinations come with its column tiles
    job.next_k_tiles = job.op == array_linear ? low_half(words[7]) : 0;
    job.context_scale = words[7];
    return job;
}

// An engine without attention has only linear jobs: what serves the others is not built.
template <class C>
inline bool is_linear(const ArrayJob &job) {
#pragma HLS inline
    return !C::has_attention || job.op == array_linear;
}

template <class C>
inline bool is_context(const ArrayJob &job) {
#pragma HLS inline
    return C::has_attention && job.op == array_context;
}

}  // namespace vitforge

#endif
