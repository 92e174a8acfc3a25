"""Wire resistance in products: what tiles pass on, by transfer matrices that are built here from the cells."""

import itertools

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from libraries import RUNNERS, same_bits
from strategies import examples, products, runners

from mpimpy import ADC, DAC, SNR, Config, Device, DPETensor, Drift, Engine, Format, Tile, Wires, backends, noise
from mpimpy import explain as report_on
from mpimpy.cells import wiring
from mpimpy.converters import column_share, full_scale_amperes
from mpimpy.matrix import backend_of
from mpimpy.wires import transfer

MAPPINGS = ["twos", "pair", "offset"]
SLICES = (1, 3, 4)
# level of digit 1 and what it counts for, most significant first, with 32 levels
STRIDES = {"twos": (31, 4, 2), "pair": (4, 2), "offset": (2, 2)}
COUNTS = {"twos": (-128, 16, 1), "pair": (16, 1), "offset": (16, 1)}
HIGH, LOW, LEVELS = 3.2e-5, 1e-6, 32
STEP = (HIGH - LOW) / (LEVELS - 1)
OHMS = Wires(20.0, 35.0)
mapped = pytest.mark.parametrize("mapping", MAPPINGS)


def device(**settings):
    return Device(**{"HGS": HIGH, "LGS": LOW, "g_level": LEVELS, "var": 0.0} | settings)


def engine_for(mapping="twos", wires=OHMS, adc=None, tile=(7, 4), backend=None, double=False, **settings):
    weights = Format(SLICES, mapping=mapping, bw_e=8 if double else None, double=double)
    adc = ADC(None) if adc is None else adc
    parts = device(**settings), DAC(), adc, Tile(*tile, "ideal"), Format(), weights, wires
    return Engine(*parts, seed=7, chip=2, backend=backend)


def operands(rng, m, k, n, rows=7):
    """Inputs that are codes already, 127 in every row and tile, so that nothing rounds them; any weights."""
    x = rng.integers(-127, 128, (m, k)).astype(float)
    x[:, ::rows] = 127
    return x, rng.standard_normal((k, n))


def through_wires(cells, tile, wires, low=LOW, last=None):
    """Siemens that cells (K, N) pass on, less what the column after the last does: tile by tile."""
    last = low if last is None else last
    rows, cols = tile
    passed = np.zeros(cells.shape)
    for top in range(0, cells.shape[0], rows):
        for left in range(0, cells.shape[1], cols):
            part = cells[top : top + rows, left : left + cols]
            whole = np.full((rows, cols + 1), low)
            whole[: part.shape[0], : part.shape[1]] = part
            whole[:, -1] = last
            found = transfer(whole, wires.r_word, wires.r_bit)
            passed[top : top + rows, left : left + cols] = (found[:, :-1] - found[:, -1:])[
                : part.shape[0], : part.shape[1]
            ]
    return passed


def levels_through_wires(cells, mapping, tile, wires, low=LOW, unit=None):
    """Levels of every digit, (slices, K, N), most significant first, of cells (slices or 2, slices, K, N)."""
    if mapping == "pair":
        plus, minus = (np.stack([through_wires(one, tile, wires, low) for one in side]) for side in cells)
        return (plus - minus) / STEP
    unit = low + 8 * 2 * STEP if unit is None else unit  # half of 16 digits of 2 levels
    ends = [unit if mapping == "offset" and j == 0 else low for j in range(len(cells))]
    return np.stack([through_wires(one, tile, wires, low, end) for one, end in zip(cells, ends, strict=True)]) / STEP


def weights_of(levels, scales, mapping, rows):
    """The weights that levels of digits stand for, with scales (tiles, N)."""
    codes = sum(a / v * one for a, v, one in zip(COUNTS[mapping], STRIDES[mapping], levels, strict=True))
    return codes * np.repeat(scales, rows, axis=0)[: codes.shape[0]]


def half_a_grid_unit(x, scales, mapping, *, cells=1.0):
    """What rounding each cell to 2**-16 of a level may do to a product."""
    digits = sum(abs(a) / v for a, v in zip(COUNTS[mapping], STRIDES[mapping], strict=True))
    return cells * digits * 2.0**-17 * np.abs(x).sum(axis=1).max() * scales.max() * (2 if mapping == "pair" else 1)


def agree(y, expected, tolerance, plain):
    """Equal within the grid, which is far finer than what the wires do."""
    assert np.abs(y - expected).max() <= tolerance
    assert np.abs(plain - expected).max() > 20 * tolerance


# -- what tiles pass on -----------------------------------------------------------------------


@mapped
@pytest.mark.parametrize("shape", [(7, 4), (17, 10), (3, 2), (14, 9), (8, 8)])
@pytest.mark.parametrize("disturbed", [{}, {"write_var": 0.1, "stuck_HGS": 0.05, "stuck_LGS": 0.05}])
def test_products_are_those_of_transfer_matrices(rng, mapping, shape, disturbed):
    x, w = operands(rng, 5, *shape)
    W = engine_for(mapping, **disturbed).program(w)
    levels = levels_through_wires(W.conductance(), mapping, (7, 4), OHMS)
    expected = x @ weights_of(levels, W.programmed.scales[0], mapping, 7)
    # the cells are on the grid before they are solved, and what they pass on is rounded to it
    tolerance = half_a_grid_unit(x, W.programmed.scales[0], mapping, cells=1.01)
    agree(W.read(x), expected, tolerance, engine_for(mapping, None, **disturbed)(x, w))


@mapped
def test_both_planes_of_a_double_exponent_pass_through_wires(rng, mapping):
    x, w = operands(rng, 5, 17, 10)
    W = engine_for(mapping, double=True).program(w)
    cells = W.conductance()
    parts = [levels_through_wires(plane, mapping, (7, 4), OHMS) for plane in cells]
    expected = sum(x @ weights_of(one, W.programmed.scales[p], mapping, 7) for p, one in enumerate(parts))
    tolerance = sum(half_a_grid_unit(x, scales, mapping, cells=1.01) for scales in W.programmed.scales)
    agree(W.read(x), expected, tolerance, engine_for(mapping, None, double=True)(x, w))


@pytest.mark.parametrize("wires", [Wires(40.0, 0.0), Wires(0.0, 40.0)])
def test_word_and_bit_lines_are_told_apart(rng, wires):
    x, w = operands(rng, 5, 17, 10)
    W = engine_for(wires=wires).program(w)
    levels = levels_through_wires(W.conductance(), "twos", (7, 4), wires)
    expected = x @ weights_of(levels, W.programmed.scales[0], "twos", 7)
    tolerance = half_a_grid_unit(x, W.programmed.scales[0], "twos", cells=1.01)
    agree(W.read(x), expected, tolerance, engine_for(wires=Wires(wires.r_bit, wires.r_word))(x, w))


def test_cells_beyond_the_edges_load_the_lines(rng):
    # the same weights in a tile of their own size: other lines, other currents
    x, w = operands(rng, 5, 5, 3, rows=5)
    ragged, tight = (engine_for(tile=tile)(x, w) for tile in ((7, 4), (5, 3)))
    assert np.abs(ragged - tight).max() > 1e-4 * np.abs(tight).max()
    zeros = np.zeros((7, 4))
    zeros[:5, :3] = w
    padded = engine_for()(np.concatenate([x, np.zeros((5, 2))], axis=1), zeros)
    assert same_bits(padded[:, :3], ragged)


@mapped
def test_conductances_stay_those_of_the_cells(rng, mapping):
    w = rng.standard_normal((17, 10))
    disturbed = {"write_var": 0.1, "stuck_HGS": 0.05}
    for settings_ in ({}, disturbed):
        wired, plain = (engine_for(mapping, wires, **settings_).program(w) for wires in (OHMS, None))
        np.testing.assert_allclose(wired.conductance(), plain.conductance(), atol=STEP * 2.0**-8, rtol=0)
        assert wired.programmed.as_programmed is not wired.programmed.as_read
        assert wired.tiles == plain.tiles
        np.testing.assert_array_equal(wired.codes(), plain.codes())
    assert plain.programmed.as_read is plain.programmed.as_programmed


NO_TIES = [(mapping, adc) for mapping in MAPPINGS for adc in (ADC(None), ADC(2**20))]


# Full scale is odd, 7 * 15 * 31, and so is 255: no current is half way between two codes. (The highest slice of
# an offset covers 16 levels, and snapping halves digits of 2 levels, so there ties are common.)
@pytest.mark.parametrize(("mapping", "adc"), [*NO_TIES, ("twos", ADC(256)), ("pair", ADC(256))])
def test_without_resistance_products_are_those_without_wires(rng, mapping, adc):
    x, w = operands(rng, 5, 17, 10)
    plain = engine_for(mapping, None, adc)(x, w)
    hardly = engine_for(mapping, Wires(1e-4, 1e-4), adc)(x, w)
    np.testing.assert_allclose(hardly, plain, rtol=0, atol=1e-6 * np.abs(plain).max())
    # and errors grow with it, from nothing
    found = [SNR(engine_for(mapping, Wires(r, r))(x, w), engine_for(mapping, None)(x, w)) for r in (0.1, 1, 10, 100)]
    assert all(a > b + 12 for a, b in itertools.pairwise(found))
    assert found[0] > 60


# -- reads that vary --------------------------------------------------------------------------


def factors(cells, sigma, read):
    """The factor of every cell's read, by the generator: slices least significant first, g+ cells before g-."""
    flat = np.flip(cells, axis=-3).reshape(-1, *cells.shape[-2:])
    found = np.empty(flat.shape)
    for place in np.ndindex(flat.shape):
        draw = oracle.word(7, 2, read, noise.READ, *place)
        found[place] = oracle.factor("lognormal", sigma, draw) / 65536
    return np.flip(found.reshape(cells.shape), axis=-3)


@mapped
@pytest.mark.parametrize("write_var", [0.0, 0.05])
def test_exact_reads_solve_the_circuit_with_each_reads_conductances(rng, mapping, write_var):
    x, w = operands(rng, 5, 9, 6)
    wires = Wires(OHMS.r_word, OHMS.r_bit, exact_reads=True)
    W = engine_for(mapping, wires, var=0.1, write_var=write_var).program(w)
    cells = W.conductance()
    tolerance = half_a_grid_unit(x, W.programmed.scales[0], mapping, cells=3.0)  # cells, factors and what is passed on
    results = []
    for read in (3, 4):
        noisy = cells * factors(cells, 0.1, read)
        # cells saturate two ranges above the reference, beyond any of these
        levels = levels_through_wires(noisy, mapping, (7, 4), wires)
        expected = x @ weights_of(levels, W.programmed.scales[0], mapping, 7)
        y = W.read(x, read=read)
        results.append(y)
        agree(
            y,
            expected,
            tolerance,
            engine_for(mapping, OHMS, var=0.1, write_var=write_var).program(w).read(x, read=read),
        )
    assert not same_bits(*results)
    assert W.programmed.as_read is W.programmed.as_programmed


@mapped
def test_other_reads_scale_what_cells_pass_on(rng, mapping):
    x, w = operands(rng, 5, 9, 6)
    W = engine_for(mapping, var=0.1).program(w)
    cells, rho = W.conductance(), LOW / STEP
    sides = [through_wires(one, (7, 4), OHMS) / STEP for one in cells.reshape(-1, 9, 6)]
    if mapping == "offset":
        # what the highest digit's cells pass on counts from the unit column, 16 levels up
        sides[0] = through_wires(cells[0], (7, 4), OHMS, last=LOW + 16 * STEP) / STEP + 16
    passed = np.stack(sides).reshape(cells.shape)
    noisy = (passed + rho) * factors(cells, 0.1, 3) - rho
    levels = noisy[0] - noisy[1] if mapping == "pair" else noisy
    if mapping == "offset":
        levels[0] -= 16
    expected = x @ weights_of(levels, W.programmed.scales[0], mapping, 7)
    tolerance = half_a_grid_unit(x, W.programmed.scales[0], mapping, cells=4.0)
    agree(W.read(x, read=3), expected, tolerance, engine_for(mapping, None, var=0.1).program(w).read(x, read=3))


@mapped
@pytest.mark.parametrize("exact", [False, True])
def test_aged_cells_are_solved_again(rng, mapping, exact):
    x, w = operands(rng, 5, 17, 10)
    wires = Wires(OHMS.r_word, OHMS.r_bit, exact_reads=exact)
    # reads that all but do not vary, for exact ones to have something to solve for
    settings_ = {"drift": Drift(0.05, t0_s=1.0), "write_var": 0.05, "var": 1e-4 if exact else 0.0}
    W = engine_for(mapping, wires, **settings_).program(w)
    old = W.at(1e6)
    decay = 1e6**-0.05
    np.testing.assert_allclose(old.conductance(), W.conductance() * decay, atol=STEP * 2.0**-9, rtol=1e-4)
    unit = (LOW + 16 * STEP) * decay
    levels = levels_through_wires(old.conductance(), mapping, (7, 4), wires, LOW * decay, unit)
    expected = x @ weights_of(levels, W.programmed.scales[0], mapping, 7)
    size = np.abs(expected).max()
    # LGS and the unit column are rounded to the grid too; reads vary by 1e-4
    tolerance = half_a_grid_unit(x, W.programmed.scales[0], mapping, cells=4.0) + (2e-3 * size if exact else 0)
    assert np.abs(old.read(x, read=0) - expected).max() <= tolerance
    stale = x @ weights_of(
        levels_through_wires(W.conductance(), mapping, (7, 4), wires) * decay, W.programmed.scales[0], mapping, 7
    )
    assert np.abs(stale - expected).max() > 2 * tolerance  # not the fresh transfer matrix, scaled
    compensated = W.at(1e6, compensate=True).read(x, read=0)
    np.testing.assert_allclose(compensated, old.read(x, read=0) / decay, rtol=1e-3, atol=1e-3 * size)
    assert W.at(1.0).read(x, read=0).tolist() == W.read(x, read=0).tolist()


# -- the same bits, however it is cut up ------------------------------------------------------


@pytest.mark.slow
@given(products(ideal=False, wired=True).filter(lambda case: case[0].wires is not None), runners())
@settings(max_examples=examples(12))
def test_every_backend_gives_the_same_bits(case, chosen):
    config, x, w = case
    x.flags.writeable = w.flags.writeable = False
    results = {}
    for name, make, backend in chosen:
        a, b = (x, w) if name.startswith("numpy") else (make(x), make(w))
        y = Engine.from_config(config, seed=3, chip=1, backend=backend).program(b).read(a, read=5)
        assert type(y) is type(a)
        assert str(y.dtype).rpartition(".")[2] == np.result_type(x, w).name
        results[name] = np.asarray(y)
    for name, y in results.items():
        assert same_bits(y, results["numpy reference"]), name


@pytest.mark.slow
@mapped
@pytest.mark.parametrize("exact", [False, True])
def test_mappings_and_exact_reads_have_the_same_bits(rng, mapping, exact):
    x, w = operands(rng, 5, 17, 10)
    wires = Wires(20.0, 35.0, exact_reads=exact)
    found = []
    for make, backend in RUNNERS.values():
        engine = engine_for(mapping, wires, ADC(256), backend=backend, var=0.05, write_var=0.05)
        found.append(np.asarray(engine.program(make(w)).read(make(x), read=5)))
    assert all(same_bits(y, found[0]) for y in found)


@mapped
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("cells", [1, 2 * 7 * 3 * 5, 3 * 7 * 3 * 5, 2 * 7 * 3 * 5 - 1])
def test_how_many_tiles_are_solved_at_once_changes_nothing(rng, mapping, exact, cells, monkeypatch):
    # 3 x 3 tiles of 7 x 5 cells, reference column included
    x, w = operands(rng, 5, 17, 10)
    wires = Wires(20.0, 35.0, exact_reads=exact)
    backend, counts = backends.select(x), []
    solve = backend.transfer

    def counted(tiles, *ohms):
        counts.append(tiles.shape)
        return solve(tiles, *ohms)

    monkeypatch.setattr(backend, "transfer", counted)

    def result():
        counts.clear()
        return engine_for(mapping, wires, ADC(256), var=0.05).program(w).read(x, read=5)

    whole = result()
    arrays = {"twos": 3, "pair": 4, "offset": 2}[mapping]
    assert counts == [(9, 7, 5)] * arrays  # once, by programming or by the one exact read
    monkeypatch.setattr(wiring, "CELLS", cells)
    assert same_bits(result(), whole)
    step = max(1, cells // 105)
    assert [count[0] for count in counts] == [3 * min(step, 3 - first) for first in range(0, 3, step)] * arrays


@pytest.mark.parametrize("exact", [False, True])
def test_reading_some_columns_at_a_time_changes_nothing(rng, exact, monkeypatch):
    # blocks of 128 columns, which cut through tiles of 5
    x, w = operands(rng, 5, 9, 140)
    W = engine_for("twos", Wires(20.0, 35.0, exact_reads=exact), ADC(256), (7, 5), var=0.05).program(w)
    found = []
    for stream in (None, 1):
        monkeypatch.setattr(backend_of(W), "STREAM", stream)
        found.append(W.read(x, read=5))
    assert same_bits(*found)
    assert ("columns at a time" in str(W.read_plan(x))) != exact


@mapped
@pytest.mark.parametrize("exact", [False, True])
def test_a_matrix_may_be_cut_where_its_tiles_end(rng, mapping, exact):
    x, w = operands(rng, 5, 17, 10)
    wires = Wires(20.0, 35.0, exact_reads=exact)
    engine = engine_for(mapping, wires, ADC(256), var=0.05, write_var=0.05, stuck_HGS=0.02)
    whole = engine.program(w).read(x, read=5)
    for cut in (4, 8):
        parts = engine.program(w[:, :cut]), engine.program(w[:, cut:], origin=(0, cut))
        assert same_bits(np.concatenate([part.read(x, read=5) for part in parts], axis=1), whole)
    rows = engine.program(w[:7]), engine.program(w[7:], origin=(7, 0))
    parts = [part.read(x[:, cut], read=5) for part, cut in zip(rows, (slice(0, 7), slice(7, 17)), strict=True)]
    np.testing.assert_allclose(sum(parts), whole, rtol=0, atol=1e-12 * np.abs(whole).max())


def test_a_cut_within_a_tile_is_refused(rng):
    w = rng.standard_normal((7, 6))
    message = r"origin=\(7, 6\) cuts through a tile of 4 columns, which its wires join: use a multiple of 4"
    with pytest.raises(ValueError, match=message):
        engine_for().program(w, origin=(7, 6))
    with pytest.raises(ValueError, match=r"origin=\(3, 4\) cuts through a tile of 7 rows"):
        engine_for().program(w, origin=(3, 4))
    engine_for(wires=None).program(w, origin=(7, 6))  # nothing joins them


# -- the ADC's full scale ---------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
@pytest.mark.parametrize("wires", [Wires(2.93, 2.93), Wires(0.0, 100.0), Wires(1e4, 0.0), Wires(30.0, 700.0)])
def test_full_scale_is_that_of_a_lone_column(rows, wires):
    cells = device()
    high, low = (transfer(np.full((rows, 1), g), wires.r_word, wires.r_bit).sum() for g in (HIGH, LOW))
    share = (high - low) / (rows * (HIGH - LOW))
    assert float(column_share(cells, wires, rows)) == pytest.approx(share, rel=1e-12)
    assert column_share(cells, None, rows) == 1
    config = Config(cells, DAC(vread=0.3), ADC(256), Tile(rows, 4), wires=wires)
    assert full_scale_amperes(config) == pytest.approx(0.3 * (high - low), rel=1e-12)


@pytest.mark.parametrize("mapping", ["twos", "pair"])
def test_a_column_at_its_highest_takes_the_highest_code(mapping):
    # word lines without resistance leave columns alone; digits of one bit, so that all cells are at HGS
    fmt = Format((1, 1), mapping=mapping)
    wires = Wires(0.0, 200.0)
    share = float(column_share(device(g_level=2), wires, 64))
    assert share < 0.8
    for radc, saturate in ((256, True), (256, False), (5, True)):
        engine = Engine(
            device(g_level=2), DAC(2), ADC(radc, saturate=saturate), Tile(64, 3), Format((1, 1)), fmt, wires, seed=1
        )
        x, w = np.ones((1, 64)), np.ones((64, 3))
        np.testing.assert_allclose(engine(x, w), 64 * share, rtol=1e-6)


# -- settings and reports ---------------------------------------------------------------------


def test_flat_settings_say_the_same(rng):
    x, w = operands(rng, 5, 70, 10)
    for given_, wires in (
        ({"wire_resistance": 2.93}, Wires(2.93, 2.93)),
        ({"wire_resistance": np.float32(3)}, Wires(3.0, 3.0)),
        ({"wire_resistance": (1, 40.0)}, Wires(1.0, 40.0)),
        ({"wire_resistance": [0, 40]}, Wires(0.0, 40.0)),
        ({"wire_resistance": 5, "exact_reads": True}, Wires(5.0, 5.0, exact_reads=True)),
        ({"wire_resistance": 0}, None),
    ):
        flat = DPETensor(**given_, seed=1)
        assert flat.config.wires == wires
        assert same_bits(flat(x, w), Engine(wires=wires, seed=1)(x, w))
        assert ("wire_resistance=" in repr(flat)) == (wires is not None)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Wires(0, 0), ValueError, r"Wires\(0, 0\) has no effect: use wires=None for wires without resistance"),
        (lambda: Wires(-1, 0), ValueError, r"r_word=-1 Ohm is out of range: it must be at least 0 Ohm"),
        (lambda: Wires(1, np.inf), ValueError, r"r_bit=inf must be finite"),
        (lambda: Wires(1, 1, exact_reads=1), TypeError, r"exact_reads=1 must be True or False"),
        (lambda: Config(wires=2.93), TypeError, r"wires=2.93 must be None or Wires, such as Wires\(r_word=2.93"),
        (
            lambda: Config(Device(var=0), wires=Wires(1, 1, exact_reads=True)),
            ValueError,
            r"exact_reads=True has no effect without read variation \(var=0\): leave it out",
        ),
        (
            lambda: DPETensor(exact_reads=True),
            ValueError,
            r"exact_reads=True has no effect without wires: set wire_resistance, or leave it out",
        ),
        (
            lambda: DPETensor(wire_resistance=(1, 2, 3)),
            ValueError,
            r"wire_resistance=\(1, 2, 3\) must be one number, or two: of a word line's segment and a bit line's",
        ),
        (lambda: DPETensor(wire_resistance=-2), ValueError, r"wire_resistance=-2 Ohm is out of range"),
        (lambda: Config().replace(wires={"r_bit": 1}), ValueError, r"wires is None, so there is nothing to change in"),
    ],
)
def test_settings_are_checked(build, error, message):
    with pytest.raises(error, match=message):
        build()


@mapped
def test_reports_tell_what_wires_cost(rng, mapping):
    x, w = operands(rng, 8, 17, 10)
    settings_ = {
        "HGS": HIGH, "LGS": LOW, "g_level": LEVELS, "var": 0.02, "array_size": (7, 4), "w_slices": SLICES,
        "w_mapping": mapping, "seed": 7,
    }  # fmt: skip
    report = report_on(x, w, wire_resistance=(20.0, 35.0), **settings_)
    wires = next(effect for effect in report.effects if effect.name == "wire resistance")
    W = engine_for(mapping).program(w)
    ideal = x @ W.decoded()
    exact = x @ w
    assert wires.alone_dB == pytest.approx(SNR(exact + W.read(x) - ideal, exact), abs=1e-6)
    plain = DPETensor(**settings_).program(w)
    assert wires.without_dB == pytest.approx(SNR(plain.read(x, read=0), exact), abs=1e-6)
    wired = DPETensor(wire_resistance=(20.0, 35.0), **settings_).program(w)
    assert report.snr_dB == pytest.approx(SNR(wired.read(x, read=0), exact), abs=1e-6)
    assert report.full_scale_A == pytest.approx(full_scale_amperes(wired.config))
    assert "wire resistance" in str(report)
    assert "wire resistance" not in str(report_on(x, w, **settings_))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("adc", [ADC(None), ADC(256), ADC(range="lossless")])
def test_ways_of_products_with_wires_are_explained(rng, exact, adc):
    x, w = operands(rng, 5, 17, 10)
    wires = Wires(20.0, 35.0, exact_reads=exact)
    W = engine_for("twos", wires, adc, var=0.05).program(w)
    text = str(W.read_plan(x))
    assert "cells int32" in text or "int16" in text
    # wires keep slices from folding into one product of whole codes
    quiet = engine_for("twos", Wires(20.0, 35.0), adc).program(w)
    assert "nothing is lost" not in str(quiet.read_plan(x))
    assert ("nothing is lost" in str(engine_for("twos", None, adc).program(w).read_plan(x))) == (adc != ADC(256))
