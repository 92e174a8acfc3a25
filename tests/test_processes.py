"""Processes: forks of a parent that has run kernels, and homes that cannot hold a cache."""

import multiprocessing
import os
import subprocess
import sys
import warnings

import numba
import numpy as np
import pytest
from libraries import same_bits

from mpimpy import DPETensor

x, w = np.ones((4, 70)), np.eye(70)


def product(chip):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        y = DPETensor(write_var=0.1, vnoise=0.1, stuck_HGS=0.01, bw_e=8, dbfp_en=True, seed=1, chip=chip)(x, w)
    return y, [str(item.message) for item in seen]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_forked_workers_give_the_same_bits():
    expected = [product(chip)[0] for chip in range(3)]  # the parent's threads are running now
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about forks beside threads
        with multiprocessing.get_context("fork").Pool(2) as pool:
            results = pool.map_async(product, range(3)).get(timeout=600)  # rather than a hang for ever
    for (result, messages), wanted in zip(results, expected, strict=True):
        assert same_bits(result, wanted)
        if numba.threading_layer() == "omp":
            assert any("Start workers with the spawn method" in text for text in messages)


def test_a_process_without_a_folder_for_the_cache():
    code = """
import numba.core.caching as caching, numpy as np
caching.CacheImpl._locator_classes = []  # as in a package and a home that are both read-only
from mpimpy import MapReducedot
print(MapReducedot(np.eye(3), np.eye(3), seed=1).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.strip() == "(3, 3)", done.stderr
