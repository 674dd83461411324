# SPDX-License-Identifier: Apache-2.0
"""The overlay of an A3 accelerator on every board, read back by what will read it."""

from __future__ import annotations

import json
import warnings
from dataclasses import fields, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pynqmetadata import tests as pynqmetadata_tests
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser

from vitforge.boards import list_boards, load_board
from vitforge.deploy.a3_overlay import a3_overlay_files, write_a3_overlay
from vitforge.deploy.manifest import link_library
from vitforge.design.a3 import A3_ARGUMENTS, A3_MAGIC, A3_TOP, A3_VERSION, OPERATIONS, A3Design
from vitforge.design.a3_numbers import A3Numbers
from vitforge.design.registers import address_bits, ip_vlnv, register_words
from vitforge_host import a3_runner
from vitforge_host.a3_format import A3Format, read_format
from vitforge_host.identity import A3, REGISTERS
from vitforge_host.sim.manifest import StreamSpec, read_manifest
from vitforge_host.stub import check_stub, is_stub

VIVADO = Path(pynqmetadata_tests.__path__[0]) / "hwhs" / "resizer.hwh"  # a .hwh with an AXI DMA, as Vivado wrote it


@pytest.fixture(params=list_boards())
def design(request: pytest.FixtureRequest) -> A3Design:
    board = load_board(request.param)
    return A3Design(name="small", board=board, clock_mhz=board.clock_mhz, n_max=64, d_max=32, width=32)


def handoff(directory: Path, design: A3Design) -> RuntimeMetadataParser:
    write_a3_overlay(directory, design, library=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return RuntimeMetadataParser(Metadata(input=str(directory / "vitforge.hwh")))


def test_registers_are_packed_as_vitis_packs_them() -> None:
    board = load_board("zcu104")
    offsets = {r.name: r.offset for r in A3Design(name="x", board=board, clock_mhz=100.0).registers}
    names = ("op", "n", "d", "m", "threshold", "scale_mult", "scale_shift", "pairs", "single_from", "unit_mask")
    assert [offsets[name] for name in names] == list(range(0x10, 0x60, 8))
    outputs = ("status", "candidates", "kept", "cycles", *REGISTERS)
    assert [offsets[name] for name in outputs] == list(range(0x60, 0xE0, 16))


def test_driver_and_generator_agree_on_the_identity_and_the_arguments() -> None:
    assert (A3.magic, A3.version) == (A3_MAGIC, A3_VERSION)
    assert ip_vlnv(A3_TOP).startswith(f"{A3.ip_type}:")
    given = [argument.name for argument in A3_ARGUMENTS]
    assert given == [*a3_runner.INPUTS, *a3_runner.OUTPUTS, *REGISTERS]
    assert {"identify": a3_runner.IDENTIFY, "load": a3_runner.LOAD, "query": a3_runner.QUERY} == OPERATIONS


def test_pynq_reads_the_handoff(design: A3Design, tmp_path: Path) -> None:
    parser = handoff(tmp_path, design)
    kernel, dma = parser.ip_dict["vitforge_a3_0"], parser.ip_dict["axi_dma_0"]
    words = {word.name: word.offset for word in register_words(design.registers)}
    assert {name: word["address_offset"] for name, word in kernel["registers"].items()} == words
    assert kernel["type"] == "vitforge:hls:vitforge_a3:1.0"
    assert int(kernel["parameters"]["C_S_AXI_CONTROL_ADDR_WIDTH"]) == address_bits(design.registers) == 8
    assert dma["phys_addr"] == kernel["phys_addr"] + kernel["addr_range"]
    clock = parser.clock_dict[0]
    mhz = design.board.pll_mhz / (clock["divisor0"] * clock["divisor1"])
    assert design.clock_mhz * 0.99 < mhz <= design.clock_mhz * 1.0005
    assert float(kernel["parameters"]["FREQ_HZ"]) == pytest.approx(mhz * 1e6, abs=1)


def test_the_dma_is_described_as_vivado_describes_it(design: A3Design, tmp_path: Path) -> None:
    """Against a file of Vivado's that ships with pynqmetadata: names, places, and what pynq's driver reads."""
    ours = handoff(tmp_path, design).ip_dict["axi_dma_0"]
    theirs = RuntimeMetadataParser(Metadata(input=str(VIVADO))).ip_dict["axi_dma_0"]
    assert ours["type"] == theirs["type"] == "xilinx.com:ip:axi_dma:7.1"
    for name, register in ours["registers"].items():
        twin = theirs["registers"][name]
        assert (register["address_offset"], register["size"]) == (twin["address_offset"], twin["size"])
        for field, bits in register["fields"].items():
            place = ("bit_offset", "bit_width", "access")
            assert [bits[key] for key in place] == [twin["fields"][field][key] for key in place]
    simple = {name for name in theirs["registers"] if "DESC" not in name and name != "SG_CTL"}
    assert set(ours["registers"]) == simple
    lower = {name: value for name, value in ours["parameters"].items() if name.startswith("c_")}
    assert set(lower) <= set(theirs["parameters"])
    for direction in ("mm2s", "s2mm"):
        assert int(lower[f"c_include_{direction}"]) == 1
        assert int(lower[f"c_m_axi_{direction}_data_width"]) == design.axi_bits
    assert int(lower["c_sg_length_width"]) == 26 and int(lower["c_include_sg"]) == int(lower["c_micro_dma"]) == 0


def test_only_the_dma_reaches_memory(design: A3Design, tmp_path: Path) -> None:
    write_a3_overlay(tmp_path, design, library=None)
    root = ElementTree.parse(tmp_path / "vitforge.hwh").getroot()
    modules = {str(module.get("INSTANCE")): module for module in root.iter("MODULE")}
    assert not list(modules["vitforge_a3_0"].iter("MEMRANGE"))
    ranges = list(modules["axi_dma_0"].iter("MEMRANGE"))
    ports = {str(memory.get("MASTERBUSINTERFACE")): memory.get("SLAVEBUSINTERFACE") for memory in ranges}
    assert set(ports) == {"M_AXI_MM2S", "M_AXI_S2MM"} and len(set(ports.values())) == 2
    address = 0x8_0000_0000 if design.board.ps == "zynqmp" else 0x1000_0000
    inside = [m for m in ranges if int(str(m.get("BASEVALUE")), 16) <= address <= int(str(m.get("HIGHVALUE")), 16)]
    assert len(inside) == 2


def test_each_stream_joins_an_initiator_and_a_target(design: A3Design, tmp_path: Path) -> None:
    write_a3_overlay(tmp_path, design, library=None)
    root = ElementTree.parse(tmp_path / "vitforge.hwh").getroot()
    ends: dict[str, set[tuple[str, str]]] = {}
    for module in root.iter("MODULE"):
        for bus in module.iter("BUSINTERFACE"):
            if "axis" in str(bus.get("VLNV")):
                assert bus.get("DATAWIDTH") == str(design.axi_bits)
                ends.setdefault(str(bus.get("BUSNAME")), set()).add((str(bus.get("NAME")), str(bus.get("TYPE"))))
    assert sorted(map(sorted, ends.values())) == [
        [("M_AXIS_MM2S", "INITIATOR"), ("queries", "TARGET")],
        [("S_AXIS_S2MM", "TARGET"), ("results", "INITIATOR")],
    ]


def test_the_manifest_names_registers_packets_and_streams(design: A3Design, tmp_path: Path) -> None:
    library = tmp_path / "build" / "lib.so"
    library.parent.mkdir()
    library.write_bytes(b"")
    write_a3_overlay(tmp_path / "overlay", design, library=None)
    link_library(tmp_path / "overlay", library)
    manifest = read_manifest(tmp_path / "overlay" / "vitforge.sim.json")
    spec = manifest.ip["vitforge_a3_0"]
    assert spec.lib == library.resolve() and spec.symbol == "vitforge_sim"
    assert [(a.name, a.kind, a.offset) for a in spec.arguments] == [
        (r.name, r.kind, r.offset) for r in design.registers
    ]
    assert spec.stream == StreamSpec(max_out_bytes=(1 << 26) - 1, packet_unless=("op", 0))
    assert manifest.streams == (("axi_dma_0", "vitforge_a3_0"), ("vitforge_a3_0", "axi_dma_0"))


@pytest.mark.parametrize(
    "numbers", [A3Numbers(), A3Numbers(integer_bits=3), A3Numbers(policy="divide_first", fraction_bits=5)]
)
def test_the_driver_reads_its_format_from_the_files(design: A3Design, numbers: A3Numbers, tmp_path: Path) -> None:
    changed = replace(design, numbers=numbers, approximate=numbers.fraction_bits == 4)
    write_a3_overlay(tmp_path, changed, library=None)
    found = read_format(tmp_path / "vitforge.a3.json")
    expected = {
        name: getattr(changed, name) if hasattr(changed, name) else getattr(numbers, name)
        for name in (field.name for field in fields(A3Format))
        if name != "design_hash"
    }
    assert found == A3Format(**expected, design_hash=changed.hash.hex())
    assert found.limit == numbers.limit
    content = json.loads((tmp_path / "vitforge.a3.json").read_text())
    assert content["kernel"] == "a3" and content["board"] == design.board.name
    assert set(content) == {"kernel", "board", "pynq_board", "design_hash", *expected}


def test_files_are_the_same_every_time_and_belong_together(design: A3Design, tmp_path: Path) -> None:
    files = a3_overlay_files(design)
    assert files == a3_overlay_files(design)
    write_a3_overlay(tmp_path, design, library=None)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    assert set(files) == {"vitforge.hwh", "vitforge.bit", "vitforge.sim.json", "vitforge.a3.json"}
    assert is_stub(tmp_path / "vitforge.bit")
    check_stub(tmp_path / "vitforge.bit", tmp_path / "vitforge.hwh")
