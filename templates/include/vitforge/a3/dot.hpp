// SPDX-License-Identifier: Apache-2.0
// Dot products of a pair of queries with the rows that it is told, a key word a cycle (A3, section III-A, module 1).
#ifndef VITFORGE_A3_DOT_HPP
#define VITFORGE_A3_DOT_HPP

#include "vitforge/a3/pair_dot.hpp"
#include "vitforge/a3/scan.hpp"
#include "vitforge/a3/storage.hpp"

namespace vitforge {
namespace a3 {

// A row's dot product for a lane; not there if it is a candidate of the other lane alone.
template <class C>
struct DotToken {
    static constexpr int row = C::dot_bits;
    static constexpr int present = row + C::row_bits;
    static constexpr int last = present + 1;
    static constexpr int bits = last + 1;
    static inline ap_uint<bits> make(int32 sum, int32 index, bool is_present, bool is_last) {
#pragma HLS inline
        ap_uint<bits> token = 0;
        set_field<C::dot_bits>(token, 0, sum);
        set_field<C::row_bits>(token, row, index);
        set_field<1>(token, present, is_present);
        set_field<1>(token, last, is_last);
        return token;
    }
};

// Rows as they come, beat by beat: a bank for each beat of a word.
template <class C>
static void load_rows(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &beats,
                      Int<C::code_bits> memory[C::row_words * C::n_max][C::width / C::per_beat][C::per_beat]) {
    constexpr int word_beats = C::width / C::per_beat;
    const int last_beat = row_beats<C>(launch) - 1;
    const int total = launch.n * (last_beat + 1);
    int beat = 0;
    int part = 0;
    int row = 0;
    int word = 0;
load_beat:
    for (int i = 0; i < total; ++i) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=16384
        VITFORGE_ITERATION("load_beat", i)
        const ap_uint<C::beat_bits> value = beats.read();
    load_element:
        for (int e = 0; e < C::per_beat; ++e) {
#pragma HLS unroll
            memory[row + word][part][e] = get_code<C>(value, e);
        }
        const bool ends = beat == last_beat;
        row = ends ? row + C::row_words : row;
        word = ends ? 0 : part == word_beats - 1 ? word + 1 : word;
        part = ends || part == word_beats - 1 ? 0 : part + 1;
        beat = ends ? 0 : beat + 1;
    }
}

template <class C, int Unit>
static void dot(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &key_beats,
                hls::stream<ap_uint<C::pair_bits> > &pair_words, hls::stream<ap_uint<RowToken<C>::bits> > &rows,
                hls::stream<ap_uint<DotToken<C>::bits> > &dots_0, hls::stream<ap_uint<DotToken<C>::bits> > &dots_1) {
    VITFORGE_PROCESS("dot")
    static Int<C::code_bits> key[C::row_words * C::n_max][C::width / C::per_beat][C::per_beat];
#pragma HLS array_partition variable=key complete dim=2
#pragma HLS array_reshape variable=key complete dim=3
    VITFORGE_A3_BIND_KEY
    if (is_loaded(launch, Unit)) {
        load_rows<C>(launch, key_beats, key);
    }
    Int<C::code_bits> query[C::row_words][lanes][C::width];
    Int<C::dot_bits> sum[lanes] = {0, 0};
#pragma HLS array_partition variable=query complete dim=0
#pragma HLS array_partition variable=sum complete dim=0
    const int pairs = queries_of<C>(launch, Unit, 0);
    const int doubles = queries_of<C>(launch, Unit, 1);
    const int last_word = row_words<C>(launch) - 1;
    int pair = 0;
    int word = 0;
    bool is_fresh = true;  // the first row of a pair: its queries come along
    ap_uint<RowToken<C>::bits> token = 0;
dot_word:
    for (int i = 0; pair < pairs; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("dot_word", i, 1 + (pair & 1))
        if (word == 0) {
            token = rows.read();
        }
        if (is_fresh) {
            const ap_uint<C::pair_bits> codes = pair_words.read();
        dot_query:
            for (int e = 0; e < lanes * C::width; ++e) {
#pragma HLS unroll
                query[word][e / C::width][e % C::width] = get_signed<C::code_bits>(codes, C::code_bits * e);
            }
        }
        const int row = static_cast<int>(get_field<C::row_bits>(token, 0));
        Int<C::dot_bits> part[lanes];
        PairDot<C, (C::packing_depth > 0)>::word(query[word][0], query[word][1], key[row * C::row_words + word], part);
        sum[0] = word == 0 ? part[0] : static_cast<Int<C::dot_bits> >(sum[0] + part[0]);
        sum[1] = word == 0 ? part[1] : static_cast<Int<C::dot_bits> >(sum[1] + part[1]);
        if (word == last_word) {
            const bool is_last = get_field<1>(token, RowToken<C>::last) != 0;
            const uint32 mask = get_field<lanes>(token, RowToken<C>::lane_mask);
            dots_0.write(DotToken<C>::make(sum[0], row, (mask & 1) != 0, is_last));
            if (pair < doubles) {
                dots_1.write(DotToken<C>::make(sum[1], row, (mask & 2) != 0, is_last));
            }
            is_fresh = is_last;
            pair = is_last ? pair + 1 : pair;
            word = 0;
        } else {
            ++word;
        }
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
