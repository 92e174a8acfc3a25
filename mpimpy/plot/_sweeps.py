"""Pictures of sweeps: families of curves."""

import itertools
from typing import Any

import numpy as np

from ..checks import check_names, fail
from ._figure import axes
from ._style import COLUMN, label, legend_below, ordered, printed

__all__ = ["sweep"]

MOST = 12  # curves that a picture can show apart
WIDE = 16  # a larger ratio of values is drawn on an axis of logarithms
SHORT = 14  # letters of a name that stands beside the axes
FEW = 6  # values that are the ticks of such an axis
STYLES = ("-", "--", ":", "-.")


@printed
def sweep(found: Any, ax: Any = None, title: str | None = None, *, x: str | None = None, of: str | None = None) -> Any:
    """Draw a result of a sweep over one of its settings: a curve for each combination of the others.

    Curves are means over chips, in a band from the lowest to the highest chip. Points that failed are left out.
    Numbers have colours from dark to bright in their order, and texts have line styles.

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
    if np.isnan(values.values).all():
        fail(ValueError, f"{of} is unknown at all points: there is nothing to draw; of= takes another result")
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
    names = _names(found, varying)
    beside = max(map(len, names.values())) <= SHORT
    ax = axes(ax, (COLUMN, 2.5 if beside else 2.5 + 0.14 * -(-len(names) // 2)))
    at, texts = _positions(found[x])
    looks = _looks(found, varying)
    for index in itertools.product(*(range(values.sizes[name]) for name in others)):
        place = dict(zip(others, index, strict=True))
        chosen = values.isel(place).transpose(..., x).values.reshape(-1, len(at))
        where = tuple(place[name] for name in varying)
        _curve(ax, at, chosen, names[where], looks[where])
    if texts is not None:
        ax.set_xticks(at, texts)
    elif (at > 0).all() and at.max() > WIDE * at.min():
        ax.set_xscale("log")
        if len(at) <= FEW:
            ax.set_xticks(at, [f"{each:g}" for each in at])
            ax.minorticks_off()
    ax.set_xlabel(label(x, found[x].attrs.get("units")))
    ax.set_ylabel(label(str(of), values.attrs.get("units")))
    ax.set_title("" if title is None else title)
    ax.grid(alpha=0.3)
    if varying and beside:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    elif varying:
        legend_below(ax, ncols=2, columnspacing=1.0)
    return ax


def _names(found: Any, varying: list[str]) -> dict[tuple[int, ...], str]:
    # of the curves, by the places of their settings
    places = itertools.product(*(range(found[name].size) for name in varying))
    return {
        index: ", ".join(f"{name}={_text(found[name].values[i])}" for name, i in zip(varying, index, strict=True))
        for index in places
    }


def _looks(found: Any, varying: list[str]) -> dict[tuple[int, ...], dict[str, Any]]:
    # colours by the order of numbers, line styles by texts; without numbers, colours by texts
    ranks = {
        name: np.argsort(np.argsort(found[name].values)) if _is_number(found[name]) else np.arange(found[name].size)
        for name in varying
    }
    numbers = [name for name in varying if _is_number(found[name])] or varying
    texts = [name for name in varying if name not in numbers]

    def rank(names: list[str], index: tuple[int, ...]) -> int:
        place = 0
        for name in names:
            place = place * len(ranks[name]) + int(ranks[name][index[varying.index(name)]])
        return place

    count = int(np.prod([len(ranks[name]) for name in numbers], dtype=np.int64))
    colours = ordered(count) if numbers and _is_number(found[numbers[0]]) else [f"C{i}" for i in range(count)]
    every = itertools.product(*(range(len(ranks[name])) for name in varying))
    return {
        index: {"color": colours[rank(numbers, index)], "linestyle": STYLES[rank(texts, index) % len(STYLES)]}
        for index in every
    }


def _curve(ax: Any, at: Any, chips: Any, name: str, look: dict[str, Any]) -> None:
    # infinite results, such as an SNR without error, have no place in a picture
    chips = np.where(np.isfinite(chips), chips, np.nan)
    there = ~np.isnan(chips).all(axis=0)
    at, chips = at[there], chips[:, there]
    order = np.argsort(at, kind="stable")
    at, chips = at[order], chips[:, order]
    ax.plot(at, np.nanmean(chips, axis=0) if at.size else at, marker="o", markersize=3, label=name, **look)
    if len(chips) > 1 and at.size:
        low, high = np.nanmin(chips, axis=0), np.nanmax(chips, axis=0)
        ax.fill_between(at, low, high, color=look["color"], alpha=0.2, linewidth=0)


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
