# SPDX-License-Identifier: Apache-2.0
"""Build step that pyproject.toml cannot say: the data trees of the checkout travel inside the wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
DATA_TREES = ("templates", "boards", "vitis", "models")  # as in vitforge.resources.DATA_NAMES
IGNORE = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


class BuildWithData(build_py):
    """Copies each data tree to ``vitforge/_data``; an editable install reads the checkout instead."""

    def run(self) -> None:
        if not self.editable_mode:
            for package in ("vitforge", "vitforge_host"):  # what an earlier build left would travel too
                shutil.rmtree(Path(self.build_lib) / package, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            data = Path(self.build_lib) / "vitforge" / "_data"
            for name in DATA_TREES:
                shutil.copytree(ROOT / name, data / name, ignore=IGNORE)
            shutil.copy(ROOT / "LICENSE", data)


setup(cmdclass={"build_py": BuildWithData})
