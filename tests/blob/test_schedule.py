# SPDX-License-Identifier: Apache-2.0
"""The schedule: every image visits every unit in order, no unit has two, and memories are free when they are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.designs import DESIGNS
from kernels.support import quant_model
from vitforge.quantize.blob import build_blob
from vitforge_host.blob import read_blob
from vitforge_host.schedule import IMAGE, UNITS, Step, chunk_lists, schedule


def visits(steps: list[Step], image: int) -> list[tuple[int, str, str]]:
    """(step, unit, part) of one image, in the order of time."""
    return [
        (number, unit, name)
        for number, step in enumerate(steps)
        for unit in UNITS
        for name, of in getattr(step, unit)
        if of == image
    ]


@given(images=st.integers(1, 40), depth=st.integers(1, 13))
def test_every_image_passes_every_unit_in_order(images: int, depth: int) -> None:
    steps = schedule(images, depth)
    for image in range(images):
        seen = visits(steps, image)
        blocks = [(unit, f"{unit}.{block}") for block in range(depth) for unit in UNITS]
        expected = [("ln2", "ln2.load"), ("ln2", IMAGE), ("nmp", "nmp.embed"), *blocks]
        expected += [("ln1", "ln1.final"), ("nsa", "nsa.head")]
        assert [(unit, name) for _, unit, name in seen] == expected
        times = [number for number, _, name in seen if name != IMAGE]
        assert times == list(range(times[0], times[0] + len(times)))


@given(images=st.integers(1, 40), depth=st.integers(1, 13))
def test_a_unit_has_one_image_beside_those_that_come_and_go(images: int, depth: int) -> None:
    for step in schedule(images, depth):
        for unit in UNITS:
            names = [name for name, _ in getattr(step, unit)]
            assert sum(name.split(".")[-1].isdigit() for name in names) <= 1
            assert len(names) == len(set(names))


@given(images=st.integers(1, 40), depth=st.integers(1, 13))
def test_residual_memories_rotate_without_collision(images: int, depth: int) -> None:
    """Layer norm 1 of step s uses residual s mod 4, layer norm 2 residual (s + 2) mod 4: one for an image's life."""
    owner: dict[int, int] = {}
    for number, step in enumerate(schedule(images, depth)):
        for unit, shift in (("ln1", 0), ("ln2", 2)):
            for name, image in getattr(step, unit):
                slot = (number + shift) % 4
                if name == "ln1.0":
                    assert slot not in owner
                    owner[slot] = image
                elif name == "ln1.final":
                    assert owner.pop(slot) == image
                elif name.startswith(("ln1.", "ln2.")) and name != "ln2.load":
                    assert owner[slot] == image
    assert not owner


def test_steady_state_takes_as_many_steps_an_image_as_there_are_blocks() -> None:
    for depth in (1, 6, 12):
        assert len(schedule(400, depth)) - len(schedule(200, depth)) == 200 * depth


@pytest.mark.parametrize(("images", "depth"), [(0, 1), (1, 0), (-1, 3)])
def test_nothing_to_schedule(images: int, depth: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        schedule(images, depth)


@pytest.mark.parametrize("images", [1, 4, 9])
def test_chunk_lists_spell_the_schedule(images: int) -> None:
    design = DESIGNS["even"]
    manifest = read_blob(build_blob(design, quant_model(design, "random"))).manifest
    lists, n_steps = chunk_lists(manifest, images)
    steps = schedule(images, design.shape.depth)
    assert n_steps == len(steps)
    sections = {(e["offset_beats"], e["beats"]): name for name, e in manifest["sections"].items()}
    for unit, entries in lists.items():
        names = []
        for offset, beats, source, zero in entries[:-1].tolist():
            assert zero == 0
            if source:
                assert beats == design.image_beats and offset % beats == 0
                names.append(f"{IMAGE} {offset // beats}")
            else:
                names.append(sections[offset, beats])
        assert entries[-1].tolist() == [0, 0, 0, 0]
        end = "end.array" if unit in ("nsa", "nmp") else "end.ln"
        expected = []
        for step in steps:
            expected += [f"{IMAGE} {of}" if name == IMAGE else name for name, of in getattr(step, unit)] + [end]
        assert names == expected
