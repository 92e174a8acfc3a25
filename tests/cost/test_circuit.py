"""Energy of arrays with resistive wires: against I**2 R of all cells and segments, from the voltages of all nodes."""

import dataclasses
import itertools
import math
import warnings

import numpy as np
import pytest
from driving import codes_of, energy_of
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import RUNNERS
from strategies import examples, products, runners

from mpimpy import ADC, DAC, Device, Drift, Engine, Format, MpimpyWarning, Tile, Wires
from mpimpy.cells import laws, memristors, references
from mpimpy.cost import _circuit, _driving
from mpimpy.cost._cells import load
from mpimpy.cost._circuit import circuit_energy
from mpimpy.cost._driving import Driving
from mpimpy.crossbar import plan as plans
from mpimpy.matrix import backend_of, encode_inputs
from mpimpy.noise import table_values
from mpimpy.wires import node_voltages

READ_S = 1e-7
AMPLITUDE, WIDTH = Driving(READ_S), Driving(READ_S, width=True)
REGULATED, BOTH = Driving(READ_S, supply_V=1.25), Driving(READ_S, width=True, supply_V=1.5)
DRIVINGS = [AMPLITUDE, WIDTH, REGULATED, BOTH]
OHMS = [Wires(20.0, 35.0), Wires(0.0, 100.0), Wires(1e4, 0.0), Wires(2.93, 5e3)]
MAPPINGS = ["twos", "pair", "offset"]


def flat_codes(W, x, read=0, first_row=0):
    """Codes of all slices in steps of the DAC, float64 (planes * slices * rows, K)."""
    return codes_of(W, x, read, first_row).reshape(-1, W.shape[0])


def arrays_of(W):
    """Whole arrays: (first row of the matrix, conductances (rows, cols + reference columns)), from what users see."""
    config, cells, tile = W.config, W.programmed.as_programmed, W.config.tile
    depth, width = W.shape
    rows, cols = tile.rows, tile.cols
    down, across = -(-depth // rows), -(-width // cols)
    lowest = memristors.conductance_of(config.device, plans.cell_format(config), cells, (0,))[0]

    def flat(array, last):
        slices = len(config.weights.digits)
        return np.flip(np.asarray(array).reshape(-1, slices, *last), axis=1).reshape(-1, *last)

    own, each = mean(W, cells, flat(W.conductance(), W.shape)), tile.reference_columns
    if config.weights.signed:
        beside = np.full((len(own), depth, across), lowest)
    else:
        beside = flat(W.reference_conductance(), (depth, across * each))
        beside = beside if cells.columns is None else mean(W, cells.columns, beside)
    # reference cells on rows beyond the matrix: at LGS, or at the unit of an offset
    numbers = references.steady_numbers(config, plans.cell_format(config), cells)
    unit = config.device.grid_unit_S(plans.cell_format(config).fraction)
    found = []
    for j, t, u in itertools.product(range(len(own)), range(down), range(across)):
        whole = np.full((rows, cols + each), lowest)
        whole[:, cols:] += numbers[j] * unit
        part = own[j, t * rows : (t + 1) * rows, u * cols : (u + 1) * cols]
        whole[: part.shape[0], : part.shape[1]] = part
        whole[: part.shape[0], cols:] = beside[j, t * rows : (t + 1) * rows, u * each : (u + 1) * each]
        # pairs have no reference columns
        found.append((t * rows, np.clip(whole[:, : cols if config.weights.signed else None], 0, None)))
    return found


def mean(W, cells, siemens):
    """The mean of each cell under factors."""
    law = laws.read(W.config.device, plans.cell_format(W.config).fraction, cells.time_s)
    if law is None:
        return siemens
    assert not law.additive
    assert not law.per_level
    return siemens * (math.fsum(table_values(law.table)) / 65536 / 65536)


def squared_currents(g, volts, wires):
    """Sum of I**2 R over all cells and segments of an array, W, and the current out of each driver, A."""
    word, bit = node_voltages(g, volts, wires.r_word, wires.r_bit)
    found = (g * (word - bit) ** 2).sum(axis=(-2, -1))
    if wires.r_word:
        along = np.concatenate([volts[:, :, None], word], axis=2)
        found = found + (np.diff(along, axis=2) ** 2).sum(axis=(1, 2)) / wires.r_word
    if wires.r_bit:
        along = np.concatenate([bit, np.zeros_like(bit[:, :1])], axis=1)
        found = found + (np.diff(along, axis=1) ** 2).sum(axis=(1, 2)) / wires.r_bit
    return found, (g * (word - bit)).sum(axis=2)


def brute_force(W, x, how, read=0, first_row=0):
    config = W.config
    codes, dac, rows, total = flat_codes(W, x, read, first_row), W.config.dac, W.config.tile.rows, []
    for top, g in arrays_of(W):
        some = np.zeros((len(codes), rows))
        part = codes[:, top : top + rows]
        some[:, : part.shape[1]] = part
        if how.width:
            # from one end of a pulse to the next one
            ends = np.unique(np.append(np.abs(some), 0.0))
            pieces = [(b - a, np.sign(some) * (np.abs(some) > a) * dac.vread) for a, b in itertools.pairwise(ends)]
        else:
            pieces = [(1.0, some / (dac.rdac - 1) * dac.vread)]
        for steps, volts in pieces:
            watts, amperes = squared_currents(g, volts, config.wires)
            if how.supply_V is not None:
                watts = how.supply_V * np.maximum(np.sign(volts) * amperes, 0).sum(axis=1)
            total.append(how.read_s * steps * math.fsum(watts))
    return math.fsum(total)


def engine_for(mapping="twos", wires=OHMS[0], tile=(7, 4, "cells", 1), dac=None, backend=None, **device):
    device = Device(**{"HGS": 3.2e-5, "LGS": 1e-6, "g_level": 32, "var": 0.0} | device)
    inputs, weights = Format((1, 1, 2), mapping="signed"), Format((1, 2, 2), mapping=mapping)
    dac = DAC(4, vread=0.2) if dac is None else dac
    return Engine(device, dac, ADC(256), Tile(*tile), inputs, weights, wires, seed=7, backend=backend)


@pytest.mark.parametrize("how", DRIVINGS)
@pytest.mark.parametrize("wires", OHMS)
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_energy_is_that_of_all_resistors(rng, mapping, wires, how):
    # ragged: 3 x 3 arrays, with real reference columns that vary
    columns = 1 if mapping == "pair" else 3
    engine = engine_for(mapping, wires, (7, 4, "cells", columns), write_var=0.1, stuck_HGS=0.05)
    x, W = rng.standard_normal((3, 17)), engine.program(rng.standard_normal((17, 10)))
    assert energy_of(W, x, how) == pytest.approx(brute_force(W, x, how), rel=1e-12, abs=0)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_ideal_reference_columns_are_part_of_the_circuit(rng, mapping):
    x, w = rng.standard_normal((3, 17)), rng.standard_normal((17, 10))
    W = engine_for(mapping, tile=(7, 4, "ideal", 1), drift=Drift(0.05, t0_s=1.0)).program(w)
    for found in (W, W.at("1 d")):
        for how in (AMPLITUDE, REGULATED):
            assert energy_of(found, x, how) == pytest.approx(brute_force(found, x, how), rel=1e-12, abs=0)


@pytest.mark.parametrize("exact", [False, True])
def test_read_variation_enters_by_mean_conductances(rng, exact):
    x, w = rng.standard_normal((3, 17)), rng.standard_normal((17, 10))
    W = engine_for(wires=Wires(20.0, 35.0, exact_reads=exact), tile=(7, 4, "cells", 2), var=0.3).program(w)
    assert energy_of(W, x, AMPLITUDE) == pytest.approx(brute_force(W, x, AMPLITUDE), rel=1e-12, abs=0)


@pytest.mark.parametrize("how", DRIVINGS)
def test_noisy_voltages_drive_the_circuit(rng, how):
    x, w = rng.standard_normal((2, 9)), rng.standard_normal((9, 4))
    W = engine_for(dac=DAC(4, vread=0.2, vnoise=0.1)).program(w)
    assert energy_of(W, x, how, 3, 5) == pytest.approx(brute_force(W, x, how, 3, 5), rel=1e-12, abs=0)
    assert energy_of(W, x, how, 4, 5) != energy_of(W, x, how, 3, 5)


def test_drivers_that_take_current_from_others_give_none_back(rng):
    # one strong word line lifts bit lines above the voltage of the others
    with warnings.catch_warnings():  # such wires are unusual
        warnings.simplefilter("ignore", MpimpyWarning)
        wires = Wires(1.0, 1e6)
    W = engine_for("twos", wires, (4, 2, "ideal", 1)).program(np.ones((4, 2)))
    x = np.array([[7.0, 1.0, 1.0, 1.0]])
    found = energy_of(W, x, REGULATED)
    assert found == pytest.approx(brute_force(W, x, REGULATED), rel=1e-12, abs=0)
    total = 0.0
    for top, g in arrays_of(W):
        volts = flat_codes(W, x)[:, top : top + 4] / 3 * 0.2
        total += (np.sign(volts) * squared_currents(g, volts, W.config.wires)[1]).sum()
    assert found > 1.01 * REGULATED.read_s * 1.25 * total


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("how", DRIVINGS)
def test_without_resistance_energy_is_that_of_whole_arrays(rng, mapping, how):
    x, w = rng.standard_normal((3, 17)), rng.standard_normal((17, 10))
    columns = 1 if mapping == "pair" else 2
    found = []
    for wires in (None, Wires(1e-9, 1e-9), Wires(1e-4, 1e-4), Wires(10.0, 10.0)):
        W = engine_for(mapping, wires, (7, 4, "cells", columns)).program(w)
        found.append(energy_of(W, x, dataclasses.replace(how, whole=True)))
    assert found[1] == pytest.approx(found[0], rel=1e-10, abs=0)
    assert found[0] > found[2] > found[3]


@given(
    products(ideal=False, wired=True).filter(lambda case: case[0].wires is not None),
    st.sampled_from(DRIVINGS),
    runners(),
)
@settings(max_examples=examples(6))
def test_every_backend_gives_the_same_bits(case, how, chosen):
    config, x, w = case
    config = config.replace(dac={"vread": 1.0})
    x.flags.writeable = w.flags.writeable = False
    found = set()
    for _, make, backend in chosen:
        W = Engine.from_config(config, seed=3, chip=1, backend=backend).program(make(w))
        found.add(energy_of(W, make(x), how, 5, 2))
    assert len(found) == 1


@pytest.mark.parametrize("how", DRIVINGS)
@pytest.mark.parametrize("wires", OHMS[:2])
@pytest.mark.parametrize("vnoise", [0.0, 0.1])
def test_parts_of_the_inputs_add_up_to_the_same_bits(rng, how, wires, vnoise, monkeypatch):
    x = rng.standard_normal((9, 17))
    W = engine_for(wires=wires, dac=DAC(4, vread=0.2, vnoise=vnoise)).program(rng.standard_normal((17, 10)))
    backend = backend_of(W)
    loaded = load(backend, W.programmed, how)

    def exact(first, last):
        programmed, encoded = encode_inputs(W, x[first:last])
        return circuit_energy(backend, programmed, encoded, how, loaded, 3, first)

    whole = exact(0, 9)
    assert float(whole) == energy_of(W, x, how, 3)
    assert exact(0, 4) + exact(4, 5) + exact(5, 9) == whole
    for module, name, size in ((_circuit, "CODES", 40), (_circuit, "PAIRS", 60), (_circuit, "EXACT", 8)):
        monkeypatch.setattr(module, name, size)
        assert exact(0, 9) == whole


def test_twice_the_voltage_takes_four_times_the_energy(rng):
    x, w = rng.standard_normal((3, 17)), rng.standard_normal((17, 10))
    low, high = (engine_for(dac=DAC(4, vread=volts)).program(w) for volts in (0.125, 0.25))
    for how, factor in zip(DRIVINGS, (4, 4, 2, 2), strict=True):
        assert energy_of(high, x, how) == factor * energy_of(low, x, how)


def test_unused_cells_cannot_be_left_out(rng):
    how, x, w = Driving(READ_S, whole=False), rng.standard_normal((3, 17)), rng.standard_normal((17, 10))
    message = (
        r"whole=False leaves out the unused cells beyond column 10, which wires of arrays of 4 columns join to the "
        r"others: use whole=True, or None"
    )
    with pytest.raises(ValueError, match=message):
        energy_of(engine_for().program(w), x, how)
    W = engine_for().program(w[:, :8])
    assert energy_of(W, x, how) == energy_of(W, x, Driving(READ_S, whole=True)) == energy_of(W, x, AMPLITUDE)


def test_a_low_supply_is_refused(rng):
    x, W, low = rng.standard_normal((3, 8)), engine_for().program(np.eye(8)), Driving(READ_S, supply_V=0.1)
    message, (programmed, encoded) = r"supply_V=0.1 V is below vread=0.2 V", encode_inputs(W, x)
    with pytest.raises(ValueError, match=message):
        load(backend_of(W), programmed, low)
    loaded = load(backend_of(W), programmed, REGULATED)
    with pytest.raises(ValueError, match=message):
        circuit_energy(backend_of(W), programmed, encoded, low, loaded, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNNERS)
def test_all_runners_and_drivings_give_the_same_bits(rng, name):
    x, w = rng.standard_normal((3, 17)), rng.standard_normal((17, 10))
    make, backend = RUNNERS[name]
    for mapping in MAPPINGS:
        plain = engine_for(mapping, var=0.1).program(w)
        W = engine_for(mapping, var=0.1, backend=backend).program(make(w))
        for how in DRIVINGS:
            assert energy_of(W, make(x), how) == energy_of(plain, x, how)


def test_wide_codes_meet_exactly(rng):
    x, w = rng.standard_normal((3, 9)), rng.standard_normal((9, 4))
    inputs = Format((1, 7, 7), mapping="signed")
    W = Engine(Device(var=0), DAC(2**14, vnoise=1e-3), ADC(256), Tile(5, 4), inputs, Format((1, 2)), OHMS[0], seed=1)
    W = W.program(w)
    assert _driving.code_unit(W.programmed) > 2**26
    assert energy_of(W, x, AMPLITUDE) == pytest.approx(brute_force(W, x, AMPLITUDE), rel=1e-12, abs=0)
    backend, loaded = backend_of(W), load(backend_of(W), W.programmed, AMPLITUDE)

    def exact(first, last):
        programmed, encoded = encode_inputs(W, x[first:last])
        return circuit_energy(backend, programmed, encoded, AMPLITUDE, loaded, 3, first)

    # products of codes pass 53 bits, and none is rounded
    assert exact(0, 1) + exact(1, 3) == exact(0, 3)
