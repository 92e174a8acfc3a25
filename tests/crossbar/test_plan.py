"""The numbers that kernels are told: every bound that a plan knows, met exactly and missed by one.

Expected numbers are worked out here, by hand or with exact fractions, from the definitions.
"""

import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from mpimpy import ADC, DAC, Config, Device, Drift, Format, Tile, Wires
from mpimpy.crossbar import plan as plans

# conductances of the order of 1 make the numbers of a plan plain
pytestmark = pytest.mark.filterwarnings("ignore:(HGS|LGS|vread|range)=:mpimpy.MpimpyWarning")


def numbers(config):
    """The plan of a configuration, under the names of this file alone."""
    plan = plans.plan(config)
    grid = plan.cell_format
    return SimpleNamespace(
        fraction=grid.fraction,
        wide=grid.wide,
        cell_bound=grid.cell_bound,
        cell_dtype=grid.grid_dtype,
        level_dtype=grid.level_dtype,
        level_strides=grid.strides,
        reference=grid.reference,
        voltage_fraction=grid.voltage_fraction,
        code_bound=grid.code_bound,
        code_strides=plan.x_strides,
        code_dtype=plan.code_dtype,
        drive_dtype=plan.drive_dtype,
        current_bound=plan.reading.bound,
        full_scale=plan.full_scale,
        steps=plan.reading.adc_gain,
        code_range=plan.reading.code_range,
        fold=None
        if plan.lossless_fold is None
        else (plan.lossless_fold.reading.shift_weights[0][0], plan.lossless_fold.sum_scale),
        limbs=None if plan.limbs is None else (plan.limbs.bits, plan.limbs.count),
    )


def grid_of(config):
    """(fraction, whether currents take 64 bits)."""
    return plans.choose_grid(config)


ONE = Format((1, 1))  # slices of one bit: any number of levels and codes will do
BARE = Format((1, 1), mapping="signed")  # one digit of one bit, with a sign
PAIR = Format((1, 1), mapping="pair")


def config(rows=1, codes=1, levels=1, *, adc=None, var=0.0, inputs=ONE, weights=ONE, **device):
    """Currents of at most ``2 * rows * codes * levels << fraction`` units, and ``rho == 0``.

    Full scale is `rows` A.
    """
    device = {"HGS": 1.0, "LGS": 0.0} | device
    return Config(
        Device(g_level=levels + 1, var=var, **device),
        DAC(rdac=codes + 1, vread=1.0),
        ADC() if adc is None else adc,
        Tile(rows, 4),
        inputs,
        weights,
    )


def spread(fraction):
    """The smallest variation for which a grid of ``2**fraction`` units a level is fine enough."""
    return 32 * 2.0**-fraction


# ---- the grid of the cells


@pytest.mark.parametrize("fraction", [6, 10, 13, 16])
def test_the_grid_is_32_parts_of_the_smallest_spread(fraction):
    assert grid_of(config(var=spread(fraction))) == (fraction, False)
    assert grid_of(config(var=spread(fraction) * 0.999)) == (min(fraction + 1, 16), False)
    assert grid_of(config(write_var=spread(fraction))) == (fraction, False)
    # rho = 1: a factor moves level 1 by twice its spread
    assert grid_of(config(var=spread(fraction), HGS=2.0, LGS=1.0)) == (fraction - 1, False)


def test_cells_on_their_levels_need_no_grid():
    assert grid_of(config()) == (0, False)
    assert grid_of(config(var=0.0, stuck_HGS=0.5)) == (0, False)
    # but whatever moves cells gets one place at least
    assert grid_of(config(var=0.9, HGS=101.0, LGS=100.0)) == (1, False)
    assert grid_of(config(drift=Drift(spread(9)))) == (9, False)
    assert grid_of(Config(Device(var=0.0), wires=Wires(1.0, 1.0)))[0] == 16


def test_the_widest_currents_of_32_bits():
    met, missed = (32769, 32767), (32768, 32768)
    assert [2 * a * b for a, b in (met, missed)] == [2**31 - 2, 2**31]
    assert grid_of(config(*met)) == (0, False)
    assert grid_of(config(*missed)) == (0, True)
    # a grid of two places: a quarter of that
    met, missed = (16385, 16383), (16384, 16384)
    assert [2 * a * b << 2 for a, b in (met, missed)] == [2**31 - 8, 2**31]
    for shape, wide in ((met, False), (missed, True)):
        found = config(*shape, var=0.5, HGS=17.0, LGS=16.0)  # a spread of 17 * 0.5 levels
        assert grid_of(found) == (2, wide)


def test_a_grid_of_ten_places_is_worth_32_bits():
    met, missed = (1025, 1023), (1024, 1024)
    assert [2 * a * b << 10 for a, b in (met, missed)] == [2**31 - 2**11, 2**31]
    for wanted in (11, 13, 16):
        assert grid_of(config(*met, var=spread(wanted))) == (10, False)
        assert grid_of(config(*missed, var=spread(wanted))) == (wanted, True)
    # what is wanted is enough, be it less than ten places
    assert grid_of(config(*missed, var=spread(9))) == (9, False)
    assert grid_of(config(1448, 1449, var=spread(9))) == (9, True)  # 2 * 1448 * 1449 << 9 > 2**31


def test_the_widest_currents_of_64_bits():
    met = (2**16, 2**15, 2**11)  # rows, codes, levels: 2**43 at a fraction of 0
    assert 2 * met[0] * met[1] * met[2] << 10 == 2**53
    assert grid_of(config(*met, var=spread(10))) == (10, True)
    assert grid_of(config(*met, var=spread(12))) == (10, True)  # lowered to what fits
    missed = (2**16, 2**15 + 1, 2**11)
    message = r"currents of 65536 rows with rdac=32770 and g_level=2049 pass the 53 bits in which they are exact"
    for wanted in (10, 12):
        with pytest.raises(ValueError, match=message):
            grid_of(config(*missed, var=spread(wanted)))
    assert grid_of(config(*missed, var=spread(9))) == (9, True)


def test_adc_errors_leave_head_room_for_a_gain():
    # a current times a gain of 2**19 in units of 2**-16 has to fit 63 bits: 43 bits are left for currents
    errs = ADC(256, gain_error=0.1)
    met, missed = (2**16, 2**15, 2), (2**16, 2**15 + 1, 2)
    assert 2 * met[0] * met[1] * met[2] << 10 == 2**43
    assert grid_of(config(*met, var=spread(10), adc=errs)) == (10, True)
    assert grid_of(config(*met, var=spread(12), adc=errs)) == (10, True)
    with pytest.raises(ValueError, match="pass the 53 bits"):
        grid_of(config(*missed, var=spread(10), adc=errs))
    assert grid_of(config(*missed, var=spread(10))) == (10, True)


def test_more_codes_than_float32_tells_apart_take_64_bits():
    assert grid_of(config(adc=ADC(2**24 + 1))) == (0, False)
    assert grid_of(config(adc=ADC(2**24 + 2))) == (0, True)
    assert grid_of(config(adc=ADC((2, 2**24 + 1)))) == (0, False)
    assert grid_of(config(adc=ADC((2**24 + 2, 2)))) == (0, True)
    # a window around zero has half of them on either side
    assert grid_of(config(adc=ADC(2**25 + 1, range=(-1.0, 1.0)))) == (0, False)
    assert grid_of(config(adc=ADC(2**25 + 3, range=(-1.0, 1.0)))) == (0, True)
    # and one that begins at full scale ends at twice as many
    assert grid_of(config(adc=ADC(2**23 + 1, range=(1.0, 2.0)))) == (0, False)
    assert grid_of(config(adc=ADC(2**23 + 2, range=(1.0, 2.0)))) == (0, True)


def test_a_lossless_adc_has_a_code_for_each_digit_product():
    # the offset's highest digit counts from -2**9
    fmt, adc = Format((1, 9), mapping="offset"), ADC(range="lossless")
    assert 2**15 * 1 * 2**9 == 2**24
    assert grid_of(config(2**15, 1, 2**10 - 1, adc=adc, weights=fmt)) == (0, False)
    assert grid_of(config(2**15 + 1, 1, 2**10 - 1, adc=adc, weights=fmt)) == (0, True)


def test_an_ideal_adc_has_no_codes():
    assert grid_of(config(32769, 32767, adc=ADC(None))) == (0, False)
    assert grid_of(config(32768, 32768, adc=ADC(None))) == (0, True)


@pytest.mark.parametrize(
    ("levels", "fraction", "expected"),
    [(63, 0, "int8"), (64, 0, "int16"), (16383, 0, "int16"), (16384, 0, "int32"),
     (15, 10, "int16"), (16, 10, "int32"), (31, 9, "int16"), (32, 9, "int32")],
)  # fmt: skip
def test_cells_are_stored_in_the_narrowest_dtype(levels, fraction, expected):
    found = numbers(config(levels=levels, var=spread(fraction) if fraction else 0.0))
    assert found.fraction == fraction
    assert found.cell_bound == 2 * levels * 2**fraction  # twice the highest level: beyond, cells saturate
    assert found.cell_dtype == expected
    bits = int(expected[3:])
    assert found.cell_bound <= 2 ** (bits - 1) - 1
    assert bits == 8 or found.cell_bound > 2 ** (bits // 2 - 1) - 1


def test_a_cell_fits_32_bits():
    assert 2 * 32767 << 15 == 2**31 - 2**16
    assert 2 * 32768 << 15 == 2**31
    assert grid_of(config(levels=32767, var=spread(16))) == (15, False)
    assert grid_of(config(levels=32768, var=spread(16))) == (14, False)
    # also where currents would take more
    assert grid_of(config(2**16, levels=32767, var=spread(16))) == (15, True)
    assert grid_of(config(2**16, levels=32768, var=spread(16))) == (14, True)


@pytest.mark.parametrize(("highest", "expected"), [(127, "int8"), (128, "int16"), (32767, "int16"), (32768, "int32")])
def test_levels_and_codes_are_stored_in_the_narrowest_dtype(highest, expected):
    assert numbers(config(levels=highest)).level_dtype == expected
    found = numbers(config(codes=highest))
    assert (found.code_dtype, found.drive_dtype) == (expected, expected)
    assert found.code_bound == highest


def test_the_reference_fits_32_bits_beside_a_cell():
    # rho of 2**31 - 2 levels, and a cell of at most 2: 2**31 together
    found = numbers(config(HGS=2.0**31 - 1, LGS=2.0**31 - 2))
    assert (found.reference, found.cell_bound) == (2**31 - 2, 2)
    with pytest.raises(ValueError, match=r"LGS=2\.14748e\+09 S is 2\.15e\+09 levels, too many"):
        numbers(config(HGS=2.0**31, LGS=2.0**31 - 1))
    # the same on a grid: rho counts in its units
    found = numbers(config(HGS=2.0**30 - 1, LGS=2.0**30 - 2, var=0.1))
    assert (found.fraction, found.reference, found.cell_bound) == (1, 2**31 - 4, 4)
    with pytest.raises(ValueError, match="too many beside their variation"):
        numbers(config(HGS=2.0**30, LGS=2.0**30 - 1, var=0.1))
    assert numbers(config(HGS=3.0, LGS=2.0, var=spread(10) / 3)).reference == 2 * 2**10


# ---- the codes of the DACs


@pytest.mark.parametrize("fraction", [6, 8, 11])
def test_noisy_codes_have_a_grid_of_their_own(fraction):
    noisy = config(codes=7).replace(dac={"vnoise": spread(fraction)})
    found = numbers(noisy)
    assert (found.voltage_fraction, found.code_bound) == (fraction, 2 * 7 * 2**fraction)
    assert numbers(noisy.replace(dac={"vnoise": spread(fraction) * 0.999})).voltage_fraction == fraction + 1
    assert found.full_scale == 7 * 2**fraction  # a level under a code is 2**fraction units of current
    assert found.current_bound == 2 * 7 * 2**fraction


def test_noisy_codes_are_stored_in_the_narrowest_dtype_and_count_in_currents():
    for codes, expected in ((63, "int16"), (64, "int32")):
        found = numbers(config(codes=codes).replace(dac={"vnoise": spread(8)}))
        assert (found.code_bound, found.drive_dtype, found.code_dtype) == (codes * 2**9, expected, "int8")
    met, missed = (1025, 1023), (1024, 1024)
    for shape, wide in ((met, False), (missed, True)):
        assert grid_of(config(*shape).replace(dac={"vnoise": spread(9)})) == (0, wide)  # 2 * a * b * 2**10


@pytest.mark.parametrize(("bits", "highest", "stride"), [(4, 15, 1), (4, 29, 1), (4, 30, 2), (2, 15, 5), (1, 7, 7)])
def test_a_digit_is_a_whole_number_of_levels_and_codes(bits, highest, stride):
    fmt = Format((1, bits))
    found = numbers(config(codes=highest, levels=highest, inputs=fmt, weights=fmt))
    assert found.level_strides == found.code_strides == (stride, highest)


def test_slices_that_need_more_levels_than_there_are():
    fmt = Format((1, 4))
    with pytest.raises(ValueError, match=r"weight slice of 4 bits needs 16 levels but g_level=15: .* at most 3 bits"):
        numbers(config(levels=14, weights=fmt))
    with pytest.raises(ValueError, match=r"input slice of 4 bits needs 16 levels but rdac=15: .* or rdac=16"):
        numbers(config(codes=14, inputs=fmt))
    # the cells' grid does not depend on the inputs' format
    assert plans.cell_format(config(codes=14, inputs=fmt)) == plans.cell_format(config(codes=14))


# ---- currents and codes


@pytest.mark.parametrize("fraction", [0, 10])
def test_the_bound_of_currents(fraction):
    found = numbers(config(3, 7, 15, var=spread(fraction) if fraction else 0.0))
    assert found.current_bound == (3 * 7 * 15 if fraction == 0 else 2 * 3 * 7 * 15 * 2**10)
    assert found.full_scale == 3 * 7 * 15 * 2**fraction


def test_steps_are_rounded_to_what_the_adc_computes_in():
    exact = Fraction(255, 3 * 7 * 15 * 2**10)
    for adc, kept in ((ADC(256), np.float32), (ADC((2**24 + 2, 256)), np.float64)):
        found = numbers(config(3, 7, 15, var=spread(10), adc=adc))
        assert found.wide == (kept is np.float64)
        assert found.steps[0] == (float(kept(float(exact))),) * 2
    assert float(np.float32(float(exact))) != float(exact)


def test_the_range_of_codes():
    assert numbers(config(adc=ADC(256))).code_range == (((0, 0),) * 2, ((255, 255),) * 2)
    assert numbers(config(adc=ADC(256), weights=PAIR)).code_range == (((-255, -255),), ((255, 255),))
    assert numbers(config(adc=ADC(256, saturate=False))).code_range is None
    assert numbers(config(adc=ADC(None))).code_range is None


@pytest.mark.parametrize(("levels", "slices", "taken"), [(3, (1, 1), 2), (6, (1, 1), 4), (7, (1, 2), 4), (16, (1, 1, 2), 10)])  # fmt: skip
def test_an_offset_leaves_half_of_its_highest_digit(levels, slices, taken):
    # `taken`: the level of the unit column, half of the highest digit's 2**b times its stride
    fmt = Format(slices, mapping="offset")
    found = numbers(config(5, 1, levels, weights=fmt))
    assert found.steps[-1][0] == float(np.float32(255 / (5 * taken)))
    assert found.code_range[0][-1] == (-255, -255)
    assert all(row[0] == float(np.float32(255 / (5 * levels))) for row in found.steps[:-1])


# (rows, codes, levels, slices, radc - 1, level of the unit column)
OFFSETS = [
    (1, 1, 3, (1, 1), 64, 2),
    (1, 1, 3, (1, 1), 65, 2),
    (1, 1, 6, (1, 1), 128, 4),
    (1, 1, 6, (1, 1), 129, 4),
    (2, 3, 7, (1, 2), 24 * 2**5, 4),
    (2, 3, 7, (1, 2), 24 * 2**5 + 1, 4),
    (3, 1, 15, (1, 1, 2), 30 * 2**4, 10),
    (3, 1, 15, (1, 1, 2), 30 * 2**4 + 1, 10),
]


@pytest.mark.parametrize("errors", [{"noise_lsb": 1.0}, {"gain_error": 0.1}, {"offset_lsb": 0.5, "noise_lsb": 2.0}])
@pytest.mark.parametrize(("rows", "codes", "levels", "slices", "top", "taken"), OFFSETS)
def test_adc_errors_ask_for_parts_of_the_finest_step(rows, codes, levels, slices, top, taken, errors):
    least = Fraction(min(1.0, *(errors.get(name, 1.0) for name in ("noise_lsb", "offset_lsb"))))
    for mapping, highest in (("offset", taken), ("twos", levels)):
        step = Fraction(rows * codes * highest, top)  # currents of one level under one code
        wanted = next(f for f in range(17) if Fraction(1, 2**f) <= step * least / 32)
        found = config(rows, codes, levels, adc=ADC(top + 1, **errors), weights=Format(slices, mapping=mapping))
        assert grid_of(found) == (wanted, False)


def test_the_finest_step_of_a_range_of_its_own():
    def wanted(share, least=1.0):
        return next(
            f for f in range(17) if Fraction(1, 2**f) <= Fraction(4, 256) * Fraction(share) * Fraction(least) / 32
        )

    for span, share in ((0.25, 0.25), ((-0.125, 0.375), 0.5)):
        # full scale is 1 A; an offset has no part in a range that is given
        for fmt in (ONE, Format((1, 1), mapping="offset")):
            adc = ADC(257, range=span, noise_lsb=0.5)
            assert grid_of(config(1, 1, 4, adc=adc, weights=fmt)) == (wanted(share, 0.5), False)
    assert grid_of(config(1, 1, 4, adc=ADC(range="lossless", noise_lsb=0.5))) == (6, False)  # half a level


def test_a_range_that_holds_the_full_scale_more_often_than_a_float_can_count():
    with pytest.raises(ValueError, match=r"range=1e-36 A is so narrow that 6.34e-05 A, full scale, would be more than"):
        plans.plan(Config(adc=ADC(256, range=1e-36)))
    assert math.isfinite(plans.plan(Config(adc=ADC(256, range=1e-31))).reading.adc_gain[0][0])


def test_an_error_that_is_less_than_the_grid_shows():
    # a grid of 2**16 units: half a unit rounds to none
    numbers(config(adc=ADC(2**17, noise_lsb=1.0)))
    with pytest.raises(ValueError, match=r"noise_lsb=1 LSB is less than the grid of the currents shows, 2 LSB"):
        numbers(config(adc=ADC(2**17 + 1, noise_lsb=1.0)))
    with pytest.raises(ValueError, match=r"offset_lsb=0\.25 LSB is less than"):
        numbers(config(adc=ADC(2**15 + 1, noise_lsb=1.0, offset_lsb=0.25)))


# ---- wires


def lone_column(siemens, rows, r_word, r_bit):
    """Current of a column whose cells all have one conductance, every word line at 1 V: node by node."""
    # 0 .. rows-1: the bit line at each row; behind the last one segment to ground
    cell = 1 / (r_word + 1 / siemens)
    if r_bit == 0:
        return rows * cell
    nodes, rest = np.zeros((rows, rows)), np.full(rows, cell)
    for k in range(rows):
        nodes[k, k] += cell + 1 / r_bit
        if k + 1 < rows:
            nodes[k + 1, k + 1] += 1 / r_bit
            nodes[k, k + 1] -= 1 / r_bit
            nodes[k + 1, k] -= 1 / r_bit
    return np.linalg.solve(nodes, rest)[-1] / r_bit


@pytest.mark.parametrize("rows", [1, 5, 64])
@pytest.mark.parametrize("wires", [Wires(2.93, 2.93), Wires(100.0, 0.0), Wires(0.0, 50.0)])
def test_wires_take_their_part_of_full_scale(rows, wires):
    device = Device(var=0.0)
    high, low = (lone_column(g, rows, wires.r_word, wires.r_bit) for g in (device.HGS, device.LGS))
    share = (high - low) / (rows * (device.HGS - device.LGS))
    assert share < 1
    found = numbers(Config(device, tile=Tile(rows, 64), wires=wires))
    assert found.fraction == 16 if rows < 64 else found.fraction >= 10
    assert found.full_scale == pytest.approx(share * rows * 15 * 15 * 2**found.fraction, rel=1e-9, abs=0.5)
    assert found.steps[0][0] == pytest.approx(255 / found.full_scale, rel=1e-7)


# ---- slices that fold into one product of codes


def folds(config):
    return numbers(config).fold is not None


def test_slices_fold_while_every_digit_product_is_a_whole_code():
    full = 3 * 5 * 7
    for top, expected in ((full, True), (2 * full, True), (full - 1, False), (full + 1, False), (full // 35, True)):
        # strides are 5 and 7: a digit product is 35 of the units that full scale has 105 of
        assert folds(config(3, 5, 7, adc=ADC(top + 1))) is expected, top
    assert numbers(config(3, 5, 7, adc=ADC(4))).fold == (1.0, 1.0)
    assert numbers(config(3, 5, 7, adc=ADC(7))).fold == (2.0, 0.5)


@pytest.mark.parametrize("errors", [{"device": {"var": 0.1}}, {"device": {"stuck_HGS": 0.1}}, {"device": {"stuck_LGS": 1e-6}},
                                    {"dac": {"vnoise": 0.1}}, {"adc": {"radc": 2, "gain_error": 0.1}}], ids=str)  # fmt: skip
def test_nothing_folds_where_anything_errs(errors):
    assert folds(config(adc=ADC(2)))
    assert not folds(config(adc=ADC(2)).replace(**errors))


def test_codes_that_the_arithmetic_of_an_adc_keeps_whole():
    # float32 below 2**22, float64 below 2**50
    assert folds(config(adc=ADC(2**22 + 1)))
    assert not folds(config(adc=ADC(2**22 + 2)))
    wide = {"inputs": BARE, "weights": PAIR}  # one pair of digits, so that the sum is no bound
    assert folds(config(adc=ADC(2**50 + 1), **wide))
    assert not folds(config(adc=ADC(2**50 + 2), **wide))
    # every code is one of many columns, too: rows, not codes
    lossless = {"adc": ADC(range="lossless"), "weights": Format((1, 7), mapping="offset")}
    assert 2**15 * 2**7 == 2**22
    assert folds(config(2**15, 1, 255, **lossless))
    assert not folds(config(2**15 + 1, 1, 255, **lossless))


def test_a_folded_sum_is_exact_in_float64():
    # two slices on either side count for 1, 2, 2 and 4
    most = 2**53 // 9
    assert 9 * most <= 2**53 < 9 * (most + 1)
    assert most < 2**50
    assert folds(config(adc=ADC(most + 1)))
    assert not folds(config(adc=ADC(most + 2)))


def test_a_product_of_folded_codes_is_exact_in_float64():
    bits = Format((1,) * 26)
    assert 8 * 2**25 * 2**25 == 2**53
    for adc in (ADC(None), ADC(64, snap=True)):
        assert folds(config(8, adc=adc, inputs=bits, weights=bits))
        assert not folds(config(9, adc=adc, inputs=bits, weights=bits))


def test_nothing_folds_where_the_adc_may_clip():
    # 17 codes of which a digit of four bits takes 15; full scale is 1 A
    fmt = Format((1, 4), mapping="signed")
    for radc, share, expected in ((16, 15 / 16, True), (15, 14 / 16, False), (17, 1.0, True)):
        adc = ADC(radc, range=share)
        assert folds(config(1, 16, 1, adc=adc, inputs=fmt, weights=PAIR)) is expected
        loose = ADC(radc, range=share, saturate=False)
        assert folds(config(1, 16, 1, adc=loose, inputs=fmt, weights=PAIR))


@pytest.mark.parametrize(
    ("rows", "least"), [(1, 3), (64, 66), (1024, 1026), (2048, 2052), (4096, 4106), (16256, 16385)]
)
def test_snap_folds_where_half_a_code_is_less_than_half_a_digit(rows, least):
    def near(radc):
        # how far a code may be from its current, in digit products; what float32 loses comes on top
        return (Fraction(1, 2) + Fraction(radc, 2**22)) * Fraction(rows, radc - 1)

    assert near(least) < Fraction(1, 2) <= near(least - 1)
    assert folds(config(rows, adc=ADC(least, snap=True)))
    assert not folds(config(rows, adc=ADC(least - 1, snap=True)))


# ---- limbs


def limbs(rows=1, codes_bits=8, fraction=10, bits=2, **parts):
    fmts = {"inputs": Format((1,) * codes_bits), "weights": Format((1,) * bits)}
    return numbers(config(rows, adc=ADC(None), var=spread(fraction), **fmts).replace(**parts)).limbs


@pytest.mark.parametrize(("rows", "codes_bits"), [(1, 8), (64, 8), (2**11, 8), (2**12, 8), (2**12 + 1, 8), (2**16, 4), (2**8, 15)])  # fmt: skip
def test_limbs_are_as_wide_as_their_sums_in_30_bits_allow(rows, codes_bits):
    bits, count = limbs(rows, codes_bits)
    # whole codes reach -2**(codes_bits - 1), limbs 2**bits - 1
    assert rows * 2 ** (codes_bits - 1) * 2**bits <= 2**30
    assert bits == 15 or rows * 2 ** (codes_bits - 1) * 2 ** (bits + 1) > 2**30
    # the folded weights, of 1 and -2, in cells of at most 2 * 2**10, and their sign
    largest = 3 * 2 * 2**10
    assert 2 ** (bits * count - 1) > largest
    assert count == 1 or 2 ** (bits * (count - 1) - 1) <= largest


def test_there_are_four_limbs_at_most():
    # three bits each: 30 - 16 - 11
    assert 3 * 2 * 2**8 < 2 ** (3 * 4 - 1) <= 3 * 2 * 2**9
    assert limbs(2**16, 12, 8) == (3, 4)
    assert limbs(2**16, 12, 9) is None


def test_folded_weights_of_limbs_fit_32_bits():
    assert (2**20 - 1) * 2 * 2**10 < 2**31 <= (2**21 - 1) * 2 * 2**10
    assert limbs(bits=20) == (15, 3)
    assert limbs(bits=21) is None


def test_codes_of_limbs_have_15_bits_at_most():
    assert limbs(codes_bits=15) == (15, 1)
    assert limbs(codes_bits=16) is None


def test_limbs_are_for_an_ideal_adc_under_whole_codes():
    assert limbs() is not None
    assert limbs(dac={"vnoise": 0.1}) is None
    assert limbs(adc=ADC(256)) is None
