"""The command line: what it prints and writes, how it fails, and the pictures it draws."""

import errno
import importlib.metadata
import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strategies import some

import mpimpy
from mpimpy import SNR, DPETensor, MapReducedot, cli, demo, explain, plot
from mpimpy.backends.cpu import _cache
from mpimpy.cli import main
from mpimpy.config._flat import ENGINE, SETTINGS
from mpimpy.cost import Technology

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(capsys, monkeypatch):
    """Return a function that runs a command that must work, and returns what it printed."""
    monkeypatch.setattr(_cache, "_told", True)  # of a compiler, which the first product may wait for

    def run(*argv, stderr=""):
        assert main([str(word) for word in argv]) == 0
        printed = capsys.readouterr()
        assert printed.err == stderr
        return printed.out

    return run


@pytest.fixture
def fail(capsys):
    """Return a function that runs a command that must fail, write nothing and say why in one line."""

    def files():
        return {path: path.read_bytes() if path.is_file() else None for path in Path().rglob("*")}

    def fail(*argv, status=2):
        before = files()
        assert main([str(word) for word in argv]) == status
        assert files() == before
        printed = capsys.readouterr()
        assert printed.out == ""
        assert re.fullmatch(r"mpimpy: [^\n]+\n", printed.err)
        return printed.err[len("mpimpy: ") : -1]

    return fail


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib")


def field(text, name):
    return re.search(rf"^{re.escape(name)}\s+(\S+)", text, re.MULTILINE)[1]


def python(*words, **options):
    options = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": 300} | options
    return subprocess.run([sys.executable, *words], check=False, **options)


# -- dot --------------------------------------------------------------------------------------

READERS = {
    ".npy": np.load,
    ".npz": lambda path: np.load(path)["product"],
    ".csv": lambda path: np.loadtxt(path, delimiter=",", ndmin=2),
    ".CSV": lambda path: np.loadtxt(path, delimiter=",", ndmin=2),
}


@pytest.mark.parametrize("ending", READERS)
def test_dot_writes_the_product_bit_for_bit(pair, run, ending):
    out = run("dot", "a.npy", "b.npy", "-o", f"y{ending}", "--seed", 3)
    expected = MapReducedot(*pair, seed=3)
    assert READERS[ending](f"y{ending}").tobytes() == expected.tobytes()
    assert out == f"product  (5, 70) by (70, 3) is (5, 3)\nSNR      {SNR(expected, np.dot(*pair)):.2f} dB " + (
        "against np.dot\nseed     3, chip 0\n"
    )


def test_an_existing_output_is_replaced_and_a_link_stays_a_link(pair, run):
    Path("old.npy").write_text("old")
    Path("link.npy").symlink_to("old.npy")
    run("dot", "a.npy", "b.npy", "-o", "link.npy")
    assert Path("link.npy").is_symlink()
    assert np.load("old.npy").shape == (5, 3)


def test_the_printed_seed_replays_the_product(pair, run):
    seed = field(run("dot", "a.npy", "b.npy", "-o", "first.npy"), "seed").strip(",")
    run("dot", "a.npy", "b.npy", "-o", "again.npy", "--seed", seed)
    run("dot", "a.npy", "b.npy", "-o", "other.npy", "--seed", int(seed) ^ 1)
    first, again, other = (Path(f"{name}.npy").read_bytes() for name in ("first", "again", "other"))
    assert first == again != other


def test_an_ideal_device_and_converter_are_better(pair, run):
    noisy = float(field(run("dot", "a.npy", "b.npy", "--seed", 1), "SNR"))
    still = float(field(run("dot", "a.npy", "b.npy", "--seed", 1, "--var", 0), "SNR"))
    ideal = float(field(run("dot", "a.npy", "b.npy", "--seed", 1, "--var", 0, "--radc", "none"), "SNR"))
    assert noisy + 3 < still < still + 3 < ideal


def test_inputs_of_every_kind(pair, run):
    a, b = pair
    np.savez("one.npz", b)
    np.savez("two.npz", left=a, right=b)
    np.savetxt("a.csv", a, delimiter=",")
    Path("bom.csv").write_bytes(b"\xef\xbb\xbf" + Path("a.csv").read_bytes().replace(b"\n", b"\r\n"))
    expected = MapReducedot(a, b, seed=1).tobytes()
    for left in ("a.npy", "two.npz:left", "a.csv", "bom.csv"):
        for right in ("b.npy", "one.npz", "two.npz:right"):
            run("dot", left, right, "-o", "y.npy", "--seed", 1)
            assert np.load("y.npy").tobytes() == expected


def test_shapes_of_np_dot(pair, run, rng):
    np.savetxt("column.csv", pair[1][:, :1])
    assert "(5, 70) by (70, 1) is (5, 1)" in run("dot", "a.npy", "column.csv")
    np.save("v.npy", pair[0][0])
    np.save("t.npy", rng.standard_normal((2, 5, 70)))
    np.save("s.npy", np.float64(2))
    assert "(70,) by (70, 3) is (3,)" in run("dot", "v.npy", "b.npy", "-o", "y.csv")
    assert np.loadtxt("y.csv").shape == (3,)
    assert "(2, 5, 70) by (70, 3) is (2, 5, 3)" in run("dot", "t.npy", "b.npy", "-o", "y.npy")
    assert "(70,) by (70,) is ()" in run("dot", "v.npy", "v.npy", "-o", "y.csv")
    # a number has no axis to sum over: the product has those of the other operand
    assert "() by (70, 3) is (70, 3)" in run("dot", "s.npy", "b.npy", "-o", "y.csv")


def test_integers_do_not_overflow_in_the_exact_product(pair, run):
    np.save("i.npy", np.full((4, 70), 100, np.int8))
    np.save("j.npy", np.full((70, 4), 100, np.int8))
    assert float(field(run("dot", "i.npy", "j.npy", "--var", 0, "--radc", "none"), "SNR")) > 30


def test_explain_prints_the_table(pair, run):
    out = run("dot", "a.npy", "b.npy", "--seed", 2, "--explain", "--var", 0.02)
    assert out.endswith(f"\nseed     2, chip 0\n\n{explain(*pair, seed=2, var=0.02)}\n")


def test_cost_prints_the_table(pair, run):
    a, b = pair
    W = DPETensor(seed=2, var=0.02).program(b)
    words = ("dot", "a.npy", "b.npy", "--seed", 2, "--var", 0.02, "--cost", "generic-45")
    assert run(*words).endswith(f"\nseed     2, chip 0\n\n{W.cost(a, 'generic-45')}\n")
    out = run(*words, "--explain")
    assert out.endswith(f"chip 0\n\n{explain(a, b, seed=2, var=0.02, technology='generic-45')}\n")
    assert out.count("technology ") == 1


def test_cost_of_shapes_of_np_dot(pair, run, rng):
    np.save("deep.npy", rng.standard_normal((2, 70, 3)))
    assert "2,100 MACs" in run("dot", "a.npy", "deep.npy", "--cost", "generic-28")


def test_technologies_and_their_sources(run):
    lines = run("cost").splitlines()
    assert [line.split()[0] for line in lines] == ["generic-28", "neurram-2022", "hermes-2022", "isaac-2016"]
    assert all(len(line.split()) > 4 for line in lines)
    assert run("cost", "--sources", "generic-45") == f"{Technology.generic(45).sources()}\n"


def test_a_technology_may_be_a_file(pair, run, fail):
    a, b = pair
    tech = Technology.generic(45).replace(adcs_per_array=8, name="mine")
    for ending in ("toml", "json"):
        tech.save(f"mine.{ending}")
        assert run("cost", "--sources", f"mine.{ending}") == f"{tech.sources()}\n"
        out = run("dot", "a.npy", "b.npy", "--seed", 2, "--cost", f"mine.{ending}")
        assert out.endswith(f"\n\n{DPETensor(seed=2).program(b).cost(a, tech)}\n")
    Path("wrong.toml").write_text("base = 'generic-28'\nadcs_per_aray = 8\n")
    wanted = (
        "wrong.toml, line 2: adcs_per_aray: unknown setting of a technology 'adcs_per_aray': did you mean 'adcs_per_"
    )
    for words in (("cost", "--sources"), ("dot", "a.npy", "b.npy", "--cost")):
        assert fail(*words, "wrong.toml").startswith(wanted)


def test_an_estimate_computes_no_product(pair, run, monkeypatch):
    monkeypatch.setattr(cli, "MapReducedot", None)
    out = run("dot", "a.npy", "b.npy", "--estimate", "--radc", 1024)
    assert out.startswith("product          5 x 70 by 70 x 3\narrays           8\n")


def test_dot_draws_every_kind_of_picture(pair, run, matplotlib):
    for name, start in (("p.png", b"\x89PNG"), ("p.PDF", b"%PDF"), ("p.svg", b"<?xml")):
        run("dot", "a.npy", "b.npy", "--plot", name)
        assert Path(name).read_bytes().startswith(start)


def test_dot_draws_measured_against_exact(pair, run, matplotlib, monkeypatch):
    drawn = []
    scatter = plot.scatter
    monkeypatch.setattr(plot, "scatter", lambda *given: drawn.append(given) or scatter(*given))
    run("dot", "a.npy", "b.npy", "--plot", "p.png", "--seed", 1)
    [(measured, exact)] = drawn
    np.testing.assert_array_equal(measured, MapReducedot(*pair, seed=1))
    np.testing.assert_array_equal(exact, np.dot(*pair))


class Standard:
    """Standard input, in memory."""

    def __init__(self, data):
        self.buffer = io.BytesIO(data)


@pytest.mark.parametrize("ending", [".npy", ".csv"])
def test_dash_is_standard_input_and_output(pair, monkeypatch, capfdbinary, ending):
    a, b = pair
    np.savetxt("b.csv", b, delimiter=",")
    np.savetxt("a.csv", a, delimiter=",")
    expected = MapReducedot(a, b, seed=3)
    for words in (["-", "b.csv"], ["a.csv", "-"]):
        data = Path(f"{'a' if words[0] == '-' else 'b'}{ending}").read_bytes()
        monkeypatch.setattr(sys, "stdin", Standard(data))
        assert main(["dot", *words, "-o", {".npy": "npy:-", ".csv": "-"}[ending], "--seed", "3"]) == 0
        out, err = capfdbinary.readouterr()
        assert READERS[ending](io.BytesIO(out)).tobytes() == expected.tobytes()
        assert err.decode().endswith("seed     3, chip 0\n")


def test_standard_input_that_is_no_matrix(pair, fail, monkeypatch):
    np.savez("one.npz", pair[0])
    for data, message in ((Path("one.npz").read_bytes(), "it is an .npz file"), (b"", "there are no numbers in it")):
        monkeypatch.setattr(sys, "stdin", Standard(data))
        assert fail("dot", "-", "b.npy").startswith(f"standard input: cannot be read: {message}")


# -- settings ---------------------------------------------------------------------------------

TEXTS = {
    "HGS": ("2e-5", 2e-5),
    "LGS": ("2e-7", 2e-7),
    "g_level": ("32", 32),
    "var": ("0", 0),
    "write_var": (".01", 0.01),
    "stuck_fault_ratio": ("0.1", 0.1),
    "stuck_fault_value": ("1", 1),
    "stuck_HGS": ("0.1", 0.1),
    "stuck_LGS": ("0.1", 0.1),
    "rdac": ("32", 32),
    "vread": ("0.2", 0.2),
    "vnoise": ("1e-2", 0.01),
    "radc": ("256,256, 512,1024", (256, 256, 512, 1024)),
    "snap": (None, True),
    "saturate": (None, True),
    "array_size": ("(32, 64)", (32, 64)),
    "wire_resistance": ("1.5,2", (1.5, 2)),
    "exact_reads": (None, True),
    "adc_range": ("0,1e-5", (0, 1e-5)),
    "adc_per": ("product", "product"),
    "noise_lsb": ("0.5", 0.5),
    "offset_lsb": ("1", 1),
    "gain_error": ("0.01", 0.01),
    "redraw": ("slice", "slice"),
    "reference": ("ideal", "ideal"),
    "reference_columns": ("2", 2),
    "x_mapping": ("signed", "signed"),
    "w_mapping": ("pair", "pair"),
    "x_slices": ("[1, 1, 2]", (1, 1, 2)),
    "w_slices": ("1,2,2", (1, 2, 2)),
    "bw_e": ("None", None),
    "dbfp_en": (None, True),
    "format": ("fp16", "fp16"),
    "x_quant_gran": ("per-matrix", "per-matrix"),
    "w_quant_gran": ("64,64", (64, 64)),
    "seed": ("12", 12),
    "chip": ("3", 3),
    "backend": ("reference", "reference"),
}


@pytest.fixture
def built(monkeypatch):
    """Return a list of the settings that engines were built with; no engine is."""
    found = []

    def engine(**settings):
        found.append(settings)
        msg = "built"
        raise ValueError(msg)

    monkeypatch.setattr(cli, "DPETensor", engine)
    return found


def test_the_texts_cover_every_setting():
    assert set(TEXTS) == {*SETTINGS, *ENGINE} - {"device", "device_file", "gradient", "input_size"}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("command", [("dot", "a.npy", "b.npy"), ("demo",)])
def test_every_setting_reaches_the_engine(pair, built, fail, matplotlib, name, command):
    text, value = TEXTS[name]
    for spelling in (name, name.replace("_", "-")):
        fail(*command, f"--{spelling}", *([] if text is None else [text]))
        [settings] = built
        assert settings == {name: value}
        assert type(settings[name]) is type(value)
        built.clear()


@pytest.mark.parametrize("name", [name for name, (text, _) in TEXTS.items() if text is None])
def test_switches_can_be_off(pair, built, fail, name):
    fail("dot", "a.npy", "b.npy", f"--no-{name}")
    assert built == [{name: False}]


def test_help_shows_every_setting_once_with_unit_and_default(run):
    text = " ".join(run("dot", "--help").split())
    for name, (default, unit, meaning) in SETTINGS.items():
        shown = f"{meaning} ({unit + '; ' if unit else ''}default {default})"
        assert text.count(shown) == 1
        assert f"--{name}" in text
    assert "--g-level" not in text


# -- errors -----------------------------------------------------------------------------------


@pytest.fixture
def odd_files(pair):
    """Write files that are no good beside a.npy and b.npy."""
    a, b = pair
    np.savez("two.npz", left=a, right=b)
    np.save("object.npy", np.array([None]), allow_pickle=True)
    np.save("text.npy", np.array(["x"]))
    np.save("nan.npy", np.where(a > 2, np.nan, a))
    np.save("complex.npy", a + 1j * a)
    np.save("deep.npy", np.zeros((2, 2, 70)))
    for name in ("junk.npy", "junk.npz"):
        Path(name).write_text("hello")
    damaged = bytearray(Path("two.npz").read_bytes())
    damaged[600] ^= 255
    Path("damaged.npz").write_bytes(damaged)
    Path("short.npy").write_bytes(Path("a.npy").read_bytes()[:500])
    Path("empty.csv").touch()
    Path("header.csv").write_text("x,y\n1,2\n")
    Path("ragged.csv").write_text("1,2\n3\n")
    Path("folder.npy").mkdir()
    np.save("number.npy", np.float64(2))
    Path("link.npy").symlink_to("b.npy")


DOT_ERRORS = {
    "none.npy b.npy": "none.npy: cannot be read: No such file or directory",
    "none.npz b.npy": "none.npz: cannot be read: No such file or directory",
    "folder.npy b.npy": "folder.npy: cannot be read: ",
    "a.txt b.npy": "a.txt: cannot read this kind of file: the name must end in .npy, .npz or .csv",
    "two.npz b.npy": "two.npz: cannot be read: it holds 2 arrays (left, right): give one as two.npz:name",
    "two.npz:lift b.npy": "two.npz: cannot be read: unknown array 'lift': did you mean 'left'?",
    "damaged.npz:left b.npy": "damaged.npz: cannot be read: Bad CRC-32",
    "junk.npz b.npy": "junk.npz: cannot be read: it is not a .npz file",
    "junk.npy b.npy": "junk.npy: cannot be read: ",
    "short.npy b.npy": "short.npy: cannot be read: ",
    "object.npy b.npy": "object.npy: cannot be read: Object arrays",
    "text.npy b.npy": "text.npy: holds <U1 elements, not numbers",
    "empty.csv b.npy": "empty.csv: cannot be read: there are no numbers in it",
    "header.csv b.npy": "header.csv: cannot be read: it must be lines of numbers with commas, without a header: ",
    "ragged.csv b.npy": "ragged.csv: cannot be read: it must be lines of numbers with commas, without a header: line 2 has 1 and not 2",
    "nan.npy b.npy": "a has nan at index",
    "a.npy a.npy": "shapes (5, 70) and (5, 70) do not fit",
    "complex.npy b.npy --explain": "a has dtype complex128",
    "complex.npy b.npy -o y.csv": "y.csv: .csv holds only real numbers, in one or two axes",
    "number.npy deep.npy -o y.csv": "y.csv: .csv holds only real numbers, in one or two axes",
    "deep.npy b.npy -o y.csv": "y.csv: .csv holds only real numbers, in one or two axes",
    "a.npy b.npy -o y.txt": "y.txt: cannot write this kind of file: the name must end in .npy, .npz or .csv",
    "a.npy b.npy -o y": "y: cannot write this kind of file",
    "a.npy b.npy -o none/y.npy": "none/y.npy: the folder ",
    "a.npy b.npy -o folder.npy": "folder.npy: cannot be written: it is a folder",
    "a.npy b.npy --plot y.npy": "y.npy: cannot write this kind of file: the name must end in .png, .svg or .pdf",
    "a.npy b.npy --var -1": "var=-1 is out of range",
    "a.npy b.npy --var nan": "var=nan must be finite",
    "a.npy b.npy --var much": "var='much' must be a number",
    "a.npy b.npy --var": "--var needs a value; one that begins with - is joined by =, --var=VALUE",
    "a.npy b.npy --g_level 2.5": "g_level=2.5 must be a whole number",
    "a.npy b.npy --snap --radc none": "snap=True has no effect with radc=None",
    "a.npy b.npy --exact_reads": "exact_reads=True has no effect without wires",
    "a.npy b.npy --backend gpu": "backend 'gpu' is unknown",
    "a.npy b.npy --g_lvel 3": "unknown option '--g_lvel': did you mean '--g_level'?",
    "a.npy b.npy --quant-gran=3": "unknown option '--quant-gran': did you mean '--x_quant_gran'?",
    "a.npy b.npy --STUCK-hgs 3": "unknown option '--STUCK-hgs': did you mean '--stuck_HGS'?",
    "a.npy b.npy --bogus 3": "unknown option '--bogus': known are",
    "a.npy b.npy --va 3": "unknown option '--va': did you mean '--var'?",
    "a.npy b.npy c.npy": "unexpected argument 'c.npy'",
    "a.npy": "the following arguments are required: B",
    "a.npy b.npy --estimate --explain": "--explain has no effect beside --estimate, which computes no product",
    "a.npy b.npy --estimate --cost generic-28": "--cost has no effect beside --estimate, which computes no product",
    "a.npy b.npy --cost generic": "unknown technology 'generic': did you mean 'generic-28'? known are 'generic-28', ",
    "a.npy b.npy --cost none.toml": "none.toml: cannot be read: No such file or directory",
    "a.npy b.npy --cost generic-28 --radc none": "an ideal ADC, radc=None, has no number of codes",
    "a.npy deep.npy --estimate": "shapes (5, 70) and (2, 2, 70): --estimate takes inputs (..., K) and weights (K, N)",
    "- -": "A and B are both -, and there is one standard input: give one of them as a file",
    "a.npy b.npy -o a.npy": "a.npy: would overwrite the input a.npy: give another name",
    "a.npy link.npy -o b.npy": "b.npy: would overwrite the input link.npy: give another name",
    "two.npz:left b.npy -o ./two.npz": "./two.npz: would overwrite the input two.npz:left",
    "deep.npy b.npy -o -": "--out -: csv holds only real numbers, in one or two axes: write this product as npy:-",
}


@pytest.mark.parametrize("words", DOT_ERRORS)
def test_dot_errors(odd_files, fail, words):
    if "--plot" in words:
        pytest.importorskip("matplotlib")
    assert fail("dot", *words.split()).startswith(DOT_ERRORS[words])


OTHER_ERRORS = {
    "--vers": "unknown option '--vers': did you mean '--version'?",
    "dott": "argument COMMAND: invalid choice: 'dott'",
    "info --foo": "unknown option '--foo'",
    "info extra": "unexpected argument 'extra'",
    "dot a.npy b.npy --device_file=": "device_file='' names no file",
    "demo --adc_range -1e-5,1e-5": "--adc_range needs a value; one that begins with - is joined by =, --adc_range=VALUE",
    "demo --snap=yes": "--snap takes no value: give --snap or --no-snap, or leave it out",
    "dot a.npy b.npy --explain=1": "--explain takes no value: give --explain, or leave it out",
    "cost --sources generic-1": "node_nm=1 is outside the data of the laws, 7 to 130 nm",
    "cost --sources chip": "unknown technology 'chip': known are 'generic-28'",
    "cost --sources none.json": "none.json: cannot be read: No such file or directory",
    "explore --port abc": "--port 'abc' must be a whole number",
    "demo photo": "argument what: invalid choice: 'photo'",
    "demo --mode 1": "--mode has no effect on the demo picture: leave it out",
    "demo matmul --mode 2": "argument --mode: invalid choice: 2",
    "demo matmul --radc none --keep 0.5": "--radc, --keep has no effect on the demo matmul: leave it out",
    "demo -o y.txt": "y.txt: cannot write this kind of file",
    "demo matmul -o none/y.png": "none/y.png: the folder ",
    "demo --keep 0": "keep=0 is out of range",
    "demo --keep all": "keep='all' must be a number",
    "demo --g_level 4": "weight slice of 4 bits needs 16 levels but g_level=4",
    "demo matmul --seed -1": "seed=-1 is out of range",
}


@pytest.mark.parametrize("words", OTHER_ERRORS)
def test_other_errors(tmp_path, monkeypatch, fail, matplotlib, words):
    monkeypatch.chdir(tmp_path)
    assert fail(*words.split()).startswith(OTHER_ERRORS[words])


@pytest.mark.parametrize("words", ["demo", "demo matmul -o y.png", "dot a.npy b.npy --plot y.png"])
def test_without_matplotlib(pair, fail, monkeypatch, words):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert fail(*words.split()) == (
        'pictures need Matplotlib, which is not installed: pip install -e ".[plot]" in the checkout of mpimpy'
    )


def test_output_names_are_checked_before_anything_is_read(pair, fail):
    assert fail("dot", "none.npy", "b.npy", "-o", "y.txt").startswith("y.txt")
    assert fail("dot", "none.npy", "b.npy", "--plot", "y.txt").startswith("y.txt")
    assert fail("dot", "none.npy", "b.npy", "-o", "").startswith(": cannot write")


def test_a_read_only_folder(pair, fail, monkeypatch):
    monkeypatch.setattr(cli.tables.os, "access", lambda *_: False)
    assert "its folder is read-only" in fail("dot", "a.npy", "b.npy", "-o", "y.npy")


def test_errors_without_words_have_a_name(pair, fail, monkeypatch):
    def raises(*_):
        raise MemoryError

    monkeypatch.setattr(cli, "MapReducedot", raises)
    assert fail("dot", "a.npy", "b.npy") == "MemoryError"


def test_lines_of_a_message_become_one(pair, fail, monkeypatch):
    def raises(*_):
        msg = "two\n  lines"
        raise ValueError(msg)

    monkeypatch.setattr(cli, "MapReducedot", raises)
    assert fail("dot", "a.npy", "b.npy") == "two lines"


def test_bugs_are_not_hidden(pair, monkeypatch):
    def raises(*_):
        raise AssertionError

    monkeypatch.setattr(cli, "MapReducedot", raises)
    with pytest.raises(AssertionError):
        main(["dot", "a.npy", "b.npy"])


def test_an_interrupt_is_silent(pair, monkeypatch, capsys):
    def raises(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "MapReducedot", raises)
    assert main(["dot", "a.npy", "b.npy"]) == 130
    assert capsys.readouterr() == ("", "")


# -- whole files or none ----------------------------------------------------------------------


def breaks_off(file, *_, **__):
    file.write(b"half")
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("ending", "writer"), [(".npy", "save"), (".npz", "savez"), (".csv", "savetxt")])
@pytest.mark.parametrize("old", [None, "precious"])
def test_a_failed_write_leaves_everything_as_it_was(pair, fail, monkeypatch, ending, writer, old):
    if old is not None:
        Path(f"y{ending}").write_text(old)
    monkeypatch.setattr(np, writer, breaks_off)
    message = fail("dot", "a.npy", "b.npy", "-o", f"y{ending}")  # `fail` compares the folder
    assert message == f"{Path(f'y{ending}').resolve()}: cannot be written: No space left on device"


def test_a_failed_picture_takes_the_product_with_it(pair, fail, matplotlib, monkeypatch):
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: breaks_off(file))
    assert "p.png: cannot be written" in fail("dot", "a.npy", "b.npy", "-o", "y.npy", "--plot", "p.png")


# -- info, version, help ----------------------------------------------------------------------


def test_info(run):
    out = run("info")
    assert field(out, "mpimpy") == mpimpy.__version__
    assert field(out, "Python") == sys.version.split()[0]
    for package in ("numpy", "scipy", "numba"):
        assert field(out, package) == importlib.metadata.version(package)
    for backend in mpimpy.backends.available():
        assert f"  {backend.name:<10}{backend.detail}; for {backend.runs}\n" in out
    assert re.search(r"numba .*, \d+ threads", out)


def test_info_says_what_is_missing(run, monkeypatch):
    version = importlib.metadata.version

    def without(package):
        if package in ("torch", "matplotlib"):
            raise importlib.metadata.PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(importlib.metadata, "version", without)
    gone = mpimpy.backends.Backend("numba", False, "not installed: pip install numba", "arrays", True)
    monkeypatch.setattr(mpimpy.backends, "available", lambda: [gone])
    out = run("info")
    assert re.search(r"^torch +not installed\nmatplotlib +not installed\n", out, re.MULTILINE)
    assert "  numba     not available: not installed: pip install numba; for arrays\n" in out


def test_info_compiles_kernels(run, monkeypatch):
    done = []
    monkeypatch.setattr(cli, "warm", lambda: done.append("warm"))
    assert run("info", "--warm").endswith("kernels of common products are compiled\n")
    run("info")
    assert done == ["warm"]


def test_version_and_help(run):
    assert run("--version") == f"mpimpy {mpimpy.__version__}\n"
    assert re.search(r"demo .*\n +dot .*\n +sweep .*\n +plot .*\n(?: +.*\n)* +info ", run("--help"))
    assert run() == run("--help")
    assert run("demo", "-h").startswith("usage: mpimpy demo ")


@pytest.mark.slow
def test_as_a_process():
    done = python("-m", "mpimpy", "info")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"mpimpy      {mpimpy.__version__}\n")
    done = python("-m", "mpimpy", "dot", "none.npy", "none.npy")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mpimpy: none.npy: cannot be read: No such file or directory\n"


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize(
    ("word", "statuses", "unbuffered"),
    some([("info", {1}, ""), ("info", {1}, "1"), ("--help", {0, 1}, "1"), ("--help", {0, 1}, "")], 2),
)
def test_a_closed_pipe_is_silent(word, statuses, unbuffered):
    command = [sys.executable, "-m", "mpimpy", word]
    settings = {"cwd": ROOT, "env": os.environ | {"PYTHONUNBUFFERED": unbuffered}}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(300) in statuses


def test_imports_are_lazy():
    report = "print(sorted({'numpy', 'numba', 'torch', 'matplotlib', 'mpimpy.cli', 'mpimpy.demo', 'mpimpy.plot'}"
    report += " & set(sys.modules)))"
    assert python("-c", f"import sys, mpimpy; {report}").stdout == "[]\n"
    shown = python("-c", f"import sys; from mpimpy.cli import main; main(['--help']); {report}").stdout
    assert shown.endswith("\n['mpimpy.cli']\n")


# -- demo: a picture --------------------------------------------------------------------------


@pytest.fixture
def photo(rng, tmp_path, monkeypatch):
    """Return a small picture that takes the photograph's place."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:27, :41]
    picture = 128 + 90 * np.sin(x / 9) * np.cos(y / 7) + rng.normal(0, 5, x.shape)
    monkeypatch.setattr(demo, "photograph", lambda: picture)
    return picture


@pytest.mark.slow
def test_demo(photo, run, matplotlib):
    out = run("demo", "--seed", 4)
    assert Path("mpimpy_demo.png").read_bytes().startswith(b"\x89PNG")
    result = demo.compress(photo, DPETensor(seed=4))
    same = re.compile(r"^time.*\n?", re.MULTILINE)
    assert same.sub("", out) == same.sub("", f"{result}\n") + "written to mpimpy_demo.png\n"
    assert re.search(r"^time +\d+\.\d{4} s on the simulated crossbars, \d+\.\d{4} s with np.dot$", out, re.MULTILINE)


@pytest.mark.slow
def test_demo_takes_settings(photo, run, matplotlib):
    out = run("demo", "-o", "p.svg", "--keep", 0.5, "--radc", "none", "--var", 0, "--seed", 9, "--chip", 2)
    assert Path("p.svg").exists()
    assert "32 of 64 coefficients" in out
    assert "seed             9, chip 2\n" in out
    assert float(field(out, "SNR")) > 30


def test_a_failed_demo_picture(photo, fail, matplotlib, monkeypatch):
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: breaks_off(file))
    assert "mpimpy_demo.png: cannot be written" in fail("demo")


def test_compress_is_two_products_of_the_engine(photo):
    result = demo.compress(photo, DPETensor(seed=4), keep=0.25)
    engine, matrix = DPETensor(seed=4), demo.dct_matrix()
    rows = np.array([photo[i : i + 8, j : j + 8].ravel() for i in range(0, 24, 8) for j in range(0, 40, 8)]) - 128
    coefficients = rows @ engine.program(matrix.T, name="dct")
    limit = np.sort(np.abs(coefficients), axis=1)[:, -16, None]
    pixels = np.where(np.abs(coefficients) >= limit, coefficients, 0) @ engine.program(matrix, name="inverse dct")
    np.testing.assert_array_equal(result.coefficients[0], coefficients)
    np.testing.assert_array_equal(result.pixels[0], pixels)
    np.testing.assert_array_equal(result.crossbar[8:16, 32:40], pixels[9].reshape(8, 8) + 128)
    assert result.original.shape == result.exact.shape == (24, 40)
    assert result.kept == 16
    assert result.seed == 4


def test_the_matrices_of_the_demo_share_no_cells(photo):
    # pytest makes errors of warnings
    demo.compress(photo, DPETensor(write_var=0.05, seed=1))


def test_the_exact_side_of_compress(photo):
    from scipy.fft import dctn

    engine = DPETensor(seed=1)
    whole = demo.compress(photo, engine, keep=1)
    np.testing.assert_allclose(whole.exact, photo[:24, :40])
    blocks = whole.coefficients[1].reshape(3, 5, 8, 8)
    np.testing.assert_allclose(blocks[1, 2], dctn(photo[8:16, 16:24] - 128, norm="ortho"))
    tenth = demo.compress(photo, engine, keep=0.1)
    assert tenth.kept == 6
    assert tenth.psnr("exact", "original") < 45 < whole.psnr("exact", "original")
    assert demo.compress(photo, engine, keep=1e-9).kept == 1


def test_equal_coefficients_keep_the_lower_frequencies():
    kept = demo._largest(np.array([[1.0, -2.0, 2.0, 2.0]]), 2)
    np.testing.assert_array_equal(kept, [[0, -2, 2, 0]])


def test_better_crossbars_give_better_pictures(photo):
    settings = ({}, {"var": 0}, {"var": 0, "radc": None})
    results = [demo.compress(photo, DPETensor(seed=1, **given)) for given in settings]
    quality = [result.psnr("crossbar", "exact") for result in results]
    assert quality[0] + 3 < quality[1] < quality[1] + 3 < quality[2]


def test_the_summary_of_compress(photo):
    result = demo.compress(photo, DPETensor(seed=4, array_size=(32, 64)))
    lines = str(result).splitlines()
    mse = np.mean((result.crossbar - result.exact) ** 2)
    assert result.psnr("crossbar", "exact") == pytest.approx(20 * np.log10(255) - 10 * np.log10(mse))
    assert result.psnr("exact", "exact") == np.inf
    assert "40 x 24 pixels, 16 of 64" in lines[0]
    assert f" {SNR(result.crossbar - 128, result.exact - 128):.2f} dB" in lines[1]
    assert f" {SNR(*result.coefficients):.2f} dB" in lines[2]
    assert f" {result.psnr('crossbar', 'exact'):.2f} dB" in lines[3]
    assert f" {result.psnr('crossbar', 'original'):.2f} dB" in lines[4]
    assert f"(exact: {result.psnr('exact', 'original'):.2f} dB)" in lines[4]
    # 64 rows in two tiles, four slices of weights and four of inputs; 15 blocks; two products
    assert lines[5].split()[1:] == ["16", "of", "32", "x", "64"]
    assert lines[6].split()[-1] == str(2 * 15 * 4 * 64 * 4)
    assert lines[7].split()[-1] == str(2 * 15 * 4 * 64 * 2 * 4)


@pytest.mark.parametrize("shape", [(7, 80), (80, 7), (64,), (16, 16, 3)])
def test_compress_wants_a_grey_picture_of_whole_blocks(shape):
    with pytest.raises(ValueError, match="must be grey, and at least 8 x 8"):
        demo.compress(np.zeros(shape), DPETensor(seed=1))


def test_the_photograph(matplotlib):
    picture = demo.photograph()
    assert picture.shape == (600, 512)
    assert picture.dtype == np.float64
    assert 0 <= picture.min() < 20
    assert 230 < picture.max() <= 255


# -- demo: the predecessor's products ---------------------------------------------------------


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "SIZE", 96)


@pytest.fixture(params=["torch", "numpy"])
def library(request, monkeypatch, small):
    if request.param == "torch":
        pytest.importorskip("torch")
    else:
        monkeypatch.setattr(demo, "_torch", lambda: None)
    return request.param


def test_demo_matmul(library, run):
    out = run("demo", "matmul", "--seed", 5)
    results = [demo.matmul(mode, seed=5) for mode in (0, 1)]
    snr = re.findall(r"^SNR\(dB\) (.+)$", out, re.MULTILINE)
    assert snr == [f"{SNR(result.measured, result.exact):.2f}" for result in results]
    assert [result.measured.shape for result in results] == [(2, 96, 96), (96, 96)]
    assert re.findall(r"^mode (\d) on (\w+), ", out, re.MULTILINE) == [("0", library), ("1", library)]
    assert len(re.findall(rf"^time \d+\.\d+ s, {library}\.matmul \d+\.\d+ s$", out, re.MULTILINE)) == 2
    assert out.endswith("\nseed 5, chip 0\n")
    assert not list(Path().iterdir())


def test_demo_matmul_replays_and_picks_a_mode(library, run):
    out = run("demo", "matmul", "--mode", 0)
    assert "mode 1" not in out
    seed = field(out, "seed").strip(",")
    again = run("demo", "matmul", "--mode", 0, "--seed", seed)
    assert field(again, "SNR(dB)") == field(out, "SNR(dB)")
    # two seeds may agree in all the digits that are printed
    others = [run("demo", "matmul", "--mode", 0, "--seed", int(seed) ^ change) for change in (1, 2, 3)]
    assert {field(other, "SNR(dB)") for other in others} != {field(out, "SNR(dB)")}
    assert "mode 1 " in run("demo", "matmul", "--mode", 1)


@pytest.mark.slow
def test_demo_matmul_draws_both_modes(library, run, matplotlib, monkeypatch):
    drawn = []
    scatter = plot.scatter
    monkeypatch.setattr(plot, "scatter", lambda *given: drawn.append(scatter(*given)) or drawn[-1])
    out = run("demo", "matmul", "-o", "p.png")
    assert out.endswith("\nwritten to p.png\n")
    assert Path("p.png").exists()
    assert [ax.get_title() for ax in drawn] == ["mode 0", "mode 1"]
    assert drawn[0].figure is drawn[1].figure


def test_the_examples_have_the_predecessors_numbers(small):
    torch = pytest.importorskip("torch")
    torch.manual_seed(7)
    before = torch.get_rng_state()
    result = demo.matmul(0, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(42)
    x, w = torch.randn(2, 96, 96, dtype=torch.float64), torch.randn(96, 96, dtype=torch.float64)
    np.testing.assert_array_equal(result.exact, torch.matmul(x, w).numpy())
    sliced = [mpimpy.SlicedData([1, 1, 2, 4], bw_e=8, is_weight=weight) for weight in (False, True)]
    engine = DPETensor(var=0.05, g_level=16, rdac=16, radc=256, seed=5)
    for operand, data in zip(sliced, (x, w), strict=True):
        operand.slice_data_imp(engine, data)
    np.testing.assert_array_equal(result.measured, engine(*sliced).numpy())


def test_mode_1_has_no_noise(small):
    one, other = demo.matmul(1, seed=1), demo.matmul(1, seed=2)
    np.testing.assert_array_equal(one.measured, other.measured)
    assert 20 < SNR(one.measured, one.exact) < 35


def test_torch_is_found_where_it_is_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert demo._torch() is None
    monkeypatch.undo()
    torch = pytest.importorskip("torch")
    assert demo._torch() is torch


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::mpimpy.MpimpyWarning")
@pytest.mark.parametrize("words", [[], ["products.png"]])
def test_the_example_script(words, tmp_path, monkeypatch, capsys):
    torch = pytest.importorskip("torch")
    if words:
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    randn = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *shape, **given: randn(*(min(n, 96) for n in shape), **given))
    monkeypatch.setattr(sys, "argv", ["seed_example.py", *words])
    runpy.run_path(str(ROOT / "examples" / "seed_example.py"), run_name="__main__")
    assert re.fullmatch(r"(SNR\(dB\) \d+\.\d+\n){2}", capsys.readouterr().out)
    assert [path.name for path in tmp_path.iterdir()] == words


# -- pictures ---------------------------------------------------------------------------------


def points(ax):
    [collection] = ax.collections
    return collection.get_offsets().data


def test_scatter(matplotlib, rng):
    exact = rng.standard_normal((3, 4))
    measured = exact + 0.1
    ax = plot.scatter(measured, exact, title="products")
    np.testing.assert_array_equal(points(ax), np.stack([exact.ravel(), measured.ravel()], axis=1))
    assert ax.get_xlabel() == "expected product"
    assert ax.get_ylabel() == "measured product"
    assert ax.get_title() == "products"
    [diagonal] = ax.lines
    ends = [exact.min(), measured.max()]
    np.testing.assert_array_equal(diagonal.get_xydata(), [[end, end] for end in ends])
    assert ax.get_xlim() == pytest.approx(ax.get_ylim())
    assert ax.get_xlim()[0] < ends[0] < ends[1] < ax.get_xlim()[1]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["products", "measured = expected"]


def test_scatter_draws_on_given_axes_and_no_others(matplotlib):
    from matplotlib._pylab_helpers import Gcf

    before = set(Gcf.figs)
    [[one, other]] = plot.new_axes(1, 2)
    assert plot.scatter([1], [1], other) is other
    assert not one.collections
    assert len(points(plot.scatter([1, 2], [1, 2]))) == 2  # a figure of its own
    assert len(other.figure.axes) == 2
    assert set(Gcf.figs) == before


def test_scatter_draws_part_of_many_points(matplotlib):
    exact = np.arange(64 * 1000).reshape(1000, 64)
    ax = plot.scatter(exact + 0.5, exact)
    drawn = points(ax)
    assert drawn.shape == (20_000, 2)
    np.testing.assert_array_equal(drawn[:, 1] - drawn[:, 0], 0.5)
    assert len(np.unique(drawn[:, 0])) == 20_000
    assert len(np.unique(drawn[:, 0] % 64)) == 64  # of every column
    assert ax.get_legend().get_texts()[0].get_text() == "20000 of 64000 products"
    np.testing.assert_array_equal(drawn, points(plot.scatter(exact + 0.5, exact)))


def test_scatter_of_complex_equal_and_no_numbers(matplotlib):
    np.testing.assert_array_equal(points(plot.scatter([1 + 2j], [3 + 4j])), [[3, 1], [4, 2]])
    assert len(points(plot.scatter([2.0, 2.0], [2.0, 2.0]))) == 2
    assert len(points(plot.scatter([], []))) == 0


def test_grey(matplotlib, rng):
    picture = rng.uniform(-10, 300, (8, 9))
    ax = plot.grey(picture, title="picture")
    [image] = ax.images
    np.testing.assert_array_equal(image.get_array(), picture)
    assert image.get_clim() == (0, 255)
    assert image.get_cmap().name == "gray"
    assert ax.get_title() == "picture"
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_error(matplotlib, rng):
    difference = rng.standard_normal((20, 30))
    difference[0, 0] = 100
    ax = plot.error(difference, title="error")
    [image] = ax.images
    np.testing.assert_array_equal(image.get_array(), difference)
    low, high = image.get_clim()
    assert low == -high
    assert high == np.percentile(np.abs(difference), 99.5)
    assert ax.get_title() == "error"
    assert image.colorbar.ax.get_xlabel() == "error (grey levels)"
    assert image.colorbar.extend == "both"
    assert plot.error(np.zeros((2, 2))).images[0].get_clim() == (-1, 1)


def test_compression(photo, matplotlib):
    result = demo.compress(photo, DPETensor(seed=4))
    figure = plot.compression(result)
    original, exact, crossbar, error, coefficients, pixels = figure.axes[:6]
    for ax, picture in ((original, result.original), (exact, result.exact), (crossbar, result.crossbar)):
        np.testing.assert_array_equal(ax.images[0].get_array(), picture)
    np.testing.assert_array_equal(error.images[0].get_array(), result.crossbar - result.exact)
    for ax, (measured, expected) in ((coefficients, result.coefficients), (pixels, result.pixels)):
        np.testing.assert_array_equal(points(ax), np.stack([expected.ravel(), measured.ravel()], axis=1))
        assert ax.get_title().endswith(f"SNR {SNR(measured, expected):.1f} dB")
    assert original.get_title() == "Original"
    for name, ax in (("exact", exact), ("crossbar", crossbar)):
        quality = f"PSNR {result.psnr(name, 'original'):.1f} dB to the original"
        assert ax.get_title() == f"{name.capitalize()}, 16 of 64 coefficients\n{quality}"
    assert error.get_title() == f"Crossbar minus exact\nPSNR {result.psnr('crossbar', 'exact'):.1f} dB"
    assert "seed 4" in figure.get_suptitle()
