"""Measured cells from a file: what is read, what is told of it, and every file that is refused."""

import contextlib
import os

import numpy as np
import pytest
from libraries import same_bits
from scipy import stats

from mpimpy import Device, Engine, Measured, MpimpyWarning, Samples, plot
from mpimpy.config import _samples_csv as samples_csv

GOOD = [[0.9, 1.0, 1.1, 1.2, 1.0, 0.95, 1.05, 1.1], [4.8, 5.0, 5.1, 5.3, 5.0, 4.9, 5.2, 5.05, 5.1]]


def text(rows=GOOD, header="level,measured_uS", mark=",", names=None):
    names = range(len(rows)) if names is None else names
    lines = [f"{name}{mark}{g}" for name, row in zip(names, rows, strict=True) for g in row]
    return "\n".join([header] * bool(header) + lines) + "\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="cells.csv"):
        path = tmp_path / name
        path.write_text(content, "utf-8")
        return path

    return write


EXPECTED = Samples([[g * 1e-6 for g in row] for row in GOOD])


@pytest.mark.parametrize(
    ("content", "unit"),
    [
        (text(), None),
        (text(), "uS"),
        (text(header="Level ; Measured (µS)", mark=";"), None),
        (text(header="level\tconductance [uS]", mark="\t"), None),
        (text(header="level,measured"), "uS"),
        (text(header=""), "uS"),
        ("\ufeff# cells of wafer 7\n\n" + text() + "\n# the end\n", None),
        (text([[g / 1e6 for g in row] for row in GOOD], header="level,measured_S"), None),
        (text([[g * 1e3 for g in row] for row in GOOD], header="level,measured_nS"), None),
        (text(header="target_uS,measured_uS", names=[1, 5]), None),
        (text(header="target_nS,measured_uS", names=[1000, 5000]), None),
        (text(header="target,measured", names=[1, 5]), "uS"),
        ("time,measured_uS,cell,level\n" + "".join(f"9,{g},x,{n}\n" for n in (1, 0) for g in GOOD[n]), None),
    ],
)
def test_files_that_say_the_same(write, content, unit):
    found = Measured.from_csv(write(content), unit).samples
    for mine, theirs in zip(found.conductance_S, EXPECTED.conductance_S, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    device = Device.from_csv(write(content), unit, stuck_HGS=0.01)
    assert device == Measured.from_csv(write(content), unit).device(stuck_HGS=0.01)
    assert (device.var, device.levels, device.write_var) == (0, found.means_S, found)


TEN = "".join(f"0,{g}\n" for g in GOOD[0])


@pytest.mark.parametrize(
    ("content", "unit", "message"),
    [
        ("", "uS", "it is empty: write lines of level and conductance"),
        ("# nothing\n", "uS", "it is empty"),
        (text(header="level,measured"), None, r"no unit of the conductances is stated: name the column measured_uS"),
        (text(header=""), None, r"no unit of the conductances is stated"),
        (text(), "nS", r"the header says uS and unit='nS': leave unit out"),
        (text(header="level,measured"), "kS", r"unit='kS' is unknown: use one of 'S', 'mS', 'uS', 'nS'"),
        (text(header="level,measured_kOhm"), None, "no unit of the conductances is stated"),
        (text(header="row,cell"), "uS", r"line 1: the header 'row,cell' must name one column level \(or target_uS\)"),
        (text(header="level,measured_uS,conductance_uS"), None, "line 1: the header"),
        (text() + "1,much\n", None, r"line 19: '1,much' is not a level and a conductance: correct it"),
        (text() + "1\n", None, r"line 19: '1' is not a level and a conductance"),
        (text() + "1,nan\n", None, r"line 19: '1,nan' is not a level"),
        (
            text() + "1.5,3\n",
            None,
            r"line 19: level 1.5 is not a whole number from 0: number the levels 0, 1, 2, or name",
        ),
        (text() + "-1,3\n", None, r"line 19: level -1 is not a whole number"),
        (
            text() + "1,-3\n",
            None,
            r"line 19: -3e-06 S is negative, .* noise of the instrument\? negative='zero' counts",
        ),
        (text(header="level,measured_S"), None, r"line 2: 0.9 S is no memristor's conductance: is the unit right\?"),
        (
            text([[g / 1e4 for g in row] for row in GOOD], header="level,measured_uS"),
            None,
            r"level 0 has a mean of 1.0375e-10 S, and conductances are expected from 1e-09 S to 0.1 S: is the unit right",
        ),
        (text(names=[0, 2]), None, r"level 1 is missing: levels count from 0 or 1 without gaps, up to 2 here"),
        (text(names=[2, 3]), None, r"level 1 is missing"),
        (text(GOOD[:1]), None, r"it holds 1 levels: measure from 2 to 256"),
        ("level,measured_uS\n", None, r"it holds 0 levels"),
        (text([[1.0] * 8] * 300), None, r"it holds 300 levels: measure from 2 to 256"),
        (text([GOOD[0], GOOD[1][:7]]), None, r"level 1 has 7 samples: measure at least 8 of each level"),
        (text([GOOD[1], GOOD[0]]), None, r"level 1 has a mean of 1.0375e-06 S, not above that of level 0, 5.05"),
        (text([GOOD[0], GOOD[0]]), None, r"not above that of level 0"),
        (
            text([GOOD[1], GOOD[0]], header="target_uS,measured_uS", names=[1, 5]),
            None,
            r"target 5e-06 S has a mean of 1.0375e-06 S, not above that of target 1e-06 S",
        ),
    ],
)
def test_files_that_are_refused(write, content, unit, message):
    path = write(content)
    for read in (Measured.from_csv, Device.from_csv):
        with pytest.raises(ValueError, match=message) as caught:
            read(path, unit)
        assert str(path) in str(caught.value) or "unit=" in str(caught.value)


def test_noise_below_zero_counts_as_zero_if_asked(write):
    path = write(text() + "0,-0.001\n0,-0.002\n")
    with pytest.warns(MpimpyWarning, match=r"negative samples counted as 0: 2 \(level 0: 2, down to -2e-09 S\)"):
        found = Measured.from_csv(path, negative="zero", outliers="keep")
    assert found.samples.conductance_S[0][:3] == (0.0, 0.0, 0.9e-6)
    with pytest.warns(MpimpyWarning, match="counted as 0"):
        assert Device.from_csv(path, negative="zero", outliers="keep") == found.device()
    with pytest.raises(ValueError, match="negative='skip' is unknown: use 'error' or 'zero'"):
        Device.from_csv(path, negative="skip")
    with pytest.raises(ValueError, match="-9 S is no memristor"):
        Device.from_csv(write(text() + "0,-9e6\n"), negative="zero")


def test_an_outlier_that_turns_the_order_of_levels_is_named(write):
    path = write(text() + "0,90\n")
    for how in ("warn", "keep"):
        told = pytest.warns(MpimpyWarning) if how == "warn" else contextlib.nullcontext()
        message = r"outliers may be why \(9e-05 S in level 0\), and outliers='drop' leaves them out; else number"
        with told, pytest.raises(ValueError, match=message):
            Device.from_csv(path, outliers=how)
    with pytest.warns(MpimpyWarning, match="outliers dropped: 1"):
        assert Measured.from_csv(path, outliers="drop").samples.counts == EXPECTED.counts


def test_only_regular_files_are_opened(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs here")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ValueError, match=r"pipe.csv: it is no regular file: write the lines into one"):
        Device.from_csv(tmp_path / "pipe.csv")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(OSError, match=r"nothing.csv: cannot be read: No such file"):
        Device.from_csv(tmp_path / "nothing.csv")
    for raw in (b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n\x00\x00", b"PK\x03\x04 level,measured_uS"):
        (tmp_path / "bytes.csv").write_bytes(raw)
        with pytest.raises(ValueError, match=r"bytes.csv: it is not a text file"):
            Measured.from_csv(tmp_path / "bytes.csv")
    with pytest.raises(TypeError, match=r"samples=\[\[1\]\] must be Samples, such as"):
        Measured([[1]])


def test_every_level_is_characterised(rng):
    normal = rng.normal(1e-6, 5e-8, 400)
    lognormal = 5e-6 * rng.lognormal(0, 0.6, 400)
    still = np.full(9, 2e-5)
    levels = Measured(Samples([normal, lognormal, still])).levels
    for level, row in zip(levels, (normal, lognormal, still), strict=True):
        assert (level.count, level.mean_S) == (row.size, pytest.approx(row.mean()))
        assert level.spread_S == pytest.approx(row.std(ddof=1), abs=1e-18)
        assert (level.low_S, level.high_S) == (row.min(), row.max())
    for level, row in zip(levels[:2], (normal, lognormal), strict=True):
        for found, a in ((level.normal, row), (level.lognormal, np.log(row))):
            expected = stats.kstest(a, stats.norm(a.mean(), a.std(ddof=1)).cdf)
            assert found == pytest.approx((expected.statistic, expected.pvalue))
    assert levels[0].normal[1] > 0.05 > 1e-3 > levels[1].normal[1]
    assert levels[1].lognormal[1] > 0.05
    assert np.isnan(levels[2].normal + levels[2].lognormal).all()
    assert np.isnan(Measured(Samples([[0.0, 1e-7], [1e-6, 2e-6]])).levels[0].lognormal).all()


def test_it_prints_as_a_table(rng):
    lines = str(Measured(EXPECTED)).splitlines()
    assert lines[0].split() == [
        "level",
        "samples",
        "outliers",
        "mean",
        "(S)",
        "spread",
        "(S)",
        "median",
        "(S)",
        "MAD",
        "(S)",
        "Gaussian:",
        "D",
        "p",
        "lognormal:",
        "D",
        "p",
    ]
    assert [line.split()[:7] for line in lines[1:]] == [
        ["0", "8", "0", "1.038e-06", "9.543e-08", "1.025e-06", "7.5e-08"],
        ["1", "9", "0", "5.05e-06", "1.5e-07", "5.05e-06", "5e-08"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_it_draws_itself():
    pytest.importorskip("matplotlib")
    ax = Measured(EXPECTED).plot()
    lines = [line for line in ax.lines if len(line.get_xdata())]
    assert len(lines) == 4
    np.testing.assert_allclose(lines[0].get_xdata()[::2], np.array(EXPECTED.conductance_S[0]) * 1e6)
    np.testing.assert_allclose(lines[0].get_ydata()[[0, 1, -1]], [0, 1 / 8, 1])
    fit = stats.norm(np.mean(GOOD[1]), np.std(GOOD[1], ddof=1))
    np.testing.assert_allclose(lines[3].get_ydata(), fit.cdf(lines[3].get_xdata()), atol=1e-6)
    assert ax.get_xlabel() == "conductance (µS)"
    again = plot.new_axes()[0, 0]
    assert plot.measured(Measured(EXPECTED), again, "mine") is again
    assert again.get_title() == "mine"
    ax.figure.canvas.draw()


def test_a_measured_device_multiplies(write, rng):
    rows = [rng.normal(1 + level, 0.05, 40) for level in range(16)]
    device = Device.from_csv(write(text(rows)))
    x, w = rng.standard_normal((5, 70)), rng.standard_normal((70, 30))
    results = [Engine(device, seed=1, backend=backend)(x, w) for backend in ("numba", "reference")]
    assert same_bits(*results)
    assert samples_csv.FEWEST == 8
