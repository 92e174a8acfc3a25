"""Without Numba, products fall back to the reference kernels: a warning, and the same bits."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import mpimpy

ROOT = pathlib.Path(mpimpy.__file__).parents[1]

CODE = """
import sys, warnings
sys.modules["numba"] = sys.modules["torch"] = None  # as where they are not installed
import numpy as np, mpimpy
from mpimpy import backends

x, w = np.linspace(-1, 1, 60).reshape(3, 20), np.sin(np.arange(80.0)).reshape(20, 4)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    for _ in range(2):
        y = mpimpy.MapReducedot(x, w, seed=1, write_var=0.1, w_mapping="pair")
print(*(f"{one.category.__name__}: {one.message} ({one.filename})" for one in seen), sep="|")
print(y.tobytes().hex())
print([one.name for one in backends.available() if one.chosen], backends.available()[0].detail)
mpimpy.set_num_threads(1)
print(mpimpy.get_num_threads())
for refused in (lambda: mpimpy.set_num_threads(2), lambda: mpimpy.MapReducedot(x, w, backend="numba")):
    try:
        refused()
    except ImportError as error:
        print(error)
"""


@pytest.mark.slow
def test_products_fall_back_to_the_reference_with_one_warning():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    told, bits, chosen, threads, several, forced = done.stdout.splitlines()
    absent = "Numba is not installed: pip install numba"
    slower = "Products take the reference kernels instead: the same bits, several times slower"
    assert told == f"MpimpyWarning: {absent}. {slower} (<string>)"
    x, w = np.linspace(-1, 1, 60).reshape(3, 20), np.sin(np.arange(80.0)).reshape(20, 4)
    wanted = mpimpy.MapReducedot(x, w, seed=1, write_var=0.1, w_mapping="pair", backend="reference")
    assert bits == wanted.tobytes().hex()
    assert chosen == f"['reference'] {absent}"
    assert threads == "1"
    assert several == f"set_num_threads(2) has no effect: {absent}, and the reference kernels use one thread"
    assert forced.startswith("backend 'numba', which takes NumPy arrays")
    assert forced.endswith(f"cannot run: {absent}")
