"""Ageing of a programmed matrix: drift, relaxation, and what compensates for them."""

from typing import Any, Self

from ._recorded import RecordedMatrix
from .cells import laws
from .checks import as_bool, as_float, fail
from .config import Config
from .config._variation import seconds
from .crossbar.programmed import Programmed, aged, totals

__all__ = ["AgeingMatrix", "time_of"]


class AgeingMatrix(RecordedMatrix):
    """Programmed matrix whose cells change with time."""

    def at(self, t: float | str, compensate: bool | float = False) -> Self:
        """Return the matrix as it is at a time after programming; this one does not change.

        Cells decay by the device's `Drift`, or relax by its `Relaxation`. Each cell keeps its exponent, or its
        random number, at all times, real reference cells too; ideal reference columns have the mean exponent, or the
        shift, of LGS. Stuck cells do not move. `Flicker` noise has the strength of that time.

        Parameters
        ----------
        t : float or str
            Time since programming: seconds, or text such as "30 d" (s, min, h, d or y).
        compensate : bool or float
            Multiply every product by one number: the matrix's total conductance as programmed, over
            its total at that time, reference columns left out. Parts of a matrix need the ratio of the whole, a
            float, from the `totals` of all parts.

        Returns
        -------
        CrossbarMatrix

        Raises
        ------
        ValueError
            If `t` is no time, or beyond the times of the device's laws, or if time changes nothing; if a part of a
            matrix is compensated without a ratio.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Device, Drift, Engine
        >>> W = Engine(Device(var=0, drift=Drift(0.05)), seed=1).program(np.eye(64))
        >>> print(W.at("30 d").age)
        30 d after programming, not compensated
        """
        time_s, ratio = time_of(self.config, t), _ratio_of(self, compensate)
        if self.programmed is None:
            return self._with(None)
        return self._with(aged(self._backend, self.programmed, time_s, ratio))

    def totals(self, t: float | str) -> tuple[int, int]:
        """Return the total conductance as programmed and at a time after it, reference columns left out.

        Parameters
        ----------
        t : float or str
            As for `at`.

        Returns
        -------
        before, after : int
            In the unit in which cells are held, exact: those of parts add up to those of the whole, whose ratio is
            ``before / after``, or 1.0 if nothing is left.

        Raises
        ------
        ValueError
            As `at`.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Device, Drift, Engine
        >>> engine, w = Engine(Device(var=0, drift=Drift(0.05, 0.01)), seed=1), np.eye(128)
        >>> parts = [engine.program(w[k : k + 64], origin=(k, 0)) for k in (0, 64)]
        >>> before, after = map(sum, zip(*(part.totals("30 d") for part in parts)))
        >>> parts[1].at("30 d", compensate=before / after).age.ratio == engine.program(w).at("30 d", True).age.ratio
        True
        """
        time_s = time_of(self.config, t)
        return (0, 0) if self.programmed is None else totals(self._backend, self.programmed, time_s)

    def _with(self, programmed: Programmed | None) -> Self:
        """Return the same matrix with other cells: the face of a matrix does it."""
        raise NotImplementedError


def time_of(config: Config, t: float | str) -> float:
    """Return a time after programming in s, at which the laws of a device know its cells; raise ValueError if none."""
    time_s, start = seconds("t", t), laws.ages(config.device)
    if start is None:
        fail(ValueError, "time changes nothing: give the device a drift, such as Device(drift=Drift(nu=0.05))")
    if time_s < start:
        since = f"t={time_s:g} s is before t0_s={start:g} s, from when on the device's drift is known"
        fail(ValueError, f"{since}: use a later time")
    if time_s > (end := laws.known_until(config.device)):
        since = f"t={time_s:g} s is after {end:g} s, until when the device's relaxation is known"
        fail(ValueError, f"{since}: use an earlier time")
    return time_s


def _ratio_of(matrix: Any, compensate: Any) -> bool | float:
    # the ratio by which products are multiplied; True for that of the matrix itself, False for none
    if isinstance(compensate, float):
        return as_float("compensate", compensate, 0, above=True)
    own = as_bool("compensate", compensate)
    if own and matrix._place.is_part(matrix.shape):
        msg = f"compensate=True would take the ratio of this part at {matrix.origin} of a larger matrix alone"
        fail(ValueError, f"{msg}: add up before, after = W.totals(t) of all parts, give each compensate=before / after")
    return own
