// SPDX-License-Identifier: Apache-2.0
// A FIFO as the cycles of its writes and reads: as many as can still matter to anyone.
#ifndef VITFORGE_TRACE_FIFO_HPP
#define VITFORGE_TRACE_FIFO_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace vitforge_trace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t unknown = -1;  // a cycle that depends on what another process has yet to do
constexpr std::int64_t unbounded = std::numeric_limits<std::int64_t>::max() / 4;

// Cycles number begin() to end() of a growing sequence.
class Stamps {
  public:
    std::int64_t end() const { return end_; }
    std::int64_t at(std::int64_t index) const { return ring_[static_cast<std::size_t>(index) & mask_]; }

    void push(std::int64_t cycle) {
        if (end_ - begin_ == static_cast<std::int64_t>(ring_.size())) {
            grow();
        }
        ring_[static_cast<std::size_t>(end_++) & mask_] = cycle;
    }
    void drop_before(std::int64_t index) { begin_ = std::max(begin_, index); }

  private:
    void grow() {
        std::vector<std::int64_t> larger(2 * ring_.size());
        for (std::int64_t i = begin_; i < end_; ++i) {
            larger[static_cast<std::size_t>(i) & (larger.size() - 1)] = at(i);
        }
        ring_.swap(larger);
        mask_ = ring_.size() - 1;
    }

    std::vector<std::int64_t> ring_ = std::vector<std::int64_t>(16);
    std::size_t mask_ = 15;
    std::int64_t begin_ = 0;
    std::int64_t end_ = 0;
};

class Fifo {
  public:
    Fifo(std::int64_t capacity, std::int64_t latency) : capacity_(capacity), latency_(latency) {}

    std::int64_t capacity() const { return capacity_; }
    std::int64_t written() const { return writes_.end(); }
    std::int64_t unread() const { return writes_.end() - reads_.end(); }

    // Earliest cycle at which `count` tokens can be read: the one after the last of them was written and has passed.
    std::int64_t token_cycle(int count) const {
        const std::int64_t token = reads_.end() + count - 1;
        return token < writes_.end() ? writes_.at(token) + 1 + latency_ : unknown;
    }

    // Earliest cycle at which `count` tokens can be written: the one after the last of their places was read.
    std::int64_t room_cycle(int count) const {
        const std::int64_t freed = writes_.end() + count - 1 - capacity_;
        if (freed < later_read_) {
            return 0;  // read before the last write
        }
        return freed < reads_.end() ? reads_.at(freed) + 1 : unknown;
    }

    // False if the stream was last written in a later cycle: two processes use it at once.
    bool write(std::int64_t cycle) {
        const bool ordered = cycle >= last_write_;
        last_write_ = cycle;
        const std::int64_t token = writes_.end();
        writes_.push(cycle);
        if (placed_ == token) {
            while (later_read_ < reads_.end() && reads_.at(later_read_) < cycle) {
                ++later_read_;
            }
            if (later_read_ < reads_.end()) {
                place(token, later_read_);
            }
        }
        drop_reads();
        return ordered;
    }

    bool read(std::int64_t cycle) {
        const bool ordered = cycle >= last_read_;
        last_read_ = cycle;
        const std::int64_t token = reads_.end();
        reads_.push(cycle);
        std::int64_t last = placed_;
        while (last < writes_.end() && writes_.at(last) <= cycle) {
            ++last;
        }
        if (last > placed_) {
            place(last - 1, token);
        }
        writes_.drop_before(token + 1);
        drop_reads();
        return ordered;
    }

    // The capacity with which every write would have found room in its cycle.
    std::int64_t occupancy() const {
        return placed_ == writes_.end() ? occupancy_ : std::max(occupancy_, unread());
    }

  private:

    // When token `token` is written, those from number `read` on are not read yet: known once either side is past it.
    void place(std::int64_t token, std::int64_t read) {
        occupancy_ = std::max(occupancy_, token + 1 - read);
        placed_ = token + 1;
        later_read_ = std::max(later_read_, read);
    }

    // A read before the last write matters no more, to the token that takes its place as to the occupancy.
    void drop_reads() {
        if (capacity_ < unbounded) {
            later_read_ = std::max(later_read_, writes_.end() - capacity_);
        }
        reads_.drop_before(std::min(later_read_, reads_.end()));
    }

    std::int64_t capacity_;
    std::int64_t latency_;  // cycles that a token is on its way
    Stamps writes_;
    Stamps reads_;
    std::int64_t placed_ = 0;      // tokens whose occupancy is known
    std::int64_t later_read_ = 0;  // all reads below it were before the last write
    std::int64_t occupancy_ = 0;
    std::int64_t last_write_ = 0;
    std::int64_t last_read_ = 0;
};

}  // namespace vitforge_trace

#endif
