"""Caches: bounded by the bytes that they hold; a sweep over devices keeps few of them."""

import gc
import itertools
import weakref

import numpy as np
import pytest
from strategies import thinned

from mpimpy import Device, Engine, Format, Samples, _caches
from mpimpy._caches import bounded
from mpimpy.cells import laws


def test_a_cache_forgets_where_its_bytes_pass_the_bound(monkeypatch):
    monkeypatch.setattr(_caches, "KEPT_BYTES", 100)
    calls = []

    @bounded(4, lambda result, number: 10 * number)
    def double(number):
        calls.append(number)
        return 2 * number

    assert [double(number) for number in (3, 3, 4, 3, 4)] == [6, 6, 8, 6, 8]
    assert calls == [3, 4]
    double(4)
    assert double(5) == 10  # 120 bytes in all: 5 alone is kept
    assert double.cache_info().currsize == 1
    assert double(3) == 6
    assert calls == [3, 4, 5, 3]
    assert double(90) == 180  # larger than the bound, and kept
    assert double(90) == 180
    assert calls == [3, 4, 5, 3, 90]


def test_a_cache_bounds_its_entries_too():
    square = bounded(2, lambda *_: 0)(lambda number: number * number)
    assert [square(number) for number in range(5)] == [0, 1, 4, 9, 16]
    assert square.cache_info().currsize == 2


def device_of(rng, count):
    return Samples([np.abs(rng.normal(level, 2e-8, count)).tolist() for level in np.linspace(1e-7, 1e-5, 4)])


def test_devices_count_their_samples():
    small, large = (device_of(np.random.default_rng(0), count) for count in (10, 1000))
    assert laws.device_bytes(Device(g_level=4, var=large)) > 100_000
    assert laws.device_bytes(Device(g_level=4, var=small, write_var=large)) > 100_000
    assert laws.device_bytes(Device(g_level=4, var=small)) < 10_000 > laws.device_bytes(Device())


@pytest.mark.parametrize(
    ("kind", "backend"), thinned(itertools.product(["var", "write_var"], ["numba", "reference"]), every=3)
)
def test_a_sweep_over_measured_devices_keeps_few_of_them(monkeypatch, backend, kind):
    monkeypatch.setattr(_caches, "KEPT_BYTES", 400_000)
    rng, alive, x = np.random.default_rng(0), weakref.WeakSet(), np.ones((1, 4))
    for number in range(20):
        samples = device_of(rng, 300)  # some 40 kB
        alive.add(samples)
        other = {"var": 0.05} if kind == "write_var" else {}
        engine = Engine(
            Device(g_level=4, **{kind: samples}, **other), weights=Format((1, 1, 2)), seed=number, backend=backend
        )
        engine(x, np.ones((4, 2)))
    del samples, engine
    gc.collect()
    assert 0 < len(alive) < 12
