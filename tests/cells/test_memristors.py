"""Laws of devices by simulation: variation per level, verified writing, stuck cells, drift, presets."""

import math
import pickle

import numpy as np
import pytest
from libraries import RUNNERS, read_levels, same_bits, torch
from scipy import stats
from strategies import each_runner

from mpimpy import (
    ADC,
    SNR,
    Device,
    DPETensor,
    Drift,
    Engine,
    Flicker,
    Format,
    Gaussian,
    MapReducedot,
    Samples,
    Tile,
    WriteVerify,
    explain,
)
from mpimpy.cells import memristors
from mpimpy.crossbar import plan as plans
from mpimpy.devices import presets

COUNT = 16
N = 8000  # cells of each level


def weights(count=COUNT, columns=N):
    """Weights of which row n has its cells of the widest slice at level n, less one."""
    return np.repeat(np.arange(count - 1)[:, None] / (2 * count - 1), columns, axis=1)


def on_every_level(device, columns=N, **more):
    """A matrix whose row n has every cell at level n, and one more row at LGS, in one slice of 1 + b bits."""
    bits = int(math.log2(device.g_level))
    codes = np.arange(device.g_level)[:, None] * np.ones((1, columns))
    # INT: a row at the largest code, 2**bits - 1, sets the scale
    engine = Engine(device, inputs=Format([1, 2]), weights=Format([1, bits], granularity="per-matrix"), **more)
    return engine.program(codes)


def written(device, **more):
    """Conductances of every level as programmed, S: (levels, cells)."""
    return on_every_level(device, **more).conductance()[1]


def seen(matrix, read=0):
    """Conductances that one read sees, S: (levels, cells)."""
    d = matrix.config.device
    grid = plans.cell_format(matrix.config)
    lowest = d.LGS + (matrix.programmed.as_programmed.reference - grid.reference) * d.step_S / 2**grid.fraction
    return read_levels(matrix, read)[0] * d.step_S + lowest


def check_moments(row, mean, spread, step):
    """Whether a sample has a mean and a spread, to what its size and the grid's step allow."""
    assert abs(row.mean() - mean) < 5 * spread / math.sqrt(row.size) + step / 8
    assert abs(row.std() / spread - 1) < 5 * math.sqrt(2.5 / (4 * row.size)) * 2 + 0.005


def clipped(mean, spread):
    """Mean and spread of a Gaussian whose negative numbers are 0."""
    if spread == 0:
        return mean, 0.0
    a = mean / spread
    first = mean * stats.norm.cdf(a) + spread * stats.norm.pdf(a)
    second = (mean**2 + spread**2) * stats.norm.cdf(a) + mean * spread * stats.norm.pdf(a)
    return first, math.sqrt(second - first**2)


def levels_of(device):
    return device.levels or tuple(device.LGS + n * device.step_S for n in range(device.g_level))


def grid_step(device):
    return device.step_S / 2 ** plans.cell_format(Engine(device, seed=0).config).fraction


RISING = [0.02 + 0.01 * n for n in range(COUNT)]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["write", "read"])
def test_a_spread_per_level(when):
    d = Device(**{"var": 0, "write_var" if when == "write" else "var": RISING})
    found = written(d, seed=3) if when == "write" else seen(on_every_level(d, seed=3))
    for level, (row, g, sigma) in enumerate(zip(found, levels_of(d), RISING, strict=True)):
        law = stats.lognorm(sigma, scale=g)
        check_moments(row, law.mean(), law.std(), grid_step(d))
        if level > 3:
            assert stats.kstest(row, law.cdf).statistic < 1.9 / math.sqrt(N)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [3e-7, [(1 + n) * 5e-8 for n in range(COUNT)]], ids=["one", "per level"])
@pytest.mark.parametrize("when", ["write", "read"])
def test_gaussian_variation(when, sigma):
    law = Gaussian(sigma)
    d = Device(LGS=2e-6, HGS=2e-5, **{"var": 0, "write_var" if when == "write" else "var": law})
    found = written(d, seed=4) if when == "write" else seen(on_every_level(d, seed=4))
    for level, (row, g) in enumerate(zip(found, levels_of(d), strict=True)):
        spread = sigma[level] if isinstance(sigma, list) else sigma
        check_moments(row, g, spread, grid_step(d))
        smooth = row + np.random.default_rng(level).uniform(-0.5, 0.5, N) * grid_step(d)
        assert stats.kstest(smooth, stats.norm(g, spread).cdf).statistic < 1.9 / math.sqrt(N)


@pytest.mark.parametrize("when", ["write", "read"])
def test_no_conductance_is_negative(when):
    d = Device(**{"var": 0, "write_var" if when == "write" else "var": Gaussian(5e-7)})
    found = written(d, seed=4) if when == "write" else seen(on_every_level(d, seed=4))
    assert found.min() == pytest.approx(0, abs=grid_step(d))
    check_moments(found[0], *clipped(1e-7, 5e-7), grid_step(d))


def measured(count=COUNT, seed=0, shape=25):
    rng = np.random.default_rng(seed)
    return Samples([rng.gamma(shape, g / shape, 30 + 10 * n) for n, g in enumerate(np.linspace(1e-6, 2e-5, count))])


@pytest.mark.slow
@pytest.mark.parametrize("even", [True, False])
def test_samples_are_drawn_as_they_were_measured(even):
    samples = measured()
    means = samples.means_S
    more = {"LGS": means[0], "HGS": means[-1]} if even else {"levels": means}
    d = Device(var=0, write_var=samples, **more)
    found = written(d, seed=5)
    for row, sample in zip(found, samples.conductance_S, strict=True):
        step = grid_step(d)
        nearest = np.abs(row[:, None] - np.array(sample)).min(axis=1)
        assert nearest.max() <= 0.51 * step  # each is one of the samples
        on_grid = d.LGS + np.round((np.array(sample) - d.LGS) / step) * step
        mine, theirs = (np.searchsorted(np.sort(a), on_grid + step / 4) / a.size for a in (row, on_grid))
        assert np.abs(mine - theirs).max() < 1.9 / math.sqrt(N)


@pytest.mark.slow
def test_samples_of_reads_deviate_from_their_mean():
    samples = measured(seed=1, shape=100)
    d = Device(LGS=1e-5, HGS=4e-5, var=samples)  # another range: only deviations count
    found = seen(on_every_level(d, seed=5))
    for row, g, sample, mean in zip(found, levels_of(d), samples.conductance_S, samples.means_S, strict=True):
        spread = np.std(sample)
        assert abs(row.mean() - g) < 5 * spread / math.sqrt(N) + grid_step(d)
        assert abs(row.std() / spread - 1) < 0.05
        assert np.abs((row - g)[:, None] - (np.array(sample) - mean)).min(axis=1).max() <= 0.51 * grid_step(d)


@pytest.mark.slow
def test_samples_about_given_conductances():
    samples = measured()
    about = [mean + 1e-7 for mean in samples.means_S]
    d = Device(LGS=5e-6, HGS=4e-5, var=0, write_var=Samples(samples.conductance_S, about))
    found = written(d, seed=1)
    np.testing.assert_allclose(found.mean(axis=1), np.array(levels_of(d)) - 1e-7, atol=4 * 6e-6 / math.sqrt(N))


def test_uneven_levels_sit_where_they_are_told():
    levels = np.geomspace(1e-7, 1e-5, COUNT)
    d = Device(levels=levels, var=0)
    assert (d.LGS, d.HGS, d.g_level) == (levels[0], levels[-1], COUNT)
    np.testing.assert_allclose(written(d, columns=3, seed=0), np.repeat(levels[:, None], 3, axis=1), atol=grid_step(d))
    # evenly spaced ones are no different from none
    even = Device(levels=np.linspace(1e-7, 1e-5, COUNT), var=0)
    assert even.positions is None
    x, w = np.random.default_rng(0).standard_normal((2, 30, 30))
    assert same_bits(Engine(even, seed=0)(x, w), Engine(Device(var=0), seed=0)(x, w))
    found = {e.name: e for e in explain(x, w, Engine(d, seed=1)).effects}
    assert found["level rounding"].alone_dB < 20 < found["level rounding"].without_dB
    found = {e.name: e for e in explain(x, w, Engine(even, seed=1)).effects}
    assert found["level rounding"].alone_dB > 200


@pytest.mark.slow
def test_the_budget_of_a_measured_device_tells_levels_from_samples(rng):
    levels = np.geomspace(1e-6, 1e-5, COUNT)
    samples = Samples([g + np.linspace(-2e-8, 2e-8, 9) for g in levels])
    x, w = rng.standard_normal((30, 40)), rng.standard_normal((40, 30))
    report = explain(x, w, Engine(Device(levels=samples.means_S, write_var=samples, var=0), adc=ADC(2**20), seed=1))
    found = {e.name: e for e in report.effects}
    assert found["level rounding"].alone_dB == pytest.approx(report.snr_dB, abs=0.3)
    assert found["level rounding"].without_dB > 30 < found["write variation"].alone_dB
    assert found["write variation"].without_dB == pytest.approx(found["level rounding"].alone_dB, abs=0.3)


# -- verified writing -------------------------------------------------------------------------


@pytest.mark.parametrize("law", [0.1, Gaussian(4e-7)], ids=["lognormal", "Gaussian"])
def test_verified_writing_follows_its_law(law):
    tolerance, most = 2e-7, 12
    d = Device(LGS=2e-6, HGS=2e-5, var=0, write_var=law, verify=WriteVerify(tolerance, most))
    matrix = on_every_level(d, seed=6)
    took, g, step = matrix.programming.pulses[1], matrix.conductance()[1], grid_step(d)
    for level in range(4, COUNT):
        at = levels_of(d)[level]
        one = stats.lognorm(0.1, scale=at) if law == 0.1 else stats.norm(at, 4e-7)
        p = one.cdf(at + tolerance) - one.cdf(at - tolerance)
        # pulses: geometric, with all that is left at the end
        expected = np.array([p * (1 - p) ** n for n in range(most - 1)] + [(1 - p) ** (most - 1)]) * N
        counts = np.bincount(took[level], minlength=most + 1)[1:]
        expected, counts = (np.append(a[expected >= 5], a[expected < 5].sum()) for a in (expected, counts))
        if expected[-1] < 5:
            expected, counts = (np.append(a[:-2], a[-2:].sum()) for a in (expected, counts))
        assert stats.chisquare(counts, expected * N / expected.sum()).pvalue > 1e-4, level
        near = np.abs(g[level] - at) <= tolerance + step
        failed = int((~near).sum())
        assert abs(failed - N * (1 - p) ** most) < 5 * math.sqrt(N * (1 - p) ** most) + 10
        # what was achieved: the law, cut off at the tolerance
        inside = g[level][near]
        smooth = inside + np.random.default_rng(level).uniform(-0.5, 0.5, inside.size) * step
        low = one.cdf(at - tolerance)
        statistic = stats.kstest(
            smooth, lambda v, low=low, p=p, one=one: np.clip((one.cdf(v) - low) / p, 0, 1)
        ).statistic
        assert statistic < 1.9 / math.sqrt(inside.size) + step / tolerance


def test_what_programming_tells_is_what_happened():
    d = Device(write_var=0.2, verify=WriteVerify(3e-7, 3), stuck_HGS=0.05)
    matrix = on_every_level(d, seed=6)
    miss = (
        matrix.conductance() - np.array(levels_of(d))[np.stack([np.zeros((COUNT, N), int), np.indices((COUNT, N))[0]])]
    )
    told = matrix.programming
    assert told.error_S == pytest.approx(np.sqrt((miss**2).mean()), rel=1e-3)
    assert told.failures == np.sum(np.abs(miss) > 3e-7)
    assert told.pulses.shape == miss.shape
    assert set(np.unique(told.pulses)) == {1, 2, 3}
    off = np.abs(miss) > 3e-7
    assert np.all(told.pulses[off] == 3)  # stuck cells among them
    assert str(told).startswith(f"{2 * COUNT * N} cells, ")
    assert on_every_level(Device(write_var=0.2), seed=6).programming is None
    plain = on_every_level(Device(write_var=0.2, stuck_HGS=0.05), seed=6)
    first = told.pulses == 1
    assert same_bits(matrix.conductance()[first], plain.conductance()[first])  # the first pulse is where writing is


@pytest.mark.slow
def test_verified_writing_of_a_million_cells_takes_seconds(rng):
    import time

    engine = Engine(Device(write_var=0.1, verify=WriteVerify(3e-7, 20)), seed=1)
    start = time.perf_counter()
    engine.program(rng.standard_normal((1000, 1000)))
    assert time.perf_counter() - start < 30


# -- stuck cells ------------------------------------------------------------------------------


@each_runner
def test_a_map_of_stuck_cells(runner, rng):
    make, backend = RUNNERS[runner]
    w, faults = rng.standard_normal((40, 30)), rng.integers(-1, 2, (4, 40, 30))
    engine = DPETensor(seed=1, write_var=0.1, stuck_HGS=0.1, backend=backend)
    clean = np.asarray(engine.program(make(w)).conductance())
    found = np.asarray(engine.program(make(w), faults=make(faults)).conductance())
    assert np.all(found[faults == 1] == 1e-5)
    assert np.all(found[faults == -1] == 1e-7)
    assert same_bits(found[faults == 0], clean[faults == 0])
    one = np.asarray(engine.program(make(w), faults=faults[0].astype(np.int8)).conductance())
    for index in range(4):
        assert same_bits(one[index] == 1e-7, (faults[0] == -1) | ((clean[index] == 1e-7) & (faults[0] == 0)))


def test_a_map_of_stuck_cells_is_no_lossless_product(rng):
    # nothing in the configuration says that cells are off their digits
    engine = DPETensor(seed=1, var=0, g_level=17, radc=64 * 15 * 16 + 1)
    assert plans.plan(engine.config).lossless_fold is not None
    x, w = rng.integers(-126, 127, (5, 64)).astype(float), rng.standard_normal((64, 8))
    x[:, 0] = 127  # the inputs are their own codes
    faults = np.zeros((64, 8), np.int64)
    assert same_bits(engine.program(w, faults=faults).read(x), engine.program(w).read(x))
    faults[3] = 1
    matrix = engine.program(w, faults=faults)
    again = Engine.from_config(engine.config, seed=1, backend="reference").program(w, faults=faults)
    assert same_bits(matrix.read(x), again.read(x))
    g = (matrix.conductance() - 1e-7) / engine.config.device.step_S
    weighted = -8 * (g[0] / 16) * 16 + (g[1] / 16) * 64 + (g[2] / 5) * 16 + g[3]
    exact = SNR(matrix.read(x), x @ (weighted / 127 * np.abs(w).max(axis=0)))
    assert exact > 200
    explained = {e.name: e for e in matrix.report(x, w).effects}
    assert explained["stuck cells"].alone_dB < 25 < explained["stuck cells"].without_dB


@pytest.mark.parametrize(
    ("faults", "kind", "message"),
    [
        (
            np.zeros((3, 3), int),
            ValueError,
            r"faults has shape \(3, 3\): use \(4, 3\) for all slices alike, or \(4, 4, 3\)",
        ),
        (np.zeros((4, 3)), TypeError, r"faults has dtype float64: use integers, 1 for stuck at HGS"),
        (np.array([[0, 0, 2]] * 4), ValueError, r"faults has 2 at index \(0, 2\): use 1 \(stuck at HGS\)"),
        (np.zeros((2, 4, 4, 3), int), ValueError, r"faults has shape \(2, 4, 4, 3\)"),
    ],
)
def test_maps_that_are_refused(faults, kind, message):
    with pytest.raises(kind, match=message):
        DPETensor(seed=1).program(np.ones((4, 3)), faults=faults)


def test_a_map_for_two_planes():
    fmt = Format(bw_e=8, double=True)
    faults = np.zeros((2, 4, 3, 5), int)
    faults[1, 0, 2, 4] = 1
    engine = Engine(Device(var=0), weights=fmt, inputs=Format(bw_e=8), seed=1)
    g = engine.program(np.zeros((3, 5)), faults=faults).conductance()
    assert np.argwhere(g == 1e-5).tolist() == [[1, 0, 2, 4]]


# -- drift ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("per_level", [False, True])
def test_drift_follows_its_law(per_level):
    nu = [0.03 + 0.004 * n for n in range(COUNT)] if per_level else 0.06
    spread = [0.003 + 0.0005 * n for n in range(COUNT)] if per_level else 0.01
    d = Device(var=0, LGS=1e-6, HGS=2.5e-5, drift=Drift(nu, spread, t0_s=20))
    matrix = on_every_level(d, seed=7)
    times = [20.0, 2e3, 2e5, 2e7]
    aged = np.stack([np.log(matrix.at(t).conductance()[1] / matrix.conductance()[1]) for t in times])
    assert np.abs(aged[0]).max() < 1e-3
    slopes = -np.diff(aged, axis=0) / np.log(100)
    for level in range(2, COUNT):
        mean, wide = (v[level] if per_level else v for v in (nu, spread))
        for slope in slopes:
            assert abs(slope[level].mean() - mean) < 5 * wide / math.sqrt(N) + 1e-4
        total = -aged[3, level] / math.log(1e6)
        assert abs(total.std() / wide - 1) < 0.05
        assert stats.kstest(total[:2000], stats.norm(mean, wide).cdf).statistic < 0.05
        # a cell has the same exponent at all times
        assert np.corrcoef(aged[2, level], aged[3, level])[0, 1] > 0.999


def test_exponents_are_not_negative():
    matrix = on_every_level(Device(var=0, drift=Drift(0.01, 0.02, t0_s=1)), seed=7)
    kept = matrix.at("1 d").conductance()[1, 15] / 1e-5
    assert kept.max() == pytest.approx(1, abs=1e-4)
    assert stats.binomtest(int(np.sum(kept > 1 - 1e-4)), N, stats.norm.cdf(-0.5)).pvalue > 1e-4


def test_compensation_recovers_a_common_exponent_up_to_the_grid(rng):
    x, w = rng.standard_normal((20, 64)), rng.standard_normal((64, 40))
    engine = Engine(Device(var=0, drift=Drift(0.05, t0_s=20)), adc=ADC(None), seed=1)
    W = engine.program(w)
    aged, back = W.at("30 d"), W.at("30 d", compensate=True)
    lost = (30 * 86400 / 20) ** -0.05
    assert SNR(aged.read(x, read=0), lost * W.read(x, read=0)) > 50
    assert SNR(back.read(x, read=0), W.read(x, read=0)) > 50
    assert back.age.ratio == pytest.approx(1 / lost, rel=1e-3)
    assert SNR(aged.read(x, read=0), x @ w) < 8


def test_a_spread_of_exponents_is_the_error_that_is_left(rng):
    # relative error of a current's cells: nu_spread ln(t / t0)
    d = Device(LGS=0, var=0, drift=Drift(0.06, 0.005, t0_s=1))
    engine = Engine(d, adc=ADC(None), inputs=Format([1, 4]), weights=Format([1, 4]), tile=Tile(64, 64), seed=1)
    x, w = np.ones((1, 64)), np.ones((64, 4000))
    W = engine.program(w)
    for t in (1e3, 1e5):
        y = W.at(t, compensate=True).read(x)[0] / 64
        assert abs(y.std() / (0.005 * math.log(t) / math.sqrt(64)) - 1) < 0.08
        assert abs(y.mean() - 1) < 1e-3


@pytest.mark.slow
def test_an_aged_matrix_is_another_one_and_says_so(rng):
    x, w = rng.standard_normal((5, 70)), rng.standard_normal((70, 30))
    engine = Engine(Device(write_var=0.05, stuck_HGS=0.05, stuck_LGS=0.05, drift=Drift(0.05, 0.01)), seed=1)
    W = engine.program(w, faults=np.eye(70, 30, dtype=int))
    before, cells = W.read(x, read=0), W.conductance()
    aged = W.at("30 d", compensate=True)
    assert same_bits(W.read(x, read=0), before)
    assert same_bits(W.conductance(), cells)
    assert (W.age, aged.programmed.fresh) == (None, W.programmed)
    assert repr(aged).endswith(f"chip=0, 30 d after programming, outputs multiplied by {aged.age.ratio:.6g}>")
    assert repr(W.at(90)).endswith("90 s after programming, not compensated>")
    # stuck cells stay where they are, to the grid
    stuck = np.eye(70, 30, dtype=bool)
    np.testing.assert_allclose(aged.conductance()[:, stuck], 1e-5, rtol=1e-3)
    engine_reads = engine.reads
    x @ aged
    assert engine.reads == engine_reads + 1
    again = aged.at("1 y")  # from the matrix as programmed
    assert same_bits(again.read(x, read=0), W.at("1 y").read(x, read=0))
    assert same_bits(pickle.loads(pickle.dumps(aged)).read(x, read=0), aged.read(x, read=0))
    report = aged.report(x, w)
    assert report.age == str(aged.age)
    assert f"age                {aged.age}" in str(report)
    assert report.snr_dB == pytest.approx(SNR(aged.read(x, read=0), x @ w), abs=1e-9)
    assert "drift" in [e.name for e in report.effects]
    assert "drift" not in [e.name for e in W.report(x, w).effects]
    assert W.report(x, w).snr_dB == pytest.approx(SNR(before, x @ w), abs=1e-9)
    without = next(e for e in report.effects if e.name == "drift").without_dB
    assert without == pytest.approx(SNR(before, x @ w), abs=1e-2)  # on the grid of a device that does not drift


def test_ageing_draws_nothing_twice_and_costs_nothing_when_off():
    d = Device(var=0, drift=Drift(0.05))
    matrix = on_every_level(d, columns=9, seed=1)
    assert same_bits(matrix.at(1.0).conductance(), matrix.conductance())
    empty = Engine(d, seed=1).program(np.zeros((0, 3)))
    assert empty.at("1 d").read(np.zeros((2, 0))).tolist() == [[0.0] * 3] * 2


@pytest.mark.slow
def test_flicker_grows_with_time():
    q = [0.002 + 0.001 * n for n in range(COUNT)]
    d = Device(var=Flicker(q, t_read_s=250e-9, t0_s=20), LGS=1e-6, HGS=2.5e-5)
    matrix = on_every_level(d, seed=8)
    for when, found in ((20.0, seen(matrix)), (86400.0, seen(matrix.at("1 d")))):
        for level, g in enumerate(levels_of(d)):
            spread = g * q[level] * math.sqrt(math.log((when + 250e-9) / 500e-9))
            check_moments(found[level], g, spread, grid_step(d))


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (
            lambda W: W.at("yesterday"),
            ValueError,
            r"t='yesterday' is no time: give seconds, or a number with one of s, min",
        ),
        (lambda W: W.at("3 w"), ValueError, r"t='3 w' is no time"),
        (lambda W: W.at("1.2.3 d"), ValueError, r"t='1.2.3 d' is no time: '1.2.3' is not a number"),
        (lambda W: W.at(0.5), ValueError, r"t=0.5 s is before t0_s=1 s, from when on"),
        (lambda W: W.at(-1), ValueError, r"t=-1 s is out of range: it must be above 0"),
        (lambda W: W.at(None), TypeError, r"t=None must be a number"),
        (lambda W: W.at("1 d", compensate=1), TypeError, r"compensate=1 must be True or False"),
    ],
)
def test_times_that_are_refused(build, kind, message):
    with pytest.raises(kind, match=message):
        build(Engine(Device(drift=Drift(0.05)), seed=1).program(np.ones((3, 3))))


def test_a_device_without_drift_does_not_age():
    with pytest.raises(ValueError, match=r"time changes nothing: give the device a drift, such as Device\(drift="):
        DPETensor(seed=1).program(np.ones((3, 3))).at("1 d")


@pytest.mark.parametrize(("text", "value"), [("90 s", 90), ("2min", 120), ("1.5 h", 5400), ("1e1 d", 864000), (7, 7)])
def test_units_of_time(text, value):
    matrix = Engine(Device(drift=Drift(0.05)), seed=1).program(np.ones((3, 3)))
    assert matrix.at(text).age.time_s == value
    assert str(matrix.at("2 y").age).startswith("2 y after")


# -- presets ----------------------------------------------------------------------------------

LAWS = {  # of G in uS
    "pcm-joshi": lambda g: -0.00178767 * g**2 + 0.07585724 * g + 0.28638599,
    "pcm-nandakumar": lambda g: 0.26348 + 1.9650 * (g / 25) - 1.1731 * (g / 25) ** 2,
    "reram-wan": lambda g: 1.536e-4 * g**3 - 1.167e-2 * g**2 + 0.2374 * g + 1.053,
    "reram-milo": lambda g: -0.009107 * g + 4.782321,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_presets_have_the_published_spreads(name):
    d = presets.device(name, g_level=COUNT)
    found = written(d, seed=9)
    for row, g in zip(found, levels_of(d), strict=True):
        check_moments(row, *clipped(g, LAWS[name](g * 1e6) * 1e-6), grid_step(d))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pcm-joshi", "pcm-nandakumar"])
def test_phase_change_memory_drifts_and_flickers_as_published(name):
    d = presets.device(name, g_level=COUNT, write_var=0)
    matrix = on_every_level(d, seed=9)
    day = matrix.at("1 d").conductance()[1]
    noise = seen(matrix.at("1 d")) / np.maximum(day, 1e-12)
    for level, g in enumerate(levels_of(d)):
        if level < 3:
            continue
        log = math.log(g / 25e-6)
        mean = min(max(-0.0155 * log + 0.0244, 0.049), 0.1)
        wide = min(max(-0.0125 * log - 0.0059, 0.008), 0.045)
        nu = -np.log(day[level] / g) / math.log(86400 / 20)
        assert abs(nu.mean() - mean) < 5 * wide / math.sqrt(N) + 2e-4
        assert abs(nu.std() / wide - 1) < 0.05
        q = min(0.0088 / (g / 25e-6) ** 0.65, 0.2)
        assert abs(noise[level].std() / (q * math.sqrt(math.log((86400 + 250e-9) / 500e-9))) - 1) < 0.05


def test_fits_of_the_same_data_differ_by_what_the_listing_says():
    for g in (5, 10, 15, 20, 25):
        assert abs(LAWS["pcm-joshi"](g) / LAWS["pcm-nandakumar"](g) - 1) < 0.02
    other = [0.348, 16.030, -43.853, 45.393, -16.815]  # of G / 40
    ratios = [LAWS["reram-wan"](g) / sum(c * (g / 40) ** n for n, c in enumerate(other)) for g in (5, 10, 20, 30, 39)]
    assert 1.06 < min(ratios) < max(ratios) < 1 / (1 - 0.31)
    text = str(presets.listing())
    assert "within 2 % from 5 uS up" in text
    assert "differ by 6 to 30 %" in text
    assert all(f"\n{name}: " in f"\n{text}" for name in [*LAWS, "generic"])


def test_presets_take_other_ranges_and_settings():
    assert presets.device("generic") == Device()
    assert presets.device("generic", 32, HGS=2e-5, var=0) == Device(HGS=2e-5, g_level=32, var=0)
    d = presets.device("reram-milo", g_level=4, LGS=1e-4, HGS=2e-4, var=0.01, stuck_HGS=0.1)
    assert (d.g_level, d.var, d.stuck_HGS, d.write_var.sigma_S[0]) == (4, 0.01, 0.1, LAWS["reram-milo"](100) * 1e-6)
    assert presets.device("pcm-joshi", drift=None).drift is None
    with pytest.raises(ValueError, match=r"HGS=3e-05 S: pcm-joshi holds from 0 S to 2.5e-05 S: keep within"):
        presets.device("pcm-joshi", HGS=3e-5)
    with pytest.raises(ValueError, match=r"LGS=1e-05 S: reram-milo holds from 5e-05 S"):
        presets.device("reram-milo", LGS=1e-5)
    with pytest.raises(TypeError, match=r"unknown preset 'pcm-josh': did you mean 'pcm-joshi'\?"):
        presets.device("pcm-josh")
    with pytest.raises(ValueError, match=r"gives a law to each of 512 levels: use one for all, or 256 levels"):
        presets.device("pcm-joshi", g_level=512)


# -- settings ---------------------------------------------------------------------------------

TWO = [[1e-7, 2e-7], [1e-5, 1.1e-5]]


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (
            lambda: Device(var=[0.1] * 3),
            ValueError,
            r"var gives a law to each of 3 levels, but g_level=16: give as many",
        ),
        (
            lambda: Device(var=[0.1] * 300, g_level=300),
            ValueError,
            r"var gives a law to each of 300 levels: use one for",
        ),
        (lambda: Device(write_var=[0.1, 5]), ValueError, r"write_var\[1\]=5 is out of range"),
        (lambda: Device(var=[]), ValueError, r"var is empty: give one number, or one per level"),
        (lambda: Device(write_var=Flicker(0.1)), ValueError, r"write_var: Flicker is noise of reads: give it as var"),
        (lambda: Gaussian(0), ValueError, r"sigma_S=0.0 varies nothing: leave it out"),
        (lambda: Gaussian([0, 0]), ValueError, r"sigma_S=\(0.0, 0.0\) varies nothing"),
        (lambda: Gaussian(-1e-7), ValueError, r"sigma_S=-1e-07 S is out of range"),
        (lambda: Samples([[1e-6]]), ValueError, r"conductance_S holds 1 levels: a device has at least 2"),
        (lambda: Samples([[1e-6], []]), ValueError, r"conductance_S holds no samples of level 1"),
        (lambda: Samples([1e-6, 2e-6]), TypeError, r"conductance_S must hold one sequence of conductances per level"),
        (lambda: Samples([[1e-6], [-1e-6]]), ValueError, r"conductance_S\[1\]=-1e-06 S is out of range"),
        (lambda: Samples(TWO, [1e-6]), ValueError, r"about_S must give one conductance for each of the 2 levels"),
        (lambda: Device(var=Samples(TWO)), ValueError, r"var gives a law to each of 2 levels, but g_level=16"),
        (
            lambda: Device(g_level=2, var=Samples([[1e-6], [2e-6]])),
            ValueError,
            r"var: the samples of every level are eq",
        ),
        (lambda: Flicker(0.1, 1.0, 0.5), ValueError, r"t0_s=0.5 s must be later than one read lasts, t_read_s=1 s"),
        (lambda: Drift(0), ValueError, r"nu=0 and nu_spread=0 let nothing drift: use drift=None"),
        (lambda: Drift(-0.1), ValueError, r"nu=-0.1 is out of range"),
        (lambda: Device(drift=Drift([0.1, 0.2])), ValueError, r"drift: nu gives a law to each of 2 levels"),
        (lambda: Device(drift=0.05), TypeError, r"drift=0.05 must be a Drift, or None for none"),
        (lambda: Device(write_var=0.1, verify=3), TypeError, r"verify=3 must be a WriteVerify, or None for none"),
        (lambda: Device(verify=WriteVerify(1e-7)), ValueError, r"verify has no effect without write variation"),
        (lambda: WriteVerify(0), ValueError, r"tolerance_S=0 S is out of range: it must be above 0"),
        (lambda: WriteVerify(1e-7, 0), ValueError, r"pulses=0 is out of range: it must be from 1 to 65536"),
        (lambda: Device(levels=[1e-6]), ValueError, r"levels=\[1e-06\] must give the conductance of every level"),
        (
            lambda: Device(levels=[1e-6, 1e-6]),
            ValueError,
            r"levels must ascend, but levels\[0\]=1e-06 S and levels\[1\]=1e-06",
        ),
        (lambda: Device(levels=[1e-6, 2e-6], g_level=3), ValueError, r"g_level=3 contradicts levels, by which it is 2"),
        (
            lambda: Device(levels=[1e-6, 2e-6], HGS=1e-5),
            ValueError,
            r"HGS=1e-05 contradicts levels, by which it is 2e-06",
        ),
        (
            lambda: Device(levels=[1e-6, 2e-6], LGS=1e-7),
            ValueError,
            r"LGS=1e-07 contradicts levels, by which it is 1e-06",
        ),
    ],
)
def test_refused(build, kind, message):
    with pytest.raises(kind, match=message):
        build()


def test_kinds_are_frozen_hashable_values_of_any_library():
    rows = np.array([[2e-7, 1e-7], [1e-5, 1.1e-5]])
    assert Samples(rows) == Samples(TWO) == Samples(list(rows))
    assert hash(Samples(rows)) == hash(Samples(TWO)) != hash(Samples(TWO, [1e-7, 1e-5]))
    assert Gaussian(np.array([1e-7, 2e-7])) == Gaussian((1e-7, 2e-7))
    assert Device(var=np.full(16, 0.1)) == Device(var=(0.1,) * 16) != Device(var=0.1)
    assert Device(var=[0.0] * 16) == Device(var=0)
    d = Device(g_level=2, write_var=Samples(TWO), drift=Drift(0.1), verify=WriteVerify(1e-7))
    assert pickle.loads(pickle.dumps(d)) == d
    assert repr(d.write_var) == "Samples(2 levels, 2 samples each)"
    assert DPETensor(device=None, seed=0, g_level=2, w_slices=[1, 1], write_var=Samples(TWO)).config.device.write_var
    if torch is not None:
        assert Device(var=torch.full((16,), 0.5)) == Device(var=(0.5,) * 16)


def test_one_spread_for_all_levels_is_the_number_itself(rng):
    x, w = rng.standard_normal((5, 70)), rng.standard_normal((70, 30))
    for backend in ("numba", "reference"):
        one, many = (
            MapReducedot(x, w, seed=1, var=var, write_var=0.1, backend=backend) for var in (0.05, (0.05,) * 16)
        )
        assert same_bits(one, many)


EVEN = np.linspace(0, 1.5e-5, COUNT)
ONE = EVEN.copy()
ONE[7] += 4e-8  # root mean square over 16 levels: a hundredth of a level


@pytest.mark.parametrize(
    ("settings", "spread"),  # in levels of 1 uS
    [
        ({}, None),
        ({"var": 0.3, "write_var": 0.05}, 0.05),
        ({"var": [0.3, *[0.1] * 14, 0.001]}, 0.015),  # the highest of 16 levels
        ({"var": [0.02, *[0.1] * 15]}, 0.02),  # level 0 counts as level 1
        ({"write_var": Gaussian([1e-6, 2e-8, *[1e-6] * 14])}, 0.02),
        ({"write_var": Gaussian([0.0, *[1e-6] * 15])}, 1.0),
        ({"write_var": Samples([[g, g + 4e-8] for g in EVEN])}, 0.02),
        ({"write_var": Samples([[g + 3e-8] for g in EVEN])}, 0.03),
        ({"write_var": Samples([[g] for g in EVEN])}, None),
        ({"var": Flicker(0.01, 250e-9, 20.0)}, 0.01 * math.sqrt(math.log(4e7))),
        ({"write_var": 0.3, "verify": WriteVerify(1e-9)}, 0.001),
        ({"drift": Drift(0.5, 0.004)}, 0.004),
        ({"drift": Drift(0.06)}, 0.06),
        ({"drift": Drift([0.2, *[0.06] * 15])}, 0.06),
        ({"levels": ONE}, 0.01),
        ({"levels": EVEN}, None),
        ({"var": 2.0, "LGS": 3e-4, "HGS": 3.15e-4}, 602.0),
    ],
)
def test_the_grid_is_as_fine_as_the_smallest_spread_asks(settings, spread):
    given = {"var": 0, "LGS": 0.0, "HGS": 1.5e-5} | settings
    found = memristors.grid_bits(Device(**given))
    if spread is None:
        assert found == 0
    else:
        assert found == next(f for f in range(1, 17) if f == 16 or 2.0**-f <= spread / 32)


def test_strong_variation_of_few_levels_still_has_a_grid(rng):
    # the spread is many levels wide: the cells are noisy all the same, and nothing folds into codes
    d = Device(LGS=9e-6, HGS=1e-5, g_level=16, var=2.0)
    engine = Engine(d, adc=ADC(64 * 225 + 1), seed=1)
    assert plans.cell_format(engine.config).fraction == 1
    x, w = rng.standard_normal((3, 70)), rng.standard_normal((70, 4))
    assert SNR(engine(x, w), x @ w) < 10


def test_a_matrix_is_no_younger_than_any_of_its_laws():
    given = {"t0_s": 20.0}
    late = Device(var=Flicker(0.05, **given), drift=Drift(0.05, t0_s=1.0)), Device(var=0.0, drift=Drift(0.05, **given))
    for device in (*late, Device(var=Flicker(0.05, t0_s=1.0), drift=Drift(0.05, **given))):
        W = Engine(device, seed=1).program(np.eye(3))
        assert W.at(20.0).age.time_s == 20.0
        for early in (5.0, 19.999):
            with pytest.raises(ValueError, match=rf"t={early:g} s is before t0_s=20 s, from when on"):
                W.at(early)


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("g_level", [16, 64])
def test_stuck_cells_saturate_like_any_other_once_the_reference_has_drifted_away(backend, g_level):
    # rho of 4 ranges: what drift takes from the reference column is more than cells can be above it
    device = Device(HGS=5e-6, LGS=4e-6, g_level=g_level, var=0.0, drift=Drift(0.1), stuck_HGS=0.5, stuck_LGS=0.5)
    engine = Engine(device, seed=1, backend=backend)
    W = engine.program(np.ones((40, 40)))
    assert set(np.unique(W.conductance().round(12))) == {4e-6, 5e-6}
    aged = W.at(1e6)
    left = 4e-6 * 1e6**-0.1
    assert 4e-6 - left > 2 * 1e-6
    # twice the range above the reference, with which currents still are exact
    np.testing.assert_allclose(aged.conductance(), left + 2e-6, atol=device.step_S / 2)
    other = Engine(device, seed=1, backend="reference").program(np.ones((40, 40))).at(1e6)
    x = np.linspace(-1, 1, 40)
    assert same_bits(aged.read(x, read=0), other.read(x, read=0))
    # a little earlier those stuck at LGS are not clipped yet, those at HGS are
    aged = W.at(1e2)
    left = 4e-6 * 1e2**-0.1
    assert 1e-6 < 4e-6 - left < 2e-6
    found = np.sort(np.unique(aged.conductance()))
    np.testing.assert_allclose(found, [4e-6, left + 2e-6], atol=device.step_S / 2)
