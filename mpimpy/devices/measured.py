"""Measured devices: the statistics of samples of conductances, level by level, and the device that they make."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

from ..config import Device, Samples
from ..config import _samples_csv as samples_csv
from ..config._device import DeviceSettings
from ..config._hints import hinted, hinted_call
from ..config._outliers import mad, median, outliers

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
    median_S, mad_S : float
        Median, and median absolute deviation from it, S.
    outliers : int
        Number of samples far from the median, of those in `Measured.samples`; see `Measured.from_csv`.
    """

    level: int
    count: int
    mean_S: float
    spread_S: float
    low_S: float
    high_S: float
    normal: tuple[float, float]
    lognormal: tuple[float, float]
    median_S: float = math.nan
    mad_S: float = math.nan
    outliers: int = 0


def _moments_and_fit(values: Sequence[float]) -> tuple[float, float, tuple[float, float]]:
    # mean, spread, and (distance, p-value) of the samples and the Gaussian of that mean and spread
    from scipy import stats

    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else 0.0
    if not spread > 1e-9 * abs(mean):
        return mean, spread, (math.nan, math.nan)
    found = stats.kstest(values, stats.norm(mean, spread).cdf)
    return mean, spread, (float(found.statistic), float(found.pvalue))


def _level(level: int, row: Sequence[float], outlying: Sequence[float]) -> Level:
    mean, spread, normal = _moments_and_fit(row)
    lognormal = _moments_and_fit([math.log(g) for g in row])[2] if row[0] > 0 else (math.nan, math.nan)
    robust = (median(row), mad(row), len(outlying))
    return Level(level, len(row), mean, spread, row[0], row[-1], normal, lognormal, *robust)


@hinted
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
        Count, mean, spread, goodness of fit, median and outliers of each level, lowest level first.

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
        rows = self.samples.conductance_S
        each = zip(rows, outliers(rows), strict=True)
        object.__setattr__(self, "levels", tuple(_level(level, *both) for level, both in enumerate(each)))

    @classmethod
    @hinted_call
    def from_csv(
        cls,
        path: Any,
        unit: str | None = None,
        *,
        level: str | None = None,
        measured: str | None = None,
        missing: str = "error",
        outliers: str = "warn",
        negative: str = "error",
    ) -> "Measured":
        r"""Read a file of lines ``level, measured conductance``.

        Parameters
        ----------
        path : str or path
            Columns are told apart by tabs, semicolons, commas or blanks; numbers may have a decimal comma
            where columns have none. A header names the columns: ``level`` (whole numbers from 0 or 1), or
            ``target`` (the conductance aimed at, of which each value is a level); and ``measured`` or
            ``conductance``. The unit stands with the name, as in ``measured_uS`` or ``target [uS]``: S, mS, uS
            or nS. Other columns do not matter. Without a header the first column is the level and the second
            the conductance. Empty lines, lines that begin with # or %, and up to 50 lines above the header are
            passed over. UTF-8, UTF-16 or Latin-1, at most 64 MiB.
        unit : str, optional
            The unit, where the header does not say it.
        level, measured : str, optional
            Names of the two columns, where they have others, such as ``level="state", measured="Gread (uS)"``.
            A level column with a unit holds targets.
        missing : str
            ``"error"``: a line without a level or a conductance (blank, nan, NA) is refused. ``"skip"``: it is
            left out, and a warning counts such lines.
        outliers : str
            ``"warn"``: a warning counts the outliers of each level. ``"keep"``: nothing is said. ``"drop"``: they
            are left out, and a warning counts them. An outlier lies beyond a robust z of 5 + 60/n, of n samples,
            from the median of its level, also in its logarithm; the z is the distance over 1.4826 times the
            median absolute deviation.
        negative : str
            ``"error"``: a negative sample is refused. ``"zero"``: it counts as 0, as noise of an instrument around a
            small conductance may be meant, and a warning counts such samples.

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

        Warns
        -----
        MpimpyWarning
            Of missing samples that are skipped, of negative ones that count as 0, and of outliers.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> lines = [f"{target},{target + 0.01 * n}" for target in (1, 5) for n in range(8)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "cells.csv"
        ...     _ = path.write_text("target_uS,measured_uS\n" + "\n".join(lines))
        ...     print(Measured.from_csv(path))
        level  samples  outliers   mean (S)  spread (S)  median (S)    MAD (S)  Gaussian: D      p  lognormal: D      p
            0        8         0  1.035e-06   2.449e-08   1.035e-06      2e-08        0.105  1.000         0.107  1.000
            1        8         0  5.035e-06   2.449e-08   5.035e-06      2e-08        0.105  1.000         0.105  1.000
        """
        return cls(
            samples_csv.read_samples(path, samples_csv.Layout(unit, level, measured, missing, outliers, negative))
        )

    def device(self, **settings: Unpack[DeviceSettings]) -> Device:
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
        return Device(**measured | {**settings})

    def plot(self, ax: Any = None) -> Any:
        """Draw the distribution of every level; see `mpimpy.plot.measured`.

        Returns
        -------
        Axes
        """
        from .. import plot

        return plot.measured(self, ax)

    def __str__(self) -> str:
        head = "level  samples  outliers   mean (S)  spread (S)  median (S)    MAD (S)"
        lines = [f"{head}  Gaussian: D      p  lognormal: D      p"]
        for one in self.levels:
            fits = f"{one.normal[0]:>13.3f}{one.normal[1]:>7.3f}{one.lognormal[0]:>14.3f}{one.lognormal[1]:>7.3f}"
            robust = f"{one.median_S:>12.4g}{one.mad_S:>11.4g}"
            counts = f"{one.level:>5}{one.count:>9}{one.outliers:>10}"
            lines.append(f"{counts}{one.mean_S:>11.4g}{one.spread_S:>12.4g}{robust}{fits}")
        return "\n".join(lines)
