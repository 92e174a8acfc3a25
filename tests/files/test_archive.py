"""Archives that lie about their members, and what is no regular file: told, before anything is unpacked."""

import io
import os
import stat
import tracemalloc
import zipfile

import numpy as np
import pytest
from files.saved.make_saved import FOLDER
from libraries import same_bits

import mpimpy
from mpimpy.files.archive import Source


def members(path):
    """Return {name: bytes} of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(path, parts, **options):
    """Write an archive of (name, bytes)."""
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in parts:
            file.writestr(name, data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda parts: parts, {"compression": zipfile.ZIP_DEFLATED}, "its member '.*' is compressed or encrypted"),
        (lambda parts: [*parts, parts[0]], {}, "it holds two members"),
        (lambda parts: [*parts, ("notes.txt", b"hello")], {}, "its member 'notes.txt' is no array"),
        (lambda parts: [*parts, ("a\u00e9.npy", b"hello")], {}, "its list of members is damaged"),
        (lambda parts: [*parts, ("folder/", b"")], {}, "its member 'folder/' is no array"),
        (lambda parts: [*parts, ("short.npy", b"\x93NUM")], {}, "its member 'short.npy' is no plain array"),
        (lambda parts: [*parts, *((f"{n}.npy", parts[0][1]) for n in range(80))], {}, "more than a chip has"),
        (lambda parts: [(name, data[:-1]) for name, data in parts], {}, "does not have|no text of at most"),
    ],
)
def test_a_wrong_archive_is_told(tmp_path, change, options, message):
    path = tmp_path / "chip.npz"
    archive(path, change(list(members(FOLDER / "plain.npz").items())), **options)
    with pytest.raises(ValueError, match=message):
        mpimpy.load(path)


def test_an_archive_that_lies_about_sizes_is_told(tmp_path):
    path, data = tmp_path / "chip.npz", bytearray((FOLDER / "plain.npz").read_bytes())
    entry = data.index(b"PK\1\2")

    def told(place, number, size, message):
        lying = data.copy()
        lying[place : place + size] = number.to_bytes(size, "little")
        path.write_bytes(lying)
        with pytest.raises(ValueError, match=message):
            mpimpy.load(path)

    told(entry + 24, 2**31, 4, "has two sizes")
    told(entry + 42, 10, 4, "is not where its list says")
    told(entry + 42, 2**31, 4, "it ends too early")
    told(entry + 10, 8, 2, "is compressed or encrypted")
    told(entry + 8, 1, 2, "is compressed or encrypted")
    told(len(data) - 6, 2**31, 4, "it ends too early")  # where the list begins
    told(len(data) - 10, 2**31, 4, "more than a chip has")  # its size
    for size in (40, 50):
        told(len(data) - 10, size, 4, "its list of members is damaged")
    told(len(data) - 2, 1, 2, "it is no .npz file")  # a comment that is not there
    told(len(data) - 6, 0xFFFFFFFF, 4, "it is no .npz file|it ends too early")  # numbers of 64 bits that are not there


def test_members_that_overlap_are_told(tmp_path):
    # both sizes of the first member, up to the end of the list: the second lies within
    path, data = tmp_path / "chip.npz", bytearray((FOLDER / "plain.npz").read_bytes())
    entry = data.index(b"PK\1\2")
    for place in (entry + 20, entry + 24):
        data[place : place + 4] = (2000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ValueError, match="its members overlap"):
        mpimpy.load(path)


def test_large_archives_have_numbers_of_64_bits(tmp_path, monkeypatch):
    # those of a chip of more than 2 GiB, in a small one
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    matrix, path = mpimpy.load(FOLDER / "plain.npz"), tmp_path / "chip.npz"
    matrix.save(path)
    data = bytearray(path.read_bytes())
    assert b"PK\6\6" in data
    data[-10:-2] = b"\xff" * 8  # the list's size and place: see the record of 64 bits
    path.write_bytes(data)
    assert same_bits(mpimpy.load(path).read(np.ones(70), read=1), matrix.read(np.ones(70), read=1))


def test_an_array_of_too_few_bytes_is_told(tmp_path):
    path, parts = tmp_path / "chip.npz", members(FOLDER / "plain.npz")
    parts["now/scales.npy"] = parts["now/scales.npy"][:-8]
    archive(path, parts.items())
    with pytest.raises(ValueError, match=r"an array of shape \(1, 2, 3\) and dtype <f8 does not have 40 bytes"):
        mpimpy.load(path)


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path):
    source = Source(io.BytesIO(b"short"), size=10)
    with pytest.raises(ValueError, match="it ends too early"):
        source.read(0, 10)
    with pytest.raises(ValueError, match="it ends too early"):
        source.read_into(0, memoryview(bytearray(10)))
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"it is no .npz file"):
        mpimpy.load(tmp_path / "empty.npz")


def test_nothing_is_unpacked_before_its_size_is_known(tmp_path):
    # ten gigabytes are promised, and ten kilobytes are there
    path = tmp_path / "chip.npz"
    header = b"{'descr': '|i1', 'fortran_order': False, 'shape': (10000000000,), }\n"
    huge = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(10000)
    parts = members(FOLDER / "plain.npz") | {"now/written/cells.npy": huge}
    archive(path, parts.items())
    mpimpy.load(FOLDER / "plain.npz")
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"its array 'now/written/cells' has shape \(10000000000,\)"):
        mpimpy.load(path)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_other_than_regular_files_are_told(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read: it is no regular file, but a folder, a device, a pipe"):
        mpimpy.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none.npz: cannot be read: No such file"):
        mpimpy.load(tmp_path / "none.npz")


@pytest.mark.posix
def test_pipes_devices_and_sockets_are_told(tmp_path):
    import socket

    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    (tmp_path / "link.npz").symlink_to(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.npz"))
        for path in (pipe, tmp_path / "link.npz", "/dev/zero", tmp_path / "socket.npz"):
            with pytest.raises(ValueError, match=r"cannot be read: it is no regular file"):
                mpimpy.load(path)
    with pytest.raises(OSError, match=r"pipe.npz: cannot be written: it is a folder, a device, a pipe or a socket"):
        mpimpy.load(FOLDER / "plain.npz").save(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.posix
def test_a_link_to_a_file_is_followed(tmp_path):
    matrix, link = mpimpy.load(FOLDER / "plain.npz"), tmp_path / "link.npz"
    (tmp_path / "data").mkdir()
    link.symlink_to(tmp_path / "data" / "blob")
    matrix.save(link)  # there is nothing yet where it points
    matrix.save(link)
    assert link.is_symlink()
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["blob"]
    assert same_bits(mpimpy.load(link).read(np.ones(70), read=1), matrix.read(np.ones(70), read=1))
