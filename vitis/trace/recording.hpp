// SPDX-License-Identifier: Apache-2.0
// A recording as the solver walks it. Its layout is that of generator/vitforge/timing/solver.py.
#ifndef VITFORGE_TRACE_RECORDING_HPP
#define VITFORGE_TRACE_RECORDING_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace vitforge_trace {

enum Kind : std::uint32_t { iterations, first_iterations, operations, call };

// Iterations: (loop, pattern); operations: (pattern, 0); call: (node, log). `slot` counts iterations of a node.
struct Event {
    std::uint32_t kind;
    std::uint32_t a;
    std::uint32_t b;
    std::uint32_t count;
    std::uint32_t slot;

    std::uint32_t pattern() const { return kind == operations ? a : b; }
};

// `count` operations of a step on one stream.
struct Access {
    std::uint32_t stream;
    int count;
};

struct Pattern {
    int kind;
    std::vector<Access> reads;
    std::vector<Access> writes;
};

struct Node {
    int parent;
    bool is_region;
    bool is_watched;
};

struct Log {
    std::uint32_t node;
    std::uint32_t begin;
    std::uint32_t end;
};

struct Loop {
    std::int64_t interval;
    std::int64_t depth;
    bool is_memory;
};

// Iterations are counted for every (node, loop, kind).
struct Slot {
    std::uint32_t node;
    std::uint32_t loop;
    int kind;
};

struct Recording {
    std::vector<Node> nodes;
    std::vector<Loop> loops;
    std::vector<std::int64_t> capacities;
    std::vector<std::int64_t> latencies;
    std::vector<Pattern> patterns;
    std::vector<Log> logs;
    std::vector<Event> events;
    std::vector<Slot> slots;
    std::uint32_t root_log;
};

inline std::vector<Access> grouped(const std::uint32_t *streams, std::uint32_t count) {
    std::vector<Access> accesses;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (!accesses.empty() && accesses.back().stream == streams[i]) {
            ++accesses.back().count;
        } else {
            accesses.push_back({streams[i], 1});
        }
    }
    return accesses;
}

// Numbers the (node, loop, kind) that occur.
inline void assign_slots(Recording &recording) {
    std::map<std::pair<std::pair<std::uint32_t, std::uint32_t>, int>, std::uint32_t> numbers;
    for (const Log &log : recording.logs) {
        for (std::uint32_t i = log.begin; i < log.end; ++i) {
            Event &event = recording.events[i];
            if (event.kind > first_iterations) {
                continue;
            }
            const int kind = recording.patterns[event.b].kind;
            const std::uint32_t number = static_cast<std::uint32_t>(recording.slots.size());
            const auto added = numbers.insert({{{log.node, event.a}, kind}, number});
            if (added.second) {
                recording.slots.push_back({log.node, event.a, kind});
            }
            event.slot = added.first->second;
        }
    }
}

// The words of a recording without its names: header, nodes, streams, patterns, logs.
inline Recording read_recording(const std::uint32_t *words) {
    Recording recording;
    const std::uint32_t *at = words + 8;
    recording.root_log = words[7];
    for (std::uint32_t i = 0; i < words[3]; ++i, at += 3) {
        recording.nodes.push_back({static_cast<int>(at[0]), at[2] != 0, false});
    }
    at += 2 * words[4];
    for (std::uint32_t i = 0; i < words[5]; ++i) {
        const std::uint32_t *streams = at + 3;
        recording.patterns.push_back(
            {static_cast<int>(at[0]), grouped(streams, at[1]), grouped(streams + at[1], at[2])});
        at = streams + at[1] + at[2];
    }
    for (std::uint32_t i = 0; i < words[6]; ++i) {
        const std::uint32_t begin = static_cast<std::uint32_t>(recording.events.size());
        recording.logs.push_back({at[0], begin, begin + at[1]});
        const std::uint32_t *end = at + 2 + 4 * static_cast<std::size_t>(at[1]);
        for (at += 2; at < end; at += 4) {
            recording.events.push_back({at[0], at[1], at[2], at[3], 0});
        }
    }
    assign_slots(recording);
    return recording;
}

}  // namespace vitforge_trace

#endif
