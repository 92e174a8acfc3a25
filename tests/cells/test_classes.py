"""Read noise by the conductance as programmed: which class a cell has, and that it keeps it."""

import itertools
import math

import numpy as np
import pytest
from libraries import RUNNERS, read_levels, same_bits
from strategies import each_runner, thinned

from mpimpy import Device, Drift, Engine, Flicker, Format, Gaussian, load
from mpimpy.cells import classes, laws
from mpimpy.crossbar import plan as plans

N = 4000
PLACES = [2e-6, 4e-6, 8e-6, 3e-5]
NOISE = Flicker([0.05, 0.002, 0.02, 0.001], t0_s=20, conductance_S=PLACES)


def matrix_of(device, backend=None, make=np.asarray):
    codes = np.arange(device.g_level)[:, None] * np.ones((1, N))
    engine = Engine(device, weights=Format([1, 4], granularity="per-matrix"), seed=3, backend=backend)
    return engine.program(make(codes))


def nearest(conductance):
    # by neighbours' means, upper ends included
    return np.searchsorted((np.array(PLACES[1:]) + PLACES[:-1]) / 2, conductance, side="right")


@pytest.mark.parametrize("write_var", [0, Gaussian(1e-6)])
@each_runner
def test_a_cell_has_the_class_of_the_nearest_conductance(runner, write_var):
    make, backend = RUNNERS[runner]
    device = Device(LGS=1e-6, HGS=1.6e-5, var=NOISE, write_var=write_var, stuck_HGS=0.05, stuck_LGS=0.05)
    matrix = matrix_of(device, backend, make)
    cells, unit = matrix.programmed.as_programmed, device.grid_unit_S(plans.cell_format(matrix.config).fraction)
    conductance = np.asarray(cells.cells).astype(int) * 2.0**cells.level_shift * unit + device.LGS
    np.testing.assert_array_equal(np.asarray(cells.levels), nearest(conductance * (1 + 1e-12)))
    assert str(np.asarray(cells.levels).dtype) == "int8"


@pytest.mark.parametrize("drift", [None, Drift(0.05, 0.01, t0_s=20)])
def test_reads_have_the_spread_of_the_class_at_all_times(drift):
    device = Device(LGS=1e-6, HGS=1.6e-5, var=NOISE, write_var=Gaussian(1e-6), drift=drift)
    matrix = matrix_of(device)
    fresh = matrix.conductance()[1]
    for when, state in ((20.0, matrix), (86400.0, matrix.at("1 d"))):
        grid = plans.cell_format(matrix.config)
        lowest = device.LGS + (state.programmed.as_programmed.reference - grid.reference) * device.grid_unit_S(
            grid.fraction
        )
        seen = read_levels(state, 0)[0] * device.step_S + lowest
        ratio = seen / np.maximum(state.conductance()[1], 1e-8) - 1
        sigma = np.array(NOISE.q)[nearest(fresh)] * math.sqrt(math.log((when + 250e-9) / 500e-9))
        far = fresh > 5e-7
        for place in range(3):
            some = ratio[far & (nearest(fresh) == place)]
            assert abs(some.std() / sigma[nearest(fresh) == place][0] - 1) < 5 / math.sqrt(2 * some.size) + 0.02


def test_cells_on_their_levels_read_as_with_a_law_per_level(rng):
    # every level a conductance of the list: the same tables, words and bits
    device = Device(var=0)
    q = [0.002 + 0.001 * n for n in range(16)]
    places = [device.LGS + n * device.step_S for n in range(16)]
    x, w = rng.standard_normal((3, 70)), rng.standard_normal((70, 20))
    level, place = (Engine(Device(var=Flicker(q, conductance_S=given)), seed=1).program(w) for given in (None, places))
    assert same_bits(level.read(x, read=1), place.read(x, read=1))
    assert laws.spreads(level.config.device) == pytest.approx(laws.spreads(place.config.device))


@pytest.mark.parametrize(("count", "write_var"), thinned(itertools.product([4, 150], [0, 0.1]), every=3))
def test_a_chip_comes_back_with_its_classes(write_var, count, rng, tmp_path):
    x, w = rng.standard_normal((3, 30)), rng.standard_normal((30, 20))
    var = Flicker([0.01 + 0.001 * n for n in range(count)], conductance_S=np.linspace(1e-7, 1e-5, count))
    matrix = Engine(Device(var=var, write_var=write_var, drift=Drift(0.05)), seed=1).program(w)
    for state in (matrix, matrix.at("1 d")):
        state.save(tmp_path / "chip.npz")
        found = load(tmp_path / "chip.npz")
        assert found.config == matrix.config
        assert same_bits(found.read(x, read=2), state.read(x, read=2))


def test_a_file_with_other_classes_is_refused(rng, tmp_path):
    from mpimpy.files import chips

    matrix = Engine(Device(LGS=1e-6, HGS=1.6e-5, var=NOISE, write_var=0.1), seed=1).program(
        rng.standard_normal((30, 20))
    )
    programmed = matrix.programmed
    cells = programmed.as_programmed._replace(levels=programmed.as_programmed.levels * 0 + 3)
    import dataclasses

    crafted = dataclasses.replace(programmed, as_programmed=cells, as_read=cells)
    chip = chips.Chip(matrix.config, matrix._address, matrix.shape, crafted)
    chips.save(chip, tmp_path / "chip.npz", dtype="float64", reads=(0, None))
    with pytest.raises(ValueError, match=r"now/written/levels are not those that the cells ask for"):
        load(tmp_path / "chip.npz")


def test_a_table_and_a_search_find_the_same_classes(monkeypatch, rng):
    cells = rng.integers(-300, 300, (2, 50, 40)).astype(np.int16)
    by_table = classes.numbers((-400, -101, -100, 17, 18, 18, 900), cells, 2)
    monkeypatch.setattr(classes, "LOOK_UP", 0)
    by_search = classes.numbers((-400, -101, -100, 17, 18, 18, 900), cells, 2)
    assert same_bits(by_table, by_search)
    assert set(np.unique(by_table)) == {0, 1, 3, 6, 7}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Flicker(0.1, conductance_S=[1e-6, 2e-6]), r"q and conductance_S must be two lists of one length"),
        (lambda: Flicker([0.1, 0.2], conductance_S=[1e-6]), r"q and conductance_S must be two lists of one length"),
        (
            lambda: Flicker([0.1], conductance_S=[1e-6]),
            r"conductance_S=\(1e-06,\) must give at least 2 conductances, S",
        ),
        (
            lambda: Flicker([0.1, 0.2], conductance_S=[2e-6, 1e-6]),
            r"conductance_S must ascend, but conductance_S\[0\]=2e-06 S",
        ),
        (lambda: Flicker([0.1] * 300, conductance_S=np.arange(300) * 1e-6), r"gives 300 conductances: use at most 256"),
        (lambda: Flicker([0.1, 0.2], conductance_S=[-1e-6, 1e-6]), r"conductance_S\[0\]=-1e-06 S is out of range"),
    ],
)
def test_what_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
