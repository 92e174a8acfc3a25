"""Profiles of the property tests, marks that skip themselves, and what every test may use."""

import gc
import os
import sys

import pytest
from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("dev", max_examples=60, **_COMMON)
settings.register_profile("ci", max_examples=60, derandomize=True, **_COMMON)
# few examples, always the same: what `-m "not slow"` draws
settings.register_profile("quick", max_examples=5, derandomize=True, **_COMMON)
# fresh seeds and many examples: HYPOTHESIS_PROFILE=nightly python -m pytest -n auto --dist worksteal
settings.register_profile("nightly", max_examples=2000, derandomize=False, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

# Workers of pytest-xdist share the cores. Two threads are left to each, so that work is still shared among threads.
if os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    _SHARE = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("NUMBA_NUM_THREADS", str(max(2, _SHARE)))
    # threads of torch and of the BLAS spin while they wait, which takes time from the other workers: let them sleep, or
    # be as few as the worker has cores
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(max(1, _SHARE)))

_SKIPPED = {
    # macOS has forks, but its own libraries do not survive one beside threads
    "fork": not hasattr(os, "fork") or sys.platform == "darwin",
    "posix": os.name != "posix",
}


def pytest_configure(config):
    chosen = os.environ.get("HYPOTHESIS_PROFILE") or config.getoption("--hypothesis-profile", None)
    if "not slow" in (config.option.markexpr or "") and not chosen:
        settings.load_profile("quick")


def pytest_collection_modifyitems(items):
    for item in items:
        for name, skipped in _SKIPPED.items():
            if skipped and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=f"needs {name}, which is not on this system"))


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    # millions of objects are made here that stay: looking for garbage among them takes a quarter of the time
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def rng():
    import numpy as np

    return np.random.default_rng(20261124)


@pytest.fixture
def pair(tmp_path, monkeypatch, rng):
    """Return two matrices, which are in a.npy and b.npy of the current folder."""
    import numpy as np

    monkeypatch.chdir(tmp_path)
    a, b = rng.standard_normal((5, 70)), rng.standard_normal((70, 3))
    np.save("a.npy", a)
    np.save("b.npy", b)
    return a, b
