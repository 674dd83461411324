# SPDX-License-Identifier: Apache-2.0
"""A small project to lint: good.cpp, with some of its text changed."""

from __future__ import annotations

from pathlib import Path

from vitforge.lint import LintResult, lint_hls

GOOD = (Path(__file__).parent / "good.cpp").read_text()
CONFIG = "part={part}\n\n[hls]\nsyn.top=small_top\nsyn.file=src/small_top.cpp\ntb.file=tb/tb_main.cpp\n"
SIZES = "#ifndef SIZES_HPP\n#define SIZES_HPP\nconstexpr int depth = 64;\n#endif\n"
BENCH = '#include <cstdio>\nint main() { return std::puts("good") < 0; }\n'


def changed(*changes: tuple[str, str]) -> str:
    """good.cpp with each first text, which must be there once, replaced by the second."""
    source = GOOD
    for old, new in changes:
        assert source.count(old) == 1, f"{old!r} is in good.cpp {source.count(old)} times"
        source = source.replace(old, new)
    return source


def lint_source(
    directory: Path,
    source: str = GOOD,
    *,
    sizes: str = SIZES,
    bench: str = BENCH,
    config: str = "",
    part: str = "xczu7ev-ffvc1156-2-e",
) -> LintResult:
    """Findings in ``source`` as the top of a project in ``directory``."""
    files = {
        "src/small_top.cpp": source,
        "include/sizes.hpp": sizes,
        "tb/tb_main.cpp": bench,
        "hls_config.cfg": CONFIG.format(part=part) + config,
    }
    for name, text in files.items():
        path = directory / "hls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return lint_hls(directory)
