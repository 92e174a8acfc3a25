"""The examples of solvers, run in small: what they say is what they measure."""

import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parent.parent.parent / "examples"


def run(name, sizes, small):
    """Run an example with other sizes, and return its names."""
    pytest.importorskip("matplotlib")
    source, found = (FOLDER / f"{name}.py").read_text(), {}
    assert source.count(f"\n{sizes}\n") == 1
    exec(compile(source.replace(sizes, small), name, "exec"), found)
    assert found["figure"].axes
    return found


@pytest.mark.slow
def test_poisson():
    found = run("plot_poisson", "SIDE = 16  # grid points to a side", "SIDE = 8")
    assert found["result"].converged
    assert found["error"] < 1e-10
    assert found["result"].residuals[1] > 0.05
    assert [found["found"][side].converged for side in (4, 8)] == [True, True]
    assert found["found"][4].steps < found["found"][8].steps


@pytest.mark.slow
def test_heat_equation():
    found = run("plot_heat_equation", "POINTS, STEPS = 64, 500", "POINTS, STEPS = 32, 200")
    snr = {key: found["SNR"](u, found["exact"]) for key, u in found["found"].items()}
    for machine in ("8 bits", "phase-change memory"):
        assert snr[machine, "flux"] > snr[machine, "whole step"] + 5
        assert snr[machine, "flux"] > 15
    assert snr["8 bits", "increment"] > 30
    assert snr["phase-change memory", "increment"] < 10


@pytest.mark.slow
def test_pagerank():
    found = run("plot_pagerank", "PAGES = 200", "PAGES = 60")
    assert found["errors"].sum() < found["found"].bound < 0.1
