"""All designs of a space: their costs, and their figures by scaled budgets."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..analysis.counts import counts
from ..analysis.law import DEVIATION, LARGEST_SPREAD, LEAST_RADC, Law, Settings
from ..checks import fail
from ..engine import Engine
from .costs import SCALED, Cost, cost_of, settings_of
from .simulation import Bench
from .space import Group, groups

__all__ = ["Grid", "make_grid"]


@dataclass(frozen=True)
class Grid:
    """All designs of a space that can be built, in its order.

    Attributes
    ----------
    groups : tuple of Group
        Each with one budget.
    starts : int array, shape (groups + 1,)
        Index of the first design of each group.
    costs : float64 array, shape (designs,)
    snr_dB : float64 array, shape (designs,)
        By scaled budgets, dB; infinite where there is no figure.
    deviation : float64 array, shape (designs,)
        Deviation of the error of the ADCs from a uniform one; infinite where there is no figure.
    skipped : int
        Designs of the space that cannot be built.
    why : str
        Message of the first of them; empty if there is none.
    """

    groups: tuple[Group, ...]
    starts: Any
    costs: Any
    snr_dB: Any
    deviation: Any
    skipped: int
    why: str

    @property
    def holds(self) -> Any:
        """Whether the law holds, bool of shape (designs,); where it does not, `snr_dB` is a rough figure."""
        return self.deviation <= DEVIATION

    @property
    def known_dB(self) -> Any:
        """Scaled figures, dB, float64 of shape (designs,); NaN where the law does not hold."""
        return np.where(self.holds, self.snr_dB, np.nan)

    def settings(self, index: int) -> dict[str, Any]:
        """Return the flat settings of a design."""
        at = int(np.searchsorted(self.starts, index, side="right")) - 1
        group = self.groups[at]
        return group.settings(tuple(map(int, np.unravel_index(index - int(self.starts[at]), group.shape))))

    def front(self, snr_dB: Any) -> list[int]:
        """Return the designs that no other one beats in cost and SNR, the cheapest first.

        Parameters
        ----------
        snr_dB : float64 array, shape (designs,)
            NaN leaves a design out.
        """
        known = np.flatnonzero(~np.isnan(snr_dB))
        order = known[np.lexsort((known, -snr_dB[known], self.costs[known]))]
        best = np.maximum.accumulate(snr_dB[order])
        better = np.concatenate([[True], best[1:] > best[:-1]])[: len(order)]
        return [int(i) for i in order[better]]


def make_grid(space: Mapping[str, Sequence[Any]], bench: Bench, cost: Cost) -> Grid:
    """Return the `Grid` of a space: one budget is simulated for each group.

    Raises
    ------
    ValueError
        If no design can be built.
    """
    found, skipped, why = [], 0, ""
    for group in groups({name: tuple(values) for name, values in space.items()}):
        try:
            engine = bench.engine(group.settings(group.simulated()))
        except (TypeError, ValueError) as error:
            skipped += int(np.prod(group.shape))
            why = why or str(error)
        else:
            found.append((group, engine))
    if not found:
        fail(ValueError, f"none of {skipped} designs can be built: {why}")
    costs, figures, deviations = [], [], []
    for group, engine in found:
        costs.append(_costs(group, engine, bench, cost).ravel())
        snr, deviation = _figures(group, bench.law(engine))
        figures.append(snr.ravel())
        deviations.append(deviation.ravel())
    starts = np.concatenate([[0], np.cumsum([len(each) for each in costs])])
    return Grid(
        tuple(group for group, _ in found),
        starts,
        np.concatenate(costs),
        np.concatenate(figures),
        np.concatenate(deviations),
        skipped,
        why,
    )


def _costs(group: Group, engine: Engine, bench: Bench, cost: Cost) -> Any:
    # by one call for each combination of the settings that the cost looks at
    looked_at = settings_of(cost)
    kept = tuple(n if name in looked_at else 1 for name, n in zip(SCALED, group.shape, strict=True))
    base, found = group.simulated(), np.empty(kept)
    simulated = counts(engine.config, *bench.shape)
    for index in itertools.product(*map(range, kept)):
        at = tuple(i if n > 1 else b for i, n, b in zip(index, kept, base, strict=True))
        # the number of conversions does not depend on settings that scale
        found[index] = cost_of(cost, engine if at == base else bench.engine(group.settings(at)), simulated)
    return np.broadcast_to(found, group.shape)


def _figures(group: Group, law: Law) -> tuple[Any, Any]:
    # (SNR, deviation of the error of ADCs) of all designs of a group
    own = law.simulated
    coarse = np.zeros(group.shape, bool)
    unknown = np.zeros(group.shape, bool)
    axes: dict[str, Any] = {}
    for at, (name, values) in enumerate(zip(SCALED, group.axes, strict=True)):
        if not values:
            continue
        shape = tuple(-1 if i == at else 1 for i in range(len(SCALED)))
        axes[name] = np.reshape(np.asarray(values, dtype=np.float64), shape)
        if law.refusal(name) is not None:
            # the simulated value needs no law
            unknown |= axes[name] != values[group.simulated()[at]]
    if law.refusal("") is not None:
        unknown |= True
    radc: Any = own.radc
    if own.radc is not None and "radc" in axes:
        coarse |= axes["radc"] < LEAST_RADC
        radc = (axes["radc"],) * len(own.radc)
    elif own.radc is not None:
        radc = tuple(np.asarray(float(one)) for one in own.radc)
    numbers: dict[str, Any] = {name: np.asarray(axes.get(name, getattr(own, name))) for name in SCALED[1:]}
    settings = Settings(radc, **numbers)
    largest = np.hypot(own.var, own.write_var)
    coarse = coarse | (np.maximum(np.hypot(settings.var, settings.write_var), largest) > LARGEST_SPREAD)
    parts, power, deviation = law.powers(np, settings)
    # rounding takes away no more than noise
    least = parts["input quantisation"] + parts["weight quantisation"]
    with np.errstate(divide="ignore"):
        snr = np.where(unknown, np.inf, -10 * np.log10(np.maximum(power, least)))
    deviation = np.where(unknown, np.inf, np.where(coarse, np.maximum(deviation, 1.0), deviation))
    return np.broadcast_to(snr, group.shape), np.broadcast_to(deviation, group.shape)
