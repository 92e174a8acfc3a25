"""The resistor network of a tile as its drivers see it: conductances between any two of them.

Nodes are eliminated as `_ladder.reduce_lines` does it, and what links two drivers is kept: a node of total conductance
1 / e adds ``(c_ip * e) * c_kp`` between the drivers i and k < i. So no number is below 0, and none is subtracted. What
links drivers to the outputs is the transfer matrix.
"""

from collections.abc import Callable
from typing import Any

from array_api_compat import array_namespace, device

from ._ladder import _after_elimination, _eliminate, _links, quotient, segment, total

__all__ = ["driver_links"]


def _between(shares: Any, own: Any) -> Any:
    # what nodes link: (..., drivers) twice, to (..., drivers, drivers)
    return shares[..., :, None] * own[..., None, :]


def join_drivers(g: Any, gw: float, gb: float) -> Any:
    """Return the links between drivers of tiles with resistance on both kinds of line.

    Parameters
    ----------
    g : float64 array, shape (batch, rows, cols)
    gw, gb : float
        Conductance of a segment of word line, of bit line; finite.

    Returns
    -------
    float64 array, shape (batch, rows, rows)
        What is on the diagonal, or right of it, means nothing.
    """
    xp = array_namespace(g)
    batch, rows, cols = g.shape
    index = xp.arange(cols, dtype=xp.int64, device=device(g))
    links = xp.zeros((batch, cols, cols), dtype=xp.float64, device=device(g))
    # to all drivers together, and to each of them
    sources = xp.zeros((batch, cols, rows + 1), dtype=xp.float64, device=device(g))
    found = xp.zeros((batch, rows, rows), dtype=xp.float64, device=device(g))
    place = xp.arange(rows + 1, dtype=xp.int64, device=device(g))
    for i in range(rows):
        new, driven = _links(xp, g[:, i, :], gw)
        links = links + new
        sources = sources + xp.where((place == 0) | (place == i + 1), driven[:, :, None], xp.zeros_like(sources))
        for p in range(cols):
            own = sources[:, p, :]
            share, down, inverse, links = _eliminate(xp, links, index, p, sources[:, :, 0], gb)
            sources = _after_elimination(xp, sources, index, p, share, down)
            found = found + _between(own[:, 1:] * inverse, own[:, 1:])
    return found


def _by_columns(g: Any, gb: float) -> Any:
    # word lines without resistance: bit lines know nothing of one another
    xp = array_namespace(g)
    batch, rows, cols = g.shape
    place = xp.arange(rows, dtype=xp.int64, device=device(g))
    own = xp.zeros((batch, cols, rows), dtype=xp.float64, device=device(g))
    above, found = xp.zeros_like(g[:, 0, :]), xp.zeros((batch, rows, rows), dtype=xp.float64, device=device(g))
    for i in range(rows):
        cell = g[:, i, :]
        own = xp.where(place == i, cell[:, :, None], own)
        here = above + cell
        inverse, passed = quotient(1.0, gb + here), quotient(gb, gb + here)
        joined = _between(own * inverse[:, :, None], own)
        found = found + total(xp, xp.permute_dims(joined, (0, 2, 3, 1)))
        own, above = own * passed[:, :, None], here * passed
    return found


def driver_links(
    conductance: Any, r_word: float, r_bit: float, join: Callable[[Any, float, float], Any] = join_drivers
) -> Any:
    """Return the conductances between the drivers of tiles with wire resistance.

    Parameters
    ----------
    conductance : float64 array, shape (batch, rows, cols)
        Of the cells, at least 0.
    r_word, r_bit : float
        Resistance of a segment of word line, of bit line, at least 0.
    join : function, optional
        A backend's links of tiles with resistance on both kinds of line: ``join(g, gw, gb)``.

    Returns
    -------
    float64 array, shape (batch, rows, rows)
        Between the drivers of rows i and k < i at [i, k]; 0 elsewhere.
    """
    xp, gw, gb = array_namespace(conductance), segment(r_word), segment(r_bit)
    batch, rows, _ = conductance.shape
    zeros = xp.zeros((batch, rows, rows), dtype=xp.float64, device=device(conductance))
    if gb == float("inf"):
        return zeros
    found = _by_columns(conductance, gb) if gw == float("inf") else join(conductance, gw, gb)
    place = xp.arange(rows, dtype=xp.int64, device=device(conductance))
    return xp.where(place[:, None] > place, found, zeros)
