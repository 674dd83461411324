# SPDX-License-Identifier: Apache-2.0
"""Register map, .hwh and simulation manifest of every board, read back by what will read them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser

from vitforge.boards import Board, list_boards, load_board
from vitforge.deploy.handoff import PROCESSING_SYSTEMS
from vitforge.deploy.overlay import link_library, overlay_files, write_overlay
from vitforge.design import identity
from vitforge.design.design import Design, Folding
from vitforge.design.registers import (
    ARGUMENTS,
    TOP_NAME,
    address_bits,
    bundles,
    ip_vlnv,
    register_map,
    register_words,
)
from vitforge.errors import OutputError
from vitforge.model.vit import ViTShape
from vitforge_host import identity as host_identity
from vitforge_host.errors import OverlayError
from vitforge_host.sim.manifest import read_manifest
from vitforge_host.stub import check_stub, is_stub


def design_for(board: Board, clock_mhz: float) -> Design:
    shape = ViTShape(
        image_size=(28, 28),
        channels=1,
        patch_size=4,
        embed_dim=48,
        depth=2,
        num_heads=3,
        hidden_dim=96,
        num_classes=10,
    )
    folding = Folding(tt_nsa=10, tt_nmp=10, tc=4, tk=8, td_nsa=2, td_nmp=2)
    return Design(name="small", board=board, shape=shape, folding=folding, clock_mhz=clock_mhz)


@pytest.fixture(params=list_boards())
def design(request: pytest.FixtureRequest) -> Design:
    board = load_board(request.param)
    return design_for(board, board.clock_mhz)


def test_registers_are_packed_as_vitis_packs_them() -> None:
    offsets = {register.name: register.offset for register in register_map()}
    assert offsets == {
        "list_ln1": 0x10,
        "list_nsa": 0x1C,
        "list_ln2": 0x28,
        "list_nmp": 0x34,
        "blob_ln1": 0x40,
        "blob_nsa": 0x4C,
        "blob_ln2": 0x58,
        "blob_nmp": 0x64,
        "images": 0x70,
        "logits": 0x7C,
        "n_steps": 0x88,
        "n_images": 0x90,
        "magic": 0x98,
        "version": 0xA8,
        "hash_lo": 0xB8,
        "hash_hi": 0xC8,
    }
    assert address_bits(register_map()) == 8  # up to 0xD7


def test_driver_and_generator_agree_on_the_identity() -> None:
    vit = host_identity.VIT
    assert (vit.magic, vit.version) == (identity.MAGIC, identity.FORMAT_VERSION)
    assert ip_vlnv(TOP_NAME).startswith(f"{vit.ip_type}:")
    outputs = tuple(argument.name for argument in ARGUMENTS if argument.kind == "out32")
    assert outputs == host_identity.REGISTERS


def test_words_are_unique_and_aligned() -> None:
    words = register_words(register_map())
    assert len({word.name for word in words}) == len({word.offset for word in words}) == len(words)
    assert all(word.offset % 4 == 0 for word in words)
    for word in words:
        assert all(field.bit + field.bits <= 32 for field in word.fields)


def test_every_pointer_belongs_to_one_bundle() -> None:
    named = [name for bundle in bundles() for name in bundle.arguments]
    assert sorted(named) == sorted(argument.name for argument in ARGUMENTS if argument.kind == "ptr")


def test_pynq_reads_the_handoff(design: Design, tmp_path: Path) -> None:
    write_overlay(tmp_path, design, library=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parser = RuntimeMetadataParser(Metadata(input=str(tmp_path / "vitforge.hwh")))
    entry = parser.ip_dict["vitforge_vit_0"]
    words = {word.name: word for word in register_words(register_map())}
    assert set(entry["registers"]) == set(words)
    for name, register in entry["registers"].items():
        assert (register["address_offset"], register["size"]) == (words[name].offset, 32)
        assert set(register["fields"]) == {field.name for field in words[name].fields}
    assert entry["phys_addr"] % entry["addr_range"] == 0
    assert parser.family_ps == {"zynqmp": "zynq_ultra_ps_e", "zynq7000": "processing_system7"}[design.board.ps]


def test_the_clock_is_one_that_exists_and_within_the_design(design: Design, tmp_path: Path) -> None:
    write_overlay(tmp_path, design, library=None)
    parser = RuntimeMetadataParser(Metadata(input=str(tmp_path / "vitforge.hwh")))
    clock = parser.clock_dict[0]
    mhz = design.board.pll_mhz / (clock["divisor0"] * clock["divisor1"])
    assert clock["enable"] == 1 and [parser.clock_dict[i]["enable"] for i in (1, 2, 3)] == [0, 0, 0]
    assert design.board.legal_clock(mhz) == mhz
    assert design.clock_mhz * 0.99 < mhz <= design.clock_mhz * 1.0005
    assert float(parser.ip_dict["vitforge_vit_0"]["parameters"]["FREQ_HZ"]) == pytest.approx(mhz * 1e6, abs=1)


def test_every_memory_port_reaches_the_ddr_of_the_board(design: Design, tmp_path: Path) -> None:
    write_overlay(tmp_path, design, library=None)
    root = ElementTree.parse(tmp_path / "vitforge.hwh").getroot()
    modules = {module.get("INSTANCE"): module for module in root.iter("MODULE")}
    ranges = list(modules["vitforge_vit_0"].iter("MEMRANGE"))
    names = {bus.get("NAME"): bus.get("TYPE") for module in modules.values() for bus in module.iter("BUSINTERFACE")}
    assert {memory.get("MASTERBUSINTERFACE") for memory in ranges} == {f"m_axi_{bundle.name}" for bundle in bundles()}
    for memory in ranges:
        assert names[memory.get("SLAVEBUSINTERFACE")] == "SLAVE" and memory.get("INSTANCE") in modules
    address = 0x8_0000_0000 if design.board.ps == "zynqmp" else 0x1000_0000
    inside = [m for m in ranges if int(str(m.get("BASEVALUE")), 16) <= address <= int(str(m.get("HIGHVALUE")), 16)]
    assert len(inside) == len(bundles())


def test_the_processing_system_is_told_as_pynq_3_0_needs_it(design: Design, tmp_path: Path) -> None:
    """The metadata package of its images takes for a PS only what is not in the PL; later ones go by the name."""
    write_overlay(tmp_path, design, library=None)
    modules = ElementTree.parse(tmp_path / "vitforge.hwh").getroot().findall("MODULES/MODULE")
    outside = [module.get("MODTYPE") for module in modules if module.get("IS_PL") == "FALSE"]
    assert outside == [PROCESSING_SYSTEMS[design.board.ps].modtype]
    assert all(module.get("IS_PL") in ("TRUE", "FALSE") for module in modules)


def test_a_board_with_one_memory_port_uses_that(tmp_path: Path) -> None:
    facts = {**vars(load_board("zcu104")), "hp_ports": 1}
    board = Board(**{key: value for key, value in facts.items() if not key.startswith("__")})
    text = overlay_files(design_for(board, 100.0))["vitforge.hwh"].decode()
    assert "S_AXI_HP0_FPD" in text and "S_AXI_HP1" not in text


def test_the_manifest_states_what_the_accelerator_accesses(design: Design, tmp_path: Path) -> None:
    library = tmp_path / "build" / "lib.so"
    library.parent.mkdir()
    library.write_bytes(b"")
    write_overlay(tmp_path / "overlay", design, library=library)
    spec = read_manifest(tmp_path / "overlay" / "vitforge.sim.json").ip["vitforge_vit_0"]
    assert spec.lib == library.resolve() and spec.symbol == "vitforge_sim"
    assert [(a.name, a.kind, a.offset) for a in spec.arguments] == [(r.name, r.kind, r.offset) for r in register_map()]
    sizes = {a.name: (a.min_bytes, a.times) for a in spec.arguments if a.times}
    row = -(-4 * 4 // design.beat_bytes) * design.beat_bytes  # a patch of 16 pixels, in whole beats
    assert sizes == {"images": (50 * row, "n_images"), "logits": (12 * 4, "n_images")}


def test_the_project_can_be_moved_with_its_library(design: Design, tmp_path: Path) -> None:
    write_overlay(tmp_path / "one" / "overlay", design, library=None)
    (tmp_path / "one" / "lib.so").write_bytes(b"")
    link_library(tmp_path / "one" / "overlay", tmp_path / "one" / "lib.so")
    (tmp_path / "one").rename(tmp_path / "two")
    spec = read_manifest(tmp_path / "two" / "overlay" / "vitforge.sim.json").ip["vitforge_vit_0"]
    assert spec.lib == (tmp_path / "two" / "lib.so").resolve()


def test_files_are_the_same_every_time(design: Design, tmp_path: Path) -> None:
    files = overlay_files(design)
    assert files == overlay_files(design)
    write_overlay(tmp_path, design, library=None)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    assert str(tmp_path) not in files["vitforge.sim.json"].decode()


def test_another_handoff_makes_another_bitfile(tmp_path: Path) -> None:
    board = load_board("zcu104")
    write_overlay(tmp_path / "slow", design_for(board, 100.0), library=None)
    write_overlay(tmp_path / "fast", design_for(board, 300.0), library=None)
    slow, fast = tmp_path / "slow" / "vitforge.bit", tmp_path / "fast" / "vitforge.bit"
    assert is_stub(slow) and slow.read_bytes() != fast.read_bytes()
    check_stub(slow, slow.with_suffix(".hwh"))
    with pytest.raises(OverlayError, match="made for another"):
        check_stub(slow, fast.with_suffix(".hwh"))


def test_what_cannot_be_written_or_read_is_said(tmp_path: Path) -> None:
    design = design_for(load_board("zcu104"), 100.0)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="vitforge.hwh cannot be written"):
        write_overlay(tmp_path / "file", design, library=None)
    with pytest.raises(OutputError, match="no simulation manifest of ours"):
        link_library(tmp_path, tmp_path / "lib.so")
    write_overlay(tmp_path / "overlay", design, library=None)
    manifest = tmp_path / "overlay" / "vitforge.sim.json"
    document = json.loads(manifest.read_text())
    document["ip"]["vitforge_vit_0"]["args"][0]["kind"] = "f64"
    document["ip"]["vitforge_vit_0"]["lib"] = "../file"
    manifest.write_text(json.dumps(document))
    with pytest.raises(OverlayError, match="bad argument.*list_ln1"):
        read_manifest(manifest)
    manifest.write_text(json.dumps(document | {"format": 9}))
    with pytest.raises(OverlayError, match="has format 9, this package reads format 1"):
        read_manifest(manifest)
    manifest.write_text(json.dumps({"format": 1, "ip": {"x": {}}}))
    with pytest.raises(OverlayError, match="lacks or misuses the entry 'lib'"):
        read_manifest(manifest)
