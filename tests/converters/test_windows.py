"""Windows of ADCs whose codes do not hold zero."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from libraries import RUNNERS, same_bits
from scipy import stats
from strategies import thinned

from mpimpy import ADC, DAC, Config, Device, Engine, Format, Ranges, Tile, plot
from mpimpy.analysis.metrics import SNR
from mpimpy.crossbar import plan as plans
from mpimpy.crossbar.product import panels, reduce_panels
from mpimpy.matrix import backend_of, encode_inputs

BINARY = {"inputs": Format((1, 1), mapping="signed"), "weights": Format((1, 1), mapping="pair")}
QUANTUM = 0.1 * 1e-5  # A: current of one cell at its highest


def binary(adc, rows=256, **given):
    """An engine whose currents are dot products of zeros and ones, as many quanta."""
    device = Device(HGS=1e-5, LGS=0.0, g_level=2, var=0)
    return Engine(device, DAC(2), adc, Tile(rows, 64), seed=1, **BINARY, **given)


def window(low, codes, step, **given):
    """An ADC whose codes begin at a current and lie at equal distances, in quanta."""
    return ADC(codes, range=(low * QUANTUM, (low + step * (codes - 1)) * QUANTUM), **given)


def dots(engine, rows=256):
    """The product for each number of quanta, 0 to `rows`."""
    x = np.tril(np.ones((rows + 1, rows)), -1)
    x[0, :] = 0
    x[:, 0] = np.arange(rows + 1) > 0  # a row without a one has a scale of 0: its conversions do not count
    return engine(x[1:], np.ones((rows, 1)))[:, 0]


@pytest.mark.parametrize(("low", "step"), [(34.5, 2), (34.25, 2), (3, 4), (1.5, 0.5), (-7.5, 3), (0.4, 1.3)])
def test_codes_lie_where_the_window_says(low, step):
    found, current = dots(binary(window(low, 32, step))), np.arange(1, 257)
    code = np.clip(np.rint((current - low) / step), 0, 31)
    nearest = np.abs((current - low) / step - np.rint((current - low) / step))
    settled = nearest < 0.499  # ties go to even codes, which depends on where zero is
    np.testing.assert_allclose(found[settled], (low + code * step)[settled], rtol=1e-6, atol=1e-5)


def moved(low, step):
    return Fraction(low) / Fraction(step) - round(Fraction(low) / Fraction(step))


@pytest.mark.parametrize(("low", "step"), [(34.5, 2), (0.5, 1), (-0.5, 1), (3.75, 1.5)])
def test_origins_are_the_windows_own(low, step):
    reading = plans.plan(binary(window(low, 32, step)).config).reading
    assert reading.adc_origin[0][0] == pytest.approx(float(moved(low, step)), rel=1e-6)
    assert reading.code_range[0][0][0] == round(Fraction(low) / Fraction(step))


@pytest.mark.parametrize(
    "adc", [ADC(16), ADC(16, range=1e-5), ADC(range="lossless"), window(6, 16, 2), window(-6, 16, 2)]
)
def test_where_zero_is_a_code_nothing_is_added(adc):
    reading = plans.plan(binary(adc).config).reading
    assert reading.adc_origin is None
    assert reading.tile_sum == 0


def test_ends_are_taken_to_a_millionth_of_a_step():
    # 0.1 and 0.3 are no binary fractions, and yet the first is a third of the second
    assert plans.plan(binary(window(0.1, 4, 0.1)).config).reading.adc_origin is None
    assert plans.plan(binary(window(0.1 + 1e-8, 4, 0.1)).config).reading.adc_origin is None
    assert plans.plan(binary(window(0.1 + 1e-6, 4, 0.1)).config).reading.adc_origin is not None


@pytest.mark.parametrize("share", [0.25, 0.375, 0.6875])
def test_ends_of_very_fine_codes_are_taken_to_what_floats_tell_apart(share):
    # the rounding of the currents themselves is many millionths of a step
    full = 256 * QUANTUM
    for rows in (255, 256, 299):
        adc = ADC(2**46 + 1, range=(-share * full * rows / 256, (1 - share) * full * rows / 256))
        assert plans.plan(binary(adc, rows).config).reading.adc_origin is None


@pytest.mark.parametrize(
    ("ratios", "method"), thinned(itertools.product(["powers", "free"], ["error", "percentile"]), every=3)
)
def test_calibrated_ranges_hold_zero(ratios, method, rng):
    x, w = rng.standard_normal((20, 70)), rng.standard_normal((70, 20))
    for mappings in (("twos", "twos"), ("signed", "pair"), ("twos", "offset")):
        inputs, weights = (Format(mapping=mapping) for mapping in mappings)
        for codes in (37, 2**20):
            engine = Engine(Device(var=0.02), adc=ADC(codes), inputs=inputs, weights=weights, seed=1)
            fitted = engine.calibrate(x, w, method=method, ratios=ratios)
            assert plans.plan(fitted.config).reading.adc_origin is None


def test_a_published_range_of_five_bits_gives_what_its_law_says(rng):
    # CACTUS, arXiv 2507.09776: binary dot products of 256, a quarter of the products are ones; noise of 0.5 mV at
    # steps of 0.9 / (256 * 1.3) V; codes two quanta apart, the first threshold at 35.5
    x, w = (rng.random(shape) < 0.5 for shape in ((400, 256), (256, 300)))
    sigma = 0.5e-3 / (0.9 / (256 * 1.3))
    dot = x.astype(float) @ w
    found = binary(window(34.5, 32, 2, noise_lsb=sigma / 2))(x.astype(float), w.astype(float))

    def law(low):
        # sums of the products have the variance 48
        ones, codes = np.arange(257)[:, None], low + 2 * np.arange(32)
        below = stats.norm.cdf((codes[:-1] + 1 - ones) / sigma)
        error = (np.diff(below, axis=1, prepend=0, append=1) * (codes - ones) ** 2).sum(axis=1)
        return 10 * math.log10(48 / (stats.binom.pmf(ones[:, 0], 256, 0.25) @ error))

    # an independent simulation
    drawn = 34.5 + 2 * np.searchsorted(35.5 + 2 * np.arange(31), dot + sigma * rng.standard_normal(dot.shape))

    def decibels(result):
        return 10 * math.log10(48 / np.mean((result - dot) ** 2))

    assert law(34.5) == pytest.approx(22.72, abs=0.005)
    assert decibels(drawn) == pytest.approx(law(34.5), abs=0.1)
    assert decibels(found) == pytest.approx(law(34.5), abs=0.1)
    # a window that holds zero has thresholds at whole quanta, and loses 3 dB
    at_zero = binary(window(34, 32, 2, noise_lsb=sigma / 2))(x.astype(float), w.astype(float))
    assert decibels(at_zero) == pytest.approx(law(34), abs=0.1)
    assert law(34) == pytest.approx(19.8, abs=0.05)


TABLE = Ranges([[-3.3e-6, 0.0], [1.1e-6, 2.1e-6]], [[2.7e-5, 1e-5], [3.3e-5, 1.7e-5]])


@pytest.mark.parametrize("snap", [False, True])
@pytest.mark.parametrize("saturate", [False, True])
@pytest.mark.parametrize("span", [(-3.3e-6, 3e-5), TABLE], ids=["window", "table"])
@pytest.mark.parametrize("var", [0, 0.05])
def test_every_library_and_backend_has_the_same_bits(span, saturate, snap, var, rng):
    x, w = rng.standard_normal((33, 17)), rng.standard_normal((17, 35))
    adc, fmt = ADC((19, 64), range=span, saturate=saturate, snap=snap), Format((1, 3))
    found = {}
    for name, (make, backend) in RUNNERS.items():
        engine = Engine(Device(var=var), adc=adc, tile=Tile(7, 64), inputs=fmt, weights=fmt, seed=1, backend=backend)
        assert plans.plan(engine.config).reading.adc_origin is not None
        found[name] = np.asarray(engine(make(x), make(w)))
    first, *others = found.values()
    assert all(same_bits(first, other) for other in others)
    few = Engine(Device(var=var), adc=adc, tile=Tile(7, 64), inputs=fmt, weights=fmt, seed=1)
    assert same_bits(few.program(w).read(x[:3], read=0), first[:3])


@pytest.mark.parametrize("shift", [0.25, 0.5, -0.4])
def test_a_window_off_zero_costs_no_more_than_one_that_holds_it(shift, rng):
    # the error of fine codes is that of rounding alone, wherever zero lies
    x, w = rng.standard_normal((64, 128)), rng.standard_normal((128, 64))
    fmt, step = Format((1, 4)), 6.3e-5 / 500

    def decibels(more):
        adc = ADC(501, range=((more - 10) * step, (more + 490) * step))
        engine = Engine(Device(var=0.02), adc=adc, inputs=fmt, weights=fmt, seed=1)
        return SNR(engine(x, w), engine.replace(adc=ADC(None))(x, w))

    assert decibels(shift) == pytest.approx(decibels(0), abs=0.5)


def test_products_of_digits_snap_from_off_zero():
    # a code every third of a quantum: what snaps is exact
    engine = binary(window(-0.5 / 3, 800, 1 / 3, snap=True))
    assert plans.plan(engine.config).reading.adc_origin is not None
    np.testing.assert_array_equal(dots(engine), np.arange(1, 257))


def test_a_product_in_panels_has_the_same_bits(rng):
    x, w = rng.standard_normal((5, 40 * 8)), rng.standard_normal((40 * 8, 9))
    engine = Engine(adc=ADC(20, range=(-1e-6, 4.4e-6)), tile=Tile(8, 8), seed=1)
    assert plans.plan(engine.config).reading.adc_origin is not None
    sums = []
    for span in (slice(0, 256), slice(256, 320)):
        part = engine.program(w[span], origin=(span.start, 0))
        sums += panels(backend_of(part), *encode_inputs(part, x[:, span]), 2)
    assert same_bits(reduce_panels(sums, "float64"), engine.program(w).read(x, read=2))


def test_the_picture_of_codes_stands_where_they_are():
    engine = binary(window(34.5, 32, 2))
    ax = plot.adc_codes(engine.program(np.ones((256, 4))), np.ones((3, 256)))
    ends = sorted(line.get_xdata()[0] for line in ax.get_lines())
    assert ends == pytest.approx([34.5, 96.5])


def test_the_report_names_the_current_of_the_highest_code():
    config = Config(adc=ADC(100, range=(1.3e-6, 2e-5)))
    report = Engine.from_config(config, seed=1).program(np.eye(8)).report()
    assert report.full_scale_A == pytest.approx(2e-5, rel=1e-6)
