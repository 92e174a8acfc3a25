"""Currents that stand for those of a product: sums over all, those of a share, and those of other rows."""

import numpy as np
import pytest
from libraries import same_bits, sampled

from mpimpy import DAC, Config, Device, DPETensor, Engine, Format, Tile
from mpimpy.analysis import sampling
from mpimpy.crossbar import plan as plans
from mpimpy.matrix import backend_of, encode_inputs


def test_samples_are_the_currents(rng):
    config = Config(Device(var=0.1), DAC(vnoise=0.1), tile=Tile(9, 5), inputs=Format((1, 2)), weights=Format((1, 3)))
    engine = Engine.from_config(config, seed=1)
    x, w = rng.standard_normal((6, 20)), rng.standard_normal((20, 7))
    matrix = engine.program(w)
    found = sampled(matrix, x)
    assert [[values.size for values in row] for row in found] == [[6 * 7 * 3] * 2] * 2
    again = sampled(matrix, x)
    assert all(
        same_bits(a, b) for row, other in zip(found, again, strict=True) for a, b in zip(row, other, strict=True)
    )
    # what an ADC with a code for every current would have read
    unit = plans.cell_format(config).current_unit
    fine = engine.replace(
        adc={"radc": None}, inputs={"granularity": "per-matrix"}, weights={"granularity": "per-matrix"}
    )
    one = engine.replace(inputs={"granularity": "per-matrix"}, weights={"granularity": "per-matrix"}).program(w)
    values = sampled(one, x)
    total = sum(
        part.sum() * a / u * b / v
        for row, b, v in zip(values, config.weights.shifts, plans.cell_format(config).strides, strict=True)
        for part, a, u in zip(row, config.inputs.shifts, plans.plan(config).x_strides, strict=True)
    )
    read = fine.program(w).read(x, read=2**32 - 1)
    top = (2 ** (config.inputs.bits - 1) - 1) * (2 ** (config.weights.bits - 1) - 1)
    scale = np.abs(x).max() * np.abs(w).max() / top
    assert read.sum() == pytest.approx(total / unit * scale, rel=1e-9)


def test_samples_stand_for_all_currents(rng, monkeypatch):
    monkeypatch.setattr(sampling, "SAMPLES", 800)  # of 4 tiles, 100 rows and 64 columns
    x, w = rng.standard_normal((100, 256)) * np.linspace(0.1, 3, 100)[:, None], rng.standard_normal((256, 64))
    x[7, :64] *= 50
    matrix = Engine(Device(var=0), seed=1).program(w)
    found = sampling.samples(backend_of(matrix), *encode_inputs(matrix, x), 0)
    assert found.outputs == 6400
    assert found.scales.size == found.share.size == found.currents[0][0].size == found.ends[-1]
    assert abs(found.ends[-1] - 800) <= 4
    # rows and columns that matter are seen often, and stand for few outputs
    heavy = found.scales > 3 * np.median(found.scales)
    assert heavy.sum() > 50
    assert found.share[heavy].max() < 2 < 5 < found.share[~heavy].mean()
    # sums over the sample estimate those over all currents
    whole = sampling.Sample(*everything(matrix, x))
    for power in (0, 1):
        for mine, all_of in zip(found.currents[1], whole.currents[1], strict=True):
            estimate = float(np.sum(found.share * found.scales**2 * mine**power))
            assert estimate == pytest.approx(float(np.sum(whole.scales**2 * all_of**power)), rel=0.1)


def test_a_percentile_looks_at_all_outputs_alike(rng):
    x, w = rng.standard_normal((90, 128)), rng.standard_normal((128, 50))
    x[3] *= 1000
    matrix = Engine(Device(var=0), seed=1).program(w)
    found = sampling.samples(backend_of(matrix), *encode_inputs(matrix, x), 0, even=True)
    assert np.array_equal(found.share, np.ones(2 * 90 * 50))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "SAMPLES", 500)
        some = sampling.samples(backend_of(matrix), *encode_inputs(matrix, x), 0, even=True)
    # 2 * 90 * 50 / 9 are 1000; a step of 9 meets all columns in turn
    assert np.array_equal(some.share, np.full(1000, 9.0))
    assert np.array_equal(some.currents[2][1], np.concat([found.currents[2][1][k : k + 4500 : 9] for k in (0, 4500)]))


@pytest.mark.parametrize("given", [{}, {"w_mapping": "pair", "x_mapping": "signed"}, {"redraw": "slice", "var": 0.1}])
def test_other_currents_are_as_far_away_as_those_of_other_rows(rng, given):
    x, w = rng.standard_normal((400, 64)), rng.standard_normal((64, 30))
    matrix = DPETensor(**{"var": 0.0, "seed": 1} | given).program(w)
    found = sampling.samples(backend_of(matrix), *encode_inputs(matrix, x), 0)
    assert np.all(found.chance < 1 / 300)
    columns = np.arange(found.share.size) % 30
    assert found.share.size == 400 * 30
    for row, other_row in zip(found.currents, found.others, strict=True):
        for seen, others in zip(row, other_row, strict=True):
            for column in (0, 17):
                spread = np.std(seen[columns == column])
                apart = (others - seen)[columns == column]
                assert np.std(apart) == pytest.approx(spread, rel=0.25)
                assert abs(np.mean(apart)) < 0.2 * spread


def test_few_rows_have_other_currents_further_away(rng):
    x, w = rng.standard_normal((100, 64)), rng.standard_normal((64, 30))
    matrix, reach = DPETensor(var=0.0, seed=1).program(w), []
    for rows in (x, x * np.where(np.arange(100) < 2, 100.0, 1.0)[:, None], x[:1]):
        found = sampling.samples(backend_of(matrix), *encode_inputs(matrix, rows), 0)
        reach.append((float(found.chance[0]), float(np.std(found.others[0][0] - found.currents[0][0]))))
    (many, least), (two, more), (one, most) = reach
    assert many < 0.02 < 0.4 < two < 0.6 < one == 1
    assert least < more
    assert least < most
    # whatever is far away, cells cannot give more than all of them
    tops = [np.max(np.abs(o)) for row in found.others for o in row]
    quantum = plans.cell_format(matrix.config).current_unit
    assert max(tops) <= 64 * 225 * quantum


def everything(matrix, x):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "SAMPLES", 1 << 22)
        return sampling.samples(backend_of(matrix), *encode_inputs(matrix, x), 0)
