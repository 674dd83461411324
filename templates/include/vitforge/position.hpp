// SPDX-License-Identifier: Apache-2.0
// Where an array stands in its job. All addresses are running sums: none costs a multiplier.
#ifndef VITFORGE_POSITION_HPP
#define VITFORGE_POSITION_HPP

#include "vitforge/job.hpp"

namespace vitforge {

// Bounds of a job's loops. The outer loop is the column tile when weights stream from DDR (each weight is read once an
// image), and the token tile in attention (one row of scores completes at a time).
struct JobBounds {
    bool linear;
    int outer;    // iterations of the outer loop
    int inner;    // and of the inner one
    int steps;    // cycles of a tile: its k tiles, or the drain of the one before if that takes longer
    int drains;   // cycles that a finished tile takes to drain
    int beats;    // of a weight tile of this job
    int next;     // of the first weight tile of the next linear job
};

template <class C>
inline JobBounds job_bounds(const ArrayJob &job, int beats, int next) {
#pragma HLS inline
    JobBounds bounds;
    bounds.linear = is_linear<C>(job);
    bounds.drains = is_linear<C>(job) ? job.drains : C::drain_groups;
    bounds.steps = job.k_tiles > bounds.drains ? job.k_tiles : bounds.drains;
    bounds.outer = bounds.linear ? job.column_tiles : job.token_tiles;
    bounds.inner = bounds.linear ? job.token_tiles : job.column_tiles;
    bounds.beats = bounds.linear ? beats : 0;
    bounds.next = next;
    return bounds;
}

template <class C>
struct ArrayPosition {
    int outer, inner, k;
    int cycle;      // within the outer iteration
    int left_row;   // first entry of the token tile
    int right_row;  // row of keys or values
    int right_bank;
    int dst_row;         // first entry of the context of the token tile
    int reciprocal_row;  // first drain group of the token tile

    explicit ArrayPosition(const ArrayJob &job)
        : outer(0),
          inner(0),
          k(0),
          cycle(0),
          left_row(job.src_base),
          right_row(job.right_base),
          right_bank(0),
          dst_row(job.dst_base),
          reciprocal_row(0) {}

    inline bool works(const ArrayJob &job, const JobBounds &bounds) const {
#pragma HLS inline
        return outer < bounds.outer && inner < bounds.inner && k < job.k_tiles;
    }

    // Keys and values: token banks follow each other, then the rows of banks; a row has `banks` operands.
    inline void next_bank(int banks, int stride) {
#pragma HLS inline
        ++right_bank;
        if (right_bank == banks) {
            right_bank = 0;
            right_row += stride;
        }
    }

    inline void next_inner(const ArrayJob &job, const JobBounds &bounds) {
#pragma HLS inline
        k = 0;
        ++inner;
        if (bounds.linear) {
            left_row += job.src_stride;
        } else if (is_context<C>(job)) {
            right_bank = 0;
            right_row = job.right_base + inner;
        } else {
            next_bank(C::key_banks / C::tc, job.right_stride);
        }
    }

    inline void next_outer(const ArrayJob &job, const JobBounds &bounds) {
#pragma HLS inline
        cycle = 0;
        k = 0;
        inner = 0;
        ++outer;
        left_row = bounds.linear ? job.src_base : left_row + job.src_stride;
        right_row = job.right_base;
        right_bank = 0;
        dst_row += job.dst_stride;
        reciprocal_row += C::drain_groups;
    }

    inline void advance(const ArrayJob &job, const JobBounds &bounds, int period) {
#pragma HLS inline
        ++cycle;
        ++k;
        if (is_context<C>(job)) {
            next_bank(C::value_banks / C::tk, job.right_stride);  // the reduction runs over the keys
        }
        if (k == bounds.steps && inner < bounds.inner) {
            next_inner(job, bounds);
        }
        if (cycle == period) {
            next_outer(job, bounds);
        }
    }
};

}  // namespace vitforge

#endif
