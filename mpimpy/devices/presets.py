"""Devices from the literature, by name, with source, range of validity and error band.

>>> device("pcm-joshi", g_level=16).HGS
2.5e-05

No preset depends on temperature: none of the sources gives a law for it.
"""

import dataclasses
from typing import Any, Unpack

from ..checks import check_names, fail
from ..config import Device, Gaussian
from ..config._device import CellSettings
from ._catalogue import PRESETS, Preset

__all__ = ["PRESETS", "Listing", "Preset", "device", "listing"]


class Listing(tuple[Preset, ...]):
    """Presets, one after the other; prints as their paragraphs."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self))


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
    >>> [preset.name for preset in listing()][:5]
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
        If conductances are out of the range in which the preset holds, or `verify` is given: the spreads are what
        verified writing left.

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
    given: dict[str, Any] = {}
    if preset.extra is not None:
        given |= preset.extra(levels, None if "write_var" in settings else preset.spread_uS)
    if preset.spread_uS is None:
        given["var"] = Device().var
    else:
        # what is published is what verified writing left
        given["write_var"] = Gaussian([preset.sigma_S(g) for g in levels], verified=True)
    return dataclasses.replace(made, **given | {**settings})
