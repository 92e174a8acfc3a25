"""Conductances that relax after programming: a spread, and a shift, that grow with time."""

import bisect
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..checks import as_float, as_items, fail, set_fields
from ._hints import hinted
from ._shown import short_repr
from ._variation import as_conductance, per_level, seconds

__all__ = ["Relaxation"]

PerLevel = float | tuple[float, ...]


def _as_shift(name: str, value: Any) -> float:
    return as_float(name, value, -math.inf, unit=" S")


@hinted
@dataclass(frozen=True)
class Relaxation:
    """Conductances that move away from what was written: ``G(t) = G + shift(t) + N(0, sigma(t))``.

    Every cell has one standard normal number of its own, the same at all times, which the spread of its level at that
    time multiplies. Between two times, spread and shift are linear in ``ln t``. A conductance that would fall below 0
    is 0. The reference columns' cells shift as level 0 does.

    Parameters
    ----------
    times_s : sequence of float or str
        Times since programming, s, ascending: at least two. A matrix can be aged to any time from the first to the
        last, and to no other: nothing is known there.
    sigma_S : sequence of float, or of sequences of float
        Standard deviation at each of these times, S, beside that of the write variation: one number for all levels, or
        one per level, lowest level first.
    shift_S : 0, or a sequence of float or of sequences of float
        Mean shift at each of these times, S, likewise.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or not a number, or if nothing relaxes.

    See Also
    --------
    mpimpy.CrossbarMatrix.at : The matrix at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Device, Engine, Relaxation
    >>> law = Relaxation(times_s=[1, "1 d"], sigma_S=[0, 4e-7])
    >>> W = Engine(Device(var=0, relaxation=law), seed=1).program(np.ones((64, 64)))
    >>> early, late = (float(np.ptp(W.at(t).conductance())) for t in ("1 h", "1 d"))
    >>> 0 < early < late
    True
    """

    times_s: tuple[float, ...]
    sigma_S: tuple[PerLevel, ...]
    shift_S: float | tuple[PerLevel, ...] = 0.0

    if TYPE_CHECKING:

        def __init__(
            self,
            times_s: Iterable[float | str],
            sigma_S: Iterable[float | Iterable[float]],
            shift_S: float | Iterable[float | Iterable[float]] = 0.0,
        ) -> None: ...

    __repr__ = short_repr

    def __post_init__(self) -> None:
        given = as_items("times_s", self.times_s) or ()
        times = tuple(seconds(f"times_s[{index}]", time) for index, time in enumerate(given))
        if len(times) < 2:
            fail(ValueError, f"times_s={self.times_s!r} must hold at least two times: the law is known between them")
        for index, (early, late) in enumerate(itertools.pairwise(times)):
            if early >= late:
                what = f"times_s[{index}]={early:g} s and times_s[{index + 1}]={late:g} s"
                fail(ValueError, f"times_s must ascend, but {what}")
        sigma, shift = self.sigma_S, self.shift_S
        sigma = _at_times("sigma_S", sigma, len(times), as_conductance)
        if as_items("shift_S", shift) is None:
            if _as_shift("shift_S", shift) != 0:
                fail(ValueError, f"shift_S={shift!r} must be 0, or a shift for each of the {len(times)} times")
            shift = 0.0
        else:
            shift = _at_times("shift_S", shift, len(times), _as_shift)
        set_fields(self, times_s=times, sigma_S=sigma, shift_S=shift)
        rows = sigma + self.shifts_S
        counts = {len(row) for row in rows if isinstance(row, tuple)}
        if len(counts) > 1:
            fail(ValueError, f"sigma_S and shift_S give numbers to {' and '.join(map(str, sorted(counts)))} levels")
        if not any(any(row) if isinstance(row, tuple) else row for row in rows):
            fail(ValueError, "sigma_S and shift_S of 0 let nothing relax: use relaxation=None")
        # a configuration is looked up by its hash several times a product
        set_fields(self, _hash=hash((times, sigma, shift)))

    def __hash__(self) -> int:
        return self.__dict__["_hash"]  # type: ignore[no-any-return]

    @property
    def level_count(self) -> int | None:
        """Number of levels that have numbers of their own; None for one number for all."""
        return next((len(row) for row in self.sigma_S + self.shifts_S if isinstance(row, tuple)), None)

    @property
    def shifts_S(self) -> tuple[PerLevel, ...]:
        """Mean shift at each time, S."""
        return self.shift_S if isinstance(self.shift_S, tuple) else (0.0,) * len(self.times_s)

    def at(self, time_s: float, level: int) -> tuple[float, float]:
        """Return (spread, shift) of a level at a time, S.

        Examples
        --------
        >>> Relaxation([1, 100], [0, 4e-7]).at(10, 0)
        (2e-07, 0.0)
        """
        times = self.times_s
        last = min(max(bisect.bisect_right(times, time_s), 1), len(times) - 1)
        part = math.log(time_s / times[last - 1]) / math.log(times[last] / times[last - 1])
        spread, shift = (
            _between(of_level(rows[last - 1], level), of_level(rows[last], level), part)
            for rows in (self.sigma_S, self.shifts_S)
        )
        return spread, shift


def of_level(value: PerLevel, level: int) -> float:
    """Return the number of a level."""
    return value[level] if isinstance(value, tuple) else value


def _between(early: float, late: float, part: float) -> float:
    # ends are exact
    return early if part == 0 else late if part == 1 else early + (late - early) * part


def _at_times(name: str, value: Any, count: int, check: Any) -> tuple[PerLevel, ...]:
    rows = as_items(name, value)
    if rows is None or len(rows) != count:
        many = "one" if rows is None else f"{len(rows)} entries"
        fail(ValueError, f"{name} has {many}: give one for each of the {count} times, a number or one per level")
    return tuple(per_level(f"{name}[{index}]", row, check) for index, row in enumerate(rows))
