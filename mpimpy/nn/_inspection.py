"""A model's matrices on crossbars, before conversion."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from ..analysis.counts import Counts, counts
from ..compat.dpetensor import DPETensor
from ..engine import Engine
from ._kinds import crossbar_class, kept_digital, owned_by, reason_for, unlisted
from ._layer import CrossbarLayer

__all__ = ["Inspection", "inspect", "text_table"]


def text_table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table as text, its first column on the left and the others on the right."""
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
        lines = [text_table(("matrix", "layer", "K x N", "tiles", "cells"), [*rows, total])]
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
