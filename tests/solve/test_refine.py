"""Linear systems on crossbars: answers to float64 accuracy, histories, and failures that are told."""

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

import mpimpy
from mpimpy import DPETensor, Engine, MpimpyWarning, presets
from mpimpy.analysis.counts import counts
from mpimpy.solve import Inner, solve
from mpimpy.solve._refine import _Column, _orthogonal, _Task
from mpimpy.solve._scaling import balanced

N = 40
FINE = {"var": 0, "radc": None, "format": "fp32"}


def spd(kappa, n=N):
    """Return a symmetric positive definite matrix of a condition number."""
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))
    return (q * np.geomspace(1, kappa, n)) @ q.T


def pcm(seed=1):
    engine = DPETensor(radc=1024, w_mapping="pair", seed=seed)
    return engine.replace(device=presets.device("pcm-joshi", g_level=16))


@pytest.fixture
def b(rng):
    return rng.standard_normal(N)


def test_phase_change_memory_reaches_float64(b):
    A, engine = spd(3), pcm()
    found = solve(A, b, engine)
    assert found.converged
    assert found.residuals[0] == 1
    assert 0.03 < found.residuals[1] < 0.3  # what one pass leaves
    assert np.all(np.diff(found.residuals) < 0)
    assert found.residuals[-1] == np.linalg.norm(b - A @ found.x) / np.linalg.norm(b) < 1e-12
    np.testing.assert_allclose(found.x, np.linalg.solve(A, b), rtol=0, atol=1e-11)
    assert 0.03 < found.product_error < 0.3
    assert found.steps < 25
    assert found.reads == engine.reads == found.inner.sum() + 1
    each = counts(engine.config, 1, N, N)
    assert found.adc_conversions == found.reads * each.adc_conversions
    assert found.dac_conversions == found.reads * each.dac_conversions
    assert found.digital_products == found.steps + 2
    assert (found.seed, found.chip) == (1, 0)
    assert repr(found).startswith(f"<Solution of {N} unknowns: converged, ")


def test_a_matrix_programmed_before_is_read_as_it_is(b, monkeypatch):
    A = spd(3) + np.triu(np.full((N, N), 0.01))
    first = solve(A, b, pcm())
    W = pcm().program(A.T)
    assert np.array_equal(solve(A, b, W.T).x, first.x)
    np.testing.assert_allclose(solve(scipy.sparse.coo_array(A), b, pcm()).x, first.x, atol=1e-10)
    assert not np.array_equal(solve(A, b, W.T).x, first.x)  # further reads
    numbers, plain = [], type(W).read
    monkeypatch.setattr(type(W), "read", lambda W, v, read=None: numbers.append(read) or plain(W, v, read))
    numbered = [solve(A, b, W.T, read=5) for _ in range(2)]
    assert np.array_equal(*(each.x for each in numbered))
    assert numbers == 2 * list(range(5, 5 + numbered[0].reads))
    monkeypatch.undo()
    settings = {"radc": 1024, "w_mapping": "pair", "var": 0.01}
    both = solve(
        A, b, DPETensor(array_size=(32, 10), seed=1, **settings).operator(A)
    )  # from its bit lines: arrays have 10 rows and 32 columns
    assert both.converged
    turned = DPETensor(array_size=(10, 32), seed=1, **settings)
    assert both.adc_conversions == both.reads * counts(turned.config, 1, N, N).adc_conversions


def test_several_right_hand_sides(b):
    A, sides = spd(3), np.stack([b, 0 * b, 1e-200 * b[::-1]], axis=1)
    found = solve(A, sides, pcm())
    assert found.converged
    np.testing.assert_allclose(A @ found.x[:, 0], b, atol=1e-10)
    np.testing.assert_allclose(A @ found.x[:, 2] * 1e200, b[::-1], atol=1e-10)
    assert not found.x[:, 1].any()
    assert found.residuals.shape == (found.steps + 1, 3)
    assert found.inner.shape == (found.steps, 3)
    assert found.residuals[0, 1] == 0
    assert np.isnan(found.residuals[1, 1])
    assert found.inner[:, 1].sum() == 0
    nothing = solve(A, 0 * b, pcm())
    assert (nothing.converged, nothing.reads, nothing.steps) == (True, 0, 0)


def test_complex_systems(b):
    A = spd(3) + 0.2j * np.roll(np.eye(N), 1, axis=0)
    found = solve(A, b, pcm(), tolerance=1e-10)
    assert found.converged
    np.testing.assert_allclose(A @ found.x, b, atol=1e-8)
    each = counts(pcm().config, 2, N, 2 * N)  # v is complex from the first correction on
    assert found.adc_conversions == found.reads * each.adc_conversions - each.adc_conversions // 2


def test_methods_and_preconditioner(b):
    A, engine, asked = spd(10), DPETensor(seed=1, **FINE), []

    def inverse(v):
        asked.append(v)
        return np.linalg.solve(A, v)

    for method in ("cg", "minres"):
        assert solve(A, b, engine, inner=Inner(method, rtol=0.01, iterations=40)).steps < 10
    plain = solve(A, b, engine)
    helped = solve(A, b, engine, inner=Inner(preconditioner=LinearOperator(A.shape, matvec=inverse)))
    assert asked
    assert helped.reads < plain.reads


def test_too_much_noise_is_told_with_the_figures(b):
    with pytest.warns(MpimpyWarning, match=r"after 3 steps .* allow more steps"):
        assert not solve(spd(3), b, pcm(), steps=3).converged
    A, b = spd(1e5, 3 * N), np.concatenate([b, b**2, b**3])
    message = r"not solved: .* hardly falls any more: .* off by \d+ %, .* number of 1e\+05"
    with pytest.warns(MpimpyWarning, match=message) as told:
        found = solve(A, b, Engine(seed=1), steps=40)
    assert told[0].filename == __file__
    assert not found.converged
    assert found.residuals[-1] == np.linalg.norm(b - A @ found.x) / np.linalg.norm(b) > 0.01
    assert found.steps == 40  # more of them are no advice


def test_a_breakdown_is_told(b):
    nothing = LinearOperator((N, N), matvec=np.zeros_like, dtype=float)
    for method, way in (("gmres", "try"), ("cg", r"use Inner\('gmres'\) or try"), ("minres", "use")):
        inner = Inner(method, preconditioner=nothing)
        message = f"is 1 after 1 steps .*: {method} broke down on the crossbars: {way}.* another preconditioner"
        with pytest.warns(MpimpyWarning, match=message):
            found = solve(spd(3), b, pcm(), inner=inner)
        assert not found.x.any()
    with pytest.warns(MpimpyWarning, match="a product on these crossbars is off by 100 %, too much for gmres: take"):
        solve(spd(3), b, DPETensor(stuck_fault_ratio=1, seed=1))


def test_a_repeated_correction_starts_anew(b):
    unit = b / np.linalg.norm(b)
    kept = [(unit, unit)]
    assert np.array_equal(_orthogonal(b, b, kept), (b, b))
    assert not kept
    kept = [(unit, unit)]
    assert abs(_orthogonal(b + 1, b + 1, kept)[1] @ unit) < 1e-12
    assert kept


def test_what_float64_cannot_do_is_told(b):
    with pytest.warns(MpimpyWarning, match="where float64 rounds A x: more steps hardly lower it"):
        found = solve(spd(1e6, 8), b[:8], DPETensor(seed=1, **FINE))
    assert 1e-12 < found.residuals[-1] < 1e-9


def test_the_rounding_of_products_goes_by_elements(b):
    plain, right = spd(3), 10.0 ** np.linspace(0, -6, N)
    task = _Task(plain * right, None, Inner(), 1e-18, 100, None, False)
    x = np.linalg.solve(plain, b) / right
    for residual, ended in ((1e-12, "stalled"), (1e-16, "rounding")):
        column = _Column(x, residuals=[residual] * 32, progress=[residual] * 32)
        assert task._ended(column, b) == ended


def test_singular_matrices_are_refused(b):
    A = spd(3)
    empty = A.copy()
    empty[7] = 0
    for matrix in (empty, scipy.sparse.csr_array(empty)):
        with pytest.raises(np.linalg.LinAlgError, match="A is singular: row 7 holds nothing but zeros"):
            solve(matrix, b)
    with pytest.raises(np.linalg.LinAlgError, match="A is singular: column 7 holds"):
        solve(empty.T, b)
    A[7] = A[8]
    sides = np.stack([A @ b, b], axis=1)
    with pytest.warns(MpimpyWarning, match=r"not solved: .* A is singular to working precision \(condition number"):
        found = solve(A, sides, DPETensor(seed=1, **FINE))
    assert not found.converged
    assert found.residuals[~np.isnan(found.residuals[:, 0]), 0][-1] < 1e-12  # that one has solutions


@pytest.mark.parametrize("rows", [0, 8])
def test_rows_and_columns_of_any_size_are_scaled(b, rows):
    right, left = 10.0 ** np.linspace(0, -16, N), 10.0 ** np.linspace(0, rows, N)
    plain = spd(3) + np.triu(np.full((N, N), 0.05))
    A, engine = left[:, None] * plain * right, pcm()
    found = solve(scipy.sparse.csr_array(A) if rows else A, left * b, engine)
    assert found.converged
    assert found.steps < 35
    size = np.linalg.norm(left * b)
    assert found.residuals[-1] == pytest.approx(np.linalg.norm(left * b - A @ found.x) / size, rel=0.1)
    np.testing.assert_allclose(found.x * right, np.linalg.solve(plain, b), atol=10.0 ** (rows - 11))


def test_what_is_programmed_is_not_scaled(b):
    A, engine = spd(3) * 10.0 ** np.linspace(0, -16, N), pcm()
    with pytest.warns(MpimpyWarning, match="rows or columns of A differ much in size: give an Engine"):
        solve(A, b, engine.operator(A), inner=Inner(iterations=2), steps=35)


def test_scaling_keeps_symmetry_and_digits(b):
    sizes = 10.0 ** np.linspace(4, -4, N)
    A = sizes[:, None] * spd(3) * sizes
    A = (A + A.T) / 2
    scaling = balanced(A, symmetric=True)
    assert np.array_equal(scaling.rows, scaling.columns)
    scaled = scaling.of(A)
    assert np.array_equal(scaled / scaling.rows[:, None] / scaling.columns, A)
    assert 0.5 <= scaled.max(axis=1).min() <= scaled.max() < 2
    assert balanced(spd(3), symmetric=False) is None
    nearly = np.array([[0, 2, 0], [np.nextafter(2, 0), 0, 0], [0, 0, 1e4]])
    assert np.array_equal(*vars(balanced(nearly, symmetric=True)).values())
    inverse, engine = np.linalg.inv(A), pcm()
    plain = solve(A, sizes * b, engine, inner=Inner("cg"))
    helped = solve(A, sizes * b, engine, inner=Inner("cg", preconditioner=(inverse + inverse.T) / 2))
    assert plain.converged
    assert helped.converged
    assert helped.inner[0] < plain.inner[0]


def test_a_small_residual_of_a_wrong_answer_is_told(b):
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((N, N)))
    A, x = (q * np.r_[np.ones(N - 1), 1e-13]) @ q.T, q @ np.ones(N)
    with pytest.warns(
        MpimpyWarning, match=r"ill-conditioned: converged, .* number of about \de\+1\d, so x may be"
    ) as told:
        found = solve(A, A @ x, pcm())
    assert told[0].filename == __file__
    assert found.converged
    assert np.linalg.norm(found.x - x) > 0.01 * np.linalg.norm(x)
    assert "condition" in found.reason
    A = (q * np.r_[np.ones(N - 1), 1e-9]) @ q.T
    assert "x may be off by 0.0" in solve(A, q[:, 0], pcm(), tolerance=1e-14, inner=Inner(preconditioner=A)).reason


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda A, b: solve(A[:3], b), ValueError, r"A has shape \(3, 40\), and must be square"),
        (lambda A, b: solve(A, b[:3]), ValueError, r"b has shape \(3,\), and A \(40, 40\): b must be \(40,\)"),
        (lambda A, b: solve(A * np.nan, b), ValueError, r"A has nan at index \(0, 0\)"),
        (lambda A, b: solve(scipy.sparse.csr_array(A * np.inf), b), ValueError, r"A has -?inf at index \(0, 0\)"),
        (lambda A, b: solve(A, b * np.nan), ValueError, r"b has nan at index \(0,\)"),
        (lambda A, b: solve(A * 1e160, b), ValueError, r"A has elements of up to \d+e\+160: scale it"),
        (lambda A, b: solve(A * 1e140, b * 1e-180, pcm()), ValueError, r"x has elements of about 10\*\*-3\d\d, which"),
        (lambda A, b: solve(Engine().operator(A), b), TypeError, "A is a CrossbarOperator, and must hold its numbers"),
        (lambda A, b: solve(A, b, 3), TypeError, "engine is a int, and must be an Engine, or A programmed"),
        (lambda A, b: solve(A, b, Engine().operator(A[:3])), ValueError, r"and the programmed matrix \(3, 40\)"),
        (lambda A, b: solve(A, b, Engine().program(A)), TypeError, "no transposed twin.*operator"),
        (lambda A, b: solve(A + np.triu(A), b, inner=Inner("cg")), ValueError, "A is not symmetric, and cg needs that"),
        (lambda A, b: solve(A + 1j * np.triu(A), b, inner=Inner("cg")), ValueError, "A is not Hermitian, and cg needs"),
        (
            lambda A, b: solve(A * 1j, b, inner=Inner("minres")),
            ValueError,
            "complex, and minres takes real systems alone",
        ),
        (
            lambda A, b: solve(A, b * 1j, inner=Inner("minres")),
            ValueError,
            "complex, and minres takes real systems alone",
        ),
        (lambda A, b: solve(A[:0, :0], b[:0]), ValueError, r"A has shape \(0, 0\), and is empty"),
        (lambda A, b: solve(A, b, inner="cg"), TypeError, "inner='cg' must be an Inner"),
        (lambda A, b: solve(A, b, inner=Inner(preconditioner=np.eye(3))), ValueError, "preconditioner has shape"),
        (
            lambda A, b: solve(A, b, inner=Inner(preconditioner=A * 1j)),
            TypeError,
            "preconditioner is complex, and A and",
        ),
        (lambda A, b: Inner(preconditioner="ilu"), TypeError, "preconditioner is a str, which is not numeric"),
        (lambda A, b: Inner(preconditioner=0 * A), ValueError, "preconditioner holds nothing but zeros"),
        (lambda A, b: Inner(preconditioner=A * np.nan), ValueError, r"preconditioner has nan at index \(0, 0\)"),
        (lambda A, b: Inner("bicg"), ValueError, "method='bicg' is unknown: use one of 'gmres'"),
        (lambda A, b: Inner(rtol=0), ValueError, "rtol=0 is out of range"),
        (lambda A, b: Inner(iterations=0), ValueError, "iterations=0 is out of range"),
        (lambda A, b: solve(A, b, tolerance=2), ValueError, "tolerance=2 is out of range"),
        (lambda A, b: solve(A, b, steps=0), ValueError, "steps=0 is out of range"),
        (lambda A, b: solve(A, b, read=-1), ValueError, "read=-1 is out of range"),
    ],
)
def test_wrong_arguments(call, kind, message, b):
    with pytest.raises(kind, match=message):
        call(spd(3), b)


def test_convergence_is_drawn(b):
    pytest.importorskip("matplotlib")
    found = solve(spd(3), np.stack([b, b[::-1]], axis=1), pcm())
    ax = found.plot()
    assert ax.get_ylabel() == "relative residual"
    assert np.array_equal(ax.lines[1].get_ydata(), found.residuals[:, 1], equal_nan=True)
    assert ax.get_title() == f"{found.steps} steps, {found.reads} reads"
    assert mpimpy.plot.convergence(found, title="A").get_title() == "A"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["b[:, 0]", "b[:, 1]"]
    ax = solve(spd(3), 0 * b, pcm()).plot()
    ax.figure.canvas.draw()
    assert ax.texts[0].get_text() == "b = 0: x = 0"
