# SPDX-License-Identifier: Apache-2.0
"""Output directories: all or nothing, and never over what is not ours."""

from __future__ import annotations

import os
import resource
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vitforge.errors import OutputError, VitforgeError
from vitforge.output import check_output, output_directory, write_project

OURS = b'{"generator": "vitforge"}'
NOBODY = 65534


def content(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def in_child(action: Callable[[], None]) -> str:
    """Run ``action`` in a forked process and return the sentence of its `VitforgeError`, or what else happened."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            action()
            message = "no error"
        except VitforgeError as error:
            message = str(error)
        except BaseException as error:
            message = repr(error)
        os.write(write, message.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as pipe:
        return pipe.read()


def test_a_new_directory_with_its_parents(tmp_path: Path) -> None:
    output = tmp_path / "a" / "b"
    files = {"project.json": OURS, "hls/src/top.cpp": b"int x;"}
    write_project(output, files)
    assert content(output) == files
    assert [p.name for p in output.parent.iterdir()] == ["b"]


def test_it_is_as_readable_as_any_directory_of_the_user(tmp_path: Path) -> None:
    write_project(tmp_path / "new", {"project.json": OURS})
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_ours_is_replaced_whole(tmp_path: Path) -> None:
    write_project(tmp_path / "x", {"project.json": OURS, "old": b"1"})
    write_project(tmp_path / "x", {"project.json": OURS, "new": b"2"})
    assert content(tmp_path / "x") == {"project.json": OURS, "new": b"2"}
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    write_project(tmp_path / "x", {"project.json": OURS})
    assert content(tmp_path / "x") == {"project.json": OURS}


@pytest.mark.parametrize("marker", [None, b"", b"[]", b'{"generator": "other"}', b"\xff"])
def test_what_is_not_ours_is_left_alone(tmp_path: Path, marker: bytes | None) -> None:
    output = tmp_path / "x"
    output.mkdir()
    (output / "thesis.tex").write_bytes(b"years of work")
    if marker is not None:
        (output / "project.json").write_bytes(marker)
    before = content(output)
    for action in (check_output, lambda path: write_project(path, {"project.json": OURS})):
        with pytest.raises(OutputError, match=r"exists and was not written by vitforge .*give a new directory"):
            action(output)
    assert content(output) == before


def test_a_marker_of_another_kind(tmp_path: Path) -> None:
    write_project(tmp_path / "q", {"model.json": OURS}, marker="model.json")
    write_project(tmp_path / "q", {"model.json": OURS, "b": b""}, marker="model.json")
    with pytest.raises(OutputError, match="no project.json of ours"):
        write_project(tmp_path / "q", {"project.json": OURS})


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(OutputError, match="is a file, not a directory"):
        write_project(tmp_path / "x", {})
    with pytest.raises(OutputError, match="cannot be written"):
        write_project(tmp_path / "x" / "y", {})


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "x").symlink_to("real")
    with pytest.raises(OutputError, match="symbolic link"):
        write_project(tmp_path / "x", {})


def test_the_current_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="current directory"):
        write_project(Path("."), {"project.json": OURS})


def test_a_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="File name too long"):
        write_project(tmp_path / ("n" * 300), {"project.json": OURS})


def test_a_full_disk_leaves_the_old_project_whole(tmp_path: Path) -> None:
    output = tmp_path / "x"
    old = {"project.json": OURS, "blob": b"old"}
    write_project(output, old)

    def fill_the_disk() -> None:
        with output_directory(output) as fresh:
            (fresh / "project.json").write_bytes(OURS)
            with open("/dev/full", "wb") as full:  # every write fails with ENOSPC
                full.write(b"x")

    assert "cannot be written (No space left on device); the one there before is unchanged" in in_child(fill_the_disk)
    assert content(output) == old
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_file_size_limit_leaves_the_old_project_whole(tmp_path: Path) -> None:
    output = tmp_path / "x"
    old = {"project.json": OURS, "blob": b"old"}
    write_project(output, old)

    def write_too_much() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        write_project(output, {"project.json": OURS, "blob": bytes(5000)})

    assert "cannot be written (File too large); the one there before is unchanged" in in_child(write_too_much)
    assert content(output) == old
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_read_only_place() -> None:
    with tempfile.TemporaryDirectory() as place:  # not below tmp_path, whose parents only their owner may enter
        parent, output = Path(place), Path(place) / "x"
        old = {"project.json": OURS}
        write_project(output, old)
        parent.chmod(0o555)

        def write_as_an_ordinary_user() -> None:
            if os.geteuid() == 0:
                os.setuid(NOBODY)
            write_project(output, {"project.json": OURS, "new": b""})

        message = in_child(write_as_an_ordinary_user)
        parent.chmod(0o755)
        assert "cannot be written (Permission denied); the one there before is unchanged; give another" in message
        assert content(output) == old
        assert [p.name for p in parent.iterdir()] == ["x"]


def test_an_error_inside_the_block_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), output_directory(tmp_path / "x") as fresh:
        (fresh / "a").write_text("")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_error_about_another_file_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), output_directory(tmp_path / "x"):
        Path("/nonexistent/model.safetensors").read_bytes()
