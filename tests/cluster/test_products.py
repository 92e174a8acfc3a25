"""Lazy products: any chunks, any cuts, and the bits of one process."""

import contextlib
import itertools
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import same_bits
from strategies import configs, examples

from mpimpy import ADC, DAC, Device, Drift, Engine, Format, MapReducedot, MpimpyWarning, Tile, explain
from mpimpy.backends import PANEL

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

from mpimpy.cluster import ClusterMatrix, _matrix  # noqa: E402
from mpimpy.cluster._layout import Cuts  # noqa: E402


@pytest.fixture(autouse=True)
def synchronous():
    with dask.config.set(scheduler="synchronous"):
        yield


@contextlib.contextmanager
def cut_as(cuts):
    """Cut products as given, not as workers would have it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_matrix, "choose", lambda *_: cuts)
        yield


def from_array(array, chunks):
    return da.from_array(array, chunks)


@st.composite
def chunked(draw, size):
    """Sizes of chunks of an axis."""
    ends = draw(st.lists(st.integers(1, max(1, size - 1)), max_size=4, unique=True)) if size > 1 else []
    return tuple(b - a for a, b in itertools.pairwise([0, *sorted(ends), size]))


@st.composite
def cuts_of(draw, size, unit):
    """Cuts of an axis, at multiples of a unit."""
    inside = range(unit, size, unit)
    some = draw(st.lists(st.sampled_from(inside), max_size=3, unique=True)) if inside else []
    return (0, *sorted(some), size)


@st.composite
def cut_products(draw):
    config = draw(configs(drift=True, wired=True))
    rows, cols = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    fitted = {}
    for part, along in (("inputs", 1), ("weights", 0)):
        granularity = getattr(config, part).granularity
        if isinstance(granularity, tuple):
            block = list(granularity)
            block[along] = rows * draw(st.integers(1, 40))
            fitted[part] = {"granularity": tuple(block)}
    tile = Tile(rows, cols, config.tile.reference)
    config = config.replace(tile=tile, **fitted)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    imaginary = draw(st.sampled_from([(False, False)] * 4 + [(True, False), (False, True), (True, True)]))
    m, k, n = draw(st.integers(1, 7)), draw(st.integers(1, 3 * PANEL * rows)), draw(st.integers(1, 9))
    operands = []
    for shape, both in zip(((m, k), (k, n)), imaginary, strict=True):
        kind = draw(st.sampled_from(["float32", "float64"]))
        array = rng.standard_normal(shape).astype(kind)
        array = array + 1j * rng.standard_normal(shape).astype(kind) if both else array
        operands.append(array)
    x, w = operands
    high, wide = m * (1 + imaginary[0]), n * (1 + imaginary[1])
    cuts = Cuts(
        draw(cuts_of(high, 1)), draw(cuts_of(k, PANEL * rows)), draw(cuts_of(wide, 1 if config.wires is None else cols))
    )
    chunks = [tuple(draw(chunked(size)) for size in each.shape) for each in (x, w)]
    faults = None
    if draw(st.integers(0, 3)) == 0:
        faults = rng.integers(-1, 2, (k, wide)) * (rng.random((k, wide)) < 0.2)
    return config, x, w, chunks, cuts, faults


@given(cut_products(), st.data())
@settings(max_examples=examples(40))
def test_any_chunks_and_cuts_give_the_bits_of_one_process(case, data):
    config, x, w, chunks, cuts, faults = case
    engine = Engine.from_config(config, seed=5, chip=2)
    name, number = data.draw(st.sampled_from([None, "layer"])), data.draw(st.integers(0, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MpimpyWarning)
        whole = engine.program(w, name=name, faults=faults)
        lazy = engine.program(from_array(w, chunks[1]), name=name, faults=faults)
        assert isinstance(lazy, ClusterMatrix)
        assert (lazy.shape, lazy.tiles) == (whole.shape, whole.tiles)
        time_s = 20.0 if config.device.drift is not None or config.device.relaxation is not None else None
        if time_s is not None and data.draw(st.booleans()):
            compensate = data.draw(st.booleans())
            whole, lazy = whole.at(time_s, compensate), lazy.at(time_s, compensate)
        wanted = whole.read(x, read=number)
        with cut_as(cuts):
            y = lazy.read(from_array(x, chunks[0]), read=number)
        found = y.compute()
    assert (y.shape, y.dtype) == (wanted.shape, wanted.dtype)
    if config.radc is None:  # the last bits of a float64 product of noisy codes belong to the BLAS
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-4 * np.abs(wanted).max())
    else:
        assert same_bits(found, wanted)


def operands(rng, m=9, k=300, n=7, dtype="float32"):
    return rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)


def test_every_way_in_gives_the_bits_of_numpy(rng):
    x, w = operands(rng)
    lazy_x, lazy_w = from_array(x, (4, 70)), from_array(w, (110, 3))
    engine = Engine(Device(write_var=0.1), tile=Tile(4, 4), seed=1)
    wanted = engine(x, w, read=3)
    with cut_as(Cuts((0, 5, 9), (0, 64, 192, 300), (0, 2, 7))):
        for a, b in ((lazy_x, lazy_w), (x, lazy_w), (x.tolist(), lazy_w)):
            y = engine.program(b).read(a, read=3)
            assert isinstance(y, da.Array)
            assert y.chunks == ((5, 4), (2, 5))
            assert same_bits(y.compute(), engine.program(w).read(x if isinstance(a, da.Array) else a, read=3))
        for a, b in ((lazy_x, lazy_w), (x, lazy_w), (lazy_x, w)):
            assert same_bits(engine(a, b, read=3).compute(), wanted)
    with cut_as(Cuts((0, 5, 9), (0, 300), (0, 7))):
        assert same_bits(engine.program(w).read(lazy_x, read=3).compute(), wanted)
        assert same_bits(engine(lazy_x, engine.program(w), read=3).compute(), wanted)


def test_the_operators_and_functions_of_numpy(rng):
    x, w = operands(rng, k=9)
    engine = Engine(Device(var=0), seed=1)
    W, lazy = engine.program(w), engine.program(from_array(w, 4))
    wanted = x @ W
    for y in (from_array(x, 4) @ lazy, x @ lazy, from_array(x, 4) @ W, np.matmul(x, lazy), np.dot(x, lazy)):
        assert same_bits(y.compute(), wanted)
    with pytest.raises(TypeError, match=r"a ClusterMatrix has no transposed read: program .* engine.program\(w.T\)"):
        x @ lazy.T
    with pytest.raises(TypeError, match="W @ x would drive the bit lines"):
        lazy @ x.T


@pytest.mark.parametrize("shapes", [((5,), (5,)), ((2, 5), (5,)), ((5,), (5, 3)), ((2, 3, 5), (4, 5, 2)), ((2, 5), ())])
def test_mapreducedot_has_the_rules_of_dot(rng, shapes):
    a, b = (rng.standard_normal(shape) for shape in shapes)
    wanted = MapReducedot(a, b, seed=1)
    y = MapReducedot(from_array(a, 2), from_array(b, 2) if b.ndim else b, seed=1)
    assert isinstance(y, da.Array)
    assert y.shape == np.dot(a, b).shape
    assert same_bits(y.compute(), np.asarray(wanted))


@pytest.mark.parametrize(
    "dtypes", list(itertools.product(["float32", "float64", "int32", "complex64", "float16"], repeat=2))
)
def test_dtypes_are_those_of_numpy(rng, dtypes):
    a, b = (
        (4 * rng.standard_normal(shape)).astype(dtype) for shape, dtype in zip(((3, 5), (5, 4)), dtypes, strict=True)
    )
    lazy = from_array(a, 2), from_array(b, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = MapReducedot(a, b, seed=1), Engine(seed=1).program(b).read(a, read=0)
        found = MapReducedot(*lazy, seed=1), Engine(seed=1).program(lazy[1]).read(lazy[0], read=0)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        assert same_bits(one.compute(), other)


@pytest.mark.parametrize("granularity", ["finest", "per-row", "per-matrix", (2, 4)])
@pytest.mark.parametrize("kind", [np.float32, np.complex128])
def test_stacks_of_matrices(rng, granularity, kind):
    engine = Engine(inputs=Format(granularity=granularity), tile=Tile(4, 4), seed=1)
    x, w = rng.standard_normal((2, 3, 5, 12)).astype(kind), rng.standard_normal((12, 7))
    wanted = engine.program(w).read(x, read=0)
    height = 10 if kind is np.complex128 else 5
    for chunks in (2, (1, 2, 5, 12)):
        with cut_as(Cuts((0, 2 * height, 6 * height), (0, 12), (0, 3, 7))):
            y = engine.program(from_array(w, 5)).read(from_array(x, chunks), read=0)
        assert same_bits(y.compute(), wanted)
    one = engine.program(from_array(w, 5)).read(from_array(x[:1, :1], 2), read=0)
    assert same_bits(one.compute(), engine.program(w).read(x[:1, :1], read=0))


def test_empty_operands():
    engine = Engine(seed=1)
    for shape, wide in (((0, 4), 3), ((2, 4), 0), ((2, 0), 3), ((2, 0, 4), 3)):
        x, w = da.zeros(shape, dtype="f4"), da.zeros((shape[-1], wide), dtype="f4")
        y = engine.program(w).read(x, read=0)
        assert (y.shape, y.dtype) == ((*shape[:-1], wide), np.float32)
        assert not y.compute().any()
    assert engine.program(np.zeros((4, 0))).read(da.zeros((2, 4))).compute().shape == (2, 0)
    assert MapReducedot(da.zeros((0, 4)), da.zeros((4, 3)), seed=1).compute().shape == (0, 3)


def test_reads_are_numbered_when_the_graph_is_made(rng):
    x, w = operands(rng, k=9)
    engine = Engine(seed=1)
    W = engine.program(from_array(w, 4))
    first, second = W.read(x), W.read(x)
    assert engine.reads == W.reads == 2
    assert same_bits(second.compute(), second.compute())
    assert not same_bits(first.compute(), second.compute())
    assert same_bits(second.compute(), engine.program(w).read(x, read=1))


def test_a_copy_names_its_reads(rng):
    import pickle

    x, w = operands(rng, k=9)
    copy = pickle.loads(pickle.dumps(Engine(seed=1)))
    W = copy.program(from_array(w, 4))
    with pytest.raises(
        ValueError, match=r"copy of an engine counts its reads in a stream of its own, '\w{16}'.* read=0"
    ):
        W.read(x)
    assert W.read(x, read=0).compute().shape == (9, 7)
    assert copy.in_stream(None).program(from_array(w, 4)).read(x).compute().shape == (9, 7)


def test_a_task_may_run_twice(rng):
    # dask repeats a task whose result is lost, with the running sum that it was given before
    x, w = operands(rng)
    engine = Engine(tile=Tile(4, 4), seed=1)
    with cut_as(Cuts((0, 9), (0, 64, 300), (0, 7))):
        graph = dict(engine.program(from_array(w, 7)).read(from_array(x, 7), read=0).dask)
    (middle,) = (key for key in graph if str(key[0]).startswith("mpimpy-sum"))
    (last,) = (key for key in graph if str(key[0]).startswith("mpimpy-product"))
    graph[middle] = dask.get(graph, middle)
    assert same_bits(dask.get(graph, last), dask.get(graph, last))


def test_what_needs_cells_in_memory_is_refused():
    x, w = da.ones((4, 6), chunks=3), da.ones((6, 3), chunks=2)
    W = Engine(seed=1).program(w)
    for name in ("read_plan", "conductance", "codes", "save", "cost"):
        with pytest.raises(AttributeError, match=rf"a matrix of lazy weights has no {name}.*compute\(\)\)\.{name}"):
            getattr(W, name)
    with pytest.raises(AttributeError, match="'ClusterMatrix' object has no attribute 'nonsense'"):
        _ = W.nonsense
    assert pickle.loads(pickle.dumps(W)).shape == (6, 3)
    for operands in ((x, w), (x, np.ones((6, 3))), (np.ones((4, 6)), w)):
        with pytest.raises(TypeError, match=r"explain measures operands that are in memory.*report\(a\)"):
            explain(*operands, seed=1)


def test_wrong_chunks_are_refused(rng):
    engine, w = Engine(seed=1), np.ones((6, 3), np.float32)
    W = engine.program(from_array(w, 2))

    def mapped(function, **options):
        return da.ones((4, 6), chunks=3, dtype="f4").map_blocks(function, meta=np.empty((0, 0), "f4"), **options)

    with pytest.raises(TypeError, match="a chunk of x has dtype float64, and the dask array says float32"):
        W.read(mapped(lambda block: block.astype("f8")), read=0).compute()
    with pytest.raises(TypeError, match="a chunk of x is a list, not a NumPy array"):
        W.read(mapped(lambda block: block.tolist()), read=0).compute()
    with pytest.raises(ValueError, match=r"chunks of x at \(0, 0\) have .* elements where the array has"):
        W.read(mapped(lambda block: block[:1]), read=0).compute()
    x = da.ones((4, 6), chunks=3)
    with pytest.raises(ValueError, match=r"x has chunks of unknown size, .*: call its compute_chunk_sizes\(\) first"):
        W.read(x[x[:, 0] > 0], read=0)
    with pytest.raises(ValueError, match="w has chunks of unknown size"):
        engine.program(x[x[:, 0] > 0])
    bad = np.ones((4, 6), "f4")
    bad[3, 5] = np.nan
    with pytest.raises(ValueError, match=r"x has nan at index \(3, 5\): every element must be finite"):
        W.read(from_array(bad, 2), read=0).compute()
    bad = np.ones((6, 3))
    bad[5, 1] = np.inf
    with pytest.raises(ValueError, match=r"w has inf at index \(5, 1\)"):
        (np.ones(6) @ engine.program(from_array(bad, 2))).compute()
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="x is a torch array beside a dask one: give it as a NumPy or a dask array"):
        W.read(torch.ones(6))
    with pytest.raises(TypeError, match="x is a dask array, and W one of torch: program NumPy weights"):
        engine.program(torch.ones(6, 3)).read(x)
    x._meta = torch.ones(0, 0)
    with pytest.raises(TypeError, match=r"x has chunks of torch\.Tensor: map them to NumPy arrays"):
        W.read(x)


def test_arguments_of_parts_are_refused():
    engine, w = Engine(seed=1), da.ones((6, 3))
    with pytest.raises(TypeError, match="shape= is for a part of a matrix"):
        engine.program(w, shape=(6, 3))
    with pytest.raises(ValueError, match=r"origin=\(64, 0\) is for a part of a matrix"):
        engine.program(w, origin=(64, 0))
    with pytest.raises(ValueError, match=r"w has shape \(6,\): weights are one matrix"):
        engine.program(w[:, 0])
    with pytest.raises(ValueError, match="last axis of x"):
        engine.program(w).read(da.ones((2, 5)))
    with pytest.raises(TypeError, match="first_row, survey and into are for parts"):
        engine.program(np.ones((6, 3))).read(da.ones((2, 6)), first_row=1)
    with pytest.raises(ValueError, match="backend='torch' takes no NumPy arrays"):
        Engine(seed=1, backend="torch").program(w)
    with pytest.raises(TypeError, match="faults has dtype float64"):
        engine.program(w, faults=np.ones((6, 3)))
    with pytest.raises(TypeError, match="name=3 must be a text"):
        engine.program(w, name=3)
    with pytest.raises(TypeError, match=r"dtype|numeric"):
        engine.program(da.from_array(np.array([["a"]])))


def test_matrices_tell_what_they_are(rng):
    W = Engine(Device(drift=Drift(0.05)), tile=Tile(4, 4), seed=3, chip=2).program(da.ones((9, 5), chunks=2))
    assert repr(W.at("1 d")) == (
        "<ClusterMatrix 9 x 5, 3 x 2 tiles of 4 x 4, 4 slices, seed=3, chip=2, 86400 s after programming>"
    )
    assert (W.seed, W.chip, W.persist().shape) == (3, 2, (9, 5))
    with pytest.raises(ValueError, match="time changes nothing"):
        Engine(seed=1).program(da.ones((9, 5))).at("1 d")
    with pytest.raises(ValueError, match=r"is before t0_s"):
        W.at(0.001)


def test_a_report_is_that_of_a_part(rng):
    x, w = operands(rng, k=200)
    engine = Engine(tile=Tile(4, 4), seed=3)
    report = engine.program(from_array(w, 70)).report(from_array(x, 5), rows=4)
    # the second panel of 64 rows begins in the middle
    part = engine.program(w[64:128], origin=(64, 0), shape=w.shape)
    assert str(report) == str(part.report(x[::2][:4, 64:128]))
    assert engine.program(from_array(w, 70)).report().cells == report.cells
    with pytest.raises(ValueError, match=r"a report takes real inputs, \(M, 200\)"):
        engine.program(from_array(w, 70)).report(x[:, :5])


def test_faults_may_be_lazy(rng):
    x, w = operands(rng, k=20)
    faults = rng.integers(-1, 2, w.shape)
    engine = Engine(seed=1)
    lazy = engine.program(from_array(w, 6), faults=da.from_array(faults, 3)).read(x, read=0)
    assert same_bits(lazy.compute(), engine.program(w, faults=faults).read(x, read=0))


@pytest.mark.parametrize("device", [Device(var=0.05), Device(var=0.05, redraw="row")])
def test_noise_of_converters_and_of_rows_has_its_place(rng, device):
    x, w = operands(rng)
    engine = Engine(device, DAC(vnoise=0.05), ADC(256, noise_lsb=0.5), Tile(4, 4), seed=1)
    with cut_as(Cuts((0, 5, 9), (0, 64, 192, 300), (0, 2, 7))):
        y = engine.program(from_array(w, (110, 3))).read(from_array(x, (4, 70)), read=3)
    assert same_bits(y.compute(), engine.program(w).read(x, read=3))
