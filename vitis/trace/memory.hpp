// SPDX-License-Identifier: Apache-2.0
// One DDR memory that serves the bursts of all processes, in the order of their requests.
#ifndef VITFORGE_TRACE_MEMORY_HPP
#define VITFORGE_TRACE_MEMORY_HPP

#include <algorithm>
#include <cstdint>
#include <queue>
#include <tuple>
#include <vector>

namespace vitforge_trace {

// A beat takes numerator / denominator cycles of the memory.
struct MemoryModel {
    bool exists;
    std::int64_t numerator;
    std::int64_t denominator;
    std::int64_t burst_beats;
    std::int64_t latency;
    std::int64_t outstanding;

    std::int64_t cycles(std::int64_t beats) const { return (beats * numerator + denominator - 1) / denominator; }
};

struct Request {
    std::int64_t cycle;
    std::uint32_t node;
    std::int64_t burst;
    std::int64_t beats;
    int frame;

    bool operator<(const Request &other) const {  // the first to be served is the greatest
        return std::tie(cycle, node, burst) > std::tie(other.cycle, other.node, other.burst);
    }
};

// Requests are granted only when no process can go on without one. Every step that has not been computed then waits,
// directly or by a chain of streams, for a burst that is pending, hence comes after the earliest pending request:
// service takes at least a cycle. What it may request is later still. So the earliest pending request is the next of
// all in time, and to grant it can never be wrong.
class MemoryServer {
  public:
    explicit MemoryServer(const MemoryModel &model) : model_(model) {}

    void ask(const Request &request) { pending_.push(request); }
    bool has_pending() const { return !pending_.empty(); }

    // The request served next; `start` is the cycle at which its service starts.
    Request grant(std::int64_t &start) {
        const Request request = pending_.top();
        pending_.pop();
        start = std::max(request.cycle, free_);
        free_ = start + model_.cycles(request.beats);
        busy_ += free_ - start;
        return request;
    }

    std::int64_t busy() const { return busy_; }

  private:
    MemoryModel model_;
    std::priority_queue<Request> pending_;
    std::int64_t free_ = 0;
    std::int64_t busy_ = 0;
};

// The bursts of one run of a memory loop.
class Bursts {
  public:
    void begin(std::int64_t beats, const MemoryModel &model) {
        model_ = &model;
        beats_ = beats;
        asked_ = granted_ = 0;
        starts_.resize(static_cast<std::size_t>(model.outstanding));
    }

    // True if a burst can be requested when `consumed` beats have been taken; fills burst and size.
    bool next(std::int64_t consumed, Request &request) {
        const std::int64_t first = asked_ * model_->burst_beats;
        const std::int64_t needed = (asked_ - model_->outstanding + 1) * model_->burst_beats;
        if (first >= beats_ || needed > consumed) {
            return false;
        }
        request.burst = asked_++;
        request.beats = std::min(model_->burst_beats, beats_ - first);
        return true;
    }

    void granted(std::int64_t burst, std::int64_t start) {
        starts_[static_cast<std::size_t>(burst % model_->outstanding)] = start;
        granted_ = burst + 1;
    }

    // When a beat is there; `unknown` (-1) before its burst is granted.
    std::int64_t beat_cycle(std::int64_t beat) const {
        const std::int64_t burst = beat / model_->burst_beats;
        if (burst >= granted_) {
            return -1;
        }
        const std::int64_t start = starts_[static_cast<std::size_t>(burst % model_->outstanding)];
        return start + model_->latency + model_->cycles(beat - burst * model_->burst_beats + 1);
    }

  private:
    const MemoryModel *model_ = nullptr;
    std::int64_t beats_ = 0;
    std::int64_t asked_ = 0;
    std::int64_t granted_ = 0;
    std::vector<std::int64_t> starts_;
};

}  // namespace vitforge_trace

#endif
