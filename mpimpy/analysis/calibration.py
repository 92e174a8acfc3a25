"""ADC ranges from data: windows around the currents of each pair of slices, for the least error of the product.

Errors of a sample of outputs are added up as the product adds them: weighted by their slices and scales, those of one
output together. Windows are found for each pair of slices alone, then changed one by one while the error of the sampled
outputs falls. Currents that other input rows might give count a little beside those that were seen, so that windows do
not end right behind the last of them.
"""

import math
from typing import Any

from .. import arrays, converters
from ..arrays import namespace
from ..checks import as_float, fail
from ..config import Config, Ranges
from ..crossbar import plan as plans
from ..crossbar.plan import Plan
from .sampling import Sample, on_host
from .windows import FINE, Window, best_window, covering_window, quantise, weighted, window_of

__all__ = ["METHODS", "RATIOS", "ranges", "squared_errors"]

METHODS = ("error", "percentile")
RATIOS = ("powers", "free")
SWEEPS = 4  # over all pairs of slices, at most
STEPS = {"powers": (2.0,), "free": (2.0**0.5, 2.0**0.125, 2.0**0.03125)}  # ratios of widths that are tried


class _Search:
    # windows for a sample: their joint error, and changes of one of them

    def __init__(self, config: Config, sample: Sample, free: bool) -> None:
        self.sample, self.free, plan = sample, free, plans.plan(config)
        self.full, self.radc = float(plan.full_scale), converters.radc_ascending(config)
        xp = self.xp = namespace(sample.scales)
        unit, inputs = plan.cell_format.current_unit, converters.conversions(config)
        self.quanta = [[float(u * v * unit) for u in inputs.strides] for v in plan.cell_format.strides]
        self.factors = [
            [b / v * (a / u) for a, u in zip(inputs.shifts, inputs.strides, strict=True)]
            for b, v in zip(config.weights.shifts, plan.cell_format.strides, strict=True)
        ]
        self.pairs = [(j, i) for j in range(len(self.quanta)) for i in range(len(self.quanta[0]))]
        # those that were seen, then those that others might give
        self.scales = xp.concat([sample.scales, sample.scales])
        self.share = xp.concat([sample.share, sample.share * sample.chance])
        self.currents = [
            [xp.concat(both) for both in zip(*rows, strict=True)]
            for rows in zip(sample.currents, sample.others, strict=True)
        ]
        weights = self.scales**2 * self.share
        self.found = [[weighted(part, weights) for part in row] for row in self.currents]

    def error_of(self, j: int, i: int, window: Window) -> Any:
        # a pair's part in the error of each current's output
        current = self.currents[j][i]
        return (quantise(current, self.radc[j], window) - current) * (self.scales * self.factors[j][i])

    def errors(self, windows: list[list[Window]]) -> Any:
        return self.xp.stack([self.error_of(j, i, windows[j][i]) for j, i in self.pairs])

    def joint(self, error: Any) -> float:
        # squared error of all outputs: of each part, and where parts err to one side, of their sum
        shared = self.share * error
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


def squared_errors(x: Any, w: Any, results: list[Any]) -> list[float]:
    """Return the sum of squares of ``y - x @ w`` for each of `results`.

    NumPy computes it in float64, wherever the arrays lie.
    """
    x, w, *results = map(on_host, (x, w, *results))
    xp = namespace(x)
    x, w, *results = (xp.astype(array, xp.float64) for array in (x, w, *results))
    with arrays.quiet():
        exact = xp.matmul(x, w)
        return [float(xp.sum((y - exact) ** 2)) for y in results]
