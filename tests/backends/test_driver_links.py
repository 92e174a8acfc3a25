"""Conductances between drivers of arrays with resistive wires: from node voltages, and the same bits everywhere."""

import numpy as np
import pytest
from libraries import RUNNERS, same_bits
from strategies import each_runner

from mpimpy import backends
from mpimpy.backends import reference
from mpimpy.backends.cpu import _jit, _ladder_numba
from mpimpy.wires import node_voltages

OHMS = [(20.0, 35.0), (0.0, 100.0), (1e4, 0.0), (2.93, 5e3), (1e-6, 1e-6)]
# panels of eight nodes, begun and filled
SHAPES = [(1, 1, 1), (2, 3, 4), (3, 9, 5), (2, 17, 20), (1, 5, 33), (2, 8, 16)]


def tiles(rng, shape):
    g = rng.uniform(0, 1e-5, shape)
    g[rng.random(shape) < 0.1] = 0  # open cells
    return g


@pytest.mark.parametrize("ohms", OHMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_links_are_currents_out_of_other_drivers(rng, shape, ohms):
    g = tiles(rng, shape)
    found = backends.select(g).driver_links(g, *ohms)
    count, rows, _ = shape
    assert found.shape == (count, rows, rows)
    low = np.tril(np.ones((rows, rows), bool), -1)
    assert (found[:, ~low] == 0).all()
    for tile, links in zip(g, found, strict=True):
        for k in range(rows):
            volts = np.zeros(rows)
            volts[k] = 1
            word, bit = node_voltages(tile, volts, *ohms)
            # out of the drivers at 0 V flows what flows into their cells from the bit lines; or what passes the segment
            currents = word[:, 0] / ohms[0] if ohms[0] else (tile * bit).sum(axis=1)
            np.testing.assert_allclose(links[k + 1 :, k], currents[k + 1 :], rtol=1e-12, atol=0)


@pytest.mark.parametrize("ohms", OHMS)
@each_runner
def test_links_have_the_same_bits_on_every_backend(rng, runner, ohms):
    make, name = RUNNERS[runner]
    for shape in SHAPES[:4]:
        g = tiles(rng, shape)
        wanted = reference.driver_links(g, *ohms)
        like = make(g)
        backend = backends.select(like, name)
        assert same_bits(backend.from_backend(backend.driver_links(backend.to_backend(like), *ohms), like), wanted)


@pytest.mark.parametrize("shape", [(2, 10, 18), (1, 3, 2), (1, 9, 17)])
def test_the_kernel_runs_as_plain_python(rng, shape):
    g = tiles(rng, shape)
    backend = backends.select(g)
    compiled = backend.driver_links(g, 2.0, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "launch", lambda kernel, tasks, work, *rest: kernel.py_func(0, tasks, *rest))
        for name, helper in vars(_ladder_numba).copy().items():
            if hasattr(helper, "py_func") and name.startswith("_"):
                patch.setattr(_ladder_numba, name, helper.py_func)
        assert same_bits(backend.driver_links(g, 2.0, 0.5), compiled)
