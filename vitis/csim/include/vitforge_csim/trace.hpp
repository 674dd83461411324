// SPDX-License-Identifier: Apache-2.0
// Recorder of a traced C simulation: what every dataflow process does, loop iteration by loop iteration.
// Equal consecutive events are one event with a count, and equal invocations of a block share one log, so that a
// recording grows with the number of different logs, not with images or layers. Single-threaded.
#ifndef VITFORGE_CSIM_TRACE_HPP
#define VITFORGE_CSIM_TRACE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "vitforge_csim/fault.hpp"
#include "vitforge_csim/trace_log.hpp"

namespace vitforge_csim {

class Recorder {
  public:
    Recorder() { reset(); }

    // Forgets everything; live streams register anew when they are used next.
    void reset() {
        ++epoch_;
        recording_ = TraceRecording();
        recording_.nodes.push_back({"top", -1, 0, false});
        children_.clear();
        streams_.clear();
        live_streams_.clear();
        loops_.clear();
        pattern_ids_.clear();
        log_ids_.clear();
        frames_.assign(1, Frame(0));
        in_iteration_ = false;
    }

    // A block is a static piece of hardware. Equal names below a region are different blocks; below a process they
    // are the same block, called again.
    void enter(const std::string &name, bool is_region) {
        if (in_iteration_) {
            throw Fault("trace: " + name + " is entered in an iteration of a pipelined loop");
        }
        Frame &parent = frames_.back();
        const int ordinal = recording_.nodes[parent.node].is_region ? parent.ordinals[name]++ : 0;
        const std::string key = std::to_string(parent.node) + "/" + name + "#" + std::to_string(ordinal);
        const auto found = children_.find(key);
        int node = found == children_.end() ? -1 : found->second;
        if (node < 0) {
            node = static_cast<int>(recording_.nodes.size());
            recording_.nodes.push_back({name, static_cast<int>(parent.node), ordinal, is_region});
            children_.emplace(key, node);
        }
        frames_.push_back(Frame(node));
    }

    void leave() {
        const Frame frame = std::move(frames_.back());
        frames_.pop_back();
        append(trace_call, frame.node, log_of(frame), true);
    }

    void begin_iteration(const char *label, bool first, int kind) {
        if (in_iteration_) {
            throw Fault(std::string("trace: loop ") + label + " runs inside an iteration of another pipelined loop");
        }
        check_process(label);
        in_iteration_ = true;
        first_ = first;
        loop_ = loop_of(label);
        pattern_.kind = kind;
        pattern_.reads.clear();
        pattern_.writes.clear();
    }

    // Iterations go on with the run of their loop, unless it begins here.
    void end_iteration() {
        in_iteration_ = false;
        const std::uint32_t pattern = pattern_of(pattern_);
        const std::vector<TraceEvent> &events = frames_.back().events;
        const bool goes_on =
            !first_ && !events.empty() && events.back().kind <= trace_first && events.back().a == loop_;
        if (goes_on && events.back().b == pattern) {
            ++frames_.back().events.back().count;
        } else {
            append(goes_on ? trace_iterations : trace_first, loop_, pattern, false);
        }
    }

    void stream_read(std::uint32_t stream) { operation(stream, pattern_.reads); }
    void stream_write(std::uint32_t stream) { operation(stream, pattern_.writes); }

    // A stream is known by the block that declares it and its name; those alive at once under one name are counted.
    std::uint32_t open_stream(const std::string &name) {
        const int owner = static_cast<int>(frames_.back().node);
        const std::string key = std::to_string(owner) + "/" + name;
        std::vector<bool> &live = live_streams_[key];
        const std::size_t ordinal = static_cast<std::size_t>(std::find(live.begin(), live.end(), false) - live.begin());
        if (ordinal == live.size()) {
            live.push_back(true);
            streams_.emplace(key + "#" + std::to_string(ordinal), recording_.streams.size());
            recording_.streams.push_back({name, owner, static_cast<int>(ordinal)});
        }
        live[ordinal] = true;
        return streams_.at(key + "#" + std::to_string(ordinal));
    }

    void close_stream(std::uint32_t id) {
        const TraceStream &stream = recording_.streams[id];
        live_streams_[std::to_string(stream.owner) + "/" + stream.name][stream.ordinal] = false;
    }

    unsigned int epoch() const { return epoch_; }

    // As it stands, with the root's log so far.
    std::vector<std::uint32_t> serialised() {
        if (frames_.size() != 1) {
            throw Fault("trace: the recording is read while a kernel runs");
        }
        return serialise(recording_, log_of(frames_.back()));
    }

  private:
    struct Frame {
        explicit Frame(std::uint32_t node_) : node(node_) {}
        std::uint32_t node;
        std::vector<TraceEvent> events;
        std::unordered_map<std::string, int> ordinals;
    };

    void check_process(const std::string &what) const {
        const TraceNode &node = recording_.nodes[frames_.back().node];
        if (node.is_region) {
            throw Fault("trace: " + what + " belongs to no process of region " + node.name +
                        "; mark the function with VITFORGE_PROCESS");
        }
    }

    // Outside a pipelined loop each operation is a step of its own.
    void operation(std::uint32_t stream, std::vector<std::uint32_t> &side) {
        if (in_iteration_) {
            side.push_back(stream);
            return;
        }
        check_process("stream " + recording_.streams[stream].name);
        pattern_.kind = 1;
        pattern_.reads.clear();
        pattern_.writes.clear();
        side.push_back(stream);
        append(trace_operations, pattern_of(pattern_), 0, true);
    }

    void append(TraceKind kind, std::uint32_t a, std::uint32_t b, bool folds) {
        std::vector<TraceEvent> &events = frames_.back().events;
        if (folds && !events.empty() && events.back().is(kind, a, b)) {
            ++events.back().count;
        } else {
            events.push_back({kind, a, b, 1});
        }
    }

    std::uint32_t loop_of(const char *label) {
        const auto found = loops_.find(label);
        if (found != loops_.end()) {
            return found->second;
        }
        std::vector<std::string> &names = recording_.loops;
        const auto named = std::find(names.begin(), names.end(), label);
        const std::uint32_t loop = static_cast<std::uint32_t>(named - names.begin());
        if (named == names.end()) {
            names.push_back(label);
        }
        loops_.emplace(label, loop);
        return loop;
    }

    // Most iterations equal the one before.
    std::uint32_t pattern_of(TracePattern &pattern) {
        std::sort(pattern.reads.begin(), pattern.reads.end());
        std::sort(pattern.writes.begin(), pattern.writes.end());
        if (last_pattern_ < recording_.patterns.size() && recording_.patterns[last_pattern_] == pattern) {
            return last_pattern_;
        }
        const auto added = pattern_ids_.emplace(pattern.key(), recording_.patterns.size());
        if (added.second) {
            recording_.patterns.push_back(pattern);
        }
        last_pattern_ = added.first->second;
        return last_pattern_;
    }

    std::uint32_t log_of(const Frame &frame) {
        const std::string words(reinterpret_cast<const char *>(frame.events.data()),
                                frame.events.size() * sizeof(TraceEvent));
        const auto added = log_ids_.emplace(std::to_string(frame.node) + ":" + words, recording_.logs.size());
        if (added.second) {
            recording_.logs.push_back({frame.node, frame.events});
        }
        return added.first->second;
    }

    TraceRecording recording_;
    std::vector<Frame> frames_;
    std::unordered_map<std::string, int> children_;
    std::unordered_map<std::string, std::uint32_t> streams_;
    std::unordered_map<std::string, std::vector<bool> > live_streams_;
    std::unordered_map<const char *, std::uint32_t> loops_;  // by address, which is quicker than by name
    std::unordered_map<std::string, std::uint32_t> pattern_ids_;
    std::unordered_map<std::string, std::uint32_t> log_ids_;
    TracePattern pattern_;
    std::uint32_t last_pattern_ = 0;
    std::uint32_t loop_ = 0;
    bool first_ = false;
    bool in_iteration_ = false;
    unsigned int epoch_ = 0;
};

inline Recorder &recorder() {
    static Recorder instance;
    return instance;
}

class TraceScope {
  public:
    TraceScope(const char *name, bool is_region) { recorder().enter(name, is_region); }
    ~TraceScope() { recorder().leave(); }
    TraceScope(const TraceScope &) = delete;
    TraceScope &operator=(const TraceScope &) = delete;
};

// Lives as long as the iteration, so that what comes after the loop is not part of it.
class TraceIteration {
  public:
    TraceIteration(const char *label, bool first, int kind) { recorder().begin_iteration(label, first, kind); }
    ~TraceIteration() { recorder().end_iteration(); }
    TraceIteration(const TraceIteration &) = delete;
    TraceIteration &operator=(const TraceIteration &) = delete;
};

// What a stream tells the recorder.
class TracedStream {
  public:
    explicit TracedStream(const std::string &name) : name_(name) { current(); }
    ~TracedStream() {
        if (epoch_ == recorder().epoch()) {
            recorder().close_stream(id_);
        }
    }
    void read() { recorder().stream_read(current()); }
    void write() { recorder().stream_write(current()); }

  private:
    std::uint32_t current() {
        if (epoch_ != recorder().epoch()) {
            epoch_ = recorder().epoch();
            id_ = recorder().open_stream(name_);
        }
        return id_;
    }

    std::string name_;
    std::uint32_t id_ = 0;
    unsigned int epoch_ = 0;
};

}  // namespace vitforge_csim

#endif
