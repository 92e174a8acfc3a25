"""Matrices that were written without names on the same cells."""

import weakref
from typing import Any

from .arrays import device_of, namespace
from .config import Config
from .config._sense import warn

__all__ = ["Neighbours", "frozen"]


class Neighbours:
    """Matrices that an engine wrote without names, as long as they live.

    On one chip their cells are the same ones, and so are the random numbers of these. That is right for parts of one
    matrix, or for one matrix written twice; two layers of a network want cells of their own.
    """

    def __init__(self) -> None:
        self._written: weakref.WeakSet[Any] | None = weakref.WeakSet()

    def add(self, matrix: Any) -> None:
        """Remember a matrix, which asks `meet` when it is first read."""
        if self._written is not None and frozen(matrix.config):
            self._written.add(matrix)
            matrix._neighbours = self

    def meet(self, matrix: Any) -> None:
        """Warn, once, if another matrix that lives holds other weights on the cells of this one; return None."""
        for other in () if self._written is None else tuple(self._written):
            if other is not matrix and _differ(matrix, other):
                self._written = None
                warn(
                    f"two matrices, {matrix.shape[0]} x {matrix.shape[1]} and {other.shape[0]} x {other.shape[1]}, "
                    f"were programmed without names on the same cells of chip {matrix.chip}, so that they share their "
                    "cells' random numbers: give each a name, engine.program(w, name='layer1'), or a chip"
                )
                return

    def __getstate__(self) -> dict[str, Any]:
        # a copy of an engine writes for itself
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]


def frozen(config: Config) -> bool:
    """Return whether cells or the converters below them have random numbers that last from one read to the next."""
    device, adc = config.device, config.adc
    written = device.write_var, device.stuck_HGS, device.stuck_LGS, adc.offset_lsb, adc.gain_error
    drifts = 0.0 if device.drift is None else device.drift.nu_spread
    spreads = drifts if isinstance(drifts, tuple) else (drifts,)
    return any(each != 0 for each in (*written, *spreads)) or device.relaxation is not None


def _differ(first: Any, second: Any) -> bool:
    # whether two matrices hold other digits in the same cells; parts of one matrix do not
    if (first.seed, first.chip) != (second.seed, second.chip):
        return False
    start = [max(pair) for pair in zip(first.origin, second.origin, strict=True)]
    stop = [min(pair) for pair in zip(_end(first), _end(second), strict=True)]
    if any(a >= b for a, b in zip(start, stop, strict=True)):
        return False
    parts = []
    for matrix in (first, second):
        rows, cols = (slice(a - o, b - o) for a, b, o in zip(start, stop, matrix.origin, strict=True))
        parts.append(matrix.programmed.encoded.digits[:, :, 0, rows, cols])
    one, other = parts
    if type(one) is not type(other) or one.shape != other.shape or device_of(one) != device_of(other):
        return True
    return bool(namespace(one).any(one != other))


def _end(matrix: Any) -> list[int]:
    return [a + n for a, n in zip(matrix.origin, matrix.shape, strict=True)]
