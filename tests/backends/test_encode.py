"""The kernels that encode operands on the CPU against their reference: every block, every width."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import same_bits
from strategies import examples

from mpimpy.backends import BlockScales, Slicing, reference
from mpimpy.backends.cpu import _jit, numba_cpu


@st.composite
def operands(draw, cols=(1, 2, 15, 16, 17, 33, 70)):
    """(values, block, numbers of one a block, generator) of an operand with zeros and equal magnitudes in it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 2)), draw(st.sampled_from([1, 3, 8])), draw(st.sampled_from(cols))
    values = rng.standard_normal(shape) * 2.0 ** rng.integers(-3, 4, shape)
    values[rng.random(shape) < 0.2] = draw(st.sampled_from([0.0, -0.0, 0.5, -0.5]))
    values = values.astype(draw(st.sampled_from(["float32", "float64"])))
    block = draw(st.sampled_from([1, 2, 3, 8])), draw(st.sampled_from([1, 2, 15, 16, 40, 70]))
    counts = shape[0], -(-shape[1] // block[0]), -(-shape[2] // block[1])
    return values, block, lambda low, high: rng.uniform(low, high, counts), rng


@given(operands(), st.booleans(), st.integers(1, 3))
@settings(max_examples=examples(100))
def test_the_largest_magnitudes_are_those_of_the_reference(case, below, threads):
    values, block, numbers, _ = case
    ceiling = numbers(-0.1, 1.5) if below else None
    if below and ceiling.size > 1:
        ceiling.flat[0] = 0.5  # a magnitude that occurs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "get_num_threads", lambda: threads)
        patch.setattr(_jit, "SHARED", 1e-9)
        found = numba_cpu.block_max(numba_cpu.to_backend(values), block, ceiling)
    assert same_bits(found, reference.block_max(values, block, ceiling))


@st.composite
def slicings(draw):
    """Slices of up to 53 bits, many of them near the 31 that an int32 holds, with strides that leave it too."""
    total = draw(st.sampled_from([2, 8, 26, 30, 31, 32, 33, 53]))
    bits, left = [], total
    while left:
        bits.append(draw(st.integers(1, min(left, 12))))
        left -= bits[-1]
    mapping = draw(st.sampled_from(["twos", "signed", "offset"]))
    dtype, most = draw(st.sampled_from([("int16", 7), ("int64", 2**40)]))
    strides = tuple(draw(st.integers(1, most)) for _ in bits)
    offset = 2 ** (total - 1) if mapping == "offset" else 0
    return Slicing(tuple(bits), strides, dtype, mapping == "signed", offset)


def _scales(draw, numbers, slicing):
    # codes up to the ends of their range, and beyond
    top = 2.0 ** (sum(slicing.bits) - 1)
    divisor = numbers(0.5, 3) if draw(st.booleans()) else None
    second = 2.0 ** np.round(numbers(-4, 2)) if draw(st.booleans()) else None
    span = (numbers(-0.2, 0.6), numbers(0.4, 2)) if draw(st.booleans()) else None
    if span is not None:
        span[draw(st.integers(0, 1))][:] = 0.5  # a magnitude that occurs
    return BlockScales(numbers(0.1, 1) * top, divisor, second, span)


@given(st.data(), operands(), slicings(), st.integers(1, 3))
@settings(max_examples=examples(200))
def test_digits_are_those_of_the_reference(data, case, slicing, threads):
    values, block, numbers, _ = case
    scales = _scales(data.draw, numbers, slicing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "get_num_threads", lambda: threads)
        patch.setattr(_jit, "SHARED", 1e-9)
        found = numba_cpu.digits(numba_cpu.to_backend(values), block, scales, slicing)
    assert same_bits(found, reference.digits(values, block, scales, slicing))


@given(st.data(), operands(cols=(1, 17)), slicings())
@settings(max_examples=examples(20))
def test_the_kernels_run_as_plain_python(data, case, slicing):
    values, block, numbers, _ = case
    scales, ceiling = _scales(data.draw, numbers, slicing), numbers(0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "launch", lambda kernel, tasks, work, *rest: kernel.py_func(0, tasks, *rest))
        peaks = numba_cpu.block_max(values, block, ceiling)
        found = numba_cpu.digits(values, block, scales, slicing)
    assert same_bits(peaks, reference.block_max(values, block, ceiling))
    assert same_bits(found, reference.digits(values, block, scales, slicing))
