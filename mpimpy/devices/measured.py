"""Measured devices: the statistics of samples of conductances, level by level, and the device that they make."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config import Device, Samples
from ..config import _samples_csv as samples_csv

__all__ = ["Level", "Measured"]


@dataclass(frozen=True)
class Level:
    """Statistics of the samples of one level.

    Attributes
    ----------
    level, count : int
        Number of the level, and of its samples.
    mean_S, spread_S : float
        Mean and standard deviation (of a sample, with n - 1), S.
    low_S, high_S : float
        Smallest and largest sample, S.
    normal, lognormal : (float, float)
        Kolmogorov-Smirnov distance of the samples to the Gaussian and to the lognormal distribution
        of their mean and spread (of their logarithms), and its p-value. As these two numbers come
        from the samples, true p-values are smaller: a small one refutes, a large one proves little.
        NaN where all samples are equal, or where one is 0 and has no logarithm.
    """

    level: int
    count: int
    mean_S: float
    spread_S: float
    low_S: float
    high_S: float
    normal: tuple[float, float]
    lognormal: tuple[float, float]


def _moments_and_fit(values: Sequence[float]) -> tuple[float, float, tuple[float, float]]:
    # mean, spread, and (distance, p-value) of the samples and the Gaussian of that mean and spread
    from scipy import stats

    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else 0.0
    if not spread > 1e-9 * abs(mean):
        return mean, spread, (math.nan, math.nan)
    found = stats.kstest(values, stats.norm(mean, spread).cdf)
    return mean, spread, (float(found.statistic), float(found.pvalue))


def _level(level: int, row: Sequence[float]) -> Level:
    mean, spread, normal = _moments_and_fit(row)
    lognormal = _moments_and_fit([math.log(g) for g in row])[2] if row[0] > 0 else (math.nan, math.nan)
    return Level(level, len(row), mean, spread, row[0], row[-1], normal, lognormal)


@dataclass(frozen=True)
class Measured:
    """Measured cells: their samples, a characterisation of every level, and the device they make.

    Prints as a table. `from_csv` reads a file.

    Parameters
    ----------
    samples : Samples
        Conductances per level, S.

    Attributes
    ----------
    levels : tuple of Level
        Count, mean, spread and goodness of fit of each level, lowest level first.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Samples
    >>> cells = np.random.default_rng(0).normal([[1e-6], [5e-6], [9e-6]], 2e-7, (3, 100))
    >>> measured = Measured(Samples(cells))
    >>> [level.count for level in measured.levels]
    [100, 100, 100]
    >>> measured.device().g_level
    3
    """

    samples: Samples
    levels: tuple[Level, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.samples, Samples):
            msg = f"samples={self.samples!r} must be Samples, such as Samples([[1e-7, 1.1e-7], [1e-5, 1.2e-5]])"
            raise TypeError(msg)
        rows = enumerate(self.samples.conductance_S)
        object.__setattr__(self, "levels", tuple(_level(level, row) for level, row in rows))

    @classmethod
    def from_csv(cls, path: Any, unit: str | None = None) -> "Measured":
        r"""Read a file of lines ``level, measured conductance``.

        Parameters
        ----------
        path : str or path
            Columns are told apart by commas, semicolons or tabs. A header names them: ``level``
            (whole numbers from 0), or ``target`` (the conductance aimed at, of which each value is
            a level); and ``measured`` or ``conductance``. The unit stands with the name, as in
            ``measured_uS`` or ``target [uS]``: S, mS, uS or nS. Other columns do not matter.
            Without a header the first column is the level and the second the conductance. Empty
            lines and lines that begin with # are passed over.
        unit : str, optional
            The unit, where the header does not say it.

        Returns
        -------
        Measured

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If a line is no level and conductance, the unit is not stated, a level is missing or
            has fewer than 8 samples, means do not rise with the level, or conductances are not
            between 1 nS and 100 mS.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> lines = [f"{target},{target + 0.01 * n}" for target in (1, 5) for n in range(8)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "cells.csv"
        ...     _ = path.write_text("target_uS,measured_uS\n" + "\n".join(lines))
        ...     print(Measured.from_csv(path))
        level  samples   mean (S)  spread (S)  Gaussian: D      p  lognormal: D      p
            0        8  1.035e-06   2.449e-08        0.105  1.000         0.107  1.000
            1        8  5.035e-06   2.449e-08        0.105  1.000         0.105  1.000
        """
        return cls(samples_csv.read_samples(path, unit))

    def device(self, **settings: Any) -> Device:
        """Return the device: levels at the means, the samples as write variation.

        Parameters
        ----------
        **settings
            Other settings of `Device`. There is no read variation unless `var` is given.

        Examples
        --------
        >>> from mpimpy import Samples
        >>> Measured(Samples([[1e-6, 2e-6], [8e-6, 9e-6]])).device(var=0.01).levels
        (1.5e-06, 8.5e-06)
        """
        measured: dict[str, Any] = {"var": 0.0, "levels": self.samples.means_S, "write_var": self.samples}
        return Device(**measured | settings)

    def plot(self, ax: Any = None) -> Any:
        """Draw the distribution of every level; see `mpimpy.plot.measured`.

        Returns
        -------
        Axes
        """
        from .. import plot

        return plot.measured(self, ax)

    def __str__(self) -> str:
        lines = ["level  samples   mean (S)  spread (S)  Gaussian: D      p  lognormal: D      p"]
        for one in self.levels:
            fits = f"{one.normal[0]:>13.3f}{one.normal[1]:>7.3f}{one.lognormal[0]:>14.3f}{one.lognormal[1]:>7.3f}"
            lines.append(f"{one.level:>5}{one.count:>9}{one.mean_S:>11.4g}{one.spread_S:>12.4g}{fits}")
        return "\n".join(lines)
