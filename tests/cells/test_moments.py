"""Mean and variance of cells: against the laws themselves, and against every entry of a table."""

import math

import numpy as np
import pytest

from mpimpy import ADC, DAC, Config, Device, Engine, Flicker, Format, Gaussian, Samples, Tile, Wires, noise
from mpimpy.backends import reference
from mpimpy.cells import laws, moments
from mpimpy.cells.memristors import Cells
from mpimpy.crossbar import plan as plans

SAMPLES = Samples([np.random.default_rng(k).uniform(2e-8, 1.7e-7, 400) + 6.6e-7 * k for k in range(16)])


def found(device, cells, bits=6, levels=None, rows=64):
    config = Config(device, tile=Tile(rows, 64))
    grid = plans.cell_format(config)
    cells = Cells(np.asarray(cells).reshape(1, 1, -1), 0, grid.reference, levels)
    means, variances = moments.of_cells(reference, device, grid, cells, bits)
    return grid, means[0, 0], variances[0, 0] / 4.0**bits


def every_draw(device, grid, value, level=0):
    # conductances less the reference of one cell, for all words of the generator
    law = laws.read(device, grid.fraction)
    entries = noise.table_entries(law.table).astype(np.int64)
    if law.per_level:
        entries = entries.reshape(-1, noise.TABLE_SIZE)[level]
    if law.additive:
        return np.clip(value + entries, -grid.reference, grid.cell_bound)
    return (((value + grid.reference) * entries + (1 << 15)) >> 16) - grid.reference


@pytest.mark.parametrize("var", [0.01, 0.05, 0.2])
def test_a_lognormal_cell_has_the_mean_and_the_variance_of_its_law(var):
    device = Device(var=var)
    f = plans.cell_format(Config(device)).fraction
    cells = np.array([0, 1 << (f - 1), 3 << f, 15 << f])
    grid, means, variances = found(device, cells)
    g = (cells + grid.reference).astype(float)
    squares = math.expm1(var**2) * math.exp(var**2)
    assert np.abs(means + grid.reference - g * math.exp(var**2 / 2)).max() < 0.5 + 2e-5 * g.max()
    assert np.allclose(variances, g**2 * squares, rtol=5e-3, atol=1e-3)  # a table ends at 4.3 standard deviations


@pytest.mark.parametrize(
    "device",
    [
        Device(var=0.05),
        Device(var=Gaussian(1e-7)),
        Device(var=Gaussian(4e-7), LGS=2e-7),
        Device(var=tuple(np.linspace(0.02, 0.09, 16))),
        Device(var=Flicker(0.01)),
        Device(var=SAMPLES, LGS=1e-7, HGS=1e-5),
    ],
    ids=["lognormal", "gaussian", "gaussian cut off at 0", "per level", "flicker", "samples"],
)
def test_moments_are_those_of_all_draws_of_a_cell(device):
    grid = plans.cell_format(Config(device))
    places = [(0, -grid.reference), (0, -grid.reference // 2), (0, 0), (1, 40), (3, 3 << grid.fraction)]
    places.append((15, 15 << grid.fraction))
    levels = np.array([level for level, _ in places], np.int16).reshape(1, 1, -1)
    _, means, variances = found(device, [value for _, value in places], levels=levels)
    for (level, value), mean, variance in zip(places, means, variances, strict=True):
        draws = every_draw(device, grid, value, level).astype(float)
        assert abs(mean - draws.mean()) <= 0.51 + 2.0**-17 * abs(value)
        # each draw is rounded to the grid, which adds up to a twelfth
        assert abs(variance - draws.var()) <= 0.35 + 0.01 * draws.var()


def test_bits_of_variances_keep_sums_below_the_root_that_is_exact():
    for device, dac in ((Device(redraw="row"), DAC()), (Device(redraw="row", var=1e-3), DAC(256, vnoise=0.01))):
        config = Config(device, dac, tile=Tile(128, 64), weights=Format(mapping="pair"))
        grid = plans.cell_format(config)
        bits, drop = moments.variance_bits(config, grid, None), moments.code_drop(grid)
        top = np.array([grid.cell_bound])
        _, variances = moments.of_cells(reference, device, grid, Cells(top.reshape(1, 1, 1), 0, grid.reference), bits)
        code = (grid.code_bound + (1 << drop >> 1)) >> drop
        most = 128 * code**2 * 2 * int(variances[0, 0, 0])
        assert 2**48 < most < 2**52
        assert 128 * code**2 <= 2**36 * 1.01
        assert (drop > 0) == dac.noisy


@pytest.mark.parametrize(
    ("var", "rows", "fine"), [(0.05, 4, True), (0.2, 64, True), (0.2, 16, False), (0.5, 64, False)]
)
def test_laws_too_skewed_for_a_normal_number_are_refused(var, rows, fine):
    device, tile = Device(var=var, redraw="row"), Tile(rows, 64)
    if fine:
        Engine(device, tile=tile)
        return
    with pytest.raises(ValueError, match=r"those of \d+ rows have a skewness of .* use more rows, .*redraw='slice'"):
        Engine(device, tile=tile)
    Engine(Device(var=var, redraw="slice"), tile=tile)


def test_few_rows_of_measured_cells_are_refused():
    device = Device(var=SAMPLES, LGS=1e-7, HGS=1e-5, redraw="row")
    Engine(device, tile=Tile(64, 64))
    with pytest.raises(ValueError, match="a current of 32 measured cells for a normal number: use 64 rows"):
        Engine(device, tile=Tile(32, 64))


def test_numbers_too_wide_to_square_are_refused():
    device = Device(var=Gaussian((1e-11, *[9e-5] * 15)), redraw="row", g_level=16)
    with pytest.raises(ValueError, match="beyond 8388608 grid units, which redraw='row' cannot square: use 'slice'"):
        Engine(device, tile=Tile(8, 8), dac=DAC(2), inputs=Format((1, 1)))


def test_what_draws_cells_or_adds_currents_is_refused():
    device = Device(redraw="row")
    with pytest.raises(ValueError, match="redraw='row' draws read variation for each input slice, and per='product'"):
        Config(device, adc=ADC(256, per="product"))
    with pytest.raises(ValueError, match=r"exact_reads=True solves .* use redraw='slice', or exact_reads=False"):
        Config(device, wires=Wires(1.0, 1.0, exact_reads=True))
    Config(Device(var=0, redraw="row"), adc=ADC(256, per="product"))  # nothing is drawn
