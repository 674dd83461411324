# SPDX-License-Identifier: Apache-2.0
"""``python -m vitforge_host``: the self-test of the installed overlays, and what is missing to run them."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from vitforge_host import doctor, sim
from vitforge_host.errors import HostError, exit_code
from vitforge_host.finding import missing, summary
from vitforge_host.installed import find_installed, installed_overlays
from vitforge_host.selftest import SelfTest, self_test

PROGRAM = "python -m vitforge_host"
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"vitforge_host: {message}; {self.prog} --help shows what it takes\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (default: the process's); returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        return _doctor(chosen) if chosen.command == "doctor" else _self_test(chosen)
    except HostError as error:
        print(f"vitforge_host: {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        print("vitforge_host: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM, epilog="Exit codes: 0 good, 1 a check failed, 2 wrong use or bad input, 3 something is missing."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    test = commands.add_parser(
        "selftest", help="run the samples of the installed overlays and compare with the golden model's results"
    )
    test.add_argument("name", nargs="?", help="of the overlay; all if left out")
    examine = commands.add_parser("doctor", help="say what is missing to run the installed overlays, with its cure")
    for command in (test, examine):
        command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return parser


def _self_test(chosen: argparse.Namespace) -> int:
    overlays = installed_overlays()
    if chosen.name is not None or not overlays:
        overlays = [find_installed(chosen.name)]
    _simulate_off_board()
    with contextlib.redirect_stdout(sys.stderr):  # whatever pynq prints
        results = [self_test(overlay) for overlay in overlays]
    if chosen.json:
        print(json.dumps(_to_json(results), indent=2))
    else:
        for result in results:
            where = "simulated board" if result.simulated else "board"
            print(
                f"{result.overlay}: {result.count} {result.unit} on the {where} {result.board}, "
                f"{result.mismatches} mismatches"
            )
    return 1 if any(result.mismatches for result in results) else 0


def _simulate_off_board() -> None:
    """Where no board can be found there is only the simulated one."""
    if sim.on_board() or sim.requested() or os.environ.get("PYNQ_REMOTE_DEVICES"):
        return
    os.environ["VITFORGE_SIM"] = "1"
    print("vitforge_host: no board here, so on the simulated one", file=sys.stderr)


def _to_json(results: Sequence[SelfTest]) -> dict[str, Any]:
    """One overlay as it is; of several the sums, and each."""
    if len(results) == 1:
        return results[0].to_json()
    counts: dict[str, Any] = {}
    for result in results:
        counts[result.unit] = counts.get(result.unit, 0) + result.count
    return {
        "overlays": [result.to_json() for result in results],
        "board": results[0].board,
        "simulated": any(result.simulated for result in results),
        **counts,
        "mismatches": sum(result.mismatches for result in results),
    }


def _doctor(chosen: argparse.Namespace) -> int:
    findings = doctor.examine()
    lacking = missing(findings)
    if chosen.json:
        print(json.dumps(summary(findings), indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            print(f"{finding.sign:8}{finding.name:{width}}  {finding.text}  ({finding.purpose})")
        print(f"missing: {lacking[0].cure}" if lacking else "all that the installed overlays need is here")
    return 3 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
