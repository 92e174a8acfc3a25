"""Reports as data: replayed from what they hold, over several reads, as plain values, frames and pages."""

import json
import math
import sys

import numpy as np
import pytest
from libraries import torch

import mpimpy
from mpimpy import SNR, Device, DPETensor, Engine, MapReducedot, Report, explain
from mpimpy._plain import plain
from mpimpy.analysis.metrics import together
from mpimpy.analysis.results import decibels

x, w = np.random.default_rng(3).standard_normal((2, 10, 10))


def replayed(report):
    return Engine.from_config(report.settings, seed=report.seed, chip=report.chip)


def test_what_a_report_holds_gives_the_same_bits():
    report = explain(x, w, write_var=0.05, chip=3)  # a fresh seed
    assert (report.chip, report.read, report.reads, report.stream) == (3, 0, 1, None)
    assert explain(x, w, replayed(report)) == report
    engine = replayed(report)
    assert SNR(engine(x, w, read=report.read), x @ w) == pytest.approx(report.snr_dB, abs=1e-9)
    assert explain(x, w, seed=report.seed, read=1).snr_dB != explain(x, w, seed=report.seed).snr_dB
    named = Engine(Device(write_var=0.1), seed=1).program(w, name="layer1").report(x, w)
    assert named.seed != 1
    assert replayed(named).program(w).report(x, w) == named
    assert Engine(seed=1).program(np.eye(64), origin=(64, 3)).report().origin == (64, 3)


CASES = {
    "real": lambda a, b: (a, b),
    "float32": lambda a, b: (a.astype(np.float32), b),
    "complex inputs": lambda a, b: (a + 1j * b.T, b),
    "complex weights": lambda a, b: (a, b - 1j * b.T),
    "vectors": lambda a, b: (a[0], b[0]),
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_a_product_and_its_report(make):
    a, b = make(x, w)
    c, report = MapReducedot(a, b, return_report=True)
    again = MapReducedot(a, b, seed=report.seed)
    assert (type(c), c.dtype) == (type(again), again.dtype)
    assert np.array_equal(c, again)
    assert report.snr_dB == pytest.approx(SNR(np.asarray(c), np.asarray(a @ b)), abs=1e-4)
    assert MapReducedot(a, b, return_report=False, seed=report.seed).shape == c.shape


def test_a_counted_read_is_the_one_reported():
    engine, twin = DPETensor(seed=4, vnoise=0.02), DPETensor(seed=4, vnoise=0.02)
    engine(x, w), twin(x, w)
    c, report = MapReducedot(x, w, engine, return_report=True)
    assert (report.read, report.stream, engine.reads) == (1, None, 2)
    assert np.array_equal(c, twin(x, w))
    assert np.array_equal(c, replayed(report)(x, w, read=report.read))
    assert report.snr_dB == pytest.approx(SNR(c, x @ w), abs=1e-9)
    engine = engine.in_stream("copy", 5)
    c, report = MapReducedot(x, w, engine, return_report=True)
    assert (report.read, report.stream) == (5, "copy")
    assert "read 5 of stream 'copy'" in str(report)
    assert np.array_equal(c, replayed(report).in_stream(report.stream, report.read)(x, w))
    assert report.snr_dB == pytest.approx(SNR(c, x @ w), abs=1e-9)


@pytest.mark.skipif(torch is None, reason="the torch extra is not installed")
def test_tensors_with_a_gradient_have_a_report_too():
    engine = DPETensor(seed=4).in_stream("copy", 5)
    a, b = torch.tensor(x), torch.tensor(w, requires_grad=True)
    for each in (engine, DPETensor(seed=4)):
        c, report = MapReducedot(a, b, each, return_report=True)
        c.sum().backward()
        assert torch.equal(c, replayed(report).in_stream(report.stream, report.read)(a, b))
        assert report.snr_dB == pytest.approx(SNR(c, a @ b), abs=1e-9)
    assert b.grad.shape == b.shape
    assert torch.equal(MapReducedot(a, b.detach(), return_report=True, seed=1)[0], MapReducedot(a, b, seed=1))

    from torch.fx.experimental.proxy_tensor import make_fx

    with pytest.raises(TypeError, match=r"return_report=True has no place in a graph of torch: call explain\("):
        make_fx(lambda a: MapReducedot(a, b, engine, return_report=True)[0])(a)


def test_refused():
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"return_report=True measures operands .* computed later: call explain\(a"):
        MapReducedot(da.ones((4, 4)), w[:4], return_report=True)
    with pytest.raises(TypeError, match="return_report='yes' must be True or False"):
        MapReducedot(x, w, return_report="yes")
    for given in ({"reads": 0}, {"read": -1}, {"read": 2**32 - 1, "reads": 2}):
        with pytest.raises(ValueError, match=r"^reads?=.* is out of range"):
            explain(x, w, seed=1, **given)


def test_several_reads_are_one_figure_and_a_range():
    settings = {"var": 0.05, "write_var": 0.05, "noise_lsb": 0.5, "seed": 2}
    each = [explain(x, w, read=read, **settings) for read in (4, 5, 6)]
    found = explain(x, w, read=4, reads=3, **settings)
    errors = [DPETensor(**settings)(x, w, read=read) - x @ w for read in (4, 5, 6)]
    expected = SNR(np.stack(errors) + x @ w, np.stack([x @ w] * 3))
    assert found.snr_dB == pytest.approx(expected, abs=1e-9)
    assert found.snr_range_dB == (min(one.snr_dB for one in each), max(one.snr_dB for one in each))
    for effect, *singles in zip(found.effects, *(one.effects for one in each), strict=True):
        for part in ("alone", "without"):
            values = [getattr(one, f"{part}_dB") for one in singles]
            assert getattr(effect, f"{part}_range_dB") == (min(values), max(values))
            assert getattr(effect, f"{part}_dB") == pytest.approx(together(values))
    assert each[0].snr_range_dB is each[0].effects[0].alone_range_dB is None
    lines = {line[:19].strip(): line for line in str(found).splitlines()}
    assert lines["seed"].endswith("2, chip 0, reads 4 to 6")
    assert lines["write variation"].count(" to ") == 1  # alone, it is the same in every read
    assert "3 reads together, and the lowest to the highest of them" in str(found)
    assert together([-math.inf, 3.0]) == -math.inf
    assert together([-5000.0, 3.0]) == pytest.approx(-5000 + 10 * math.log10(2))


def test_an_exact_product_is_exact_by_one_rule():
    # sums of float64 round, once more or once less: no figure of 305 dB stands beside an infinite one
    report = explain(x, w, seed=1, var=0, radc=None, format="fp32")
    assert {effect.alone_dB for effect in report.effects[2:]} == {math.inf}
    whole = explain(np.eye(8), np.eye(8), seed=1, var=0, radc=None)
    assert whole.snr_dB == math.inf
    assert f"{'SNR':<19}exact" in str(whole)
    assert (decibels(199.9), decibels(200.1), decibels(200.1, None, "no cost")) == ("199.90 dB", "exact", "no cost")


def test_plain_values():
    report = explain(x, w, seed=1, reads=2)
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert found == report.to_dict()
    assert mpimpy.Config.from_dict(found["settings"]) == report.settings
    assert (found["seed"], found["reads"], found["weights"]) == (1, 2, [10, 10])
    assert found["effects"][2] == {
        "name": "DAC noise",
        "alone_dB": "inf",
        "without_dB": report.snr_dB,
        "alone_range_dB": ["inf", "inf"],
        "without_range_dB": list(report.snr_range_dB),
    }
    assert set(found) == {"kind"} | set(Report.__dataclass_fields__) - {"law"}
    assert plain({"a": (math.nan, -math.inf)}) == {"a": ["nan", "-inf"]}


def test_frames(monkeypatch):
    report = explain(x, w, seed=1)
    pytest.importorskip("pandas")
    frame = report.to_frame()
    assert list(frame.columns) == ["alone_dB", "without_dB"]
    assert list(frame.alone_dB) == [effect.alone_dB for effect in report.effects]
    assert frame.attrs["snr_dB"] == report.snr_dB
    assert frame.index.name == "effect"
    effect = report.effects[0]
    columns = explain(x, w, seed=1, reads=2).to_frame()
    assert tuple(columns.loc[effect.name, ["without_low_dB", "without_high_dB"]]) != (effect.without_dB,) * 2
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pandas, which is not installed: pip install pandas"):
        report.to_frame()


def test_it_shows_itself():
    report = explain(x, w, seed=1)
    snr = f"{report.snr_dB:.2f} dB"
    assert repr(report) == f"<Report of 10 x 10 by 10 x 10: SNR {snr}, seed 1, chip 0, read 0>"
    page = report._repr_html_()
    assert page.count("<table>") == page.count("</table>") == 2
    assert f"<td>{snr}</td>" in page
    assert "(redraw=&#x27;slice&#x27;)" in page
    assert "http" not in page
