"""Read variation that lasts for one input slice: a grid for each, added up in order, on every backend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits
from strategies import examples, some_runners

from mpimpy import ADC, SNR, Config, Device, DPETensor, Engine, Format, Gaussian, Tile, noise
from mpimpy.crossbar.currents import currents
from mpimpy.matrix import backend_of, encode_inputs

SETTINGS = [
    {},
    {"radc": None},
    {"x_mapping": "signed", "w_mapping": "pair"},
    {"bw_e": 8, "dbfp_en": True},
    {"noise_lsb": 0.5, "offset_lsb": 0.3, "gain_error": 0.01},
    {"snap": True, "reference": "ideal"},
    {"adc_range": (-1.03e-5, 3e-5)},
    {"wire_resistance": 2.0, "exact_reads": True, "array_size": (8, 8)},
    {"w_mapping": "offset", "vnoise": 0.02},
    {"x_slices": (1, 4)},
]


@pytest.mark.parametrize("given", SETTINGS, ids=str)
def test_every_backend_has_the_same_bits(rng, given):
    depth, width = (20, 12) if "exact_reads" in given else (90, 33)  # tiles of their own either way
    x, w = rng.standard_normal((5, depth)), rng.standard_normal((depth, width))
    found = []
    for _, make, backend in some_runners(SETTINGS.index(given)):
        W = DPETensor(redraw="slice", seed=1, backend=backend, **given).program(make(w))
        found.append(np.asarray(W.read(make(x), read=3)))
    assert all(same_bits(y, found[0]) for y in found)
    assert not same_bits(found[0], DPETensor(seed=1, **given).program(w).read(x, read=3))


@pytest.mark.parametrize("given", SETTINGS[:4], ids=str)
def test_each_input_slice_meets_the_cells_of_a_key_of_its_own(rng, given):
    x, w = rng.standard_normal((3, 70)), rng.standard_normal((70, 9))

    def pairs(seed, redraw):
        matrix = DPETensor(seed=seed, redraw=redraw, **given).program(w)
        return list(currents(backend_of(matrix), *encode_inputs(matrix, x), 5))

    found = pairs(1, "slice")
    slices, planes = len({i for _, i, _, _ in found}), 2 if given.get("dbfp_en") else 1
    for number in range(slices * planes):
        expected = pairs(noise.derive(1, "input slice", number), "product")
        inner = slices * planes  # input slices of all planes come one after the other
        for place in range(number, len(found), inner):
            assert np.array_equal(found[place][2], expected[place][2])


def test_a_product_adds_the_currents_of_all_slices(rng):
    x, w = rng.standard_normal((4, 64)), rng.standard_normal((64, 6))
    matrix = DPETensor(seed=1, redraw="slice", radc=None).program(w)
    programmed, inputs = encode_inputs(matrix, x)
    shifts, unit = np.array([1, 16, 64, -128]), matrix.programmed.as_read
    total = 0.0
    strides = np.array([1, 5, 15, 15])  # of slices of 4, 2, 1 and 1 bits in 16 levels
    for j, i, current, _ in currents(backend_of(matrix), programmed, inputs, 7):
        total = total + current * (shifts[j] / strides[j]) * (shifts[i] / strides[i])
    scales = np.abs(x).max(1)[:, None] * np.abs(w).max(0) / 127**2
    grid = 2.0 ** round(np.log2(float(np.abs(unit.cells).max()) * 2**unit.level_shift / 15))
    np.testing.assert_allclose(matrix.read(x, read=7), total * scales / grid, rtol=1e-9, atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from(SETTINGS))
@settings(max_examples=examples(12))
def test_cuts_batches_and_columns_change_nothing(seed, given):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((2, 3, 70)), rng.standard_normal((70, 80))
    engine = DPETensor(seed=seed, redraw="slice", **given)
    whole = engine.program(w).read(x, read=2)
    if "vnoise" not in given and "noise_lsb" not in given:
        assert same_bits(engine.program(w).read(x[1], read=2), whole[1])
    columns = 64 if engine.config.tile.cols == 64 else 16
    part = engine.program(w[:, columns:], origin=(0, columns)).read(x, read=2)
    if engine.config.radc is not None:  # else the BLAS may have the last bits
        assert same_bits(part, whole[..., columns:])


def test_panels_and_transposed_reads(rng):
    w, x = rng.standard_normal((40, 30)), rng.standard_normal((3, 30))
    found = []
    for make, backend in RUNNERS.values():
        engine = DPETensor(seed=1, redraw="slice", reference="ideal", array_size=(16, 8), backend=backend)
        found.append(np.asarray(engine.program(make(w)).T.read(make(x), read=1)))
    assert all(same_bits(y, found[0]) for y in found)
    assert SNR(found[0], x @ w.T) > 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mappings", "product", "each"),
    [
        (("twos", "twos"), 19.18, 12.31),
        (("twos", "signed"), 19.18, 21.06),
        (("pair", "twos"), 27.57, 21.30),
        (("pair", "signed"), 27.57, 29.39),
    ],
)
def test_figures_of_an_independent_simulation(mappings, product, each):
    # 64 inputs of one array of 64 x 64, ideal ADC, ideal reference columns
    found = {"product": [], "slice": []}
    for seed in range(24):
        x, w = np.random.default_rng(seed).standard_normal((2, 64, 64))
        for redraw, values in found.items():
            given = {"w_mapping": mappings[0], "x_mapping": mappings[1], "reference": "ideal", "radc": None}
            values.append(SNR(DPETensor(seed=seed, redraw=redraw, **given)(x, w), x @ w))
    assert np.mean(found["product"]) == pytest.approx(product, abs=0.35)
    assert np.mean(found["slice"]) == pytest.approx(each, abs=0.35)


def test_slices_vary_independently():
    # one input row drives two slices alike: their errors are drawn apart
    device, fmt = Device(var=Gaussian(2e-7), redraw="slice"), Format((1, 1, 1))
    engine = Engine(device, adc=ADC(None), tile=Tile(1, 512, reference="ideal"), inputs=fmt, seed=1)
    matrix = engine.program(np.ones((1, 512)))
    found = {}
    for j, i, current, _ in currents(backend_of(matrix), *encode_inputs(matrix, np.array([[1.0]])), 0):
        if j == 0:
            found[i] = current[0] / 15
    a, b = found[0] - found[0].mean(), found[1] - found[1].mean()
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.2
    assert a.std() == pytest.approx(b.std(), rel=0.15)


def test_without_variation_nothing_is_redrawn(rng):
    x, w = rng.standard_normal((3, 20)), rng.standard_normal((20, 4))
    assert same_bits(DPETensor(var=0, redraw="slice", seed=1)(x, w), DPETensor(var=0, seed=1)(x, w))
    assert not Device(var=0, redraw="slice").redraws


def test_read_plans_tell_it(rng):
    W = DPETensor(redraw="slice", seed=1).program(np.ones((4, 4)))
    assert "read variation is drawn anew for each of 4 input slices" in str(W.read_plan(np.ones((2, 4))))


def test_refusals():
    with pytest.raises(ValueError, match="redraw='rows' is unknown: use 'product', one draw of read variation"):
        Device(redraw="rows")
    with pytest.raises(ValueError, match="redraw='slice' draws read variation for each input slice, and per='product'"):
        Config(Device(redraw="slice"), adc=ADC(per="product"))
    assert Config(Device(var=0, redraw="slice"), adc=ADC(per="product")).adc.per == "product"
