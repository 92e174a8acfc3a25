"""The part of a batch that one of several processes reads, at the rows that it has in the whole batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .._recorded import recorded_product
from ..arrays import only_shapes, traced_by_torch
from ..autograd.product import next_read
from ..checks import fail
from ..config import Config

__all__ = ["Agreement", "Shard", "addressed_by_row"]


def addressed_by_row(config: Config) -> list[str]:
    """Return the names of the effects whose random numbers have the row of an input in their address."""
    drawn = (
        ("DAC noise (vnoise)", config.dac.noisy),
        ("ADC noise (noise_lsb)", config.adc.noise_lsb > 0),
        ("redraw='row'", config.device.draws_rows),
    )
    return [name for name, on in drawn if on]


def _rows_of_a_scale(config: Config) -> int | None:
    # input rows that share a scale; None: all of a matrix
    granularity = config.inputs.granularity
    if isinstance(granularity, str):
        return None if granularity == "per-matrix" else 1
    return granularity[0]


class Agreement:
    """What all processes must have alike in a forward pass; they compare it once, in the first one in training."""

    def __init__(self) -> None:
        self.due = True

    def check(self, name: str, rows: int, reads: int) -> None:
        """Raise ValueError if another process reads other rows, or has made other reads.

        Parameters
        ----------
        name : str
            Of the weight matrix that is read.
        rows : int
            Rows of inputs of this process.
        reads : int
            Reads of the matrix so far.
        """
        self.due = False
        found: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(found, (name, rows, reads))
        if len({each[:2] for each in found}) > 1:
            shown = ", ".join(f"rank {rank}: {each[1]} of {each[0]!r}" for rank, each in enumerate(found))
            fail(
                ValueError,
                f"the ranks read different numbers of input rows ({shown}): give every rank as many samples of one "
                "shape, as torch's DistributedSampler does",
            )
        if len(set(found)) > 1:
            shown = ", ".join(str(each[2]) for each in found)
            fail(
                ValueError,
                f"layer {name!r}: the ranks have made different numbers of reads ({shown}), so their noise would "
                "differ: let every rank make the same forward passes, or call shard_ again after those of one rank",
            )


@dataclass(frozen=True)
class Shard:
    """Part of a batch that a process has: one of equal parts, in the order of ranks.

    Attributes
    ----------
    rank, world : int
        Number of the part, and of parts.
    axis : int
        Axis of a layer's inputs along which the batch is cut; the last but one, if they have fewer axes.
    agreement : Agreement or None
        None: processes do not compare their rows.
    """

    rank: int
    world: int
    axis: int
    agreement: Agreement | None

    def first_row(self, layer: Any, cells: Any, x: Any, rows: int) -> int:
        """Return the row, in the whole batch, of the first of some consecutive rows of inputs; check them.

        Parameters
        ----------
        layer : CrossbarLayer
        cells : LayerCells
            That are read.
        x : tensor
            The inputs, or what they are made of.
        rows : int
            Those of this process.

        Raises
        ------
        ValueError
            If rows of several processes share a scale, or this process has other rows than others.
        """
        most = _rows_of_a_scale(cells.engine.config)
        if most is None or rows % most:
            shown = cells.engine.config.inputs.granularity
            many = "all rows of a batch" if most is None else f"{most} rows of a batch, but each rank has {rows},"
            fail(
                ValueError,
                f"layer {cells.name!r}: granularity {shown!r} of the inputs gives one scale to {many} and no rank "
                "sees those of the others: set x_quant_gran='per-row' or 'finest'"
                + ("" if most is None else f", or a multiple of {most} rows on each rank"),
            )
        return self._start(layer, cells, x, rows)

    def product(self, layer: Any, cells: Any, operands: tuple[Any, Any], read: Any, step: Any) -> Any:
        """Return the product of inputs and weights, read at the rows of the whole batch.

        Where other axes are before the batch, such as that of time, the rows of a process are no single run. They are
        then read run by run, with the number of one read, if any effect is addressed by row.

        Parameters
        ----------
        layer : CrossbarLayer
        cells : LayerCells
        operands : (tensor, tensor)
            Inputs, shape (..., K), and weights, shape (K, N).
        read, step
            As for `mpimpy.autograd.product.multiply`.
        """
        x, w = operands
        axis = max(0, min(self.axis, x.ndim - 2))
        runs, rows = math.prod(x.shape[:axis]), math.prod(x.shape[axis:-1])
        # where the batch is not the last axis, rows that share a scale are those of one sample
        first = (self._start if axis < x.ndim - 2 else self.first_row)(layer, cells, x, rows)
        if runs == 1 or only_shapes(x) or not addressed_by_row(cells.engine.config):
            return recorded_product(cells, x, w, read, step=step, first_row=first)
        number = next_read(cells, x, w) if read is None else read
        found = [
            recorded_product(cells, each, w, number, step=step, first_row=run * self.world * rows + first)
            for run, each in enumerate(x.flatten(0, axis - 1).unbind(0))
        ]
        return torch.stack(found).reshape(*x.shape[:-1], -1)

    def reads_of_data(self, cells: Any, number: int, *tensors: Any) -> Sequence[Any]:
        """Return the numbers of reads of some products of data, one matrix after another, and count those of all.

        Parameters
        ----------
        cells : DataCells
        number : int
            Products of this process.
        *tensors : tensor
            Of the products.
        """
        if only_shapes(tensors[0]):
            return [None] * number
        every = [next_read(cells, *tensors) for _ in range(self.world * number)]
        return every[self.rank * number : (self.rank + 1) * number]

    def refuse_runs(self, cells: Any, what: str, instead: str) -> None:
        """Raise ValueError if the rows of some inputs matter: they have unknown places in the whole batch."""
        config = cells.engine.config
        drawn = addressed_by_row(config)
        if _rows_of_a_scale(config) != 1:
            drawn.append(f"granularity {config.inputs.granularity!r} of the inputs")
        if drawn:
            fail(
                ValueError,
                f"layer {cells.name!r}: {what}, so their rows in the whole batch are not known, and {drawn[0]} depends "
                f"on them: {instead}",
            )

    def _start(self, layer: Any, cells: Any, x: Any, rows: int) -> int:
        # the first row, once it is sure that other processes have as many
        self._refuse_maps(cells, x)
        agreement = self.agreement
        if agreement is not None and layer.training and not traced_by_torch(x) and agreement.due:
            agreement.check(cells.name, rows, cells.reads)
        return self.rank * rows

    def _refuse_maps(self, cells: Any, x: Any) -> None:
        if _mapped(x):
            what = "torch.vmap hides how many samples its inputs are"
            self.refuse_runs(cells, what, "give the layer the whole batch, or leave the model unsharded")


def _mapped(x: Any) -> bool:
    # whether a tensor is a sample of torch.vmap; a graph sees the innermost transform alone
    functorch = torch._C._functorch
    if torch.compiler.is_compiling():
        return bool(functorch.is_batchedtensor(x))
    while functorch.is_functorch_wrapped_tensor(x):
        if functorch.is_batchedtensor(x):
            return True
        x = functorch.get_unwrapped(x)
    return False
