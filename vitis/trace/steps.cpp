// SPDX-License-Identifier: Apache-2.0
// One step of a pipelined loop after the other: when it takes place, and what is counted.
#include "solver.hpp"

namespace vitforge_trace {

// Steps that nothing can hold up.
void Solver::pass_steps(Frame &frame, std::int64_t target) {
    const std::int64_t from = frame.run.step();
    tally_.steps(frame.node, frame.ready, target - from);
    const std::int64_t started = frame.run.starts_before(target);
    if (started > 0) {
        note_iterations(frame, frame.ready + frame.run.reader().step - from, started);
        frame.run.advance_reader(started);
    }
    frame.run.move_to(target);
    frame.ready += target - from;
}

// The step at hand, in the first cycle in which all its streams are ready. False if a cycle is not known yet.
bool Solver::fire(int index) {
    Frame &frame = frames_[index];
    frame.cause = causes;
    std::int64_t cycle = frame.ready;
    const bool reads = frame.run.reads_now();
    const bool writes = frame.run.writes_now();
    if (reads) {
        cycle = std::max(cycle, reading_cycle(frame, index));
    }
    if (writes && frame.cause == causes) {
        cycle = std::max(cycle, writing_cycle(frame, index));
    }
    if (frame.cause != causes) {
        return false;
    }
    if (cycle > frame.ready) {
        note_stalls(frame, cycle);
    }
    tally_.steps(frame.node, cycle, 1);
    if (reads) {
        do_reads(frame, index, cycle);
    }
    if (writes) {
        do_writes(frame, cycle);
    }
    frame.run.move_to(frame.run.step() + 1);
    frame.ready = cycle + 1;
    return true;
}

std::int64_t Solver::reading_cycle(Frame &frame, int index) {
    std::int64_t cycle = 0;
    for (const Access &access : frame.run.read_pattern().reads) {
        const std::int64_t token = fifos_[access.stream].token_cycle(access.count);
        if (token == unknown) {
            frame.cause = stream_empty;
            frame.stream = access.stream;
            waiters_[access.stream].reader = index;
            return 0;
        }
        cycle = std::max(cycle, token);
    }
    if (frame.run.is_memory() && options_.memory.exists) {
        const std::int64_t beat = frame.bursts.beat_cycle(frame.run.reader().iteration);
        if (beat == unknown) {
            frame.cause = memory_wait;
            return 0;
        }
        cycle = std::max(cycle, beat);
    }
    return cycle;
}

std::int64_t Solver::writing_cycle(Frame &frame, int index) {
    std::int64_t cycle = 0;
    for (const Access &access : frame.run.write_pattern().writes) {
        const std::int64_t room = fifos_[access.stream].room_cycle(access.count);
        if (room == unknown) {
            frame.cause = stream_full;
            frame.stream = access.stream;
            waiters_[access.stream].writer = index;
            return 0;
        }
        cycle = std::max(cycle, room);
    }
    return cycle;
}

// A waiting cycle counts for the first condition that does not hold: empty streams, full ones, memory.
void Solver::note_stalls(Frame &frame, std::int64_t cycle) {
    std::int64_t at = frame.ready;
    if (frame.run.reads_now()) {
        for (const Access &access : frame.run.read_pattern().reads) {
            const std::int64_t token = fifos_[access.stream].token_cycle(access.count);
            if (token > at) {
                tally_.wait_stream(frame.node, access.stream, stream_empty, at, token);
                at = token;
            }
        }
    }
    if (frame.run.writes_now()) {
        for (const Access &access : frame.run.write_pattern().writes) {
            const std::int64_t room = fifos_[access.stream].room_cycle(access.count);
            if (room > at) {
                tally_.wait_stream(frame.node, access.stream, stream_full, at, room);
                at = room;
            }
        }
    }
    tally_.wait_memory(frame.node, at, cycle);
}

void Solver::do_reads(Frame &frame, int index, std::int64_t cycle) {
    for (const Access &access : frame.run.read_pattern().reads) {
        for (int i = 0; i < access.count; ++i) {
            check_order(fifos_[access.stream].read(cycle), access.stream);
        }
        wake(waiters_[access.stream].writer);
    }
    note_iterations(frame, cycle, 1);
    if (frame.run.is_memory() && options_.memory.exists) {
        ask_memory(index, cycle, frame.run.reader().iteration + 1);
    }
    frame.run.advance_reader(1);
}

void Solver::do_writes(Frame &frame, std::int64_t cycle) {
    for (const Access &access : frame.run.write_pattern().writes) {
        for (int i = 0; i < access.count; ++i) {
            check_order(fifos_[access.stream].write(cycle), access.stream);
        }
        wake(waiters_[access.stream].reader);
    }
    frame.run.advance_writer();
}

// Iterations of the reader's event; runs of equal kind are one slice.
void Solver::note_iterations(Frame &frame, std::int64_t from, std::int64_t count) {
    if (!frame.run.counts()) {
        return;
    }
    const std::uint32_t slot = frame.run.reader().event->slot;
    const std::int64_t interval = frame.run.interval();
    tally_.iterate(slot, from, interval, count);
    if (!tally_.wants_slices()) {
        return;
    }
    if (frame.slice_start < 0 || frame.slice_slot != slot) {
        flush_slice(frame);
        frame.slice_slot = slot;
        frame.slice_start = from;
    }
    frame.slice_end = from + (count - 1) * interval + 1;
}

void Solver::flush_slice(Frame &frame) {
    if (frame.slice_start >= 0) {
        tally_.slice(false, frame.slice_slot, frame.slice_start, frame.slice_end);
    }
    frame.slice_start = -1;
}

void Solver::check_order(bool ordered, std::uint32_t stream) const {
    if (!ordered) {
        throw std::runtime_error("stream " + std::to_string(stream) + " is used by two processes at once");
    }
}

}  // namespace vitforge_trace
