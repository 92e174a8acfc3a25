"""Parts of the energy by hand, codes of ADCs, latency, and cores."""

import math

import numpy as np
import pytest
from costing import GENERIC, W, X, engine, user
from hypothesis import given, settings
from strategies import examples, products

from mpimpy.cost import Anchor, Bits, Figure, Technology
from mpimpy.cost._cost import PARTS
from mpimpy.cost._counts import adc_codes
from mpimpy.crossbar import plan as plans

# parts of the energy


def test_word_lines_by_hand():
    # 3 columns on arrays of 2, pairs: 2 x 2 arrays on a row; lines of 2 cells, for pairs have no reference columns
    line = 4 * (2 * 452.3e-18 + 10.34e-15)
    volts = {"amplitude": 32 / 9 * 0.3**2, "width": 5 * 0.3**2}
    for coding, squares in volts.items():
        found = engine().program(W).cost(X, user(coding=coding, read_time=1e-8)).lines
        assert found.value == pytest.approx(line * squares, rel=1e-3)
        assert (found.low, found.high) == pytest.approx((found.value / 2, found.value * 2))
    regulated = {"amplitude": 12 / 3 * 0.3 * 0.8, "width": 5 * 0.3 * 0.8}
    for coding, products_ in regulated.items():
        found = engine().program(W).cost(X, user(coding=coding, driver_supply=0.8, read_time=1e-8)).lines
        assert found.value == pytest.approx(line * products_, rel=1e-3)
    # gates: all 5 rows, in the pulses of both input rows
    assert engine().program(W).cost(X, user(line_voltage=1.2)).lines.value == pytest.approx(line * 10 * 1.44, rel=1e-3)
    found = engine().program(W).cost(X, user(line_voltage=1.2, line_supply=2.0))
    assert found.lines.value == pytest.approx(line * 10 * 2.4, rel=1e-3)
    # reference columns lengthen the lines; two columns of arrays, one for the digit and its sign each
    found = engine(w_mapping="twos", reference_columns=3).program(W).cost(X, GENERIC).lines
    assert found.value == pytest.approx(4 * (5 * 452.3e-18 + 10.34e-15) * 32 / 9 * 0.09, rel=1e-3)


def test_converters_adders_and_buffers_by_hand():
    found = engine().program(W).cost(X, GENERIC)
    (count,) = found.counts
    assert (count.tiles, count.adc_conversions, count.additions) == ((2, 2, 2), 12, 6)
    assert found.adcs.value == pytest.approx(12 * 31 * 8.1e-15)
    assert found.bits == (Bits(3, 2, (math.log2(31), math.log2(31))),)
    # sums of two codes out of 31: 62 fit 6 bits
    adder, buffer = GENERIC.adder.value, GENERIC.buffer.value
    assert found.adders.value == pytest.approx(6 * 6 * adder)
    # 10 codes of 2 bits are read for each of 4 arrays on a row; 6 sums of 2 tiles are written
    assert found.buffers.value == pytest.approx((10 * 2 * 4 + 6 * 2 * 6) * buffer)
    shared = engine().program(W).cost(X, GENERIC.replace(share_dacs=True))
    assert shared.buffers.value == pytest.approx((10 * 2 + 6 * 2 * 6) * buffer)
    # two slices of one bit: codes are added with the weights 1 and 2, so 3 x 62 fit 8 bits
    two = engine(x_slices=[1, 1, 1], rdac=2).program(W).cost(X, GENERIC)
    assert two.counts[0].additions == 18
    assert two.adders.value == pytest.approx(18 * 8 * adder)
    assert two.buffers.value == pytest.approx((10 * 2 * 4 + 6 * 2 * 8) * buffer)


def test_a_double_exponent_has_planes_of_everything():
    one = engine(bw_e=8).program(W).cost(X, GENERIC)
    both = engine(bw_e=8, dbfp_en=True).program(W).cost(X, GENERIC)
    assert both.counts[0].adc_conversions == 4 * one.counts[0].adc_conversions
    assert both.latency.value == pytest.approx(2 * one.latency.value)
    width = math.ceil(math.log2(2 * 31))
    assert both.buffers.value == pytest.approx((10 * 2 * 2 * 8 + 6 * 2 * 4 * width) * GENERIC.buffer.value)


def test_anchors_take_the_place_of_laws():
    dac, cell = Anchor(1e-13, source="a chip"), Anchor(1e-16, source="a chip")
    tech = GENERIC.replace(dac=dac, cell=cell, adc=Anchor(2e-12, bits=5, source="a chip"))
    found = engine().program(W).cost(X, tech)
    assert found.dacs.value == pytest.approx(2 * 5 * 4 * 1e-13)
    assert found.adcs.value == pytest.approx(12 * 2e-12 * 31 / 32)
    assert found.cells.value == pytest.approx(5 * 2 * 3 * 1e-16)  # pulses, two cells for each of 3 columns
    assert (found.cells.low, found.cells.high) == pytest.approx((0.9 * found.cells.value, 1.1 * found.cells.value))
    whole = engine().program(W).cost(X, tech.replace(whole_arrays=True))
    assert whole.cells.value == pytest.approx(5 * 4 * 2 * 1e-16)
    wired = engine(wire_resistance=2.0).program(W).cost(X, tech)
    assert wired.cells == whole.cells  # behind wires all cells take current
    part = engine(wire_resistance=2.0).program(W).cost(X, tech.replace(whole_arrays=False))
    assert part.cells == found.cells
    with_reference = engine(w_mapping="twos", reference_columns=3).program(W).cost(X, tech)
    assert with_reference.cells.value == pytest.approx(5 * 2 * (3 + 2 * 3) * 1e-16)
    shared = engine().program(W).cost(X, tech.replace(share_dacs=True))
    assert shared.dacs.value == pytest.approx(2 * 5 * 1e-13)
    scaled = engine().program(W).cost(X, tech.replace(dac=Anchor(1e-13, bits=1, source="a chip")))
    assert scaled.dacs.value == pytest.approx(2 * 5 * 4 * 2e-13)


def test_cells_have_the_band_of_their_pulse():
    exact = engine().program(W).cost(X, GENERIC).cells
    assert not exact.banded
    assert "exact" in exact.source
    tech = GENERIC.replace(read_time=Figure(1e-7, "s", 0.5e-7, 3e-7, "a chip"))
    found = engine().program(W).cost(X, tech).cells
    assert (found.low, found.value, found.high) == pytest.approx((exact.value / 2, exact.value, exact.value * 3))
    supplied = tech.replace(driver_supply=Figure(1.0, "V", 0.5, 2.0, "a chip"))
    found = engine().program(W).cost(X, supplied).cells
    assert (found.low, found.high) == pytest.approx((found.value / 4, found.value * 6))


# codes


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"w_mapping": "twos", "x_mapping": "twos"}, [[16, 16], [16, 16]]),
        ({"w_mapping": "twos"}, [[31], [31]]),
        ({"x_mapping": "twos"}, [[31, 31]]),
        ({"w_mapping": "offset", "g_level": 4, "x_mapping": "twos"}, [[31, 31]]),  # half of the range is taken away
        ({"w_mapping": "offset", "w_slices": [1, 1, 1], "g_level": 4, "x_mapping": "twos"}, [[16, 16], [31, 31]]),
        ({"w_mapping": "twos", "radc": (16, 32), "x_mapping": "twos"}, [[32, 32], [16, 16]]),
        ({"adc_per": "product", "w_mapping": "twos", "x_mapping": "twos"}, [[31], [31]]),  # whole codes have a sign
        ({"adc_range": (-1e-6, 3e-6)}, [[16]]),
        ({"adc_range": 2e-6}, [[31]]),
        ({"radc": 256, "adc_range": "lossless"}, [[2 * 4 * 3 + 1]]),
        (
            {"radc": 256, "adc_range": "lossless", "w_mapping": "twos", "x_mapping": "twos"},
            [[4 * 3 + 1, 4 * 1 + 1]] * 2,
        ),
    ],
)
def test_codes_of_every_mapping_and_range(changes, codes):
    made = engine(**changes)
    assert adc_codes(made.config) == codes
    W_ = made.program(W)
    tech = GENERIC.replace(adc=Anchor(1e-12, bits=4, source="a chip"))
    (bits,) = W_.cost(X, tech).bits
    flat = [math.log2(code) for row in codes for code in row]
    assert bits.adc == (min(flat), max(flat))


@given(products(noise=False, ideal=False))
@settings(max_examples=examples(20))
def test_codes_are_as_many_as_the_converters_windows_hold(case):
    config, _, _ = case
    reading = plans.plan(config).reading
    if reading.code_range is not None:  # converters that saturate
        rows = zip(*reading.code_range, strict=True)
        assert adc_codes(config) == [[top - low + 1 for low, top in zip(*row, strict=True)] for row in rows]


# latency


PULSES = {"x_slices": [1, 1, 2, 4], "x_mapping": "twos", "rdac": 16, "array_size": (4, 64)}
BAND = {"read_time": Figure(1e-7, "s", 5e-8, 2e-7, "a chip"), "adc_rate": Figure(1e8, "Hz", 5e7, 2e8, "a chip")}


@pytest.mark.parametrize(
    ("flat", "changes", "ns"),
    [  # 2 rows, 4 slices, 40 columns; pulses of 100 ns, conversions of 10
        ({}, {}, 8 * 100),
        ({}, {"sample_and_hold": False}, 8 * 110),
        ({}, {"adcs_per_array": 40}, 8 * 100),
        ({}, {"adcs_per_array": 3}, 8 * 140),
        ({}, {"adcs_per_array": 3, "sample_and_hold": False}, 8 * 240),
        ({"array_size": (4, 16)}, {"adcs_per_array": 3, "sample_and_hold": False}, 8 * 160),
        ({}, {"read_cycle": Figure.chosen(2.5e-7, "s")}, 8 * 250),
        ({}, {"coding": "width"}, 8 * 1500),  # the highest code of a slice is 15, whatever its bits
        ({"rdac": 20}, {"coding": "width"}, 2 * (15 + 18 + 19 + 19) * 100),
        ({"x_mapping": "signed"}, {"coding": "width"}, 6 * 1500),
        ({"adc_per": "product"}, {"adcs_per_array": 1}, 2 * 400),
        ({"adc_per": "product"}, {"adcs_per_array": 1, "sample_and_hold": False}, 2 * 800),
        ({"adc_per": "product", "x_slices": [1, 3]}, {"adcs_per_array": 1}, 2 * 400),
        ({"bw_e": 8, "dbfp_en": True}, {}, 16 * 100),
    ],
)
def test_latency_by_hand(flat, changes, ns):
    w = np.ones((5, 40))
    found = engine(**PULSES | flat).program(w).cost(X, GENERIC.replace(**changes)).latency
    assert found.value == pytest.approx(ns * 1e-9)
    assert not found.banded
    assert found.unit == "s"


def test_latency_has_the_bands_of_its_times():
    w = np.ones((5, 40))
    held = engine(**PULSES).program(w).cost(X, GENERIC.replace(adcs_per_array=4, **BAND)).latency
    assert (held.low, held.value, held.high) == pytest.approx((8 * 50e-9, 8 * 100e-9, 8 * 200e-9))
    slow = engine(**PULSES).program(w).cost(X, GENERIC.replace(adcs_per_array=2, **BAND)).latency
    assert (slow.low, slow.value, slow.high) == pytest.approx((8 * 100e-9, 8 * 200e-9, 8 * 400e-9))
    tech = GENERIC.replace(adcs_per_array=4, sample_and_hold=False, **BAND)
    found = engine(**PULSES).program(w).cost(X, tech)
    one = found.latency
    assert (one.low, one.value, one.high) == pytest.approx((8 * 100e-9, 8 * 200e-9, 8 * 400e-9))
    assert found.throughput.value == pytest.approx(2 * 2 * 5 * 40 / one.value / 1e12)
    assert found.throughput.high == pytest.approx(2 * 2 * 5 * 40 / one.low / 1e12)


# cores


def test_a_core_takes_the_place_of_all_parts():
    anchor = Anchor(1e-9, source="a chip")
    tech = GENERIC.replace(core=anchor, core_array=(4, 2), adc=None)
    found = engine(x_slices=[1, 1, 1], rdac=2).program(W).cost(X, tech)
    assert found.core.value == pytest.approx(2 * 2 * 4 * 1e-9)  # rows, slices, pairs of arrays
    assert found.energy == Figure(found.core.value, "J", found.core.low, found.core.high, found.core.source)
    assert all(getattr(found, name) is None for name in PARTS if name != "core")
    assert "  cores" in str(found)
    assert "DACs" not in str(found)
    assert "(not counted: what the cores do not hold; bands are" in str(found)
    cored = tech.replace(core_area=Anchor(1e-6, unit="m2", source="a chip"))
    assert "cells and ADCs alone" not in str(engine().program(W).cost(X, cored))
    twos = engine(w_mapping="twos", array_size=(4, 2)).program(W).cost(X, tech)
    assert twos.core.value == pytest.approx(2 * 8 * 1e-9)
    double = engine(bw_e=8, dbfp_en=True).program(W).cost(X, tech)
    assert double.core.value == pytest.approx(2 * 2 * 8 * 1e-9)
    scaled = tech.replace(core=Anchor(1e-9, bits=4, source="a chip"))
    assert engine().program(W).cost(X, scaled).core.value == pytest.approx(8 * 31 / 16 * 1e-9)


def test_a_core_of_other_arrays_is_refused():
    tech = GENERIC.replace(core=Anchor(1e-9, source="a chip"), core_array=(256, 256))
    wanted = (
        r"^the core of technology generic-28\* has arrays of 256 x 256 cells, and these are 4 x 2: use "
        r"array_size=\(256, 256\), or a technology without core=$"
    )
    with pytest.raises(ValueError, match=wanted):
        engine().program(W).cost(X, tech)


def test_a_core_of_other_dacs_is_refused():
    tech = GENERIC.replace(core=Anchor(1e-9, source="a chip"), core_rdac=16)
    wanted = (
        r"^the core of technology generic-28\* has DACs of 16 codes, and these have 4: use rdac=16, or a technology "
        r"without core=$"
    )
    with pytest.raises(ValueError, match=wanted):
        engine().program(W).cost(X, tech)
    assert engine(rdac=16).program(W).cost(X, tech).core.value == pytest.approx(2 * 4 * 1e-9)


def test_hermes_is_held_to_its_converters():
    tech = Technology.named("hermes-2022")
    assert (tech.core.bits, tech.core_array, tech.core_rdac) == (8, (256, 256), 128)
    whole = {"array_size": (256, 256), "rdac": 128, "radc": 128, "vread": 0.2}
    assert engine(**whole).program(W).cost(X, tech).core.value == pytest.approx(2 * 12.48e-9 * 255 / 256)
    with pytest.raises(
        ValueError, match=r"^a converter of 5.88 bits \(radc\) is more than 2 bits from its anchor at 8"
    ):
        engine(**whole | {"radc": 30}).program(W).cost(X, tech)
    with pytest.raises(ValueError, match=r"has DACs of 128 codes, and these have 4: use rdac=128"):
        engine(**whole | {"rdac": 4}).program(W).cost(X, tech)
