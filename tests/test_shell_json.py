"""``--json``: the figures of the shell's commands as data, and nothing else on standard output."""

import json

import numpy as np
import pytest

from mpimpy import SNR, DPETensor, Gaussian, MapReducedot, __version__, explain
from mpimpy._shell import figures
from mpimpy.cli import main
from mpimpy.cost import Technology
from mpimpy.sweeps._open import Status

SWEEP = "workload = 'product'\n[parameters]\nx = 'a.npy'\nw = 'b.npy'\n[space]\nradc = [64, 256]\n"
DESIGN = """x = 'a.npy'
w = 'b.npy'
cost = 'cells'
target = 1
[settings]
var = 0.01
[space]
radc = [1024, 4096]
"""


@pytest.fixture
def told(capsys):
    """Return a function that runs a command and returns the JSON that it printed."""

    def told(*argv):
        assert main([*argv, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return told


def test_products(pair, told):
    a, b = pair
    found = told("dot", "a.npy", "b.npy", "--out", "c.npy", "--explain", "--seed", "7", "--chip", "2")
    assert (found["inputs"], found["weights"], found["product"]) == ([5, 70], [70, 3], [5, 3])
    assert found["snr_dB"] == SNR(MapReducedot(a, b, seed=7, chip=2), a @ b)
    assert np.array_equal(np.load("c.npy"), MapReducedot(a, b, seed=7, chip=2))
    assert found["report"] == explain(a, b, seed=7, chip=2).to_dict()
    fresh = told("dot", "a.npy", "b.npy")
    assert fresh["snr_dB"] == SNR(MapReducedot(a, b, seed=fresh["seed"]), a @ b)
    assert "report" not in fresh
    assert told("dot", "a.npy", "b.npy", "--estimate")["counts"]["cells"] == 70 * 3 * 4


def test_an_exact_product_is_exact_in_text_and_in_json(pair, told, capsys):
    np.save("eye.npy", np.eye(70))
    words = ["dot", "eye.npy", "eye.npy", "--var", "0", "--radc", "none"]
    assert told(*words)["snr_dB"] == "inf"
    assert main(words) == 0
    assert "SNR      inf dB against np.dot\n" in capsys.readouterr().out


def test_costs(pair, told):
    a, b = pair
    words = "dot", "a.npy", "b.npy", "--seed", "7", "--cost", "generic-28"
    wanted = DPETensor(seed=7).program(b).cost(a, "generic-28").to_dict()
    assert told(*words)["cost"] == {"technology": "generic-28"} | wanted
    found = told(*words, "--explain")
    assert found["cost"] == found["report"]["cost"] == {"technology": "generic-28"} | wanted
    assert set(told("cost")["technologies"]) == {"generic-28", "neurram-2022", "hermes-2022", "isaac-2016"}
    tech = told("cost", "--sources", "isaac-2016")
    assert (tech["name"], tech["adc"]["bits"]) == ("isaac-2016", 8)
    assert "ISCA" in tech["read_time"]["source"]
    assert Technology.from_dict(tech) == Technology.named("isaac-2016")  # it may be saved as a file of one


def test_versions(told):
    found = told("info")
    assert (found["mpimpy"], found["numpy"]) == (__version__, np.__version__)
    assert {backend["name"]: backend["available"] for backend in found["backends"]}["reference"] is True


def test_demos(pair, told, monkeypatch):
    monkeypatch.setattr("mpimpy.demo.SIZE", 70)
    found = told("demo", "matmul", "--seed", "3", "--mode", "1")
    assert (found["seed"], found["chip"], len(found["products"])) == (3, 0, 1)
    assert found["products"][0]["snr_dB"] > 10


@pytest.mark.slow
def test_pictures_sweeps_and_designs(pair, told):
    pytest.importorskip("matplotlib")
    found = told("demo", "--seed", "3", "--out", "p.png")
    assert found["seed"] == 3
    # its two matrices have names, and so keys of their own
    engine = DPETensor(seed=3)
    keys = [engine.program(np.eye(8), name=name)._address.seed for name in ("dct", "inverse dct")]
    assert [report["seed"] for report in found["reports"]] == keys
    assert found["snr_dB"] > 10
    with open("design.toml", "w") as file:
        file.write(DESIGN)
    found = told("design", "design.toml")
    assert found["settings"]["var"] == 0.01
    assert found["engine"]["settings"]["device"]["var"] == 0.01
    assert "grid" not in found
    pytest.importorskip("xarray")
    with open("sweep.toml", "w") as file:
        file.write(SWEEP)
    done = told("sweep", "sweep.toml", "--store", "store")
    assert (done["total"], done["done"], done["failed"]) == (2, 2, 0)
    assert told("sweep", "--status", "store")["done"] == 2


def test_refused(pair, capsys):
    assert main(["dot", "a.npy", "b.npy", "--json", "--out", "-"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "mpimpy: --json and --out - both write to standard output: give the product a file\n"
    assert main(["dot", "a.npy", "b.npy", "--json", "--radc", "1"]) == 2
    assert capsys.readouterr().out == ""


def test_figures_of_all_kinds():
    status = Status("store", "f", 1, 3, 1, 0, 0.0, 0, 0, [])
    assert figures(status)["errors"] == []
    assert figures({1: (np.float64("nan"), np.int64(3), Gaussian(1e-7), ..., None, True, np.arange(2))}) == {
        "1": ["nan", 3, {"kind": "Gaussian", "sigma_S": 1e-7, "verified": False}, "Ellipsis", None, True, [0, 1]]
    }
    assert figures(DPETensor(seed=3))["settings"]["kind"] == "Config"
