"""Stores of sweeps, opened: the dataset of all points, and how far it is."""

import ast
import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from ..checks import fail
from ..config._flat import SETTINGS
from ._dataset import dataset, failures, need_xarray
from ._plain import plain
from ._progress import duration
from ._space import named
from ._store import Record, Run, Store

__all__ = ["Status", "open_sweep", "status"]

RECENT = 100  # points whose times give the rate


def open_sweep(path: str | PathLike[str], *, duplicates: str = "equal") -> Any:
    """Open the store of a sweep, finished or not.

    Parameters
    ----------
    path : path
        The folder that was the sweep's ``store``.
    duplicates : str
        As for `mpimpy.sweep`.

    Returns
    -------
    xarray.Dataset
        All points of the workload and seed of the latest run. Its dimensions are the settings that varied in any of
        its runs. Points that no run has finished have NaN, and the error "not run". ``to_netcdf``, ``to_zarr`` and
        ``to_dataframe`` export it.

    Raises
    ------
    OSError, ValueError
        If the folder holds no sweep; if a point has two results.
    ImportError
        If xarray is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import mpimpy
    >>> folder = tempfile.mkdtemp()
    >>> product = mpimpy.workloads.product(np.eye(8), np.eye(8))
    >>> found = mpimpy.sweep(product, {"radc": [64, 256]}, store=folder, progress=False)
    >>> mpimpy.open_sweep(folder).equals(found)
    True
    """
    need_xarray()
    store = Store(path, duplicates).open()
    runs = _latest(store)
    axes, chips = _union(runs), max(run.repeats for run in runs)
    records = _placed(store, runs, axes, chips)
    settings = {name: value for name, value in runs[-1].settings.items() if name not in axes}
    return dataset(axes, chips, records.items(), runs[-1]._replace(settings=settings))


def _latest(store: Store) -> list[Run]:
    # the runs of the latest one's workload and seed, in order of time
    if not store.runs and (store.torn or store.lost):
        fail(
            ValueError,
            f"{store.path} is damaged: {store.torn} lines are not as they were written (were the files copied as "
            f"text?), and {store.lost} points have lost the first line of their file. Take a copy that is whole, or "
            "run the sweep again, which computes what is not there",
        )
    if not store.runs:
        fail(ValueError, f"{store.path} holds no run of a sweep yet")
    runs = sorted(store.runs, key=lambda run: run.at)
    return [run for run in runs if run.identity == runs[-1].identity]


def _default(name: str) -> Any:
    text = SETTINGS[name][0] if name in SETTINGS else {"gradient": "straight"}.get(name, "None")
    try:
        return plain(name, ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


def _value(name: str, given: Mapping[str, Any]) -> Any:
    return given[name] if name in given else _default(name)


def _union(runs: Sequence[Run]) -> dict[str, list[Any]]:
    # values of every setting that varies within a run or between them
    names = list(dict.fromkeys(name for run in runs for name in run.space))
    fixed = dict.fromkeys(name for run in runs for name in run.settings if name not in names)
    for name in fixed:
        if any(_value(name, run.settings) != _value(name, runs[0].settings) for run in runs):
            names.append(name)
    axes: dict[str, list[Any]] = {}
    for name in names:
        lists = [run.space[name] if name in run.space else [_value(name, run.settings)] for run in runs]
        values: list[Any] = []
        for one in lists:
            values += [value for value in one if not _among(value, values)]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        grown = any(one != lists[0] for one in lists)
        axes[name] = sorted(values) if numbers and grown else values
    return axes


def _among(value: Any, values: Sequence[Any]) -> bool:
    # True == 1, and they are two settings
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in values)


def _key(value: Any) -> str:
    return repr(value) if not isinstance(value, float) or not value.is_integer() else repr(int(value))


def _placed(store: Store, runs: Sequence[Run], axes: Mapping[str, Sequence[Any]], chips: int) -> dict[int, Record]:
    # the record of each place in the space
    indices = {name: {_key(value): index for index, value in enumerate(values)} for name, values in axes.items()}
    found: dict[int, Record] = {}
    own, constant = runs[-1].identity, {id(run): {name: _value(name, run.settings) for name in axes} for run in runs}
    for address, records in store.records.items():
        best = store.best(address)
        for record in records:
            if record.run is None or record.run.identity != own or best is None:
                continue
            fixed, place = constant[id(record.run)], 0
            for name, by_value in indices.items():
                value = record.varied[name] if name in record.varied else fixed[name]
                place = place * len(by_value) + by_value[_key(value)]
            place = place * chips + record.chip
            if place not in found or found[place].error is not None:
                found[place] = best
    return found


@dataclass(frozen=True)
class Status:
    """State of a store; its text has a line for each.

    Attributes
    ----------
    path, workload : str
    seed : int
    total, done, failed : int
        Points of the space, of those with a result, and of those that failed.
    rate : float
        Points a second of the last 100, up to now; 0 if there are none.
    torn : int
        Lines that were dropped.
    lost : int
        Points that are not shown, since the first line of their file is not there; the same sweep finds them.
    errors : list of str
        A few messages, with their points.
    """

    path: str
    workload: str
    seed: int
    total: int
    done: int
    failed: int
    rate: float
    torn: int
    lost: int
    errors: list[str]

    @property
    def left_s(self) -> float:
        """Time until all points have been run, s; 0 if they have."""
        left = self.total - self.done - self.failed
        return 0.0 if not left else left / self.rate if self.rate else math.inf

    def __str__(self) -> str:
        left = self.total - self.done - self.failed
        lines = [
            f"workload  {self.workload}, seed {self.seed}",
            f"points    {self.total}: {self.done} done, {self.failed} failed, {left} to do",
            f"rate      {self.rate:.3g} points/s, the last {RECENT} up to now",
            f"left      {duration(self.left_s)}",
        ]
        lines += [f"torn      {self.torn} lines, dropped"] if self.torn else []
        lines += [f"lost      {self.lost} points, without the first line of their file"] if self.lost else []
        return "\n".join(lines + [f"failed    {text}" for text in self.errors])


def status(path: str | PathLike[str], *, duplicates: str = "equal", errors: int = 5) -> Status:
    """Return the state of a store, whether sweeps run on it or not.

    Parameters
    ----------
    path : path
    duplicates : str
        As for `mpimpy.sweep`.
    errors : int
        Messages to show at most.
    """
    store = Store(path, duplicates).open()
    runs = _latest(store)
    places = _planned(runs)
    axes, chips = _union(runs), max(run.repeats for run in runs)
    records = _placed(store, runs, axes, chips)
    failed = failures(list(records.items()))
    times = sorted(record.at for record in records.values())[-RECENT:]
    rate = len(times) / max(time.time() - times[0], 1e-3) if times else 0.0
    shown = [
        f"{named(records[place].varied, records[place].chip)}: {_first_line(text)}"
        for place, text in itertools.islice(failed.items(), errors)
    ]
    done = len(records) - len(failed)
    identity = runs[-1]
    return Status(
        str(path), identity.name, identity.seed, places, done, len(failed), rate, store.torn, store.lost, shown
    )


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _planned(runs: Sequence[Run]) -> int:
    # points of all runs together
    axes = _union(runs)
    seen: list[tuple[dict[str, list[Any]], int]] = []
    for run in runs:
        own = {name: run.space[name] if name in run.space else [_value(name, run.settings)] for name in axes}
        if (own, run.repeats) not in seen:
            seen.append((own, run.repeats))
    if len(seen) == 1:
        return math.prod(len(values) for values in seen[0][0].values()) * seen[0][1]
    places: set[tuple[Any, ...]] = set()
    for own, repeats in seen:
        for texts in itertools.product(*([_key(value) for value in values] for values in own.values())):
            places.update((*texts, chip) for chip in range(repeats))
    return len(places)
