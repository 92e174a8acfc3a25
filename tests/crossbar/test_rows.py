"""Read variation that every input row draws anew: the formula, the law, and where its numbers live."""

import dataclasses
import math

import numpy as np
import pytest
from libraries import same_bits
from scipy import stats
from strategies import some_runners

from mpimpy import ADC, DAC, SNR, Config, Device, Drift, Engine, Flicker, Format, Gaussian, Tile, Wires, noise
from mpimpy.cells import moments
from mpimpy.crossbar import plan as plans
from mpimpy.crossbar.currents import currents
from mpimpy.matrix import backend_of, encode_inputs
from mpimpy.noise import Address

ROW = Device(redraw="row")
IDEAL = Tile(reference="ideal")


def matrices(rows, depth, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, depth)), rng.standard_normal((depth, width))


def bit_lines(engine, x, w, read=1, **place):
    """{(j, i): currents} of a matrix of one tile and plane, in grid units."""
    matrix = engine.program(w, **place)
    found = currents(backend_of(matrix), *encode_inputs(matrix, x), read)
    return matrix, {(j, i): np.asarray(current) for j, i, current, _ in found}


def normal(seed, row, pair, column, read, chip=0):
    """The normal number of one address, in units of 2**-16: Philox once more, for this one alone."""
    counter = [column // 8, row, read, noise.READ_ROW << 28 | pair << 20 | chip]
    zero = np.zeros(1, np.int64)
    word = noise.philox([zero + c for c in counter], (seed & noise.MASK, seed >> 32))[column % 8 // 2][0]
    half = int(word) >> 16 if column % 2 else int(word) & 0xFFFF
    return int(noise.table_entries(noise.normal_table())[half])


@pytest.mark.parametrize("reference", ["ideal", "cells"])
@pytest.mark.parametrize("mapping", ["twos", "pair"])
def test_a_current_is_that_of_mean_cells_plus_addressed_deviations(mapping, reference):
    x, w = matrices(3, 20, 9)
    tile, seed = Tile(20, 4, reference=reference), 12345678901234
    engine = Engine(ROW, tile=tile, weights=Format(mapping=mapping), seed=seed, chip=5)
    matrix, found = bit_lines(engine, x, w, 7, origin=(40, 12))
    config, grid = engine.config, plans.cell_format(engine.config)
    bits = moments.variance_bits(config, grid, None)
    means, variances = (
        np.asarray(a).astype(object)
        for a in moments.of_cells(backend_of(matrix), config.device, grid, matrix.programmed.as_programmed, bits)
    )
    if mapping == "pair":
        means, variances = means[:3] - means[3:], variances[:3] + variances[3:]
    beside = None
    if reference == "cells" and mapping == "twos":
        columns = matrix.programmed.as_programmed.columns
        beside, shared = (
            np.asarray(a).astype(object)
            for a in moments.of_cells(backend_of(matrix), config.device, grid, columns, bits)
        )
        means = means - np.repeat(beside, 4, axis=2)[:, :, :9]
    digits = np.asarray(encode_inputs(matrix, x)[1].digits).reshape(4, 3, 20)
    shift = 16 + bits
    for (j, i), current in found.items():
        codes = digits[i].astype(object) * (15, 5, 15, 15)[i] if i else digits[i].astype(object)
        pair, tile_row = j * 4 + i, 2 << 22
        for m in range(3):
            for n in range(9):
                squares = [int(c) ** 2 for c in codes[m]]
                wanted = sum(int(c) * int(g) for c, g in zip(codes[m], means[j, :, n], strict=True))
                root = math.isqrt(sum(c * int(v) for c, v in zip(squares, variances[j, :, n], strict=True)))
                z = normal(seed, tile_row + m, pair, 12 + n, 7, 5)
                wanted += (z * root + (1 << (shift - 1))) >> shift
                if beside is not None:
                    root = math.isqrt(sum(c * int(v) for c, v in zip(squares, shared[j, :, n // 4], strict=True)))
                    z = normal(noise.derive(seed, "reference"), tile_row + m, pair, 3 + n // 4, 7, 5)
                    wanted -= (z * root + (1 << (shift - 1))) >> shift
                assert current[m, n] == wanted


def repeated(rows, count, **settings):
    """Currents of `count` input rows that are all alike, for the tile's weights: {(j, i): (count, N)}."""
    x, w = matrices(1, rows, 64, seed=rows)
    engine = Engine(seed=3, **settings)
    matrix, found = bit_lines(engine, np.repeat(x, count, axis=0), w)
    return matrix, encode_inputs(matrix, x)[1], found


def law(matrix, inputs, j, i):
    """(codes, conductances) of one pair, in codes and grid units."""
    grid = plans.cell_format(matrix.config)
    codes = np.asarray(inputs.digits).reshape(4, -1)[i] * (1, 5, 15, 15)[i]
    cells = np.asarray(matrix.programmed.as_programmed.cells)[j].astype(float)
    return codes.astype(float), cells * 2.0**matrix.programmed.as_programmed.level_shift + grid.reference, grid


def test_currents_have_the_mean_and_the_variance_of_the_law():
    count, s = 4000, 0.05
    matrix, inputs, found = repeated(64, count, device=ROW, tile=IDEAL)
    for (j, i), current in found.items():
        codes, g, grid = law(matrix, inputs, j, i)
        mean = codes @ (g * math.exp(s**2 / 2) - grid.reference)
        variance = codes**2 @ g**2 * math.expm1(s**2) * math.exp(s**2)
        # means are exact but for the rounding of each cell
        error = 5 * np.sqrt(variance / count) + 0.5 * np.sqrt(codes @ codes) * 3
        assert (np.abs(current.mean(axis=0) - mean) < error).all()
        ratio = current.var(axis=0, ddof=1) / variance
        assert abs(ratio.mean() - 1) < 4 * math.sqrt(2 / count / 64) + 1e-3
        assert (np.abs(ratio - 1) < 5.5 * math.sqrt(2 / count)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "known"), [(16, 0.0063), (64, 0.0053), (256, 0.0032)])
def test_currents_are_distributed_as_those_of_single_cells(rows, known):
    # the greatest distance of the distributions, for cells and inputs of one bit
    count, rng = 200_000, np.random.default_rng(rows)
    bits = rng.integers(0, 2, rows) * rng.integers(0, 2, rows)
    drawn = np.concatenate([np.exp(0.05 * rng.standard_normal((count // 10, rows))) @ bits for _ in range(10)])
    drawn = (drawn - drawn.mean()) / drawn.std()
    assert stats.kstest(drawn, "norm").statistic < known + 3 * 0.83 / math.sqrt(count)
    tile = Tile(rows, 64, reference="ideal")
    _, _, found = repeated(rows, 2000, device=ROW, tile=tile)
    current = found[3, 3]
    standard = (current - current.mean(axis=0)) / current.std(axis=0)
    assert stats.ks_2samp(standard.ravel(), drawn).statistic < known + 3 * 0.83 / math.sqrt(min(standard.size, count))


def test_rows_slices_and_columns_draw_alone_and_reference_columns_for_an_array():
    count = 3000
    for reference in ("ideal", "cells"):
        matrix, inputs, found = repeated(
            32, count, device=Device(redraw="row", LGS=2e-6), tile=Tile(32, 16, reference=reference)
        )
        deviations = {pair: current - current.mean(axis=0) for pair, current in found.items()}
        a, b = deviations[0, 1], deviations[0, 0]
        bound = 5 / math.sqrt(count)
        for one, two in ((a[:-1], a[1:]), (a, b), (a, deviations[1, 1])):
            assert abs(np.mean(one * two) / one.std() / two.std()) < 5 / math.sqrt(count)
        correlation = np.corrcoef(a.T)
        array = np.arange(64) // 16
        together = (array[:, None] == array) & ~np.eye(64, dtype=bool)
        assert np.abs(correlation[array[:, None] != array]).max() < bound
        if reference == "ideal":
            assert np.abs(correlation[together]).max() < bound
            continue
        # the columns of an array share the deviation of its reference column, and nothing else
        codes, g, grid = law(matrix, inputs, 0, 1)
        shared, own = codes**2 @ np.full(32, grid.reference**2), codes**2 @ g**2
        wanted = shared / np.sqrt((shared + own)[:, None] * (shared + own))
        assert wanted[together].min() > 0.02
        assert np.abs(correlation - wanted)[together].max() < bound
        assert abs(np.mean((correlation - wanted)[together])) < 0.01


def test_several_reference_columns_vary_less():
    found = {}
    for columns in (1, 4):
        tile = Tile(32, 64, reference_columns=columns)
        _, _, lines = repeated(32, 3000, device=Device(redraw="row", LGS=4e-6), tile=tile)
        deviation = lines[0, 3] - lines[0, 3].mean(axis=0)
        found[columns] = np.cov(deviation.T)[~np.eye(64, dtype=bool)].mean()
    assert 3.4 < found[1] / found[4] < 4.6


CASES = {
    "plain": {"device": Device(redraw="row", write_var=0.02)},
    "ideal": {"adc": ADC(None)},
    "wide": {"adc": ADC(None), "inputs": Format((1, 7)), "dac": DAC(128), "device": Device(redraw="row", g_level=1024)},
    "pair": {"inputs": Format(mapping="signed"), "weights": Format(mapping="pair")},
    "offset": {"weights": Format(mapping="offset")},
    "columns": {"tile": Tile(32, 12, reference_columns=3)},
    "per level": {"device": Device(redraw="row", var=tuple(np.linspace(0.01, 0.08, 16)))},
    "gaussian": {"device": Device(redraw="row", var=Gaussian(2e-7))},
    "flicker": {"device": Device(redraw="row", var=Flicker(0.01))},
    "flicker by conductance": {
        "device": Device(redraw="row", write_var=0.05, var=Flicker((0.03, 0.02, 0.01), conductance_S=(0, 3e-6, 1e-5)))
    },
    "drift": {"device": Device(redraw="row", drift=Drift(0.05, 0.01))},
    "ADC errors": {"adc": ADC(256, noise_lsb=0.5, gain_error=0.01, offset_lsb=0.3)},
    "snap": {"adc": ADC(64, snap=True)},
    "planes": {
        "inputs": Format((1, 1, 2, 4), bw_e=8, double=True),
        "weights": Format((1, 3, 4), bw_e=8, double=True),
    },
    "DAC noise": {"dac": DAC(vnoise=0.01)},
    "wires": {"wires": Wires(2.0, 2.0)},
}


@pytest.mark.parametrize("case", CASES)
def test_every_backend_and_every_part_has_the_same_bits(case):
    settings = {"device": ROW, "tile": Tile(32, 12)} | CASES[case]
    x, w = (array.astype(np.float32) for array in matrices(3, 70, 20))
    whole = None
    for _, to, backend in some_runners(list(CASES).index(case)):
        engine = Engine(**settings, seed=3, backend=backend)
        y = np.asarray(engine.program(to(w), origin=(64, 12)).read(to(x), read=2))
        whole = y if whole is None else whole
        assert same_bits(y, whole)
    engine = Engine(**settings, seed=3)
    part = engine.program(w[:, 12:], origin=(64, 24)).read(x[2:], read=2, first_row=2)
    assert same_bits(part, whole[2:, 12:])
    again = engine.program(w, origin=(64, 12))
    assert not np.array_equal(again.read(x, read=3), whole)
    assert same_bits(np.concatenate([again.read(x[k : k + 1], read=2, first_row=k) for k in range(3)]), whole)


@pytest.mark.parametrize("case", ["plain", "pair", "columns", "gaussian", "DAC noise", "planes"])
def test_rows_have_the_error_of_slices(case):
    # a draw for each slice errs as much as one for each row and slice: only rows are alike in it
    settings = {"device": ROW, "tile": Tile(32, 12)} | CASES[case] | {"adc": ADC(None)}
    x, w = matrices(48, 96, 48)
    found = []
    for redraw in ("slice", "row"):
        settings["device"] = dataclasses.replace(settings["device"], redraw=redraw)
        matrix = Engine(**settings, seed=4).program(w)
        found.append(np.mean([SNR(matrix.read(x, read=k), x @ w) for k in range(6)]))
    assert abs(found[0] - found[1]) < 0.35


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "inputs", "wanted"),
    [
        ("twos", "twos", (19.18, 12.31, 12.47)),
        ("twos", "signed", (19.18, 21.06, 21.03)),
        ("pair", "twos", (27.57, 21.30, 21.10)),
        ("pair", "signed", (27.57, 29.39, 29.50)),
    ],
)
def test_how_long_a_draw_lasts_decides_the_error(weights, inputs, wanted):
    # (product, slice, row) of an independent simulation of 64 x 64 arrays with an ideal ADC
    for redraw, snr in zip(("product", "slice", "row"), wanted, strict=True):
        engine = Engine(
            Device(redraw=redraw),
            adc=ADC(None),
            tile=IDEAL,
            inputs=Format(mapping=inputs),
            weights=Format(mapping=weights),
            seed=1,
        )
        found = []
        for seed in range(12):
            x, w = matrices(64, 64, 64, seed)
            found.append(SNR(engine.program(w, chip=seed).read(x, read=seed), x @ w))
        assert abs(np.mean(found) - snr) < 0.1 + 4 * np.std(found) / math.sqrt(12)


def test_no_read_variation_is_the_same_however_long_a_draw_lasts():
    x, w = matrices(4, 70, 9)
    quiet = Engine(Device(var=0), seed=1)(x, w)
    assert same_bits(Engine(Device(var=0, redraw="row"), seed=1)(x, w), quiet)


def test_streams_and_reads_draw_other_numbers():
    x, w = matrices(4, 70, 9)
    matrix = Engine(ROW, seed=1).program(w)
    one, two = matrix.read(x, read=0), matrix.in_stream("worker").read(x)
    assert not np.array_equal(one, two)
    assert same_bits(two, Engine(ROW, seed=1).program(w).in_stream("worker").read(x))
    key = noise.derive(1, "stream", "s")
    address = Address(1, 0, 0, noise.READ_ROW).in_stream("s")
    assert address.key == (key & noise.MASK, key >> 32)


def test_what_has_no_whole_currents_is_refused(tmp_path):
    x, w = matrices(4, 64, 64)
    engine = Engine(ROW, seed=1)
    with pytest.raises(ValueError, match=r"calibrate looks at single currents, .* engine with redraw='slice'"):
        engine.calibrate(x, w)
    pair = Engine(ROW, weights=Format(mapping="pair"), seed=1).program(w)
    with pytest.raises(TypeError, match="redraw='row' draws currents of bit lines"):
        pair.T.read(w.T, read=0)
    with pytest.raises(ValueError, match=r"4194304 input rows|input rows are more than redraw='row' has addresses for"):
        engine.program(w).read(x, read=0, first_row=2**22)


def test_chips_reports_and_plans_tell_it(tmp_path):
    from mpimpy import load

    x, w = matrices(4, 64, 64)
    matrix = Engine(ROW, seed=1).program(w)
    matrix.save(tmp_path / "chip.npz")
    again = load(tmp_path / "chip.npz")
    assert again.config.device.redraw == "row"
    assert same_bits(again.read(x, read=1), matrix.read(x, read=1))
    text = str(matrix.report(x, w))
    assert "drawn for each input row and slice; " in text
    assert "if for the whole product (redraw='product')" in text
    plan = str(matrix.read_plan(x))
    assert "rows draw their currents" not in plan
    assert "every input row draws read variation anew" in plan
    plain = Engine(ROW, seed=1, backend="reference").program(w).read_plan(x)
    assert "rows draw their currents: float64 products in plain array-API calls" in str(plain)
    settings = Config(ROW).to_dict()
    assert Config.from_dict(settings).device.redraw == "row"
    del settings["device"]["redraw"]
    assert Config.from_dict(settings).device.redraw == "product"


def test_products_and_their_currents_have_the_same_addresses(monkeypatch):
    # of all planes: no pair of slices has the numbers of another
    x, w = matrices(2, 70, 9)
    engine = Engine(ROW, **CASES["planes"], seed=1, backend="reference")  # others draw inside their kernels
    matrix = engine.program(w)
    backend, found = backend_of(matrix), []
    draw = backend.perturb

    def perturb(cells, effect, address, *others, **named):
        if address.purpose == noise.READ_ROW:
            found.append((address, cells.shape))
        return draw(cells, effect, address, *others, **named)

    monkeypatch.setattr(backend._read, "perturb", perturb)
    monkeypatch.setattr(backend, "perturb", perturb)
    matrix.read(x, read=3)
    of_product, found = found, []
    list(currents(backend, *encode_inputs(matrix, x), 3))
    assert sorted(map(str, of_product)) == sorted(map(str, found))
    # 2 tiles, 2 x 4 input slices, 2 x 3 weight slices; each for the cells and for the reference columns
    assert len(found) == len(set(found)) == 2 * 8 * 6 * 2
    assert {address.chip >> 20 for address, _ in found} == set(range(48))
