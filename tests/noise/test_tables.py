"""Quantile tables: the integers are those of one exponential after another."""

import hashlib
import math
import statistics
from types import SimpleNamespace

import numpy as np
import pytest

from mpimpy import arrays, noise
from mpimpy.noise import tables

Z = [statistics.NormalDist().inv_cdf((i + 0.5) / 65536) for i in range(32768, 65536)]
Z = [-z for z in reversed(Z)] + Z


def one_by_one(values):
    return [max(min(round(value), 2**31 - 1), 1 - 2**31) for value in values]


@pytest.mark.parametrize("sigma", [0.05, 2.0, *(pytest.param(sigma, marks=pytest.mark.slow) for sigma in (1e-4, 0.37))])
def test_tables_are_those_of_plain_python(sigma):
    found = {
        "lognormal": (noise.lognormal_table(sigma), (math.exp(sigma * z) * 65536 for z in Z)),
        "gaussian": (noise.gaussian_table(sigma), ((1 + sigma * z) * 65536 for z in Z)),
        "noise": (noise.noise_table(sigma), (max(0.0, 1 + sigma * z) * 65536 for z in Z)),
        "offset": (noise.offset_table(sigma * 1e9), (sigma * 1e9 * z for z in Z)),
        "decay": (
            noise.decay_table(0.05, sigma, 11.5),
            (math.exp(-max(0.0, 0.05 + sigma * z) * 11.5) * 65536 for z in Z),
        ),
        "sharp decay": (noise.decay_table(sigma, 0.0, 11.5), [math.exp(-sigma * 11.5) * 65536] * 65536),
    }
    for name, (table, values) in found.items():
        assert noise.table_values(table) == one_by_one(values), name


@pytest.mark.parametrize("count", [1, 3, 65536, 70000])
def test_sample_tables_are_those_of_plain_python(count):
    offsets = sorted([-(2**40), 2**40, *range(count)][:count])
    want = one_by_one(offsets[(2 * word + 1) * count // 131072] for word in range(65536))
    assert noise.table_values(noise.sample_table(offsets)) == want


def test_the_last_bits_of_vectorised_exponentials_do_not_show(monkeypatch):
    powers = np.log((np.arange(1, 20000) + 0.5) / 65536)  # as near to the middle of two integers as can be
    want = one_by_one(math.exp(power) * 65536 for power in powers.tolist())
    for ulps in (-8, 0, 8):
        wrong = SimpleNamespace(**vars(arrays.namespace(powers)))
        wrong.exp = lambda given, ulps=ulps: np.exp(given) * (1 + ulps * 2.0**-52)
        monkeypatch.setattr(arrays, "namespace", lambda _, wrong=wrong: wrong)
        assert noise.table_values(tables._pack_exponentials(powers)) == want


def test_entries_share_the_memory_of_their_table():
    table = noise.lognormal_table(0.05)
    found = noise.table_entries(table)
    assert found.dtype == np.int32
    assert not found.flags.writeable
    assert found.tobytes() == table


def test_tables_have_the_same_bits_on_every_machine():
    # Exponentials of two C libraries differ in their last places, and rounding at 2**-16 hides that: a table is the
    # same with glibc, musl and in the browser..
    digest = hashlib.sha256()
    for sigma in (1e-4, 0.02, 0.05, 0.37, 2.0):
        digest.update(noise.lognormal_table(sigma))
        digest.update(noise.gaussian_table(sigma))
        digest.update(noise.decay_table(0.05, sigma, 11.5))
        digest.update(noise.offset_table(sigma * 1e9))
    assert digest.hexdigest() == "b02597c697c38b5ac1fd5ab39c9b4cb9f37787f4bdcb290d09e6a89d110d2df9"
