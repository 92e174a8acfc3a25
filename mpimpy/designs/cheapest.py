"""The cheapest design that reaches a wanted SNR: scaled budgets, then simulations from the cheapest up."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import noise
from ..checks import as_float, as_int, fail
from .costs import Cost, as_cost
from .grid import Grid, make_grid
from .result import Design, DesignResult
from .simulation import Bench, make_bench
from .space import as_space

__all__ = ["design"]

# by how much a simulation may exceed a scaled figure, dB, where the error of an ADC deviates from a uniform one: 0.5 dB
# as long as the law holds, and what 2,200 simulations found beyond
DEVIATIONS, MARGINS_DB = (0.05, 0.1, 0.15, 0.5, 0.7, 1.0), (0.5, 1.2, 2.0, 2.2, 3.0, 5.0)
SCATTERS = 3  # a margin has at least so many times the scatter of the SNR
SMALL = 1 << 14  # multiplications of a product whose simulation costs less than a budget: every design is simulated
LAST = 1000  # designs that are simulated before a search fails, the most accurate by their figures
CHIPS = 3
_FROZEN = ("write_var", "stuck_fault_ratio", "stuck_HGS", "stuck_LGS", "offset_lsb", "gain_error")


def design(
    x: Any,
    w: Any,
    space: Mapping[str, Any],
    *,
    target_dB: float,
    cost: Cost | str,
    seed: int = 0,
    chips: int | None = None,
) -> DesignResult:
    """Return the cheapest design of ``x @ w`` that reaches an SNR.

    One error budget is simulated for each combination of settings other than radc, var, write_var and vnoise, and gives
    the SNR of all designs; see `Report.scaled`. The designs whose SNR is no more than a margin below the target are
    then simulated, the cheapest first, until one reaches it. The margin is 0.5 dB, up to 5 dB where the law holds less
    well, and more for products of few outputs, or with few large ones, whose SNR scatters. Designs for which the budget
    does not scale have no figure, and are simulated in their turn. If none reaches the target, the others are simulated
    too, at most 1,000 of them. Small products, of up to 16,384 multiplications, have every design simulated in turn.

    The simulated SNR is that of ``found.engine.program(w).read(x, read=0)``, or a mean over chips of
    ``found.engine.program(w, chip=chip)``.

    Parameters
    ----------
    x : array, shape (..., K)
        Typical inputs.
    w : array, shape (K, N)
    space : dict
        Flat settings (see `DPETensor`), each with a list of values: all combinations are designs. Those that cannot be
        built, such as slices that need more levels than there are, are left out and counted.
    target_dB : float
        SNR of the product, dB.
    cost : callable or str
        ``cost(engine, counts)`` of a design: a number. `counts` are the `mpimpy.cost.Counts` of
        the product. Or the name of one of `mpimpy.designs.COSTS`: "cells", "cells*bits", "arrays", "conversions",
        "conversions*bits", "conversions*codes".
    seed : int
        Of all simulations: they have the same noise where their settings allow it, and repeat to the bit.
    chips : int, optional
        Chips over which the power of the error is a mean, in budgets and in simulations; by default 3 if
        anything in the space is frozen on a chip (write variation, stuck cells, offsets and gains of ADCs), else 1.

    Returns
    -------
    DesignResult

    Raises
    ------
    TypeError, ValueError
        If operands, names or values are wrong; if no design can be built; if none that was simulated reaches
        the target: the message has the best of them.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.random.default_rng(0).standard_normal((2, 64, 64))
    >>> space = {"radc": [256, 512, 1024, 2048], "var": [0.01], "w_mapping": ["twos", "pair"]}
    >>> found = design(x, w, space, target_dB=28, cost="conversions*codes")
    >>> found.snr_dB >= 28, found.designs, found.budgets
    (True, 8, 2)
    """
    values = as_space(space)
    target = as_float("target_dB", target_dB, -math.inf, unit=" dB")
    found_cost = as_cost(cost)
    if chips is None:
        frozen = any(any(value != 0 for value in values.get(name, ())) for name in _FROZEN)
        chips = CHIPS if frozen else 1
    bench = make_bench(x, w, as_int("seed", seed, 0, noise.MAX_SEED), chips)
    grid = make_grid(values, bench, found_cost)
    search = _Search(grid, bench)
    at = search.up_to(target)
    if at is None:
        fail(ValueError, search.failure(target))
    settings = grid.settings(at)
    return DesignResult(
        settings=settings,
        engine=bench.engine(settings),
        snr_dB=search.simulated[at],
        cost=float(grid.costs[at]),
        target_dB=target,
        front=search.front(),
        checks=tuple(map(search.design, search.simulated)),
        designs=len(grid.costs),
        budgets=len(grid.groups),
        skipped=grid.skipped + len(search.unbuilt),
        skipped_because=grid.why or next(iter(search.unbuilt.values()), ""),
        chips=chips,
        grid=grid,
    )


class _Search:
    """Simulations of designs, each made once."""

    def __init__(self, grid: Grid, bench: Bench) -> None:
        self._grid, self._bench = grid, bench
        self.simulated: dict[int, float] = {}  # SNR of designs, in the order of their simulation
        self.unbuilt: dict[int, str] = {}  # messages of designs that turned out not to be buildable

    def up_to(self, target: float) -> int | None:
        """Return the cheapest design that a simulation confirms; None if there is none."""
        grid, bench = self._grid, self._bench
        if math.prod(bench.shape) <= SMALL:
            return self._first(np.arange(len(grid.costs)), target)
        margin = np.hypot(np.interp(grid.deviation, DEVIATIONS, MARGINS_DB), SCATTERS * bench.scatter_dB)
        hopeful = grid.snr_dB >= target - margin
        found = self._first(np.flatnonzero(hopeful), target)
        if found is None:
            others = np.flatnonzero(~hopeful)
            best = np.argsort(-(grid.snr_dB + margin)[others], kind="stable")[:LAST]
            found = self._first(others[best], target)
        return found

    def _first(self, designs: Any, target: float) -> int | None:
        # the cheapest that reaches the target; of equal cost, the more accurate first
        grid = self._grid
        order = designs[np.lexsort((designs, -grid.snr_dB[designs], grid.costs[designs]))]
        return next((at for at in map(int, order) if self._reaches(at, target)), None)

    def _reaches(self, at: int, target: float) -> bool:
        try:
            engine = self._bench.engine(self._grid.settings(at))
        except (TypeError, ValueError) as error:
            self.unbuilt[at] = str(error)
            return False
        self.simulated[at] = self._bench.snr_dB(engine)
        return self.simulated[at] >= target

    def failure(self, target: float) -> str:
        """Return a message with the best design."""
        grid = self._grid
        number = len(grid.costs) - len(self.unbuilt)
        if not self.simulated:
            return f"none of {len(grid.costs)} designs can be built: {next(iter(self.unbuilt.values()))}"
        best = max(self.simulated, key=self.simulated.__getitem__)
        some = len(self.simulated) < number
        whole = (
            f"none of {len(self.simulated)} simulated designs (of {number})" if some else f"none of {number} designs"
        )
        reached = (
            f"the best{' of them' if some else ''} has {self.simulated[best]:.2f} dB, at cost {grid.costs[best]:.6g}"
        )
        settings = ", ".join(f"{name}={value!r}" for name, value in grid.settings(best).items())
        return f"{whole} reaches target_dB={target:g}: {reached} ({settings})"

    def design(self, at: int) -> Design:
        """Return the `Design` of an index."""
        grid = self._grid
        scaled = float(grid.snr_dB[at]) if grid.holds[at] else None
        return Design(grid.settings(at), float(grid.costs[at]), scaled, self.simulated.get(at))

    def front(self) -> tuple[Design, ...]:
        """Return the Pareto front, by simulations where there are some."""
        figures = self._grid.known_dB.copy()
        for at, snr in self.simulated.items():
            figures[at] = snr
        return tuple(map(self.design, self._grid.front(figures)))
