# SPDX-License-Identifier: Apache-2.0
"""The arithmetic kernels of a compiled project against their golden twins, on extremes and seeded samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.checks import KernelCheck
from vitforge.csim.compiled import CsimLibrary
from vitforge.design.design import Design
from vitforge.golden.arith import clamp, context_reciprocal, isqrt, norm_reciprocal, requantize
from vitforge.golden.gelu import gelu, gelu_table
from vitforge.golden.keep import compact
from vitforge.golden.packed import FAMILIES, packed_mac
from vitforge.golden.softmax import exponent

SAMPLES = 4096
_SEED = 20261123


def _int32(values: NDArray) -> NDArray[np.int32]:
    return np.ascontiguousarray(values, np.int32)


def check_dsp_pack(library: CsimLibrary, design: Design, check: KernelCheck) -> None:
    """Cascades of every depth up to tk, on random operands and on every combination of extremes."""
    rng = np.random.default_rng(_SEED)
    family = FAMILIES[design.board.dsp_family.upper()]
    for depth in range(1, design.folding.tk + 1):
        operands = rng.integers(-127, 128, (3, SAMPLES, depth))
        extremes = np.array(np.meshgrid([-127, 0, 127], [-127, 0, 127], [-127, 127])).reshape(3, -1)
        corners = np.repeat(extremes[:, :, None], depth, axis=2)
        upper, lower, weight = (np.ascontiguousarray(x, np.int8) for x in np.concatenate([operands, corners], axis=1))
        sums = np.zeros((2, len(upper)), np.int32)
        library.call("vf_packed_mac", upper, lower, weight, len(upper), depth, sums[0], sums[1])
        expected = packed_mac(family, upper, lower, weight)
        check.compare(f"upper_sum depth {depth}", expected[0], sums[0])
        check.compare(f"lower_sum depth {depth}", expected[1], sums[1])


def check_mac_array(library: CsimLibrary, design: Design, check: KernelCheck) -> None:
    """Both arrays against a plain integer product, on random operands, extremes and zeros, over several reductions."""
    rng = np.random.default_rng(_SEED)
    f = design.folding
    for name, tt in (("nsa", f.tt_nsa), ("nmp", f.tt_nmp)):
        for cycles in (1, 3, design.max_k_tiles_nmp):
            operands = {
                "random": (rng.integers(-127, 128, (cycles, tt, f.tk)), rng.integers(-127, 128, (cycles, f.tc, f.tk))),
                "all -127": (np.full((cycles, tt, f.tk), -127), np.full((cycles, f.tc, f.tk), -127)),
                "-127 by 127": (np.full((cycles, tt, f.tk), -127), np.full((cycles, f.tc, f.tk), 127)),
                "zero": (np.zeros((cycles, tt, f.tk)), rng.integers(-127, 128, (cycles, f.tc, f.tk))),
            }
            for kind, (left, right) in operands.items():
                sums = np.zeros((tt, f.tc), np.int32)
                a, b = np.ascontiguousarray(left, np.int8), np.ascontiguousarray(right, np.int8)
                library.call(f"vf_{name}_array", a, b, cycles, sums)
                expected = np.einsum("ktl,kcl->tc", a.astype(np.int64), b.astype(np.int64))
                check.compare(f"{name} {kind}, {cycles} cycles", expected, sums)


def check_gelu(library: CsimLibrary, design: Design, check: KernelCheck) -> None:
    """Every int8 input and values that saturate, in every copy of the table."""
    table = gelu_table(4.0 / 127, 3.0 / 127)
    values = _int32(np.concatenate([np.arange(-127, 128), [-(2**20), -128, 128, 2**20]]))
    lanes = design.nmp.td * design.folding.tc
    got = np.zeros((values.size, lanes), np.int8)
    library.call("vf_gelu", np.ascontiguousarray(table), values, values.size, got)
    expected = gelu(clamp(values, 127).astype(np.int8), table)
    check.compare("gelu", np.repeat(expected[:, None], lanes, axis=1), got)


def check_requantize(library: CsimLibrary, design: Design, check: KernelCheck) -> None:
    """27-bit accumulators and every shift, clamped to int8 and int16."""
    rng = np.random.default_rng(_SEED)
    edges = np.array([-(2**26), -(2**26) + 1, -1, 0, 1, 2**26 - 1])
    acc = _int32(np.concatenate([edges, rng.integers(-(2**26), 2**26, SAMPLES)]))
    for shift in range(17, 41):
        mult = _int32(rng.integers(2**15, 2**16, acc.size))
        mult[:2] = 2**15, 2**16 - 1
        shifts = np.full(acc.size, shift, np.int32)
        for limit in (127, 32767):
            got = np.zeros(acc.size, np.int32)
            library.call("vf_requantize", acc, mult, shifts, acc.size, limit, got)
            check.compare(f"shift {shift} limit {limit}", clamp(requantize(acc, mult, shifts), limit), got)


def check_isqrt(library: CsimLibrary, design: Design, check: KernelCheck) -> None:
    """All small values, and every kind of neighbour of a perfect square up to 2^54."""
    rng = np.random.default_rng(_SEED)
    roots = np.concatenate([np.arange(1, 2048), rng.integers(2048, 2**27 - 1, SAMPLES), [2**27 - 1]])
    squares = roots.astype(np.uint64) ** np.uint64(2)
    values = np.concatenate(
        [np.arange(65536, dtype=np.uint64), squares - np.uint64(1), squares, squares + np.uint64(1)]
    )
    got = np.zeros(values.size, np.uint32)
    library.call("vf_isqrt", np.ascontiguousarray(values), values.size, got)
    check.compare("root", isqrt(values.astype(np.int64)), got)


def check_reciprocal(library: CsimLibrary, design: Design, check: KernelCheck) -> None:
    """Reciprocal standard deviations (all below 2^16, samples to 2^27) and reciprocal weight sums."""
    rng = np.random.default_rng(_SEED)
    deviation = np.concatenate([np.arange(1, 65536), rng.integers(65536, 2**27, SAMPLES), [2**27 - 1]])
    inverse, length = np.zeros((2, deviation.size), np.int32)
    library.call("vf_norm_reciprocal", np.ascontiguousarray(deviation, np.uint32), deviation.size, inverse, length)
    expected = norm_reciprocal(deviation)
    check.compare("norm inverse", expected[0], inverse)
    check.compare("norm length", expected[1], length)
    total = _int32(np.arange(127, 127 * design.shape.seq_len + 1))
    for mult, shift in ((2**15, 16), (2**16 - 1, 20), (51234, 14)):
        got_mult, got_shift = np.zeros((2, total.size), np.int32)
        library.call("vf_context_reciprocal", mult | shift << 16, total, total.size, got_mult, got_shift)
        expected = context_reciprocal(mult, shift, total)
        check.compare("context mult", expected[0], got_mult)
        check.compare("context shift", expected[1], got_shift)


def check_exponent(library: CsimLibrary, design: Design, check: KernelCheck) -> None:
    """Every u that a pair of int16 scores can give."""
    u = np.arange(65536, dtype=np.int32)
    got = np.zeros(u.size, np.int32)
    library.call("vf_exponent", u, u.size, got)
    check.compare("weight", exponent(u), got)


def check_keep_mask(library: CsimLibrary, design: Design, check: KernelCheck) -> None:
    """Random masks of every density, all kept and none kept."""
    rng = np.random.default_rng(_SEED)
    channels = design.channel_tiles * design.folding.tc
    densities = [0.0, 1.0, *rng.random(30)]
    for density in densities:
        keep = rng.random(channels) < density
        values = rng.integers(-32767, 32768, channels).astype(np.int16)
        packed = np.zeros(channels, np.int16)
        mask = keep.astype(np.uint8)
        library.call("vf_keep_mask", values, mask, design.channel_tiles, packed)
        kept = compact(values, keep)
        check.compare("compact", kept, packed[: kept.size])


ARITHMETIC: dict[str, Callable[[CsimLibrary, Design, KernelCheck], None]] = {
    "dsp_pack": check_dsp_pack,
    "mac_array": check_mac_array,
    "requantize": check_requantize,
    "gelu": check_gelu,
    "isqrt": check_isqrt,
    "reciprocal": check_reciprocal,
    "exponent": check_exponent,
    "keep_mask": check_keep_mask,
}
