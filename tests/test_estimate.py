"""Estimates of products that are not computed: exact counts, memory near measured peaks, time by rates."""

import pathlib
import re
import subprocess
import sys

import pytest

from mpimpy import DPETensor, _estimate
from mpimpy.analysis.counts import counts

RATES = 1e-9, 1e-10, 1e-12  # s for an element: written, read by one row, and by a further one


@pytest.fixture
def rates(monkeypatch):
    monkeypatch.setattr(_estimate, "_rates_of", lambda engine, K, N: RATES)


def test_counts_are_exact_and_time_follows_the_rates(rates):
    engine = DPETensor(seed=1)
    found = engine.estimate(300, 2000, 500)
    assert found.counts == counts(engine.config, 300, 2000, 500)
    assert found.operand_bytes == 8 * (300 * 2000 + 2000 * 500 + 300 * 500)
    assert found.program_s == pytest.approx(1e-3)
    assert found.read_s == pytest.approx(1e-4 + 299e-6)
    assert found.peak_bytes > found.operand_bytes + found.cell_bytes
    assert re.search(r"^arrays +1024\n(.*\n)+time +0.001 s to program, 0.0004 s a product,$", str(found), re.MULTILINE)
    assert engine.reads == 0


def test_memory_grows_with_what_takes_it(rates):
    plain = DPETensor(seed=1).estimate(1000, 1000, 1000)
    for more in ({"write_var": 0.05}, {"w_mapping": "pair"}, {"wire_resistance": 1.0}, {"backend": "reference"}):
        assert DPETensor(seed=1, **more).estimate(1000, 1000, 1000).cell_bytes > plain.cell_bytes
    for more in ({"redraw": "slice"}, {"redraw": "row"}, {"format": "fp32"}, {"backend": "reference"}):
        assert DPETensor(seed=1, **more).estimate(1000, 1000, 1000).peak_bytes > plain.peak_bytes
    still = DPETensor(seed=1, var=0, radc=None).estimate(1000, 1000, 1000)
    assert still.cell_bytes == plain.cell_bytes
    assert DPETensor(seed=1, var=0).estimate(1000, 1000, 1000).peak_bytes < plain.peak_bytes


def test_rates_are_measured_once_for_an_engine_of_these_settings(monkeypatch):
    monkeypatch.setattr(_estimate, "_rates", {})
    monkeypatch.setattr(_estimate, "SIDE", 64)
    engine = DPETensor(seed=1)
    first = engine.estimate(10, 100, 100)
    assert first.program_s > 0
    assert first.read_s > 0
    assert DPETensor(seed=2).estimate(10, 100, 100) == first
    assert len(_estimate._rates) == 1


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 1.5, 1), (1, 1, "many")])
def test_sizes_are_whole_numbers(sizes):
    with pytest.raises((TypeError, ValueError), match=r"^[MKN]="):
        DPETensor(seed=1).estimate(*sizes)


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/clear_refs").exists(), reason="peaks of memory are Linux's to tell")
def test_memory_is_within_a_factor_of_2_of_the_measured_peak():
    shape, settings = (1500, 1000, 1000), {"write_var": 0.05}
    code = f"""
import pathlib, re
import numpy as np
from mpimpy import DPETensor
M, K, N = {shape}
engine = DPETensor(seed=1, **{settings})
engine(np.ones((70, K)), np.ones((K, 64)))  # compiles, and starts the threads
def peak(of): return 1024 * int(re.search(of + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
before = peak("VmRSS")
pathlib.Path("/proc/self/clear_refs").write_text("5")
x, w = (np.random.default_rng(0).standard_normal(size) for size in ((M, K), (K, N)))
engine.program(w).read(x)
found = peak("VmHWM") - before
print(found)
"""
    measured = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    found = _estimate._memory(DPETensor(seed=1, **settings).config, None, *shape)
    M, K, N = shape
    assert 0.5 < (8 * (M * K + K * N) + sum(found)) / measured < 2
