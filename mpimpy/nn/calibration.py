"""ADC ranges that fit the currents of each layer of a model."""

from typing import Any

import torch

from ..checks import as_int, fail
from ..config._sense import warn
from ._cells import LayerCells, Made
from ._data import each_cells, run, watched

__all__ = ["calibrate_"]

ROWS = 512  # inputs of each weight matrix that are kept
_SHOWN = 8  # matrices that a warning names


class _Recorder:
    # an observer: digital products in the place of the crossbars', and a sample of their inputs

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.kept: dict[str, Any] = {}
        self._seen: dict[str, int] = {}
        self._random = torch.Generator().manual_seed(0)

    def before(self, cells: LayerCells, x: Any, w: Any) -> Any:
        flat = x.detach().reshape(-1, x.shape[-1])
        if cells.name in self.kept:
            flat = torch.cat([self.kept[cells.name], flat])
        if len(flat) > 2 * self.rows:
            flat = self._thin(flat)
        self.kept[cells.name] = flat
        return x.to(torch.result_type(x, w)) @ w.to(torch.result_type(x, w))

    def after(self, cells: LayerCells, made: Made) -> None:
        pass

    def _thin(self, flat: Any) -> Any:
        # rows with the largest elements stay: ranges are decided by them
        peak = flat.abs().amax(1)
        largest = torch.topk(peak, self.rows // 8).indices
        others = torch.randperm(len(flat), generator=self._random)[: self.rows - len(largest)].to(flat.device)
        return flat[torch.unique(torch.cat([largest, others]))]

    def sample(self, name: str) -> Any:
        flat = self.kept[name]
        return flat if len(flat) <= self.rows else self._thin(flat)


def calibrate_(
    model: torch.nn.Module,
    data: Any,
    *,
    method: str = "error",
    percentile: float | None = None,
    ratios: str = "powers",
    rows: int = ROWS,
) -> dict[str, Any]:
    """Give the ADCs of every layer ranges that fit its currents.

    The model runs digitally on some data. The inputs that each weight matrix meets are kept, or a sample of them,
    and `mpimpy.Engine.calibrate` chooses ranges by them: those of least error, or full range where the product of
    this data has less error with it. The products of data of ``attention="all"``, whose matrices change with every
    product, run digitally too, and keep the ranges of their engine.

    Parameters
    ----------
    model : torch.nn.Module
        With layers on crossbars.
    data : tensor, tuple, dict, list of batches or other iterable of them
        A batch or several, as for `mpimpy.nn.report`: typical inputs.
    method, percentile, ratios
        As for `mpimpy.Engine.calibrate`.
    rows : int
        Input rows of each weight matrix that are kept; those with the largest elements among them.

    Returns
    -------
    dict
        From the name of each weight matrix to its range: `mpimpy.Ranges`, or ``"full"``. Each matrix has an engine
        of its own then, with this range. Matrices that the data do not reach, or whose inputs are all zero, keep the
        range that they have; a warning names them. The numbers of reads stay as they were.

    Raises
    ------
    TypeError, ValueError
        If no layer is on crossbars, `data` is empty, zero throughout or no batch, or an ADC is ideal.

    Examples
    --------
    >>> import mpimpy, mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 10)).eval()
    >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0, var=0))
    >>> x = torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
    >>> before = ann.report(model, x).layers["0"].snr_dB
    >>> _ = calibrate_(model, x)
    >>> ann.report(model, x).layers["0"].snr_dB > before + 3
    True
    """
    recorder = _Recorder(as_int("rows", rows, 8))
    with watched(model, recorder):
        run(model, data, currents=True)
    found: dict[str, Any] = {}
    left: dict[str, list[str]] = {}
    for cells, weights in each_cells(model):
        if cells.name not in recorder.kept or not len(recorder.kept[cells.name]):
            left.setdefault("the data never reach", []).append(cells.name)
            continue
        x, w = recorder.sample(cells.name), weights()
        if bool((x == 0).all()) or bool((w == 0).all()):
            left.setdefault("inputs or weights are zero throughout in", []).append(cells.name)
            continue
        engine = cells.engine
        try:
            engine = engine.calibrate(x, w, method=method, percentile=percentile, ratios=ratios)
        except ValueError as error:
            fail(ValueError, f"layer {cells.name!r}: {error}")
        found_range: Any = engine.config.adc.range
        cells.use_range(found_range)
        found[cells.name] = found_range
    for why, names in left.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        shown = ", ".join(map(repr, names[:_SHOWN])) + more
        warn(f"calibrate_: {why} {shown}: the ADC ranges there stay as they are")
    return found
