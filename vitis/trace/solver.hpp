// SPDX-License-Identifier: Apache-2.0
// Replays a recording in time. Every invocation of a block is a frame; a process runs ahead of the others until it
// needs a cycle that another one has yet to produce, and goes on when that exists. Order of running does not matter:
// the cycle of a step is a function of cycles, never of what happens to have been computed.
#ifndef VITFORGE_TRACE_SOLVER_HPP
#define VITFORGE_TRACE_SOLVER_HPP

#include <algorithm>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

#include "fifo.hpp"
#include "memory.hpp"
#include "pipeline.hpp"
#include "recording.hpp"
#include "tally.hpp"

namespace vitforge_trace {

constexpr int no_frame = -1;

struct Frame {
    std::uint32_t node = 0;
    int parent = no_frame;
    std::int64_t start = 0;
    std::int64_t ready = 0;  // earliest cycle of what comes next; at last the end
    const Event *event = nullptr;
    const Event *end = nullptr;
    std::uint32_t calls_done = 0;  // of a repeated call event
    int children = 0;
    bool is_alive = false;
    bool in_run = false;
    Pipeline run;
    Bursts bursts;
    Cause cause = causes;      // why it waits
    std::uint32_t stream = 0;  // for what
    std::uint32_t slice_slot = 0;
    std::int64_t slice_start = -1;
    std::int64_t slice_end = 0;
};

struct Options {
    std::int64_t call_cycles;
    MemoryModel memory;
    Window window;
    bool slices;
};

class Solver {
  public:
    Solver(const Recording &recording, const Options &options);

    // True when the whole recording has run; false for a deadlock.
    bool run();

    std::int64_t end() const { return end_; }
    const Recording &recording() const { return recording_; }
    const std::deque<Frame> &frames() const { return frames_; }
    const std::vector<Fifo> &fifos() const { return fifos_; }
    const MemoryServer &server() const { return server_; }
    Tally &tally() { return tally_; }

  private:
    struct Waiters {
        int reader = no_frame;
        int writer = no_frame;
    };

    int open(std::uint32_t log, int parent, std::int64_t start);
    void open_children(int index);
    void close(int index);
    void child_ended(int index, std::int64_t end);
    void proceed(int index);
    void begin_run(int index);
    bool continue_run(int index);
    void pass_steps(Frame &frame, std::int64_t target);
    bool fire(int index);
    std::int64_t reading_cycle(Frame &frame, int index);
    std::int64_t writing_cycle(Frame &frame, int index);
    void note_stalls(Frame &frame, std::int64_t cycle);
    void do_reads(Frame &frame, int index, std::int64_t cycle);
    void do_writes(Frame &frame, std::int64_t cycle);
    void note_iterations(Frame &frame, std::int64_t from, std::int64_t count);
    void flush_slice(Frame &frame);
    void ask_memory(int index, std::int64_t cycle, std::int64_t consumed);
    void grant_memory();
    void wake(int &waiter);
    void check_order(bool ordered, std::uint32_t stream) const;

    const Recording &recording_;
    Options options_;
    std::vector<Fifo> fifos_;
    std::vector<Waiters> waiters_;
    MemoryServer server_;
    Tally tally_;
    std::deque<Frame> frames_;  // which keeps its elements in place
    std::vector<int> spare_;
    std::deque<int> runnable_;
    std::int64_t end_ = 0;
};

}  // namespace vitforge_trace

#endif
