"""Vectors of eight float64: compiled, they do what they do as plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import same_bits
from strategies import examples

from mpimpy.backends.cpu import _eights, _jit, _lanes


def everything(numbers, place, value, at, pitch, to, step, target, found):
    lanes = _eights.load8(numbers, at)
    _lanes.store(found, 0, _eights.after(lanes, place))
    _lanes.store(found, 8, _eights.up_to(lanes, place, value))
    _lanes.store(found, 16, _eights.from_one(value))
    _lanes.store(found, 24, lanes * value + _eights.load8(numbers, at + 1) * lanes)
    _eights.transpose(numbers, at, pitch, target, to, step)
    return _eights.tree(lanes)


compiled = _jit.inline(everything)


@given(
    st.integers(0, 7), st.integers(0, 9), st.integers(8, 12), st.integers(0, 5), st.integers(8, 13), st.integers(0, 99)
)
@settings(max_examples=examples(30))
def test_each_is_its_plain_form(place, at, pitch, to, step, seed):
    rng = np.random.default_rng(seed)
    numbers, value = 10 ** rng.uniform(-9, 9, 120), float(rng.uniform(-9, 9))
    results = []
    for function in (everything, compiled):
        target, found = np.zeros(120), np.zeros(32)
        total = function(numbers, place, value, at, pitch, to, step, target, found)
        results.append((np.float64(total), target, found))
    assert all(same_bits(np.asarray(a), np.asarray(b)) for a, b in zip(*results, strict=True))
    block = np.lib.stride_tricks.as_strided(numbers[at:], (8, 8), (8 * pitch, 8))
    turned = np.lib.stride_tricks.as_strided(results[1][1][to:], (8, 8), (8 * step, 8))
    assert np.array_equal(turned, block.T)


@pytest.mark.parametrize("place", range(8))
def test_lanes_before_and_after_a_place(place):
    lanes, numbers = np.arange(1.0, 9.0), np.arange(8)
    assert np.array_equal(_eights.after(lanes, place), np.where(numbers > place, lanes, 0))
    assert np.array_equal(_eights.up_to(lanes, place, 9.0)[:place], lanes[:place])
    assert _eights.up_to(lanes, place, 9.0)[place] == 9
    assert not _eights.up_to(lanes, place, 9.0)[place + 1 :].any()
