"""Groups of a convolution that are read together, where no gradient is recorded."""

from collections.abc import Sequence
from typing import Any

import torch

from .. import arrays
from ..crossbar.grouped import grouped_product, takes_groups

__all__ = ["group_size", "read_together"]


def group_size(layer: Any, images: Any, depth: int) -> int:
    """Return how many groups of a convolution fit one array, 1 where each has to be read on its own.

    Parameters
    ----------
    layer : StreamedLayer
    images : tensor
        Its inputs.
    depth : int
        Rows of the weight matrix of a group.
    """
    weight, cells = layer.weight, layer._cells.values()
    recorded = torch.is_grad_enabled() and (images.requires_grad or weight.requires_grad)
    if layer.groups == 1 or recorded or layer._steps() or not layer._in_place(images):
        return 1
    if layer.training_settings.input_ranges is not None or any(each.observer is not None for each in cells):
        return 1
    if arrays.shown(images) is None or images.dtype != weight.dtype or torch.is_autocast_enabled("cpu"):
        return 1
    rows: int = layer.engine.config.tile.rows
    return max(1, rows // depth)


def read_together(groups: Sequence[Any], x: Any, weights: Sequence[Any], reads: Sequence[int]) -> Any:
    """Return the products of some groups side by side, or None if they have to be read one by one.

    Parameters
    ----------
    groups : sequence of LayerCells
    x : tensor, shape (M, G * K)
        Inputs of all groups, side by side.
    weights : sequence of tensors, shape (K, N)
    reads : sequence of int
        Number of the read of each group.
    """
    if not x.shape[0] or not arrays.all_finite(x):
        return None
    matrices = [cells.matrix(w.detach(), 0, False) for cells, w in zip(groups, weights, strict=True)]
    parts, backend = [each.programmed for each in matrices], matrices[0]._backend
    dtype = str(x.dtype).removeprefix("torch.")
    if any(part is None for part in parts) or not takes_groups(parts, dtype):
        return None
    y = grouped_product(backend, parts, backend.to_backend(x[None]), reads, dtype)
    return None if y is None else backend.from_backend(y, x)
