"""Energy of cells: against a loop over every cell, input row and slice, and the same bits everywhere."""

import dataclasses
import gc
import math
from fractions import Fraction

import numpy as np
import pytest
from driving import codes_of, energy_of
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import RUNNERS
from strategies import examples, products, runners

from mpimpy import ADC, DAC, Config, Device, Drift, Engine, Flicker, Format, Gaussian, Samples, Tile
from mpimpy.cells import laws, memristors
from mpimpy.cost import _cells, _driving, _means
from mpimpy.cost._cells import Conductances, conductances, energy, load
from mpimpy.cost._driving import Drives, Driving, drives
from mpimpy.crossbar import plan as plans
from mpimpy.matrix import backend_of, encode_inputs
from mpimpy.noise import table_values

READ_S = 1e-7
DRIVINGS = [
    Driving(READ_S),
    Driving(READ_S, whole=True),
    Driving(READ_S, width=True, whole=False),
    Driving(READ_S, supply_V=1.25),
    Driving(READ_S, width=True, supply_V=1.5),
]


def volts_of(W, x, read=0, first_row=0):
    """Codes of all slices over that of the full voltage, float64 (planes * slices, rows, K)."""
    return codes_of(W, x, read, first_row) / (W.config.dac.rdac - 1)


def means_of(W, cells, siemens):
    """The mean conductance of each cell over the 65,536 entries of its table."""
    device, cell_format = W.config.device, plans.cell_format(W.config)
    law = laws.read(device, cell_format.fraction, cells.time_s)
    if law is None:
        return siemens
    tables = np.array(table_values(law.table), np.int64).reshape(-1, 65536)
    which = np.asarray(cells.levels) if law.per_level else np.zeros(siemens.shape, int)
    unit, found = device.grid_unit_S(cell_format.fraction), np.empty(siemens.shape)
    grid = (np.asarray(cells.cells).astype(np.int64) << cells.level_shift) + cells.reference
    for one in np.unique(which):
        here = which == one
        if law.additive:
            for g in np.unique(grid[here]):
                mean = int(np.maximum(g + tables[one], 0).sum()) / 65536
                found[here & (grid == g)] = siemens[here & (grid == g)] + (mean - g) * unit
        else:
            found[here] = siemens[here] * (int(tables[one].sum()) / 2**32)
    return found


def rows_of(W, whole):
    """The conductances of all cells on each row, S: lists of arrays (K, cells), from what users see."""
    config, cells = W.config, W.programmed.as_programmed
    slices, tile = len(config.weights.digits), config.tile

    def flat(array, last):  # most significant first -> as cells are held
        return np.flip(np.asarray(array).reshape(-1, slices, *array.shape[-2:]), axis=1).reshape(-1, *last)

    own = flat(W.conductance(), W.shape)
    found = list(means_of(W, cells, own))
    arrays = -(-W.shape[1] // tile.cols)
    if not config.weights.signed:
        beside = flat(W.reference_conductance(), (W.shape[0], arrays * tile.reference_columns))
        found += list(beside if cells.columns is None else means_of(W, cells.columns, beside))
    if whole:
        lowest = memristors.conductance_of(config.device, plans.cell_format(config), cells, (0,))[0]
        found += [np.full((W.shape[0], arrays * tile.cols - W.shape[1]), lowest)] * len(own)
    return found


def brute_force(W, x, how, read=0, first_row=0):
    dac = W.config.dac
    across = dac.vread if how.supply_V is None else how.supply_V
    cells, total = np.concatenate(rows_of(W, how.whole), axis=1), []
    for row in volts_of(W, x, read, first_row).reshape(-1, W.shape[0]):
        share = np.abs(row)[:, None]
        if how.width:
            joules = how.read_s * share * (dac.rdac - 1) * across * dac.vread * cells
        elif how.supply_V is None:
            joules = how.read_s * (share * dac.vread) ** 2 * cells
        else:
            joules = how.read_s * across * share * dac.vread * cells
        total.append(math.fsum(joules.ravel()))
    return math.fsum(total)


def test_one_cell_takes_voltage_squared_times_conductance_times_time():
    # code 127 of an int8: digits 7 of 3 bits and 15 of 4; codes 2 * 7 and 15 of 15
    inputs = Format((1, 3, 4), mapping="signed")
    weights = Format((1, 4), mapping="pair")
    device = Device(var=0, HGS=2e-5, LGS=1e-6, g_level=16)
    W = Engine(device, DAC(16, vread=0.3), ADC(256), Tile(4, 4), inputs, weights, seed=1).program([[1.0]])
    G = 2e-5 + 1e-6  # g+ at HGS, g- at LGS
    volts = [0.3, 0.3 * 14 / 15]
    assert energy_of(W, [[1.0]], Driving(2e-7)) == pytest.approx(2e-7 * G * sum(v**2 for v in volts), rel=1e-15, abs=0)
    wide = Driving(2e-9, width=True)
    assert energy_of(W, [[1.0]], wide) == pytest.approx(2e-9 * 0.3**2 * G * (15 + 14), rel=1e-15, abs=0)
    assert energy_of(W, [[1.0]], Driving(2e-7, supply_V=0.8)) == pytest.approx(
        2e-7 * 0.8 * G * sum(volts), rel=1e-15, abs=0
    )
    both = Driving(2e-9, width=True, supply_V=0.8)
    assert energy_of(W, [[1.0]], both) == pytest.approx(2e-9 * 0.8 * 0.3 * G * (15 + 14), rel=1e-15, abs=0)
    # three unused columns of two arrays
    unused = energy_of(W, [[1.0]], Driving(2e-7, whole=True)) - energy_of(W, [[1.0]], Driving(2e-7))
    assert unused == pytest.approx(2e-7 * 6e-6 * sum(v**2 for v in volts), rel=1e-12, abs=0)


@given(products(drift=True), st.sampled_from(DRIVINGS), st.booleans(), runners())
@settings(max_examples=examples(40))
def test_energy_is_that_of_every_cell_and_the_same_everywhere(case, how, old, chosen):
    config, x, w = case
    config = config.replace(dac={"vread": 1.0})  # below all supplies
    x.flags.writeable = w.flags.writeable = False
    found = set()
    for _, make, backend in chosen:
        W = Engine.from_config(config, seed=3, chip=1, backend=backend).program(make(w))
        start = laws.ages(config.device)
        if old and start is not None:
            W = W.at(max(start, 3600.0))
        found.add(energy_of(W, make(x), how, 5, 2))
    assert len(found) == 1
    plain = Engine.from_config(config, seed=3, chip=1).program(w)
    plain = plain.at(max(laws.ages(config.device), 3600.0)) if old and laws.ages(config.device) else plain
    assert found.pop() == pytest.approx(brute_force(plain, x, how, 5, 2), rel=1e-12, abs=0)


VARIATIONS = {
    "factor": {"var": 0.3},
    "per level": {"var": [0.0, 0.02, 0.8, 0.3]},
    "Gaussian": {"var": Gaussian(2e-6)},
    "Gaussian per level": {"var": Gaussian([4e-6, 1e-6, 1e-7, 0.0])},
    "Samples": {"var": Samples([[2e-6, 5e-6], [5e-6, 5e-6, 9e-6], [8e-6, 1e-5], [1.1e-5, 1.2e-5]])},
    "Flicker": {"var": Flicker(0.2, t0_s=1.0)},
    "Flicker per conductance": {"var": Flicker([0.8, 0.1], t0_s=1.0, conductance_S=[2e-6, 9e-6])},
}


@pytest.mark.parametrize("mapping", ["twos", "pair", "offset"])
@pytest.mark.parametrize("name", VARIATIONS)
@pytest.mark.parametrize("write_var", [0.0, 0.1])
def test_read_variation_enters_by_the_mean_of_its_table(rng, mapping, name, write_var):
    given_ = {"write_var": write_var, "stuck_HGS": 0.05, "stuck_LGS": 0.05}
    device = Device(HGS=1.2e-5, LGS=3e-6, g_level=4, **given_, **VARIATIONS[name])
    columns = 1 if mapping == "pair" else 2
    weights = Format((1, 1, 1), mapping=mapping)
    engine = Engine(device, tile=Tile(16, 5, reference_columns=columns), weights=weights, seed=7)
    x, w = rng.standard_normal((3, 20)), rng.standard_normal((20, 7))
    W = engine.program(w)
    for found in (W, W.at("1 h")) if "Flicker" in name else (W,):
        for how in DRIVINGS[:2]:
            assert energy_of(found, x, how) == pytest.approx(brute_force(found, x, how), rel=1e-12, abs=0)
    quiet = Engine.from_config(W.config.replace(var=0.0), seed=7).program(w)
    if name in ("factor", "per level", "Gaussian", "Gaussian per level"):  # the mean is not the median
        assert energy_of(W, x, DRIVINGS[0]) > 1.001 * energy_of(quiet, x, DRIVINGS[0])
    if "Flicker" in name:
        assert energy_of(W.at("1 h"), x, DRIVINGS[0]) > energy_of(W, x, DRIVINGS[0])


# no cell reaches the end of its range, where a read would saturate it
NARROW = {"factor": {"var": 0.1}, "per level": {"var": [0.1, 0.05, 0.0, 0.02]}, "Gaussian": VARIATIONS["Gaussian"]}
NARROW |= {"Samples": VARIATIONS["Samples"], "Flicker": {"var": Flicker(0.02, t0_s=1.0)}}


@pytest.mark.slow
@pytest.mark.parametrize("name", NARROW)
def test_the_mean_is_that_of_many_reads(rng, name):
    # LGS is a whole number of grid units
    device = Device(HGS=1.2e-5, LGS=3e-6, g_level=4, **NARROW[name])
    W = Engine(device, tile=Tile(16, 8), seed=7, weights=Format((1, 1, 1))).program(rng.standard_normal((40, 30)))
    programmed, cell_format = W.programmed, plans.cell_format(W.config)
    cells, reads = programmed.as_programmed, []
    for read in range(400):
        place = programmed.address._replace(read=read)
        grid = memristors.read(backend_of(W), device, cell_format, cells, place)
        above = grid.astype(np.int64).sum()
        reads.append((above + cells.reference * grid.size) * device.grid_unit_S(cell_format.fraction))
    above, counts = _means.row_sums(W.config, cell_format, cells)
    unit, lowest = device.grid_unit_S(cell_format.fraction), 3e-6
    mean = (sum(above) * unit + sum(counts) * lowest) / 2.0**32
    assert mean == pytest.approx(np.mean(reads), abs=4.5 * np.std(reads) / len(reads) ** 0.5, rel=1e-7)


@pytest.mark.parametrize("redraw", ["product", "slice", "row"])
def test_redraw_changes_nothing(rng, redraw):
    x, w = rng.standard_normal((3, 130)), rng.standard_normal((130, 7))
    found = energy_of(Engine(Device(var=0.05, redraw=redraw), seed=1).program(w), x, DRIVINGS[0])
    assert found == energy_of(Engine(Device(var=0.05), seed=1).program(w), x, DRIVINGS[0])


def test_reads_differ_in_the_noise_of_their_dacs_alone(rng):
    x, w = rng.standard_normal((3, 70)), rng.standard_normal((70, 7))
    for vnoise in (0.0, 0.1):
        W = Engine(dac=DAC(vnoise=vnoise), seed=1).program(w)
        found = [energy_of(W, x, DRIVINGS[0], read) for read in (0, 0, 1)]
        assert found[0] == found[1]
        assert (found[0] == found[2]) == (vnoise == 0)


@pytest.mark.parametrize("reference", ["ideal", "cells"])
@pytest.mark.parametrize("mapping", ["twos", "offset"])
def test_reference_columns_count(rng, reference, mapping):
    x, w = rng.standard_normal((3, 20)), rng.standard_normal((20, 7))
    weights = Format((1, 3), mapping=mapping)
    for columns in (1, 3)[: 1 + (reference == "cells")]:
        tile = Tile(16, 5, reference, columns)
        W = Engine(Device(var=0.0, drift=Drift(0.05, t0_s=1.0)), tile=tile, weights=weights, seed=7).program(w)
        for found in (W, W.at("1 d")):
            how = Driving(READ_S)
            assert energy_of(found, x, how) == pytest.approx(brute_force(found, x, how), rel=1e-12, abs=0)
            own = conductances(found.programmed)
            # 2 arrays side by side, two slices or one
            assert own.cells == ((7 + 2 * columns) * len(weights.digits) * 2**32,) * 20


def test_twice_the_voltage_takes_four_times_the_energy(rng):
    x, w = rng.standard_normal((5, 70)), rng.standard_normal((70, 9))
    low, high = (Engine(dac=DAC(vread=volts, vnoise=0.05), seed=1).program(w) for volts in (0.125, 0.25))
    for how in (Driving(READ_S), Driving(READ_S, width=True)):
        assert energy_of(high, x, how) == 4 * energy_of(low, x, how)
    assert energy_of(high, x, Driving(READ_S, supply_V=1)) == 2 * energy_of(low, x, Driving(READ_S, supply_V=1))
    assert energy_of(low, x, Driving(READ_S, supply_V=2)) == 2 * energy_of(low, x, Driving(READ_S, supply_V=1))
    assert energy_of(low, x, Driving(2 * READ_S)) == 2 * energy_of(low, x, Driving(READ_S))


def test_pairs_with_signed_inputs_take_less_than_twos(rng):
    x, w = rng.standard_normal((50, 200)), rng.standard_normal((200, 90))
    formats = {"twos": ("twos", "twos"), "offset": ("twos", "offset"), "pair": ("signed", "pair")}
    found = {
        name: energy_of(
            Engine(Device(var=0), inputs=Format(mapping=a), weights=Format(mapping=b), seed=1).program(w),
            x,
            DRIVINGS[0],
        )
        for name, (a, b) in formats.items()
    }
    assert found["pair"] < found["offset"] < found["twos"]
    same = [
        energy_of(Engine(Device(var=0), weights=Format(mapping=b), seed=1).program(w), x, DRIVINGS[0])
        for b in ("pair", "twos")
    ]
    assert same[0] <= same[1]


def test_parts_of_the_inputs_add_up_to_the_same_bits(rng, monkeypatch):
    x, w = rng.standard_normal((23, 70)), rng.standard_normal((70, 9))
    for dac in (DAC(), DAC(vnoise=0.1)):
        W = Engine(dac=dac, tile=Tile(16, 5), seed=1).program(w)
        loaded, backend = conductances(W.programmed), backend_of(W)

        def driven(first, last, W=W, backend=backend):
            programmed, encoded = encode_inputs(W, x[first:last])
            return drives(backend, programmed, encoded, 3, first)

        whole, parts = driven(0, 23), [driven(0, 4), driven(4, 5), driven(5, 23)]
        assert parts[0] + parts[1] + parts[2] == whole
        for how in DRIVINGS:
            exact = energy(how, W.programmed, whole, loaded)
            assert exact == sum(energy(how, W.programmed, part, loaded) for part in parts)
            assert isinstance(exact, Fraction)
        for module in (_driving, _means):
            monkeypatch.setattr(module, "CHUNK", 130)
        assert driven(0, 23) == whole
        assert conductances(W.programmed) == loaded
        monkeypatch.undo()


def test_parts_of_the_matrix_add_up(rng):
    x, w = rng.standard_normal((5, 70)), rng.standard_normal((70, 12))
    engine = Engine(Device(write_var=0.1, stuck_HGS=0.05), DAC(vnoise=0.1), tile=Tile(16, 4), seed=1)
    exact = {}
    for name, cuts in {
        "whole": [(0, 70, 0, 12)],
        "rows": [(0, 32, 0, 12), (32, 70, 0, 12)],
        "columns": [(0, 70, 0, 4), (0, 70, 4, 12)],
    }.items():
        total = 0
        for top, bottom, left, right in cuts:
            W = engine.program(w[top:bottom, left:right], origin=(top, left))
            programmed, encoded = encode_inputs(W, x[:, top:bottom])
            driven = drives(backend_of(W), programmed, encoded, 3)
            total += energy(DRIVINGS[1], programmed, driven, conductances(programmed, True))
        exact[name] = total
    assert exact["rows"] == exact["columns"] == exact["whole"]


def test_drives_count_codes(rng):
    x = rng.integers(-8, 8, (6, 9)).astype(float)
    x[0] = 7  # codes are the numbers themselves
    inputs = Format((1, 1, 2), granularity="per-matrix")
    W = Engine(dac=DAC(7), inputs=inputs, seed=1).program(rng.standard_normal((9, 3)))
    programmed, encoded = encode_inputs(W, np.clip(x, -7, 7))
    found = drives(backend_of(W), programmed, encoded, 0)
    codes = np.clip(x, -7, 7).astype(int) & 15
    digits = [(codes & 3) * 2, (codes >> 2 & 1) * 6, (codes >> 3) * 6]
    assert found.unit == 6
    assert found.nonzero == sum(int(np.count_nonzero(digit)) for digit in digits)
    assert found.sums == tuple(sum(digit.sum(axis=0) for digit in digits).tolist())
    assert found.squares == tuple(sum((digit**2).sum(axis=0) for digit in digits).tolist())


@pytest.mark.parametrize("bits", [8, 16])
def test_squares_beyond_32_bits_add_up_exactly(bits):
    top = 2**bits - 1
    config = Config(Device(var=0), DAC(2**bits), inputs=Format((1, bits), mapping="signed"))
    W = Engine.from_config(config, seed=1).program(np.eye(3))
    programmed, encoded = encode_inputs(W, -np.ones((40000, 3)))
    found = drives(backend_of(W), programmed, encoded, 0)
    assert found.squares == (40000 * top**2,) * 3
    assert found.sums == (40000 * top,) * 3
    assert found.nonzero == 120000


@pytest.mark.parametrize("name", RUNNERS)
def test_wide_codes_are_squared_exactly(rng, name, monkeypatch):
    make, backend = RUNNERS[name]
    x = rng.standard_normal((4, 9))
    config = Config(dac=DAC(2**16, vnoise=1e-4), device=Device(var=0), inputs=Format((1, 7, 7), mapping="signed"))
    w = rng.standard_normal((9, 3))
    plain = Engine.from_config(config, seed=1).program(w)
    W = Engine.from_config(config, seed=1, backend=backend).program(make(w))
    programmed, encoded = encode_inputs(W, make(x))
    codes = [
        [[int(code) for code in row] for row in part]
        for part in volts_of(plain, x) * (2**16 - 1) * 2.0 ** plans.cell_format(config).voltage_fraction
    ]
    for most in (_driving.MOST, 1 << 40):  # wide codes are squared by halves
        monkeypatch.setattr(_driving, "MOST", most)
        found = drives(backend_of(W), programmed, encoded, 0)
        assert found.squares == tuple(sum(row[k] ** 2 for part in codes for row in part) for k in range(9))
    assert max(found.squares) > 2**63


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Driving(0), ValueError, r"read_s=0 s is out of range: it must be above 0 s"),
        (lambda: Driving(math.nan), ValueError, r"read_s=nan must be finite"),
        (lambda: Driving(1e-7, width=1), TypeError, r"width=1 must be True or False"),
        (lambda: Driving(1e-7, supply_V=-1), ValueError, r"supply_V=-1 V is out of range: it must be above 0 V"),
        (lambda: Driving(1e-7, whole="no"), TypeError, r"whole='no' must be True or False"),
        (
            lambda: Driving(1e-7, supply_V=0.05).check(DAC()),
            ValueError,
            r"supply_V=0.05 V is below vread=0.1 V, to which it drives word lines: use at least 0.1 V, or None",
        ),
        (
            lambda: Drives((1,), (1,), 1, 15) + Drives((1, 2), (1, 2), 2, 15),
            ValueError,
            r"drives of 1 word lines with 15 codes and of 2 with 15 do not add up: add parts of the inputs of one matrix",
        ),
        (lambda: Drives((1,), (1,), 1, 15) + Drives((1,), (1,), 1, 30), ValueError, r"with 15 codes and of 1 with 30"),
        (lambda: Drives((1,), (1,), 1, 15) + 1, TypeError, r"unsupported operand"),
        (
            lambda: Conductances((1,), (1,), 1e-9, 1e-6).weighted((1, 2)),
            ValueError,
            r"inputs drive 2 word lines, and the matrix has 1: take drives and conductances of one matrix",
        ),
    ],
)
def test_errors_say_how_to_mend_them(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_a_low_supply_is_refused_before_any_work(rng):
    W, low = Engine(seed=1).program(rng.standard_normal((9, 3))), Driving(1e-7, supply_V=0.05)
    message = r"supply_V=0.05 V is below vread=0.1 V"
    with pytest.raises(ValueError, match=message):
        load(backend_of(W), W.programmed, low)
    with pytest.raises(ValueError, match=message):
        energy(low, W.programmed, Drives((0,) * 9, (0,) * 9, 0, 15), conductances(W.programmed))


@pytest.mark.parametrize("how", DRIVINGS)
def test_noisy_voltages_drive_cells(rng, how):
    x, w = rng.standard_normal((3, 70)), rng.standard_normal((70, 7))
    W = Engine(Device(var=0), DAC(vnoise=0.1), seed=1).program(w)
    assert energy_of(W, x, how, 4, 9) == pytest.approx(brute_force(W, x, how, 4, 9), rel=1e-12, abs=0)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
@pytest.mark.parametrize("sign", [1, -1])
def test_long_rows_are_added_up_exactly(dtype, sign):
    # 70,000 cells at the end of their range: 2**31 is passed
    largest = np.iinfo(dtype).max * sign
    cells = memristors.Cells(np.full((2, 3, 70000), largest, dtype), 1, 0)
    for device, mean in ((Device(var=0), 1), (Device(var=[0.5] * 16), None)):
        config = Config(device)
        if mean is None:
            cells = cells._replace(levels=np.zeros(cells.cells.shape, np.int8))
            entries = table_values(laws.read(device, plans.cell_format(config).fraction).table)[:65536]
            mean = Fraction(sum(entries), 2**32)
        cell_format = dataclasses.replace(plans.cell_format(config), cell_bound=abs(largest) << 1)
        above, counts = _means.row_sums(config, cell_format, cells)
        assert above == [2 * 70000 * largest * 2 * mean * 2**32] * 3
        assert counts == [2 * 70000 * mean * 2**32] * 3


def test_unused_columns_are_those_after_the_last(rng):
    # the first column of the matrix is the last of an array; three of the next array are used, one is not
    W = Engine(tile=Tile(16, 4)).program(rng.standard_normal((9, 4)), origin=(0, 3))
    more = conductances(W.programmed, True).cells[0] - conductances(W.programmed).cells[0]
    assert more == 4 * 2**32  # one in each of four slices


def test_what_a_matrix_is_to_its_drivers_is_found_once_while_it_lives():
    gc.collect()
    before = len(_cells._loads)
    W = Engine(Device(var=0.0, drift=Drift(0.05)), seed=1).program(np.eye(70))
    first = load(W._backend, W.programmed, Driving(1e-7))
    assert load(W._backend, W.programmed, Driving(2e-7, width=True)) is first
    assert load(W._backend, W.programmed, Driving(1e-7, whole=True)) != first
    aged = W.at("1 d")
    assert load(W._backend, aged.programmed, Driving(1e-7)) != first
    assert len(_cells._loads) == before + 2
    del W, aged
    gc.collect()
    assert len(_cells._loads) == before
