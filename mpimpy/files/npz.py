"""Arrays in files: NumPy's own format, without pickles."""

import hashlib
import io
import zipfile
from typing import IO, Any

import numpy as np

__all__ = ["digest", "from_bytes", "read_arrays", "to_numpy", "write_arrays"]


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


def read_arrays(path: Any) -> dict[str, Any]:
    """Return {name: NumPy array} of a file, which is opened once and read as a whole.

    Raises
    ------
    ValueError
        If it is no such file, or is damaged.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        source = io.BytesIO(file.read())
    if not zipfile.is_zipfile(source):
        msg = "it is no .npz file"
        raise ValueError(msg)
    source.seek(0)
    try:
        with np.load(source, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(str(error) or type(error).__name__) from error
