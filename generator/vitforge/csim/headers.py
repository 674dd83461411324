# SPDX-License-Identifier: Apache-2.0
"""Where ap_int.h and hls_stream.h come from: our own small set, or AMD's published ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from vitforge.errors import ConfigError, ToolError
from vitforge.resources import data_dir

OVERRIDE = "VITFORGE_AP_INCLUDE"
_VENDOR = ("XILINX_HLS", "XILINX_VITIS")  # roots of an installation, headers in include/
_PACKAGE, _IN_PACKAGE = "hls4ml", Path("templates") / "vivado" / "ap_types"
_NEEDED = ("ap_int.h", "hls_stream.h")


@dataclass(frozen=True, kw_only=True)
class HeaderSet:
    """Include directories of a header set, and the compiler flags it needs."""

    name: str
    include_dirs: tuple[Path, ...]
    origin: str  # for people
    flags: tuple[str, ...] = ()


def capi_include() -> Path:
    """Our C interface helpers, which work with either set."""
    return data_dir("vitis") / "csim" / "capi"


def own_headers() -> HeaderSet:
    """Our headers: native integers, and an error for every read of an empty stream, leftover or value out of range."""
    include = data_dir("vitis") / "csim" / "include"
    return HeaderSet(name="vitforge", include_dirs=(include, capi_include()), origin="vitforge")


def find_amd_headers() -> HeaderSet:
    """AMD's headers, from $VITFORGE_AP_INCLUDE, an installed Vitis, or the hls4ml package (which is not imported).

    Raises ToolError (exit code 3) where there are none.
    """
    for origin, directory in _candidates():
        if all((directory / name).is_file() for name in _NEEDED):
            # They read members before they are set, which g++ sees and warns about at -O2.
            flags = ("-Wno-uninitialized", "-Wno-maybe-uninitialized")
            return HeaderSet(name="amd", include_dirs=(directory, capi_include()), origin=origin, flags=flags)
        if origin == f"${OVERRIDE}":
            raise ToolError(f"{origin} is {directory}, which has no {' and '.join(_NEEDED)}; point it at AMD's headers")
    raise ToolError(
        "AMD's ap_int.h and hls_stream.h were not found: pip install 'vitforge[sim]' brings them, "
        f"or set {OVERRIDE} to a directory that has them"
    )


def _candidates() -> list[tuple[str, Path]]:
    found = []
    if os.environ.get(OVERRIDE):
        found.append((f"${OVERRIDE}", Path(os.environ[OVERRIDE])))
    found += [(f"${name}", Path(os.environ[name]) / "include") for name in _VENDOR if os.environ.get(name)]
    spec = find_spec(_PACKAGE)
    if spec is not None and spec.submodule_search_locations:
        found.append((f"package {_PACKAGE}", Path(spec.submodule_search_locations[0]) / _IN_PACKAGE))
    return found


OWN = "vitforge"
HEADER_SETS: dict[str, Callable[[], HeaderSet]] = {OWN: own_headers, "amd": find_amd_headers}


def check_header_names(names: Sequence[str]) -> None:
    """Raises ConfigError unless ``names`` are some of `HEADER_SETS`."""
    unknown = [name for name in names if name not in HEADER_SETS]
    if unknown or not names:
        raise ConfigError(f"unknown header set {unknown[:1] or list(names)}; choose from {', '.join(HEADER_SETS)}")
