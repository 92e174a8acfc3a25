"""The memristors' settings."""

import bisect
import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from .._caches import hashed_once
from ..checks import as_float, as_int, as_text, check_names, fail, set_fields
from ._hints import hinted, hinted_call
from ._relaxation import Relaxation
from ._sense import SIEMENS, tell
from ._shown import settings_table, short_repr
from ._variation import (
    MAX_TABLES,
    Drift,
    Flicker,
    Gaussian,
    Samples,
    WriteVerify,
    as_conductance,
    ascending,
    per_level,
    variation,
)

__all__ = ["CellSettings", "Device", "DeviceSettings"]

MAX_LEVELS = 1 << 16
REDRAWS = ("product", "slice", "row")
ABSURD = 100  # spreads and tolerances this many times HGS are given in another unit
EVEN = 1e-9  # levels this near to evenly spaced ones, relative to the range, are evenly spaced
_UNSET: Any = None  # a field that `Device.__post_init__` fills in where it was not given


class CellSettings(TypedDict, total=False):
    """Types of the settings of a `Device` whose range of conductances is known."""

    var: float | Iterable[float] | Gaussian | Samples | Flicker
    write_var: float | Iterable[float] | Gaussian | Samples
    stuck_HGS: float
    stuck_LGS: float
    levels: Iterable[float] | None
    verify: WriteVerify | None
    drift: Drift | None
    redraw: str
    relaxation: Relaxation | None


class DeviceSettings(CellSettings, total=False):
    """Types of all settings of a `Device`."""

    HGS: float | None
    LGS: float | None
    g_level: int | None


@hinted
@hashed_once
@dataclass(frozen=True)
class Device:
    """The memristors: conductance range, levels, variation, faults and drift.

    Parameters
    ----------
    HGS, LGS : float, optional
        Highest and lowest conductance that a cell is programmed to, S. ``0 <= LGS < HGS``.
        By default 1e-5 and 1e-7, or the ends of `levels`.
    g_level : int, optional
        Number of conductance levels, ends included; by default 16, or as many as `levels`.
    var : float, sequence of float, Gaussian, Samples or Flicker
        Read variation. A number is a relative standard deviation: each read multiplies every conductance
        by ``exp(N(0, var))``. A sequence holds one such number per level, lowest level first. Other laws
        are objects. 0 switches it off.
    write_var : float, sequence of float, Gaussian or Samples
        Write variation, a relative standard deviation or another law as for `var`, drawn once per chip
        when a cell is programmed.
    stuck_HGS, stuck_LGS : float
        Share of the cells, 0 to 1, that are stuck at HGS, or at LGS.
    levels : sequence of float, optional
        The conductance of every level, S, ascending. None: evenly spaced from LGS to HGS.
    verify : WriteVerify, optional
        Write-verify: cells beyond a tolerance are written again.
    drift : Drift, optional
        Decay of the conductances; see `CrossbarMatrix.at`.
    redraw : str
        How long a draw of read variation lasts. ``"product"``: one for all input slices and rows of a product, as if
        the noise were slower than it. ``"slice"``: one for each input slice, whose voltages are applied one after the
        other. Two's complement inputs lose several dB by it, signed ones gain some. ``"row"``: one for each input slice
        of each row. A current is then drawn as a whole, as a normal number with the mean and the variance of its cells;
        a law too skewed for that is refused.
    relaxation : Relaxation, optional
        Spread and shift of the conductances that grow after programming; see `CrossbarMatrix.at`.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or not a number, or two settings contradict each other.

    Examples
    --------
    >>> Device(g_level=32, var=0.02).step_S < 1e-6
    True
    >>> Device(levels=[1e-6, 2e-6, 4e-6, 9e-6]).g_level
    4
    """

    HGS: float = _UNSET
    LGS: float = _UNSET
    g_level: int = _UNSET
    var: float | tuple[float, ...] | Gaussian | Samples | Flicker = 0.05
    write_var: float | tuple[float, ...] | Gaussian | Samples = 0.0
    stuck_HGS: float = 0.0
    stuck_LGS: float = 0.0
    levels: tuple[float, ...] | None = None
    verify: WriteVerify | None = None
    drift: Drift | None = None
    redraw: str = "product"
    relaxation: Relaxation | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            HGS: float | None = None,
            LGS: float | None = None,
            g_level: int | None = None,
            var: float | Iterable[float] | Gaussian | Samples | Flicker = 0.05,
            write_var: float | Iterable[float] | Gaussian | Samples = 0.0,
            stuck_HGS: float = 0.0,
            stuck_LGS: float = 0.0,
            levels: Iterable[float] | None = None,
            verify: WriteVerify | None = None,
            drift: Drift | None = None,
            redraw: str = "product",
            relaxation: Relaxation | None = None,
        ) -> None: ...

    __repr__ = short_repr
    _repr_html_ = settings_table

    @property
    def _implied(self) -> dict[str, float]:
        # range and number of the levels where they are not given
        if self.levels is None:
            return {"HGS": 1e-5, "LGS": 1e-7, "g_level": 16}
        return {"HGS": self.levels[-1], "LGS": self.levels[0], "g_level": len(self.levels)}

    def __post_init__(self) -> None:
        if self.levels is not None:
            set_fields(self, levels=_ascending(self.levels))
        defaults = self._implied
        given = {
            name: value if getattr(self, name) is None else getattr(self, name) for name, value in defaults.items()
        }
        set_fields(
            self,
            HGS=as_float("HGS", given["HGS"], 0, above=True, unit=" S"),
            LGS=as_float("LGS", given["LGS"], 0, unit=" S"),
            g_level=as_int("g_level", given["g_level"], 2, MAX_LEVELS),
            var=variation("var", self.var),
            write_var=variation("write_var", self.write_var),
            stuck_HGS=as_float("stuck_HGS", self.stuck_HGS, 0, 1),
            stuck_LGS=as_float("stuck_LGS", self.stuck_LGS, 0, 1),
        )
        if as_text(self.redraw) not in REDRAWS:
            fail(
                ValueError,
                f"redraw={self.redraw!r} is unknown: use 'product', one draw of read variation for a whole product, "
                "'slice', one for each input slice, or 'row', one for each input row and slice",
            )
        set_fields(self, redraw=as_text(self.redraw))
        if self.levels is not None:
            for name, value in defaults.items():
                mine = getattr(self, name)
                if mine != value:
                    fail(ValueError, f"{name}={mine:g} contradicts levels, by which it is {value:g}: leave {name} out")
        if self.LGS >= self.HGS:
            fail(ValueError, f"LGS={self.LGS:g} S must be below HGS={self.HGS:g} S")
        if self.stuck_HGS + self.stuck_LGS > 1:
            fail(
                ValueError,
                f"stuck_HGS={self.stuck_HGS:g} and stuck_LGS={self.stuck_LGS:g} add up to more than 1: "
                "they are shares of all cells",
            )
        self._check_laws()

    def _check_laws(self) -> None:
        kinds: tuple[tuple[str, type], ...] = (
            ("verify", WriteVerify),
            ("drift", Drift),
            ("relaxation", Relaxation),
        )
        for name, kind in kinds:
            if not isinstance(getattr(self, name), kind | None):
                fail(TypeError, f"{name}={getattr(self, name)!r} must be a {kind.__name__}, or None for none")
        laws: list[tuple[str, Any]] = [("var", self.var), ("write_var", self.write_var)]
        if self.drift is not None:
            laws += [("drift: nu", self.drift.nu), ("drift: nu_spread", self.drift.nu_spread)]
        if self.relaxation is not None:
            laws.append(("relaxation", self.relaxation))
        for name, law in laws:
            count = _level_count(law)
            if count is not None and count != self.g_level:
                many = f"{name} gives a law to each of {count} levels"
                fail(ValueError, f"{many}, but g_level={self.g_level}: give as many, or one for all")
            if count is not None and count > MAX_TABLES:
                fail(
                    ValueError, f"{name} gives a law to each of {count} levels: use one for all, or {MAX_TABLES} levels"
                )
        if isinstance(self.var, Samples) and not any(self.var.spreads_S):
            fail(ValueError, "var: the samples of every level are equal, so nothing varies: use var=0")
        if self.verify is not None and self.write_var == 0:
            fail(ValueError, "verify has no effect without write variation: set write_var, or leave verify out")
        if self.verify is not None and isinstance(self.write_var, Gaussian) and self.write_var.verified:
            fail(
                ValueError,
                "verify: write_var is the spread that verified writing left, as published, and verifying again would "
                "count it twice: leave verify out, or give the spread of one pulse, such as write_var=Gaussian(1e-6)",
            )
        if self.drift is not None and self.relaxation is not None:
            fail(
                ValueError,
                "drift and relaxation both say what time does to conductances, and no source measured the two apart: "
                "give one, and None for the other",
            )
        tell(self, _oddities)

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
        **settings: Unpack[DeviceSettings],
    ) -> "Device":
        r"""Return a measured device: levels at the means of the samples, the samples as write variation.

        Parameters
        ----------
        path, unit, level, measured, missing, outliers, negative
            A file of lines ``level, measured conductance``, and how it is to be read; see
            `mpimpy.Measured.from_csv`.
        **settings
            Other settings of the device. There is no read variation unless `var` is given.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If the file cannot be understood, or there is too little in it.

        Warns
        -----
        MpimpyWarning
            Of missing and negative samples and of outliers, and of samples beyond what the cells hold, with their
            number in each level.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> lines = [f"{level},{1 + level + 0.01 * n}" for level in (0, 1) for n in range(8)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "cells.csv"
        ...     _ = path.write_text("state,Gread (uS)\n" + "\n".join(lines))
        ...     Device.from_csv(path, level="state", measured="Gread (uS)").g_level
        2
        """
        from ._samples_csv import Layout, read_samples

        reading = [item.name for item in dataclasses.fields(Layout)]
        check_names(settings, [*reading, *(item.name for item in dataclasses.fields(cls))])
        samples = read_samples(path, Layout(unit, level, measured, missing, outliers, negative))
        own: dict[str, Any] = {"var": 0.0, "levels": samples.means_S, "write_var": samples}
        return cls(**own | {**settings})

    @property
    def redraws(self) -> bool:
        """Whether read variation is drawn anew for each input slice."""
        return self.redraw == "slice" and self.var != 0

    @property
    def draws_rows(self) -> bool:
        """Whether read variation is drawn anew for each input row and slice, as deviations of currents."""
        return self.redraw == "row" and self.var != 0

    @property
    def step_S(self) -> float:
        """Step between two neighbouring levels, S; the mean step where levels are uneven."""
        return (self.HGS - self.LGS) / (self.g_level - 1)

    def grid_unit_S(self, fraction: int) -> float:
        """Return the unit of the grid that divides a step into ``2**fraction`` parts, S.

        Examples
        --------
        >>> Device(HGS=16e-6, LGS=0, g_level=17).grid_unit_S(2)
        2.5e-07
        """
        return self.step_S / (1 << fraction)

    @property
    def rho(self) -> float:
        """LGS in steps: the conductance of the reference column's cells."""
        return self.LGS / self.step_S

    @functools.cached_property
    def positions(self) -> tuple[float, ...] | None:
        """Distance of each level from LGS, in steps; None where levels are evenly spaced."""
        if self.levels is None:
            return None
        found = tuple((level - self.LGS) / self.step_S for level in self.levels)
        top = self.g_level - 1
        return (
            None if all(abs(at - level) <= EVEN * top for level, at in enumerate(found)) else (*found[:-1], float(top))
        )


def _oddities(device: Device) -> list[str]:
    # what is probably not meant
    name = "HGS" if device.levels is None else "levels: HGS"
    found, HGS = SIEMENS.oddity(name, device.HGS), f"HGS={device.HGS:g} S"
    laws: tuple[tuple[str, Any], ...] = (("var", device.var), ("write_var", device.write_var))
    for name, law in laws:
        if isinstance(law, Gaussian):
            most = max(law.sigma_S) if isinstance(law.sigma_S, tuple) else law.sigma_S
            if most > ABSURD * device.HGS:
                relative = f"a relative spread is a plain number, such as {name}=0.05"
                found.append(f"{name}: sigma_S={most:g} S is far beyond {HGS}: it counts in S, and {relative}")
        elif isinstance(law, Samples):
            found += _clipped(device, name, law)
    if device.relaxation is not None:
        most = max(max(row) if isinstance(row, tuple) else row for row in device.relaxation.sigma_S)
        if most > ABSURD * device.HGS:
            found.append(f"relaxation: sigma_S={most:g} S is far beyond {HGS}: it counts in S")
    if device.verify is not None and device.verify.tolerance_S > ABSURD * device.HGS:
        found.append(f"verify: tolerance_S={device.verify.tolerance_S:g} S is far beyond {HGS}: it counts in S")
    return found


def _clipped(device: Device, name: str, samples: Samples) -> list[str]:
    # Cells hold up to twice the range above or below LGS, and no less than 0; samples beyond count as its ends.
    room = 2 * (device.HGS - device.LGS)
    low, high = max(0.0, device.LGS - room), device.LGS + room
    about, tolerance = samples.about_S or (samples.means_S if name == "var" else None), 1e-9 * room
    counts = {}
    for level, row in enumerate(samples.conductance_S):
        at = device.LGS + level * device.step_S if device.levels is None else device.levels[level]
        shift = 0.0 if about is None else at - about[level]
        below = bisect.bisect_left(row, low - shift - tolerance)
        beyond = below + len(row) - bisect.bisect_right(row, high - shift + tolerance)
        if beyond:
            counts[level] = f"level {level}: {beyond} of {len(row)}"
    if not counts:
        return []
    held = f"cells of this device hold {low:g} S to {high:g} S, LGS + 2 (HGS - LGS)"
    return [f"{name}: samples are clipped: {held}, and samples beyond count as the ends: {', '.join(counts.values())}"]


def _level_count(law: Any) -> int | None:
    # number of levels that have a law of their own; None for one law
    if isinstance(law, Relaxation):
        return law.level_count
    if isinstance(law, Flicker) and law.conductance_S is not None:
        return None  # by conductance, whatever the levels
    law = law.sigma_S if isinstance(law, Gaussian) else law.q if isinstance(law, Flicker) else law
    return len(law.counts) if isinstance(law, Samples) else len(law) if isinstance(law, tuple) else None


def _ascending(values: Any) -> tuple[float, ...]:
    levels = per_level("levels", values, as_conductance)
    if not isinstance(levels, tuple) or len(levels) < 2:
        fail(ValueError, f"levels={values!r} must give the conductance of every level, S: at least 2")
    ascending(levels, "levels")
    return levels
