"""Part-filled arrays with resistive wires: the unused part in closed form gives what the whole circuit does."""

import itertools

import numpy as np
import pytest
from libraries import same_bits
from strategies import thinned

from mpimpy import Device, DPETensor, Drift, Engine, Tile, Wires, wires
from mpimpy.backends import reference
from mpimpy.backends.cpu import numba_cpu
from mpimpy.cells import uniform, wiring

LOW = 1e-7
OHMS = [(1.0, 2.0), (1e-6, 1e6), (1e6, 1e-6), (1e8, 1e8), (30.0, 1e-9)]


def whole(used, tile, last):
    cells = np.full((tile[0], tile[1] + 1), LOW)
    cells[: used.shape[0], : used.shape[1]] = used
    cells[:, -1] = last
    return cells


def on_both(g, *arguments):
    first, second = (backend.reduce_lines(g, *arguments) for backend in (reference, numba_cpu))
    assert same_bits(first, second)
    return first


@pytest.mark.parametrize(("r_word", "r_bit"), OHMS)
@pytest.mark.parametrize("last", [LOW, 5e-6])
@pytest.mark.parametrize(
    ("tile", "shape"), [((12, 10), (3, 4)), ((9, 21), (9, 2)), ((19, 9), (17, 8)), ((5, 5), (1, 1))]
)
def test_columns_beside_unused_ones(rng, tile, shape, last, r_word, r_bit):
    used = 10 ** rng.uniform(-7, -4, shape)
    exact = wires.transfer(whole(used, tile, last), r_word, r_bit)[: shape[0]]
    start = uniform.summed_start(tile[0], tile[1] - shape[1], last, LOW, 1 / r_bit, 1 / r_word)
    cells = whole(used, (tile[0], shape[1]), last)[:, :-1]
    found = on_both(cells.T[None, ::-1, ::-1].copy(), 1 / r_bit, 1 / r_word, uniform.start_array(np, None, start))
    found = found[0, ::-1, ::-1].T[: shape[0]]
    assert np.allclose(found[:, :-1], exact[:, : shape[1]], rtol=1e-12, atol=1e-18)
    assert np.allclose(found[:, -1], exact[:, -1], rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize(("r_word", "r_bit"), OHMS)
@pytest.mark.parametrize(
    ("tile", "shape"), [((12, 10), (3, 4)), ((21, 9), (2, 9)), ((9, 17), (8, 10)), ((5, 5), (1, 1))]
)
def test_rows_above_unused_ones(rng, tile, shape, r_word, r_bit):
    used = 10 ** rng.uniform(-7, -4, shape)
    cells = whole(used, tile, LOW)
    exact = wires.transfer(cells, r_word, r_bit)[: shape[0], [*range(shape[1]), -1]]
    start = uniform.crossing_start(tile[1] + 1, tile[0] - shape[0], LOW, 1 / r_word, 1 / r_bit)
    links = uniform.start_array(np, None, start, [*range(shape[1]), tile[1]])
    found = on_both(cells[None, shape[0] - 1 :: -1].copy(), 1 / r_word, 1 / r_bit, links, True)[0, ::-1]
    assert np.allclose(found, exact, rtol=1e-11, atol=1e-18)


def test_unused_cells_at_0_siemens():
    start = uniform.summed_start(6, 3, 0.0, 0.0, 1.0, 1.0)
    assert not np.any(uniform.start_array(np, None, start))


SHAPES = [(2, 3), (2, 11), (25, 3), (11, 2), (3, 12)]


@pytest.mark.parametrize(
    ("shape", "mapping", "settings"),
    thinned(itertools.product(SHAPES, ["twos", "pair", "offset"], [{}, {"write_var": 0.1}, {"LGS": 0.0}]), every=4),
)
def test_a_part_filled_array_holds_what_it_does_when_solved_as_a_whole(rng, monkeypatch, shape, mapping, settings):
    w, found, calls = rng.standard_normal(shape), [], []
    reduce = reference.reduce_lines
    monkeypatch.setattr(reference, "reduce_lines", lambda *given: (calls.append(given), reduce(*given))[1])
    for large in (0, 1 << 60):
        monkeypatch.setattr(wiring, "LARGE", large)
        for backend in ("numba", "reference"):
            options = {"w_mapping": mapping, "backend": backend, "reference": "ideal", **settings}
            engine = DPETensor(seed=1, array_size=(12, 13), wire_resistance=50.0, **options)
            found.append(engine.program(w).programmed.as_read.cells)
    assert all(np.array_equal(one, found[0]) for one in found[1:])
    assert calls


@pytest.mark.parametrize(("mapping", "shape"), thinned(itertools.product(["twos", "offset"], SHAPES), every=3))
def test_real_reference_columns_beside_unused_cells(rng, monkeypatch, mapping, shape):
    # rows above unused ones are solved alone, whatever the last column holds; else the array is, as a whole
    w, found = rng.standard_normal(shape), []
    for large in (0, 1 << 60):
        monkeypatch.setattr(wiring, "LARGE", large)
        for backend in ("numba", "reference"):
            options = {"w_mapping": mapping, "backend": backend, "write_var": 0.3}
            engine = DPETensor(seed=1, array_size=(12, 13), wire_resistance=50.0, **options)
            cells = engine.program(w).programmed.as_read
            found.append((cells.cells, cells.columns.cells))
    assert all(np.array_equal(a, b) for one in found[1:] for a, b in zip(one, found[0], strict=True))


def test_reads_solve_part_filled_arrays_with_the_cells_of_the_read(rng, monkeypatch):
    x, w, found = rng.standard_normal((3, 4)), rng.standard_normal((4, 3)), []
    for large in (0, 1 << 60):
        monkeypatch.setattr(wiring, "LARGE", large)
        engine = Engine(Device(), tile=Tile(12, 13), wires=Wires(50.0, 20.0, exact_reads=True), seed=1)
        found.append(engine(x, w, read=0))
    assert same_bits(*found)


def test_aged_cells_beside_unused_ones(rng, monkeypatch):
    w, found = rng.standard_normal((3, 4)), []
    for large in (0, 1 << 60):
        monkeypatch.setattr(wiring, "LARGE", large)
        device = Device(var=0, drift=Drift(0.05, 0.01))
        aged = Engine(device, tile=Tile(12, 13), wires=Wires(50.0, 20.0), seed=1).program(w).at("1 d")
        found.append(aged.programmed.as_read.cells)
    assert np.array_equal(*found)


def test_a_small_matrix_on_a_large_array_solves_its_own_cells_alone(monkeypatch):
    monkeypatch.setattr(numba_cpu, "transfer", lambda *_: pytest.fail("the whole array was solved"))
    for shape in ((4, 4), (4, 200), (200, 4)):
        engine = DPETensor(seed=1, array_size=(256, 256), wire_resistance=1.0, var=0)
        assert engine.program(np.ones(shape)).shape == shape


def test_ordinary_arrays_are_solved_as_a_whole(monkeypatch):
    monkeypatch.setattr(uniform, "start_array", lambda *_: pytest.fail("only the cells in use were solved"))
    for shape, size in (((4, 4), (128, 128)), ((200, 200), (192, 192))):
        monkeypatch.setattr(numba_cpu, "transfer", lambda g, *_: g)
        DPETensor(seed=1, array_size=size, wire_resistance=1.0, var=0).program(np.ones(shape))
