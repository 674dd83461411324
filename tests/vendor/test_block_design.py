# SPDX-License-Identifier: Apache-2.0
"""The block design in Tcl: an interpreter runs it, and what it builds is what the `.hwh` says."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from vendor import small_tcl
from vendor.vivado import Vivado, hls_interfaces
from vitforge.a3_generate import a3_project_files
from vitforge.boards import Board, load_board
from vitforge.design.a3_fit import fit_a3
from vitforge.design.fit import fit
from vitforge.design.sparse_matmul_fit import fit_sparse_matmul
from vitforge.generate import project_files
from vitforge.golden.random_model import random_quant_model
from vitforge.model.samples import Samples
from vitforge.model.vit import ViTShape
from vitforge.sparse_matmul_generate import sparse_matmul_project_files
from vitforge.timing.a3_estimate import a3_cycles
from vitforge_host.overlay import AXI_DMA

BOARDS = ("zcu104", "kv260", "ultra96v2", "pynq-z2", "zcu102")
KERNELS = ("vit", "a3", "sparse_matmul")
SHAPE = ViTShape(
    image_size=(16, 16), patch_size=8, channels=1, embed_dim=16, depth=1, num_heads=2, hidden_dim=32, num_classes=4
)


@cache
def files(kernel: str, board: Board) -> dict[str, bytes]:
    """Of a small project."""
    if kernel == "a3":
        fitted = fit_a3(board, n_max=64, d_max=16)
        return a3_project_files(fitted, a3_cycles(fitted.design, 64, 16), {})
    if kernel == "sparse_matmul":
        return sparse_matmul_project_files(fit_sparse_matmul(board, tt=16, k_max=64, n_max=64), {})
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (5, 16, 16, 1), dtype=np.uint8)
    return project_files(fit(SHAPE, board), random_quant_model(rng, SHAPE), Samples(images, "Noise."), {})


def top_of(project: dict[str, bytes]) -> str:
    return next(text.decode() for name, text in project.items() if name.startswith("hls/src/"))


@pytest.fixture(params=[(kernel, board) for board in BOARDS for kernel in KERNELS], ids="-".join)
def project(request: pytest.FixtureRequest) -> tuple[Board, dict[str, bytes]]:
    kernel, name = request.param
    return load_board(name), files(kernel, load_board(name))


def run(project: dict[str, bytes], folder: Path, script: str = "block_design.tcl", **session: object) -> Vivado:
    for name in ("block_design.tcl", "bitstream.tcl"):
        (folder / name).write_bytes(project[f"vitis/{name}"])
    vivado = Vivado(top_of(project), **session)  # type: ignore[arg-type]
    vivado.source(folder / script)
    return vivado


def modules(project: dict[str, bytes]) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(project["overlay/vitforge.hwh"]).iter("MODULE"))


def test_all_is_connected_and_valid(project: tuple[Board, dict[str, bytes]], tmp_path: Path) -> None:
    assert run(project[1], tmp_path).is_valid


def test_cells_are_those_of_the_handoff(project: tuple[Board, dict[str, bytes]], tmp_path: Path) -> None:
    vivado = run(project[1], tmp_path)
    assert {m.get("INSTANCE"): m.get("VLNV") for m in modules(project[1])}.items() <= {
        name: cell.vlnv for name, cell in vivado.cells.items()
    }.items()


def test_addresses_are_those_of_the_handoff(project: tuple[Board, dict[str, bytes]], tmp_path: Path) -> None:
    vivado = run(project[1], tmp_path)
    ranges = [r for r in modules(project[1])[0].iter("MEMRANGE") if r.get("MEMTYPE") == "REGISTER"]
    expected = {
        r.get("INSTANCE"): (int(r.get("BASEVALUE"), 0), int(r.get("HIGHVALUE"), 0) - int(r.get("BASEVALUE"), 0) + 1)
        for r in ranges
    }
    assert expected.items() <= vivado.segments.items()
    spans = sorted((first, first + size) for first, size in vivado.segments.values())
    assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))


def test_memory_ports_lead_where_the_handoff_says(project: tuple[Board, dict[str, bytes]], tmp_path: Path) -> None:
    vivado = run(project[1], tmp_path)
    behind = {slave: master for master, slave in vivado.links}
    for module in modules(project[1])[1:]:
        for window in module.iter("MEMRANGE"):
            port = f"{module.get('INSTANCE')}/{window.get('MASTERBUSINTERFACE')}"
            slave = f"{window.get('INSTANCE')}/{window.get('SLAVEBUSINTERFACE')}"
            interconnect = behind[slave].split("/")[0]
            assert (port, interconnect) in {(master, end.split("/")[0]) for master, end in vivado.links}


def test_kernel_has_the_interfaces_of_its_top_function(project: tuple[Board, dict[str, bytes]]) -> None:
    kernel = modules(project[1])[1]
    ports = {interface.get("NAME") for interface in kernel.iter("BUSINTERFACE")}
    assert ports == set(hls_interfaces(top_of(project[1])))


def test_ports_have_the_width_of_the_board(project: tuple[Board, dict[str, bytes]], tmp_path: Path) -> None:
    board, vivado = project[0], run(project[1], tmp_path)
    ps = next(cell for cell in vivado.cells.values() if cell.kind in ("zynq_ultra_ps_e", "processing_system7"))
    widths = {value for name, value in ps.properties.items() if name.endswith("DATA_WIDTH")}
    assert widths == {str(board.axi_bits)}


def test_dma_moves_what_the_driver_asks_for(project: tuple[Board, dict[str, bytes]], tmp_path: Path) -> None:
    dmas = [module for module in modules(project[1]) if (module.get("VLNV") or "").startswith(AXI_DMA)]
    for module in dmas:
        stated = {p.get("NAME"): p.get("VALUE") for p in module.iter("PARAMETER")}
        built = run(project[1], tmp_path).cells[module.get("INSTANCE") or ""].properties
        assert built["c_sg_length_width"] == "26"
        assert built.items() <= stated.items()


def test_interrupts_are_wired_as_in_the_handoff(project: tuple[Board, dict[str, bytes]], tmp_path: Path) -> None:
    stated = {}  # load -> driver
    for module in modules(project[1]):
        for port in module.iter("PORT"):
            (other,) = port.iter("CONNECTION")
            if port.get("DIR") == "I":
                pin = f"{module.get('INSTANCE')}/{port.get('NAME')}"
                stated[pin] = f"{other.get('INSTANCE')}/{other.get('PORT')}"
    nets = run(project[1], tmp_path).nets
    kernel = modules(project[1])[1].get("INSTANCE")
    assert stated.items() <= nets.items()
    assert {driver.split("/")[0] for driver in stated.values()} >= {kernel, "axi_intc_0"}


def test_a_beat_and_its_last_flag_fit_the_stream_of_the_kernel(
    project: tuple[Board, dict[str, bytes]], tmp_path: Path
) -> None:
    """A remap string lists what the bits come from, the most significant first (PG085)."""
    vivado, sources = run(project[1], tmp_path), project[1]
    streams = re.findall(r"mode=axis port=(\w+)", top_of(sources))
    cells = {name: cell for name, cell in vivado.cells.items() if cell.kind == "axis_subset_converter"}
    assert set(cells) == {f"{stream}_tlast" for stream in streams}
    if not streams:
        return
    assert "typedef ap_uint<C::beat_bits + 8> axis_t;" in top_of(sources)
    headers = "".join(text.decode() for name, text in sources.items() if name.endswith("_config.hpp"))
    (beat,) = map(int, set(re.findall(r"\bbeat_bits = (\d+)", headers)))
    wide = beat + 8
    for name, cell in cells.items():
        p = cell.properties
        takes, gives = 8 * int(p["S_TDATA_NUM_BYTES"]), 8 * int(p["M_TDATA_NUM_BYTES"])
        bits = remapped(p["TDATA_REMAP"])
        assert len(bits) == gives
        assert bits[:beat] == [f"tdata[{bit}]" for bit in range(beat)]
        if name == "results_tlast":
            assert (takes, gives) == (wide, beat)
            assert (p["S_HAS_TLAST"], p["M_HAS_TLAST"], remapped(p["TLAST_REMAP"])) == ("0", "1", [f"tdata[{beat}]"])
            ends = (f"{name.removesuffix('_tlast')}", "S_AXIS_S2MM")
        else:
            assert (takes, gives) == (beat, wide)
            assert (p["S_HAS_TLAST"], p["M_HAS_TLAST"]) == ("1", "0")
            assert bits[beat:] == ["tlast[0]", *7 * ["0"]]
            ends = ("M_AXIS_MM2S", f"{name.removesuffix('_tlast')}")
        joined = {
            end.split("/")[1] for link in vivado.links if any(e.startswith(f"{name}/") for e in link) for end in link
        }
        assert joined == {*ends, "S_AXIS", "M_AXIS"}


def remapped(text: str) -> list[str]:
    """Bits of a remap string, the least significant first."""
    bits: list[str] = []
    for part in reversed(text.split(",")):
        if found := re.fullmatch(r"(\w+)\[(\d+):0\]", part):
            bits += [f"{found[1]}[{bit}]" for bit in range(int(found[2]) + 1)]
        elif found := re.fullmatch(r"(\d+)'b([01]+)", part):
            assert int(found[1]) == len(found[2])
            bits += list(reversed(found[2]))
        else:
            assert re.fullmatch(r"\w+\[\d+\]", part), part
            bits.append(part)
    return bits


def test_our_own_interpreter_of_tcl_builds_the_same(project: tuple[Board, dict[str, bytes]], tmp_path: Path) -> None:
    """It stands in on machines whose Python has no Tcl; where there is one, all other tests use that."""
    built = [run(project[1], tmp_path, tcl=tcl) for tcl in (None, small_tcl.Tcl())]
    for what in ("links", "nets", "segments", "calls", "is_valid"):
        assert getattr(built[0], what) == getattr(built[1], what)
    assert [(name, cell.vlnv, cell.properties) for name, cell in built[0].cells.items()] == [
        (name, cell.vlnv, cell.properties) for name, cell in built[1].cells.items()
    ]


def test_our_own_interpreter_goes_the_whole_way_too(tmp_path: Path) -> None:
    built = [bitstream(tmp_path, boards=ZCU104, tcl=tcl) for tcl in (None, small_tcl.Tcl())]
    assert built[0].calls == built[1].calls
    assert [stopped(tmp_path, boards=ZCU104, slack=-0.25, tcl=tcl) for tcl in (None, small_tcl.Tcl())] == 2 * [
        "ERROR: vitforge: timing is not met at 300 MHz: the worst path is 0.25 ns too long"
    ]


def test_our_own_interpreter_refuses_what_it_does_not_know() -> None:
    for script in ("foreach a {1 2} {puts $a}", "puts $nothing", "set a {b", "expr {1 ** 2}"):
        with pytest.raises(small_tcl.TclError):
            small_tcl.Tcl().eval(script)


# --- the way to a bitstream ------------------------------------------------------------------------------
ZCU104 = ("xilinx.com:zcu104:part0:1.0", "xilinx.com:zcu104:part0:1.1")


def bitstream(tmp_path: Path, **session: object) -> Vivado:
    return run(files("a3", load_board("zcu104")), tmp_path, "bitstream.tcl", **session)


def stopped(tmp_path: Path, **session: object) -> str:
    project = files("a3", load_board("zcu104"))
    vivado = Vivado(top_of(project), **session)  # type: ignore[arg-type]
    for name in ("block_design.tcl", "bitstream.tcl"):
        (tmp_path / name).write_bytes(project[f"vitis/{name}"])
    with pytest.raises(SystemExit):
        vivado.source(tmp_path / "bitstream.tcl")
    return vivado.said[-1]


def test_bitstream_ends_with_an_exported_platform(tmp_path: Path) -> None:
    vivado = bitstream(tmp_path, boards=ZCU104)
    assert vivado.calls[-1] == (
        "write_hw_platform",
        *("-fixed", "-include_bit", "-force", "-file", "build/vitforge.xsa"),
    )
    assert ("set_property", "board_part", ZCU104[1], "current_project") in vivado.calls
    assert (tmp_path / "build/reports").is_dir()


def test_missing_board_files_stop_it(tmp_path: Path) -> None:
    assert "the board_part xilinx.com:zcu104:part0 was not found" in stopped(tmp_path)


def test_timing_that_is_not_met_stops_it(tmp_path: Path) -> None:
    assert "timing is not met at 300 MHz: the worst path is 0.25 ns too long" in stopped(
        tmp_path, boards=ZCU104, slack=-0.25
    )


def test_a_faster_clock_than_the_design_has_stops_it(tmp_path: Path) -> None:
    said = stopped(tmp_path, boards=ZCU104, mhz=333.3)
    assert said == "ERROR: vitforge: the processing system makes 333.3 MHz, and the design was generated for 300 MHz"


def test_a_missing_ip_stops_it(tmp_path: Path) -> None:
    project = dict(files("a3", load_board("zcu104")))
    top = top_of(project).replace("vitforge_a3(", "other(")
    vivado = Vivado(top, boards=ZCU104)
    for name in ("block_design.tcl", "bitstream.tcl"):
        (tmp_path / name).write_bytes(project[f"vitis/{name}"])
    with pytest.raises(SystemExit):
        vivado.source(tmp_path / "bitstream.tcl")
    assert "the catalogue has no vitforge:hls:vitforge_a3; export the HLS IP first" in vivado.said[-1]


def test_a_board_without_board_files_has_no_block_design() -> None:
    board = dataclasses.replace(load_board("zcu104"), board_part=None)
    assert not [name for name in files("a3", board) if name.endswith(("block_design.tcl", "bitstream.tcl"))]
