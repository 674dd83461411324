# SPDX-License-Identifier: Apache-2.0
"""Setting keys of a TOML file changes nothing else in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitforge.a3_tune.config_edit import Value, with_keys
from vitforge.config import config_template, load_config
from vitforge.errors import ConfigError

CASES = {
    "keys present": ("[a3]\nm = 1\nt = 5.0\n", "[a3]\nm = 40\nt = 2.5\n"),
    "comments kept": (
        "# top\n[a3]  # table\nm = 1   # rows, # and more\n\n t=5 # percent\n# end\n",
        "# top\n[a3]  # table\nm = 40  # rows, # and more\n\n t = 2.5 # percent\n# end\n",
    ),
    "keys commented out": (
        "[a3]\n# m = 256     # iterations\n#t = 5\nunits = 2\n",
        "[a3]\nm = 40        # iterations\nt = 2.5\nunits = 2\n",
    ),
    "prose is no key": (
        "[a3]\n# m = 256 was too slow\nunits = 2\n",
        "[a3]\n# m = 256 was too slow\nunits = 2\nm = 40\nt = 2.5\n",
    ),
    "present and commented out": ("[a3]\n# m = 7\nm = 1\nt = 1\n", "[a3]\n# m = 7\nm = 40\nt = 2.5\n"),
    "no table": ('name = "x"\n', 'name = "x"\n\n[a3]\nm = 40\nt = 2.5\n'),
    "empty file": ("", "[a3]\nm = 40\nt = 2.5\n"),
    "empty table": ("[a3]\n", "[a3]\nm = 40\nt = 2.5\n"),
    "table at the end, no newline": ("[a3]\nunits = 2", "[a3]\nunits = 2\nm = 40\nt = 2.5"),
    "no table, no newline": ("x = 1", "x = 1\n\n[a3]\nm = 40\nt = 2.5\n"),
    "table in the middle": (
        "[a3]\nunits = 2\n\n# about csim\n[csim]\nm = 9\n",
        "[a3]\nunits = 2\nm = 40\nt = 2.5\n\n# about csim\n[csim]\nm = 9\n",
    ),
    "keys of other tables": ("m = 3\n[x]\nm = 4\n[a3]\nm = 5\nt = 1\n", "m = 3\n[x]\nm = 4\n[a3]\nm = 40\nt = 2.5\n"),
    "spaced header, quoted key": ('[ "a3" ]\n"m" = 5\n', '[ "a3" ]\nm = 40\nt = 2.5\n'),
    "lists over lines": (
        '[csim]\nx = [\n  "a",\n]\n[a3]\nm = 1\n',
        '[csim]\nx = [\n  "a",\n]\n[a3]\nm = 40\nt = 2.5\n',
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_sets_both_keys(name: str) -> None:
    before, after = CASES[name]
    assert with_keys(before, "a3", {"m": 40, "t": 2.5}) == after
    assert with_keys(after, "a3", {"m": 40, "t": 2.5}) == after


@pytest.mark.parametrize("name", CASES)
def test_keeps_line_ends(name: str) -> None:
    before, after = (text.replace("\n", "\r\n") for text in CASES[name])
    if "\r\n" in before:
        assert with_keys(before, "a3", {"m": 40, "t": 2.5}) == after


def test_takes_keys_away_as_comments() -> None:
    gone: dict[str, Value | None] = {"m": None, "t": None}
    assert with_keys("[a3]\nm = 1  # rows\n t = 5\n", "a3", gone) == "[a3]\n# m = 1  # rows\n#  t = 5\n"
    assert with_keys("[a3]\n# m = 1\n", "a3", gone) == "[a3]\n# m = 1\n"
    assert with_keys("x = 1\n", "a3", gone) == "x = 1\n"
    assert with_keys("", "a3", {"m": 3, "t": None}) == "[a3]\nm = 3\n"


@pytest.mark.parametrize(
    "text",
    [
        "a3.m = 5\n",
        "a3 = { m = 5 }\n",
        'x = """\n[a3]\nm = 5\n"""\n[a3]\nunits = 1\n',
        "[a3]\nunits = 2\n[x]\ny = '''\n[a3]\n'''\na3 = 1\n[a3.more]\nm = 2\n[[a4]]\n[b]\n",
    ],
)
def test_what_it_does_not_know_is_refused_or_right(text: str) -> None:
    """Never damaged: `with_keys` compares what the result says with what it should say."""
    from vitforge.validate import tomllib

    try:
        result = with_keys(text, "a3", {"m": 40})
    except ConfigError as error:
        assert "put m = 40 there by hand" in str(error)
    else:
        before, after = tomllib.loads(text), tomllib.loads(result)
        assert after.pop("a3") == {**before.pop("a3", {}), "m": 40}
        assert after == before


@given(
    st.none() | st.integers(1, 512),
    st.none() | st.floats(0.001, 100),
    st.none() | st.integers(1, 512),
    st.none() | st.floats(0.001, 100),
)
def test_the_template_takes_every_choice(
    m: int | None, t: float | None, other_m: int | None, other_t: float | None
) -> None:
    text = config_template("story", "kv260", "a3")
    for choice in ({"m": m, "t": t}, {"m": other_m, "t": other_t}):
        text = with_keys(text, "a3", choice)
    from vitforge.validate import tomllib

    found = tomllib.loads(text)
    assert found["a3"] == {key: value for key, value in (("m", other_m), ("t", other_t)) if value is not None}
    assert found["name"] == "story"
    comments = [line.partition("# ")[2] for line in config_template("story", "kv260", "a3").splitlines()]
    assert all(comment.rpartition("# ")[2] in text for comment in comments)


def test_the_result_is_a_config(tmp_path: Path) -> None:
    path = tmp_path / "vitforge.toml"
    sizes: dict[str, Value | None] = {"n_max": 24, "approximate": True, "normalisation": "divide_first", "t": 2.5}
    path.write_text(with_keys(config_template(kernel="a3"), "a3", sizes))
    found = load_config(path).a3
    assert (found.n_max, found.approximate, found.normalisation, found.t, found.m) == (
        24,
        True,
        "divide_first",
        2.5,
        None,
    )
