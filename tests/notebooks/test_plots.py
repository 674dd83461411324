# SPDX-License-Identifier: Apache-2.0
"""What the pictures of notebooks say: names, where times come from, and what is missing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from vitforge_host import InputError, plots
from vitforge_host.benchmark import Benchmark, BenchmarkRow
from vitforge_host.predictions import Predictions


def texts(figure: Figure) -> list[str]:
    """All that is written in a picture, which must be drawable."""
    figure.savefig(io.BytesIO())
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]  # type: ignore[attr-defined]


def timed(source: str, accelerator: float | None = 0.1) -> Benchmark:
    rows = [BenchmarkRow(size, 0.2, 0.1, accelerator, accelerator and 0.3 + accelerator, 1e3) for size in (1, 2)]
    return Benchmark("images", 299.997, "poll", source, 3, tuple(rows))


def test_long_names_and_dollar_signs_in_labels() -> None:
    logits = np.array([[300, 200, 100]], np.int32)
    found = Predictions(logits, 0.01, ["a $5$ note", "golden retriever", "cat"])
    written = texts(plots.predictions(np.zeros((1, 4, 4, 3), np.uint8), found, [1]))
    assert {r"a \$5\$ note", "golden ret…", "is golden ret…", "cat"} <= set(written)
    assert "66.5%" in written


@pytest.mark.parametrize("source", ["measured", "modelled"])
def test_times_say_where_they_come_from(source: str) -> None:
    written = texts(plots.benchmark({"exact": timed(source), "aggressive": timed(source)}))
    assert f"Throughput, accelerator {source} at 300 MHz" in written
    assert f"accelerator, aggressive, {source}" in written
    assert ("host, measured on this computer" in written) == (source == "modelled")


def test_without_a_cycle_model_there_is_no_picture() -> None:
    with pytest.raises(InputError, match="counts no cycles; print the benchmark"):
        plots.benchmark(timed("modelled", None))
