"""Files as laboratories have them: encodings, separators, names, decimal commas, missing samples and outliers."""

import contextlib
import pathlib
import tempfile
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpimpy import Device, Measured, MpimpyWarning, Samples
from mpimpy.config import _csv_text as csv_text
from mpimpy.config import _outliers as outliers
from mpimpy.config import _samples_csv as samples_csv

GOOD = [[0.9, 1.0, 1.1, 1.2, 1.0, 0.95, 1.05, 1.1], [4.8, 5.0, 5.1, 5.3, 5.0, 4.9, 5.2, 5.05, 5.1]]
EXPECTED = [[g * 1e-6 for g in sorted(row)] for row in GOOD]


def body(form="{level},{g}\n", first=0, rows=GOOD):
    return "".join(form.format(level=level, g=g) for level, row in enumerate(rows, first) for g in row)


def comma(form, first=0):
    rows = [[str(g).replace(".", ",") for g in row] for row in GOOD]
    return body(form, first, rows)


@pytest.fixture
def write(tmp_path):
    def write(content, encoding="utf-8"):
        path = tmp_path / "cells.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


LAB = {"level": "state", "measured": "Gread (uS)"}


@pytest.mark.parametrize(
    ("content", "encoding", "how"),
    [
        ("level,measured_uS\n" + body(first=1), "utf-8", {}),
        ("state,Gread (uS)\n" + body(), "utf-8", LAB),
        ("State , GREAD  (uS)\n" + body(), "utf-8", LAB),
        ("state,Gread (uS)\n" + body(), "utf-8", {"level": "state", "measured": "Gread"}),
        ("state,Gread\n" + body(), "utf-8", {"level": "state", "measured": "Gread", "unit": "uS"}),
        ("state,Gread (uS),Gread\n" + body("{level},{g},99\n"), "utf-8", LAB),
        ("measured_uS,Gread (uS),level,state\n" + body("77,{g},5,{level}\n"), "utf-8", LAB),
        ("Gset / uS,G / uS\n" + body(first=3), "utf-8", {"level": "Gset", "measured": "G"}),
        ("level,conductance in uS\n" + body(), "utf-8", {}),
        ("level,measured (µS)\n" + body(), "latin-1", {}),
        ("level,measured (μS)\n" + body(), "utf-8-sig", {"measured": "measured (µS)"}),
        ("level,measured (µS)\n" + body(), "utf-16", {}),
        ("level,measured (µS)\n" + body(), "utf-16-le", {}),
        ("level,measured (µS)\n" + body(), "utf-16-be", {}),
        ("level;measured_uS\n" + comma("{level};{g}\n"), "utf-8", {}),
        ("level;measured_uS\n" + comma("{level},0;{g}E+00\n"), "utf-8", {}),
        ("level\tmeasured_uS\n" + comma("{level}\t{g}\n"), "utf-8", {}),
        (comma("{level};{g}\n"), "utf-8", {"unit": "uS"}),
        ("sep=;\r\nlevel;measured_uS\r\n" + comma("{level};{g}\r\n"), "latin-1", {}),
        ('"level","measured_uS","note"\n' + body('"{level}","{g}","5"" wafer, ""a"""\n'), "utf-8", {}),
        ("level,measured_uS,a; b\n" + body("{level},{g},c\n"), "utf-8", {}),
        ("level measured_uS\n" + body("  {level}   {g} \n"), "utf-8", {}),
        ("# level,measured_uS\n" + body(), "utf-8", {}),
        ("# 2024\n# state,Gread (uS)\n" + body(), "utf-8", LAB),
        ("% a comment\n\n" + body() + "\r\n% end\n\x1a", "utf-8", {"unit": "uS"}),
        ("Instrument,4200\nUser,me\n\nlevel,measured_uS\n" + body(), "utf-8", {}),
        ("Instrument: 4200\nlevel;measured_uS\n" + body("{level};{g}\n"), "utf-8", {}),
        ("level,measured\n-,uS\n" + body(), "utf-8", {}),
        ("level,measured\n,(uS)\n" + body(), "utf-8", {}),
        ("target,measured\nuS,uS\n" + body(), "utf-8", {}),
        ("level,measured_uS,,\n" + body("{level},{g},,\n") + ",,,\n,,\n", "utf-8", {}),
        ("level,measured_uS\r" + body("{level},{g}\r"), "utf-8", {}),
    ],
)
def test_files_of_laboratories(write, content, encoding, how):
    path = write(content, encoding)
    found = Measured.from_csv(path, **how).samples
    for mine, theirs in zip(found.conductance_S, EXPECTED, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    assert Device.from_csv(path, **how).write_var == found


@pytest.mark.parametrize(
    ("content", "how", "message"),
    [
        (body(), {"missing": "drop", "unit": "uS"}, "missing='drop' is unknown: use 'error' or 'skip'"),
        (body(), {"outliers": "skip", "unit": "uS"}, "outliers='skip' is unknown: use 'warn', 'keep' or 'drop'"),
        ("state,Gread (uS)\n" + body(), {**LAB, "level": "stat"}, r"unknown column 'stat': did you mean 'state'\?"),
        ("state,Gread (uS)\n" + body(), {"level": "state"}, r"line 1: the header 'state,Gread \(uS\)' must name"),
        ("state,state,measured_uS\n" + body(), {"level": "state"}, "line 1: the header"),
        ("level,measured_uS\n" + body(first=2), {}, "level 1 is missing: levels count from 0 or 1 without gaps, up to 3"),
        ("level,measured_uS\n" + body() + "1,\n", {}, r"line 19: '1,' is not a level and a cond.*or give missing='skip'"),
        ("level,measured_uS\n" + body() + "NA,1\n", {}, r"line 19: 'NA,1' is not a level and a cond.*missing='skip'"),
        ("level,measured_uS\n" + body() + "1,inf\n", {"missing": "skip"}, r"line 19: '1,inf' is not .*: correct it$"),
        ("level,measured_uS\n" + body() + "1,1_0\n", {}, r"line 19: '1,1_0' is not a level"),
        ("level,measured_uS\n" + body() + "1,5.0,4\n", {}, r"line 19: it has 3 cells, and the header 2: separate the"),
        ("level,measured_uS\n" + comma("{level},{g}\n"), {}, r"line 2: it has 3 cells, and the header 2"),
        ("level;measured_uS\n" + body("{level};{g}\n") + "1;5,1\n", {}, r"line 19: 5,1 has another decimal mark"),
        ("level;measured_uS\n" + body("{level};{g}\n") + "1;1.005,1\n", {}, r"line 19: '1;1.005,1' is not|is not a level"),
        ("level,measured_uS\n" + "0,nan\n" * 9 + body()[45:], {"missing": "skip"}, r"level 0 has \d samples \(9 missing\)"),
        ("level,measured_uS\n" + "0," + "1" * 10**5 + "\n", {}, "line 2: '0,1111.*' is not a level and a conductance"),
        ("level,measured_uS\n" + "0," + "1" * 10**6 + "\n", {}, "line 2: it has 1000002 characters: it is no line"),
        (b"level,measured_uS\n0,1\x00\n", {}, "it is not a text file, in UTF-8, UTF-16 or Latin-1"),
    ],
)  # fmt: skip
def test_files_that_are_refused(write, content, how, message):
    path = write(content)
    for read in (Measured.from_csv, Device.from_csv):
        with pytest.raises(ValueError, match=message) as caught:
            read(path, **how)
        assert len(str(caught.value)) < 600


def test_names_of_columns_are_text(write):
    with pytest.raises(TypeError, match="level=0 must be the name of a column, such as level='level'"):
        Measured.from_csv(write(body()), level=0)


def test_what_the_csv_module_refuses(write, monkeypatch):
    monkeypatch.setattr(csv_text.csv, "reader", lambda *_, **__: (_ for _ in ()).throw(csv_text.csv.Error("no")))
    with pytest.raises(ValueError, match="line 1: 'level,measured_uS': it cannot be cut into cells: no"):
        Measured.from_csv(write("level,measured_uS\n" + body()))


def test_a_file_too_large_is_not_read(write, monkeypatch):
    monkeypatch.setattr(csv_text, "MOST_BYTES", 64)
    with pytest.raises(ValueError, match="it is larger than 0 MiB: leave other columns out"):
        Measured.from_csv(write("level,measured_uS\n" + body()))


@pytest.mark.parametrize("piece", [" ", "(", " (", "_", "level", "level ", "S", "((uS", "\t", '"', ",", ";", "1", "#"])
@pytest.mark.parametrize("start", ["level{},measured_uS\n1,2\n", "level,measured_uS\n{}1,2\n", "# {}\n0,1\n", "{}"])
def test_no_header_or_cell_takes_long(write, piece, start):
    # a parser that backtracks takes minutes, or years
    path = write(start.format(piece * (100_000 // len(piece))))
    with pytest.raises(ValueError, match=r"cells\.csv"):
        Device.from_csv(path, level="level", measured="measured")


@given(st.text(st.sampled_from("levl measurduS0123456789.,;\t\n\r\"'#%()[]µ-+eENna_/="), max_size=200))
def test_any_text_is_read_or_refused(content):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", MpimpyWarning)
        path = pathlib.Path(folder) / "cells.csv"
        path.write_text(content, "utf-8")
        for how in ({}, {"level": "level", "measured": "e"}, {"unit": "uS", "missing": "skip"}):
            with contextlib.suppress(ValueError):
                Measured.from_csv(path, **how)


def outlying(rng):
    """8 levels of 100 samples, the first level with one far below and the last with one far above."""
    rows = [(3 + 5 * level) * np.exp(rng.normal(0, 0.04, 100)) for level in range(8)]
    rows[0][0], rows[7][1] = 0.05, 2.5 * 38
    return rows


def test_missing_samples_are_counted(write):
    path = write("level,measured_uS\n" + body() + "0,\n0,nan\n1,NA\n,4\n#N/A,\n")
    with pytest.warns(MpimpyWarning) as seen:
        found = Measured.from_csv(path, missing="skip")
    (warning,) = seen
    assert warning.filename == __file__
    assert str(warning.message).endswith(
        "cells.csv: 4 missing samples are left out (level 0: 2, level 1: 1, of no level: 1)"
    )
    assert found == Measured(Samples(EXPECTED)) or found.samples.counts == (8, 9)


def test_outliers_are_counted(write, rng):
    rows = outlying(rng)
    path = write("level,measured_uS\n" + body(rows=rows, first=1))
    with pytest.warns(MpimpyWarning) as seen:
        device = Device.from_csv(path)
    assert [one.filename for one in seen] == [__file__] * 2
    assert (
        "cells.csv: 2 outliers beyond a robust z of 5.6 (level 1: 1 of 100, level 8: 1 of 100) are kept: look at them, "
        "then give outliers='drop' or 'keep'" in str(seen[0].message)
    )
    assert "write_var: samples are clipped" in str(seen[1].message)
    assert str(seen[1].message).endswith("level 7: 1 of 100")
    with pytest.warns(MpimpyWarning, match=r"2 outliers .* are dropped$"):
        dropped = Device.from_csv(path, outliers="drop")
    assert dropped.write_var.counts == (99, *[100] * 6, 99)
    assert dropped == Measured(Samples([sorted(np.array(row) * 1e-6) for row in clean(rows)])).device()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = Measured.from_csv(path, outliers="keep")
    assert kept.samples == device.write_var
    assert [level.outliers for level in kept.levels] == [1, 0, 0, 0, 0, 0, 0, 1]
    assert kept.levels[0].median_S == pytest.approx(np.median(rows[0]) * 1e-6)
    deviations = np.abs(rows[0] - np.median(rows[0]))
    assert kept.levels[0].mad_S == pytest.approx(np.median(deviations) * 1e-6)


def clean(rows):
    return [np.delete(row, at) for row, at in zip(rows, [[0], *[[]] * 6, [1]], strict=True)]


def test_too_few_samples_remain(write):
    rows = [[*GOOD[0][:7], 80.0], GOOD[1]]
    with (
        pytest.warns(MpimpyWarning, match="1 outliers"),
        pytest.raises(ValueError, match="level 0 has 7 samples: measure at least 8"),
    ):
        Measured.from_csv(write("level,measured_uS\n" + body(rows=rows)), outliers="drop")


@pytest.mark.parametrize("sigma", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("count", [8, 20, 100, 1000])
def test_ordinary_levels_have_no_outliers(sigma, count):
    rng = np.random.default_rng(count)
    for draw in (lambda: np.exp(rng.normal(0, sigma, count)), lambda: 10 + sigma * rng.normal(0, 1, count)):
        found = [outliers.outliers([sorted(draw().tolist()), [20.0]])[0] for _ in range(40)]
        assert sum(map(bool, found)) <= 1


def test_constant_levels_and_zeros():
    assert outliers.outliers([[1.0] * 9 + [1.001], [3.0] * 10]) == [(), ()]
    assert outliers.outliers([[1.0] * 9 + [2.0], [3.0] * 10]) == [(2.0,), ()]
    assert outliers.outliers([[0.0] * 9 + [2.0], [3.0] * 10]) == [(2.0,), ()]
    assert outliers.outliers([[0.0, *[0.5] * 9], [3.0] * 10]) == [(0.0,), ()]
    assert outliers.outliers([[1.0, 1.0], [1.0, 1.0]]) == [(), ()]


def test_the_layout_is_checked_before_the_file():
    with pytest.raises(ValueError, match="unit='kS' is unknown"):
        samples_csv.Layout(unit="kS")
