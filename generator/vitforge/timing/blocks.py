# SPDX-License-Identifier: Apache-2.0
"""The blocks and FIFOs of a recording by the names that people use, and the depths that the kernels declare."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vitforge.errors import ConfigError
from vitforge.timing.recording import Recording

_STEP = "top/accelerator/compute/half_step"
# Block -> its unit, in the order of a timeline.
UNITS = {
    "top/accelerator/fetch": "DDR port, layer norm 1",
    f"{_STEP}/norm_step/norm_sum": "layer norm 1, sums",
    f"{_STEP}/norm_step/norm_reciprocal": "layer norm 1, deviations",
    f"{_STEP}/norm_step/norm_output": "layer norm 1, output",
    "top/accelerator/fetch#1": "DDR port, attention array",
    "top/accelerator/nsa_recall": "store, attention array",
    "top/accelerator/nsa_merge/merge_chunk": "stream, attention array",
    f"{_STEP}/nsa_step/nsa_slot/nsa_array": "attention array",
    f"{_STEP}/nsa_step/nsa_slot/softmax": "softmax",
    "top/accelerator/fetch#2": "DDR port, layer norm 2",
    f"{_STEP}/norm_step#1/norm_sum": "layer norm 2, sums",
    f"{_STEP}/norm_step#1/norm_reciprocal": "layer norm 2, deviations",
    f"{_STEP}/norm_step#1/norm_output": "layer norm 2, output",
    "top/accelerator/fetch#3": "DDR port, MLP array",
    "top/accelerator/nmp_recall": "store, MLP array",
    "top/accelerator/nmp_merge/merge_chunk": "stream, MLP array",
    f"{_STEP}/nmp_step": "MLP array",
    "top/accelerator/store_logits": "results",
}
ARRAYS = {"nsa": f"{_STEP}/nsa_step/nsa_slot/nsa_array", "nmp": f"{_STEP}/nmp_step"}
STEP = _STEP  # a block whose invocations are the steps
ARRAY_LOOP = "array_cycle"
WORK, DRAINS = 3, 4  # of the kind of an iteration of the array loop: operation, and whether a tile drains

_DEPTH = re.compile(r"#pragma HLS stream variable=(\w+) depth=(\d+)")
_DECLARED = re.compile(r"hls::stream<.*>\s+(\w+)\(\"(\w+)\"\)")
DEFAULT_DEPTH = 2  # what the tool gives a stream without a pragma


@dataclass(frozen=True)
class Fifo:
    """A stream between two blocks."""

    name: str  # short and unique
    path: str  # in the recording
    depth: int  # as the generated sources declare it


def declared_depths(hls: Path) -> dict[str, int]:
    """Depth of each stream by its name, as the sources in hls/ declare it."""
    depths: dict[str, int] = {}
    for source in sorted(hls.rglob("*.hpp")) + sorted((hls / "src").glob("*.cpp")):
        text = source.read_text(encoding="utf-8")
        by_variable = {name: int(depth) for name, depth in _DEPTH.findall(text)}
        for variable, name in _DECLARED.findall(text):
            depths[name] = by_variable.get(variable, DEFAULT_DEPTH)
    return depths


def fifos(recording: Recording, hls: Path) -> list[Fifo]:
    """The FIFOs of a project in hls/. Those of the MLP engine that nothing uses are left out by the caller."""
    depths = declared_depths(hls)
    found = []
    for stream, path in zip(recording.streams, recording.stream_paths, strict=True):
        owner = path.rsplit("/", 1)[0]
        prefix = {f"{_STEP}/norm_step": "ln1_", f"{_STEP}/norm_step#1": "ln2_"}.get(owner, "")
        found.append(Fifo(prefix + stream.name, path, depths.get(stream.name, DEFAULT_DEPTH)))
    return found


def with_depths(found: list[Fifo], wanted: Mapping[str, int]) -> dict[str, int | None]:
    """Stream path -> depth, with those of ``wanted`` (by name) in place of the declared ones.

    Raises ConfigError for a name that no FIFO has, or a depth below 1.
    """
    names = {fifo.name for fifo in found}
    for name, depth in wanted.items():
        if name not in names:
            raise ConfigError(f"no FIFO is called {name!r}; there are {', '.join(sorted(names))}")
        if depth < 1:
            raise ConfigError(f"FIFO {name} cannot be {depth} deep; the least is 1")
    return {fifo.path: wanted.get(fifo.name, fifo.depth) for fifo in found}
