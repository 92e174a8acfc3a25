"""mpimpy.search: trials, designs that fail, stores."""

import warnings

import numpy as np
import pytest

import mpimpy


@pytest.fixture(scope="module")
def operands():
    rng = np.random.default_rng(0)
    return rng.standard_normal((16, 128)), rng.standard_normal((128, 16))


def bits(engine):
    return float(np.log2(engine.config.adc.radc))


def test_search_finds_the_cheapest_and_repeats(operands, tmp_path):
    calls = []

    def workload(engine):
        calls.append(engine.config.adc.radc)
        return mpimpy.workloads.product(*operands)(engine)["SNR"]

    space = {"radc": [64, 128, 256, 1024], "w_mapping": ["twos", "pair"], "var": [0.02]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mpimpy.search(workload, space, target=15, cost=bits, evaluations=50, store=tmp_path)
    assert len(found.trials) == len(calls) == 8  # no design twice
    assert found.cost == min(trial.cost for trial in found.trials if trial.value >= 15)
    assert workload(found.engine) == found.value
    calls.clear()
    again = mpimpy.search(workload, space, target=15, cost=bits, evaluations=50, store=tmp_path)
    assert calls == []  # all of them are in the store
    assert again.trials == found.trials
    assert "8 designs evaluated" in str(found)
    pytest.importorskip("xarray")
    assert int((mpimpy.open_sweep(tmp_path)["error"] == "").sum()) == 8


def test_search_stays_within_its_evaluations(operands):
    space = {"radc": [64, 100, 128, 200, 256, 400, 512, 1024], "rdac": [8, 16, 32], "var": [0.02]}
    workload = mpimpy.workloads.product(*operands)
    found = mpimpy.search(workload, space, target=1, cost=bits, evaluations=6, seed=3)
    assert len(found.trials) == 6
    assert found.skipped == 8
    assert all(trial.settings["rdac"] > 8 for trial in found.trials)


@pytest.mark.parametrize("kind", ["raises", "NaN"])
def test_designs_that_fail_are_left_out(kind, tmp_path):
    calls = []

    def workload(engine):
        calls.append(engine.config.adc.radc)
        if engine.config.adc.radc != 64:
            return 30.0
        if kind == "NaN":
            return float("nan")
        raise ArithmeticError("too few codes")

    space = {"radc": [64, 128, 256], "var": [0.02, 0.05]}
    found = mpimpy.search(workload, space, target=20, cost=bits, evaluations=6, repeats=2, store=tmp_path)
    assert found.settings["radc"] == 128
    assert (len(found.trials), found.failed) == (4, 2)
    assert ("too few codes" if kind == "raises" else "returned NaN") in found.failed_because
    assert f"; 2 failed: {found.failed_because}" in str(found)
    assert len(calls) == 12  # failed designs are not tried again, and count as evaluations


def test_search_of_what_cannot_be_built(operands):
    with pytest.raises(ValueError, match="none of 2 designs can be built: input slice of 4 bits needs 16 levels"):
        mpimpy.search(mpimpy.workloads.product(*operands), {"rdac": [2, 8]}, target=1, cost=bits)


@pytest.mark.parametrize(
    ("workload", "more", "error", "says"),
    [
        (lambda engine: 1.0, {}, ValueError, "none of 2 evaluated designs reaches target=2: the best has 1, at cost"),
        (lambda engine: {"a": 1, "b": 2}, {}, ValueError, r"returns 2 figures \(a, b\), and search needs one"),
        (lambda engine: [1, 2], {}, ValueError, "the workload returns an array"),
        (lambda engine: float("nan"), {}, ValueError, "all of 2 evaluated designs failed: the workload returned NaN"),
        (
            lambda engine: 1 / 0,
            {},
            ValueError,
            "all of 2 evaluated designs failed: ZeroDivisionError: division by zero",
        ),
        (lambda engine: 3.0, {"cost": 3}, TypeError, "cost=3 must be a function of an engine"),
        (lambda engine: 3.0, {"evaluations": 0}, ValueError, "evaluations=0 is out of range"),
    ],
)
def test_wrong_searches(workload, more, error, says):
    with pytest.raises(error, match=says):
        mpimpy.search(workload, {"radc": [64, 128]}, **({"target": 2, "cost": bits} | more))


def test_search_without_optuna(monkeypatch):
    monkeypatch.setattr("mpimpy.designs.trials.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[search\]"'):
        mpimpy.search(len, {"radc": [64]}, target=1, cost=bits)
