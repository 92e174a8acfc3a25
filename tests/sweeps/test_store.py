"""The store of sweeps: torn lines, duplicates, several writers."""

import json
import math

import numpy as np
import pytest
import sweeping

import mpimpy
from mpimpy import MpimpyWarning, open_sweep, sweep
from mpimpy.sweeps import _store
from mpimpy.sweeps._open import status
from mpimpy.sweeps._outcome import Outcome
from mpimpy.sweeps._store import Store

pytest.importorskip("xarray")
SPACE = sweeping.SPACE


def run(path, space=SPACE, workload=sweeping.seed_of, **options):
    return sweep(workload, space, store=path, progress=False, **options)


def lines(path):
    return [line for file in sorted(path.glob("*.jsonl")) for line in file.read_bytes().splitlines()]


class Counted(list):
    """The engines that a workload got, which do not change what it is."""

    def __init__(self, workload):
        self.workload = workload

    def __call__(self, engine):
        self.append(engine)
        return self.workload(engine)

    def sweep_identity(self):
        return "counted"


@pytest.fixture
def counted(monkeypatch):
    """Return a list of the engines that workloads got."""
    found = Counted(sweeping.seed_of)
    monkeypatch.setattr(sweeping, "seed_of", found)
    return found


def counting(engine):
    return sweeping.seed_of(engine)


def test_finished_points_are_not_run_again_and_a_space_may_grow(tmp_path, counted):
    first = run(tmp_path / "s", {"radc": [16, 64]}, counting)
    assert len(counted) == 2
    again = run(tmp_path / "s", {"radc": [16, 64]}, counting)
    assert len(counted) == 2
    assert again.identical(first)
    run(tmp_path / "s", {"radc": [32, 64], "var": [0.05, 0.1]}, counting, repeats=2)
    assert len(counted) == 2 + 8 - 1  # 0.05 is the default
    found = open_sweep(tmp_path / "s")
    assert dict(found.sizes) == {"radc": 3, "var": 2, "chip": 2}
    assert found.radc.values.tolist() == [16, 32, 64]
    assert (
        found.sel(var=0.05, chip=0)
        .drop_vars(("var", "chip"))
        .equals(run(None, {"radc": [16, 32, 64]}, counting).isel(chip=0, drop=True))
    )
    assert found.error.sel(radc=16, var=0.1, chip=0) == "not run"
    assert math.isnan(found.seed.sel(radc=16, var=0.1, chip=0))
    state = status(tmp_path / "s")
    assert (state.total, state.done, state.failed) == (9, 9, 0)


def test_settings_that_differ_between_runs_are_dimensions(tmp_path):
    for rdac in (16, 32):
        run(tmp_path, {"radc": [64]}, settings={"rdac": rdac, "vread": 0.2})
    run(tmp_path, {"radc": [64]}, settings={"vread": 0.2})
    found = open_sweep(tmp_path)
    assert found.rdac.values.tolist() == [16, 32]
    assert json.loads(found.attrs["settings"]) == {"vread": 0.2}
    assert (found.error == "").all()


def test_results_and_kinds_of_coordinates_survive(tmp_path):
    space = {"radc": [64, None], "array_size": [(32, 32), (64, 64)], "dbfp_en": [False, True], "var": [0, 0.1]}
    found = run(tmp_path, space, settings={"bw_e": 8})
    assert found.identical(open_sweep(tmp_path))
    assert found.radc.values.tolist() == ["64", "none"]
    assert found.array_size.values.tolist() == ["32,32", "64,64"]
    assert found.dbfp_en.values.tolist() == ["False", "True"]
    assert found["var"].values.tolist() == [0.0, 0.1]
    assert found.radc.attrs["units"] == "codes"
    assert np.isnan(found["nan"]).all()
    assert (found.inf == -math.inf).all()
    # a result that has the name of a setting
    assert (found.radc_result.sel(radc="64") == 64).all()


def arrays(engine):
    return np.array([[engine.chip, math.nan], [1, engine.config.adc.radc]])


def ragged(engine):
    return [0.0] * (1 + (engine.chip == 1))


def nested(engine):
    return [[1.0], [1.0, 2.0]] if engine.chip else [[1.0, 2.0]]


def test_results_may_be_arrays_of_one_shape(tmp_path):
    found = run(tmp_path, {"radc": [16, 32]}, arrays, repeats=2)
    assert found.value.dims == ("radc", "chip", "value_axis0", "value_axis1")
    np.testing.assert_array_equal(found.value.sel(radc=32, chip=1), [[1, math.nan], [1, 32]])
    assert open_sweep(tmp_path).identical(found)


def test_a_result_of_another_shape_is_the_error_of_its_point(tmp_path):
    found = run(tmp_path / "a", {"radc": [16]}, ragged, repeats=3)
    message = "the workload's value has the shape (2,) here and (1,) at most points: return one shape for all settings"
    assert found.error.values.tolist() == [["", message, ""]]
    np.testing.assert_array_equal(found.value[0], [[0], [math.nan], [0]])
    assert open_sweep(tmp_path / "a").identical(found)
    assert (status(tmp_path / "a").done, status(tmp_path / "a").failed) == (2, 1)
    assert f"radc=16, chip 1: {message}"[:60] in str(status(tmp_path / "a"))
    with pytest.raises(
        ValueError, match=r"at the point radc=16, chip 1: the workload's value has the shape \(2,\) here"
    ):
        run(None, {"radc": [16]}, ragged, repeats=3, errors="raise")
    found = run(tmp_path / "b", {"radc": [16]}, nested, repeats=2)
    message = "the workload returned lists of different lengths within one list: return an array"
    assert found.error.values.tolist() == [["", f"ValueError: {message}"]]
    assert open_sweep(tmp_path / "b").identical(found)
    with pytest.raises(ValueError, match=message):
        run(None, {"radc": [16]}, nested, repeats=2, errors="raise")


def test_a_stored_list_of_lists_of_different_lengths_is_an_error(tmp_path):
    ready = _ready(tmp_path)
    ready.store.create().begin(ready.run_line)
    for point, result in zip(ready.points, ([[1.0], [1.0, 2.0]], [1.0, [2.0]], [[1.0]]), strict=False):
        ready.store.add(point, Outcome(result, None, 0.1))
    ready.store.close()
    found = open_sweep(tmp_path)
    assert found.error.values.ravel()[:3].tolist() == [
        *["the workload's value holds lists of different lengths: return an array"] * 2,
        "",
    ]
    assert found.value.values.ravel()[2] == 1


class MuteError(Exception):
    def __str__(self):
        return self.args[1]


def mute(engine):
    raise MuteError("x")


def test_an_error_whose_message_fails_is_recorded():
    found = run(None, {"radc": [16]}, mute)
    assert found.error.item() == "MuteError: (its message cannot be made: IndexError)"


def test_a_store_that_is_damaged_says_so(tmp_path):
    expected = run(tmp_path, {"radc": [16, 32]})
    [file] = tmp_path.glob("*.jsonl")
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"\n", b"\r\n"))
    with pytest.raises(ValueError, match=r"is damaged: 3 lines are not as they were written .* and 0 points have lost"):
        open_sweep(tmp_path)
    file.write_bytes(whole.partition(b"\n")[2])
    with pytest.raises(ValueError, match=r"is damaged: 0 lines are .* and 2 points have lost the first line"):
        status(tmp_path)
    assert run(tmp_path, {"radc": [16, 32]}).identical(expected)
    assert "lost      2 points, without the first line" in str(status(tmp_path))


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_no_file_of_a_store_is_named(tmp_path, kind):
    run(tmp_path, {"radc": [16]})
    if kind == "folder":
        (tmp_path / "x.jsonl").mkdir()
    else:
        (tmp_path / "x.jsonl").symlink_to(tmp_path / "nothing")
    with pytest.raises(OSError, match=r"x\.jsonl cannot be read: .*\. Files of a store end so: move it away"):
        open_sweep(tmp_path)


def test_a_closed_client_is_said():
    class Client:
        status = "closed"
        get_executor = scheduler_info = None

    with pytest.raises(ConnectionError, match="client is closed: give one that is connected"):
        run(None, {"radc": [16]}, client=Client())


def test_a_line_that_is_torn_at_any_byte_is_dropped(tmp_path):
    expected = run(tmp_path / "s", {"radc": [16, 32]})
    [file] = (tmp_path / "s").glob("*.jsonl")
    whole = file.read_bytes()
    begin = whole[:-1].rfind(b"\n") + 1
    for end in range(begin, len(whole) + 1):
        file.write_bytes(whole[:end])
        store = Store(tmp_path / "s").open()
        kept = end >= len(whole) - 1  # only the end of the line is missing
        assert sum(map(len, store.records.values())) == 1 + kept
        assert store.torn == (begin < end < len(whole) - 1)
    for end in (begin, begin + 5, len(whole) - 7):
        for other in (tmp_path / "s").glob("*.jsonl"):
            other.unlink()
        file.write_bytes(whole[:end])
        assert run(tmp_path / "s", {"radc": [16, 32]}).identical(expected)
        assert len(lines(tmp_path / "s")) >= 4


def test_a_byte_that_is_wrong_drops_its_line(tmp_path):
    run(tmp_path, {"radc": [16, 32]})
    [file] = tmp_path.glob("*.jsonl")
    whole = file.read_bytes()
    begin = whole.find(b"\n") + 1
    for place in range(begin, whole.find(b"\n", begin)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        store = Store(tmp_path).open()
        assert sum(map(len, store.records.values())) == 1
        assert store.torn >= 1
    assert "torn" in str(status(tmp_path))


def test_two_writers_at_once(tmp_path):
    # both have read the store before the other wrote
    spaces = [_ready(tmp_path), _ready(tmp_path)]
    for ready in spaces:
        ready.store.create().begin(ready.run_line)
    for number, point in enumerate(spaces[0].points):
        for ready in spaces:
            ready.store.add(point, Outcome(number, None, 0.1))
    for ready in spaces:
        ready.store.refresh()
        ready.store.close()
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    found = open_sweep(tmp_path)
    assert found.value.values.ravel().tolist() == list(range(12))
    assert (status(tmp_path).done, status(tmp_path).total) == (12, 12)


def _ready(path, duplicates="equal"):
    from mpimpy.sweeps._space import Space
    from mpimpy.sweeps._sweep import Sweep

    return Sweep(sweeping.seed_of, Space.of(SPACE, None, 1, 0), Store(path, duplicates))


def test_two_results_of_a_point_stop_the_sweep(tmp_path):
    one, two = _ready(tmp_path), _ready(tmp_path)
    for ready in (one, two):
        ready.store.create().begin(ready.run_line)
    for ready, result in ((one, 1.0), (two, 2.0)):
        ready.store.add(ready.points[4], Outcome(result, None, 0.1))
    message = r"the point radc=32, var=0.05, chip 0 \(address \w{32}\) has two results, [12].0 .* duplicates='first'"
    for ready in (one, two):
        with pytest.raises(ValueError, match=message):
            ready.store.refresh()
        ready.store.close()
    with pytest.raises(ValueError, match=message):
        open_sweep(tmp_path)
    first = min(tmp_path.glob("*.jsonl")).read_bytes()
    expected = 1.0 if b'"v":1.0' in first else 2.0
    assert open_sweep(tmp_path, duplicates="first").value.sel(radc=32, var=0.05) == expected
    with pytest.raises(ValueError, match="duplicates='last' is unknown"):
        Store(None, "last")


def test_nan_equals_nan_and_a_result_beats_an_error(tmp_path):
    ready = _ready(tmp_path)
    ready.store.create().begin(ready.run_line)
    for outcome in (
        Outcome(None, "E: 1", 0.1),
        Outcome("nan", None, 0.1),
        Outcome("nan", None, 0.2),
        Outcome(None, "E: 2", 0.1),
    ):
        ready.store.add(ready.points[0], outcome)
    ready.store.close()
    found = open_sweep(tmp_path)
    assert math.isnan(found.value[0, 0, 0])
    assert found.error[0, 0, 0] == ""


def test_points_that_fail_are_recorded_and_run_again(tmp_path):
    found = run(tmp_path, workload=sweeping.fails)
    assert found.error.sel(radc=32, chip=0).values.tolist() == [f"ValueError: no {v}" for v in SPACE["var"]]
    assert np.isnan(found.value.sel(radc=32)).all()
    assert (found.value.sel(radc=[16, 64, 128]) == 1.5).all()
    before = len(lines(tmp_path))
    assert run(tmp_path, workload=sweeping.fails).identical(found)
    assert len(lines(tmp_path)) == before + 1 + 3  # a run, and the three that failed
    state = status(tmp_path)
    assert (state.done, state.failed) == (9, 3)
    assert "radc=32, var=0, chip 0: ValueError: no 0.0" in str(state)


def test_the_first_error_may_end_the_sweep(tmp_path):
    with pytest.raises(ValueError, match=r"^no 0\.0\nat the point") as caught:
        run(tmp_path, workload=sweeping.fails, errors="raise")
    assert caught.value.__notes__ == [
        "at the point radc=32, var=0, chip 0; errors='record' keeps the message and goes on"
    ]
    assert status(tmp_path).done == 3
    with pytest.raises(ValueError, match="errors='rais' is unknown"):
        run(tmp_path, errors="rais")


def test_a_refused_combination_is_recorded_once(tmp_path):
    space = {"x_slices": [[1, 1], [1, 4]], "rdac": [2, 16]}
    found = run(tmp_path, space)
    assert str(found.error.sel(x_slices="1,4", rdac=2).item()).startswith("ValueError: input slice of 4 bits needs")
    before = len(lines(tmp_path))
    assert run(tmp_path, space).identical(found)
    assert len(lines(tmp_path)) == before + 1
    assert open_sweep(tmp_path).identical(found)


def changed(engine, result=7.0):
    return result


def test_a_changed_workload_is_said_and_never_mixed(tmp_path, monkeypatch):
    run(tmp_path, workload=changed)
    monkeypatch.setattr(changed, "__defaults__", (8.0,))
    with pytest.warns(MpimpyWarning, match=r"12 points .* are no longer valid: the code, .* the workload .*changed h"):
        found = run(tmp_path, {"radc": [16]}, workload=changed)
    assert found.value.item() == 8.0
    with pytest.warns(MpimpyWarning) as told:
        run(tmp_path, {"radc": [16]}, workload=changed, seed=1)
    texts = sorted(str(one.message) for one in told)
    assert texts[0].endswith(" have seed 0, not 1; they are kept, and none of them counts here")
    assert texts[1].startswith("12 points in the store ")
    assert len(texts) == 2
    with pytest.warns(MpimpyWarning, match=r"are of the workload .*changed, not sweeping\.seed_of") as told:
        run(tmp_path, {"radc": [16]})
    assert len(told) == 3
    found = open_sweep(tmp_path)
    assert found.attrs["workload"] == "sweeping.seed_of"
    assert dict(found.sizes) == {"radc": 1, "chip": 1}


def test_a_store_of_another_arithmetic_is_named(tmp_path, monkeypatch):
    run(tmp_path)
    index = json.loads((tmp_path / "sweep.json").read_text())
    assert index == {"format": 1, "arithmetic": mpimpy.ARITHMETIC}
    (tmp_path / "sweep.json").write_text(json.dumps(index | {"arithmetic": 1}))
    with pytest.raises(
        ValueError, match="holds results of arithmetic 1, and this mpimpy computes with arithmetic 2: use"
    ):
        run(tmp_path)
    (tmp_path / "sweep.json").write_text(json.dumps(index | {"format": 2}))
    with pytest.raises(ValueError, match="has format 2, and this mpimpy reads formats up to 1"):
        open_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(ValueError, match="is no description of a sweep"):
        open_sweep(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"holds no sweep: there is no sweep\.json in it"):
        open_sweep(tmp_path / "nothing")
    with pytest.raises(OSError, match="cannot be a folder"):
        run(tmp_path / "sweep.json" / "in")


def test_an_empty_store_has_no_run(tmp_path):
    Store(tmp_path).create()
    with pytest.raises(ValueError, match="holds no run of a sweep yet"):
        open_sweep(tmp_path)


def test_parts_add_up_and_go_on_as_other_parts(tmp_path, counted):
    expected = run(None, workload=counting)
    counted.clear()
    for part in ("0/2", (2, 3), "0/3", "1/3"):
        found = run(tmp_path, workload=counting, part=part)
    assert len(counted) == 12
    assert found.identical(expected)
    first = run(tmp_path / "first", workload=counting, part="0/5")
    assert (first.error == "").sum() == 3
    for part, message in (
        ("5/5", r"part='5/5' is out of range: parts are numbered from 0 to 4"),
        ("1", r"must be an index and a number of parts, such as part='3/100'"),
        ("a/b", "must be an index"),
    ):
        with pytest.raises(ValueError, match=message):
            run(tmp_path, part=part)
    with pytest.raises(ValueError, match=r"part='1/5' needs a store"):
        run(None, part="1/5")


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def write(file, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_store.os, "write", write)
    with pytest.raises(OSError, match="cannot be written: No space left on device; the points that are in it are safe"):
        run(tmp_path)


def test_a_short_write_is_finished(tmp_path, monkeypatch):
    write = _store.os.write
    monkeypatch.setattr(_store.os, "write", lambda file, data: write(file, data[:7]))
    found = run(tmp_path)
    monkeypatch.undo()
    assert open_sweep(tmp_path).identical(found)


@pytest.mark.parametrize("engine", ["scipy", "netcdf4", "h5netcdf"])
def test_netcdf(tmp_path, engine):
    pytest.importorskip({"scipy": "scipy", "netcdf4": "netCDF4", "h5netcdf": "h5py"}[engine])
    import xarray

    found = run(tmp_path, {"radc": [64, None], "array_size": [(32, 32), (64, 64)]}, sweeping.fails)
    open_sweep(tmp_path).to_netcdf(tmp_path / "s.nc", engine=engine)
    with xarray.open_dataset(tmp_path / "s.nc", engine=engine) as back:
        assert back.identical(found)


def test_zarr_and_data_frame(tmp_path):
    found = run(tmp_path, {"radc": [32, None], "var": [0, 0.1]}, sweeping.fails)
    frame = open_sweep(tmp_path).to_dataframe()
    assert frame.loc[("none", 0.1, 0), "value"] == 1.5
    assert frame.loc[("32", 0.0, 0), "error"] == "ValueError: no 0.0"
    pytest.importorskip("zarr")
    import xarray

    found.to_zarr(tmp_path / "s.zarr", consolidated=False)
    with xarray.open_zarr(tmp_path / "s.zarr", consolidated=False) as back:
        assert back.equals(found)


def test_a_missing_xarray_is_said(monkeypatch):
    monkeypatch.setattr("mpimpy.sweeps._dataset.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[sweep\]"'):
        run(None)


def test_progress_is_told(capsys, monkeypatch):
    sweep(sweeping.fails, SPACE)
    assert "sweep: 12 of 12 points, 3 failed, " in capsys.readouterr().err
    monkeypatch.setattr("mpimpy.sweeps._progress.APART_s", 0)
    sweep(sweeping.fails, SPACE)
    assert "sweep: 4 of 12 points, 1 failed, " in capsys.readouterr().err
