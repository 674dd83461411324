# SPDX-License-Identifier: Apache-2.0
"""What lint finds: where, which rule, one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitforge.lint.rules import RULES

_WAIVER = re.compile(r"//\s*NOLINT\(([\w-]+)\)")


@dataclass(frozen=True, order=True)
class Finding:
    """A place that breaks a rule."""

    file: str  # relative to the project
    line: int
    rule: str  # one of `RULES`
    sentence: str

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"no rule {self.rule!r}")

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence} [{self.rule}]"


@dataclass(frozen=True, kw_only=True)
class LintResult:
    """Findings of a project, sorted by place."""

    directory: Path
    top: str
    files: int
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "directory": str(self.directory),
            "top": self.top,
            "files": self.files,
            "rules": list(RULES),
            "good": not self.findings,
            "findings": [
                {"file": found.file, "line": found.line, "rule": found.rule, "sentence": found.sentence}
                for found in self.findings
            ],
        }


def without_waived(findings: Iterable[Finding], root: Path) -> tuple[Finding, ...]:
    """Findings in order, each once, but for those whose line says ``// NOLINT(rule)``."""
    lines: dict[str, list[str]] = {}
    kept = []
    for found in sorted(set(findings)):
        if found.file not in lines:
            lines[found.file] = (root / found.file).read_text(encoding="utf-8").splitlines()
        text = lines[found.file][found.line - 1] if 0 < found.line <= len(lines[found.file]) else ""
        waiver = _WAIVER.search(text)
        if waiver is None or waiver[1] != found.rule:
            kept.append(found)
    return tuple(kept)
