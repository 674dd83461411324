# SPDX-License-Identifier: Apache-2.0
"""The project of the model that ships, generated once a worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitforge.boards import load_board
from vitforge.generate import GenerateResult, generate


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> GenerateResult:
    """ZCU104, everything by default."""
    output: Path = tmp_path_factory.mktemp("project") / "vit"
    return generate(board=load_board("zcu104"), output=output)
