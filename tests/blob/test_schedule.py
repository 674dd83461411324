# SPDX-License-Identifier: Apache-2.0
"""The schedule: every image visits every unit in order, no unit has two, and memories are free when they are taken."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.designs import DESIGNS
from kernels.support import quant_model
from vitforge.quantize.blob import build_blob
from vitforge_host.blob import read_blob
from vitforge_host.schedule import IMAGE, UNITS, ChunkKind, Part, Step, chunk_lists, schedule


@dataclass(frozen=True)
class Plan:
    """A batch, and what the schedule must know of the design."""

    images: int
    depth: int
    has_head: bool = True
    head_images: int = 4
    head_slices: int = 1
    slices: int = 1
    embed_unit: str = "nmp"

    @property
    def image_steps(self) -> int:
        return 4 * self.depth if self.has_head else 4 * (self.depth + 1)

    def steps(self) -> list[Step]:
        return schedule(
            self.images,
            self.depth,
            image_steps=self.image_steps,
            has_head=self.has_head,
            head_images=self.head_images,
            head_slices=self.head_slices,
            slices=self.slices,
            embed_unit=self.embed_unit,
        )

    @property
    def loader(self) -> str:
        return UNITS[UNITS.index(self.embed_unit) - 1]

    @property
    def groups(self) -> list[list[int]]:
        size = self.head_images
        return [list(range(first, min(first + size, self.images))) for first in range(0, self.images, size)]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    has_head = draw(st.booleans())
    return Plan(
        images=draw(st.integers(1, 40)),
        depth=draw(st.integers(1, 13)),
        has_head=has_head,
        head_images=draw(st.sampled_from([2, 4])) if has_head else 1,
        head_slices=draw(st.integers(1, 16)) if has_head else 1,
        slices=draw(st.integers(1, 4)),
        embed_unit=draw(st.sampled_from(["nsa", "nmp"])) if has_head else "nmp",
    )


Visit = tuple[int, str, Part]  # step, unit, part


def visits(steps: list[Step]) -> list[Visit]:
    """All parts in the order of time, within a step in that of the units."""
    return [(number, unit, part) for number, step in enumerate(steps) for unit in UNITS for part in getattr(step, unit)]


def block_of(part: Part) -> int | None:
    """Block of a part that is one half of one."""
    name = part.section.split(".")
    return int(name[1]) if len(name) == 2 and name[1].isdigit() and name[0] in UNITS else None


@given(plan=plans())
def test_every_image_passes_every_unit_in_order(plan: Plan) -> None:
    """Its patches, its embedding, both halves of every block, the final norm; each in the step after the one before."""
    found = visits(plan.steps())
    marks, heads = f"{plan.loader}.mark", "nsa.head."
    for image in range(plan.images):
        seen = [
            (step, unit, part.section)
            for step, unit, part in found
            if part.image == image and part.section not in (marks, "ln1.final") and not part.section.startswith(heads)
        ]
        loads = [
            part
            for i in range(plan.slices)
            for part in ((plan.loader, f"{plan.loader}.load.{i}"), (plan.loader, IMAGE))
        ]
        lead = [unit for unit in UNITS if UNITS.index(unit) > UNITS.index(plan.embed_unit)]  # the way round is empty
        blocks = [(unit, f"{unit}.{block}") for block in range(plan.depth) for unit in UNITS]
        final = ("ln1", f"ln1.final.{image % plan.head_images}")
        expected = [*loads, (plan.embed_unit, f"{plan.embed_unit}.embed"), *blocks, final]
        assert [(unit, name) for _, unit, name in seen] == expected
        first = seen[0][0]
        assert [step for step, _, name in seen if name.endswith(".embed")] == [first]
        times = [step for step, _, name in seen if name.split(".")[-1].isdigit() and ".load." not in name]
        assert times == [first + 1 + len(lead) + i for i in range(len(times))]


@given(plan=plans())
def test_slices_of_an_image_come_in_order_after_their_descriptors(plan: Plan) -> None:
    for step in plan.steps():
        parts = [part for part in getattr(step, plan.loader) if part.section == IMAGE or ".load." in part.section]
        images = list(dict.fromkeys(part.image for part in parts))
        expected = []
        for image in images:
            for i in range(plan.slices):
                expected += [Part(f"{plan.loader}.load.{i}", image), Part(IMAGE, image, i)]
        assert parts == expected
        assert len(images) <= 1


@given(plan=plans())
def test_a_unit_has_one_image_beside_those_that_come_and_go(plan: Plan) -> None:
    for step in plan.steps():
        for unit in UNITS:
            parts = getattr(step, unit)
            assert sum(block_of(part) is not None for part in parts) <= 1
            assert len(parts) == len(set(parts))


@given(plan=plans())
def test_residuals_rotate_without_collision(plan: Plan) -> None:
    """Unit number u (in the ring) of step s has residual (s - u) mod 4: one for an image's life.

    The embedding replaces what is there, so that it comes when the image before is done: with a class head, when its
    class token has moved to the spare row in that step, before; without, after the final norm has read all rows.
    """
    owner: dict[int, int] = {}
    spare: dict[int, int] = {}
    for number, step in enumerate(plan.steps()):
        for place, unit in enumerate(UNITS):
            row = (number - place) % 4
            for part in getattr(step, unit):
                last = block_of(part) == plan.depth - 1 and plan.has_head
                if part.section == f"{plan.embed_unit}.embed":
                    assert row not in owner
                    owner[row] = part.image
                elif part.section.startswith("ln1.final."):
                    assert (spare if plan.has_head else owner).pop(row) == part.image
                elif block_of(part) is not None:
                    assert part.image in (owner.get(row), spare.get(row))
                    if last and unit == plan.embed_unit:
                        spare[row] = owner.pop(row)
    assert not owner and not spare


@given(plan=plans())
def test_class_heads_have_their_class_tokens(plan: Plan) -> None:
    """A head comes after the final norm of all of its images, and no later than that of the next group's first.

    What a layer norm sends in a step, the array has in the next one; a head is the first of the array's parts, so that
    what arrives in its own step comes too late to harm it.
    """
    if not plan.has_head:
        assert not any("head" in part.section for _, _, part in visits(plan.steps()))
        return
    found = visits(plan.steps())
    sent = {part.image: step for step, _, part in found if part.section.startswith("ln1.final.")}
    heads = [(step, part) for step, _, part in found if part.section.startswith("nsa.head.")]
    names = [
        Part(f"nsa.head.{number}{end}", group[0])
        for group in plan.groups
        for number in range(plan.head_slices)
        for end in (f".{len(group)}", "")
    ]
    assert [part for _, part in heads] == names  # groups, in each the jobs, in each the descriptor and the weights
    following = [group[0] for group in plan.groups[1:]]
    for step, part in heads:
        group = next(group for group in plan.groups if group[0] == part.image)
        assert step > max(sent[image] for image in group)
        after = [image for image in following if image > group[-1]]
        assert not after or step <= sent[after[0]]
    for step in plan.steps():
        sections = [part.section for part in step.nsa]
        count = sum(name.startswith("nsa.head.") for name in sections)
        assert all(name.startswith("nsa.head.") for name in sections[:count])


@given(plan=plans())
def test_a_mark_where_the_last_block_gives_way_and_no_image_enters(plan: Plan) -> None:
    """Jobs of the last block let patches in while they work; without patches, a mark keeps the next norm out."""
    for step in plan.steps():
        sections = [part.section for part in getattr(step, plan.loader)]
        leaves = any(block_of(part) == plan.depth - 1 and plan.has_head for part in getattr(step, plan.embed_unit))
        loads = any(".load." in name for name in sections)
        assert (f"{plan.loader}.mark" in sections) == (leaves and not loads)
        if leaves:  # before all that the norm sends for the next step
            assert sections[0] in (f"{plan.loader}.mark", f"{plan.loader}.load.0")


@given(plan=plans())
def test_number_of_steps(plan: Plan) -> None:
    """To the place that embeds, 4 units a block, final norm and class head; an image every step while places last."""
    lead = 4 - UNITS.index(plan.embed_unit)
    last = plan.images - 1
    assert len(plan.steps()) == lead + last // 4 * plan.image_steps + last % 4 + 4 * plan.depth + 2


@pytest.mark.parametrize(("has_head", "more"), [(True, 0), (False, 1)])
def test_steady_state_takes_as_many_steps_an_image_as_there_are_blocks(has_head: bool, more: int) -> None:
    """Without a class head one more: all tokens leave, and the next image has to wait for them."""
    for depth in (1, 6, 12):
        steps = [
            len(Plan(images=images, depth=depth, has_head=has_head, head_images=4 if has_head else 1).steps())
            for images in (200, 400)
        ]
        assert steps[1] - steps[0] == 200 * (depth + more)


@pytest.mark.parametrize(("images", "depth"), [(0, 1), (1, 0), (-1, 3)])
def test_nothing_to_schedule(images: int, depth: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Plan(images=images, depth=depth).steps()


@pytest.mark.parametrize("name", sorted(DESIGNS))
@pytest.mark.parametrize("images", [1, 4, 9])
def test_chunk_lists_spell_the_schedule(name: str, images: int) -> None:
    design = DESIGNS[name]
    manifest = read_blob(build_blob(design, quant_model(design, "random"))).manifest
    lists, n_steps = chunk_lists(manifest, images)
    plan = Plan(
        images=images,
        depth=design.shape.depth,
        has_head=design.shape.num_classes > 0,
        head_images=design.head_images,
        head_slices=len(design.head_slices),
        slices=len(design.patch_parts),
        embed_unit="nsa" if design.folding.embed_nsa else "nmp",
    )
    steps = plan.steps()
    assert n_steps == len(steps)
    places = {}
    for section, place in manifest["sections"].items():
        kept = place.get("kept")
        entries = kept["first"] | kept["entries"] << 16 if kept else 0
        kind = ChunkKind.RECALL if kept else ChunkKind.BLOB
        places[place["offset_beats"], place["beats"], kind, entries] = section
        if kept:
            places[kept["offset_beats"], kept["beats"], ChunkKind.KEEP, entries] = section
    pieces = {(first, beats): index for index, (first, beats) in enumerate(manifest["image_slices"])}
    assert sum(beats for _, beats in pieces) == design.image_beats
    for unit, chunks in lists.items():
        names, kept_names = [], []
        for offset, beats, kind, entries in chunks[:-1].tolist():
            if kind == ChunkKind.IMAGES:
                image, first = divmod(offset, design.image_beats)
                names.append(Part(IMAGE, image, pieces[first, beats]))
                assert entries == 0
                continue
            name = places[offset, beats, kind, entries]
            if kind == ChunkKind.KEEP:
                kept_names.append(name)
                continue
            assert kind == ChunkKind.BLOB or name in kept_names, "of an earlier launch"
            names.append(name)
        assert len(kept_names) == len(set(kept_names)), "read once a launch"
        assert chunks[-1].tolist() == [0, 0, 0, 0]
        end = f"end.{unit}" if unit in ("nsa", "nmp") else "end.ln"
        expected: list[object] = []
        for step in steps:
            expected += [part if part.section == IMAGE else part.section for part in getattr(step, unit)] + [end]
        assert names == expected
