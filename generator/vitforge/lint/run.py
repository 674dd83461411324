# SPDX-License-Identifier: Apache-2.0
"""All rules on one project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vitforge.csim.headers import own_headers
from vitforge.csim.project import kernel_of
from vitforge.errors import ConfigError
from vitforge.lint.check_pragmas import check_commands, check_pragmas
from vitforge.lint.clang import Cursor, cindex, parse
from vitforge.lint.dataflow import check_dataflow
from vitforge.lint.findings import Finding, LintResult, without_waived
from vitforge.lint.includes import MISSING, check_includes
from vitforge.lint.interface import check_interface
from vitforge.lint.language import check_language
from vitforge.lint.loops import check_loops
from vitforge.lint.multipliers import check_multipliers
from vitforge.lint.placement import check_placement
from vitforge.lint.ports import check_ports
from vitforge.lint.pragmas import read_sources
from vitforge.lint.program import Program, read_program

CONFIG = "hls/hls_config.cfg"
_SYNTHESIS = ("-D__SYNTHESIS__",)  # what the tool sees: Int<W> of W bits, no marks of trace
_ERROR = 3  # clang.cindex.Diagnostic.Error


def lint_project(directory: Path | str) -> LintResult:
    """Checks the HLS sources of a generated project.

    Raises ConfigError if ``directory`` is not a project of vitforge, ToolError without libclang or g++.
    """
    root = Path(directory)
    kernel_of(root)
    return lint_hls(root)


def lint_hls(root: Path) -> LintResult:
    """The same for any directory with ``hls/hls_config.cfg`` and the sources that this names."""
    cindex()  # a missing tool is said before anything else
    root = root.resolve()
    config = _read_config(root / CONFIG)
    hls = root / "hls"
    tops, benches = ([hls / name for name in config.get(key, []) if Path(name).suffix in (".cpp", ".cc")]
                     for key in ("syn.file", "tb.file"))  # fmt: skip
    kernels = sorted({*tops, *hls.glob("include/**/*.hpp"), *hls.glob("include/**/*.h")})
    for file in (*tops, *benches):
        if not file.is_file():
            raise ConfigError(
                f"{root / CONFIG} names {file.relative_to(hls).as_posix()}, which is not there; "
                "generate the project again"
            )
    sources = read_sources(root, kernels)
    top = (config.get("syn.top") or [""])[0]
    findings = [*check_pragmas(sources)]
    findings += check_commands(root, [root / CONFIG, *sorted((root / "vitis").glob("**/*.tcl"))])
    for file in tops:
        unit = parse(file, headers=own_headers(), include_dirs=[hls / "include"], flags=_SYNTHESIS)
        program = read_program(unit, sources, top)
        findings += [*check_includes(root, unit, is_bench=False), *_parse_errors(unit, program)]
        if not _errors(unit):  # else the tree is not what was meant
            findings += _check(program, config.get("part", [""])[0])
    for file in benches:
        unit = parse(file, headers=own_headers(), include_dirs=[hls / "include"])
        findings += check_includes(root, unit, is_bench=True)
    kept = without_waived(findings, root)
    return LintResult(directory=root, top=top, files=len(kernels) + len(benches), findings=kept)


def _check(program: Program, part: str) -> Iterator[Finding]:
    yield from check_loops(program)
    yield from check_language(program)
    yield from check_interface(program)
    yield from check_placement(program)
    yield from check_dataflow(program)
    yield from check_ports(program)
    yield from check_multipliers(program, part)


def _errors(unit: Cursor) -> list[Any]:
    return [found for found in unit.diagnostics if found.severity >= _ERROR]


def _parse_errors(unit: Cursor, program: Program) -> Iterator[Finding]:
    """What clang refuses, but for a missing file, which is a finding of its own."""
    for found in _errors(unit):
        if MISSING not in found.spelling:
            file, line = program.place(found)
            yield Finding(file, line, "parse", f"clang: {found.spelling}")


def _read_config(path: Path) -> dict[str, list[str]]:
    """Keys of hls_config.cfg, each with its values in order."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}); give a directory that vitforge generate wrote"
        ) from None
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(key.strip(), []).append(value.strip())
    return values
