"""Anything that holds numbers becomes an operand, by one table of rules; docs/operands.md shows it."""

import array
import decimal
import fractions
import pathlib
import re

import array_api_strict
import numpy as np
import pytest
from libraries import same_bits, torch

from mpimpy import Engine, MapReducedot, SlicedData, explain
from mpimpy.operands import edge, values

IDEAL = {"var": 0, "radc": None, "seed": 1}
TWO = np.ones((2, 1))
needs_torch = pytest.mark.skipif(torch is None, reason="the torch extra is not installed")
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "operands.md"


def rows(title):
    """The rows of the table under a heading of docs/operands.md."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\|(.+)\|$", section, re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in found[2:]]


def test_the_page_shows_the_table():
    assert [row[0] for row in rows("What may come in")] == [rule.given for rule in values.RULES]


class Column:
    """A column as polars has it: it has no __array__."""

    def __init__(self, numbers):
        self.numbers = numbers

    def to_numpy(self):
        return np.array(self.numbers)


def traced():
    jax, kept = pytest.importorskip("jax"), []
    jax.eval_shape(lambda v: (kept.append(v), v)[1], 1.0)
    return kept[0]


def sparse_matrix():
    from scipy import sparse

    return sparse.eye_array(2)


# row of the table -> ((what makes a value, what becomes of it or the message), ...)
EXAMPLES = {
    "a value that JAX or torch.fx traces": [(traced, "a is traced by JAX .* has no values")],
    "a programmed matrix": [(lambda: Engine(seed=1).program(np.eye(2)), r"a is a programmed matrix.* write x @ W")],
    "a `SlicedData`": [(lambda: SlicedData([1, 1]), r"a is a SlicedData.* multiply with engine\(x, w\)")],
    "a masked array": [(lambda: np.ma.ones(2), r"a is a masked array.* pass a.filled\(0\)")],
    "a sparse matrix": [(sparse_matrix, r"a is a sparse .* pass a.toarray\(\)")],
    "an array of NumPy, torch, JAX or another library": [
        (lambda: np.array([[1, 3]]), np.array([[1, 3]])),
        (lambda: np.array([1, 3]).view(np.matrix), np.array([[1, 3]])),
        (lambda: np.array([1, fractions.Fraction(1, 2)]), np.array([1, 0.5])),
        (lambda: np.array([2j, 1], object), np.array([2j, 1])),
        (lambda: np.array(["x", "y"]), "a has dtype <U1, which is not numeric: .*astype"),
        (lambda: np.array([1, 2], "m8[s]"), "a has dtype timedelta64.*divide times by a unit"),
        (lambda: np.zeros(2, [("f", "f4")]), r"a has dtype .*pass one of its fields, a\['f'\]"),
        (lambda: np.array([1, None]), r"a has None at index \(1,\), which is no number: .*astype\(float\).*to_numpy"),
        (lambda: np.array([1, "x"], object), r"a has 'x' at index \(1,\), which is no number"),
    ],
    "numbers, and lists of them": [
        (lambda: [[1, 0.1]], np.array([[1, 0.1]])),
        (lambda: (True, False), np.array([True, False])),
        (lambda: range(2), np.arange(2)),
        (lambda: [2**70, 1], np.array([2.0**70, 1])),
        (lambda: [1.0, -(2**70)], np.array([1.0, -(2.0**70)])),
        (lambda: 2**70, np.array(2.0**70)),
        (lambda: [decimal.Decimal("0.5"), fractions.Fraction(1, 4)], np.array([0.5, 0.25])),
        (lambda: fractions.Fraction(1, 4), np.array(0.25)),
        (lambda: [1, None], r"a has None at index \(1,\)"),
        (lambda: ["1", "2"], "a has dtype <U1, which is not numeric"),
        (
            lambda: [10**400, 1],
            r"a has a number of 401 digits at index \(0,\), which is finite but beyond the range of",
        ),
        (lambda: [1.0, 10**400], r"a has a number of 401 digits at index \(1,\)"),
        (lambda: [[1], [1, 2]], r"a is a list that makes no array of numbers .*nested lists of one length"),
    ],
    "a table, a column or a buffer": [
        (lambda: array.array("f", [1, 3]), np.array([1, 3], np.float32)),
        (lambda: memoryview(np.array([1, 3], np.int16)), np.array([1, 3], np.int16)),
        (lambda: bytearray([1, 3]), np.array([1, 3], np.uint8)),
        (lambda: Column([1.0, 3.0]), np.array([1.0, 3.0])),
        (lambda: Column(["x", "y"]), "a has dtype <U1, which is not numeric"),
    ],
    "anything else": [
        (lambda: "12", "a is a str, which is not numeric: pass numbers"),
        (lambda: b"12", "a is a bytes, which is not numeric"),
        (lambda: {1, 2}, "a is a set, which is not numeric"),
        (lambda: {1: 2}, "a is a dict, which is not numeric"),
        (lambda: None, "a is a NoneType, which is not numeric"),
        (lambda: (n for n in (1, 2)), "a is a generator, which is not numeric"),
    ],
}


def test_every_row_has_an_example():
    assert set(EXAMPLES) == {rule.given for rule in values.RULES}


@pytest.mark.parametrize(
    ("row", "make", "becomes"), [(row, *example) for row, examples in EXAMPLES.items() for example in examples]
)
def test_each_row_of_the_table(row, make, becomes):
    value = make()
    assert next(rule.given for rule in values.RULES if rule.fits(value)) == row
    if isinstance(becomes, str):
        for call in (lambda: MapReducedot(value, TWO), lambda: values.take("a", value)):
            with pytest.raises((TypeError, ValueError), match=becomes):
                call()
        return
    found = values.take("a", value)
    assert type(found.array) is np.ndarray
    assert same_bits(found.array, becomes)
    if becomes.dtype.kind != "c":
        assert same_bits(MapReducedot(value, TWO, seed=1), MapReducedot(becomes, TWO, seed=1))


def dtype_named(library, name):
    if library == "numpy":
        return np.dtype(name)
    module = pytest.importorskip({"jax": "jax.numpy"}.get(library, library))
    return getattr(module, name)


def operand_named(library, name, shape):
    if re.match(r"\d", name):
        return complex(name) if name.endswith("j") else float(name)
    dtype = dtype_named(library, name)
    ones = {"numpy": np.ones, "array_api_strict": array_api_strict.ones}.get(library)
    if ones is not None:
        return ones(shape, dtype=dtype)
    if library == "torch":
        return torch.ones(shape).to(dtype)
    return pytest.importorskip("jax.numpy").ones(shape, dtype)


@pytest.mark.parametrize("row", rows("The dtype of a product"), ids=" ".join)
def test_dtypes_of_products_as_the_page_states_them(row):
    library, first, second, expected = row
    if library == "torch":
        pytest.importorskip("torch")
    a, b = operand_named(library, first, (1, 2)), operand_named(library, second, (2, 1))
    for pair in [(a, b)] if re.match(r"\d", second) else [(a, b), (b.T, a.T)]:
        y = MapReducedot(*pair, **IDEAL)
        assert y.dtype == dtype_named(library, expected)
        assert library in ("numpy", "jax") or type(y) is type(a)
        np.testing.assert_allclose(complex(y[0, 0]), complex(2 if np.ndim(b) else b), rtol=1e-2)
    if not np.ndim(b):  # a list has no width either, beside another library than NumPy
        lists = MapReducedot(a, [[b], [b]], **IDEAL)
        assert lists.dtype == dtype_named(library, expected)
    elif "complex" not in first + second:
        read = Engine(seed=1).program(b).read(a, 0)
        assert read.dtype == y.dtype
        empty = Engine(seed=1).program(b).read(a[:0, :], 0)
        assert (empty.shape, empty.dtype) == ((0, 1), y.dtype)
        assert Engine(seed=1)(a, b).dtype == y.dtype


@needs_torch
def test_numbers_beside_a_tensor_keep_their_digits():
    one = torch.ones(1, 1, dtype=torch.float64)
    for value in (1e-50, 1e300, 0.1, np.float64(0.1), np.array(0.1), [[0.1]], [[1e300]], np.longdouble(0.1)):
        y = MapReducedot(one, value, **IDEAL)
        assert y.dtype == torch.float64
        np.testing.assert_allclose(float(y), np.ravel(np.asarray(value, np.float64))[0], rtol=1e-14)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        assert abs(float(MapReducedot(one, [[0.1]], **IDEAL)) - 0.1) < 1e-15
        assert MapReducedot(one.int(), one.int(), seed=1).dtype == torch.bfloat16
    finally:
        torch.set_default_dtype(before)
    assert MapReducedot(one.int(), one.int(), seed=1).dtype == torch.float32


@needs_torch
def test_tensors_without_axes_yield_as_in_torch():
    vector = torch.ones(3)
    for number in (torch.tensor(0.1, dtype=torch.float64), torch.tensor(2), torch.tensor(1j)):
        for pair in ((number, vector), (vector, number)):
            assert MapReducedot(*pair, **IDEAL).dtype == torch.result_type(*pair)
    assert MapReducedot(vector.int(), torch.tensor(0.1, dtype=torch.float64), **IDEAL).dtype == torch.float64
    assert MapReducedot([1.0, 2.0], torch.tensor(2.0), **IDEAL).tolist() == [2.0, 4.0]


@needs_torch
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_packed_and_quantised_tensors_are_refused():
    with pytest.raises(TypeError, match=r"a has dtype .*float4.*, such as float32"):
        MapReducedot(torch.ones(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), torch.ones(2))
    with pytest.raises(TypeError, match=r"a is a quantised tensor: pass its .dequantize\(\)"):
        MapReducedot(torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8), torch.ones(2))


@needs_torch
def test_narrow_floats_are_taken_exactly(rng):
    a, b = (torch.asarray(rng.standard_normal(shape)).to(torch.float8_e4m3fn) for shape in ((3, 5), (5, 2)))
    assert same_bits(MapReducedot(a, b, seed=1), MapReducedot(a.float(), b.float(), seed=1))
    with pytest.raises(ValueError, match=r"a has nan at index \(1,\)"):
        MapReducedot(torch.tensor([1, float("nan")]).to(torch.float8_e5m2), torch.ones(2))


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn", "int4"])
def test_dtypes_of_ml_dtypes_are_taken_exactly(rng, name):
    dtype = getattr(pytest.importorskip("ml_dtypes"), name)
    a, b = rng.integers(0, 4, (3, 5)).astype(dtype), rng.integers(0, 4, (5, 2)).astype(dtype)
    y = MapReducedot(a, b, seed=1)
    assert y.dtype == {"bfloat16": dtype, "int4": np.float64}.get(name, np.float32)
    wide = MapReducedot(*(v.astype(np.int8 if name == "int4" else np.float32) for v in (a, b)), seed=1)
    assert same_bits(y, wide.astype(y.dtype))
    if name == "bfloat16":
        assert MapReducedot(a, b.astype(np.int32), seed=1).dtype == dtype
        with pytest.raises(TypeError, match="bfloat16 and float16 have no common dtype: convert one"):
            MapReducedot(a, b.astype(np.float16), seed=1)


LONG = np.finfo(np.longdouble).max > np.finfo(np.float64).max


@pytest.mark.skipif(not LONG, reason="long doubles are doubles here")
def test_numbers_beyond_float64_are_refused_with_their_place():
    for text in ("1e400", "-1e400", "1e-400"):
        for value in (np.array([1, np.longdouble(text)]), [1, np.longdouble(text)]):
            with pytest.raises(
                ValueError, match=r"a has -?1e[+-]400 at index \(1,\), which is finite but beyond the range"
            ):
                MapReducedot(value, TWO)
    for value in (1 + 1j * np.longdouble("1e400"), np.longdouble("1e400") + 0j):
        with pytest.raises(ValueError, match=r"b has 1e\+400 at index \(0,\)"):
            MapReducedot(TWO[0], np.array([value]))
    with pytest.raises(ValueError, match=r"a has inf at index \(0,\): every element must be finite"):
        MapReducedot(np.array([np.longdouble("inf"), 1]), TWO)
    with pytest.raises(ValueError, match=r"a has 1e\+400 at index \(0,\)"):
        MapReducedot(np.array([np.longdouble("1e400"), 1], object), TWO)
    y = MapReducedot(np.ones((1, 2), np.longdouble), TWO, **IDEAL)
    assert (y.dtype, y[0, 0]) == (np.longdouble, 2)


def test_tables_of_pandas():
    pd = pytest.importorskip("pandas")
    series, frame = pd.Series([1.0, 2.0]), pd.DataFrame({"conductance": [1, 3], "mask": [2, 4]})
    for given, plain in (
        (series, [1.0, 2.0]),
        (frame, [[1, 2], [3, 4]]),
        (frame.convert_dtypes(), [[1, 2], [3, 4]]),
        (frame.astype(object), [[1, 2], [3, 4]]),
        (pd.Index([1, 2]), [1, 2]),
        (pd.Series([1, 2], dtype="category"), [1, 2]),
        (pd.Series([True, False], dtype="boolean"), [True, False]),
    ):
        y = MapReducedot(given, TWO, seed=1)
        assert type(y) is np.ndarray
        assert same_bits(y, MapReducedot(plain, TWO, seed=1))
    assert same_bits(MapReducedot([[1.0, 2.0]], series, seed=1), MapReducedot([[1.0, 2.0]], [1.0, 2.0], seed=1))
    assert same_bits(MapReducedot(frame, frame, seed=1), MapReducedot(frame.values, frame.values, seed=1))
    assert type(Engine(seed=1)(frame, pd.DataFrame(np.eye(2)))) is np.ndarray
    assert explain(series, TWO, seed=1).snr_dB == explain(np.array([1.0, 2.0]), TWO, seed=1).snr_dB
    with pytest.raises(TypeError, match=r"a has <NA> at index \(1, 0\), which is no number: fill it"):
        MapReducedot(pd.DataFrame({"u": [1, None], "v": [True, True]}).convert_dtypes(), TWO)
    with pytest.raises(TypeError, match=r"a has dtype datetime64.*divide times by a unit"):
        MapReducedot(pd.Series(pd.to_datetime(["2026-01-01", "2026-01-02"])), TWO)
    if torch is not None:
        y = MapReducedot(series[::-1], torch.ones(2, 1), seed=1)  # a Series has a width: float64
        assert same_bits(y, MapReducedot(torch.tensor([2.0, 1.0]).double(), torch.ones(2, 1), seed=1))
        big_endian = MapReducedot(pd.Series(np.array([1, 2], ">f4")), torch.ones(2, 1), seed=1)
        assert big_endian.dtype == torch.float32


def test_labelled_arrays_of_xarray():
    xarray = pytest.importorskip("xarray")
    given = xarray.DataArray([[1.0, 2.0]], dims=("row", "k"))
    y = MapReducedot(given, xarray.DataArray(TWO), seed=1)
    assert type(y) is np.ndarray
    assert same_bits(y, MapReducedot(given.values, TWO, seed=1))
    with pytest.raises(TypeError, match="a is a Dataset that makes no array of numbers"):
        MapReducedot(xarray.Dataset({"v": ("k", [1.0, 2.0])}), TWO)


@needs_torch
def test_lists_take_the_library_of_the_other_operand():
    weights = torch.ones(2, 1, dtype=torch.bfloat16)
    for call in (
        lambda: Engine(seed=1)([[0.1, 0.2]], weights),
        lambda: Engine(seed=1)(weights.T, [[0.1], [0.2]]),
        lambda: Engine(seed=1).program(weights).read([[0.1, 0.2]]),
    ):
        assert call().dtype == torch.bfloat16
    assert edge.like(2.0, np.float64(2)) is None
    assert edge.like(torch.tensor(2.0), weights) is weights


def test_a_matrix_remembers_the_dtype_of_its_weights(tmp_path):
    import mpimpy

    W = Engine(seed=1).program(np.ones((2, 1), np.int8))
    W.save(tmp_path / "chip.npz")
    for matrix in (W, mpimpy.load(tmp_path / "chip.npz")):
        assert matrix.dtype == np.float64
        assert matrix.read(np.ones(2, np.float32)).dtype == np.float32
        assert matrix.read(np.ones(2, np.int8)).dtype == np.float64


def test_the_warning_of_a_gradient_names_the_line_of_the_user():
    pytest.importorskip("torch")
    weights = torch.ones(2, 2, dtype=torch.complex64, requires_grad=True)
    for call in (
        lambda: MapReducedot(torch.ones(2), weights),
        lambda: Engine(seed=1).program(weights),
        lambda: Engine(seed=1)(torch.ones(2), weights),
        lambda: Engine(seed=1).program(weights.detach()).read(weights),
    ):
        with pytest.warns(edge.MpimpyWarning, match="requires a gradient") as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}
