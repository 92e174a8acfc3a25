"""Yield: the share of chips that reach a wanted figure."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._neighbours import frozen
from ..checks import as_float, fail
from ..config import ADC, Device
from ..engine import Engine
from ..workloads import product
from ._problem import SEED, Problem, checked, chip_numbers, distinct, listed, on_chip, progressing, told
from ._study import Study

__all__ = ["chip_yield"]

SHAPE = (64, 128, 64)
SAME = "chips differ in read noise at most: write variation, stuck cells, ADC offsets and gains are off"


def chip_yield(
    engine: Engine | None = None,
    x: Any = None,
    w: Any = None,
    *,
    target: float | Iterable[float] | None = None,
    figure: Callable[[Engine], Any] | None = None,
    chips: int | Iterable[int] = 100,
    progress: bool = True,
) -> Study:
    """Return the yield: the share of chips that reach a target, with a 95 % confidence interval.

    The interval is that of Wilson, by SciPy's `scipy.stats.binomtest`. Chips share all settings and the seed; the
    number of a chip addresses its write variation and stuck cells, so the same seed gives the same table.

    Parameters
    ----------
    engine : Engine, optional
        By default 2 % write variation, 1 % read variation, one cell of 10,000 stuck at LGS and one at HGS, 10-bit ADCs,
        seed 0.
    x, w : arrays, shape (..., K) and (K, N), optional
        Operands; by default the standard product of 64 x 128 by 128 x 64 standard normal numbers.
    target : float or sequence of float, optional
        Wanted SNR, dB, by default 20; or wanted figure. A chip reaches it with at least as much. Several make a row
        each.
    figure : function of an engine, optional
        Figure of merit in the place of the SNR of ``x @ w``, larger is better: it returns a number, or a dict with
        one, as workloads of `mpimpy.sweep` do; their names and units stand in the table. A plain number has the name
        of the function. It should read with ``read=0``. It needs a target.
    chips : int or sequence of int
        Number of chips, or their numbers.
    progress : bool
        Show a progress bar, if tqdm is installed and the study takes more than 2 s.

    Returns
    -------
    Study
        A row for each target: chips that reach it, their share, and its interval, %. A note says if the settings
        make no chip differ from another but by the noise of its reads.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the figure of a chip is NaN.

    Examples
    --------
    >>> from mpimpy import studies
    >>> found = studies.chip_yield(target=[20, 40], chips=10)
    >>> found.column("reached")[1]
    0
    >>> print(f"{found.rows[1][2]:.0f} % ({found.rows[1][3]:.0f} to {found.rows[1][4]:.0f} %)")
    0 % (0 to 28 %)
    """
    if engine is None:
        device = Device(var=0.01, write_var=0.02, stuck_LGS=1e-4, stuck_HGS=1e-4)
        engine = Engine(device, adc=ADC(1024), seed=SEED)
    checked(engine)
    if target is None and figure is not None:
        fail(ValueError, "figure= needs a target in its own unit: give target=, such as target=0.9 for an accuracy")
    target = 20.0 if target is None else target
    targets = list(distinct("target", [as_float("target", one, -math.inf) for one in listed("target", target, "20.0")]))
    numbers = chip_numbers(chips)
    if figure is None:
        problem = Problem(x, w, SHAPE)
        figure, operands = product(problem.x, problem.w), problem.text
    else:
        if x is not None or w is not None:
            fail(ValueError, "x and w have no effect with figure=, which has operands of its own: leave them out")
        if not callable(figure):
            fail(TypeError, f"figure={figure!r} must be a function of an engine, which returns a number")
        operands = f"{getattr(figure, '__name__', type(figure).__name__)}(engine)"
    plain = getattr(figure, "__name__", "figure").replace("<lambda>", "figure")
    named = [
        _named(figure(on_chip(engine, chip)), chip, plain)
        for chip in progressing(numbers, len(numbers), "chips", progress)
    ]
    name, found = named[0][0], tuple(value for _, value in named)
    unit = getattr(figure, "units", {}).get(name, "").removeprefix("1")
    rows = []
    for wanted in targets:
        reached = sum(value >= wanted for value in found)
        rows.append(
            (wanted, reached, 100 * reached / len(found), *(100 * end for end in interval(reached, len(found))))
        )
    text = f"{name} ({unit}) of a chip" if unit else f"{name} of a chip"
    return Study(
        kind="chip_yield",
        columns=("target", "reached", "yield", "from", "to"),
        units=(unit, "", "%", "%", "%"),
        rows=tuple(rows),
        chips=numbers,
        by_chip={name: (found,)},
        facts={f"lowest {text}": min(found), f"mean {text}": sum(found) / len(found), f"highest {text}": max(found)},
        call={"target": targets, "chips": list(numbers)},
        operands=operands,
        notes=() if len(numbers) == 1 or frozen(engine.config) else (SAME,),
        **told(engine),
    )


def interval(reached: int, total: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, 0 to 1, by Wilson."""
    from scipy.stats import binomtest

    found = binomtest(reached, total).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def _named(result: Any, chip: int, plain: str) -> tuple[str, float]:
    # the name of a figure, `plain` if it has none of its own, and the figure
    figures = dict(result) if isinstance(result, Mapping) else {plain: result}
    if len(figures) != 1:
        fail(ValueError, f"figure returns {len(figures)} numbers, and a yield needs one: return one number")
    ((name, given),) = figures.items()
    try:
        value = float(given)
    except (TypeError, ValueError):
        fail(TypeError, f"figure returns {given!r} for chip {chip}: it must return a number")
    if math.isnan(value):
        fail(ValueError, f"the figure of chip {chip} is NaN, which reaches no target and misses none")
    return str(name), value
