"""Wires against rows: what the resistance of wires costs in arrays of several sizes."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import wires as circuit
from ..checks import as_int_pair, as_items, fail
from ..config import ADC, Device, Wires
from ..engine import Engine
from ._problem import SEED, Problem, checked, chip_numbers, distinct, listed, on_chip, progressing, spread, told
from ._study import Study

__all__ = ["wires"]

SHAPE = (32, 128, 128)
SIZES = (8, 16, 32, 64, 128)
SEGMENT_Ohm = 2.93  # of mPimPy's circuit


def wires(
    engine: Engine | None = None,
    x: Any = None,
    w: Any = None,
    *,
    sizes: Iterable[int | tuple[int, int]] = SIZES,
    chips: int | Iterable[int] = 1,
    progress: bool = True,
) -> Study:
    """Return the SNR with and without wire resistance, and the current lost, over sizes of the arrays.

    Parameters
    ----------
    engine : Engine, optional
        It has wires with resistance. A range of its ADCs in A stays the same for all sizes. By default 2.93 Ohm a
        segment, no variation and ideal ADCs, seed 0: the wires are the only effect beside quantisation.
    x, w : arrays, shape (..., K) and (K, N), optional
        Operands; by default the standard product of 32 x 128 by 128 x 128 standard normal numbers.
    sizes : sequence of int or (int, int)
        Rows and columns of an array, cells; a number n is n x n.
    chips : int or sequence of int
        Number of chips, or their numbers.
    progress : bool
        Show a progress bar, if tqdm is installed and the study takes more than 2 s.

    Returns
    -------
    Study
        A row for each size: mean SNR over chips with the wires, of the worst and the best chip, and without, dB; the
        share of its current that the worst cell of an array loses, and the mean of all, %, with every cell at HGS.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong; if the engine's wires have no resistance.

    Examples
    --------
    >>> from mpimpy import studies
    >>> found = studies.wires(sizes=[8, 32])
    >>> found.column("with wires")[0] > found.column("with wires")[1]
    True
    >>> [round(percent, 1) for percent in found.column("lost, mean")]
    [0.1, 2.0]
    """
    if engine is None:
        engine = Engine(Device(var=0), adc=ADC(None), wires=Wires(SEGMENT_Ohm, SEGMENT_Ohm), seed=SEED)
    segments = checked(engine).config.wires
    if segments is None or not (segments.r_word or segments.r_bit):
        fail(ValueError, "the engine's wires have no resistance: give it some, such as wires=Wires(2.93, 2.93)")
    shapes = distinct(
        "sizes",
        [
            as_int_pair("sizes", (one, one) if as_items("sizes", one) is None else one)
            for one in listed("sizes", sizes, "64")
        ],
    )
    problem, numbers = Problem(x, w, SHAPE), chip_numbers(chips)
    found: dict[str, list[tuple[float, ...]]] = {"with wires": [], "without": []}
    rows = []
    for shape in progressing(shapes, len(shapes), "sizes", progress):
        here = engine.replace(tile={"rows": shape[0], "cols": shape[1]})
        figures = []
        for name, each in (("with wires", here), ("without", here.replace(wires=None))):
            figures.append(
                tuple(problem.snr(on_chip(each, chip).program(problem.w).read(problem.x, read=0)) for chip in numbers)
            )
            found[name].append(figures[-1])
        HGS = engine.config.device.HGS
        lost = 100 * (1 - circuit.transfer(np.full(shape, HGS), segments.r_word, segments.r_bit) / HGS)
        rows.append((*shape, *spread(figures[0]), float(np.mean(figures[1])), float(lost.max()), float(lost.mean())))
    return Study(
        kind="wires",
        columns=("rows", "columns", "with wires", "worst", "best", "without", "lost, most", "lost, mean"),
        units=("", "", "dB", "dB", "dB", "dB", "%", "%"),
        rows=tuple(rows),
        chips=numbers,
        by_chip={name: tuple(values) for name, values in found.items()},
        facts={"word line segment (Ohm)": segments.r_word, "bit line segment (Ohm)": segments.r_bit},
        call={"sizes": [list(shape) for shape in shapes], "chips": list(numbers)},
        operands=problem.text,
        **told(engine),
    )
