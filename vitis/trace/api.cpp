// SPDX-License-Identifier: Apache-2.0
// C interface of the solver: solve, then copy the sections of the solution. One solution at a time.
#include <array>
#include <cstdint>
#include <vector>

#include "deadlock.hpp"
#include "solver.hpp"
#include "vitforge_csim/capi.hpp"

namespace {

using namespace vitforge_trace;

// Sections of a solution, each a table of 64-bit words.
enum Section { summary, node_rows, stream_rows, iteration_rows, wait_rows, invocation_rows, slice_rows, circle_rows,
               blocked_rows, sections };

typedef std::array<std::vector<long long>, sections> Solution;

Solution &solution() {
    static Solution current;
    return current;
}

// call cycles, window begin and end, slices wanted, memory: exists, numerator, denominator, burst, latency, outstanding
Options read_options(const long long *values) {
    const MemoryModel memory = {values[4] != 0, values[5], values[6], values[7], values[8], values[9]};
    return {values[0], memory, {values[1], values[2]}, values[3] != 0};
}

// Rows of (interval, depth, memory) for the loops, of (capacity, latency) for the streams (-1: unbounded), marks of the
// nodes.
void set_parameters(Recording &recording, const std::uint32_t *words, const long long *loops,
                    const long long *streams, const long long *watched) {
    for (std::uint32_t i = 0; i < words[2]; ++i) {
        recording.loops.push_back({loops[3 * i], loops[3 * i + 1], loops[3 * i + 2] != 0});
    }
    for (std::uint32_t i = 0; i < words[4]; ++i) {
        recording.capacities.push_back(streams[2 * i] < 0 ? unbounded : streams[2 * i]);
        recording.latencies.push_back(streams[2 * i + 1]);
    }
    for (std::uint32_t i = 0; i < words[3]; ++i) {
        recording.nodes[i].is_watched = watched[i] != 0;
    }
}

void put(Section section, std::initializer_list<long long> row) {
    solution()[section].insert(solution()[section].end(), row);
}

void put_tally(Solver &solver) {
    const Tally &tally = solver.tally();
    for (const NodeTally &node : tally.nodes) {
        put(node_rows, {node.start, node.end, node.invocations, node.active, node.busy, node.stalls[0], node.stalls[1],
                        node.stalls[2]});
    }
    for (const Fifo &fifo : solver.fifos()) {
        put(stream_rows, {fifo.occupancy(), fifo.written(), fifo.unread()});
    }
    for (std::size_t i = 0; i < tally.iterations.size(); ++i) {
        const Slot &slot = solver.recording().slots[i];
        put(iteration_rows, {slot.node, slot.loop, slot.kind, tally.iterations[i]});
    }
    for (std::size_t i = 0; i < tally.waits.size(); ++i) {
        if (tally.waits[i] > 0) {
            const long long place = static_cast<long long>(i / 2);
            const long long streams = static_cast<long long>(solver.fifos().size());
            put(wait_rows, {place / streams, place % streams, static_cast<long long>(i % 2), tally.waits[i]});
        }
    }
}

void put_timeline(Solver &solver) {
    for (const Invocation &call : solver.tally().invocations) {
        put(invocation_rows, {call.node, call.start, call.end});
    }
    for (const Slice &slice : solver.tally().slices) {
        const Slot slot = slice.is_call ? Slot{slice.what, 0, 0} : solver.recording().slots[slice.what];
        put(slice_rows, {slot.node, slice.is_call ? -1 : static_cast<long long>(slot.loop), slot.kind, slice.start,
                         slice.end});
    }
}

void put_deadlock(const Solver &solver) {
    WaitGraph graph(solver);
    const auto put_frame = [&](Section section, int index) {
        const Frame &frame = solver.frames()[index];
        put(section, {frame.node, frame.stream, frame.cause, frame.ready});
    };
    for (const int index : graph.circle()) {
        put_frame(circle_rows, index);
    }
    for (const Cause cause : {stream_empty, stream_full}) {
        for (const int index : graph.waiting(cause)) {
            put_frame(blocked_rows, index);
        }
    }
}

}  // namespace

extern "C" {

long long vitforge_trace_solve(const unsigned int *words, const long long *loops, const long long *streams,
                               const long long *watched, const long long *options) {
    return vitforge_csim::guarded([&]() -> long long {
        solution() = Solution();
        Recording recording = read_recording(words);
        set_parameters(recording, words, loops, streams, watched);
        Solver solver(recording, read_options(options));
        const bool ended = solver.run();
        put(summary, {ended ? 1 : 0, solver.end(), solver.server().busy()});
        put_tally(solver);
        put_timeline(solver);
        if (!ended) {
            put_deadlock(solver);
        }
        return 0;
    });
}

long long vitforge_trace_section_size(int section) {
    return static_cast<long long>(solution()[static_cast<std::size_t>(section)].size());
}

long long vitforge_trace_section(int section, long long *values) {
    const std::vector<long long> &source = solution()[static_cast<std::size_t>(section)];
    std::copy(source.begin(), source.end(), values);
    return 0;
}

const char *vitforge_sim_error() { return vitforge_csim::last_error(); }

}  // extern "C"
