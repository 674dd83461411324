# SPDX-License-Identifier: Apache-2.0
"""The overlay of a sparse_matmul accelerator on every board, read back by what will read it."""

from __future__ import annotations

import warnings
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser

from vitforge.boards import list_boards, load_board
from vitforge.codegen.sparse_matmul_bench import format_of
from vitforge.deploy.manifest import link_library
from vitforge.deploy.sparse_matmul_overlay import sparse_matmul_overlay_files, write_sparse_matmul_overlay
from vitforge.design.registers import ip_vlnv, register_words
from vitforge.design.sparse_matmul import (
    SPARSE_MATMUL_ARGUMENTS,
    SPARSE_MATMUL_MAGIC,
    SPARSE_MATMUL_TOP,
    SPARSE_MATMUL_VERSION,
    SparseMatmulDesign,
)
from vitforge.design.sparse_matmul_fit import fit_sparse_matmul
from vitforge_host import sparse_matmul
from vitforge_host.identity import REGISTERS, SPARSE_MATMUL
from vitforge_host.sim.manifest import StreamSpec, read_manifest
from vitforge_host.sparse_matmul_format import SparseMatmulFormat, read_format


@pytest.fixture(params=list_boards())
def design(request: pytest.FixtureRequest) -> SparseMatmulDesign:
    return fit_sparse_matmul(load_board(request.param)).design


def test_driver_and_generator_agree_on_identity_and_arguments() -> None:
    assert (SPARSE_MATMUL.magic, SPARSE_MATMUL.version) == (SPARSE_MATMUL_MAGIC, SPARSE_MATMUL_VERSION)
    assert ip_vlnv(SPARSE_MATMUL_TOP).startswith(f"{SPARSE_MATMUL.ip_type}:")
    given = [argument.name for argument in SPARSE_MATMUL_ARGUMENTS]
    assert given == [*sparse_matmul.POINTERS, *sparse_matmul.INPUTS, *sparse_matmul.OUTPUTS, *REGISTERS]


def test_pynq_reads_the_handoff(design: SparseMatmulDesign, tmp_path: Path) -> None:
    write_sparse_matmul_overlay(tmp_path, design, library=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parser = RuntimeMetadataParser(Metadata(input=str(tmp_path / "vitforge.hwh")))
    kernel = parser.ip_dict["vitforge_sparse_matmul_0"]
    words = {word.name: word.offset for word in register_words(design.registers)}
    assert {name: word["address_offset"] for name, word in kernel["registers"].items()} == words
    assert (words["matrix_1"], words["matrix_2"], words["matrix_beats"]) == (0x10, 0x14, 0x1C)
    assert kernel["type"] == "vitforge:hls:vitforge_sparse_matmul:1.0"
    assert "axi_dma_0" in parser.ip_dict


def test_matrix_and_dma_reach_memory_through_ports_of_their_own(design: SparseMatmulDesign, tmp_path: Path) -> None:
    write_sparse_matmul_overlay(tmp_path, design, library=None)
    modules = {str(m.get("INSTANCE")): m for m in ElementTree.parse(tmp_path / "vitforge.hwh").getroot().iter("MODULE")}
    (master,) = {m.get("MASTERBUSINTERFACE") for m in modules["vitforge_sparse_matmul_0"].iter("MEMRANGE")}
    assert master == "m_axi_gmem_matrix"
    slaves = [{m.get("SLAVEBUSINTERFACE") for m in modules[name].iter("MEMRANGE")} for name in sorted(modules)]
    used = [slave for group in slaves for slave in group if slave and "HP" in slave]
    assert len(set(used)) == len(used) == 3


def test_the_manifest_names_registers_packets_and_memory(design: SparseMatmulDesign, tmp_path: Path) -> None:
    library = tmp_path / "lib.so"
    library.write_bytes(b"")
    write_sparse_matmul_overlay(tmp_path / "overlay", design, library=None)
    link_library(tmp_path / "overlay", library)
    manifest = read_manifest(tmp_path / "overlay" / "vitforge.sim.json")
    spec = manifest.ip["vitforge_sparse_matmul_0"]
    assert [(a.name, a.kind, a.offset) for a in spec.arguments] == [
        (r.name, r.kind, r.offset) for r in design.registers
    ]
    assert (spec.arguments[0].min_bytes, spec.arguments[0].times) == (design.beat_bytes, "matrix_beats")
    assert spec.stream == StreamSpec(max_out_bytes=(1 << 26) - 1, packet_unless=("rows", 0))


def test_the_driver_reads_its_format_from_the_files(design: SparseMatmulDesign, tmp_path: Path) -> None:
    assert sparse_matmul_overlay_files(design) == sparse_matmul_overlay_files(design)
    write_sparse_matmul_overlay(tmp_path, design, library=None)
    found = read_format(tmp_path / "vitforge.sparse_matmul.json")
    assert found == format_of(design)
    assert found.activation_lowest == (-127 if design.board.dsp_family == "dsp48e1" else -128)
    assert {field.name for field in fields(SparseMatmulFormat)} >= {"block_rows", "k_max", "n_max", "sparse"}
