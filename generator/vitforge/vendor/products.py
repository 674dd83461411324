# SPDX-License-Identifier: Apache-2.0
"""What each step must leave, and the bitstream with its hardware handoff on the way into ``overlay/``."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from vitforge.errors import CheckError
from vitforge.report.cosim import REPORT as COSIM_REPORT
from vitforge.report.cosim import read_cosim
from vitforge.vendor.steps import CLASSIC_PROJECT, IP_REPOSITORY, WORK, XSA
from vitforge_host.pair import CHECKSUMS, checksum_file

BITSTREAM, HANDOFF = "overlay/vitforge.bit", "overlay/vitforge.hwh"
_FIRST_ARGUMENT = 0x10  # registers before it are those of the block control protocol
_BIT_HEADER = b"\x00\x09\x0f\xf0"  # with which a .bit file begins


def missing_product(directory: Path, step: str) -> str | None:
    """What a step that ended without an error did not leave, or left broken; None if all is there."""
    if step == "csynth":
        return _bad_report(directory)
    if step == "cosim":
        return _bad_simulation(directory)
    if step == "ip":
        return None if find_ip(directory) else "it left no IP: no component.xml lies below vitis/build"
    if step == "bitstream":
        return _bad_platform(directory / "vitis" / XSA)
    return None


def clear_product(directory: Path, step: str) -> None:
    """Remove what an earlier run of ``step`` left, so that it is not taken for this one's."""
    if step == "csynth":
        for root in (WORK, CLASSIC_PROJECT):
            shutil.rmtree(directory / "vitis" / root, ignore_errors=True)
    if step == "cosim":
        for path in _below(directory, COSIM_REPORT):
            path.unlink()
    if step == "ip" and (ip := find_ip(directory)) is not None:
        shutil.rmtree(ip, ignore_errors=True)
    if step == "bitstream":
        (directory / "vitis" / XSA).unlink(missing_ok=True)


def find_ip(directory: Path) -> Path | None:
    """Folder of the exported IP."""
    found = _below(directory, "component.xml")
    return found[0].parent if found else None


def publish_ip(directory: Path) -> None:
    """Copy the exported IP to the repository that the block design takes it from."""
    source, target = find_ip(directory), directory / "vitis" / IP_REPOSITORY
    if source is not None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)


def publish_bitstream(directory: Path) -> dict[str, str]:
    """Bitstream and handoff of the exported platform as ``overlay/vitforge.bit`` and ``.hwh``, by what they are.

    Raises CheckError if they are not of this project's design; what lies in ``overlay/`` then stays.
    """
    xsa = directory / "vitis" / XSA
    with zipfile.ZipFile(xsa) as archive:
        parts = {suffix: archive.read(_member(archive, suffix)) for suffix in (".bit", ".hwh")}
    if not parts[".bit"].startswith(_BIT_HEADER):
        raise CheckError(f"the bitstream in {xsa} is no .bit file; build again with --force")
    _check_handoff(directory / HANDOFF, parts[".hwh"], xsa)
    for suffix, name in ((".bit", BITSTREAM), (".hwh", HANDOFF)):
        fresh = (directory / name).with_suffix(f"{suffix}.new")
        fresh.write_bytes(parts[suffix])
        fresh.replace(directory / name)
    bitfile = directory / BITSTREAM
    bitfile.with_suffix(CHECKSUMS).write_text(checksum_file(bitfile))
    return {"bitstream": str(directory / BITSTREAM), "handoff": str(directory / HANDOFF)}


def _member(archive: zipfile.ZipFile, suffix: str) -> str:
    """The shortest name with ``suffix``: the design's own, not that of a block within."""
    return min((name for name in archive.namelist() if name.endswith(suffix)), key=lambda name: (len(name), name))


def _check_handoff(own: Path, found: bytes, xsa: Path) -> None:
    """The kernel in a handoff from Vivado must have the registers that the project was generated with."""
    expected, built = _registers(own.read_bytes(), str(own)), _registers(found, f"the .hwh in {xsa}")
    for vlnv, registers in expected.items():
        if vlnv not in built:
            raise CheckError(f"the .hwh in {xsa} has no {vlnv}; it is of another project, so build again with --force")
        wrong = [name for name, offset in registers.items() if built[vlnv].get(name) != offset]
        if wrong:
            raise CheckError(
                f"register {wrong[0]} of {vlnv} lies elsewhere in the .hwh in {xsa} than the driver expects; bitstream "
                "and project are of different designs, so build again with --force"
            )


def _registers(handoff: bytes, what: str) -> dict[str, dict[str, int]]:
    """VLNV of each HLS kernel -> register -> offset, without those of the control protocol."""
    try:
        root = ElementTree.fromstring(handoff)
    except ElementTree.ParseError as error:
        raise CheckError(f"{what} is broken ({error}); build again with --force") from None
    found: dict[str, dict[str, int]] = {}
    for module in root.iter("MODULE"):
        vlnv = module.get("VLNV", "")
        if ":hls:" in vlnv:
            offsets = {register.get("NAME", ""): _offset(register) for register in module.iter("REGISTER")}
            found[vlnv] = {name: offset for name, offset in offsets.items() if offset >= _FIRST_ARGUMENT}
    return found


def _offset(register: ElementTree.Element) -> int:
    values = (p.get("VALUE", "0") for p in register.findall("PROPERTY") if p.get("NAME") == "ADDRESS_OFFSET")
    return int(next(values, "0"), 0)


def _bad_report(directory: Path) -> str | None:
    found = _below(directory, "*csynth.xml")
    if not found:
        return "it left no csynth.xml report, so it did not end well"
    for path in found:
        try:
            ElementTree.parse(path)
        except (ElementTree.ParseError, OSError) as error:
            return f"its report {path} is broken ({error}), so it did not end well"
    return None


def _bad_simulation(directory: Path) -> str | None:
    found = _below(directory, COSIM_REPORT)
    if not found:
        return "it left no cosim.rpt report, so it did not end well"
    try:
        result = read_cosim(found[0])
    except CheckError as error:
        return str(error)
    return None if result.passed else f"the RTL does not do what the C++ does: {found[0]} says {result.status}"


def _below(directory: Path, pattern: str) -> list[Path]:
    """Files that fit ``pattern`` in what the tools of HLS left."""
    roots = [directory / "vitis" / root for root in (WORK, CLASSIC_PROJECT)]
    return sorted(path for root in roots if root.is_dir() for path in root.rglob(pattern))


def _bad_platform(xsa: Path) -> str | None:
    if not xsa.is_file():
        return f"it left no {xsa.name}, so it did not end well"
    try:
        with zipfile.ZipFile(xsa) as archive:
            names, damaged = archive.namelist(), archive.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        return f"{xsa} is broken ({error}), so it did not end well"
    if damaged:
        return f"{xsa} is broken (in {damaged}), so it did not end well"
    lacks = [suffix for suffix in (".bit", ".hwh") if not any(name.endswith(suffix) for name in names)]
    return f"{xsa} holds no {' and no '.join(lacks)}" if lacks else None
