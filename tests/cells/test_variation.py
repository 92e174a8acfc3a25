"""Every random effect against the law that it claims, and against its address."""

import itertools
import math

import numpy as np
import pytest
from libraries import plain_reading, read_levels, same_bits
from scipy import stats

from mpimpy import DAC, SNR, Device, DPETensor, Engine, Format, converters, noise
from mpimpy._writing import choose_backend
from mpimpy.backends.cpu import numba_cpu
from mpimpy.cells import memristors
from mpimpy.crossbar import plan as plans

ROWS, COLS = 256, 400


def levels(engine, w=None):
    """Conductances as programmed, in levels above LGS: (slices, K, N)."""
    w = np.zeros((ROWS, COLS)) if w is None else w
    d = engine.config.device
    return (engine.program(w).conductance() - d.LGS) / d.step_S


def full(sign=1.0):
    # the largest negative-free code, 127: every cell of the lower slices at its highest digit
    return np.full((ROWS, COLS), sign)


@pytest.mark.parametrize("var", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("when", ["write", "read"])
def test_variation_is_lognormal(var, when):
    d = Device(var=var if when == "read" else 0, write_var=var if when == "write" else 0)
    matrix = Engine(d, seed=3).program(full())
    if when == "write":
        seen = (matrix.conductance() - d.LGS) / d.step_S
    else:
        seen = read_levels(matrix, 0)[::-1]
    factor = (seen[3] + d.rho) / (15 + d.rho)  # the widest slice sits at level 15
    low = math.exp(var**2 / 2)
    n = factor.size
    spread = low * math.sqrt(math.expm1(var**2))
    assert abs(factor.mean() - low) < 5 * spread / math.sqrt(n)
    assert abs(factor.std() / spread - 1) < 5 * math.sqrt((stats.lognorm(var).stats("k") + 2) / (4 * n)) + 1e-3
    # the sample is a multiple of 2**-f: a spread of noise below the grid makes it continuous
    grid = 2.0 ** -plans.cell_format(matrix.config).fraction / (15 + d.rho)
    smooth = factor + np.random.default_rng(0).uniform(-grid / 2, grid / 2, factor.shape)
    assert stats.kstest(smooth.ravel()[:20000], stats.lognorm(var).cdf).pvalue > 1e-3
    # level 0 varies around LGS: the reference column's cell is nominal
    zero = (seen[0] + d.rho) / d.rho
    assert abs(zero.mean() - low) < 5 * spread / math.sqrt(n) + 1e-3


def test_two_effects_multiply():
    d = Device(var=0.05, write_var=0.1)
    matrix = Engine(d, seed=3).program(full())
    written = (matrix.conductance()[3] - d.LGS) / d.step_S
    read = read_levels(matrix, 0)[0]
    ratio = (read + d.rho) / (written + d.rho)
    assert abs(np.log(ratio).std() / 0.05 - 1) < 0.02
    assert abs(np.corrcoef(np.log(ratio).ravel(), np.log(written + d.rho).ravel())[0, 1]) < 0.02
    assert abs(np.log((read + d.rho) / (15 + d.rho)).std() / math.hypot(0.05, 0.1) - 1) < 0.02


def test_cells_saturate_at_twice_the_range():
    seen = levels(Engine(Device(var=0, write_var=2.0), seed=1), full())
    assert seen.max() == 30
    assert seen.min() >= -30


def test_voltage_noise_is_gaussian_and_relative():
    engine = Engine(Device(var=0), DAC(vnoise=0.05), inputs=Format([1, 4]), seed=5)
    plan = plans.plan(engine.config)
    digits = np.full((2, 300, 200), 15, np.int8)
    digits[1] = 0
    backend = choose_backend(engine, digits)
    driven = converters.drive(backend, engine.config.dac, plan, digits, noise.Address(5, 0, 0, 0))
    assert (plan.reading.strides, plan.reading.widths) == ((1, 1), None)
    factor = driven[0] / 15 / 2.0**plan.cell_format.voltage_fraction
    assert abs(factor.mean() - 1) < 5 * 0.05 / math.sqrt(factor.size)
    assert abs(factor.std() / 0.05 - 1) < 0.02
    assert stats.kstest(factor.ravel()[:20000], stats.norm(1, 0.05).cdf).pvalue > 1e-3
    assert np.all(driven[1] == 0)


@pytest.mark.parametrize(("high", "low"), [(0.01, 0.0), (0.0, 0.02), (0.1, 0.3), (1.0, 0.0), (2e-5, 0.0)])
def test_rates_of_stuck_cells(high, low):
    half = np.where(np.arange(COLS) % 2, 1.0, 0.5) * np.ones((ROWS, 1))
    d = Device(var=0, stuck_HGS=high, stuck_LGS=low)
    clean = levels(Engine(Device(var=0), seed=9), half)
    seen = levels(Engine(d, seed=9), half)
    n = seen.size
    for rate, level in ((high, 15), (low, 0)):
        moved = np.sum((seen != clean) & (seen == level))
        free = np.mean(clean != level)
        assert stats.binomtest(int(moved), n, min(rate * free, 1)).pvalue > 1e-4
    assert np.all((seen == clean) | (seen == 15) | (seen == 0))


def test_stuck_cells_are_not_written_but_vary_when_read():
    d = Device(var=0.05, write_var=0.2, stuck_HGS=1.0)
    matrix = Engine(d, seed=1).program(np.zeros((64, 64)))
    assert np.all(matrix.conductance() == d.HGS)
    assert read_levels(matrix, 0).std() > 0.5


def test_sigma_of_the_output_follows_the_cells(rng):
    # independent errors: var(y) = sum of x^2 g^2 relvar over the cells of a column
    engine = DPETensor(LGS=0, var=0.05, radc=None, x_slices=[1, 4], w_slices=[1, 4], seed=2)
    x, w = np.ones((1, 64)), np.ones((64, 300))
    matrix = engine.program(w)
    sample = np.concatenate([matrix.read(x, read=r) for r in range(20)]).ravel()
    mean = math.exp(0.05**2 / 2)
    sigma = 8 * mean * math.sqrt(math.expm1(0.05**2))
    assert abs(sample.mean() - 64 * mean) < 5 * sigma / math.sqrt(sample.size)
    assert abs(sample.std() / sigma - 1) < 5 / math.sqrt(2 * sample.size)


def test_all_rows_of_a_product_share_one_read_and_reads_differ(rng):
    w = rng.standard_normal((64, 64))
    x = np.repeat(rng.standard_normal((1, 64)), 8, axis=0)
    matrix = DPETensor(seed=1).program(w)
    first, second = matrix.read(x), matrix.read(x)
    assert np.all(first == first[0])
    assert np.mean(first[0] == second[0]) < 0.5


def test_independent_errors_between_slices_rows_columns_chips_and_reads():
    d = Device(var=0.05)

    def noise(seed=1, chip=0, read=0, shift=0):
        matrix = Engine(d, seed=seed, chip=chip).program(full())
        seen = read_levels(matrix, read)[0, shift:, : COLS - 8]
        return seen.ravel()[: 200 * (COLS - 8)]

    matrix = Engine(d, seed=1).program(full())
    samples = [noise(), noise(seed=2), noise(chip=1), noise(read=1), noise(shift=1)]
    samples.append(read_levels(matrix, 0)[1, :, : COLS - 8].ravel()[: 200 * (COLS - 8)])
    samples.append(read_levels(matrix, 0)[0, :, 8:].ravel()[: 200 * (COLS - 8)])
    for a, b in itertools.combinations(samples, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(a.size)


def test_adc_limited_snr_falls_3_dB_per_doubling_of_rows(rng):
    # zero-mean currents grow as the root of the rows, the full-scale step as the rows
    snr = []
    for rows in (64, 128, 256):
        codes = rng.integers(-1, 2, (1, 400, rows)).astype(np.int8)
        grid = rng.integers(-1000, 1001, (1, rows, 400)).astype(np.int16)
        exact = codes[0].astype(np.float64) @ grid[0]
        scale, step = (np.ones((400, 1)), np.ones((1, 400))), 255 / (rows * 1000)
        reading = plain_reading(rows=rows, bound=rows * 1000, adc_gain=((step,),), shift_weights=((1 / step,),))
        result = numba_cpu.read(codes, scale[0], grid, scale[1], reading, "float64")
        snr.append(SNR(result, exact))
    for few, many in itertools.pairwise(snr):
        assert abs(few - many - 3.01) < 0.1


def test_an_effect_that_is_off_draws_nothing(monkeypatch, rng):
    x, w = rng.standard_normal((4, 64)), rng.standard_normal((64, 4))
    engine = Engine(Device(var=0), seed=1, backend="reference")

    def forbidden(*_, **__):
        raise AssertionError("drew a random number")

    monkeypatch.setattr(noise, "words", forbidden)
    monkeypatch.setattr(noise, "lognormal_table", forbidden)
    matrix = engine.program(w)
    assert np.shares_memory(
        matrix.programmed.as_programmed.cells, matrix.programmed.encoded.digits
    )  # the levels themselves, not a copy
    matrix.read(x)
    with pytest.raises(AssertionError, match="drew"):
        engine.replace(device={"var": 0.1}).MapReduceDot(x, w)


def test_double_exponent_planes_have_cells_of_their_own():
    fmt = Format(bw_e=8, double=True)
    d = Device(var=0, write_var=0.1)
    g = Engine(d, weights=fmt, inputs=Format(bw_e=8), seed=1).program(np.ones((64, 64))).conductance()
    assert g.shape == (2, 4, 64, 64)
    sets = [g[p, s].tobytes() for p in range(2) for s in range(4)]
    assert len(set(sets)) == 8


def test_the_same_chip_is_the_same_everywhere(rng):
    w = rng.standard_normal((70, 50))
    settings = {"write_var": 0.1, "stuck_HGS": 0.01, "stuck_LGS": 0.01}
    one = DPETensor(seed=4, chip=7, **settings).program(w)
    two = DPETensor(seed=4, **settings).program(w, chip=7)
    assert same_bits(one.conductance(), two.conductance())
    assert not same_bits(one.conductance(), DPETensor(seed=4, chip=8, **settings).program(w).conductance())
    x = rng.standard_normal((3, 70))
    before = one.conductance()
    one.read(x)
    assert same_bits(one.conductance(), before)


def test_shares_are_finer_than_a_16_bit_word():
    # 1e-6 of the cells is 4295 in 2**32, and less than one in 2**16
    assert memristors._share(1e-6) == 4295
    assert memristors._share(1e-12) == 1
    assert memristors._share(0) == 0
    seen = Engine(Device(var=0, stuck_HGS=1e-6), seed=2).program(np.zeros((1000, 2000))).conductance()
    assert 1 <= np.sum(seen > 1e-7) <= 25  # 8 expected


@pytest.mark.parametrize(("var", "write_var"), [(0.8, 0.0), (0.8, 0.8), (1.5, 1.5)])
@pytest.mark.parametrize("g_level", [16, 17, 32, 64])
def test_factors_that_pass_32_bits_have_the_same_bits(rng, var, write_var, g_level):
    # a cell at twice its range, times the largest factor: beyond 2**31 the kernel has to take 64 bits
    x, w = rng.standard_normal((4, 150)), rng.standard_normal((150, 300))
    results = [
        Engine(Device(var=var, write_var=write_var, g_level=g_level), seed=3, backend=backend)
        .program(w)
        .read(x, read=0)
        for backend in ("numba", "reference")
    ]
    assert same_bits(*results)
