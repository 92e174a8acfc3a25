"""Spaces of settings: addresses, refusals, and values as JSON holds them."""

import math

import numpy as np
import pytest

import mpimpy
from mpimpy import Gaussian, noise
from mpimpy.sweeps import _canonical, _plain
from mpimpy.sweeps._space import Space, engine, named

ADDRESSES = ["daa4e101a6967d2b0ae717f4ff43f608", "18576449bcf4bf3e1dfad36abb4efb57"]


def points(space, settings=None, repeats=1, seed=0, workload="w"):
    return Space.of(space, settings, repeats, seed).points(workload)


def addresses(*given, **more):
    return [point.address for point in points(*given, **more)]


def test_an_address_is_that_of_the_settings_and_not_of_their_names():
    [plain] = addresses({"radc": [256]})
    assert addresses({"radc": [256.0]}) == addresses({"var": [0.05]}) == addresses({}, {"radc": 256}) == [plain]
    assert addresses({"x_slices": [[1, 1, 2, 4]]}) == addresses({}, {"backend": "reference"}) == [plain]
    assert addresses({"stuck_HGS": [0.1]}) == addresses({"stuck_fault_ratio": [0.1]}, {"stuck_fault_value": 1})
    others = [
        addresses({"radc": [257]}),
        addresses({"radc": [None]}),
        addresses({}, {"gradient": "clipped"}),
        addresses({}, {"input_size": (1, 64)}),
        addresses({}, seed=1),
        addresses({}, workload="v"),
        addresses({}, repeats=2)[1:],
        addresses({"var": [Gaussian(1e-7)]}),
    ]
    assert len({plain, *(address for [address] in others)}) == len(others) + 1


def test_addresses_stay(monkeypatch):
    # a change here throws away the results of users, and changes the random numbers of their sweeps
    assert addresses({"radc": [64]}, {"wire_resistance": 2.0}, 2, 3) == ADDRESSES
    monkeypatch.setattr("mpimpy.sweeps._space.ARITHMETIC", 3)
    assert addresses({"radc": [64]}, {"wire_resistance": 2.0}, 2, 3) != ADDRESSES


def test_a_later_setting_that_is_off_changes_no_address(monkeypatch):
    before, other = addresses({"var": [0.05, 0.1]})
    first = _canonical.FIRST | {"Device": _canonical.FIRST["Device"].replace(" var ", " ")}
    monkeypatch.setattr(_canonical, "FIRST", first)
    monkeypatch.setattr(_canonical, "_kept", {})
    _canonical._part.cache_clear()
    pruned, still = addresses({"var": [0.05, 0.1]})
    assert (pruned != before, still == other) == (True, True)  # 0.05 is the default
    [again] = addresses({"g_level": [16]})
    _canonical._part.cache_clear()
    assert again == pruned


def test_points_are_in_order_chips_innermost():
    found = points({"radc": [64, None], "array_size": [(32, 32), [16, 64]]}, repeats=2)
    names = [named(point.case.varied, point.chip) for point in found]
    assert names[:3] == ["radc=64, array_size=32,32, chip 0", "radc=64, array_size=32,32, chip 1", names[2]]
    assert names[-1] == "radc=none, array_size=16,64, chip 1"
    assert len(set(names)) == len({point.address for point in found}) == 8


def test_the_engine_is_that_of_the_settings():
    settings = {"input_size": (2, 64), "gradient": "clipped", "backend": "reference", "device": "cpu"}
    [point] = points({"radc": [64]}, settings)
    made = engine(point.case.config, point.case.further, seed=noise.derive(0, point.address), chip=3)
    same = mpimpy.DPETensor(radc=64, chip=3, seed=noise.derive(0, point.address), **settings)
    names = ("config", "seed", "chip", "backend", "gradient", "input_size", "_operand_device", "stream", "reads")
    assert [getattr(made, name) for name in names] == [getattr(same, name) for name in names]
    assert type(made) is mpimpy.DPETensor


@pytest.mark.parametrize(
    ("space", "settings", "kind", "message"),
    [
        ({"rdca": [1]}, None, TypeError, r"unknown setting 'rdca': did you mean 'rdac'\?"),
        ({}, {"glevel": 1}, TypeError, r"unknown setting 'glevel': did you mean 'g_level'\?"),
        ({"seed": [1]}, None, TypeError, r"space has seed, and every point has a seed of its own"),
        ({}, {"chip": 1}, TypeError, r"settings has chip, and chips are numbered by sweep: give .*repeats="),
        ({"backend": ["numba"]}, None, TypeError, "space has backend, which changes no result: give it in settings="),
        ({"radc": 64}, None, TypeError, r"radc=64, which must be a list of values: one value belongs to settings="),
        ({"radc": (64, 128)}, None, TypeError, "must be a list of values: a tuple is one value of a setting"),
        ({"radc": []}, None, ValueError, "at least one value"),
        ({"radc": [64, 64.0]}, None, ValueError, "space has radc=64 twice"),
        ({"radc": [64]}, {"radc": 64}, ValueError, "radc is in space and in settings"),
        ([("radc", 64)], None, TypeError, "must be a dict of lists"),
        ({"radc": [64, -5]}, None, ValueError, "space has radc=-5, which no point can have: ValueError: radc=-5 is"),
        ({"radc": [64]}, {"var": -1}, ValueError, "no point of the space can be built: ValueError: var=-1"),
        ({"var": [object()]}, None, TypeError, "is no value of a setting"),
    ],
)
def test_what_is_no_space_is_refused(space, settings, kind, message):
    with pytest.raises(kind, match=message):
        Space.of(space, settings, 1, 0)


def test_repeats_and_seed_are_checked():
    with pytest.raises(ValueError, match="repeats=0 is out of range"):
        Space.of({}, None, 0, 0)
    with pytest.raises(ValueError, match="seed=-1 is out of range"):
        Space.of({}, None, 1, -1)


def test_a_combination_that_is_refused_is_a_point_that_fails():
    found = points({"x_slices": [[1, 1], [1, 4]], "rdac": [2, 16]})
    errors = [point.case.error for point in found]
    assert errors[:2] == [None, None]
    assert errors[3] is None
    assert errors[2].startswith("ValueError: input slice of 4 bits needs 16 levels but rdac=2")
    assert len({point.address for point in found}) == 4


@pytest.mark.parametrize(
    ("value", "json", "text"),
    [
        (64.0, 64, "64"),
        (1e-5, 1e-5, "1e-05"),
        (np.int64(3), 3, "3"),
        (np.float64(0.5), 0.5, "0.5"),
        (True, True, "True"),
        (None, None, "none"),
        ((1, (2.0, 3)), [1, [2, 3]], "1,2,3"),
        (np.array([1, 2]), [1, 2], "1,2"),
        (
            Gaussian(1e-7),
            {"kind": "Gaussian", "sigma_S": 1e-7, "verified": False},
            "Gaussian(sigma_S=1e-07, verified=False)",
        ),
    ],
)
def test_plain_values(value, json, text):
    assert _plain.plain("name", value) == json
    assert _plain.shown(json) == text


def test_results_survive():
    result = {"a": np.float32(0.1), "b": [1, math.nan], "c": np.array([[math.inf], [-math.inf]]), "d": True}
    json = _plain.encoded(result)
    assert json == {"a": float(np.float32(0.1)), "b": [1, "nan"], "c": [["inf"], ["-inf"]], "d": 1}
    assert _plain.decoded(json["c"]) == [[math.inf], [-math.inf]]
    assert math.isnan(_plain.decoded(json["b"])[1])
    assert _plain.encoded(np.float64(2)) == 2
    assert _plain.encoded({"unknown": None}) == {"unknown": "nan"}
    for wrong, message in (
        (None, "returned a NoneType: give a number"),
        (1j, "returned a complex"),
        ({1: 2}, "names of results must be text"),
        ("1", "returned a str"),
    ):
        with pytest.raises(TypeError, match=message):
            _plain.encoded(wrong)
    with pytest.raises(ValueError, match="float64 does not hold exactly"):
        _plain.encoded(2**53 + 1)
