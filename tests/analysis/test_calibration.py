"""ADC ranges from data: against theory, the figures promised, and every setting that has to work with them."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from libraries import same_bits, sampled
from scipy import stats
from strategies import examples, products, runners

from mpimpy import ADC, SNR, Device, DPETensor, Engine, Format, Tile, Wires
from mpimpy.analysis import calibration, windows
from mpimpy.crossbar import plan as plans

# optimal clip of a uniform quantiser in standard deviations, and its SQNR in dB, for a Gaussian
THEORY = {6: (3.33, 29.83), 8: (3.94, 40.57), 10: (4.50, 51.55)}


@pytest.mark.parametrize("bits", THEORY)
def test_a_gaussian_current_gets_the_optimal_range(bits):
    ends, expected = THEORY[bits]
    rng = np.random.default_rng(bits)
    values = stats.norm.ppf((np.arange(2**18) + 0.5) / 2**18) * 1000.0
    window = windows.best_window(windows.weighted(values, np.ones_like(values)), 2**bits, 20_000.0, free=True)
    first, width = window.first, window.width
    assert width / 2000 == pytest.approx(ends, abs=0.12)
    assert -first == pytest.approx(2 ** (bits - 1), abs=max(1, 0.03 * 2 ** (bits - 1)))
    fresh = rng.standard_normal(2**20) * 1000.0
    found = windows.quantise(fresh, 2**bits, window)
    assert abs(SNR(found, fresh) - expected) < 0.2


def test_a_window_is_placed_where_it_clips_least():
    rng = np.random.default_rng(1)
    values = np.sort(rng.standard_normal(5000) ** 2 * 40 + 300)
    for width in (20.0, 50.0, 200.0):
        step = width / 15
        errors = {
            k: float(np.sum((values - np.clip(values, k * step, (k + 15) * step)) ** 2)) for k in range(-20, 2000)
        }
        found = windows.first_code(windows.weighted(values, np.ones_like(values)), step, 16)
        assert errors[found] == min(errors.values())


@pytest.mark.parametrize(
    ("values", "first"),
    [([0.0, 3.0, 9.0], 0), ([-3.0, 4.0], -8), ([4.0, 17.0], 3), ([-11.0, -1.0], -14), ([0.0, 0.0], 0)],
)
def test_a_window_that_covers_everything_begins_where_one_expects(values, first):
    values = np.array(values)
    assert windows.first_code(windows.weighted(values, np.ones_like(values)), 1.0, 16) == first


@pytest.mark.slow
@pytest.mark.parametrize(("granularity", "full", "best"), [((64, 64), 16.6, 35.5), ("finest", 23.2, 40.0)])
def test_it_gains_what_was_promised(granularity, full, best):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 256, 256))
    fmt = Format(granularity=granularity)
    engine = Engine(Device(var=0), inputs=fmt, weights=fmt, seed=1)
    before, after = SNR(engine(x, w), x @ w), SNR(engine.calibrate(x, w)(x, w), x @ w)
    free = SNR(engine.calibrate(x, w, ratios="free")(x, w), x @ w)
    assert full < before < after < free
    assert best <= after
    # and not only on the sample
    y = rng.standard_normal((256, 256))
    assert SNR(engine.calibrate(x[:32], w)(y, w), y @ w) > after - 0.5


@pytest.mark.slow
def test_power_of_two_ratios_keep_shift_and_add_an_integer_sum(rng):
    x, w = rng.standard_normal((2, 64, 64))
    engine = Engine(seed=1).calibrate(x, w)
    spans = np.array(engine.config.adc.range.span)
    assert np.all(np.log2(spans / spans[0, 0]) % 1 == 0)
    assert len(np.unique(spans)) > 1
    weights = plans.plan(engine.config).reading.shift_weights
    assert all(weight.is_integer() for row in weights for weight in row)
    free = Engine(seed=1).calibrate(x, w, ratios="free")
    assert not all(weight.is_integer() for row in plans.plan(free.config).reading.shift_weights for weight in row)


@pytest.mark.parametrize("percentile", [90.0, 99.0, 100])
@pytest.mark.parametrize("ratios", calibration.RATIOS)
def test_a_percentile_is_the_share_that_is_covered(rng, percentile, ratios):
    x, w = rng.standard_normal((2, 64, 64))
    engine = Engine(Device(var=0), adc=ADC(4096), seed=1)
    engine = engine.calibrate(x, w, method="percentile", percentile=percentile, ratios=ratios)
    reading, found = plans.plan(engine.config).reading, sampled(engine.program(w), x)
    for j, row in enumerate(found):
        for i, values in enumerate(row):
            codes = np.round(values * reading.adc_gain[j][i])
            lows, tops = reading.code_range
            beyond = np.mean((codes < lows[j][i]) | (codes > tops[j][i]))
            # a range of integers may cover a few more
            assert beyond <= 1 - percentile / 100 + 1e-9
            if ratios == "free" and percentile == 90 and len(np.unique(values)) > 300:
                assert beyond > 0.05


@pytest.mark.slow
@given(products(ideal=False), st.sampled_from(calibration.METHODS), st.sampled_from(calibration.RATIOS), runners())
@settings(max_examples=examples(8))
def test_every_configuration_can_be_calibrated_and_gives_the_same_bits_everywhere(case, method, ratios, chosen):
    config, x, w = case
    assume(x.any() and w.any())
    if config.adc.range == "lossless":
        config = config.replace(adc={"range": "full"})
    found = set()
    results = []
    for _, make, backend in chosen:
        engine = Engine.from_config(config, seed=1, backend=backend)
        engine = engine.calibrate(make(x), make(w), method=method, ratios=ratios)
        found.add(engine.config.adc.range)
        results.append(np.asarray(engine.program(make(w)).read(make(x), read=0)))
    assert len(found) == 1
    assert all(same_bits(result, results[0]) for result in results)


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"w_mapping": "pair", "x_mapping": "signed"},
        {"w_mapping": "offset", "g_level": 32},
        {"wire_resistance": 2.93},
        {"vnoise": 0.02},
        {"radc": (1024, 512, 64, 64)},
        {"bw_e": 8, "dbfp_en": True},
        {"snap": True},
        {"w_slices": (1,) * 8, "x_slices": (1, 7), "rdac": 128},
    ],
    ids=str,
)
def test_it_gains_with_every_setting(rng, given):
    x, w = rng.standard_normal((100, 130)), rng.standard_normal((130, 60))
    engine = DPETensor(**{"var": 0.0, "seed": 1, "radc": 64} | given)
    before, after = engine(x, w), engine.calibrate(x, w)(x, w)
    assert SNR(after, x @ w) > SNR(before, x @ w) + 1


def test_a_range_is_looked_for_beyond_one_that_loses_more():
    # Steps of 4/3 and 2/3 miss 1 by a third, and the second clips 2.5 besides; a step of 1/3 has a code for 1.
    values = np.sort([0.0] * 500 + [1.0] * 500 + [2.5])

    def error(width):
        step = width / 3
        codes = [np.clip(np.round(values / step), first, first + 3) for first in range(-3, 20)]
        return min(float(np.mean((values - code * step) ** 2)) for code in codes)

    assert error(2.0) > 1.0001 * error(4.0) > 1.0001 * 10 * error(1.0)
    best = windows.best_window(windows.weighted(values, np.ones_like(values)), 4, 4.0)
    assert (best.first, best.width) == (0, 1.0)
    assert best.error == pytest.approx(len(values) * error(1.0))
    # as good as any width that could be tried
    assert error(1.0) == min(error(4.0 * 2.0**-k) for k in range(10))


@pytest.mark.slow
def test_currents_of_zero_have_a_range_too():
    # those of the sign slices, where nothing is negative and nothing varies
    x, w = np.ones((3, 70)), np.ones((70, 2))
    engine = Engine(Device(var=0), seed=1).calibrate(x, w)
    assert engine.config.adc.range.low[0][0] == 0
    assert min(map(min, engine.config.adc.range.span)) > 1e-7
    assert SNR(engine(x, w), x @ w) > SNR(Engine(Device(var=0), seed=1)(x, w), x @ w)


@pytest.mark.slow
def test_calibrating_leaves_the_engine_as_it_is(rng):
    x, w = rng.standard_normal((2, 16, 16))
    engine = Engine(tile=Tile(16, 16), wires=Wires(1, 1), seed=3, chip=4, backend="reference")
    before = engine.config
    other = engine.calibrate(x, w)
    assert engine.config is before
    assert engine.reads == other.reads == 0
    assert (other.seed, other.chip, other.backend) == (3, 4, "reference")
    assert other.config.replace(adc={"range": "full"}) == before
    # calibrated once more it is the same: what was chosen is no input
    assert other.calibrate(x, w).config == other.config


def test_refusals(rng):
    x, w = rng.standard_normal((2, 8, 8))
    for adc in (ADC(None), ADC(range="lossless")):
        with pytest.raises(
            ValueError, match=r"calibrate chooses ranges for ADCs of finite resolution: give .* ADC\(256\)"
        ):
            Engine(adc=adc).calibrate(x, w)
    for options, message in (
        ({"method": "mean"}, r"method 'mean' is unknown: use one of 'error', 'percentile'"),
        ({"ratios": "any"}, r"ratios 'any' are unknown: use one of 'powers', 'free'"),
        ({"percentile": 99}, r"percentile=99 has no effect with method='error': leave it out"),
        (
            {"method": "percentile", "percentile": 40},
            r"percentile=40 % is out of range: it must be at least 50 and at most 100 %",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            Engine().calibrate(x, w, **options)
    with pytest.raises(ValueError, match=r"x of shape \(0, 8\) and weights of shape \(8, 8\) make no currents to look"):
        Engine().calibrate(x[:0], w)
    with pytest.raises(ValueError, match="do not fit"):
        Engine().calibrate(x[:, :3], w)
    for operands, name in (((0 * x, w), "x"), ((x, 0 * w), "w")):
        with pytest.raises(ValueError, match=rf"{name} holds nothing but zeros, and typical operands are what ranges"):
            Engine().calibrate(*operands)
