"""The error budget and the size of a product; SNR, RE and ABSE."""

import dataclasses
import math

import numpy as np
import pytest
from libraries import to_strict, to_torch, torch

import mpimpy
from mpimpy import ABSE, ADC, DAC, RE, SNR, Device, DPETensor, Engine, Format, Ranges, Tile, Wires, explain

NAMES = ["input quantisation", "weight quantisation", "DAC noise", "level rounding", "write variation",
         "read variation", "stuck cells", "ADC rounding", "ADC saturation"]  # fmt: skip


def effects(report):
    return {effect.name: effect for effect in report.effects}


@pytest.fixture
def operands(rng):
    return rng.standard_normal((100, 130)), rng.standard_normal((130, 90))


ALL = {"write_var": 0.02, "stuck_HGS": 1e-3, "stuck_LGS": 1e-3, "vnoise": 0.02, "seed": 1}


def test_sizes_and_conversions(operands):
    report = explain(*operands, seed=1)
    assert (report.inputs, report.weights, report.array, report.tiles) == ((100, 130), (130, 90), (64, 64), (3, 2, 4))
    assert report.cells == 130 * 90 * 4
    assert report.reference_cells == 3 * 2 * 4 * 64
    assert report.dac_conversions == 100 * 130 * 4 * 2 * 4
    assert report.adc_conversions == 100 * 90 * 4 * 3 * 4
    assert report.full_scale_A == pytest.approx(64 * 0.1 * (1e-5 - 1e-7))
    double = Format(bw_e=8, double=True)
    report = explain(*operands, Engine(inputs=double, weights=double, dac=DAC(vread=0.2), tile=Tile(32, 90), seed=1))
    assert report.tiles == (5, 1, 8)
    assert report.cells == 130 * 90 * 8
    assert report.dac_conversions == 100 * 130 * 8 * 8
    assert report.adc_conversions == 100 * 90 * 8 * 5 * 8
    assert report.full_scale_A == pytest.approx(32 * 0.2 * (1e-5 - 1e-7))


def test_total_is_the_products_own_snr(operands):
    for settings in ({"seed": 1}, ALL):
        report = explain(*operands, **settings)
        product = DPETensor(**settings).MapReduceDot(*operands)
        assert report.snr_dB == pytest.approx(SNR(product, operands[0] @ operands[1]), abs=1e-9)


def test_every_effect_is_measured_alone_and_left_out(operands):
    x, w = operands
    report = explain(x, w, **ALL)
    assert [effect.name for effect in report.effects] == NAMES
    found = effects(report)

    def snr(**settings):
        return SNR(DPETensor(seed=1, **settings).MapReduceDot(x, w), x @ w)

    base = {k: v for k, v in ALL.items() if k != "seed"}
    assert found["read variation"].without_dB == pytest.approx(snr(**base | {"var": 0}), abs=1e-6)
    assert found["write variation"].without_dB == pytest.approx(snr(**base | {"write_var": 0}), abs=1e-6)
    assert found["stuck cells"].without_dB == pytest.approx(snr(**base | {"stuck_HGS": 0, "stuck_LGS": 0}), abs=1e-6)
    assert found["DAC noise"].without_dB == pytest.approx(snr(**base | {"vnoise": 0}), abs=1e-6)
    assert found["ADC saturation"].without_dB == pytest.approx(snr(**base | {"saturate": False}), abs=1e-6)
    assert found["ADC rounding"].without_dB == pytest.approx(snr(**base | {"radc": None}), abs=0.1)
    # alone: nothing but quantisation is left beside it, and that is small
    assert found["read variation"].alone_dB == pytest.approx(snr(radc=None), abs=0.2)
    assert found["ADC rounding"].alone_dB == pytest.approx(snr(var=0), abs=0.2)
    assert found["level rounding"].alone_dB > 200
    for name, effect in found.items():
        assert effect.without_dB >= report.snr_dB - 0.3, name


def test_quantisation_is_told_from_the_rest(operands):
    x, w = operands
    found = effects(explain(x, w, seed=1, var=0, radc=None, x_slices=[1, 3], w_slices=[1, 1, 2, 4]))
    assert found["input quantisation"].alone_dB < 25 < found["weight quantisation"].alone_dB
    assert found["input quantisation"].without_dB == pytest.approx(found["weight quantisation"].alone_dB, abs=0.2)
    assert found["weight quantisation"].without_dB == pytest.approx(found["input quantisation"].alone_dB, abs=0.2)


def test_effects_that_are_off_cost_nothing(operands):
    found = effects(explain(*operands, seed=1, var=0, radc=None))
    for name in NAMES[2:]:
        assert found[name].alone_dB > 200, name


def test_saturation_is_seen():
    x, w = np.ones((4, 64)), np.ones((64, 64))
    found = effects(explain(x, w, Engine(Device(var=0.5), adc=ADC(4096), seed=1)))
    assert found["ADC saturation"].without_dB != pytest.approx(found["ADC rounding"].without_dB, abs=0.1)


def test_exact_reads_have_a_budget_too(rng):
    x, w = rng.standard_normal((5, 20)), rng.standard_normal((20, 6))
    parts = {"tile": Tile(8, 4), "seed": 1}
    wires = Wires(50.0, 50.0, exact_reads=True)
    found = effects(Engine(Device(write_var=0.1), wires=wires, **parts).program(w).report(x, w))

    def snr(device, wires):
        return SNR(Engine(device, wires=wires, **parts).program(w).read(x, read=0), x @ w)

    # without read variation there is nothing to solve again for each read
    still = Device(var=0.0, write_var=0.1)
    assert found["read variation"].without_dB == pytest.approx(snr(still, Wires(50.0, 50.0)), abs=1e-9)
    assert found["write variation"].without_dB == pytest.approx(snr(Device(), wires), abs=1e-9)
    assert found["wire resistance"].without_dB == pytest.approx(snr(Device(write_var=0.1), None), abs=1e-9)


def test_a_matrix_reports_on_itself(operands):
    x, w = operands
    engine = DPETensor(seed=1)
    W = engine.program(w)
    report = W.report()
    assert [effect.name for effect in report.effects] == [name for name in NAMES if name != "weight quantisation"]
    assert "64 rows of standard normal inputs; weight quantisation not known" in report.note
    assert (report.inputs, engine.reads) == ((64, 130), 0)
    assert dataclasses.asdict(W.report(x, w)) == dataclasses.asdict(explain(x, w, seed=1))
    assert W.report(x[0]).inputs == (1, 130)


FORMATS = {
    "int": {},
    "block": {"bw_e": 8},
    "double exponent": {"bw_e": 8, "dbfp_en": True},
    "per matrix": {"w_quant_gran": "per-matrix"},
    "pair": {"w_mapping": "pair"},
}


@pytest.mark.parametrize("given", FORMATS.values(), ids=FORMATS)
def test_weights_that_the_matrix_does_not_hold_are_refused(operands, given):
    x, w = operands
    W = DPETensor(seed=1, write_var=0.1, **given).program(w)
    other = w.copy()
    other[3, 4] = -w[3, 4]
    count = len(W.programmed.encoded.scales.ravel())
    W.report(x[:2], w)
    with pytest.raises(ValueError, match=rf"w is not what was programmed, for 1 of 11700 codes and 0 of {count} "):
        W.report(x, other)
    for wrong in (2 * w, w[::-1], w.T.reshape(w.shape), np.zeros_like(w)):
        with pytest.raises(ValueError, match=r"differ: give the weights that went into engine.program\(w\), or leave"):
            W.report(x, wrong)


def test_scales_alone_make_other_weights(operands):
    x, w = operands
    W = DPETensor(seed=1).program(w)
    with pytest.raises(ValueError, match=r"for 0 of 11700 codes and 270 of 270 scales differ"):
        W.report(x, 2 * w)


def test_the_weights_of_a_matrix_may_have_more_digits_than_it_took(operands, tmp_path):
    # float32 weights, and the float64 ones that they were rounded from
    x, w = operands
    W = DPETensor(seed=1).program(w.astype(np.float32))
    assert np.isfinite(W.report(x, w).snr_dB)
    W.save(tmp_path / "chip.npz")
    assert mpimpy.load(tmp_path / "chip.npz").report(x, w).snr_dB == W.report(x, w).snr_dB
    part = DPETensor(seed=1).program(w[:, 10:], origin=(64, 10))
    assert np.isfinite(part.report(x, w[:, 10:]).snr_dB)


def test_it_prints_as_a_table(operands):
    text = str(explain(*operands, **ALL))
    assert "product            100 x 130 by 130 x 90" in text
    assert "arrays             24 of 64 x 64, 3 x 2 tiles, 4 slices" in text
    assert "ADC full scale     6.336e-05 A" in text
    lines = text.splitlines()
    assert len(lines) == 12 + 9 + 1
    assert all(line.count("dB") == 2 or "no cost" in line for line in lines[12:21])
    assert "seed               1, chip 0, read 0" in text


def test_it_tells_how_long_a_draw_lasted_and_what_another_costs(operands):
    x, w = operands
    found = {redraw: DPETensor(seed=1, redraw=redraw).program(w).report(x, w) for redraw in ("product", "slice", "row")}
    each, whole = (f"{found[name].snr_dB:.2f} dB" for name in ("slice", "product"))
    assert found["product"].redraw == f"drawn for the whole product; {each} if for each input slice (redraw='slice')"
    for name, words in (("slice", "each input slice"), ("row", "each input row and slice")):
        assert found[name].redraw == f"drawn for {words}; {whole} if for the whole product (redraw='product')"
    assert DPETensor(seed=1, adc_per="product").program(w).report(x, w).redraw == "drawn for the whole product"
    quiet = DPETensor(seed=1, var=0).program(w).report(x, w)
    assert quiet.redraw == ""
    assert "read variation     " not in str(quiet).partition("error budget")[0]


@pytest.mark.slow
def test_every_library_gets_the_same_budget(operands):
    expected = explain(*operands, **ALL)
    for make in [to_strict] + ([to_torch] if torch is not None else []):
        report = explain(make(operands[0]), make(operands[1]), **ALL)
        assert report.snr_dB == pytest.approx(expected.snr_dB, abs=1e-9)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda W: W.report(np.ones((2, 3))), r"shapes \(2, 3\) and \(70, 4\) do not fit"),
        (lambda W: W.report(np.ones((0, 70))), r"x has shape \(0, 70\): errors cannot be measured without inputs"),
        (lambda W: W.report(np.ones(70), np.ones((70, 5))), r"w has shape \(70, 5\), but \(70, 4\) was programmed"),
        (lambda W: W.report(np.full(70, np.inf)), r"x has inf at index \(0,\)"),
    ],
)
def test_refused(run, message):
    with pytest.raises(ValueError, match=message):
        run(DPETensor(seed=1).program(np.ones((70, 4))))


def test_explain_of_a_vector():
    assert explain(np.ones((2, 5)), np.ones(5), seed=0).weights == (5, 1)


def test_metrics(rng):
    exact = rng.standard_normal((20, 30))
    measured = exact + 0.1 * rng.standard_normal((20, 30))
    error = measured - exact
    assert SNR(measured, exact) == pytest.approx(10 * np.log10((exact**2).sum() / (error**2).sum()))
    assert RE(measured, exact) == pytest.approx(np.linalg.norm(error) / np.linalg.norm(exact))
    assert ABSE(measured, exact) == pytest.approx(np.abs(error).mean())
    assert SNR(measured, exact) != SNR(exact, measured)
    for make in [to_strict] + ([to_torch] if torch is not None else []):
        for metric in (SNR, RE, ABSE):
            assert metric(make(measured), make(exact)) == pytest.approx(metric(measured, exact))


def test_metrics_at_the_ends():
    ones, zeros = np.ones(3), np.zeros(3)
    assert (SNR(ones, ones), RE(ones, ones), ABSE(ones, ones)) == (math.inf, 0.0, 0.0)
    assert (SNR(ones, zeros), RE(ones, zeros), ABSE(ones, zeros)) == (-math.inf, math.inf, 1.0)
    assert (ABSE([], []), RE([], []), SNR([], [])) == (0.0, 0.0, math.inf)
    for scale in (1e300, 1e-300):
        assert SNR([scale, 1.1 * scale], [scale, scale]) == pytest.approx(SNR([1, 1.1], [1, 1]))
        assert RE([scale, 1.1 * scale], [scale, scale]) == pytest.approx(RE([1, 1.1], [1, 1]))
    assert SNR([1 + 1j], [1 + 0j]) == pytest.approx(0.0)
    assert SNR(np.ones(3, np.int8) * 100, np.ones(3, np.int8) * 50) == pytest.approx(0.0)
    with pytest.raises(ValueError, match=r"measured has shape \(3,\) and exact \(2,\)"):
        SNR(ones, np.ones(2))


def test_the_full_scale_is_the_range_s():
    full = 64 * 0.1 * (1e-5 - 1e-7)
    w = np.random.default_rng(0).standard_normal((70, 9))

    def top(adc, **parts):
        return Engine(adc=adc, seed=1, **parts).program(w).report().full_scale_A

    assert top(ADC()) == top(ADC(None)) == pytest.approx(full)
    assert top(ADC(range=3e-5)) == pytest.approx(3e-5)
    assert top(ADC(range=(1e-6, 2e-5))) == pytest.approx(2e-5, rel=1e-6)
    spans = [[1e-5] * 4, [1e-5] * 4, [2e-5] * 4, [1e-5] * 4]
    assert top(ADC(range=Ranges([[0.0] * 4] * 4, spans))) == pytest.approx(2e-5)
    assert top(ADC(range="lossless")) == pytest.approx(full)
    assert top(ADC(), wires=Wires(2.93, 2.93)) == pytest.approx(full * 0.961, rel=1e-3)
