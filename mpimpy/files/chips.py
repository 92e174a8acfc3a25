"""Programmed matrices to disk: plain arrays, and JSON that describes them, in an .npz file without pickles."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cells.memristors import Cells
from ..checks import fail
from ..config import Config, to_dict
from ..config._plain import check_arithmetic
from ..crossbar.programmed import Age, Programmed
from ..noise import Address
from ..operands.encoding import Encoded
from .whole import write_whole

__all__ = ["Chip", "read_file", "save", "unpack"]

FORMAT = 1  # version of the file's layout
META, SEAL = "mpimpy", "sha256"
CELL_ARRAYS = ("cells", "levels", "pulses")
# numbers of Cells, by their names in a file
CELL_FIELDS = {"up": "level_shift", "reference": "reference", "time_s": "time_s", "faulty": "faulty"}
ENCODED_FIELDS = ("block", "bits", "strides", "shifts", "offset", "exponent")


ToBackend = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Chip:
    """Contents of a file: a programmed matrix, or one without elements, and its addresses.

    Attributes
    ----------
    config : Config
    address : Address
        Seed and chip of its random numbers; row and column of its first element in the whole matrix.
    shape : (int, int)
        (K, N).
    programmed : Programmed or None
        None if K or N is 0.
    """

    config: Config
    address: Address
    shape: tuple[int, int]
    programmed: Programmed | None


def save(chip: Chip, path: Any, *, dtype: str, reads: int) -> None:
    """Write a programmed matrix into a file; see `mpimpy.CrossbarMatrix.save`.

    Parameters
    ----------
    chip : Chip
    path : str or path
    dtype : str
        Name of the floating dtype that the weights count as.
    reads : int
        Reads made so far.
    """
    from . import npz

    path = Path(os.path.realpath(path))
    if path.suffix.lower() != ".npz":
        fail(ValueError, f"{path}: the name of a chip's file must end in .npz")
    arrays: dict[str, Any] = {}
    states: dict[str, Any] = {}
    encoded, now = None, chip.programmed
    if now is not None:
        arrays |= {f"encoded/{part}": npz.to_numpy(getattr(now.encoded, part)) for part in ("digits", "scales")}
        encoded = {part: getattr(now.encoded, part) for part in ENCODED_FIELDS}
        states["now"] = _pack_state("now", now, arrays)
        if now.fresh is not None:
            states["fresh"] = _pack_state("fresh", now.fresh, arrays)
        if now.faults is not None:
            arrays["faults"] = npz.to_numpy(now.faults)
    config = to_dict(chip.config)
    meta = {
        "format": FORMAT,
        "version": getattr(sys.modules[__name__.partition(".")[0]], "__version__", "unknown"),
        "arithmetic": config.pop("arithmetic"),
        "config": config,
        "seed": chip.address.seed,
        "chip": chip.address.chip,
        "origin": (chip.address.row, chip.address.col),
        "shape": chip.shape,
        "dtype": dtype,
        "reads": reads,
        "encoded": encoded,
        "states": states,
    }
    arrays[META] = npz.from_bytes(json.dumps(meta).encode())
    arrays[SEAL] = npz.from_bytes(npz.digest(arrays).encode())
    if not path.parent.is_dir():
        fail(OSError, f"{path}: cannot be written: the folder {path.parent} does not exist")
    write_whole({path: lambda file: npz.write_arrays(file, arrays)})


def _pack_state(name: str, state: Programmed, arrays: dict[str, Any]) -> dict[str, Any]:
    # returns the description of one state, and adds its arrays to `arrays`
    from . import npz

    kept = {"written": _pack_cells(f"{name}/written", state.as_programmed, arrays)}
    if state.as_read is not state.as_programmed:
        kept["wired"] = _pack_cells(f"{name}/wired", state.as_read, arrays)
    arrays[f"{name}/scales"] = npz.to_numpy(state.scales)
    if state.age is not None:
        kept["age"] = dataclasses.asdict(state.age)
    return kept


def _pack_cells(name: str, cells: Cells, arrays: dict[str, Any]) -> dict[str, Any]:
    from . import npz

    for part in CELL_ARRAYS:
        if (array := getattr(cells, part)) is not None:
            arrays[f"{name}/{part}"] = npz.to_numpy(array)
    return {key: getattr(cells, field) for key, field in CELL_FIELDS.items()}


def read_file(path: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the description and the NumPy arrays of a file, which this version is known to understand.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged, or comes from a newer mpimpy or one of another arithmetic.
    """
    from . import npz

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


def unpack(path: Any, meta: dict[str, Any], arrays: dict[str, Any], to_backend: ToBackend) -> tuple[Chip, int]:
    """Return the chip, and the reads made so far, of a file that `read_file` read.

    Parameters
    ----------
    path : str or path
        For messages.
    meta, arrays
        As `read_file` returns them.
    to_backend : function
        Converts a NumPy array to an array of the backend.

    Raises
    ------
    ValueError
        If the contents do not fit each other, or the checksum.
    """
    from . import npz

    try:
        seal = arrays.pop(SEAL).tobytes().decode()
        if npz.digest(arrays) != seal:
            msg = "its contents do not fit its checksum: it was altered"
            raise ValueError(msg)
        return _rebuild(meta, arrays, to_backend), meta["reads"]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path}: is damaged: {error}"
        raise ValueError(msg) from error


def _rebuild(meta: dict[str, Any], arrays: dict[str, Any], to_backend: ToBackend) -> Chip:
    config, address = Config.from_dict(meta["config"]), Address(meta["seed"], meta["chip"], 0, 0, *meta["origin"])
    programmed = None
    if meta["encoded"] is not None:
        plain: dict[str, Any] = {
            name: tuple(item) if isinstance(item, list) else item for name, item in meta["encoded"].items()
        }
        encoded = Encoded(to_backend(arrays["encoded/digits"]), to_backend(arrays["encoded/scales"]), **plain)
        faults = to_backend(arrays["faults"]) if "faults" in arrays else None
        for name in ("fresh", "now"):
            if name != "now" and name not in meta["states"]:
                continue
            kept = meta["states"][name]
            cells = as_read = _unpack_cells(f"{name}/written", kept["written"], arrays, to_backend)
            if "wired" in kept:
                as_read = _unpack_cells(f"{name}/wired", kept["wired"], arrays, to_backend)
            age = Age(**kept["age"]) if "age" in kept else None
            scales = to_backend(arrays[f"{name}/scales"])
            programmed = Programmed(config, encoded, scales, cells, as_read, faults, address, age, programmed)
    return Chip(config, address, (meta["shape"][0], meta["shape"][1]), programmed)


def _unpack_cells(name: str, fields: dict[str, Any], arrays: dict[str, Any], to_backend: ToBackend) -> Cells:
    found: dict[str, Any] = {field: fields[key] for key, field in CELL_FIELDS.items()}
    for part in CELL_ARRAYS:
        key = f"{name}/{part}"
        found[part] = to_backend(arrays[key]) if key in arrays else None
    return Cells(**found)
