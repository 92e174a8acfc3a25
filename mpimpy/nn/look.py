"""A model on crossbars in numbers: before conversion, and while it runs."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from .._html import table
from .._plain import frame_of, plain
from ..analysis.counts import Counts, counts
from ..analysis.metrics import EXACT_dB
from ..cost import Cost, Technology
from ..cost._technology import AnyTechnology, as_technology
from ._cells import LayerCells, Made
from ._costs import Costs, columns, frame_columns, total
from ._data import each_cells, run, watched
from ._data_cells import DataCells
from ._inspection import Inspection, inspect, text_table
from .finite import check

__all__ = ["Inspection", "LayerReport", "ModelReport", "inspect", "report"]


@dataclass
class LayerReport:
    """One weight matrix of a model, and its products.

    Attributes
    ----------
    shape : (int, int)
        (K, N).
    counts : Counts
        Of the cells, and of all products that were seen.
    rows : int
        Input rows that were read; 0, if the data did not reach the matrix.
    snr_dB : float
        Of these products against those of the same inputs and weights in float64; NaN, if they are all zero;
        infinite above 200 dB, where only float64 rounds.
    data : bool
        Both operands are data: `MultiheadAttention` with ``attention="all"`` writes keys and values for one product.
        No cells keep them, so `counts` has conversions alone, and `shape` is that of the largest matrix.
        `calibrate_` leaves the ADCs of these products as they are.
    cost : mpimpy.cost.Cost or None
        Energy and latency of all products that were seen, one after the other, with the inputs that they had. None
        without a technology, and where the data do not reach the matrix.

    Examples
    --------
    >>> import mpimpy, mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(100, 10))
    >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0))
    >>> layer = report(model, torch.ones(5, 100)).layers["0"]
    >>> layer.shape, layer.rows, layer.counts.cells, layer.data
    ((100, 10), 5, 4000, False)
    """

    shape: tuple[int, int]
    counts: Counts
    rows: int
    snr_dB: float
    data: bool = False
    cost: Cost | None = None


@dataclass(frozen=True)
class ModelReport:
    """A model on crossbars, matrix by matrix, as it ran on some data.

    Attributes
    ----------
    layers : dict
        From the name of a weight matrix to its `LayerReport`, in the order in which the data reach them, then those
        that they do not reach; two rows more for the products of data of each
        `MultiheadAttention` with ``attention="all"``.
    batches : int
    technology : str or None
        Name of the technology of the costs.

    Examples
    --------
    >>> import mpimpy, mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(100, 10), torch.nn.Linear(10, 2))
    >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0))
    >>> found = report(model, [torch.ones(5, 100), torch.ones(3, 100)])
    >>> list(found.layers), found.batches
    (['0', '1'], 2)
    """

    layers: dict[str, LayerReport]
    batches: int
    technology: str | None = None

    @property
    def cost(self) -> Cost | None:
        """Cost of all products, matrix after matrix and batch after batch; None without a technology.

        Its latency is that of matrices that wait for each other, as in a chain of layers: groups of a convolution, or
        the projections of queries, keys and values, could be read at once.

        Examples
        --------
        >>> import mpimpy, mpimpy.nn as ann
        >>> model = torch.nn.Sequential(torch.nn.Linear(100, 10), torch.nn.Linear(10, 2))
        >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0))
        >>> report(model, torch.ones(5, 100), technology="generic-28").cost.macs
        5100
        """
        return total([found.cost for found in self.layers.values()])

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values that JSON can hold; infinite numbers and NaN are text.

        Examples
        --------
        >>> import mpimpy, mpimpy.nn as ann
        >>> model = torch.nn.Sequential(torch.nn.Linear(100, 10))
        >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0))
        >>> found = report(model, torch.ones(5, 100)).to_dict()
        >>> found["layers"]["0"]["shape"], found["layers"]["0"]["counts"]["cells"]
        ([100, 10], 4000)
        """
        layers = {name: _named(found) | {"cost": _numbers(found.cost)} for name, found in self.layers.items()}
        found = {"kind": "ModelReport", "layers": layers, "batches": self.batches}
        plainly: dict[str, Any] = plain(found | {"technology": self.technology, "cost": _numbers(self.cost)})
        return plainly

    def to_frame(self) -> Any:
        """Return the report as a `pandas.DataFrame`: a row for each weight matrix.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import mpimpy, mpimpy.nn as ann
        >>> model = torch.nn.Sequential(torch.nn.Linear(100, 10))
        >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0))
        >>> int(report(model, torch.ones(5, 100)).to_frame().adc_conversions["0"])
        1600
        """
        rows = [
            {
                "K": found.shape[0],
                "N": found.shape[1],
                "rows": found.rows,
                "arrays": found.counts.arrays,
                **asdict(found.counts),
                "snr_dB": found.snr_dB,
                "data": found.data,
                **({} if self.technology is None else frame_columns(found.cost)),
            }
            for found in self.layers.values()
        ]
        return frame_of(rows, "matrix", list(self.layers))

    def _repr_html_(self) -> str:
        return table(self._rows(), head=self._head(), caption=self._note())

    def __str__(self) -> str:
        return "\n".join(filter(None, (text_table(self._head(), self._rows()), self._note())))

    def _head(self) -> tuple[str, ...]:
        return _HEAD if self.technology is None else (*_HEAD, "energy", "latency")

    def _note(self) -> str:
        if self.technology is None:
            return ""
        cost = self.cost
        return f"{self.technology}; {'no matrix was reached: no cost' if cost is None else cost._note()}"

    def _rows(self) -> list[tuple[str, ...]]:
        costed = self.technology is not None
        rows = [
            (
                name,
                f"{found.shape[0]} x {found.shape[1]}",
                "data" if found.data else " x ".join(map(str, found.counts.tiles)),
                "" if found.data else f"{found.counts.cells:,}",
                f"{found.rows:,}",
                f"{found.counts.adc_conversions:,}",
                _decibels(found),
                *(columns(found.cost) if costed else ()),
            )
            for name, found in self.layers.items()
        ]
        every = [found.counts for found in self.layers.values()]
        arrays, cells = (f"{sum(values):,}" for values in ([c.arrays for c in every], [c.cells for c in every]))
        conversions = f"{sum(c.adc_conversions for c in every):,}"
        every_one = ("all", "", f"{arrays} arrays", cells, "", conversions, "", *(columns(self.cost) if costed else ()))
        return [*rows, every_one]


_HEAD = ("matrix", "K x N", "tiles", "cells", "rows", "conversions", "dB")


def _named(found: LayerReport) -> dict[str, Any]:
    return asdict(replace(found, cost=None))


def _numbers(cost: Cost | None) -> dict[str, Any] | None:
    return None if cost is None else cost.to_dict()


def _decibels(found: LayerReport) -> str:
    if found.rows == 0:
        return "not reached"
    if math.isinf(found.snr_dB):
        return "exact"
    return "" if math.isnan(found.snr_dB) else f"{found.snr_dB:.1f}"


@dataclass
class _Seen:
    # the products of one weight matrix, or of data: input rows by the shape of the right factor, and energies
    cells: LayerCells
    rows: dict[tuple[int, int], int] = field(default_factory=dict)
    costs: Costs | None = None
    shared: bool = False
    energy: float = 0.0
    error: float = 0.0

    def report(self) -> LayerReport:
        energy, error, config = self.energy, self.error, self.cells.engine.config
        snr = math.nan if energy == 0 else (math.inf if error == 0 else 10 * math.log10(energy / error))
        snr = math.inf if snr > EXACT_dB else snr
        every = [counts(config, rows, *shape, share_dacs=self.shared) for shape, rows in self.rows.items()]
        shape, found = max(self.rows, key=math.prod), every[0]
        if data := isinstance(self.cells, DataCells):
            sums = {name: sum(getattr(each, name) for each in every) for name in _SUMMED}
            found = replace(found, tiles=(0, 0, found.tiles[2]), cells=0, reference_cells=0, **sums)
        cost = None if self.costs is None else self.costs.found(found)
        return LayerReport(shape, found, sum(self.rows.values()), snr, data, cost)


_SUMMED = ("dac_conversions", "adc_conversions", "additions")


class _Comparison:
    # an observer: energy of the products, and of their errors, as signals, and their cost

    def __init__(self, technology: Technology | None) -> None:
        self.found: dict[str, _Seen] = {}
        self._technology = technology

    def before(self, cells: LayerCells, x: Any, w: Any) -> Any:
        return None

    def after(self, cells: LayerCells, made: Made) -> None:
        x, w, y = made.x, made.w, made.y
        exact = x.detach().double() @ w.detach().double()
        if (entry := self.found.get(cells.name)) is None:
            entry = self.found[cells.name] = self._entry(cells)
        if entry.costs is not None:
            entry.costs.add(cells.name, made)
        shape = (w.shape[0], w.shape[1])
        entry.rows[shape] = entry.rows.get(shape, 0) + x.numel() // max(1, x.shape[-1])
        entry.energy += float((exact**2).sum())
        entry.error += float(((y.detach().double() - exact) ** 2).sum())

    def _entry(self, cells: LayerCells) -> _Seen:
        tech = self._technology
        if tech is None:
            return _Seen(cells)
        return _Seen(cells, costs=Costs(tech, isinstance(cells, DataCells)), shared=tech.share_dacs)


def report(model: torch.nn.Module, data: Any, *, technology: AnyTechnology | None = None) -> ModelReport:
    """Run a model on crossbars, and return the cells, the conversions and the errors of each weight matrix.

    Parameters
    ----------
    model : torch.nn.Module
        With layers on crossbars. It runs in eval mode, and keeps the numbers of its reads: a report changes nothing
        in what the model gives later.
    data : tensor, tuple, dict, list of batches or other iterable of them
        A batch or several: a tensor, a tuple of arguments of forward, or a dict of keywords. In an iterable, such as a
        DataLoader, a batch may be a list: its tensors are the first arguments of forward, and what forward has no
        place for, such as labels, is left out.
    technology : mpimpy.cost.Technology, str, path or dict, optional
        Adds the cost of the products, with the inputs that each matrix met; see `mpimpy.CrossbarMatrix.cost`. Groups
        of a convolution have arrays of their own. Of a model that `shard_` has cut, it is the cost of this process.

    Returns
    -------
    ModelReport
        Prints as a table. Its decibels compare each product with the exact one of the same inputs: errors that
        came from layers before are not in them.

    Raises
    ------
    TypeError, ValueError
        If no layer is on crossbars, or `data` is empty or no batch, or a list may be one in several ways; if the
        technology is unknown, or has no figure for a layer's ADCs.

    Examples
    --------
    >>> import mpimpy, mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(100, 10))
    >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0))
    >>> found = report(model, torch.ones(5, 100), technology="generic-28")
    >>> found.layers["0"].counts.adc_conversions, found.layers["0"].snr_dB > 10
    (1600, True)
    >>> found.layers["0"].cost.macs
    5000
    """
    tech = None if technology is None else as_technology(technology)
    comparison, shared = _Comparison(tech), tech is not None and tech.share_dacs
    with watched(model, comparison):
        batches = run(model, data)
    check(model)
    found = {name: seen.report() for name, seen in comparison.found.items()}
    for cells, weights in each_cells(model):
        if cells.name not in found:
            shape = tuple(weights().shape)
            size = counts(cells.engine.config, 0, *shape, share_dacs=shared)
            found[cells.name] = LayerReport(shape, size, 0, math.nan)
    return ModelReport(found, batches, None if tech is None else tech.name)
