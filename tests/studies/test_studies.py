"""Studies: tables that repeat, whose figures are those of single engines, and that draw themselves."""

import itertools
import json
import math
import sys
import types

import numpy as np
import pytest

import mpimpy
from mpimpy import ADC, SNR, Device, Drift, Engine, Wires, cost, studies, wires
from mpimpy.cost._counts import adc_codes
from mpimpy.studies import _problem

RANDOM = np.random.default_rng(0)
X, W = RANDOM.standard_normal((6, 20)), RANDOM.standard_normal((20, 5))
NOISY = Engine(Device(var=0.02, write_var=0.05, drift=Drift(0.05, 0.01)), wires=Wires(5, 2), seed=7)
CALLS = {
    "chip_yield": {"target": [10, 16], "chips": 5},
    "drift": {"times": ["1 h", 60], "chips": [3, 1]},
    "wires": {"sizes": [8, (16, 4)], "chips": 2},
    "adc_bits": {"bits": [8, 6], "chips": [1, 2]},
    "snr_energy": {"space": {"mapping": ["twos", "pair"], "array_size": [(16, 4)], "bits": 6}, "chips": [1, 2]},
}


def study(kind, **changed):
    return getattr(studies, kind)(NOISY, X, W, **CALLS[kind] | changed)


def single(engine, chip, **replaced):
    matrix = Engine.from_config(engine.config.replace(**replaced), seed=engine.seed, chip=chip).program(W)
    return SNR(matrix.read(X, read=0), X @ W)


def test_a_yield_counts_chips_and_has_the_interval_of_wilson():
    found = study("chip_yield")
    figures = [single(NOISY, chip) for chip in range(5)]
    assert found.by_chip == {"SNR": (tuple(figures),)}
    for target, reached, share, low, high in found.rows:
        assert reached == sum(figure >= target for figure in figures)
        assert share == 20 * reached
        # the interval holds the shares from which the measured one is at most z standard deviations away
        p, z = reached / 5, 1.959963984540054
        middle, half = (p + z**2 / 10) / (1 + z**2 / 5), z * math.sqrt(p * (1 - p) / 5 + z**2 / 100) / (1 + z**2 / 5)
        assert (low, high) == pytest.approx((100 * (middle - half), 100 * (middle + half)))
    assert {row[1] for row in found.rows} == {5, sum(figure >= 16 for figure in figures)}
    exactly = study("chip_yield", target=min(figures))
    assert exactly.column("reached") == (5,)


def test_a_yield_takes_a_figure_of_the_users_own():
    def width(engine):
        return {"width": engine.chip}

    def number(engine):
        return engine.chip

    found = studies.chip_yield(NOISY, target=2, figure=width, chips=[4, 0, 2])
    assert found.by_chip == {"width": ((4.0, 0.0, 2.0),)}
    assert found.column("reached") == (2,)
    assert found.operands == "width(engine)"
    assert found.units[0] == ""
    plain = studies.chip_yield(NOISY, target=2, figure=lambda engine: engine.chip, chips=3)
    assert plain.by_chip == {"figure": ((0.0, 1.0, 2.0),)}
    assert studies.chip_yield(NOISY, target=2, figure=number, chips=1).by_chip == {"number": ((0.0,),)}
    workload = studies.chip_yield(NOISY, target=16, figure=mpimpy.workloads.product(X, W), chips=5)
    assert workload.rows == study("chip_yield", target=16).rows
    assert workload.units[0] == "dB"


def test_the_order_of_chips_does_not_matter():
    found, turned = study("chip_yield", chips=(chip for chip in (2, 9))), study("chip_yield", chips=[9, 2])
    assert found.by_chip["SNR"][0] == turned.by_chip["SNR"][0][::-1]
    assert found.rows == turned.rows
    assert found.by_chip["SNR"][0][0] != found.by_chip["SNR"][0][1]


def test_drift_is_that_of_aged_matrices():
    found = study("drift")
    assert found.column("time") == (60.0, 3600.0)
    matrix = Engine.from_config(NOISY.config, seed=7, chip=1).program(W)
    for name, compensate in (("raw", False), ("compensated", True)):
        aged = matrix.at(3600, compensate=compensate)
        assert found.by_chip[name][1][1] == SNR(aged.read(X, read=0), X @ W)
        mean, worst, best = (found.rows[1][found.columns.index(name) + at] for at in range(3))
        assert mean == pytest.approx(np.mean(found.by_chip[name][1]))
        assert (worst, best) == (min(found.by_chip[name][1]), max(found.by_chip[name][1]))
    written = [single(NOISY, chip) for chip in (3, 1)]
    assert list(found.facts.values()) == [pytest.approx(np.mean(written))]


def test_wires_are_those_of_arrays_of_each_size():
    found = study("wires")
    assert [row[:2] for row in found.rows] == [(8, 8), (16, 4)]
    for at, (rows, cols) in enumerate([(8, 8), (16, 4)]):
        tile = {"rows": rows, "cols": cols}
        assert found.by_chip["with wires"][at][1] == single(NOISY, 1, tile=tile)
        assert found.by_chip["without"][at][1] == single(NOISY, 1, tile=tile, wires=None)
        HGS = NOISY.config.device.HGS
        lost = 100 - 100 * wires.transfer(np.full((rows, cols), HGS), 5, 2) / HGS
        assert found.rows[at][-2:] == pytest.approx((lost[0, -1], lost.mean()))
    assert list(found.facts.values()) == [5, 2]
    # an error that is the rounding of float64 is none
    assert studies.wires(None, X[:2], W[:, :1], sizes=[1]).column("without") == (math.inf,)


def test_adc_bits_are_those_of_full_and_calibrated_engines():
    found = study("adc_bits")
    assert found.column("bits") == (6, 8)
    assert found.by_chip["full range"][0][1] == single(NOISY, 2, adc={"radc": 64})
    engine = Engine.from_config(NOISY.config.replace(adc={"radc": 64}), seed=7, chip=1).calibrate(X, W)
    assert found.by_chip["calibrated"][0][1] == single(engine, 2)
    assert found.rows[0][1] == pytest.approx(np.mean(found.by_chip["full range"][0]))
    ideal = [single(NOISY, chip, adc=ADC(None)) for chip in (1, 2)]
    assert list(found.facts.values()) == [pytest.approx(np.mean(ideal))]
    for adc in (ADC(None), ADC(range="lossless"), ADC((64, 64, 64, 32), range=1e-6)):
        other = studies.adc_bits(NOISY.replace(adc=adc), X, W, bits=[6, 8], chips=[1, 2])
        assert other.rows == found.rows


def test_energies_are_those_of_designs_of_equal_codes():
    found = study(
        "snr_energy", space={"array_size": [8, (16, 4)], "bits": [8, 6]}, technology=cost.Technology.generic(45)
    )
    assert [row[:4] for row in found.rows[:4]] == [
        ("twos", 8, 8, 6), ("twos", 8, 8, 8), ("twos", 16, 4, 6), ("twos", 16, 4, 8)
    ]  # fmt: skip
    # one slice of an offset sees currents of two signs
    radc = {"twos": 64, "offset": (32, 64, 64), "pair": 32}
    for mapping, codes in radc.items():
        at = [row[:4] for row in found.rows].index((mapping, 16, 4, 6))
        fmt = {"mapping": mapping}, {"mapping": "signed" if mapping == "pair" else "twos"}
        engine = NOISY.replace(weights=fmt[0], inputs=fmt[1], tile={"rows": 16, "cols": 4}, adc={"radc": codes})
        assert max(map(max, adc_codes(engine.config))) in (63, 64)
        matrices = [Engine.from_config(engine.config, seed=7, chip=chip).program(W) for chip in (1, 2)]
        costs = [matrix.cost(X, "generic-45") for matrix in matrices]
        assert found.by_chip["SNR"][at] == tuple(SNR(matrix.read(X, read=0), X @ W) for matrix in matrices)
        assert found.rows[at][4] == pytest.approx(np.mean(found.by_chip["SNR"][at]))
        energies = [np.mean([getattr(each.energy, end) for each in costs]) for end in ("value", "low", "high")]
        energies.append(np.mean([each.cells.value for each in costs]))
        assert found.rows[at][5:9] == pytest.approx([1e15 * energy / costs[0].macs for energy in energies])
        assert found.rows[at][9] == pytest.approx(1e6 * costs[0].latency.value)
    assert found.call["technology"] == "generic-45"
    assert found.facts == {"MACs": 6 * 20 * 5}
    assert found.notes[0].startswith("energy and latency in generic-45; not counted: ")


def test_a_study_keeps_a_technology_of_ones_own(tmp_path):
    tech = cost.Technology.generic(45).replace(adcs_per_array=2, read_time=2e-8, source="user")
    tech.save(tmp_path / "mine.toml")
    for given in (tech, tech.to_dict(), tmp_path / "mine.toml"):
        found = study("snr_energy", technology=given)
        assert found.call["technology"] == tech.to_dict()
    held = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert studies.snr_energy(NOISY, X, W, **held["call"]) == found
    # what is changed back has its name again
    again = tech.replace(adcs_per_array=None, read_time=1e-7, source="chosen", name="generic-45")
    assert study("snr_energy", technology=again).call["technology"] == "generic-45"


def test_a_study_with_cores_knows_nothing_of_their_cells():
    tech = cost.Technology.generic(28).replace(core=cost.Anchor(1e-9, source="a chip"), adc=None)
    found = study("snr_energy", technology=tech)
    assert all(math.isnan(cells) for cells in found.column("cells"))
    assert all(energy > 0 for energy in found.column("energy"))
    assert "not counted: what the cores do not hold" in found.notes[0]
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_picture_of_energies_has_a_colour_for_each_mapping_and_a_bar_for_each_band():
    pytest.importorskip("matplotlib")
    found = study("snr_energy", space={"mapping": ["twos", "pair"], "array_size": [8, 16], "bits": [6, 8]})
    ax = found.plot()
    lines = [container.lines[0] for container in ax.containers]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "twos, 8 x 8", "twos, 16 x 16", "pair, 8 x 8", "pair, 16 x 16"
    ]  # fmt: skip
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color() == lines[3].get_color()
    assert lines[0].get_marker() == lines[2].get_marker() != lines[1].get_marker()
    assert list(lines[0].get_xdata()) == [row[5] for row in found.rows[:2]]
    (bars,) = ax.containers[0].lines[2]
    assert [list(bar[:, 0]) for bar in bars.get_segments()] == [pytest.approx(row[6:8]) for row in found.rows[:2]]


@pytest.mark.parametrize("changed", [{"gain_error": 0.05}, {"snap": True}])
def test_curves_of_adc_bits_end_at_their_line(changed):
    engine = NOISY.replace(device=Device(var=0.02), wires=None, adc=ADC(**changed))
    found = studies.adc_bits(engine, X, W, bits=[24])
    (line,) = found.facts.values()
    assert found.rows[0][1] == pytest.approx(line, abs=0.02)
    assert abs(line - single(engine, 0, adc=ADC(None))) > 1
    assert not found.notes
    noisy = studies.adc_bits(engine.replace(adc=ADC(**changed, noise_lsb=1, offset_lsb=1)), X, W, bits=[8])
    assert list(noisy.facts.values()) == [line]
    assert "note " in str(noisy)
    assert "6 dB smaller" in str(noisy)


def test_a_yield_says_that_chips_do_not_differ():
    assert not study("chip_yield").notes
    same = studies.chip_yield(Engine(seed=1), X, W, chips=2)
    assert same.notes == (
        "chips differ in read noise at most: write variation, stuck cells, ADC offsets and gains are off",
    )
    assert not studies.chip_yield(Engine(seed=1), X, W, chips=1).notes
    assert {same, studies.chip_yield(same.engine(), X, W, **same.call)} == {same}


def test_the_curve_of_a_yield_goes_on_where_it_is_known():
    Figure = pytest.importorskip("matplotlib.figure").Figure
    figures = [10.0, 11.0, math.inf, 12.0]
    found = studies.chip_yield(
        NOISY, target=[-100, 10.5, 14], figure=lambda engine: figures[engine.chip], chips=len(figures)
    )
    ax = found.plot()
    curve = ax.lines[0]
    assert curve.get_ydata().tolist() == [100, 100, 75, 50, 25]
    assert curve.get_xdata()[1:-1].tolist() == [10, 11, 12]
    left, right = ax.get_xlim()
    assert (curve.get_xdata()[0], curve.get_xdata()[-1]) == (left, right)
    # a target far away squeezes nothing: it is an arrow
    assert 9 < left < 10
    assert 14 < right < 15
    bars = {bar.get_label(): bar.lines[0] for bar in ax.containers}
    assert [line.get_marker() for line in bars.values()] == ["<", "o", "o"]
    assert left < bars["-100: 100 % (51 to 100)"].get_xdata()[0] < 10
    # a figure that makes no room has its legend inside
    plain = found.plot(Figure().subplots())
    plain.figure.draw_without_rendering()
    assert plain.bbox.y0 < plain.get_legend().get_window_extent().y0


@pytest.mark.parametrize("kind", CALLS)
def test_a_legend_covers_nothing(kind):
    pytest.importorskip("matplotlib")
    few = {"chip_yield": {"target": [10, 11, 12, 13, 16]}, "wires": {"sizes": [8, (16, 4), (4, 128), 16, 32, 2, 64]}}
    ax = study(kind, **few.get(kind, {})).plot()
    ax.figure.draw_without_rendering()
    legend, below = ax.get_legend().get_window_extent(), ax.xaxis.get_tightbbox()
    assert legend.y1 <= below.y0
    assert legend.x0 >= 0
    assert legend.x1 <= ax.figure.bbox.x1
    names = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(names))


@pytest.mark.parametrize("kind", CALLS)
def test_a_study_can_be_replayed_from_its_json_and_drawn(kind):
    found = study(kind)
    held = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    config = mpimpy.config.from_dict(held["settings"])
    again = getattr(studies, kind)(Engine.from_config(config, seed=held["seed"]), X, W, **held["call"])
    assert again == found == study(kind)
    assert found.engine().config == NOISY.config
    lines = str(found).splitlines()
    table = lines[lines.index("") + 1 :]
    assert len(table) == 2 + len(found.rows)
    assert table[1].split() == [unit for unit in found.units if unit]
    assert len({len(line) for line in table}) == 1
    assert repr(found) == f"<Study {kind}: 2 x {len(found.columns)} table, {len(found.chips)} chips, seed 7>"
    pytest.importorskip("matplotlib")
    ax = found.plot()
    assert ax.get_xlabel()
    assert ax.get_ylabel().endswith(")")
    assert len(ax.get_legend().get_texts()) >= 2
    assert found.plot(ax) is ax


def test_figures_without_error_are_kept_and_left_out_of_pictures():
    pytest.importorskip("matplotlib")
    clean = Engine(Device(var=0), seed=1)
    found = studies.adc_bits(clean, np.eye(2), np.eye(2), bits=[4, 8])
    assert found.column("calibrated")[0] == math.inf
    assert found.to_dict()["rows"][0][2] == "inf"
    assert np.isnan(found.plot().lines[1].get_ydata()[0])
    whole = studies.chip_yield(clean, np.eye(2), np.eye(2), target=30, chips=3)
    assert whole.column("reached") == (3,)
    whole.plot()


def test_a_table_has_units():
    pytest.importorskip("pandas")
    frame = study("drift").to_frame()
    assert list(frame.columns)[:2] == ["time", "raw"]
    assert frame.attrs["units"]["time"] == "s"
    assert len(frame) == 2


def test_the_standard_product_is_stated():
    found = studies.chip_yield(chips=1)
    x, w = (lambda random: (random.standard_normal((64, 128)), random.standard_normal((128, 64))))(
        np.random.default_rng(0)
    )
    assert found.by_chip["SNR"][0][0] == SNR(found.engine().program(w).read(x, read=0), x @ w)
    assert found.operands == "64 x 128 by 128 x 64, standard normal, numpy.random.default_rng(0)"


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        ("drift", {"engine": 3}, TypeError, "engine is a int: give an Engine"),
        ("drift", {"x": X, "w": None}, ValueError, "x is given without w: give both, or neither"),
        ("adc_bits", {"x": None}, ValueError, "w is given without x"),
        ("wires", {"x": X[:0]}, ValueError, "have an empty product"),
        ("wires", {"engine": Engine(seed=1)}, ValueError, r"have no resistance: .* wires=Wires\(2.93, 2.93\)"),
        ("wires", {"sizes": ["wide"]}, TypeError, "sizes"),
        ("wires", {"sizes": []}, ValueError, "sizes is empty: give at least one value, such as 64"),
        ("adc_bits", {"bits": [25]}, ValueError, "bits"),
        ("drift", {"times": "yesterday"}, ValueError, "times"),
        ("drift", {"engine": Engine(seed=1)}, ValueError, "time changes nothing"),
        ("chip_yield", {"chips": 0}, ValueError, "chips"),
        ("chip_yield", {"chips": [1, 1]}, ValueError, "chips has 1 twice, which tells nothing new"),
        ("chip_yield", {"target": [20, 20.0]}, ValueError, "target has 20.0 twice"),
        ("drift", {"times": [60, "1 min"]}, ValueError, "times has 60.0 twice"),
        ("wires", {"sizes": [8, (8, 8)]}, ValueError, r"sizes has \(8, 8\) twice"),
        ("adc_bits", {"bits": [8, 8]}, ValueError, "bits has 8 twice"),
        ("chip_yield", {"target": "high"}, TypeError, "target"),
        ("snr_energy", {"technology": "generic"}, ValueError, "unknown technology 'generic'"),
        (
            "snr_energy",
            {"technology": "neurram-2022", "space": {"mapping": "twos", "bits": [6, 12]}},
            ValueError,
            r"design mapping='twos', array_size=\(64, 64\), bits=12: a converter of 12 bits",
        ),
        ("snr_energy", {"space": {"radc": [64]}}, TypeError, "radc"),
        ("snr_energy", {"space": [6, 8]}, TypeError, "must be a dict of lists"),
        ("snr_energy", {"space": {"mapping": "pairs"}}, ValueError, "mapping='pairs'"),
        ("snr_energy", {"space": {"bits": []}}, ValueError, r"space\['bits'\] is empty"),
        ("snr_energy", {"space": {"bits": [6, 6]}}, ValueError, "bits has 6 twice"),
        ("snr_energy", {"space": {"bits": 1, "mapping": "pair"}}, ValueError, "bits=1 is out of range"),
        ("snr_energy", {"space": {"bits": 14}}, ValueError, "outside the data of the law, 3 to 13 bits"),
        ("chip_yield", {"progress": 1}, TypeError, "progress"),
        ("chip_yield", {"figure": lambda engine: 1}, ValueError, "x and w have no effect with figure="),
        ("chip_yield", {"x": None, "w": None, "figure": len, "target": None}, ValueError, "figure= needs a target"),
        ("chip_yield", {"x": None, "w": None, "figure": 3}, TypeError, "must be a function of an engine"),
        (
            "chip_yield",
            {"x": None, "w": None, "figure": lambda engine: "good"},
            TypeError,
            "for chip 0: it must return",
        ),
        (
            "chip_yield",
            {"x": None, "w": None, "figure": lambda engine: math.nan},
            ValueError,
            "figure of chip 0 is NaN",
        ),
        ("chip_yield", {"x": None, "w": None, "figure": lambda engine: {}}, ValueError, "figure returns 0 numbers"),
    ],
)
def test_refusals(kind, arguments, error, message):
    given = {"engine": NOISY, "x": X, "w": W} | CALLS[kind] | arguments
    with pytest.raises(error, match=message):
        getattr(studies, kind)(**given)


def test_an_unknown_column_is_refused():
    with pytest.raises(ValueError, match="no column 'SNR': the table has 'target', 'reached'"):
        study("chip_yield").column("SNR")


def test_progress_is_told_after_two_seconds_where_tqdm_is(monkeypatch):
    bars = []

    def tqdm(items, **options):
        bars.append(options)
        return items

    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace(tqdm=tqdm))
    monkeypatch.setattr(_problem, "find_spec", lambda name: name)
    found = study("chip_yield")
    assert [(bar["desc"], bar["total"], bar["delay"]) for bar in bars] == [("chips", 5, 2.0)]
    assert study("chip_yield", progress=False) == found
    monkeypatch.setattr(_problem, "find_spec", lambda name: None)
    assert study("chip_yield") == found
    assert len(bars) == 1


def test_a_missing_pandas_is_named(monkeypatch):
    monkeypatch.setattr("mpimpy.studies._study.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"to_frame needs pandas.*pip install pandas"):
        study("chip_yield").to_frame()
