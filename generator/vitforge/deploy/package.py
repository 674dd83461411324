# SPDX-License-Identifier: Apache-2.0
"""`vitforge package`: one wheel for the board, with the driver, overlays, weights, notebooks and a self-test."""

from __future__ import annotations

import hashlib
import secrets
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitforge import __version__
from vitforge.codegen.project import host_files
from vitforge.deploy.payload import Payload, payload
from vitforge.deploy.wheel import DISTRIBUTION, WheelFacts, wheel_bytes
from vitforge.errors import ConfigError, OutputError
from vitforge.names import NAME_RULE, check_name, is_name, safe_name
from vitforge.resources import licence_text

_PACKAGE = "vitforge_host"
_DIGITS = 12  # of the hash in the version
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True, kw_only=True)
class PackageResult:
    """A wheel that was written."""

    wheel: Path
    size: int  # bytes
    version: str
    payloads: tuple[Payload, ...]

    @property
    def board(self) -> str:
        """Name of the board that it is for."""
        return self.payloads[0].board.name

    @property
    def is_bitstream(self) -> bool:
        """Whether all its overlays are for a board, and none for the simulated one."""
        return all(one.is_bitstream for one in self.payloads)

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return {
            "wheel": str(self.wheel),
            "bytes": self.size,
            "distribution": DISTRIBUTION,
            "version": self.version,
            "board": self.board,
            "bitstream": self.is_bitstream,
            "overlays": [one.to_json() for one in self.payloads],
        }


def package(
    directories: Sequence[Path], output: Path, *, names: Sequence[str] = (), progress: Progress | None = None
) -> PackageResult:
    """Writes the wheel of the projects in ``directories`` into the directory ``output``.

    names : of the overlays, one a project; by default those of the directories, in lower case

    Raises
    ------
    ConfigError
        If a directory is no project, a name is not allowed or given twice, or projects are for different boards.
    OverlayError, IdentityError
        If the files of an overlay do not belong together, or are of another design.
    ToolError
        If g++ is needed and missing.
    OutputError
        If ``output`` cannot be written, or holds another such wheel: pip would be given both.
    """
    notify = progress or (lambda what, done, total: None)
    chosen = _names(directories, names)
    found = []
    for done, (directory, name) in enumerate(zip(directories, chosen, strict=True)):
        notify(f"collect {name}", done, len(chosen))
        found.append(payload(directory, name))
    _check_boards(found)
    files = _files(found)
    facts = _facts(found, files)
    notify("write the wheel", 0, 1)
    content = wheel_bytes(facts, files)
    return PackageResult(
        wheel=_write(output, facts, content), size=len(content), version=facts.version, payloads=tuple(found)
    )


def _names(directories: Sequence[Path], names: Sequence[str]) -> list[str]:
    if not directories:
        raise ConfigError("no project was given; name at least one directory that vitforge generate wrote")
    if names and len(names) != len(directories):
        raise ConfigError(f"{len(names)} names for {len(directories)} projects; give one for each, or none")
    if names:
        chosen = [check_name(name, "overlay name") for name in names]
    else:
        chosen = [_own_name(directory) for directory in directories]
    twice = [name for name in chosen if chosen.count(name) > 1]
    if twice:
        raise ConfigError(f"two overlays are named {twice[0]!r}; give each its own with --name")
    return chosen


def _own_name(directory: Path) -> str:
    """That of the directory, as far as it can be one."""
    name = safe_name(directory.resolve().name)
    if not is_name(name):
        raise ConfigError(f"the name of {directory} cannot be an overlay's, which is {NAME_RULE}; give one with --name")
    return name


def _check_boards(found: Sequence[Payload]) -> None:
    first = found[0]
    for other in found[1:]:
        if other.board.name != first.board.name:
            raise ConfigError(
                f"a wheel is for one board; {first.directory} is for {first.board.name}, and {other.directory} for "
                f"{other.board.name}; make a wheel of each"
            )


def _files(found: Sequence[Payload]) -> dict[str, bytes]:
    """The driver and what goes with it, by path below site-packages."""
    files = {name.removeprefix("host/"): content for name, content in host_files().items()}
    files[f"{_PACKAGE}/py.typed"] = b""
    for one in found:
        for kind, parts in (("overlays", one.overlay), ("notebooks", one.notebooks)):
            files |= {f"{_PACKAGE}/{kind}/{one.name}/{name}": content for name, content in parts.items()}
    return files


def _facts(found: Sequence[Payload], files: Mapping[str, bytes]) -> WheelFacts:
    """The version has a hash over all files: pip keeps what is installed if the version is the same."""
    board = found[0].board
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    label = "".join(letter for letter in board.name if letter.isalnum())
    entry_points = {"pynq.overlays": {"vitforge": f"{_PACKAGE}.overlays"}}
    if any(one.notebooks for one in found):
        entry_points["pynq.notebooks"] = {"vitforge": f"{_PACKAGE}.notebooks"}
    simulated = any(not one.is_bitstream for one in found)
    return WheelFacts(
        version=f"{__version__}+{label}.h{digest.hexdigest()[:_DIGITS]}",
        summary=f"vitforge driver and overlays for {board.title}: {', '.join(one.name for one in found)}",
        generator=f"vitforge {__version__}",
        requires_python=">=3.10",
        requires=("numpy>=1.21",),  # pynq is part of the board's image
        platform=sysconfig.get_platform().replace("-", "_").replace(".", "_") if simulated else "any",
        licence="Apache-2.0",
        licence_text=licence_text(),
        entry_points=entry_points,
    )


def _write(output: Path, facts: WheelFacts, content: bytes) -> Path:
    wheel = output / facts.file_name
    fresh = output / f".{facts.file_name}.{secrets.token_hex(4)}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in output.glob(f"{_PACKAGE}-*.whl") if path.name != wheel.name)
        if others:
            raise OutputError(
                f"{output} holds {others[0]}, and pip installs one wheel of {DISTRIBUTION}; remove it, or give another "
                "directory with -o"
            )
        try:
            fresh.write_bytes(content)
            fresh.replace(wheel)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{output}: the wheel cannot be written ({error.strerror}); give another directory with -o"
        ) from None
    return wheel
