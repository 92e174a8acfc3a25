"""One training step for all the products of a forward pass."""

from typing import Any

from ..arrays import only_shapes
from ..autograd.product import next_read

__all__ = ["one_step"]


def one_step(layer: Any, *inputs: Any) -> Any:
    """Return the step whose cells all products of a forward pass read; False where the pass has no cells of its own.

    Parameters
    ----------
    layer : CrossbarLayer
    *inputs : tensor
        Those of the pass.

    Returns
    -------
    int, int64 tensor or False
        Its number is that of a read of the layer's first matrix, which no product has.
    """
    if not layer._steps() or only_shapes(inputs[0]):
        return False
    return next_read(next(iter(layer._cells.values())), *inputs) + 1
