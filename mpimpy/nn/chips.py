"""The cells of a whole model: written on a chip, aged, kept on disk."""

import json
import pathlib
import re
from typing import Any

import torch

from .. import noise
from .._load import load
from ..checks import as_int, fail
from ..config import ARITHMETIC
from ..files.whole import write_whole
from ..operands import edge
from ._data import each_cells
from .finite import check

__all__ = ["at_", "load_chips", "program_", "save_chips"]

_INDEX = "index.json"
_FORMAT = "mpimpy.nn chips"


def program_(model: torch.nn.Module, chip: int | None = None) -> None:
    """Write the weights of a model into its crossbars now, anew: as programmed, on a chip.

    Parameters
    ----------
    model : torch.nn.Module
        With layers on crossbars; see `convert_`.
    chip : int, optional
        Number of the chip of all layers, 0 to 2**20 - 1; by default the one that they are on.

    Raises
    ------
    ValueError
        If the number is out of range, or no layer is on crossbars.

    Examples
    --------
    >>> import mpimpy, mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4)).eval()
    >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0, write_var=0.2))
    >>> y = model(torch.ones(8))
    >>> program_(model, chip=7)
    >>> bool(torch.equal(model(torch.ones(8)), y))
    False
    """
    if chip is not None:
        chip = as_int("chip", chip, 0, noise.MAX_CHIP)
    for cells, weights in each_cells(model):
        cells.chip, cells.age = (cells.chip if chip is None else chip), None
        cells.forget()
        cells.matrix(weights(), traced=False)
    check(model)


def at_(model: torch.nn.Module, t: float | str | None, compensate: bool = False) -> None:
    """Let the cells of a model be as they are at a time after programming.

    Parameters
    ----------
    model : torch.nn.Module
        With layers on crossbars.
    t : float, str or None
        Time since programming: seconds, or text such as "30 d"; None: as programmed.
    compensate : bool
        Multiply the products of every weight matrix by one number; see `mpimpy.CrossbarMatrix.at`.

    Raises
    ------
    ValueError
        If time changes nothing (the engine's device neither drifts nor relaxes), or `t` is out of the range of its
        laws. The model stays as it was.

    Examples
    --------
    >>> from mpimpy import Device, Drift, Engine
    >>> import mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4)).eval()
    >>> _ = ann.convert_(model, Engine(Device(var=0, drift=Drift(0.05)), seed=0))
    >>> at_(model, "30 d", compensate=True)
    """
    every = list(each_cells(model))
    before = [(cells.age, cells._written) for cells, _ in every]
    try:
        for cells, weights in every:
            cells.age = None if t is None else (t, compensate)
            cells.matrix(weights(), traced=False)
        check(model)
    except Exception:
        for (cells, _), (age, written) in zip(every, before, strict=True):
            cells.age, cells._written = age, written
        raise


def _file_of(number: int, name: str) -> str:
    # a name that every file system takes
    return f"{number:04d}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)[:100]}.npz"


def save_chips(model: torch.nn.Module, folder: Any) -> None:
    """Write the cells of a model into a folder: one file for each weight matrix, and an index.

    The files are those of `mpimpy.CrossbarMatrix.save`. The parameters of the model are not in them:
    ``model.state_dict()`` has these.

    Parameters
    ----------
    model : torch.nn.Module
        With layers on crossbars.
    folder : str or path
        It is made, if it is not there.

    Raises
    ------
    OSError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import mpimpy, mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4)).eval()
    >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0, write_var=0.2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_chips(model, folder)
    ...     load_chips(model, folder)
    """
    path = pathlib.Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    for cells, weights in each_cells(model):
        cells.matrix(weights(), traced=False)
    check(model)
    index: dict[str, Any] = {"format": _FORMAT, "arithmetic": ARITHMETIC, "matrices": {}}
    for number, (cells, weights) in enumerate(each_cells(model)):
        file = _file_of(number, cells.name)
        cells.matrix(weights(), traced=False).save(path / file)
        index["matrices"][cells.name] = {"file": file, "reads": cells.reads}
    text = json.dumps(index, indent=1).encode()
    # last: a folder with an index is whole
    write_whole({path / _INDEX: lambda file: file.write(text)})


def load_chips(model: torch.nn.Module, folder: Any) -> None:
    """Give a model the cells that `save_chips` wrote: chip, age and the numbers of reads go on from there.

    Parameters
    ----------
    model : torch.nn.Module
        Converted with the same settings, and with the weights that were written.
    folder : str or path

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If the folder is not of this model: other layers, settings or weights. The model stays as it was.

    Examples
    --------
    >>> import copy, tempfile
    >>> import mpimpy, mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4)).eval()
    >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0, write_var=0.2, var=0))
    >>> ann.program_(model, chip=7)
    >>> other = copy.deepcopy(model)
    >>> ann.program_(other, chip=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_chips(model, folder)
    ...     load_chips(other, folder)
    >>> bool(torch.equal(other(torch.ones(8)), model(torch.ones(8))))
    True
    """
    path = pathlib.Path(folder)
    index = _index(path)
    taken = []
    every = list(each_cells(model))
    names = [cells.name for cells, _ in every]
    if set(names) != set(index):
        odd = ", ".join(map(repr, sorted(set(names) ^ set(index))[:3]))
        fail(ValueError, f"{path}: its weight matrices are not those of the model, which differ in {odd}")
    for cells, weights in every:
        entry, w = index[cells.name], weights()
        matrix: Any = load(path / entry["file"], like=w.new_empty(0), backend=cells.engine.backend)
        where = f"layer {cells.name!r}: {path / entry['file']}"
        try:
            cells.engine.config._check_written_with(matrix.config)
            if matrix.seed != cells.engine._address(cells.name).seed:
                fail(
                    ValueError, "it was written with another seed: give the engine the seed of the model that was saved"
                )
            matrix._check_weights(edge.accept("w", w))
        except ValueError as error:
            fail(ValueError, f"{where}: {error}")
        taken.append((cells, matrix, w, entry))
    for cells, matrix, w, entry in taken:
        age = matrix.age
        cells.chip, cells.reads = matrix.chip, entry["reads"]
        cells.age = None if age is None else (age.time_s, age.compensate)
        cells.keep(matrix, w)


def _index(path: pathlib.Path) -> dict[str, Any]:
    # the entries of the index, checked
    try:
        data = json.loads((path / _INDEX).read_bytes())
    except ValueError as error:
        fail(ValueError, f"{path / _INDEX}: is no index of chips: {error}")
    if not isinstance(data, dict) or data.get("format") != _FORMAT or not isinstance(data.get("matrices"), dict):
        fail(ValueError, f"{path / _INDEX}: is no index of chips that save_chips wrote")
    matrices: dict[str, Any] = data["matrices"]
    for name, entry in matrices.items():
        good = isinstance(entry, dict) and isinstance(entry.get("file"), str) and "/" not in entry["file"]
        if not good:
            fail(ValueError, f"{path / _INDEX}: the entry of {name!r} is damaged")
        entry["reads"] = as_int(f"{path / _INDEX}: reads of {name!r}", entry.get("reads"), 0, noise.MAX_READ)
    return matrices
