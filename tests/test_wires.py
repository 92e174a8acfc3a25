"""Wire resistance: transfer matrices and node voltages against independent solutions of the circuit."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits, to_strict, to_torch, torch
from strategies import examples

import mpimpy
from mpimpy import backends, wires
from mpimpy.backends import reference
from mpimpy.backends.cpu import _jit, _ladder_numba
from mpimpy.backends.reference import _ladder

# circuits far from any machine's
pytestmark = pytest.mark.filterwarnings("ignore:conductance=.*is odd")
needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed")

# -- the circuit, written down once more, and two solvers of it -----------------------------------


def segments(g, r_word, r_bit):
    """Every resistor: (node, node, conductance), nodes named; a wire without resistance is no resistor."""
    rows, cols = g.shape
    word = [[("word", i, j) if r_word else ("driver", i) for j in range(cols)] for i in range(rows)]
    bit = [[("bit", i, j) if r_bit else ("output", j) for j in range(cols)] for i in range(rows)]
    for i in range(rows):
        for j in range(cols):
            yield word[i][j], bit[i][j], g[i, j]
            if r_word:
                yield (word[i][j - 1] if j else ("driver", i)), word[i][j], 1 / type(g[i, j])(r_word)
            if r_bit:
                yield bit[i][j], (bit[i + 1][j] if i < rows - 1 else ("output", j)), 1 / type(g[i, j])(r_bit)


def nodal(g, r_word, r_bit):
    """The transfer matrix by a sparse nodal solve, refined with residuals in extended precision."""
    rows, cols = g.shape
    links = list(segments(g, r_word, r_bit))
    names = {node for a, b, _ in links for node in (a, b)}
    fixed = [*(("driver", i) for i in range(rows)), *(("output", j) for j in range(cols))]
    free = sorted(names - set(fixed))
    index = {node: place for place, node in enumerate([*free, *fixed])}
    a = np.array([index[link[0]] for link in links])
    b = np.array([index[link[1]] for link in links])
    c = np.array([link[2] for link in links])
    edges = np.arange(len(links))
    incidence = scipy.sparse.csr_array((np.ones(len(links)), (edges, a)), (len(links), len(index)))
    incidence = incidence - scipy.sparse.csr_array((np.ones(len(links)), (edges, b)), incidence.shape)
    volts = np.zeros((len(index), rows), np.longdouble)
    volts[len(free) : len(free) + rows] = np.eye(rows)

    def currents():
        through = c[:, None] * (volts[a] - volts[b])
        into = np.zeros_like(volts)
        np.add.at(into, b, through)
        np.subtract.at(into, a, through)
        return into

    if free:
        inner = incidence[:, : len(free)]
        solver = scipy.sparse.linalg.splu((inner.T @ scipy.sparse.diags_array(c) @ inner).tocsc())
        for _ in range(6):
            volts[: len(free)] += solver.solve(currents()[: len(free)].astype(float))
    return currents()[len(free) + rows :].T.astype(float)


def exact(g, r_word, r_bit):
    """The transfer matrix in rational numbers."""
    rows, cols = g.shape
    cells = np.array([[Fraction(value) for value in row] for row in g.tolist()], object)
    links = list(segments(cells, r_word, r_bit))
    fixed = {("driver", i) for i in range(rows)} | {("output", j) for j in range(cols)}
    mesh = {}
    for a, b, c in links:
        if c:
            for one, other in ((a, b), (b, a)):
                mesh.setdefault(one, {})
                mesh[one][other] = mesh[one].get(other, 0) + c
    for node in [node for node in mesh if node not in fixed]:
        around = mesh.pop(node)
        whole = sum(around.values())
        for one in around:
            del mesh[one][node]
            for other in around:
                if one != other:
                    mesh[one][other] = mesh[one].get(other, 0) + around[one] * around[other] / whole
    # a driver's links to outputs: with outputs and the other drivers at 0 V, these carry the currents
    found = [[mesh.get(("driver", i), {}).get(("output", j), Fraction(0)) for j in range(cols)] for i in range(rows)]
    return np.array(found, dtype=float)


resistances = st.sampled_from([0.0, 0.0, 1e-3, 0.7, 2.5, 40.0, 1e4])


@st.composite
def tiles(draw, sizes, decades=9):
    """(conductance, r_word, r_bit): conductance times resistance over many decades, some cells open."""
    rows, cols = draw(st.sampled_from(sizes)), draw(st.sampled_from(sizes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = draw(st.integers(-decades, 0))
    g = 10.0 ** rng.uniform(low, draw(st.integers(low, 0)), (rows, cols))
    g[rng.random(g.shape) < draw(st.sampled_from([0, 0, 0.3, 1]))] = 0
    return g, draw(resistances), draw(resistances)


# -- against the circuit --------------------------------------------------------------------------


@given(tiles([1, 2, 3, 5, 9, 17]))
def test_a_tile_is_its_nodal_solution(tile):
    found, wanted = wires.transfer(*tile), nodal(*tile)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-14 * wanted.max())


@given(tiles([1, 2, 3], decades=15))
@settings(max_examples=examples(25))
def test_every_element_is_as_exact_as_rounding_allows(tile):
    # nothing cancels: not even the smallest element of the worst conditioned network loses digits
    np.testing.assert_allclose(wires.transfer(*tile), exact(*tile), rtol=5e-15)


@pytest.mark.slow
@pytest.mark.parametrize(("r_word", "r_bit"), [(2.0, 3.0), (1e-9, 1e4), (1e4, 1e-9), (1e4, 1e4), (1e-9, 1e-9)])
def test_a_large_tile_is_its_nodal_solution(rng, r_word, r_bit):
    g = rng.uniform(0.01, 1, (40, 50))
    wanted = nodal(g, r_word, r_bit)
    np.testing.assert_allclose(wires.transfer(g, r_word, r_bit), wanted, rtol=1e-11, atol=1e-14 * wanted.max())


def test_closed_forms():
    g, r_word, r_bit = 1e-3, 70.0, 30.0
    assert wires.transfer(np.array([[g]]), r_word, r_bit)[0, 0] == pytest.approx(1 / (1 / g + 100), rel=1e-15)
    # equal cells between wires without end: each further column sees the same network, a continued fraction
    load = 0.0
    shares = []
    for _ in range(20):
        series = 1 / (r_word + 1 / (load + g))
        shares.append(series / (load + g))  # volts at a node per volt a segment before it
        load = series
    row = wires.transfer(np.full((1, 20), g), r_word, 0)
    np.testing.assert_allclose(row[0], g * np.cumprod(shares[::-1]), rtol=1e-14)
    # a column is the same line, seen from its other end
    np.testing.assert_allclose(wires.transfer(np.full((20, 1), g), 0, r_word)[::-1, 0], row[0], rtol=1e-14)
    # a cell and its word line's segment are one resistor, if there is but one cell
    one = wires.transfer(np.full((20, 1), 1 / (1 / g + r_word)), 0, r_bit)
    np.testing.assert_allclose(wires.transfer(np.full((20, 1), g), r_word, r_bit), one, rtol=1e-14)


@given(tiles([1, 2, 5, 12]))
def test_the_transposed_network_has_the_transposed_matrix(tile):
    g, r_word, r_bit = tile
    turned = wires.transfer(g[::-1, ::-1].T, r_bit, r_word)
    np.testing.assert_allclose(turned[::-1, ::-1].T, wires.transfer(g, r_word, r_bit), rtol=1e-13)


@pytest.mark.parametrize("shape", [(8, 9), (9, 8), (3, 30)])
def test_the_cheaper_of_the_two_is_computed(rng, shape):
    g = rng.uniform(0.1, 1, shape)
    turned = wires.transfer(g[::-1, ::-1].T, 0.7, 0.3)
    assert same_bits(turned[::-1, ::-1].T.copy(), wires.transfer(g, 0.3, 0.7))


@given(tiles([1, 4, 9]))
@settings(max_examples=examples(20))
def test_wires_that_conduct_well_are_ideal(tile):
    g = tile[0]
    assert same_bits(wires.transfer(g, 0, 0), g)
    # an open cell still has a way round
    np.testing.assert_allclose(wires.transfer(g, 1e-15, 1e-15), g, rtol=1e-12, atol=1e-12 * g.max())
    # what has no finite inverse is no resistance
    assert same_bits(wires.transfer(g, 5e-324, 0.5), wires.transfer(g, 0, 0.5))
    assert same_bits(wires.transfer(g, 0.5, 5e-324), wires.transfer(g, 0.5, 0))
    for tiny in ((1e-15, 0.5), (0.5, 1e-15)):
        ideal = [0 if r < 1e-9 else r for r in tiny]
        np.testing.assert_allclose(
            wires.transfer(g, *tiny), wires.transfer(g, *ideal), rtol=1e-12, atol=1e-12 * g.max()
        )


def test_open_cells_carry_nothing():
    g = np.zeros((9, 10))
    assert same_bits(wires.transfer(g, 1.0, 2.0), g)
    g[4, 7] = 0.5
    found = wires.transfer(g, 1.0, 2.0)
    # eight segments of word line, five of bit line
    assert found[4, 7] == pytest.approx(1 / (2 + 8 + 10), rel=1e-14)
    assert np.count_nonzero(found) == 1


# -- the same bits everywhere ---------------------------------------------------------------------


def run(name, g, r_word, r_bit):
    """The transfer matrices of tiles, (batch, rows, cols), as one of RUNNERS finds them."""
    make, force = RUNNERS[name]
    array = make(g)
    backend = backends.select(array, force)
    return np.asarray(backend.from_backend(backend.transfer(backend.to_backend(array), r_word, r_bit), array))


@pytest.mark.parametrize("runner", RUNNERS)
@given(st.data())
@settings(max_examples=examples(12))
def test_every_backend_has_the_same_bits(runner, data):
    sizes = [1, 2, 4, 7] if runner.startswith("strict") else [1, 2, 7, 8, 9, 15, 16, 17, 31]
    g, r_word, r_bit = data.draw(tiles(sizes))
    batch = np.stack([g, g[::-1]])
    assert same_bits(run(runner, batch, r_word, r_bit), wires.transfer(batch, r_word, r_bit))


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 40), st.integers(1, 3), st.integers(0, 2**32))
@settings(max_examples=examples(20))
def test_blocks_and_threads_change_nothing(batch, rows, cols, threads, seed):
    # every remainder of the kernel's blocks of eight nodes, with cells stuck open and short
    rng = np.random.default_rng(seed)
    g = 10 ** rng.uniform(-7, -3, (batch, rows, cols))
    g[rng.random(g.shape) < 0.1] = 0
    g[rng.random(g.shape) < 0.1] = 1e3
    volts = rng.uniform(-1, 1, (batch, rows))
    wanted = run("numpy reference", g, 2.93, 1.7)
    mpimpy.set_num_threads(threads)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_jit, "SHARED", 1e-9)  # little work is shared out too
            assert same_bits(run("numpy numba", g, 2.93, 1.7), wanted)
            found = wires.node_voltages(g, volts, 2.93, 1.7)
    finally:
        mpimpy.set_num_threads(None)
    nodes = reference.node_voltages(g, volts[:, :, None], 2.93, 1.7)
    assert all(same_bits(one, other[..., 0]) for one, other in zip(found, nodes, strict=True))


@pytest.mark.parametrize(
    "shape",
    [
        (33, 33),
        (41, 40),
        (24, 25),
        (70, 65),
        (65, 3),
        (3, 65),
        (66, 64),
        pytest.param((130, 129), marks=pytest.mark.slow),
    ],
)
def test_the_kernel_has_the_reference_s_bits(rng, shape):
    g = 10 ** rng.uniform(-6, 0, (1, *shape))
    assert same_bits(run("numpy numba", g, 0.7, 3.0), run("numpy reference", g, 0.7, 3.0))


@needs_torch
def test_torch_has_the_reference_s_bits_on_long_arrays_too(rng):
    # torch leaves long arrays to a vector library, which rounds some functions otherwise
    g = 10 ** rng.uniform(-6, 0, (50, 13, 12))
    for r in ((0.7, 3.0), (0, 3.0), (0.7, 0)):
        assert same_bits(run("torch plain", g, *r), run("numpy numba", g, *r))


def test_batch_and_threads_change_nothing(rng, monkeypatch):
    g = 10 ** rng.uniform(-6, 0, (2, 7, 19, 18))
    g[0, 3] = 0  # what a tile leaves behind must not reach the next one
    alone = np.stack([[wires.transfer(tile, 1.5, 0.4) for tile in part] for part in g])
    monkeypatch.setattr(_jit, "SHARED", 1e-9)  # little work is shared out too
    for threads in (1, 3):
        mpimpy.set_num_threads(threads)
        try:
            assert same_bits(wires.transfer(g, 1.5, 0.4), alone)
        finally:
            mpimpy.set_num_threads(None)
    for resistance in ((0, 0.4), (1.5, 0), (0, 0)):
        alone = np.stack([[wires.transfer(tile, *resistance) for tile in part] for part in g])
        assert same_bits(wires.transfer(g, *resistance), alone)


def test_memory_layout_changes_nothing(rng):
    g = rng.uniform(0, 1, (3, 9, 12))
    wanted = wires.transfer(g, 1.5, 0.4)
    assert same_bits(wires.transfer(np.asfortranarray(g), 1.5, 0.4), wanted)
    assert same_bits(wires.transfer(np.repeat(g, 2, axis=2)[:, :, ::2], 1.5, 0.4), wanted)


@pytest.mark.parametrize("shape", [(2, 18, 10), (1, 3, 2), (1, 9, 17)])
def test_the_kernel_runs_as_plain_python(rng, shape):
    g = 10 ** rng.uniform(-6, 0, shape)
    volts = rng.uniform(-1, 1, shape[:2])
    compiled = wires.transfer(g, 2.0, 0.5), *wires.node_voltages(g, volts, 2.0, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "launch", lambda kernel, tasks, work, *rest: kernel.py_func(0, tasks, *rest))
        for name, helper in vars(_ladder_numba).copy().items():
            if hasattr(helper, "py_func") and name.startswith("_"):
                patch.setattr(_ladder_numba, name, helper.py_func)
        found = wires.transfer(g, 2.0, 0.5), *wires.node_voltages(g, volts, 2.0, 0.5)
        assert all(map(same_bits, found, compiled))


def test_the_sum_over_a_star_is_a_tree():
    values = np.array([1.0, 2**-53, 2**-53, 2**-53, 1.0])
    # (1 + 1) + 2**-53, and 2**-53 twice
    assert _ladder.total(np, values) == (2.0 + 2**-53) + (2**-53 + 2**-53)
    assert _ladder.total(np, np.arange(7.0)) == 21


@given(tiles([1, 3, 8, 13]), st.sampled_from([1, 3]))
@settings(max_examples=examples(10))
def test_node_voltages_have_the_same_bits(tile, inputs):
    g, *r = tile
    v = np.linspace(-1, 2, inputs * len(g)).reshape(inputs, -1)
    wanted = wires.node_voltages(g, v, *r)
    for make in (to_strict, *([to_torch] if torch is not None else [])):
        found = wires.node_voltages(make(g), make(v), *r)
        assert all(same_bits(np.asarray(a), b) for a, b in zip(found, wanted, strict=True))


# -- node voltages --------------------------------------------------------------------------------


@given(tiles([1, 2, 5, 9]))
def test_no_node_gathers_charge(tile):
    g, r_word, r_bit = tile
    rows, cols = g.shape
    v = np.random.default_rng(rows).uniform(-1, 1, rows)
    word, bit = wires.node_voltages(g, v, r_word, r_bit)
    volts = {("driver", i): v[i] for i in range(rows)} | {("output", j): 0.0 for j in range(cols)}
    volts |= {("word", i, j): word[i, j] for i in range(rows) for j in range(cols)}
    volts |= {("bit", i, j): bit[i, j] for i in range(rows) for j in range(cols)}
    into, most = dict.fromkeys(volts, 0.0), dict.fromkeys(volts, 0.0)
    for a, b, c in segments(g, r_word, r_bit):
        current = c * (volts[a] - volts[b])
        for node, sign in ((a, -1), (b, 1)):
            into[node] += sign * current
            most[node] += c * max(abs(volts[a]), abs(volts[b]))
    for node, current in into.items():
        if node[0] in ("word", "bit"):
            assert abs(current) <= 1e-13 * most[node], node
    assert all(word[i, j] == v[i] for i in range(rows) for j in range(cols)) or r_word
    assert not bit.any() or r_bit
    # what flows into the outputs is voltages @ T
    outputs = np.array([into["output", j] for j in range(cols)])
    scale = np.array([most["output", j] for j in range(cols)])
    np.testing.assert_array_less(abs(outputs - v @ wires.transfer(*tile)), 1e-12 * scale + 1e-300)


def test_node_voltages_take_batches(rng):
    g, v = rng.uniform(0, 1, (3, 2, 5, 4)), rng.uniform(0, 1, (2, 5))
    word, bit = wires.node_voltages(g, v, 1.0, 2.0)
    assert word.shape == bit.shape == g.shape
    for i in range(3):
        for j in range(2):
            one = wires.node_voltages(g[i, j], v[j], 1.0, 2.0)
            assert same_bits(word[i, j], one[0])
            assert same_bits(bit[i, j], one[1])
    # one tile, many inputs
    many = rng.uniform(-1, 1, (3, 2, 5))
    word, bit = wires.node_voltages(g[0, 0], many, 1.0, 2.0)
    assert word.shape == bit.shape == (3, 2, 5, 4)
    one = wires.node_voltages(g[0, 0], many[2, 1], 1.0, 2.0)
    assert same_bits(word[2, 1], one[0])
    assert same_bits(bit[2, 1], one[1])
    # the longer of the two sides leads
    assert wires.node_voltages(g[0, :1], many, 1.0, 2.0)[0].shape == (3, 2, 5, 4)
    assert wires.node_voltages([[0.5]], [1.0], 1, 1)[0].tolist() == [[0.75]]


# -- arrays in, arrays out ------------------------------------------------------------------------


def test_arrays_come_back_as_they_went_in(rng):
    for make in (np.asarray, to_strict, *([to_torch] if torch is not None else [])):
        g = make(rng.uniform(0, 1, (2, 3, 4)).astype(np.float32))
        found = wires.transfer(g, r_word=1, r_bit=2)
        assert type(found) is type(g)
        assert found.shape == (2, 3, 4)
        assert str(found.dtype).endswith("float64")
        word, bit = wires.node_voltages(g, make(np.ones((2, 3))), r_word=1, r_bit=2)
        assert type(word) is type(bit) is type(g)
    assert wires.transfer(np.ones((0, 3, 4)), 1, 2).shape == (0, 3, 4)
    assert wires.transfer([[1, 0], [1, 1]], 0, 0).tolist() == [[1.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize("r", [(0, 0), (0, 2.0), (1.0, 0), (1.0, 2.0)])
def test_inputs_are_left_alone(rng, r):
    g, v = rng.uniform(0, 1, (2, 9, 10)), np.ones((2, 9))
    g.flags.writeable = v.flags.writeable = False
    before = g.copy()
    found = wires.transfer(g, *r)
    word, bit = wires.node_voltages(g, v, *r)
    assert same_bits(g, before)
    for result in (found, word, bit):
        assert not np.shares_memory(result, g)
        assert not np.shares_memory(result, v)
        result[...] = 1  # the caller's own
    assert not np.shares_memory(reference.transfer(g, *r), g)
    assert same_bits(wires.transfer(np.array([[-0.0]]), *r), np.array([[0.0]]))


def message(kind, function, *arguments, **options):
    with pytest.raises(kind) as found:
        function(*arguments, **options)
    return str(found.value)


def test_messages():
    g, v = np.ones((3, 2)), np.ones(3)
    both = [lambda g, *r: wires.transfer(g, *r), lambda g, *r: wires.node_voltages(g, v, *r)]
    for call in both:
        assert message(ValueError, call, g, -1, 0) == "r_word=-1 Ohm is out of range: it must be at least 0 Ohm"
        assert message(ValueError, call, g, 0, -0.5) == "r_bit=-0.5 Ohm is out of range: it must be at least 0 Ohm"
        assert message(ValueError, call, g, np.inf, 0) == "r_word=inf must be finite"
        assert message(ValueError, call, g, 0, np.nan) == "r_bit=nan must be finite: NaN is a missing value of a table"
        assert message(TypeError, call, g, "1", 0) == "r_word='1' must be a number"
        assert message(ValueError, call, v, 1, 1) == (
            "conductance has shape (3,): a tile is (..., rows, cols), with at least one of each; "
            "a single row is conductance[None, :]"
        )
        assert message(ValueError, call, g[:, :0], 1, 1).startswith("conductance has shape (3, 0): a tile is")
        bad = np.ones((2, 3, 2))
        bad[1, 2, 0] = -1e-6
        assert message(ValueError, call, bad, 1, 1) == (
            "conductance has -1e-06 S at index (1, 2, 0): every cell must have at least 0 S, an open cell's; "
            "a pair of cells for a signed weight is two tiles"
        )
        for value in (np.nan, np.inf):
            bad[1, 2, 0] = value
            wanted = f"conductance has {value} at index (1, 2, 0): every element must be finite"
            assert message(ValueError, call, bad, 1, 1) == wanted
        assert message(TypeError, call, g + 1j, 1, 1).startswith("conductance has dtype complex128")
    nodes = wires.node_voltages
    assert message(ValueError, nodes, g, np.ones((3, 2)), 1, 1) == (
        "voltages have shape (3, 2) and conductance (3, 2): there must be one voltage a word line, "
        "so the last axis of voltages must be 3 long"
    )
    assert "last axis of voltages must be 3 long" in message(ValueError, nodes, g, 1.0, 1, 1)
    assert message(ValueError, nodes, np.ones((4, 3, 2)), np.ones((5, 3)), 1, 1) == (
        "leading axes (4,) of conductance and (5,) of voltages do not fit: they must be equal, or 1, "
        "or left out, as in any sum of two arrays"
    )
    assert message(ValueError, nodes, g, v * np.nan, 1, 1).startswith("voltages has nan at index (0,)")
    assert message(TypeError, nodes, g, to_strict(v), 1, 1).startswith("conductance is a numpy array and voltages a")


@pytest.mark.filterwarnings("default:conductance=.*is odd")
@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (1e6, r"conductance=10 S is odd: memristors conduct .*: did you mean 10 uS: 10e-6\?"),
        (1e10, r"conductance=100000 S is odd: .*did you mean 100000 uS: 100000e-6, or 100000 Ohm: 1/100000\?"),
    ],
)
def test_cells_in_another_unit_are_told(unit, message):
    g = np.array([[1e-5, 5e-6]]) * unit
    for find in (wires.transfer, lambda g, a, b: wires.node_voltages(g, np.ones(1), a, b)):
        with pytest.warns(mpimpy.MpimpyWarning, match=message) as told:
            find(g, 0, 2.93)
        assert [warning.filename for warning in told] == [__file__]


@pytest.mark.filterwarnings("error")
def test_units_that_fit_together_are_nobody_s_business():
    g = np.array([[1e-5, 5e-6]])
    for unit in (1.0, 1e3, 1e6, 1e9):
        found = wires.transfer(g * unit, 2.93 / unit, 1.7 / unit) / unit
        np.testing.assert_allclose(found, wires.transfer(g, 2.93, 1.7), rtol=1e-14)
    wires.transfer(g * 1e6, 0, 0)
    wires.transfer(np.zeros((2, 0, 3, 3)).reshape(0, 3, 3), 1.0, 1.0)


# -- gradients ------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize("r", [(0, 0), (0, 2.0), (1.5, 0), (1.5, 2.0), (1e-6, 30.0)], ids=str)
@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (2, 2, 3), (1, 1), (1, 3), (3, 1)], ids=str)
def test_gradients(rng, r, shape):
    # analytic gradients of a smooth function near open cells too; negative ones are no tiles
    g = rng.uniform(0.1, 1, shape)
    g[..., 0, 0] = 1e-4
    g = torch.tensor(g, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: wires.transfer(g, *r), g)


@needs_torch
def test_gradients_of_open_cells(rng):
    g = rng.uniform(0, 1, (4, 5))
    g[1, 2] = g[3] = 0
    tensor = torch.tensor(g, requires_grad=True)
    weights = torch.tensor(rng.standard_normal((4, 5)))
    (wires.transfer(tensor, 0.3, 0.8) * weights).sum().backward()
    for cell in ((1, 2), (3, 0), (3, 4), (0, 0)):
        more, step = g.copy(), 1e-6
        more[cell] += step
        slope = (wires.transfer(more, 0.3, 0.8) - wires.transfer(g, 0.3, 0.8)) / step
        assert float(tensor.grad[cell]) == pytest.approx(float((slope * weights.numpy()).sum()), rel=1e-4, abs=1e-6)


@needs_torch
def test_gradients_flow_where_they_are_wanted(rng):
    g = torch.tensor(rng.uniform(0, 1, (2, 9, 10)), requires_grad=True)
    found = wires.transfer(g, 1.0, 2.0)
    assert same_bits(found.detach().numpy(), wires.transfer(g.detach().numpy(), 1.0, 2.0))
    assert found.requires_grad
    with torch.no_grad():
        assert not wires.transfer(g, 1.0, 2.0).requires_grad
    assert not wires.transfer(g.detach(), 1.0, 2.0).requires_grad
    assert not any(volts.requires_grad for volts in wires.node_voltages(g, torch.ones(9), 1.0, 2.0))
    # a leaf of another dtype gets a gradient of its own
    single = g.detach().float().requires_grad_()
    wires.transfer(single, 1.0, 2.0).sum().backward()
    found.sum().backward()
    assert single.grad.dtype is torch.float32
    np.testing.assert_allclose(single.grad.numpy(), g.grad.numpy(), rtol=1e-5)
    with pytest.raises(ValueError, match="r_word=-1"):
        wires.transfer(g, -1, 0)


@pytest.mark.skipif(torch is None, reason="the torch extra is not installed")
@pytest.mark.parametrize("resistances", [(100.0, 30.0), (0.0, 30.0), (100.0, 0.0)])
def test_second_derivatives(resistances):
    g = torch.tensor([[3e-4, 5e-4], [1e-3, 1e-4], [2e-3, 4e-4]], dtype=torch.float64, requires_grad=True)

    def scaled(part):
        return mpimpy.wires.transfer(part * 1e-3, *resistances) * 1e3

    assert torch.autograd.gradgradcheck(scaled, (g.detach().mul(1e3).requires_grad_(),))
    hessian = torch.autograd.functional.hessian(lambda part: mpimpy.wires.transfer(part, *resistances).sum(), g)
    assert hessian.abs().max() > 0.1
