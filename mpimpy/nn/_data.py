"""A model that runs on data, and the cells that are looked at meanwhile."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..checks import fail
from ._batches import A_BATCH, all_zero, calls
from ._cells import LayerCells, Observer
from .conversion import layers

__all__ = ["each_cells", "every_cells", "run", "watched"]


def run(model: torch.nn.Module, data: Any, *, currents: bool = False) -> int:
    """Run a model on batches of data, in eval mode and without gradients, and return how many there were.

    Parameters
    ----------
    model : torch.nn.Module
    data : tensor, tuple, dict, or iterable of batches
        As `mpimpy.nn._batches` takes them.
    currents : bool
        Refuse data that are zero throughout, which give no currents.
    """
    modes = [(module, module.training) for module in model.modules()]
    count, zero = 0, True
    try:
        model.eval()
        with torch.no_grad():
            for args, keywords in calls(model, data):
                count += 1
                zero = zero and currents and all_zero(args, keywords)
                model(*args, **keywords)
    finally:
        for module, mode in modes:
            module.training = mode
    if not count:
        fail(ValueError, f"data holds no batch: give some typical inputs. {A_BATCH}")
    if currents and zero:
        fail(ValueError, f"data are zero throughout, and give no currents: give typical inputs. {A_BATCH}")
    return count


def _weights(layer: Any, part: str) -> Any:
    return layer._weights()[part].detach()


def each_cells(model: torch.nn.Module) -> Iterator[tuple[LayerCells, Callable[[], Any]]]:
    """Yield the cells of every weight matrix of a model, and a function that returns its weights, (K, N)."""
    found = False
    for _, layer in layers(model):
        for part, cells in layer._cells.items():
            found = True
            yield cells, functools.partial(_weights, layer, part)
    if not found:
        fail(ValueError, "the model has no layer on crossbars: convert_ it first")


def every_cells(model: torch.nn.Module) -> list[LayerCells]:
    """Return all cells of a model: those of its weight matrices, and those that data are written into.

    Raises
    ------
    ValueError
        If no layer is on crossbars.
    """
    found = [cells for _, layer in layers(model) for cells in layer._every_cells()]
    if not found:
        fail(ValueError, "the model has no layer on crossbars: convert_ it first")
    return found


@contextlib.contextmanager
def watched(model: torch.nn.Module, observer: Observer) -> Iterator[None]:
    """Let an observer look at all products of a model, whose reads are numbered as if nobody had looked."""
    every = [(cells, cells.reads) for cells in every_cells(model)]
    try:
        for cells, _ in every:
            cells.observer = observer
        yield
    finally:
        for cells, reads in every:
            cells.observer, cells.reads = None, reads
