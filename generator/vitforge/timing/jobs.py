# SPDX-License-Identifier: Apache-2.0
"""What the arrays do, step by step, in words: a name for each descriptor they read."""

from __future__ import annotations

from vitforge.design.design import Design
from vitforge.quantize.jobs import END, Job
from vitforge.quantize.model import QuantModel
from vitforge.quantize.records import ArrayJob
from vitforge.quantize.sections import array_sections
from vitforge_host.schedule import Part, schedule


def array_jobs(design: Design, model: QuantModel, images: int) -> dict[str, list[list[str]]]:
    """Array -> step -> names of the jobs, in the order in which `quantize.sections` lays them out."""
    steps = schedule(
        images,
        design.shape.depth,
        image_steps=design.image_steps,
        has_head=design.finishes_early,
        head_images=design.head_images,
        head_slices=len(design.head_slices),
        slices=len(design.patch_parts),
        embed_unit="nsa" if design.folding.embed_nsa else "nmp",
    )
    sections = array_sections(design, model)
    names: dict[str, list[list[str]]] = {"nsa": [], "nmp": []}
    for step in steps:
        for unit, rows in names.items():
            parts: list[Part] = getattr(step, unit)
            rows.append([name for part in parts for name in _jobs(part, sections)] + [END])
    return names


# The layers of the blocks whose cycles follow what pruning leaves; patch embedding and class head are not pruned.
_LINEAR = ("QKV", "KV", "queries", "projection", "FC1", "FC2")


def is_linear(name: str) -> bool:
    """Whether the job of that name is of a linear layer of a block."""
    return name.startswith(_LINEAR)


def _jobs(part: Part, sections: dict[str, list[Job]]) -> list[str]:
    name = part.section.split(".", 1)[1]
    if name.startswith("head."):
        return ["class head"] if name.count(".") == 2 else []  # else the weights of the job before
    return [job.name if isinstance(job, ArrayJob) else job.job.name for job in sections[part.section]]
