"""Outlying samples of a level: those far from its median, in robust spreads."""

import bisect
import math
from collections.abc import Sequence

__all__ = ["MAD_TO_SIGMA", "mad", "median", "outliers"]

MAD_TO_SIGMA = 1.4826  # a Gaussian's standard deviation, in median absolute deviations
FINEST = 1e-3  # robust spread of a level that is nearly constant, relative to the range of all levels


def median(row: Sequence[float]) -> float:
    """Return the median of numbers in ascending order."""
    middle = len(row) // 2
    return row[middle] if len(row) % 2 else (row[middle - 1] + row[middle]) / 2


def mad(row: Sequence[float]) -> float:
    """Return the median absolute deviation from the median, of numbers in ascending order.

    Examples
    --------
    >>> mad([1.0, 2.0, 3.0, 4.0, 90.0])
    1.0
    """
    middle = median(row)
    return median(sorted(abs(value - middle) for value in row))


def limit(count: int) -> float:
    """Return the robust z above which a sample of `count` ones is outlying.

    Of `count` Gaussian samples, one is beyond in about one set of 1000: the median absolute deviation of few
    samples is itself uncertain.
    """
    return 5 + 60 / count


def outliers(rows: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    """Return the outlying samples of each level.

    The robust z of a sample is its distance from the median, over 1.4826 times the median absolute deviation.
    An outlier is beyond the limit as it is and also in its logarithm, so that the long tail of a lognormal level
    holds none.

    Parameters
    ----------
    rows : sequence of sequences of float
        Samples of each level, at least 0, in ascending order.

    Examples
    --------
    >>> outliers([[1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 90.0], [3.0, 3.1, 3.2, 3.3]])
    [(90.0,), ()]
    """
    medians = [median(row) for row in rows]
    floor = FINEST * (max(medians) - min(medians))
    return [_of_level(row, middle, floor) for row, middle in zip(rows, medians, strict=True)]


def _of_level(row: Sequence[float], middle: float, floor: float) -> tuple[float, ...]:
    reach = limit(len(row)) * max(MAD_TO_SIGMA * mad(row), floor)
    low, high = middle - reach, middle + reach
    if low <= row[0] and row[-1] <= high:
        return ()
    if middle > 0:
        # a sample of 0 has no logarithm: it is as far as can be
        logs = [math.log(value) if value > 0 else -math.inf for value in row]
        reach = limit(len(row)) * max(MAD_TO_SIGMA * mad(logs), floor / middle)
        low = min(low, middle * math.exp(-reach))
        high = max(high, middle * math.exp(min(reach, 700.0)))
    return (*row[: bisect.bisect_left(row, low)], *row[bisect.bisect_right(row, high) :])
