"""Cuts of a product: for the workers and their memory, where chunks and blocks end."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import examples

from mpimpy import Config, Engine, Format, MpimpyWarning, Tile, Wires

da = pytest.importorskip("dask.array")

from mpimpy.cluster import _layout, _matrix  # noqa: E402
from mpimpy.cluster._layout import Whole, Workers, choose, crossed, edges  # noqa: E402

FLOATS = Whole((4, 4))


def sizes(cuts):
    return [max(b - a for a, b in itertools.pairwise(each)) for each in (cuts.m, cuts.k, cuts.n)]


def test_blocks_for_two_workers():
    cuts = choose(Config(), (4096,) * 3, ((4096,),) * 3, FLOATS, Workers(2, 1, 8e9))
    assert sizes(cuts) == [2048, 2048, 2048]
    small = choose(Config(), (512,) * 3, ((128,) * 4,) * 3, FLOATS, Workers(2, 1, 8e9))
    assert (small.m, small.k, small.n) == ((0, 512),) * 3


def test_tasks_are_of_seconds_and_of_a_quarter_of_the_memory():
    whole = (1_000_000, 100_000, 10_000)
    cuts = choose(Config(), whole, tuple((1000,) * (n // 1000) for n in whole), FLOATS, Workers(100, 64, 256e9))
    m, k, n = sizes(cuts)
    assert 500 <= (len(cuts.m) - 1) * (len(cuts.k) - 1) * (len(cuts.n) - 1) <= 4000
    assert 0.5 < m * k * n / 5e9 / 64 < 5
    tight = choose(Config(), (12_000,) * 3, ((1024,) * 11 + (736,),) * 3, FLOATS, Workers(2, 1, 1.5e9))
    m, k, n = sizes(tight)
    assert min(m, n) >= 512
    assert k % 1024 == 0
    assert 8 * m * n + 4 * k * (m + n) + 8 * k * n < 1.5e9 / 4


def test_memory_that_is_too_small_is_told_with_the_sizes(monkeypatch):
    with pytest.raises(
        ValueError, match=r"a task of 64 x 1024 inputs and 1024 x \d+ weights needs \d+ MB, .* has 4 MB"
    ):
        choose(Config(), (4096,) * 3, ((4096,),) * 3, FLOATS, Workers(2, 1, 4e6))
    monkeypatch.setattr(_matrix, "workers", lambda: Workers(2, 1, 4e6))
    with pytest.raises(ValueError, match="give the workers more memory or fewer threads"):
        Engine(seed=1)(da.ones((4096, 4096), chunks=256), da.ones((4096, 4096), chunks=256))
    monkeypatch.setattr(_matrix, "workers", lambda: Workers(2, 1, 2e7))
    with pytest.warns(MpimpyWarning, match=r"x has chunks of 8 MB, and a worker has 20 MB a task: smaller chunks"):
        Engine(seed=1)(da.ones((1000, 1000), chunks=1000), da.ones((1000, 10)))


@pytest.mark.parametrize(("name", "unit"), [("finest", 1), ((96, 64), 96), ("per-matrix", 1)])
def test_cuts_are_where_blocks_end(name, unit):
    config = Config(inputs=Format(granularity=name), wires=Wires(1.0, 1.0), tile=Tile(64, 48))
    cuts = choose(config, (5000, 9000, 5000), ((5000,), (9000,), (5000,)), FLOATS, Workers(8, 1, 1e9))
    assert all(cut % unit == 0 for cut in cuts.m[:-1])
    assert all(cut % 48 == 0 for cut in cuts.n[:-1])
    assert all(cut % 1024 == 0 for cut in cuts.k[:-1])
    assert len(cuts.m) > 2
    assert len(cuts.n) > 2


def test_a_matrix_in_memory_and_a_stack_are_not_cut():
    at = Workers(8, 1, 1e9)
    whole = choose(Config(), (9000, 3000, 2000), ((9000,), (3000,), (2000,)), Whole((4, 4), matrix=True), at)
    assert (whole.k, whole.n) == ((0, 3000), (0, 2000))
    assert len(whole.m) > 8
    stack = choose(Config(), (7000, 300, 200), ((7000,), (300,), (200,)), Whole((4, 4), stack=700), at)
    assert all(cut % 700 == 0 for cut in stack.m)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 60), st.integers(1, 20))
@settings(max_examples=examples(60))
def test_edges_cover_an_axis(chunks, size, unit):
    cuts = edges(tuple(chunks), size, unit)
    assert (cuts[0], cuts[-1]) == (0, sum(chunks))
    assert cuts == sorted(set(cuts))
    assert all(cut % unit == 0 for cut in cuts[:-1])
    assert all(b - a <= max(size, unit) for a, b in itertools.pairwise(cuts))


def test_crossed():
    assert not crossed((0, 7), 3)
    assert not crossed((0, 6, 7), 3)
    assert crossed((0, 5, 7), 3)


class Client:
    """As much of a client as is asked for."""

    def __init__(self, *found):
        self.status, self.scheduler, self.found = "running", None, found

    def scheduler_info(self, n_workers):
        return {"workers": dict(enumerate(self.found))}


def test_workers_of_this_process_and_of_a_client(monkeypatch):
    monkeypatch.setattr(_layout, "current_client", lambda: None)
    assert _layout.workers().count >= 1

    a, b = ({"nthreads": n, "host": host, "memory_limit": size} for n, host, size in ((2, "a", 8e9), (1, "b", 3e9)))
    client = Client(a, b)
    monkeypatch.setattr(_layout, "current_client", lambda: client)
    monkeypatch.setitem(_layout.THREADS, client, 6)
    assert dataclasses.astuple(_layout.workers()) == (3, 4.0, 3e9)
    client.found = ()
    assert _layout.workers().count == 1
    client.status = "closed"
    with pytest.raises(ConnectionError, match="the scheduler at an unknown address is lost: connect a new Client"):
        _layout.workers()


def test_small_products_are_few_tasks():
    x = da.ones((512, 512), chunks=256, dtype=np.float32)
    assert len(Engine(seed=1)(x, x).dask) < 20


def test_the_benchmark_of_small_products(capsys):
    from benchmarks import clusters

    clusters.small(64, 1)
    assert capsys.readouterr().out.startswith("64^3: NumPy ")
