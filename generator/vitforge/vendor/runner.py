# SPDX-License-Identifier: Apache-2.0
"""`vitforge build`: runs the vendor tools step by step, and goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from vitforge.csim.project import kernel_of
from vitforge.errors import ConfigError, ToolError
from vitforge.vendor.failures import explain, tail
from vitforge.vendor.products import clear_product, missing_product, publish_bitstream, publish_ip
from vitforge.vendor.steps import IP_REPOSITORY, OPTIONS_TCL, STEPS, VIVADO_STEPS, Command, command_of, steps_until
from vitforge.vendor.tools import CLASSIC, Toolchain, find_toolchain

STATE, LOGS = "vitis/build/state.json", "vitis/build/logs"
DONE, KEPT, FAILED, INTERRUPTED = "done", "kept", "failed", "interrupted"
_INPUTS = {"csynth": ("hls",), "cosim": ("hls",), "ip": ("hls",), "bitstream": ("hls", "vitis")}
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """A step: status done, kept (from an earlier build), failed or interrupted."""

    name: str
    status: str
    command: str
    log: str
    seconds: float
    inputs: str  # hash of what it depends on
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """What ran, with what, and what came out."""

    directory: Path
    flow: str
    tools: dict[str, object]
    steps: list[StepResult] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return {**asdict(self), "directory": str(self.directory)}


class BuildError(ToolError):
    """A step failed; ``result`` says how far it went."""

    def __init__(self, message: str, result: BuildResult) -> None:
        super().__init__(message)
        self.result = result


def build(
    directory: Path | str,
    *,
    until: str = "bitstream",
    force: bool = False,
    environment: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> BuildResult:
    """Runs the steps up to ``until``. One that ended well is kept while its sources and its tool are the same.

    until : csynth, cosim, ip or bitstream
    force : run all steps again

    Raises
    ------
    ConfigError
        If ``directory`` is no project of ours.
    ToolError
        If a tool is missing or too old; `BuildError` if a step fails: what it said, the cure, and its log.
    """
    directory = Path(directory)
    kernel_of(directory)
    if until not in STEPS:
        raise ConfigError(f"--until is {until}; it must be {', '.join(STEPS[:-1])} or {STEPS[-1]}")
    environment = dict(os.environ if environment is None else environment)
    names = steps_until(until)
    tools = find_toolchain(needs_vivado=any(name in VIVADO_STEPS for name in names), environment=environment)
    run = _Build(directory, tools, environment, progress or (lambda what, done, total: None))
    return run.all(names, force)


class _Build:
    def __init__(self, directory: Path, tools: Toolchain, environment: Mapping[str, str], progress: Progress) -> None:
        self._directory, self._tools, self._environment, self._progress = directory, tools, environment, progress
        self._before = _read_state(directory)
        self.result = BuildResult(directory=directory, flow=tools.flow, tools=tools.to_json())

    def all(self, names: tuple[str, ...], force: bool) -> BuildResult:
        earlier = ""
        for done, name in enumerate(names):
            self._progress(f"{name}, log in {LOGS}/{name}.log", done, len(names))
            earlier = self._inputs(name, earlier)
            kept = None if force else self._kept(name, earlier)
            force = force or kept is None  # what builds on a step that ran anew runs anew
            self._record(kept or self._run(name, earlier))
        self._progress("done", len(names), len(names))
        if "ip" in names:
            self.result.outputs["ip"] = str(self._directory / "vitis" / IP_REPOSITORY)
        if "bitstream" in names:
            self.result.outputs.update(publish_bitstream(self._directory))
        return self.result

    def _kept(self, name: str, inputs: str) -> StepResult | None:
        before = self._before.get(name)
        if before is None or before.status not in (DONE, KEPT) or before.inputs != inputs:
            return None
        return None if missing_product(self._directory, name) else replace(before, status=KEPT)

    def _run(self, name: str, inputs: str) -> StepResult:
        command = command_of(name, self._tools.flow)
        log = self._directory / LOGS / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        if self._tools.flow == CLASSIC and name not in VIVADO_STEPS:
            (self._directory / "vitis" / OPTIONS_TCL).write_text(f"set steps {{{name}}}\n")
        clear_product(self._directory, name)
        start = time.monotonic()
        try:
            code = self._call(command, log)
        except KeyboardInterrupt:
            self._record(self._step(name, INTERRUPTED, command, log, start, inputs, "interrupted"))
            raise
        wrong = explain(log, code) if code else missing_product(self._directory, name)
        step = self._step(name, FAILED if wrong else DONE, command, log, start, inputs, wrong)
        if wrong:
            self._record(step)
            lines = "\n".join(f"  {line}" for line in tail(log))
            raise BuildError(f"{name} failed: {wrong}; the log is {log}, which ends:\n{lines}", self.result)
        if name == "ip":
            publish_ip(self._directory)
        return step

    def _call(self, command: Command, log: Path) -> int:
        """Exit code; all that the tool says goes to ``log`` as it comes."""
        argv = [self._tools.path(command.program), *command.arguments]
        with log.open("wb") as file:
            try:
                process = subprocess.Popen(
                    argv,
                    cwd=self._directory / command.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=dict(self._environment),
                    start_new_session=True,
                )
            except OSError as error:
                raise ToolError(f"{argv[0]} cannot be started ({error.strerror}); check its installation") from None
            try:
                return process.wait()
            except KeyboardInterrupt:
                _end(process)
                raise

    def _step(
        self, name: str, status: str, command: Command, log: Path, start: float, inputs: str, error: str | None
    ) -> StepResult:
        return StepResult(
            name=name,
            status=status,
            command=command.line(),
            log=str(log),
            seconds=round(time.monotonic() - start, 1),
            inputs=inputs,
            error=error,
        )

    def _record(self, step: StepResult) -> None:
        """After each step, so that a build that breaks off loses no more than one."""
        self.result.steps.append(step)
        state = {**{name: asdict(old) for name, old in self._before.items()}, step.name: asdict(step)}
        self._before[step.name] = step
        path = self._directory / STATE
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"tools": self.result.tools, "steps": state}, indent=2) + "\n")
        fresh.replace(path)

    def _inputs(self, name: str, earlier: str) -> str:
        """Hash of the sources of a step, its tool, and of what it builds on."""
        command = command_of(name, self._tools.flow)
        digest = hashlib.sha256(f"{earlier}\n{command.line()}\n{self._tools.path(command.program)}".encode())
        for folder in _INPUTS[name]:
            root = self._directory / folder
            for path in sorted(path for path in root.rglob("*") if path.is_file()):
                if "build" not in path.relative_to(root).parts[:1]:
                    digest.update(f"\n{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
        return digest.hexdigest()


def _end(process: subprocess.Popen) -> None:
    """The tool and all that it started."""
    for number in (15, 9):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
            return


def _read_state(directory: Path) -> dict[str, StepResult]:
    """Steps of earlier builds; a state that cannot be read is none."""
    try:
        steps = json.loads((directory / STATE).read_text())["steps"]
        return {name: StepResult(**step) for name, step in steps.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
