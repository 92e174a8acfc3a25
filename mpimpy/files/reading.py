"""Programmed matrices from disk: a file is opened once, and nothing in it is believed.

The order is: the archive's list of members, headers of the arrays, the description, sizes, arrays, the checksum, and
then every number.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..checks import fail
from ..config._plain import check_arithmetic, check_upgraded
from . import npz
from ._contents import Expected, expected, programmed
from ._description import describe, parse
from .archive import Source, open_regular
from .chips import FORMAT, META, MOST_JSON, SEAL, Chip

__all__ = ["Saved", "read_file"]

LONGEST = 500  # characters of a file's own text in a message


@dataclass(frozen=True, eq=False)
class Saved:
    """A chip from a file.

    Attributes
    ----------
    chip : Chip
        Of NumPy arrays.
    dtype : str
        Name of the floating dtype that the weights count as.
    reads : int
        Reads made so far.
    stream : str or None
        Their stream.
    """

    chip: Chip
    dtype: str
    reads: int
    stream: str | None


def read_file(path: Any) -> Saved:
    """Return what a file holds, every number of it checked: one handle, read once.

    Sizes are compared with those that the settings ask for before an array is read.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no regular file, is damaged or altered, or comes from a newer mpimpy or one of another arithmetic.
    """
    try:
        file = open_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        msg = f"{path}: cannot be read: {error}"
        raise ValueError(msg) from error
    with file:
        try:
            return _read(path, Source(file, os.fstat(file.fileno()).st_size))
        except OSError as error:
            raise _unreadable(path, error) from error


def _unreadable(path: Any, error: OSError) -> OSError:
    return type(error)(f"{path}: cannot be read: {error.strerror or error}")


def _read(path: Any, source: Source) -> Saved:
    with _refusing(path, "is damaged, or no file that W.save(path) wrote"):
        entries, arrays = npz.entries(source), {}
        for name in (META, SEAL):
            arrays[name] = _read_bytes(source, entries, name)
        meta = parse(arrays[META].tobytes())
        number = meta["format"]
    with _refusing(path):
        arithmetic, advice = _check_version(number, meta)
    with _refusing(path, "is damaged"):
        about = describe(meta)
    with _refusing(path):
        check_upgraded(about.config, arithmetic, advice)
    with _refusing(path, "is damaged"):
        wanted = expected(about)
        _check_entries(entries, wanted)
        arrays |= {name: npz.read_array(source, entries[name]) for name in wanted}
        if npz.digest({name: arrays[name] for name in (META, *wanted)}) != arrays[SEAL].tobytes().decode():
            fail(ValueError, "its contents do not fit its checksum: it was altered")
        chip = Chip(about.config, about.address, about.shape, programmed(about, arrays), about.whole)
        return Saved(chip, about.dtype, about.reads, about.stream)


@contextlib.contextmanager
def _refusing(path: Any, what: str = "") -> Iterator[None]:
    # Whatever a file that was made for it can raise, it is the file that is wrong. The disk is not: OSError stays.
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        reason = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]} ..."
        msg = ": ".join(filter(None, (str(path), what, reason)))
        raise ValueError(msg) from error


def _check_version(number: Any, meta: dict[str, Any]) -> tuple[int, str]:
    # (version of the arithmetic, what to do about one that this mpimpy has not)
    version = meta.get("version")
    if type(number) is not int or not 1 <= number <= FORMAT:
        fail(
            ValueError,
            f"has format {number!r}, of mpimpy {version}, and this mpimpy reads up to {FORMAT}: use a newer mpimpy",
        )
    advice = f"load it with mpimpy {version}, or program it again"
    return check_arithmetic(meta.get("arithmetic", 1), advice), advice


def _read_bytes(source: Source, entries: dict[str, npz.ArrayEntry], name: str) -> Any:
    # the text of the description, or of the checksum
    entry = entries[name]
    if entry.dtype != "|u1" or entry.shape != (entry.size,) or entry.size > MOST_JSON:
        fail(ValueError, f"its array {name!r} is no text of at most {MOST_JSON} bytes")
    return npz.read_array(source, entry)


def _check_entries(entries: dict[str, npz.ArrayEntry], wanted: dict[str, Expected]) -> None:
    for name in entries.keys() - wanted.keys() - {META, SEAL}:
        fail(ValueError, f"it holds an array {name!r}, which no such chip has")
    for name, (shape, dtypes) in wanted.items():
        if name not in entries:
            fail(ValueError, f"it lacks the array {name!r}")
        entry = entries[name]
        if entry.shape != shape or entry.dtype not in map(npz.dtype_text, dtypes):
            fail(
                ValueError,
                f"its array {name!r} has shape {entry.shape} and dtype {entry.dtype!r}, and the settings ask for "
                f"{shape} of {' or '.join(dtypes)}",
            )
