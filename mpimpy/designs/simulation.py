"""Simulations of designs: the SNR of a product, and the law of its error budget."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import arrays
from ..analysis.law import Law
from ..analysis.report import budget
from ..checks import as_int, fail
from ..config import _flat as flat
from ..engine import Engine
from ..matrix import CrossbarMatrix
from ..operands import edge

__all__ = ["Bench", "make_bench"]


@dataclass(frozen=True)
class Bench:
    """Operands of the product that designs are measured by, and the noise of the simulations.

    Attributes
    ----------
    x : float array, shape (M, K)
    w : float array, shape (K, N)
    exact : float64 array, shape (M, N)
    seed : int
        Of all simulations; each one is ``engine.program(w).read(x, read=0)``.
    chips : int
        Chips 0 .. chips - 1, over which the power of the error is a mean.
    """

    x: Any
    w: Any
    exact: Any
    seed: int
    chips: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """M, K and N."""
        return (*self.x.shape, self.w.shape[1])

    def engine(self, settings: Mapping[str, Any], chip: int = 0) -> Engine:
        """Return the engine of a design.

        Raises
        ------
        TypeError, ValueError
            If it cannot be built.
        """
        return Engine.from_config(flat.build(**settings), seed=self.seed, chip=chip)

    @cached_property
    def scatter_dB(self) -> float:
        """Scatter of a simulated SNR, dB: that of a mean of the squares of so many normal errors, of unlike scales."""
        rows, columns = (
            np.max(np.abs(operand), axis=axis).astype(np.float64) for operand, axis in ((self.x, 1), (self.w, 0))
        )
        number = math.prod(_participating(np.square(scales / (np.max(scales) or 1.0))) for scales in (rows, columns))
        return 10 / math.log(10) * math.sqrt(2 / number)

    def _written(self, engine: Engine, chip: int) -> CrossbarMatrix:
        # without a name, as the engine that a user gets programs it
        found = engine.program(self.w, chip=chip)
        assert isinstance(found, CrossbarMatrix)
        return found

    def snr_dB(self, engine: Engine) -> float:
        """Return the simulated SNR, dB."""
        noise = signal = 0.0
        peak = float(np.max(np.abs(self.exact))) or 1.0
        for chip in range(self.chips):
            error = (self._written(engine, chip).read(self.x, 0) - self.exact) / peak
            noise += float(np.sum(np.square(error, dtype=np.float64)))
            signal += float(np.sum(np.square(self.exact / peak)))
        return math.inf if noise == 0 else 10 * math.log10(signal / noise)

    def law(self, engine: Engine) -> Law:
        """Return the law of a simulated budget, a mean over the chips."""
        laws = []
        for chip in range(self.chips):
            matrix = self._written(engine, chip)
            assert matrix.programmed is not None
            backend = matrix._backend
            laws.append(budget(backend, matrix.programmed, backend.to_backend(self.x), backend.to_backend(self.w))[1])
        gram = np.mean([np.asarray(_full(law.gram)) for law in laws], axis=0)
        rows = tuple(tuple(map(float, row[: i + 1])) for i, row in enumerate(gram))
        return dataclasses.replace(laws[0], gram=rows)


def _participating(powers: Any) -> float:
    # number of equal powers whose sum scatters as much
    return float(np.sum(powers)) ** 2 / (float(np.sum(np.square(powers))) or 1.0) or 1.0


def _full(rows: tuple[tuple[float, ...], ...]) -> list[list[float]]:
    # lower triangle, filled up with zeros
    return [[*row, *[0.0] * (len(rows) - len(row))] for row in rows]


def make_bench(x: Any, w: Any, seed: int, chips: int) -> Bench:
    """Return the `Bench` of two operands of any library.

    Raises
    ------
    TypeError, ValueError
        If they hold no real finite numbers, or do not fit; if they are empty.
    """
    weights = edge.accept("w", w)
    if len(weights.shape) != 2:
        fail(ValueError, f"w has shape {weights.shape}: weights are one matrix, (K, N)")
    inputs = edge.accept("x", x, like=weights, depth=weights.shape[0])
    if 0 in inputs.shape or 0 in weights.shape:
        fail(ValueError, f"x of shape {inputs.shape} and w of shape {weights.shape} have no product to measure")
    plain = [arrays.to_numpy(arrays.detach(operand.array)) for operand in (inputs, weights)]
    rows = np.reshape(plain[0], (-1, weights.shape[0]))
    exact = rows.astype(np.float64) @ plain[1].astype(np.float64)
    return Bench(rows, plain[1], exact, seed, as_int("chips", chips, 1))
