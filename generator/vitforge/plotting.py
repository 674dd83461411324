# SPDX-License-Identifier: Apache-2.0
"""Writes plots to files. matplotlib is imported only if there is one to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vitforge.errors import ConfigError, OutputError, ToolError
from vitforge_host import plot_style

SUFFIXES = (".png", ".svg")
STYLE: Any = {**plot_style.STYLE, "svg.hashsalt": "vitforge"}


def check_plot(path: Path) -> None:
    """Raises what drawing to ``path`` would raise, before long work starts."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path} is no file for a plot; give one that ends in {' or '.join(SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path.absolute().parent} is no directory; --plot takes a file to write")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ToolError("the plot needs matplotlib; pip install 'vitforge[plot]', or leave --plot out") from None


def draw(make: Callable[[], Any], path: Path) -> None:
    """Saves the figure that ``make`` gives, the same bytes for the same figure.

    Raises OutputError if ``path`` cannot be written.
    """
    from matplotlib import rc_context

    metadata = {"Software": None} if path.suffix.lower() == ".png" else {"Date": None}
    with rc_context(STYLE):
        figure = make()
        try:
            figure.savefig(path, dpi=160, metadata=metadata)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror or error}); give another --plot") from None
