# SPDX-License-Identifier: Apache-2.0
"""A wheel as bytes, the same for the same content: https://packaging.python.org/specifications/binary-distribution-format

`wheel.wheelfile` would do, were its RECORD not dated with the present.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

DISTRIBUTION = "vitforge-host"  # always the same, so that a wheel takes the place of the one before
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can have
_MODE = stat.S_IFREG | 0o644


@dataclass(frozen=True, kw_only=True)
class WheelFacts:
    """What the metadata of a wheel says."""

    version: str  # PEP 440, normalised
    summary: str
    generator: str
    requires_python: str
    requires: tuple[str, ...]
    platform: str  # "any", or where its libraries run
    licence: str
    licence_text: str
    entry_points: Mapping[str, Mapping[str, str]]  # group -> name -> object

    @property
    def stem(self) -> str:
        """Of the file name, and of the folder with the metadata."""
        return f"{DISTRIBUTION.replace('-', '_')}-{self.version}"

    @property
    def tag(self) -> str:
        return f"py3-none-{self.platform}"

    @property
    def file_name(self) -> str:
        return f"{self.stem}-{self.tag}.whl"


def wheel_bytes(facts: WheelFacts, files: Mapping[str, bytes]) -> bytes:
    """The wheel with ``files`` by their path below site-packages."""
    folder = f"{facts.stem}.dist-info"
    described = {f"{folder}/{name}": text.encode() for name, text in _metadata(facts).items()}
    entries = [*sorted(files.items()), *sorted(described.items())]
    entries.append((f"{folder}/RECORD", _record(entries, f"{folder}/RECORD")))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, _DATE)
            info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, _MODE << 16
            archive.writestr(info, content, compresslevel=6)
    return buffer.getvalue()


def _metadata(facts: WheelFacts) -> dict[str, str]:
    metadata = [
        "Metadata-Version: 2.4",
        f"Name: {DISTRIBUTION}",
        f"Version: {facts.version}",
        f"Summary: {facts.summary}",
        f"Requires-Python: {facts.requires_python}",
        f"License-Expression: {facts.licence}",
        "License-File: LICENSE",
        *(f"Requires-Dist: {requirement}" for requirement in facts.requires),
    ]
    wheel = [
        "Wheel-Version: 1.0",
        f"Generator: {facts.generator}",
        f"Root-Is-Purelib: {str(facts.platform == 'any').lower()}",
        f"Tag: {facts.tag}",
    ]
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in sorted(entries.items())), ""])
        for group, entries in sorted(facts.entry_points.items())
    ]
    return {
        "METADATA": "\n".join([*metadata, ""]),
        "WHEEL": "\n".join([*wheel, ""]),
        "entry_points.txt": "\n".join(groups),
        "licenses/LICENSE": facts.licence_text,
    }


def _record(entries: list[tuple[str, bytes]], own_name: str) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name, content in entries:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
        rows.writerow((name, f"sha256={digest}", len(content)))
    rows.writerow((own_name, "", ""))
    return text.getvalue().encode()
