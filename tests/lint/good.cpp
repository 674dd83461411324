// SPDX-License-Identifier: Apache-2.0
// A small kernel that keeps every rule. Tests change one place of it at a time.
#include "ap_int.h"
#include "hls_stream.h"
#include "sizes.hpp"

typedef ap_uint<32> word_t;

static short low_half(const word_t &word) {
#pragma HLS inline
    return static_cast<short>(word.range(15, 0).to_uint());
}

static void load(const int *memory, int n, hls::stream<word_t> &words, int counts[2]) {
load_word:
    for (int i = 0; i < n; ++i) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=1024
        words.write(static_cast<unsigned int>(memory[i]));
    }
    counts[0] = n;
    counts[1] = n;
}

template <int LANES>
static void scale(hls::stream<word_t> &words, const int counts[2], hls::stream<word_t> &scaled) {
    int bank[LANES][depth];
#pragma HLS array_partition variable=bank type=complete dim=1
#pragma HLS bind_storage variable=bank type=ram_s2p impl=lutram
    const int n = counts[0];
scale_word:
    for (int i = 0; i < n; ++i) {
#pragma HLS pipeline II=1 style=flp
#pragma HLS loop_tripcount max=1024
        const word_t word = words.read();
        int sum = 0;
    scale_lane:
        for (int lane = 0; lane < LANES; ++lane) {
#pragma HLS unroll
            bank[lane][i % depth] = low_half(word) * static_cast<short>(i);
            sum += bank[lane][(i + 1) % depth];
        }
        scaled.write(static_cast<unsigned int>(sum));
    }
}

static void store(int n, hls::stream<word_t> &scaled, hls::stream<word_t> &results) {
store_word:
    for (int i = 0; i < n; ++i) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=1024
        results.write(scaled.read());
    }
}

static void run(const int *memory, int n, hls::stream<word_t> &results) {
#pragma HLS dataflow
    hls::stream<word_t> words("words");
#pragma HLS stream variable=words depth=4
    hls::stream<word_t> scaled("scaled");
#pragma HLS stream variable=scaled depth=4
    int counts[2];
    load(memory, n, words, counts);
    scale<4>(words, counts, scaled);
    store(n, scaled, results);
}

extern "C" void small_top(const int memory[1024], int n, hls::stream<word_t> &results) {
#pragma HLS interface mode=m_axi port=memory bundle=gmem offset=slave depth=1024
#pragma HLS interface mode=s_axilite port=memory bundle=control
#pragma HLS interface mode=s_axilite port=n bundle=control
#pragma HLS interface mode=axis port=results
#pragma HLS interface mode=s_axilite port=return bundle=control
    run(memory, n, results);
}
