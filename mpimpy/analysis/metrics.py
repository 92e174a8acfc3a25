"""Measures of error: of a result against the exact one."""

import math
from collections.abc import Sequence
from typing import Any

from .. import arrays
from ..arrays import namespace
from ..operands import edge, values

__all__ = ["ABSE", "RE", "SNR", "EXACT_dB", "together", "told_dB"]

EXACT_dB: float = 200.0  # above it, an error is the rounding of float64, and no effect of a crossbar


def _operands(measured: Any, exact: Any) -> tuple[Any, Any, Any]:
    # (namespace, measured, exact): both in float64 or complex128
    like = values.like(measured, exact)
    given = [
        arrays.detach(values.take(name, value, like).array)
        for name, value in (("measured", measured), ("exact", exact))
    ]
    edge.check_together(given[0], given[1], "measured", "exact")
    if arrays.in_cpu_memory(given[0]) and not arrays.is_torch(given[0]):
        given = [arrays.to_numpy(array) for array in given]  # JAX may have no float64
    xp = namespace(given[0])
    measured, exact = (
        xp.astype(value, xp.complex128 if xp.isdtype(value.dtype, "complex floating") else xp.float64)
        for value in given
    )
    if measured.shape != exact.shape:
        msg = f"measured has shape {tuple(measured.shape)} and exact {tuple(exact.shape)}: they must be the same"
        raise ValueError(msg)
    for name, value in (("measured", measured), ("exact", exact)):
        edge.check_finite(name, value)
    return xp, measured, exact


def _energies(xp: Any, measured: Any, exact: Any) -> tuple[float, float]:
    # (noise, signal): sums of squares, scaled so that no square overflows
    noise, peak = measured - exact, 1.0
    if math.prod(exact.shape):
        peak = max(float(xp.max(xp.abs(exact))), float(xp.max(xp.abs(noise)))) or 1.0
    return float(xp.sum(xp.abs(noise / peak) ** 2)), float(xp.sum(xp.abs(exact / peak) ** 2))


def SNR(measured: Any, exact: Any) -> float:
    """Return the signal-to-noise ratio ``10 log10(sum |exact|^2 / sum |measured - exact|^2)``, dB.

    Parameters
    ----------
    measured, exact : arrays of one shape and library, real or complex
        Or anything that holds numbers; see docs/operands.md.

    Returns
    -------
    float
        dB; infinite for equal arrays.

    Raises
    ------
    ValueError
        If the shapes differ, or a number is NaN or infinite.
    TypeError
        If the libraries differ, or something holds no numbers.

    Examples
    --------
    >>> round(SNR([1.0, 2.1], [1.0, 2.0]), 2)
    26.99
    """
    xp, measured, exact = _operands(measured, exact)
    noise, signal = _energies(xp, measured, exact)
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def RE(measured: Any, exact: Any) -> float:
    """Return the relative error ``||measured - exact|| / ||exact||`` (Euclidean norms).

    Parameters
    ----------
    measured, exact : arrays of one shape and library, real or complex
        Or anything that holds numbers; see docs/operands.md.

    Returns
    -------
    float
        0 for equal arrays; infinite if only `exact` is all zero.

    Examples
    --------
    >>> round(RE([1.1, 0.0], [1.0, 0.0]), 3)
    0.1
    """
    xp, measured, exact = _operands(measured, exact)
    noise, signal = _energies(xp, measured, exact)
    if noise == 0:
        return 0.0
    return math.sqrt(noise / signal) if signal > 0 else math.inf


def ABSE(measured: Any, exact: Any) -> float:
    """Return the mean absolute error ``mean |measured - exact|``.

    Parameters
    ----------
    measured, exact : arrays of one shape and library, real or complex
        Or anything that holds numbers; see docs/operands.md.

    Returns
    -------
    float
        In the unit of the arrays.

    Examples
    --------
    >>> round(ABSE([1.0, 2.5], [1.0, 2.0]), 2)
    0.25
    """
    xp, measured, exact = _operands(measured, exact)
    return float(xp.mean(xp.abs(measured - exact))) if math.prod(exact.shape) else 0.0


def told_dB(measured: Any, exact: Any) -> float:
    """Return the `SNR` as reports tell it, dB: infinite where the error is the rounding of float64."""
    found = SNR(measured, exact)
    return math.inf if found > EXACT_dB else found


def together(values: Sequence[float]) -> float:
    """Return the SNR of several errors of one signal together, dB: that of their mean power.

    Parameters
    ----------
    values : sequence of float
        SNR of each, dB; not empty.

    Examples
    --------
    >>> together([20.0, 20.0, math.inf, math.inf])
    23.010299956639813
    """
    low = min(values)
    if len(values) == 1 or math.isinf(low):
        return low
    return low - 10 * math.log10(math.fsum(10 ** ((low - value) / 10) for value in values) / len(values))
