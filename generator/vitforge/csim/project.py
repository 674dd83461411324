# SPDX-License-Identifier: Apache-2.0
"""A generated project, read back from its directory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from vitforge.codegen.project import BLOB
from vitforge.csim.build import build_shared
from vitforge.csim.checks import KernelCheck
from vitforge.csim.headers import OWN, HeaderSet, own_headers
from vitforge.deploy.manifest import link_library
from vitforge.design.a3 import A3_TOP, A3Design, a3_design_from_dict
from vitforge.design.design import Design
from vitforge.design.identity import design_hash
from vitforge.design.registers import TOP_NAME
from vitforge.design.sparse_matmul import SPARSE_MATMUL_TOP, SparseMatmulDesign, sparse_matmul_from_dict
from vitforge.design.store import design_from_dict
from vitforge.errors import ConfigError
from vitforge.quantize.model import QuantModel
from vitforge.quantize.store import load_quantized
from vitforge_host.blob import BlobError, read_blob

MODEL = "weights/model"
PROJECT_FILE = "project.json"
KERNELS = {
    "vit": "a project of a Vision Transformer",
    "a3": "a project of an A3 overlay",
    "sparse_matmul": "a project of a sparse_matmul overlay",
}
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, kw_only=True)
class _Generated:
    """A project directory, its design and its settings."""

    top: ClassVar[str]
    directory: Path
    design: Design | A3Design | SparseMatmulDesign
    settings: dict[str, Any]

    def compile(self, headers: HeaderSet | None = None, defines: Sequence[str] = ()) -> Path:
        """Builds (or finds in the cache) the csim shared library of the project."""
        hls = self.directory / "hls"
        return build_shared(
            [hls / "src" / f"{self.top}.cpp", hls / "tb" / "csim_api.cpp"],
            headers=headers or own_headers(),
            include_dirs=[hls / "include"],
            name=self.design.name,
            defines=defines,
        )


@dataclass(frozen=True, kw_only=True)
class Project(_Generated):
    """A project of a Vision Transformer."""

    top = TOP_NAME
    design: Design

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


@dataclass(frozen=True, kw_only=True)
class A3Project(_Generated):
    """A project of an A3 overlay."""

    top = A3_TOP
    design: A3Design


@dataclass(frozen=True, kw_only=True)
class SparseMatmulProject(_Generated):
    """A project of a sparse_matmul overlay."""

    top = SPARSE_MATMUL_TOP
    design: SparseMatmulDesign


def kernel_of(directory: Path | str) -> str:
    """One of `KERNELS`. Raises ConfigError if the directory is not a project that vitforge generated."""
    return _kernel(_content(Path(directory)), Path(directory))


def load_project(directory: Path | str) -> Project:
    """Reads ``project.json`` of a Vision Transformer.

    Raises ConfigError if the directory is not a project that vitforge generated, or one of another kernel.
    """
    root = Path(directory)
    content = _checked(root, "vit")
    design = _parsed(root, design_from_dict, content)
    _check_hash(root, content, design_hash(design))
    return Project(directory=root, design=design, settings=dict(content["settings"]))


def load_a3_project(directory: Path | str) -> A3Project:
    """Reads ``project.json`` of an A3 overlay; raises as `load_project` does."""
    root = Path(directory)
    content = _checked(root, "a3")
    design = _parsed(root, a3_design_from_dict, content)
    _check_hash(root, content, design.hash)
    return A3Project(directory=root, design=design, settings=dict(content["settings"]))


def load_sparse_matmul_project(directory: Path | str) -> SparseMatmulProject:
    """Reads ``project.json`` of a sparse_matmul overlay; raises as `load_project` does."""
    root = Path(directory)
    content = _checked(root, "sparse_matmul")
    design = _parsed(root, sparse_matmul_from_dict, content)
    _check_hash(root, content, design.hash)
    return SparseMatmulProject(directory=root, design=design, settings=dict(content["settings"]))


def link_if_exact(
    project: Project | A3Project | SparseMatmulProject, checks: Mapping[str, Sequence[KernelCheck]]
) -> None:
    """Enters the csim library into the overlay, so that the driver finds it on a PC; not if our headers had mismatches.

    checks : by header set
    """
    if OWN in checks and not any(check.mismatches for check in checks[OWN]):
        link_library(project.directory / "overlay", project.compile())


def _content(root: Path) -> dict[str, Any]:
    """``project.json``, if it is one of ours as far as its first keys tell."""
    try:
        content = json.loads(_read(root / PROJECT_FILE))
        if content["generator"] != "vitforge":
            raise KeyError("generator")
        dict(content["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise _no_project(root, error) from None
    return content


def _kernel(content: dict[str, Any], root: Path) -> str:
    kernel = content.get("kernel", "vit")  # projects from before there was a choice have no such key
    if not isinstance(kernel, str) or kernel not in KERNELS:
        raise _no_project(root, KeyError("kernel"))
    return kernel


def _checked(root: Path, wanted: str) -> dict[str, Any]:
    content = _content(root)
    kernel = _kernel(content, root)
    if kernel != wanted:
        raise ConfigError(f"{root} is {KERNELS[kernel]}; this takes {KERNELS[wanted]}")
    return content


def _parsed(root: Path, parse: Callable[[dict], Parsed], content: dict[str, Any]) -> Parsed:
    try:
        return parse(content["design"])
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise _no_project(root, error) from None


def _no_project(root: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{root / PROJECT_FILE} is not a vitforge project file ({error}); generate it again")


def _check_hash(root: Path, content: dict[str, Any], computed: bytes) -> None:
    if computed.hex() != content.get("design_hash"):
        raise ConfigError(f"{root / PROJECT_FILE} was changed after it was generated; generate the project again")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{path} cannot be read ({reason}); give a directory that vitforge generate wrote") from None
