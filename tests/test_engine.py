"""Engines, programmed matrices and SlicedData: what they promise and refuse."""

import copy
import pickle
import threading

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given
from libraries import same_bits, to_strict, to_torch, torch
from strategies import products

from mpimpy import (
    ADC,
    SNR,
    Config,
    CrossbarMatrix,
    Device,
    DPETensor,
    Engine,
    Format,
    MapReducedot,
    MpimpyWarning,
    SlicedData,
    Tile,
)
from mpimpy.compat.engines import bitslicedpe
from mpimpy.operands import encoding, values

needs_torch = pytest.mark.skipif(torch is None, reason="the torch extra is not installed")


@pytest.fixture
def x(rng):
    return rng.standard_normal((5, 70))


@pytest.fixture
def w(rng):
    return rng.standard_normal((70, 40))


def test_program_once_read_often(x, w):
    engine = DPETensor(seed=1)
    W = engine.program(w)
    assert (W.shape, W.ndim, W.dtype, W.tiles) == ((70, 40), 2, np.float64, (2, 1, 4))
    assert same_bits(x @ W, DPETensor(seed=1).MapReduceDot(x, w))
    assert engine.reads == 1
    assert same_bits(W.read(x, read=0), DPETensor(seed=1)(x, w))
    assert engine.reads == 1  # a named read is not counted
    assert W.read(x[0]).shape == (40,)
    assert W.read(x[None, None]).shape == (1, 1, 5, 40)
    assert "70 x 40, 2 x 1 tiles of 64 x 64, 4 slices, seed=1, chip=0" in repr(W)


def test_a_loop_sees_fresh_reads_and_its_rerun_the_same(x, w):
    def loop():
        engine = DPETensor(seed=3)
        W = engine.program(w)
        return [x @ W for _ in range(3)] + [engine(x, w)]

    first, again = loop(), loop()
    assert all(same_bits(a, b) for a, b in zip(first, again, strict=True))
    assert len({y.tobytes() for y in first}) == 4


def test_a_fresh_seed_is_shown_and_replays(x, w):
    engine = DPETensor(chip=2)
    assert DPETensor().seed != engine.seed
    assert f"seed={engine.seed}, chip=2" in repr(engine)
    assert same_bits(engine(x, w), DPETensor(seed=engine.seed, chip=2)(x, w))


def test_chips_differ_in_what_is_frozen_only(x, w):
    noisy = {"var": 0, "write_var": 0.1, "seed": 1}
    assert not same_bits(DPETensor(chip=1, **noisy)(x, w), DPETensor(chip=2, **noisy)(x, w))
    quiet = {"var": 0, "seed": 1}
    assert same_bits(DPETensor(chip=1, **quiet)(x, w), DPETensor(chip=2, **quiet)(x, w))


def test_operators_of_other_libraries(x, w):
    W = DPETensor(seed=1).program(w)
    expected = W.read(x, read=0)
    W = DPETensor(seed=1).program(w)
    assert same_bits(np.matmul(x, W), expected)
    W = DPETensor(seed=1).program(w)
    assert same_bits(np.dot(x, W), expected)
    W = DPETensor(seed=1).program(to_strict(w))
    assert same_bits(W.read(to_strict(x)), expected)
    W = DPETensor(seed=1).program(w)
    assert same_bits(x.tolist() @ W, expected)


@needs_torch
def test_operators_of_torch(x, w):
    expected = DPETensor(seed=1)(x, w)
    for product in (lambda a, b: a @ b, torch.matmul, torch.mm):
        W = DPETensor(seed=1).program(to_torch(w))
        result = product(to_torch(x), W)
        assert isinstance(result, torch.Tensor)
        assert same_bits(result, expected)


def test_operations_that_a_crossbar_has_not(x, w):
    W = DPETensor().program(w)
    for operation in (lambda: np.add(x, W), lambda: np.inner(x, W), lambda: np.matmul(x, W, order="F")):
        with pytest.raises(TypeError):
            operation()


def test_conductance_and_codes(w):
    engine = Engine(Device(var=0, HGS=2e-5, LGS=1e-6), seed=1)
    W = engine.program(w)
    g, q = W.conductance(), W.codes()
    assert (g.shape, g.dtype, q.shape, q.dtype) == ((4, 70, 40), np.float64, (70, 40), np.int64)
    levels = np.rint((g - 1e-6) / engine.config.device.step_S)
    np.testing.assert_allclose(g, 1e-6 + levels * engine.config.device.step_S, rtol=1e-12)
    # slices 1, 1, 2, 4, most significant first, at strides 15, 15, 5 and 1
    digits = levels / np.array([15, 15, 5, 1])[:, None, None]
    np.testing.assert_array_equal(-128 * digits[0] + 64 * digits[1] + 16 * digits[2] + digits[3], q)
    scale = np.repeat(np.stack([np.abs(w[:64]).max(0), np.abs(w[64:]).max(0)]), [64, 6], axis=0) / 127
    np.testing.assert_array_equal(q, np.rint(w / (scale * 127) * 127))
    np.testing.assert_allclose(W.decoded(), q * scale, rtol=1e-14)
    assert Engine(weights=Format(bw_e=8, double=True), seed=1).program(w).codes().shape == (2, 70, 40)


def test_array_types_of_what_a_matrix_shows(w):
    makers = [to_strict] + ([to_torch] if torch is not None else [])
    for make in makers:
        W = DPETensor(seed=1, write_var=0.1).program(make(w))
        plain = DPETensor(seed=1, write_var=0.1).program(w)
        for name in ("conductance", "codes", "decoded"):
            array = getattr(W, name)()
            assert type(array) is type(make(w))
            assert same_bits(array, getattr(plain, name)())


def test_empty_matrices_have_shape_and_nothing_else():
    W = DPETensor(seed=1).program(np.ones((0, 3)))
    assert (W.tiles, W.conductance().shape, W.codes().shape, W.decoded().shape) == (
        (0, 1, 4),
        (4, 0, 3),
        (0, 3),
        (0, 3),
    )
    assert np.all(np.ones((2, 0)) @ W == 0)
    with pytest.raises(ValueError, match=r"a matrix of shape \(0, 3\) has no cells"):
        W.report()


def test_weights_are_copied(x, w):
    mine = w.copy()
    W = DPETensor(seed=1).program(mine)
    mine[:] = 0
    assert same_bits(W.read(x, read=0), DPETensor(seed=1).program(w).read(x, read=0))


def test_reads_from_several_threads_are_counted_once_each(x, w):
    engine = DPETensor(seed=1)
    W = engine.program(w)
    results = [None] * 24

    def work(start):
        for k in range(start, 24, 4):
            results[k] = x @ W

    def blas_threads():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    x @ DPETensor(seed=1).program(w)  # loads what there is to load
    before = blas_threads()
    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert blas_threads() == before  # held to one inside the kernels, and given back
    assert engine.reads == 24
    expected = {W.read(x, read=k).tobytes() for k in range(24)}
    assert {y.tobytes() for y in results} == expected


REFUSED = [
    (
        lambda W: W.read(np.ones((2, 71))),
        ValueError,
        r"shapes \(2, 71\) and \(70, 40\) do not fit: the last axis of x \(71\)",
    ),
    (lambda W: W.read(3.0), ValueError, r"x is a number: a crossbar reads vectors.*length 70"),
    (lambda W: W.read(np.full(70, np.nan)), ValueError, r"x has nan at index \(0,\)"),
    (
        lambda W: W.report(np.ones((1, 70), complex)),
        TypeError,
        r"x has dtype complex128, which is complex where real numbers are wanted",
    ),
    (
        lambda W: W.read(to_strict(np.ones(70))),
        TypeError,
        r"x is a array_api_strict array and the programmed matrix a numpy",
    ),
    (lambda W: W.read(np.ones(70), read=-1), ValueError, r"read=-1 is out of range"),
    (lambda W: W.read(np.ones(70), read=2**32), ValueError, r"read=4294967296 is out of range"),
    (lambda W: W.read(np.ones(70), first_row=-1), ValueError, r"first_row=-1 is out of range"),
    (lambda W: W.read(np.ones((2, 70)), first_row=2**32 - 1), ValueError, r"first_row=4294967295 is out of range"),
    (lambda W: W.read(np.ones(70), first_row=1.5), TypeError, r"first_row=1.5 must be a whole number"),
    (
        lambda W: DPETensor().program(np.ones((70, 3)), origin=(2**32 - 64, 0)),
        ValueError,
        r"origin=4294967232 is out of",
    ),
    (lambda W: DPETensor().program(np.ones(3)), ValueError, r"w has shape \(3,\): weights are one matrix, \(K, N\)"),
    (lambda W: DPETensor().program(np.ones((2, 3, 4))), ValueError, r"w has shape \(2, 3, 4\): weights are one matrix"),
    (lambda W: DPETensor().program(np.ones((3, 3)), chip=-1), ValueError, r"chip=-1 is out of range"),
    (
        lambda W: DPETensor().program(np.ones((3, 3)), origin=(5, 0)),
        ValueError,
        r"origin=\(5, 0\) cuts through a tile of 64",
    ),
    (
        lambda W: DPETensor()(np.ones((2, 3)), np.ones((2, 2, 3))),
        ValueError,
        r"w has shape \(2, 2, 3\): weights are one",
    ),
    (
        lambda W: Engine(inputs=Format(granularity=(1, 65)))(np.ones((2, 70)), np.ones((70, 2))),
        ValueError,
        r"cuts through tiles",
    ),
]


@pytest.mark.parametrize(("run", "kind", "message"), REFUSED)
def test_refused(run, kind, message):
    W = DPETensor().program(np.ones((70, 40)))
    with pytest.raises(kind, match=message):
        run(W)


# -- SlicedData -------------------------------------------------------------------------------


def sliced(engine, x, w, x_options=None, w_options=None, slices=(1, 1, 2, 4)):
    sx = SlicedData(list(slices), **(x_options or {}))
    sw = SlicedData(list(slices), is_weight=True, **(w_options or {}))
    sx.slice_data_imp(engine, x)
    sw.slice_data_imp(engine, w)
    return sx, sw


@pytest.mark.slow
@given(products())
def test_sliced_data_and_engine_agree(case):
    config, x, w = case
    if not all(isinstance(fmt.granularity, tuple) for fmt in (config.inputs, config.weights)):
        config = config.replace(inputs={"granularity": "per-matrix"}, weights={"granularity": "per-matrix"})
    engine = Engine.from_config(config, seed=1)
    rows, cols = config.tile.rows, config.tile.cols
    options = [
        {"bw_e": fmt.bw_e, "dbfp_en": fmt.double, "quant_gran": fmt.granularity}
        for fmt in (config.inputs, config.weights)
    ]
    if isinstance(config.weights.granularity, tuple):
        cols = config.weights.granularity[1]
        engine = engine.replace(tile={"cols": cols})
    parallel = config.inputs.granularity[0] if isinstance(config.inputs.granularity, tuple) else 1
    sx = SlicedData(config.inputs.slices, paral_size=(parallel, rows), **options[0])
    sw = SlicedData(config.weights.slices, is_weight=True, paral_size=(rows, cols), **options[1])
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MpimpyWarning)
        sx.slice_data_imp(engine, x)
        sw.slice_data_imp(engine, w)
    expected = engine.program(w).read(x, read=0)
    assert same_bits(engine(sx, sw, read=0), expected)
    if config.adc.radc is not None:
        assert same_bits(engine.replace()(sx, w, read=0), expected)
        assert same_bits(engine.program(w).read(x, read=0), engine(sx, engine.program(w), read=0))
        assert same_bits(engine(x, sw, read=0), expected)


def test_sliced_data_describes_itself(x, w):
    engine = DPETensor(seed=1)
    sx, sw = sliced(engine, x, w)
    assert (sx.size(), sw.size(), sw.size(1), len(sx), sx.shape) == ((5, 70), (70, 40), 40, 4, (5, 70))
    assert (sx.slice_method, sx.bw_e, sx.rows, sw.rows, sw.cols, sx.dtype) == (
        (1, 1, 2, 4),
        None,
        64,
        64,
        64,
        np.float64,
    )
    assert "weights (70, 40), slices [1, 1, 2, 4]" in repr(sw)
    digits = sw.sliced_data
    assert digits.shape == (4, 70, 40)
    np.testing.assert_array_equal(
        -128 * digits[0].astype(int) + 64 * digits[1] + 16 * digits[2] + digits[3],
        engine(np.eye(70), sw) * 0 + encoding.integers(sw.encoded)[0, 0],
    )
    assert sx.quantized_data.shape == x.shape
    assert SNR(sx.quantized_data, x) > 35


def test_quantised_data_keeps_library_and_dtype(x, w):
    for make in [to_strict] + ([to_torch] if torch is not None else []):
        data = make(x.astype(np.float32))
        sx, _ = sliced(DPETensor(seed=1), data, make(w))
        assert type(sx.quantized_data) is type(data)
        assert sx.quantized_data.dtype == data.dtype
        assert type(sx.sliced_data) is type(data)


@pytest.mark.parametrize(
    ("options", "block"),
    [
        ({}, (64, 64)),
        ({"paral_size": (32, 16)}, (32, 16)),
        ({"paral_size": (32, 16), "quant_gran": (64, 32)}, (64, 32)),
        ({"paral_size": (32, 16), "quant_gran": "per-matrix"}, (96, 48)),
    ],
)
def test_granularity_that_needs_no_rounding(w, options, block):
    sw = SlicedData([1, 1, 2, 4], is_weight=True, **options)
    sw.slice_data_imp(DPETensor(), w)
    assert sw.encoded.block == block


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"quant_gran": (1, 64)},
            r"quant_gran=\(1, 64\) was rounded up to \(64, 64\), a multiple of paral_size=\(64, 64\)",
        ),
        ({"quant_gran": "per-col", "paral_size": (32, 16)}, r"quant_gran=per-col was rounded up to \(96, 16\)"),
        ({"quant_gran": (33, 16), "paral_size": (32, 16)}, r"quant_gran=\(33, 16\) was rounded up to \(64, 16\)"),
    ],
)
def test_granularity_that_is_rounded_up_is_said(w, options, message):
    sw = SlicedData([1, 1, 2, 4], is_weight=True, **options)
    with pytest.warns(MpimpyWarning, match=message):
        sw.slice_data_imp(DPETensor(), w)


def test_transposed_operands(x, w):
    engine = DPETensor(var=0, radc=None, seed=1)
    sx, sw = sliced(engine, x, w)
    assert sw.t().size() == (40, 70)
    engine(sx, sw)  # programmed; the transposed operand must not come back as these cells
    assert sw.t().rows == 64
    np.testing.assert_allclose(engine(np.ones((2, 40)), sw.t()), np.ones((2, 40)) @ sw.quantized_data.T, rtol=1e-12)
    assert same_bits(sw.t().t().quantized_data, sw.quantized_data)
    batch = np.stack([x, -x])
    sb = SlicedData([1, 1, 2, 4])
    sb.slice_data_imp(engine, batch)
    assert sb.t().size() == (2, 70, 5)
    np.testing.assert_array_equal(sb.t().quantized_data, sb.quantized_data.swapaxes(1, 2))
    # rectangular arrays turn too
    tall = SlicedData([1, 1, 2, 4], is_weight=True, paral_size=(32, 8))
    tall.slice_data_imp(engine, w)
    assert (tall.t().rows, tall.t().cols) == (8, 32)
    with pytest.raises(ValueError, match=r"inputs are cut for arrays of 64 rows and weights for 32"):
        engine(sx, tall)


def test_row_mode(x, w):
    engine = DPETensor(array_size=(32, 32), input_size=(2, 32), seed=1)
    row, matrix = SlicedData([1, 1, 2, 4], input_en=True), SlicedData([1, 1, 2, 4])
    row.slice_data_imp(engine, x)
    matrix.slice_data_imp(engine, x)
    assert row.encoded.block == (2, 32)
    assert matrix.encoded.block == (32, 32)
    assert SNR(row.quantized_data, x) > SNR(matrix.quantized_data, x)


def test_inference_keeps_only_what_products_need(x, w):
    engine = DPETensor(seed=1)
    sx, sw = sliced(engine, x, w, {"inference": True}, {"inference": True})
    plain_x, plain_w = sliced(DPETensor(seed=1), x, w)
    assert same_bits(engine(sx, sw), DPETensor(seed=1)(plain_x, plain_w))
    assert sw.encoded is None
    for name in ("quantized_data", "sliced_data"):
        with pytest.raises(AttributeError, match=rf"{name} is not kept with inference=True"):
            getattr(sw, name)
    with pytest.raises(AttributeError, match=r"t\(\) is not kept"):
        sw.t()
    with pytest.raises(ValueError, match=r"programmed by another engine, and inference=True kept nothing else"):
        DPETensor(seed=2)(sx, sw)


def test_weights_are_programmed_once_per_engine(x, w, monkeypatch):
    engine, other = DPETensor(seed=1, write_var=0.1), DPETensor(seed=2, write_var=0.1)
    sx, sw = sliced(engine, x, w)
    programs = []
    build = CrossbarMatrix.__init__
    monkeypatch.setattr(CrossbarMatrix, "__init__", lambda *a, **k: (programs.append(1), build(*a, **k))[1])
    engine(sx, sw)
    engine(sx, sw)
    assert len(programs) == 1
    assert same_bits(other(sx, sw, read=5), other(sx, sw, read=5))
    assert len(programs) == 2
    sw.slice_data_imp(other, 2 * w)
    other(sx, sw)
    assert len(programs) == 3  # new data, though the same engine as before


def test_arrays_keep_the_engines_format_beside_sliced_weights(x, w):
    engine = DPETensor(seed=1, x_slices=[1, 3])
    sx, sw = sliced(engine, x, w)
    engine(sx, sw)  # programs the weights for inputs of another format
    fresh = SlicedData([1, 1, 2, 4], is_weight=True)
    fresh.slice_data_imp(engine, w)
    coarse = engine(x, sw, read=0)
    assert same_bits(coarse, engine(x, fresh, read=0))
    assert not same_bits(coarse, engine(sx, sw, read=0))


def test_operands_are_checked_once(x, w, monkeypatch):
    seen = []
    check = values.take
    monkeypatch.setattr(values, "take", lambda name, *a, **k: (seen.append(name), check(name, *a, **k))[1])
    engine = DPETensor(seed=1)
    MapReducedot(x, w, engine)
    engine(x, w)
    W = engine.program(w)
    W.read(x)
    assert seen == ["a", "b", "w", "x", "w", "x"]


def test_lists_beside_sliced_weights(x, w):
    for make in [np.asarray, to_strict] + ([to_torch] if torch is not None else []):
        engine = DPETensor(seed=1)
        _, sw = sliced(engine, make(x), make(w))
        assert type(engine(x.tolist(), sw)) is type(make(x))


def test_products_are_checked_before_weights_are_programmed(x, w, monkeypatch):
    engine = DPETensor(seed=1)
    sx, sw = sliced(engine, x, w)
    short, _ = sliced(engine, x[:, :9], w)
    monkeypatch.setattr("mpimpy._writing.program", lambda *_, **__: pytest.fail("programmed"))
    with pytest.raises(ValueError, match="do not fit"):
        engine(short, sw)
    with pytest.raises(ValueError, match="do not fit"):
        engine(x[:, :9], sw)
    with pytest.raises(ValueError, match="input slice of 4 bits needs 16 levels but rdac=8"):
        DPETensor(rdac=8)(sx, sw)


def test_formats_of_sliced_data_need_not_fit_the_defaults(x, w):
    engine = DPETensor(g_level=4, rdac=2, radc=(256,) * 5, seed=1)
    sx = SlicedData([1] * 8)
    sw = SlicedData([1, 1, 2, 2, 2], is_weight=True, inference=True)
    sx.slice_data_imp(engine, x)
    sw.slice_data_imp(engine, w)
    assert engine(sx, sw).shape == (5, 40)


def engine_with(**options):
    return DPETensor(**{"seed": 1} | options)


SLICED_REFUSED = [
    (lambda: SlicedData([2, 2]), ValueError, r"slices=\[2, 2\] must begin with 1"),
    (lambda: SlicedData([1, 1], dbfp_en=True), ValueError, r"a double exponent .* needs an exponent width"),
    (lambda: SlicedData([1, 1], is_weight=True, input_en=True), ValueError, r"input_en=True has no effect on weights"),
    (
        lambda: SlicedData([1, 1], input_en=True, paral_size=(8, 8)),
        ValueError,
        r"paral_size=\(8, 8\) would have no effect",
    ),
    (lambda: SlicedData([1, 1], quant_gran="finest"), ValueError, r"quant_gran 'finest' is a granularity of Format"),
    (lambda: SlicedData([1, 1], quant_gran="rows"), ValueError, r"granularity 'rows' is unknown"),
    (lambda: SlicedData([1, 1], paral_size=64), TypeError, r"paral_size=64 must be two whole numbers"),
    (lambda: SlicedData([1, 1], inference=1), TypeError, r"inference=1 must be True or False"),
    (lambda: SlicedData([1, 1]).size(), ValueError, r"holds no data yet: call slice_data_imp"),
    (lambda: SlicedData([1, 1]).t(), ValueError, r"holds no data yet"),
    (lambda: SlicedData([1, 1]).slice_data_imp(DPETensor(), np.ones(())), ValueError, r"the input data has shape \(\)"),
    (lambda: SlicedData([1, 1]).slice_data_imp(DPETensor(), np.ones((0, 4))), ValueError, r"without any element"),
    (lambda: SlicedData([1, 1]).slice_data_imp(DPETensor(), np.full(2, np.nan)), ValueError, r"the input data has nan"),
    (
        lambda: SlicedData([1, 1], is_weight=True).slice_data_imp(DPETensor(), np.ones((2, 2, 2))),
        ValueError,
        r"the weight data has shape \(2, 2, 2\): it needs two axes \(K, N\)",
    ),
    (
        lambda: SlicedData([1, 5], is_weight=True).slice_data_imp(DPETensor(), np.ones((2, 2))),
        ValueError,
        r"weight slice of 5 bits needs 32 levels but g_level=16",
    ),
    (
        lambda: SlicedData([1, 1], input_en=True).slice_data_imp(DPETensor(), np.ones((2, 2))),
        ValueError,
        r"input_en=True slices by the engine's input_size: give DPETensor\(input_size=",
    ),
    (
        lambda: SlicedData([1, 1], device="cuda").slice_data_imp(DPETensor(), np.ones((2, 2))),
        ValueError,
        r"the input data is on device cpu but this SlicedData has device=cuda",
    ),
    (
        lambda: engine_with()(*reversed(sliced(engine_with(), np.ones((2, 2)), np.ones((2, 2))))),
        ValueError,
        r"inputs come first",
    ),
    (
        lambda: engine_with()(*[sliced(engine_with(), np.ones((2, 2)), np.ones((2, 2)))[0]] * 2),
        ValueError,
        r"w is a SlicedData of inputs: build it with is_weight=True",
    ),
    (
        lambda: engine_with()(*sliced(engine_with(), np.ones((2, 3)), np.ones((2, 2)))),
        ValueError,
        r"shapes \(2, 3\) and \(2, 2\) do not fit",
    ),
    (lambda: engine_with()(SlicedData([1, 1]), np.ones((2, 2))), ValueError, r"holds no data yet"),
]


@pytest.mark.parametrize(("run", "kind", "message"), SLICED_REFUSED)
def test_sliced_data_refused(run, kind, message):
    with pytest.raises(kind, match=message):
        run()


def test_t_of_a_vector():
    sx = SlicedData([1, 1])
    sx.slice_data_imp(DPETensor(), np.ones(4))
    with pytest.raises(ValueError, match=r"t\(\) swaps the last two axes, and the data has shape \(4,\)"):
        sx.t()


def test_replace_keeps_device_and_input_size(x):
    engine = DPETensor(array_size=(32, 32), input_size=(2, 32), device="cuda").replace(adc={"radc": 512})
    assert engine.input_size == (2, 32)
    with pytest.raises(ValueError, match="device=cuda"):
        engine.program(x)


def test_replace_keeps_seed_chip_and_backend():
    engine = Engine(seed=5, chip=3, backend="reference").replace(adc={"radc": 512}, tile=Tile(8, 8))
    assert (engine.seed, engine.chip, engine.backend, engine.config) == (
        5,
        3,
        "reference",
        Config(adc=ADC(512), tile=Tile(8, 8)),
    )


def test_engines_and_matrices_survive_pickling(x, w):
    engine = DPETensor(seed=1, write_var=0.1)
    W = engine.program(w)
    x @ W
    again, W2 = pickle.loads(pickle.dumps((engine, W)))
    assert same_bits(W2.read(x, read=1), W.read(x, read=1))
    assert not same_bits(x @ W2, W.read(x, read=1))
    assert again.reads == 2  # the copy of the matrix counts on the copy of its engine
    assert engine.reads == 1
    if torch is not None:
        V = DPETensor(seed=1, backend="reference").program(to_torch(w))
        assert same_bits(copy.deepcopy(V).read(to_torch(x), read=0), V.read(to_torch(x), read=0))


def test_sliced_data_survives_pickling(x, w):
    engine = DPETensor(seed=1)
    for inference in (False, True):
        sw = SlicedData([1, 1, 2, 4], is_weight=True, inference=inference)
        assert pickle.loads(pickle.dumps(sw)).shape is None
        sw.slice_data_imp(engine, w)
        engine2, sw2 = pickle.loads(pickle.dumps((engine, sw)))
        assert same_bits(engine2(x, sw2, read=3), engine(x, sw, read=3))
        assert same_bits(sw2.quantized_data, sw.quantized_data) if not inference else sw2.encoded is None


def test_a_matrix_is_read_by_engines_of_its_settings_alone(x, w):
    engine = DPETensor(seed=1)
    matrices = engine.program(w), engine.program(w).T.T, engine.operator(w), engine.program(w + 1j), SlicedData([1, 3])
    matrices[-1].slice_data_imp(engine, x)
    same, other = DPETensor(seed=2), DPETensor(var=0, HGS=2e-5, radc=64, seed=1)
    message = (
        r"other settings than this engine's \(device.HGS=1e-05, not 2e-05, device.var=0.05, not 0.0, adc.radc=256, "
    )
    for W in matrices[:-1]:
        assert same_bits(same(x, W, read=0), W.read(x, read=0))
        for face, inputs in ((W, x), (W.T, w.T), (W.conj(), x), (W.H, w.T)):
            with pytest.raises(ValueError, match=message + "not 64"):
                other(inputs, face)
    with pytest.raises(ValueError, match=message):
        other(matrices[-1], matrices[0])
    with pytest.raises(ValueError, match=r", \.\.\.\), and keeps them: read it with x @ W, or program its weights"):
        DPETensor(var=0, HGS=2e-5, radc=64, rdac=32)(x, matrices[0])


def test_sliced_weights_keep_the_engines_reference_columns(x, w):
    found = []
    for setting in ({"reference": "ideal"}, {"reference_columns": 3}):
        engine = DPETensor(seed=1, var=0.2, LGS=5e-6, **setting)
        sw = SlicedData([1, 1, 2, 4], is_weight=True, paral_size=(64, 64))
        sw.slice_data_imp(engine, w)
        assert sw.programmed(engine).config.tile == engine.config.tile
        found.append(engine(x, sw, read=0))
    assert not same_bits(*found)


def test_what_numpy_converts_is_taken(x, w):
    class Frame:
        def __array__(self, dtype=None, copy=None):
            return x

        def mask(self):
            raise AssertionError

    W = DPETensor(seed=1).program(w)
    assert same_bits(W.read(Frame(), read=0), W.read(x, read=0))
    from scipy import sparse

    with pytest.raises(
        TypeError, match=r"x is a sparse csr_array, and a crossbar holds every element: pass x.toarray\(\)"
    ):
        W.read(sparse.csr_array(x))


@pytest.mark.parametrize("paral_size", [(16, 8), (32, 32), (64, 64), None])
def test_inference_programs_the_arrays_that_the_data_is_cut_for(x, w, paral_size):
    rows = 64 if paral_size is None else paral_size[0]
    found = []
    for inference in (False, True):
        engine = DPETensor(var=0.05, write_var=0.1, seed=1)
        sw = SlicedData([1, 1, 2, 4], is_weight=True, paral_size=paral_size, inference=inference)
        sx = SlicedData([1, 1, 2, 4], paral_size=(1, rows))
        sx.slice_data_imp(engine, x)
        sw.slice_data_imp(engine, w)
        assert sw.programmed(engine).config.tile.rows == rows
        found.append(engine(sx, sw, read=0))
    assert same_bits(*found)


@pytest.mark.parametrize("kind", [Engine, DPETensor, bitslicedpe])
def test_nothing_that_is_set_on_an_engine_is_ignored(kind, x, w):
    engine = kind(seed=1)
    for name in ("var", "radc", "array_size", "nonsense"):
        with pytest.raises(AttributeError):
            setattr(engine, name, 4)
    with pytest.raises(AttributeError, match=r"an engine has no attribute 'radc' to set.*engine.replace"):
        engine.radc = 4
    for name, value, error, message in (
        ("seed", -1, ValueError, "seed=-1 is out of range"),
        ("chip", 2**20, ValueError, "chip=1048576 is out of range"),
        ("gradient", "none", ValueError, "gradient"),
        ("backend", "none", ValueError, "backend 'none' is unknown"),
        ("config", None, TypeError, "config=None must be a Config"),
    ):
        with pytest.raises(error, match=message):
            setattr(engine, name, value)
    engine.seed, engine.chip, engine.config = 2, 3, engine.config
    assert np.array_equal(engine.program(w).read(x, 0), kind(seed=2, chip=3).program(w).read(x, 0))


def test_public_names_of_an_engine_and_of_a_matrix():
    def names(value):
        return {name for name in dir(value) if not name.startswith("_")}

    engine = Engine(seed=1)
    methods = {"MapReduceDot", "calibrate", "estimate", "from_config", "operator", "program", "replace"}
    methods |= {"survey_inputs", "survey_weights"}
    methods |= {"from_dict", "from_file", "named", "save_settings", "to_dict"}
    assert names(engine) == methods | {
        "backend",
        "chip",
        "config",
        "gradient",
        "in_stream",
        "input_size",
        "reads",
        "seed",
        "stream",
    }
    views = {"age", "chip", "codes", "conductance", "config", "decoded", "device", "dtype", "ndim", "origin"}
    views |= {"effective", "gradient", "reference_conductance"}
    views |= {"in_stream", "programming", "reads", "seed", "shape", "stream", "tiles"}
    assert names(engine.program(np.eye(2))) == views | {
        "H",
        "T",
        "at",
        "conj",
        "cost",
        "matmat",
        "matvec",
        "read",
        "read_plan",
        "report",
        "rmatmat",
        "rmatvec",
        "save",
        "totals",
    }
