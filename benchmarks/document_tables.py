# SPDX-License-Identifier: Apache-2.0
"""Markdown tables and paragraphs of the documents."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """A Markdown table; all but the ``left`` first columns to the right."""
    marks = ["---"] * left + ["---:"] * (len(columns) - left)
    lines = [columns, marks, *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def paragraph(text: str) -> str:
    """In lines of the documents' length."""
    return textwrap.fill(text, 120, break_on_hyphens=False, break_long_words=False) + "\n"


def percent(value: float, digits: int = 0) -> str:
    """Of a fraction."""
    return f"{100 * value:.{digits}f} %"
