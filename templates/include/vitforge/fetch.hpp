// SPDX-License-Identifier: Apache-2.0
// DDR traffic: one fetcher a unit walks its chunk list and streams the beats; one writer stores the logits.
#ifndef VITFORGE_FETCH_HPP
#define VITFORGE_FETCH_HPP

#include "hls_stream.h"
#include "vitforge/ints.hpp"
#include "vitforge/trace.hpp"

namespace vitforge {

constexpr int chunk_bytes = 16;  // offset [beats], length [beats], kind, entries of a resident store

// The end of a list; a piece of the blob, of the images; entries to keep on chip, words to put between kept entries.
enum ChunkKind { chunk_end = 0, chunk_blob = 1, chunk_images = 2, chunk_keep = 3, chunk_recall = 4 };

struct Chunk {
    uint32 offset;
    uint32 length;
    int kind;
    uint32 entries;  // first, number << 16
};

template <int BEAT_BITS>
inline Chunk read_chunk(const ap_uint<BEAT_BITS> *list, int index) {
#pragma HLS inline
    constexpr int beats = chunk_bytes * 8 / BEAT_BITS;
    uint32 words[chunk_bytes / 4];
#pragma HLS array_partition variable=words complete dim=0
chunk_beat:
    for (int beat = 0; beat < beats; ++beat) {
#pragma HLS pipeline II=1
        VITFORGE_ITERATION("chunk_beat", beat)
        const ap_uint<BEAT_BITS> value = list[index * beats + beat];
    chunk_word:
        for (int word = 0; word < BEAT_BITS / 32; ++word) {
#pragma HLS unroll
            words[beat * (BEAT_BITS / 32) + word] = value.range(32 * word + 31, 32 * word).to_uint();
        }
    }
    Chunk chunk = {words[0], words[1], static_cast<int>(words[2]), words[3]};
    return chunk;
}

template <int BEAT_BITS>
inline void burst(const ap_uint<BEAT_BITS> *memory, const Chunk &chunk, hls::stream<ap_uint<BEAT_BITS> > &beats) {
#pragma HLS inline
burst_beat:
    for (uint32 beat = 0; beat < chunk.length; ++beat) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=65536
        VITFORGE_ITERATION("burst_beat", static_cast<int>(beat))
        beats.write(memory[chunk.offset + beat]);
    }
}

// Streams the chunks of a list until its end.
template <int BEAT_BITS>
static void fetch(const ap_uint<BEAT_BITS> *list, const ap_uint<BEAT_BITS> *blob, int n_steps,
                  hls::stream<ap_uint<BEAT_BITS> > &beats) {
    VITFORGE_PROCESS("fetch")
    bool more = n_steps > 0;
fetch_chunk:
    for (int index = 0; more; ++index) {
#pragma HLS loop_tripcount max=1024
        const Chunk chunk = read_chunk<BEAT_BITS>(list, index);
        more = chunk.kind != chunk_end;
        burst<BEAT_BITS>(blob, chunk, beats);
    }
}

// The same for the unit that also loads images.
template <int BEAT_BITS>
static void fetch_with_images(const ap_uint<BEAT_BITS> *list, const ap_uint<BEAT_BITS> *blob,
                              const ap_uint<BEAT_BITS> *images, int n_steps, hls::stream<ap_uint<BEAT_BITS> > &beats) {
    VITFORGE_PROCESS("fetch")
    bool more = n_steps > 0;
fetch_image_chunk:
    for (int index = 0; more; ++index) {
#pragma HLS loop_tripcount max=1024
        const Chunk chunk = read_chunk<BEAT_BITS>(list, index);
        more = chunk.kind != chunk_end;
        if (chunk.kind == chunk_images) {
            burst<BEAT_BITS>(images, chunk, beats);
        } else {
            burst<BEAT_BITS>(blob, chunk, beats);
        }
    }
}

// Results: words of TC logits, or features.
template <int TC>
static void store_logits(hls::stream<ap_uint<32 * TC> > &logits, int images, int image_words,
                         int32 *memory) {
    VITFORGE_PROCESS("store_logits")
    const int words = count_product(images, image_words);
store_word:
    for (int word = 0; word < words; ++word) {
#pragma HLS loop_tripcount max=1024
        const ap_uint<32 * TC> value = logits.read();
    store_class:
        for (int c = 0; c < TC; ++c) {
#pragma HLS pipeline II=1
            VITFORGE_ITERATION("store_class", c)
            memory[word * TC + c] = static_cast<int32>(value.range(32 * c + 31, 32 * c).to_uint());
        }
    }
}

}  // namespace vitforge

#endif
