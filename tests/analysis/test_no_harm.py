"""Calibrated products against full range: never worse on their sample, better on other rows of the same kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from strategies import examples, some

from mpimpy import ADC, SNR, Config, Device, DPETensor, Engine
from mpimpy.analysis import calibration, sampling


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
@pytest.mark.parametrize(
    ("seed", "rows", "outliers"), some([(0, 64, 4), (1, 64, 4), (3, 64, 1), (2, 64, 4), (5, 600, 40), (4, 16, 2)], 2)
)
@pytest.mark.parametrize("ratios", calibration.RATIOS)
def test_an_outlier_feature_in_a_few_rows(seed, rows, outliers, ratios):
    x, w = layer(seed, rows, outliers)
    others = layer(seed + 100, 200, 12)[0]
    engine = Engine(Device(var=0), seed=1)
    fitted = engine.calibrate(x, w, ratios=ratios)
    full = SNR(engine(x, w), x @ w)
    assert 24 < full < 34
    assert SNR(fitted(x, w), x @ w) > full + 3
    if rows == 64 and outliers == 4:
        assert 29 < full < 31
        assert SNR(fitted(x, w), x @ w) > full + 10
    assert SNR(fitted(others, w), others @ w) > SNR(engine(others, w), others @ w) - 0.5


@pytest.mark.slow
@pytest.mark.parametrize("rows", some([4, 16, 64], 2))
@pytest.mark.parametrize("kind", ["normal", "relu", "sparse", "heavy", "scaled rows"])
def test_other_rows_of_the_same_kind_gain_too(rng, kind, rows):
    def inputs(count):
        x = rng.standard_t(3, (count, 256)) if kind == "heavy" else rng.standard_normal((count, 256))
        if kind == "relu":
            x = np.maximum(x, 0)
        elif kind == "sparse":
            x = x * (rng.random(x.shape) < 0.1)
        elif kind == "scaled rows":
            x = x * np.exp(rng.standard_normal((count, 1)))
        return x

    x, others, w = inputs(rows), inputs(200), rng.standard_normal((256, 64))
    engine = Engine(Device(var=0), seed=1)
    for ratios in calibration.RATIOS:
        fitted = engine.calibrate(x, w, ratios=ratios)
        assert SNR(fitted(others, w), others @ w) > SNR(engine(others, w), others @ w) + 3


@pytest.mark.slow
def test_the_number_of_samples_hardly_matters(monkeypatch):
    x, w = layer(0, 64, 4)
    engine, found = Engine(Device(var=0), seed=1), []
    for bits in some((12, 13, 15, 17, 19), 2):
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
        x[0, 0] = 1.0
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
    st.sampled_from([{}, {}, {"var": 0.05}, {"var": 0.02, "redraw": "slice"}, {"noise_lsb": 1.0, "vnoise": 0.01}]),
)
@settings(max_examples=examples(60))
def test_a_calibrated_product_is_never_worse_on_its_sample(case, ratios, radc, given, granularity, noisy):
    x, w = case
    if given.get("w_mapping") and not isinstance(radc, int):
        radc = radc[:3]
    parts = {"x_quant_gran": granularity, "w_quant_gran": granularity}
    engine = DPETensor(**{"var": 0, "radc": radc, "seed": 1} | given | parts | noisy)
    fitted = engine.calibrate(x, w, ratios=ratios)
    # of the read that it is judged by; without noise, of any
    before, after = (float(np.sum((e(x, w, read=2**32 - 1) - x @ w) ** 2)) for e in (engine, fitted))
    assert after <= before * (1 + 1e-9)


@pytest.mark.slow
def test_one_conversion_for_all_input_slices_can_be_calibrated(rng):
    x, w = rng.standard_normal((100, 130)), rng.standard_normal((130, 60))
    for parts, gain in (({}, 8), ({"w_mapping": "pair", "x_mapping": "signed"}, 8), ({"vnoise": 0.01}, 5)):
        engine = DPETensor(**{"var": 0, "seed": 1, "adc_per": "product"} | parts)
        fitted = engine.calibrate(x, w)
        assert {len(row) for row in fitted.config.adc.range.span} == {1}
        assert SNR(fitted(x, w), x @ w) > SNR(engine(x, w), x @ w) + gain


def test_where_full_range_is_best_it_stays():
    # a code for every current: nothing is to be gained
    x, w = np.eye(4), np.arange(16.0).reshape(4, 4)
    engine = DPETensor(var=0, radc=1 << 20, seed=1)
    fitted = engine.calibrate(x, w)
    assert SNR(fitted(x, w), x @ w) >= SNR(engine(x, w), x @ w)


def test_errors_of_one_side_add_up_over_tiles():
    config = Config(Device(var=0), adc=ADC(4))
    ones = np.ones(8)
    currents = ((ones,) * 4,) * 4
    sample = sampling.Sample(currents, currents, ones, ones, ones / 4, np.array([4, 8]), 4)
    search = calibration._Search(config, sample, False)
    unseen = [0.0] * 8
    same, opposite = np.array([1.0] * 8 + unseen), np.array([1.0] * 4 + [-1.0] * 4 + unseen)
    # four outputs, each the sum of two tiles that err by 1: by 2 together, or by nothing
    assert search.joint(same) == 4 * 2**2
    assert search.joint(opposite) == 0
