"""Pickles of programmed matrices: recipes, from which the same cells are written again."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits
from strategies import configs, examples, runners

import mpimpy
from mpimpy import Device, Drift, Engine, Format, SlicedData, Tile, Wires, WriteVerify
from mpimpy.files import recipes


def through_pickle(value):
    return pickle.loads(pickle.dumps(value))


def cells_of(programmed):
    """Every array of a programmed matrix, by name; without those of the matrix as programmed, if it is aged."""
    found = {"digits": programmed.encoded.digits, "scales": programmed.encoded.scales, "of tiles": programmed.scales}
    for name in ("as_programmed", "as_read"):
        cells = getattr(programmed, name)
        for part, at in {"": cells, " columns": cells.columns}.items():
            if at is not None:
                found |= {f"{name}{part} {field}": getattr(at, field) for field in ("cells", "levels", "pulses")}
    return {name: np.asarray(array) for name, array in found.items() if array is not None}


def same_matrices(first, second):
    one, other = (matrix.programmed for matrix in (first, second))
    pairs = [(one, other)]
    if one.fresh is not None:
        pairs.append((one.fresh, other.fresh))
    for a, b in pairs:
        arrays = cells_of(a), cells_of(b)
        assert arrays[0].keys() == arrays[1].keys()
        for name, array in arrays[0].items():
            assert same_bits(arrays[1][name], array), name
        assert (b.age, b.address, b.config) == (a.age, a.address, a.config)
        for field in ("block", "bits", "strides", "shifts", "offset", "exponent"):
            assert getattr(b.encoded, field) == getattr(a.encoded, field)


@st.composite
def written(draw):
    """(config, w, faults, origin, (time, compensate) or None)."""
    config, rng = draw(configs(drift=draw(st.booleans()), wired=draw(st.booleans()))), np.random.default_rng(0)
    shape = draw(st.integers(1, 20)), draw(st.integers(1, 11))
    w = rng.standard_normal(shape) * draw(st.sampled_from([1.0, 0.0, 1e-200, 1e12]))
    w = w.astype(draw(st.sampled_from(["float32", "float64"])))
    w[draw(st.integers(0, shape[0] - 1))] = 0
    width = shape[1]
    if draw(st.integers(0, 4)) == 0:
        w, width = w + 1j * w[::-1], 2 * width
    cells = (config.weights.planes, config.weights.cells_per_digit)
    whole = (*(n for n in cells if n > 1), len(config.weights.digits), shape[0], width)
    share = draw(st.sampled_from([0.0, 0.01, 0.5]))
    faults = draw(st.sampled_from([None, None, (shape[0], width), whole]))
    faults = faults and rng.choice([0, 1, -1], faults, p=[1 - share, share / 2, share / 2])
    origin = config.tile.rows * draw(st.integers(0, 3)), 0
    if origin[0]:  # parts share no scales
        parts = "inputs", "weights"
        config = config.replace(**{p: dataclasses.replace(getattr(config, p), granularity="finest") for p in parts})
    ages = config.device.drift is not None or config.device.relaxation is not None
    ratio = 0.75 if origin[0] else True  # a part knows no ratio of the whole
    age = draw(st.sampled_from([None, ("1 h", False), ("30 d", ratio)])) if ages else None
    return config, w, faults, origin, age


@given(written(), runners())
@settings(max_examples=examples(25))
def test_a_pickle_writes_the_same_cells_again(case, chosen):
    config, w, faults, origin, age = case
    x = np.random.default_rng(1).standard_normal((2, w.shape[0])).astype(w.real.dtype)
    for _, make, backend in chosen:
        engine = Engine.from_config(config, seed=5, chip=2, backend=backend)
        matrix = engine.program(make(w), faults=faults, origin=origin)
        matrix = matrix if age is None else matrix.at(*age)
        other = through_pickle(matrix)
        real, again = (getattr(each, "parts", each) for each in (matrix, other))
        assert again.age == real.age
        assert again._programmed is None  # it writes when it has to
        assert same_bits(other.read(make(x), read=3), matrix.read(make(x), read=3))
        same_matrices(real, again)


WIDE = Format.named("fp32", mapping="pair")
CONFIGURATIONS = {
    "default": ({}, 1.2),
    "write variation": ({"device": Device(write_var=0.1)}, 1.2),
    "verified": ({"device": Device(write_var=0.1, verify=WriteVerify(2e-7))}, 1.2),
    "wires": ({"wires": Wires(2.0, 2.0)}, 1.2),
    "pair": ({"weights": Format(mapping="pair")}, 1.2),
    "double exponent": ({"weights": Format(bw_e=8, double=True)}, 1.4),
    "25 bits": ({"weights": WIDE}, 3.3),
    "25 bits, double exponent": ({"weights": dataclasses.replace(WIDE, double=True)}, 3.5),
    "10 bits": ({"weights": Format.named("bf16")}, 1.4),
    "4 bits": ({"weights": Format.named("int4")}, 0.7),
}


@pytest.mark.parametrize(("given", "most"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_pickle_takes_few_bytes_a_weight(rng, given, most):
    w = rng.standard_normal((320, 256)).astype("float32")
    engine = Engine(seed=1, **given)
    head = len(pickle.dumps(engine.program(w[:1, :1])))
    matrix = engine.program(w)
    for each in (matrix, through_pickle(matrix)):
        assert len(pickle.dumps(each)) - head < most * w.size
    same_matrices(matrix, through_pickle(matrix))


def test_few_stuck_cells_take_few_bytes(rng):
    w = rng.standard_normal((320, 256)).astype("float32")
    matrix = Engine(seed=1).program(w, faults=rng.choice([0, 1, -1], (320, 256), p=[0.99, 0.005, 0.005]))
    assert len(pickle.dumps(matrix)) < 1.4 * w.size
    assert same_bits(through_pickle(matrix).programmed.faults, matrix.programmed.faults)


def test_codes_are_packed_in_blocks_of_rows(rng, monkeypatch):
    w = rng.standard_normal((70, 30))
    for parts in ({}, {"weights": dataclasses.replace(WIDE, double=True)}, {"weights": Format((1, 1, 3))}):
        matrix = Engine(seed=1, **parts).program(w)
        whole = pickle.dumps(matrix)
        with monkeypatch.context() as patched:
            patched.setattr(recipes, "_AT_ONCE", 30 * 8)
            assert pickle.dumps(matrix) == whole
            same_matrices(matrix, pickle.loads(whole))


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy])
def test_copies_in_a_process_share_the_cells(rng, clone, monkeypatch):
    monkeypatch.setattr(recipes, "recipe_of", lambda *_: pytest.fail("a recipe"))
    for w in (rng.standard_normal((70, 30)), 1j * rng.standard_normal((70, 30))):
        matrix = Engine(Device(write_var=0.1), seed=1).program(w)
        other = clone(matrix)
        real, again = (getattr(each, "parts", each) for each in (matrix, other))
        assert again.programmed is real.programmed
        assert same_bits(other.read(w.real[:, 0], read=0), matrix.read(w.real[:, 0], read=0))


def test_a_copy_of_what_a_pickle_made_writes_for_itself(rng):
    w = rng.standard_normal((70, 30))
    matrix = Engine(Device(write_var=0.1), seed=1).program(w)
    other = through_pickle(matrix)
    for again in (copy.deepcopy(other), copy.copy(other), other.in_stream("a"), through_pickle(other)):
        assert again._programmed is None
        same_matrices(matrix, again)
    assert other._programmed is None


def test_a_matrix_from_a_file_keeps_its_cells(rng, tmp_path):
    # a file of cells that programming would not give: they are all that there is
    x, w = rng.standard_normal((2, 70)), rng.standard_normal((70, 30))
    matrix = Engine(Device(write_var=0.1, drift=Drift(0.05)), seed=1).program(w)
    cells = matrix.programmed.as_programmed
    moved = cells._replace(cells=cells.cells + 1)
    matrix._programmed = dataclasses.replace(matrix.programmed, as_programmed=moved, as_read=moved)
    matrix.save(tmp_path / "chip.npz")
    loaded = mpimpy.load(tmp_path / "chip.npz")
    for each in (loaded, loaded.at("1 d")):
        again = through_pickle(each)
        assert again._programmed is not None
        same_matrices(each, again)
        assert same_bits(again.read(x, read=0), each.read(x, read=0))


def test_empty_matrices_and_sliced_weights_are_pickled(rng):
    assert through_pickle(Engine(seed=1).program(np.empty((0, 3)))).read(np.empty((2, 0)), read=0).shape == (2, 3)
    engine, x = mpimpy.DPETensor(seed=1, write_var=0.1), rng.standard_normal((2, 70))
    weights = SlicedData([1, 1, 2, 4], is_weight=True, inference=True, paral_size=(32, 16))
    weights.slice_data_imp(engine, rng.standard_normal((70, 30)))
    engine_2, weights_2 = through_pickle((engine, weights))
    assert same_bits(engine_2(x, weights_2, read=3), engine(x, weights, read=3))
    same_matrices(weights.programmed(engine), weights_2.programmed(engine_2))


@pytest.mark.parametrize("runner", RUNNERS)
def test_every_backend_writes_again_where_it_was(rng, runner):
    make, backend = RUNNERS[runner]
    matrix = Engine(Device(write_var=0.1), tile=Tile(16, 16), seed=1, backend=backend).program(
        make(rng.standard_normal((40, 9)))
    )
    other = through_pickle(matrix)
    assert type(other.programmed.as_read.cells) is type(matrix.programmed.as_read.cells)
    same_matrices(matrix, other)


def test_a_pickle_of_another_arithmetic_is_refused(rng, monkeypatch):
    matrix = Engine(seed=1).program(rng.standard_normal((7, 3)))
    with monkeypatch.context() as patched:
        patched.setattr(recipes, "ARITHMETIC", 1)
        data = pickle.dumps(matrix)
    message = (
        r"pickled by an mpimpy of arithmetic 1, and one of arithmetic 2 would write other cells: use the same mpimpy"
    )
    with pytest.raises(ValueError, match=message):
        pickle.loads(data)


def test_a_part_that_was_aged_by_the_ratio_of_the_whole_keeps_it(rng):
    x, w = rng.standard_normal((2, 64)), rng.standard_normal((64, 9))
    engine = Engine(Device(write_var=0.1, drift=Drift(0.05, 0.01)), seed=1)
    for ratio in (False, 1.25):
        part = engine.program(w, origin=(64, 0)).at("1 d", compensate=ratio)
        other = through_pickle(part)
        assert other.age == part.age
        same_matrices(part, other)
        assert same_bits(other.read(x, read=0), part.read(x, read=0))
