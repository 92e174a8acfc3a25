"""Scaled budgets: one simulated budget at other settings, against simulations, and where it is refused."""

import dataclasses
import math
import pickle

import numpy as np
import pytest

from mpimpy import SNR, Device, DPETensor, Drift, Engine, Gaussian, WriteVerify
from mpimpy.analysis.law import DEVIATION, Settings

BASE = {"var": 0.05, "write_var": 0.03, "vnoise": 0.01, "radc": 1024, "seed": 1}


@pytest.fixture(scope="module")
def operands():
    rng = np.random.default_rng(0)
    return rng.standard_normal((32, 200)), rng.standard_normal((200, 40))


def report_of(operands, **settings):
    x, w = operands
    return DPETensor(**(BASE | settings)).program(w).report(x, w)


@pytest.fixture(scope="module")
def report(operands):
    return report_of(operands)


def power(scaled, name):
    return 10 ** (-dict(scaled.parts)[name] / 10)


def variance(s):
    return math.exp(s * s) * (math.exp(s * s) - 1)


def test_parts_scale_by_their_formulas(report):
    own, other = report.scaled(), report.scaled(var=0.1, write_var=0.2, vnoise=0.02, radc=4096)
    ratios = {
        name: power(other, name) / power(own, name) for name in dict(own.parts) if math.isfinite(dict(own.parts)[name])
    }
    assert ratios.pop("read variation") == pytest.approx(variance(0.1) / variance(0.05))
    assert ratios.pop("write variation") == pytest.approx(variance(0.2) / variance(0.03))
    assert ratios.pop("DAC noise") == pytest.approx(4)
    assert ratios.pop("ADC rounding") == pytest.approx((1023 / 4095) ** 2, rel=1e-3)
    assert list(ratios.values()) == [1.0, 1.0]
    assert set(ratios) == {"input quantisation", "weight quantisation"}


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"radc": 512},
        {"var": 0.2},
        {"var": 0.0},
        {"write_var": 0.15, "var": 0.15},
        {"vnoise": 0.03, "radc": 4000},
        {"radc": [2048, 2048, 1024, 512]},
    ],
    ids=str,
)
def test_scaled_is_what_a_simulation_gives(operands, report, other):
    x, w = operands
    simulated = SNR(DPETensor(**(BASE | other)).program(w).read(x, 0), x @ w)
    assert report.scaled(**other).snr_dB == pytest.approx(simulated, abs=0.35)


def test_coherent_part_of_large_variation(operands):
    # exp(N(0, s)) has the mean exp(s^2 / 2): the product grows by it, whatever else varies
    quiet = {"w_mapping": "pair", "x_mapping": "signed", "write_var": 0.0, "vnoise": 0.0, "radc": None}
    found = report_of(operands, **quiet, var=0.002)
    x, w = operands
    simulated = SNR(DPETensor(**(BASE | quiet | {"var": 0.3})).program(w).read(x, 0), x @ w)
    assert found.scaled(var=0.3).snr_dB == pytest.approx(simulated, abs=0.4)
    law = found.law
    gram = np.zeros((len(law.names),) * 2)
    for at, row in enumerate(law.gram):
        gram[at, : at + 1] = gram[: at + 1, at] = row
    factor = math.sqrt(variance(0.3) / variance(0.002))
    factors = {"read variation": factor, "product": math.expm1(0.045) - factor * math.expm1(0.002**2 / 2)}
    vector = np.array([factors.get(name, 1.0) for name in law.names])
    assert law.powers(math, Settings(None, 0.3, 0.0, 0.0))[1] == pytest.approx(vector @ gram @ vector)


def test_parts_that_do_not_scale_stay(operands):
    found = report_of(operands, stuck_LGS=0.01, adc_range=4e-5)
    shown = dict(found.scaled(var=0.1).parts)
    assert shown["stuck cells"] == pytest.approx(dict(found.scaled().parts)["stuck cells"])
    assert "ADC saturation" in shown


def test_errors_of_adcs_count_in_lsb(operands):
    found = report_of(operands, noise_lsb=0.7, vnoise=0.0)
    assert power(found.scaled(radc=2047), "ADC errors") == pytest.approx(
        power(found.scaled(), "ADC errors") / 4, rel=2e-3
    )


@pytest.mark.parametrize(
    ("built", "asked", "says"),
    [
        ({"var": 0.0}, {"var": 0.1}, "var does not scale, for it was simulated with var=0"),
        ({"write_var": 0.0}, {"write_var": 0.1}, "write_var does not scale, for it was simulated with write_var=0"),
        ({"vnoise": 0.0}, {"vnoise": 0.1}, "vnoise does not scale, for it was simulated with vnoise=0"),
        ({"radc": None}, {"radc": 256}, "radc does not scale, for it was simulated with ideal ADCs"),
        ({"gain_error": 0.01}, {"radc": 512}, "radc does not scale, for the ADCs have errors of their gain"),
        ({"var": Gaussian(1e-7)}, {"var": 0.1}, r"var does not scale, .*only one lognormal spread"),
        ({"var": [0.01] * 16}, {"var": 0.1}, r"var does not scale, .*only one lognormal spread"),
        ({"adc_per": "product"}, {"radc": 512}, "this budget does not scale|radc does not scale, for per='product'"),
        ({"adc_per": "product"}, {}, "this budget does not scale, for per='product' converts sums"),
        ({"snap": True}, {}, "this budget does not scale, for snap=True rounds"),
        ({"adc_range": "lossless", "radc": 256}, {"var": 0.1}, "for range='lossless' rounds"),
        ({"bw_e": 8, "dbfp_en": True}, {"var": 0.1}, "the planes of a double exponent"),
        ({}, {"var": 0.3}, "var=0.3 and write_var=0.03 together are more than 0.3, where many cells clip"),
        ({"var": 0.4}, {"var": 0.1}, "var=0.4 and write_var=0.03 together are more than 0.3"),
        ({}, {"radc": 31}, "radc=31 is below 32 codes"),
        ({}, {"radc": [1024, 1024]}, "gives 2 resolutions for 4 weight slices"),
        ({}, {"radc": 64, "var": 0.001, "write_var": 0.0, "vnoise": 0.0}, "larger than the spread of the currents"),
        ({}, {"var": -1}, "var=-1 is out of range"),
        ({}, {"radc": None}, r"radc=None is the ideal ADC.* or simulate these .*replace\(adc=\{'radc': None\}\)"),
        ({"array_size": (32, 64)}, {"radc": 256, "var": 0, "write_var": 0, "vnoise": 0}, "larger than the spread"),
    ],
    ids=str,
)
def test_refused_where_the_law_does_not_hold(operands, built, asked, says):
    with pytest.raises(ValueError, match=says) as caught:
        report_of(operands, **built).scaled(**asked)
    assert "out of range" in says or "resolutions" in says or "simulate these settings" in str(caught.value)


@pytest.mark.parametrize("name", ["var", "write_var", "vnoise"])
def test_none_is_no_number(report, name):
    with pytest.raises(TypeError, match=f"{name}=None is no number: give 0 for none, or leave {name} out"):
        report.scaled(**{name: None})


def test_the_advice_is_a_call_that_works(operands):
    x, w = operands
    engine = DPETensor(**BASE)
    with pytest.raises(ValueError, match="simulate") as caught:
        engine.program(w).report(x, w).scaled(radc=[64, 64, 64, 16], var=0.0, write_var=0, vnoise=np.float32(0.5))
    call = str(caught.value).split("simulate these settings, ")[1]
    said = eval(call, {"engine": engine, "x": x, "w": w})
    other = {"radc": [64, 64, 64, 16], "var": 0.0, "write_var": 0.0, "vnoise": 0.5}
    assert said.snr_dB == DPETensor(**(BASE | other)).program(w).report(x, w).snr_dB


def test_what_is_as_simulated_needs_no_law(operands):
    found = report_of(operands, write_var=0.0, vnoise=0.0)
    assert found.scaled(write_var=0, vnoise=0, radc=1024, var=0.05) == found.scaled()
    ideal = report_of(operands, radc=None)
    assert ideal.scaled(radc=None) == ideal.scaled()
    with pytest.raises(ValueError, match="write_var does not scale"):
        found.scaled(write_var=0.01)
    measured = report_of(operands, var=Gaussian(1e-7))
    with pytest.raises(ValueError, match="var does not scale"):
        measured.scaled(var=0)


@pytest.mark.parametrize("per", [{}, {"adc_per": "product"}], ids=str)
def test_an_outlier_channel_is_refused(per):
    # nothing but one row of cells makes the error, and the law was 3 dB off
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((32, 128)), rng.standard_normal((128, 32))
    plain = DPETensor(var=0.03, radc=1024, seed=0).program(w).report(x, w)
    assert plain.scaled(radc=256).snr_dB == pytest.approx(
        DPETensor(var=0.03, radc=256, seed=0).program(w).report(x, w).snr_dB, abs=0.5
    )
    x[:, 0] *= 100
    with pytest.raises(ValueError, match=r"engine.replace\(adc=\{'radc': 256\}\)"):
        DPETensor(var=0.03, radc=1024, seed=0, **per).program(w).report(x, w).scaled(radc=256)


@pytest.mark.parametrize("block", ["finest", "per-matrix"])
@pytest.mark.parametrize(("rows", "large"), [(1, 0), (64, 3)])
def test_few_outputs_are_refused(rows, large, block):
    x, w = np.random.default_rng(0).standard_normal((2, 64, 64))
    x[:large] *= 1e3
    found = DPETensor(var=0.05, radc=1024, seed=0, x_quant_gran=block).program(w[:, :8]).report(x[:rows], w[:, :8])
    with pytest.raises(
        ValueError, match=r"the error of \d+ outputs decides, .*it scatters by more than 1 dB: simulate"
    ):
        found.scaled(radc=512)
    assert found.scaled().snr_dB == pytest.approx(found.snr_dB, abs=3)


def test_engines_that_cannot_be_built_have_no_figures(operands):
    settings = {"redraw": "row", "array_size": (16, 16), "radc": 4096, "backend": "reference"}
    found = report_of(operands, **settings)
    with pytest.raises(ValueError, match="have a skewness of") as caught:
        DPETensor(**(BASE | settings | {"var": 0.15}))
    with pytest.raises(ValueError, match="have a skewness of") as scaled:
        found.scaled(var=0.15)
    assert str(scaled.value) == str(caught.value)


def test_refused_for_verified_and_aged_cells(operands):
    x, w = operands
    verified = Engine(Device(write_var=0.05, verify=WriteVerify(1e-7)), seed=1).program(w).report(x, w)
    with pytest.raises(ValueError, match="cells were verified"):
        verified.scaled(write_var=0.1)
    aged = Engine(Device(drift=Drift(0.05)), seed=1).program(w).at(100.0).report(x, w)
    with pytest.raises(ValueError, match="the matrix has aged"):
        aged.scaled(var=0.1)
    with pytest.raises(TypeError, match="redraw"):
        aged.scaled(redraw="slice")


def test_ideal_adcs_have_no_rounding(operands):
    found = report_of(operands, radc=None)
    assert "ADC rounding" not in dict(found.scaled(var=0.1).parts)
    assert found.scaled().snr_dB == pytest.approx(found.snr_dB, abs=0.1)


def test_numbers_and_arrays_follow_one_law(report):
    grid = {"radc": [64, 300, 1000], "var": [0.0, 0.004, 0.1], "write_var": [0.0, 0.01], "vnoise": [0.0, 0.02]}
    shaped = [
        np.asarray(values, float).reshape([-1 if i == at else 1 for i in range(4)])
        for at, values in enumerate(grid.values())
    ]
    at = Settings((shaped[0],) * 4, *shaped[1:])
    _, total, deviation = report.law.powers(np, at)
    for index in np.ndindex(total.shape):
        radc, *rest = (values[i] for values, i in zip(grid.values(), index, strict=True))
        _, one, off = report.law.powers(math, Settings((radc,) * 4, *rest))
        assert total[index] == pytest.approx(one, rel=1e-5)
        assert np.broadcast_to(deviation, total.shape)[index] == pytest.approx(off, rel=1e-4, abs=1e-6)


def test_a_report_compares_prints_and_travels_without_its_law(report):
    assert "law" not in repr(report)
    assert dataclasses.replace(report, law=None) == report
    assert pickle.loads(pickle.dumps(report)).scaled(radc=512) == report.scaled(radc=512)
    assert "ADC rounding" in str(report.scaled())
    with pytest.raises(ValueError, match="no law to scale by"):
        dataclasses.replace(report, law=None).scaled()


def test_other_mappings_scale_as_well(operands):
    x, w = operands
    for settings in (
        {"w_mapping": "pair", "x_mapping": "signed"},
        {"w_mapping": "offset"},
        {"reference": "ideal", "redraw": "slice"},
        {"redraw": "row", "bw_e": 8, "backend": "reference"},  # the kernels of so many noises take long to compile
    ):
        other = {"var": 0.1, "radc": 2048}
        simulated = SNR(DPETensor(**(BASE | settings | other)).program(w).read(x, 0), x @ w)
        assert report_of(operands, **settings).scaled(**other).snr_dB == pytest.approx(simulated, abs=0.5), settings


SLICES = ([1, 1, 2, 4], [1] * 8, [1, 1, 2, 2], [1, 3, 4], [1, 1, 1, 1, 2, 2], [1, 1, 4])


@pytest.mark.slow
def test_accuracy_over_drawn_designs():
    rng = np.random.default_rng(20)
    errors = []
    for _ in range(90):
        x, w = rng.standard_normal((32, 256)), rng.standard_normal((256, 32))
        x = np.maximum(x, 0) if rng.random() < 0.3 else x
        base = {
            "x_slices": SLICES[rng.integers(6)],
            "w_slices": SLICES[rng.integers(6)],
            "array_size": (int(rng.choice([32, 64, 128, 256])), 64),
            "x_mapping": ["twos", "signed"][rng.integers(2)],
            "w_mapping": ["twos", "pair"][rng.integers(2)],
            "seed": 1,
        }
        on = ["var", *(["write_var"] if rng.random() < 0.5 else []), *(["vnoise"] if rng.random() < 0.3 else [])]

        def drawn(on=on):
            spreads = {name: float(rng.choice([0.005, 0.01, 0.02, 0.05, 0.1])) for name in on}
            return spreads | {"radc": int(rng.choice([256, 300, 512, 1000, 1024, 2048, 4096]))}

        budget = DPETensor(**base, **drawn()).program(w).report(x, w)
        for _ in range(4):
            other = drawn()
            try:
                scaled = budget.scaled(**other).snr_dB
            except ValueError:
                continue
            simulated = SNR(DPETensor(**base, **other).program(w).read(x, 0), x @ w)
            if simulated > 10:
                errors.append(scaled - simulated)
    found = np.abs(errors)
    assert len(found) > 150
    assert np.sqrt(np.mean(found**2)) < 0.35
    assert np.mean(found < 0.5) >= 0.96
    assert found.max() < 1.0


def test_the_limit_is_where_errors_begin(operands):
    # noise that reaches neighbouring codes makes the error uniform: just as far is the law used
    x, w = operands
    found = DPETensor(var=0.05, radc=256, seed=1).program(w).report(x, w)
    deviations = [
        found.law.powers(math, Settings((256,) * 4, var, 0.0, 0.0))[2] for var in (0.001, 0.02, 0.05, 0.1, 0.2)
    ]
    assert deviations == sorted(deviations, reverse=True)
    assert deviations[0] > 10 * DEVIATION
    assert deviations[-1] < DEVIATION
