"""MapReducedot has np.dot's rules: shapes, dtypes, libraries, and its errors."""

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from libraries import same_bits, to_strict, to_torch, torch

from mpimpy import DPETensor, MapReducedot, MpimpyWarning, SlicedData, explain

IDEAL = {"var": 0, "radc": None, "format": "fp32"}
MAKERS = {"numpy": np.asarray, "strict": to_strict} | ({"torch": to_torch} if torch is not None else {})
needs_torch = pytest.mark.skipif(torch is None, reason="the torch extra is not installed")


@st.composite
def dot_shapes(draw):
    side = st.integers(0, 4)
    depth = draw(st.integers(0, 5))
    a = (*draw(st.lists(side, max_size=3)), depth)
    b = draw(st.one_of(st.just((depth,)), st.tuples(st.just(depth), side), st.tuples(side, st.just(depth), side)))
    return draw(st.sampled_from([(a, b), ((), b), (a, ()), ((), ())]))


@pytest.mark.slow
@given(dot_shapes(), st.data())
def test_shapes_and_values_are_those_of_np_dot(shapes, data):
    a, b = (
        data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-3, 3, width=16)), label=name)
        for name, shape in zip("ab", shapes, strict=True)
    )
    expected = np.dot(a, b)
    for make in MAKERS.values():
        result = np.asarray(MapReducedot(make(a), make(b), **IDEAL))
        assert result.shape == np.shape(expected)
        np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3, 4), (5, 4, 6)), ((4,), (5, 4, 6)), ((2, 3, 4), (4,)), ((3, 4), (2, 5, 4, 6))]
)
def test_axes_of_many_dimensions(rng, a, b):
    a, b = rng.standard_normal(a), rng.standard_normal(b)
    for make in MAKERS.values():
        np.testing.assert_allclose(np.asarray(MapReducedot(make(a), make(b), **IDEAL)), np.dot(a, b), atol=1e-4)


def test_numbers_come_back_as_numpy_numbers():
    assert type(MapReducedot(np.ones(3), np.ones(3), **IDEAL)) is type(np.dot(np.ones(3), np.ones(3)))
    assert type(MapReducedot(2.0, 3.0, **IDEAL)) is np.float64
    assert MapReducedot(2, 3, **IDEAL) == pytest.approx(6)
    assert MapReducedot([[1, 2]], [[3], [4]], **IDEAL)[0, 0] == pytest.approx(11)


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float32", "float64"),
        ("float16", "float16", "float16"),
        ("int8", "int64", "float64"),
        ("bool", "float32", "float32"),
        ("complex64", "float32", "complex64"),
        ("complex128", "complex64", "complex128"),
        ("complex64", "float64", "complex128"),
    ],
)
def test_numpy_dtypes(first, second, result):
    y = MapReducedot(np.ones((2, 3), first), np.ones((3, 2), second), seed=0)
    assert y.dtype == result
    assert y.shape == (2, 2)


@needs_torch
@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float64", "float64"),
        ("bfloat16", "bfloat16", "bfloat16"),
        ("float16", "float16", "float16"),
        ("int32", "int32", "float32"),
        ("bool", "bool", "float32"),
        ("complex64", "complex64", "complex64"),
    ],
)
def test_torch_dtypes(first, second, result):
    a, b = torch.ones((2, 3), dtype=getattr(torch, first)), torch.ones((3, 2), dtype=getattr(torch, second))
    y = MapReducedot(a, b, seed=0)
    assert isinstance(y, torch.Tensor)
    assert y.dtype == getattr(torch, result)
    assert y.device == a.device


@needs_torch
def test_torch_views_and_conjugates(rng):
    a = torch.asarray(rng.standard_normal((4, 5)) + 1j * rng.standard_normal((4, 5)))
    b = torch.asarray(rng.standard_normal((4, 3)))
    assert same_bits(MapReducedot(a.conj().T, b, seed=1), MapReducedot(a.conj().T.resolve_conj().clone(), b, seed=1))
    assert same_bits(MapReducedot(a.imag.T, b, seed=1), MapReducedot(a.imag.T.clone(), b, seed=1))
    assert same_bits(MapReducedot(torch._neg_view(b).T, b, seed=1), MapReducedot(-b.T, b, seed=1))


@needs_torch
def test_half_precision_is_taken_exactly(rng):
    a, b = torch.asarray(rng.standard_normal((4, 5))), torch.asarray(rng.standard_normal((5, 3)))
    for dtype in (torch.float16, torch.bfloat16):
        low = MapReducedot(a.to(dtype), b.to(dtype), seed=1)
        high = MapReducedot(a.to(dtype).double(), b.to(dtype).double(), seed=1)
        assert same_bits(low.float(), high.to(dtype).float())


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "int64", "uint64", ">f8", ">i4", "longdouble"])
def test_other_dtypes_are_taken_exactly(rng, dtype):
    a, b = ((rng.integers(0, 2**40, shape) + 1).astype(dtype) for shape in ((4, 70), (70, 3)))
    plain = MapReducedot(a.astype(np.float64), b.astype(np.float64), seed=1)
    for backend in ("numba", "reference"):
        assert same_bits(MapReducedot(a, b, seed=1, backend=backend).astype(np.float64), plain)


class Quantity(np.ndarray):
    """An array of a library that builds on NumPy's."""


def test_subclasses_of_numpy_arrays_are_numpy_arrays(rng):
    a, b = rng.standard_normal((4, 5)), rng.standard_normal((5, 3))
    expected = MapReducedot(a, b, seed=1)
    assert same_bits(MapReducedot(a.view(Quantity), b, seed=1), expected)
    assert type(MapReducedot(a.view(Quantity), b.view(Quantity), seed=1)) is np.ndarray
    assert same_bits(MapReducedot(a, b.view(Quantity), seed=1), expected)


@needs_torch
def test_a_numpy_number_meets_any_array():
    for number in (np.float64(2), np.array(2.0), 2.0):
        y = MapReducedot(number, torch.ones(3), **IDEAL)
        assert isinstance(y, torch.Tensor)
        np.testing.assert_allclose(y, 2 * np.ones(3), rtol=1e-6)


def test_complex_operands(rng):
    a = rng.standard_normal((4, 70)) + 1j * rng.standard_normal((4, 70))
    b = rng.standard_normal((70, 3)) + 1j * rng.standard_normal((70, 3))
    for x, w in ((a, b), (a.real, b), (a, b.real), (a, b[:, 0]), (a[0], b[:, 0])):
        np.testing.assert_allclose(MapReducedot(x, w, **IDEAL), np.dot(x, w), atol=1e-4)
    noisy = MapReducedot(a, b, seed=1, write_var=0.1)
    # the parts have cells of their own
    assert not np.allclose(MapReducedot(a.real, b.real, seed=1, write_var=0.1) * 1j, noisy)
    same = 1.0 + 1.0j
    g = MapReducedot(np.ones((1, 64)), np.full((64, 1), same), seed=1, write_var=0.2, var=0, radc=None)
    assert g.real[0, 0] != g.imag[0, 0]


def test_empty_axes():
    for make in MAKERS.values():
        assert MapReducedot(make(np.ones((2, 0))), make(np.ones((0, 3)))).shape == (2, 3)
        assert np.all(np.asarray(MapReducedot(make(np.ones((2, 0))), make(np.ones((0, 3))))) == 0)
        assert MapReducedot(make(np.ones((0, 3))), make(np.ones((3, 2)))).shape == (0, 2)
        assert MapReducedot(make(np.ones((2, 3))), make(np.ones((3, 0)))).shape == (2, 0)


def test_inputs_are_never_modified(rng):
    a, b = rng.standard_normal((5, 70)), rng.standard_normal((70, 6))
    a.flags.writeable = b.flags.writeable = False
    keep = a.copy(), b.copy()
    for backend in ("numba", "reference"):
        MapReducedot(a, b, seed=1, backend=backend, write_var=0.1, stuck_HGS=0.1, vnoise=0.1)
    assert same_bits(a, keep[0])
    assert same_bits(b, keep[1])


def test_seeds(rng):
    a, b = rng.standard_normal((5, 70)), rng.standard_normal((70, 6))
    assert same_bits(MapReducedot(a, b, seed=1), MapReducedot(a, b, seed=1))
    assert not same_bits(MapReducedot(a, b, seed=1), MapReducedot(a, b, seed=2))
    assert not same_bits(MapReducedot(a, b), MapReducedot(a, b))
    engine = DPETensor(seed=1)
    first, second = MapReducedot(a, b, engine), MapReducedot(a, b, engine)
    assert same_bits(first, MapReducedot(a, b, seed=1))
    assert not same_bits(first, second)


class Foreign:
    __array_namespace__ = None


REFUSED = [
    (lambda: MapReducedot(np.ones((2, 3)), np.ones((2, 3))), ValueError,
     r"shapes \(2, 3\) and \(2, 3\) do not fit: the last axis of a \(3\) must be as long as the second-to-last axis of b \(2\)"),
    (lambda: MapReducedot(np.ones(3), np.ones(4)), ValueError, r"the only axis of b \(4\)"),
    (lambda: MapReducedot(np.array([[1.0, np.nan]]), np.ones((2, 1))), ValueError, r"a has nan at index \(0, 1\)"),
    (lambda: MapReducedot(np.ones((2, 2)), np.array([[1, 2], [np.inf, 1]])), ValueError, r"b has inf at index \(1, 0\)"),
    (lambda: MapReducedot(np.ones(2), np.array([1, 1j * np.inf])), ValueError, r"b has .*infj.* at index \(1,\)"),
    (lambda: MapReducedot(np.array(["x"]), np.ones(1)), TypeError, r"a has dtype <U1, which is not numeric"),
    (lambda: MapReducedot(np.ones(1), np.array([None])), TypeError, r"b has None at index \(0,\), which is no number: fill it"),
    (lambda: MapReducedot("12", np.ones(1)), TypeError, r"a is a str, which is not numeric: pass numbers"),
    (lambda: MapReducedot(np.array(["2026-01-01"], "datetime64[D]"), np.ones(1)), TypeError, r"a has dtype datetime64"),
    (lambda: MapReducedot(np.ma.ones(2), np.ones(2)), TypeError, r"a is a masked array"),
    (lambda: MapReducedot(np.ones(1), array_api_strict.ones(1)), TypeError,
     r"a is a numpy array and b a array_api_strict one: convert one of them"),
    (lambda: MapReducedot(np.ones(2), np.ones(2), DPETensor(), var=0), TypeError, r"settings \(var\) have no effect beside an engine"),
    (lambda: MapReducedot(np.ones(2), np.ones(2), reads=8), TypeError, "reads is no setting: it is an argument of explain"),
    (lambda: MapReducedot(np.ones(2), DPETensor().program(np.ones((2, 2)))), TypeError,
     r"b is a programmed matrix, not an array: write x @ W, or W.report"),
    (lambda: MapReducedot(SlicedData([1, 1]), np.ones((2, 2))), TypeError,
     r"a is a SlicedData, not an array: multiply with engine\(x, w\)"),
    (lambda: explain(np.ones((2, 2)) * 1j, np.ones((2, 2))), TypeError, r"a has dtype complex128, which is complex"),
    (lambda: MapReducedot(np.ones(2), array_api_strict.ones(2), backend="numba"), TypeError, r"numpy array"),
    (lambda: MapReducedot(np.ones(2), np.ones(2), device="cuda"), ValueError,
     r"an operand is on device cpu but the engine has device=cuda: move the array, or leave device= of DPETensor, op.* out"),
    (lambda: MapReducedot(array_api_strict.ones(2), array_api_strict.ones(2, device=array_api_strict.Device("device1"))),
     ValueError, r"a is on device .*CPU_DEVICE.* and b on .*device1"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "kind", "message"), REFUSED)
def test_refused(run, kind, message):
    with pytest.raises(kind, match=message):
        run()


@needs_torch
def test_mixed_libraries_and_gradients():
    with pytest.raises(TypeError, match=r"a is a torch array and b a numpy one"):
        MapReducedot(torch.ones(2), np.ones(2))
    weights = torch.ones(2, requires_grad=True)
    assert MapReducedot(torch.ones(2), weights).requires_grad
    with pytest.warns(MpimpyWarning, match=r"b requires a gradient, and none flows"):
        y = MapReducedot(torch.ones(2) * 1j, weights)
    assert not y.requires_grad
    with torch.no_grad():
        MapReducedot(torch.ones(2), weights)
    with pytest.raises(ValueError, match="device=meta"):
        MapReducedot(torch.ones(2), torch.ones(2), device="meta")
    with pytest.raises(TypeError, match=r"b is on the meta device, without values"):
        MapReducedot(torch.ones(2), torch.ones(2, device="meta"))
    with pytest.raises(
        TypeError, match=r"a is a sparse tensor, and a crossbar holds every element: pass its .to_dense"
    ):
        MapReducedot(torch.eye(2).to_sparse(), torch.ones(2))


def test_errors_come_before_any_work(monkeypatch):
    monkeypatch.setattr("mpimpy._writing.program", lambda *_, **__: pytest.fail("programmed"))
    with pytest.raises(ValueError, match="do not fit"):
        MapReducedot(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="nan"):
        DPETensor().MapReduceDot(np.full((2, 3), np.nan), np.ones((3, 2)))
    with pytest.raises(ValueError, match="do not fit"):
        DPETensor().MapReduceDot(np.ones((2, 4)), np.ones((3, 2)))
