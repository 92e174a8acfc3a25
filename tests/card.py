"""A card that is not there: its tensors say that they are on CUDA, and the CPU computes them; the host may not wait.

Whatever would read a value back, choose a shape by values, or copy unpinned numbers to the card raises `Waited`.
"""

import contextlib

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda", 0)
_WAIT = {  # operations whose values or whose shapes the host has to wait for
    "_local_scalar_dense",
    "allclose",
    "bincount",
    "equal",
    "is_nonzero",
    "masked_select",
    "nonzero",
    "unique_consecutive",
    "unique_dim",
    "_unique2",
}
_READ = {"__array__", "__bool__", "__float__", "__index__", "__int__", "cpu", "item", "numpy", "tolist"}  # methods
_MADE_OF_NUMBERS = (torch.tensor, torch.as_tensor, torch.asarray, torch.scalar_tensor, torch.from_numpy)


_watching = False  # whether the host may not wait


class Waited(AssertionError):
    """Something made the host wait for the card."""


class Card(torch.Tensor):
    """A tensor on the card."""

    device = DEVICE
    is_cuda, is_cpu = True, False

    @staticmethod
    def __new__(cls, held):
        shape = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        return torch.Tensor._make_wrapper_subclass(cls, held.size(), dtype=held.dtype, **shape)

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def tolist(self):  # torch's own refuses subclasses
        if _watching:
            raise Waited("Tensor.tolist makes the host wait")
        return self.held.tolist()

    def __repr__(self):
        return f"Card({tuple(self.shape)}, {self.dtype})"


def _run(func, args, kwargs):
    name = func.name().removeprefix("aten::").partition(".")[0]
    given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    here = [each for each in given if not isinstance(each, Card)]
    if len(here) == len(given):
        return func(*args, **kwargs)
    if _watching and (name in _WAIT or func.name() == "aten::repeat_interleave.Tensor"):
        raise Waited(f"{name} makes the host wait")
    if _watching and name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(map(_is_mask, args[1])):
        raise Waited(f"{name} by a mask makes the host wait")
    if name == "copy_" and here:
        raise Waited("copy_ between the host and the card waits")
    if any(each.ndim for each in here):
        raise RuntimeError(f"{name}: tensors on two devices")
    found = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if func._schema.is_mutable:
        return kwargs.get("out", args[0])
    return tree_map(_carded, found)


def _held(value):
    return value.held if isinstance(value, Card) else value


def _carded(value):
    return Card(value) if isinstance(value, torch.Tensor) else value


def _is_mask(value):
    return isinstance(value, torch.Tensor) and value.dtype == torch.bool


class _Host(TorchFunctionMode):
    # methods that read values without an operation, and functions that are told a device

    def __init__(self, tables):
        super().__init__()
        self.tables = tables

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        first = args[0] if args else None
        if _watching and isinstance(first, Card) and name in _READ:
            raise Waited(f"Tensor.{name} makes the host wait")
        if name == "backward":
            with self:  # gradients are found under this mode too
                torch.autograd.graph._engine_run_backward(
                    (first,), (torch.ones_like(first),), False, False, (), allow_unreachable=True, accumulate_grad=True
                )
            return None
        wanted = [each for each in (*args, *kwargs.values()) if _names_a_device(each)]
        moved = isinstance(first, torch.Tensor) and (name == "cuda" or (name == "to" and wanted))
        if moved and isinstance(first, Card) != (name == "cuda" or torch.device(wanted[0]).type == "cuda"):
            raise Waited("a copy between the host and the card waits")
        to_card = any(torch.device(each).type == "cuda" for each in wanted)
        if to_card and func in _MADE_OF_NUMBERS and not isinstance(first, Card) and not self.tables:
            raise Waited("unpinned numbers are copied to the card, and the host waits")
        if to_card:
            args = tuple(each for each in args if not _names_a_device(each))
            kwargs = {key: each for key, each in kwargs.items() if not _names_a_device(each)}
        found = func(*args, **kwargs)
        return Card(found) if to_card and isinstance(found, torch.Tensor) and not isinstance(found, Card) else found


def _names_a_device(value):
    return isinstance(value, torch.device) or (isinstance(value, str) and value.partition(":")[0] in ("cuda", "cpu"))


def to_card(value):
    """A tensor, or a model with its parameters and buffers, in place, on the card."""
    if not isinstance(value, torch.nn.Module):
        return Card(value.detach().clone())
    for module in value.modules():
        for key, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[key] = torch.nn.Parameter(to_card(parameter), parameter.requires_grad)
        for key, buffer in module._buffers.items():
            module._buffers[key] = None if buffer is None else to_card(buffer)
    return value


def from_card(tensor):
    """The values of a tensor on the card, as one who waits sees them."""
    return tensor.detach().held


@contextlib.contextmanager
def card(monkeypatch, tables=False, waits=False):
    """Work on the card, in plain torch: nothing may make the host wait.

    With `tables`, numbers may be copied to the card; with `waits`, the host may wait.
    """
    from mpimpy.backends.cuda import torch_cuda

    global _watching
    before, _watching = _watching, not waits
    with monkeypatch.context() as patch:
        patch.setattr(torch_cuda, "_kernels", lambda array: None)
        patch.setattr(torch.amp.autocast_mode.torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
        try:
            with _Host(tables or waits):
                yield
        finally:
            _watching = before
