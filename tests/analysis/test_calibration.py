"""ADC ranges from data: against theory, the figures promised, and every setting that has to work with them."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits, sampled
from scipy import stats
from strategies import examples, products

from mpimpy import ADC, DAC, SNR, Config, Device, DPETensor, Engine, Format, Tile, Wires
from mpimpy.analysis import calibration, sampling, windows
from mpimpy.crossbar import plan as plans
from mpimpy.matrix import backend_of, encode_inputs

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


def test_samples_are_the_currents(rng):
    config = Config(Device(var=0.1), DAC(vnoise=0.1), tile=Tile(9, 5), inputs=Format((1, 2)), weights=Format((1, 3)))
    engine = Engine.from_config(config, seed=1)
    x, w = rng.standard_normal((6, 20)), rng.standard_normal((20, 7))
    matrix = engine.program(w)
    found = sampled(matrix, x)
    assert [[values.size for values in row] for row in found] == [[6 * 7 * 3] * 2] * 2
    again = sampled(matrix, x)
    assert all(
        same_bits(a, b) for row, other in zip(found, again, strict=True) for a, b in zip(row, other, strict=True)
    )
    # what an ADC with a code for every current would have read
    unit = plans.cell_format(config).current_unit
    fine = engine.replace(
        adc={"radc": None}, inputs={"granularity": "per-matrix"}, weights={"granularity": "per-matrix"}
    )
    one = engine.replace(inputs={"granularity": "per-matrix"}, weights={"granularity": "per-matrix"}).program(w)
    values = sampled(one, x)
    total = sum(
        part.sum() * a / u * b / v
        for row, b, v in zip(values, config.weights.shifts, plans.cell_format(config).strides, strict=True)
        for part, a, u in zip(row, config.inputs.shifts, plans.plan(config).x_strides, strict=True)
    )
    read = fine.program(w).read(x, read=2**32 - 1)
    top = (2 ** (config.inputs.bits - 1) - 1) * (2 ** (config.weights.bits - 1) - 1)
    scale = np.abs(x).max() * np.abs(w).max() / top
    assert read.sum() == pytest.approx(total / unit * scale, rel=1e-9)


def test_samples_stand_for_all_currents(rng, monkeypatch):
    monkeypatch.setattr(sampling, "SAMPLES", 800)  # of 4 tiles, 100 rows and 64 columns
    x, w = rng.standard_normal((100, 256)) * np.linspace(0.1, 3, 100)[:, None], rng.standard_normal((256, 64))
    x[7, :64] *= 50
    matrix = Engine(Device(var=0), seed=1).program(w)
    found = sampling.samples(backend_of(matrix), *encode_inputs(matrix, x), 0)
    assert found.outputs == 6400
    assert found.scales.size == found.share.size == found.currents[0][0].size == found.ends[-1]
    assert abs(found.ends[-1] - 800) <= 4
    # rows and columns that matter are seen often, and stand for few outputs
    heavy = found.scales > 3 * np.median(found.scales)
    assert heavy.sum() > 50
    assert found.share[heavy].max() < 2 < 5 < found.share[~heavy].mean()
    # sums over the sample estimate those over all currents
    whole = sampling.Sample(*everything(matrix, x))
    for power in (0, 1):
        for mine, all_of in zip(found.currents[1], whole.currents[1], strict=True):
            estimate = float(np.sum(found.share * found.scales**2 * mine**power))
            assert estimate == pytest.approx(float(np.sum(whole.scales**2 * all_of**power)), rel=0.1)


def everything(matrix, x):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "SAMPLES", 1 << 22)
        return sampling.samples(backend_of(matrix), *encode_inputs(matrix, x), 0)


@pytest.mark.slow
@given(products(ideal=False), st.sampled_from(calibration.METHODS), st.sampled_from(calibration.RATIOS))
@settings(max_examples=examples(6))
def test_every_configuration_can_be_calibrated_and_gives_the_same_bits_everywhere(case, method, ratios):
    config, x, w = case
    assume(x.any() and w.any())
    if config.adc.range == "lossless":
        config = config.replace(adc={"range": "full"})
    found = set()
    results = []
    for make, backend in RUNNERS.values():
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
    x, w = rng.standard_normal((2, 64, 64))
    engine = Engine(wires=Wires(1, 1), seed=3, chip=4, backend="reference")
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


# -- no calibration harms --------------------------------------------------------------------------


def layer(seed, rows, outliers):
    """GELU outputs with an outlier feature in some rows, and weights with a heavy row for it."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 1536))
    x *= stats.norm.cdf(x)
    w = 0.05 * rng.standard_normal((1536, 384))
    w[7] = rng.standard_normal(384)
    x[rng.choice(rows, outliers, replace=False), 7] = 24.0
    return x, w


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_an_outlier_feature_in_a_few_rows(seed):
    x, w = layer(seed, 64, 4)
    others = layer(seed + 100, 64, 4)[0]
    engine = Engine(Device(var=0), seed=1)
    fitted = engine.calibrate(x, w)
    full = SNR(engine(x, w), x @ w)
    assert 29.5 < full < 31
    assert SNR(fitted(x, w), x @ w) > full + 10
    assert SNR(fitted(others, w), others @ w) > SNR(engine(others, w), others @ w) - 0.5


@pytest.mark.slow
def test_the_number_of_samples_hardly_matters(monkeypatch):
    x, w = layer(0, 64, 4)
    engine, found = Engine(Device(var=0), seed=1), []
    for bits in (12, 15, 19):
        monkeypatch.setattr(sampling, "SAMPLES", 1 << bits)
        found.append(SNR(engine.calibrate(x, w)(x, w), x @ w))
    assert max(found) - min(found) < 1


@st.composite
def typical_operands(draw):
    """Operands of several kinds, some with outliers in elements, rows or features."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, k, n = draw(st.sampled_from([1, 5, 40])), draw(st.sampled_from([3, 64, 150])), draw(st.sampled_from([1, 20, 70]))
    x, w = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    kind = draw(st.sampled_from(["normal", "relu", "heavy", "sparse", "outlier feature", "outlier row", "constant"]))
    if kind == "relu":
        x = np.maximum(x, 0)
    elif kind == "heavy":
        x, w = rng.standard_t(2, (m, k)), rng.standard_t(3, (k, n))
    elif kind == "sparse":
        x = x * (rng.random((m, k)) < 0.1)
        x[0, 0] = 1.0
    elif kind == "outlier feature":
        x[rng.random(m) < 0.2, k // 2] = 30.0
        w[k // 2] *= 10
    elif kind == "outlier row":
        x[m // 2] *= 100
    elif kind == "constant":
        x, w = np.ones((m, k)), w + 2
    return x, w


@given(
    typical_operands(),
    st.sampled_from(calibration.RATIOS),
    st.sampled_from([16, 64, 256, (256, 64, 64, 16)]),
    st.sampled_from([{}, {"w_mapping": "pair", "x_mapping": "signed"}, {"w_mapping": "offset"}, {"snap": True}]),
    st.sampled_from(["finest", "per-matrix"]),
)
@settings(max_examples=examples(60))
def test_a_calibrated_product_is_never_worse_on_its_sample(case, ratios, radc, given, granularity):
    x, w = case
    if given.get("w_mapping") and not isinstance(radc, int):
        radc = radc[:3]
    parts = {"x_quant_gran": granularity, "w_quant_gran": granularity}
    engine = DPETensor(var=0, radc=radc, seed=1, **given, **parts)
    fitted = engine.calibrate(x, w, ratios=ratios)
    before, after = (float(np.sum((e(x, w) - x @ w) ** 2)) for e in (engine, fitted))
    assert after <= before * (1 + 1e-9)


def test_where_full_range_is_best_it_stays():
    # a code for every current: nothing is to be gained
    x, w = np.eye(4), np.arange(16.0).reshape(4, 4)
    engine = DPETensor(var=0, radc=1 << 20, seed=1)
    fitted = engine.calibrate(x, w)
    assert SNR(fitted(x, w), x @ w) >= SNR(engine(x, w), x @ w)


def test_errors_of_one_side_add_up_over_tiles():
    config = Config(Device(var=0), adc=ADC(4))
    ones = np.ones(8)
    sample = sampling.Sample(((ones,) * 4,) * 4, ones, ones, np.array([4, 8]), 4)
    search = calibration._Search(config, sample, False)
    same, opposite = np.array([1.0] * 8), np.array([1.0] * 4 + [-1.0] * 4)
    # four outputs, each the sum of two tiles that err by 1: by 2 together, or by nothing
    assert search.joint(same) == 4 * 2**2
    assert search.joint(opposite) == 0
