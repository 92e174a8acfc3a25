"""A model on crossbars in numbers: before conversion, and while it runs."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from .._html import table
from .._plain import frame_of, plain
from ..analysis.counts import Counts, counts
from ..analysis.metrics import EXACT_dB
from ..compat.dpetensor import DPETensor
from ..engine import Engine
from ._cells import LayerCells
from ._data import each_cells, run, watched
from ._data_cells import DataCells
from ._kinds import crossbar_class, kept_digital, owned_by, reason_for, unlisted
from ._layer import CrossbarLayer
from .finite import check

__all__ = ["Inspection", "LayerReport", "ModelReport", "inspect", "report"]


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    every = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]

    def line(row: tuple[str, ...]) -> str:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), *map(line, every[1:])])


@dataclass(frozen=True)
class Inspection:
    """What `convert_` would do with a model, or has done.

    Attributes
    ----------
    matrices : dict
        From the name of a weight matrix to (class of its layer, (K, N), `Counts` of its cells).
    skipped : list of (str, str)
        Names of modules that stay digital, and why.
    converted : list of str
        Names of those matrices that are on crossbars already.

    Examples
    --------
    >>> found = inspect(torch.nn.Sequential(torch.nn.Linear(100, 10)))
    >>> found.matrices["0"][1], found.arrays, found.cells
    ((100, 10), 8, 4000)
    """

    matrices: dict[str, tuple[str, tuple[int, int], Counts]]
    skipped: list[tuple[str, str]]
    converted: list[str] = field(default_factory=list)

    @property
    def arrays(self) -> int:
        """Number of arrays of the whole model."""
        return sum(found.arrays for _, _, found in self.matrices.values())

    @property
    def cells(self) -> int:
        """Number of memristors that hold weights."""
        return sum(found.cells for _, _, found in self.matrices.values())

    def __str__(self) -> str:
        rows = [
            (name, kind, f"{shape[0]} x {shape[1]}", " x ".join(map(str, found.tiles)), f"{found.cells:,}")
            for name, (kind, shape, found) in self.matrices.items()
        ]
        total = ("all", "", "", f"{self.arrays:,} arrays", f"{self.cells:,}")
        lines = [_table(("matrix", "layer", "K x N", "tiles", "cells"), [*rows, total])]
        lines += [f"on crossbars already: {', '.join(self.converted)}"] if self.converted else []
        return "\n".join(lines + [f"digital: {name}: {reason}" for name, reason in self.skipped])


def inspect(model: torch.nn.Module, engine: Engine | None = None) -> Inspection:
    """Return what `convert_` would put on crossbars, what not and why; the model does not change.

    Parameters
    ----------
    model : torch.nn.Module
    engine : Engine, optional
        Its settings decide how many tiles and cells a matrix takes; by default those of `DPETensor`. Layers that are
        on crossbars already count with their own engines.

    Returns
    -------
    Inspection
        Prints as a table.

    Examples
    --------
    >>> print(inspect(torch.nn.Sequential(torch.nn.Linear(100, 10), torch.nn.LayerNorm(10))))
    matrix   layer     K x N      tiles  cells
    0       Linear  100 x 10  2 x 1 x 4  4,000
    all                        8 arrays  4,000
    digital: 1: LayerNorm has no layer on crossbars
    """
    engine = DPETensor(seed=0) if engine is None else engine
    found = Inspection({}, [])
    owned: set[str] = set()
    for name, module in model.named_modules():
        if name in owned:
            continue
        kind, owned = crossbar_class(module), owned | owned_by(name, module)
        if isinstance(module, CrossbarLayer):
            layer, shown = module, module._digital_class.__name__
        elif kind is None or kept_digital(module):
            if reason := reason_for(module) if kind is None else kept_digital(module):
                found.skipped.append((name, reason))
            continue
        else:
            layer, shown = kind.from_digital(module, engine, name), type(module).__name__
        for part, w in layer._weights().items():
            shape, cells = (w.shape[0], w.shape[1]), layer._cells[part]
            found.matrices[cells.name] = shown, shape, counts(cells.engine.config, 0, *shape)
            if layer is module:
                found.converted.append(cells.name)
    found.skipped.extend(unlisted("", model))
    return found


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
        found: dict[str, Any] = plain({"kind": "ModelReport"} | asdict(self))
        return found

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
            }
            for found in self.layers.values()
        ]
        return frame_of(rows, "matrix", list(self.layers))

    def _repr_html_(self) -> str:
        return table(self._rows(), head=_HEAD)

    def __str__(self) -> str:
        return _table(_HEAD, self._rows())

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [
            (
                name,
                f"{found.shape[0]} x {found.shape[1]}",
                "data" if found.data else " x ".join(map(str, found.counts.tiles)),
                "" if found.data else f"{found.counts.cells:,}",
                f"{found.rows:,}",
                f"{found.counts.adc_conversions:,}",
                _decibels(found),
            )
            for name, found in self.layers.items()
        ]
        every = [found.counts for found in self.layers.values()]
        arrays, cells = (f"{sum(values):,}" for values in ([c.arrays for c in every], [c.cells for c in every]))
        conversions = f"{sum(c.adc_conversions for c in every):,}"
        total = ("all", "", f"{arrays} arrays", cells, "", conversions, "")
        return [*rows, total]


_HEAD = ("matrix", "K x N", "tiles", "cells", "rows", "conversions", "dB")


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
    energy: float = 0.0
    error: float = 0.0

    def report(self) -> LayerReport:
        energy, error, config = self.energy, self.error, self.cells.engine.config
        snr = math.nan if energy == 0 else (math.inf if error == 0 else 10 * math.log10(energy / error))
        snr = math.inf if snr > EXACT_dB else snr
        every = [counts(config, rows, *shape) for shape, rows in self.rows.items()]
        shape, found = max(self.rows, key=math.prod), every[0]
        if data := isinstance(self.cells, DataCells):
            sums = {name: sum(getattr(each, name) for each in every) for name in _SUMMED}
            found = replace(found, tiles=(0, 0, found.tiles[2]), cells=0, reference_cells=0, **sums)
        return LayerReport(shape, found, sum(self.rows.values()), snr, data)


_SUMMED = ("dac_conversions", "adc_conversions", "additions")


class _Comparison:
    # an observer: energy of the products, and of their errors

    def __init__(self) -> None:
        self.found: dict[str, _Seen] = {}

    def before(self, cells: LayerCells, x: Any, w: Any) -> Any:
        return None

    def after(self, cells: LayerCells, x: Any, w: Any, y: Any) -> None:
        exact = x.detach().double() @ w.detach().double()
        entry = self.found.setdefault(cells.name, _Seen(cells))
        shape = (w.shape[0], w.shape[1])
        entry.rows[shape] = entry.rows.get(shape, 0) + x.numel() // max(1, x.shape[-1])
        entry.energy += float((exact**2).sum())
        entry.error += float(((y.detach().double() - exact) ** 2).sum())


def report(model: torch.nn.Module, data: Any) -> ModelReport:
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

    Returns
    -------
    ModelReport
        Prints as a table. Its decibels compare each product with the exact one of the same inputs: errors that
        came from layers before are not in them.

    Raises
    ------
    TypeError, ValueError
        If no layer is on crossbars, or `data` is empty or no batch, or a list may be one in several ways.

    Examples
    --------
    >>> import mpimpy, mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(100, 10))
    >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0))
    >>> found = report(model, torch.ones(5, 100))
    >>> found.layers["0"].counts.adc_conversions, found.layers["0"].snr_dB > 10
    (1600, True)
    """
    comparison = _Comparison()
    with watched(model, comparison):
        batches = run(model, data)
    check(model)
    found = {name: seen.report() for name, seen in comparison.found.items()}
    for cells, weights in each_cells(model):
        if cells.name not in found:
            shape = tuple(weights().shape)
            found[cells.name] = LayerReport(shape, counts(cells.engine.config, 0, *shape), 0, math.nan)
    return ModelReport(found, batches)
