"""Drift curve: SNR over the time since programming."""

from collections.abc import Iterable
from typing import Any

from ..config._variation import seconds
from ..devices import presets
from ..engine import Engine
from ._problem import SEED, Problem, checked, chip_numbers, distinct, listed, on_chip, progressing, spread, told
from ._study import Study

__all__ = ["drift"]

SHAPE = (64, 128, 64)
TIMES = ("1 min", "10 min", "1 h", "6 h", "1 d", "7 d", "30 d", "1 y")


def drift(
    engine: Engine | None = None,
    x: Any = None,
    w: Any = None,
    *,
    times: Iterable[float | str] = TIMES,
    chips: int | Iterable[int] = 10,
    progress: bool = True,
) -> Study:
    """Return the SNR over the time after programming, with and without compensation, over chips.

    A compensated product is multiplied by one number, the total conductance as programmed over that at the time; see
    `mpimpy.CrossbarMatrix.at`. All products are read 0.

    Parameters
    ----------
    engine : Engine, optional
        Its device has a `Drift` or a `Relaxation`. By default the preset "pcm-joshi", phase-change memory, seed 0.
    x, w : arrays, shape (..., K) and (K, N), optional
        Operands; by default the standard product of 64 x 128 by 128 x 64 standard normal numbers.
    times : sequence of float or str
        Times since programming: s, or texts such as "30 d".
    chips : int or sequence of int
        Number of chips, or their numbers.
    progress : bool
        Show a progress bar, if tqdm is installed and the study takes more than 2 s.

    Returns
    -------
    Study
        A row for each time, in ascending order: mean SNR, that of the worst and the best chip, dB, raw and
        compensated.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong; if time changes nothing in the device, or a time is beyond its laws.

    Examples
    --------
    >>> from mpimpy import studies
    >>> found = studies.drift(times=["1 min", "1 d"], chips=2)
    >>> raw, compensated = found.column("raw"), found.column("compensated")
    >>> compensated[1] > raw[1] + 1
    True
    """
    engine = checked(Engine(presets.device("pcm-joshi"), seed=SEED) if engine is None else engine)
    at = sorted(distinct("times", [seconds("times", time) for time in listed("times", times, "'1 d'")]))
    problem, numbers = Problem(x, w, SHAPE), chip_numbers(chips)
    raw, compensated, written = [], [], []
    for chip in progressing(numbers, len(numbers), "chips", progress):
        matrix = on_chip(engine, chip).program(problem.w)
        written.append(problem.snr(matrix.read(problem.x, read=0)))
        raw.append([problem.snr(matrix.at(time).read(problem.x, read=0)) for time in at])
        compensated.append([problem.snr(matrix.at(time, compensate=True).read(problem.x, read=0)) for time in at])
    # a row for each time, a number for each chip
    by_chip = {
        name: tuple(zip(*chips_first, strict=True))
        for name, chips_first in (("raw", raw), ("compensated", compensated))
    }
    rows = [
        (time, *spread(one), *spread(other))
        for time, one, other in zip(at, by_chip["raw"], by_chip["compensated"], strict=True)
    ]
    return Study(
        kind="drift",
        columns=("time", "raw", "raw, worst", "raw, best", "compensated", "compensated, worst", "compensated, best"),
        units=("s", *("dB",) * 6),
        rows=tuple(rows),
        chips=numbers,
        by_chip=by_chip,
        facts={"mean SNR as programmed (dB)": sum(written) / len(written)},
        call={"times": at, "chips": list(numbers)},
        operands=problem.text,
        **told(engine),
    )
