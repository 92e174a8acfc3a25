"""Engines estimate the memory and the time of a product before it is computed."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._integers import ceil_div
from ._survey import SurveyingEngine
from .analysis.counts import Counts, counts
from .arrays import asarray
from .backends import get_num_threads
from .checks import as_int
from .config import Config
from .config._hints import hinted_call
from .crossbar import plan as plans

__all__ = ["Estimate", "EstimatingEngine"]

SIDE = 512  # rows and columns of the matrix that is timed
HEIGHT = 256  # input rows of the longer of its two reads
FEW_ROWS = 64  # input rows up to which noisy cells are drawn in blocks that fit a cache
QUICK_S = 0.05  # what takes less is timed three times
MAX_RATES = 32

_BYTES = {"int8": 1, "int16": 2, "int32": 4}


@dataclass(frozen=True)
class Estimate:
    """Size, memory and time of a product that is not computed yet; prints as a table.

    Attributes
    ----------
    inputs, weights : (int, int)
        Shapes (M, K) and (K, N).
    counts : Counts
        Arrays, cells and conversions: exact.
    operand_bytes : int
        Of the operands and the result, in float64: exact.
    cell_bytes : int
        That a programmed matrix keeps.
    peak_bytes : int
        At most in use at once: operands, programmed matrix, and the work of a read. Within a factor of 2.
    program_s, read_s : float
        Time of writing the matrix, and of one product, s: from the rates of a small product on this machine, now.
    """

    inputs: tuple[int, int]
    weights: tuple[int, int]
    counts: Counts
    operand_bytes: int
    cell_bytes: int
    peak_bytes: int
    program_s: float
    read_s: float

    def __str__(self) -> str:
        (M, K), N = self.inputs, self.weights[1]
        return "\n".join(
            [
                f"product          {M} x {K} by {K} x {N}",
                f"arrays           {self.counts.arrays}",
                f"cells            {self.counts.cells} and {self.counts.reference_cells} in reference columns",
                f"DAC conversions  {self.counts.dac_conversions}",
                f"ADC conversions  {self.counts.adc_conversions}",
                f"memory           {_megabytes(self.peak_bytes)} at most, within a factor of 2, of which operands and",
                f"                 result {_megabytes(self.operand_bytes)}, the programmed matrix "
                f"{_megabytes(self.cell_bytes)}",
                f"time             {_seconds(self.program_s)} to program, {_seconds(self.read_s)} a product,",
                "                 at the rates of a small one on this machine, now: rough, mostly within a",
                "                 factor of 3, worse where matrices are thin; a first call takes longer",
            ]
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size < 1e9 else f"{size / 1e9:.3g} GB"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else _hours(seconds)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h"


def _memory(config: Config, backend: str | None, M: int, K: int, N: int) -> tuple[int, int]:
    # Bytes that a programmed matrix keeps, and those of the work of a read, result included. The factors are those of
    # measured peaks of resident memory.
    device, inputs, weights = config.device, config.inputs, config.weights
    arrays, grid = weights.arrays, _BYTES.get(plans.cell_format(config).grid_dtype, 4)
    moved = bool(device.write_var != 0 or device.stuck_HGS or device.stuck_LGS or weights.signed)
    each = 9 if config.wires is not None else 1 + grid * moved
    kept = K * N * arrays * each
    drawn = 0.0
    if device.draws_rows:
        drawn = 12 * K * N * arrays
    elif device.var != 0 and M > FEW_ROWS:
        drawn = K * N * arrays * grid / weights.cells_per_digit
    if config.adc.radc is None:
        drawn += 4 * K * N
    slices = len(inputs.digits)
    products = inputs.planes * weights.planes * (slices if device.redraws else 1)
    work = drawn + 2.5 * M * K * slices * inputs.planes + 8 * M * N * (products + (products > 1))
    if backend == "reference":
        kept, work = 6 * kept, 3 * work
    return int(kept), int(work)


def _timed(run: Callable[[], Any]) -> float:
    found: list[float] = []
    while len(found) < 3 and sum(found) < QUICK_S:
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def _numbers(height: int, width: int) -> Any:
    return asarray([[(row * 7919 + col * 104729) % 1009 - 504.0 for col in range(width)] for row in range(height)])


_rates: dict[Any, tuple[float, float, float]] = {}


def _rates_of(engine: Any, K: int, N: int) -> tuple[float, float, float]:
    # Seconds for each element of the weights: of writing it, of a read of one input row, and of a further row.
    rows, cols = engine.config.tile.rows, engine.config.tile.cols
    k, n = (min(size, ceil_div(SIDE, side) * side) for size, side in ((K, rows), (N, cols)))
    key = engine.config, engine.backend, get_num_threads(), k, n
    if key not in _rates:
        w, x = _numbers(k, n), _numbers(HEIGHT, k)
        one = x[:1, :]
        matrix = engine.program(w, name="estimate")
        for inputs in (one, x):  # the first read of its kind may compile kernels
            matrix.read(inputs, read=0)
        program = _timed(functools.partial(engine.program, w, name="estimate"))
        first, all_rows = (_timed(functools.partial(matrix.read, inputs, read=0)) for inputs in (one, x))
        found = program, first, max(all_rows - first, 0.0) / (HEIGHT - 1)
        while len(_rates) >= MAX_RATES:
            _rates.pop(next(iter(_rates)))
        _rates[key] = found[0] / (k * n), found[1] / (k * n), found[2] / (k * n)
    return _rates[key]


class EstimatingEngine(SurveyingEngine):
    """Engine that tells what a product will take."""

    @hinted_call
    def estimate(self, M: int, K: int, N: int) -> Estimate:
        """Return the size, memory and time of a product of M x K inputs by K x N weights, before it is computed.

        Counts are exact. Memory follows from the shapes and settings, for float64 operands in the memory of the CPU,
        within a factor of 2 of measured peaks. Time is that of a matrix of at most about 512 x 512 elements with these
        settings, in proportion; the first call for an engine's settings measures it, which takes a fraction of a second
        (with wires, or where kernels are compiled, seconds). It is rough: within a factor of 3 for most products on a
        quiet machine, up to 6 times too low where K is 1, and for the first program of a process. Reads are not
        counted.

        Parameters
        ----------
        M, K, N : int
            At least 1.

        Returns
        -------
        Estimate

        Raises
        ------
        TypeError, ValueError
            If a size is no whole number of at least 1.

        Examples
        --------
        >>> from mpimpy import Engine
        >>> found = Engine(seed=1).estimate(1000, 2000, 2000)
        >>> found.counts.arrays, found.operand_bytes
        (4096, 64000000)
        """
        M, K, N = (as_int(name, size, 1) for name, size in (("M", M), ("K", K), ("N", N)))
        kept, work = _memory(self.config, self.backend, M, K, N)
        operands = 8 * (M * K + K * N + M * N)
        program, first, further = _rates_of(self, K, N)
        return Estimate(
            inputs=(M, K),
            weights=(K, N),
            counts=counts(self.config, M, K, N),
            operand_bytes=operands,
            cell_bytes=kept,
            peak_bytes=8 * (M * K + K * N) + kept + work,
            program_s=program * K * N,
            read_s=(first + further * (M - 1)) * K * N,
        )
