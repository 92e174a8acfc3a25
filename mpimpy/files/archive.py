"""Zip archives of plain members, read with bounds: no size in them is believed before it is compared with the file's.

A chip's file is such an archive. Its members are not compressed, so nothing in it is larger than the file itself.
The module zipfile would read them too, but it reads a directory of any length, and members that overlap.
"""

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

from ..checks import fail

__all__ = ["Member", "Source", "members", "open_regular"]

MOST_MEMBERS = 64
MOST_DIRECTORY = 1 << 16  # bytes

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 1  # a flag of a member
_SHORT, _LONG = 0xFFFF, 0xFFFFFFFF  # numbers that stand for: see the extra field of 64 bits


class Member(NamedTuple):
    """Place of a member's data in its file: offset and size, in bytes."""

    start: int
    size: int


@dataclass(frozen=True)
class Source:
    """An open file of known size.

    Attributes
    ----------
    file : binary file
    size : int
        Bytes.
    """

    file: IO[bytes]
    size: int

    def read(self, start: int, size: int) -> bytes:
        """Return the bytes at an offset.

        Raises
        ------
        ValueError
            If the file has no such bytes.
        """
        self.check(start, size)
        self.file.seek(start)
        found = self.file.read(size)
        return found if len(found) == size else fail(ValueError, "it ends too early")

    def read_into(self, start: int, target: memoryview) -> None:
        """Fill a writable buffer of bytes from an offset on; errors as for `read`."""
        self.check(start, len(target))
        self.file.seek(start)
        done = 0
        while done < len(target):
            got = self.file.readinto(target[done:])  # type: ignore[attr-defined]
            if not got:
                fail(ValueError, "it ends too early")
            done += got

    def check(self, start: int, size: int) -> None:
        """Raise ValueError if the file has no `size` bytes from `start` on."""
        if not 0 <= start <= start + size <= self.size:
            fail(ValueError, "it ends too early")


def open_regular(path: Any) -> IO[bytes]:
    """Open a regular file for reading.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is a folder, a device, a pipe or a socket. A pipe is not waited for.
    """

    def opener(name: Any, flags: int) -> int:
        # a pipe without a writer would block: O_NONBLOCK opens it, and a regular file does not mind
        try:
            handle = os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
        except OSError:
            _check_regular(os.stat(name).st_mode)  # sockets and, on Windows, folders cannot be opened
            raise
        try:
            _check_regular(os.fstat(handle).st_mode)
        except BaseException:
            os.close(handle)
            raise
        return handle

    return open(os.fspath(path), "rb", opener=opener)


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        fail(ValueError, "it is no regular file, but a folder, a device, a pipe or a socket")


def members(source: Source) -> dict[str, Member]:
    """Return {name: place} of the members of an archive, which lie one after the other and are not compressed.

    Raises
    ------
    ValueError
        If it is no such archive.
    """
    found: dict[str, Member] = {}
    spans = []
    start, size = _directory(source)
    for name, offset, length in _entries(source.read(start, size)):
        if name in found:
            fail(ValueError, f"it holds two members {name!r}")
        found[name] = Member(_data_start(source, name, offset), length)
        spans.append((offset, found[name].start + length))
    spans.sort()
    ends = [end for _, end in spans]
    for end, next_start in zip(ends, [*(first for first, _ in spans[1:]), start], strict=True):
        if end > next_start:
            fail(ValueError, "its members overlap")
    return found


def _directory(source: Source) -> tuple[int, int]:
    # (offset, size) of the list of members
    if source.size < _END.size:
        fail(ValueError, "it is no .npz file")
    tail = source.size - _END.size
    mark, _, _, _, count, size, start, comment = _END.unpack(source.read(tail, _END.size))
    if mark != b"PK\5\6" or comment:
        fail(ValueError, "it is no .npz file")
    if count == _SHORT or _LONG in (size, start):
        mark, _, at, _ = _LOCATOR.unpack(source.read(tail - _LOCATOR.size, _LOCATOR.size))
        record = _END_64.unpack(source.read(at, _END_64.size))
        if mark != b"PK\6\7" or record[0] != b"PK\6\6":
            fail(ValueError, "it is no .npz file")
        count, size, start = record[-3:]
    if count > MOST_MEMBERS or size > MOST_DIRECTORY:
        fail(ValueError, f"it lists {count} members in {size} bytes, more than a chip has")
    return start, size


def _entries(directory: bytes) -> Iterator[tuple[str, int, int]]:
    # (name, offset of the member's header, size of its data) of each member
    at = 0
    while at < len(directory):
        if len(directory) - at < _ENTRY.size:
            fail(ValueError, "its list of members is damaged")
        entry = _ENTRY.unpack_from(directory, at)
        flags, method, packed, size, offset = entry[3], entry[4], entry[8], entry[9], entry[16]
        lengths = entry[10:13]  # of the name, the extra field and the comment
        name = directory[at + _ENTRY.size :][: lengths[0]]
        extra = directory[at + _ENTRY.size + lengths[0] :][: lengths[1]]
        at += _ENTRY.size + sum(lengths)
        if entry[0] != b"PK\1\2" or at > len(directory) or not name.isascii():
            fail(ValueError, "its list of members is damaged")
        if method or flags & _ENCRYPTED:
            fail(ValueError, f"its member {name.decode()!r} is compressed or encrypted, and W.save(path) does neither")
        size, packed, offset = _wide_numbers((size, packed, offset), extra)
        if packed != size:
            fail(ValueError, f"its member {name.decode()!r} has two sizes")
        yield name.decode(), offset, size


def _wide_numbers(numbers: tuple[int, int, int], extra: bytes) -> list[int]:
    # numbers beyond 32 bits stand, in this order, in the extra field 1
    wide = b""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            wide = extra[4 : 4 + length]
        extra = extra[4 + length :]
    found = []
    for number in numbers:
        if number == _LONG and len(wide) >= 8:
            (number,), wide = struct.unpack("<Q", wide[:8]), wide[8:]
        found.append(number)
    return found


def _data_start(source: Source, name: str, offset: int) -> int:
    # offset of a member's data, behind its own header
    header = _LOCAL.unpack(source.read(offset, _LOCAL.size))
    length, extra = int(header[-2]), int(header[-1])
    if header[0] != b"PK\3\4" or source.read(offset + _LOCAL.size, length) != name.encode():
        fail(ValueError, f"its member {name!r} is not where its list says")
    return offset + _LOCAL.size + length + extra
