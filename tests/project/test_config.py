# SPDX-License-Identifier: Apache-2.0
"""vitforge.toml: every key checked, every error one sentence that names the key."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from vitforge.config import A3Config, ProjectConfig, SparseMatmulConfig, config_template, load_config
from vitforge.design.a3 import A3Design
from vitforge.design.a3_numbers import A3Numbers
from vitforge.design.design import Folding
from vitforge.design.sparse_matmul import SparseMatmulDesign
from vitforge.errors import ConfigError
from vitforge.names import check_name, is_name

UNSAFE_NAMES = [
    "",
    "A",
    "1x",
    "x" * 33,
    "a b",
    "a\n",
    "a'b",
    'a"b',
    "../a",
    "a/b",
    "a;b",
    "$a",
    "a[exec]",
    "{{a}}",
    "a\0",
    "é",
    "-a",
]


def config(tmp_path: Path, text: str) -> ProjectConfig:
    file = tmp_path / "vitforge.toml"
    file.write_text(text)
    return load_config(file)


def test_the_template_means_the_defaults(tmp_path: Path) -> None:
    assert config(tmp_path, config_template()) == ProjectConfig(name="vit", board="zcu104")


def test_every_line_of_the_template_is_a_valid_setting(tmp_path: Path) -> None:
    lines = config_template().splitlines()
    live = [line.removeprefix("# ") if " = " in line else line for line in lines if not line.startswith("# model = ")]
    settings = config(tmp_path, "\n".join(live))
    assert settings.clock_mhz == 300.0
    folding = {"tt_nsa": 10, "tt_nmp": 10, "tc": 8, "tk": 8, "td_nsa": 2, "td_nmp": 2, "embed_nsa": 0, "mlp_slices": 1}
    folding |= {"tr": 2, "lane_banks": 1, "sparse": 1, "resident_nsa": 8192, "resident_nmp": 8192}
    assert settings.folding_overrides() == folding == asdict(Folding(**folding))  # all there are
    assert settings.quantize.percentile == 99.99
    assert settings.a3.model_fields_set == set(A3Config.model_fields)  # all there are
    assert (settings.a3.n_max, settings.a3.d_max, settings.a3.units) == (A3Design.n_max, A3Design.d_max, A3Design.units)
    numbers = A3Numbers()
    assert (settings.a3.integer_bits, settings.a3.fraction_bits) == (numbers.integer_bits, numbers.fraction_bits)
    assert settings.a3.normalisation == numbers.policy
    array = settings.sparse_matmul
    assert array.model_fields_set == set(SparseMatmulConfig.model_fields)  # all there are
    assert (array.k_max, array.n_max, array.sparse) == (
        SparseMatmulDesign.k_max,
        SparseMatmulDesign.n_max,
        SparseMatmulDesign.sparse,
    )


@pytest.mark.parametrize("kernel", ["a3", "sparse_matmul"])
def test_the_template_of_the_other_kernels(kernel: Any, tmp_path: Path) -> None:
    assert config(tmp_path, config_template(kernel=kernel)) == ProjectConfig(kernel=kernel, name=kernel, board="zcu104")


def test_a_design_is_named_after_its_kernel() -> None:
    assert ProjectConfig().design_name == "vit"
    assert ProjectConfig(kernel="a3").design_name == "a3"
    assert ProjectConfig(kernel="a3", name="story").design_name == "story"


def test_only_what_is_written_is_insisted_on(tmp_path: Path) -> None:
    assert config(tmp_path, "[folding]\ntc = 4\n").folding_overrides() == {"tc": 4}


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "qdir").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert config(tmp_path, 'model = "qdir"').model == str(tmp_path / "qdir")
    assert config(tmp_path, 'model = "mnist_vit"').model == "mnist_vit"


def test_options_win_over_the_file(tmp_path: Path) -> None:
    settings = config(tmp_path, 'name = "a"\nboard_file = "my.toml"\n[folding]\ntc = 4\n')
    changed = settings.with_options(board="kv260", board_file=None, clock_mhz=250.0)
    assert (changed.board, changed.board_file, changed.clock_mhz) == ("kv260", None, 250.0)
    assert (changed.name, changed.folding_overrides()) == ("a", {"tc": 4})


def test_options_of_a_table_win_one_by_one(tmp_path: Path) -> None:
    settings = config(tmp_path, 'kernel = "a3"\n[a3]\nunits = 2\nd_max = 32\n')
    changed = settings.with_options(a3={"units": 3, "n_max": None})
    assert changed.a3 == A3Config(units=3, d_max=32)
    assert changed.kernel == "a3"
    assert settings.with_options(kernel="vit").a3 == settings.a3


def test_a_wrong_option_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="command line: clock_mhz = -3.0 should be greater than 0"):
        ProjectConfig().with_options(clock_mhz=-3.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('nam = "x"', r"unknown key 'nam' \(did you mean 'name'\?\)"),
        ("zzz = 1", "unknown key 'zzz'; known keys are a3, board, board_file, calibration"),
        ("[quantise]\nmethod = 'max'", r"unknown key 'quantise' \(did you mean 'quantize'\?\)"),
        ("[folding]\ntt_nas = 4", r"unknown key 'folding.tt_nas' \(did you mean 'tt_nsa'\?\)"),
        ("[folding]\ntt_nsa = 3", "folding.tt_nsa = 3 should be a multiple of 2"),
        ("[folding]\ntk = 9", "folding.tk = 9 should be less than or equal to 8"),
        ("folding = 3", "folding = 3 should be a table"),
        ("clock_mhz = nan", "clock_mhz = nan should be a finite number"),
        ("clock_mhz = '300'", "clock_mhz = '300' should be a valid number"),
        ("[quantize]\npercentile = 12", "quantize.percentile = 12 should be greater than 50"),
        ("kernel = 'a4'", "kernel = 'a4' should be 'vit', 'a3' or 'sparse_matmul'"),
        ("kernal = 'a3'", r"unknown key 'kernal' \(did you mean 'kernel'\?\)"),
        ("[a3]\nunit = 2", r"unknown key 'a3.unit' \(did you mean 'units'\?\)"),
        ("[a3]\nn_max = 4097", "a3.n_max = 4097 should be less than or equal to 4096"),
        ("[a3]\nfraction_bits = 1", "a3.fraction_bits = 1 should be greater than or equal to 2"),
        ("[a3]\nnormalisation = 'never'", "a3.normalisation = 'never' should be 'deferred' or 'divide_first'"),
        ("[a3]\napproximate = 1", "a3.approximate = 1 should be a valid boolean"),
        ("[a3]\nm = 0", "a3.m = 0 should be greater than or equal to 1"),
        ("[a3]\nt = nan", "a3.t = nan should be"),
        ("[csim]\nimages = 0", "csim.images = 0 should be greater than or equal to 1"),
        ("[csim]\nheaders = ['foo']", "csim.headers.0 = 'foo' should be 'vitforge' or 'amd'"),
        ("name = '../x'", "name = '../x': a name is a lower-case letter"),
        ("name =", "is not a TOML file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        config(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "vitforge.toml"))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(ConfigError, match="is not a TOML file"):
        load_config(tmp_path / "x.toml")


@pytest.mark.parametrize("name", UNSAFE_NAMES)
def test_unsafe_names_are_refused(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ConfigError, match="--name .* is not allowed: a name is a lower-case letter"):
        check_name(name, "--name")


@pytest.mark.parametrize("name", ["a", "vit", "deit-tiny_2", "x" * 32])
def test_safe_names(name: str) -> None:
    assert check_name(name) == name
