"""Inputs and masks of attention, checked and brought into one form."""

from typing import Any, NamedTuple

import torch

from ..checks import fail

__all__ = ["Inputs", "added_mask", "arranged"]

_NAMES = ("query", "key", "value")


class Inputs(NamedTuple):
    """Queries, keys and values of attention.

    Attributes
    ----------
    tensors : tuple of tensors, shape (batch, time, size)
    batched : bool
        Whether they were given as a batch.
    """

    tensors: tuple[Any, ...]
    batched: bool


def arranged(layer: Any, query: Any, key: Any, value: Any) -> Inputs:
    """Return inputs with the batch in front, checked.

    Parameters
    ----------
    layer : torch.nn.MultiheadAttention
    query, key, value : tensor

    Raises
    ------
    ValueError
        If they do not fit the layer or each other.
    """
    given = (query, key, value)
    if any(each.is_nested for each in given):
        fail(ValueError, "crossbars take no nested tensor: give padded ones and key_padding_mask")
    for name, each in zip(_NAMES, given, strict=True):
        if each.dim() not in (2, 3) or each.dim() != query.dim():
            shapes = ", ".join(str(tuple(one.shape)) for one in given)
            fail(ValueError, f"query, key and value have shapes {shapes}: all have two dimensions, or all three")
        size = {"query": layer.embed_dim, "key": layer.kdim, "value": layer.vdim}[name]
        if each.shape[-1] != size:
            fail(ValueError, f"{name} has {each.shape[-1]} features: this layer takes {size}")
    batched = query.dim() == 3
    if not batched:
        given = tuple(each.unsqueeze(0) for each in given)
    elif not layer.batch_first:
        given = tuple(each.transpose(0, 1) for each in given)
    q, k, v = (tuple(each.shape[:2]) for each in given)
    if k != v or q[0] != k[0]:
        fail(ValueError, f"query, key and value are {q}, {k} and {v} (batch, time): keys and values go in pairs")
    return Inputs(given, batched)


def _floating(name: str, mask: Any, shapes: tuple[tuple[int, ...], ...], dtype: Any) -> Any:
    # a mask as numbers to add
    if mask.dtype != torch.bool and not mask.is_floating_point():
        fail(TypeError, f"{name} is {mask.dtype}: give bool, or floating numbers that are added")
    if tuple(mask.shape) not in shapes:
        allowed = " or ".join(map(str, shapes))
        fail(ValueError, f"{name} has shape {tuple(mask.shape)}: these inputs need {allowed}")
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, float("-inf"))


def added_mask(layer: Any, inputs: Inputs, padding: Any, mask: Any, columns: int) -> Any:
    """Return what is added to attention scores, of a shape that broadcasts to (batch, heads, L, columns); or None.

    Parameters
    ----------
    layer : torch.nn.MultiheadAttention
    inputs : Inputs
    padding, mask : tensor or None
        ``key_padding_mask`` and ``attn_mask``.
    columns : int
        Number of keys, with those that the layer adds: no mask is for these.

    Raises
    ------
    TypeError, ValueError
        If a mask is of another dtype or shape than torch takes.
    """
    (batch, rows, _), keys = inputs.tensors[0].shape, inputs.tensors[1].shape[1]
    heads, dtype = layer.num_heads, inputs.tensors[0].dtype
    total = None
    if mask is not None:
        total = _floating("attn_mask", mask, ((rows, keys), (batch * heads, rows, keys)), dtype)
        total = total.unflatten(0, (batch, heads)) if total.dim() == 3 else total[None, None]
    if padding is not None:
        shape = (batch, keys) if inputs.batched else (keys,)
        added = _floating("key_padding_mask", padding, (shape,), dtype).reshape(batch, 1, 1, keys)
        total = added if total is None else total + added
    return total if total is None else torch.nn.functional.pad(total, (0, columns - keys))
