"""Matrices in files of strangers: no size that a file declares is believed before it is compared with the file."""

import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from mpimpy.files import tables, unpacking


def header(shape, version=(1, 0), descr="<f8"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (53 - len(text) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(text)) + text


def refusal(path):
    """The message of a refusal, which takes next to no memory."""
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"^.+: cannot be read: ") as caught:
        tables.load(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    return str(caught.value)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize(("shape", "declared"), [((10**6, 10**6), "8 TB"), ((3,), "24 bytes")])
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_an_array_larger_than_its_file(tmp_path, version, shape, declared, ending):
    path, data = tmp_path / f"a{ending}", header(shape, version) + bytes(16)
    if ending == ".npy":
        path.write_bytes(data)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.npy", data)
    message = refusal(path)
    assert f"it declares an array of shape {shape} and dtype float64, {declared}, and holds 16 bytes" in message


def test_a_member_that_would_unpack_to_gigabytes(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(1000))
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.index(b"PK\1\2") + 24, 4_000_000_000)  # its size in the list of members
    path.write_bytes(data)
    message = refusal(path)
    assert "its array 'a' unpacks from " in message
    assert " bytes to 4 GB, and more than 1 GB may be at most 100 times as large as packed: save it as .npy" in message


def test_what_is_packed_in_measure_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_UNPACKED", 10_000)
    path = tmp_path / "a.npz"
    for numbers in (np.arange(5000.0), np.zeros(1000), np.arange(6, dtype=np.int8).reshape(2, 3).T, np.float32(2)):
        np.savez_compressed(path, a=numbers)
        found = tables.load(f"{path}:a")
        assert (found.dtype, found.shape) == (numbers.dtype, numbers.shape)
        assert np.array_equal(found, numbers)
    np.savez_compressed(path, a=np.zeros(100_000))
    with pytest.raises(ValueError, match=r"unpacks from \d+ bytes to 800 kB, and more than 10 kB may be at most 100"):
        tables.load(str(path))
    np.savez(path, a=np.zeros(100_000))
    assert tables.load(str(path)).shape == (100_000,)


def test_records_are_no_numbers(tmp_path):
    path = tmp_path / "a.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array(file, np.zeros(2, [("\u03b1", "f8")]), version=(3, 0))
    with pytest.raises(ValueError, match="cannot be read: it holds no numbers, but records"):
        tables.load(str(path))
    path.write_bytes(header((0, 10**15)))
    assert tables.load(str(path)).shape == (0, 10**15)
