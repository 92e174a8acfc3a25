"""Reference and unit columns of real cells: by the generator itself, by statistics, and under every way to cut."""

import numpy as np
import oracle
import pytest
from cells.test_wiring import COUNTS, HIGH, LOW, STEP, STRIDES, half_a_grid_unit, operands
from hypothesis import given
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits
from strategies import each_runner, thinned

from mpimpy import ADC, SNR, Config, Device, Drift, Engine, Format, Gaussian, Samples, Tile, Wires, noise, presets
from mpimpy.backends import reference
from mpimpy.backends.cpu import numba_cpu
from mpimpy.cells import memristors, references
from mpimpy.crossbar import plan as plans
from mpimpy.wires import transfer

FINE = ADC(None)
twos_and_offset = pytest.mark.parametrize("mapping", ["twos", "offset"])


def grid_of(matrix, read=0):
    """What one read sees of the cells."""
    from mpimpy.crossbar.product import read_grid
    from mpimpy.matrix import backend_of

    programmed = matrix.programmed
    address = programmed.address._replace(read=read)
    return np.asarray(read_grid(backend_of(matrix), programmed.config, programmed.as_read, address))


# -- what is subtracted -----------------------------------------------------------------------


@twos_and_offset
@pytest.mark.parametrize("count", [1, 3])
def test_reads_subtract_the_mean_of_cells_that_vary(rng, mapping, count):
    # every factor by the generator: rows of the whole matrix, columns of reference columns, a key of their own
    w, (row, col), seed = rng.standard_normal((5, 7)), (6, 5), 2**60 + 3
    config = Config(
        Device(LGS=1e-6, var=0.05, write_var=0.1),
        adc=FINE,
        tile=Tile(3, 4, reference_columns=count),
        weights=Format((1, 2, 3), mapping=mapping),
    )
    W = Engine.from_config(config, seed=seed, chip=4).program(w, origin=(row, col))
    cells, f = np.flip(W.conductance(), axis=0), plans.cell_format(config).fraction
    step, key = 9e-6 / 15, oracle.reference_key(seed)
    expected = np.empty(cells.shape)
    for s, k, n in np.ndindex(cells.shape):
        word = oracle.word(seed, 4, 9, noise.READ, s, row + k, col + n)
        noisy = cells[s, k, n] * oracle.factor("lognormal", 0.05, word) / 65536
        unit = 8 if mapping == "offset" and s == 1 else 0  # half the range of 4 bits of 2 levels
        beside = []
        for column in range((col + n) // 4 * count, (col + n) // 4 * count + count):
            at = s, row + k, column
            factors = [
                oracle.factor("lognormal", sigma, oracle.word(key, 4, number, purpose, *at)) / 65536
                for sigma, number, purpose in ((0.1, 0, noise.WRITE), (0.05, 9, noise.READ))
            ]
            beside.append((1e-6 + unit * step) * np.prod(factors))
        expected[s, k, n] = (noisy - np.mean(beside)) / step
    assert np.abs(grid_of(W, 9) / 2.0**f - expected).max() < 3 * 2.0**-f


def test_means_round_to_the_nearest_with_ties_up():
    config = Config(tile=Tile(4, 4, reference_columns=2))
    cells = np.zeros((1, 1, 6), np.int16)
    beside = np.array([[[1, 2, -3, -4]]], np.int16)  # means 1.5 and -3.5
    for backend in (reference, numba_cpu):
        found = references.subtract(backend, config, plans.cell_format(config), cells.copy(), beside, 2)
        assert found.tolist() == [[[-2, -2, 3, 3, 3, 3]]]


@given(
    st.sampled_from(["int8", "int16", "int32"]),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(1, 9),
    st.data(),
)
def test_kernels_subtract_as_the_reference_does(dtype, slices, rows, cols, width, data):
    lead, most = data.draw(st.integers(0, width - 1)), np.iinfo(dtype).max
    bound = data.draw(st.sampled_from([most, most // 2, 5]))
    numbers = np.random.default_rng(cols)
    grid = numbers.integers(-bound, bound, (slices, rows, cols), endpoint=True).astype(dtype)
    columns = numbers.integers(-bound, bound, (slices, rows, (lead + cols - 1) // width + 1), endpoint=True)
    columns = columns.astype(dtype)
    each = columns[:, :, (np.arange(cols) + lead) // width].astype(object)
    expected = np.clip(grid.astype(object) - each, -bound, bound).astype(dtype)
    for backend in (reference, numba_cpu):
        assert same_bits(backend.subtract(grid.copy(), columns, lead, width, bound), expected)
    frozen = grid.copy()
    frozen.flags.writeable = False
    assert same_bits(numba_cpu.subtract(frozen, columns, lead, width, bound), expected)


# -- what they cost: independent simulations --------------------------------------------------


def simulated(x, w, device, mapping, rows, cols, columns, seed):
    """A product of slices [1, 1, 2, 4] with lognormal or Gaussian cells, an ideal ADC and real reference columns."""
    draw = np.random.default_rng(seed)
    k, n = w.shape
    step, LGS = (device.HGS - device.LGS) / 15, device.LGS
    scales = [np.abs(w[t : t + rows]).max(axis=0) for t in range(0, k, rows)]
    codes = np.concatenate([np.rint(w[i * rows : (i + 1) * rows] / s * 127) for i, s in enumerate(scales)])
    if mapping == "offset":
        up = (codes + 128).astype(int)
        digits = [(up >> 6, 64, 5, 10), (up >> 4 & 3, 16, 5, 0), (up & 15, 1, 1, 0)]
    else:
        two = codes.astype(int) & 255
        digits = [(two >> 7, -128, 15, 0), (two >> 6 & 1, 64, 15, 0), (two >> 4 & 3, 16, 5, 0), (two & 15, 1, 1, 0)]

    def varied(g, level):
        if isinstance(device.write_var, Gaussian):
            sigma = np.broadcast_to(device.write_var.sigma_S, 16)[level]
            return np.maximum(g + sigma * draw.standard_normal(g.shape), 0)
        return g * np.exp(device.var * draw.standard_normal(g.shape))

    total = 0
    for digit, weight, stride, unit in digits:
        cells = varied(LGS + digit * stride * step, digit * stride)
        level = np.full((k, -(-n // cols), columns), unit)
        beside = varied(LGS + level * step, level).mean(axis=2)
        total = total + weight / stride * (cells - np.repeat(beside, cols, axis=1)[:, :n]) / step
    noisy = np.concatenate([total[i * rows : (i + 1) * rows] / 127 * s for i, s in enumerate(scales)])
    return quantised(x, rows) @ noisy


def quantised(x, rows):
    """Inputs of 8 bits, a scale for each row and tile."""
    blocks = [x[:, t : t + rows] for t in range(0, x.shape[1], rows)]
    tops = [np.abs(b).max(axis=1, keepdims=True) for b in blocks]
    return np.concatenate([np.rint(b / top * 127) / 127 * top for b, top in zip(blocks, tops, strict=True)], axis=1)


@pytest.mark.parametrize(
    ("settings", "mapping", "columns"),
    thinned(
        [
            ({"var": 0.05}, "offset", 1),
            ({"var": 0.05}, "offset", 4),
            ({"var": 0.05, "LGS": 4e-6}, "twos", 1),
            ({"var": 0.0, "write_var": Gaussian([3e-7] + [1e-7] * 15), "LGS": 1e-6}, "twos", 1),
            ({"var": 0.0, "write_var": Gaussian(2e-7), "LGS": 1e-6}, "offset", 2),
        ],
        every=3,
    ),
    ids=str,
)
def test_the_snr_is_that_of_an_independent_simulation(rng, settings, mapping, columns):
    x, w = rng.standard_normal((128, 128)), rng.standard_normal((128, 128))
    device = Device(**settings)
    engines = [
        Engine(device, adc=FINE, tile=tile, weights=Format(mapping=mapping), seed=1)
        for tile in (Tile(32, 32, reference_columns=columns), Tile(32, 32, "ideal"))
    ]
    found, ideal = (np.mean([SNR(e.program(w, chip=c).read(x, read=c), x @ w) for c in range(16)]) for e in engines)
    expected = np.mean([SNR(simulated(x, w, device, mapping, 32, 32, columns, s), x @ w) for s in range(16)])
    assert abs(found - expected) < 0.3
    assert ideal > found + (0.2 if columns < 4 else 0.5)


FIGURES = [
    # preset or settings, mapping, dB with ideal and with real columns: found by simulations that share no code
    ("reram-milo", "twos", 23.67, 19.89),
    ("reram-milo", "offset", 21.52, 18.85),
    ("reram-wan", "twos", 18.35, 16.57),
    ("reram-wan", "offset", 12.75, 10.11),
    ({"var": 0.05}, "twos", 19.10, 19.07),
    ({"var": 0.05}, "offset", 18.41, 14.94),
    ({"var": 0.05, "LGS": 2e-6}, "twos", 17.05, 16.69),
]


@pytest.mark.slow
@pytest.mark.parametrize(("device", "mapping", "ideal", "real"), FIGURES, ids=str)
def test_figures_of_512_by_512(rng, device, mapping, ideal, real):
    x, w = rng.standard_normal((512, 512)), rng.standard_normal((512, 512))
    device = presets.device(device) if isinstance(device, str) else Device(**device)
    for kind, expected in (("ideal", ideal), ("cells", real)):
        engine = Engine(device, adc=FINE, tile=Tile(reference=kind), weights=Format(mapping=mapping), seed=1)
        assert abs(SNR(engine(x, w, read=0), x @ w) - expected) < 0.2


@pytest.mark.parametrize(
    "device", [Device(), Device(write_var=Gaussian(2e-7), stuck_HGS=0.01)], ids=["read", "written"]
)
def test_pairs_have_no_reference(rng, device):
    x, w = rng.standard_normal((5, 70)), rng.standard_normal((70, 9))
    bits = [
        Engine(device, tile=Tile(reference=kind), weights=Format(mapping="pair"), seed=1)(x, w, read=0)
        for kind in ("cells", "ideal")
    ]
    assert same_bits(*bits)


def test_the_error_of_a_reference_is_common_to_the_columns_of_an_array(rng):
    # the covariance of two columns' errors: nothing where the reference is ideal or the arrays are two
    w = np.zeros((400, 8))
    w[0] = 1  # a scale
    tile = {"cells": Tile(400, 4), "ideal": Tile(400, 4, "ideal")}
    device = Device(LGS=5e-6, var=0.1, HGS=2e-5)
    for kind, common in (("cells", True), ("ideal", False)):
        W = Engine(device, adc=FINE, tile=tile[kind], seed=3).program(w)
        errors = grid_of(W, 1)[0, 1:]  # level 0 everywhere
        found = np.corrcoef(errors.T.astype(float))
        same = found[np.triu_indices(4, 1)]
        assert np.all(np.abs(same - 0.5 * common) < 0.15)
        assert np.all(np.abs(found[:4, 4:]) < 0.2)


# -- effects ----------------------------------------------------------------------------------


def test_stuck_reference_cells(rng):
    # at HGS, whatever is written there, and known by their address alone
    device = Device(var=0, stuck_HGS=0.3)
    W = Engine(device, tile=Tile(8, 3), seed=5, chip=2).program(np.zeros((20, 7)))
    key = oracle.reference_key(5)
    for s, k, n in np.ndindex(4, 20, 7):
        draws = [
            [oracle.word(seed, 2, 0, purpose, s, k, col) for purpose in (noise.STUCK, noise.STUCK_FINE)]
            for seed, col in ((5, n), (key, n // 3))
        ]
        own, beside = (15 * ((high << 16 | low) < round(0.3 * 2**32)) for high, low in draws)
        assert grid_of(W)[s, k, n] == own - beside


def test_each_reference_cell_drifts_by_its_own_exponent():
    device = Device(var=0, LGS=2e-6, drift=Drift(0.1, 0.05))
    W = Engine(device, tile=Tile(300, 4), seed=5).program(np.zeros((300, 8))).at("1 d")
    programmed, cell_format = W.programmed, plans.cell_format(W.config)
    columns = programmed.as_programmed.columns
    siemens = memristors.conductance(device, cell_format, columns)[0]
    exponents = -np.log(siemens / 2e-6) / np.log(86400)
    assert abs(exponents.mean() - 0.1) < 0.01
    assert abs(exponents.std() - 0.05) < 0.005
    below = np.round((siemens - W.conductance()[-1][:, [0, 4]]) / device.grid_unit_S(cell_format.fraction))
    assert np.array_equal(grid_of(W)[0][:, [0, 4]], -below)


def test_samples_of_level_0_are_those_of_reference_cells():
    rows = [[1e-6, 3e-6], [1e-5, 1.2e-5]]
    device = Device(HGS=1.1e-5, LGS=1e-6, g_level=2, var=0, write_var=Samples(rows))
    W = Engine(device, tile=Tile(50, 2), inputs=Format((1, 1)), weights=Format((1, 1)), seed=1).program(
        np.ones((50, 2))
    )
    cell_format = plans.cell_format(W.config)
    found = memristors.conductance(device, cell_format, W.programmed.as_programmed.columns)
    assert set(np.round(np.unique(found) * 1e6, 1)) == {1.0, 3.0}


@pytest.mark.parametrize(
    "device",
    [
        Device(var=0),
        Device(LGS=0),
        Device(LGS=0, write_var=0.2),
        Device(var=0, stuck_LGS=0.2),
        Device(var=0, drift=Drift(0.05)),
        Device(var=(0.0, *(0.05,) * 15)),
        Device(var=Gaussian([0.0, *[1e-7] * 15])),
    ],
    ids=str,
)
def test_reference_cells_that_nothing_moves_are_ideal_and_cost_nothing(rng, device):
    x, w = rng.standard_normal((5, 70)), rng.standard_normal((70, 9))
    for count in (1, 5):
        real = Engine(device, tile=Tile(reference_columns=count), seed=1).program(w)
        ideal = Engine(device, tile=Tile(reference="ideal"), seed=1).program(w)
        assert real.programmed.as_programmed.columns is None
        assert same_bits(real.read(x, read=0), ideal.read(x, read=0))
        if device.drift is not None:
            assert same_bits(real.at("1 d").read(x, read=0), ideal.at("1 d").read(x, read=0))


@pytest.mark.parametrize(
    "device",
    [
        Device(LGS=0, stuck_HGS=0.1),
        Device(LGS=0, var=Gaussian(1e-7)),
        Device(var=0, stuck_LGS=0.1, drift=Drift(0.05)),
        Device(var=0, drift=Drift(0.05, 0.01)),
        Device(var=(0.05, *(0.0,) * 15)),
    ],
    ids=str,
)
def test_reference_cells_that_something_moves_are_held(device):
    config = Config(device)
    assert references.held(config, plans.cell_format(config))
    # of an offset's unit columns also what moves no cell at LGS
    for moved in (Device(LGS=0), Device(var=0, stuck_LGS=0.1), Device(var=(0.0, *(0.05,) * 15))):
        config = Config(moved, weights=Format(mapping="offset"))
        assert references.held(config, plans.cell_format(config))


def test_cells_that_no_read_changes_are_subtracted_once(rng):
    W = Engine(Device(var=0, write_var=0.1), seed=1).program(rng.standard_normal((5, 4)))
    assert W.programmed.as_programmed.columns is not None
    assert W.programmed.as_read.columns is None
    assert np.shares_memory(grid_of(W), W.programmed.as_read.cells)


# -- every way to cut, every backend ----------------------------------------------------------


@twos_and_offset
@each_runner
def test_parts_have_the_reference_cells_of_the_whole(rng, mapping, runner):
    make, backend = RUNNERS[runner]
    x, w = rng.standard_normal((2, 34)), rng.standard_normal((34, 16))  # two panels
    device = Device(LGS=1e-6, write_var=0.1, drift=Drift(0.05, 0.01), stuck_HGS=0.02)
    tile = Tile(2, 7, reference_columns=2)
    engine = Engine(device, tile=tile, weights=Format(mapping=mapping), seed=1, backend=backend)
    for aged in (lambda W: W, lambda W: W.at("1 d")):
        whole = np.asarray(aged(engine.program(make(w))).read(make(x), read=3))
        parts = [aged(engine.program(make(w[:, a:b]), origin=(0, a))) for a, b in ((0, 5), (5, 6), (6, 16))]
        assert same_bits(np.concatenate([np.asarray(part.read(make(x), read=3)) for part in parts], axis=1), whole)
        assert same_bits(
            whole, aged(Engine(device, tile=tile, weights=Format(mapping=mapping), seed=1).program(w)).read(x, read=3)
        )
    grid = grid_of(engine.program(make(w)), 3)
    assert np.array_equal(grid_of(engine.program(make(w[32:]), origin=(32, 0)), 3), grid[:, 32:])


def test_few_rows_are_read_in_blocks_of_columns(rng, monkeypatch):
    x, w = rng.standard_normal((2, 40)), rng.standard_normal((40, 700))
    W = Engine(tile=Tile(16, 24, reference_columns=2), weights=Format(mapping="offset"), seed=1).program(w)
    whole = W.read(x, read=5)
    monkeypatch.setattr(numba_cpu, "STREAM", 1)
    assert same_bits(W.read(x, read=5), whole)


def test_streams_and_names_have_reference_reads_of_their_own(rng):
    engine = Engine(Device(LGS=5e-6), tile=Tile(8, 8), seed=1)
    W, zeros = engine.program(np.zeros((8, 8))), np.zeros((8, 8))
    stream = W.programmed.address.in_stream("a")
    from mpimpy.crossbar.product import read_grid

    cells = W.programmed.as_read
    other = read_grid(numba_cpu, W.config, cells, stream)
    same = read_grid(numba_cpu, W.config, cells, stream)
    assert np.array_equal(other, same)
    assert not np.array_equal(other, grid_of(W))
    columns = [
        references.read(numba_cpu, W.config, plans.cell_format(W.config), cells, address)
        for address in (W.programmed.address, stream, engine.program(zeros, name="b").programmed.address)
    ]
    assert len({array.tobytes() for array in columns}) == 3
    key, base = oracle.reference_key(stream.stream), plans.cell_format(W.config).reference
    for s, k in ((0, 0), (3, 7)):
        factor = oracle.factor("lognormal", 0.05, oracle.word(key, 0, 0, noise.READ, s, k, 0))
        assert columns[1][s, k, 0] == (base * factor + 2**15 >> 16) - base


# -- wires ------------------------------------------------------------------------------------


def solved(cells, beside, tile, wires, fill):
    """Siemens that cells (K, N) and their reference cells pass on, the mean of the latter subtracted, tile by tile."""
    (rows, cols), count, found = tile, beside.shape[2], np.zeros(cells.shape)
    for top in range(0, cells.shape[0], rows):
        for left in range(0, cells.shape[1], cols):
            part = cells[top : top + rows, left : left + cols]
            whole = np.full((rows, cols + count), LOW)
            whole[:, cols:] = fill
            whole[: part.shape[0], : part.shape[1]] = part
            whole[: part.shape[0], cols:] = beside[top : top + rows, left // cols]
            passed = transfer(whole, wires.r_word, wires.r_bit)
            less = passed[:, :cols] - passed[:, cols:].mean(axis=1, keepdims=True)
            found[top : top + rows, left : left + cols] = less[: part.shape[0], : part.shape[1]]
    return found


@twos_and_offset
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_wires_carry_the_currents_of_reference_cells(rng, mapping, exact, count):
    wires, tile = Wires(20.0, 35.0, exact), (7, 4)
    device = Device(HGS=HIGH, LGS=LOW, g_level=32, var=1e-4 if exact else 0.0, write_var=0.2)
    config = Config(
        device,
        adc=FINE,
        tile=Tile(*tile, reference_columns=count),
        weights=Format((1, 3, 4), mapping=mapping),
        wires=wires,
    )
    x, w = operands(rng, 5, 17, 10)
    W = Engine.from_config(config, seed=7).program(w)
    cell_format = plans.cell_format(config)
    columns = memristors.conductance(device, cell_format, W.programmed.as_programmed.columns)[::-1]
    columns, cells = columns.reshape(len(columns), 17, -1, count), W.conductance()
    fills = [LOW + 16 * STEP if mapping == "offset" and j == 0 else LOW for j in range(len(cells))]
    levels = [solved(*one, tile, wires, fill) / STEP for *one, fill in zip(cells, columns, fills, strict=True)]
    codes = sum(a / v * one for a, v, one in zip(COUNTS[mapping], STRIDES[mapping], levels, strict=True))
    scales = W.programmed.scales[0]
    expected = x @ (codes * np.repeat(scales, 7, axis=0)[:17])
    tolerance = half_a_grid_unit(x, scales, mapping, cells=3)
    if exact:  # a read moves each cell a little
        tolerance += 0.002 * np.abs(expected).max()
    assert np.abs(W.read(x, read=0) - expected).max() <= tolerance
    plain = Engine.from_config(config.replace(tile={"reference": "ideal", "reference_columns": 1}), seed=7)(
        x, w, read=0
    )
    assert np.abs(plain - expected).max() > 3 * tolerance


def test_other_reads_scale_what_reference_cells_pass_on(rng):
    # with LGS far above 0, the reference's own factor tells
    device = Device(HGS=HIGH, LGS=8e-6, g_level=32, var=0.1)
    config = Config(device, adc=FINE, tile=Tile(7, 4), weights=Format((1, 3, 4)), wires=Wires(20.0, 35.0))
    W = Engine.from_config(config, seed=7).program(rng.standard_normal((7, 4)))
    cells, unit = W.programmed.as_read, device.grid_unit_S(plans.cell_format(config).fraction)
    base, key = 8e-6 / unit, oracle.reference_key(7)
    for s, k, n in [(0, 0, 0), (1, 3, 2), (2, 6, 3)]:
        own, beside = (
            oracle.factor("lognormal", 0.1, oracle.word(seed, 0, 4, noise.READ, s, k, col)) / 65536
            for seed, col in ((7, n), (key, 0))
        )
        expected = (cells.cells[s, k, n] + base) * own - (cells.columns.cells[s, k, 0] + base) * beside
        assert abs(grid_of(W, 4)[s, k, n] - expected) < 3


# -- what is shown ----------------------------------------------------------------------------


def test_conductances_of_reference_columns(rng):
    w = rng.standard_normal((5, 7))
    device = Device(LGS=1e-6, var=0, write_var=0.1)
    fmt = Format((1, 2, 3), mapping="offset")
    W = Engine(device, tile=Tile(3, 4, reference_columns=2), weights=fmt, seed=1).program(w, origin=(3, 3))
    found = W.reference_conductance()
    assert found.shape == (2, 5, 3 * 2)  # columns 3, 4 to 7 and 8 to 9
    steps = (found / 1e-6 - 1) / 0.6
    assert abs(np.median(steps[0]) - 8) < 0.5
    assert abs(np.median(steps[1])) < 0.2
    cells = (W.conductance()[:, :, 1] - found[:, :, 2:4].mean(axis=2)) / (9e-6 / 15)
    f = plans.cell_format(W.config).fraction
    assert np.abs(np.flip(grid_of(W), 0)[:, :, 1] / 2.0**f - cells).max() < 2.0**-f
    ideal = Engine(device, tile=Tile(3, 4, "ideal"), weights=fmt, seed=1).program(w)
    assert np.allclose(ideal.reference_conductance()[:, 0, 0], [1e-6 + 8 * 6e-7, 1e-6])
    quiet = Engine(Device(LGS=1e-6, var=0), weights=fmt, seed=1).program(w)
    assert np.allclose(quiet.reference_conductance()[:, 0, 0], [1e-6 + 8 * 6e-7, 1e-6])
    double = Format((1, 3), bw_e=8, double=True)
    assert Engine(Device(), weights=double, seed=1).program(w).reference_conductance().shape == (2, 2, 5, 1)
    assert Engine(seed=1).program(np.zeros((5, 0))).reference_conductance().shape == (4, 5, 0)
    with pytest.raises(ValueError, match="differential pairs have no reference columns: their g- cells are subtracted"):
        Engine(weights=Format(mapping="pair"), seed=1).program(w).reference_conductance()


def test_reports_and_plans_tell_the_reference(rng):
    x, w = rng.standard_normal((64, 64)), rng.standard_normal((64, 64))

    def report(tile, device=None, **parts):
        return Engine(device or Device(), adc=FINE, tile=tile, seed=1, **parts).program(w).report(x, w)

    offset = {"weights": Format(mapping="offset")}
    found, ideal = report(Tile(), **offset), report(Tile(reference="ideal"), **offset)
    assert found.reference == f"1 an array, of real cells; {ideal.snr_dB:.2f} dB with ideal ones"
    assert ideal.snr_dB > found.snr_dB + 1
    assert f"reference columns  {found.reference}\n" in str(found)
    assert ideal.reference == "ideal, without variation"
    assert report(Tile(), Device(var=0)).reference == "1 an array, of real cells, which nothing moves"
    assert report(Tile(), weights=Format(mapping="pair")).reference == ""
    assert [report(Tile(reference_columns=n)).reference_cells for n in (1, 3)] == [4 * 64, 12 * 64]
    for device, tile, words in (
        (Device(), Tile(), "the reference column of real cells is subtracted again for each read, as it meets them"),
        (
            Device(var=0, write_var=0.1),
            Tile(reference_columns=2),
            "2 columns of real cells are averaged and subtracted",
        ),
    ):
        assert words in str(Engine(device, tile=tile, seed=1).program(w).read_plan(x))
    assert "reference" not in str(Engine(tile=Tile(reference="ideal"), seed=1).program(w).read_plan(x))
