"""The scripts of published figures and of the gallery: they run, and the figures that they reproduce stay."""

import importlib.util
import pathlib
import runpy
import sys

import numpy as np
import pytest
from libraries import torch

from mpimpy import studies

pytest.importorskip("matplotlib")

FOLDER = pathlib.Path(__file__).parent.parent / "examples"


@pytest.fixture
def script(monkeypatch):
    """Import a script by its name, as Python does: its folder comes first on the path."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    sys.modules.pop("_published", None)


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_the_law_of_cactus_gives_the_papers_figures(script):
    cactus = script("published_cactus")
    assert cactus.law(cactus.csnr_optimal(6)) == pytest.approx(38.5, abs=0.06)
    assert cactus.law(cactus.sqnr_optimal(9)) == pytest.approx(31.3, abs=0.06)
    assert set(np.diff(cactus.csnr_optimal(6))) == {1.0}
    # five bits: codes are two products apart, the first threshold is at 35.5
    assert cactus.law(34.5 + 2 * np.arange(32)) == pytest.approx(22.72, abs=0.005)


@pytest.mark.slow
def test_cactus(script, tmp_path, capsys):
    found = script("published_cactus").main(["--small", "--out", str(tmp_path / "a.png")])
    assert is_png(tmp_path / "a.png")
    # 30,000 products, few of which are wrong
    assert found["CSNR-optimal", 6][1] == pytest.approx(38.5, abs=0.5)
    assert found["SQNR-optimal", 9][1] == pytest.approx(31.3, abs=0.1)
    assert found["calibrate", 6] == pytest.approx(38.5, abs=0.3)
    assert "CSNR-optimal, 6 bits     | 38.5 dB |" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(torch is None, reason="the torch extra is not installed")
def test_memintelli(script, capsys):
    memintelli = script("published_memintelli")
    found = memintelli.main()
    assert found == pytest.approx(memintelli.PRINTED, abs=0.15)
    assert "INT, as shipped" in capsys.readouterr().out


@pytest.mark.slow
def test_li(script, tmp_path, capsys):
    found, quality = script("published_li").main(["--small", "--out", str(tmp_path / "a.png")])
    assert is_png(tmp_path / "a.png")
    assert all(5 < bits < 8 for bits in found.values())
    assert quality["exact"] - 3 < quality["here"] < quality["exact"]


@pytest.mark.slow
def test_zidan(script, tmp_path, capsys):
    zidan = script("published_zidan")
    found = zidan.main(["--small", "--out", str(tmp_path / "a.png")])
    assert is_png(tmp_path / "a.png")
    # digits are exact: the iterations are those of float64, but for the rounding of numbers
    neighbours, source, goal = zidan.poisson()
    x, exact = source, []
    for _ in range(len(found["33 bits, 0.5 % variation"])):
        x = neighbours @ x + source
        exact.append(np.abs(x - goal).max() / np.abs(goal).max())
    digits = found["33 bits, 0.5 % variation"]
    assert digits == pytest.approx(exact, abs=1e-8)
    assert found["33 bits, 0.5 % variation, ideal ADC"][-1] > 3 * digits[-1]
    assert zidan.told(np.array([9.0, 9, 9, 1, 2, 6])) == "2.0e+00 (1.0e+00 to 6.0e+00)"
    # every case says its variation
    assert all(f"{100 * var:g} % variation" in name for name, (_, var, _) in zidan.CASES.items())


@pytest.mark.slow
def test_joshi(script, tmp_path, monkeypatch, capsys):
    joshi = script("published_joshi")
    random = np.random.default_rng(0)
    patterns, labels = random.random((10, 65)), np.arange(400) % 10
    inputs = np.clip(patterns[labels] + 0.3 * random.standard_normal((400, 65)), 0, 1)
    monkeypatch.setattr(joshi, "digits", lambda: ((inputs[:250], labels[:250]), (inputs[250:], labels[250:])))
    digital, found = joshi.main(["--small", "--out", str(tmp_path / "a.png")])
    assert is_png(tmp_path / "a.png")
    accuracy, snr = found["1 d", True].mean(axis=0)
    assert accuracy > digital - 3
    assert snr > found["1 d", False].mean(axis=0)[1] + 3


@pytest.mark.parametrize(
    ("name", "package", "call"), [("joshi", "sklearn", "digits"), ("memintelli", "torch", "operands")]
)
def test_a_missing_package_is_named(name, package, call, script, monkeypatch):
    for module in [package, *(each for each in sys.modules if each.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit, match="pip install"):
        getattr(script(f"published_{name}"), call)()


def test_pictures_of_the_gallery_are_saved(tmp_path):
    (tmp_path / "plot_two.py").write_text(
        '"""Two."""\nfrom mpimpy import plot\none = plot.new_axes(size=(1, 1))[0, 0]\nfigure = one.figure\n'
        "other = plot.new_axes(size=(1, 1))[0, 0].figure\n"
    )
    draw = runpy.run_path(str(FOLDER / "draw.py"))
    saved = draw["main"]([str(tmp_path / "plot_two.py"), "--out", str(tmp_path)])
    assert [path.name for path in saved] == ["plot_two_1.png", "plot_two_2.png"]
    assert all(is_png(path) for path in saved)
    with pytest.raises(SystemExit, match=r"plot_none\.py is no script"):
        draw["main"](["plot_none"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yield", "drift", "wires", "adc_bits"])
def test_pages_of_the_gallery_bind_their_figures(name, monkeypatch, capsys):
    small = {"chip_yield": {"chips": 2}, "drift": {"chips": 1, "times": ["1 h"]}, "wires": {"sizes": [8]}}
    for kind, fewer in (small | {"adc_bits": {"bits": [6], "chips": 1}}).items():
        full = getattr(studies, kind)
        monkeypatch.setattr(studies, kind, lambda *given, full=full, fewer=fewer, **more: full(*given, **more | fewer))
    found = runpy.run_path(str(FOLDER / f"plot_{name}.py"))
    assert found["__doc__"].lstrip().splitlines()[1].startswith("====")
    assert sum(hasattr(value, "savefig") for value in found.values()) >= 2
