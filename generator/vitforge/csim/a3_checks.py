# SPDX-License-Identifier: Apache-2.0
"""Stages of a compiled A3 kernel against their golden twins, then the whole pipeline on every kind of key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.a3_library import A3Library
from vitforge.csim.checks import KernelCheck
from vitforge.golden.a3 import attend, candidate_select
from vitforge.golden.a3.attention import RECIPROCAL_ONE, exponent
from vitforge.golden.arith import context_reciprocal, requantize
from vitforge_host.a3_scale import scale_registers

SAMPLES = 2048
QUERIES = 7  # of a comparison of the whole pipeline; odd: the last pair has one
_SEED = 20261123
_SETTINGS = ((1.0, 5.0), (0.5, 2.0), (0.125, 20.0))  # M as a share of n (at least 1), T in percent


def _int32(values: NDArray) -> NDArray[np.int32]:
    return np.ascontiguousarray(values, np.int32)


def check_pair_dot(library: A3Library, check: KernelCheck) -> None:
    """Two key words times one of the query, on random codes and on every combination of extremes."""
    rng, limit, width = np.random.default_rng(_SEED), library.design.numbers.limit, library.design.width
    extremes = np.array(np.meshgrid([-limit, 0, limit], [-limit, 0, limit], [-limit, 0, limit])).reshape(3, -1)
    corners = np.repeat(extremes[:, :, None], width, axis=2)
    codes = np.concatenate([corners, rng.integers(-limit, limit + 1, (3, SAMPLES // 8, width))], axis=1)
    lower, upper, query = map(_int32, codes)
    sums = np.zeros((len(query), 2), np.int32)
    library.csim.call("vf_a3_pair_dot", lower, upper, query, len(query), sums)
    check.compare("sums", np.stack([(lower * query).sum(axis=1), (upper * query).sum(axis=1)], axis=1), sums)


def check_exponent(library: A3Library, check: KernelCheck) -> None:
    """Every distance that has a score, and some that have none."""
    numbers = library.design.numbers
    u = _int32(np.concatenate([np.arange(numbers.exp_range + 64), [2**30]]))
    got = np.zeros(u.size, np.int32)
    library.csim.call("vf_a3_exponent", u, u.size, got)
    check.compare("score", exponent(u, numbers), got)


def check_scale(library: A3Library, check: KernelCheck) -> None:
    """The largest distances and random ones, at scales over the whole range."""
    rng, design = np.random.default_rng(_SEED), library.design
    most = 2 * design.numbers.limit**2 * design.d_max
    distance = _int32(np.concatenate([[0, 1, most - 1, most], rng.integers(0, most + 1, SAMPLES)]))
    for scale in (2.0**-16, 1 / 3, 32**-0.5, 1 / 8, 1.0, 16.0):
        mult, shift = scale_registers(scale)
        got = np.zeros(distance.size, np.int64)
        library.csim.call("vf_a3_scale", distance, distance.size, mult, shift, got)
        check.compare(f"scale {scale:.3g}", requantize(distance, mult, shift), got)


def check_division(library: A3Library, check: KernelCheck) -> None:
    """Weights of every score over sums of any size; results by the reciprocal of such sums."""
    rng, design = np.random.default_rng(_SEED), library.design
    numbers = design.numbers
    score = np.tile(np.arange(numbers.score_limit + 1), 4)
    total = np.minimum(score + rng.integers(0, numbers.score_limit * design.n_max, score.size), 2**design.sum_bits - 1)
    total = np.maximum(total, numbers.score_limit)  # the row of the maximum scores that much
    weight, result = np.zeros((2, score.size), np.int32)
    library.csim.call("vf_a3_divide", _int32(score), _int32(total), score.size, weight)
    check.compare("weight", np.minimum((score << numbers.score_bits) // total, numbers.score_limit), weight)
    if numbers.is_deferred:
        weighted = (total * rng.uniform(-numbers.limit, numbers.limit, total.size)).astype(np.int64)
        library.csim.call("vf_a3_normalise", _int32(weighted), _int32(total), score.size, result)
        mult, shift = context_reciprocal(RECIPROCAL_ONE, 15, total)
        check.compare("result", requantize(weighted, mult, shift - numbers.result_shift), result)


@dataclass(frozen=True)
class Case:
    """Keys, values and queries of one comparison."""

    name: str
    keys: NDArray[np.int64]
    values: NDArray[np.int64]
    queries: NDArray[np.int64]


def cases(library: A3Library, queries: int = QUERIES) -> Iterator[Case]:
    """Sizes that divide nothing, one row, one element, the compiled maxima; random, equal, extreme and zero codes."""
    rng, design = np.random.default_rng(_SEED), library.design
    limit, one = design.numbers.limit, 1 << design.numbers.fraction_bits
    sizes = {(1, 1), (1, design.d_max), (design.n_max, 1), (design.n_max, design.d_max)}
    sizes |= {(min(design.n_max, 2 * 16 + 3), max(1, design.d_max - 3)), (min(design.n_max, 19), min(design.d_max, 5))}

    def codes(spread: float, rows: int, d: int) -> NDArray[np.int64]:
        return np.clip(np.rint(rng.normal(scale=spread, size=(rows, d))), -limit, limit).astype(np.int64)

    for n, d in sorted(sizes):
        for kind, spread in (("normal", one), ("coarse", 1.0), ("saturated", 4.0 * limit)):
            yield Case(f"{kind} {n} x {d}", *(codes(spread, rows, d) for rows in (n, n, queries)))
    n, d = min(design.n_max, 37), design.d_max
    for kind, value in (("lowest", -limit), ("zero", 0), ("highest", limit)):
        full = np.full((n, d), value)
        yield Case(f"all {kind}", full, full, np.full((queries, d), limit))
    keys = codes(one, n, d)
    negative = -np.sign(keys.sum(axis=0)) * limit
    yield Case("similar to nothing", np.abs(keys), codes(one, n, d), np.full((queries, d), -limit))
    yield Case("opposite", keys, codes(one, n, d), np.tile(negative, (queries, 1)))
    yield Case("zero queries", keys, codes(one, n, d), np.zeros((queries, d), np.int64))


def check_selection(library: A3Library, check: KernelCheck) -> None:
    """Greedy scores of the pointer machine, at several M: more than there are products, too."""
    for case in cases(library, 3):
        n, d = case.keys.shape
        for m in sorted({1, max(1, n // 8), n, min(library.design.m_max, n * d + 2)}):
            got = library.select(case.keys, case.queries, m)
            expected = np.stack([candidate_select(case.keys, query, m).greedy for query in case.queries])
            check.compare(f"{case.name}, M {m}", expected, got)


def check_pipeline(library: A3Library, check: KernelCheck) -> None:
    """Results and counts of whole launches: all rows, candidates alone, post-scoring alone, both."""
    for case in cases(library):
        n, d = case.keys.shape
        library.load(case.keys, case.values)
        settings: list[tuple[int | None, float | None]] = [(None, None), (None, 5.0)]
        if library.design.approximate:
            settings += [(max(1, int(share * n)), t) for share, t in _SETTINGS] + [(max(1, n // 4), None)]
        for m, t in settings:
            scale = 1.0 if "coarse" in case.name else d**-0.5
            golden = attend(case.keys, case.values, case.queries, numbers=library.design.numbers, scale=scale, m=m, t=t)
            result, registers = library.query(case.queries, n, scale=scale, m=m, t=t)
            name = f"{case.name}, M {m}, T {t}"
            check.compare(f"{name}: result", golden.result, result)
            counts = [golden.candidates.sum(), golden.kept.sum(), 0]
            got = [registers[name] for name in ("candidates", "kept", "status")]
            check.compare(f"{name}: candidates, kept, status", np.array(counts), np.array(got))


Check = Callable[[A3Library, KernelCheck], None]


def a3_checks(library: A3Library) -> dict[str, Check]:
    """Checks by name, in the order of the pipeline; the last one is all of it."""
    found: dict[str, Check] = {"pair_dot": check_pair_dot, "scale": check_scale, "exponent": check_exponent}
    if library.design.approximate:
        found["candidate_selection"] = check_selection
    return found | {"division": check_division, "pipeline": check_pipeline}
