"""Products of several small matrices, each with inputs of its own, in one read: the groups of a convolution.

A read of a few cells costs as much as one of a whole array. So the cells of several groups stand in one array, each
group in rows and columns of its own, and the grid is 0 elsewhere: it adds nothing to a current, which is an integer.
Scales enter after the read, as each group has its own. The bits are those of one read a group.
"""

from collections.abc import Sequence
from typing import Any

from ..arrays import device_of, namespace
from ..operands import encoding
from . import plan as plans
from .product import read_grid
from .programmed import Programmed
from .small import takes_common_reads

__all__ = ["grouped_product", "takes_groups"]


def takes_groups(parts: Sequence[Programmed], dtype: str) -> bool:
    """Return whether `grouped_product` can read some matrices together.

    Parameters
    ----------
    parts : sequence of Programmed
    dtype : str
        Name of the floating dtype of inputs and products.
    """
    config, shape = parts[0].config, parts[0].shape
    if len(parts) * shape[0] > config.tile.rows:
        return False
    kind = (1, 1, shape[0]), (dtype, dtype)
    return all(
        (each.config is config or each.config == config) and each.shape == shape and takes_common_reads(each, *kind)
        for each in parts
    )


def grouped_product(backend: Any, parts: Sequence[Programmed], values: Any, reads: Sequence[int], dtype: str) -> Any:
    """Return the products of matrices with their inputs, side by side; None where scales may leave float64's range.

    Parameters
    ----------
    backend : module
        A backend.
    parts : sequence of Programmed
        As `takes_groups` allows: G matrices of shape (K, N).
    values : real floating array, shape (1, M, G * K)
        The inputs of all matrices, side by side.
    reads : sequence of int
        Number of the read of each matrix.
    dtype : str
        Name of the floating dtype of the products.

    Returns
    -------
    array, shape (M, G * N)
    """
    config, (depth, width), height = parts[0].config, parts[0].shape, values.shape[1]
    tall, _ = encoding.block_shape(config.inputs, (height, depth), config.tile.rows, weight=False)
    inputs = encoding.encode(backend, values, config.inputs, (tall, depth))
    if inputs.exponent is not None:
        return None
    plan = plans.plan(config)
    grid: Any = None
    for index, (part, number) in enumerate(zip(parts, reads, strict=True)):
        own = read_grid(backend, config, part.as_read, part.address._replace(read=number))
        xp, device = namespace(own), device_of(own)
        if grid is None:
            sides = len(parts) * depth, len(parts) * width
            grid = xp.zeros((own.shape[0], *sides), dtype=own.dtype, device=device)
        grid[:, index * depth : (index + 1) * depth, index * width : (index + 1) * width] = own
    rows = xp.arange(height, dtype=xp.int64, device=device) // tall
    of_rows = xp.take(inputs.scales[0, 0, :, :], rows, axis=0) * plan.sum_scale
    ones = [xp.ones(shape, dtype=xp.float64, device=device) for shape in ((height, 1), (1, grid.shape[2]))]
    sums = backend.read(encoding.flat_slices(inputs.digits), ones[0], grid, ones[1], plan.reading, "float64", None)
    found = xp.reshape(sums, (height, len(parts), width)) * of_rows[:, :, None]
    found = found * xp.stack([part.scales[0, 0, :] for part in parts], axis=0)
    return xp.astype(xp.reshape(found, (height, -1)), getattr(xp, dtype), copy=False)
