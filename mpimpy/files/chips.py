"""Programmed matrices to disk: plain arrays, and JSON that describes them, in an .npz file without pickles."""

import json
import os
import sys
from pathlib import Path

from ..config import to_dict
from .whole import write_whole

__all__ = ["FORMAT", "META", "NUMBERS", "PARTS", "SEAL", "save"]

FORMAT = 1  # of the file; a newer one may hold what this program does not know
META, SEAL = "mpimpy", "sha256"
PARTS = ("cells", "levels", "pulses")  # arrays of a Written
NUMBERS = ("up", "reference", "time_s", "faulty")


def _pack_written(name, written, arrays):
    from . import npz

    for part in PARTS:
        if (array := getattr(written, part)) is not None:
            arrays[f"{name}/{part}"] = npz.to_numpy(array)
    return {part: getattr(written, part) for part in NUMBERS}


def _states(matrix):
    # what of a matrix is kept: {name: matrix}, an aged one with what it was when fresh
    return {"now": matrix} if matrix.fresh is None else {"now": matrix, "fresh": matrix.fresh}


def save(matrix, path):
    """Write a programmed matrix into a file; see `CrossbarMatrix.save`."""
    from . import npz

    path = Path(os.path.realpath(path))
    if path.suffix.lower() != ".npz":
        msg = f"{path}: the name of a chip's file must end in .npz"
        raise ValueError(msg)
    arrays, states = {}, {}
    for name, state in _states(matrix).items():
        if state.encoded is None:
            continue
        states[name] = {"written": _pack_written(f"{name}/written", state.written, arrays)}
        if state.wired is not state.written:
            states[name]["wired"] = _pack_written(f"{name}/wired", state.wired, arrays)
        arrays[f"{name}/scales"] = npz.to_numpy(state.scales)
        if state.age is not None:
            states[name]["age"] = {"compensate": state.age.compensate, "ratio": state.age.ratio}
            states[name]["age"]["time_s"] = state.age.time_s
    encoded = None
    if matrix.encoded is not None:
        arrays |= {f"encoded/{part}": npz.to_numpy(getattr(matrix.encoded, part)) for part in ("digits", "scales")}
        encoded = {part: getattr(matrix.encoded, part) for part in ("block", "bits", "strides", "shifts", "offset")}
    if matrix.faults is not None:
        arrays["faults"] = npz.to_numpy(matrix.faults)
    config = to_dict(matrix.config)
    meta = {
        "format": FORMAT,
        "version": getattr(sys.modules[__name__.partition(".")[0]], "__version__", "unknown"),
        "arithmetic": config.pop("arithmetic"),
        "config": config,
        "seed": matrix.seed,
        "chip": matrix.chip,
        "origin": matrix.origin,
        "shape": matrix.shape,
        "dtype": str(matrix.dtype).rpartition(".")[2],
        "reads": matrix.reads,
        "encoded": encoded,
        "states": states,
    }
    arrays[META] = npz.from_bytes(json.dumps(meta).encode())
    arrays[SEAL] = npz.from_bytes(npz.digest(arrays).encode())
    if not path.parent.is_dir():
        msg = f"{path}: cannot be written: the folder {path.parent} does not exist"
        raise OSError(msg)
    write_whole({path: lambda file: npz.write_arrays(file, arrays)})
