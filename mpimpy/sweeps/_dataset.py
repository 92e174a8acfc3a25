"""Results of a sweep as a labelled dataset."""

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np

from .. import __version__
from ..checks import fail, install
from ..config import ARITHMETIC
from ..config._flat import SETTINGS
from ._plain import decoded, shape_of, shown
from ._space import Point, named
from ._store import Record, Run, Store

__all__ = ["dataset", "failures", "need_xarray", "of_points"]

NOT_RUN = "not run"
Key = TypeVar("Key", bound=Hashable)


def need_xarray() -> None:
    """Raise ImportError if xarray is not installed."""
    if find_spec("xarray") is None:
        fail(ImportError, f"sweeps give datasets of xarray, which is not installed: {install('sweep')}")


def of_points(points: Sequence[Point], run: Run, store: Store, errors: str = "record") -> Any:
    """Return the dataset of the points of one run, which are in order.

    Raises
    ------
    ValueError
        If errors is "raise" and a result has another shape than those of other points.
    """
    records = [(place, store.best(point.address)) for place, point in enumerate(points)]
    if errors == "raise":
        for place, message in failures([(place, record) for place, record in records if record is not None]).items():
            where = run.settings | points[place].case.varied
            fail(ValueError, f"at the point {named(where, points[place].chip)}: {message}")
    return dataset(run.space, run.repeats, records, run)


def failures(records: Sequence[tuple[Key, Record]]) -> dict[Key, str]:
    """Return the messages of points that failed, or whose results have another shape than those of most points.

    Parameters
    ----------
    records : sequence of (key, Record)
    """
    found = {key: record.error for key, record in records if record.error is not None}
    shapes = {
        key: {name: shape_of(value) for name, value in _by_name(record).items()}
        for key, record in records
        if record.error is None
    }
    counts: dict[str, Counter[Any]] = {}
    for one in shapes.values():
        for name, shape in one.items():
            counts.setdefault(name, Counter())[shape] += shape is not None
    usual = {name: count.most_common(1)[0][0] for name, count in counts.items()}  # the first of several
    for key, one in shapes.items():
        for name, shape in one.items():
            if shape is None:
                found[key] = f"the workload's {name} holds lists of different lengths: return an array"
            elif shape != usual[name]:
                found[key] = (
                    f"the workload's {name} has the shape {shape} here and {usual[name]} at most points: "
                    "return one shape for all settings"
                )
    return found


def _by_name(record: Record) -> dict[str, Any]:
    return record.result if isinstance(record.result, dict) else {"value": record.result}


def dataset(
    axes: Mapping[str, Sequence[Any]], chips: int, records: Iterable[tuple[int, Record | None]], run: Run
) -> Any:
    """Return the dataset of records by their place in a space.

    Parameters
    ----------
    axes : mapping
        Plain values of each setting.
    chips : int
    records : iterable of (int, Record or None)
        Place in the space, in the order of the axes, chips last.
    run : Run

    Returns
    -------
    xarray.Dataset
    """
    import xarray

    shape = (*(len(values) for values in axes.values()), chips)
    size = int(np.prod(shape, dtype=np.int64))
    errors = [NOT_RUN] * size
    found: dict[str, np.ndarray[Any, Any]] = {}
    done = [(place, record) for place, record in records if record is not None]
    failed = failures(done)
    for place, record in done:
        errors[place] = failed.get(place, "")
        if place in failed:
            continue
        for name, value in _by_name(record).items():
            number = np.asarray(decoded(value), np.float64) if isinstance(value, list) else decoded(value)
            if name not in found:
                found[name] = np.full((size, *np.shape(number)), np.nan)
            found[name][place] = number
    dims = (*axes, "chip")
    variables: dict[str, Any] = {}
    for name, values in found.items():
        inner = tuple(f"{name}_axis{axis}" for axis in range(values.ndim - 1))
        unit = {"units": run.units[name]} if name in run.units else {}
        taken = name in dims or name == "error"
        variables[f"{name}_result" if taken else name] = (dims + inner, values.reshape(*shape, *values.shape[1:]), unit)
    variables["error"] = (
        dims,
        np.array(errors, object).reshape(shape),
        {"long_name": "message of a point that failed"},
    )
    coordinates: dict[str, Any] = {name: (name, *_coordinate(name, values)) for name, values in axes.items()}
    coordinates["chip"] = ("chip", np.arange(chips), {"long_name": "number of the chip"})
    return xarray.Dataset(variables, coordinates, _attributes(run))


def _coordinate(name: str, values: Sequence[Any]) -> tuple[Any, dict[str, str]]:
    # numbers where all values are numbers, else their texts
    _, unit, meaning = SETTINGS.get(name, ("", "", ""))
    attributes = {"long_name": meaning} if meaning else {}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return np.asarray(values), attributes | ({"units": unit} if unit else {})
    return np.array([shown(value) for value in values], object), attributes | ({"units": unit} if unit else {})


def _attributes(run: Run) -> dict[str, Any]:
    # a file of netCDF holds texts and numbers of 64 bits
    return {
        "workload": run.name,
        "identity": run.workload,
        "seed": str(run.seed),
        "settings": json.dumps(run.settings),
        "arithmetic": ARITHMETIC,
        "mpimpy": __version__,
    }
