# SPDX-License-Identifier: Apache-2.0
"""The simulation manifest of an overlay, and the files of an overlay on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from vitforge.boards import Board
from vitforge.deploy.handoff import OVERLAY_NAME
from vitforge.design.registers import SIM_SYMBOL
from vitforge.errors import OutputError
from vitforge_host.sim.manifest import FORMAT
from vitforge_host.stub import stub_bitfile

Entry = Mapping[str, object]


def kernel_entry(library: str | None, arguments: Sequence[Entry], stream: Entry | None = None) -> dict[str, object]:
    """How the csim library of a kernel stands for its IP; ``stream`` if it works on packets.

    library : relative to the folder of the manifest; None while there is none
    """
    entry: dict[str, object] = {"lib": library, "symbol": SIM_SYMBOL, "ctrl": "ap_ctrl_hs", "args": list(arguments)}
    return entry if stream is None else entry | {"stream": stream}


def render_manifest(instance: str, entry: Entry, streams: Sequence[tuple[str, str]] = ()) -> str:
    """Text of the manifest of an overlay around one kernel; ``streams`` are (source IP, sink IP)."""
    connections = [list(stream) for stream in streams]
    return json.dumps({"format": FORMAT, "ip": {instance: entry}, "streams": connections}, indent=2) + "\n"


def named_files(handoff: str, manifest: str) -> dict[str, bytes]:
    """``vitforge.hwh``, a stub ``vitforge.bit`` and ``vitforge.sim.json`` by name."""
    text = handoff.encode("utf-8")
    return {
        f"{OVERLAY_NAME}.hwh": text,
        f"{OVERLAY_NAME}.bit": stub_bitfile(text),
        f"{OVERLAY_NAME}.sim.json": manifest.encode("utf-8"),
    }


def board_names(board: Board) -> dict[str, str | None]:
    """How the description beside an overlay names the board that it is for; PYNQ's name may not be known to us."""
    return {"board": board.name, "pynq_board": board.pynq_board}


def link_library(directory: Path, library: Path) -> None:
    """Enter ``library`` into the manifest of an overlay written before it was built."""
    path = directory / f"{OVERLAY_NAME}.sim.json"
    write_files(directory, {path.name: with_library(path, relative_to(library, directory))})


def with_library(path: Path, library: str) -> bytes:
    """The manifest ``path`` with ``library``, relative to its folder. Raises OutputError if it is not one of ours."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        (entry,) = document["ip"].values()
        entry["lib"] = library
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(f"{path} is no simulation manifest of ours ({error}); generate the project again") from None
    return (json.dumps(document, indent=2) + "\n").encode("utf-8")


def relative_to(library: Path, directory: Path) -> str:
    """``library`` as a manifest in ``directory`` names it."""
    return Path(os.path.relpath(library.resolve(), directory.resolve())).as_posix()


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` into ``directory``, which is created if absent. Raises OutputError if that fails."""
    for name, content in files.items():
        path = directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written ({error.strerror}); free space or choose another place"
            ) from None
