# SPDX-License-Identifier: Apache-2.0
"""The notebook of a project as it travels in a wheel: it takes the installed overlay, wherever it is copied to."""

from __future__ import annotations

import json
from dataclasses import dataclass

from vitforge.codegen.environment import render
from vitforge.codegen.notebook import notebook, notebook_json


@dataclass(frozen=True, kw_only=True)
class InstalledContext:
    """Context of ``installed.md.jinja``."""

    name: str  # of the overlay
    weights: bool  # whether it has a blob
    samples: str  # file beside the notebook that it reads; empty if there is none


def installed_notebook(content: bytes, context: InstalledContext) -> bytes:
    """``content`` with other cells under the ids of those that find the overlay; all others stay as they are.

    Raises ValueError if it is no notebook.
    """
    found = json.loads(content)
    fresh = json.loads(notebook(render("host/notebooks/installed.md.jinja", installed=context)))
    by_id = {cell["id"]: cell for cell in fresh["cells"]}
    try:
        found["cells"] = [by_id.get(cell.get("id"), cell) for cell in found["cells"]]
    except (KeyError, TypeError, AttributeError):
        raise ValueError("it has no cells") from None
    return notebook_json(found)
