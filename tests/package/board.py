# SPDX-License-Identifier: Apache-2.0
"""A fresh environment with a wheel in it, which stands for a board's: numpy and pynq are lent to it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.config import A3Config, ProjectConfig, SparseMatmulConfig
from vitforge.generate import generate
from vitforge.sparse_matmul_generate import generate_sparse_matmul


def make_projects(root: Path) -> dict[str, Path]:
    """One project of each kernel, by name; beside the notebook of the A3 lies a picture."""
    board = load_board("zcu104")
    a3 = ProjectConfig(kernel="a3", a3=A3Config(n_max=32, d_max=16))
    matmul = ProjectConfig(kernel="sparse_matmul", sparse_matmul=SparseMatmulConfig(k_max=128, n_max=64))
    generate(board=board, output=root / "digits")
    generate_a3(board=board, output=root / "stories", config=a3)
    generate_sparse_matmul(board=board, output=root / "array", config=matmul)
    picture = root / "stories" / "host" / "notebooks" / "pictures" / "rows.svg"
    picture.parent.mkdir()
    picture.write_text("<svg/>")
    return {name: root / name for name in ("digits", "stories", "array")}


@dataclass(frozen=True)
class Board:
    """The environment, and an empty directory to work in."""

    root: Path
    work: Path

    @classmethod
    def make(cls, root: Path, python: str = sys.executable, lent: bool = True) -> Board:
        """``lent``: it sees what this interpreter has, but not vitforge: an editable install is a .pth file there."""
        subprocess.run([python, "-m", "venv", root / "env"], check=True)
        board = cls(root / "env", root / "empty")
        board.work.mkdir()
        if lent:
            (board.site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
        return board

    @property
    def site(self) -> Path:
        (path,) = self.root.glob("lib/python3*/site-packages")
        return path

    def run(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """``python arguments`` with nothing in its environment but PATH and ``environment``."""
        command = [str(self.root / "bin" / "python"), *map(str, arguments)]
        clean = {"PATH": "/usr/bin:/bin", **environment}
        return subprocess.run(command, cwd=self.work, env=clean, capture_output=True, text=True, check=False)

    def install(self, wheel: Path) -> None:
        self.pip("--no-index", "--no-deps", wheel)

    def pip(self, *arguments: object, **environment: str) -> None:
        done = self.run("-m", "pip", "install", "--quiet", *arguments, **environment)
        assert done.returncode == 0, done.stderr

    def self_test(self, *arguments: str, **environment: str) -> dict[str, Any]:
        done = self.run("-m", "vitforge_host", "selftest", *arguments, "--json", **environment)
        assert done.returncode == 0, done.stderr
        content = json.loads(done.stdout)
        assert isinstance(content, dict)
        return content

    def refusal(self, *arguments: str, code: int = 2, **environment: str) -> str:
        """The one sentence with which ``python -m vitforge_host`` ends; what it says before is left out."""
        done = self.run("-m", "vitforge_host", *arguments, **environment)
        assert done.returncode == code, done.stdout + done.stderr
        lines = [line for line in done.stderr.splitlines() if "so on the simulated one" not in line]
        assert len(lines) == 1 and lines[0].startswith("vitforge_host: "), done.stderr
        return lines[0]
