"""Regions of a matrix: unions of rectangles, exact, in one form for each region."""

import bisect
import itertools
from dataclasses import dataclass

__all__ = ["Rectangle", "Region"]

Span = tuple[int, int]
Rectangle = tuple[Span, Span]  # rows and columns, each from the first to the one behind the last


def _union(first: tuple[Span, ...], second: tuple[Span, ...]) -> tuple[Span, ...]:
    found: list[Span] = []
    for start, stop in sorted((*first, *second)):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return tuple(found)


def _meet(first: tuple[Span, ...], second: tuple[Span, ...]) -> bool:
    return any(a < d and c < b for a, b in first for c, d in second)


@dataclass(frozen=True)
class Region:
    """A set of elements of a matrix. Equal sets are equal values, however they were put together.

    Attributes
    ----------
    slabs : tuple of (rows, columns)
        From top to bottom, runs of rows that hold the same columns, each as tall as can be: the run, and the spans of
        these columns, which neither meet nor touch.

    Examples
    --------
    >>> left, right = Region.of(((0, 4), (0, 2))), Region.of(((0, 4), (2, 5)))
    >>> (left | right) == Region.of(((0, 4), (0, 5)))
    True
    """

    slabs: tuple[tuple[Span, tuple[Span, ...]], ...] = ()

    @classmethod
    def of(cls, rectangle: Rectangle) -> "Region":
        """Return the region that is one rectangle; the empty one, if that has no elements."""
        rows, cols = rectangle
        return cls(((rows, (cols,)),)) if rows[0] < rows[1] and cols[0] < cols[1] else cls()

    def _columns(self, row: int) -> tuple[Span, ...]:
        # the columns that it has in a row
        at = bisect.bisect_right(self.slabs, row, key=lambda slab: slab[0][0]) - 1
        return self.slabs[at][1] if at >= 0 and row < self.slabs[at][0][1] else ()

    def _edges(self) -> list[int]:
        return [edge for rows, _ in self.slabs for edge in rows]

    def __or__(self, other: "Region") -> "Region":
        edges = sorted({*self._edges(), *other._edges()})
        found: list[tuple[Span, tuple[Span, ...]]] = []
        for start, stop in itertools.pairwise(edges):
            cols = _union(self._columns(start), other._columns(start))
            if found and found[-1][0][1] == start and found[-1][1] == cols:
                found[-1] = (found[-1][0][0], stop), cols
            elif cols:
                found.append(((start, stop), cols))
        return Region(tuple(found))

    def meets(self, other: "Region") -> bool:
        """Return whether both hold an element."""
        edges = sorted({*self._edges(), *other._edges()})
        return any(_meet(self._columns(row), other._columns(row)) for row in edges)

    @property
    def bounds(self) -> Rectangle:
        """The smallest rectangle that holds it, which it must not be empty for."""
        cols = [span for _, spans in self.slabs for span in spans]
        rows = self.slabs[0][0][0], self.slabs[-1][0][1]
        return rows, (min(start for start, _ in cols), max(stop for _, stop in cols))

    def missing(self, rectangle: Rectangle) -> Rectangle | None:
        """Return a rectangle of elements that another one has and this does not, the first of them; None without any.

        Examples
        --------
        >>> Region.of(((0, 4), (0, 2))).missing(((0, 4), (0, 5)))
        ((0, 4), (2, 5))
        """
        (top, bottom), (left, right) = rectangle
        if top >= bottom or left >= right:
            return None
        edges = sorted({top, *(edge for edge in self._edges() if top < edge < bottom), bottom})
        for start, stop in itertools.pairwise(edges):
            at = left
            for first, last in self._columns(start):
                if first > at:
                    break
                at = max(at, last)
            else:
                first = right
            if at < right:
                return (start, stop), (at, min(first, right))
        return None
