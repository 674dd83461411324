# SPDX-License-Identifier: Apache-2.0
"""How wrong outputs are: relative error, or a function of the user's."""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ConfigError

Function = Callable[[NDArray, NDArray], Any]  # outputs and reference, each (b, d) or (H, b, d) -> error


@dataclass(frozen=True)
class Metric:
    """An error of outputs against a reference; smaller is better."""

    name: str
    function: Function

    def __call__(self, outputs: NDArray, reference: NDArray) -> float:
        """Raises ConfigError if the function fails, or returns anything but a finite number."""
        try:
            found = np.asarray(self.function(outputs.copy(), reference.copy()))
        except Exception as error:  # whatever a user's function raises
            raise ConfigError(f"the metric {self.name} failed: {type(error).__name__}: {error}") from error
        if found.ndim or found.dtype.kind not in "fiub" or not math.isfinite(found):
            raise ConfigError(f"the metric {self.name} returned {_shown(found)}; it must return one finite number")
        return float(found)


def relative_error(outputs: NDArray, reference: NDArray) -> float:
    """||outputs - reference|| / ||reference||, Euclidean norms over all elements."""
    norm = float(np.linalg.norm(reference))
    if not norm:
        raise ConfigError("exact attention gives zeros alone, of which there is no relative error; give another metric")
    return float(np.linalg.norm(outputs - reference)) / norm


RELATIVE = Metric("relative output error", relative_error)


def find_metric(given: str | Function | None) -> Metric:
    """None: `relative_error`; a function; or where to import one from, "package.module:function", the current
    directory included. Raises ConfigError if there is none."""
    if given is None:
        return RELATIVE
    if not isinstance(given, str):
        return Metric(getattr(given, "__name__", type(given).__name__), given)
    module, _, attribute = given.partition(":")
    if not module or not attribute:
        raise ConfigError(f"metric {given!r} must name a function, as in package.module:function")
    with _current_directory_on_path():
        try:
            found: Any = importlib.import_module(module)
        except (Exception, SystemExit) as error:  # whatever a user's module does
            raise ConfigError(
                f"the module of metric {given} cannot be imported ({type(error).__name__}: {error})"
            ) from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ConfigError(f"metric {given} names no function: {module} has no callable {attribute}")
    return Metric(given, found)


@contextmanager
def _current_directory_on_path() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _shown(found: NDArray) -> str:
    return f"an array {found.shape}" if found.ndim else repr(found.item())
