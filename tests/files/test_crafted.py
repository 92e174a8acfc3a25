"""Chips' files that somebody made: ValueError or the right numbers, whatever they hold; old files load as ever."""

import re
import secrets
import subprocess
import sys

import numpy as np
import pytest
from files import fuzz_chips
from files.saved.make_saved import FOLDER, inputs
from hypothesis import settings
from libraries import same_bits

import mpimpy
from mpimpy import Device, DPETensor, Engine, Format, SlicedData


def craft(path, name, change):
    """Write a saved chip, changed, with a right checksum."""
    meta, arrays = fuzz_chips.read(name)
    change(meta, arrays)
    fuzz_chips.write(path, meta, arrays)


@pytest.mark.parametrize("name", ["plain", "aged", "wired", "uneven", "empty", "columns", "levels", "settled"])
def test_a_chip_of_a_release_loads_with_its_bits(name):
    # the first five are of 2.0.0, whose reference columns were ideal
    with np.load(FOLDER / "products.npz") as products:
        expected = products[name]
    for backend in ("numba", "reference"):
        found = mpimpy.load(FOLDER / f"{name}.npz", backend=backend)
        assert same_bits(found.read(inputs(found), read=9), expected)


def test_a_chip_of_2_0_0_whose_bits_have_changed_is_refused_by_name(tmp_path):
    craft(tmp_path / "noisy.npz", "plain", lambda meta, arrays: meta["config"]["adc"].update(noise_lsb=0.5))
    words = r"noisy.npz: arithmetic 1 had other errors of ADCs \(gain_error, offset_lsb, noise_lsb\) than arithmetic 2"
    with pytest.raises(ValueError, match=words):
        mpimpy.load(tmp_path / "noisy.npz")


@pytest.mark.parametrize("transposed", [False, True])
def test_sliced_weights_come_back(tmp_path, rng, transposed):
    # their digits have no strides, and their blocks are those of SlicedData
    w, sliced = rng.standard_normal((70, 9)), SlicedData([1, 1, 2, 4], is_weight=True, paral_size=(32, 4))
    engine = DPETensor(seed=4, var=0.1)
    sliced.slice_data_imp(engine, w.T if transposed else w)
    matrix = (sliced.t() if transposed else sliced).programmed(engine)
    matrix.save(tmp_path / "chip.npz")
    found = mpimpy.load(tmp_path / "chip.npz")
    assert same_bits(found.read(inputs(found), read=1), matrix.read(inputs(matrix), read=1))


def test_complex_weights_come_back_and_have_columns_in_pairs(tmp_path, rng):
    w, path = rng.standard_normal((5, 3)) + 1j * rng.standard_normal((5, 3)), tmp_path / "chip.npz"
    matrix = Engine(seed=1).program(w)
    matrix.save(path)
    assert same_bits(mpimpy.load(path).read(np.ones(5), read=1), matrix.read(np.ones(5), read=1))
    craft(path, "plain", lambda meta, arrays: meta.update(dtype="complex128"))
    with pytest.raises(ValueError, match=r"shape=\(70, 3\) has no columns of imaginary parts beside"):
        mpimpy.load(path)


@pytest.mark.filterwarnings("ignore")
def test_crafted_files_give_an_error_or_the_right_numbers(tmp_path):
    # in one child, so that a crash is a failure of this test
    profile = settings.default
    count, seed = (
        (2000 if profile.max_examples >= 2000 else min(200, 12 * profile.max_examples)),
        ("0" if profile.derandomize else secrets.token_hex(4)),
    )
    command = [sys.executable, fuzz_chips.__file__, str(tmp_path), str(count), seed]
    child = subprocess.run(command, capture_output=True, text=True)
    assert child.returncode == 0, child.stdout[-300:] + child.stderr[-3000:]
    refused, loaded = map(int, re.findall(r"(\d+) (?:refused|loaded)", child.stdout))
    assert refused + loaded == count
    assert loaded > 0


def set_entry(path, value):
    """Return a change of one entry of the description, at a dotted path."""

    def change(meta, arrays):
        *owners, key = path.split(".")
        fuzz_chips.at(meta, owners)[key] = value

    return change


def set_array(name, make):
    """Return a change of one array."""

    def change(meta, arrays):
        arrays[name] = make(arrays[name].copy())

    return change


def set_element(name, value):
    """Return a change of the first element of an array."""

    def make(array):
        array.reshape(-1)[0] = value
        return array

    return set_array(name, make)


def as_arithmetic_2(meta, arrays):
    meta["arithmetic"] = 2
    arrays["now/written/cells"].reshape(-1)[0] = 3


def signs_mixed(meta, arrays):
    digits = arrays["encoded/digits"]
    digits[0, :, 0, 0, 0] = [1, -5]


def lowest_code(meta, arrays):
    digits = arrays["encoded/digits"]
    digits[0, :, 0, 0, 0] = [0, 0, 0, 15]


def between_digits(meta, arrays):
    arrays["encoded/digits"][0, 1, 0, 0, 0] = 1


def aged_without_a_law(meta, arrays):
    states = meta["states"]
    states["fresh"] = fuzz_chips.copy.deepcopy(states["now"])
    states["now"]["age"] = {"time_s": 100.0, "compensate": False, "ratio": 1.0}


def a_fault_elsewhere(meta, arrays):
    arrays["faults"] = np.roll(arrays["faults"], 1)


DESCRIPTIONS = {
    "shape": ((10**12, 3), r"shape=1000000000000 is out of range"),
    "shape ": ((-70, 3), r"shape=-70 is out of range"),
    "shape  ": ((70.5, 3), r"shape=70.5 must be a whole number"),
    "shape   ": ((100, 3), r"its array 'encoded/digits' has shape .*, and the settings ask for \(1, 4, 1, 100, 3\)"),
    "shape    ": ((0, 3), r"a matrix of shape \(0, 3\) has no cells"),
    "seed": (2**64, r"seed=18446744073709551616 is out of range"),
    "seed ": (True, r"seed=True must be a whole number"),
    "chip": (-1, r"chip=-1 is out of range"),
    "reads": (2**40, r"reads=1099511627776 is out of range"),
    "stream": (7, r"stream=7 must be a text"),
    "whole": ((1, 1), r"whole=\(1, 1\) does not hold a part of shape"),
    "stream ": ("\ud800", r"stream='\\ud800' is no name"),
    "origin": ((1, 0), r"origin=\(1, 0\) cuts through a tile of 64 x 64"),
    "origin ": ((2**32, 0), r"origin=4294967296 is out of range"),
    "dtype": ("pi", r"dtype='pi' is no numeric dtype"),
    "dtype ": ([], r"dtype=\[\] is no numeric dtype"),
    "version": (3, r"version must be text"),
    "more": (1, r"its description has an unknown entry 'more'"),
    "format": (True, r"has format True"),
    "format ": (0, r"has format 0"),
    "config": ([1], r"config is no mapping"),
    "config.tile.rows": (10**12, r"tile.rows: rows=1000000000000 is out of range"),
    "config.device.var": (float("nan"), r"its description holds NaN, which is no number"),
    "config.device.HGS": (float("inf"), r"its description holds Infinity, which is no number"),
    "config.device.LGS": (10**400, r"LGS=inf must be finite"),
    "config.device.HGS ": (1e-323, r"is damaged"),
    "config.weights.slices": ([1] * 20, r"encoded.bits=\[4, 2, 1, 1\] is not that of the format of the weights"),
    "encoded": (None, r"encoded is no mapping"),
    "encoded.offset": (1, r"encoded.offset=1 is not that of the format"),
    "encoded.offset ": (False, r"encoded.offset=False is not that of the format"),
    "encoded.shifts": ([1, 16, 64, 128], r"encoded.shifts=\[1, 16, 64, 128\] is not that"),
    "encoded.strides": ([1, 5, 15, 14], r"encoded.strides=\[1, 5, 15, 14\] are not those of the cells"),
    "encoded.block": ([64, 2], r"encoded.block=\(64, 2\) is no block of the format"),
    "encoded.exponent": (5, r"encoded.exponent=5 is out of range"),
    "encoded.exponent ": ("5", r"encoded.exponent='5' must be a whole number"),
    "encoded.block ": ([2**64, 1], r"encoded.block=18446744073709551616 is out of range"),
    "states": ({}, r"states lacks 'now'"),
    "states.fresh": ({}, r"a state|written"),
    "states.now.age": ({"time_s": 1.0}, r"as programmed has an unknown entry 'age'"),
    "states.now.wired": ({}, r"as programmed has an unknown entry 'wired'"),
    "states.now.written.up": (1, r"as programmed: written.up=1 is not that of the configuration, 10"),
    "states.now.written.reference": (0, r"written.reference=0 is not that of the configuration"),
    "states.now.written.time_s": (1.0, r"time_s=1.0 or faulty=False does not fit the other cells"),
    "states.now.written.faulty": (True, r"it lacks the array 'faults'"),
    "states.now.written.faulty ": (1, r"faulty=1 must be True or False"),
}


@pytest.mark.parametrize("key", DESCRIPTIONS)
def test_a_wrong_description_is_told(tmp_path, key):
    value, message = DESCRIPTIONS[key]
    craft(tmp_path / "chip.npz", "plain", set_entry(key.strip(), value))
    with pytest.raises(ValueError, match=rf"chip.npz: .*{message}"):
        mpimpy.load(tmp_path / "chip.npz")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("plain", set_element("encoded/digits", 16), "encoded/digits holds 16, out of the range from 0 to 15"),
        ("plain", set_element("encoded/digits", -1), "encoded/digits holds -1, out of the range from 0 to 15"),
        ("plain", lowest_code, "encoded/digits hold the code -128, which integers with a scale leave out"),
        ("plain", set_array("encoded/digits", lambda a: a + 1), "encoded/digits"),
        ("plain", between_digits, "encoded/digits of slice 1 are not multiples of 5"),
        ("plain", aged_without_a_law, "age: time changes nothing in this device"),
        ("aged", signs_mixed, "encoded/digits of one weight have two signs"),
        ("plain", set_element("encoded/scales", np.nan), "encoded/scales must be finite, and not negative"),
        ("plain", set_element("encoded/scales", np.inf), "encoded/scales must be finite, and not negative"),
        ("plain", set_element("encoded/scales", -0.0), "encoded/scales must be finite, and not negative"),
        ("plain", set_element("encoded/scales", 2.0), "now/scales are not those of the codes"),
        ("aged", set_element("encoded/scales", 3.0), "encoded/scales are no powers of two that an exponent of 8 bits"),
        ("aged", set_element("encoded/scales", 2.0**300), "encoded/scales are no powers of two that an exponent"),
        ("aged", set_array("now/scales", lambda a: a * 2), "now/scales are not those of the codes"),
        ("plain", set_element("now/written/cells", 7), "now/written/cells are not those that the codes ask for"),
        ("levels", set_element("fresh/written/cells", 3), "fresh/written/cells are not those that the codes ask for"),
        ("uneven", as_arithmetic_2, "now/written/cells are not those as programmed"),
        (
            "columns",
            set_element("now/wired/columns", 2**31 - 1),
            "now/wired/columns holds 2147483647, out of the range",
        ),
        (
            "columns",
            set_array("now/wired/columns", lambda a: a[:, :, :2].copy()),
            "its array 'now/wired/columns' has sh",
        ),
        ("columns", lambda meta, arrays: arrays.pop("now/wired/columns"), "it lacks the array 'now/wired/columns'"),
        ("columns", set_entry("arithmetic", 1), "arithmetic 1 had other reference columns of real cells"),
        ("wired", set_element("now/written/cells", 3), "now/written/cells are not those that the codes ask for"),
        ("wired", set_element("now/wired/cells", 2**31 - 1), "now/wired/cells holds 2147483647, out of the range from"),
        ("aged", set_element("fresh/written/cells", -(2**15)), "fresh/written/cells holds -32768, out of the range"),
        ("aged", set_element("now/written/cells", -(2**15)), "now/written/cells holds -32768, out of the range from"),
        ("aged", set_element("fresh/written/levels", 15), "fresh/written/levels are not those that the codes ask for"),
        ("aged", set_element("now/written/levels", 15), "now/written/levels are not those as programmed"),
        ("aged", set_element("fresh/written/pulses", 6), "fresh/written/pulses holds 6, out of the range from 1 to 5"),
        ("aged", set_element("now/written/pulses", 2**30), "now/written/pulses are not those as programmed"),
        ("aged", set_element("faults", 2), "faults holds 2, out of the range from -1 to 1"),
        ("aged", a_fault_elsewhere, "fresh/written/(levels are not|cells do not fit the map)"),
        ("aged", set_entry("states.now.age.ratio", 2.0), "age.ratio=2.0 is not that of the cells"),
        ("aged", set_entry("config.device.verify.tolerance_S", 1e300), "is damaged: cannot convert float infinity"),
        ("aged", set_entry("states.now.age.time_s", 0.5), "age.time_s=0.5 is out of range"),
        ("aged", set_entry("states.now.age.compensate", 1), "age.compensate=1 must be True or False"),
        ("plain", set_array("now/scales", lambda a: a.astype(">f8")), "has shape .* and dtype '>f8'"),
        ("plain", set_array("now/scales", lambda a: a.astype("f4")), "has shape .* and dtype '<f4'"),
        ("plain", set_array("now/scales", np.asfortranarray), "'now/scales.npy' is no plain array in C order"),
        ("plain", lambda meta, arrays: arrays.update(more=np.zeros(3)), "it holds an array 'more', which no such chip"),
        ("plain", lambda meta, arrays: arrays.pop("now/written/cells"), "it lacks the array 'now/written/cells'"),
    ],
)
def test_a_wrong_array_is_told(tmp_path, name, change, message):
    craft(tmp_path / "chip.npz", name, change)
    with pytest.raises(ValueError, match=rf"chip.npz: .*{message}"):
        mpimpy.load(tmp_path / "chip.npz")


def test_cells_that_a_map_calls_stuck_are_stuck(tmp_path, rng):
    # without levels of their own, only the map tells
    path, faults = tmp_path / "chip.npz", np.resize([1, 0, 0, -1], (5, 4))
    Engine(Device(write_var=0.1, var=0.0), seed=1).program(rng.standard_normal((5, 4)), faults=faults).save(path)
    with np.load(path) as found:
        arrays = dict(found)
    meta = fuzz_chips.json.loads(arrays.pop("mpimpy").tobytes())
    del arrays["sha256"]
    arrays["faults"] = -arrays["faults"]
    fuzz_chips.write(path, meta, arrays)
    with pytest.raises(ValueError, match="now/written/cells do not fit the map of faults"):
        mpimpy.load(path)


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    craft(tmp_path / "chip.npz", "plain", set_array("now/scales", lambda a: a.astype(object)))
    with pytest.raises(ValueError, match=r"its member 'now/scales.npy' is no plain array in C order"):
        mpimpy.load(tmp_path / "chip.npz")


def test_a_key_twice_is_told(tmp_path):
    text = b'{"format": 1, "format": 1}'
    np.savez(tmp_path / "chip.npz", mpimpy=np.frombuffer(text, np.uint8), sha256=np.zeros(64, np.uint8))
    with pytest.raises(ValueError, match="its description has a key twice"):
        mpimpy.load(tmp_path / "chip.npz")


@pytest.mark.parametrize("text", [b"[" * 200_000, b'{"a":' * 100_000, b"\xff", b"", b"1" * 5000, b"[1]", b"{}"])
def test_a_description_that_is_none_is_told(tmp_path, text):
    np.savez(tmp_path / "chip.npz", mpimpy=np.frombuffer(text, np.uint8), sha256=np.zeros(64, np.uint8))
    with pytest.raises(ValueError, match=r"chip.npz: is damaged, or no file that W.save\(path\) wrote"):
        mpimpy.load(tmp_path / "chip.npz")


def test_messages_quote_little_of_a_file(tmp_path):
    craft(tmp_path / "chip.npz", "plain", set_entry("dtype", "x" * 10**6))
    with pytest.raises(ValueError, match="is damaged") as caught:
        mpimpy.load(tmp_path / "chip.npz")
    assert len(str(caught.value)) < 1000


def test_a_description_has_a_limit(tmp_path, monkeypatch, rng):
    from mpimpy.files import chips, reading

    matrix, path = Engine(seed=1).program(rng.standard_normal((5, 4))), tmp_path / "chip.npz"
    matrix.save(path)
    monkeypatch.setattr(reading, "MOST_JSON", 100)
    with pytest.raises(ValueError, match=r"its array 'mpimpy' is no text of at most 100 bytes"):
        mpimpy.load(path)
    monkeypatch.setattr(chips, "MOST_JSON", 100)
    with pytest.raises(ValueError, match=r"the settings take \d+ bytes, and a file holds 100: use fewer samples"):
        matrix.save(path)


def test_exponents_of_blocks_are_checked_and_pass(tmp_path):
    # scales at both ends of an exponent's range, and of a block of zeros
    w = np.array([[1e-9, 0.0, 1e9, 0.7]])
    matrix = Engine(weights=Format(bw_e=3, granularity="per-col"), seed=1).program(w)
    matrix.save(tmp_path / "chip.npz")
    assert same_bits(mpimpy.load(tmp_path / "chip.npz").decoded(), matrix.decoded())


@pytest.mark.parametrize("bw_e", [None, 11])
def test_weights_at_the_ends_of_the_range_come_back(tmp_path, rng, bw_e):
    w = np.ldexp(rng.uniform(0.5, 1, (70, 3)), [-1000, -500, 1020])
    matrix = Engine(weights=Format(bw_e=bw_e), seed=1).program(w)
    matrix.save(tmp_path / "chip.npz")
    found, x = mpimpy.load(tmp_path / "chip.npz"), np.ldexp(rng.uniform(0.5, 1, (2, 70)), [[-900], [-100]])
    assert same_bits(found.read(x, read=0), matrix.read(x, read=0))
    assert np.allclose(found.decoded(), w, rtol=0.02)
