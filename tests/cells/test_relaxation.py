"""Relaxation by simulation: its law at each time, one number per cell at all times, and what it says no to."""

import math

import numpy as np
import pytest
from libraries import same_bits
from scipy import stats
from strategies import some_runners

from mpimpy import ADC, Device, Drift, Engine, Flicker, Format, Relaxation, Tile, load, noise
from mpimpy.cells import memristors
from mpimpy.crossbar import plan as plans

LEVELS, N, DAY = 16, 6000, 86400.0
SPREADS = [(2 + n) * 3e-8 for n in range(LEVELS)]
SHIFTS = [(n - 4) * -2e-8 for n in range(LEVELS)]


def law(**more):
    twice = [2 * s for s in SPREADS]
    return Relaxation([1, "1 d", "4 d"], [0, SPREADS, twice], **more)


def on_every_level(device, **more):
    """A matrix whose row n has every cell of the widest slice at level n."""
    codes = np.arange(device.g_level)[:, None] * np.ones((1, N))
    return Engine(device, weights=Format([1, 4], granularity="per-matrix"), seed=3, **more).program(codes)


def moved(matrix, t):
    return (matrix.at(t).conductance() - matrix.conductance())[1]


@pytest.mark.parametrize("write_var", [0, 0.02])
def test_cells_spread_and_shift_by_the_law(write_var):
    shift = [0, SHIFTS, [3 * s for s in SHIFTS]]
    matrix = on_every_level(Device(LGS=4e-6, HGS=3e-5, var=0, write_var=write_var, relaxation=law(shift_S=shift)))
    unit = matrix.config.device.grid_unit_S(plans.cell_format(matrix.config).fraction)
    # linear in ln t between two times
    half = math.log(3600) / math.log(DAY)
    for t, part, mean in ((DAY, 1, 1), ("4 d", 2, 3), ("2 d", 1.5, 2), (3600, half, half), (1, 0, 0)):
        found = moved(matrix, t)
        for level in range(LEVELS):
            spread, shifted = part * SPREADS[level], mean * SHIFTS[level]
            assert abs(found[level].mean() - shifted) < 5 * spread / math.sqrt(N) + unit
            assert abs(found[level].std() - spread) < 5 * spread / math.sqrt(2 * N) + unit / 4
            if part == 1:
                smooth = found[level] + np.random.default_rng(level).uniform(-unit / 2, unit / 2, N)
                assert stats.kstest(smooth, stats.norm(shifted, spread).cdf).statistic < 1.9 / math.sqrt(N) + 0.02


def test_a_cell_has_one_number_at_all_times_and_of_its_own():
    device = Device(LGS=4e-6, HGS=3e-5, var=0, relaxation=law())
    early, late = moved(on_every_level(device), DAY), moved(on_every_level(device), "4 d")
    unit = device.grid_unit_S(plans.cell_format(Engine(device, seed=0).config).fraction)
    np.testing.assert_allclose(late, 2 * early, atol=2 * unit)
    # its address is the drift's, under a key of its own
    word = noise.words(np, noise.Address(noise.derive(3, "relaxation"), 0, 0, noise.DRIFT), 0, (LEVELS, N), None)
    z = stats.norm.ppf((word + 0.5) / 65536)
    np.testing.assert_allclose(early, z * np.array(SPREADS)[:, None], atol=unit)
    other = on_every_level(device).at("1 d").conductance()
    assert same_bits(other, on_every_level(device).at("1 h").at("1 d").conductance())


def test_stuck_cells_and_the_ends_of_the_range():
    device = Device(
        LGS=1e-6, HGS=2e-5, var=0, stuck_HGS=0.1, stuck_LGS=0.1, relaxation=Relaxation([1, 100], [0, 5e-6], [0, 1e-6])
    )
    matrix = on_every_level(device)
    aged, fresh = matrix.at(100).conductance()[1], matrix.conductance()[1]
    plain = on_every_level(Device(LGS=1e-6, HGS=2e-5, var=0)).conductance()[1]
    unit = device.grid_unit_S(plans.cell_format(matrix.config).fraction)
    stuck = np.abs(fresh - plain) > unit
    assert 0.1 < stuck.mean() < 0.25
    np.testing.assert_allclose(aged[stuck], fresh[stuck], atol=2 * unit)
    assert aged.min() == pytest.approx(0, abs=unit)  # no conductance is negative


MAPPINGS, MOVES = ("twos", "pair", "offset"), (0.0, [0, -4e-7], [0, 3e-7])


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("shift", MOVES)
def test_every_backend_has_the_same_bits(mapping, shift, rng):
    x, w = rng.standard_normal((3, 40)), rng.standard_normal((40, 20))
    # LGS is nearer to 0 than the downward shift takes it
    device = Device(
        LGS=2e-7, var=0.02, write_var=0.03, stuck_HGS=0.02, relaxation=Relaxation([1, 100], [0, 2e-7], shift)
    )
    found = {}
    for name, make, backend in some_runners(MAPPINGS.index(mapping) + 3 * MOVES.index(shift)):
        engine = Engine(device, weights=Format(mapping=mapping), tile=Tile(16, 16), seed=1, backend=backend)
        matrix = engine.program(make(w)).at(30, compensate=True)
        found[name] = np.asarray(matrix.read(make(x), read=0))
    first = next(iter(found.values()))
    assert all(same_bits(y, first) for y in found.values())


def test_the_reference_columns_shift_as_level_0_does(rng):
    # a shift that all levels share is no error, with any mapping
    x, w = rng.standard_normal((20, 64)), rng.standard_normal((64, 30))
    device = Device(LGS=4e-6, HGS=3e-5, var=0, relaxation=Relaxation([1, 100], [0, 0], [0, -1e-6]))
    for mapping in ("twos", "offset", "pair"):
        W = Engine(device, adc=ADC(None), weights=Format(mapping=mapping), seed=1).program(w)
        np.testing.assert_allclose(W.at(100).read(x), W.read(x), rtol=0, atol=1e-9)
        assert np.mean(W.conductance() - W.at(100).conductance()) == pytest.approx(1e-6, rel=5e-3)  # to the grid


@pytest.mark.parametrize("spread", [SPREADS, 2e-7])
def test_a_chip_that_relaxed_comes_back(spread, rng, tmp_path):
    x, w = rng.standard_normal((3, 30)), rng.standard_normal((30, 20))
    device = Device(write_var=0.02, relaxation=Relaxation([1, "1 d"], [0, spread], [0, 1e-8]))
    matrix = Engine(device, seed=1).program(w)
    matrix.at("1 h").save(tmp_path / "chip.npz")
    found = load(tmp_path / "chip.npz")
    assert found.config == matrix.config
    assert same_bits(found.read(x, read=2), matrix.at("1 h").read(x, read=2))
    assert same_bits(found.at("1 d").read(x, read=2), matrix.at("1 d").read(x, read=2))


def test_the_budget_of_a_relaxed_matrix_names_it(rng):
    x, w = rng.standard_normal((20, 64)), rng.standard_normal((64, 30))
    matrix = Engine(Device(var=0, relaxation=Relaxation([1, "1 d"], [0, 4e-7])), seed=1).program(w)
    found = {effect.name: effect for effect in matrix.at("1 d").report(x, w).effects}
    assert found["relaxation"].alone_dB < 30
    assert found["relaxation"].without_dB > matrix.at("1 d").report(x, w).snr_dB + 1
    assert "relaxation" not in [effect.name for effect in matrix.report(x, w).effects]


@pytest.mark.parametrize(
    ("sigma", "shift", "levels"),
    [
        ([0, 2e-8, 4e-8], 0.0, 0.04),  # the largest of all times
        ([0, [2e-8] * 15 + [0.0], [3e-8] * 7 + [8e-8] * 8 + [0.0]], 0.0, 0.03),  # of the level where it is smallest
        ([0, 0, 0], [0, -5e-8, 1e-8], 0.05),
    ],
)
def test_the_grid_is_as_fine_as_relaxation_asks(sigma, shift, levels):
    device = Device(LGS=0, HGS=1.5e-5, var=0, relaxation=Relaxation([1, 2, 3], sigma, shift))
    assert memristors.grid_bits(device) == noise.fraction_bits(levels)


def test_times_beyond_the_law_are_refused():
    matrix = Engine(Device(var=Flicker(0.01, t0_s=1.0), relaxation=Relaxation([20, "1 d"], [0, 4e-7])), seed=1).program(
        np.eye(3)
    )
    with pytest.raises(ValueError, match=r"t=10 s is before t0_s=20 s, from when on"):
        matrix.at(10)
    with pytest.raises(
        ValueError, match=r"t=172800 s is after 86400 s, until when the device's relaxation is known: use an"
    ):
        matrix.at("2 d")


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: Relaxation([1], [1e-7]), ValueError, r"times_s=\[1\] must hold at least two times"),
        (lambda: Relaxation(1, 1e-7), ValueError, r"times_s=1 must hold at least two times"),
        (
            lambda: Relaxation([2, 1], [0, 1e-7]),
            ValueError,
            r"times_s must ascend, but times_s\[0\]=2 s and times_s\[1\]=1 s",
        ),
        (lambda: Relaxation([0, 1], [0, 1e-7]), ValueError, r"times_s\[0\]=0 s is out of range: it must be above 0"),
        (lambda: Relaxation([1, "1 w"], [0, 1e-7]), ValueError, r"times_s\[1\]='1 w' is no time"),
        (lambda: Relaxation([1, 2], [1e-7]), ValueError, r"sigma_S has 1 entries: give one for each of the 2 times"),
        (lambda: Relaxation([1, 2], 1e-7), ValueError, r"sigma_S has one: give one for each of the 2 times"),
        (lambda: Relaxation([1, 2], [0, -1e-7]), ValueError, r"sigma_S\[1\]=-1e-07 S is out of range"),
        (lambda: Relaxation([1, 2], [0, [1e-7, -1]]), ValueError, r"sigma_S\[1\]\[1\]=-1 S is out of range"),
        (
            lambda: Relaxation([1, 2], [0, 1e-7], 1e-7),
            ValueError,
            r"shift_S=1e-07 must be 0, or a shift for each of the 2",
        ),
        (lambda: Relaxation([1, 2], [0, 1e-7], [1e-7]), ValueError, r"shift_S has 1 entries"),
        (lambda: Relaxation([1, 2], [0, [1e-7] * 3], [0, [1e-7] * 2]), ValueError, r"give numbers to 2 and 3 levels"),
        (lambda: Relaxation([1, 2], [0, [0, 0]]), ValueError, r"of 0 let nothing relax: use relaxation=None"),
        (lambda: Device(relaxation=3), TypeError, r"relaxation=3 must be a Relaxation, or None for none"),
        (
            lambda: Device(relaxation=Relaxation([1, 2], [0, [1e-7] * 3])),
            ValueError,
            r"relaxation gives a law to each of 3 levels, but g_level=16",
        ),
        (
            lambda: Device(drift=Drift(0.05), relaxation=Relaxation([1, 2], [0, 1e-7])),
            ValueError,
            r"drift and relaxation both say what time does to conductances, .*: give one, and None for the other",
        ),
    ],
)
def test_what_is_refused(build, kind, message):
    with pytest.raises(kind, match=message):
        build()


def test_a_spread_in_another_unit_is_asked_about():
    from mpimpy import MpimpyWarning

    with pytest.warns(MpimpyWarning, match=r"relaxation: sigma_S=0.4 S is far beyond HGS=1e-05 S: it counts in S"):
        Device(relaxation=Relaxation([1, 2], [0, 0.4]))
