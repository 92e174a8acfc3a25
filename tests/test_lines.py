"""Wires in the engine: a product is the plain one with what each cell passes on in its place."""

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits
from strategies import configs, matrices

from mpimpy import (
    ADC,
    DAC,
    SNR,
    Config,
    Device,
    DPETensor,
    Engine,
    Format,
    Tile,
    Wires,
    backends,
    converters,
    crossbar,
    explain,
    lines,
    random,
)
from mpimpy.backends import _jit
from mpimpy.wires import transfer

HIGH, LOW = 1e-5, 1e-7
WIRES = Wires(7.0, 3.0)
mapped = pytest.mark.parametrize("mapping", ["twos", "pair", "offset"])


def passed_on(siemens, config, fraction=None, unit=None):
    """What cells pass on beyond the reference column, in levels: tile by tile, whole arrays, cells at LGS around.

    `fraction`: on the grid of 2**fraction units a level.

    `unit`: conductance of the last column's cells, if it is not the reference column.
    """
    rows, cols, wires, low = config.tile.rows, config.tile.cols, config.wires, config.device.LGS
    out, step = np.empty_like(siemens), (config.device.HGS - low) / (config.device.g_level - 1)
    for top in range(0, siemens.shape[0], rows):
        for left in range(0, siemens.shape[1], cols):
            part = siemens[top : top + rows, left : left + cols]
            array = np.full((rows, cols + 1), low)
            array[: part.shape[0], : part.shape[1]] = part
            if unit is not None:
                array[:, -1] = unit
            matrix = transfer(array, wires.r_word, wires.r_bit)
            found = (matrix[:, :-1] - matrix[:, -1:]) / step
            found = found if fraction is None else np.rint(found * 2**fraction) / 2**fraction
            out[top : top + rows, left : left + cols] = found[: part.shape[0], : part.shape[1]]
    return out


def digits_seen(W, cells=None, fraction=None):
    """Per plane and digit, least significant first: ({digit of each weight behind its wires}, what it counts for)."""
    config, fmt = W.config, W.config.weights
    cells = W.conductance() if cells is None else cells
    cells = cells if fmt.double else cells[None]
    widths = fmt.digits[::-1]
    top = config.device.g_level - 1
    step = (config.device.HGS - config.device.LGS) / top
    planes = []
    for plane in cells:
        plane = np.flip(plane, axis=-3)  # least significant first
        found = []
        for j, b in enumerate(widths):
            stride = top // (2**b - 1)
            unit = None
            if fmt.mapping == "offset" and j == len(widths) - 1:
                unit = config.device.LGS + 2 ** (b - 1) * stride * step
            if fmt.mapping == "signed":
                levels = passed_on(plane[0, j], config, fraction) - passed_on(plane[1, j], config, fraction)
            else:
                levels = passed_on(plane[j], config, fraction, unit)
            sign = -1 if fmt.mapping == "twos" and j == len(widths) - 1 else 1
            found.append((levels / stride, sign * 2 ** sum(widths[:j]), stride))
        planes.append(found)
    return planes


def weights_seen(W, fraction=None, cells=None):
    """The matrix that a product with an ideal ADC is with; `fraction`: on the grid."""
    total = 0.0
    rows = W.config.tile.rows
    for plane, scales in zip(digits_seen(W, cells, fraction), W.scales, strict=True):
        scales = np.repeat(scales, rows, axis=0)[: W.shape[0]]
        for digit, share, _ in plane:
            total = total + digit * share * scales
    return total


def seen_inputs(x, fmt, rows):
    """Inputs quantised to INT with a scale for each row in each tile."""
    out = np.empty_like(x)
    for start in range(0, x.shape[1], rows):
        part = x[:, start : start + rows]
        scale = np.abs(part).max(axis=1, keepdims=True) / (2 ** (sum(fmt.slices) - 1) - 1)
        out[:, start : start + rows] = np.round(part / scale) * scale
    return out


# -- products ---------------------------------------------------------------------------------


@mapped
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("write_var", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(8, 6), (13, 15), (3, 4), (24, 1)])
@pytest.mark.parametrize("wires", [WIRES, Wires(0, 40.0), Wires(40.0, 0)])
def test_products_are_those_of_what_cells_pass_on(rng, mapping, double, write_var, shape, wires):
    x, w = rng.standard_normal((5, shape[0])), rng.standard_normal(shape)
    fmt = Format((1, 1, 3), bw_e=8 if double else None, double=double, mapping=mapping)
    device = Device(HIGH, LOW, 17, var=0, write_var=write_var, stuck_HGS=0.02 if write_var else 0)
    engine = Engine(device, DAC(), ADC(None), Tile(8, 6), Format(), fmt, wires, seed=1)
    W = engine.program(w)
    expected = weights_seen(W)
    fraction = 16
    assert crossbar.make_grid(W.config).fraction == fraction
    y = W.read(x)
    xs = seen_inputs(x, engine.config.inputs, 8)
    # within the grid: half a unit for each cell, where one level is 2**16 units
    units = sum(share / stride for _, share, stride in ((d, abs(a), s) for d, a, s in digits_seen(W)[0]))
    bound = np.abs(xs) @ np.repeat(W.scales.sum(axis=0), 8, axis=0)[: shape[0]] * units * 2.0 ** -(fraction + 1) * 2
    assert np.all(np.abs(y - xs @ expected) <= bound + 1e-12)
    # and on the grid, to rounding
    assert SNR(y, xs @ weights_seen(W, fraction)) > 170
    # the conductances are those of the cells all the same
    plain = Engine(device, DAC(), ADC(None), Tile(8, 6), Format(), fmt, seed=1).program(w)
    np.testing.assert_allclose(W.conductance(), plain.conductance(), rtol=1e-12, atol=1e-9 if write_var else 0)
    assert SNR(y, plain.read(x)) < 90


@mapped
@pytest.mark.parametrize("x_mapping", ["twos", "signed"])
def test_an_adc_reads_currents_behind_wires(rng, mapping, x_mapping):
    x, w = rng.standard_normal((9, 20)), rng.standard_normal((20, 11))
    rows, cols, radc = 7, 4, 501
    inputs, weights = Format((1, 2, 2), mapping=x_mapping), Format((1, 3), mapping=mapping)
    config = Config(Device(var=0), DAC(16), ADC(radc), Tile(rows, cols), inputs, weights, WIRES)
    W = Engine.from_config(config, seed=1).program(w)
    fraction = crossbar.make_grid(config).fraction
    lone = [transfer(np.full((rows, 1), g), 7.0, 3.0).sum() for g in (HIGH, LOW)]
    full = rows * 15 * 15 * (lone[0] - lone[1]) / (rows * (HIGH - LOW))
    y = np.zeros((9, 11))
    for start in range(0, 20, rows):
        rows_here = slice(start, start + rows)
        scale = np.abs(x[:, rows_here]).max(axis=1, keepdims=True) / 15
        q = np.round(x[:, rows_here] / scale).astype(int)
        pieces = [(q % 4, 1), (q // 4 % 4, 4), ((q < 0) * 1, -16)]
        if x_mapping == "signed":
            pieces = [(np.sign(q) * (np.abs(q) % 4), 1), (np.sign(q) * (np.abs(q) // 4), 4)]
        digits = digits_seen(W, fraction=fraction)[0]
        for digit, share, stride in digits:
            levels = digit[rows_here] * stride
            for piece, count in pieces:
                u = 15 if count == -16 else 5
                span = full
                if mapping == "offset":
                    span = full * 8 / 15  # half of the range that the only digit has
                adc = np.round(piece * u @ levels / span * (radc - 1))
                y += adc * span / (radc - 1) / (u * stride) * share * count * scale * W.scales[0, start // rows]
    assert SNR(W.read(x), y) > 150


@pytest.mark.parametrize("rows", [1, 2, 16, 64])
@pytest.mark.parametrize("wires", [Wires(2.93, 2.93), Wires(0, 500.0), Wires(500.0, 0), Wires(1e4, 1e3)])
@pytest.mark.parametrize("device", [Device(), Device(HGS=1e-3, LGS=0.0), Device(HGS=2e-5, LGS=1.9e-5)])
def test_adc_full_scale_is_that_of_a_lone_column(rows, wires, device):
    def current(siemens):
        return transfer(np.full((rows, 1), siemens), wires.r_word, wires.r_bit).sum()

    share = (current(device.HGS) - current(device.LGS)) / (rows * (device.HGS - device.LGS))
    assert float(converters.column_share(device, wires, rows)) == pytest.approx(share, rel=1e-9)
    assert converters.column_share(device, None, rows) == 1
    config = Config(device, tile=Tile(rows, 3), wires=wires)
    assert converters.full_scale_amperes(config) == pytest.approx(share * rows * 0.1 * (device.HGS - device.LGS))
    assert converters.full_scale(config, 2**16) == pytest.approx(share * rows * 15 * 15 * 2**16, rel=1e-9, abs=0.51)


def test_a_lone_column_at_its_highest_is_full_scale():
    # array of one column, every cell at HGS, every input at its highest: the highest code, and none clipped
    device, fmt = Device(var=0), {"inputs": Format((1, 4), mapping="signed"), "weights": Format((1, 4), mapping="pair")}
    for radc in (2**10, 2**20):
        engine = Engine(device, adc=ADC(radc), tile=Tile(32, 1), wires=Wires(0, 5.0), **fmt)
        y = engine(np.ones((1, 32)), np.ones((32, 1)))[0, 0]
        ideal = engine.replace(adc={"radc": None})(np.ones((1, 32)), np.ones((32, 1)))[0, 0]
        free = engine.replace(adc={"saturate": False})(np.ones((1, 32)), np.ones((32, 1)))[0, 0]
        share = float(converters.column_share(device, engine.config.wires, 32))
        assert 0.9 < share < 0.995
        assert y == pytest.approx(32 * share, rel=1e-6)
        assert free == y
        assert ideal == pytest.approx(y, rel=0.01)


@mapped
@pytest.mark.parametrize("write_var", [0.0, 0.05])
def test_wires_of_next_to_no_resistance_are_none(rng, mapping, write_var):
    x, w = rng.standard_normal((5, 20)), rng.standard_normal((20, 11))
    fmt = Format((1, 3), mapping=mapping)
    engine = Engine(
        Device(var=0, write_var=write_var), adc=ADC(None), tile=Tile(8, 6), weights=fmt, wires=Wires(1e-9, 1e-9), seed=1
    )
    plain = engine.replace(wires=None)
    tolerance = 1e-12 if not write_var else 2.0**-8  # the grids of write variation differ
    np.testing.assert_allclose(engine(x, w), plain(x, w), rtol=tolerance, atol=tolerance * 10)
    # less resistance, less error
    errors = [SNR(engine.replace(wires=Wires(r, r))(x, w), plain(x, w)) for r in (100, 10, 1)]
    assert errors[0] + 15 < errors[1] < errors[2] - 5


# -- reads ------------------------------------------------------------------------------------


def factors(shape, seed, chip, read, sigma):
    found = np.empty(shape)
    for s, k, n in np.ndindex(shape):
        found[s, k, n] = oracle.factor("lognormal", sigma, oracle.word(seed, chip, read, random.READ, s, k, n)) / 65536
    return found


@mapped
def test_read_variation_scales_what_cells_pass_on(rng, mapping):
    w = rng.standard_normal((9, 5))
    fmt = Format((1, 3), mapping=mapping)
    engine = Engine(Device(var=0.05), adc=ADC(None), tile=Tile(6, 4), weights=fmt, wires=WIRES, seed=3, chip=4)
    W = engine.program(w)
    passed, up = W.wired
    fraction = crossbar.make_grid(W.config).fraction
    rho = LOW / ((HIGH - LOW) / 15)
    noisy = (passed * 2.0 ** (up - fraction) + rho) * factors(passed.shape, 3, 4, 7, 0.05) - rho
    if mapping == "pair":
        net, counts = noisy[:1] - noisy[1:], [(1, 2)]
    elif mapping == "offset":
        net, counts = noisy - 8, [(1, 1)]
    else:
        net, counts = noisy, [(1, 2), (-8, 15)]
    code = sum(level * share / stride for level, (share, stride) in zip(net, counts, strict=True))
    scale = np.repeat(W.scales[0], 6, axis=0)[:9]
    np.testing.assert_allclose(W.read(np.eye(9), read=7), code * scale, atol=2e-3)
    assert not same_bits(W.read(np.eye(9), read=7), W.read(np.eye(9), read=8))


@mapped
@pytest.mark.parametrize("double", [False, True])
def test_exact_reads_solve_the_circuit_of_each_read(rng, mapping, double):
    w = rng.standard_normal((9, 5))
    fmt = Format((1, 1, 2), bw_e=4 if double else None, double=double, mapping=mapping)
    wires = Wires(70.0, 30.0, exact_reads=True)
    engine = Engine(Device(var=0.2), adc=ADC(None), tile=Tile(6, 4), weights=fmt, wires=wires, seed=3, chip=4)
    W = engine.program(w)
    cells = W.conductance()
    stored = np.flip(cells, axis=-3).reshape(-1, 9, 5)  # least significant first
    noisy = np.flip((stored * factors(stored.shape, 3, 4, 7, 0.2)).reshape(cells.shape), axis=-3)
    expected = weights_seen(W, cells=noisy)
    np.testing.assert_allclose(W.read(np.eye(9), read=7), expected, atol=1e-3 * np.abs(expected).max())
    assert SNR(W.read(np.eye(9), read=7), weights_seen(W)) < 25
    # not the same as scaling afterwards
    scaled = engine.replace(wires=Wires(70.0, 30.0)).program(w)
    assert 20 < SNR(scaled.read(np.eye(9), read=7), expected) < 90


def test_wires_of_next_to_no_resistance_read_alike_exactly_or_not(rng):
    x, w = rng.standard_normal((5, 20)), rng.standard_normal((20, 11))
    options = {"tile": Tile(8, 6), "adc": ADC(None), "seed": 1}
    a, b, c = (
        Engine(wires=wires, **options)(x, w) for wires in (Wires(1e-9, 1e-9), Wires(1e-9, 1e-9, exact_reads=True), None)
    )
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a, c, atol=0.02)


# -- the same bits ----------------------------------------------------------------------------


@st.composite
def wired(draw):
    config = draw(configs(ideal=False))
    exact = config.device.var > 0 and draw(st.booleans())
    r = st.sampled_from([0.0, 1.0, 300.0])
    word = draw(r)
    config = config.replace(wires=Wires(word, draw(r) if word else 2.0, exact_reads=exact))
    m, k, n = draw(st.integers(1, 5)), draw(st.integers(1, 21)), draw(st.integers(1, 12))
    return config, draw(matrices((m, k))), draw(matrices((k, n)))


@given(wired())
@settings(max_examples=40)
def test_every_backend_gives_the_same_bits(case):
    config, x, w = case
    w.flags.writeable = x.flags.writeable = False
    results = {}
    for name, (make, backend) in RUNNERS.items():
        a, b = (x, w) if name.startswith("numpy") else (make(x), make(w))
        y = Engine.from_config(config, seed=5, chip=2, backend=backend).program(b).read(a, read=3)
        assert type(y) is type(a)
        assert str(y.dtype).rpartition(".")[2] == np.result_type(x, w).name
        results[name] = np.asarray(y)
    for name, y in results.items():
        assert same_bits(y, results["numpy reference"]), name


@given(wired(), st.data())
@settings(max_examples=40)
def test_cutting_up_columns_at_arrays_changes_nothing(case, data):
    config, x, w = case
    cols = config.tile.cols
    config = config.replace(weights={"granularity": "finest"})
    cut = data.draw(st.integers(0, w.shape[1] // cols)) * cols
    engine = Engine.from_config(config, seed=5)
    whole = engine.program(w).read(x, read=1)
    parts = [
        engine.program(w[:, :cut]).read(x, read=1),
        engine.program(w[:, cut:], origin=(0, cut)).read(x, read=1),
    ]
    assert same_bits(np.concatenate(parts, axis=-1), whole)


@given(wired())
@settings(max_examples=40)
def test_solving_a_few_arrays_at_a_time_changes_nothing(case):
    config, x, w = case
    W = Engine.from_config(config, seed=5).program(w)
    whole = W.read(x, read=1)
    with pytest.MonkeyPatch.context() as patch:
        for cells in (1, 3 * config.tile.rows * (config.tile.cols + 1)):
            patch.setattr(lines, "CELLS", cells)
            assert same_bits(Engine.from_config(config, seed=5).program(w).read(x, read=1), whole)


def test_no_more_arrays_are_solved_at_once_than_asked(rng, monkeypatch):
    # memory: bands of tiles, at least one
    seen = []
    kernels = backends.select(np.zeros(1), "numba")
    solve = kernels.transfer
    monkeypatch.setattr(kernels, "transfer", lambda tiles, *r: (seen.append(tiles.shape), solve(tiles, *r))[1])
    engine = Engine(Device(var=0), tile=Tile(8, 6), weights=Format((1, 3), mapping="pair"), wires=WIRES, seed=1)
    w = rng.standard_normal((50, 20))  # 7 x 4 tiles
    for cells, sizes in ((1, [4] * 7), (2 * 4 * 8 * 7, [8, 8, 8, 4]), (1 << 22, [28])):
        monkeypatch.setattr(lines, "CELLS", cells)
        seen.clear()
        engine.program(w)
        assert seen == [(size, 8, 7) for size in sizes] * 2


def test_a_cut_through_an_array_is_refused():
    engine = DPETensor(array_size=(8, 6), wire_resistance=2.0, seed=1)
    with pytest.raises(ValueError, match=r"origin=\(8, 3\) cuts through a tile of 6 columns, which its wires join: us"):
        engine.program(np.ones((4, 4)), origin=(8, 3))
    with pytest.raises(ValueError, match=r"origin=\(3, 6\) cuts through a tile of 8 rows"):
        engine.program(np.ones((4, 4)), origin=(3, 6))
    assert engine.program(np.ones((4, 4)), origin=(8, 6)).origin == (8, 6)
    # without wires columns may be cut anywhere
    assert engine.replace(wires=None).program(np.ones((4, 4)), origin=(8, 3)).origin == (8, 3)


@pytest.mark.parametrize("exact", [False, True])
def test_thread_count_changes_nothing(rng, exact):
    x, w = rng.standard_normal((70, 100)), rng.standard_normal((100, 90))
    engine = Engine(tile=Tile(32, 32), wires=Wires(2.0, 3.0, exact), seed=1)
    results = []
    try:
        for count in (1, 2, 3):
            _jit.set_num_threads(count)
            results.append(engine.program(w).read(x, read=0))
    finally:
        _jit.set_num_threads(None)
    assert all(same_bits(y, results[0]) for y in results)


@pytest.mark.parametrize("settings", [{}, {"exact_reads": True}])
def test_flat_settings_are_the_parts(rng, settings):
    x, w = rng.standard_normal((3, 70)), rng.standard_normal((70, 70))
    parts = Engine(adc=ADC(256), wires=Wires(2.0, 5.0, **settings), seed=1)
    assert same_bits(DPETensor(wire_resistance=(2.0, 5.0), seed=1, **settings)(x, w), parts(x, w))
    assert not same_bits(DPETensor(wire_resistance=(5.0, 2.0), seed=1, **settings)(x, w), parts(x, w))
    assert same_bits(DPETensor(wire_resistance=0, seed=1)(x, w), DPETensor(seed=1)(x, w))
    assert not same_bits(DPETensor(seed=1)(x, w), parts(x, w))


def test_programming_without_weights():
    W = DPETensor(wire_resistance=2.0, seed=1).program(np.ones((0, 5)))
    assert (np.ones((3, 0)) @ W).tolist() == [[0.0] * 5] * 3


# -- what is said about them ------------------------------------------------------------------


@mapped
@pytest.mark.parametrize("settings", [{"var": 0}, {}, {"exact_reads": True}, {"radc": None}])
def test_ways_are_explained(rng, mapping, settings):
    options = {"array_size": (16, 8), "wire_resistance": 2.0, "w_slices": [1, 3], "w_mapping": mapping, "seed": 1}
    W = DPETensor(**options | settings).program(rng.standard_normal((40, 30)))
    found = backends.explain(np.ones((20, 40)), W)
    assert found.backend == "numba"
    if "radc" not in settings:
        assert [bits for bits, *_ in found.slices] == [1, 1, 2, 4]
        # no folding into codes: cells behind wires sit on no level
        assert "int32" in found.currents
    assert not any("nothing is lost" in note for note in found.notes)


REPORTS = {
    "wires": {},
    "without variation": {"var": 0},
}


@pytest.mark.xfail(strict=True, reason="reports leave out the wires: mpimpy.report programs cells without them")
@pytest.mark.parametrize("settings", REPORTS.values(), ids=REPORTS)
def test_reports_are_of_the_product_with_wires(rng, settings):
    x, w = rng.standard_normal((8, 70)), rng.standard_normal((70, 30))
    options = {"array_size": (32, 16), "wire_resistance": 20.0, "seed": 1} | settings
    report = explain(x, w, **options)
    assert report.snr_dB == pytest.approx(SNR(DPETensor(**options)(x, w), x @ w), abs=1e-9)


@pytest.mark.xfail(strict=True, reason="a report takes the variation away and keeps exact_reads, which is an error")
def test_reports_of_exact_reads(rng):
    x, w = rng.standard_normal((8, 70)), rng.standard_normal((70, 30))
    options = {"array_size": (32, 16), "wire_resistance": 20.0, "exact_reads": True, "seed": 1}
    report = explain(x, w, **options)
    assert report.snr_dB == pytest.approx(SNR(DPETensor(**options)(x, w), x @ w), abs=1e-9)
