"""Small reads made ready: the bits of the usual way, whatever one thing changes, and nothing is kept that should not be."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from libraries import same_bits
from strategies import examples, products

from mpimpy import ADC, DAC, Device, Drift, Engine, Flicker, Format, Tile, Wires
from mpimpy import matrix as faces
from mpimpy.crossbar import small

PAIR, SIGNED, OFFSET = Format(mapping="pair"), Format(mapping="signed"), Format(mapping="offset")
X, W = (np.random.default_rng(4).standard_normal(shape) for shape in ((5, 70), (70, 30)))


def is_small(matrix):
    """Whether a matrix has done a small read."""
    readers = (reader for shared in matrix._shared.values() for _, reader in shared._readers.values())
    return any(reader is not None for reader in readers)


@pytest.fixture
def usual(monkeypatch):
    """A function that reads a copy of a matrix the usual way."""

    def read(matrix, x, number=3, stream=None, **options):
        with monkeypatch.context() as patch:
            patch.setattr(small, "takes_small_reads", lambda backend: False)
            other = copy.deepcopy(matrix).in_stream(stream, number)
            y = other.read(x, **options)
            assert not is_small(other)
        return y

    return read


def far(config):
    """An origin where blocks of drawn granularities begin, as far from (0, 0) as these allow it."""
    of_x, of_w = config.inputs.granularity, config.weights.granularity
    row = 0 if {of_x, of_w} & {"per-matrix", "per-row", "per-col"} else config.tile.rows * 6
    return row, 0 if of_w == "per-matrix" else config.tile.cols * 12


@given(case=products(drift=True))
@settings(max_examples=examples(100))
def test_a_small_read_has_the_bits_of_the_usual_way(case):
    config, x, w = case
    matrix = Engine.from_config(config, seed=7, chip=2).program(w, origin=far(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "takes_small_reads", lambda backend: False)
        wanted = [copy.copy(matrix).read(x, number) for number in (0, 9)]
    for _ in range(2):
        for number, y in zip((0, 9), wanted, strict=True):
            assert same_bits(matrix.read(x, number), y)


SMALL = {
    "default": {},
    "pair and signed": {"weights": PAIR, "inputs": SIGNED},
    "offset": {"weights": OFFSET},
    "no variation": {"device": Device(var=0)},
    "offset without variation": {"weights": OFFSET, "device": Device(var=0)},
    "pair without variation": {"weights": PAIR, "device": Device(var=0)},
    "ideal references": {"tile": Tile(reference="ideal")},
    "written cells": {"device": Device(write_var=0.1)},
    "few rows": {"tile": Tile(16, 20)},
    "snap": {"adc": ADC(4096, snap=True)},
    "narrow range": {"adc": ADC(256, range=2e-5)},
    "fine ADC": {"adc": ADC(2**20)},
    "other levels": {"device": Device(g_level=32, HGS=2e-5, LGS=3e-7)},
    "other codes": {"dac": DAC(64)},
    "other slices": {"inputs": Format((1, 3)), "weights": Format((1, 2, 2, 1))},
    "per-row": {"inputs": Format(granularity="per-row")},
    "per-matrix": {"inputs": Format(granularity="per-matrix")},
    "blocks": {"inputs": Format(granularity=(2, 64))},
    "read noise": {"device": Device(var=Flicker(0.02))},
    "stuck cells": {"device": Device(stuck_HGS=0.02)},
    "drift": {"device": Device(drift=Drift(0.05))},
}

# what a read has that only `product` does
LARGE = {
    "DAC noise": {"dac": DAC(vnoise=0.02)},
    "ADC noise": {"adc": ADC(noise_lsb=0.5)},
    "ideal ADC": {"adc": ADC(None)},
    "lossless": {"device": Device(var=0), "adc": ADC(64 * 15 * 15 + 1)},
    "redraw slice": {"device": Device(redraw="slice")},
    "redraw row": {"device": Device(redraw="row")},
    "one conversion": {"adc": ADC(per="product")},
    "several reference columns": {"tile": Tile(reference_columns=2)},
    "exact reads": {"wires": Wires(2.0, 2.0, exact_reads=True)},
    "per level": {"device": Device(var=(0.05,) * 15 + (0.1,))},
    "shared exponent": {"inputs": Format(bw_e=8)},
    "double exponent": {"weights": Format(bw_e=8, double=True)},
    "ideal unit column": {"weights": OFFSET, "tile": Tile(reference="ideal")},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_each_setting_is_read_as_it_should_be_beside_the_others(name, dtype, usual):
    # what matrices share is kept from the default machine and from the one before
    settings = SMALL.get(name) or LARGE.get(name) or {}
    x, plain = X.astype(dtype), Engine(seed=3).program(W)
    plain.read(x, 3)
    matrix = Engine(**settings, seed=3).program(W)
    assert same_bits(matrix.read(x, 3), usual(matrix, x))
    assert is_small(matrix) == (name in SMALL)
    assert same_bits(plain.read(x, 3), usual(plain, x))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"chip": 1},
        {"name": "layer"},
        {"origin": (0, 5)},
        {"origin": (64, 0)},
        {"faults": np.eye(70, 30, dtype=np.int8)},
        {"w": W[:, ::-1]},
        {"w": W[:, :7]},
        {"w": W[:40]},
    ],
)
def test_each_matrix_has_reads_of_its_own(change, usual):
    plain = Engine(seed=3).program(W)
    engine = Engine(seed=change.pop("seed", 3))
    matrix = engine.program(change.pop("w", W), **change)
    for each in (plain, matrix, plain):
        x = X[:, : each.shape[0]]
        assert same_bits(each.read(x, 3), usual(each, x))
        assert is_small(each)


@pytest.mark.parametrize("shape", [(3, 120), (3, 130), (15, 256), (16, 250), (40, 256), (40, 300), (130, 1), (1, 1)])
@pytest.mark.parametrize("weights", [Format(), PAIR])
def test_grids_of_every_shape_are_drawn_alike(shape, weights, usual):
    rng = np.random.default_rng(5)
    matrix = Engine(weights=weights, seed=3).program(rng.standard_normal(shape), origin=(0, 3))
    x = rng.standard_normal((2, shape[0]))
    assert same_bits(matrix.read(x, 3), usual(matrix, x))
    assert is_small(matrix)


def test_each_read_has_its_number_stream_and_age(usual):
    matrix = Engine(Device(drift=Drift(0.05)), seed=3).program(W)
    assert same_bits(matrix.read(X), usual(matrix, X, 0))
    assert same_bits(matrix.read(X), usual(matrix, X, 1))
    assert not np.array_equal(matrix.read(X, 0), matrix.read(X, 1))
    for stream in ("a", "b", "a"):
        assert same_bits(matrix.in_stream(stream, 5).read(X), usual(matrix, X, 5, stream))
    matrix = matrix.in_stream("a")
    for number in range(2):
        assert same_bits(matrix.read(X), usual(matrix, X, number, "a"))
        assert same_bits(matrix.read(X, 0), usual(matrix, X, 0))
    older = matrix.at("30 d")
    assert same_bits(older.read(X, 3), usual(older, X))
    assert is_small(older)
    compensated = matrix.at("30 d", compensate=True)
    assert same_bits(compensated.read(X, 3), usual(compensated, X))
    assert same_bits(matrix.read(X, 3), usual(matrix, X))


def test_ranges_that_calibration_chose_are_those_of_the_read(usual):
    engine = Engine(Device(var=0), seed=3)
    before = engine.program(W)
    before.read(X, 3)
    after = engine.calibrate(X, W).program(W)
    assert after.config != before.config
    assert same_bits(after.read(X, 3), usual(after, X))


def test_inputs_of_every_form_are_read_alike(usual):
    matrix, x = Engine(seed=3).program(W), X.astype("float32")
    wide = np.zeros((10, 140), "float32")
    wide[::2, ::2] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    forms = [x, frozen, np.asfortranarray(x), wide[::2, ::2], x[None], x.reshape(5, 1, 70), x[0], x[:2], x.astype("f8")]
    forms += [x.astype(">f4"), x.astype("f2"), np.round(x * 9).astype("i4"), x > 0, x.view(np.recarray), x.tolist()]
    for _ in range(2):
        for form in forms:
            y = matrix.read(form, 3)
            assert same_bits(y, usual(matrix, form)), form
            assert (y.flags.writeable and y.base is None) or y.base.base is None
    tensors = Engine(seed=3).program(torch.from_numpy(W.astype("float32")))
    for _ in range(2):
        y = tensors.read(torch.from_numpy(x), 3)
        assert isinstance(y, torch.Tensor)
        assert same_bits(y.numpy(), usual(tensors, torch.from_numpy(x)).numpy())
    assert is_small(tensors)
    assert tensors.read(torch.from_numpy(x).bfloat16(), 3).dtype is torch.float32


def test_each_dtype_has_the_product_of_its_own(usual):
    matrix = Engine(seed=3).program(W.astype("float32"))
    for dtype in ("float64", "float32", "float16", "int32", "float64", "float32"):
        x = (8 * X).astype(dtype)
        y = matrix.read(x, 3)
        assert y.dtype == np.result_type(dtype, "float32")
        assert same_bits(y, usual(matrix, x))


def test_results_belong_to_the_caller():
    matrix = Engine(seed=3).program(W)
    first = matrix.read(X, 3)
    kept = first.copy()
    matrix.read(-X, 3)
    first[:] = 0
    assert same_bits(matrix.read(X, 3), kept)


@pytest.mark.parametrize("scale", [1e-200, 1e-320, 1e200, 0.0])
def test_values_beyond_the_band_of_plain_scales_go_the_usual_way(scale, usual):
    matrix = Engine(seed=3).program(W)
    assert same_bits(matrix.read(X, 3), usual(matrix, X))
    assert same_bits(matrix.read(X * scale, 3), usual(matrix, X * scale))
    assert matrix.read(X * scale, None).shape == (5, 30)
    assert matrix.reads == 1


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_known_shapes_are_still_checked(wrong):
    matrix, x = Engine(seed=3).program(W), X.copy()
    matrix.read(x)
    x[3, 4] = wrong
    with pytest.raises(ValueError, match=rf"x has {wrong} at index \(3, 4\): every element must be finite"):
        matrix.read(x)
    assert matrix.reads == 1
    with pytest.raises(ValueError, match="do not fit"):
        matrix.read(X[:, :9])
    with pytest.raises(ValueError, match="first_row"):
        matrix.read(X, first_row=-1)
    with pytest.raises(TypeError, match="torch"):
        matrix.read(torch.from_numpy(X))


def test_copies_make_ready_anew(usual):
    matrix = Engine(seed=3).program(W)
    matrix.read(X)
    for other in (pickle.loads(pickle.dumps(matrix)), copy.deepcopy(matrix), copy.copy(matrix)):
        assert not other._shared
        assert same_bits(other.read(X, 3), usual(matrix, X))
        assert is_small(other)


def test_little_is_kept():
    matrix = Engine(seed=3).program(W)
    x = X.copy()
    reference = weakref.ref(x)
    matrix.read(x)
    del x
    gc.collect()
    assert reference() is None
    for rows in range(1, 60):
        matrix.read(np.ones((rows, 70)))
        assert len(matrix._shared) <= faces.KINDS + 1
    for number in range(9):
        matrix.in_stream(f"{number}").read(X)
    shared = matrix._shared[(59, 70), np.dtype("float64")]
    for number in range(9):
        shared.small(matrix._backend, matrix.programmed, np.ones((59, 70)), 0, f"{number}")
        assert len(shared._readers) <= small.STREAMS


def test_large_reads_go_the_usual_way():
    x, w = np.ones((200, 128)), np.ones((128, 200))
    matrix = Engine(seed=3).program(w)
    matrix.read(x)
    assert not is_small(matrix)


def test_threads_share_a_matrix(usual):
    matrix = Engine(seed=3).program(W)
    inputs = [X[: rows + 1] * (rows + 1) for rows in range(4)]
    wanted = [usual(matrix, x) for x in inputs]
    wrong = []

    def work():
        for turn in range(80):
            if not same_bits(matrix.read(inputs[turn % 4], 3), wanted[turn % 4]):
                wrong.append(turn)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
