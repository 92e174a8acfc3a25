"""Signs in hardware: two's complement, differential pairs, an offset; voltages of both signs."""

import itertools

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits
from strategies import configs, matrices, thinned

from mpimpy import (
    ADC,
    DAC,
    Config,
    Device,
    DPETensor,
    Drift,
    Engine,
    Format,
    Gaussian,
    Ranges,
    SlicedData,
    Tile,
    explain,
    noise,
)
from mpimpy.backends import reference
from mpimpy.backends.cpu import numba_cpu
from mpimpy.cells import signs

MAPPINGS = ["twos", "pair", "offset"]
QUIET = Device(var=0)
mapped = pytest.mark.parametrize("mapping", MAPPINGS)


def integer_operands(rng, m, k, n, rows, most=127):
    """Integers whose largest, `most`, is in every row and column of every tile, so that scales are 1."""
    x, w = rng.integers(-most, most + 1, (m, k)), rng.integers(-most, most + 1, (k, n))
    x[:, ::rows], w[::rows] = most, -most
    return x.astype(float), w.astype(float)


# -- what cells and currents are --------------------------------------------------------------


IDEAL = itertools.product(
    ["twos", "signed"], MAPPINGS, [ADC(None), ADC(range="lossless"), ADC(1 << 20, snap=True)], [None, 8]
)


@pytest.mark.parametrize(("x_mapping", "mapping", "adc", "bw_e"), thinned(IDEAL, every=5))
def test_ideal_settings_give_the_integer_product_on_every_backend(rng, x_mapping, mapping, adc, bw_e):
    x, w = integer_operands(rng, 5, 21, 9, 8, 127 if bw_e is None else 64)
    for name, (make, backend) in RUNNERS.items():
        for double in (False, True)[: 1 + (bw_e is not None)]:
            fmt = {"bw_e": bw_e, "double": double}
            inputs, weights = Format(mapping=x_mapping, **fmt), Format((1, 3, 4), mapping=mapping, **fmt)
            engine = Engine(QUIET, DAC(), adc, Tile(8, 4), inputs, weights, seed=1, backend=backend)
            y = np.asarray(engine.program(make(w)).read(make(x)))
            if double and adc.radc is not None:
                np.testing.assert_allclose(y, x @ w, rtol=1e-12, atol=1e-6, err_msg=name)
            else:
                np.testing.assert_array_equal(y, x @ w, err_msg=name)


def python_digits(w, mapping):
    """Levels of the cells for codes w of 8 bits in slices [1, 3, 4], most significant first, by the definitions."""
    w = w.astype(int)
    if mapping == "offset":
        codes = w + 128
        return np.stack([codes >> 4, codes & 15])
    if mapping == "pair":
        return np.stack([np.stack([np.maximum(s * w, 0) >> 4, np.maximum(s * w, 0) & 15]) for s in (1, -1)])
    return np.stack([(w % 256) >> 7, (w % 256) >> 4 & 7, w % 16])


@mapped
@pytest.mark.parametrize("double", [False, True])
def test_conductances_of_every_mapping(rng, mapping, double):
    _, w = integer_operands(rng, 1, 20, 6, 20, 127 if not double else 126)
    weights = Format((1, 3, 4), mapping=mapping, bw_e=8 if double else None, double=double)
    W = Engine(Device(HGS=1.6e-5, LGS=1e-6, var=0), tile=Tile(20, 6), weights=weights, seed=1).program(w)
    strides = np.array({"twos": [15, 2, 1], "pair": [2, 1], "offset": [1, 1]}[mapping])[:, None, None]
    planes = [w]
    if double:
        mean = np.abs(w).mean(axis=0)
        big = np.abs(w) > mean
        finer = 2.0 ** (6 - np.floor(np.log2(mean)))
        planes = [np.where(big, w, 0), np.where(big, 0, w * finer)]
    expected = np.stack([python_digits(plane, mapping) * strides for plane in planes])
    found = W.conductance()
    assert found.shape == (2,) * double + (2,) * (mapping == "pair") + (len(strides), 20, 6)
    np.testing.assert_allclose(found, 1e-6 * (1 + (expected if double else expected[0])), rtol=1e-12)
    assert W.tiles == (1, 1, {"twos": 3, "pair": 4, "offset": 2}[mapping] * (1 + double))
    # and of no weights at all
    empty = Engine(weights=weights, seed=1).program(np.zeros((0, 6)))
    assert empty.conductance().shape == (*found.shape[:-2], 0, 6)


@given(matrices((9, 5), np.float64), st.sampled_from([(1, 1), (1, 3, 4), (1, 2, 2, 1)]))
def test_one_cell_of_each_pair_is_at_level_0(w, slices):
    weights = Format(slices, mapping="pair")
    plus, minus = Engine(QUIET, tile=Tile(4, 4), weights=weights, seed=1).program(w).conductance()
    assert not np.any((plus > 1e-7) & (minus > 1e-7))
    assert np.all(minus[:, w > 0] == 1e-7)
    assert np.all(plus[:, w < 0] == 1e-7)
    mirrored = Engine(QUIET, tile=Tile(4, 4), weights=weights, seed=1).program(-w).conductance()
    np.testing.assert_array_equal(mirrored, np.stack([minus, plus]))


def test_cells_of_a_pair_vary_on_their_own(rng):
    device = Device(LGS=5e-6, var=0, write_var=0.05)
    W = Engine(device, tile=Tile(64, 64), weights=Format((1, 3, 4), mapping="pair"), seed=1)
    cells = np.log(W.program(np.zeros((200, 100))).conductance() / 5e-6).reshape(4, -1)
    count = cells.shape[1]
    np.testing.assert_allclose(cells.std(axis=1), 0.05, rtol=4 / np.sqrt(2 * count))
    correlation = np.corrcoef(cells)
    assert np.abs(correlation - np.eye(4)).max() < 4.5 / np.sqrt(count)


def test_stuck_cells_of_a_pair_are_its_own():
    weights = Format((1, 4), mapping="pair")
    engine = Engine(Device(var=0, stuck_HGS=0.3), tile=Tile(64, 64), weights=weights, seed=1)
    plus, minus = engine.program(np.zeros((200, 100))).conductance()[:, 0] > 5e-6
    assert plus.mean() == pytest.approx(0.3, abs=0.015)
    assert (plus & minus).mean() == pytest.approx(0.09, abs=0.01)


@mapped
@pytest.mark.parametrize("adc", [ADC(17), ADC(9, snap=True), ADC(4096), ADC(None)])
@pytest.mark.parametrize("x_mapping", ["twos", "signed"])
def test_weights_of_zero_count_for_nothing(rng, mapping, adc, x_mapping):
    # whatever the ADC rounds: the reference column, the unit column or the other cell takes all of it away
    x, w = rng.standard_normal((6, 40)), rng.standard_normal((40, 9))
    w[:, 3], w[16:32, 5] = 0, 0
    fmt = Format((1, 3, 4), mapping=mapping)
    engine = Engine(QUIET, adc=adc, tile=Tile(16, 4), inputs=Format(mapping=x_mapping), weights=fmt, seed=1)
    y = engine(x, w)
    assert not np.any(y[:, 3])
    assert np.all(np.any(y[:, [0, 1, 2, 4, 5]], axis=0))


def test_an_offset_takes_half_of_the_highest_digit_away():
    fmt = Format((1, 1, 2), mapping="offset")
    grid = np.array([[[0, 5, 12]], [[0, 7, 3]]], np.int8)
    found = signs.combine(reference, fmt, grid, 100, 4)
    assert found.dtype == np.int8
    # from the upper digit alone
    assert found.tolist() == [[[0, 5, 12]], [[-4, 3, -1]]]
    assert grid.tolist() == [[[0, 5, 12]], [[0, 7, 3]]]
    # of both planes of a double exponent, and within its bound
    double = Format((1, 1, 2), bw_e=8, double=True, mapping="offset")
    found = signs.combine(reference, double, np.concatenate([grid, grid]), 2, 4)
    assert found.tolist() == [[[0, 5, 12]], [[-2, 2, -1]]] * 2


@mapped
@pytest.mark.parametrize("double", [False, True])
def test_what_is_taken_away_ages_with_the_cells(rng, mapping, double):
    # all exponents alike, so ageing is one factor, whatever sits in the reference and the unit column
    x, w = rng.standard_normal((6, 40)), rng.standard_normal((40, 9))
    w[:, 3] = 0
    weights = Format((1, 3, 4), mapping=mapping, bw_e=8 if double else None, double=double)
    device = Device(LGS=2e-6, var=0, write_var=1e-3, drift=Drift(0.05))
    W = Engine(device, adc=ADC(None), tile=Tile(16, 4), weights=weights, seed=1).program(w)
    fresh, old = W.read(x, read=0), W.at("30 d").read(x, read=0)
    decay = (30 * 86400.0) ** -0.05
    np.testing.assert_allclose(old, fresh * decay, rtol=0, atol=2e-4 * np.abs(fresh).max())
    assert np.abs(old - fresh).max() > 0.3 * np.abs(fresh).max()


@given(
    st.sampled_from(["int8", "int16", "int32"]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 5),
    st.integers(0, 40),
    st.data(),
)
def test_kernels_take_pairs_together_as_the_reference_does(dtype, planes, slices, rows, cols, data):
    most = np.iinfo(dtype).max
    bound = data.draw(st.sampled_from([most, most // 2, most // 2 + 1, 5]))
    shape = (planes * 2 * slices, rows, cols)
    grid = np.random.default_rng(cols).integers(-bound, bound, shape, endpoint=True).astype(dtype)
    cells = grid.astype(object).reshape(planes, 2, slices, rows, cols)
    expected = np.clip(cells[:, 0] - cells[:, 1], -bound, bound).astype(dtype).reshape(planes * slices, rows, cols)
    kept = grid.copy()
    for backend in (reference, numba_cpu):
        assert same_bits(backend.differences(grid, slices, bound), expected)
    np.testing.assert_array_equal(grid, kept)


def test_a_pair_is_the_difference_of_its_cells():
    fmt = Format((1, 1, 2), bw_e=8, double=True, mapping="pair")
    grid = np.arange(8, dtype=np.int8)[:, None, None] ** 2
    assert signs.combine(reference, fmt, grid, 100, 1).ravel().tolist() == [0 - 4, 1 - 9, 16 - 36, 25 - 49]
    assert signs.combine(reference, fmt, grid, 10, 1).ravel().tolist() == [-4, -8, -10, -10]
    # differences do not wrap in the dtype of the grid
    for dtype, edge in ((np.int8, 127), (np.int16, 2**15 - 1), (np.int32, 2**31 - 1)):
        ends = np.array([-edge, edge, edge, -edge], dtype)[:, None, None]
        found = signs.combine(reference, Format((1, 1, 2), mapping="pair"), ends, edge, 1)
        assert found.dtype == dtype
        assert found.ravel().tolist() == [-edge, edge]
    levels = signs.split(fmt, np.array([3, -2, 0, 1])[:, None, None])
    assert levels.ravel().tolist() == [3, 0, 0, 2, 0, 1, 0, 0]
    twos = np.zeros((4, 1, 1), np.int8)
    assert signs.split(Format(), twos) is twos
    assert signs.combine(reference, Format(), twos, 10, 1) is twos


# -- which of them is better ------------------------------------------------------------------


def additive_error(mapping, levels, x, w, sigma, name, reference="ideal"):
    """RMS error of a product whose every cell is off by N(0, sigma), S, on devices of one range whatever the mapping."""
    parts = DAC(256), ADC(None), Tile(64, 64, reference=reference), Format((1, 1, 7)), Format((1, 7), mapping=mapping)
    # LGS is 200 sigma: conductances do not fall below 0, and that would bias them
    quiet = {"HGS": 2e-5, "LGS": 1e-5, "g_level": levels, "var": 0.0}
    noisy = Engine(Device(**quiet | {name: Gaussian(sigma)}), *parts, seed=2)
    assert noisy.config.weights.digits == ((7,) if mapping == "pair" else (8,))
    return np.sqrt(np.mean((noisy(x, w) - Engine(Device(**quiet), *parts, seed=2)(x, w)) ** 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["write_var", "var"])
def test_an_offset_is_3_dB_worse_than_a_pair_for_additive_noise(rng, name):
    x, w = rng.standard_normal((64, 256)), rng.standard_normal((256, 512))
    sigma = 0.005 * 1e-5
    pair = additive_error("pair", 128, x, w, sigma, name)
    offset = additive_error("offset", 256, x, w, sigma, name)
    # two cells of the range of 127 codes, or one of the range of 255
    exact = 20 * np.log10(np.sqrt(2) * 255 / 254)
    assert 20 * np.log10(offset / pair) == pytest.approx(exact, abs=0.1)
    assert exact == pytest.approx(3.01, abs=0.04)
    # a unit column of real cells errs as much again
    real = additive_error("offset", 256, x, w, sigma, name, "cells")
    assert 20 * np.log10(real / pair) == pytest.approx(exact + 10 * np.log10(2), abs=0.15)
    # and in itself: sigma_w = sqrt(2) sigma / range for weights up to 1
    scale = np.sqrt(np.mean(np.sum(x[:, :, None] ** 2 * np.repeat(_peaks(w), 64, axis=0) ** 2, axis=1)))
    assert pair == pytest.approx(np.sqrt(2) * 0.005 * scale, rel=0.02)


def _peaks(w):
    return np.abs(w).reshape(-1, 64, w.shape[1]).max(axis=1)


def test_levels_that_each_mapping_needs():
    for mapping, bits in (("twos", 4), ("pair", 4), ("offset", 5)):
        weights = Format((1, 4), mapping=mapping)
        assert Engine(Device(g_level=2**bits), weights=weights).config.weights.digits[-1] == bits
        with pytest.raises(
            ValueError, match=rf"weight slice of {bits} bits needs {2**bits} levels but g_level={2**bits - 1}"
        ):
            Engine(Device(g_level=2**bits - 1), weights=weights)
    with pytest.raises(ValueError, match=r"inputs cannot be mapped by an offset, which takes a column of cells: use"):
        Engine(inputs=Format(mapping="offset"))
    with pytest.raises(ValueError, match=r"mapping 'sign' is unknown: use 'twos', 'signed' \(for weights also called"):
        Format(mapping="sign")
    with pytest.raises(ValueError, match=r"mapping 'sign' is unknown"):
        DPETensor(w_mapping="sign")
    assert Format(mapping="pair") == Format(mapping="signed")


# -- ADCs and signs ---------------------------------------------------------------------------

FULL = 7 * 0.1 * (1e-5 - 1e-7)  # A, of 7 rows
RANGES = {
    "full": lambda shape: {"radc": 300},
    "snap": lambda shape: {"radc": 300, "snap": True},
    "free": lambda shape: {"radc": 300, "saturate": False, "range": FULL / 8},
    "lossless": lambda shape: {"range": "lossless"},
    "number": lambda shape: {"radc": 300, "range": FULL / 3},
    "window": lambda shape: {"radc": 300, "range": (-FULL / 5, FULL / 2)},
    "Ranges": lambda shape: {
        "radc": 300,
        "range": Ranges(
            [[-FULL / (3 + i + j) for i in range(shape[1])] for j in range(shape[0])],
            [[FULL / (1 + i + 2 * j) for i in range(shape[1])] for j in range(shape[0])],
        ),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("x_mapping", ["twos", "signed"])
@mapped
@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_every_mapping_under_every_range(rng, x_mapping, mapping, kind, noise):
    inputs, weights = Format((1, 2, 3), mapping=x_mapping), Format((1, 3, 2), mapping=mapping)
    adc = ADC(**RANGES[kind]((len(weights.digits), len(inputs.digits))))
    device = Device(var=noise, write_var=noise, stuck_HGS=noise / 2)
    config = Config(device, DAC(vnoise=noise), adc, Tile(7, 3), inputs, weights)
    x, w = rng.standard_normal((3, 17)), rng.standard_normal((17, 5))
    expected = np.array(oracle.product(x.tolist(), w.tolist(), config, (1, 7), (7, 1), 11, 4, 2))
    for name, (make, backend) in RUNNERS.items():
        engine = Engine.from_config(config, seed=11, chip=4, backend=backend)
        assert same_bits(engine.program(make(w)).read(make(x), read=2), expected), name


@given(configs(noise=False, ideal=False), st.data())
def test_products_of_opposite_inputs_are_opposite(config, data):
    # sign and magnitude on both sides: codes of an ADC with two signs lie symmetrically, ties included
    config = config.replace(
        inputs={"mapping": "signed"}, weights={"mapping": "pair"}, adc=ADC(37), tile={"reference_columns": 1}
    )
    x, w = data.draw(matrices((3, 11), np.float64)), data.draw(matrices((11, 4), np.float64))
    y = Engine.from_config(config, seed=1)(x, w)
    np.testing.assert_array_equal(Engine.from_config(config, seed=1)(-x, w), -y)
    np.testing.assert_array_equal(Engine.from_config(config, seed=1)(x, -w), -y)


@mapped
def test_read_variation_of_opposite_inputs_is_the_same(rng, mapping):
    x, w = rng.standard_normal((5, 40)), rng.standard_normal((40, 7))
    engine = Engine(tile=Tile(16, 4), inputs=Format(mapping="signed"), weights=Format(mapping=mapping), seed=1)
    W = engine.program(w)
    np.testing.assert_array_equal(W.read(-x, read=3), -W.read(x, read=3))


def test_currents_of_two_signs_saturate_at_both_ends():
    fmt = {"inputs": Format((1, 4), mapping="signed"), "weights": Format((1, 4), mapping="pair")}
    # 64 rows at their highest: one quarter of the range is what the ADC covers
    share = 0.25 * 64 * 0.1 * (1e-5 - 1e-7)
    x, w = np.ones((2, 64)), np.ones((64, 3))
    x[1], w[:, 1] = -1, -1
    y = Engine(QUIET, adc=ADC(256, range=share), **fmt)(x, w)
    np.testing.assert_allclose(y, np.outer([1, -1], [16, -16, 16]), rtol=1e-12)
    y = Engine(QUIET, adc=ADC(256, range=share, saturate=False), **fmt)(x, w)
    np.testing.assert_allclose(y, np.outer([1, -1], [64, -64, 64]), rtol=1e-12)


@mapped
@pytest.mark.parametrize("x_mapping", ["twos", "signed"])
@pytest.mark.parametrize("x_sign", [1, -1])
@pytest.mark.parametrize("w_sign", [1, -1])
def test_a_lossless_adc_has_a_code_for_the_outermost_currents(mapping, x_mapping, x_sign, w_sign):
    # with an offset the lowest digit is one further from 0 than the highest
    x, w = np.full((1, 8), 127.0 * x_sign), np.full((8, 2), 127.0 * w_sign)
    inputs, weights = Format(mapping=x_mapping), Format((1, 3, 4), mapping=mapping)
    y = Engine(QUIET, DAC(), ADC(range="lossless"), Tile(8, 2), inputs, weights, seed=1)(x, w)
    noisy = Engine(Device(var=1e-4), DAC(), ADC(range="lossless"), Tile(8, 2), inputs, weights, seed=1)(x, w)
    np.testing.assert_array_equal(y, x @ w)
    np.testing.assert_allclose(noisy, x @ w, rtol=2e-3)  # by the ADC itself, slices not folded


# -- reports ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mapping", "arrays", "digits", "reference"),
    # slices [1, 3, 4]: two's complement 3 arrays; a pair 2 digits, twice; an offset 2 digits
    [("twos", 3, 3, True), ("pair", 4, 2, False), ("offset", 2, 2, True)],
)
@pytest.mark.parametrize("x_mapping", ["twos", "signed"])
def test_reports_count_cells_and_conversions(rng, mapping, arrays, digits, reference, x_mapping):
    x, w = rng.standard_normal((8, 130)), rng.standard_normal((130, 70))
    settings = {"array_size": (32, 16), "x_mapping": x_mapping, "w_mapping": mapping, "w_slices": [1, 3, 4]}
    report = explain(x, w, seed=1, **settings)
    drives = 4 if x_mapping == "twos" else 3  # slices [1, 1, 2, 4] of the inputs
    assert report.tiles == (5, 5, arrays)
    assert report.cells == 130 * 70 * arrays
    assert report.reference_cells == (5 * 5 * arrays * 32 if reference else 0)
    # every word line of every array of cells is driven; each digit's current, of one cell or two, is digitised once
    assert report.dac_conversions == 8 * 130 * drives * 5 * arrays
    assert report.adc_conversions == 8 * drives * 70 * digits * 5
    assert report.full_scale_A == pytest.approx(32 * 0.1 * (1e-5 - 1e-7))
    assert report.snr_dB == pytest.approx(-20 * np.log10(_error(DPETensor(seed=1, **settings)(x, w), x @ w)), abs=1e-9)
    assert f"arrays             {25 * arrays} of 32 x 16" in str(report)
    quiet = {effect.name: effect for effect in explain(x, w, seed=1, var=0, radc=None, **settings).effects}
    assert all(effect.alone_dB > 200 for name, effect in quiet.items() if "quantisation" not in name)


def _error(measured, exact):
    return np.linalg.norm(measured - exact) / np.linalg.norm(exact)


# -- SlicedData -------------------------------------------------------------------------------


@mapped
@pytest.mark.parametrize("x_mapping", ["twos", "signed"])
@pytest.mark.parametrize("inference", [False, True])
def test_sliced_data_takes_the_engines_mapping(rng, mapping, x_mapping, inference):
    x, w = rng.standard_normal((20, 33)), rng.standard_normal((33, 9))
    engine = DPETensor(x_mapping=x_mapping, w_mapping=mapping, array_size=(16, 4), seed=1)
    options = {"bw_e": 8, "inference": inference}
    sx, sw = SlicedData([1, 3], **options), SlicedData([1, 3, 4], is_weight=True, **options)
    assert (sx.format.mapping, sw.format.mapping) == ("twos", "twos")
    sx.slice_data_imp(engine, x)
    sw.slice_data_imp(engine, w)
    assert (sx.format.mapping, sw.format.mapping) == (x_mapping, Format(mapping=mapping).mapping)
    same = Engine(
        adc=ADC(256), tile=Tile(16, 4), inputs=Format([1, 3], bw_e=8, granularity=(16, 16), mapping=x_mapping),
        weights=Format([1, 3, 4], bw_e=8, granularity=(16, 4), mapping=mapping), seed=1,
    )  # fmt: skip
    assert same_bits(engine(sx, sw), same(x, w))
    if not inference:
        digits = sw.sliced_data
        assert digits.shape == ({"twos": 3, "pair": 2, "offset": 2}[mapping], 33, 9)
        assert (digits.min() < 0) == (mapping == "pair")
        np.testing.assert_allclose(sw.quantized_data, w, atol=0.02 * np.abs(w).max())
        np.testing.assert_allclose(sx.quantized_data, x, atol=0.26 * np.abs(x).max())
        back = sw.t()
        np.testing.assert_array_equal(back.quantized_data, sw.quantized_data.T)
        assert back.format.mapping == sw.format.mapping
    # an offset asks for a level more than the slices say, and that is said when they are sliced
    small = DPETensor(w_mapping="offset", g_level=16)
    with pytest.raises(ValueError, match=r"weight slice of 5 bits needs 32 levels but g_level=16"):
        SlicedData([1, 4], is_weight=True).slice_data_imp(small, w)


@mapped
def test_read_variation_reaches_every_cell_of_a_digit(rng, mapping):
    # each cell's factor, by the generator itself, and what all of them make of a product with an ideal ADC
    w = rng.standard_normal((6, 5))
    weights = Format((1, 2, 3), mapping=mapping)
    engine = Engine(
        Device(LGS=1e-6, var=0.05), adc=ADC(None), tile=Tile(6, 5, "ideal"), weights=weights, seed=3, chip=4
    )
    W = engine.program(w)
    stored = np.flip(W.conductance(), axis=-3).reshape(-1, 6, 5)  # least significant first, g+ cells before g-
    noisy = stored.copy()
    for s, k, n in np.ndindex(stored.shape):
        noisy[s, k, n] *= oracle.factor("lognormal", 0.05, oracle.word(3, 4, 7, noise.READ, s, k, n)) / 65536
    levels = noisy * (15 / 9e-6)
    if mapping == "pair":
        digits, counts = levels[:2] - levels[2:], [(1, 2), (8, 5)]  # (what it counts for, level of digit 1)
    elif mapping == "offset":
        digits, counts = levels - np.array([10 / 6, 10 / 6 + 4 * 2])[:, None, None], [(1, 2), (8, 2)]
    else:
        digits, counts = levels - 10 / 6, [(1, 2), (8, 5), (-32, 15)]
    code = sum(digit * share / stride for digit, (share, stride) in zip(digits, counts, strict=True))
    y = W.read(np.eye(6), read=7)
    np.testing.assert_allclose(y, code / 31 * np.abs(w).max(axis=0), atol=4e-3)
    assert np.abs(y - W.decoded()).max() > 4e-2
