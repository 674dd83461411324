// SPDX-License-Identifier: Apache-2.0
// A dataflow region in a process that calls it for each of its blocks: what the recorder is tested with.
#include "hls_stream.h"
#include "vitforge/trace.hpp"
#include "vitforge_csim/capi.hpp"
#ifdef VITFORGE_TRACE
#include "vitforge_csim/trace_api.hpp"
#endif

static void source(const int *values, int count, hls::stream<int> &header, hls::stream<int> &words) {
    VITFORGE_PROCESS("source")
    header.write(count);
source_word:
    for (int i = 0; i < count; ++i) {
        VITFORGE_ITERATION("source_word", i)
        words.write(values[i]);
    }
}

// Adds pairs: a write every second iteration.
static void pairs(hls::stream<int> &header, hls::stream<int> &words, hls::stream<int> &sums) {
    VITFORGE_PROCESS("pairs")
    const int count = header.read();
    int sum = 0;
pair_word:
    for (int i = 0; i < count; ++i) {
        VITFORGE_KIND_ITERATION("pair_word", i, i % 2 == 0 ? 0 : 2)
        sum += words.read();
        if (i % 2 == 1) {
            sums.write(sum);
            sum = 0;
        }
    }
    sums.write(-1);
}

static void sink(hls::stream<int> &sums, int *results) {
    VITFORGE_PROCESS("sink")
    int sum = sums.read();
    for (int i = 0; sum >= 0; ++i) {
        results[i] = sum;
        sum = sums.read();
    }
}

static void block(const int *values, int count, int *results) {
    VITFORGE_REGION("block")
#pragma HLS dataflow
    hls::stream<int> header("header");
    hls::stream<int> words("words");
    hls::stream<int> sums("sums");
    source(values, count, header, words);
    pairs(header, words, sums);
    sink(sums, results);
}

extern "C" {

long long run_blocks(const int *values, int count, int blocks, int *results) {
    return vitforge_csim::guarded([&]() -> long long {
        VITFORGE_PROCESS("compute")
        for (int i = 0; i < blocks; ++i) {
            block(values + i * count, count, results + i * count / 2);
        }
        return 0;
    });
}

// An operation that belongs to no process of the region.
long long run_unmarked() {
    return vitforge_csim::guarded([&]() -> long long {
        VITFORGE_REGION("region")
        hls::stream<int> words("words");
        words.write(1);
        return words.read();
    });
}

const char *vitforge_sim_error() { return vitforge_csim::last_error(); }

}  // extern "C"
