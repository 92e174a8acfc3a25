"""Kinds of variation, drift and write-verify: the laws that a device's conductances follow."""

import itertools
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..checks import as_bool, as_float, as_int, as_items, as_sigma, fail, set_fields
from ._hints import hinted
from ._sense import SECONDS, tell
from ._shown import short_repr

__all__ = ["UNITS", "Drift", "Flicker", "Gaussian", "Samples", "WriteVerify", "per_level", "seconds", "variation"]

# Seconds in a unit of time.
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "y": 365.25 * 86400.0}


def per_level(name: str, value: Any, check: Callable[[str, Any], float]) -> float | tuple[float, ...]:
    """Return one checked number, or a tuple of them, one per level; `check` takes a name and a number.

    Raises
    ------
    TypeError, ValueError
        If `check` raises one, or if there is no number at all.
    """
    given = as_items(name, value)
    if given is None:
        return check(name, value)
    items = tuple(check(f"{name}[{index}]", item) for index, item in enumerate(given))
    if not items:
        fail(ValueError, f"{name} is empty: give one number, or one per level")
    return items


MAX_TABLES = 256  # levels, or conductances, that may have a law of their own


def ascending(values: tuple[float, ...], name: str) -> None:
    """Raise ValueError unless there are at least two conductances, S, each above the one before."""
    if len(values) < 2:
        fail(ValueError, f"{name}={values!r} must give at least 2 conductances, S")
    for index, (low, high) in enumerate(itertools.pairwise(values)):
        if low >= high:
            what = f"{name}[{index}]={low:g} S and {name}[{index + 1}]={high:g} S"
            fail(ValueError, f"{name} must ascend, but {what}")


def as_conductance(name: str, value: Any) -> float:
    """Return a checked conductance, S."""
    return as_float(name, value, 0, unit=" S")


def _all_zero(value: float | tuple[float, ...]) -> bool:
    return not any(value) if isinstance(value, tuple) else value == 0


def _check_effect(name: str, value: float | tuple[float, ...]) -> None:
    # a law of zeros varies nothing: it is left out
    if _all_zero(value):
        fail(ValueError, f"{name}={value!r} varies nothing: leave it out, or use 0 for the variation itself")


@hinted
@dataclass(frozen=True)
class Gaussian:
    """Variation by an absolute amount: each draw adds ``N(0, sigma_S)`` to the conductance.

    A conductance that would fall below 0 is 0.

    Parameters
    ----------
    sigma_S : float or sequence of float
        Standard deviation, S: one for all levels, or one per level, lowest level first.
    verified : bool
        The spread is what verified writing leaves, as published ones are, and not that of one pulse: a device with
        such a law takes no `WriteVerify`, which would count verification twice.

    Raises
    ------
    ValueError, TypeError
        If a number is negative or not a number, or if all are 0.

    Examples
    --------
    >>> from mpimpy import Device
    >>> Device(write_var=Gaussian(2e-7)).write_var.sigma_S
    2e-07
    """

    sigma_S: float | tuple[float, ...]
    verified: bool = False

    if TYPE_CHECKING:

        def __init__(self, sigma_S: float | Iterable[float], verified: bool = False) -> None: ...

    __repr__ = short_repr

    def __post_init__(self) -> None:
        set_fields(
            self,
            sigma_S=per_level("sigma_S", self.sigma_S, as_conductance),
            verified=as_bool("verified", self.verified),
        )
        _check_effect("sigma_S", self.sigma_S)


@hinted
@dataclass(frozen=True, repr=False)
class Samples:
    """Variation as measured: each draw takes one of a level's samples, all equally likely.

    Parameters
    ----------
    conductance_S : sequence of sequences of float
        Measured conductances, S, one sequence per level, lowest level first.
    about_S : sequence of float, optional
        The conductance of each level that counts as no deviation, S. By default a written cell
        takes the sample itself, and a read deviates by the sample less the mean of its level.

    Raises
    ------
    ValueError, TypeError
        If a level has no samples, or one is negative or not a number.

    Examples
    --------
    >>> from mpimpy import Device
    >>> samples = Samples([[1.0e-7, 1.2e-7], [9.8e-6, 1.0e-5, 1.1e-5]])
    >>> Device(g_level=2, write_var=samples).write_var
    Samples(2 levels, 2 to 3 samples each)
    """

    conductance_S: tuple[tuple[float, ...], ...]
    about_S: tuple[float, ...] | None = None

    if TYPE_CHECKING:

        def __init__(
            self, conductance_S: Iterable[Iterable[float]], about_S: Iterable[float] | None = None
        ) -> None: ...

    def __post_init__(self) -> None:
        rows = []
        for row in as_items("conductance_S", self.conductance_S) or (None,):
            found = as_items("conductance_S", row)
            if found is None:
                what = "conductance_S must hold one sequence of conductances per level, such as [[1e-7], [1e-5]]"
                fail(TypeError, what)
            rows.append(found)
        for level, row in enumerate(rows):
            if not row:
                fail(ValueError, f"conductance_S holds no samples of level {level}: measure it, or use fewer levels")
        if len(rows) < 2:
            fail(ValueError, f"conductance_S holds {len(rows)} levels: a device has at least 2")
        checked = tuple(
            tuple(sorted(as_conductance(f"conductance_S[{n}]", g) for g in row)) for n, row in enumerate(rows)
        )
        about = None if self.about_S is None else per_level("about_S", self.about_S, as_conductance)
        if about is not None and (not isinstance(about, tuple) or len(about) != len(rows)):
            fail(ValueError, f"about_S must give one conductance for each of the {len(rows)} levels")
        set_fields(self, conductance_S=checked, about_S=about)
        # a configuration is looked up by its hash several times a product
        set_fields(self, _hash=hash((checked, about)))

    def __hash__(self) -> int:
        return self.__dict__["_hash"]  # type: ignore[no-any-return]

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of samples per level."""
        return tuple(map(len, self.conductance_S))

    @property
    def means_S(self) -> tuple[float, ...]:
        """Mean of the samples per level, S."""
        return tuple(math.fsum(row) / len(row) for row in self.conductance_S)

    @property
    def spreads_S(self) -> tuple[float, ...]:
        """Standard deviation per level, S, of the samples as a whole population."""
        rows = zip(self.conductance_S, self.means_S, strict=True)
        return tuple(math.sqrt(math.fsum((g - mean) ** 2 for g in row) / len(row)) for row, mean in rows)

    def __repr__(self) -> str:
        low, high = min(self.counts), max(self.counts)
        many = f"{low} to {high}" if low < high else f"{low}"
        about = "" if self.about_S is None else ", about given conductances"
        return f"Samples({len(self.counts)} levels, {many} samples each{about})"


def _classes(q: float | tuple[float, ...], given: Any) -> tuple[float, ...]:
    # the conductances of the strengths `q`
    found = per_level("conductance_S", given, as_conductance)
    if not isinstance(q, tuple) or not isinstance(found, tuple) or len(q) != len(found):
        fail(ValueError, "q and conductance_S must be two lists of one length: a strength for each conductance")
    ascending(found, "conductance_S")
    if len(found) > MAX_TABLES:
        fail(ValueError, f"conductance_S gives {len(found)} conductances: use at most {MAX_TABLES}")
    return found


def _odd_flicker(flicker: "Flicker") -> list[str]:
    return SECONDS.oddity("t_read_s", flicker.t_read_s)


@hinted
@dataclass(frozen=True)
class Flicker:
    """Read noise of 1/f kind, which grows with the time since programming.

    A read at time t multiplies a conductance by ``1 + N(0, q * sqrt(ln((t + t_read) / (2 t_read))))``,
    or by 0 where that is negative.

    Parameters
    ----------
    q : float or sequence of float
        Relative strength: one for all levels, one per level, or one for each of `conductance_S`.
    t_read_s : float
        Duration of a read, s.
    t0_s : float
        Time of the reads of a matrix that was not aged with `CrossbarMatrix.at`, s after programming.
    conductance_S : sequence of float, optional
        Conductances, S, ascending, at least 2 and at most 256, to which the strengths belong: a cell has the strength
        of the nearest one, wherever writing took it, at all times. By default the level that was written decides.

    Notes
    -----
    Source: S. R. Nandakumar et al., "Phase-change memory models for deep learning training and
    inference", ICECS 2019.

    Examples
    --------
    >>> round(Flicker(0.01).sigma(0.01, 20.0), 4)
    0.0418
    """

    q: float | tuple[float, ...]
    t_read_s: float = 250e-9
    t0_s: float = 20.0
    conductance_S: tuple[float, ...] | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            q: float | Iterable[float],
            t_read_s: float = 250e-9,
            t0_s: float = 20.0,
            conductance_S: Iterable[float] | None = None,
        ) -> None: ...

    __repr__ = short_repr

    def __post_init__(self) -> None:
        set_fields(
            self,
            q=per_level("q", self.q, as_sigma),
            t_read_s=as_float("t_read_s", self.t_read_s, 0, above=True, unit=" s"),
            t0_s=as_float("t0_s", self.t0_s, 0, above=True, unit=" s"),
        )
        _check_effect("q", self.q)
        if self.t0_s <= self.t_read_s:
            fail(ValueError, f"t0_s={self.t0_s:g} s must be later than one read lasts, t_read_s={self.t_read_s:g} s")
        if self.conductance_S is not None:
            set_fields(self, conductance_S=_classes(self.q, self.conductance_S))
        tell(self, _odd_flicker)

    def sigma(self, q: float, t_s: float) -> float:
        """Return the relative standard deviation that a strength `q` has at time `t_s`."""
        return q * math.sqrt(math.log((t_s + self.t_read_s) / (2 * self.t_read_s)))


@hinted
@dataclass(frozen=True)
class Drift:
    """Conductances that decay with time: ``G(t) = G(t0) * (t / t0)**-nu``.

    Every cell has an exponent of its own, ``N(nu, nu_spread)``, at least 0, the same at all times.

    Parameters
    ----------
    nu : float or sequence of float
        Mean exponent: one for all levels, or one per level.
    nu_spread : float or sequence of float
        Standard deviation of the exponent.
    t0_s : float
        Time at which conductances are as programmed, s after programming.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Device, Engine
    >>> W = Engine(Device(var=0, drift=Drift(0.05, t0_s=20)), seed=1).program(np.eye(3))
    >>> float(round(W.at("1 d").conductance().max() / W.conductance().max(), 3))
    0.658
    """

    nu: float | tuple[float, ...]
    nu_spread: float | tuple[float, ...] = 0.0
    t0_s: float = 1.0

    if TYPE_CHECKING:

        def __init__(
            self, nu: float | Iterable[float], nu_spread: float | Iterable[float] = 0.0, t0_s: float = 1.0
        ) -> None: ...

    __repr__ = short_repr

    def __post_init__(self) -> None:
        def check(name: str, value: Any) -> float:
            return as_float(name, value, 0, 1)

        set_fields(
            self,
            nu=per_level("nu", self.nu, check),
            nu_spread=per_level("nu_spread", self.nu_spread, check),
            t0_s=as_float("t0_s", self.t0_s, 0, above=True, unit=" s"),
        )
        if _all_zero(self.nu) and _all_zero(self.nu_spread):
            fail(ValueError, "nu=0 and nu_spread=0 let nothing drift: use drift=None")


@hinted
@dataclass(frozen=True)
class WriteVerify:
    """Programming with pulses until a cell is near its level: each pulse draws the write variation anew.

    Parameters
    ----------
    tolerance_S : float
        Distance from its level, S, up to which a cell is left alone.
        Cells hold whole grid units, so what counts is ``floor(tolerance) + 1/2`` units: the nearest that the grid
        has, at most half a unit, or 1/64 of the tolerance, off.
    pulses : int
        Largest number of pulses for one cell, the first one included; 1 to 65536.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Device, Engine
    >>> device = Device(write_var=0.1, verify=WriteVerify(5e-7, pulses=20))
    >>> Engine(device, seed=1).program(np.eye(64)).programming.failures
    0
    """

    tolerance_S: float
    pulses: int = 20

    __repr__ = short_repr

    def __post_init__(self) -> None:
        set_fields(
            self,
            tolerance_S=as_float("tolerance_S", self.tolerance_S, 0, above=True, unit=" S"),
            pulses=as_int("pulses", self.pulses, 1, 1 << 16),
        )


def variation(name: str, value: Any) -> float | tuple[float, ...] | Gaussian | Samples | Flicker:
    """Return a kind of variation in its plain form: a number, a tuple of numbers, or an object of this module.

    A number or a sequence are relative standard deviations, of the factor's logarithm. 0, or nothing but zeros,
    is off.

    Raises
    ------
    TypeError, ValueError
        If it is no kind of variation, or of one that `name` does not take.
    """
    if isinstance(value, Flicker) and name == "write_var":
        fail(ValueError, f"{name}: Flicker is noise of reads: give it as var")
    if isinstance(value, Gaussian | Samples | Flicker):
        return value
    found = per_level(name, value, as_sigma)
    return found if not isinstance(found, tuple) or any(found) else 0.0


def seconds(name: str, value: Any) -> float:
    """Return a time in seconds: a number of them, or text such as "30 d" with s, min, h, d or y.

    Raises
    ------
    TypeError, ValueError
        If it is no time, or not above 0.

    Examples
    --------
    >>> seconds("t", "30 d")
    2592000.0
    """
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([\d.]+(?:[eE][-+]?\d+)?)\s*([a-zA-Z]+)\s*", value)
        if found is None or found[2] not in UNITS:
            units = ", ".join(UNITS)
            fail(ValueError, f"{name}={value!r} is no time: give seconds, or a number with one of {units}, as '30 d'")
        try:
            number = float(found[1])
        except ValueError:
            fail(ValueError, f"{name}={value!r} is no time: {found[1]!r} is not a number")
        value = number * UNITS[found[2]]
    return as_float(name, value, 0, above=True, unit=" s")
