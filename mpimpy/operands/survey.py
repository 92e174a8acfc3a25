"""Surveys: statistics of the blocks of a whole operand, measured part by part and put together."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from .._integers import ceil_div
from ..arrays import asarray, device_of, is_numpy, namespace
from ..checks import fail
from ..config import Format
from . import encoding
from .powers import power_in_halves
from .region import Rectangle, Region
from .statistics import BlockStatistics, block_means, fixed_point

__all__ = ["Survey", "SurveyOf", "measure_part", "part_statistics", "runs", "shown_rectangle"]


@dataclass(frozen=True)
class SurveyOf:
    """The operand that a survey is of, and what its scales depend on.

    Attributes
    ----------
    operand : str
        "weights" or "inputs".
    shape : (int, int)
        Of the whole operand: (K, N) or (M, K). Of complex ones (K, 2 N) or (2 M, K), real parts and imaginary parts.
    format : Format
    rows : int
        Rows of a tile.
    """

    operand: str
    shape: tuple[int, int]
    format: Format
    rows: int

    @property
    def block(self) -> tuple[int, int]:
        """Block that shares a scale, in the whole operand."""
        return encoding.block_shape(self.format, self.shape, self.rows, weight=self.operand == "weights")

    @property
    def rounds(self) -> int:
        """Rounds of measuring: 3 of a double exponent, else 1."""
        return 3 if self.format.double else 1

    def __str__(self) -> str:
        return f"{self.operand} of shape {self.shape} in {self.format} on tiles of {self.rows} rows"


def shown_rectangle(rectangle: Rectangle) -> str:
    """Return the rows and columns of a rectangle in words."""
    (top, bottom), (left, right) = rectangle
    return f"rows {top} to {bottom} and columns {left} to {right}"


def _around(rectangle: Rectangle, block: tuple[int, int]) -> Rectangle:
    # the blocks that a rectangle of elements touches, as a rectangle of blocks
    (top, bottom), (left, right) = rectangle
    return (top // block[0], ceil_div(bottom, block[0])), (left // block[1], ceil_div(right, block[1]))


@dataclass(frozen=True, eq=False, repr=False)
class Survey:
    """Statistics of the blocks of a whole operand that are known from some of its parts.

    `mpimpy.Engine.survey_weights` and `survey_inputs` measure parts; ``|`` puts surveys together, in any order and
    grouping, to the same survey. ``engine.program(part, survey=)`` and ``W.read(part, survey=)`` then encode a part
    with the scales of the whole. A survey is small, two or three numbers for each block, can be pickled and lies in
    the host's memory whatever the library of the parts.

    The scales of a double exponent follow from three rounds, as each needs what the round before found of the whole:
    the maxima; sums of magnitudes, in fixed point, which make the mean; maxima of what is not above it. Maxima may be
    of parts that overlap. Sums would count elements twice, and are refused then.

    Attributes
    ----------
    of : SurveyOf
        The operand.
    region : Region
        Elements that this round has measured.
    round : int
        Number of the round, from 1.
    settled : bool
        Whether no round is left. Else survey all parts once more, with ``after=`` this.
    complete : bool
        Whether all elements have been measured in this round.

    Examples
    --------
    >>> import functools, operator
    >>> import numpy as np
    >>> from mpimpy import Engine, Format
    >>> w = np.arange(1.0, 513).reshape(256, 2)
    >>> engine = Engine(weights=Format(granularity="per-matrix"), seed=1)
    >>> parts = [(w[k : k + 64], (k, 0)) for k in range(0, 256, 64)]
    >>> found = None
    >>> while found is None or not found.settled:
    ...     some = [engine.survey_weights(part, origin=at, shape=w.shape, after=found) for part, at in parts]
    ...     found = functools.reduce(operator.or_, some)
    >>> codes = [engine.program(part, origin=at, survey=found).codes() for part, at in parts]
    >>> bool(np.array_equal(np.concatenate(codes), engine.program(w).codes()))
    True
    """

    of: SurveyOf
    region: Region = field(default_factory=Region)
    round: int = 1
    # of the blocks that the region touches, NumPy arrays: maxima, sums, maxima below the mean
    _maximum: Any = field(default=None)
    _sums: Any = field(default=None)
    _below: Any = field(default=None)

    @property
    def settled(self) -> bool:
        """Whether no round is left."""
        return self.round == self.of.rounds

    @property
    def complete(self) -> bool:
        """Whether all elements have been measured in this round."""
        rows, cols = self.of.shape
        return self.region.missing(((0, rows), (0, cols))) is None

    @property
    def blocks(self) -> Rectangle:
        """Blocks that the arrays of the survey are of, by number; see `region`."""
        return _around(self.region.bounds, self.of.block) if self.region.slabs else ((0, 0), (0, 0))

    def __or__(self, other: "Survey") -> "Survey":
        if not isinstance(other, Survey):
            return NotImplemented
        if self.of != other.of:
            fail(ValueError, f"surveys of two operands do not add up: {self.of}, and {other.of}")
        if self.round != other.round:
            msg = f"surveys of rounds {self.round} and {other.round} do not add up"
            fail(ValueError, f"{msg}: survey all parts with the same after=")
        if not other.region.slabs or not self.region.slabs:
            return self if self.region.slabs else other
        if self.round == 2 and self.region.meets(other.region):
            mine, others = self.region.bounds, other.region.bounds
            msg = f"parts within {shown_rectangle(mine)} and within {shown_rectangle(others)} overlap"
            fail(ValueError, f"{msg}: sums of a double exponent would count elements twice; survey each element once")
        region = self.region | other.region
        whole = Survey(self.of, region, self.round)
        xp = namespace(self._maximum)
        if self.round > 1:
            _check_same(self._maximum, other._maximum, self.blocks, other.blocks)
        merged = {"_maximum": xp.maximum(*_spread(self, other, "_maximum", whole.blocks))}
        if self.round > 1:
            add = xp.add if self.round == 2 else xp.maximum
            merged["_sums"] = add(*_spread(self, other, "_sums", whole.blocks))
        if self.round > 2:
            merged["_below"] = xp.maximum(*_spread(self, other, "_below", whole.blocks))
        return replace(whole, **merged)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Survey):
            return NotImplemented
        if (self.of, self.region, self.round) != (other.of, other.region, other.round):
            return False
        pairs = [(getattr(self, name), getattr(other, name)) for name in ("_maximum", "_sums", "_below")]
        return all((a is None and b is None) or bool((a == b).all()) for a, b in pairs)

    def __repr__(self) -> str:
        known = "all of it" if self.complete else "some of it"
        return f"<Survey of {self.of}: {known}, round {self.round} of {self.of.rounds}>"

    def _check_covers(self, rectangle: Rectangle, use: str) -> None:
        """Raise ValueError unless all blocks that a part touches have been measured.

        Parameters
        ----------
        rectangle : ((int, int), (int, int))
            Of the part's elements.
        use : str
            What needs them, for the message.
        """
        sizes, around = self.of.shape, _around(rectangle, self.of.block)
        filled: Any = tuple(
            (start * b, min(stop * b, size))
            for (start, stop), b, size in zip(around, self.of.block, sizes, strict=True)
        )
        missing = self.region.missing(filled)
        if missing is not None:
            msg = f"the survey of the {self.of.operand} lacks {shown_rectangle(missing)}, which share scales with {use}"
            fail(ValueError, f"{msg}: survey all parts, and join the surveys by |")

    def known(self, name: str, blocks: tuple[Any, Any]) -> Any:
        """Return "maximum", "sums" or "below" of some blocks, given the numbers of their rows and of their columns."""
        (top, _), (left, _) = self.blocks
        return getattr(self, f"_{name}")[blocks[0] - top, :][:, blocks[1] - left]


def _spread(first: Survey, second: Survey, name: str, blocks: Rectangle) -> list[Any]:
    # an array of each of two surveys, over the blocks of both, 0 where it is not known
    found = []
    (top, bottom), (left, right) = blocks
    for survey in (first, second):
        array, ((a, b), (c, d)) = getattr(survey, name), survey.blocks
        xp = namespace(array)
        whole = xp.zeros((bottom - top, right - left), dtype=array.dtype)
        whole[a - top : b - top, c - left : d - left] = array
        found.append(whole)
    return found


def _check_same(first: Any, second: Any, mine: Rectangle, others: Rectangle) -> None:
    # maxima of the whole that two surveys of a later round start from
    meet = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(mine, others, strict=True)]
    if any(start >= stop for start, stop in meet):
        return
    one, other = (
        array[tuple(slice(start - at[0], stop - at[0]) for (start, stop), at in zip(meet, blocks, strict=True))]
        for array, blocks in ((first, mine), (second, others))
    )
    if ((one != other) & (one > 0) & (other > 0)).any():
        msg = "surveys whose blocks had other maxima in the first round do not add up"
        fail(ValueError, f"{msg}: survey all parts of one operand, with the same after=")


def runs(start: int, size: int, block: int) -> list[tuple[int, int]]:
    """Return the parts of ``size`` elements from `start` on that begin where the part or a block does, at most two."""
    head = min(size, -start % block)
    return [(first, last) for first, last in ((0, head), (head, size)) if first < last]


def _host(array: Any) -> Any:
    return asarray(array.cpu() if hasattr(array, "cpu") else array)


def measure_part(backend: Any, of: SurveyOf, array: Any, origin: tuple[int, int], after: Survey | None) -> Survey:
    """Return the survey of one part of an operand.

    Parameters
    ----------
    backend : module
        A backend.
    of : SurveyOf
        The whole operand.
    array : real floating array, shape (A, C)
        The part, finite.
    origin : (int, int)
        Row and column of its first element in the whole.
    after : Survey or None
        Of the round before; None in the first.
    """
    number = 1 if after is None else after.round + 1
    rectangle: Any = tuple((at, at + size) for at, size in zip(origin, array.shape, strict=True))
    region = Region.of(rectangle)
    if not region.slabs:
        return Survey(of, region, number)
    block, around = of.block, _around(rectangle, of.block)
    xp = namespace(asarray(0.0))
    blocks = tuple(xp.arange(*span, dtype=xp.int64) for span in around)
    if after is None:
        found = _by_piece(backend, array, origin, block, lambda piece, clip, _: backend.block_max(piece, clip))
        return Survey(of, region, number, found)
    maximum = after.known("maximum", blocks)
    if number == 2:
        exponent, places = fixed_point(xp, maximum, block)
        scales = power_in_halves(xp, places - 1 - exponent)

        def total(piece: Any, clip: tuple[int, int], at: Any) -> Any:
            return backend.block_sums(piece, clip, *(_beside(piece, scale[at]) for scale in scales))

        return Survey(of, region, number, maximum, _by_piece(backend, array, origin, block, total))
    sums = after.known("sums", blocks)
    mean = block_means(maximum, block, sums, _counts(of, blocks))

    def below(piece: Any, clip: tuple[int, int], at: Any) -> Any:
        return backend.block_max(piece, clip, _beside(piece, mean[at]))

    return Survey(of, region, number, maximum, sums, _by_piece(backend, array, origin, block, below))


def _beside(values: Any, array: Any) -> Any:
    # numbers of blocks as an array of the library and device of the values
    xp = namespace(array)
    array = xp.asarray(array[None, :, :], copy=True)
    return array if is_numpy(values) else namespace(values).asarray(array, device=device_of(values))


def _by_piece(backend: Any, array: Any, origin: tuple[int, int], block: tuple[int, int], measure: Any) -> Any:
    # numbers of the blocks that a part touches: kernels see blocks that begin with the values
    found: list[Any] = []
    for rows in runs(origin[0], array.shape[0], block[0]):
        line = []
        for cols in runs(origin[1], array.shape[1], block[1]):
            piece = backend.to_backend(array[None, slice(*rows), slice(*cols)])
            clip = min(block[0], piece.shape[1]), min(block[1], piece.shape[2])
            at = tuple(
                slice((start + first) // b - start // b, ceil_div(start + last, b) - start // b)
                for (first, last), start, b in zip((rows, cols), origin, block, strict=True)
            )
            line.append(_host(measure(piece, clip, at))[0])
        found.append(line)
    xp = namespace(found[0][0])
    return xp.concat([xp.concat(line, axis=1) for line in found], axis=0)


def _counts(of: SurveyOf, blocks: tuple[Any, Any]) -> Any:
    # elements of some blocks
    xp = namespace(blocks[0])
    high, wide = (
        xp.minimum(size - index * b, xp.full_like(index, b))
        for index, size, b in zip(blocks, of.shape, of.block, strict=True)
    )
    return high[:, None] * wide[None, :]


def _step(start: int, size: int, block: int) -> int:
    # the longest step in which a part can be cut so that each piece lies within one block
    if start // block == (start + size - 1) // block:
        return size
    return math.gcd(start, block)


def part_statistics(survey: Survey, values: Any, origin: tuple[int, int]) -> tuple[BlockStatistics, tuple[int, int]]:
    """Return the statistics of the blocks of a part, and a block that cuts the part where the whole is cut.

    Parameters
    ----------
    survey : Survey
        Settled, and of all blocks that the part touches.
    values : array, shape (batch, A, C)
        The part, as the backend takes it.
    origin : (int, int)
        Row and column of its first element in the whole.

    Returns
    -------
    statistics : BlockStatistics
    block : (int, int)
        Blocks of the part may be pieces of those of the whole, with the same scale.
    """
    of = survey.of
    xp, steps, blocks = namespace(asarray(0.0)), [], []
    summed = 0 if of.operand == "weights" else 1
    for axis, (start, size, b) in enumerate(zip(origin, values.shape[1:], of.block, strict=True)):
        step = _step(start, size, b)
        steps.append(ceil_div(step, of.rows) * of.rows if axis == summed else step)
        blocks.append((start + xp.arange(ceil_div(size, steps[-1]), dtype=xp.int64) * steps[-1]) // b)
    at = blocks[0], blocks[1]
    maximum = survey.known("maximum", at)
    mean = below = None
    if of.format.double:
        mean = _beside(values, block_means(maximum, of.block, survey.known("sums", at), _counts(of, at)))
        below = _beside(values, survey.known("below", at))
    every = survey._maximum[survey._maximum > 0]
    span = (float(every.min()), float(every.max())) if every.size else (1.0, 1.0)
    return BlockStatistics(_beside(values, maximum), mean, below, span), (steps[0], steps[1])
