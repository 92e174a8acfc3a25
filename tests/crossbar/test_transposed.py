"""The transposed read: the same cells, driven on their bit lines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits
from strategies import configs, examples, matrices, runners

from mpimpy import ADC, DAC, SNR, Config, Device, DPETensor, Engine, Format, Tile, Wires
from mpimpy.crossbar import plan as plans
from mpimpy.crossbar.transposed import refusal, turned


@st.composite
def transposed_products(draw):
    config = draw(
        configs(drift=True).filter(lambda found: found.weights.mapping != "offset" and found.adc.range != "lossless")
    )
    m, k, n = draw(st.integers(1, 5)), draw(st.integers(1, 21)), draw(st.integers(1, 12))
    batch = draw(st.sampled_from([(), (), (2,)]))
    return config, draw(matrices((*batch, m, n))), draw(matrices((k, n)))


def outcome(config, x, w, make, backend, **changes):
    """The product with the transposed matrix, or the words of the refusal."""
    try:
        W = Engine.from_config(config, seed=5, chip=2, backend=backend).program(make(w), **changes)
        return np.asarray(W.T.read(make(x), read=3, first_row=7))
    except (TypeError, ValueError) as refused:
        return str(refused)


@settings(max_examples=examples(20))
@given(transposed_products(), runners())
def test_every_backend_has_the_same_bits(product, chosen):
    config, x, w = product
    x.flags.writeable = w.flags.writeable = False
    expected = outcome(config, x, w, *RUNNERS["numpy reference"])
    for _, make, backend in chosen:
        found = outcome(config, x, w, make, backend)
        if isinstance(expected, str):
            assert found == expected
        elif config.radc is None:
            # an ideal ADC leaves the last bits to a BLAS where slices do not fold into exact parts
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(initial=0))
        else:
            assert same_bits(found, expected)


IDEAL = {"reference": "ideal"}
SHARED = {"x_quant_gran": "per-row", "w_quant_gran": "per-matrix"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"radc": None},
        {"radc": 1024, "g_level": 32},
        {"w_mapping": "pair", "x_mapping": "signed"},
        {"bw_e": 8},
        {"bw_e": 8, "dbfp_en": True},
        {"adc_range": "lossless"},
    ],
    ids=str,
)
def test_ideal_cells_with_one_scale_are_those_of_the_transposed_matrix(rng, settings):
    x, w = rng.standard_normal((6, 40)), rng.standard_normal((70, 40))
    there = DPETensor(seed=1, var=0, array_size=(32, 16), **SHARED, **settings).program(w)
    back = DPETensor(seed=1, var=0, array_size=(16, 32), **SHARED, **settings).program(w.T.copy())
    assert same_bits(there.T.read(x, read=0), back.read(x, read=0))


def test_columns_with_scales_of_their_own_scale_the_inputs(rng):
    # an oracle by the definition: inputs times column scales, quantised for each row of tiles, meet whole codes
    x, w = rng.standard_normal((6, 40)), rng.standard_normal((70, 40))
    W = DPETensor(seed=1, var=0, array_size=(32, 16)).program(w)
    expected = []
    for start in range(0, 70, 32):
        block = w[start : start + 32]
        scales, codes = np.abs(block).max(axis=0) / 127, W.codes()[start : start + 32]
        power = 2.0 ** np.frexp(scales.max())[1]
        twin = DPETensor(seed=1, var=0, array_size=(16, 32), w_quant_gran="per-matrix").program(codes.T / 127.0)
        assert np.array_equal(twin.codes(), codes.T)
        expected.append(twin.read(x * (scales / power), read=0) * (127 * power))
    np.testing.assert_allclose(W.T.read(x, read=0), np.concatenate(expected, axis=1), rtol=1e-12)


def test_the_cells_and_their_variation_are_those_of_a_read_of_the_same_number(rng):
    w = rng.standard_normal((40, 30))
    W = DPETensor(
        seed=1, radc=None, array_size=(16, 8), var=0.3, write_var=0.2, w_quant_gran="per-matrix", **IDEAL
    ).program(w)
    there, back = W.read(np.eye(40), read=9), W.T.read(np.eye(30), read=9)
    np.testing.assert_allclose(back, there.T, rtol=1e-12, atol=1e-12)
    assert not np.allclose(W.T.read(np.eye(30), read=10), back, rtol=1e-3)


def test_the_error_is_that_of_a_matrix_programmed_so(rng):
    x, w = rng.standard_normal((50, 64)), rng.standard_normal((130, 64))
    for effects in ({}, {"noise_lsb": 0.5, "gain_error": 0.02}, {"vnoise": 0.05}):
        engine = DPETensor(seed=1, **IDEAL, **effects)
        there = SNR(engine.program(w).T.read(x, read=0), x @ w.T)
        assert abs(there - SNR(engine.program(w.T.copy()).read(x, read=0), x @ w.T)) < 1


def test_converters_at_the_other_lines_have_noise_of_their_own():
    # a symmetric matrix on square arrays: only the noise of the converters tells the ways apart
    w = np.full((8, 8), 1.0)
    for effects in ({"vnoise": 0.1}, {"noise_lsb": 2.0}, {"offset_lsb": 2.0}, {"gain_error": 0.1}):
        W = DPETensor(seed=1, var=0, radc=1000, array_size=(8, 8), **SHARED, **effects).program(w)
        assert not np.array_equal(W.T.read(w, read=0), W.read(w, read=0))
        assert same_bits(W.T.read(w, read=0), W.T.read(w, read=0))
        rows = W.T.read(w, read=0)
        assert not np.array_equal(rows[0], rows[1]) or "vnoise" not in effects
    D = DPETensor(seed=1, var=0, radc=1000, gain_error=0.1, bw_e=8, dbfp_en=True).program(np.eye(4) + 0.1)
    assert same_bits(D.T.read(np.eye(4), read=0), D.T.read(np.eye(4), read=0))


def test_parts_of_a_matrix_read_as_the_whole(rng):
    x, w = rng.standard_normal((3, 40)), rng.standard_normal((64, 40))
    engine = DPETensor(seed=1, array_size=(16, 16), write_var=0.1, gain_error=0.05, vnoise=0.02, **IDEAL)
    whole = engine.program(w).T.read(x, read=4)
    parts = [engine.program(w[k : k + 32], origin=(k, 0)).T.read(x, read=4) for k in (0, 32)]
    assert same_bits(np.concatenate(parts, axis=1), whole)


def test_extreme_scales_stay_in_range():
    for scale in (1e300, 1e-300):
        w = np.array([[1.0, 1e-5], [0.5, 1e-5]]) * scale
        y = DPETensor(seed=1, var=0, radc=None).program(w).T.read(np.array([1.0, 1.0]), read=0)
        np.testing.assert_allclose(y / scale, [1.0, 0.5], rtol=0.02)


def test_an_aged_and_a_faulty_matrix_have_transposed_faces(rng):
    from mpimpy import Drift

    w = rng.standard_normal((20, 10))
    W = Engine(
        Device(var=0, drift=Drift(0.05)), adc=ADC(None), weights=Format(granularity="per-matrix"), seed=1
    ).program(w)
    old = W.at("1 y", compensate=True)
    np.testing.assert_allclose(old.T.read(np.eye(10), read=0), old.read(np.eye(20), read=0).T, rtol=1e-12, atol=1e-12)
    faults = np.zeros((20, 10), np.int8)
    faults[3, 4] = 1
    V = Engine(Device(var=0), weights=Format(granularity="per-matrix"), seed=1).program(w, faults=faults)
    moved = V.T.read(np.eye(10), read=0) != Engine(Device(var=0), weights=Format(granularity="per-matrix")).program(
        w
    ).T.read(np.eye(10), read=0)
    assert moved[4, 3]
    assert moved.sum() == 1


def test_cells_without_a_transposed_read_say_why(rng):
    w = np.ones((4, 4))
    for engine, reason in (
        (Engine(weights=Format(mapping="offset")), "the unit column of an offset has no transposed twin"),
        (Engine(wires=Wires(1.0, 1.0), tile=Tile(4, 4)), "behind wires with resistance"),
        (
            Engine(),
            "reference columns of real cells have no transposed twin, a reference row .*pair.*reference='ideal'",
        ),
        (Engine(Device(var=0, stuck_HGS=0.1)), "reference columns of real cells have no transposed twin"),
    ):
        W = engine.program(w)
        for attempt in (lambda W=W: np.ones(4) @ W.T, lambda W=W: W @ np.ones(4), lambda W=W: W.matvec(np.ones(4))):
            with pytest.raises(TypeError, match=rf"{reason}.*engine.program\(w.T\), or both, engine.operator\(w\)"):
                attempt()
    part = Engine(tile=Tile(4, 4, **IDEAL)).program(w, origin=(0, 2))
    with pytest.raises(TypeError, match="begins at column 2, inside a tile of 4 columns"):
        part.T.read(np.ones(4))
    assert refusal(Config(tile=Tile(**IDEAL)), part.programmed.address._replace(col=64)) is None


def test_reference_columns_that_nothing_moves_need_no_twin(rng):
    # a reference row would hold the same: pairs have none, and cells of 0 S do not vary
    w = rng.standard_normal((9, 5))
    for device, mapping in ((Device(var=0), "twos"), (Device(LGS=0), "twos"), (Device(), "pair")):
        real, ideal = (
            Engine(device, tile=Tile(4, 4, reference), weights=Format(mapping=mapping), seed=1).program(w).T
            for reference in ("cells", "ideal")
        )
        assert same_bits(real.read(np.eye(5), read=0), ideal.read(np.eye(5), read=0))


def test_blocks_that_cut_through_the_turned_tiles_are_refused():
    W = Engine(tile=Tile(4, 6, **IDEAL), inputs=Format(granularity=(1, 4)), seed=1).program(np.ones((8, 12)))
    with pytest.raises(ValueError, match=r"granularity \(1, 4\) of the inputs cuts through tiles of 6 rows"):
        W.T.read(np.ones(12))


def test_currents_of_too_many_columns_are_refused():
    W = Engine(Device(g_level=2**15, LGS=1e-9), DAC(2**15), ADC(2**30), Tile(2, 2**16, **IDEAL), seed=1)
    with pytest.raises(ValueError, match="pass the 53 bits in which they are exact"):
        W.program(np.ones((2, 3))).T.read(np.ones(3))


def test_the_grid_is_that_of_the_cells_whatever_the_turned_arrays_would_choose(rng):
    # arrays of one row have a finer grid than arrays of eight
    config = Config(Device(var=0.003, g_level=256, LGS=1e-7), DAC(256), ADC(2**16), Tile(1, 8, **IDEAL))
    assert plans.choose_grid(config)[0] != plans.choose_grid(turned(config))[0]
    x, w = rng.standard_normal((20, 8)), rng.standard_normal((6, 8))
    assert SNR(Engine.from_config(config, seed=1).program(w).T.read(x), x @ w.T) > 30


def test_float32_is_rounded_once(rng):
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 40), (70, 40)))
    engine = DPETensor(seed=1, bw_e=8, dbfp_en=True, **IDEAL)
    single, double = (engine.program(w.astype(t)).T.read(x.astype(t), read=0) for t in (np.float32, np.float64))
    assert same_bits(single, double.astype(np.float32))


def test_products_beyond_the_range_are_infinite():
    W = DPETensor(seed=1, var=0).program(np.array([[1e200, 3e200], [0.0, 0.0], [-1e200, 0.0]]))
    with np.errstate(over="ignore"):  # NumPy warns of what leaves the range
        assert np.array_equal(W.T.read(np.array([1e200, 1e200]), read=0), [np.inf, 0, -np.inf])


# The addresses of random numbers are a promise: recorded with the first version.
RECORDED = {
    ("vnoise", 0.1): [5.489489, 14.38038, 23.493493, 30.36987],
    ("gain_error", 0.1): [6.01001, 14.246246, 22.695946, 34.191441],
    ("offset_lsb", 2.0): [5.962857, 14.97998, 23.961653, 32.947084],
    ("noise_lsb", 2.0): [5.897225, 15.016644, 23.80425, 32.897229],
}


@pytest.mark.parametrize("effect", RECORDED, ids=str)
def test_addresses_of_noise_stay(effect):
    engine = DPETensor(seed=1, chip=2, var=0, radc=1000, array_size=(2, 2), bw_e=8, dbfp_en=True, **dict([effect]))
    W = engine.program(np.arange(1.0, 13.0).reshape(4, 3), origin=(2, 4))
    assert [round(float(v), 6) for v in W.T.read(np.ones(3), read=5, first_row=1)] == RECORDED[effect]
