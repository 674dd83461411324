// SPDX-License-Identifier: Apache-2.0
// One run of a pipelined loop as steps: iteration i reads in step i * interval and writes in step i * interval +
// depth - 1. Operations outside a loop are the same with interval and depth 1.
#ifndef VITFORGE_TRACE_PIPELINE_HPP
#define VITFORGE_TRACE_PIPELINE_HPP

#include <algorithm>
#include <cstdint>

#include "fifo.hpp"
#include "recording.hpp"

namespace vitforge_trace {

// A place in the events of a run: the next iteration whose reads (or writes) are to be done.
struct Cursor {
    const Event *event;
    const Pattern *pattern;
    std::int64_t iteration;
    std::int64_t event_end;  // the iteration after the event's last
    std::int64_t step;       // of `iteration`; never, after the last
};

class Pipeline {
  public:
    // The run that begins at `first`; `end` is the end of the log.
    void begin(const Recording &recording, const Event *first, const Event *end) {
        patterns_ = recording.patterns.data();
        const bool is_loop = first->kind != operations;
        const Loop loop = is_loop ? recording.loops[first->a] : Loop{1, 1, false};
        interval_ = loop.interval;
        is_memory_ = loop.is_memory;
        counts_ = is_loop;
        count_ = first->count;
        events_end_ = first + 1;
        while (is_loop && events_end_ < end && events_end_->kind == iterations) {
            count_ += events_end_++->count;
        }
        total_ = (count_ - 1) * interval_ + loop.depth;
        step_ = 0;
        enter(reader_, first, 0, 0);
        enter(writer_, first, 0, loop.depth - 1);
        skip_idle_writes();
    }

    std::int64_t iterations_count() const { return count_; }
    std::int64_t interval() const { return interval_; }
    std::int64_t step() const { return step_; }
    bool is_memory() const { return is_memory_; }
    bool counts() const { return counts_; }
    bool done() const { return step_ == total_; }
    const Event *events_end() const { return events_end_; }
    const Cursor &reader() const { return reader_; }

    bool reads_now() const { return reader_.step == step_; }
    bool writes_now() const { return writer_.step == step_; }
    const Pattern &read_pattern() const { return *reader_.pattern; }
    const Pattern &write_pattern() const { return *writer_.pattern; }

    // The next step that may have to wait: all before it follow each other without a condition.
    std::int64_t next_step() const {
        std::int64_t read = reader_.step;
        if (reader_.step != never && !is_memory_ && reader_.pattern->reads.empty()) {
            read += (reader_.event_end - reader_.iteration) * interval_;
        }
        return std::min(std::min(read, writer_.step), total_);
    }

    // Iterations that begin in steps step() .. target - 1, none of which reads anything.
    std::int64_t starts_before(std::int64_t target) const {
        if (reader_.step >= target) {
            return 0;
        }
        const std::int64_t span = target - reader_.step;
        const std::int64_t started = interval_ == 1 ? span : (span + interval_ - 1) / interval_;
        return std::min(started, reader_.event_end - reader_.iteration);
    }

    void advance_reader(std::int64_t count) {
        reader_.iteration += count;
        reader_.step += count * interval_;
        if (reader_.iteration == reader_.event_end) {
            enter(reader_, reader_.event + 1, reader_.iteration, reader_.step);
        }
    }
    void advance_writer() {
        ++writer_.iteration;
        writer_.step += interval_;
        if (writer_.iteration == writer_.event_end) {
            enter(writer_, writer_.event + 1, writer_.iteration, writer_.step);
            skip_idle_writes();
        }
    }
    void move_to(std::int64_t step) { step_ = step; }

  private:
    void enter(Cursor &cursor, const Event *event, std::int64_t iteration, std::int64_t step) {
        cursor.event = event;
        cursor.iteration = iteration;
        cursor.step = step;
        if (event == events_end_) {
            cursor.step = never;
            return;
        }
        cursor.pattern = &patterns_[event->pattern()];
        cursor.event_end = iteration + event->count;
    }

    void skip_idle_writes() {
        while (writer_.step != never && writer_.pattern->writes.empty()) {
            const std::int64_t steps = (writer_.event_end - writer_.iteration) * interval_;
            enter(writer_, writer_.event + 1, writer_.event_end, writer_.step + steps);
        }
    }

    const Pattern *patterns_ = nullptr;
    const Event *events_end_ = nullptr;
    Cursor reader_ = {};
    Cursor writer_ = {};
    std::int64_t interval_ = 1;
    std::int64_t count_ = 0;
    std::int64_t total_ = 0;
    std::int64_t step_ = 0;
    bool is_memory_ = false;
    bool counts_ = false;
};

}  // namespace vitforge_trace

#endif
