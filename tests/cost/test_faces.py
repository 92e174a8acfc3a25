"""Costs of faces of a matrix."""

import numpy as np
import pytest

from mpimpy import Engine, Format, MapReducedot, explain

X, W = np.random.default_rng(0).standard_normal((2, 6, 6))
PAIR = Engine(weights=Format(mapping="pair"), seed=1)


def test_an_operator_costs_what_its_matrices_do(monkeypatch):
    A = Engine(seed=1).operator(W)
    assert A.cost(X, "generic-28", read=2) == A.matrix.cost(X, "generic-28", read=2)
    assert A.T.cost(X, "generic-28") == A.transposed.cost(X, "generic-28")
    assert A.T.cost(X, "generic-28") != A.cost(X, "generic-28")
    monkeypatch.setattr(A.matrix, "cost", lambda x, technology, *, read: (technology, read))
    assert A.cost(X, "generic-28", read=2) == ("generic-28", 2)  # which addresses the noise of DACs


def test_reads_from_bit_lines_have_no_known_cost():
    for transposed in (PAIR.program(W).T, PAIR.operator(W).T):
        with pytest.raises(TypeError, match=r"bit lines has no known cost.*engine.program\(w.T\).cost"):
            transposed.cost(X, "generic-28")


def test_a_report_beside_a_product_has_its_cost():
    x, w = np.random.default_rng(0).standard_normal((2, 8, 8))
    y, report = MapReducedot(x, w, seed=1, return_report=True, technology="generic-45")
    assert np.array_equal(y, MapReducedot(x, w, seed=1))
    assert report.cost == explain(x, w, seed=1, technology="generic-45").cost
    torch = pytest.importorskip("torch")
    recorded = torch.tensor(x, requires_grad=True)
    assert MapReducedot(recorded, torch.tensor(w), seed=1, return_report=True, technology="generic-45")[1].cost
    with pytest.raises(TypeError, match="technology has no effect without a report: give return_report=True"):
        MapReducedot(x, w, technology="generic-45")
    with pytest.raises(
        ValueError, match=r"unknown technology 'mine\.txt': a file of one has a name that ends in \.toml"
    ):
        explain(x, w, technology="mine.txt")
