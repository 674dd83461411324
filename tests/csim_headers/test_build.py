# SPDX-License-Identifier: Apache-2.0
"""The compile cache: hits when nothing changed, misses when anything did, and clear words when the compiler fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vitforge.csim.build import build_executable, build_shared
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import own_headers
from vitforge.errors import CheckError, ConfigError, ToolError

SOURCE = """
#include "value.hpp"
extern "C" long long answer() { return VALUE; }
extern "C" const char *vitforge_sim_error() { return ""; }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "value.hpp").write_text("#define VALUE 41\n")
    (tmp_path / "answer.cpp").write_text(SOURCE)
    return tmp_path


def build(project: Path, **options: object) -> Path:
    return build_shared(
        [project / "answer.cpp"],
        headers=own_headers(),
        include_dirs=[project / "include"],
        name="answer",
        cache_dir=project / "cache",
        **options,  # type: ignore[arg-type]
    )


def test_hit_then_miss_when_a_header_changes(project: Path) -> None:
    first = build(project)
    written = first.stat().st_mtime_ns
    assert build(project) == first
    assert first.stat().st_mtime_ns == written
    assert CsimLibrary(first).call("answer") == 41
    (project / "include" / "value.hpp").write_text("#define VALUE 42\n")
    second = build(project)
    assert second != first
    assert CsimLibrary(second).call("answer") == 42


def test_miss_when_any_included_file_changes(project: Path) -> None:
    (project / "answer.cpp").write_text(SOURCE.replace("value.hpp", "beside.hpp"))
    (project / "beside.hpp").write_text(f'#include "../{project.name}/include/table.inc"\n')
    table = project / "include" / "table.inc"
    for answer in (41, 42):
        table.write_text(f"#define VALUE {answer}\n")
        assert CsimLibrary(build(project)).call("answer") == answer
    (project / "beside.hpp").write_text("#define VALUE 43\n")
    assert CsimLibrary(build(project)).call("answer") == 43


def test_flags_are_part_of_the_key(project: Path) -> None:
    assert (
        len({build(project), build(project, std="c++17"), build(project, opt="-O1"), build(project, defines=["X"])})
        == 4
    )


def test_processes_that_want_the_same_compile_it_once(project: Path) -> None:
    compiler = project / "counting-g++"
    compiler.write_text(f'#!/bin/sh\necho "$@" >> {project}/calls\nexec g++ "$@"\n')
    compiler.chmod(0o755)
    script = (
        "import sys; from pathlib import Path; from vitforge.csim.build import build_shared; "
        "from vitforge.csim.headers import own_headers; p = Path(sys.argv[1]); "
        "print(build_shared([p / 'answer.cpp'], headers=own_headers(), include_dirs=[p / 'include'], name='answer', "
        "cache_dir=p / 'cache'))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(project)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "CXX": str(compiler)},
        )
        for _ in range(3)
    ]
    paths = {process.communicate(timeout=60)[0].strip() for process in running}
    assert len(paths) == 1
    assert CsimLibrary(Path(paths.pop())).call("answer") == 41
    calls = (project / "calls").read_text().splitlines()
    assert sum(" -c " in call for call in calls) == 1
    assert sum("-shared" in call for call in calls) == 1


def test_the_first_error_and_the_log_are_named(project: Path) -> None:
    (project / "answer.cpp").write_text('#include "value.hpp"\nint broken( { return 1; }\n')
    with pytest.raises(ToolError, match=r"answer\.cpp:2.*error") as caught:
        build(project)
    assert caught.value.exit_code == 3
    log = Path(str(caught.value).split("log: ")[1].rstrip(")"))
    assert "error" in log.read_text()


def test_a_missing_definition_is_named(project: Path) -> None:
    (project / "answer.cpp").write_text("extern int elsewhere();\nint main() { return elsewhere(); }\n")
    with pytest.raises(ToolError, match="undefined reference to .elsewhere"):
        build_executable(
            [project / "answer.cpp"], headers=own_headers(), include_dirs=[], name="x", cache_dir=project / "cache"
        )


def test_a_missing_source_is_named(project: Path) -> None:
    (project / "answer.cpp").unlink()
    with pytest.raises(ConfigError, match=r"answer\.cpp cannot be read"):
        build(project)


def test_a_warning_is_an_error(project: Path) -> None:
    (project / "answer.cpp").write_text(SOURCE + "static int unused() { return 1; }\n")
    with pytest.raises(ToolError, match="unused"):
        build(project)


def test_missing_compiler_says_how_to_get_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(ToolError, match=r"g\+\+.*apt install") as caught:
        build(project)
    assert caught.value.exit_code == 3


def test_a_compiler_that_is_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "g++; rm -rf /")
    with pytest.raises(ToolError, match="not on PATH"):
        build(project)


def test_a_cache_that_cannot_be_written(project: Path) -> None:
    (project / "cache").write_text("a file")
    with pytest.raises(ConfigError, match="VITFORGE_CACHE"):
        build(project)


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_bytes(b"no library")
    with pytest.raises(CheckError, match=r"x\.so"):
        CsimLibrary(tmp_path / "x.so")


@pytest.mark.parametrize(
    "array",
    [np.ones(2), np.array([None, 1]), np.ones(2, ">i4"), np.ones((2, 3), np.int32).T],
    ids=["float", "object", "byte order", "not contiguous"],
)
def test_arrays_that_a_kernel_would_misread(project: Path, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="csim takes"):
        CsimLibrary(build(project)).call("answer", array)


def test_a_function_that_is_not_there(project: Path) -> None:
    with pytest.raises(CheckError, match="no function question"):
        CsimLibrary(build(project)).call("question")
