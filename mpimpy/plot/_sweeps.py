"""Pictures of sweeps: families of curves."""

import itertools
from typing import Any

import numpy as np

from ..checks import check_names, fail
from ._figure import axes

__all__ = ["sweep"]

MOST = 12  # curves that a picture can show apart
WIDE = 16  # a larger ratio of values is drawn on an axis of logarithms


def sweep(found: Any, ax: Any = None, title: str | None = None, *, x: str | None = None, of: str | None = None) -> Any:
    """Draw a result of a sweep over one of its settings: a curve for each combination of the others.

    Curves are means over chips, in a band from the lowest to the highest chip. Points that failed are left out.

    Parameters
    ----------
    found : xarray.Dataset
        From `mpimpy.sweep` or `mpimpy.open_sweep`, or a part of it, such as ``found.sel(var=0.05)``.
    ax : Axes, optional
    title : str, optional
    x : str, optional
        Setting along the axis; by default the one of most values, numbers before texts.
    of : str, optional
        Result to draw; by default the first.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If there is no such setting or result: the message names the nearest.
    ValueError
        If there are no results, or more than 12 curves.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import plot, sweep, workloads
    >>> product = workloads.product(np.eye(8), np.eye(8))
    >>> found = sweep(product, {"radc": [64, 256], "var": [0.0, 0.1]}, progress=False)
    >>> plot.sweep(found).get_xlabel()  # doctest: +SKIP
    'radc (codes)'
    """
    results = [name for name, values in found.data_vars.items() if name != "error" and _is_curve(values)]
    if not results:
        fail(ValueError, "the sweep has no results to draw: no point is done, or its results are arrays")
    of = results[0] if of is None else of
    check_names([of], results, "result")
    values = found[of]
    settings = [name for name in values.dims if name != "chip"]
    if not settings:
        fail(ValueError, "the sweep has no settings that vary: there is nothing to draw a curve over")
    x = (
        max(settings, key=lambda name: (values.sizes[name] > 1, _is_number(found[name]), values.sizes[name]))
        if (x is None)
        else x
    )
    check_names([x], settings, "setting")
    others = [name for name in settings if name != x]
    varying = [name for name in others if values.sizes[name] > 1]
    number = int(np.prod([values.sizes[name] for name in varying], dtype=np.int64))
    if number > MOST:
        first = varying[-1]
        fail(
            ValueError,
            f"the sweep has {number} curves over {x}, and a picture shows {MOST} at most: choose one value of "
            f"{' or '.join(varying)}, such as found.sel({first}={found[first].values[0]!r})",
        )
    ax = axes(ax, (6.0, 4.5))
    at, texts = _positions(found[x])
    for index in itertools.product(*(range(values.sizes[name]) for name in others)):
        chosen = values.isel(dict(zip(others, index, strict=True)))
        label = ", ".join(
            f"{name}={_text(found[name].values[i])}" for name, i in zip(others, index, strict=True) if name in varying
        )
        _curve(ax, at, chosen.transpose(..., x).values.reshape(-1, len(at)), label)
    if texts is not None:
        ax.set_xticks(at, texts)
    elif (at > 0).all() and at.max() > WIDE * at.min():
        ax.set_xscale("log")
    ax.set_xlabel(_named(x, found[x]))
    ax.set_ylabel(_named(str(of), values))
    ax.set_title("" if title is None else title)
    ax.grid(alpha=0.3)
    if varying:
        ax.legend(fontsize="small", frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _curve(ax: Any, at: Any, chips: Any, label: str) -> None:
    # infinite results, such as an SNR without error, have no place in a picture
    chips = np.where(np.isfinite(chips), chips, np.nan)
    there = ~np.isnan(chips).all(axis=0)
    at, chips = at[there], chips[:, there]
    order = np.argsort(at, kind="stable")
    at, chips = at[order], chips[:, order]
    (line,) = ax.plot(at, np.nanmean(chips, axis=0) if at.size else at, marker="o", markersize=4, label=label)
    if len(chips) > 1 and at.size:
        ax.fill_between(at, np.nanmin(chips, axis=0), np.nanmax(chips, axis=0), color=line.get_color(), alpha=0.2)


def _is_curve(values: Any) -> bool:
    return values.dtype.kind == "f" and not any(str(name).endswith(f"_axis{i}") for i, name in enumerate(values.dims))


def _is_number(coordinate: Any) -> bool:
    return coordinate.dtype.kind in "iuf"


def _positions(coordinate: Any) -> tuple[Any, list[str] | None]:
    # places along the axis; of texts, their order
    if _is_number(coordinate):
        return np.asarray(coordinate.values, float), None
    return np.arange(coordinate.size, dtype=float), [_text(value) for value in coordinate.values]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _named(name: str, values: Any) -> str:
    unit = values.attrs.get("units")
    return f"{name} ({unit})" if unit and unit != "1" else name
