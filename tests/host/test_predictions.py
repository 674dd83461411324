# SPDX-License-Identifier: Apache-2.0
"""Labels and probabilities."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vitforge_host import Benchmark, InputError, Prediction, Predictions, VitAccelerator

LABELS = ("cat", "dog", "owl", "ant")


def test_the_best_classes_come_first_with_their_probabilities() -> None:
    found = Predictions(np.array([[0, 20, 10, -400], [5, 5, 5, 5]], np.int32), 0.05, LABELS)
    parts = [math.exp(0.05 * logit) for logit in (0, 20, 10, -400)]
    best, equal = found.top_k(3)
    assert [(entry.index, entry.label) for entry in best] == [(1, "dog"), (2, "owl"), (0, "cat")]
    assert [entry.probability for entry in best] == pytest.approx([parts[i] / sum(parts) for i in (1, 2, 0)])
    assert equal == [Prediction(index, LABELS[index], 0.25) for index in range(3)]  # of equal ones, the first
    assert found.indices.tolist() == [1, 0] and len(found) == 2
    assert found.probabilities.sum(axis=1) == pytest.approx([1, 1])


def test_extreme_logits_neither_overflow_nor_change_their_order() -> None:
    limits = np.array([[-(2**31), 2**31 - 1, 0, 2**31 - 2]], np.int32)
    best = Predictions(limits, 1.0, LABELS).top_k(4)[0]
    assert [entry.label for entry in best] == ["dog", "ant", "cat", "owl"][:2] + ["owl", "cat"]
    assert all(0 <= entry.probability <= 1 for entry in best)


@pytest.mark.parametrize("k", [0, 5, -1, 2.0, True, "3"])
def test_an_impossible_k_is_refused(k: Any) -> None:
    with pytest.raises(InputError, match="whole number from 1 to the 4 classes"):
        Predictions(np.zeros((1, 4), np.int32), 1.0, LABELS).top_k(k)


def test_of_an_accelerator(opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any) -> None:
    with opened(batch=2) as accelerator:
        with pytest.raises(InputError, match="1 to the 5 classes"):
            accelerator.top_k(images, 6)
        order = np.argsort(-expected.logits(images), axis=1, kind="stable")
        found = accelerator.top_k(images, 3)
        assert [[entry.index for entry in best] for best in found] == order[:, :3].tolist()
        assert all(entry.label == accelerator.labels[entry.index] for best in found for entry in best)
        assert (accelerator.predict(images).logits == expected.logits(images)).all()


def test_a_benchmark_tells_host_transfers_and_accelerator_apart(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any
) -> None:
    """The fake kernel sleeps 20 ms and says that it took 1000 cycles an image: time of the simulation is left out."""
    with opened({"SLEEP_US": 20_000}, batch=8) as accelerator:
        report = accelerator.benchmark((1, 4, 8, 16), launches=3)
        assert [row.batch for row in report.rows] == [1, 4, 8]
        assert (report.accelerator_time, report.unit) == ("modelled", "images")
        for row in report.rows:
            assert row.accelerator_ms == pytest.approx(row.batch * 1000 / accelerator.clock_mhz / 1e3)
            assert 0 < row.host_ms < 15 and 0 < row.transfer_ms < 15
            assert row.latency_ms == pytest.approx(row.host_ms + row.transfer_ms + row.accelerator_ms)
            slower = max(row.accelerator_ms, row.host_ms + row.transfer_ms)
            assert row.per_second == pytest.approx(row.batch / slower * 1e3)
        assert json.loads(json.dumps(report.to_json()))["rows"][2]["batch"] == 8
        assert "accelerator time modelled" in str(report)
        assert (accelerator.logits(images) == expected.logits(images)).all()


def test_a_board_is_measured(opened: Callable[..., VitAccelerator], monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken for a board, the same kernel takes the 20 ms that it sleeps; packing is hidden when two are in flight."""
    monkeypatch.setattr(VitAccelerator, "simulated", False)
    with opened({"SLEEP_US": 20_000}, batch=4) as accelerator:
        reports: list[Benchmark] = [accelerator.benchmark((4,), launches=3) for _ in range(5)]
    assert {report.accelerator_time for report in reports} == {"measured"}
    rows = [row for report in reports for row in report.rows]
    assert 20 <= min(row.accelerator_ms for row in rows) < 40  # the best of five: this machine has other work too
    assert 4 / 0.040 < max(row.per_second for row in rows) <= 4 / 0.020


@pytest.mark.parametrize("arguments", [{"batches": [0]}, {"batches": [100]}, {"launches": 0}, {"batches": []}])
def test_bad_benchmarks_are_refused(
    opened: Callable[..., VitAccelerator], images: np.ndarray, arguments: dict[str, Any]
) -> None:
    with opened(batch=8) as accelerator:
        with pytest.raises(InputError, match="whole number of at least 1|at least one of at most 8"):
            accelerator.benchmark(**arguments)
        accelerator.logits(images)
