# SPDX-License-Identifier: Apache-2.0
"""Jupyter notebooks from Markdown: a code block that is fenced as ```python NAME is a cell, and so is the text between.

NAME becomes the id of the cell, and with "-text" that of the text before it, so that ids outlive other changes.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

NOTEBOOKS = "host/notebooks"  # in a project
_CODE = re.compile(r"^```python (?P<name>[a-z0-9-]+)\n(?P<source>.*?)^```\n", re.DOTALL | re.MULTILINE)
_LAST = "end"  # the id of text after the last code
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook(markdown: str) -> bytes:
    """The notebook, nbformat 4.5, without outputs."""
    cells: list[dict[str, object]] = []
    end = 0
    for block in _CODE.finditer(markdown):
        name = block["name"]
        cells += _text(f"{name}-text", markdown[end : block.start()])
        cells.append(_cell("code", name, block["source"]) | {"execution_count": None, "outputs": []})
        end = block.end()
    cells += _text(f"{_LAST}-text", markdown[end:])
    return notebook_json({"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5})


def notebook_json(content: Mapping[str, object]) -> bytes:
    """As Jupyter writes it, but with sorted keys."""
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def arrays(content: Mapping[str, NDArray]) -> bytes:
    """A .npz file. It is not compressed, so that its bytes do not depend on the version of zlib."""
    file = io.BytesIO()
    np.savez(file, **content)
    return file.getvalue()


def _text(name: str, source: str) -> list[dict[str, object]]:
    return [_cell("markdown", name, source)] if source.strip() else []


def _cell(kind: str, name: str, source: str) -> dict[str, object]:
    return {"cell_type": kind, "id": name, "metadata": {}, "source": source.strip().splitlines(keepends=True)}
