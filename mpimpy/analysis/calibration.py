"""ADC ranges from data: windows around the currents of each pair of slices, for the least error of the product.

A sample of outputs is taken with all the currents that make each of them, so that errors are added up as the product
adds them: weighted by their slices and scales, those of one output together. Windows are found for each pair of slices
alone, then changed one by one while the error of the sampled outputs falls. Outputs are sampled in proportion to what
they may contribute to the error: rows and columns of large scales are few, and decide.
"""

import itertools
import math
from typing import Any, NamedTuple

from .. import arrays, converters
from ..arrays import namespace
from ..checks import as_float, fail
from ..config import Config, Ranges
from ..crossbar import plan as plans
from ..crossbar.currents import currents_of
from ..crossbar.plan import Plan
from ..crossbar.programmed import Programmed
from ..operands import encoding
from ..operands.encoding import Encoded
from .windows import FINE, Window, best_window, covering_window, quantise, weighted, window_of

__all__ = ["METHODS", "RATIOS", "Sample", "ranges", "samples", "squared_error"]

METHODS = ("error", "percentile")
RATIOS = ("powers", "free")
SAMPLES = 1 << 16  # currents of each pair of slices that are used
EVEN = 0.2  # part of a sample that goes to all outputs alike, whatever their scales
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, less their whole parts, lie evenly between 0 and 1
SWEEPS = 4  # over all pairs of slices, at most
STEPS = {"powers": (2.0,), "free": (2.0**0.5, 2.0**0.125, 2.0**0.03125)}  # ratios of widths that are tried


class Sample(NamedTuple):
    """Currents of some outputs of some tiles: float64 arrays of NumPy, shape (n,).

    Attributes
    ----------
    currents : tuple of tuples of arrays
        ``currents[j][i]``, of weight slice j and input slice i, least significant first.
    scales : array
        Scale of each current's tile in its output.
    share : array
        Number of outputs of its tile that each current stands for.
    ends : int64 array, shape (parts,)
        Where each part of the product ends among them: a tile, and a plane of either operand.
    outputs : int
        Outputs of the product.
    """

    currents: tuple[tuple[Any, ...], ...]
    scales: Any
    share: Any
    ends: Any
    outputs: int


def _on_host(array: Any) -> Any:
    return arrays.to_numpy(array.cpu() if hasattr(array, "cpu") else array)


def _likely(xp: Any, scales: Any) -> Any:
    # probability of rows or columns: what they may contribute to a squared error, and a little for each
    squares = scales**2
    total, size = float(xp.sum(squares)), scales.shape[0]
    return (1 - EVEN) * squares / total + EVEN / size if total > 0 else xp.full_like(scales, 1 / size)


def _pick(xp: Any, likely: Any, places: Any) -> Any:
    # the elements at places from 0 to 1 along the sum of their probabilities
    sums = xp.cumulative_sum(likely)
    return xp.clip(xp.searchsorted(sums, places * float(sums[-1]), side="right"), None, likely.shape[0] - 1)


def _outputs(xp: Any, x_scales: Any, w_scales: Any, count: int) -> tuple[Any, Any, Any]:
    # (rows, columns, shares) of about `count` outputs of a tile, spread evenly over the sum of their likely errors
    height, width = x_scales.shape[0], w_scales.shape[0]
    if count >= height * width:
        index = xp.arange(height * width, dtype=xp.int64)
        return index // width, index % width, xp.ones(index.shape, dtype=xp.float64)
    place = xp.arange(count, dtype=xp.float64)
    of_rows, of_columns = _likely(xp, x_scales), _likely(xp, w_scales)
    rows, columns = _pick(xp, of_rows, (place + 0.5) / count), _pick(xp, of_columns, place * GOLDEN % 1.0)
    return rows, columns, 1 / (count * xp.take(of_rows, rows) * xp.take(of_columns, columns))


def samples(backend: Any, programmed: Programmed, inputs: Encoded, read: int) -> Sample:
    """Return currents of every pair of slices, about `SAMPLES` of each.

    Parameters
    ----------
    backend, programmed, inputs, read
        As for `mpimpy.crossbar.product.product`.
    """
    config = programmed.config
    x_scales = _on_host(encoding.input_scales(inputs, config.tile.rows))  # (planes, rows, tiles)
    w_scales = _on_host(programmed.scales)  # (planes, tiles, columns)
    xp = namespace(x_scales)
    # only their ratios count
    x_scales, w_scales = (scales / max(float(xp.max(scales)), 1e-300) for scales in (x_scales, w_scales))
    parts = list(itertools.product(range(x_scales.shape[2]), range(w_scales.shape[0]), range(x_scales.shape[0])))
    likely = _likely(xp, xp.asarray([_size(x_scales[i, :, t]) * _size(w_scales[j, t, :]) for t, j, i in parts]))
    chosen, scales, shares, ends = {}, [], [], [0]
    for (t, j, i), part in zip(parts, likely.tolist(), strict=True):
        rows, columns, share = _outputs(xp, x_scales[i, :, t], w_scales[j, t, :], max(1, round(SAMPLES * part)))
        chosen[t, j, i] = rows.tolist(), columns.tolist()
        scales.append(xp.take(x_scales[i, :, t], rows) * xp.take(w_scales[j, t, :], columns))
        shares.append(share)
        ends.append(ends[-1] + rows.shape[0])
    found: list[list[list[Any]]] = [[[] for _ in config.inputs.digits] for _ in config.weights.digits]
    for j, i, current in currents_of(backend, programmed, inputs, read, chosen):
        found[j][i].append(_on_host(current))
    return Sample(
        tuple(tuple(map(xp.concat, row)) for row in found),
        xp.concat(scales),
        xp.concat(shares),
        xp.asarray(ends[1:], dtype=xp.int64),
        x_scales.shape[1] * w_scales.shape[2],
    )


def _size(scales: Any) -> float:
    return math.sqrt(float(namespace(scales).sum(scales**2)))


class _Search:
    # windows for a sample: their joint error, and changes of one of them

    def __init__(self, config: Config, sample: Sample, free: bool) -> None:
        self.sample, self.free, plan = sample, free, plans.plan(config)
        self.full, self.radc = float(plan.full_scale), converters.radc_ascending(config)
        self.xp = namespace(sample.scales)
        unit = plan.cell_format.current_unit
        self.quanta = [[float(u * v * unit) for u in plan.x_strides] for v in plan.cell_format.strides]
        self.factors = [
            [b / v * (a / u) for a, u in zip(config.inputs.shifts, plan.x_strides, strict=True)]
            for b, v in zip(config.weights.shifts, plan.cell_format.strides, strict=True)
        ]
        self.pairs = [(j, i) for j in range(len(self.quanta)) for i in range(len(self.quanta[0]))]
        weights = sample.scales**2 * sample.share
        self.found = [[weighted(part, weights) for part in row] for row in sample.currents]

    def error_of(self, j: int, i: int, window: Window) -> Any:
        # a pair's part in the error of each current's output
        current = self.sample.currents[j][i]
        return (quantise(current, self.radc[j], window) - current) * (self.sample.scales * self.factors[j][i])

    def errors(self, windows: list[list[Window]]) -> Any:
        return self.xp.stack([self.error_of(j, i, windows[j][i]) for j, i in self.pairs])

    def joint(self, error: Any) -> float:
        # squared error of all outputs: of each part, and where parts err to one side, of their sum
        shared = self.sample.share * error
        sums = self.xp.take(self.xp.cumulative_sum(shared), self.sample.ends - 1)
        bias = self.xp.concat([sums[:1], sums[1:] - sums[:-1]])
        together = float(self.xp.sum(bias)) ** 2 - float(self.xp.sum(bias**2))
        return float(self.xp.sum(shared * error)) + together / self.sample.outputs

    def alone(self, base: float) -> list[list[Window]]:
        # the best window of each pair by itself
        rows = zip(self.radc, self.found, self.quanta, strict=True)
        return [
            [best_window(v, r, base, free=self.free, quantum=q) for v, q in zip(row, each, strict=True)]
            for r, row, each in rows
        ]

    def improved(self, windows: list[list[Window]]) -> tuple[float, list[list[Window]]]:
        # changes one width after the other while the joint error falls
        windows, each = [list(row) for row in windows], self.errors(windows)
        total = self.xp.sum(each, axis=0)
        best = self.joint(total)
        for ratio in STEPS["free" if self.free else "powers"]:
            for _ in range(SWEEPS):
                before = best
                for k, (j, i) in enumerate(self.pairs):
                    for factor in (ratio, 1 / ratio):
                        while True:
                            window = window_of(self.found[j][i], self.radc[j], windows[j][i].width * factor)
                            own = self.error_of(j, i, window)
                            error = self.joint(total - each[k] + own)
                            if error >= best * (1 - 1e-6):
                                break
                            best, total, windows[j][i] = error, total - each[k] + own, window
                            each[k] = own
                if best >= before * (1 - 1e-3):
                    break
        return best, windows

    def best(self) -> list[list[Window]]:
        if self.free:
            return self.improved(self.alone(self.full))[1]
        bases = [self.full * 2.0 ** (-k / FINE) for k in range(FINE)]
        for quantum in sorted({quantum for row in self.quanta for quantum in row}):
            base = quantum * (max(self.radc) - 1)
            bases.append(base * 2.0 ** math.floor(math.log2(self.full / base)))
        found = [self.alone(base) for base in bases]
        order = sorted(range(len(found)), key=lambda k: self.joint(self.xp.sum(self.errors(found[k]), axis=0)))
        return min((self.improved(found[k]) for k in order[:2]), key=lambda pair: pair[0])[1]


def ranges(
    config: Config,
    sample: Sample,
    *,
    method: str = "error",
    percentile: float | None = None,
    ratios: str = "powers",
) -> Ranges:
    """Return the `mpimpy.Ranges` that fit a sample of currents.

    Parameters
    ----------
    config : Config
    sample : Sample
    method : str
        ``"error"``: the least error of the sampled outputs. ``"percentile"``: covers that share of the currents.
    percentile : float, optional
        50 to 100, %; 99.9 by default.
    ratios : str
        ``"powers"``: widths have ratios that are powers of two, so shift-and-add remains a sum of integers; the
        largest is chosen for the least error of the whole product, or is full scale. ``"free"``: any widths.
    """
    if method not in METHODS:
        fail(ValueError, f"method {method!r} is unknown: use one of {', '.join(map(repr, METHODS))}")
    if ratios not in RATIOS:
        fail(ValueError, f"ratios {ratios!r} are unknown: use one of {', '.join(map(repr, RATIOS))}")
    if percentile is not None and method != "percentile":
        fail(ValueError, f"percentile={percentile:g} has no effect with method={method!r}: leave it out")
    percentile = 99.9 if percentile is None else as_float("percentile", percentile, 50, 100, unit=" %")
    plan, free = plans.plan(config), ratios == "free"
    full, radc = float(plan.full_scale), converters.radc_ascending(config)
    if method == "percentile":
        found = [
            [covering_window(weighted(part, sample.share), r, full, percentile, free=free) for part in row]
            for r, row in zip(radc, sample.currents, strict=True)
        ]
    else:
        found = _Search(config, sample, free).best()
    return _amperes(config, plan, found)


def _amperes(config: Config, plan: Plan, found: list[list[Window]]) -> Ranges:
    ampere, radc = converters.full_scale_amperes(config) / plan.full_scale, converters.radc_ascending(config)
    low = [
        [window.first * (window.width / (r - 1)) * ampere for window in row] for r, row in zip(radc, found, strict=True)
    ]
    span = [[window.width * ampere for window in row] for row in found]
    return Ranges(*[[row[::-1] for row in table[::-1]] for table in (low, span)])


def squared_error(x: Any, w: Any, y: Any) -> float:
    """Return the sum of squares of ``y - x @ w``, computed by NumPy in float64 wherever the arrays lie."""
    x, w, y = map(_on_host, (x, w, y))
    xp = namespace(y)
    x, w, y = (xp.astype(array, xp.float64) for array in (x, w, y))
    with arrays.quiet():
        return float(xp.sum((y - xp.matmul(x, w)) ** 2))
