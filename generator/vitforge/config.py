# SPDX-License-Identifier: Apache-2.0
"""`vitforge.toml`: what a user may choose about a project, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vitforge.names import NAME_RULE, is_name
from vitforge.validate import check, read_toml

KernelName = Literal["vit", "a3", "sparse_matmul"]
HeaderSetName = Literal["vitforge", "amd"]
Tokens = Annotated[int, Field(ge=2, le=256, multiple_of=2)]
Tile = Annotated[int, Field(ge=1, le=128)]
Cascade = Annotated[int, Field(ge=1, le=8)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FoldingConfig(_Table):
    """Parallelism to insist on; what is left out is chosen for the board. Meanings as in `vitforge.design.Folding`."""

    tt_nsa: Tokens | None = None
    tt_nmp: Tokens | None = None
    tc: Tile | None = None
    tk: Cascade | None = None
    td_nsa: Tile | None = None
    td_nmp: Tile | None = None
    embed_nsa: Annotated[int, Field(ge=0, le=1)] | None = None
    mlp_slices: Tile | None = None
    tr: Tile | None = None
    lane_banks: Annotated[int, Field(ge=0, le=1)] | None = None
    sparse: Annotated[int, Field(ge=0, le=1)] | None = None
    resident_nsa: Annotated[int, Field(ge=0, le=65_535)] | None = None
    resident_nmp: Annotated[int, Field(ge=0, le=65_535)] | None = None


class QuantizeConfig(_Table):
    """Calibration of a float model."""

    method: Literal["percentile", "max", "smooth"] = "percentile"
    percentile: Annotated[float, Field(gt=50, le=100)] | None = None  # None = the quantiser's default
    images: Annotated[int, Field(ge=1, le=100_000)] | None = None  # use the first so many; None = all


class CsimConfig(_Table):
    """What ``vitforge csim --config`` does unless its options say otherwise."""

    images: Annotated[int, Field(ge=1, le=100_000)] | None = None  # None = 64, fewer for large models
    headers: Annotated[list[HeaderSetName], Field(min_length=1)] = ["vitforge", "amd"]


class A3Config(_Table):
    """Sizes of an A3 overlay (meanings as in `vitforge.design.a3.A3Design`), and how to run it."""

    n_max: Annotated[int, Field(ge=1, le=4096)] | None = None
    d_max: Annotated[int, Field(ge=1, le=512)] | None = None
    width: Tile | None = None  # None = the most that fits, up to 64
    units: Annotated[int, Field(ge=1, le=16)] | None = None
    integer_bits: Annotated[int, Field(ge=1, le=7)] | None = None
    fraction_bits: Annotated[int, Field(ge=2, le=6)] | None = None
    normalisation: Literal["deferred", "divide_first"] | None = None
    approximate: bool | None = None  # None = if it fits with a single unit
    m: Annotated[int, Field(ge=1, le=4096)] | None = None  # at run time: iterations of selection; None = all rows
    t: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = None  # [percent]; None = keep all


class SparseMatmulConfig(_Table):
    """Sizes of a sparse_matmul overlay; meanings as in `vitforge.design.sparse_matmul.SparseMatmulDesign`."""

    rows_max: Annotated[int, Field(ge=1, le=4096)] | None = None
    k_max: Annotated[int, Field(ge=1, le=4096)] | None = None
    n_max: Annotated[int, Field(ge=1, le=4096)] | None = None
    sparse: bool | None = None
    tt: Tokens | None = None  # None = the most that fits
    tc: Annotated[int, Field(ge=2, le=8)] | None = None


class ProjectConfig(_Table):
    """A whole config file; ``ProjectConfig()`` is what an empty file means.

    Settings of other kernels than ``kernel`` mean nothing, so that one file can serve all.
    """

    kernel: KernelName = "vit"
    name: str | None = None  # None = the kernel's
    board: str | None = None
    board_file: str | None = None
    model: str | None = None  # a directory of ``vitforge quantize``, a safetensors file, or a name of `MODEL_NAMES`
    calibration: str | None = None  # images for a float model
    clock_mhz: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = None
    keep: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None  # of the linear weights; None = all
    sparsity: Literal["dense", "2:4"] | None = None  # of those that are kept; None = as they are
    folding: FoldingConfig = FoldingConfig()
    quantize: QuantizeConfig = QuantizeConfig()
    csim: CsimConfig = CsimConfig()
    a3: A3Config = A3Config()
    sparse_matmul: SparseMatmulConfig = SparseMatmulConfig()

    @field_validator("name")
    @classmethod
    def _name_is_safe(cls, name: str | None) -> str | None:
        if name is not None and not is_name(name):
            raise ValueError(f"a name is {NAME_RULE}")
        return name

    @property
    def design_name(self) -> str:
        """Of the design in the generated sources."""
        return self.name or self.kernel

    def folding_overrides(self) -> dict[str, int]:
        """The folding values that the user insists on, by name."""
        return self.folding.model_dump(exclude_none=True)

    def with_options(
        self, a3: Mapping[str, Any] | None = None, sparse_matmul: Mapping[str, Any] | None = None, **options: Any
    ) -> ProjectConfig:
        """This config with the given keys replaced; None leaves a key alone. Raises `ConfigError` on a bad value.

        a3, sparse_matmul : keys of the table of that name
        """
        given = {key: value for key, value in options.items() if value is not None}
        kept = self.model_dump(exclude_unset=True)
        if "board" in given or "board_file" in given:
            kept = {key: value for key, value in kept.items() if key not in ("board", "board_file")}
        for name, table in (("a3", a3), ("sparse_matmul", sparse_matmul)):
            of_table = {key: value for key, value in (table or {}).items() if value is not None}
            if of_table:
                given[name] = {**kept.get(name, {}), **of_table}
        return check(ProjectConfig, {**kept, **given}, "command line", CONFIG_KEYS)


CONFIG_KEYS = {
    "": tuple(ProjectConfig.model_fields),
    "folding": tuple(FoldingConfig.model_fields),
    "quantize": tuple(QuantizeConfig.model_fields),
    "csim": tuple(CsimConfig.model_fields),
    "a3": tuple(A3Config.model_fields),
    "sparse_matmul": tuple(SparseMatmulConfig.model_fields),
}
_PATH_KEYS = ("board_file", "model", "calibration")


def load_config(path: Path | None) -> ProjectConfig:
    """Read a config file (None: all defaults); raises `ConfigError` naming key, value and rule.

    A path in it that exists relative to the file's directory is taken from there.
    """
    if path is None:
        return ProjectConfig()
    values = read_toml(path)
    for key in _PATH_KEYS:
        if isinstance(values.get(key), str) and (path.parent / values[key]).exists():
            values[key] = str(path.parent / values[key])
    return check(ProjectConfig, values, str(path), CONFIG_KEYS)


TEMPLATE = """\
# vitforge.toml: settings of one project. Lines that start with '#' show a default or an example.

name = "{name}"       # names the design in the generated sources
board = "{board}"    # `vitforge boards` lists them
# board_file = "my_board.toml" # instead of board: one of your own, a copy of a file in boards/
kernel = "{kernel}"       # "vit", a whole Vision Transformer; "a3", attention alone, with the settings of [a3]; or
                     # "sparse_matmul", the array alone, with those of [sparse_matmul]

# model = "mnist_vit"        # the model that ships; or a directory of `vitforge quantize`, or a .safetensors file
# calibration = "images.npy" # images (n, height, width, channels) uint8, for a .safetensors file and the notebook
# clock_mhz = 300.0          # the board's own default; must be a clock the board can make
# sparsity = "2:4"           # of the linear weights, or of those that are kept: the two largest of every four
# keep = 0.5                 # of the linear weights, the largest: for figures of speed; `vitforge prune` prunes for use

[folding]                    # chosen for model and board where left out
# tt_nsa = 10                # tokens a cycle, norm + self-attention engine (even)
# tt_nmp = 10                # tokens a cycle, norm + MLP engine (even)
# tc = 8                     # output columns a cycle
# tk = 8                     # reduction lanes a cycle: the DSP cascade
# td_nsa = 2                 # tokens drained a cycle, attention array
# td_nmp = 2                 # the same, MLP array
# embed_nsa = 0              # 1: the attention array embeds the patches, 0: the MLP array
# mlp_slices = 1             # runs of tokens that take the MLP one after the other, for less memory
# tr = 2                     # tokens added to the residual a cycle; divides td_nsa and td_nmp
# lane_banks = 1             # 1: a memory for each lane of the residual, so that pruned outputs restore at once
# sparse = 1                 # 1: arrays that take 2:4 weights too
# resident_nsa = 8192        # beats of the attention array's stream that stay on chip for a launch; by default all
                             # that repeat for every image, where URAM is left; 0: none
# resident_nmp = 8192        # the same, MLP array

[quantize]                   # of a .safetensors file, here and for vitforge quantize --config
# method = "percentile"      # or "max"; or "smooth", which moves outliers of activations into weights
# percentile = 99.99         # of |value|, above 50
# images = 256               # use the first so many calibration images

[csim]                       # for vitforge csim --config
# images = 64                # for the whole-model comparison; by default fewer for large models
# headers = ["vitforge", "amd"] # sets of ap_int.h and hls_stream.h to compile with

[a3]                         # of kernel = "a3", which takes no model, folding or quantisation
# n_max = 512                # most rows of key and value
# d_max = 64                 # most elements of a row
# width = 64                 # elements of a row in a cycle; by default the most that fits, up to 64
# units = 1                  # pipelines that work side by side
# integer_bits = 4           # of an element, beside its sign
# fraction_bits = 4          # of an element
# normalisation = "deferred" # once a result; or "divide_first", every weight, as in the paper
# approximate = true         # candidate selection; by default if the board holds it
# m = 256                    # at run time: iterations of candidate selection; by default all rows are taken
# t = 5.0                    # at run time: least weight that is kept, in percent of the largest; by default all

[sparse_matmul]              # of kernel = "sparse_matmul", which takes no model, folding or quantisation either
# rows_max = 256             # rows that are multiplied under one pass of the weights; by default chosen
# k_max = 1024               # most inputs of a matrix
# n_max = 1024               # most outputs
# sparse = true              # the array takes 2:4 matrices too
# tt = 48                    # tokens a cycle; by default the most that is of use and fits
# tc = 8                     # output columns a cycle
"""


def config_template(name: str | None = None, board: str = "zcu104", kernel: str = "vit") -> str:
    """Text of a commented config file for ``vitforge init``; the name is by default the kernel's."""
    return TEMPLATE.format(name=name or kernel, board=board, kernel=kernel)
