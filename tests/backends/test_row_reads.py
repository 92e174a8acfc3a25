"""The read kernel of the CPU, where every input row draws its currents, against its reference."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from libraries import plain_reading, same_bits
from oracle import word
from reads import addresses, errors_of, readings
from strategies import examples

from mpimpy import noise
from mpimpy.backends import BesideDraw, CellMoments, RowDraw, reference
from mpimpy.backends.cpu import _jit, _rows, numba_cpu


@st.composite
def draws_of(draw, arrays, reading):
    """What the input rows of a read draw: variances as wide as they may be, or narrow, with reference columns or not."""
    digits, _, grid, _ = arrays
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    code = max(1, int(np.abs(digits).max()) * max(reading.strides))
    if reading.widths is not None:  # a kernel may count on the largest digit
        code = max((2**width - 1) * stride for width, stride in zip(reading.widths, reading.strides, strict=True))
    drop = draw(st.sampled_from([0, 0, 3]))
    squares = reading.rows * ((code >> drop) + (drop > 0)) ** 2
    widest = (2**52 - 1) // squares
    assume(widest)
    bits = draw(st.sampled_from([1, 8, 26, 31, 38, 52]))
    most = min(widest, 2**bits - 1)

    def variance(columns):
        found = rng.integers(0, most, (*grid.shape[:2], columns), endpoint=True)
        found[rng.random(found.shape) < 0.1] = most
        return found.astype(np.float64)

    address, beside = draw(addresses()), None
    if draw(st.booleans()):
        width = draw(st.sampled_from([1, 2, 7, 32, 50, 64]))
        lead = draw(st.integers(0, width - 1))
        where = address._replace(seed=address.seed ^ 99, col=address.col // width)
        beside = BesideDraw(where, variance(-(-(lead + grid.shape[2]) // width)), lead, width)
    # deviations as large as the currents, or too small to count, or as large as may be
    shift = draw(st.sampled_from([17, 30, 40, 45, 52, 56] if not reading.wide else [-6, 0, 1, 17, 44]))
    return RowDraw(
        address,
        tile=draw(st.sampled_from([0, 9, 1000])),
        pair=draw(st.integers(0, 200)),
        pairs=len(reading.strides) * draw(st.integers(1, 2)),
        drop=drop,
        bits=shift - noise.TABLE_BITS + drop,
        variance=variance(grid.shape[2]),
        beside=beside,
    )


def plain(draw):
    return reference.reader(numba_cpu.perturb, draw)


def within(reading, draw, errs):
    """The reading, and whether the kernel can hold what rows draw; it must where deviations are no larger."""
    largest = 2.0 ** (45 - noise.TABLE_BITS - draw.bits + draw.drop + (draw.beside is not None))
    holds = reading.bound + largest <= (2**53 if not errs else 2**43 if reading.wide else 2**33)
    assert _rows.takes_rows(reading, draw, errs) == holds
    return holds


@given(
    st.data(),
    readings(rarely_bounded=True),
    st.sampled_from([(256, 256, 128), (8, 32, 9), (5, 64, 1)]),
    st.integers(1, 3),
)
@settings(max_examples=examples(120, by_day=60))
def test_rows_in_the_kernel_are_those_of_the_reference(data, case, blocks, threads):
    arrays, reading, dtype = case
    draw = data.draw(draws_of(arrays, reading))
    errors = data.draw(st.one_of(st.none(), errors_of(arrays, reading)))
    assume(errors is None or reading.bound <= 2**43)
    assume(within(reading, draw, errors is not None))
    expected = plain(draw)(*arrays, reading, dtype, errors)
    for array in arrays:
        array.flags.writeable = False
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("ROW_BLOCK", "COL_BLOCK", "CHUNK"), blocks, strict=True):
            patch.setattr(numba_cpu, name, value)
        patch.setattr(_rows, "ROWS", blocks[0])
        patch.setattr(numba_cpu, "PACKED", data.draw(st.sampled_from([2**26, 2**12])))  # in passes over the rows
        patch.setattr(_jit, "get_num_threads", lambda: threads)
        patch.setattr(_jit, "SHARED", 1e-9)
        patch.setattr(reference._read, "redraw", lambda *_: pytest.fail("took the plain way"))
        assert same_bits(numba_cpu.row_reader(draw)(*arrays, reading, dtype, errors), expected)


@pytest.mark.slow
@given(st.data(), readings(heights=(1, 9), widths=(5, 33)))
@settings(max_examples=examples(6))
def test_rows_in_the_kernel_run_as_plain_python(data, case):
    arrays, reading, dtype = case
    tiles = -(-9 // reading.rows)
    arrays = arrays[0][:, :, :9], arrays[1][:, :tiles], arrays[2][:, :9], arrays[3][:tiles]
    draw = data.draw(draws_of(arrays, reading))
    assume(within(reading, draw, errs=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "launch", lambda kernel, tasks, work, *rest: kernel.py_func(0, tasks, *rest))
        found = numba_cpu.row_reader(draw)(*arrays, reading, dtype)
    assert same_bits(found, plain(draw)(*arrays, reading, dtype))


@pytest.mark.parametrize("height", [4, 40])
@pytest.mark.parametrize("widths", [(1, 1), (3, 1), (7, 7), (8, 1), None])
def test_every_path_to_a_variance(rng, height, widths):
    # looked up, pairs of squared digits, float64 products: currents that are deviations alone, to the last unit
    top = max(widths or (5,))
    digits = rng.integers(0, 2 ** np.array(widths or (5, 5))[:, None, None], (2, height, 130)).astype(np.int16)
    grid = np.zeros((3, 130, 70), np.int8)
    ones = ((1.0, 1.0),) * 3
    changes = {"strides": (3, 2), "widths": widths, "rows": 64, "bound": 2**31 - 1, "wide": True, "signed": False}
    reading = plain_reading(**changes, adc_gain=ones, shift_weights=((1.0, 2.0**10), (2.0**20, 1.5), (0.3, 1.0)))
    most = 2**52 // (64 * (3 * (2**top - 1)) ** 2)
    variance = rng.integers(0, most, (3, 130, 70)).astype(np.float64)
    address = noise.Address(7, 1, 2, 0, 5, 3)
    draw = RowDraw(address, 2, 4, 2, 0, 1, variance)
    arrays = digits, rng.standard_normal((height, 3)), grid, rng.standard_normal((3, 70))
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        term = _rows.row_term
        patch.setattr(numba_cpu, "row_term", lambda *a: seen.append(term(*a)) or seen[-1])
        found = numba_cpu.row_reader(draw)(*arrays, reading, "float64")
    assert same_bits(found, reference.row_reader(draw)(*arrays, reading, "float64"))
    by_float = widths is None or top > 7
    assert (seen[0].squares.size > 0) == by_float
    assert (seen[0].limbs[3] > 0) == (not by_float and 1 in widths and height >= 32)
    assert (seen[0].limbs[1] > 0) == (not by_float and (top > 1 or height < 32))


def test_roots_are_rounded_down_exactly(rng):
    # about the squares of integers of up to 26 bits: one row, code 1, so that the variance is that of a cell
    whole = rng.integers(1, 2**26, 4000)
    variance = np.minimum((whole**2 + rng.integers(-1, 2, 4000)).astype(np.float64), 2.0**52 - 1)[None, None, :]
    reading = plain_reading(bound=1, wide=True)
    address = noise.Address(7, 1, 2, 0, 5, 3)
    draw = RowDraw(address, 9, 6, 1, 0, -noise.TABLE_BITS, variance)  # shift 0: the root times the normal number
    arrays = np.ones((1, 1, 1), np.int8), np.ones((1, 1)), np.zeros((1, 1, 4000), np.int8), np.ones((1, 4000))
    found = numba_cpu.row_reader(draw)(*arrays, reading, "float64")
    assert same_bits(found, reference.row_reader(draw)(*arrays, reading, "float64"))
    normal, roots = noise.table_values(noise.normal_table()), np.sqrt(variance.ravel().astype(np.longdouble))
    for n in (0, 1, 31, 32, 3999):
        drawn = normal[word(7, 1, 2, noise.READ_ROW, 6, 9 * 2**22 + 5, 3 + n)]
        assert found[0, n] == drawn * int(np.floor(roots[n]))


def test_what_the_kernel_cannot_hold_takes_the_plain_way(rng, monkeypatch):
    arrays = np.ones((1, 2, 2), np.int8), np.ones((2, 1)), np.ones((1, 2, 40), np.int8), np.ones((1, 40))
    reading = plain_reading(rows=2, bound=2)
    address, variance = noise.Address(7, 1, 2, 0), np.full((1, 2, 40), 2.0**40)
    draw = RowDraw(address, 0, 0, 1, 0, 12, variance)
    assert _rows.takes_rows(reading, draw, errs=True)
    far = dataclasses.replace(draw, bits=-24)  # deviations of up to 2**53
    assert not _rows.takes_rows(reading, far, errs=False)
    expected = reference.row_reader(far)(*arrays, reading, "float64")
    monkeypatch.setattr(numba_cpu, "row_term", lambda *_: pytest.fail("took the kernel"))
    assert same_bits(numba_cpu.row_reader(far)(*arrays, reading, "float64"), expected)
    wide = arrays[0], arrays[1], arrays[2].astype(np.int64), arrays[3]
    assert same_bits(
        numba_cpu.row_reader(draw)(*wide, reading, "float64"), reference.row_reader(draw)(*wide, reading, "float64")
    )


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([1, 5]), st.booleans())
@settings(max_examples=examples(60))
def test_moments_of_cells_are_those_of_the_reference(seed, additive, count, many):
    rng = np.random.default_rng(seed)
    tables = 3 if many else 1
    law = CellMoments(
        means=tuple(int(m) for m in rng.integers(-9, 2**25, tables * count)),
        variances=tuple(float(v) for v in rng.integers(0, 9, tables * count) * (1 if additive else 0.37)),
        count=count,
        level_shift=int(rng.integers(0, 5)),
        reference=int(rng.integers(0, 40)),
        low=-100,
        bound=3000,
        dtype="int16",
        additive=additive,
    )
    cells = rng.integers(-100, 127, (2, 7, 19)).astype(np.int8)
    which = rng.integers(0, tables, cells.shape).astype(np.int8) if many else None
    for a, b in zip(numba_cpu.moments(cells, law, which), reference.moments(cells, law, which), strict=True):
        assert same_bits(a, b)
