# SPDX-License-Identifier: Apache-2.0
"""What the arrays do, step by step, in words: a name for each descriptor they read."""

from __future__ import annotations

from vitforge.design.design import Design
from vitforge_host.schedule import Part, schedule

END = "end"  # of a slot or of a step


def array_jobs(design: Design, images: int) -> dict[str, list[list[str]]]:
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
    names: dict[str, list[list[str]]] = {"nsa": [], "nmp": []}
    for step in steps:
        for unit, rows in names.items():
            parts: list[Part] = getattr(step, unit)
            rows.append([name for part in parts for name in _jobs(design, part)] + [END])
    return names


def _jobs(design: Design, part: Part) -> list[str]:
    unit, name = part.section.split(".", 1)
    if name.startswith("head."):
        return ["class head"] if name.count(".") == 2 else []  # else the weights of the job before
    if name == "embed":
        return ["patch embedding"] * len(design.patch_parts) * len(design.embed_columns)
    last = design.finishes_early and int(name) == design.shape.depth - 1
    return _attention_jobs(design, last=last) if unit == "nsa" else _mlp_jobs(design, last=last)


def _attention_jobs(design: Design, *, last: bool) -> list[str]:
    heads = design.shape.num_heads
    jobs = ["queries of the class token"] if last else []
    what = "KV" if last else "QKV"
    jobs += [f"{what}, head 0", "scores, head 0"]
    if heads > 1:
        jobs.append(f"{what}, heads 1 to {heads - 1}" if heads > 2 else f"{what}, head 1")
    jobs.append(END)
    for head in range(1, heads):
        jobs += [f"scores, head {head}", f"context, head {head - 1}", END]
    return [*jobs, f"context, head {heads - 1}", "projection"]


def _mlp_jobs(design: Design, *, last: bool) -> list[str]:
    if last:
        return ["FC1 of the class token", "FC2 of the class token"]
    return ["FC1", "FC2"] * len(design.mlp_parts)
