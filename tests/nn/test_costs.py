"""Costs of a model: those of its programmed matrices with the inputs that they met."""

import json

import numpy as np
import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import DPETensor, _costing
from mpimpy.analysis.counts import counts
from mpimpy.cost import Anchor, Figure, Technology

TECH = Technology.named("generic-28")
AREAS = TECH.replace(
    cell_area=Anchor(1e-14, unit="m2", source="user"), adc_area=Anchor(1e-10, unit="m2", source="user")
)
PARTS = ("lines", "cells", "adcs", "adders", "buffers", "latency")
# DAC noise is addressed by read and row, so a cost that forgets either differs
NOISY = {"vnoise": 0.05, "var": 0.02}


def inputs(*shape, seed=1):
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=torch.float32)


def converted(model, **settings):
    ann.convert_(model.eval(), DPETensor(seed=1, **NOISY, **settings))
    return model


def close(found, *costs):
    for name in PARTS:
        wanted = [getattr(cost, name) for cost in costs]
        for end in ("value", "low", "high"):
            total = sum(getattr(each, end) for each in wanted)
            assert getattr(getattr(found, name), end) == pytest.approx(total, rel=1e-12), (name, end)
    assert found.macs == sum(cost.macs for cost in costs)


def test_costs_of_batches_add_up_on_the_same_arrays():
    torch.manual_seed(0)
    model = converted(torch.nn.Sequential(torch.nn.Linear(70, 20), torch.nn.ReLU(), torch.nn.Linear(20, 3)))
    x = inputs(7, 70)
    found = ann.report(model, [x[:5], x[5:]], technology=AREAS)
    W = model[0].engine.program(model[0].weight.detach().mT, name="0")
    first = found.layers["0"].cost
    close(first, W.cost(x[:5], AREAS, read=0), W.cost(x[5:], AREAS, read=1))
    assert first.area == W.cost(x, AREAS).area
    assert first.counts == (found.layers["0"].counts,)
    assert found.layers["0"].counts == counts(model[0].engine.config, 7, 70, 20)
    close(found.cost, first, found.layers["2"].cost)
    assert found.cost.area.value == pytest.approx(first.area.value + found.layers["2"].cost.area.value)
    assert found.technology == "generic-28*"


def test_a_cost_is_in_the_table_the_dict_and_the_frame():
    model = converted(torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Linear(4, 2)))
    unused = converted(torch.nn.ModuleDict({"a": torch.nn.Linear(8, 4), "b": torch.nn.Linear(4, 2)}))
    unused.forward = lambda x: unused["a"](x)
    found = ann.report(model, inputs(2, 8), technology="generic-28")
    lines = str(found).splitlines()
    assert lines[0].split()[-2:] == ["energy", "latency"]
    assert str(found.cost.energy) in lines[3]
    assert lines[-1].startswith("generic-28; not counted: ")
    assert str(found.layers["1"].cost.latency) in found._repr_html_()
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["technology"] == "generic-28"
    assert values["cost"]["energy_J"] == found.cost.energy.value
    assert values["layers"]["1"]["cost"]["latency_s"] == found.layers["1"].cost.latency.value
    some = ann.report(unused, inputs(2, 8), technology="generic-28")
    assert some.layers["b"].cost is None
    assert some.cost.energy == some.layers["a"].cost.energy
    plain = ann.report(model, inputs(2, 8))
    assert (plain.cost, plain.technology, plain.to_dict()["layers"]["0"]["cost"]) == (None, None, None)
    assert "energy" not in str(plain)
    pytest.importorskip("pandas")
    assert "energy_J" not in plain.to_frame()
    frame = some.to_frame()
    assert frame.macs["a"] == some.layers["a"].cost.macs
    assert frame.adcs_energy_J["a"] == some.layers["a"].cost.adcs.value
    assert frame.cells["a"] == some.layers["a"].counts.cells
    assert frame.energy_high_J["a"] == some.layers["a"].cost.energy.high
    assert np.isnan(frame.latency_s["b"])


def test_groups_of_a_convolution_have_arrays_of_their_own():
    model = converted(torch.nn.Conv2d(4, 6, 3, stride=2, groups=2))
    x = inputs(2, 4, 7, 7)
    found = ann.report(model, x, technology=TECH)
    patches = torch.nn.functional.unfold(x, 3, stride=2).mT.reshape(-1, 36)
    for group in range(2):
        name = f"(root)/group {group}"
        W = model.engine.program(model._weights()[f"group {group}"].detach(), name=name)
        close(found.layers[name].cost, W.cost(patches[:, 18 * group : 18 * (group + 1)], TECH))
        assert found.layers[name].cost.counts == (counts(model.engine.config, 18, 18, 3),)


def test_blocks_of_a_convolution_are_one_read(monkeypatch):
    model, x = converted(torch.nn.Conv1d(2, 3, 3)), inputs(3, 2, 12)
    whole = ann.report(model, x, technology=TECH).cost
    monkeypatch.setattr("mpimpy.nn._streamed.BLOCK", 30)
    close(ann.report(model, x, technology=TECH).cost, whole)


def test_a_cost_is_of_the_read_and_the_rows_that_were_made(monkeypatch):
    # they address the noise of DACs
    seen = []

    def cost_at(matrix, x, technology, read, first_row):
        seen.append((len(x), read, first_row))
        return _costing.cost_at(matrix, x, technology, read, first_row)

    monkeypatch.setattr("mpimpy.nn._costs.cost_at", cost_at)
    monkeypatch.setattr("mpimpy.nn._streamed.BLOCK", 30)
    model = converted(torch.nn.Conv1d(2, 3, 3))
    ann.report(model, [inputs(2, 2, 12), inputs(1, 2, 12)], technology=TECH)
    assert sum(rows for rows, _, _ in seen) == 30
    for number, rows in ((0, 20), (1, 10)):
        firsts = [(first, first + many) for many, read, first in seen if read == number]
        assert len(firsts) > 1
        assert [first for first, _ in firsts] == [0, *(last for _, last in firsts[:-1])]
        assert firsts[-1][1] == rows


def test_every_time_step_of_a_recurrent_layer_counts():
    model, x = converted(torch.nn.RNN(5, 4, batch_first=True)), inputs(2, 3, 5)
    found = ann.report(model, x, technology=TECH)
    for layer in found.layers.values():
        assert layer.cost.macs == layer.rows * layer.shape[0] * layer.shape[1]
        assert layer.cost.counts == (layer.counts,)
    assert sum(layer.rows for layer in found.layers.values()) == 12


def test_products_of_data_are_written_each_time():
    model, x = torch.nn.MultiheadAttention(8, 2, batch_first=True), inputs(2, 5, 8)
    converted(model)
    model.attention = "all"
    found = ann.report(model, (x, x, x), technology=TECH)
    scores = found.layers["(root)/scores"]
    assert scores.cost.macs == 4 * 5 * 4 * 5
    assert scores.cost.counts == (scores.counts,)
    assert found.cost.macs == sum(layer.cost.macs for layer in found.layers.values())


def test_a_part_of_a_batch_costs_what_it_does_in_the_whole():
    model, x = converted(torch.nn.Linear(20, 4), x_quant_gran="per-row"), inputs(6, 20)
    whole = ann.report(model, x, technology=TECH).cost
    parts = []
    for rank in range(2):
        ann.shard_(model, rank, 2)
        parts.append(ann.report(model, x[3 * rank : 3 * rank + 3], technology=TECH).cost)
    close(whole, *parts)


def test_shared_drivers_are_counted_once():
    model = converted(torch.nn.Linear(70, 20))
    shared = ann.report(model, inputs(2, 70), technology=TECH.replace(share_dacs=True)).layers["(root)"]
    assert shared.counts.dac_conversions == 2 * 70 * 4
    assert shared.cost.counts == (shared.counts,)


def test_what_has_no_cost_is_named():
    model = converted(torch.nn.Sequential(torch.nn.Linear(8, 4)))
    model[0].engine = DPETensor(radc=None)
    with pytest.raises(ValueError, match="layer '0': an ideal ADC, radc=None, has no number of codes"):
        ann.report(model, inputs(2, 8), technology=TECH)
    assert model[0]._cells[""].observer is None
    with pytest.raises(ValueError, match="unknown technology 'generic'"):
        ann.report(model, inputs(2, 8), technology="generic")


def test_writing_counts_once_for_weights_and_each_time_for_data():
    from mpimpy.cost import Cost
    from mpimpy.nn._costs import Costs

    def one(energy):
        nothing = Figure.chosen(0.0, "J")
        written, area = Figure.chosen(energy, "J"), Figure.chosen(energy, "m2")
        return Cost("t", 1, (), (), None, None, None, None, None, None, nothing, Figure.chosen(1, "s"), area, written)

    for rewritten, wanted in ((False, 1), (True, 3)):
        both = Costs(TECH, rewritten)._both(one(1), one(2))
        assert both.writing.value == wanted
        assert both.area.value == 2
        assert both.latency.value == 2


def test_a_model_that_no_data_reach_has_no_cost():
    model = converted(torch.nn.ModuleDict({"a": torch.nn.Linear(8, 4)}))
    model.forward = lambda x: x
    found = ann.report(model, inputs(2, 8), technology="generic-28")
    assert found.cost is None
    assert str(found).endswith("generic-28; no matrix was reached: no cost")
