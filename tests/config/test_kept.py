"""Configurations of plain settings are built once; what is kept is told apart by every type and value."""

import pickle

import pytest

from mpimpy import DPETensor, MpimpyWarning
from mpimpy.config import _flat

SETTINGS = {"radc": 1024, "var": 0.02, "x_slices": (1, 1, 2, 4), "array_size": [32, 64]}


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(_flat, "_kept", {})


def test_the_same_settings_are_the_same_configuration():
    assert DPETensor(**SETTINGS).config is DPETensor(**SETTINGS).config
    assert DPETensor(**SETTINGS).config == _flat._build(dict(SETTINGS))


@pytest.mark.parametrize(
    "change",
    [
        {"radc": 512},
        {"radc": None},
        {"radc": (64, 64, 64, 1024)},
        {"var": 0.03},
        {"var": (0.02,) * 16},
        {"x_slices": (1, 1, 4, 2)},
        {"x_mapping": "signed"},
        {"array_size": [64, 32]},
        {"w_quant_gran": "per-col"},
        {"snap": True},
        {"reference": "ideal"},
        {"wire_resistance": (2.0, 3.0)},
    ],
)
def test_each_setting_tells_configurations_apart(change):
    first = DPETensor(**SETTINGS).config
    changed = DPETensor(**SETTINGS | change).config
    assert changed != first
    assert changed == _flat._build(SETTINGS | change)
    assert DPETensor(**SETTINGS).config is first


def test_a_number_of_another_type_is_checked_as_what_it_is():
    # 1 == 1.0 == True, and each is refused or taken on its own
    assert DPETensor(array_size=(2, 2), g_level=2, rdac=2, x_slices=(1, 1), w_slices=(1, 1)).config.tile.rows == 2
    DPETensor(x_slices=(1, 1))
    with pytest.raises((TypeError, ValueError), match="slices"):
        DPETensor(x_slices=(True, 1))
    DPETensor(bw_e=1, x_slices=(1, 1))
    with pytest.raises(TypeError, match="bw_e"):
        DPETensor(bw_e=True, x_slices=(1, 1))


def test_lists_count_by_what_they_hold():
    slices = [1, 1, 2, 4]
    first = DPETensor(x_slices=slices).config
    slices[3] = 3
    assert DPETensor(x_slices=slices).config.inputs.bits == 7
    assert first.inputs.bits == 8


def test_errors_and_oddities_are_told_each_time():
    for _ in range(2):
        with pytest.raises(ValueError, match="var"):
            DPETensor(var=-1.0)
        with pytest.warns(MpimpyWarning, match="HGS"):
            DPETensor(HGS=10.0)


def test_few_configurations_are_kept():
    for number in range(2, 3 * _flat.KEPT):
        DPETensor(radc=number)
        assert len(_flat._kept) <= _flat.KEPT


def test_hashes_stay_in_their_process():
    config = DPETensor(**SETTINGS).config
    hash(config)
    other = pickle.loads(pickle.dumps(config))
    assert "_hash" in config.__dict__
    assert "_hash" not in other.__dict__
    assert "_hash" not in other.inputs.__dict__
    assert other == config
    assert hash(other) == hash(config)
    assert hash(config.replace(device={"var": 0.0})) != hash(config)
