# SPDX-License-Identifier: Apache-2.0
"""Names of all rules, each with what it asks for. docs/lint.md says why."""

from __future__ import annotations

RULES = {
    "parse": "clang accepts the sources as C++14",
    "include": "#include finds its file inside hls/; kernels include ap_int.h and hls_stream.h besides",
    "pragma-name": "a pragma is one that Vitis HLS 2024.1 to 2026.1 knows",
    "pragma-option": "options of a pragma exist, none that it needs is missing, and their values are allowed",
    "pragma-legacy": "no pragma or configuration command that the tool has dropped or deprecated",
    "pragma-place": "a pragma stands in a construct that it can apply to, before the statements of that construct",
    "pragma-variable": "a pragma names a variable of its function, and a dimension that it has",
    "loop-label": "every loop has a label",
    "loop-tripcount": "a loop whose bound is not a constant states loop_tripcount max",
    "loop-unroll": "a loop that is unrolled, itself or inside a pipelined one, has a constant bound",
    "pipeline-ii": "every pipelined loop states its initiation interval",
    "dataflow-body": "a dataflow region holds declarations and calls only, with plain arguments",
    "dataflow-channel": "a channel of a dataflow region has one producer and one consumer",
    "dataflow-feedback": "a channel leads from an earlier process to a later one",
    "dataflow-bypass": "an array between two processes does not pass by a third one between them",
    "stream-depth": "every stream of a dataflow region states its depth",
    "interface": "every argument of the top function and its return have an interface pragma, only those have",
    "interface-depth": "an m_axi port states its bundle, and a depth that is the length of its array",
    "memory-port": "a memory has the ports that the unrolled lanes of a pipelined loop need",
    "multiplier": "no multiplication is wider than a DSP: 27 x 18 bits, 25 x 18 on 7-series parts",
    "recursion": "no function calls itself",
    "dynamic-memory": "no new, delete, malloc or free",
    "library": "kernels use nothing of the C++ or C library",
    "exception": "no throw, try or catch",
    "float": "no floating point",
}
