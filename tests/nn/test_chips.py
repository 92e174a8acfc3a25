"""The cells of a whole model: on a chip, at a time, on disk."""

import json

import numpy as np
import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import Device, DPETensor, Drift, Engine


def model(engine, seed=0, bias=True):
    torch.manual_seed(seed)
    found = torch.nn.Sequential(torch.nn.Linear(20, 30, bias), torch.nn.ReLU(), torch.nn.Linear(30, 4, bias)).eval()
    ann.convert_(found, engine)
    return found


def inputs(*shape):
    return torch.tensor(np.random.default_rng(1).standard_normal(shape), dtype=torch.float32)


ENGINE = Engine(Device(var=0, write_var=0.1, drift=Drift(0.05, 0.02)), seed=1)


def test_one_number_is_the_chip_of_the_whole_model():
    found, x = model(ENGINE), inputs(3, 20)
    zero = found(x)
    ann.program_(found, chip=7)
    seven = found(x)
    assert not torch.equal(zero, seven)
    W = ENGINE.program(found[0].weight.detach().mT, name="0", chip=7)
    assert torch.equal(found[0](x).detach(), W.read(x) + found[0].bias.detach())
    ann.program_(found)
    assert torch.equal(found(x), seven)
    ann.program_(found, 0)
    assert torch.equal(found(x), zero)
    with pytest.raises(ValueError, match=r"chip=1048576 is out of range"):
        ann.program_(found, 2**20)
    with pytest.raises(ValueError, match=r"the model has no layer on crossbars: convert_ it first"):
        ann.program_(torch.nn.ReLU(), 1)


def test_a_model_ages_and_is_young_again():
    found, x = model(ENGINE), inputs(3, 20)
    young = found(x)
    ann.at_(found, "30 d")
    old = found(x)
    W = ENGINE.program(found[0].weight.detach().mT, name="0").at("30 d")
    assert torch.equal(found[0](x).detach(), W.read(x) + found[0].bias.detach())
    ann.at_(found, "30 d", compensate=True)
    compensated = found(x)
    assert (compensated - young).norm() < (old - young).norm()
    ann.at_(found, None)
    assert torch.equal(found(x), young)
    ann.at_(found, "1 d")
    day = found(x)
    with pytest.raises(ValueError, match=r"layer '0': t=1e-09 s is before t0_s"):
        ann.at_(found, 1e-9)
    assert torch.equal(found(x), day)
    ann.program_(found)
    assert torch.equal(found(x), young)
    with pytest.raises(ValueError, match=r"layer '0': time changes nothing: give the device a drift"):
        ann.at_(model(DPETensor(seed=1)), "1 d")
    found.train()
    assert not torch.equal(found(x), found(x))  # a training step has young cells of its own


def test_a_model_is_kept_on_disk(tmp_path):
    engine = Engine(Device(var=0.05, write_var=0.1, drift=Drift(0.05)), seed=1)
    found, x = model(engine), inputs(3, 20)
    ann.program_(found, 5)
    ann.at_(found, "30 d", compensate=True)
    found(x)
    ann.save_chips(found, tmp_path / "chips")
    assert len(list((tmp_path / "chips").glob("*.npz"))) == 2
    other = model(engine)
    ann.load_chips(other, tmp_path / "chips")
    written = other[0]._cells[""]._written.matrix
    assert torch.equal(other(x), found(x))
    assert torch.equal(other(x), found(x))
    assert other[0]._cells[""]._written.matrix is written  # it is the loaded one that is read
    ann.at_(other, None)
    ann.at_(found, None)
    other[0]._cells[""].reads = found[0]._cells[""].reads
    assert torch.equal(other(x), found(x))


def test_chips_of_another_model_are_refused(tmp_path):
    found, x = model(ENGINE), inputs(3, 20)
    ann.save_chips(found, tmp_path)
    for other, message in (
        (model(ENGINE, seed=1), r"layer '0': .*0000-0.npz: w is not what was programmed"),
        (model(ENGINE.replace(adc={"radc": 64})), r"layer '0': .*programmed with other settings"),
        (model(Engine(ENGINE.config.device, seed=2)), r"layer '0': .*it was written with another seed"),
    ):
        before = other(x)
        with pytest.raises(ValueError, match=message):
            ann.load_chips(other, tmp_path)
        assert torch.equal(other(x), before)
    small = torch.nn.Sequential(torch.nn.Linear(20, 30))
    ann.convert_(small, ENGINE)
    with pytest.raises(ValueError, match=r"its weight matrices are not those of the model, which differ in '2'"):
        ann.load_chips(small, tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    for entry, message in (
        ({"file": "../0000-0.npz", "reads": 0}, "the entry of '0' is damaged"),
        ({"file": 3, "reads": 0}, "the entry of '0' is damaged"),
        ({"file": "0000-0.npz", "reads": -1}, "reads of '0'=-1 is out of range"),
    ):
        (tmp_path / "index.json").write_text(json.dumps(index | {"matrices": index["matrices"] | {"0": entry}}))
        with pytest.raises(ValueError, match=message):
            ann.load_chips(found, tmp_path)
    for text in ("{", "[]", '{"format": "x"}'):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(ValueError, match=r"index.json: is no index of chips"):
            ann.load_chips(found, tmp_path)
    with pytest.raises(OSError, match="nowhere"):
        ann.load_chips(found, tmp_path / "nowhere")
