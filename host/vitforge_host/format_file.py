# SPDX-License-Identifier: Apache-2.0
"""The JSON file beside a bitstream that tells a driver the sizes and formats of its design."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from vitforge_host.errors import OverlayError
from vitforge_host.identity import Identity

Format = TypeVar("Format")
_TYPES = {"int": int, "bool": bool, "str": str}


def read_format_file(path: Path, format_type: type[Format], kernel: Identity) -> Format:
    """The file ``path`` of an overlay of ``kernel`` as a ``format_type``, a dataclass of int, bool and str.

    Raises OverlayError if it is missing or not one of ``kernel``.
    """
    declared: Any = format_type
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.pop("kernel")
        values = {entry.name: content[entry.name] for entry in fields(declared)}
        is_ours = found == kernel.name and all(type(values[f.name]) is _TYPES[str(f.type)] for f in fields(declared))
    except FileNotFoundError:
        raise OverlayError(f"{path} is missing; copy it from the project's overlay folder to the bitstream") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise OverlayError(
            f"{path} does not describe {kernel.title} ({type(error).__name__}: {error}); copy it again"
        ) from None
    if not is_ours:
        raise OverlayError(f"{path} does not describe {kernel.title}; copy it from the project's overlay folder again")
    return format_type(**values)
