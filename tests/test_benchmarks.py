import contextlib
import dataclasses
import io
import itertools
import json
import math
import os
import pathlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from libraries import torch

import mpimpy
from benchmarks import (
    bench_others,
    bench_products,
    card,
    compare,
    cost,
    effects,
    in_turn,
    measure,
    models,
    networks,
    wires,
    workloads,
)
from benchmarks.baselines import EinsumMatrix, einsum_product, tensor_gb
from benchmarks.workloads import WORKLOADS, Workload

LIBRARIES = [pytest.param(np.asarray, id="numpy")]
if torch is not None:
    LIBRARIES.append(pytest.param(torch.asarray, id="torch"))

# odd shapes: ragged tiles in both directions
TINY = {
    "a": Workload("a", "a small product", (20, 70), (70, 50), want=1e9, aim=1e-9, settings={"radc": 1024}),
    "b": Workload("b", "programming", (5, 70), (70, 50), 1e9, 1e8, unit="s", kind="program", memory=True),
}


def snr_over_reads(product, exact, reads=6):
    """SNR of the mean noise energy: one draw of a small product scatters by half a dB."""
    energies = [10 ** (-mpimpy.SNR(np.asarray(product()), exact) / 10) for _ in range(reads)]
    return -10 * math.log10(np.mean(energies))


# -- the einsum baseline ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("to_library", LIBRARIES)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"x_slices": (1,) * 8},
        {"radc": None},
        {"var": 0.0, "write_var": 0.1},
        {"HGS": 1e-5, "LGS": 5e-6, "radc": 1024},
        {"g_level": 32, "rdac": 64, "radc": 4096, "var": 0.02},
    ],
    ids=str,
)
def test_einsum_is_as_far_from_exact_as_mpimpy(rng, to_library, settings):
    x = rng.standard_normal((70, 200), dtype=np.float32)
    w = rng.standard_normal((200, 90), dtype=np.float32)
    exact = x.astype(np.float64) @ w
    np.random.seed(1)  # noqa: NPY002
    if torch is not None:
        torch.manual_seed(1)
    chips = iter(range(6))
    # the reference column of the einsum version is ideal
    given = {"seed": 1, "reference": "ideal"} | settings
    ours = snr_over_reads(lambda: mpimpy.MapReducedot(x, w, chip=next(chips), **given), exact)
    plain = snr_over_reads(lambda: einsum_product(to_library(x), to_library(w), **settings), exact)
    assert plain == pytest.approx(ours, abs=0.3)


@pytest.mark.parametrize("to_library", LIBRARIES)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"radc": 64 * 15 * 15 + 1},
        {"radc": None},
        {"x_slices": (1, 1, 2, 2), "w_slices": (1, 2, 3), "radc": 4096},
        {"g_level": 20, "rdac": 40},
    ],
    ids=str,
)
def test_einsum_agrees_without_variation(rng, to_library, settings):
    x = rng.standard_normal((2, 15, 150), dtype=np.float32)
    w = rng.standard_normal((150, 40), dtype=np.float32)
    x[0, 3], w[64:128, 5] = 0, 0  # blocks without a scale
    ours = mpimpy.MapReducedot(x, w, seed=1, var=0.0, **settings)
    plain = np.asarray(einsum_product(to_library(x), to_library(w), var=0.0, **settings))
    assert plain.dtype == np.float32
    assert plain.shape == ours.shape
    np.testing.assert_allclose(plain, ours, rtol=0, atol=1e-5 * np.abs(ours).max())


def test_einsum_draws_write_variation_once_and_read_variation_every_time():
    x, w = np.ones((2, 64), np.float32), np.eye(64, dtype=np.float32)
    programmed = EinsumMatrix(w, var=0.0, write_var=0.1, radc=None)
    assert np.array_equal(programmed.read(x), programmed.read(x))
    assert not np.array_equal(programmed.read(x), EinsumMatrix(w, var=0.0, write_var=0.1, radc=None).read(x))
    noisy = EinsumMatrix(w, radc=None)
    assert not np.array_equal(noisy.read(x), noisy.read(x))


@pytest.mark.parametrize("to_library", LIBRARIES)
def test_einsum_saturates(to_library):
    # every digit at its highest: without variation currents are at full scale, with it half are above
    x, w = to_library(np.ones((1, 64), np.float32)), to_library(np.ones((64, 200), np.float32))
    clean = np.asarray(einsum_product(x, w, var=0.0))
    noisy = np.asarray(einsum_product(x, w, var=0.3))
    assert (noisy <= clean * (1 + 1e-6)).all()
    assert (noisy < clean * (1 - 1e-6)).any()


def test_einsum_tensor_size():
    # 16 pairs, 2 tiles of 64 rows, 20 x 50 outputs, 4 bytes
    assert tensor_gb(TINY["a"]) == 16 * 2 * 20 * 50 * 4 / 2**30


# -- workloads ----------------------------------------------------------------------------------


def test_pairs_are_the_engine_s_own():
    counts = {name: workload.pairs for name, workload in WORKLOADS.items()}
    assert counts.pop("W1-1bit") == 32
    assert set(counts.values()) == {16}
    for workload in WORKLOADS.values():
        config = workloads.make_engine(workload).config
        assert workload.pairs == len(config.inputs.slices) * len(config.weights.slices)


def test_workloads_are_what_their_titles_say():
    assert WORKLOADS["W3"].mkn == (2000, 1000, 1000)
    assert WORKLOADS["W5"].mkn == (4096, 512, 512)
    assert WORKLOADS["W2"].macs == 16 * 10**9
    config = workloads.make_engine(WORKLOADS["W2"]).config
    assert (config.inputs.bits, config.weights.bits, config.radc, config.device.var) == (6, 6, (4096,) * 4, 0)
    assert workloads.make_engine(WORKLOADS["ideal"]).config.radc is None
    assert {name for name, workload in WORKLOADS.items() if workload.large} == {"W6", "W6-var", "cube", "program"}


def test_lossless_workload_loses_only_the_quantisation():
    workload = WORKLOADS["lossless"]
    x, w = np.random.default_rng(0).standard_normal((2, 100, 100), dtype=np.float32)
    engine = workloads.make_engine(workload)
    ideal = engine.replace(adc={"radc": None})
    np.testing.assert_allclose(engine(x, w), ideal(x, w), rtol=0, atol=1e-4)


def test_operands_are_float32_and_always_the_same():
    x, w = workloads.make_operands(TINY["a"])
    assert (x.shape, w.shape, x.dtype, w.dtype) == ((20, 70), (70, 50), np.float32, np.float32)
    assert np.array_equal(x, workloads.make_operands(TINY["a"])[0])
    assert not np.array_equal(x[:, :50], w[:20])


def test_workloads_pass_through_json():
    for workload in WORKLOADS.values():
        assert Workload(**json.loads(json.dumps(workload.to_json()))) == workload


def test_values_and_marks():
    cube = WORKLOADS["W1"]
    assert cube.value(1.6, 0.1) == pytest.approx(1)
    assert [cube.mark(value) for value in (0.5, 0.51, 0.9, 0.91)] == ["aim", "want", "want", "no"]
    assert WORKLOADS["W4"].value(3e-6, 1) == pytest.approx(3)
    assert WORKLOADS["W6"].value(3e-3, 1) == pytest.approx(3)
    assert WORKLOADS["program"].value(3, None) == 3
    assert WORKLOADS["ideal"].value(0.6, 0.2) == pytest.approx(3)
    assert [WORKLOADS["threads"].mark(value) for value in (1.9, 1.8, 1.7)] == ["want", "want", "no"]


def test_memory_budget():
    # 64 MB per operand; codes of a byte, 4 slices of inputs and of weights; cells of two bytes
    assert workloads.memory_budget(WORKLOADS["cube"]) == (192, 128, 128, 200)
    still = Workload("", "", (1024, 1024), (1024, 1024), None, None, settings={"var": 0.0})
    assert workloads.memory_budget(still) == (12, 8, 0, 200)


# -- measuring ----------------------------------------------------------------------------------


def test_peak_sees_what_came_and_went():
    np.ones(2 * 10**7)  # a higher peak before
    peak = measure.Peak(measure.RUNNERS["numba"])
    np.ones(10**7)
    assert 70 < peak.rise() < 150


def test_timer_keeps_the_shortest_mean_of_a_batch(monkeypatch):
    # what each batch takes: a single call, then batches of 200; a visit lasts 0.02 s at least
    batches = iter([1e-5, 0.008, 0.006, 0.007, 0.005, 0.008, 0.008])
    clock = iter(np.cumsum([step for batch in batches for step in (1.0, batch)]))
    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=lambda: next(clock), sleep=lambda seconds: None))
    monkeypatch.setattr(measure, "VISIT", 0.02)
    calls = []
    timer = measure.Timer(lambda: calls.append(1))
    timer.visit()
    assert len(calls) == 1 + 3 * 200
    assert timer.best == pytest.approx(0.006 / 200)  # a short call alone says nothing
    timer.visit()
    assert len(calls) == 1 + 6 * 200
    assert timer.best == pytest.approx(0.005 / 200)
    assert next(clock, None) is None


def test_rounds_end_when_time_is_up(monkeypatch):
    class Counter:
        best, visits = 1.0, 0

        def visit(self):
            self.visits += 1

    first, second = Counter(), Counter()
    assert measure.side_by_side([first, second], 3, 100) == [1, 1]
    assert (first.visits, second.visits) == (3, 3)
    measure.side_by_side([first, second], 3, -1)
    assert (first.visits, second.visits) == (4, 4)


@pytest.mark.parametrize("name", ["W1", "W4-dot", "program"])
def test_runners_compute_the_same_thing(name):
    workload = WORKLOADS[name]
    small = Workload(name, "", (9, 70), (70, 50), None, None, settings=workload.settings, kind=workload.kind)
    x, w = workloads.make_operands(small)
    results = {}
    for runner in measure.RUNNERS.values():
        if runner.where == "cpu" and (runner.library == "numpy" or torch is not None):
            operands = [measure._move(array, runner) for array in (x, w)]
            results[runner.name] = np.asarray(measure.prepare(small, runner, *operands)[1]())
    exact = x.astype(np.float64) @ w
    for runner, result in results.items():
        assert result.dtype == np.float32
        if measure.RUNNERS[runner].method == "dot":
            np.testing.assert_allclose(result, exact, rtol=0, atol=1e-4)
        elif measure.RUNNERS[runner].method == "mpimpy":
            assert np.array_equal(result, results["numba"])
        else:
            assert 13 < mpimpy.SNR(result, exact) < 21


@pytest.mark.parametrize("kind", ["read", "dot"])
@pytest.mark.parametrize("name", ["numba", "einsum"])
def test_settings_reach_the_product(kind, name):
    exactly = Workload("", "", (9, 70), (70, 50), None, None, settings={"var": 0.0, "radc": None}, kind=kind)
    x, w = workloads.make_operands(exactly)
    result = measure.prepare(exactly, measure.RUNNERS[name], x, w)[1]()
    assert mpimpy.SNR(result, x.astype(np.float64) @ w) > 38  # quantised to 8 bits, nothing else


def test_programming_is_timed_alone_and_reading_without_it(monkeypatch):
    made = []
    monkeypatch.setattr(measure, "_program", lambda *arguments: made.append(1) or EinsumMatrix(arguments[2]))
    runner = measure.RUNNERS["numba"]
    timed, _ = measure.prepare(TINY["a"], runner, *workloads.make_operands(TINY["a"]))
    assert len(made) == 1
    timed()
    assert len(made) == 1
    timed, _ = measure.prepare(TINY["b"], runner, *workloads.make_operands(TINY["b"]))
    assert isinstance(timed(), EinsumMatrix)


def test_threads_are_compared_and_put_back(monkeypatch):
    calls, times = [], iter([6.0, 4.0])
    tiny = Workload("t", "", (20, 70), (70, 50), 1.8, None, unit="times", kind="threads")
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 8)
    monkeypatch.setattr(mpimpy, "set_num_threads", calls.append)
    monkeypatch.setattr(measure, "side_by_side", lambda timers, runs, seconds: list(times))
    row = measure.measure(tiny, measure.RUNNERS["numba"], 1, 0)
    assert calls == [1, 2, None]
    assert (row["value"], row["seconds"]) == (1.5, 4)
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 1)
    with pytest.raises(measure.Skip, match="one thread"):
        measure.measure(tiny, measure.RUNNERS["numba"], 1, 0)


def test_the_kernels_that_ran_are_named():
    tiny = Workload("t", "", (2, 70), (70, 5), 1, 1)
    runner = measure.Runner("free", "whatever mpimpy chooses")
    assert measure.measure(tiny, runner, 1, 0)["kernels"] == "numba"


def test_a_new_process_makes_the_first_product(tmp_path):
    tiny = Workload("t", "", (2, 70), (70, 5), 1, 1, unit="s", kind="process", settings={"var": 0.0})
    row = measure._in_new_process(tiny, measure.RUNNERS["reference"], str(tmp_path))
    assert row["seconds"] > 0
    # no variation, an 8-bit ADC
    assert 20 < row["SNR_dB"] < 35


def test_a_new_process_has_the_cache_it_is_given(tmp_path, monkeypatch):
    seen = {}

    def start(command, env, **options):
        seen.update(env)
        return SimpleNamespace(stdout="{}")

    monkeypatch.setattr(measure.subprocess, "run", start)
    measure._in_new_process(WORKLOADS["process"], measure.RUNNERS["numba"], str(tmp_path))
    assert seen["NUMBA_CACHE_DIR"] == str(tmp_path)
    # mpimpy as it is here, not as it may be installed
    assert seen["PYTHONPATH"].split(os.pathsep)[0] == str(pathlib.Path(mpimpy.__file__).parent.parent)


def test_first_process_compiles_and_later_ones_do_not(monkeypatch):
    caches = []

    def start(workload, runner, cache):
        assert os.path.isdir(cache)
        caches.append(cache)
        return {"seconds": next(times), "SNR_dB": 17.0}

    monkeypatch.setattr(measure, "_in_new_process", start)
    times = iter([9.0, 0.6, 0.4, 0.5])
    row = measure.measure(WORKLOADS["process"], measure.RUNNERS["numba"], 3, 100)
    assert (row["value"], len(caches), len(set(caches))) == (0.4, 4, 1)
    times = iter([9.0])
    row = measure.measure(WORKLOADS["first"], measure.RUNNERS["numba"], 3, 100)
    assert (row["value"], len(caches), len(set(caches))) == (9.0, 5, 2)


def test_einsum_that_does_not_fit_is_left_out():
    cube = Workload("", "", (40960, 4096), (4096, 40960), None, None)
    with pytest.raises(measure.Skip, match=r"needs .* GB for all slice pairs at once"):
        measure.check(cube, measure.RUNNERS["einsum"])
    measure.check(cube, measure.RUNNERS["numba"])


def test_share_of_the_bound(monkeypatch):
    monkeypatch.setattr(card, "int8_rate", lambda: 1e12)
    monkeypatch.setattr(card, "instruction_rate", lambda: 1e12)
    # W1: two int8 products, and 7 instructions for each of 16 * 16 * 10**6 currents
    row = card.share_of_bound(WORKLOADS["W1"], 0.32)
    assert row["bound_seconds"] == pytest.approx(0.032 + 7 * 256e6 / 1e12)
    assert row["share_of_bound"] == pytest.approx(row["bound_seconds"] / 0.32)
    assert (row["TOP_per_s"], row["int8_TOP_per_s"]) == (pytest.approx(0.1), 2)


def test_bound_of_a_card():
    # (20, 70) by (70, 50): 16 pairs, 2 tiles; 2 int8 products where cells vary
    macs, currents = 16 * 20 * 70 * 50, 16 * 2 * 20 * 50
    assert card.bound_seconds(TINY["a"], 1e3, 1e2) == pytest.approx(2 * macs / 1e3 + 7 * currents / 1e2)
    still = Workload("", "", (20, 70), (70, 50), None, None, settings={"var": 0.0})
    assert card.bound_seconds(still, 1e3, 1e2) == pytest.approx(macs / 1e3 + 7 * currents / 1e2)
    if torch is not None:
        assert card.int8_rate(64, "cpu") > 0
        assert card.instruction_rate(64, "cpu") > 0
        assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.skipif(torch is None, reason="needs torch")
@pytest.mark.parametrize("make", [models.encoder, models.resnet18])
def test_models_are_timed_in_turn(make):
    model, inputs = make(small=True)
    found = card.time_model(model, inputs, mpimpy.DPETensor(seed=0), "cpu", repeats=1)
    assert set(found) == {"forward", "step", "waits"}
    assert all(digital > 0 and analog > 0 for digital, analog in (found["forward"], found["step"]))
    assert found["waits"] is None


@pytest.mark.skipif(torch is None or torch.cuda.is_available(), reason="needs torch, and no card")
def test_without_a_card_nothing_is_timed(capsys):
    card.main()
    assert capsys.readouterr().out == "no CUDA card is here: nothing was timed\n"


# -- compare ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_compare_prints_a_table_and_appends_a_record(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    record = tmp_path / "record.jsonl"
    record.write_text('{"old": 1}\n')
    options = ["--runs", "1", "--seconds", "0", "--record", str(record)]
    assert compare.main(["--backends", "numba", "np.dot", *options], TINY) == 0
    out = capsys.readouterr().out
    assert "WARNING: OPENBLAS_CORETYPE=Haswell" in out
    assert f"numpy {np.__version__}" in out
    lines = [line.split() for line in out.splitlines()]
    heading = next(index for index, line in enumerate(lines) if line[:2] == ["workload", "backend"])
    table = lines[heading + 2 : heading + 5]
    # programming has no exact counterpart; a baseline has no mark
    assert [line[:2] for line in table] == [["a", "np.dot"], ["a", "numba"], ["b", "numba"]]
    assert table[1][7:13] == ["P", "1e+09", "P", "1e-09", "P", "want"]
    assert "b, numba:" in out
    old, new = map(json.loads, record.read_text().splitlines())
    assert old == {"old": 1}
    assert {"cpu", "cores", "memory_GB"} <= set(new["machine"])
    assert {"python", "numpy", "numba", "llvmlite", "scipy", "mpimpy"} <= set(new["versions"])
    assert all(blas["architecture"] and blas["num_threads"] for blas in new["blas"])
    assert new["environment"] == {"OPENBLAS_CORETYPE": "Haswell"}
    dot, product, program = new["rows"]
    assert (product["mark"], program["mark"], dot["mark"]) == ("want", "aim", "")
    assert product["value"] == pytest.approx(product["seconds"] / product["dot_seconds"] / 16)
    assert product["GMAC_per_s"] == pytest.approx(16 * 20 * 70 * 50 / product["seconds"] / 1e9)
    assert dot["GMAC_per_s"] == pytest.approx(20 * 70 * 50 / dot["seconds"] / 1e9)
    assert product["kernels"] == "numba"
    assert 13 < product["SNR_dB"] < 21
    assert dot["SNR_dB"] > 100
    # inputs and weights beside what the process grew by
    assert program["memory_MB"] == pytest.approx(program["peak_MB"] + 4 * (5 * 70 + 70 * 50) / 2**20)


def test_compare_says_what_failed(tmp_path, capsys):
    broken = {"c": Workload("c", "", (2, 70), (70, 5), 1, 1, settings={"radc": 1})}
    options = ["--backends", "numba", "--record", str(tmp_path / "r")]
    assert compare.main(options, broken) == 1
    assert "c, numba: FAILED, ValueError: radc" in capsys.readouterr().out
    assert "radc" in json.loads((tmp_path / "r").read_text())["rows"][0]["error"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "W1", "W9"], "unknown workload 'W9': use some of W1, W1-1bit"),
        (["--backends", "nunba"], "unknown backend 'nunba': use some of np.dot"),
        (["--runs", "0"], "--runs 0 must be at least 1"),
    ],
)
def test_compare_refuses_in_words(capsys, options, message):
    with pytest.raises(SystemExit):
        compare.main(options)
    assert message in capsys.readouterr().err


def rows_of(monkeypatch, tmp_path, options, figures):
    """What compare records when every row measures as `figures` says."""
    monkeypatch.setattr(compare, "_run", lambda workload, name, options: dict(figures(workload, name)))
    monkeypatch.setattr(compare, "_runners", lambda: list(measure.RUNNERS))
    compare.main([*options, "--record", str(tmp_path / "r")])
    return json.loads((tmp_path / "r").read_text())["rows"]


def test_slow_backends_meet_large_workloads_only_when_asked(monkeypatch, tmp_path, capsys):
    def figures(workload, name):
        return {"value": 1.0, "seconds": 1.0, "SNR_dB": math.inf}

    rows = rows_of(monkeypatch, tmp_path, ["--only", "W1", "W6"], figures)
    skipped = {(row["workload"], row["backend"]) for row in rows if "skipped" in row}
    assert {("W6", "reference"), ("W6", "einsum")} <= skipped
    assert not {("W1", "reference"), ("W6", "numba"), ("W6", "np.dot")} & skipped
    assert "W6, reference: left out, is large: ask for it with --backends reference" in capsys.readouterr().out
    (tmp_path / "r").unlink()
    rows = rows_of(monkeypatch, tmp_path, ["--only", "W1", "W6", "--backends", "reference"], figures)
    assert [(row["workload"], "skipped" in row) for row in rows] == [("W1", False), ("W6", False)]
    assert rows[0]["SNR_dB"] is None  # JSON has no infinity
    (tmp_path / "r").unlink()
    rows = rows_of(monkeypatch, tmp_path, ["--skip-large", "--backends", "numba"], figures)
    assert {row["workload"] for row in rows} == {name for name, workload in WORKLOADS.items() if not workload.large}


def test_a_busy_machine_is_pointed_out(monkeypatch, tmp_path, capsys):
    def figures(workload, name):
        busy = workload.name == "W1" and name == "numba"
        return {"value": 1.0, "seconds": 1.0, "dot_seconds": 1.3 if busy else 1.0}

    rows_of(monkeypatch, tmp_path, ["--only", "W1", "W2", "--backends", "numba", "reference"], figures)
    out = capsys.readouterr().out
    assert "W1: np.dot took from 1.00 s to 1.30 s: the machine was busy" in out
    assert "W2: np.dot" not in out


def test_a_card_is_held_against_its_bound_and_einsum(monkeypatch, tmp_path, capsys):
    def figures(workload, name):
        row = {"value": 1.0, "seconds": 3.0 if name == "einsum-cuda" else 2.0}
        bound = {
            "kernels": "k",
            "TOP_per_s": 123.0,
            "int8_TOP_per_s": 1500.0,
            "bound_seconds": 1.0,
            "share_of_bound": 0.5,
        }
        return row | (bound if name == "cuda" else {})

    rows = rows_of(monkeypatch, tmp_path, ["--only", "W1", "--backends", "einsum-cuda", "cuda"], figures)
    assert rows[1]["times_einsum"] == 1.5
    last = capsys.readouterr().out.splitlines()[-1]
    assert " ".join(last.split()) == "W1 cuda k 123 1500 1.00 s 50 % 1.50"


def test_tables_line_up():
    columns = {"backend": lambda row: row["name"], "time": lambda row: row["time"]}
    rows = [{"name": "numba", "time": "1.2 s"}, {"name": "reference", "time": "13 s"}]
    assert compare.format_table(columns, rows).splitlines() == [
        "backend     time",
        "---------  -----",
        "numba      1.2 s",
        "reference   13 s",
    ]
    assert compare.format_table(columns, rows, markdown=True).splitlines() == [
        "| backend   |  time |",
        "| --------- | ----: |",
        "| numba     | 1.2 s |",
        "| reference |  13 s |",
    ]


# -- asv ----------------------------------------------------------------------------------------


def test_asv_tracks_speed_and_accuracy_together(monkeypatch):
    figures = {"seconds": 8.0, "dot_seconds": 0.5, "GMAC_per_s": 3.0, "SNR_dB": 17.0, "value": 4.0}
    monkeypatch.setattr(bench_products, "measure", lambda *arguments, **options: figures)
    monkeypatch.setattr(bench_others, "measure", lambda *arguments, **options: figures)
    ratios = bench_products.Ratios()
    ratios.setup("W4", "numba")
    assert [getattr(ratios, name)("W4", "numba") for name in ("track_P", "track_gmacs", "track_snr")] == [1, 3, 17]
    assert bench_others.Others().track_program() == 4
    products = bench_products.Products()
    products.setup("W4", "numba")
    products.time_product("W4", "numba")


@pytest.mark.skipif(torch is not None and torch.cuda.is_available(), reason="there is a card")
def test_asv_leaves_out_what_is_not_there():
    with pytest.raises(NotImplementedError):
        bench_products.Products().setup("W4", "cuda")


# -- wires --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_wires_are_timed_beside_ways_that_agree(rng, capsys):
    g = rng.uniform(1e-3, 1, (5, 7))
    ours = mpimpy.wires.transfer(g, 0.5, 0.25)
    np.testing.assert_allclose(wires.block_elimination(g, 0.5, 0.25), ours, rtol=1e-10)
    np.testing.assert_allclose(wires.sparse_nodal(g, 0.5, 0.25), ours, rtol=1e-10)
    assert wires.main(["--sizes", "3", "9", "--runs", "1", "--read", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines if " x " in line and "tile" not in line] == [
        ["3", "x", "3"],
        ["9", "x", "9"],
    ]
    assert lines[-2].split()[:2] == ["without", "wires"]
    assert lines[-2].endswith("1.00")
    assert lines[-1].split()[:4] == ["wires", "of", "2.93", "Ohm"]
    with pytest.raises(SystemExit):
        wires.main(["--runs", "0"])


@pytest.mark.slow
def test_effects_are_timed_beside_the_default_read(capsys):
    effects.main(["--size", "40", "--turns", "2", "--only", "one slice", "DAC noise", "--markdown"])
    lines = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == ["effect", "ms", "default, ms", "times", "wanted"]
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["one slice", "DAC noise"]
    assert all(float(line.split("|")[4]) > 0 for line in lines[2:])


@pytest.mark.slow
def test_costs_are_timed_beside_reads(capsys):
    cost.main(["--size", "40", "--turns", "2", "--only", "default", "pair", "--markdown"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["default", "pair"]
    assert all(float(cell) > 0 for line in lines[2:] for cell in line.replace("%", "").split("|")[2:-1])


@pytest.mark.parametrize("name", [name for name in cost.SETTINGS if name != "default"])
def test_settings_of_costs_differ_from_the_default(name):
    assert mpimpy.DPETensor(**cost.SETTINGS[name]).config != mpimpy.DPETensor().config


@pytest.mark.parametrize("effect", effects.EFFECTS)
def test_every_effect_differs_from_the_default(effect):
    settings, wanted = effects.EFFECTS[effect]
    assert mpimpy.DPETensor(**settings).config != mpimpy.DPETensor().config
    assert wanted is None or wanted > 1


def test_checkouts_are_timed_in_turn(monkeypatch):
    asked = []

    class Process:
        def __init__(self, tree, seconds):
            self.tree, self.seconds = tree, seconds
            self.stdin = self.stdout = self

        def write(self, line):
            asked.append((self.tree, line))

        def flush(self):
            pass

        def readline(self):
            return f"{next(self.seconds)}\n"

    @contextlib.contextmanager
    def start(tree, cache, threads):
        assert threads == 3
        yield Process(tree, itertools.cycle([0.004, 0.002, 0.003] if tree == in_turn.ROOT else [0.008]))

    monkeypatch.setattr(in_turn, "_open", start)
    other = pathlib.Path("/other").resolve()
    rows = in_turn.compare(other, ["read 1x32"], pairs=3, threads=3)
    assert rows == {"read 1x32": pytest.approx((0.008, 0.003, 3 / 8, 3 / 8, 1 / 4))}
    assert [line for _, line in asked] == ["read 1x32\n"] * (3 * 2 * in_turn.TURNS)
    # whoever is first changes from turn to turn, and from pair to pair
    trees, this = [tree for tree, _ in asked], in_turn.ROOT
    first, second = [other, this, this, other], [this, other, other, this]
    assert trees == [tree for pair in (first, second, first) for tree in pair * (in_turn.TURNS // 2)]


def test_a_process_answers_with_the_seconds_of_a_call(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("read 1x32\nprogram 32\nread 1x32\n"))
    before = mpimpy.get_num_threads()
    try:
        in_turn._serve(1)
        assert mpimpy.get_num_threads() == 1
    finally:
        mpimpy.set_num_threads(None)
    assert mpimpy.get_num_threads() == before
    ready, *seconds = capsys.readouterr().out.split()
    assert ready == "ready"
    assert len(seconds) == 3
    assert all(0 < float(number) < 1 for number in seconds)


@pytest.mark.slow
def test_a_checkout_beside_itself_is_as_fast_as_itself(monkeypatch, tmp_path):
    # one checkout needs one cache: where the kernels of these tests are, if they have a folder
    cache = os.environ.get("NUMBA_CACHE_DIR") or str(tmp_path)
    folders = SimpleNamespace(TemporaryDirectory=lambda: contextlib.nullcontext(cache))
    monkeypatch.setattr(in_turn, "tempfile", folders)
    rows = in_turn.compare(in_turn.ROOT, ["read 1x32", "program 32"], pairs=1)
    assert list(rows) == ["read 1x32", "program 32"]
    for before, after, neighbours, medians, shortest in rows.values():
        assert 0 < before < 1
        assert medians == after / before
        assert 0.2 < neighbours < 5
        assert 0.2 < shortest < 5


def test_a_checkout_that_cannot_run_is_no_row_of_zeros(tmp_path):
    (tmp_path / "mpimpy.py").write_text("raise SystemExit('broken')")
    with pytest.raises(RuntimeError, match="could not run: see the error above"):
        in_turn.compare(tmp_path, ["read 1x32"], pairs=1)


# -- networks -----------------------------------------------------------------------------------


def test_networks_are_timed_beside_digital_ones(capsys):
    pytest.importorskip("torch")
    networks.main(["--only", "MLP 64-128-10, step", "layer 70 x 30, 1 row", "--turns", "3", "--markdown"])
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert head[:5] == ["network", "digital, ms", "crossbars, ms", "times", "wanted"]
    assert [row[0] for row in rows] == ["MLP 64-128-10, step", "layer 70 x 30, 1 row"]
    assert [row[4] for row in rows] == ["10", ""]
    assert all(float(row[3]) > 1 for row in rows)


def test_a_network_without_its_package_is_left_out_with_a_word(capsys, monkeypatch):
    case = dataclasses.replace(networks.CASES["MiniLM"], package="no_such_package")
    monkeypatch.setitem(networks.CASES, "MiniLM", case)
    networks.main(["--only", "MiniLM"])
    assert capsys.readouterr().out == "MiniLM is left out: it needs the package no-such-package\n"


@pytest.mark.slow
def test_the_peak_of_a_convolution_is_that_of_a_process():
    pytest.importorskip("torch")
    # the result alone takes 25.7 MB, the matrix of all patches 59
    assert 25 < networks.peak_mb("ResNet-18 conv1") < 59
