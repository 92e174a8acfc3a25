"""Chips on disk: the same bits when they come back, on any backend, and clear words about files that are not whole."""

import contextlib
import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits, to_strict, torch
from strategies import examples, products

import mpimpy
from mpimpy import ADC, Device, DPETensor, Engine, Format, Gaussian, Samples, Wires, WriteVerify
from mpimpy.files import chips, npz


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("chips")


@pytest.fixture
def saved(tmp_path, rng):
    matrix = DPETensor(write_var=0.1, seed=7, chip=3).program(rng.standard_normal((70, 40)))
    path = tmp_path / "chip.npz"
    matrix.save(path)
    return matrix, path


@given(products(drift=True, wired=True), st.booleans(), st.sampled_from(list(RUNNERS)))
@settings(max_examples=examples(10))
def test_a_chip_comes_back_with_its_bits_on_every_backend(folder, case, compensate, writer):
    config, x, w = case
    make, backend = RUNNERS[writer]
    matrix = Engine.from_config(config, seed=5, chip=9, backend=backend).program(make(w), origin=(0, 0))
    aged = matrix.at("3 y", compensate)
    for state, path in ((matrix, folder / "fresh.npz"), (aged, folder / "aged.npz")):
        state.save(path)
        expected = np.asarray(state.read(make(x), read=3))
        for name, (make_other, other) in RUNNERS.items():
            found = mpimpy.load(path, like=make_other(np.zeros(1)), backend=other)
            y = found.read(make_other(x), read=3)
            assert type(y) is type(make_other(x))
            if config.adc.radc is not None or name == writer:
                assert same_bits(y, expected)
            assert same_bits(found.conductance(), np.asarray(state.conductance()))
            assert same_bits(found.codes(), np.asarray(state.codes()))
            assert same_bits(found.decoded(), np.asarray(state.decoded()))
            assert (found.config, found.seed, found.chip, found.shape) == (config, 5, 9, w.shape)
            assert repr(found) == repr(state)
    # what was saved aged can still be aged to another time
    again = mpimpy.load(folder / "aged.npz", backend="reference").at("9 y")
    there = Engine.from_config(config, seed=5, chip=9, backend="reference").program(np.asarray(w)).at("9 y")
    assert same_bits(again.conductance(), there.conductance())


@pytest.mark.parametrize(
    "given",
    [
        {"wires": Wires(5.0, 2.0)},
        {"wires": Wires(5.0, 0.0, exact_reads=True)},
        {"device": Device(write_var=Gaussian(1e-7), verify=WriteVerify(1e-7, 5), var=(0.01,) * 16)},
        {
            "device": Device(levels=(1e-6, 2e-6, 4e-6, 9e-6), write_var=Samples([[1e-6, 2e-6]] * 4)),
            "weights": Format((1, 2)),
        },
        {"weights": Format(bw_e=8, double=True, mapping="pair"), "inputs": Format(mapping="signed")},
        {"adc": ADC((64, 64, 32, 16), noise_lsb=0.5, offset_lsb=0.3, gain_error=0.01)},
    ],
    ids=lambda given: next(iter(given)),
)
def test_every_part_is_kept(tmp_path, rng, given):
    w, x = rng.standard_normal((70, 20)), rng.standard_normal((5, 70))
    engine = Engine(seed=1, **given)
    faults = rng.choice([-1, 0, 0, 0, 1], (70, 20))
    matrix = engine.program(w, faults=faults, origin=(128, 64), chip=4)
    matrix.read(x)
    matrix.save(tmp_path / "chip.npz")
    found = mpimpy.load(tmp_path / "chip.npz")
    assert found.reads == 1
    assert same_bits(found.read(x), matrix.read(x))
    assert found.reads == matrix.reads == 2
    assert same_bits(found.report(x).snr_dB, matrix.report(x).snr_dB)
    assert same_bits(found.programmed.faults, matrix.programmed.faults)
    assert (found.origin, found.chip) == ((128, 64), 4)
    if matrix.programming is not None:
        assert same_bits(found.programming.pulses, matrix.programming.pulses)
        assert str(found.programming) == str(matrix.programming)
    # and once more, from what came back
    found.save(tmp_path / "again.npz")
    assert same_bits(mpimpy.load(tmp_path / "again.npz").read(x, read=9), matrix.read(x, read=9))


def test_calibrate_save_load_read(tmp_path, rng):
    x, w = rng.standard_normal((30, 100)), rng.standard_normal((100, 20))
    engine = Engine(Device(write_var=0.05), seed=3).calibrate(x, w)
    matrix = engine.program(w)
    matrix.save(tmp_path / "chip.npz")
    for backend in ("numba", "reference"):
        found = mpimpy.load(tmp_path / "chip.npz", backend=backend)
        assert found.config.adc.range == engine.config.adc.range
        assert same_bits(found.read(x, read=0), matrix.read(x, read=0))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_a_tensor_s_dtype_comes_back(tmp_path, dtype):
    if torch is None:
        pytest.skip("the torch extra is not installed")
    w = torch.eye(5, dtype=getattr(torch, dtype))
    matrix = Engine(seed=1).program(w)
    matrix.save(tmp_path / "chip.npz")
    found = mpimpy.load(tmp_path / "chip.npz", like=torch.zeros(1))
    assert found.dtype == w.dtype
    assert torch.equal(found.read(w, read=0), matrix.read(w, read=0))
    if dtype == "bfloat16":
        with pytest.raises(ValueError, match=r"numpy has no dtype 'bfloat16', of which the weights were: load it with"):
            mpimpy.load(tmp_path / "chip.npz")


def test_a_matrix_without_elements(tmp_path):
    for shape in ((0, 3), (4, 0)):
        Engine(seed=1).program(np.zeros(shape)).save(tmp_path / "chip.npz")
        assert mpimpy.load(tmp_path / "chip.npz").read(np.zeros((2, shape[0]))).shape == (2, shape[1])


def test_the_file_is_plain_arrays_and_json(saved):
    matrix, path = saved
    with zipfile.ZipFile(path) as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
    with np.load(path, allow_pickle=False) as arrays:
        meta = json.loads(arrays["mpimpy"].tobytes())
        assert meta["format"] == chips.FORMAT
        assert meta["version"] == mpimpy.__version__
        assert meta["config"]["device"]["write_var"] == 0.1
        assert meta["arithmetic"] == mpimpy.ARITHMETIC
        assert "arithmetic" not in meta["config"]
        assert (meta["seed"], meta["chip"], meta["shape"]) == (7, 3, [70, 40])
        np.testing.assert_array_equal(arrays["now/written/cells"], matrix.programmed.as_programmed.cells)


def rewrite(path, change, *, seal=True):
    """Change the arrays of a file, and seal it again."""
    with np.load(path) as arrays:
        arrays = dict(arrays)
    meta = json.loads(arrays["mpimpy"].tobytes())
    change(arrays, meta)
    arrays["mpimpy"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    arrays.pop("sha256", None)
    if seal:
        arrays["sha256"] = np.frombuffer(npz.digest(arrays).encode(), np.uint8)
    np.savez(path, **arrays)


def test_a_newer_format_is_told(saved):
    _, path = saved
    rewrite(path, lambda arrays, meta: meta.update(format=99, version="9.0"))
    message = r"chip.npz: has format 99, of mpimpy 9.0, and this mpimpy reads up to 1: use a newer mpimpy"
    with pytest.raises(ValueError, match=message):
        mpimpy.load(path)


def test_a_file_of_another_arithmetic_is_told(saved):
    matrix, path = saved
    rewrite(path, lambda arrays, meta: meta.update(arithmetic=3, version="9.0"))
    message = r"chip.npz: made with arithmetic 3, and this mpimpy computes with 2: load it with mpimpy 9.0, or program"
    with pytest.raises(ValueError, match=message):
        mpimpy.load(path)
    rewrite(path, lambda arrays, meta: meta.update(arithmetic="two"))
    with pytest.raises(ValueError, match=r"chip.npz: arithmetic='two' must be a whole number"):
        mpimpy.load(path)

    # files had no version before there was one: they are of the first
    def older(arrays, meta):
        del meta["arithmetic"], meta["config"]["tile"]["reference"], meta["config"]["tile"]["reference_columns"]

    rewrite(path, older)
    assert mpimpy.load(path).config == matrix.config.replace(tile={"reference": "ideal"})


def test_an_altered_file_is_told(saved):
    _, path = saved

    def change(arrays, meta):
        arrays["now/scales"] = arrays["now/scales"] * 2

    with np.load(path) as arrays:
        arrays = dict(arrays)
    change(arrays, None)
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"chip.npz: is damaged: its contents do not fit its checksum: it was altered"):
        mpimpy.load(path)
    rewrite(path, lambda arrays, meta: None, seal=False)
    with pytest.raises(ValueError, match=r"chip.npz: is damaged"):
        mpimpy.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays, meta: arrays.pop("now/scales"), "now/scales"),
        (lambda arrays, meta: meta["config"].update(kind="Machine"), "unknown kind of settings 'Machine'"),
        (lambda arrays, meta: meta["config"]["dac"].update(rdac=1), "rdac=1 is out of range"),
        (lambda arrays, meta: meta.pop("states"), "states"),
    ],
)
def test_what_is_missing_or_wrong_is_told(saved, change, message):
    _, path = saved
    rewrite(path, change)
    with pytest.raises(ValueError, match=rf"chip.npz: is damaged: .*{message}"):
        mpimpy.load(path)


def test_a_truncated_file_is_told(saved):
    _, path = saved
    whole = path.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"chip.npz: is damaged"):
            mpimpy.load(path)


@given(st.integers(0, 2**32), st.integers(1, 255))
@settings(max_examples=examples(60))
def test_a_flipped_byte_is_told_or_changes_nothing(folder, place, flip):
    path = folder / "flipped.npz"
    matrix = Engine(seed=1).program(np.arange(12.0).reshape(4, 3))
    matrix.save(path)
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= flip
    path.write_bytes(data)
    found = None
    with contextlib.suppress(ValueError):
        found = mpimpy.load(path)
    if found is None:
        with pytest.raises(ValueError, match=r"flipped\.npz: "):
            mpimpy.load(path)
    else:
        assert same_bits(found.read(np.ones(4), read=0), matrix.read(np.ones(4), read=0))


def test_other_files_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.npz: cannot be read: No such file or directory"):
        mpimpy.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(ValueError, match=r"other.npz: is damaged, or no file that W.save\(path\) wrote"):
        mpimpy.load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ValueError, match=r"text.npz: is damaged, or no file that W.save\(path\) wrote"):
        mpimpy.load(tmp_path / "text.npz")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"mpimpy": 1}))
    with pytest.raises(ValueError, match=r"pickle.npz: is damaged, or no file"):
        mpimpy.load(tmp_path / "pickle.npz")


def test_saving_says_where_it_cannot(saved, tmp_path):
    matrix, _ = saved
    with pytest.raises(ValueError, match=r"chip.bin: the name of a chip's file must end in .npz"):
        matrix.save(tmp_path / "chip.bin")
    with pytest.raises(OSError, match=r"chip.npz: cannot be written: the folder .*nowhere does not exist"):
        matrix.save(tmp_path / "nowhere" / "chip.npz")


def test_a_file_appears_whole_or_not_at_all(saved, monkeypatch):
    matrix, path = saved
    before = path.read_bytes()

    def fail(file, arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(npz, "write_arrays", fail)
    with pytest.raises(OSError, match=r"chip.npz: cannot be written: No space left on device"):
        matrix.save(path)
    assert path.read_bytes() == before
    assert [other.name for other in path.parent.iterdir()] == ["chip.npz"]


def test_a_loaded_matrix_stays_with_its_library(saved):
    _, path = saved
    found = mpimpy.load(path, like=to_strict(np.zeros(1)))
    with pytest.raises(TypeError, match="convert one of them"):
        found.read(np.ones(70))
    with pytest.raises(ValueError, match=r"backend 'torch' takes torch tensors"):
        mpimpy.load(path, backend="torch")


def test_loading_opens_the_file_once(saved, monkeypatch):
    # a second look could meet another chip, saved in between
    matrix, path = saved
    opened, real_open = [], open

    def counted(file, *arguments, **options):
        opened.append(str(file))
        return real_open(file, *arguments, **options)

    monkeypatch.setattr("builtins.open", counted)
    found = mpimpy.load(path)
    assert opened.count(str(path)) == 1
    assert same_bits(found.conductance(), matrix.conductance())
