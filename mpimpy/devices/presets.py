"""Devices from the literature, by name, with source, range of validity and error band.

>>> device("pcm-joshi", g_level=16).HGS
2.5e-05

No preset depends on temperature: none of the sources gives a law for it.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Unpack

from ..checks import check_names, fail
from ..config import Device, Drift, Flicker, Gaussian
from ..config._device import CellSettings

__all__ = ["PRESETS", "Listing", "Preset", "device", "listing"]


@dataclass(frozen=True)
class Preset:
    """A device from the literature; prints as a paragraph.

    Attributes
    ----------
    name : str
    what : str
        Material and source of the write variation, in a line.
    LGS, HGS : float
        Range of conductances of a device by default, S.
    valid_S : (float, float) or None
        Range in which the law holds, S; None: anywhere.
    law : str
        The law, conductance G in uS.
    sources : tuple of str
    band : str
        How far the law may be trusted.
    sigma_S : function or None
        Write variation: standard deviation, S, at a conductance, S.
    extra : function or None
        Further settings of a device with levels at given conductances, S.
    """

    name: str
    what: str
    LGS: float
    HGS: float
    valid_S: tuple[float, float] | None
    law: str
    sources: tuple[str, ...]
    band: str
    sigma_S: Callable[[float], float] | None = None
    extra: Callable[[list[float]], dict[str, Any]] | None = None

    def __str__(self) -> str:
        valid = "any" if self.valid_S is None else f"{self.valid_S[0] * 1e6:g} to {self.valid_S[1] * 1e6:g} uS"
        lines = [f"{self.name}: {self.what}", f"law: {self.law}", f"valid: {valid}", f"error band: {self.band}"]
        return "\n    ".join([*lines, *(f"source: {source}" for source in self.sources)])


class Listing(tuple[Preset, ...]):
    """Presets, one after the other; prints as their paragraphs."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self))


def _polynomial(*coefficients: float) -> Callable[[float], float]:
    # of the conductance in uS, lowest power first
    def sigma_S(conductance_S: float) -> float:
        g = conductance_S * 1e6
        return sum(c * g**power for power, c in enumerate(coefficients)) * 1e-6

    return sigma_S


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


PCM_S = 25e-6  # the conductance of g = 1


def _pcm(conductances_S: list[float]) -> dict[str, Any]:
    # drift and 1/f noise of Nandakumar et al. At g = 0 logarithm and power are at the ends of their range.
    logs = [math.log(g / PCM_S) if g > 0 else -math.inf for g in conductances_S]
    nu = [_clip(-0.0155 * log + 0.0244, 0.049, 0.1) for log in logs]
    nu_spread = [_clip(-0.0125 * log - 0.0059, 0.008, 0.045) for log in logs]
    q = [min(0.0088 * math.exp(-0.65 * log), 0.2) if log > -math.inf else 0.2 for log in logs]
    return {"drift": Drift(nu, nu_spread, t0_s=20.0), "var": Flicker(q, t_read_s=250e-9, t0_s=20.0)}


_ICECS = 'S. R. Nandakumar et al., "Phase-change memory models for deep learning training and inference", ICECS 2019 '
_LAWS = (
    "; with g = G/25: drift from 20 s, nu of mean clip(-0.0155 ln g + 0.0244, 0.049, 0.1) and "
    "spread clip(-0.0125 ln g - 0.0059, 0.008, 0.045); read noise min(0.0088 / g^0.65, 0.2) G "
    "sqrt(ln((t + 250 ns) / 500 ns))"
)

PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="generic",
            what="no device in particular: the defaults of Device, 5 % read variation",
            LGS=1e-7,
            HGS=1e-5,
            valid_S=None,
            law="each read multiplies G by exp(N(0, 0.05)); no write variation",
            sources=("none: numbers that the predecessors of mpimpy began with",),
            band="none is claimed",
        ),
        Preset(
            name="pcm-joshi",
            what="phase-change memory, write variation as measured by Joshi et al.",
            LGS=0.0,
            HGS=25e-6,
            valid_S=(0.0, 25e-6),
            law="sigma = -0.00178767 G^2 + 0.07585724 G + 0.28638599 uS" + _LAWS,
            sources=(
                'V. Joshi et al., "Accurate deep neural network inference using computational phase-change memory", '
                "Nat. Commun. 11, 2473 (2020)",
                _ICECS + "(drift, read noise)",
            ),
            band="the other fit, pcm-nandakumar, is within 2 % from 5 uS up, and 8 % lower near 0",
            sigma_S=_polynomial(0.28638599, 0.07585724, -0.00178767),
            extra=_pcm,
        ),
        Preset(
            name="pcm-nandakumar",
            what="phase-change memory, write variation of Nandakumar et al.",
            LGS=0.0,
            HGS=25e-6,
            valid_S=(0.0, 25e-6),
            law="sigma = 0.26348 + 1.9650 g - 1.1731 g^2 uS" + _LAWS,
            sources=(_ICECS.strip(),),
            band="the other fit, pcm-joshi, is within 2 % from 5 uS up, and 9 % higher near 0",
            sigma_S=_polynomial(0.26348, 1.9650 / 25, -1.1731 / 25**2),
            extra=_pcm,
        ),
        Preset(
            name="reram-wan",
            what="resistive memory of the NeuRRAM chip, 1 s after programming",
            LGS=1e-6,
            HGS=39e-6,
            valid_S=(0.0, 39e-6),
            law="sigma = 1.536e-4 G^3 - 1.167e-2 G^2 + 0.2374 G + 1.053 uS",
            sources=(
                'W. Wan et al., "A compute-in-memory chip based on resistive random-access memory", '
                "Nature 608, 504 (2022)",
            ),
            band="two published fits of these data differ by 6 to 30 % from 5 uS up, and threefold at 0",
            sigma_S=_polynomial(1.053, 0.2374, -1.167e-2, 1.536e-4),
        ),
        Preset(
            name="reram-milo",
            what="resistive memory, HfO2, multilevel",
            LGS=50e-6,
            HGS=225e-6,
            valid_S=(50e-6, 225e-6),
            law="sigma = -0.009107 G + 4.782321 uS",
            sources=(
                'V. Milo et al., "Optimized programming algorithms for multilevel RRAM in hardware neural networks", '
                "IRPS 2021",
            ),
            band="not published; one straight line through all levels",
            sigma_S=_polynomial(4.782321, -0.009107),
        ),
    )
}


def listing(name: str | None = None) -> Listing:
    """Return the presets, to look at or to print: law, range of validity, error band, sources.

    Parameters
    ----------
    name : str, optional
        Only this one.

    Raises
    ------
    TypeError
        If there is none of that name.

    Examples
    --------
    >>> [preset.name for preset in listing()]
    ['generic', 'pcm-joshi', 'pcm-nandakumar', 'reram-wan', 'reram-milo']
    >>> print(str(listing("reram-milo")).partition("source")[0])
    reram-milo: resistive memory, HfO2, multilevel
        law: sigma = -0.009107 G + 4.782321 uS
        valid: 50 to 225 uS
        error band: not published; one straight line through all levels
    <BLANKLINE>
    """
    if name is None:
        return Listing(PRESETS.values())
    check_names([name], PRESETS, "preset")
    return Listing([PRESETS[name]])


def device(
    name: str,
    g_level: int = 16,
    *,
    HGS: float | None = None,
    LGS: float | None = None,
    **settings: Unpack[CellSettings],
) -> Device:
    """Return the device of a preset.

    Parameters
    ----------
    name : str
        A name of `listing`.
    g_level : int
        Number of evenly spaced levels, 2 to 256.
    HGS, LGS : float, optional
        Ends of the range of conductances, S, within the preset's range of validity.
    **settings
        Other settings of `Device`, such as ``var=0``; they replace those of the preset.

    Returns
    -------
    Device

    Raises
    ------
    TypeError
        If there is no preset of that name.
    ValueError
        If conductances are out of the range in which the preset holds.

    Examples
    --------
    >>> chip = device("reram-wan", g_level=8, HGS=30e-6)
    >>> round(chip.write_var.sigma_S[-1] * 1e6, 3)
    1.819
    """
    (preset,) = listing(name)
    made = Device(
        HGS=preset.HGS if HGS is None else HGS, LGS=preset.LGS if LGS is None else LGS, g_level=g_level, var=0.0
    )
    if preset.valid_S is not None:
        low, high = preset.valid_S
        for end in ("LGS", "HGS"):
            if not low <= getattr(made, end) <= high:
                end_S = f"{end}={getattr(made, end):g} S"
                fail(ValueError, f"{end_S}: {name} holds from {low:g} S to {high:g} S: keep within that range")
    levels = [made.LGS + level * made.step_S for level in range(made.g_level)]
    given: dict[str, Any] = {} if preset.extra is None else preset.extra(levels)
    if preset.sigma_S is None:
        given["var"] = Device().var
    else:
        given["write_var"] = Gaussian([preset.sigma_S(g) for g in levels])
    return dataclasses.replace(made, **given | {**settings})
