// SPDX-License-Identifier: Apache-2.0
// What is counted while a recording is solved: cycles, iterations and waits within a window, and slices of a timeline.
#ifndef VITFORGE_TRACE_TALLY_HPP
#define VITFORGE_TRACE_TALLY_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vitforge_trace {

enum Cause { stream_empty, stream_full, memory_wait, causes };

struct Window {
    std::int64_t begin;
    std::int64_t end;

    std::int64_t overlap(std::int64_t from, std::int64_t to) const {
        return std::max<std::int64_t>(0, std::min(end, to) - std::max(begin, from));
    }
    // Of the cycles from, from + interval, ... (count of them).
    std::int64_t contains(std::int64_t from, std::int64_t interval, std::int64_t count) const {
        const auto before = [&](std::int64_t cycle) {
            return cycle <= from ? 0 : std::min(count, (cycle - from + interval - 1) / interval);
        };
        return before(end) - before(begin);
    }
};

struct NodeTally {
    std::int64_t start = -1;
    std::int64_t end = 0;
    std::int64_t invocations = 0;
    std::int64_t active = 0;
    std::int64_t busy = 0;
    std::array<std::int64_t, causes> stalls = {{0, 0, 0}};
};

struct Invocation {
    std::uint32_t node;
    std::int64_t start;
    std::int64_t end;
};

// Of a loop (its slot) or, with `is_call`, of a block.
struct Slice {
    bool is_call;
    std::uint32_t what;
    std::int64_t start;
    std::int64_t end;
};

class Tally {
  public:
    Tally(const Window &window, bool slices, std::size_t nodes, std::size_t streams, std::size_t slots)
        : window_(window), slices_wanted_(slices), streams_(streams), nodes(nodes), iterations(slots),
          waits(nodes * streams * 2) {}

    void steps(std::uint32_t node, std::int64_t from, std::int64_t count) {
        nodes[node].busy += window_.overlap(from, from + count);
    }
    void iterate(std::uint32_t slot, std::int64_t from, std::int64_t interval, std::int64_t count) {
        iterations[slot] += window_.contains(from, interval, count);
    }
    void wait_stream(std::uint32_t node, std::uint32_t stream, Cause cause, std::int64_t from, std::int64_t to) {
        const std::int64_t cycles = window_.overlap(from, to);
        nodes[node].stalls[cause] += cycles;
        waits[2 * (node * streams_ + stream) + (cause == stream_full ? 1 : 0)] += cycles;
    }
    void wait_memory(std::uint32_t node, std::int64_t from, std::int64_t to) {
        nodes[node].stalls[memory_wait] += window_.overlap(from, to);
    }
    void begin(std::uint32_t node, std::int64_t cycle) {
        if (nodes[node].start < 0) {
            nodes[node].start = cycle;
        }
        ++nodes[node].invocations;
    }
    void end(std::uint32_t node, bool watched, std::int64_t from, std::int64_t to) {
        nodes[node].end = to;
        nodes[node].active += window_.overlap(from, to);
        if (watched) {
            invocations.push_back({node, from, to});
        }
        slice(true, node, from, to);
    }
    void slice(bool is_call, std::uint32_t what, std::int64_t from, std::int64_t to) {
        if (slices_wanted_ && window_.overlap(from, to) > 0) {
            slices.push_back({is_call, what, from, to});
        }
    }
    bool wants_slices() const { return slices_wanted_; }

  private:
    Window window_;
    bool slices_wanted_;
    std::size_t streams_;

  public:
    std::vector<NodeTally> nodes;
    std::vector<std::int64_t> iterations;  // by slot
    std::vector<std::int64_t> waits;       // [node][stream][empty, full]
    std::vector<Invocation> invocations;   // of watched nodes
    std::vector<Slice> slices;
};

}  // namespace vitforge_trace

#endif
