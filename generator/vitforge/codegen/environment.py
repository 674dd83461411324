# SPDX-License-Identifier: Apache-2.0
"""The one Jinja environment: templates hold no arithmetic, filters only format."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import jinja2

from vitforge.resources import data_dir

_COLUMNS = 12


def c_array(values: Sequence[int]) -> str:
    """Initialiser lines of a C array, without the braces."""
    rows = [values[i : i + _COLUMNS] for i in range(0, len(values), _COLUMNS)]
    return ",\n".join("    " + ", ".join(str(value) for value in row) for row in rows)


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Environment over the template directory; an unknown name in a template is an error."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_dir("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - C++, Tcl and config text; names are checked before they get here
    )
    env.filters["c_array"] = c_array
    return env


def render(template: str, **context: object) -> str:
    """Render ``template`` (path below templates/) with one named context object."""
    return environment().get_template(template).render(**context)
