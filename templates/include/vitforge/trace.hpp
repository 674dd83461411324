// SPDX-License-Identifier: Apache-2.0
// Marks of the dataflow structure for `vitforge trace`. For synthesis and an ordinary csim they do nothing.
//   VITFORGE_REGION(name)      first line of a function with `#pragma HLS dataflow`: its callees run concurrently
//   VITFORGE_PROCESS(name)     first line of a process: its body is sequential
//   VITFORGE_ITERATION(label, index)             first line of the body of a pipelined loop; a new run of the loop
//   VITFORGE_KIND_ITERATION(label, index, kind)  begins where index is 0. Kind 0 does no useful work, 1 is the default
// No semicolon after a mark.
#ifndef VITFORGE_TRACE_HPP
#define VITFORGE_TRACE_HPP

#if defined(VITFORGE_TRACE) && !defined(__SYNTHESIS__)

#include "vitforge_csim/trace.hpp"

#define VITFORGE_REGION(name) const vitforge_csim::TraceScope vitforge_trace_scope(name, true);
#define VITFORGE_PROCESS(name) const vitforge_csim::TraceScope vitforge_trace_scope(name, false);
#define VITFORGE_KIND_ITERATION(label, index, kind) \
    const vitforge_csim::TraceIteration vitforge_trace_iteration(label, (index) == 0, kind);
#define VITFORGE_ITERATION(label, index) VITFORGE_KIND_ITERATION(label, index, 1)

#else

#define VITFORGE_REGION(name)
#define VITFORGE_PROCESS(name)
// A counter that only the trace reads counts as used.
#define VITFORGE_KIND_ITERATION(label, index, kind) static_cast<void>(index);
#define VITFORGE_ITERATION(label, index) static_cast<void>(index);

#endif

#endif
