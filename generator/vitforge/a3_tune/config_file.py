# SPDX-License-Identifier: Apache-2.0
"""The config file that a choice is written to."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from vitforge.a3_tune.config_edit import Value, with_keys
from vitforge.a3_tune.settings import Setting
from vitforge.config import ProjectConfig, config_template, load_config
from vitforge.design.a3 import A3Design
from vitforge.errors import ConfigError, OutputError

_TABLE = "a3"


def read_settings(config: Path | None) -> ProjectConfig:
    """Of the config file. Raises what writing it at the end would raise, before long work starts."""
    if config is None:
        return ProjectConfig()
    folder = config.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"{config}: cannot be written, {folder} is no directory to write to; give another --config")
    if not config.exists():
        return ProjectConfig()
    found = load_config(config)
    _edited(config, {"m": 1, "t": 1.0})
    _edited(config, {"m": None, "t": None})
    return found


def _edited(config: Path, values: dict[str, Value | None]) -> str:
    """Text of the file with ``values`` in its table. Raises ConfigError if it cannot be edited."""
    try:
        return with_keys(config.read_bytes().decode(), _TABLE, values)
    except (ConfigError, OSError, ValueError) as error:
        raise ConfigError(f"{config}: {error}") from None


def write_choice(config: Path, choice: Setting, design: A3Design, is_project: bool) -> None:
    """Puts ``choice`` into the file, or into a new one, whole or not at all.

    is_project : whether a new file must describe ``design``; else it is what an empty file means
    Raises ConfigError if the file cannot be edited, OutputError if it cannot be written.
    """
    values: dict[str, Value | None] = dict(choice._asdict())
    _replace(config, _edited(config, values) if config.exists() else _new_text(design, values, is_project))


def _new_text(design: A3Design, choice: dict[str, Value | None], is_project: bool) -> str:
    """A new file for the kernel a3; with the sizes of the project if there is one, so that it describes that."""
    numbers = design.numbers
    sizes: dict[str, Value | None] = {
        **{name: getattr(design, name) for name in ("n_max", "d_max", "width", "units", "approximate")},
        "integer_bits": numbers.integer_bits,
        "fraction_bits": numbers.fraction_bits,
        "normalisation": numbers.policy,
    }
    name = design.name if is_project else None
    text = config_template(name=name, board=design.board.name, kernel="a3")
    return with_keys(text, _TABLE, {**(sizes if is_project else {}), **choice})


def _replace(config: Path, text: str) -> None:
    """Writes the file whole or not at all."""
    target = Path(os.path.realpath(config))
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        fresh.write_bytes(text.encode())
        if target.exists():
            shutil.copymode(target, fresh)
        fresh.replace(target)
    except OSError as error:
        raise OutputError(f"{config}: cannot be written ({error.strerror or error}); give another --config") from None
    finally:
        fresh.unlink(missing_ok=True)
