# SPDX-License-Identifier: Apache-2.0
"""The notebooks, executed on the simulated board: what they compute, print and show."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notebooks.support import complaints, outputs, pictures, printed, run
from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.config import ProjectConfig
from vitforge.csim.project import load_a3_project, load_project
from vitforge.deploy.overlay import link_library
from vitforge.generate import generate
from vitforge.golden.random_model import random_quant_model
from vitforge.model.shipped import shipped_heldout
from vitforge.model.vit import ViTShape
from vitforge.stories import held_out

BACKBONE = ViTShape(
    image_size=(12, 16), patch_size=4, channels=3, embed_dim=16, depth=1, num_heads=2, hidden_dim=32, num_classes=0
)
STRICT = "from pynq import Device\nassert Device.active_device.strict and Device.active_device.simulated\n"


@pytest.fixture(scope="module")
def vit(vit_project: Path) -> Any:
    probe = "import json\nprint(json.dumps([predictions.indices.tolist(), predictions.logits.tolist()]))"
    return run(vit_project, probe=STRICT + probe)


@pytest.fixture(scope="module")
def stories(a3_project: Path) -> Any:
    probe = "import json\nprint(json.dumps([answers, weights.sum(axis=2).tolist(), weights.max(axis=2).tolist()]))"
    return run(a3_project, probe=STRICT + probe)


def test_digits_are_classified_as_by_the_golden_model(vit: Any, vit_project: Path) -> None:
    indices, logits = json.loads(printed(vit, "probe"))
    with np.load(vit_project / "host" / "notebooks" / "vit_classification.npz") as samples:
        assert np.array_equal(logits, samples["expected"])
        images, truth = samples["images"], samples["truth"]
    assert printed(vit, "check") == f"0 of {10 * len(images)} logits differ from the golden model\n"
    held_images, held_labels = shipped_heldout()
    places = [int(np.flatnonzero((held_images == image).all(axis=(1, 2, 3)))[0]) for image in images]
    assert np.array_equal(held_labels[places], truth)
    assert 0 < np.count_nonzero(indices != truth) <= 2  # an honest picture shows a mistake


def test_top_classes_are_printed_with_their_probability(vit: Any) -> None:
    first = printed(vit, "classify").splitlines()[0]
    shares = [float(share) for share in re.findall(r"\d (\d+\.\d)%", first)]
    assert len(shares) == 3
    assert shares == sorted(shares, reverse=True)


def test_pictures_are_shown_once_and_nothing_complains(vit: Any, stories: Any) -> None:
    assert pictures(vit) == ["pictures", "times"]
    assert pictures(stories) == ["weights", "maps", "times"]
    assert complaints(vit) == complaints(stories) == []


def test_times_of_every_batch_size_and_where_they_come_from(vit: Any, stories: Any) -> None:
    for content, unit, sizes in ((vit, "images", [1, 2, 4, 8, 16, 32, 64]), (stories, "queries", [1, 4, 16, 64, 256])):
        head, *rows, foot = printed(content, "benchmark").splitlines()
        assert head.split()[-1] == f"{unit}/s"
        assert [int(row.split()[0]) for row in rows] == sizes
        accelerator = [float(row.split()[3]) for row in rows]
        assert all(0 < less < more for less, more in zip(accelerator, accelerator[1:], strict=False))
        assert "accelerator time modelled" in foot


def test_questions_are_answered_and_the_weights_come_from_the_accelerator(stories: Any) -> None:
    answers, sums, largest = json.loads(printed(stories, "probe"))
    questions = held_out(1)[0].questions
    assert answers == [question.answer for question in questions]
    assert printed(stories, "ask").count("right\n") == len(questions)
    assert np.allclose(sums, 1, atol=0.02)
    assert np.max(largest) > 0.9


def test_settings_are_compared_and_bit_exact(stories: Any) -> None:
    rows = [re.split(r"\s{2,}", line) for line in printed(stories, "compare").splitlines()[1:]]
    found = {name: (*(int(part) for part in right.split(" of ")), *map(float, rest)) for name, right, *rest in rows}
    assert list(found) == ["exact", "conservative", "aggressive"]
    right, total, candidates, kept, cycles = map(np.array, zip(*found.values(), strict=True))
    assert total[0] == sum(len(story.questions) for story in held_out(8))
    assert right[0] / total[0] > 0.9
    assert right[2] / total[2] > 0.7
    assert candidates[0] == kept[0] > candidates[1] > candidates[2]
    assert cycles[0] > cycles[1] > cycles[2]
    checks = printed(stories, "check").splitlines()
    assert len(checks) == 3
    assert all(re.search(r": 0 of \d+ results differ", line) for line in checks)


def test_without_room_for_the_network_it_is_plain_attention(tmp_path: Path) -> None:
    """On a board without room for candidate selection either."""
    sizes = {"n_max": 64, "d_max": 32, "normalisation": "divide_first"}
    config = ProjectConfig(kernel="a3").with_options(a3=sizes)
    generate_a3(board=load_board("pynq-z2"), output=tmp_path / "project", config=config)
    link_library(tmp_path / "project" / "overlay", load_a3_project(tmp_path / "project").compile())
    content = run(tmp_path / "project")
    (text,) = (cell.source for cell in content.cells if cell.id == "where-text")
    assert "it needs 64 rows of 64 elements, and the overlay holds 64 of 32" in text.replace("\n", " ")
    assert pictures(content) == ["maps", "times"]
    assert complaints(content) == []
    checks = printed(content, "check").splitlines()
    assert len(checks) == 3
    assert all(re.search(r": 0 of \d+ results differ", line) for line in checks)
    assert float(printed(content, "load").split()[-1]) < 0.2  # of exact attention, relative


def test_pruned_products_are_right_and_take_fewer_cycles(matmul_project: Path) -> None:
    content = run(matmul_project)
    rows = [line.split() for line in printed(content, "check").splitlines()[1:]]
    assert [name for name, *_ in rows] == ["dense", "masked", "2:4", "both"]
    assert [different for _, _, different, _ in rows] == ["0"] * 4
    cycles = [int(count.replace(",", "")) for *_, count in rows]
    assert cycles[0] > max(cycles[1:3]) >= min(cycles[1:3]) >= cycles[3]
    assert pictures(content) == ["times"]
    assert complaints(content) == []


def test_a_backbone_shows_features_of_the_images_that_were_given(tmp_path: Path) -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, *BACKBONE.image_size, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    config = ProjectConfig(calibration=str(tmp_path / "images.npy"))
    model = random_quant_model(np.random.default_rng(1), BACKBONE)
    project = tmp_path / "project"
    generate(board=load_board("zcu104"), output=project, model=model, config=config)
    link_library(project / "overlay", load_project(project).compile())
    content = run(project, probe="assert np.array_equal(images[:3], np.load('../../../images.npy'))")
    assert pictures(content) == ["pictures", "times"]
    assert printed(content, "check").startswith("0 of ")
    assert complaints(content) == []
    assert outputs(content, "probe") == []
