"""Results of a sweep as a labelled dataset."""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from .. import __version__
from ..checks import fail
from ..config import ARITHMETIC
from ..config._flat import SETTINGS
from ._plain import decoded, shown
from ._space import Point
from ._store import Record, Run, Store

__all__ = ["dataset", "need_xarray", "of_points"]

NOT_RUN = "not run"


def need_xarray() -> None:
    """Raise ImportError if xarray is not installed."""
    if find_spec("xarray") is None:
        fail(ImportError, 'sweeps give datasets of xarray, which is not installed: pip install "mpimpy[sweep]"')


def of_points(points: Sequence[Point], run: Run, store: Store) -> Any:
    """Return the dataset of the points of one run, which are in order."""
    records = [store.best(point.address) for point in points]
    return dataset(run.space, run.repeats, enumerate(records), run)


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

    Raises
    ------
    ValueError
        If results of one name have different shapes.
    """
    import xarray

    shape = (*(len(values) for values in axes.values()), chips)
    size = int(np.prod(shape, dtype=np.int64))
    errors = [NOT_RUN] * size
    found: dict[str, np.ndarray[Any, Any]] = {}
    for place, record in records:
        if record is None:
            continue
        errors[place] = record.error or ""
        if record.error is not None:
            continue
        results = record.result if isinstance(record.result, dict) else {"value": record.result}
        for name, value in results.items():
            number = np.asarray(decoded(value), np.float64) if isinstance(value, list) else decoded(value)
            if name not in found:
                found[name] = np.full((size, *np.shape(number)), np.nan)
            if np.shape(number) != found[name].shape[1:]:
                fail(
                    ValueError,
                    f"the workload's {name} has the shape {np.shape(number)} at some points and "
                    f"{found[name].shape[1:]} at others: return one shape for all settings",
                )
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
