# SPDX-License-Identifier: Apache-2.0
"""Pragmas of Vitis HLS 2024.1 to 2026.1 with their options (UG1399; AMD's introductory examples of these years)."""

from __future__ import annotations

from dataclasses import dataclass, field

NUMBER = "a whole number above 0 or a constant"
NAME = "a name"
FREE = "any value"
Values = str | tuple[str, ...]  # one of the above, or the words that are allowed


@dataclass(frozen=True, kw_only=True)
class PragmaKind:
    """What follows ``#pragma HLS name``: options with a value, words alone, and what may not be left out."""

    options: dict[str, Values] = field(default_factory=dict)
    words: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    place: str = "function"  # "function" body, "loop" body, "loop or function", or "anywhere"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _one_of(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_STORAGE_TYPES = _one_of("fifo ram_1p ram_1wnr ram_2p ram_s2p ram_t2p ram_coherent rom_1p rom_2p rom_np")
_STORAGE_IMPLS = _one_of("auto bram bram_ecc lutram uram uram_ecc srl memory")
_OPERATIONS = _one_of(
    "mul add sub fadd fsub fdiv fexp flog fmul frsqrt frecip fsqrt dadd dsub ddiv dexp dlog dmul drsqrt drecip dsqrt "
    "hadd hsub hdiv hmul hsqrt facc fmacc fmadd"
)
_OPERATION_IMPLS = _one_of("dsp fabric meddsp fulldsp maxdsp primitivedsp auto none dspbuiltin")
_INTERFACE_MODES = _one_of(
    "m_axi s_axilite axis ap_none ap_stable ap_vld ap_ack ap_hs ap_ovld ap_memory bram ap_fifo "
    "ap_ctrl_none ap_ctrl_hs ap_ctrl_chain"
)


_PARTITION = PragmaKind(
    options={"variable": NAME, "type": ("block", "cyclic", "complete"), "factor": NUMBER, "dim": FREE},
    words=_words("block cyclic complete off"),
    required=("variable",),
    place="anywhere",
)

PRAGMAS: dict[str, PragmaKind] = {
    "aggregate": PragmaKind(
        options={"variable": NAME, "compact": ("bit", "byte", "none", "auto")}, required=("variable",), place="anywhere"
    ),
    "alias": PragmaKind(options={"ports": FREE, "distance": NUMBER, "offset": FREE}, required=("ports",)),
    "allocation": PragmaKind(
        options={"instances": NAME, "limit": NUMBER},
        words=_words("function operation"),
        required=("instances", "limit"),
        place="anywhere",
    ),
    "array_partition": _PARTITION,
    "array_reshape": PragmaKind(
        options={**_PARTITION.options}, words=_PARTITION.words | {"object"}, required=("variable",), place="anywhere"
    ),
    "array_stencil": PragmaKind(
        options={"variable": NAME, "dim": FREE}, words=_words("off"), required=("variable",), place="anywhere"
    ),
    "bind_op": PragmaKind(
        options={"variable": NAME, "op": _OPERATIONS, "impl": _OPERATION_IMPLS, "latency": FREE},
        required=("variable", "op"),
        place="anywhere",
    ),
    "bind_storage": PragmaKind(
        options={
            "variable": NAME,
            "type": _STORAGE_TYPES,
            "impl": _STORAGE_IMPLS,
            "latency": FREE,
        },
        required=("variable", "type"),
        place="anywhere",
    ),
    "cache": PragmaKind(
        options={
            "port": NAME,
            "lines": NUMBER,
            "depth": NUMBER,
            "ways": NUMBER,
            "users": NUMBER,
            "burst": FREE,
            "write": FREE,
        },
        required=("port",),
    ),
    "dataflow": PragmaKind(words=_words("disable_start_propagation"), place="loop or function"),
    "dependence": PragmaKind(
        options={
            "variable": NAME,
            "class": ("array", "pointer"),
            "type": ("intra", "inter"),
            "direction": ("RAW", "WAR", "WAW", "raw", "war", "waw"),
            "distance": NUMBER,
            "dependent": ("true", "false"),
        },
        words=_words("array pointer intra inter RAW WAR WAW raw war waw true false"),
        place="loop or function",
    ),
    "disaggregate": PragmaKind(options={"variable": NAME}, required=("variable",), place="anywhere"),
    "expression_balance": PragmaKind(words=_words("off"), place="anywhere"),
    "function_instantiate": PragmaKind(options={"variable": NAME}, required=("variable",)),
    "inline": PragmaKind(words=_words("off recursive")),
    "interface": PragmaKind(
        options={
            "mode": _INTERFACE_MODES,
            "port": NAME,
            "bundle": NAME,
            "offset": ("off", "direct", "slave"),
            "depth": NUMBER,
            "name": NAME,
            "clock": NAME,
            "register_mode": ("both", "forward", "reverse", "off"),
            "latency": FREE,
            "num_read_outstanding": NUMBER,
            "num_write_outstanding": NUMBER,
            "max_read_burst_length": NUMBER,
            "max_write_burst_length": NUMBER,
            "max_widen_bitwidth": NUMBER,
            "channel": FREE,
            "interrupt": FREE,
            "storage_type": _STORAGE_TYPES,
            "storage_impl": _STORAGE_IMPLS,
            "direct_io": ("true", "false"),
            "address": FREE,
            "side_channels": FREE,
        },
        words=frozenset(_INTERFACE_MODES) | {"register", "autorestart"},
        required=("port",),
    ),
    "latency": PragmaKind(options={"min": FREE, "max": FREE}, place="anywhere"),
    "loop_flatten": PragmaKind(words=_words("off"), place="loop"),
    "loop_merge": PragmaKind(words=_words("force"), place="anywhere"),
    "loop_tripcount": PragmaKind(options={"min": FREE, "max": NUMBER, "avg": NUMBER}, required=("max",), place="loop"),
    "occurrence": PragmaKind(options={"cycle": NUMBER}, words=_words("off"), place="anywhere"),
    "performance": PragmaKind(
        options={"target_ti": FREE, "target_tl": FREE, "assume_ti": FREE, "assume_tl": FREE, "unit": ("sec", "cycle")},
        place="loop or function",
    ),
    "pipeline": PragmaKind(
        options={"II": NUMBER, "style": ("stp", "flp", "frp")}, words=_words("rewind off"), place="loop or function"
    ),
    "protocol": PragmaKind(options={"mode": ("floating", "fixed")}, words=_words("floating fixed"), place="anywhere"),
    "reset": PragmaKind(options={"variable": NAME}, words=_words("off"), required=("variable",), place="anywhere"),
    "shared": PragmaKind(options={"variable": NAME}, required=("variable",), place="anywhere"),
    "stable": PragmaKind(options={"variable": NAME}, required=("variable",)),
    "stream": PragmaKind(
        options={"variable": NAME, "depth": NUMBER, "type": ("fifo", "pipo", "shared", "unsync")},
        words=_words("off"),
        required=("variable",),
        place="anywhere",
    ),
    "top": PragmaKind(options={"name": NAME}, required=("name",)),
    "unroll": PragmaKind(options={"factor": NUMBER}, words=_words("skip_exit_check region off"), place="loop"),
}

LEGACY_PRAGMAS = {
    "resource": "it is no pragma any more; bind_op and bind_storage took its place",
    "data_pack": "it was dropped; aggregate took its place",
    "array_map": "it was dropped; array_reshape or one array of your own does it",
    "clock": "it is for SystemC, which the tool no longer takes",
    "loop_unroll": "it is not in the tool's list; unroll is",
}

# Command in hls_config.cfg or Tcl -> what is wrong with it.
LEGACY_COMMANDS = {
    r"\bconfig_array_partition\b.*-maximum_size": "-maximum_size is not supported (HLS 200-642); leave it out",
    r"\bconfig_bind\b": "config_bind is deprecated; config_op and the bind_op pragma took its place",
    r"\bconfig_sdx\b": "config_sdx is deprecated; open_solution -flow_target took its place",
    r"\bconfig_flow\b": "config_flow is deprecated; leave it out",
    r"\bconfig_dataflow\b.*-disable_start_propagation": "it is deprecated; the dataflow pragma has this option",
    r"\bset_directive_resource\b": "it is no directive any more; set_directive_bind_op and _bind_storage are",
    r"\bset_directive_data_pack\b": "it was dropped; set_directive_aggregate took its place",
    r"\bset_directive_array_map\b": "it was dropped; set_directive_array_reshape does it",
}
