"""Currents that stand for those of a product, for ADC ranges from data.

A sample of outputs is taken with all the currents that make each of them, so that errors can be added up as the product
adds them. Outputs are sampled in proportion to what they may contribute to the error: rows and columns of large scales
are few, and decide. Beside each current stands one that another input row might give: a few rows do not show how far
currents reach.
"""

import functools
import itertools
import math
import statistics
from collections.abc import Iterator
from typing import Any, NamedTuple

from .. import arrays, noise
from ..arrays import namespace
from ..config import Config
from ..converters import conversions, digit_bounds
from ..crossbar.currents import Driven, drive
from ..crossbar.programmed import Programmed
from ..operands import encoding
from ..operands.encoding import Encoded

__all__ = ["Sample", "on_host", "samples"]

SAMPLES = 1 << 15  # outputs whose currents are used, over all tiles and planes
EVEN = 0.2  # part of a sample that goes to all outputs alike, whatever their scales
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, less their whole parts, lie evenly between 0 and 1
QUANTILES = 4096

Table = tuple[tuple[Any, ...], ...]


class Sample(NamedTuple):
    """Currents of some outputs of some tiles: float64 arrays of NumPy, shape (n,).

    Attributes
    ----------
    currents : tuple of tuples of arrays
        ``currents[j][i]``, of weight slice j and input slice i, least significant first.
    others : tuple of tuples of arrays
        Currents that other input rows might give in their place.
    scales : array
        Scale of each current's tile in its output.
    share : array
        Number of outputs of its tile that each current stands for.
    chance : array
        Weight of the other currents, where those that were seen have 1: one over the number of rows that decide.
    ends : int64 array, shape (parts,)
        Where each part of the product ends among them: a tile, and a plane of either operand.
    outputs : int
        Outputs of the product.
    """

    currents: Table
    others: Table
    scales: Any
    share: Any
    chance: Any
    ends: Any
    outputs: int


class _Part(NamedTuple):
    # a tile, and a plane of either operand; scales of its rows and columns; rows, columns and shares of its outputs
    tile: int
    w_plane: int
    x_plane: int
    x_scales: Any
    w_scales: Any
    rows: Any
    columns: Any
    share: Any


def on_host(array: Any) -> Any:
    """Return an array of any library, wherever it lies, as NumPy's."""
    return arrays.to_numpy(array.cpu() if hasattr(array, "cpu") else array)


def _likely(xp: Any, scales: Any, even: float = EVEN) -> Any:
    # probability of rows or columns: what they may contribute to a squared error, and a little for each
    squares = scales**2
    total, size = float(xp.sum(squares)), scales.shape[0]
    return (1 - even) * squares / total + even / size if total > 0 else xp.full_like(scales, 1 / size)


def _pick(xp: Any, likely: Any, places: Any) -> Any:
    # the elements at places from 0 to 1 along the sum of their probabilities
    sums = xp.cumulative_sum(likely)
    return xp.clip(xp.searchsorted(sums, places * float(sums[-1]), side="right"), None, likely.shape[0] - 1)


def _outputs(xp: Any, x_scales: Any, w_scales: Any, count: int) -> tuple[Any, Any, Any]:
    # (rows, columns, shares) of about `count` outputs of a tile, spread evenly over the sum of their likely errors
    height, width = x_scales.shape[0], w_scales.shape[0]
    if count >= height * width:
        return _each(xp, height, width, 1)
    place = xp.arange(count, dtype=xp.float64)
    of_rows, of_columns = _likely(xp, x_scales), _likely(xp, w_scales)
    rows, columns = _pick(xp, of_rows, (place + 0.5) / count), _pick(xp, of_columns, place * GOLDEN % 1.0)
    return rows, columns, 1 / (count * xp.take(of_rows, rows) * xp.take(of_columns, columns))


def _each(xp: Any, height: int, width: int, step: int) -> tuple[Any, Any, Any]:
    # every step-th output
    index = xp.arange(0, height * width, step, dtype=xp.int64)
    return index // width, index % width, xp.full(index.shape, float(step), dtype=xp.float64)


def _parts(x_scales: Any, w_scales: Any, even: bool) -> Iterator[_Part]:
    xp = namespace(x_scales)
    (x_planes, height, tiles), (w_planes, _, width) = x_scales.shape, w_scales.shape
    found = list(itertools.product(range(tiles), range(w_planes), range(x_planes)))
    step = max(1, -(-len(found) * height * width // (2 * SAMPLES)))
    while step > 1 and (step % 2 == 0 or width % step == 0):
        step += 1  # a step that shares a factor with the columns would use some of them only
    likely = _likely(xp, xp.asarray([_size(x_scales[i, :, t]) * _size(w_scales[j, t, :]) for t, j, i in found]))
    for (t, j, i), part in zip(found, likely.tolist(), strict=True):
        x, w = x_scales[i, :, t], w_scales[j, t, :]
        chosen = _each(xp, height, width, step) if even else _outputs(xp, x, w, max(1, round(SAMPLES * part)))
        yield _Part(t, j, i, x, w, *chosen)


def _size(scales: Any) -> float:
    return math.sqrt(float(namespace(scales).sum(scales**2)))


@functools.cache
def _quantiles() -> list[float]:
    # of the normal distribution
    normal = statistics.NormalDist()
    return [normal.inv_cdf((k + 0.5) / QUANTILES) for k in range(QUANTILES)]


def _normal(xp: Any, shape: tuple[int, int, int]) -> Any:
    # draws from a normal distribution, whatever the seed of the engine: what is chosen does not depend on it
    address = noise.Address(noise.derive(0, "calibration"), 0, 0, noise.READ)
    words = noise.words(xp, address, 0, (shape[0], shape[1] * shape[2]))
    index = xp.reshape(words * QUANTILES // noise.TABLE_SIZE, (-1,))
    return xp.reshape(xp.take(xp.asarray(_quantiles()), index), shape)


def _currents(xp: Any, driven: Driven, part: _Part) -> tuple[Any, Any, float]:
    # currents of a part's outputs and how far other rows may give others, (outputs, j, i); the rows that decide
    x_slices, w_slices = driven.slices
    span, first = driven.rows_of(part.tile), part.x_plane * x_slices
    strides = xp.asarray(driven.plan.reading.strides, dtype=xp.float64)
    codes = xp.astype(driven.digits[first : first + x_slices, :, span], xp.float64) * strides[:, None, None]
    rows = _likely(xp, part.x_scales, 0.0)
    decide = 1 / float(xp.sum(rows**2))
    # inputs of a row vary on their own, as they did over the rows; over few rows a little more than was seen
    mean, square = (xp.sum(power * rows[None, :, None], axis=1) for power in (codes, codes**2))
    pooled = xp.mean(square, axis=1) - xp.mean(mean, axis=1) ** 2
    variance = xp.clip(square - mean**2, 0.0, None) + xp.clip(pooled, 0.0, None)[:, None] / decide
    each = xp.take(xp.asarray(xp.permute_dims(codes, (1, 2, 0)), copy=True), part.rows, axis=0)
    found, spread = [], []
    step = x_slices if len(driven.grids) == 1 else 1  # input slices that meet the same grid
    for i in range(0, x_slices, step):
        grid = driven.grid(first + i)[part.w_plane * w_slices : (part.w_plane + 1) * w_slices, span, :]
        cells = xp.astype(grid, xp.float64)
        columns = xp.take(xp.asarray(xp.permute_dims(cells, (2, 0, 1)), copy=True), part.columns, axis=0)
        found.append(xp.matmul(columns, each[:, :, i : i + step]))
        spread.append(xp.matmul(variance[None, i : i + step, :], cells**2))  # (j, i, N)
    reach = xp.permute_dims(xp.sqrt(xp.concat(spread, axis=1)), (2, 0, 1))
    return xp.concat(found, axis=2), xp.take(reach, part.columns, axis=0), decide


def samples(backend: Any, programmed: Programmed, inputs: Encoded, read: int, *, even: bool = False) -> Sample:
    """Return currents of every pair of slices, about `SAMPLES` of each.

    Parameters
    ----------
    backend, programmed, inputs, read
        As for `mpimpy.crossbar.product.product`.
    even : bool
        Whether all outputs are as likely to be taken, whatever their scales; twice as many are.
    """
    config = programmed.config
    driven = drive(backend, programmed, inputs, read)
    driven = driven._replace(digits=on_host(driven.digits), grids=tuple(map(on_host, driven.grids)))
    x_scales = on_host(encoding.input_scales(inputs, config.tile.rows))  # (planes, rows, tiles)
    w_scales = on_host(programmed.scales)  # (planes, tiles, columns)
    xp = namespace(x_scales)
    # only their ratios count
    x_scales, w_scales = (scales / max(float(xp.max(scales)), 1e-300) for scales in (x_scales, w_scales))
    found: list[tuple[Any, ...]] = []
    for part in _parts(x_scales, w_scales, even):
        current, reach, decide = _currents(xp, driven, part)
        scales = xp.take(part.x_scales, part.rows) * xp.take(part.w_scales, part.columns)
        span = driven.rows_of(part.tile)
        depth = xp.full(scales.shape, float(span.stop - span.start), dtype=xp.float64)
        found.append((current, reach, scales, part.share, xp.full_like(scales, decide), depth))
    ends = list(itertools.accumulate(one[2].shape[0] for one in found))
    current, reach, scales, share, decide, depth = (xp.concat(each, axis=0) for each in zip(*found, strict=True))
    others = _others(xp, driven, config, (current, reach, decide, depth))
    return Sample(
        _table(current),
        _table(others),
        scales,
        share,
        1 / decide,
        xp.asarray(ends, dtype=xp.int64),
        x_scales.shape[1] * w_scales.shape[2],
    )


def _table(pairs: Any) -> Table:
    # arrays of each pair, from (outputs, j, i)
    return tuple(tuple(pairs[:, j, i] for i in range(pairs.shape[2])) for j in range(pairs.shape[1]))


def _others(xp: Any, driven: Driven, config: Config, seen: tuple[Any, Any, Any, Any]) -> Any:
    # currents as far from those seen as other rows may be, by whole products of digits, and none that cells cannot give
    current, reach, decide, depth = seen
    normal = _normal(xp, current.shape)
    # of few rows, Student's t instead: its expansion in one over the degrees of freedom (Cornish and Fisher)
    freedom = (decide + 2.0)[:, None, None]
    change = (normal + (normal**3 + normal) / (4 * freedom)) * reach
    quanta, lows, tops = (xp.asarray(table)[None, :, :] for table in _quanta(driven, config))
    moved = current + xp.round(change / quanta) * quanta
    depth = depth[:, None, None]
    return xp.clip(moved, xp.minimum(lows * depth, current), xp.maximum(tops * depth, current))


def _quanta(driven: Driven, config: Config) -> tuple[list[list[float]], ...]:
    # for each pair, the current of one product of digits, and the lowest and the highest of one cell
    unit, seen = float(driven.plan.cell_format.current_unit), conversions(config)
    rows = list(zip(driven.plan.cell_format.strides, digit_bounds(config.weights), strict=True))
    columns = list(zip(seen.strides, seen.ends, strict=True))
    quanta = [[u * v * unit for u, _ in columns] for v, _ in rows]
    ends = [[[a * b * u * v * unit for a in x for b in w] for u, x in columns] for v, w in rows]
    return quanta, [[min(pair) for pair in row] for row in ends], [[max(pair) for pair in row] for row in ends]
