"""Eigenvectors and ranks on crossbars: what they are off by is measured in float64."""

import numpy as np
import pytest
import scipy.sparse

from mpimpy import DPETensor, Engine, MpimpyWarning
from mpimpy.solve import eigsh, pagerank, power_iteration

N = 50


@pytest.fixture
def symmetric(rng):
    q, _ = np.linalg.qr(rng.standard_normal((N, N)))
    return (q * np.r_[-10, 8, 6, rng.uniform(-2, 2, N - 3)]) @ q.T


def pcm_like(**settings):
    return DPETensor(var=0.02, radc=1024, w_mapping="pair", seed=1, **settings)


def test_ritz_values_are_refined(symmetric):
    engine = pcm_like()
    found = eigsh(symmetric, 3, engine)
    exact = np.array([-10, 6, 8])
    assert np.abs(found.values - exact).max() < 0.01
    assert np.abs(found.values - exact).max() < 0.3 * np.abs(found.unrefined - exact).max()
    assert np.all(np.abs(found.values - exact) <= found.residuals)
    image = symmetric @ found.vectors
    np.testing.assert_allclose(found.residuals, np.linalg.norm(image - found.vectors * found.values, axis=0))
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(3), atol=1e-12)
    assert found.reads == engine.reads
    assert repr(found).startswith("<EigenPairs [-9.999")
    assert found.converged
    single = symmetric.astype(np.float32)
    assert np.allclose(eigsh(single + 1e-6 * np.triu(single), 1, engine).values, -10, atol=0.01)
    assert np.allclose(eigsh(symmetric, 1, engine, which="SA").values, -10, atol=0.01)
    assert np.allclose(eigsh(scipy.sparse.csr_array(symmetric), 2, engine, which="LA").values, [6, 8], atol=0.01)


def test_power_iteration_averages_after_the_transient(symmetric):
    found = power_iteration(symmetric, pcm_like(), average=32)
    assert found.converged
    assert found.value == pytest.approx(-10, abs=0.01)
    exact = np.linalg.eigh(symmetric)[1][:, 0]
    off = np.sqrt(2 - 2 * abs(found.vector @ exact))
    assert off / 2 < found.residual < 0.1
    assert repr(found).startswith(f"<EigenPair {found.value:.6g}: converged, residual 0.0")
    assert found.transient + 32 == found.changes.size == found.reads
    # the spread of the iterates tells what the mean is off by, cells that are the same in all reads left out
    wide = power_iteration(symmetric, DPETensor(var=0.1, radc=None, format="fp32", seed=1))
    off = np.sqrt(2 - 2 * abs(wide.vector @ exact))
    assert 0.3 < off / wide.error < 3


def test_power_iteration_without_noise_settles(symmetric):
    found = power_iteration(np.diag([4.0, 1.0, -1.0]), DPETensor(var=0, radc=None, format="fp32", seed=1))
    assert found.value == pytest.approx(4)
    assert (found.error, found.transient) == (0, found.reads)


def test_a_pair_of_complex_eigenvalues_is_told():
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    with pytest.warns(MpimpyWarning, match="not converged: .* not single and real"):
        assert not power_iteration(turn, Engine(seed=1)).converged


def test_eigenvalues_that_are_wrong_are_told(symmetric):
    with pytest.warns(
        MpimpyWarning, match=r"not converged: \|A v - value v\| is up to .* \(accepted 0.01 of it\)"
    ) as told:
        found = eigsh(symmetric, 3, Engine(seed=1), accepted=0.01)
    assert told[0].filename == __file__
    assert not found.converged
    assert found.residuals.max() > 0.01 * np.abs(found.values).max()


def test_a_small_residual_of_a_nonsymmetric_matrix_is_no_proof(rng):
    A = np.triu(np.full((20, 20), 0.5), 1) + np.diag(np.linspace(1, 2, 20))
    with pytest.warns(MpimpyWarning, match=r"the value may be off by 100 % or more .* symmetric matrices alone"):
        found = power_iteration(A, Engine(seed=1))
    assert found.residual < 0.1
    assert found.value - 2 > 0.1
    assert not found.converged
    positive = rng.uniform(0, 1, (N, N))
    found = power_iteration(positive, Engine(seed=1), start=np.full(N, 1e200))
    assert found.converged
    exact = np.abs(np.linalg.eigvals(positive)).max()
    assert abs(found.value / exact - 1) < found.value_error < 0.02
    with pytest.warns(MpimpyWarning, match=r"the value may be off by 0.* \(tolerance 0.* symmetric matrices alone"):
        power_iteration(positive, Engine(seed=1), tolerance=found.residual)


def exact_ranks(links, damping=0.85):
    totals = links.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, links / np.maximum(totals, 1e-9), 1 / len(links))
    p = np.linalg.solve(np.eye(len(links)) - damping * shares.T, np.full(len(links), (1 - damping) / len(links)))
    return p / p.sum()


def test_pagerank(rng):
    links = (rng.random((N, N)) < 0.1) * rng.uniform(0.5, 2, (N, N))
    links[3] = 0  # a dangling page
    exact = exact_ranks(links)
    found = pagerank(links, pcm_like())
    off = np.abs(found.ranks - exact).sum()
    assert off < 0.02
    assert off <= found.bound < 0.1
    assert repr(found).startswith(f"<Ranks of {N} pages: errors add up to at most 0.0")
    assert found.ranks.sum() == pytest.approx(1)
    assert np.abs(pagerank(scipy.sparse.csr_array(links), pcm_like()).ranks - exact).sum() < 0.02
    fine = pagerank(links, DPETensor(var=0, radc=None, format="fp32", seed=1))
    assert np.abs(fine.ranks - exact).sum() < 1e-6
    noisy = pagerank(links, DPETensor(var=0.2, radc=None, format="fp32", seed=1))
    assert 0.3 < np.abs(noisy.ranks - exact).sum() / noisy.error.sum() < 3
    with pytest.warns(MpimpyWarning, match=r"not converged: the ranks' errors may add up to .* \(tolerance 0\)"):
        pagerank(links, pcm_like(), tolerance=0, read=4)
    with pytest.warns(MpimpyWarning, match=r"add up to 2 .*grows as 1 / \(1 - damping\), 10000 here"):
        assert pagerank(links, pcm_like(), damping=0.9999).bound == 2


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda A: eigsh(A + np.triu(A), 2), ValueError, "A is not symmetric, and eigsh needs that"),
        (lambda A: eigsh(A + 1e-8 * np.triu(A), 2), ValueError, r"if that is rounding, give \(A \+ A.T\) / 2"),
        (lambda A: eigsh(0 * A, 2), ValueError, "A holds nothing but zeros"),
        (lambda A: eigsh(A, 2, accepted=-1), ValueError, "accepted=-1 is out of range"),
        (
            lambda A: eigsh(A, 2, DPETensor(stuck_fault_ratio=1, seed=1)),
            ValueError,
            "iterations broke down after 1 reads",
        ),
        (lambda A: pagerank(np.diag([1, 1e-310, 1])), ValueError, "links of page 1 add up to 1e-310"),
        (lambda A: eigsh(A, N - 1), ValueError, "k=49 is out of range: it must be from 1 to 48"),
        (lambda A: eigsh(A[:2, :2], 1), ValueError, "eigsh iterates on 3 x 3 or more"),
        (lambda A: eigsh(A, 2, which="SM"), ValueError, "which='SM' is unknown"),
        (lambda A: power_iteration(A * 1j), TypeError, "power_iteration takes real matrices"),
        (lambda A: power_iteration(A, start=np.zeros(N)), ValueError, "50 real numbers that are not all 0"),
        (lambda A: power_iteration(np.zeros((3, 3)), Engine(seed=1)), ValueError, "product 1 of the crossbars is 0"),
        (lambda A: power_iteration(A, average=2), ValueError, "average=2 is out of range"),
        (lambda A: pagerank(A * 1j), TypeError, "links are complex"),
        (lambda A: pagerank(-np.eye(3)), ValueError, "links has -1: weights of links must be at least 0"),
        (lambda A: pagerank(np.eye(3), Engine().program(np.eye(3))), TypeError, "engine is a CrossbarMatrix"),
        (lambda A: pagerank(np.eye(3), damping=1), ValueError, "damping=1 is out of range"),
    ],
)
def test_wrong_arguments(call, kind, message, symmetric):
    with pytest.raises(kind, match=message):
        call(symmetric)
