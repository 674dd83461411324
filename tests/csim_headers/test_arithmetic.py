# SPDX-License-Identifier: Apache-2.0
"""Expressions of our ap_uint and ap_int have AMD's values and widths; what could differ does not compile."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vitforge.csim.build import build_executable
from vitforge.csim.headers import HeaderSet, find_amd_headers, own_headers
from vitforge.errors import ToolError

HERE = Path(__file__).parent


def output(headers: HeaderSet) -> list[str]:
    program = build_executable(
        [HERE / "arithmetic_program.cpp"], headers=headers, include_dirs=[], name="arithmetic", opt="-O0"
    )
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_same_values_and_widths_as_amds_headers() -> None:
    ours = output(own_headers())
    assert len(ours) > 7000
    assert ours == output(find_amd_headers())


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("narrow / 3", "deleted"),
        ("narrow % 3", "deleted"),
        ("wide.range(7, 0) << 4", "deleted"),
        ("~wide.range(7, 0)", "deleted"),
        ("static_cast<int>(wide)", "more than 64 bits fits no native integer"),
        ("narrow < ap_uint<32>(1)", "convert one of them first"),
        ("ap_uint<8192>(1).to_int()", "1 to 8191 bits"),
    ],
)
def test_what_does_not_compile(tmp_path: Path, expression: str, says: str) -> None:
    source = tmp_path / "program.cpp"
    source.write_text(
        '#include "ap_int.h"\n'
        "int main() {\n    const ap_int<8> narrow = 5;\n    ap_uint<96> wide = 5;\n"
        f"    static_cast<void>(narrow);\n    static_cast<void>(wide);\n    return ({expression}) ? 1 : 0;\n}}\n"
    )
    with pytest.raises(ToolError) as caught:
        build_executable([source], headers=own_headers(), include_dirs=[], name="program", cache_dir=tmp_path / "cache")
    log = Path(str(caught.value).split("log: ")[1].rstrip(")"))
    assert says in log.read_text()
