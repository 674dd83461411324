# SPDX-License-Identifier: Apache-2.0
"""The A3 driver on the simulated board, with a fake kernel whose results are computed independently."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vitforge.boards import load_board
from vitforge.design.a3_numbers import A3Numbers
from vitforge_host import A3, HostError, InputError, SaturationWarning, Statistics
from vitforge_host.a3_scale import KEEP_ALL, scale_registers, threshold_register
from vitforge_host.sim import SimDevice

OpenA3 = Callable[..., A3]
RNG = np.random.default_rng(4)


def codes(*shape: int, limit: int = 255) -> np.ndarray:
    return RNG.integers(-limit, limit + 1, shape)


def expected(keys: np.ndarray, values: np.ndarray, queries: np.ndarray, scale: float, dtype: Any = np.int16) -> Any:
    """What the fake kernel computes of codes (n, d), (n, columns) and (N, d), exactly and then cut to ``dtype``."""
    mult, shift = scale_registers(scale)
    dots = queries.astype(object) @ keys.astype(object).T
    sums = dots @ values.astype(object) + mult * shift
    bits = 8 * np.dtype(dtype).itemsize
    return (((sums + (1 << bits - 1)) % (1 << bits)) - (1 << bits - 1)).astype(dtype)


VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "one unit": {"units": 1},
    "three units": {"units": 3},
    "no selection": {"approximate": False},
    "8-bit elements": {"numbers": A3Numbers(integer_bits=3), "d_max": 40},
    "paper's formats": {"numbers": A3Numbers(policy="divide_first")},
    "64-bit streams": {"board": load_board("pynq-z2"), "clock_mhz": 100.0},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_results_are_those_of_each_query_in_order(open_a3: OpenA3, variant: str) -> None:
    changes = VARIANTS[variant]
    numbers = changes.get("numbers", A3Numbers())
    limit, f = numbers.limit, numbers.fraction_bits
    dtype = np.int16 if numbers.is_deferred else np.int32
    with open_a3(changes=changes, batch=4) as a3:
        for n, d, columns, count in ((24, a3.d_max, a3.d_max, 11), (1, 1, 1, 1), (19, 5, 3, 4), (7, 3, 17, 9)):
            keys, values, queries = (codes(rows, c, limit=limit) for rows, c in ((n, d), (n, columns), (count, d)))
            a3.load(keys / 2**f, values / 2**f)
            found = a3.codes(queries)
            assert found.dtype == dtype and type(found) is np.ndarray
            assert (found == expected(keys, values, queries, d**-0.5, dtype)).all()
            assert (a3.queries(queries / 2**f) == found / 2**numbers.result_fraction).all()
            assert (a3.query(queries[0] / 2**f) == found[0] / 2**numbers.result_fraction).all()


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 13])
@pytest.mark.parametrize("units", [1, 2, 3])
def test_each_unit_holds_a_head(open_a3: OpenA3, units: int, count: int) -> None:
    with open_a3(changes={"units": units}, batch=5) as a3:
        keys, values, queries = codes(units, 9, 7), codes(units, 9, 4), codes(count, units, 7)
        report = a3.load(keys / 16, values / 16, scale=0.5)
        found = a3.codes(queries)
        assert found.shape == (count, units, 4)
        for head in range(units):
            assert (found[:, head] == expected(keys[head], values[head], queries[:, head], 0.5)).all()
        assert (a3.query(queries[-1] / 16) == found[-1] / 2**11).all()
        assert report.packet_bytes == units * 9 * (2 * 16 + 32)
        assert a3.statistics.queries == units


def test_all_modes_of_the_board_give_the_same(open_a3: OpenA3) -> None:
    keys, values, queries = codes(9, 20), codes(9, 20), codes(30, 20)
    for options in (
        {"run_mode": "sync"},
        {"strict": False},
        {"register_rw": True},
        {"run_mode": "sync", "strict": False},
    ):
        with open_a3(device=SimDevice(ddr_bytes=1 << 24, **options), batch=8) as a3:
            a3.load(keys / 16, values / 16)
            assert (a3.codes(queries) == expected(keys, values, queries, 20**-0.5)).all()


def test_settings_reach_the_registers_and_statistics_come_back(open_a3: OpenA3) -> None:
    with open_a3(batch=4) as a3:
        a3.load(codes(9, 16) / 16, codes(9, 16) / 16)
        assert (a3.m, a3.t, a3.statistics) == (None, None, Statistics())
        a3.m, a3.t = np.int64(5), np.float64(2.5)
        assert (a3.m, a3.t) == (5, 2.5)
        threshold = threshold_register(2.5, scale_registers(0.25), 4)
        for count in (11, 3):  # of the last call alone
            a3.codes(codes(count, 16))
            pairs = count // 4 * 2 + (count % 4 + 1) // 2
            assert a3.statistics == Statistics(count, 5 * count, (threshold >> 4) * count, 10 * pairs, 0)
        a3.m = a3.t = None
        a3.codes(codes(1, 16))
        assert a3.statistics == Statistics(1, 0, KEEP_ALL >> 4, 10, 0)


def test_loads_replace_each_other(open_a3: OpenA3) -> None:
    with open_a3() as a3:
        for shape in ((24, 20), (3, 20), (2, 8, 20), (2, 24, 1), (5, 4)):
            keys, queries = codes(*shape), codes(3, *shape[:-2], shape[-1])
            a3.load(keys / 16, keys / 16, scale=1)
            found = a3.codes(queries)
            if len(shape) == 2:
                assert (found == expected(keys, keys, queries, 1.0)).all()
            else:
                assert (found[:, 1] == expected(keys[1], keys[1], queries[:, 1], 1.0)).all()


def test_what_is_clipped_is_counted_and_said_once(open_a3: OpenA3, recwarn: pytest.WarningsRecorder) -> None:
    keys, values = codes(9, 8) / 16, codes(9, 8) / 16
    queries = codes(10, 8) / 16
    with open_a3(batch=4) as a3:
        report = a3.load(keys, values)
        a3.queries(queries)
        assert (report.saturated_keys, report.saturated_values, a3.statistics.saturated) == (0, 0, 0)
        assert not [warning for warning in recwarn if issubclass(warning.category, SaturationWarning)]
        keys[2, 3], keys[0, 1], values[8, 7] = 16.0, -1e30, 15.97
        with pytest.warns(
            SaturationWarning, match="^3 of 144 key and value elements lie outside of ±15.9375 and"
        ) as one:
            report = a3.load(keys, values)
        assert (report.saturated_keys, report.saturated_values, len(one)) == (2, 1, 1)
        queries[0, 0] = queries[9, 7] = 99
        with pytest.warns(SaturationWarning, match="^2 of 80 query elements") as one:
            found = a3.queries(queries)
        assert len(one) == 1 and one[0].filename == __file__ and a3.statistics.saturated == 2
        clipped = [np.clip(np.floor(array * 16 + 0.5), -255, 255).astype(int) for array in (keys, values, queries)]
        assert (found * 2**11 == expected(*clipped, 8**-0.5)).all()


def test_a_load_reports_what_it_cost(open_a3: OpenA3) -> None:
    with open_a3() as a3:
        report = a3.load(codes(24, 20) / 16, codes(24, 12) / 16)
    assert report.packet_bytes == 24 * (48 + 48 + 80)
    assert min(report.quantise_s, report.sort_s, report.copy_s) > 0
    assert report.quantise_s + report.sort_s + report.copy_s < 5


def test_the_host_works_while_the_kernel_runs(open_a3: OpenA3) -> None:
    """Of three batches, the second and third are packed, and the first and second unpacked, during a run."""
    keys, queries = codes(9, 8), codes(10, 8)
    with open_a3({"SLEEP_US": 60_000}, batch=4) as a3:
        a3.load(keys / 16, keys / 16)
        seen: dict[str, list[bool]] = {"put": [], "results": []}
        for slot in a3._slots:
            for name, found in seen.items():
                original = getattr(slot, name)

                def watched(*args: Any, original: Any = original, found: list[bool] = found) -> Any:
                    found.append(not a3._idle())
                    return original(*args)

                setattr(slot, name, watched)
        assert (a3.codes(queries) == expected(keys, keys, queries, 8**-0.5)).all()
        assert seen == {"put": [False, True, True], "results": [True, True, False]}


def test_modelled_time_is_that_of_the_kernel(open_a3: OpenA3, sync_device: SimDevice) -> None:
    with open_a3(device=sync_device) as a3:
        assert a3.clock_mhz == pytest.approx(1499.985 / 6) and sync_device.cycles == 0
        a3.load(codes(9, 8) / 16, codes(9, 8) / 16)
        a3.codes(codes(10, 8))
        assert sync_device.cycles == 9 + 50
        assert sync_device.busy_s == pytest.approx(59 / (1499.985e6 / 6))
    with open_a3(device=sync_device, clock_mhz=100) as a3:
        assert a3.clock_mhz == pytest.approx(99.999)


def test_threads_take_turns(open_a3: OpenA3) -> None:
    keys = codes(9, 8)
    with open_a3(batch=2) as a3:
        a3.load(keys / 16, keys / 16)
        right = []

        def work(queries: np.ndarray) -> None:
            right.extend((a3.codes(queries) == expected(keys, keys, queries, 8**-0.5)).all() for _ in range(5))

        threads = [threading.Thread(target=work, args=(codes(7, 8),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert right == [True] * 15


def test_an_interrupt_leaves_it_usable(open_a3: OpenA3, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, queries = codes(9, 8), codes(10, 8)
    with open_a3({"SLEEP_US": 30_000}, batch=4) as a3:
        a3.load(keys / 16, keys / 16)

        def interrupted(launch: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(a3, "_finish", interrupted)
            a3.codes(queries)
        assert (a3.codes(queries) == expected(keys, keys, queries, 8**-0.5)).all()


def test_device_memory_is_given_back(open_a3: OpenA3, thread_device: SimDevice) -> None:
    for _ in range(3):
        with open_a3(batch=4) as a3:
            memory = thread_device.default_memory
            assert memory.live_allocations == 0
            for shape in ((24, 20), (3, 5), (2, 24, 20), (24, 20)):
                a3.load(codes(*shape) / 16, codes(*shape) / 16)
                assert memory.live_allocations == 4  # twice queries and results; the load's own is gone
                a3.codes(codes(9, *shape[:-2], shape[-1]))
        assert memory.live_allocations == 0


def test_a_device_without_room_says_so_and_stays_usable(open_a3: OpenA3) -> None:
    keys, queries = codes(3, 2), codes(4, 2)
    device = SimDevice(ddr_bytes=1 << 20)
    with open_a3(device=device, changes={"n_max": 4096, "d_max": 128}, batch=900) as a3:
        with pytest.raises(HostError, match="no device memory for [0-9]+ bytes .simulated memory of 1048576 bytes"):
            a3.load(np.zeros((4096, 128)), np.zeros((4096, 128)))
        with pytest.raises(InputError, match="call load"):
            a3.codes(queries)
        a3.load(keys / 16, keys / 16)
        assert (a3.codes(queries) == expected(keys, keys, queries, 2**-0.5)).all()
