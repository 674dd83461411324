// SPDX-License-Identifier: Apache-2.0
// What a weight stream repeats for every image (descriptors, targets, column parameters) is read from DDR once a launch
// and stays on chip; the weight words alone are read again. Nothing here knows what a beat means:
//   fetch: chunks of the list -> commands, beats to keep, words
//   recall: owns the store -> for each chunk what to merge, and its entries
//   merge: entries and words -> the stream as it would be in DDR
#ifndef VITFORGE_RESIDENT_HPP
#define VITFORGE_RESIDENT_HPP

#include "hls_stream.h"
#include "vitforge/fetch.hpp"
#include "vitforge/ints.hpp"
#include "vitforge/trace.hpp"

namespace vitforge {

constexpr int command_bits = 96;  // length, entries, kind of a chunk
constexpr int merge_bits = 64;    // beats of a chunk; words before its first entry
constexpr int count_bits = 16;

// An entry is a beat, and above it the number of words that follow it in the stream.
template <class C>
struct Resident {
    static constexpr int entry_bits = C::beat_bits + count_bits;
    static constexpr int entries_per_count = C::beat_bits / count_bits;  // a beat of counts precedes so many in DDR
};

template <class C>
static void fetch_apart(const ap_uint<C::beat_bits> *list, const ap_uint<C::beat_bits> *blob, int n_steps,
                        hls::stream<ap_uint<command_bits> > &commands, hls::stream<ap_uint<C::beat_bits> > &kept,
                        hls::stream<ap_uint<C::beat_bits> > &words) {
    VITFORGE_PROCESS("fetch")
    bool more = n_steps > 0;
fetch_part:
    for (int index = 0; more; ++index) {
#pragma HLS loop_tripcount max=1024
        const Chunk chunk = read_chunk<C::beat_bits>(list, index);
        more = chunk.kind != chunk_end;
        ap_uint<command_bits> command = chunk.length;
        command.range(63, 32) = chunk.entries;
        command.range(95, 64) = chunk.kind;
        commands.write(command);
        if (chunk.kind == chunk_keep) {
            burst<C::beat_bits>(blob, chunk, kept);
        } else {
            burst<C::beat_bits>(blob, chunk, words);
        }
    }
}

// Into the store from entry `first` on: by turns a beat of counts, and the beats that they belong to.
template <class C>
inline void keep_entries(uint32 length, int first, hls::stream<ap_uint<C::beat_bits> > &kept,
                         ap_uint<Resident<C>::entry_bits> store[C::resident_entries]) {
#pragma HLS inline
    ap_uint<C::beat_bits> counts = 0;
    int part = 0;
    int at = first;
keep_beat:
    for (uint32 beat = 0; beat < length; ++beat) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::resident_entries
        VITFORGE_ITERATION("keep_beat", static_cast<int>(beat))
        const ap_uint<C::beat_bits> value = kept.read();
        if (part == 0) {
            counts = value;
        } else {
            ap_uint<Resident<C>::entry_bits> entry = value;
            entry.range(Resident<C>::entry_bits - 1, C::beat_bits) = counts.range(count_bits - 1, 0);
            store[at] = entry;
            counts = counts >> count_bits;
            ++at;
        }
        part = part == Resident<C>::entries_per_count ? 0 : part + 1;
    }
}

template <class C>
inline void send_entries(int first, int count, const ap_uint<Resident<C>::entry_bits> store[C::resident_entries],
                         hls::stream<ap_uint<Resident<C>::entry_bits> > &entries) {
#pragma HLS inline
send_entry:
    for (int entry = 0; entry < count; ++entry) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=C::resident_entries
        VITFORGE_ITERATION("send_entry", entry)
        entries.write(store[first + entry]);
    }
}

// A list keeps entries before it recalls them, so that none of an earlier launch is ever sent.
template <class C>
static void recall(int n_steps, hls::stream<ap_uint<command_bits> > &commands,
                   hls::stream<ap_uint<C::beat_bits> > &kept, hls::stream<ap_uint<merge_bits> > &merges,
                   hls::stream<ap_uint<Resident<C>::entry_bits> > &entries) {
    VITFORGE_PROCESS(C::has_attention ? "nsa_recall" : "nmp_recall")
    static ap_uint<Resident<C>::entry_bits> store[C::resident_entries];
#pragma HLS bind_storage variable=store type=ram_s2p impl=uram
    bool more = n_steps > 0;
recall_chunk:
    while (more) {
#pragma HLS loop_tripcount max=1024
        const ap_uint<command_bits> command = commands.read();
        const uint32 length = command.range(31, 0).to_uint();
        const int first = command.range(47, 32).to_int();
        const int count = command.range(63, 48).to_int();
        const int kind = command.range(95, 64).to_int();
        more = kind != chunk_end;
        if (kind == chunk_keep) {
            keep_entries<C>(length, first, kept, store);
        } else {
            ap_uint<merge_bits> merge = length + static_cast<uint32>(count);
            merge.range(63, 32) = kind == chunk_recall ? 0 : length;
            merges.write(merge);
            send_entries<C>(first, count, store, entries);
        }
    }
}

// A chunk, of `length` beats: words until an entry is due, which says how many follow it.
template <class C>
static void merge_chunk(uint32 length, uint32 words_first, hls::stream<ap_uint<Resident<C>::entry_bits> > &entries,
                        hls::stream<ap_uint<C::beat_bits> > &words, hls::stream<ap_uint<C::beat_bits> > &beats) {
    VITFORGE_PROCESS("merge_chunk")
    uint32 left = words_first;
merge_beat:
    for (uint32 beat = 0; beat < length; ++beat) {
#pragma HLS pipeline II=1
#pragma HLS loop_tripcount max=65536
        VITFORGE_ITERATION("merge_beat", static_cast<int>(beat))
        ap_uint<C::beat_bits> value = 0;
        if (left == 0) {
            const ap_uint<Resident<C>::entry_bits> entry = entries.read();
            value = entry.range(C::beat_bits - 1, 0);
            left = entry.range(Resident<C>::entry_bits - 1, C::beat_bits).to_uint();
        } else {
            value = words.read();
            --left;
        }
        beats.write(value);
    }
}

template <class C>
static void merge(int n_steps, hls::stream<ap_uint<merge_bits> > &merges,
                  hls::stream<ap_uint<Resident<C>::entry_bits> > &entries,
                  hls::stream<ap_uint<C::beat_bits> > &words, hls::stream<ap_uint<C::beat_bits> > &beats) {
    VITFORGE_PROCESS(C::has_attention ? "nsa_merge" : "nmp_merge")
    bool more = n_steps > 0;
merge_part:
    while (more) {
#pragma HLS loop_tripcount max=1024
        const ap_uint<merge_bits> chunk = merges.read();
        const uint32 length = chunk.range(31, 0).to_uint();
        more = length != 0;
        if (more) {
            merge_chunk<C>(length, chunk.range(63, 32).to_uint(), entries, words, beats);
        }
    }
}

}  // namespace vitforge

#endif
