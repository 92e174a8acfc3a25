"""Operands as integers: recomposition, ranges, granularity, exponents."""

import math
from fractions import Fraction

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits
from strategies import formats as drawn_formats
from strategies import matrices

import mpimpy
from mpimpy import Format, backends
from mpimpy.operands import encoding


def encode(fmt, values, block, backend=None):
    kernels = backends.select(values, backend)
    return encoding.encode(kernels, kernels.to_backend(values), fmt, block)


@st.composite
def operands(draw):
    rows, weight = draw(st.integers(1, 5)), draw(st.booleans())
    fmt = draw(drawn_formats(rows, weight))
    values = draw(matrices((draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))))
    return fmt, values, encoding.block_shape(fmt, values.shape[1:], rows, weight=weight)


@given(operands())
def test_codes_and_scales_are_those_of_exact_arithmetic(case):
    fmt, values, block = case
    for name, (make, backend) in RUNNERS.items():
        encoded = encode(fmt, make(values), block, backend)
        codes, decoded = np.asarray(encoding.integers(encoded)), np.asarray(encoding.decode(encoded))
        for b, part in enumerate(values.astype(np.float64)):
            expected, scales = oracle.quantise(part.tolist(), fmt, block)
            np.testing.assert_array_equal(codes[:, b], expected, err_msg=name)
            np.testing.assert_array_equal(decoded[b], np.sum(np.array(expected) * np.array(scales), axis=0))


@given(operands())
def test_slices_put_together_are_the_code(case):
    fmt, values, block = case
    encoded = encode(fmt, values, block)
    digits = encoded.digits.astype(object)
    for s, width in enumerate(fmt.ascending):
        assert digits[:, s].min() >= (1 - 2**width if fmt.signed else 0)
        assert digits[:, s].max() < 2**width
    total = sum(digits[:, s] * shift for s, shift in enumerate(fmt.shifts)) - fmt.offset
    np.testing.assert_array_equal(total, encoding.integers(encoded).astype(object))
    again = encoding.restride(encoded, tuple(range(2, 2 + len(fmt.digits))), "int32")
    np.testing.assert_array_equal(encoding.integers(again), encoding.integers(encoded))


@given(operands())
def test_strides_multiply_the_digits(case):
    fmt, values, block = case
    strides = tuple(range(3, 3 + len(fmt.digits)))
    for backend in ("numba", "reference"):
        kernels = backends.select(values, backend)
        encoded = encoding.encode(kernels, kernels.to_backend(values), fmt, block, strides, "int32")
        plain = encode(fmt, values, block, backend)
        assert same_bits(encoded.digits, encoding.restride(plain, strides, "int32").digits)


def test_int_error_is_at_most_half_a_step(rng):
    values = rng.standard_normal((1, 40, 64))
    for slices in ((1, 1, 2, 4), (1, 1, 2), (1,) * 53):
        fmt = Format(slices)
        peak = np.abs(values).max(axis=2, keepdims=True)
        error = np.abs(encoding.decode(encode(fmt, values, (1, 64))) - values)
        assert np.all(error <= peak / (2 ** (fmt.bits - 1) - 1) * (0.5 + 2.0 ** (fmt.bits - 53)))


def test_all_zero_blocks_are_exactly_zero(rng):
    values = rng.standard_normal((1, 8, 8))
    values[0, :4, :4] = 0
    for fmt in (Format(), Format(bw_e=8), Format(bw_e=8, double=True)):
        encoded = encode(fmt, values, (4, 4))
        assert np.all(encoded.scales[:, 0, 0, 0] == 0)
        assert np.all(encoded.digits[..., :4, :4] == 0)
        assert np.all(encoded.scales[:, 0, 1, 1] != 0)


@pytest.mark.parametrize("bw_e", [1, 2, 4, 8, 11])
def test_exponent_width_bounds_the_exponent(bw_e):
    low, high = -(2 ** (bw_e - 1)), 2 ** (bw_e - 1) - 1
    for exponent in (low - 3, low, 0, high, high + 3):
        if not -1022 <= exponent <= 1020:
            continue
        values = np.full((1, 1, 1), 1.5 * 2.0**exponent)
        for backend in ("numba", "reference"):
            result = float(encoding.decode(encode(Format(bw_e=bw_e), values, (1, 1), backend))[0, 0, 0])
            if low <= exponent <= high:
                assert result == values[0, 0, 0]
            elif exponent > high:
                assert result == 127 * 2.0 ** (high - 6)  # saturates
            else:
                assert result == round(1.5 * 2 ** (6 + exponent - low)) * 2.0 ** (low - 6)  # loses bits


@pytest.mark.parametrize(
    "value", [2.0**k * (1 + d) for k in (-1000, -3, 0, 7, 900) for d in (-(2.0**-53), 0, 2.0**-52)]
)
def test_exponent_is_exact_beside_powers_of_two(value):
    for backend in ("numba", "reference"):
        encoded = encode(Format((1,) * 53, bw_e=11), np.full((1, 1, 1), value), (1, 1), backend)
        assert math.ldexp(float(encoded.scales[0, 0, 0, 0]), encoded.exponent or 0) == 2.0 ** (
            math.frexp(value)[1] - 1 + 2 - 53
        )
        assert Fraction(float(encoding.decode(encoded)[0, 0, 0])) == pytest.approx(Fraction(value), rel=2**-51)


def test_subnormal_numbers_keep_their_order():
    values = np.array([[[5e-324, 1e-310, -3e-309, 0.0]]])
    for fmt in (Format(), Format(bw_e=11), Format((1,) * 53, bw_e=11)):
        for backend in ("numba", "reference"):
            encoded = encode(fmt, values, (1, 4), backend)
            codes = encoding.integers(encoded)[0, 0, 0]
            assert codes[2] < 0 <= codes[0] <= codes[1]
            assert np.abs(encoding.decode(encoded) - values).max() <= 2.0**-1028


def test_double_exponent_keeps_small_elements(rng):
    values = rng.standard_normal((1, 1, 64)) * 0.05
    values[0, 0, 5] = 30.0
    small = np.arange(64) != 5

    def error(double):
        decoded = encoding.decode(encode(Format(bw_e=8, double=double), values, (1, 64)))
        return np.abs(decoded - values)[0, 0, small].max()

    # steps 2**-7 around the mean, about 0.5, and 1/4 around the maximum
    assert error(True) <= 2.0**-8
    assert error(False) > 0.05


def test_mean_of_a_block_does_not_depend_on_the_order(rng):
    # values whose float sum depends on the order; the planes must not
    values = (rng.standard_normal((1, 64, 64)) * 10.0 ** rng.integers(-8, 8, (1, 64, 64))).astype(np.float64)
    encoded = [encode(Format(bw_e=8, double=True), values, (64, 64), backend) for backend in ("numba", "reference")]
    assert same_bits(encoded[0].digits, encoded[1].digits)
    flipped = encode(Format(bw_e=8, double=True), values[:, ::-1, ::-1].copy(), (64, 64))
    assert same_bits(flipped.digits[..., ::-1, ::-1], encoded[0].digits)


def test_named_formats_have_the_widths_of_ieee_754():
    assert {
        name: (Format.named(name).bits, Format.named(name).bw_e) for name in ("int4", "int8", "bf16", "fp16", "fp32")
    } == {
        "int4": (4, None),
        "int8": (8, None),
        "bf16": (9, 8),
        "fp16": (12, 5),
        "fp32": (25, 8),
    }
    assert all(max(Format.named(name).slices) <= 4 for name in ("int4", "int8", "bf16", "fp16", "fp32"))


@pytest.mark.parametrize(
    ("granularity", "weight", "block"),
    [
        ("finest", False, (1, 4)),
        ("finest", True, (4, 1)),
        ("per-matrix", False, (10, 12)),
        ("per-matrix", True, (12, 10)),
        ("per-row", False, (1, 12)),
        ("per-col", True, (12, 1)),
        ((3, 8), False, (3, 8)),
        ((99, 8), False, (10, 8)),
        ((8, 3), True, (8, 3)),
        ((3, 99), False, (3, 12)),
    ],
)
def test_blocks(granularity, weight, block):
    shape = (10, 10)
    assert encoding.block_shape(Format(granularity=granularity), shape, 4, weight=weight) == block


@pytest.mark.parametrize(
    ("granularity", "weight", "message"),
    [
        (
            "per-col",
            False,
            r"granularity 'per-col' of the inputs gives scales that change along the summed axis.*'per-row'",
        ),
        ("per-row", True, r"granularity 'per-row' of the weights.*tile of 4 rows.*'per-col'"),
        ((1, 6), False, r"granularity \(1, 6\) of the inputs cuts through tiles of 4 rows.*such as \(1, 8\)"),
        ((2, 1), True, r"granularity \(2, 1\) of the weights cuts through.*such as \(4, 1\)"),
    ],
)
def test_blocks_that_cut_a_tile_are_refused(granularity, weight, message):
    with pytest.raises(ValueError, match=message):
        encoding.block_shape(Format(granularity=granularity), (10, 10), 4, weight=weight)


def test_transposed_encoding(rng):
    values = rng.standard_normal((1, 8, 12))
    encoded = encode(Format(bw_e=8, double=True), values, (4, 6))
    np.testing.assert_array_equal(encoding.decode(encoded.transpose())[0], encoding.decode(encoded)[0].T)


@pytest.mark.parametrize("values", [[2.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [3.0, -1.0, 0.0, 0.0]])
def test_an_element_at_the_mean_belongs_to_the_lower_plane(values):
    fmt = Format(bw_e=8, double=True)
    for backend in ("numba", "reference"):
        encoded = encode(fmt, np.array([[values]]), (1, 4), backend)
        codes = encoding.integers(encoded)[:, 0, 0]
        np.testing.assert_array_equal(
            codes[0] != 0, np.array(values) == max(values) if min(values) < max(values) else False
        )
        np.testing.assert_array_equal(encoding.decode(encoded)[0, 0], values)


@pytest.mark.parametrize("size", [(64, 64), (64, 65), (90, 90)])
def test_the_mean_of_a_large_block_of_large_elements(size):
    # The sum of a block has 62 bits, however many elements there are and however near to a power of two.
    values = np.full((1, *size), 1.99)
    values[:, ::16] = -1.0
    mean = sum(map(Fraction, np.abs(values).ravel().tolist())) / values.size
    assert 1 < mean < Fraction(1.99)
    for name, (make, backend) in RUNNERS.items():
        encoded = encode(Format((1, 7), bw_e=8, double=True), make(values), size, backend)
        codes = np.asarray(encoding.integers(encoded))[:, 0]
        np.testing.assert_array_equal(codes[0] != 0, np.abs(values[0]) == 1.99, err_msg=name)
        np.testing.assert_array_equal(codes[1] != 0, np.abs(values[0]) == 1.0, err_msg=name)


BANDS = [(1020, -1000), (1020, -1060), (-1060, 1020), (-600, -400), (600, 400), (-1000, 100), (0, -1060), (-530, -530)]


@pytest.mark.parametrize(("of_x", "of_w"), BANDS)
@pytest.mark.parametrize("settings", [{"radc": None, "var": 0}, {}, {"radc": None}, {"radc": None, "vnoise": 0.02}])
def test_operands_at_the_ends_of_the_range_have_the_bits_of_ordinary_ones(of_x, of_w, settings):
    rng = np.random.default_rng(0)
    x, w = (np.ldexp(rng.uniform(0.5, 1, shape), at) for shape, at in (((3, 150), of_x), ((150, 5), of_w)))
    ordinary = mpimpy.DPETensor(seed=1, **settings)(np.ldexp(x, -of_x), np.ldexp(w, -of_w), read=0)
    want = np.ldexp(ordinary, of_x + of_w)  # rounded once
    for backend in ("numba", "reference"):
        found = mpimpy.DPETensor(seed=1, backend=backend, **settings)(x, w, read=0)
        assert np.array_equal(found, want)
    assert np.all(want[np.isfinite(want)] > 0) or of_x + of_w < -1030


def test_rows_and_columns_may_lie_at_both_ends_of_the_range():
    engine = mpimpy.DPETensor(seed=1, var=0, radc=None)
    x, w = np.array([[1.5e308, 0.0], [0.0, 3e-200]]), np.array([[2e-308, 2e100], [1e-308, 1e100]])
    found = engine(x, w)
    assert np.allclose(found, [[3.0, math.inf], [0.0, 3e-100]], rtol=0.02, atol=0)


def test_small_operands_keep_their_bits_when_decoded_and_saved(tmp_path):
    w = np.ldexp(np.random.default_rng(0).uniform(0.5, 1, (40, 5)), -1060)
    matrix, x = mpimpy.DPETensor(seed=1, var=0).program(w), np.full((1, 40), 2.0**1000)
    matrix.save(tmp_path / "w.npz")
    assert np.array_equal(mpimpy.load(tmp_path / "w.npz").read(x, 0), matrix.read(x, 0))
    assert np.allclose(matrix.read(x, 0), x @ w, rtol=0.05)
    fmt = Format([1, 15])
    values = np.array([[[2.0**-1070, 2.0**-1074]]])
    found = encoding.decode(encode(fmt, values, (1, 2)))
    assert np.array_equal(found, values)


@pytest.mark.parametrize("granularity", ["finest", "per-matrix"])
def test_a_transposed_read_reaches_the_ends_of_the_range(granularity):
    rng = np.random.default_rng(0)
    x, w = rng.uniform(0.5, 1, (3, 5)), rng.uniform(0.5, 1, (70, 5))
    found = []
    for of_x, of_w in ((0, 0), (1020, -1000), (-1000, 1020), (1000, -1050), (-1050, 1000)):
        matrix = mpimpy.DPETensor(seed=1, var=0, w_quant_gran=granularity).program(np.ldexp(w, of_w))
        found.append(np.ldexp(matrix.T.read(np.ldexp(x, of_x), read=0), -of_x - of_w))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert np.allclose(found[3:], found[0], rtol=1e-6)  # numbers of 2**-1050 have 24 bits


def test_blocks_of_zeros_are_ordinary():
    values = np.zeros((1, 2, 300))
    values[0, 0, :3] = 1e-3
    for block in ((1, 3), (2, 300), (1, 1)):
        assert encode(Format(), values, block).exponent is None
    assert encode(Format(), np.zeros((1, 2, 3)), (1, 3)).exponent is None
    assert encode(Format(), values * 1e-200, (1, 3)).exponent == -1000
    assert encode(Format(), values * 1e250, (1, 3)).exponent == 0


@pytest.mark.parametrize("runner", RUNNERS.values(), ids=list(RUNNERS))
def test_extreme_operands_have_the_same_bits_in_every_library(runner):
    convert, backend = runner
    x, w = np.array([[1.5e308, 3e307], [2e-300, 1e-310]]), np.array([[1e-308, 0.3, -1e305], [3e-309, 0.0, 7.0]])
    found = mpimpy.DPETensor(seed=1, backend=backend)(convert(x), convert(w), read=0)
    found = np.asarray(found)
    assert same_bits(found, mpimpy.DPETensor(seed=1, backend="reference")(x, w, read=0))
    assert np.isneginf(found[0, 2])


@pytest.mark.parametrize("mapping", ["twos", "signed", "offset"])
@pytest.mark.parametrize("slices", [(1, 1, 2, 4), (1, 15), (1, 1)])
def test_codes_in_one_slice_stand_for_the_same_values(rng, mapping, slices):
    fmt, values = Format(slices, mapping=mapping), rng.standard_normal((2, 5, 70))
    both = [encoding.encode(backends.select(values), values, each, (1, 64)) for each in (fmt, encoding.unsliced(fmt))]
    assert len(both[1].bits) == 1
    assert np.array_equal(*map(encoding.decode, both))


def test_wide_and_floating_formats_keep_their_slices():
    for fmt in (Format((1, 16)), Format(bw_e=8)):
        assert encoding.unsliced(fmt) == fmt


def test_what_lies_beyond_has_the_largest_code(rng):
    # a shared exponent of 1 bit: values from 1 on saturate
    fmt, values = Format(bw_e=1, mapping="signed"), rng.standard_normal((1, 4, 64)) * 1.5
    encoded = encoding.encode(backends.select(values), values, fmt, (1, 64))
    assert np.array_equal(encoding.beyond(encoded, values), np.abs(values) > np.abs(encoding.decode(encoded)).max())
