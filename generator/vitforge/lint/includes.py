# SPDX-License-Identifier: Apache-2.0
"""Rule include: what the vendor tool compiles finds every file, with nothing but the project's hls/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vitforge.lint.clang import Cursor
from vitforge.lint.findings import Finding

TOOL_HEADERS = ("ap_int.h", "hls_stream.h")  # the two that kernels may use of the tool's
MISSING = "file not found"  # in clang's words


def check_includes(root: Path, unit: Cursor, is_bench: bool) -> Iterator[Finding]:
    """Each #include that the preprocessor met in files of the project. A bench may use the C++ library too."""
    hls = root / "hls"
    for found in unit.get_includes():
        source, included = Path(found.source.name), Path(found.include.name)
        if not _is_inside(hls, source) or _is_inside(hls, included) or included.name in TOOL_HEADERS:
            continue
        text = source.read_text(encoding="utf-8").splitlines()[found.location.line - 1]
        if is_bench and "<" in text:
            continue
        sentence = f"{text.strip()} leads out of hls/, which is all that the tool gets"
        if "<" in text:
            sentence = f"{text.strip()}: kernels include {' and '.join(TOOL_HEADERS)} and no other header of a tool"
        yield Finding(_name(root, source), found.location.line, "include", sentence)
    for fault in unit.diagnostics:
        if MISSING in fault.spelling and fault.location.file:
            sentence = f"{fault.spelling}; the tool gets hls/ alone"
            yield Finding(_name(root, Path(fault.location.file.name)), fault.location.line, "include", sentence)


def _is_inside(hls: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(hls)


def _name(root: Path, path: Path) -> str:
    return path.resolve().relative_to(root).as_posix()
