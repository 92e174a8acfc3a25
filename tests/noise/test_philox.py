"""Philox against its published vectors, the address of every draw, and the quantile tables."""

import math

import array_api_strict
import numba
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import to_strict, to_torch, torch
from scipy import stats
from vectors import VECTORS, addresses, parse

from mpimpy import noise
from mpimpy.backends import Draw, reference
from mpimpy.backends.cpu import _philox, numba_cpu
from mpimpy.noise import Address

# Random123's known answers for philox4x32-10: counter, key, output
MAKERS = {"numpy": np.asarray, "strict": to_strict} | ({"torch": to_torch} if torch is not None else {})


@numba.njit
def run_kernel(c0, c1, c2, c3, k0, k1):
    return _philox.philox(c0, c1, c2, c3, k0, k1)


@pytest.mark.parametrize(("counter", "key", "output"), VECTORS)
@pytest.mark.parametrize("library", MAKERS)
def test_published_vectors_on_the_reference(library, counter, key, output):
    words = [MAKERS[library](np.array([word], np.int64)) for word in parse(counter)]
    assert [int(word[0]) for word in noise.philox(words, parse(key))] == parse(output)


@pytest.mark.parametrize(("counter", "key", "output"), VECTORS)
def test_published_vectors_on_the_kernel(counter, key, output):
    arguments = [np.uint64(word) for word in parse(counter) + parse(key)]
    assert [int(word) for word in run_kernel(*arguments)] == parse(output)
    assert [int(word) for word in _philox.philox.py_func(*arguments)] == parse(output)


@pytest.mark.parametrize(("counter", "key", "output"), VECTORS)
def test_published_vectors_on_the_oracle(counter, key, output):
    assert list(oracle.philox(parse(counter), parse(key))) == parse(output)


def key_of(address):
    # a stream has a key of its own for read variation, DAC noise and ADC noise
    return address.seed if address.stream is None or address.purpose not in (2, 5, 9) else address.stream


@given(addresses, st.integers(0, 255), st.integers(0, 4), st.integers(0, 11))
def test_a_word_is_where_its_address_says(address, index, row, col):
    for xp in (np, array_api_strict):
        words = noise.words(xp, address, index, (5, 12))
        place = address.row + row, address.col + col
        expected = oracle.word(key_of(address), address.chip, address.read, address.purpose, index, *place)
        assert int(words[row, col]) == expected


@given(addresses, st.integers(1, 3), st.integers(1, 6), st.integers(1, 20))
def test_kernels_draw_the_reference_words(address, slices, rows, cols):
    cells = np.ones((slices, rows, cols), np.int8)
    table = np.arange(65536, dtype="<i4").tobytes()  # the factor is the word itself
    draw = Draw(table, level_shift=0, reference=0, after=0, shift=0, bound=2**31, dtype="int32")
    expected = reference.perturb(cells, draw, address)
    np.testing.assert_array_equal(numba_cpu.perturb(cells, draw, address), expected)
    words = [noise.words(np, address, index, (rows, cols)) for index in range(slices)]
    np.testing.assert_array_equal(expected, np.stack(words))


@given(addresses, st.integers(1, 2), st.integers(1, 40), st.integers(1, 300), st.sampled_from([0, 3]), st.data())
def test_factors_of_32_bits_are_those_of_the_reference(address, slices, rows, cols, up, data):
    # thin grids and wide ones, whole groups of columns and parts of them
    cells = np.random.default_rng(cols).integers(-100, 100, (slices, rows, cols)).astype(np.int8)
    draw = Draw(noise.lognormal_table(0.3), up, 40, 40, shift=16, bound=900, dtype="int16")
    first = data.draw(st.integers(0, cols - 1))
    last = data.draw(st.integers(first + 1, cols))
    for columns in (None, (first, last)):
        expected = reference.perturb(cells, draw, address, columns)
        np.testing.assert_array_equal(numba_cpu.perturb(cells, draw, address, columns), expected)


@given(
    addresses,
    st.sampled_from(["int8", "int16", "int32"]),
    st.sampled_from([0.01, 0.3, 2.0]),
    st.integers(0, 17),
    st.sampled_from([0, 3]),
    st.sampled_from([0, 1000]),
    st.sampled_from([300, 2**31 - 1]),
)
def test_kernels_perturb_on_any_grid_as_the_reference_does(address, dtype, sigma, shift, up, origin, bound):
    # the largest numbers of a dtype, with as many bits lost as a grid finer than these loses, or more
    most = np.iinfo(dtype).max
    cells = np.random.default_rng(shift).choice([most, -most - 1, 0, 1, -1, 15], (2, 3, 300)).astype(dtype)
    if shift == noise.TABLE_BITS:  # cells on their own grid are within its bound, as writing leaves them
        cells = np.clip(cells, -(bound >> up), bound >> up).astype(dtype)
    draw = Draw(noise.gaussian_table(sigma), up, origin, origin, shift, bound, "int32")
    found = numba_cpu.perturb(cells, draw, address)
    np.testing.assert_array_equal(found, reference.perturb(cells, draw, address))


ROWS = b"".join(noise.offset_table(sigma) for sigma in (1.0, 30.0, 1000.0))


@given(
    addresses,
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 300),
    st.sampled_from([0, 3]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 0, 7]),
    st.data(),
)
def test_kernels_perturb_as_the_reference_does(address, slices, rows, cols, up, many, additive, after, data):
    rng = np.random.default_rng(cols)
    cells = rng.integers(-100, 100, (slices, rows, cols)).astype(np.int8)
    which = rng.integers(0, 3, (slices, rows, cols))
    table = ROWS if many else noise.offset_table(50.0)
    draw = Draw(table, up, 40, 40 if after is None else after, shift=3, bound=900, dtype="int16", additive=additive)
    first = data.draw(st.integers(0, cols - 1))
    columns = data.draw(st.sampled_from([None, (first, cols)]))
    options = {"columns": columns, "which": which.astype(np.int8) if many else None}
    expected = reference.perturb(cells, draw, address, **options)
    np.testing.assert_array_equal(numba_cpu.perturb(cells, draw, address, **options), expected)
    first = 0 if columns is None else first
    for index, row, col in zip(*(rng.integers(0, n, 5) for n in (slices, rows, cols - first)), strict=True):
        index, row, col = int(index), int(row), int(col)
        place = address.row + row, address.col + first + col
        word = oracle.word(key_of(address), address.chip, address.read, address.purpose, index, *place)
        at = (index, row, first + col)
        entry = noise.table_values(table)[int(which[at]) * many * 65536 + word]
        value = int(cells[at]) << up
        if additive:
            value = min(max(value + entry, -40), 900)
        else:
            value = min(max(((value + 40) * entry + 4 >> 3) - (40 if after is None else after), -900), 900)
        assert expected[index, row, col] == value


@given(addresses, st.integers(1, 20))
def test_stuck_cells_sit_at_two_values(address, cols):
    cells = np.full((2, 30, cols), 9, np.int8)
    shares = {"high_share": 2**30, "low_share": 2**31, "high": 5, "low": -3}
    expected = reference.apply_stuck_cells(cells, address, **shares)
    assert set(np.unique(expected)) <= {9, 5, -3}
    np.testing.assert_array_equal(numba_cpu.apply_stuck_cells(cells, address, **shares), expected)


@given(addresses, st.integers(0, 60), st.integers(0, 20))
def test_a_part_draws_what_the_whole_has_there(address, col, row):
    whole = noise.words(np, address, 0, (30, 70))
    part = noise.words(np, address._replace(row=address.row + row, col=address.col + col), 0, (30 - row, 70 - col))
    np.testing.assert_array_equal(part, whole[row:, col:])


def test_every_field_of_an_address_matters():
    base = Address(1, 2, 3, noise.READ, 4, 8)
    first = noise.words(np, base, 0, (4, 8))
    others = [base._replace(**{name: getattr(base, name) + 1}) for name in ("chip", "read", "purpose", "row")]
    others += [base._replace(seed=1 + 2**32), base._replace(seed=2), base._replace(col=16)]
    draws = [noise.words(np, other, 0, (4, 8)) for other in others] + [noise.words(np, base, 1, (4, 8))]
    for draw in draws:
        assert np.mean(draw == first) < 0.3
    assert len({draw.tobytes() for draw in draws}) == len(draws)


@pytest.mark.parametrize("purpose", [*range(1, 10), noise.READ_ROW])
def test_a_stream_is_the_key_of_reads_and_of_nothing_else(purpose):
    plain = Address(5, 2, 3, purpose)
    streamed = plain.in_stream("worker 3")
    if purpose in (noise.READ, noise.VOLTAGE, noise.ADC_NOISE, noise.READ_ROW):
        key = noise.derive(5, "stream", "worker 3")
        assert streamed.key == Address(key, 2, 3, purpose).key
        assert streamed.key not in (plain.key, plain.in_stream("worker 4").key)
    else:
        assert streamed.key == plain.key
    assert streamed.in_stream(None) == plain


def test_words_are_uniform():
    words = noise.words(np, Address(11, 0, 0, noise.READ), 0, (500, 800)).ravel()
    counts = np.bincount(words >> 8, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3
    assert abs(np.corrcoef(words[:-1], words[1:])[0, 1]) < 5 / math.sqrt(words.size)


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.5])
def test_tables_hold_the_quantiles(sigma):
    level = (np.arange(65536) + 0.5) / 65536
    lognormal = np.array(noise.table_values(noise.lognormal_table(sigma))) / 65536
    gaussian = np.array(noise.table_values(noise.gaussian_table(sigma))) / 65536
    np.testing.assert_allclose(lognormal, stats.lognorm(sigma).ppf(level), rtol=0, atol=0.6 / 65536)
    np.testing.assert_allclose(gaussian, stats.norm(1, sigma).ppf(level), rtol=0, atol=0.6 / 65536)


@pytest.mark.parametrize("sigma", [0.7, 50.0, 1e3])
def test_tables_of_numbers_hold_the_quantiles(sigma):
    level = (np.arange(65536) + 0.5) / 65536
    np.testing.assert_allclose(
        noise.table_values(noise.offset_table(sigma)), stats.norm(0, sigma).ppf(level), rtol=0, atol=0.51
    )
    factors = np.array(noise.table_values(noise.noise_table(sigma))) / 65536
    np.testing.assert_allclose(factors, np.maximum(0, stats.norm(1, sigma).ppf(level)), rtol=1e-9, atol=0.6 / 65536)
    decay = np.array(noise.table_values(noise.decay_table(0.05, 0.02, 10.0))) / 65536
    np.testing.assert_allclose(
        decay, np.exp(-10 * np.maximum(0, stats.norm(0.05, 0.02).ppf(level))), rtol=0, atol=0.6 / 65536
    )
    assert set(noise.table_values(noise.decay_table(0.05, 0.0, 10.0))) == {round(math.exp(-0.5) * 65536)}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000, 65536, 100_000])
def test_tables_of_samples_draw_all_of_them_alike(count):
    drawn = np.array(noise.table_values(noise.sample_table(list(range(count)))))
    assert np.all(np.diff(drawn) >= 0)
    counts = np.bincount(drawn, minlength=count)
    assert counts.max() - counts.min() <= 1


def test_tables_saturate_where_int32_ends():
    assert max(noise.table_values(noise.lognormal_table(3.0))) == 2**31 - 1
    entries = noise.table_values(noise.offset_table(1e10))
    assert (min(entries), max(entries)) == (-(2**31) + 1, 2**31 - 1)


def test_fraction_is_the_smallest_that_is_fine_enough():
    assert noise.fraction_bits(0.05) == 10
    assert noise.fraction_bits(32.0) == 0
    assert noise.fraction_bits(1.0) == 5
    assert noise.fraction_bits(0.999) == 6
    assert noise.fraction_bits(1e-9) == 16


def test_fresh_seeds_differ():
    assert len({noise.new_seed() for _ in range(20)}) == 20
