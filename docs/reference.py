# SPDX-License-Identifier: Apache-2.0
"""Writes the references from the code: commands.md from the command line itself, configuration.md from its models.

python docs/reference.py            whenever a command, an option or a key changes
python docs/reference.py --check    exit code 1 if a page is out of date
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vitforge.cli import main as vitforge
from vitforge.config import TEMPLATE, ProjectConfig

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/reference.py. -->\n"
_EXIT_CODES = "Exit codes: 0 good, 1 a check failed, 2 wrong use or bad input, 3 a tool is missing or failed."
_ENTRY = re.compile(r"^(?:# )?(\w+) = (.+?)\s+# (.+)$|^(?:# )?(\w+) = (.+?)\s*$")


def commands() -> str:
    """Every command with its arguments and options."""
    parts = [
        f"# Commands\n\n{NOTE}\n",
        "Each command that measures or writes takes `--json`: one object on stdout and nothing else. A Python\n"
        "function does the same; the command's file in `generator/vitforge/cli/` calls it. `--debug` shows where an\n"
        f"error came from.\n\n{_EXIT_CODES}\n",
    ]
    for path, command in _walk("vitforge", vitforge):
        parts.append(f"\n## {path}\n\n{_command(path, command)}")
    return "".join(parts)


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _walk(f"{path} {name}", command.commands[name])
    else:
        yield path, command


def _command(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    text = [f"```text\n{usage}\n```\n\n", f"{_prose(command.help or '')}\n"]
    rows = [_option(param, context) for param in command.params if isinstance(param, click.Option) and not param.hidden]
    if rows:
        text.append("\n| option | meaning |\n| --- | --- |\n" + "".join(rows))
    if command.epilog:
        example = command.epilog.removeprefix("Example: ").replace(" && ", "\n")
        text.append(f"\n```sh\n{example}\n```\n")
    return "".join(text)


def _prose(text: str) -> str:
    """Help as Markdown: paragraphs, of which those behind a backspace mark keep their lines."""
    paragraphs = re.sub(r"\n[ \t]+", "\n", text.strip()).split("\n\n")
    return "\n\n".join(
        "```text\n" + part.removeprefix("\b\n") + "\n```" if part.startswith("\b") else part for part in paragraphs
    )


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None
    names, meaning = (_cell(part) for part in record)
    return f"| `{names}` | {meaning} |\n"


def _cell(text: str) -> str:
    """On one line, and without an end of the cell."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def configuration() -> str:
    """Every key of vitforge.toml."""
    parts = [
        f"# Configuration\n\n{NOTE}\n",
        "`vitforge init` writes a `vitforge.toml` with every key as a comment. Options of the command line win over\n"
        "it. An unknown key, or a value out of range, is refused by name before anything is written. A path is taken\n"
        "from the directory of the file if it exists there.\n",
    ]
    for name, model, entries in _tables():
        parts.append(f"\n## {'Top level' if not name else f'[{name}]'}\n\n")
        parts.append("| key | takes | example or default | meaning |\n| --- | --- | --- | --- |\n")
        schema = model.model_json_schema()
        for key in model.model_fields:
            if key in schema["properties"] and not _is_table(ProjectConfig, key, name):
                example, meaning = entries.get(key, ("", ""))
                takes = _takes(schema["properties"][key])
                shown = f"`{_cell(example)}`" if example else ""
                parts.append(f"| `{key}` | {takes} | {shown} | {_cell(meaning)} |\n")
    return "".join(parts)


def _is_table(model: type[ProjectConfig], key: str, name: str) -> bool:
    return not name and hasattr(model.model_fields[key].annotation, "model_fields")


def _tables() -> Iterator[tuple[str, Any, dict[str, tuple[str, str]]]]:
    """(name, model, key -> (value, comment)) of each table of the template that ``vitforge init`` fills in."""
    text = TEMPLATE.replace("{name}", "vit").replace("{board}", "zcu104").replace("{kernel}", "vit")
    for part in re.split(r"^(?=\[)", text, flags=re.M):
        found = re.match(r"\[(\w+)\]", part)
        name = found[1] if found else ""
        model = ProjectConfig.model_fields[name].annotation if name else ProjectConfig
        yield name, model, _entries(part)


def _entries(part: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    key = ""
    for line in part.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            key = entry[1] or entry[4]
            found[key] = (entry[2] or entry[5], entry[3] or "")
        elif key and re.match(r"^\s+# ", line):  # the comment goes on
            found[key] = (found[key][0], f"{found[key][1]} {line.strip()[2:]}")
        else:
            key = ""
    return found


def _takes(schema: dict[str, Any]) -> str:
    """What a value may be, in words, from its JSON schema."""
    choices = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    return " or ".join(_one(part) for part in choices)


def _one(part: dict[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f'`"{value}"`' for value in part["enum"])
    if part.get("type") == "array":
        return f"list of {_one(part['items'])}"
    words = {"integer": "integer", "number": "number", "boolean": "`true`, `false`", "string": "text"}
    limits = [
        f"{sign} {part[name]:g}"
        for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
        if name in part
    ]
    multiple = [f"a multiple of {part['multipleOf']}"] if "multipleOf" in part else []
    return ", ".join([words[part["type"]], *limits, *multiple])


PAGES = {"commands.md": commands, "configuration.md": configuration}


def stale() -> list[str]:
    """Names of pages that differ from what the code says."""
    return [name for name, make in PAGES.items() if not (HERE / name).exists() or (HERE / name).read_text() != make()]


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    old = stale()
    for name in old:
        if check:
            print(f"docs/{name} is out of date; run python docs/reference.py", file=sys.stderr)
        else:
            (HERE / name).write_text(PAGES[name]())
    sys.exit(1 if check and old else 0)


if __name__ == "__main__":
    run()
