"""The unused part of an array with resistive wires: lines of equal cells, in closed form.

Lines of n equal cells, each driven at one end, have the same modes: ``sin(theta_k d)`` at the d-th cell
from the driver, ``theta_k = (2 k - 1) pi / (2 n + 1)``. A mode sees each line as one conductance and each
segment between lines as another, a ladder without branches. The links that such a ladder makes between
the nodes i and j of the next line are the difference of a function of i + j and one of the distance of i
and j. Sums over the modes are rounded once (`math.fsum`), so they depend on no order and no backend.
"""

import functools
import math
from typing import Any

from ..arrays import asarray, namespace

__all__ = ["crossing_start", "start_array", "summed_start"]

Modes = tuple[float, ...]  # a number for each mode
Start = tuple[Modes, Modes, Modes, Modes]  # see `start_array`


def _modes(cells: int) -> list[tuple[float, float]]:
    # of each mode: (curvature along the line, sum over the line)
    angles = [(2 * k - 1) * math.pi / (4 * cells + 2) for k in range(1, cells + 1)]
    return [(4 * math.sin(half) ** 2, 0.5 / math.tan(half)) for half in angles]


def _through_cell(cell: float, segment: float, curvature: float) -> float:
    # a line of equal cells, as a mode sees it from the other side of the cells
    line = segment * curvature
    return cell * line / (cell + line) if cell else 0.0


def _sums(cells: int, values: list[float], table: Any, step: int) -> Modes:
    # for m = 0, 1, ..: 4 / (2 n + 1) times the sum over all modes k of values[k] * table[(2 k - 1) m]
    xp, period = namespace(table), 4 * cells + 2
    modes = 2 * xp.arange(cells, dtype=xp.int64) + 1
    factors = asarray(values) * (4 / (2 * cells + 1))
    return tuple(math.fsum((factors * xp.take(table, modes * m % period, axis=0)).tolist()) for m in range(step))


def _circle(cells: int, function: Any) -> Any:
    return asarray([function(q * math.pi / (2 * cells + 1)) for q in range(4 * cells + 2)])


def _along(cells: int, values: list[float]) -> Modes:
    # links of the nodes d = 1 .. n to something that all cells of the lines feed alike
    return _sums(cells, values, _circle(cells, math.sin), cells + 1)[1:]


def _between(cells: int, values: list[float]) -> Modes:
    # the function whose difference at i + j and |i - j| is a matrix with these modes
    return _sums(cells, values, _circle(cells, lambda angle: math.cos(angle) / 2), 2 * cells + 1)


@functools.lru_cache(maxsize=64)
def summed_start(cells: int, lines: int, first: float, other: float, along: float, across: float) -> Start:
    """Return what `lines` lines of equal cells are to the next one, whose driver's currents are read.

    Parameters
    ----------
    cells : int
        Cells of a line.
    lines : int
        Lines beside the first, the farthest one, whose driver is a source of its own.
    first, other : float
        Conductance of the cells of the first line, and of the others, S.
    along, across : float
        Conductance of a segment of the lines, and of one between neighbouring lines, S.
    """
    links, totals, firsts = [], [], []
    for curvature, summed in _modes(cells):
        seen = _through_cell(first, along, curvature)
        source, passed = seen, across / (across + seen)
        seen, source = seen * passed, source * passed
        for _ in range(lines):
            total = seen + _through_cell(other, along, curvature)
            passed = across / (across + total)
            seen, source = total * passed, source * passed
        links.append(seen)
        totals.append(seen * summed)
        firsts.append(source * summed)
    return _between(cells, links), _along(cells, totals), _along(cells, firsts), ()


@functools.lru_cache(maxsize=64)
def crossing_start(cells: int, lines: int, other: float, along: float, across: float) -> Start:
    """Return what `lines` lines of equal cells, with the outputs behind them, are to the next one.

    Each output is a source of its own; all drivers of the lines are at 0 V. The parameters are those of
    `summed_start`.
    """
    links, totals, outputs = [], [], []
    for curvature, summed in _modes(cells):
        seen = output = across
        for _ in range(lines):
            total = seen + _through_cell(other, along, curvature)
            passed = across / (across + total)
            seen, output = total * passed, output * passed
        links.append(seen)
        totals.append(seen * summed)
        outputs.append(output)
    return _between(cells, links), _along(cells, totals), (), _between(cells, outputs)


def start_array(xp: Any, where: Any, start: Start, sources: list[int] | None = None) -> Any:
    """Return the array with which a backend's `reduce_lines` starts.

    Parameters
    ----------
    xp : namespace
    where : device
    start : tuple
        Links between nodes, by sum and difference; links to all sources; links to one source; links to an output at
        every node, by sum and difference.
    sources : list of int, optional
        Nodes whose outputs are sources; by default there is the one source.
    """
    links, totals, source, outputs = (xp.asarray(part, dtype=xp.float64, device=where) for part in start)
    cells = totals.shape[0]
    node = xp.arange(cells, dtype=xp.int64, device=where)
    table = _by_sum_and_difference(xp, links, node, node, outward=True)
    if sources is None:
        parts = [source[:, None]]
    else:
        parts = [_by_sum_and_difference(xp, outputs, node, xp.asarray(sources, dtype=xp.int64, device=where))]
    return xp.concat([table, totals[:, None], *parts], axis=1)


def _by_sum_and_difference(xp: Any, values: Any, rows: Any, cols: Any, *, outward: bool = False) -> Any:
    # nodes count from 0, their places on the line from 1; links are the negative of a matrix's elements
    total = xp.take(values, xp.reshape(rows[:, None] + cols[None, :] + 2, (-1,)), axis=0)
    apart = xp.take(values, xp.reshape(xp.abs(rows[:, None] - cols[None, :]), (-1,)), axis=0)
    found = total - apart if outward else apart - total
    # what lies below 0 was rounded there
    return xp.clip(xp.reshape(found, (rows.shape[0], cols.shape[0])), 0.0, None)
