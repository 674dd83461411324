// SPDX-License-Identifier: Apache-2.0
// What a recording holds, and its form as one buffer of words (read by generator/vitforge/timing/recording.py).
#ifndef VITFORGE_CSIM_TRACE_LOG_HPP
#define VITFORGE_CSIM_TRACE_LOG_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace vitforge_csim {

constexpr std::uint32_t trace_magic = 0x43525456;  // "VTRC"
constexpr std::uint32_t trace_version = 1;

// Iterations are (loop, pattern); operations (pattern, 0); calls (node, log).
enum TraceKind : std::uint32_t { trace_iterations, trace_first, trace_operations, trace_call };

struct TraceEvent {
    std::uint32_t kind;
    std::uint32_t a;
    std::uint32_t b;
    std::uint32_t count;

    bool is(std::uint32_t kind_, std::uint32_t a_, std::uint32_t b_) const {
        return kind == kind_ && a == a_ && b == b_ && count != UINT32_MAX;
    }
};

// The stream operations of one iteration, sorted.
struct TracePattern {
    int kind;
    std::vector<std::uint32_t> reads;
    std::vector<std::uint32_t> writes;

    bool operator==(const TracePattern &other) const {
        return kind == other.kind && reads == other.reads && writes == other.writes;
    }
    std::string key() const {
        std::string text = std::to_string(kind) + ":";
        for (const std::uint32_t stream : reads) {
            text += std::to_string(stream) + "r";
        }
        for (const std::uint32_t stream : writes) {
            text += std::to_string(stream) + "w";
        }
        return text;
    }
};

struct TraceNode {
    std::string name;
    int parent;
    int ordinal;
    bool is_region;
};

struct TraceStream {
    std::string name;
    int owner;
    int ordinal;
};

struct TraceLog {
    std::uint32_t node;
    std::vector<TraceEvent> events;
};

struct TraceRecording {
    std::vector<std::string> loops;
    std::vector<TraceNode> nodes;
    std::vector<TraceStream> streams;
    std::vector<TracePattern> patterns;
    std::vector<TraceLog> logs;
};

inline void append_names(const TraceRecording &recording, std::vector<std::uint32_t> &words) {
    std::string text;
    for (const std::string &name : recording.loops) {
        text += name + '\0';
    }
    for (const TraceNode &node : recording.nodes) {
        text += node.name + '\0';
    }
    for (const TraceStream &stream : recording.streams) {
        text += stream.name + '\0';
    }
    for (std::size_t i = 0; i < text.size(); i += 4) {
        std::uint32_t word = 0;
        for (std::size_t j = i; j < i + 4 && j < text.size(); ++j) {
            word |= static_cast<std::uint32_t>(static_cast<unsigned char>(text[j])) << (8 * (j - i));
        }
        words.push_back(word);
    }
}

// Header of 8 words, nodes (parent, ordinal, is_region), streams (owner, ordinal), patterns (kind, reads, writes, the
// streams), logs (node, events, then 4 words an event), names ended by zeros: loops, nodes, streams.
inline std::vector<std::uint32_t> serialise(const TraceRecording &recording, std::uint32_t root_log) {
    const auto size = [](std::size_t count) { return static_cast<std::uint32_t>(count); };
    std::vector<std::uint32_t> words = {trace_magic,
                                        trace_version,
                                        size(recording.loops.size()),
                                        size(recording.nodes.size()),
                                        size(recording.streams.size()),
                                        size(recording.patterns.size()),
                                        size(recording.logs.size()),
                                        root_log};
    for (const TraceNode &node : recording.nodes) {
        words.push_back(static_cast<std::uint32_t>(node.parent));
        words.push_back(static_cast<std::uint32_t>(node.ordinal));
        words.push_back(node.is_region ? 1 : 0);
    }
    for (const TraceStream &stream : recording.streams) {
        words.push_back(static_cast<std::uint32_t>(stream.owner));
        words.push_back(static_cast<std::uint32_t>(stream.ordinal));
    }
    for (const TracePattern &pattern : recording.patterns) {
        words.push_back(static_cast<std::uint32_t>(pattern.kind));
        words.push_back(size(pattern.reads.size()));
        words.push_back(size(pattern.writes.size()));
        words.insert(words.end(), pattern.reads.begin(), pattern.reads.end());
        words.insert(words.end(), pattern.writes.begin(), pattern.writes.end());
    }
    for (const TraceLog &log : recording.logs) {
        words.push_back(log.node);
        words.push_back(size(log.events.size()));
        for (const TraceEvent &event : log.events) {
            words.insert(words.end(), {event.kind, event.a, event.b, event.count});
        }
    }
    append_names(recording, words);
    return words;
}

}  // namespace vitforge_csim

#endif
