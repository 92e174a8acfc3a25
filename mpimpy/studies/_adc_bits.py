"""ADC bits: SNR against the resolution of the ADCs, with full and calibrated ranges."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from ..checks import as_int
from ..config import ADC
from ..engine import Engine
from ._problem import SEED, Problem, checked, chip_numbers, distinct, listed, on_chip, progressing, told
from ._study import Study

__all__ = ["adc_bits"]

SHAPE = (64, 128, 64)
MOST = 24  # bits of an ADC
FINE = 2**32  # codes whose rounding is nothing beside an error of 24 bits
IN_LSB = "ADC noise and offsets are in LSB: each bit more makes them 6 dB smaller"


def adc_bits(
    engine: Engine | None = None,
    x: Any = None,
    w: Any = None,
    *,
    bits: Iterable[int] = range(4, 13),
    chips: int | Iterable[int] = 1,
    progress: bool = True,
) -> Study:
    """Return the SNR against the resolution of the ADCs, with full and with calibrated ranges.

    Ranges are calibrated on the operands themselves and on the first chip, by `mpimpy.Engine.calibrate`.

    The SNR without rounding is that of ever finer codes: errors of the ADCs' gains stay, and so does ``snap``. Noise
    and offsets of ADCs are settings in LSB, so each bit more makes them half as large in A, for free, and without
    rounding they are nothing; a note says so. For noise that stays the same in A, double ``noise_lsb`` with each
    bit, in a call for each.

    Parameters
    ----------
    engine : Engine, optional
        By default the defaults, among them 5 % read variation, seed 0. Its resolution and range of ADCs are replaced.
    x, w : arrays, shape (..., K) and (K, N), optional
        Operands; by default the standard product of 64 x 128 by 128 x 64 standard normal numbers.
    bits : sequence of int
        Resolutions, 1 to 24 bits: ADCs of 2**bits codes.
    chips : int or sequence of int
        Number of chips, or their numbers.
    progress : bool
        Show a progress bar, if tqdm is installed and the study takes more than 2 s.

    Returns
    -------
    Study
        A row for each resolution, in ascending order: mean SNR over chips with full and with calibrated ranges, dB. The
        fact beside the table is the SNR without rounding.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the engine cannot be calibrated.

    Examples
    --------
    >>> from mpimpy import studies
    >>> found = studies.adc_bits(bits=[6, 8])
    >>> found.column("calibrated")[0] > found.column("full range")[0] + 3
    True
    """
    engine = checked(Engine(seed=SEED) if engine is None else engine)
    resolutions = sorted(distinct("bits", [as_int("bits", one, 1, MOST) for one in listed("bits", bits, "8")]))
    problem, numbers = Problem(x, w, SHAPE), chip_numbers(chips)

    def figures(settings: Engine) -> tuple[float, ...]:
        return tuple(
            problem.snr(on_chip(settings, chip).program(problem.w).read(problem.x, read=0)) for chip in numbers
        )

    adc = engine.config.adc
    by_chip: dict[str, list[tuple[float, ...]]] = {"full range": [], "calibrated": []}
    for resolution in progressing(resolutions, len(resolutions), "bits", progress):
        full = engine.replace(adc={"radc": 2**resolution, "range": "full"})
        by_chip["full range"].append(figures(full))
        by_chip["calibrated"].append(figures(on_chip(full, numbers[0]).calibrate(problem.x, problem.w)))
    smooth = figures(engine.replace(adc=_smooth(adc)))
    rows = [
        (resolution, *(sum(one) / len(one) for one in pair))
        for resolution, *pair in zip(resolutions, *by_chip.values(), strict=True)
    ]
    return Study(
        kind="adc_bits",
        columns=("bits", *by_chip),
        units=("", "dB", "dB"),
        rows=tuple(rows),
        chips=numbers,
        by_chip={name: tuple(values) for name, values in by_chip.items()},
        facts={"mean SNR without ADC rounding (dB)": sum(smooth) / len(smooth)},
        call={"bits": resolutions, "chips": list(numbers)},
        operands=problem.text,
        notes=(IN_LSB,) if adc.noise_lsb or adc.offset_lsb else (),
        **told(engine),
    )


def _smooth(adc: ADC) -> ADC:
    # the limit of ever more bits; the ideal ADC has no gains to be wrong, and rounds no product to an integer
    if not (adc.gain_error or adc.snap):
        return ADC(None)
    return dataclasses.replace(adc, radc=FINE, range="full", noise_lsb=0.0, offset_lsb=0.0)
