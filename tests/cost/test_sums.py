"""Sums of costs, and costs of several equal products."""

import pytest
from costing import AREAS, GENERIC, W, X, engine, unfolded, user

from mpimpy import Device, Engine, WriteVerify
from mpimpy.cost._cost import PARTS


def test_costs_add_up():
    tech = GENERIC.replace(**AREAS)
    a = engine().program(W).cost(X, tech)
    b = engine(radc=32).program(W).cost(X[:1], tech)
    both = a + b
    assert sum([a, b]) == both
    assert sum([a]) == a
    assert both.macs == 2 * 15 + 15
    assert both.bits == a.bits + b.bits
    assert (a + a).bits == a.bits
    assert both.counts == a.counts + b.counts
    assert both.to_dict()["arrays"] == 16
    for name in ("energy", "latency", "area", "cells", "adcs", "adders", "buffers", "lines"):
        for end in ("value", "low", "high"):
            wanted = getattr(getattr(a, name), end) + getattr(getattr(b, name), end)
            assert getattr(getattr(both, name), end) == pytest.approx(wanted), name
    assert both.dacs is both.core is both.writing is None
    assert both.missing == a.missing
    assert both.to_dict()["adc_low_bits"] == a.bits[0].adc[0] < both.to_dict()["adc_high_bits"] == b.bits[0].adc[1]
    assert unfolded(both).count("-bit inputs") == 4
    other = engine().program(W).cost(X, "generic-45")
    with pytest.raises(ValueError, match=r"^costs of two technologies, generic-28\* and generic-45, do not add up"):
        a + other
    renamed = GENERIC.replace(read_time=1e-9, source="user", name=a.technology.name)
    with pytest.raises(ValueError, match="do not add up"):
        a + engine().program(W).cost(X, renamed)
    for wrong in (1, 1.0, "a"):
        with pytest.raises(TypeError, match="unsupported operand"):
            a + wrong


def test_several_products_cost_as_many_times_as_much():
    tech = user(write_voltage=1.5, write_time=2e-6).replace(**AREAS)
    made = Engine(Device(write_var=0.1, verify=WriteVerify(5e-7)), seed=1)
    one = made.program(W).cost(X, tech)
    four, added = 4 * one, sum([one] * 4)
    assert four == one * 4
    assert (four.macs, four.bits, four.to_dict()["cells"]) == (added.macs, added.bits, added.to_dict()["cells"])
    for name in (*PARTS, "energy", "latency", "area", "writing"):
        found, wanted = getattr(four, name), getattr(added, name)
        assert (found is None) == (wanted is None), name
        for end in ("value", "low", "high") if found is not None else ():
            assert getattr(found, end) == pytest.approx(getattr(wanted, end)), name
    assert four.to_dict()["arrays"] == 4 * one.to_dict()["arrays"]
    assert "of 4 matrices, cells and ADCs alone" in unfolded(four)
    assert "matrices" not in unfolded(one)
    many = 3 * (10**9 * one + one)
    assert (many.times, len(many.counts)) == ((3 * 10**9, 3), 2)
    assert many.to_dict()["arrays"] == 3 * (10**9 + 1) * one.to_dict()["arrays"]
    assert (4 * engine().program(W).cost(X, GENERIC)).area is None
    for wrong in (True, 2.0, "2", None, one):
        for call in (lambda wrong=wrong: one * wrong, lambda wrong=wrong: wrong * one):
            with pytest.raises(TypeError, match=r"unsupported operand|can't multiply"):
                call()
    for wrong in (0, -1):
        with pytest.raises(
            ValueError, match=f"^the number of products={wrong} is out of range: it must be at least 1$"
        ):
            one * wrong


def test_a_sum_knows_no_area_that_one_of_its_products_lacks():
    tech = user(write_voltage=1.5, write_time=2e-6)
    made = Engine(Device(write_var=0.1, verify=WriteVerify(5e-7)), seed=1)
    known, unknown = made.program(W).cost(X, tech), Engine(seed=1).program(W).cost(X, tech)
    assert known.writing is not None
    assert (known + unknown).writing is None
    assert "writing            not known: pulses are counted" in unfolded(known + unknown)
    assert (known + known).writing.value == pytest.approx(2 * known.writing.value)
    assert (known + made.program(W, chip=1).cost(X, tech)).note == known.note  # said once
