// SPDX-License-Identifier: Apache-2.0
// Who waits for whom when nothing can go on.
#ifndef VITFORGE_TRACE_DEADLOCK_HPP
#define VITFORGE_TRACE_DEADLOCK_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <vector>

#include "solver.hpp"

namespace vitforge_trace {

class WaitGraph {
  public:
    explicit WaitGraph(const Solver &solver)
        : solver_(solver), readers_(solver.fifos().size()), writers_(solver.fifos().size()) {
        for (const Log &log : solver.recording().logs) {
            for (std::uint32_t i = log.begin; i < log.end; ++i) {
                note_users(log.node, solver.recording().events[i]);
            }
        }
    }

    // Frames that wait for each other through streams, a full one among them if there is such a circle; a frame that
    // waits for nobody is a circle of its own.
    std::vector<int> circle() {
        for (const Cause cause : {stream_full, stream_empty}) {
            for (const int frame : waiting(cause)) {
                path_.clear();
                seen_.assign(solver_.frames().size(), false);
                if (leads_to(frame, frame)) {
                    return leaves();
                }
            }
        }
        const std::vector<int> alone = waiting(stream_empty);
        return alone.empty() ? alone : std::vector<int>(1, alone.front());
    }

    // Frames that wait for a stream, in the order of their nodes.
    std::vector<int> waiting(Cause cause) const {
        std::vector<int> found;
        for (std::size_t i = 0; i < solver_.frames().size(); ++i) {
            if (solver_.frames()[i].is_alive && waits(static_cast<int>(i)) && solver_.frames()[i].cause == cause) {
                found.push_back(static_cast<int>(i));
            }
        }
        std::sort(found.begin(), found.end(), [this](int a, int b) { return frame(a).node < frame(b).node; });
        return found;
    }

  private:
    const Frame &frame(int index) const { return solver_.frames()[index]; }
    bool waits(int index) const { return frame(index).children == 0 && frame(index).cause < memory_wait; }

    void note_users(std::uint32_t node, const Event &event) {
        if (event.kind == call) {
            return;
        }
        const Pattern &pattern = solver_.recording().patterns[event.pattern()];
        for (const Access &access : pattern.reads) {
            readers_[access.stream].insert(node);
        }
        for (const Access &access : pattern.writes) {
            writers_[access.stream].insert(node);
        }
    }

    // Depth first; the way is in path_.
    bool leads_to(int index, int target) {
        seen_[index] = true;
        path_.push_back(index);
        for (const int next : waits_for(index)) {
            if (next == target || (!seen_[next] && leads_to(next, target))) {
                return true;
            }
        }
        path_.pop_back();
        return false;
    }

    std::vector<int> leaves() const {
        std::vector<int> found;
        std::copy_if(path_.begin(), path_.end(), std::back_inserter(found), [this](int i) { return waits(i); });
        return found;
    }

    // A frame waits for its children, or for the other side of its stream: the block itself if it runs, or the
    // closest block around it that does.
    std::vector<int> waits_for(int index) const {
        std::vector<int> found;
        if (!waits(index)) {
            for (std::size_t i = 0; i < solver_.frames().size(); ++i) {
                if (solver_.frames()[i].is_alive && solver_.frames()[i].parent == index) {
                    found.push_back(static_cast<int>(i));
                }
            }
            return found;
        }
        const auto &side = frame(index).cause == stream_empty ? writers_ : readers_;
        for (std::uint32_t user : side[frame(index).stream]) {
            const int other = running(static_cast<int>(user));
            if (other >= 0 && std::find(found.begin(), found.end(), other) == found.end()) {
                found.push_back(other);
            }
        }
        return found;
    }

    int running(int node) const {
        for (; node >= 0; node = solver_.recording().nodes[node].parent) {
            for (std::size_t i = 0; i < solver_.frames().size(); ++i) {
                if (solver_.frames()[i].is_alive && static_cast<int>(solver_.frames()[i].node) == node) {
                    return static_cast<int>(i);
                }
            }
        }
        return -1;
    }

    const Solver &solver_;
    std::vector<std::set<std::uint32_t> > readers_;
    std::vector<std::set<std::uint32_t> > writers_;
    std::vector<bool> seen_;
    std::vector<int> path_;
};

}  // namespace vitforge_trace

#endif
