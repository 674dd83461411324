# SPDX-License-Identifier: Apache-2.0
"""A generated project, read back from its directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitforge.csim.build import build_shared
from vitforge.csim.headers import HeaderSet, own_headers
from vitforge.design.design import Design
from vitforge.design.identity import design_hash
from vitforge.design.registers import TOP_NAME
from vitforge.design.store import design_from_dict
from vitforge.errors import ConfigError
from vitforge.quantize.model import QuantModel
from vitforge.quantize.store import load_quantized
from vitforge_host.blob import BlobError, read_blob

BLOB = "weights/vitforge.blob"
MODEL = "weights/model"


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project directory, its design and its settings."""

    directory: Path
    design: Design
    settings: dict[str, Any]

    def blob(self) -> bytes:
        """The weight blob. Raises ConfigError if it cannot be read or is damaged."""
        content = _read(self.directory / BLOB)
        try:
            read_blob(content)
        except BlobError as error:
            raise ConfigError(f"{self.directory / BLOB}: {error}") from None
        return content

    def model(self) -> QuantModel:
        """The integer model that the blob was made from."""
        return load_quantized(self.directory / MODEL)

    def compile(self, headers: HeaderSet | None = None, defines: Sequence[str] = ()) -> Path:
        """Builds (or finds in the cache) the csim shared library of the project."""
        hls = self.directory / "hls"
        return build_shared(
            [hls / "src" / f"{TOP_NAME}.cpp", hls / "tb" / "csim_api.cpp"],
            headers=headers or own_headers(),
            include_dirs=[hls / "include"],
            name=self.design.name,
            defines=defines,
        )


def load_project(directory: Path | str) -> Project:
    """Reads ``project.json``. Raises ConfigError if the directory is not a project that vitforge generated."""
    root = Path(directory)
    text = _read(root / "project.json")
    try:
        content = json.loads(text)
        if content["generator"] != "vitforge":
            raise KeyError("generator")
        design = design_from_dict(content["design"])
        stored = content["design_hash"]
        settings = dict(content["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{root / 'project.json'} is not a vitforge project file ({error}); generate it again"
        ) from None
    if design_hash(design).hex() != stored:
        raise ConfigError(f"{root / 'project.json'} was changed after it was generated; generate the project again")
    return Project(directory=root, design=design, settings=settings)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{path} cannot be read ({reason}); give a directory that vitforge generate wrote") from None
