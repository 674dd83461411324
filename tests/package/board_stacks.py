# SPDX-License-Identifier: Apache-2.0
"""The self-test of a wheel in the environments of the oldest and the newest PYNQ image; needs a package index.

PYTHONPATH=tests python -m package.board_stacks [--python python3.10]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from package.board import Board, make_projects
from vitforge.deploy.package import package

OLD, NEW = "3.0.1", "4.0.0"  # of pynq
OLDEST = {  # release of Python -> what the oldest image has, as far as it exists for this Python
    "3.10": ("numpy==1.21.5", "pynqmetadata==0.1.2", "pynqutils==0.1.1", "pydantic==1.9.1", "ipython<9"),
    "3.11": ("numpy==1.23.2",),
    "3.12": ("numpy==1.26.0",),
}
INDEX = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name == "HOME"}
VERSIONS = "import numpy, platform, pynq; print(platform.python_version(), numpy.__version__, pynq.__version__)"


def run(stack: str, python: str, wheel: Path, root: Path) -> int:
    """Mismatches of all overlays of ``wheel`` in an environment of its own."""
    board = Board.make(root / stack, python, lent=False)
    release = board.run("-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip()
    rest = ("pycparser<3", *OLDEST[release]) if stack == OLD else ("numpy<2",)
    board.pip(f"pynq=={stack}", "setuptools<=80", *rest, **INDEX)
    board.install(wheel)
    found = board.self_test()
    counts = ", ".join(f"{found[unit]} {unit}" for unit in ("images", "queries", "rows"))
    versions = board.run("-W", "ignore", "-c", VERSIONS).stdout.split()
    print("Python {}, numpy {}, pynq {}:".format(*versions), f"{counts}, {found['mismatches']} mismatches", flush=True)
    return int(found["mismatches"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environments")
    python = parser.parse_args().python
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        wheel = package(list(make_projects(root).values()), root / "wheel").wheel
        return int(sum(run(stack, python, wheel, root) for stack in (OLD, NEW)) > 0)


if __name__ == "__main__":
    sys.exit(main())
