// SPDX-License-Identifier: Apache-2.0
// Dot products of a query with the rows that it is told, a word of two key rows a cycle (A3, section III-A, module 1).
#ifndef VITFORGE_A3_DOT_HPP
#define VITFORGE_A3_DOT_HPP

#include "vitforge/a3/pair_dot.hpp"
#include "vitforge/a3/rows.hpp"
#include "vitforge/a3/storage.hpp"

namespace vitforge {
namespace a3 {

// Dot products of up to two rows, what came with these, and the lane of their query.
template <class C>
struct DotToken {
    static constexpr int rows = ports * C::dot_bits;
    static constexpr int present = rows + RowToken<C>::present;
    static constexpr int last = rows + RowToken<C>::last;
    static constexpr int lane = rows + RowToken<C>::bits;
    static constexpr int bits = lane + 1;
    static inline ap_uint<bits> make(const Int<C::dot_bits> sum[ports], const ap_uint<RowToken<C>::bits> &token,
                                     int lane_of_query) {
#pragma HLS inline
        ap_uint<bits> word = 0;
        set_field<C::dot_bits>(word, 0, sum[0]);
        set_field<C::dot_bits>(word, C::dot_bits, sum[1]);
        word.range(lane - 1, rows) = token;
        set_field<1>(word, lane, lane_of_query);
        return word;
    }
};

// Rows as they come, beat by beat: a bank for each beat of a word.
template <class C>
static void load_rows(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &beats,
                      Int<C::code_bits> memory[C::row_words * C::n_max][C::width / C::per_beat][C::per_beat]) {
    constexpr int word_beats = C::width / C::per_beat;
    const int last_beat = row_beats<C>(launch) - 1;
    const int total = count_product(launch.n, last_beat + 1);
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

// A word of up to two rows of `lane`, times the query of that lane, which comes with its first rows. Returns whether a
// query is done.
template <class C, int Lanes>
inline bool dot_word(const Launch &launch, const ap_uint<RowToken<C>::bits> &token, int lane, int &word,
                     const Int<C::code_bits> key[C::row_words * C::n_max][C::width / C::per_beat][C::per_beat],
                     hls::stream<ap_uint<C::word_bits> > &query_words,
                     Int<C::code_bits> query[Lanes][C::row_words][C::width], bool is_running[Lanes],
                     Int<C::dot_bits> sum[ports], hls::stream<ap_uint<DotToken<C>::bits> > &dots) {
#pragma HLS inline
    if (!is_running[lane]) {
        const ap_uint<C::word_bits> codes = query_words.read();
    dot_query:
        for (int e = 0; e < C::width; ++e) {
#pragma HLS unroll
            query[lane][word][e] = get_signed<C::code_bits>(codes, C::code_bits * e);
        }
    }
    const int lower = static_cast<int>(get_field<C::row_bits>(token, 0)) * C::row_words + word;
    const int upper = static_cast<int>(get_field<C::row_bits>(token, C::row_bits)) * C::row_words + word;
    Int<C::dot_bits> part[ports];
    PairDot<C, (C::packing_depth > 0)>::word(key[lower], key[upper], query[lane][word], part);
    sum[0] = word == 0 ? part[0] : static_cast<Int<C::dot_bits> >(sum[0] + part[0]);
    sum[1] = word == 0 ? part[1] : static_cast<Int<C::dot_bits> >(sum[1] + part[1]);
    if (word != row_words<C>(launch) - 1) {
        ++word;
        return false;
    }
    const bool is_last = get_field<1>(token, RowToken<C>::last) != 0;
    dots.write(DotToken<C>::make(sum, token, lane));
    is_running[lane] = !is_last;
    word = 0;
    return is_last;
}

// All rows of a query, then those of the next one.
template <class C, int Unit>
static void dot(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &key_beats,
                hls::stream<ap_uint<C::word_bits> > &query_words, hls::stream<ap_uint<RowToken<C>::bits> > &rows,
                hls::stream<ap_uint<DotToken<C>::bits> > &dots) {
    VITFORGE_PROCESS("dot")
    static Int<C::code_bits> key[C::row_words * C::n_max][C::width / C::per_beat][C::per_beat];
#pragma HLS array_partition variable=key complete dim=2
#pragma HLS array_reshape variable=key complete dim=3
    VITFORGE_A3_BIND_KEY
    if (is_loaded(launch, Unit)) {
        load_rows<C>(launch, key_beats, key);
    }
    Int<C::code_bits> query[1][C::row_words][C::width];
    Int<C::dot_bits> sum[ports] = {0, 0};
    bool is_running[1] = {false};
#pragma HLS array_partition variable=query complete dim=0
#pragma HLS array_partition variable=sum complete dim=0
    const int queries = unit_queries<C>(launch, Unit);
    int done = 0;
    int word = 0;
    ap_uint<RowToken<C>::bits> token = 0;
dot_word:
    for (int i = 0; done < queries; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("dot_word", i, 1 + (done & 1))
        if (word == 0) {
            token = rows.read();
        }
        const bool is_last =
            dot_word<C, 1>(launch, token, 0, word, key, query_words, query, is_running, sum, dots);
        done = is_last ? done + 1 : done;
    }
}

// Rows of both queries of a pair, two of one and two of the other as long as both have some: selection finds at most a
// row a cycle for either of them.
template <class C, int Unit>
static void dot_pairs(const Launch &launch, hls::stream<ap_uint<C::beat_bits> > &key_beats,
                      hls::stream<ap_uint<C::word_bits> > &query_words,
                      hls::stream<ap_uint<RowToken<C>::bits> > &rows_0,
                      hls::stream<ap_uint<RowToken<C>::bits> > &rows_1,
                      hls::stream<ap_uint<DotToken<C>::bits> > &dots) {
    VITFORGE_PROCESS("dot")
    static Int<C::code_bits> key[C::row_words * C::n_max][C::width / C::per_beat][C::per_beat];
#pragma HLS array_partition variable=key complete dim=2
#pragma HLS array_reshape variable=key complete dim=3
    VITFORGE_A3_BIND_KEY
    if (is_loaded(launch, Unit)) {
        load_rows<C>(launch, key_beats, key);
    }
    Int<C::code_bits> query[lanes][C::row_words][C::width];
    Int<C::dot_bits> sum[ports] = {0, 0};
    bool is_running[lanes] = {false, false};
#pragma HLS array_partition variable=query complete dim=0
#pragma HLS array_partition variable=sum complete dim=0
#pragma HLS array_partition variable=is_running complete dim=0
    const int pairs = queries_of<C>(launch, Unit, 0);
    const int doubles = queries_of<C>(launch, Unit, 1);
    int pair = 0;
    int lane = 0;
    int word = 0;
    bool is_alone = doubles == 0;  // the other lane has no more rows of this pair
    ap_uint<RowToken<C>::bits> token = 0;
dot_word:
    for (int i = 0; pair < pairs; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=65536
        VITFORGE_KIND_ITERATION("dot_word", i, 3 + (pair & 1))
        if (word == 0) {
            token = lane == 0 ? rows_0.read() : rows_1.read();
        }
        const bool is_last =
            dot_word<C, lanes>(launch, token, lane, word, key, query_words, query, is_running, sum, dots);
        if (is_last && is_alone) {
            ++pair;
            lane = 0;
            is_alone = pair >= doubles;
        } else if (word == 0) {
            lane = is_alone ? lane : 1 - lane;
            is_alone = is_alone || is_last;
        }
    }
}

}  // namespace a3
}  // namespace vitforge

#endif
