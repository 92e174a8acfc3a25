"""Costs of a design: built-in ones by name, and a user's own."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

from ..analysis.counts import Counts
from ..checks import as_float, check_names, fail
from ..config import Config
from ..cost._counts import adc_codes
from ..engine import Engine

__all__ = ["COSTS", "SCALED", "Cost", "as_cost", "cost_of", "looks_at", "settings_of"]

SCALED = ("radc", "var", "write_var", "vnoise")  # settings that budgets scale with

Cost = Callable[[Engine, Counts], float]
Function = TypeVar("Function", bound=Cost)


def looks_at(*names: str) -> Callable[[Function], Function]:
    """Tell which of radc, var, write_var and vnoise a cost depends on, so that it is called once for each value.

    Without it, a cost is called for every design, some 0.1 ms each.

    Parameters
    ----------
    *names : str
        Of "radc", "var", "write_var", "vnoise"; none, if it depends on none of them.

    Returns
    -------
    callable
        A decorator.

    Raises
    ------
    TypeError
        For another name.

    Examples
    --------
    >>> @looks_at("radc")
    ... def energy(engine, counts):
    ...     return counts.adc_conversions * engine.config.adc.radc
    """
    check_names(names, SCALED, "setting of looks_at")

    def mark(cost: Function) -> Function:
        cost.settings = frozenset(names)  # type: ignore[attr-defined]
        return cost

    return mark


def settings_of(cost: Cost) -> frozenset[str]:
    """Return the scaled settings that a cost depends on."""
    return getattr(cost, "settings", frozenset(SCALED))


def _mean_over_pairs(config: Config, value: Callable[[int], float]) -> float:
    # of a value of the number of an ADC's codes, over the conversions of an output
    if config.adc.radc is None:
        fail(
            ValueError,
            "an ideal ADC, radc=None, has no number of codes: leave it out of the space, or take cost='cells'",
        )
    codes = [code for row in adc_codes(config) for code in row]
    return sum(map(value, codes)) / len(codes)


@looks_at()
def cells(engine: Engine, counts: Counts) -> float:
    """Memristors, reference columns included."""
    return counts.cells + counts.reference_cells


@looks_at()
def levels(engine: Engine, counts: Counts) -> float:
    """Memristors, reference columns included, times log2 of their levels."""
    return (counts.cells + counts.reference_cells) * math.log2(engine.config.device.g_level or 2)


@looks_at()
def arrays(engine: Engine, counts: Counts) -> float:
    """Arrays of ``rows x cols`` cells."""
    return counts.arrays


@looks_at()
def conversions(engine: Engine, counts: Counts) -> float:
    """Conversions of the ADCs."""
    return counts.adc_conversions


@looks_at("radc")
def conversion_bits(engine: Engine, counts: Counts) -> float:
    """Conversions of the ADCs, times log2 of their codes: successive approximation."""
    return counts.adc_conversions * _mean_over_pairs(engine.config, math.log2)


@looks_at("radc")
def conversion_codes(engine: Engine, counts: Counts) -> float:
    """Conversions of the ADCs, times their codes: flash converters, and the energy of precise ones."""
    return counts.adc_conversions * _mean_over_pairs(engine.config, float)


COSTS: dict[str, Cost] = {
    "cells": cells,
    "cells*bits": levels,
    "arrays": arrays,
    "conversions": conversions,
    "conversions*bits": conversion_bits,
    "conversions*codes": conversion_codes,
}


def as_cost(cost: Any) -> Cost:
    """Return a cost that is given by its name, or as a callable."""
    if isinstance(cost, str):
        check_names([cost], COSTS, "cost")
        return COSTS[cost]
    if not callable(cost):
        fail(TypeError, f"cost={cost!r} must be a callable of an engine and its counts, or one of {', '.join(COSTS)}")
    found: Cost = cost
    return found


def cost_of(cost: Cost, engine: Engine, found: Counts) -> float:
    """Return the cost of a design, checked."""
    return as_float("the cost of a design", cost(engine, found), -math.inf)
