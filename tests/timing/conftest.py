# SPDX-License-Identifier: Apache-2.0
"""The project of the model that ships, generated once a worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitforge.boards import load_board
from vitforge.generate import generate


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its directory. ZCU104, everything by default."""
    output: Path = tmp_path_factory.mktemp("project") / "vit"
    generate(board=load_board("zcu104"), output=output)
    return output
