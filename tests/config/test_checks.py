"""Numbers, switches and lists as libraries and tables hold them: taken as what they are, or refused in words."""

import decimal
import fractions

import numpy as np
import pytest
from libraries import torch

from mpimpy import ADC, DAC, Config, Device, DPETensor, Engine, Format, Gaussian, Ranges, Samples, Tile, Wires
from mpimpy.checks import check_names

try:
    import pandas as pd
except ImportError:  # its scalars and columns are left out
    pd = None

WHOLE = [
    np.float64(256),
    256.0,
    np.float32(256),
    np.int16(256),
    np.array(256),
    np.array(256.0),
    np.array(256, dtype=object),
    np.longdouble(256),
    fractions.Fraction(256),
    decimal.Decimal(256),
]
NO_NUMBER = [
    "256",
    np.str_("256"),
    np.array("256"),
    b"256",
    True,
    np.True_,
    np.array(True),
    256 + 0j,
    np.complex128(256),
    np.timedelta64(256, "ns"),
    np.datetime64(256, "s"),
    np.zeros((2, 2)),
]
if pd is not None:
    WHOLE += [pd.DataFrame({"radc": [256], "var": [0.02]}).iloc[0]["radc"], pd.array([256], dtype="Int64")[0]]
    NO_NUMBER += [pd.NA, pd.NaT, pd.Timedelta(256)]
if torch is not None:
    WHOLE += [torch.tensor(256), torch.tensor(256.0)]
    NO_NUMBER += [torch.tensor(True), torch.tensor(256 + 0j), torch.tensor(256, device="meta")]


@pytest.mark.parametrize("value", WHOLE, ids=repr)
def test_whole_numbers_of_any_library(value):
    assert (DAC(rdac=value).rdac, type(DAC(rdac=value).rdac)) == (256, int)
    assert ADC(radc=value).radc == 256
    assert ADC(radc=[value, 16]).radc == (256, 16)
    assert DPETensor(radc=value, seed=1).config.adc.radc == 256
    assert Engine(seed=value, chip=value).seed == 256
    assert Tile(value, value) == Tile(256, 256)
    assert type(DAC(vread=value / 256).vread) is float


@pytest.mark.parametrize("value", NO_NUMBER, ids=repr)
def test_what_is_no_number_is_refused(value):
    for build in (lambda: DAC(rdac=value), lambda: Tile(rows=value), lambda: Engine(seed=value)):
        with pytest.raises(TypeError, match="must be a whole number"):
            build()
    for build in (lambda: DAC(vread=value), lambda: Device(HGS=value), lambda: Wires(value, 1)):
        with pytest.raises(TypeError, match="must be a number"):
            build()


def test_missing_values_of_a_table_are_named():
    for value in (float("nan"), np.float64("nan"), np.ma.masked, *([] if pd is None else [pd.NA])):
        for build in (lambda v=value: ADC(radc=v), lambda v=value: Format(bw_e=v)):
            with pytest.raises(TypeError, match="must be a whole number: it is a missing value of a table, so leave"):
                build()
    with pytest.raises(ValueError, match=r"^vread=nan must be finite: NaN is a missing value of a table"):
        DAC(vread=np.ma.masked)
    for value in (256.5, float("inf")):
        with pytest.raises(TypeError, match=f"^rdac={value} must be a whole number"):
            DAC(rdac=value)
    with pytest.raises(ValueError, match=r"^seed=1e\+18 is a float too large to be exact: give an int"):
        Engine(seed=1e18)
    with pytest.raises(ValueError, match=r"^rdac=\(int of too many digits to show\) is out of range"):
        DAC(rdac=10**5000)


def test_switches_of_any_library():
    for true in (np.True_, np.array(True)):
        assert ADC(snap=true).snap is True
    assert DPETensor(saturate=np.array([True, False])[1], seed=1).config.adc.saturate is False
    if torch is not None:
        assert ADC(snap=torch.tensor(True)).snap is True
    for value in (1, 1.0, np.int64(1), "True", None, np.array([True]), *([] if pd is None else [pd.NA])):
        with pytest.raises(TypeError, match="must be True or False"):
            ADC(snap=value)


def test_lists_of_any_library():
    for slices in (np.array([1.0, 1.0, 2.0]), (1, np.float64(1), 2)):
        assert Format(slices).slices == (1, 1, 2)
        assert DPETensor(x_slices=slices, seed=1).config.inputs.slices == (1, 1, 2)
    assert Samples(np.array([[1e-7, 1.1e-7], [1e-5, 1.1e-5]])).conductance_S == ((1e-7, 1.1e-7), (1e-5, 1.1e-5))
    assert Ranges(np.zeros((1, 1)), np.full((1, 1), 1e-5)) == Ranges([[0]], [[1e-5]])
    assert DPETensor(wire_resistance=np.array([1.0, 2.0]), seed=1).config.wires == Wires(1, 2)
    assert DPETensor(stuck_fault_value=np.float64(1), stuck_fault_ratio=0.1, seed=1).config.device.stuck_HGS == 0.1
    assert Format(granularity=np.array("per-row"), mapping=np.str_("offset")).granularity == "per-row"
    assert Format.named(np.str_("int4")) == Format.named("int4")
    assert ADC(range=np.array("lossless")).range == "lossless"
    assert ADC(range=np.array(1e-5)).range == 1e-5


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ADC(radc={256, 512}), r"radc=\{.*\} must be a list: the order of its items counts"),
        (lambda: Device(var={0: 0.1, 1: 0.2}), r"var=\{0: 0.1, 1: 0.2\} must be a list"),
        (lambda: Samples({(1e-7,), (1e-5,)}), r"conductance_S=.* must be a list"),
        (lambda: Format(b"\1\1\2"), r"slices=b.* must list the bits per slice"),
        (lambda: Samples([b"ab", b"cd"]), r"conductance_S must hold one sequence of conductances per level"),
        (lambda: Ranges([b"a"], [b"b"]), r"low must hold one number for each weight slice and input slice: b'a' is no"),
        (lambda: Format(granularity=b"\1\2"), r"granularity=b.* must be two whole numbers"),
        (lambda: Config().replace(device={1: 2}), r"unknown setting 1: the name of a setting must be text"),
        (lambda: check_names(["x" * 10**6], ["y"]), r"unknown setting 'x+\.\.\.: known are y"),
    ],
)
def test_lists_that_would_be_misread(build, message):
    with pytest.raises(TypeError, match=message) as caught:
        build()
    assert len(str(caught.value)) < 1000


@pytest.mark.skipif(pd is None, reason="pandas is not installed")
def test_columns_and_tables_of_pandas():
    assert Format(pd.Series([1, 1, 2], index=[5, 6, 7])).slices == (1, 1, 2)
    assert Samples(pd.DataFrame([[1e-7, 1.1e-7], [1e-5, 1.1e-5]])).conductance_S == ((1e-7, 1.1e-7), (1e-5, 1.1e-5))
    assert Gaussian(pd.Series([1e-7, 2e-7])).sigma_S == (1e-7, 2e-7)
    with pytest.raises(TypeError, match=r"var\[0\]=array\(.* must be a number"):
        Device(g_level=2, var=pd.DataFrame([[0.1, 0.2]]))


def test_text_of_another_kind_is_unknown():
    for build in (
        lambda: Format(mapping=np.array(["twos", "twos"])),
        lambda: Format.named(["int4"]),
        lambda: DPETensor(stuck_fault_value=None, stuck_fault_ratio=0.1),
    ):
        with pytest.raises(ValueError, match=r"is unknown: use|must be 0"):
            build()
