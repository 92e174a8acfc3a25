"""Files of the command line: matrices to read, and results that appear whole or not at all."""

import contextlib
import importlib.util
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from ..checks import fail, install
from .whole import write_whole as save

__all__ = [
    "MATRICES",
    "PICTURES",
    "STREAMS",
    "check_spared",
    "either",
    "load",
    "matrix_writer",
    "picture_target",
    "picture_writer",
    "save",
    "target",
    "to_stdout",
]

MATRICES = (".npy", ".npz", ".csv")
PICTURES = (".png", ".svg", ".pdf")
STREAMS = {"-": ".csv", "npy:-": ".npy"}  # names of standard output, and what is written there


def either(endings: Sequence[str]) -> str:
    """Return endings in words, such as ".npy, .npz or .csv"."""
    return f"{', '.join(endings[:-1])} or {endings[-1]}"


def target(text: str, endings: Sequence[str]) -> Path:
    """Return the path of a file that can be written.

    Raises
    ------
    ValueError
        If it cannot, before any work is done.
    """
    path = Path(os.path.realpath(text))
    if path.suffix.lower() not in endings:
        msg = f"{text}: cannot write this kind of file: the name must end in {either(endings)}"
        raise ValueError(msg)
    if not path.parent.is_dir():
        msg = f"{text}: the folder {path.parent} does not exist"
        raise ValueError(msg)
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        msg = f"{text}: cannot be written: it is a folder, or its folder is read-only"
        raise ValueError(msg)
    return path


def picture_target(text: str) -> Path:
    """Return the path of a picture that can be written.

    Raises
    ------
    ValueError
        If it cannot.
    ModuleNotFoundError
        If Matplotlib is not installed.
    """
    path = target(text, PICTURES)
    if importlib.util.find_spec("matplotlib") is None:
        msg = f"pictures need Matplotlib, which is not installed: {install('plot')}"
        raise ModuleNotFoundError(msg)
    return path


def check_spared(text: str, path: Path, inputs: Sequence[str]) -> None:
    """Raise ValueError if writing `path`, given as `text`, would overwrite one of the inputs."""
    for given in inputs:
        source, _ = _split(given)
        with contextlib.suppress(OSError):
            if os.path.samefile(source, path):
                fail(ValueError, f"{text}: would overwrite the input {given}: give another name")


def to_stdout(matrix: Any, ending: str) -> None:
    """Write a matrix to standard output, as a file of that ending."""
    held = io.BytesIO()  # NumPy asks a file for its position, which a pipe has not
    matrix_writer(matrix, Path(f"-{ending}"))(held)
    sys.stdout.buffer.write(held.getvalue())


def picture_writer(figure: Any, path: Path) -> Callable[[IO[bytes]], Any]:
    """Return a function that writes a Matplotlib figure into an open file, in the format of `path`."""
    return lambda file: figure.savefig(file, format=path.suffix[1:].lower())


def matrix_writer(matrix: Any, path: Path) -> Callable[[IO[bytes]], Any]:
    """Return a function that writes a matrix into an open file, in the format of `path`."""
    import numpy as np

    writers: dict[str, Callable[[IO[bytes]], Any]] = {
        ".npy": lambda file: np.save(file, matrix, allow_pickle=False),
        ".npz": lambda file: np.savez(file, product=matrix),
        ".csv": lambda file: np.savetxt(file, np.atleast_1d(matrix), delimiter=",", fmt="%.17g"),
    }
    return writers[path.suffix.lower()]


def _read_npy(file: IO[bytes], name: str | None) -> Any:
    from .unpacking import npy_array

    return npy_array(file)


def _read_npz(file: IO[bytes], name: str | None) -> Any:
    from .unpacking import npz_array

    return npz_array(file, name)


def _read_csv(file: IO[bytes], name: str | None) -> Any:
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty file is an error here
        try:
            array = np.loadtxt(io.TextIOWrapper(file, "utf-8-sig"), delimiter=",", ndmin=2)
        except ValueError as error:
            ragged = re.search(r"number of columns changed from (\d+) to (\d+) at row (\d+)", str(error))
            why = f"line {ragged[3]} has {ragged[2]} and not {ragged[1]}, as those before" if ragged else error
            msg = f"it must be lines of numbers with commas, without a header: {why}"
            raise ValueError(msg) from error
    if array.size == 0:
        msg = "there are no numbers in it"
        raise ValueError(msg)
    return array


def _split(text: str) -> tuple[str, str | None]:
    # path, and name of one array of several
    named = re.fullmatch(r"(?i)(.+?\.npz):(.+)", text)
    return (named[1], named[2]) if named else (text, None)


def _read_stdin(file: IO[bytes], name: str | None) -> Any:
    # the first bytes tell the kind
    held = file.read()
    if held.startswith(b"PK"):
        fail(ValueError, "it is an .npz file, and - takes .npy and .csv: give the file by its name")
    return (_read_npy if held.startswith(b"\x93NUMPY") else _read_csv)(io.BytesIO(held), name)


def load(text: str) -> Any:
    """Return the matrix in a file, a NumPy array.

    Parameters
    ----------
    text : str
        Path, or ``file.npz:name`` for one array of several; ``-`` for standard input.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it holds no such matrix.
    """
    path, name = _split(text)
    read = {".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv}.get(Path(path).suffix.lower())
    if path == "-":
        path, read = "standard input", _read_stdin
    if read is None:
        msg = f"{path}: cannot read this kind of file: the name must end in {either(MATRICES)}"
        raise ValueError(msg)
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if text == "-" else open(path, "rb") as file:
            array = read(file, name)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise OSError(msg) from error
    except Exception as error:  # a damaged file can raise nearly anything
        msg = f"{path}: cannot be read: {error}"
        raise ValueError(msg) from error
    if array.dtype.kind not in "biufc":
        msg = f"{path}: holds {array.dtype} elements, not numbers"
        raise ValueError(msg)
    return array
