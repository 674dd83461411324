# SPDX-License-Identifier: Apache-2.0
"""Compiles generated sources with g++, once for each content: a cache keyed by everything that goes in."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from vitforge.csim.headers import HeaderSet
from vitforge.errors import ConfigError, ToolError

CACHE_VARIABLE = "VITFORGE_CACHE"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label")
# Static arrays of template functions must stay apart when two projects are loaded by one process.
CODE = ("-fPIC", "-fno-gnu-unique")
# The kernels are small constant loops: unrolled and vectorised, -O2 runs twice as fast and compiles no longer. -O3 adds
# half the compile time for the same speed, and -march=native gains nothing, so a cache may be shared between machines.
LOOPS = ("-fpeel-loops", "-ftree-vectorize", "-fvect-cost-model=dynamic")
HOW_TO_GET = "apt install g++, dnf install gcc-c++, brew install gcc, or conda install -c conda-forge cxx-compiler"
_TIMEOUT_S = 600
_LOG = "compile.log"
_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]', re.MULTILINE)
_SIGNS = (" error: ", "undefined reference")  # of the line that says what is wrong


def find_compiler() -> str:
    """Path of $CXX or g++. Raises ToolError (exit code 3) where there is none."""
    wanted = os.environ.get("CXX") or "g++"
    path = shutil.which(wanted)
    if path is None:
        raise ToolError(f"the C++ compiler {wanted!r} is not on PATH; csim needs one: {HOW_TO_GET}")
    return path


def cache_directory() -> Path:
    """$VITFORGE_CACHE, or vitforge/ in the user's cache directory."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vitforge"


def build_shared(
    sources: Sequence[Path],
    *,
    headers: HeaderSet,
    include_dirs: Sequence[Path],
    name: str,
    defines: Sequence[str] = (),
    opt: str = "-O2",
    std: str = "c++14",
    cache_dir: Path | None = None,
) -> Path:
    """A shared library of ``sources``, from the cache where nothing has changed.

    Raises ToolError if there is no compiler, or the sources do not compile (first error line, and where the log is).
    """
    flags = _flags(defines, opt, std)
    return _build(sources, headers, include_dirs, f"{name}.so", (*CODE, *flags), ("-shared", "-pthread"), cache_dir)


def build_executable(
    sources: Sequence[Path],
    *,
    headers: HeaderSet,
    include_dirs: Sequence[Path],
    name: str,
    defines: Sequence[str] = (),
    opt: str = "-O2",
    std: str = "c++14",
    cache_dir: Path | None = None,
) -> Path:
    """The same as a program."""
    return _build(sources, headers, include_dirs, name, _flags(defines, opt, std), (), cache_dir)


def _flags(defines: Sequence[str], opt: str, std: str) -> tuple[str, ...]:
    return (opt, *LOOPS, f"-std={std}", *WARNINGS, *(f"-D{define}" for define in defines))


def _build(
    sources: Sequence[Path],
    headers: HeaderSet,
    include_dirs: Sequence[Path],
    file_name: str,
    flags: tuple[str, ...],
    link_flags: tuple[str, ...],
    cache_dir: Path | None,
) -> Path:
    compiler = find_compiler()
    includes = [flag for path in headers.include_dirs for flag in ("-isystem", str(path))]
    includes += [flag for path in include_dirs for flag in ("-I", str(path))]
    flags = (*flags, *headers.flags)
    key = _key(compiler, flags + link_flags, sources, headers.include_dirs, include_dirs)
    root = cache_dir or cache_directory()
    target = root / key / file_name
    if target.is_file():
        return target
    with _locked(root, key):
        if not target.is_file():
            _compile(compiler, [*flags, *includes], link_flags, sources, target)
    return target


@contextmanager
def _locked(root: Path, key: str) -> Iterator[None]:
    """One builder a key at a time, over all processes."""
    try:
        (root / key).mkdir(parents=True, exist_ok=True)
        with (root / f"{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ConfigError(
            f"the compile cache {root} cannot be written ({error.strerror}); set {CACHE_VARIABLE} to another directory"
        ) from None


def _compile(
    compiler: str, flags: Sequence[str], link_flags: Sequence[str], sources: Sequence[Path], target: Path
) -> None:
    log = target.parent / _LOG
    objects = [target.parent / f"{i}-{source.stem}.o" for i, source in enumerate(sources)]
    commands = [
        [compiler, *flags, "-c", str(source), "-o", str(output)]
        for source, output in zip(sources, objects, strict=True)
    ]
    with ThreadPoolExecutor(max_workers=2) as pool:
        outputs = list(pool.map(_run, commands))
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    if all(code == 0 for code, _ in outputs):
        outputs.append(_run([compiler, *link_flags, *map(str, objects), "-o", str(fresh)]))
    log.write_text("".join(text for _, text in outputs))
    if any(code != 0 for code, _ in outputs):
        text = next(text for code, text in outputs if code != 0)
        lines = text.splitlines()
        first = next(
            (line for line in lines if any(sign in line for sign in _SIGNS)), lines[-1] if lines else "no message"
        )
        raise ToolError(f"the compiler failed: {first.strip()} (log: {log})")
    fresh.replace(target)
    for path in objects:
        path.unlink()


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Exit code and output, in English whatever the user's locale."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return 1, f"error: no result within {_TIMEOUT_S} s\n"
    except OSError as error:
        return 1, f"error: {command[0]} cannot be run ({error.strerror})\n"
    return done.returncode, done.stdout + done.stderr


def _key(
    compiler: str,
    flags: Sequence[str],
    sources: Sequence[Path],
    header_dirs: Sequence[Path],
    include_dirs: Sequence[Path],
) -> str:
    digest = hashlib.sha256()
    for text in (_compiler_version(compiler), *flags):
        digest.update(text.encode() + b"\0")
    for path in _with_includes(sources, include_dirs):
        digest.update(path.name.encode() + b"\0" + _read(path) + b"\0")
    for directory in (*header_dirs, *include_dirs):
        digest.update(_directory_digest(directory))
    return digest.hexdigest()[:32]


def _with_includes(sources: Sequence[Path], include_dirs: Sequence[Path]) -> list[Path]:
    """``sources`` and the files they include, directly or not, from beside themselves or ``include_dirs``."""
    paths = list(sources)
    for path in paths:  # which grows on the way
        for name in _INCLUDE.findall(_read(path)):
            for directory in (path.parent, *include_dirs):
                included = Path(os.path.normpath(directory / os.fsdecode(name)))
                if included.is_file():
                    if included not in paths:
                        paths.append(included)
                    break
    return paths


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); generate the project again") from None


def _directory_digest(directory: Path) -> bytes:
    """Over every header below ``directory``, by name and content."""
    digest = hashlib.sha256(b"")
    for path in sorted(p for p in directory.rglob("*") if p.suffix in (".h", ".hpp")):
        digest.update(path.relative_to(directory).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.digest()


@functools.lru_cache(maxsize=8)
def _compiler_version(compiler: str) -> str:
    code, text = _run([compiler, "--version"])
    if code != 0:
        raise ToolError(f"{compiler} does not run: {text.strip().splitlines()[-1] if text.strip() else 'no message'}")
    return text
