"""Several processes that share a batch, each of which reads its part as one process would read the whole."""

from typing import Any

import torch

from ..checks import as_int, fail
from ._layer import CrossbarLayer
from ._shards import Agreement, Shard
from .conversion import layers

__all__ = ["shard_"]


def shard_(
    model: torch.nn.Module, rank: int | None = None, world: int | None = None, *, batch_axis: int | None = None
) -> None:
    """Let a model read its inputs as one part of a batch that several processes share.

    Each process has an equal part of every batch, in the order of ranks. Its rows get the noise of their places in the
    whole batch: a layer that reads n rows begins at row ``rank * n``. So all processes together compute what one
    process does with the whole batch, and ``DistributedDataParallel`` trains to its weights, but for the order of
    floating-point sums.

    Parameters
    ----------
    model : torch.nn.Module
        With layers on crossbars, or a ``DistributedDataParallel`` of one.
    rank, world : int, optional
        Number of this process, and of processes; by default those of ``torch.distributed``. Every process has to make
        this call then: they compare their engines, and go on with the numbers of reads of rank 0. ``0, 1`` is a
        single process again.
    batch_axis : int, optional
        Axis along which the batch is cut, of the inputs of linear and bilinear layers; the last but one, of inputs
        with fewer axes. By default 0, and 1 in torch's transformer layers without ``batch_first``. Layers of other
        kinds know theirs.

    Raises
    ------
    RuntimeError
        If `rank` and `world` are left out, and ``torch.distributed`` is not initialised.
    TypeError, ValueError
        If they are out of range, no layer is on crossbars, or the processes have other engines. In a forward pass: if
        rows of several processes share a scale, as with ``x_quant_gran="per-matrix"``; in training with
        ``input_ranges``, which follow the data of one process; for a ``PackedSequence`` and in ``torch.vmap``, where
        an effect is drawn for each row; and in the first pass in training, if the processes have unlike numbers of
        rows or of reads.

    Notes
    -----
    The processes must agree in what is not compared: the parameters, equal shapes in every pass, and the passes
    themselves, since each counts a read of every layer. A pass that one process makes for itself, such as an
    evaluation, is for a ``copy.deepcopy`` of the model. A compiled graph does not compare rows.

    With ``batch_axis=1`` the rows of a process are no single run. Where noise is drawn for each row (DAC noise, ADC
    noise, ``redraw="row"``), every run is read on its own, with the number of one read.

    A deep copy is sharded as its original is. A pickle, ``torch.save`` among them, is not, and neither is a layer that
    is converted again.

    Examples
    --------
    >>> import copy
    >>> import mpimpy, mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4)).eval()
    >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0, vnoise=0.01))
    >>> x, parts = torch.ones(6, 8), []
    >>> for rank, part in enumerate(x.chunk(2)):
    ...     replica = copy.deepcopy(model)  # as another process would have it
    ...     ann.shard_(replica, rank, 2)
    ...     parts.append(replica(part))
    >>> bool(torch.equal(torch.cat(parts), model(x)))
    True
    """
    found = [layer for _, layer in layers(model)]
    if not found:
        fail(ValueError, "the model has no layer on crossbars: convert_ it first")
    if (rank is None) != (world is None):
        fail(TypeError, f"rank={rank} and world={world}: give both, or neither for those of torch.distributed")
    shared = rank is None
    if shared:
        rank, world = _of_torch()
    world = as_int("world", world, 1)
    rank = as_int("rank", rank, 0, world - 1)
    if batch_axis is not None:
        batch_axis = as_int("batch_axis", batch_axis, 0)
    if shared and world > 1:
        _agree(found)
    agreement = Agreement() if shared else None
    time_first = set() if batch_axis is not None else _time_first(model)
    for layer in found:
        axis = layer.batch_axis
        if axis is None:
            axis = int(id(layer) in time_first) if batch_axis is None else batch_axis
        for cells in layer._cells.values():
            cells.shard = None if world == 1 else Shard(rank, world, axis, agreement)


def _of_torch() -> tuple[int, int]:
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        fail(
            RuntimeError,
            "rank and world are left out, and torch.distributed is not initialised: call "
            "torch.distributed.init_process_group first, or give both",
        )
    return distributed.get_rank(), distributed.get_world_size()


def _time_first(model: torch.nn.Module) -> set[int]:
    # linear layers that torch's transformer layers give (time, batch, features)
    kinds = (torch.nn.TransformerEncoderLayer, torch.nn.TransformerDecoderLayer)
    return {
        id(each)
        for module in model.modules()
        if isinstance(module, kinds) and not module.self_attn.batch_first
        for each in module.children()
    }


def _agree(found: list[CrossbarLayer]) -> None:
    # compares the cells of all processes, and takes the numbers of reads of rank 0
    every = [cells for layer in found for cells in [*layer._cells.values(), *getattr(layer, "_data", {}).values()]]
    own = [
        {"name": each.name, "seed": each.engine.seed, "chip": each._on_chip, "age": each.age}
        | {"gradient": each.engine.gradient, "configuration": each.engine.config, "reads": each.reads}
        for each in every
    ]
    states: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, own)
    for rank, other in enumerate(states):
        if len(other) != len(states[0]):
            names = "build and convert the model alike on all of them"
            fail(ValueError, f"rank {rank} has {len(other)} weight matrices and rank 0 {len(states[0])}: {names}")
        for first, second in zip(states[0], other, strict=True):
            for what, value in first.items():
                if what != "reads" and second[what] != value:
                    _fail_of(rank, first["name"], what, (value, second[what]))
    for cells, state in zip(every, states[0], strict=True):
        cells.reads = state["reads"]


_MENDED = {
    "seed": "give the engine a seed, the same on all of them",
    "configuration": "give all of them one engine, and calibrate_ with the same data, or load one state_dict",
}


def _fail_of(rank: int, name: str, what: str, values: tuple[Any, Any]) -> None:
    shown = "" if what == "configuration" else f": {values[0]!r} and {values[1]!r}"
    mended = _MENDED.get(what, "build and convert the model alike on all of them")
    fail(ValueError, f"layer {name!r}: ranks 0 and {rank} differ in the {what} of its cells{shown}: {mended}")
