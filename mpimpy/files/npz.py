"""Arrays in files: NumPy's own format, without pickles."""

import hashlib
import math
import re
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from ..checks import fail
from .archive import Source, members

__all__ = ["ArrayEntry", "digest", "dtype_text", "entries", "from_bytes", "read_array", "to_numpy", "write_arrays"]

ENDING = ".npy"
_MAGIC = b"\x93NUMPY\x01\x00"
# The header that NumPy writes of a plain array in C order. It is Python's text of a dict: whatever else Python could
# read there is not evaluated.
_HEADER = re.compile(
    rb"\{'descr': '([<>|=][a-z][0-9]{1,3})', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,18}, )*[0-9]{1,18},?)?\), \} *\n"
)


@dataclass(frozen=True)
class ArrayEntry:
    """An array in a file, by its header.

    Attributes
    ----------
    dtype : str
        As NumPy writes it, such as "<f8".
    shape : tuple of int
    start, size : int
        Place of its elements in the file, bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


def to_numpy(array: Any) -> Any:
    """Return an array of any library, on any device, as NumPy's."""
    return np.ascontiguousarray(array.cpu() if hasattr(array, "cpu") else array)


def from_bytes(data: bytes) -> Any:
    """Return a uint8 array of bytes."""
    return np.frombuffer(data, np.uint8)


def digest(arrays: dict[str, Any]) -> str:
    """Return the SHA-256 of {name: NumPy array}: names, dtypes, shapes and contents."""
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def write_arrays(file: IO[bytes], arrays: dict[str, Any]) -> None:
    """Write {name: NumPy array} into an open file."""
    np.savez(file, **arrays)


def dtype_text(name: str) -> str:
    """Return a dtype as the header of an array has it, in the byte order of this machine.

    Examples
    --------
    >>> dtype_text("int8")
    '|i1'
    """
    return np.dtype(name).str


def entries(source: Source) -> dict[str, ArrayEntry]:
    """Return the headers of the arrays in a file, by name; none of the arrays is read.

    Raises
    ------
    ValueError
        If it is no .npz file, or holds anything but plain arrays in C order that are not compressed.
    """
    found = {}
    for name, (start, size) in members(source).items():
        if not name.endswith(ENDING):
            fail(ValueError, f"its member {name!r} is no array")
        head = source.read(start, min(size, len(_MAGIC) + 2))
        length = int.from_bytes(head[len(_MAGIC) :], "little")
        begin = len(head) + length
        header = _HEADER.fullmatch(source.read(start + len(head), length)) if begin <= size else None
        if not head.startswith(_MAGIC) or header is None:
            fail(ValueError, f"its member {name!r} is no plain array in C order")
        shape = tuple(int(axis) for axis in (header[2] or b"").split(b",") if axis)
        found[name.removesuffix(ENDING)] = ArrayEntry(header[1].decode(), shape, start + begin, size - begin)
    return found


def read_array(source: Source, entry: ArrayEntry) -> Any:
    """Return the NumPy array that an entry describes.

    Raises
    ------
    ValueError
        If the file does not hold as many bytes as its dtype and shape need.
    """
    dtype = np.dtype(entry.dtype)
    source.check(entry.start, entry.size)
    if dtype.hasobject or math.prod(entry.shape) * dtype.itemsize != entry.size:
        fail(ValueError, f"an array of shape {entry.shape} and dtype {entry.dtype} does not have {entry.size} bytes")
    array = np.empty(entry.shape, dtype)
    if array.size:
        source.read_into(entry.start, array.reshape(-1).view(np.uint8).data)
    return array
