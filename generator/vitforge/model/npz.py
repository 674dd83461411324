# SPDX-License-Identifier: Apache-2.0
"""Archives of named arrays that a user gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError


def read_npz(path: Path, what: str) -> dict[str, NDArray]:
    """All arrays of a .npz file of ``what``, by name. Raises ModelError if it cannot be read, or is no such file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error}); give a .npz file of {what}") from None
    except Exception:  # a damaged archive raises what its parser, unzip or zlib happen to raise
        raise ModelError(f"{path} is not a .npz file of numbers; save {what} with numpy.savez") from None
