"""A programmed matrix among arrays: operators, functions, complex numbers, SciPy's solvers."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse.linalg as sla
from libraries import RUNNERS, same_bits, to_torch, torch
from strategies import each_runner

from mpimpy import ADC, CrossbarMatrix, Device, DPETensor, Engine, Format, MapReducedot, Tile, Wires, load
from mpimpy._complex import ComplexMatrix

needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed")
FINE = Format.named("fp32")


def fine(**parts):
    """An engine whose products are exact to about 1e-6."""
    return Engine(Device(var=0), adc=ADC(None), inputs=FINE, weights=FINE, seed=1, **parts)


@pytest.fixture
def x(rng):
    return rng.standard_normal((4, 20))


@pytest.fixture
def w(rng):
    return rng.standard_normal((20, 3))


@pytest.fixture
def W(w):
    return DPETensor(seed=1, reference="ideal").program(w)


def test_every_spelling_of_a_product_is_a_read(x, w, W):
    y, z = W.read(x, read=0), np.ones(3)
    fresh = lambda: DPETensor(seed=1, reference="ideal").program(w)  # noqa: E731
    for product in (
        lambda V: x @ V,
        lambda V: np.matmul(x, V),
        lambda V: np.dot(x, V),
        lambda V: np.linalg.matmul(x, V),
        lambda V: np.vecmat(x, V),
        lambda V: np.matmul(x, V, out=np.empty((4, 3))),
        lambda V: np.dot(x, V, out=np.empty((4, 3))),
        lambda V: DPETensor(reference="ideal")(x, V),
        lambda V: (V.T @ x.T).T,
        lambda V: V.rmatvec(x.T).T,
        lambda V: V.T.T.read(x),
    ):
        assert same_bits(np.ascontiguousarray(product(fresh())), y)
    back = W.T.read(z, read=0)
    for product in (
        lambda V: V @ z,
        lambda V: np.matmul(V, z),
        lambda V: np.dot(V, z),
        lambda V: np.matvec(V, z),
        lambda V: z @ V.T,
        lambda V: V.matvec(z),
        lambda V: V.matvec(z[:, None])[:, 0],
        lambda V: (V @ z[:, None])[:, 0],
        lambda V: V @ z.tolist(),
        lambda V: DPETensor(reference="ideal")(z, V.T),
    ):
        assert same_bits(np.ascontiguousarray(product(fresh())), back)


def test_a_product_in_place():
    Q = DPETensor(seed=1, reference="ideal").program(np.eye(20))
    for start in (np.ones(20), np.ones((4, 20))):
        p, expected = start.copy(), DPETensor(seed=1, reference="ideal").program(np.eye(20)).read(start)
        Q = DPETensor(seed=1, reference="ideal").program(np.eye(20))
        kept = p
        p @= Q
        assert kept is p
        assert same_bits(p, expected)
    whole = np.ones(20, np.int64)
    with pytest.raises(TypeError, match="same_kind"):
        whole @= Q


def test_shapes_are_those_of_a_matrix(W):
    assert (np.shape(W), np.ndim(W), np.size(W), W.ndim) == ((20, 3), 2, 60, 2)
    assert (W.T.shape, W.T.dtype, W.T.device, W.T.ndim) == ((3, 20), np.float64, "cpu", 2)
    assert W.T.T is W
    assert W.H.shape == (3, 20)
    assert np.array_equal(W.T.decoded(), W.decoded().T)
    assert repr(W.T).startswith("<TransposedMatrix 3 x 20 of <CrossbarMatrix 20 x 3")


def test_batches_on_either_side(rng, w):
    W, batch = DPETensor(seed=1, reference="ideal").program(w), rng.standard_normal((2, 3, 5))
    y = W @ batch
    assert y.shape == (2, 20, 5)
    again = DPETensor(seed=1, reference="ideal").program(w).T.read(np.matrix_transpose(batch), read=0)
    assert same_bits(np.matrix_transpose(y).copy(), again)


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (np.asarray, "write x @ W"),
        (lambda W: np.ones((4, 20)).dot(W), "write x @ W.*decoded"),
        (lambda W: np.ones((20, 3)) + W, "np.add: a programmed matrix is no array"),
        (lambda W: np.inner(np.ones(3), W), "np.inner: a programmed matrix"),
        (lambda W: np.einsum("ij,jk", np.ones((4, 20)), W), "np.einsum: a programmed"),
        (lambda W: np.matmul(np.ones((4, 20)), W, dtype=np.float32), "np.matmul with dtype: a programmed"),
        (lambda W: np.add.reduce(W), "np.add: a programmed"),
        (lambda W: np.linalg.norm(W), "np.norm: a programmed"),
        (lambda W: np.shape(np.ones(3) if W is None else [W]), "no array"),
        (lambda W: W @ W, "both factors are programmed"),
        (lambda W: np.matmul(W, W), "both factors are programmed"),
        (lambda W: W @ W.T, "both factors are programmed"),
        (lambda W: np.sum(W), "np.sum: a programmed"),
    ],
)
def test_an_array_is_not_made_in_silence(W, attempt, words):
    with pytest.raises(TypeError, match=words):
        attempt(W)


def test_shapes_that_do_not_fit(W):
    with pytest.raises(ValueError, match=r"\(20, 3\) and \(4, 3\) do not fit: the second-to-last axis of x \(4\) must"):
        W @ np.ones((4, 3))
    with pytest.raises(ValueError, match=r"\(20, 3\) and \(\) do not fit: x, a number, must be as long .* wide \(3\)"):
        W @ 5.0
    with pytest.raises(ValueError, match="do not fit"):
        W @ np.ones(4)


@needs_torch
def test_functions_of_torch(x, w):
    t, y, z = to_torch(x), DPETensor(seed=1, reference="ideal")(x, w), torch.ones(3, dtype=torch.float64)
    for product in (lambda a, b: a @ b, torch.matmul, torch.mm, torch.Tensor.matmul):
        result = product(t, DPETensor(seed=1, reference="ideal").program(to_torch(w)))
        assert isinstance(result, torch.Tensor)
        assert same_bits(result, y)
    back = DPETensor(seed=1, reference="ideal").program(w).T.read(np.ones(3), read=0)
    for product in (torch.mv, torch.matmul, lambda W, v: W @ v, lambda W, v: torch.nn.functional.linear(v, W)):
        assert same_bits(product(DPETensor(seed=1, reference="ideal").program(to_torch(w)), z), back)
    W, bias = DPETensor(seed=1, reference="ideal").program(to_torch(w)), torch.arange(20.0, dtype=torch.float64)
    for arguments, options in (((z, W, bias), {}), ((z, W), {"bias": bias})):
        W = DPETensor(seed=1, reference="ideal").program(to_torch(w))
        found = torch.nn.functional.linear(z, W, *arguments[2:], **options)
        assert same_bits(found, torch.from_numpy(back.copy()) + bias)
    for attempt, words in (
        (lambda: torch.einsum("ij,jk", t, W), "torch.einsum: a programmed"),
        (lambda: torch.add(t, W), "torch.add: a programmed"),
    ):
        with pytest.raises(TypeError, match=words):
            attempt()


def test_data_frames_are_told_what_to_write(W):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=r"write x @ W, or W\.read"):
        pandas.DataFrame(np.ones((4, 20))) @ W


SPD = np.diag([1.0, 2.0, 4.0]) + 0.1


@pytest.mark.parametrize("make", [lambda e: e.program(SPD), lambda e: e.operator(SPD)], ids=["matrix", "operator"])
def test_scipy_solves_with_it(make):
    A, b = make(fine()), np.ones(3)
    solution = np.linalg.solve(SPD, b)
    for solver in (sla.cg, sla.gmres, sla.bicg, sla.minres):
        found, info = solver(A, b)
        assert info == 0
        np.testing.assert_allclose(found, solution, rtol=1e-4)
    np.testing.assert_allclose(sla.lsqr(A, b)[0], solution, rtol=1e-4)


def test_scipy_s_operator_has_both_sides(rng, w):
    A, L = fine().program(w), None
    L = sla.aslinearoperator(A)
    v, u = rng.standard_normal(3), rng.standard_normal(20)
    assert (L.shape, L.dtype) == ((20, 3), np.float64)
    for found, exact in (
        (L @ v, w @ v),
        (L.T @ u, w.T @ u),
        (L.rmatvec(u), w.T @ u),
        (L.matmat(np.stack([v, v], 1)), np.stack([w @ v, w @ v], 1)),
        (L.rmatmat(np.stack([u, u], 1)), np.stack([w.T @ u, w.T @ u], 1)),
        (A.matmat(v[:, None])[:, 0], w @ v),
        (A.rmatmat(u[:, None])[:, 0], w.T @ u),
    ):
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "parts", [{"wires": Wires(1.0, 1.0)}, {"weights": Format(mapping="offset")}], ids=["wires", "offset"]
)
def test_an_operator_has_cells_of_its_own_where_a_matrix_has_one_side(rng, parts):
    w = rng.standard_normal((6, 4))
    engine = Engine(Device(var=0, write_var=0.02), adc=ADC(4096), seed=1, **parts)
    A = engine.operator(w, name="a")
    assert isinstance(A.transposed, CrossbarMatrix)
    assert A.transposed.seed != A.matrix.seed
    assert A.matrix.seed == engine.program(w, name="a").seed
    assert same_bits(A.T.read(np.ones(4), read=1), A.transposed.read(np.ones(4), read=1))
    assert np.allclose(A @ np.ones(4), w @ np.ones(4), atol=0.5)
    assert np.allclose(np.ones(6) @ A, np.ones(6) @ w, atol=0.5)
    assert A.T.T.shape == (6, 4)
    assert repr(A).startswith("<CrossbarOperator 6 x 4: <CrossbarMatrix 6 x 4")
    assert isinstance(Engine(seed=1).operator(w).transposed, CrossbarMatrix)
    both = Engine(tile=Tile(reference="ideal"), seed=1).operator(w)
    assert both.transposed.T is both.matrix


# -- complex numbers ----------------------------------------------------------------------------


DFT = np.exp(-2j * np.pi * np.outer(range(8), range(8)) / 8) + np.arange(8.0)


@pytest.fixture
def z(rng):
    return rng.standard_normal((2, 8)) + 1j * rng.standard_normal((2, 8))


def test_complex_products_are_close_to_exact(z, rng):
    C, w = fine().program(DFT), rng.standard_normal((8, 3))
    assert (C.shape, C.dtype, C.T.shape, C.ndim) == ((8, 8), np.complex128, (8, 8), 2)
    for found, exact in (
        (z @ C, z @ DFT),
        (z.real @ C, z.real @ DFT),
        (z[0] @ C, z[0] @ DFT),
        (z.real[0] @ C, z.real[0] @ DFT),
        (z @ C.T, z @ DFT.T),
        (z[0] @ C.T, z[0] @ DFT.T),
        (z.real @ C.T, z.real @ DFT.T),
        (C @ z.T, DFT @ z.T),
        (z @ C.H, z @ DFT.conj().T),
        (z.real @ C.H, z.real @ DFT.conj().T),
        (z @ C.H.H, z @ DFT),
        (z @ C.conj(), z @ DFT.conj()),
        (z @ C.conj().conj().T, z @ DFT.T),
        (z @ C.conj().T, z @ DFT.conj().T),
        (C.rmatvec(z[0]), DFT.conj().T @ z[0]),
        (C.matvec(z[0]), DFT @ z[0]),
        (sla.aslinearoperator(C).rmatvec(z[0]), DFT.conj().T @ z[0]),
        (sla.aslinearoperator(C).T @ z[0], DFT.T @ z[0]),
        (z @ fine().program(w), z @ w),
        (z[0] @ fine().program(w), z[0] @ w),
        (z @ fine().program(w).conj(), z @ w),
        (z[:, :3] @ fine().program(w).T, z[:, :3] @ w.T),
        (z @ fine().operator(DFT), z @ DFT),
        (fine().operator(DFT).H @ z[0], DFT.conj().T @ z[0]),
        (fine(wires=Wires(1e-3, 1e-3)).operator(DFT).H @ z[0], DFT.conj().T @ z[0]),
        (np.stack([z, 2 * z]) @ C, np.stack([z, 2 * z]) @ DFT),
    ):
        assert found.dtype == np.complex128
        np.testing.assert_allclose(found, exact, rtol=1e-3 if found.size == 8 else 1e-4, atol=2e-3)


def test_complex_products_are_sums_of_real_ones_of_one_read(z):
    parts = DPETensor(seed=3).program(np.concatenate([DFT.real, DFT.imag], axis=1))
    y = parts.read(np.concatenate([z.real, z.imag]), read=0)
    (rr, ri), (ir, ii) = ((row[:, :8], row[:, 8:]) for row in (y[:2], y[2:]))
    expected = (rr - ii) + 1j * (ri + ir)
    assert same_bits(MapReducedot(z, DFT, seed=3), expected)
    assert same_bits(DPETensor(seed=3).program(DFT).read(z, read=0), expected)


@each_runner
def test_a_complex_matrix_has_the_bits_of_mapreducedot(z, runner):
    make, backend = RUNNERS[runner]
    for a, b in ((z, DFT), (z.real, DFT), (z, DFT.real)):
        expected = MapReducedot(a, b, seed=3)
        W = DPETensor(seed=3, backend=backend).program(make(b))
        assert same_bits(np.asarray(W.read(make(a), read=0)), expected)
        assert same_bits(np.asarray(DPETensor(seed=3, backend=backend)(make(a), make(b))), expected)


def test_dtypes_of_complex_products(z):
    C = DPETensor(seed=1, reference="ideal").program(DFT.astype(np.complex64))
    for a, dtype in (
        (z.astype(np.complex64), "complex64"),
        (z.real.astype(np.float32), "complex64"),
        (z, "complex128"),
    ):
        assert (a @ C).dtype == dtype
        assert (a @ C.T).dtype == dtype
    W = DPETensor(seed=1, reference="ideal").program(DFT.real.astype(np.float32))
    assert (z.astype(np.complex64) @ W).dtype == np.complex64


def test_a_complex_matrix_shows_its_cells(z):
    engine = Engine(Device(var=0, drift=None), seed=4, chip=2)
    C = engine.program(DFT, name="dft")
    assert (C.codes().shape, C.conductance().shape, C.tiles, C.chip) == ((8, 16), (4, 8, 16), (1, 1, 4), 2)
    assert C.seed == engine.program(DFT, name="dft").seed != engine.seed
    assert np.abs(C.decoded() - DFT).max() < np.abs(DFT).max() / 100
    assert (C.age, C.programming, C.reads, C.device, C.config) == (None, None, 0, "cpu", engine.config)
    assert "ComplexMatrix 8 x 8 in <CrossbarMatrix 8 x 16" in repr(C)
    for again in (pickle.loads(pickle.dumps(C)), copy.deepcopy(C)):
        assert same_bits(again.read(z, read=5), C.read(z, read=5))


def test_a_complex_matrix_ages_and_reports(z):
    from mpimpy import Drift

    C = Engine(Device(var=0, drift=Drift(0.1)), seed=1).program(DFT)
    old = C.at("1 y")
    assert str(old.age).startswith("1 y")
    assert np.abs(old.read(z, read=0)).sum() < np.abs(C.read(z, read=0)).sum()
    report = C.report(z, DFT)
    assert report.snr_dB > 5
    assert C.report(z.real[0]).cells == C.report().cells
    with pytest.raises(ValueError, match=r"w has shape \(8, 3\), but \(8, 8\) was programmed"):
        C.report(z, DFT[:, :3])


def test_parts_of_a_complex_matrix(z):
    engine = DPETensor(seed=1, array_size=(4, 4), write_var=0.1)
    whole = engine.program(DFT).codes()
    assert np.array_equal(engine.program(DFT[4:], origin=(4, 0)).codes(), whole[4:])
    with pytest.raises(ValueError, match=r"origin=\(0, 4\) is inside a complex matrix"):
        engine.program(DFT, origin=(0, 4))
    faults = np.zeros((8, 16), np.int8)
    faults[0, 0] = 1
    assert engine.program(DFT, faults=faults).shape == (8, 8)


def test_complex_weights_where_real_ones_are_wanted(z):
    with pytest.raises(TypeError, match="is complex where real numbers are wanted"):
        DPETensor(seed=1, reference="ideal").calibrate(z.real, DFT)
    with pytest.raises(TypeError, match="is complex where real numbers are wanted"):
        DPETensor(seed=1, reference="ideal").program(DFT.real).report(z)


@pytest.mark.parametrize("make", [np.asarray, *([to_torch] if torch is not None else [])])
def test_a_complex_matrix_in_a_file(z, tmp_path, make):
    engine = DPETensor(seed=1, write_var=0.1)
    for dtype in (np.complex64, np.complex128):
        C = engine.program(make(DFT.astype(dtype)))
        C.save(tmp_path / "dft.npz")
        again = load(tmp_path / "dft.npz", like=make(z))
        assert isinstance(again, ComplexMatrix)
        assert (again.shape, again.dtype) == ((8, 8), C.dtype)
        assert same_bits(np.asarray(again.read(make(z), read=3)), np.asarray(C.read(make(z), read=3)))
