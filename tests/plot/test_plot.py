"""Pictures of arrays, conversions and error budgets: what is drawn is what is there."""

import dataclasses
import math
import pickle
import runpy
import subprocess
import sys
from pathlib import Path

import libraries
import numpy as np
import pytest

from mpimpy import ADC, DAC, Device, Drift, Effect, Engine, Format, Tile, Wires, explain, plot, wires
from mpimpy.crossbar import plan as plans
from mpimpy.matrix import backend_of
from mpimpy.operands import encoding
from mpimpy.plot import _conversions

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[2]
VARIED = Device(write_var=0.1, var=0.05, stuck_HGS=0.02, stuck_LGS=0.02)
SMALL = Tile(16, 12)
MAPPINGS = {
    "twos": {},
    "pair": {"weights": Format(mapping="pair"), "inputs": Format(mapping="signed")},
    "offset": {"weights": Format(mapping="offset")},
    "double": {"weights": Format(bw_e=8, double=True), "inputs": Format(bw_e=8, double=True)},
    "pair, double": {"weights": Format((1, 2, 4), bw_e=8, double=True, mapping="pair")},
}
MAKERS = [np.asarray, libraries.to_strict] + ([libraries.to_torch] if libraries.torch else [])


@pytest.fixture
def w(rng):
    return rng.standard_normal((40, 29))


@pytest.fixture
def x(rng):
    return rng.standard_normal((7, 40))


def engine(device=VARIED, seed=1, tile=SMALL, **parts):
    return Engine(device, tile=tile, seed=seed, **parts)


def image(ax):
    [found] = ax.images
    return np.asarray(found.get_array())


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def stairs(ax):
    """Return [(counts, edges, label)] of the filled histograms."""
    return [(*p.get_data()[:2], p.get_label()) for p in ax.patches if type(p).__name__ == "StepPatch" and p.get_fill()]


def pictures(W, x, w):
    return {
        "conductance": lambda ax: plot.conductance(W, ax),
        "ir_drop": lambda ax: plot.ir_drop(W, ax),
        "levels": lambda ax: plot.levels(W, ax),
        "adc_codes": lambda ax: plot.adc_codes(W, x, ax),
        "error_budget": lambda ax: plot.error_budget(explain(x, w, seed=1), ax),
        "scatter": lambda ax: plot.scatter(W.read(x), x @ w, ax),
    }


# -- conductances -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS)
def test_conductance_is_that_of_the_tile(make, w):
    W = engine().program(make(w))
    siemens = np.asarray(W.conductance())
    for slice in range(4):
        for row, col, shape in ((0, 0, (16, 12)), (1, 2, (16, 5)), (2, 1, (8, 12))):
            ax = plot.conductance(W, slice=slice, tile=(row, col))
            wanted = siemens[slice, 16 * row : 16 * row + 16, 12 * col : 12 * col + 12] * 1e6
            assert wanted.shape == shape
            np.testing.assert_allclose(image(ax), wanted, rtol=1e-14)
    assert ax.get_title() == "Conductances\ntile (2, 1), slice 3 (4-bit)\nchip 0, seed 1"
    assert ax.get_xlabel() == "bit line (column of the tile)"
    assert ax.get_ylabel() == "word line (row of the tile)"
    assert ax.images[0].colorbar.ax.get_ylabel() == "conductance (µS)"
    assert ax.images[0].get_clim() == pytest.approx((0.1, 10))


def test_conductance_of_pairs_and_planes(w):
    W = engine(**MAPPINGS["pair, double"]).program(w)
    siemens = W.conductance()[..., 16:32, :12] * 1e6
    for plane in (None, 0, 1):
        for pair in (None, "+", "-"):
            ax = plot.conductance(W, slice=1, tile=(1, 0), pair=pair, plane=plane)
            np.testing.assert_array_equal(image(ax), siemens[plane or 0, int(pair == "-"), 1])
            name = f"tile (1, 0), slice 1 (4-bit), plane {plane or 0}, g{pair or '+'}"
            assert ax.get_title().startswith(f"Conductances\n{name}")


def test_the_colour_bar_points_where_cells_lie_beyond(w):
    ends = {}
    for device in (Device(), Device(stuck_HGS=1), Device(write_var=0.1), Device(write_var=0.1, LGS=0)):
        ax = plot.conductance(engine(device).program(w), slice=3)
        cells, bar = image(ax), ax.images[0].colorbar
        ends[device] = bar.extend
        assert (bar.extend in ("both", "min")) == (cells.min() < device.LGS * 1e6 - 1e-6)
        assert (bar.extend in ("both", "max")) == (cells.max() > device.HGS * 1e6 + 1e-6)
    assert list(ends.values()) == ["neither", "neither", "both", "max"]


# -- IR drop ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MAKERS)
def test_ir_drop_of_conductances(make, rng):
    siemens = rng.uniform(1e-6, 1e-4, (9, 5))
    ax = plot.ir_drop(make(siemens), r_word=30, r_bit=20.0)
    word, bit = wires.node_voltages(siemens, np.full(9, 0.3), 30, 20)
    lost = 100 * (1 - (word - bit) / 0.3)
    np.testing.assert_allclose(image(ax), lost, rtol=1e-9)
    assert ax.get_title() == "IR drop, 30 and 20 Ω a segment\narray of 9 x 5"
    assert ax.images[0].get_clim() == (0, image(ax).max())
    assert ax.images[0].colorbar.ax.get_ylabel() == "driving voltage lost (%)"
    assert ax.get_xlabel() == "bit line (column of the tile)"
    # the far corner loses more than the near one
    assert image(plot.ir_drop(make(np.full((9, 5), 1e-4)), r_word=30, r_bit=30)).argmax() == 4
    assert plot.ir_drop(make(siemens), r_word=0, r_bit=0).images[0].get_clim() == (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("exact_reads", [False, True])
def test_ir_drop_of_a_matrix_is_what_reads_meet(mapping, exact_reads, w):
    W = engine(wires=Wires(30.0, 20.0, exact_reads), **MAPPINGS[mapping]).program(w)
    still = engine(Device(write_var=0.1, stuck_HGS=0.02, stuck_LGS=0.02), wires=Wires(30.0, 20.0), **MAPPINGS[mapping])
    passed = still.program(w).programmed.as_read[0]
    fmt, grid = W.config.weights, plans.cell_format(still.config)
    unit = W.config.device.step_S / 2.0**grid.fraction
    slices, index = len(fmt.digits), 0
    for plane in range(fmt.planes):
        for pair in "+-" if fmt.signed else [None]:
            for slice in (slices - 1, 0):
                where = {"pair": pair, "plane": plane if fmt.double else None}
                for tile in ((0, 0), (1, 2)):  # with every row driven
                    part = np.s_[16 * tile[0] : 16 * tile[0] + 16, 12 * tile[1] : 12 * tile[1] + 12]
                    drawn = image(plot.ir_drop(W, slice=slice, tile=tile, **where)) / 100
                    cells = image(plot.conductance(W, slice=slice, tile=tile, **where)) * 1e-6
                    # all inputs at 1 V: what comes out of the bit lines, less one current for all
                    current = np.sum(cells * (1 - drawn), axis=0)
                    met = np.sum(passed[index + slices - 1 - slice][part], axis=0) * unit
                    assert drawn.shape == cells.shape
                    np.testing.assert_allclose(np.diff(current), np.diff(met), atol=20 * unit)
            index += slices


def test_ir_drop_solves_unused_cells_and_the_last_column(w):
    for mapping, level in (("twos", 0), ("offset", 10)):
        W = engine(wires=Wires(300.0, 200.0), **MAPPINGS[mapping]).program(w)
        assert W.config.weights.ascending[-1] == (2 if mapping == "offset" else 1)
        siemens = np.full((16, 13), 1e-7)
        siemens[:8, :5] = W.conductance()[0, 32:, 24:]
        siemens[:, 12] = 1e-7 + level * W.config.device.step_S
        siemens[:8, 12] = W.reference_conductance()[0, 32:, 2]
        word, bit = wires.node_voltages(siemens, np.repeat([1.0, 0.0], 8), 300.0, 200.0)
        drawn = image(plot.ir_drop(W, tile=(2, 2)))
        np.testing.assert_allclose(drawn, 100 * (1 - (word - bit))[:8, :5], rtol=1e-9)


def test_ir_drop_of_an_aged_matrix(w):
    device = Device(var=0.0, drift=Drift(0.2))
    for mapping in ("twos", "offset"):
        W = engine(device, wires=Wires(300.0, 200.0), **MAPPINGS[mapping]).program(w).at("30 d")
        drawn = image(plot.ir_drop(W, tile=(0, 0))) / 100
        cells = image(plot.conductance(W, tile=(0, 0))) * 1e-6
        assert cells.max() < 0.5e-5
        unit = device.step_S / 2.0 ** plans.cell_format(W.config).fraction
        index = len(W.config.weights.digits) - 1
        met = np.sum(W.programmed.as_read.cells[index, :16, :12], axis=0) * unit
        current = np.sum(cells * (1 - drawn), axis=0)
        np.testing.assert_allclose(np.diff(current), np.diff(met), atol=20 * unit)


def test_ir_drop_takes_other_resistances(w):
    W, without = (engine(Device(), wires=given).program(w) for given in (Wires(30.0, 20.0), None))
    both = [plot.ir_drop(matrix, r_word=7, r_bit=5, slice=2) for matrix in (W, without)]
    np.testing.assert_allclose(image(both[0]), image(both[1]), rtol=1e-6)
    assert both[0].get_title().startswith("IR drop, 7 and 5 Ω a segment\ntile (0, 0), slice 2")
    assert plot.ir_drop(W, r_bit=5).get_title().startswith("IR drop, 30 and 5 Ω")
    assert plot.ir_drop(W, r_word=0).get_title().startswith("IR drop, 0 and 20 Ω")


def test_the_scale_of_ir_drop_can_be_fixed():
    siemens = np.full((9, 5), 1e-4)
    for top in (2, 50.0):
        ax = plot.ir_drop(siemens, r_word=30, r_bit=30, vmax=top)
        assert ax.images[0].get_clim() == (0, top)
        assert ax.images[0].colorbar.extend == ("max" if top < image(ax).max() else "neither")


# -- levels -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_levels_are_apart(make, mapping, w):
    W = engine(Device(), **MAPPINGS[mapping]).program(make(w))
    ax, step = plot.levels(W), W.config.device.step_S * 1e6
    target = np.abs(np.rint((np.asarray(W.conductance()) * 1e6 - 0.1) / step))
    found = stairs(ax)
    assert [label for *_, label in found] == [f"level {level:g}" for level in np.unique(target)]
    for (counts, edges, _), level in zip(found, np.unique(target), strict=True):
        assert counts.sum() == (target == level).sum()
        # without variation all of them are where the level is
        [bar] = np.flatnonzero(counts)
        assert edges[bar] <= 0.1 + level * step + 1e-9
        assert 0.1 + level * step - 1e-9 <= edges[bar + 1]
    assert ax.get_xlabel() == "programmed conductance (µS)"
    assert ax.get_ylabel() == "number of cells"
    number = f"{target.size} cells at {len(found)} of 16 levels"
    assert ax.get_title() == f"Conductances by level\n{number}\nchip 0, seed 1"
    assert [a.get_ylabel() for a in ax.figure.axes[1:]] == ["target level"]


@pytest.mark.slow
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_levels_hold_every_cell_as_programmed(mapping, w):
    W, still = (engine(device, **MAPPINGS[mapping]).program(w) for device in (VARIED, Device()))
    found, cells = stairs(plot.levels(W)), W.conductance() * 1e6
    target = np.rint((still.conductance() * 1e6 - 0.1) / (W.config.device.step_S * 1e6))
    for counts, edges, label in found:
        mine = cells[target == int(label.split()[1])]
        assert counts.sum() == mine.size
        np.testing.assert_array_equal(counts, np.histogram(mine, edges)[0])
    assert sum(counts.sum() for counts, *_ in found) == cells.size


def test_cells_far_beyond_the_levels_are_drawn(w):
    W = engine(Device(LGS=4e-6, var=0.0, write_var=0.3)).program(w)
    siemens, found = W.conductance() * 1e6, stairs(plot.levels(W))
    assert siemens.min() < 3
    assert sum(counts.sum() for counts, *_ in found) == siemens.size


@pytest.mark.slow
def test_many_levels_are_drawn_together(w):
    fmt = Format((1, 8))
    W = engine(Device(g_level=256, write_var=0.02), weights=fmt).program(w)
    ax = plot.levels(W)
    found = stairs(ax)
    assert len(found) == 64
    assert sum(counts.sum() for counts, *_ in found) == W.conductance().size
    assert found[1][2].startswith("levels ")
    assert len(found[0][0]) == 4 * 256 + 2
    # cells at the two ends are in the first and the last of them
    assert found[0][1][0] < 0.1 < found[0][1][-1]
    assert np.argmax(found[-1][0]) > 900


# -- conversions ------------------------------------------------------------------------------


def replayed(W, x, read):
    """Return the product that the currents of all pairs of slices make, added up here."""
    config, rows = W.config, W.config.tile.rows
    plan = plans.plan(config)
    block = encoding.block_shape(config.inputs, x.shape, rows, weight=False)
    encoded = encoding.encode(backend_of(W), x[None], config.inputs, block)
    x_scales = encoding.input_scales(encoded, rows)
    y = np.zeros((x.shape[0], W.shape[1]))
    slices = range(len(config.weights.digits)), range(len(config.inputs.digits))
    for j in slices[0]:
        for i in slices[1]:
            a, b = len(slices[0]) - 1 - j, len(slices[1]) - 1 - i
            found = _conversions.currents(W, x, j, i, read)
            assert found.dtype == np.int64
            codes = np.rint(found.astype(np.float32) * np.float32(plan.reading.adc_gain[a][b]))
            if plan.reading.code_range is not None:
                codes = np.clip(codes, *(ends[a][b] for ends in plan.reading.code_range))
            for p, q, t in np.ndindex(found.shape[:3]):
                scale = x_scales[p, :, t, None] * W.programmed.scales[q, t, :]
                y += codes[p, q, t].astype(float) * plan.reading.shift_weights[a][b] * scale * plan.sum_scale
    return y


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize(
    "parts",
    [
        {"device": VARIED},
        {"device": Device(var=0.0), "dac": DAC(vnoise=0.02)},
        {"device": VARIED, "adc": ADC(radc=64, range=4e-6)},
        {"device": VARIED, "adc": ADC(radc=64, range=4e-6, saturate=False)},
        {"device": Device(var=0.0), "wires": Wires(30.0, 20.0)},
        {"device": VARIED, "wires": Wires(30.0, 20.0, exact_reads=True)},
        {"device": Device(var=0.0), "dac": DAC(rdac=31)},
    ],
    ids=str,
)
def test_currents_are_those_of_a_read(parts, mapping, w, x):
    W = engine(**parts, **MAPPINGS[mapping]).program(w)
    y = W.read(x, read=5)
    np.testing.assert_allclose(replayed(W, x, 5), y, rtol=1e-11, atol=1e-11 * np.abs(y).max())


def test_the_unit_of_currents_is_amperes(w):
    # one cell at HGS under one input at full scale
    for device, dac in ((Device(var=0.0), DAC(vread=0.3)), (Device(var=0.0001), DAC(vnoise=0.0001))):
        W = engine(device, dac=dac, tile=Tile(1, 1)).program(np.ones((1, 1)))
        found = _conversions.currents(W, np.ones((1, 1)), 3, 3, 0) * _conversions.unit_A(W.config)
        assert found.item() == pytest.approx(dac.vread * (device.HGS - device.LGS), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_adc_codes_counts_every_conversion(make, mapping, w, x):
    top = 0.5 if mapping == "pair, double" else 4  # µA
    W = engine(adc=ADC(radc=64, range=top * 1e-6), **MAPPINGS[mapping]).program(make(w))
    ax = plot.adc_codes(W, make(x), slice=1, input_slice=2, read=3)
    (inside, edges, first), (outside, same, second) = stairs(ax)
    np.testing.assert_array_equal(edges, same)
    low = -63 if W.config.weights.signed else 0
    currents = _conversions.currents(W, make(x), 1, 2, 3)
    assert currents.shape[2:] == (3, 7, 29)
    amperes = currents * _conversions.unit_A(W.config) * 1e6
    assert inside.sum() + outside.sum() == amperes.size
    np.testing.assert_array_equal(inside + outside, np.histogram(amperes, edges)[0])
    step = top / 63
    beyond = np.mean((np.rint(amperes / step) > 63) | (np.rint(amperes / step) < low))
    assert 0.001 < beyond < 0.9
    assert outside.sum() == round(beyond * amperes.size)
    assert first == "within the range"
    assert second == f"saturated: {100 * beyond:.3g} %"
    ends = [line.get_xdata()[0] for line in ax.lines]
    assert ends == pytest.approx([low * step, top])
    assert legend(ax) == [first, second, f"ends of the range: codes {low} and 63"]
    [above] = ax.child_axes
    ax.figure.canvas.draw()
    assert above.get_xlim() == pytest.approx([end / step for end in ax.get_xlim()])
    assert above.xaxis.get_transform().transform(np.array([63.0])) == pytest.approx(top)
    assert above.get_xlabel() == "ADC code"
    less = "g+ less g-" if W.config.weights.signed else "less the reference column's"
    assert ax.get_xlabel() == f"bit line current, {less} (µA)"
    assert ax.get_ylabel() == "number of conversions"
    digits = W.config.weights.digits[1], W.config.inputs.digits[2]
    assert ax.get_title().startswith("Conversions\nweight slice 1 ({}-bit) by input slice 2 ({}-bit)".format(*digits))
    assert ax.get_title().endswith("\nchip 0, seed 1, read 3")
    # conversions fill the axis, and an end of the range that is near is there
    filled, (left, right) = np.flatnonzero(inside + outside), ax.get_xlim()
    assert edges[filled[-1] + 1] - edges[filled[0]] > 0.55 * (right - left)
    assert left < edges[0]
    assert right > edges[-1]


def test_bars_of_few_codes_are_codes(w, x):
    W = engine(adc=ADC(radc=64, range=4e-6)).program(w)
    ax = plot.adc_codes(W, x, slice=3, input_slice=3)
    for counts, edges, _ in stairs(ax):
        np.testing.assert_allclose(np.diff(edges), 4 / 63)
        assert edges[0] / (4 / 63) % 1 == pytest.approx(0.5)
        assert len(counts) <= 128
    # nothing saturated is drawn within the range
    inside, outside = (np.flatnonzero(counts) for counts, *_ in stairs(ax))
    assert inside.max() < outside.min()


def test_many_codes_share_bars(w, x):
    W = engine(adc=ADC(radc=(1 << 12, 1 << 12, 1 << 12, 1 << 14))).program(w)
    counts, edges, _ = stairs(plot.adc_codes(W, x, slice=3, input_slice=3))[0]
    assert 64 < len(counts) <= 129  # one more where a bar would cross the lower end
    codes = np.diff(edges) / (16 * 0.1 * 9.9) * ((1 << 14) - 1)
    np.testing.assert_allclose(codes, round(codes[0]))
    assert codes[0] > 10
    assert counts.sum() == 3 * 7 * 29
    # no bar holds codes on both sides of the range's lower end
    ax = plot.adc_codes(engine(adc=ADC(radc=4096, range=(2e-6, 5e-6))).program(w), x, slice=3, input_slice=3)
    (_, edges, _), (outside, *_) = stairs(ax)
    step = 3 / 4095
    codes, low = edges / step, round(ax.lines[0].get_xdata()[0] / step)
    assert codes[1] - codes[0] > 1.5
    assert outside[edges[1:] < 2].sum() > 10
    np.testing.assert_allclose(codes[np.argmin(np.abs(codes - low))], low - 0.5)


def test_codes_that_are_not_clipped(w, x):
    wide = engine(adc=ADC(radc=64, range=4e-6)).program(w)
    W = engine(adc=ADC(radc=64, range=4e-6, saturate=False)).program(w)
    one, other = (stairs(plot.adc_codes(matrix, x, slice=3, input_slice=3)) for matrix in (wide, W))
    np.testing.assert_array_equal(one[1][0], other[1][0])
    assert other[1][2] == one[1][2].replace("saturated", "beyond the range, not clipped")


def test_ranges_in_two_numbers_and_lossless(w, x):
    W = engine(adc=ADC(radc=64, range=(1e-6, 5e-6))).program(w)
    ax = plot.adc_codes(W, x, slice=3, input_slice=3)
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([1, 5], abs=4 / 63)
    assert stairs(ax)[1][0][0] > 0  # below the range
    assert legend(ax)[2] == "ends of the range: codes 16 and 79"
    W = engine(Device(var=0.0), adc=ADC(range="lossless")).program(w)
    ax = plot.adc_codes(W, x, slice=3, input_slice=3)
    assert legend(ax) == [
        "within the range",
        "saturated: 0 %",
        f"ends of the range: codes 0 and {16 * 15 * 15}",
    ]


def test_an_ideal_adc_has_no_range(w, x):
    W = engine(adc=ADC(radc=None)).program(w)
    ax = plot.adc_codes(W, x, slice=3, input_slice=3)
    [(counts, edges, label)] = stairs(ax)
    amperes = _conversions.currents(W, x, 3, 3, 0) * _conversions.unit_A(W.config) * 1e6
    assert counts.sum() == amperes.size
    assert (edges[0], edges[-1]) == pytest.approx((amperes.min(), amperes.max()), rel=1e-12)
    assert legend(ax) == [label] == ["conversions (ideal ADC: no range)"]
    assert not ax.lines
    assert not ax.child_axes


def test_a_picture_does_not_count_as_a_read(w, x):
    first, second = engine().program(w), engine().program(w)
    for shape in ((7, 40), (1, 7, 40)):
        plot.adc_codes(first, x.reshape(shape))
    np.testing.assert_array_equal(first.read(x), second.read(x))
    counts = [stairs(plot.adc_codes(first, x, slice=3, input_slice=3, read=read))[0][0] for read in (0, 0, 1)]
    np.testing.assert_array_equal(counts[0], counts[1])
    assert not np.array_equal(counts[0], counts[2])


def test_one_row_of_inputs_in_a_list(w, x):
    W = engine().program(w)
    one, other = (stairs(plot.adc_codes(W, row, slice=3, input_slice=3)) for row in (x[0].tolist(), x[:1]))
    np.testing.assert_array_equal(one[0][0], other[0][0])
    assert one[0][0].sum() == 3 * 29


# -- error budgets ----------------------------------------------------------------------------


def test_error_budget(w, x):
    report = explain(x, w, write_var=0.02, seed=1)
    ax = plot.error_budget(report)
    power = 10 ** (report.snr_dB / 10)
    alone, saved = ([bar.get_width() for bar in bars] for bars in ax.containers)
    words = [text.get_text() for text in ax.texts]
    for place, effect in enumerate(report.effects):
        for bars, shift in zip(ax.containers, (-0.2, 0.2), strict=True):
            assert bars[place].get_y() + bars[place].get_height() / 2 == pytest.approx(place + shift)
        free = effect.alone_dB > 200
        assert alone[place] == pytest.approx(0 if free else 100 * power * 10 ** (-effect.alone_dB / 10))
        assert saved[place] == pytest.approx(100 * (1 - power * 10 ** (-effect.without_dB / 10)), abs=1e-9)
        gain = effect.without_dB - report.snr_dB
        first = "no cost" if free else f"{effect.alone_dB:.1f} dB"
        assert words[place] == first + (f", {gain:+.1f} dB".replace("-", "−") if round(gain, 1) else "")
    # the most harmful effect has the longest bar
    assert np.argmax(alone) == np.argmin([effect.alone_dB for effect in report.effects])
    assert np.argmax(saved) == np.argmax([effect.without_dB for effect in report.effects])
    assert " ".join(words).count("no cost") == str(report).count("no cost") == 4
    assert [label.get_text() for label in ax.get_yticklabels()] == [effect.name for effect in report.effects]
    assert ax.yaxis_inverted()
    [line] = ax.lines
    assert line.get_xdata()[0] == 100
    assert legend(ax) == ["alone", "saved without it", f"as configured: {report.snr_dB:.1f} dB"]
    assert ax.get_xlabel() == "power of the error (% of the product's)"
    assert ax.get_title().startswith("Error budget")


def test_budgets_without_an_error_or_a_product(w, x):
    report = explain(x, w, seed=1)
    effects = (Effect("one", -math.inf, math.inf), Effect("other", 310.0, 250.0), Effect("third", -3.0, 5.0))
    ax = plot.error_budget(dataclasses.replace(report, effects=effects, snr_dB=math.inf))
    words = [text.get_text() for text in ax.texts]
    assert words == ["all error, no error without it", "no cost, no error without it", "−3.0 dB, no error without it"]
    assert [bar.get_width() for bars in ax.containers for bar in bars] == [0, 0, 100, 0, 0, 0]
    assert not ax.lines
    ax.figure.canvas.draw()
    [only] = [dataclasses.replace(report, effects=(Effect("one", 20.0, math.inf),), snr_dB=20.0)]
    ax = plot.error_budget(only)
    assert [bar.get_width() for bars in ax.containers for bar in bars] == pytest.approx([100, 100])


def test_whiskers_of_several_reads(w, x):
    report = explain(x, w, seed=1)
    ranged = Effect("one", 20.0, 30.0)
    object.__setattr__(ranged, "alone_range_dB", (18.0, 23.0))
    ax = plot.error_budget(dataclasses.replace(report, effects=(ranged, Effect("two", 25.0, 21.0)), snr_dB=20.0))
    whisker, _ = ax.lines
    assert whisker.get_xdata() == pytest.approx([10**-0.3 * 100, 10**0.2 * 100])
    assert set(whisker.get_ydata()) == {-0.2}
    assert ax.get_xlim()[1] > 10**0.2 * 100


# -- in print ---------------------------------------------------------------------------------


def test_figures_are_as_wide_as_journals_print():
    assert plot.new_axes()[0, 0].figure.get_figwidth() == 3.5
    assert plot.new_axes(2, 2)[0, 0].figure.get_figwidth() == 7
    assert plot.new_axes(1, 2, width="column", height=2)[0, 0].figure.get_size_inches().tolist() == [3.5, 2]
    assert plot.new_axes(width=5)[0, 0].figure.get_figwidth() == 5
    assert plot.new_axes(2, 1, (4, 3))[0, 0].figure.get_size_inches().tolist() == [4, 6]
    with pytest.raises(ValueError, match=r"^width='colum' is unknown: use 'column' "):
        plot.new_axes(width="colum")
    with pytest.raises(ValueError, match="give one or the other"):
        plot.new_axes(size=(2, 2), width="page")


def test_panels_have_letters():
    def letters(axes):
        return [text.get_text() for ax in axes.flat for text in ax.texts]

    assert letters(plot.new_axes(2, 2)) == ["a", "b", "c", "d"]
    assert letters(plot.new_axes()) == letters(plot.new_axes(1, 2, letters=False)) == []
    assert letters(plot.new_axes(letters=True)) == ["a"]


def test_titles_of_users_are_as_small_as_the_rest():
    ax = plot.new_axes()[0, 0]
    ax.plot([0, 1], label="a line")
    assert ax.set_title("mine").get_fontsize() == 8
    assert ax.legend().get_texts()[0].get_fontsize() == 7
    assert pickle.loads(pickle.dumps(ax.figure)).axes[0].get_title() == "mine"


def texts_of(figure):
    from matplotlib.text import Text

    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("name", pictures(None, None, None))
def test_letters_are_legible_and_units_spelt_alike(name, w, x):
    W = engine(Device(write_var=0.1, drift=Drift(0.1)), wires=Wires(30.0, 20.0)).program(w, chip=3).at("2 d")
    figure = pictures(W, x, w)[name](None).figure
    figure.canvas.draw()
    assert min(text.get_fontsize() for text in texts_of(figure)) >= 7
    words = " ".join(text.get_text() for text in texts_of(figure))
    assert not any(wrong in words for wrong in ("uS", "uA", "Ohm"))
    if name not in ("error_budget", "scatter"):
        assert "chip 3, seed 1" in words
        assert "2 d after programming" in words


def test_figures_of_others_keep_their_style(w):
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 14, "legend.fontsize": 12}):
        ax = Figure().subplots()
        plot.scatter(w, w, ax)
    assert ax.xaxis.label.get_fontsize() == 14
    assert ax.get_legend().get_texts()[0].get_fontsize() == 12


def test_ordered_levels_have_ordered_colours(w):
    ax = plot.levels(engine(Device(write_var=0.02)).program(w))
    colours = [patch.get_facecolor() for patch in ax.patches if patch.get_fill()]
    grey = np.array(colours)[:, :3] @ [0.299, 0.587, 0.114]
    assert len(grey) == 16
    assert (np.diff(grey) > 0).all()


def test_an_end_of_the_range_far_from_all_currents_is_left_out(w, x):
    wide = plot.adc_codes(engine(adc=ADC(radc=4096, range=(-4e-3, 4e-3))).program(w), x, slice=3, input_slice=3)
    left, right = wide.get_xlim()
    (inside, edges, _), _ = stairs(wide)
    assert right - left < 1.2 * (edges[-1] - edges[0])
    assert inside.sum() == 3 * 7 * 29
    assert legend(wide)[2].startswith("ends of the range: codes -")


# -- all of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", pictures(None, None, None))
def test_given_axes_are_drawn_on(name, w, x):
    draw = pictures(engine(wires=Wires(30.0, 20.0)).program(w), x, w)[name]
    [[one, other]] = plot.new_axes(1, 2)
    assert draw(other) is other
    assert other.has_data()
    assert not one.has_data()
    alone = draw(None)
    assert alone.figure is not other.figure
    assert alone.has_data()


def test_scatter_of_tensors(w, x):
    torch = pytest.importorskip("torch")
    exact, measured = torch.asarray(x, requires_grad=True), torch.asarray(x) + 1
    [found] = plot.scatter(measured, exact).collections
    np.testing.assert_array_equal(found.get_offsets().data, np.stack([x.ravel(), x.ravel() + 1], axis=1))


def test_cuda_tensors_are_fetched():
    class Remote:
        def cpu(self):
            return np.arange(3)

    np.testing.assert_array_equal(plot._figure.to_numpy(Remote()), [0, 1, 2])


# -- errors -----------------------------------------------------------------------------------

ERRORS = {
    "slice": (lambda W, x: plot.conductance(W, slice=4), "slice=4 is out of range: the weights have 4 slices, most "
        "significant first, 0 to 3 of 1, 1, 2, 4 bits"),
    "negative slice": (lambda W, x: plot.conductance(W, slice=-1), "slice=-1 is out of range: it must be at least 0"),
    "tile": (lambda W, x: plot.ir_drop(W, tile=(3, 0)), "tile=(3, 0) is out of range: the matrix has 3 x 3 tiles, "
        "(0, 0) to (2, 2)"),
    "tile column": (lambda W, x: plot.conductance(W, tile=(0, 3)), "tile=(0, 3) is out of range: the matrix has "
        "3 x 3 tiles, (0, 0) to (2, 2)"),
    "pair": (lambda W, x: plot.conductance(W, pair="+"), "pair='+' has no effect: each weight digit of this matrix has "
        "one cell: leave it out"),
    "plane": (lambda W, x: plot.conductance(W, plane=1), "plane=1 has no effect: this matrix has no double exponent: "
        "leave it out"),
    "wires": (lambda W, x: plot.ir_drop(W.plain), "the matrix was programmed without wire resistance: program it with "
        "wires=Wires(r_word, r_bit), or wire_resistance=(r_word, r_bit), or pass r_word and r_bit here, Ohm"),
    "one wire": (lambda W, x: plot.ir_drop(np.ones((2, 2)), r_word=1.0), "an array of conductances has no wires of its "
        "own: pass r_word and r_bit, Ohm"),
    "cells": (lambda W, x: plot.ir_drop(np.ones((2, 2, 2)), r_word=1, r_bit=1), "conductance has shape (2, 2, 2): a "
        "picture is of one tile, (rows, cols)"),
    "no effect": (lambda W, x: plot.ir_drop(np.ones((2, 2)), tile=(1, 0), r_word=1, r_bit=1), "tile=(1, 0) has no "
        "effect on an array of conductances, which is one tile: leave it out"),
    "input slice": (lambda W, x: plot.adc_codes(W, x, input_slice=9), "input_slice=9 is out of range: the inputs have "
        "4 slices, most significant first, 0 to 3 of 1, 1, 2, 4 bits"),
    "weight slice": (lambda W, x: plot.adc_codes(W, x, slice=4), "slice=4 is out of range: the weights have"),
    "read": (lambda W, x: plot.adc_codes(W, x, read=-1), "read=-1 is out of range: it must be"),
    "inputs": (lambda W, x: plot.adc_codes(W, x[:, :3]), "shapes (7, 3) and (40, 29) do not fit"),
    "no inputs": (lambda W, x: plot.adc_codes(W, x[:0]), "x of shape (0, 40) and weights of shape (40, 29) make no currents to look at"),
    "empty": (lambda W, x: plot.levels(W.empty), "a matrix of shape (0, 3) has no cells to draw"),
    "no cells": (lambda W, x: plot.conductance(W.empty), "a matrix of shape (0, 3) has no cells to draw"),
    "empty conversions": (lambda W, x: plot.adc_codes(W.empty, x), "a matrix of shape (0, 3) has no cells to draw"),
    "unknown pair": (lambda W, x: plot.conductance(W.pair, pair="g+"), "pair='g+' is unknown: use '+' for the g+ cells "
        "of the differential pairs, '-' for their g- cells"),
    "unknown plane": (lambda W, x: plot.conductance(W.pair, plane=2), "plane=2 is out of range: it must be from 0 to 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_there_is(name, w, x):
    W = engine(wires=Wires(30.0, 20.0)).program(w)
    W.plain, W.empty = engine().program(w), engine().program(np.zeros((0, 3)))
    W.pair = engine(**MAPPINGS["pair, double"]).program(w)
    call, message = ERRORS[name]
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call(W, x)
    assert str(caught.value).startswith(message)


def test_what_is_no_matrix_or_report(w, x):
    W = engine().program(w)
    for draw in (plot.conductance, plot.levels, lambda array: plot.adc_codes(array, x)):
        with pytest.raises(TypeError, match=r"^W must be a programmed matrix, .*program\(w\), not a ndarray$"):
            draw(w)
    with pytest.raises(TypeError, match=r"explain\(x, w\) or W\.report\(x\), not a CrossbarMatrix$"):
        plot.error_budget(W)
    with pytest.raises(TypeError, match="tile=3 must be two whole numbers"):
        plot.conductance(W, tile=3)
    with pytest.raises(TypeError, match=r"slice=1\.5 must be a whole number"):
        plot.conductance(W, slice=1.5)
    with pytest.raises(TypeError, match=r"^conductance is a str, which is not numeric"):
        plot.ir_drop("cells", r_word=1, r_bit=1)


@pytest.mark.parametrize("name", pictures(None, None, None))
def test_without_matplotlib(name, w, x, monkeypatch):
    draw = pictures(engine(wires=Wires(30.0, 20.0)).program(w), x, w)[name]
    for module in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install -e "\.\[plot\]" in the checkout of mpimpy$'):
        draw(None)


def run(code, folder):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True).stdout


@pytest.mark.slow
def test_pyplot_is_never_imported(tmp_path):
    assert run("import sys, mpimpy.plot; print('matplotlib' in sys.modules)", ROOT) == "False\n"
    code = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
runpy.run_path({str(ROOT / "examples" / "pictures.py")!r})["main"](12)
print("matplotlib.figure" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    assert run(code, tmp_path) == "True False\n"
    assert (tmp_path / "pictures.png").exists()


@pytest.mark.slow
def test_the_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []
    new_axes = plot.new_axes
    monkeypatch.setattr(plot, "new_axes", lambda *given, **how: made.append(new_axes(*given, **how)) or made[-1])
    runpy.run_path(str(ROOT / "examples" / "pictures.py"))["main"](12)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures.png"]
    assert (tmp_path / "pictures.png").read_bytes().startswith(b"\x89PNG")
    assert made[0][0, 0].figure.get_figwidth() == 7
    titles = [ax.get_title().partition("\n")[0].partition(",")[0] for ax in made[0].ravel()]
    assert titles == ["Conductances", "IR drop", "Conductances by level", "Conversions", "Products", "Error budget"]
