# SPDX-License-Identifier: Apache-2.0
"""Writing a directory all or nothing: into a fresh sibling first, then moved into place."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from vitforge.errors import OutputError

MARKER = "project.json"
GENERATOR = "vitforge"
CARRIED = ("vitis/build",)  # hours of the vendor tools: `vitforge build` finds out what of it still holds


def write_project(output: Path, files: Mapping[str, bytes], marker: str = MARKER) -> None:
    """Write ``files`` (path inside the directory -> content) as the directory ``output``, replacing one of ours.
    What the vendor tools built in it (`CARRIED`) stays.

    ``marker`` is the JSON file among them by which we know a directory again: it has ``"generator": "vitforge"``.

    Raises
    ------
    OutputError
        If ``output`` is a file or a directory that is not ours, or cannot be written. What was there stays whole.
    """
    with output_directory(output, marker) as fresh:
        for name, content in sorted(files.items()):
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@contextmanager
def output_directory(output: Path, marker: str = MARKER) -> Iterator[Path]:
    """Yield an empty directory that becomes ``output`` when the block ends well, and vanishes when it does not.

    Raises as `write_project` does.
    """
    target = Path(os.path.abspath(output))
    _check_replaceable(output, target, marker)
    fresh = _sibling(target, "new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        yield fresh
        _move_into_place(fresh, target)
    except OSError as error:
        if error.filename is not None and not _concerns(error.filename, target.parent):
            raise
        reason = error.strerror or str(error)
        kept = "; the one there before is unchanged" if target.exists() else ""
        raise OutputError(
            f"{output}: the directory cannot be written ({reason}){kept}; give another with -o"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_output(output: Path, marker: str = MARKER) -> None:
    """Raise the `OutputError` that writing ``output`` would end in, before long work starts."""
    _check_replaceable(output, Path(os.path.abspath(output)), marker)


def _check_replaceable(output: Path, target: Path, marker: str) -> None:
    if target == Path.cwd():
        raise OutputError(f"{output}: is the current directory, which cannot be replaced; give a new one with -o")
    try:
        if target.is_symlink():
            raise OutputError(f"{output}: is a symbolic link; give the directory itself with -o")
        if not target.exists():
            return
        if not target.is_dir():
            raise OutputError(f"{output}: is a file, not a directory; give a new directory with -o")
        empty = not any(target.iterdir())
    except OSError as error:
        raise OutputError(f"{output}: cannot be used ({error.strerror}); give another directory with -o") from error
    if not empty and not _is_ours(target / marker):
        raise OutputError(
            f"{output}: exists and was not written by vitforge (no {marker} of ours in it); "
            "give a new directory with -o, or remove it"
        )


def _is_ours(marker: Path) -> bool:
    try:
        content = json.loads(marker.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("generator") == GENERATOR


def _sibling(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.{kind}-{secrets.token_hex(4)}")


def _move_into_place(fresh: Path, target: Path) -> None:
    """Rename ``fresh`` to ``target``; an older ``target`` steps aside and comes back if that fails."""
    old = _sibling(target, "old")
    had_old = target.exists()
    if had_old:
        target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        if had_old:
            with suppress(OSError):
                old.rename(target)
        raise
    for name in CARRIED:
        if (old / name).is_dir() and not (target / name).exists():
            (old / name).rename(target / name)
    shutil.rmtree(old, ignore_errors=True)


def _concerns(filename: object, parent: Path) -> bool:
    """Whether an error about ``filename`` is about the output: below its parent, or on the way to it."""
    path = Path(os.path.abspath(os.fsdecode(filename)))  # type: ignore[arg-type]
    return path.is_relative_to(parent) or parent.is_relative_to(path)
