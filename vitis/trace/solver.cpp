// SPDX-License-Identifier: Apache-2.0
// Invocations, and what makes them go on.
#include "solver.hpp"

namespace vitforge_trace {

Solver::Solver(const Recording &recording, const Options &options)
    : recording_(recording), options_(options), waiters_(recording.capacities.size()), server_(options.memory),
      tally_(options.window, options.slices, recording.nodes.size(), recording.capacities.size(),
             recording.slots.size()) {
    for (std::size_t i = 0; i < recording.capacities.size(); ++i) {
        fifos_.emplace_back(recording.capacities[i], recording.latencies[i]);
    }
}

bool Solver::run() {
    open(recording_.root_log, no_frame, 0);
    while (true) {
        while (!runnable_.empty()) {
            const int index = runnable_.front();
            runnable_.pop_front();
            proceed(index);
        }
        if (!server_.has_pending()) {
            return !frames_.front().is_alive;
        }
        grant_memory();
    }
}

// A new invocation; a region's children all start with it.
int Solver::open(std::uint32_t log_id, int parent, std::int64_t start) {
    int index;
    if (spare_.empty()) {
        index = static_cast<int>(frames_.size());
        frames_.emplace_back();
    } else {
        index = spare_.back();
        spare_.pop_back();
    }
    const Log &log = recording_.logs[log_id];
    Frame &frame = frames_[index];
    frame.node = log.node;
    frame.parent = parent;
    frame.start = frame.ready = start;
    frame.event = recording_.events.data() + log.begin;
    frame.end = recording_.events.data() + log.end;
    frame.calls_done = 0;
    frame.children = 0;
    frame.is_alive = true;
    frame.in_run = false;
    frame.cause = causes;
    tally_.begin(log.node, start);
    runnable_.push_back(index);
    return index;
}

void Solver::open_children(int index) {
    Frame &frame = frames_[index];
    for (; frame.event < frame.end; ++frame.event) {
        ++frame.children;
        open(frame.event->b, index, frame.start);
    }
}

void Solver::close(int index) {
    Frame &frame = frames_[index];
    frame.is_alive = false;
    tally_.end(frame.node, recording_.nodes[frame.node].is_watched, frame.start, frame.ready);
    if (frame.parent == no_frame) {
        end_ = frame.ready;
        return;
    }
    spare_.push_back(index);
    child_ended(frame.parent, frame.ready);
}

// A region ends with the last of its children; a process goes on after the one it called.
void Solver::child_ended(int index, std::int64_t end) {
    Frame &frame = frames_[index];
    --frame.children;
    if (recording_.nodes[frame.node].is_region) {
        frame.ready = std::max(frame.ready, end);
    } else {
        frame.ready = end + options_.call_cycles;
    }
    if (frame.children == 0) {
        runnable_.push_back(index);
    }
}

void Solver::proceed(int index) {
    Frame &frame = frames_[index];
    if (recording_.nodes[frame.node].is_region && frame.event < frame.end) {
        open_children(index);
        return;
    }
    while (frame.in_run || frame.event < frame.end) {
        if (frame.in_run) {
            if (!continue_run(index)) {
                return;
            }
        } else if (frame.event->kind == call) {
            const std::uint32_t log = frame.event->b;
            if (++frame.calls_done == frame.event->count) {
                frame.calls_done = 0;
                ++frame.event;
            }
            ++frame.children;
            open(log, index, frame.ready + options_.call_cycles);
            return;
        } else {
            begin_run(index);
        }
    }
    close(index);
}

void Solver::begin_run(int index) {
    Frame &frame = frames_[index];
    frame.run.begin(recording_, frame.event, frame.end);
    frame.event = frame.run.events_end();
    frame.in_run = true;
    if (frame.run.is_memory() && options_.memory.exists) {
        frame.bursts.begin(frame.run.iterations_count(), options_.memory);
        ask_memory(index, frame.ready, 0);
    }
}

// False when the frame has to wait.
bool Solver::continue_run(int index) {
    Frame &frame = frames_[index];
    while (true) {
        const std::int64_t target = frame.run.next_step();
        if (target > frame.run.step()) {
            pass_steps(frame, target);
        }
        if (frame.run.done()) {
            break;
        }
        if (!fire(index)) {
            return false;
        }
    }
    flush_slice(frame);
    frame.in_run = false;
    return true;
}

void Solver::ask_memory(int index, std::int64_t cycle, std::int64_t consumed) {
    Request request = {cycle, frames_[index].node, 0, 0, index};
    while (frames_[index].bursts.next(consumed, request)) {
        server_.ask(request);
    }
}

void Solver::grant_memory() {
    std::int64_t start = 0;
    const Request request = server_.grant(start);
    Frame &frame = frames_[request.frame];
    frame.bursts.granted(request.burst, start);
    if (frame.cause == memory_wait) {
        frame.cause = causes;
        runnable_.push_back(request.frame);
    }
}

void Solver::wake(int &waiter) {
    if (waiter != no_frame) {
        runnable_.push_back(waiter);
        waiter = no_frame;
    }
}

}  // namespace vitforge_trace
