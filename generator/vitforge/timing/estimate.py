# SPDX-License-Identifier: Apache-2.0
"""Closed-form timing of a design: `timing.costs` put into the schedule of the host; nothing is run.

It assumes that the tool reaches the initiation intervals written in the kernels. Pipeline depths are modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache

from vitforge.design.block_sizes import BlockSizes, arrival_pause, block_sizes
from vitforge.design.design import Design
from vitforge.design.loops import CALL_CYCLES
from vitforge.model.keep import all_sides, everything, kept_weights
from vitforge.timing import costs
from vitforge.timing.costs import NOTHING, JobCost
from vitforge.timing.ddr import Keeps as Keeps
from vitforge.timing.ddr import ddr_bytes, ddr_cycles

UNITS = ("ln1", "nsa", "ln2", "nmp")
ARRAYS = ("nsa", "nmp")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Modelled timing of a design in steady state."""

    cycles_per_image: int
    latency_cycles: int  # of one image alone
    clock_mhz: float
    fps: float
    busy: dict[str, float]  # unit, or softmax -> fraction of the steady state that it works
    array_busy: dict[str, float]  # engine -> fraction of the steady state in which its array multiplies
    array_efficiency: dict[str, float]  # engine -> fraction of its multiplications that the model needs
    engine_balance: float  # multiplying cycles of the less loaded array / of the other
    ddr_bytes_per_image: int  # of a further image of a launch
    macs_per_image: int
    dsp_roof_fraction: float  # multiplications of the model / what all DSPs of the device could do, two a cycle
    limited_by: str  # unit or "ddr"

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


@lru_cache(maxsize=1 << 10)
def _attention(design: Design, sizes: BlockSizes, is_early: bool) -> JobCost:
    cost = costs.self_attention(design, sizes, class_token_only=is_early)
    return cost if is_early and design.folding.embed_nsa else _paced(design, sizes.norm1, cost)


@lru_cache(maxsize=1 << 10)
def _mlp(design: Design, sizes: BlockSizes, is_early: bool) -> JobCost:
    cost = costs.class_token_mlp(design, sizes) if is_early else costs.mlp(design, sizes)
    return cost if is_early and not design.folding.embed_nsa else _paced(design, sizes.norm2, cost)


def _paced(design: Design, kept: int, cost: JobCost) -> JobCost:
    """``cost`` where activations are taken more rarely, because pruned ones are sent more rarely."""
    pause = arrival_pause(design.qkv.k_tiles, kept)
    return cost if pause == 0 else replace(cost, room=min(cost.room, cost.cycles // (2 + pause)))


@dataclass(frozen=True)
class UnitCosts:
    """What each unit does for an image, block by block."""

    design: Design
    keep: Keeps = ()
    sparse: bool = False  # 2:4 weights

    @cached_property
    def sizes(self) -> list[BlockSizes]:
        """Of each block."""
        keep = self.keep or (None,) * self.design.shape.depth
        return [block_sizes(self.design, masks, sparse=self.sparse) for masks in keep]

    @cached_property
    def attentions(self) -> list[JobCost]:
        """Of each block; the last one of the class token alone, where that is enough."""
        return [
            _attention(self.design, sizes, self._is_early and block == self.design.shape.depth - 1)
            for block, sizes in enumerate(self.sizes)
        ]

    @cached_property
    def mlps(self) -> list[JobCost]:
        """The same of the MLPs."""
        return [
            _mlp(self.design, sizes, self._is_early and block == self.design.shape.depth - 1)
            for block, sizes in enumerate(self.sizes)
        ]

    @cached_property
    def head(self) -> list[JobCost]:
        return costs.class_head(self.design)

    @cached_property
    def embedding(self) -> JobCost:
        """Beside the last block of the image that leaves, where there is one."""
        last = (self.attentions if self.design.folding.embed_nsa else self.mlps)[-1]
        return costs.patch_embedding(self.design, last.room if self._is_early else 0)

    @cached_property
    def norm(self) -> int:
        return costs.norm(self.design, self.design.shape.seq_len)

    @cached_property
    def first_norm(self) -> int:
        return costs.norm(self.design, self.design.shape.seq_len, table=True)

    @cached_property
    def final_norm(self) -> int:
        return costs.norm(self.design, 1 if self._is_early else self.design.shape.seq_len)

    @property
    def _is_early(self) -> bool:
        return self.design.finishes_early

    def of_step(self, offset: int) -> dict[str, JobCost]:
        """Unit -> work, ``offset`` steps after an image entered, with what joins it in steady state."""
        block, unit = divmod(offset, 4)
        name = UNITS[unit]
        if name in ARRAYS:
            return {name: self._array(name, block)}
        return {name: self._layer_norm(name, block)}

    def _array(self, name: str, block: int) -> JobCost:
        jobs = self.attentions if name == "nsa" else self.mlps
        job = NOTHING if block == self.design.shape.depth else jobs[block]
        embeds = name == ("nsa" if self.design.folding.embed_nsa else "nmp")
        return job + self.embedding if embeds and block == self._last_round else job

    def _layer_norm(self, name: str, block: int) -> JobCost:
        depth, early = self.design.shape.depth, self._is_early
        words = self._words(name, block) if block < depth else 0
        sending = costs.sending(self.design, self.design.shape.seq_len)
        cycles = self.norm if block < depth else 0
        if name == "ln1":
            cycles = self.first_norm if block == 0 else cycles
            cycles += self.final_norm if block == (0 if early else depth) else 0
        elif early and block == depth - 1:
            cycles, words = costs.norm(self.design, 1), 0
        loads = name == ("ln1" if self.design.folding.embed_nsa else "ln2")
        cycles += costs.load(self.design) if loads and block == self._last_round else 0
        return JobCost(cycles=cycles, work=sending if words else 0, room=words)

    def _words(self, name: str, block: int) -> int:
        """That a layer norm sends: of the channels that are kept."""
        design, sizes = self.design, self.sizes[block]
        k_tiles = sizes.norm1 if name == "ln1" else sizes.norm2
        per_k_tile = design.folding.tk // design.folding.tc
        return design.shape.seq_len * min(design.channel_tiles, k_tiles * per_k_tile)

    @property
    def _last_round(self) -> int:
        """Of the four units: the one in which the next image is loaded and embedded."""
        return self.design.image_steps // 4 - 1

    def steady_steps(self) -> list[dict[str, JobCost]]:
        """The steps in which four images pass through, each unit with its work."""
        count = self.design.image_steps
        steps = []
        for step in range(count):
            units: dict[str, JobCost] = {}
            for image in range(4):
                units |= self.of_step((step - image) % count)
            steps.append(units)
        for group in range(0, 4, self.design.head_images):
            for number, job in enumerate(self.head):
                units = steps[self._head_step(group, number) % count]
                units["nsa"] = job + units["nsa"]
        return steps

    def _head_step(self, group: int, number: int) -> int:
        """Of a job of the class head of the images from ``group`` on; the step in which image 0 enters is 0.

        A single job beside the last block of an image, several one to a step after the final norm. If the class tokens
        of the next group follow at once, all of them go before those.
        """
        after = 4 * self.design.shape.depth + group
        if self.design.head_images < 4:
            return after + self.design.head_images
        return after - 3 if len(self.head) == 1 else after + 4 + number


def step_cycles(units: Mapping[str, JobCost]) -> int:
    """A step ends with its slowest unit. An array also stores what its layer norm sends: beside its jobs if it can."""
    ends = []
    for norm, array in (("ln1", "nsa"), ("ln2", "nmp")):
        sent, job = units.get(norm, NOTHING), units.get(array, NOTHING)
        ends += [sent.cycles, job.cycles + max(0, sent.room - job.room), job.closed + sent.work]
    return max(ends) + 2 * CALL_CYCLES + 8


def _latency(unit: UnitCosts) -> int:
    """One image alone: embedding, 4 * depth units one after the other, final norm, head."""
    depth = unit.design.shape.depth
    words = unit.design.shape.seq_len * unit.design.channel_tiles
    early = unit.design.finishes_early
    total = step_cycles({"nmp": costs.patch_embedding(unit.design, 0)})
    for block in range(depth):
        is_last = block == depth - 1
        first = unit.first_norm if block == 0 else unit.norm
        second = costs.norm(unit.design, 1) if early and is_last else unit.norm
        total += step_cycles({"ln1": JobCost(cycles=first, work=0, room=words)})
        total += step_cycles({"nsa": unit.attentions[block]})
        total += step_cycles({"ln2": JobCost(cycles=second, work=0, room=0 if early and is_last else words)})
        total += step_cycles({"nmp": unit.mlps[block]})
    return (
        total
        + step_cycles({"ln1": JobCost(cycles=unit.final_norm, work=0)})
        + step_cycles({"nsa": sum(unit.head, NOTHING)})
    )


def macs_per_image(design: Design, keep: Keeps = ()) -> int:
    """Multiplications that the float model has, padding not counted."""
    s = design.shape
    n, d = s.seq_len, s.embed_dim
    weights = kept_weights(keep) if keep else s.depth * d * (4 * d + 2 * s.hidden_dim)
    products = sum(int(masks.qk.sum() + masks.v.sum()) for masks in keep) if keep else 2 * s.depth * d
    return s.num_patches * s.patch_len * d + n * weights + n * n * products + d * s.num_classes


def _needed_macs(design: Design, keep: Keeps) -> dict[str, int]:
    """Engine -> multiplications that its results need, padding not counted."""
    s = design.shape
    masks = keep or (everything(s),) * s.depth
    needed = {"nsa": s.embed_dim * s.num_classes, "nmp": 0}
    needed["nsa" if design.folding.embed_nsa else "nmp"] += s.num_patches * s.patch_len * s.embed_dim
    for block, layer, outputs, inputs in all_sides(masks):
        is_last = design.finishes_early and block == s.depth - 1
        tokens = 1 if is_last else s.seq_len  # that leave the block
        weights = int(outputs.sum()) * int(inputs.sum())
        if layer == "qkv":  # keys and values of all tokens
            query = int(outputs[: s.embed_dim].sum()) * int(inputs.sum())
            needed["nsa"] += tokens * query + s.seq_len * (weights - query)
            needed["nsa"] += tokens * s.seq_len * int(outputs[: s.embed_dim].sum() + outputs[2 * s.embed_dim :].sum())
        else:
            needed["nsa" if layer == "proj" else "nmp"] += tokens * weights
    return needed


def estimate(design: Design, keep: Keeps = (), *, sparse: bool = False) -> Estimate:
    """Modelled steady state and latency of ``design`` with a model of the masks ``keep``, and with 2:4 weights."""
    unit = UnitCosts(design, keep, sparse)
    steps = unit.steady_steps()
    from_units = sum(map(step_cycles, steps)) / 4
    cycles = max(from_units, ddr_cycles(design, keep, sparse))
    busy = {name: sum(step.get(name, NOTHING).cycles for step in steps) / 4 / cycles for name in UNITS}
    limited_by = "ddr" if cycles > from_units else max(busy, key=busy.__getitem__)
    heads, tiles = sum(len(sizes.heads) for sizes in unit.sizes), design.nsa.token_tiles
    busy["softmax"] = heads * (tiles + 2) * costs.softmax_period(design) / cycles
    work = {name: sum(step.get(name, NOTHING).work for step in steps) / 4 for name in ARRAYS}
    f, needed = design.folding, _needed_macs(design, keep)
    peak = {"nsa": design.nsa.tt * f.tc * f.tk, "nmp": design.nmp.tt * f.tc * f.tk}
    loads = sorted(work.values())
    macs = macs_per_image(design, keep)
    return Estimate(
        cycles_per_image=round(cycles),
        latency_cycles=_latency(unit),
        clock_mhz=design.clock_mhz,
        fps=round(design.clock_mhz * 1e6 / cycles, 1),
        busy={name: round(value, 4) for name, value in busy.items()},
        array_busy={name: round(value / cycles, 4) for name, value in work.items()},
        array_efficiency={name: round(needed[name] / (peak[name] * cycles), 4) for name in peak},
        engine_balance=round(loads[0] / loads[1], 4),
        ddr_bytes_per_image=ddr_bytes(design, keep, sparse=sparse),
        macs_per_image=macs,
        dsp_roof_fraction=round(macs / (2 * design.board.dsp * cycles), 4),
        limited_by=limited_by,
    )
