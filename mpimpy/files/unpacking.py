"""Arrays in NumPy's files of strangers: sizes are compared with the file before memory is taken for them."""

import math
import zipfile
from typing import IO, Any

import numpy as np

from ..checks import check_names, fail

__all__ = ["npy_array", "npz_array", "readable_size"]

MOST_UNPACKED = 10**9  # bytes of an array that may be packed as tightly as it likes
MOST_TIMES = 100  # times its packed size that a larger array may have


def readable_size(size: int) -> str:
    """Return a number of bytes in words.

    Examples
    --------
    >>> readable_size(999), readable_size(8_000_000_000_128)
    ('999 bytes', '8 TB')
    """
    if size < 1000:
        return f"{size} bytes"
    power = min((len(str(size)) - 1) // 3, 6)
    return f"{size / 1000**power:.3g} {' kMGTPE'[power]}B"


def npy_array(file: IO[bytes]) -> Any:
    """Return the array in an open .npy file.

    Raises
    ------
    ValueError
        If it holds no array, an array of Python objects, or fewer bytes than its header declares.
    """
    _check_header(file, file.seek(0, 2))
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def npz_array(file: IO[bytes], name: str | None) -> Any:
    """Return one array of an open .npz file, which may be compressed.

    Parameters
    ----------
    file : binary file
    name : str or None
        Of the array; None: there is but one.

    Raises
    ------
    ValueError
        As for `npy_array`, or if there is no such array, or it is packed beyond all measure.
    """
    if not zipfile.is_zipfile(file):
        fail(ValueError, "it is not a .npz file")
    with zipfile.ZipFile(file) as archive:
        found = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        if name is None and len(found) != 1:
            fail(ValueError, f"it holds {len(found)} arrays ({', '.join(found)}): give one as {file.name}:name")
        name = next(iter(found)) if name is None else name
        check_names([name], found, "array")
        entry = found[name]
        if entry.file_size > max(MOST_UNPACKED, MOST_TIMES * entry.compress_size):
            fail(
                ValueError,
                f"its array {name!r} unpacks from {readable_size(entry.compress_size)} to "
                f"{readable_size(entry.file_size)}, and more than {readable_size(MOST_UNPACKED)} may be at most "
                f"{MOST_TIMES} times as large as packed: save it as .npy",
            )
        with archive.open(entry) as member:
            _check_header(member, entry.file_size)
        with archive.open(entry) as member:
            return np.lib.format.read_array(member, allow_pickle=False)


def _check_header(file: IO[bytes], size: int) -> None:
    # `size`: of the file with its header, of which neither array nor header may be larger
    file.seek(0)
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:  # later versions hold records, with names beyond Latin-1
        fail(ValueError, "it holds no numbers, but records")
    shape, _, dtype = read(file)
    declared, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if declared > there and not dtype.hasobject:
        fail(
            ValueError,
            f"it declares an array of shape {shape} and dtype {dtype}, {readable_size(declared)}, and holds "
            f"{readable_size(there)}: it is damaged, or was not written whole",
        )
