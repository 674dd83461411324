# SPDX-License-Identifier: Apache-2.0
"""`vitforge demo`: from float weights to digits on the simulated board."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from vitforge.boards import load_board
from vitforge.cli import main
from vitforge.demo import DemoResult, demo
from vitforge.report.compare import report

KEYS = {
    "float_top1",
    "int8_top1",
    "images",
    "csim_mismatches",
    "csim_mismatches_amd",
    "driver_mismatches",
    "cycles_per_image",
    "fps",
    "dsp",
    "board",
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """All 1,000 held-out digits on the ZCU104."""
    return demo(board=load_board("zcu104"), output=tmp_path_factory.mktemp("demo") / "out")


def test_every_figure_the_demo_promises(result: DemoResult) -> None:
    facts = json.loads(json.dumps(result.to_json()))
    assert set(facts) >= KEYS
    assert facts["images"] == 1000
    assert facts["csim_mismatches"] == facts["csim_mismatches_amd"] == facts["driver_mismatches"] == 0
    assert facts["float_top1"] >= 0.97
    assert facts["float_top1"] - facts["int8_top1"] <= 0.005
    assert facts["fps"] > 0
    assert facts["board"] == "zcu104"
    assert result.passed


def test_picture_of_digits_with_predictions(result: DemoResult) -> None:
    with Image.open(result.picture) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 400


def test_project_stays_for_a_look(result: DemoResult) -> None:
    assert (Path(result.generated.directory) / "project.json").is_file()


def test_report_shows_the_accuracy_that_was_found(result: DemoResult) -> None:
    found = report(result.generated.directory).quality.accuracy
    assert found is not None
    assert (found.float_top1, found.int8_top1, found.images) == (result.float_top1, result.int8_top1, 1000)


def test_unknown_board(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["demo", "--board", "zcu999", "-o", str(tmp_path / "x")])
    assert done.exit_code == 2
    assert "zcu999" in done.stderr
