# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the project tests."""

from __future__ import annotations

import pytest

from project.command import Vitforge


@pytest.fixture
def vitforge(capsys: pytest.CaptureFixture[str]) -> Vitforge:
    """The command line, in this process."""
    return Vitforge(capsys)
