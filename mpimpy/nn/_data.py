"""Batches of data, as a model takes them."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from ..checks import fail
from ._cells import LayerCells, Observer
from .conversion import layers

__all__ = ["each_cells", "every_cells", "run", "watched"]


def _batches(data: Any) -> Iterable[Any]:
    if isinstance(data, torch.Tensor | tuple | dict) or hasattr(data, "keys"):
        return [data]
    if not isinstance(data, Iterable):
        fail(
            TypeError,
            f"data is a {type(data).__name__}: give a batch (tensor, tuple or dict), or an iterable of batches",
        )
    return data


def run(model: torch.nn.Module, data: Any) -> int:
    """Run a model on batches of data, in eval mode and without gradients, and return how many there were.

    Parameters
    ----------
    model : torch.nn.Module
    data : tensor, tuple, dict, or iterable of them
        A batch, or several: a tensor is the model's only argument, a tuple are its arguments, a dict its keywords.
    """
    modes = [(module, module.training) for module in model.modules()]
    count = 0
    try:
        model.eval()
        with torch.no_grad():
            for batch in _batches(data):
                count += 1
                if isinstance(batch, tuple):
                    model(*batch)
                elif isinstance(batch, dict) or hasattr(batch, "keys"):
                    model(**batch)
                else:
                    model(batch)
    finally:
        for module, mode in modes:
            module.training = mode
    if not count:
        fail(ValueError, "data holds no batch: give some typical inputs")
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
    """Let an observer look at all products of a model."""
    every = every_cells(model)
    try:
        for cells in every:
            cells.observer = observer
        yield
    finally:
        for cells in every:
            cells.observer = None
