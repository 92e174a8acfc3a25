"""The commands sweep and plot, and the files that they read."""

import re
import sys

import numpy as np
import pytest
import sweeping

import mpimpy
from mpimpy.cli import main
from mpimpy.sweeps import _command

pytest.importorskip("xarray")

FILE = """workload = "product"
repeats = 2
[parameters]
x = {shape = [4, 32], seed = 1}
w = "w.npy"
[settings]
var = 0.02
[space]
radc = [64, "none"]
x_slices = [[1, 1], [1, 2]]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    np.save("w.npy", rng.standard_normal((32, 8)))
    (tmp_path / "sweep.toml").write_text(FILE)
    # points run in this process, which is faster
    monkeypatch.setattr("mpimpy.sweeps._sweep.pool_of", lambda client, workload: _here(workload))
    return tmp_path


def _here(workload):
    from mpimpy.sweeps._pools import Here

    return Here(workload)


@pytest.fixture
def fail(capsys):
    def fail(*words):
        assert main([str(word) for word in words]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert re.fullmatch(r"mpimpy: [^\n]+\n", printed.err)
        return printed.err[len("mpimpy: ") : -1]

    return fail


def test_a_file_is_a_call(folder, capsys):
    assert main(["sweep", "sweep.toml", "--store", "s"]) == 0
    printed = capsys.readouterr()
    assert "points    8: 8 done, 0 failed, 0 to do" in printed.out
    assert "sweep: 8 of 8 points" in printed.err
    x = np.random.default_rng(1).standard_normal((4, 32))
    product = mpimpy.workloads.product(x, np.load("w.npy"))
    space = {"radc": [64, None], "x_slices": [(1, 1), (1, 2)]}
    expected = mpimpy.sweep(product, space, 2, settings={"var": 0.02}, progress=False)
    assert mpimpy.open_sweep("s").identical(expected)


def test_a_file_of_a_linear_system(folder, capsys):
    np.save("A.npy", np.diag([1.0, 2.0]))
    np.save("b.npy", np.ones((2, 1)))
    (folder / "sweep.toml").write_text(
        'workload = "solver_residual"\n[parameters]\nA = "A.npy"\nb = "b.npy"\nsteps = 1\n[space]\nradc = [64]\n'
    )
    assert main(["sweep", "sweep.toml", "--store", "s"]) == 0
    found = mpimpy.open_sweep("s")
    assert 0 < found.residual.item() < 0.5
    assert found.steps.item() == 1


def test_parts_and_the_status(folder, capsys):
    assert main(["sweep", "sweep.toml", "--store", "s", "--part", "1/3"]) == 0
    assert main(["sweep", "--status", "s"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:4] == out[4:][:1] + out[1:4]
    assert out[5] == "points    8: 3 done, 0 failed, 5 to do"
    assert re.match(r"rate      \S+ points/s, the last 100 up to now", out[6])
    assert re.match(r"left      .+ s", out[7])
    for part in ("0/2", "1/2"):
        assert main(["sweep", "sweep.toml", "--store", "s", "--part", part]) == 0
    assert "8 done, 0 failed, 0 to do" in capsys.readouterr().out


def test_a_function_of_a_module_and_its_parameters(folder, capsys):
    (folder / "mine.py").write_text("def work(engine, factor=1):\n    return engine.config.adc.radc * factor\n")
    (folder / "sweep.toml").write_text('workload = "mine:work"\n[parameters]\nfactor = 3\n[space]\nradc = [64]\n')
    try:
        assert main(["sweep", str(folder / "sweep.toml"), "--store", "s"]) == 0
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("mine", None)
    assert mpimpy.open_sweep("s").value.item() == 192


def test_a_measured_device_lies_beside_the_file(folder, capsys, monkeypatch):
    rows = [f"{level},{1 + level + n / 100}" for level in range(16) for n in range(8)]
    (folder / "cells.csv").write_text("level,measured_uS\n" + "\n".join(rows))
    text = FILE.replace("var = 0.02", 'device_file = "cells.csv"').replace("x_slices = [[1, 1], [1, 2]]\n", "")
    (folder / "sweep.toml").write_text(text)
    (folder / "other").mkdir()
    monkeypatch.chdir(folder / "other")
    assert main(["sweep", "../sweep.toml", "--store", "s"]) == 0
    assert "points    4: 4 done, 0 failed" in capsys.readouterr().out


def test_the_exit_status_says_that_points_failed(folder, capsys):
    (folder / "failing.py").write_text("def work(engine):\n    return 1 / (engine.config.adc.radc - 64)\n")
    (folder / "sweep.toml").write_text('workload = "failing:work"\n[space]\nradc = [32, 64]\n')
    try:
        assert main(["sweep", "sweep.toml", "--store", "s", "--part", "0/2"]) == 0
        assert main(["sweep", "sweep.toml", "--store", "s"]) == 1
        assert main(["sweep", "sweep.toml", "--store", "s", "--part", "0/2"]) == 0
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("failing", None)
    assert "1 done, 1 failed, 0 to do" in capsys.readouterr().out
    assert main(["sweep", "--status", "s"]) == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "radc = [64",
            "rdca = [64",
            r"sweep\.toml, line 9: space\.rdca: unknown setting 'rdca': did you mean 'rdac'\?",
        ),
        ("var = 0.02", "vra = 0.02", r"sweep\.toml, line 7: settings\.vra: unknown setting 'vra'"),
        ("repeats = 2", "repeat = 2", r"sweep\.toml, line 2: repeat: unknown key 'repeat': did you mean 'repeats'\?"),
        ("repeats = 2", "repeats = 0", r"sweep\.toml, line 2: repeats: repeats=0 is out of range"),
        ("repeats = 2", "seed = -1", r"sweep\.toml, line 2: seed: seed=-1 is out of range"),
        ("repeats = 2", "version = 1.5", r"sweep\.toml, line 2: version: version=1\.5 must be a text"),
        ("repeats = 2", "duplicates = 'no'", r"sweep\.toml, line 2: duplicates: duplicates='no' is unknown"),
        ("repeats = 2", "repeats = = 2", r"sweep\.toml, line 2: Invalid value"),
        ('"none"]', "-5]", r"sweep\.toml, line 9: space\.radc: space has radc=-5, which no point can have"),
        ("radc = [64", "radc = 64 #", r"sweep\.toml, line 9: space\.radc: space has radc=64, which must be a list"),
        ("var = 0.02", "var = -1", r"sweep\.toml, line 7: settings\.var: no point of the space can be built"),
        ('"w.npy"', '"no.npy"', r"no\.npy: cannot be read: No such file"),
        ('"w.npy"', "3", r"sweep\.toml, line 5: parameters\.w: w must be a matrix in a file, or a random one"),
        ("shape = [4, 32]", "shape = [4, 33]", r"sweep\.toml, line 3: parameters: x of shape \(4, 33\) and w of shape"),
        ("shape = [4, 32]", "shap = [4, 32]", r"line 4: parameters\.x: unknown key 'shap': did you mean 'shape'\?"),
        (
            '"product"',
            '"prodct"',
            r"sweep\.toml, line 1: workload: 'prodct' must be 'product', 'accuracy', 'solver_residual' or a function",
        ),
        ('"product"', '"no_such:f"', r"sweep\.toml, line 1: workload: 'no_such:f' cannot be imported: No module named"),
        ('"product"', '"math:pi"', r"sweep\.toml, line 1: workload: 'math:pi' is 3\.14\d*, and no function"),
        ('workload = "product"', "", r"sweep\.toml: workload is missing: a sweep needs a workload and a \[space\]"),
    ],
)
def test_errors_name_the_line(folder, fail, old, new, message):
    assert old in FILE
    (folder / "sweep.toml").write_text(FILE.replace(old, new))
    assert re.match(rf".*{message}", fail("sweep", "sweep.toml", "--store", "s"))
    assert not (folder / "s").exists()


def test_options_that_do_not_fit_are_refused(folder, fail):
    assert "sweep needs a file and a folder: mpimpy sweep FILE.toml --store DIR" in fail("sweep", "sweep.toml")
    assert "--part has no effect beside --status" in fail("sweep", "--status", "s", "--part", "1/2")
    words = ("sweep", "sweep.toml", "--store", "s", "--scheduler", "tcp://127.0.0.1:1")
    assert "--scheduler and --part are two ways" in fail(*words, "--part", "1/2")
    assert "--scheduler and --processes are two ways" in fail(*words, "--processes", "2")
    assert "parts are numbered from 0 to 1" in fail(*words[:4], "--part", "2/2")
    assert "s holds no sweep: there is no sweep.json in it" in fail("sweep", "--status", "s")
    assert "s holds no sweep" in fail("plot", "s")


def test_a_scheduler_needs_dask(folder, fail, monkeypatch):
    monkeypatch.setattr(_command, "find_spec", lambda name: None)
    words = ("sweep", "sweep.toml", "--store", "s", "--scheduler", "tcp://127.0.0.1:1")
    assert (
        fail(*words)
        == '--scheduler needs dask, which is not installed: pip install -e ".[dask]" in the checkout of mpimpy'
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_command_on_a_scheduler(folder, capsys, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        assert main(["sweep", "sweep.toml", "--store", "s", "--scheduler", cluster.scheduler_address]) == 0
    assert "8 done" in capsys.readouterr().out
    assert main(["sweep", "sweep.toml", "--store", "t", "--processes", "2"]) == 0
    assert mpimpy.open_sweep("s").identical(mpimpy.open_sweep("t"))


def test_accuracy_from_a_file(folder, capsys):
    torch = pytest.importorskip("torch")
    (folder / "net.py").write_text(
        "import torch\n\ndef model():\n    torch.manual_seed(0)\n    return torch.nn.Linear(4, 3)\n"
    )
    data = torch.randn(20, 4)
    np.save("data.npy", data.numpy())
    np.save("labels.npy", np.zeros(20, np.int64))
    text = 'workload = "accuracy"\n[parameters]\nmodel = "net:model"\ndata = "data.npy"\nlabels = "labels.npy"\n'
    (folder / "sweep.toml").write_text(text + "[space]\nradc = [64, 256]\n")
    try:
        assert main(["sweep", "sweep.toml", "--store", "s"]) == 0
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("net", None)
    found = mpimpy.open_sweep("s")
    assert ((found.accuracy >= 0) & (found.accuracy <= 1)).all()


def test_plot(folder, capsys, fail):
    pytest.importorskip("matplotlib")
    mpimpy.sweep(sweeping.seed_of, sweeping.SPACE, 2, store="s", progress=False)
    assert main(["plot", "s"]) == 0
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert main(["plot", "s", "-o", "p.svg", "--at", "radc=64", "--x", "var", "--of", "seed"]) == 0
    assert capsys.readouterr().out.endswith("written to p.svg\n")
    assert fail("plot", "s", "--at", "radc=65") == "--at radc=65: radc has the values 16, 32, 64, 128"
    assert "unknown setting 'rdac': did you mean 'radc'?" in fail("plot", "s", "--at", "rdac=65")
    assert "unknown result 'sed': did you mean 'seed'?" in fail("plot", "s", "--of", "sed")
    assert "the name must end in .png, .svg or .pdf" in fail("plot", "s", "-o", "p.txt")
