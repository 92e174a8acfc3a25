"""Programmed matrices from disk; `mpimpy.files.chips` writes them."""

import json
from typing import Any

from array_api_compat import device as device_of

from . import backends
from .analysis.programming import Age
from .arrays import asarray, namespace
from .cells.memristors import Written
from .config import Config
from .config._plain import check_arithmetic
from .engine import Engine
from .files.chips import FORMAT, META, NUMBERS, PARTS, SEAL
from .matrix import CrossbarMatrix
from .operands.edge import library
from .operands.encoding import Encoded

__all__ = ["load"]


def _read(path):
    # (description, arrays) of a file, once it is known to be one that this program understands
    from .files import npz

    try:
        arrays = npz.read_arrays(path)
        meta = json.loads(arrays[META].tobytes())
        number = meta["format"]
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise type(error)(msg) from error
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path}: is damaged, or no file that W.save(path) wrote: {error}"
        raise ValueError(msg) from error
    if not isinstance(number, int) or number > FORMAT:
        msg = (
            f"{path}: has format {number}, of mpimpy {meta.get('version')}, and this mpimpy reads up to {FORMAT}: "
            "use a newer mpimpy"
        )
        raise ValueError(msg)
    try:
        check_arithmetic(meta.get("arithmetic", 1), f"load it with mpimpy {meta.get('version')}, or program it again")
    except (TypeError, ValueError) as error:
        msg = f"{path}: {error}"
        raise ValueError(msg) from None
    return meta, arrays


def load(path: Any, like: Any = None, backend: str | None = None) -> CrossbarMatrix:
    """Return a programmed matrix from a file that `CrossbarMatrix.save` wrote.

    It reads the same bits on every backend, and goes on counting reads where it was saved.

    Parameters
    ----------
    path : str or path
    like : array, optional
        An array of the library and on the device that products are to be of; by default NumPy's.
    backend : str, optional
        As for `Engine`.

    Returns
    -------
    CrossbarMatrix

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged, has been altered, or comes from a newer mpimpy or one of another arithmetic.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> W = Engine(seed=1).program(np.eye(3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     W.save(pathlib.Path(folder) / "chip.npz")
    ...     V = load(pathlib.Path(folder) / "chip.npz")
    >>> bool(np.all(V.read(np.ones(3), read=5) == W.read(np.ones(3), read=5)))
    True
    """
    from .files import npz

    like = asarray(0.0) if like is None else like
    backends.select(like, backend)
    meta, arrays = _read(path)
    if not hasattr(namespace(like), meta.get("dtype", "float64")):
        msg = (
            f"{library(like)} has no dtype {meta['dtype']!r}, of which the weights were: load it with "
            "like=, an array of a library that has"
        )
        raise ValueError(msg)
    try:
        seal = arrays.pop(SEAL).tobytes().decode()
        if npz.digest(arrays) != seal:
            msg = "its contents do not fit its checksum: it was altered"
            raise ValueError(msg)
        return _rebuild(meta, arrays, like, backend)
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path}: is damaged: {error}"
        raise ValueError(msg) from error


def _rebuild(meta, arrays, like, backend):
    config = Config.from_dict(meta["config"])
    engine = Engine.from_config(config, seed=meta["seed"], chip=meta["chip"], backend=backend)
    engine.reads = meta["reads"]
    kernels = engine.kernels(like)
    xp = namespace(like)
    like = xp.zeros((0,), dtype=getattr(xp, meta["dtype"]), device=device_of(like))

    def inner(name):
        # as the backend keeps it
        array = arrays[name]
        return array if kernels.NAME == "numba" else xp.asarray(array, device=device_of(like))

    encoded = None
    if meta["encoded"] is not None:
        plain = {name: tuple(item) if isinstance(item, list) else item for name, item in meta["encoded"].items()}
        encoded = Encoded(digits=inner("encoded/digits"), scales=inner("encoded/scales"), **plain)
    found = {}
    for name in ("fresh", "now"):
        if name != "now" and name not in meta["states"]:
            continue
        state = CrossbarMatrix.__new__(CrossbarMatrix)
        address = {"seed": meta["seed"], "chip": meta["chip"], "origin": tuple(meta["origin"])}
        state.prepare(config, kernels, like, tuple(meta["shape"]), encoded, counter=engine, **address)
        state.faults = inner("faults") if "faults" in arrays else None
        if encoded is not None:
            kept = meta["states"][name]
            state.written = _unpack_written(f"{name}/written", kept["written"], arrays, inner)
            state.wired = state.written
            if "wired" in kept:
                state.wired = _unpack_written(f"{name}/wired", kept["wired"], arrays, inner)
            state.scales = inner(f"{name}/scales")
            state.age = Age(**kept["age"]) if "age" in kept else None
        found[name] = state
    found["now"].fresh = found.get("fresh")
    return found["now"]


def _unpack_written(name, numbers, arrays, inner):
    parts = {part: inner(f"{name}/{part}") if f"{name}/{part}" in arrays else None for part in PARTS}
    return Written(**parts, **{part: numbers[part] for part in NUMBERS})
