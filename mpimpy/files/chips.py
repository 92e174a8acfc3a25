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
from ..crossbar.programmed import Programmed
from ..noise import Address
from ..reads import Read
from .whole import write_whole

__all__ = ["FORMAT", "META", "MOST_JSON", "SEAL", "Chip", "save", "unpack"]

FORMAT = 1  # version of the file's layout
MOST_JSON = 1 << 24  # bytes of the description
META, SEAL = "mpimpy", "sha256"
CELL_ARRAYS = ("cells", "levels", "pulses")
# numbers of Cells, by their names in a file
CELL_FIELDS = {"up": "level_shift", "reference": "reference", "time_s": "time_s", "faulty": "faulty"}
ENCODED_FIELDS = ("block", "bits", "strides", "shifts", "offset")


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
    whole : (int, int), optional
        Shape of the whole matrix, if this is known to be a part of it.
    """

    config: Config
    address: Address
    shape: tuple[int, int]
    programmed: Programmed | None
    whole: tuple[int, int] | None = None


def save(chip: Chip, path: Any, *, dtype: str, reads: Read) -> None:
    """Write a programmed matrix into a file; see `mpimpy.CrossbarMatrix.save`.

    Parameters
    ----------
    chip : Chip
    path : str or path
    dtype : str
        Name of the floating dtype that the weights count as.
    reads : (int, str or None)
        Reads made so far, and their stream.
    """
    from . import npz

    if Path(path).suffix.lower() != ".npz":
        fail(ValueError, f"{path}: the name of a chip's file must end in .npz")
    path = Path(os.path.realpath(path))  # a link stays, and what it points to is written
    arrays: dict[str, Any] = {}
    states: dict[str, Any] = {}
    encoded, now = None, chip.programmed
    if now is not None:
        arrays |= {f"encoded/{part}": npz.to_numpy(getattr(now.encoded, part)) for part in ("digits", "scales")}
        encoded = {part: getattr(now.encoded, part) for part in ENCODED_FIELDS}
        if now.encoded.exponent is not None:
            encoded["exponent"] = now.encoded.exponent
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
        "reads": reads[0],
        "encoded": encoded,
        "states": states,
    }
    if reads[1] is not None:
        meta["stream"] = reads[1]
    if chip.whole is not None:
        meta["whole"] = chip.whole
    text = json.dumps(meta).encode()
    if len(text) > MOST_JSON:
        fail(
            ValueError, f"{path}: the settings take {len(text)} bytes, and a file holds {MOST_JSON}: use fewer samples"
        )
    arrays[META] = npz.from_bytes(text)
    arrays[SEAL] = npz.from_bytes(npz.digest(arrays).encode())
    if not path.parent.is_dir():
        fail(OSError, f"{path}: cannot be written: the folder {path.parent} does not exist")
    write_whole({path: lambda file: npz.write_arrays(file, arrays)})


def _pack_state(name: str, state: Programmed, arrays: dict[str, Any]) -> dict[str, Any]:
    # returns the description of one state, and adds its arrays to `arrays`
    from . import npz

    # reference cells as written are those of their addresses; what wires make of them is not solved again
    kept = {"written": _pack_cells(f"{name}/written", state.as_programmed, arrays)}
    if state.config._wires_once is not None:
        kept["wired"] = _pack_cells(f"{name}/wired", state.as_read, arrays)
        if state.as_read.columns is not None:
            arrays[f"{name}/wired/columns"] = npz.to_numpy(state.as_read.columns.cells)
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


def unpack(chip: Chip, to_backend: ToBackend) -> Chip:
    """Return a chip of NumPy arrays as one of the arrays that `to_backend` makes of them.

    Parameters
    ----------
    chip : Chip
        As `read_file` returns it.
    to_backend : function
        Converts a NumPy array to an array of the backend.
    """
    if chip.programmed is None:
        return chip
    return dataclasses.replace(chip, programmed=_moved(chip.programmed, to_backend))


def _moved(state: Programmed, to_backend: ToBackend) -> Programmed:
    def moved(cells: Cells) -> Cells:
        found = {part: getattr(cells, part) for part in CELL_ARRAYS}
        arrays = {name: to_backend(array) for name, array in found.items() if array is not None}
        columns = None if cells.columns is None else moved(cells.columns)
        return Cells(**cells._asdict() | arrays | {"columns": columns})

    cells, encoded = moved(state.as_programmed), state.encoded
    return dataclasses.replace(
        state,
        encoded=dataclasses.replace(encoded, digits=to_backend(encoded.digits), scales=to_backend(encoded.scales)),
        scales=to_backend(state.scales),
        as_programmed=cells,
        as_read=cells if state.as_read is state.as_programmed else moved(state.as_read),
        faults=None if state.faults is None else to_backend(state.faults),
        fresh=None if state.fresh is None else _moved(state.fresh, to_backend),
    )
