# SPDX-License-Identifier: Apache-2.0
"""What of a project goes to the board: its overlay with all that belongs to it under one name, and its notebooks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vitforge.boards import Board
from vitforge.codegen.installed_notebook import InstalledContext, installed_notebook
from vitforge.codegen.notebook import NOTEBOOKS
from vitforge.csim.project import (
    A3Project,
    Project,
    SparseMatmulProject,
    kernel_of,
    load_a3_project,
    load_project,
    load_sparse_matmul_project,
)
from vitforge.deploy.handoff import OVERLAY_NAME
from vitforge.deploy.manifest import board_names, with_library
from vitforge.deploy.samples import sample_file
from vitforge.design.identity import design_hash
from vitforge.errors import ConfigError
from vitforge_host.blob import read_blob
from vitforge_host.identity import KERNELS, Identity
from vitforge_host.pair import CHECKSUMS, check_design, check_pair, check_part, checksum_lines
from vitforge_host.stub import is_stub

_LOADERS: dict[str, Callable[[Path], Project | A3Project | SparseMatmulProject]] = {
    "vit": load_project,
    "a3": load_a3_project,
    "sparse_matmul": load_sparse_matmul_project,
}


@dataclass(frozen=True, kw_only=True)
class Payload:
    """One project as it travels."""

    name: str
    kernel: Identity
    directory: Path
    board: Board
    design_hash: str
    is_bitstream: bool  # and not for the simulated board
    overlay: dict[str, bytes]  # by file name
    notebooks: dict[str, bytes]  # by path below `NOTEBOOKS`

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return {
            "name": self.name,
            "kernel": self.kernel.name,
            "directory": str(self.directory),
            "bitstream": self.is_bitstream,
            "design_hash": self.design_hash,
            "notebooks": sorted(self.notebooks),
        }


def payload(directory: Path, name: str) -> Payload:
    """What goes to the board of the project in ``directory``, named ``name`` there.

    The bitstream if `vitforge build` has put one into its overlay, else the overlay for the simulated board with the
    compiled csim library.

    Raises
    ------
    ConfigError
        If ``directory`` is no project, or lacks a file.
    OverlayError, IdentityError
        If the files of its overlay do not belong together, or are of another design.
    ToolError
        If g++ is needed and missing.
    """
    kernel = next(kernel for kernel in KERNELS if kernel.name == kernel_of(directory))
    project = _LOADERS[kernel.name](directory)
    digest = design_hash(project.design) if isinstance(project, Project) else project.design.hash
    bitfile = directory / "overlay" / f"{OVERLAY_NAME}.bit"
    parts = {suffix: _read(bitfile.with_suffix(suffix)) for suffix in (".bit", ".hwh", kernel.suffix)}
    check_pair(bitfile)
    check_part(bitfile, project.design.board.part)
    check_design(bitfile, digest.hex(), kernel)
    described = json.loads(parts[kernel.suffix]) | board_names(project.design.board)
    parts[kernel.suffix] = (json.dumps(described, indent=2) + "\n").encode()
    if is_stub(bitfile):
        parts[".so"] = project.compile().read_bytes()
        parts[".sim.json"] = with_library(bitfile.with_suffix(".sim.json"), f"{name}.so")
    if isinstance(project, Project):
        parts[".blob"] = project.blob()
        check_design(bitfile, str(read_blob(parts[".blob"]).manifest["design_hash"]), kernel)
    parts[".selftest.npz"] = sample_file(project)
    files = {f"{name}{suffix}": content for suffix, content in sorted(parts.items())}
    return Payload(
        name=name,
        kernel=kernel,
        directory=directory,
        board=project.design.board,
        design_hash=digest.hex(),
        is_bitstream=not is_stub(bitfile),
        overlay=files | {f"{name}{CHECKSUMS}": checksum_lines(files).encode()},
        notebooks=_notebooks(directory / NOTEBOOKS, name, has_weights=".blob" in parts),
    )


def _notebooks(root: Path, name: str, *, has_weights: bool) -> dict[str, bytes]:
    """Every file below ``root``, which need not exist; notebooks find the overlay ``name`` where it is installed."""
    files = {path.relative_to(root).as_posix(): _read(path) for path in sorted(root.rglob("*")) if path.is_file()}
    for path in [path for path in files if path.endswith(".ipynb")]:
        samples = path.removesuffix(".ipynb") + ".npz"
        context = InstalledContext(
            name=name, weights=has_weights, samples=Path(samples).name if samples in files else ""
        )
        try:
            files[path] = installed_notebook(files[path], context)
        except ValueError as error:
            raise ConfigError(f"{root / path} is no notebook ({error}); generate the project again") from None
    return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); generate the project again") from None
