"""Blocks that a cut goes through: measured part by part, and encoded with the codes of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits
from strategies import examples

from mpimpy import Format, backends
from mpimpy.operands import encoding, statistics
from mpimpy.operands.statistics import BlockStatistics

FORMATS = [Format(), Format((1, 3, 4), bw_e=8), Format((1, 1, 2, 4), bw_e=5, double=True), Format(mapping="offset")]


def measured(backend, parts, fmt, block):
    """Statistics of one block that several parts lie in: maxima, then totals, then maxima below the mean."""
    maximum = max((backend.block_max(part, block) for part in parts), key=lambda found: float(found[0, 0, 0]))
    if not fmt.double:
        return BlockStatistics(maximum)
    totals = [statistics.block_totals(backend, part, block, maximum) for part in parts]
    sums, counts = (sum(column[1:], start=column[0]) for column in zip(*totals, strict=True))
    mean = statistics.block_means(maximum, block, sums, counts)
    below = max((backend.block_max(part, block, mean) for part in parts), key=lambda found: float(found[0, 0, 0]))
    return BlockStatistics(maximum, mean, below)


@given(st.data(), st.sampled_from(FORMATS), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=examples(40))
def test_parts_have_the_codes_of_the_whole(data, fmt, seed, across):
    rng = np.random.default_rng(seed)
    shape = (data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    values = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4, shape)
    axis = 1 if across else 0
    cuts = sorted(data.draw(st.sets(st.integers(1, shape[axis] - 1), max_size=3))) if shape[axis] > 1 else []
    for make, name in RUNNERS.values():
        backend = backends.select(make(values), name)
        whole = encoding.encode(backend, backend.to_backend(make(values)[None, ...]), fmt, shape)
        pieces = [backend.to_backend(make(part)[None, ...]) for part in np.split(values, cuts, axis)]
        statistics = measured(backend, pieces, fmt, shape)
        found = [encoding.encode(backend, piece, fmt, shape, statistics=statistics) for piece in pieces]
        digits = np.concatenate([np.asarray(one.digits) for one in found], axis=3 + axis)
        assert same_bits(digits, whole.digits)
        assert all(same_bits(one.scales, whole.scales) for one in found)


@pytest.mark.parametrize("fmt", FORMATS)
def test_parts_measured_alone_have_other_codes(fmt):
    # why statistics exist: the scale of a part is not that of the whole
    values = np.arange(1.0, 17).reshape(1, 4, 4)
    backend = backends.select(values)
    whole = encoding.encode(backend, values, fmt, (4, 4))
    part = encoding.encode(backend, values[:, :2, :], fmt, (4, 4))
    assert not same_bits(part.digits, whole.digits[:, :, :, :2, :])
