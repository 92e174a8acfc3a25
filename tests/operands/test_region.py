"""Regions: sets of elements, whichever rectangles they were put together from."""

import functools
import operator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mpimpy.operands.region import Region

SIZE = 7
SPANS = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(sorted).map(tuple)
RECTANGLES = st.lists(st.tuples(SPANS, SPANS), max_size=5)


def filled(rectangles):
    found = np.zeros((SIZE, SIZE), bool)
    for rows, cols in rectangles:
        found[slice(*rows), slice(*cols)] = True
    return found


def region(rectangles):
    return functools.reduce(operator.or_, map(Region.of, rectangles), Region())


@given(RECTANGLES, RECTANGLES)
def test_regions_are_sets(first, second):
    one, two = region(first), region(second)
    assert one | two == two | one == region(second + first)
    assert (one == two) == bool((filled(first) == filled(second)).all())
    assert one.meets(two) == bool((filled(first) & filled(second)).any())
    assert filled([(rows, span) for rows, spans in one.slabs for span in spans]).tolist() == filled(first).tolist()


@given(RECTANGLES, st.tuples(SPANS, SPANS))
def test_what_is_missing_is_missing(rectangles, wanted):
    lacking = filled([wanted]) & ~filled(rectangles)
    missing = region(rectangles).missing(wanted)
    assert (missing is None) == (not lacking.any())
    if missing is not None:
        assert lacking[slice(*missing[0]), slice(*missing[1])].all()
        assert filled([missing]).any()


def test_what_is_missing_beside_slabs_that_touch_is_not_empty():
    touching = Region.of(((0, 1), (0, 2))) | Region.of(((0, 2), (0, 1)))
    assert touching.missing(((0, 2), (0, 2))) == ((1, 2), (1, 2))


@given(RECTANGLES.filter(lambda rectangles: filled(rectangles).any()))
def test_bounds_hold_all_and_no_more(rectangles):
    rows, cols = filled(rectangles).nonzero()
    assert region(rectangles).bounds == ((rows.min(), rows.max() + 1), (cols.min(), cols.max() + 1))
