"""Classes of layers on crossbars, and the reasons why other modules stay digital."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.utils.parametrize import is_parametrized

from ._layer import CrossbarLayer
from .attention import MultiheadAttention
from .bilinear import Bilinear
from .conv import Conv1d, Conv2d, Conv3d
from .conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Conv1D, Linear
from .recurrent import GRU, LSTM, RNN
from .recurrent_cells import GRUCell, LSTMCell, RNNCell

__all__ = ["crossbar_class", "kept_digital", "owned_by", "reason_for", "unlisted"]

KINDS: tuple[type[CrossbarLayer], ...] = (
    Linear,
    Conv1D,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    Bilinear,
    MultiheadAttention,
    RNN,
    LSTM,
    GRU,
    RNNCell,
    LSTMCell,
    GRUCell,
)
# modules of torch with weights and without a product that cells could hold
_NO_PRODUCT = (torch.nn.Embedding, torch.nn.EmbeddingBag)
_DEPTH = 3  # of lists in lists that are looked into
_OF_TORCH = frozenset(vars(torch.nn.Module()))  # attributes that every module has


def crossbar_class(module: torch.nn.Module) -> type[CrossbarLayer] | None:
    """Return the class of layers on crossbars that stands for a module of torch, or None."""
    return next((kind for kind in KINDS if kind._fits(type(module))), None)


def owned_by(name: str, module: torch.nn.Module) -> set[str]:
    """Return the qualified names of the submodules whose weights a layer on crossbars multiplies by, itself.

    Parameters
    ----------
    name : str
        Qualified name of the layer.
    module : torch.nn.Module
        Of torch's class of the layer, or on crossbars already.
    """
    inside = isinstance(module, CrossbarLayer)
    kind = type(module) if inside else crossbar_class(module)
    parts = list(getattr(kind, "owned", ()))
    if inside or _base(module) is not None:  # what computes its weights is a part of the layer
        found: Any = module._modules.get("parametrizations")
        parts += [] if found is None else [f"parametrizations.{each}".rstrip(".") for each, _ in found.named_modules()]
    return {f"{name}.{part}".lstrip(".") for part in parts}


def _base(module: torch.nn.Module) -> type | None:
    # torch's class of layers that a module's class descends from
    kinds = (each.digital for each in KINDS if each.digital is not torch.nn.Module)
    return next((kind for kind in kinds if isinstance(module, kind)), None)


def kept_digital(module: torch.nn.Module) -> str | None:
    """Return the reason why a module of a class that is converted stays digital all the same, or None."""
    kind = type(module).__name__
    if "forward" in module.__dict__:
        return (
            f"this {kind} has a forward of its own, which a hook or a wrapper put there and which would not call "
            "crossbars: convert the model first and wrap it then"
        )
    if any(each.is_complex() for each in module.parameters()):
        return (
            f"this {kind} has complex weights, and cells of layers hold real ones: give real and imaginary parts "
            "layers of their own"
        )
    return None


def reason_for(module: torch.nn.Module) -> str | None:
    """Return the reason why a module with weights of its own has no layer on crossbars; None if it has none to name."""
    kind = type(module).__name__
    if _packed(module):
        return f"{kind} multiplies packed, quantised weights: convert the model before torch quantises it"
    own = dict(module.named_parameters(recurse=False))
    base = _base(module)
    if base is not None and is_parametrized(module):
        return f"{base.__name__} has parametrizations: convert the model first and register them then"
    if not own:
        return None
    if isinstance(module, _NO_PRODUCT):
        return f"{kind} looks rows up, and multiplies nothing"
    if base is not None:
        return (
            f"{kind} is a subclass of {base.__name__}, whose products may be others; only the class itself is converted"
        )
    matrices = [f"{name} ({' x '.join(map(str, each.shape))})" for name, each in own.items() if each.ndim > 1]
    if matrices and not type(module).__module__.startswith("torch.nn."):
        return (
            f"{kind} has no layer on crossbars; products with its own {', '.join(matrices)} stay digital: "
            "make them layers, or look with mpimpy.nn.crossbars(engine)"
        )
    return f"{kind} has no layer on crossbars"


def _packed(module: torch.nn.Module) -> bool:
    # a module that torch made when it quantised a model: its weights are no parameters
    kind = type(module)
    quantised = kind.__module__.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized"))
    return quantised and callable(getattr(kind, "weight", None) or getattr(kind, "get_weight", None))


def unlisted(prefix: str, model: torch.nn.Module) -> list[tuple[str, str]]:
    """Return the names of modules that plain lists, tuples and dicts of a model hold, and why they stay digital.

    torch does not count them as its submodules, so neither ``named_modules()`` nor ``state_dict()`` has them.
    """
    listed = {id(each) for each in model.modules()}
    found = []
    for name, module in model.named_modules(prefix=prefix):
        for key, value in module.__dict__.items():
            if key in _OF_TORCH or not isinstance(value, (list, tuple, dict)):
                continue
            for place, each in _within(value, _DEPTH):
                if id(each) in listed or not any(_multiplies(part) for part in each.modules()):
                    continue
                listed.add(id(each))
                kind, box = type(each).__name__, "ModuleDict" if isinstance(value, dict) else "ModuleList"
                why = f"this {kind} is in a plain {type(value).__name__}, where torch does not look: use torch.nn.{box}"
                found.append((f"{name}.{key}{place}".lstrip("."), why))
    return found


def _multiplies(module: torch.nn.Module) -> bool:
    if isinstance(module, CrossbarLayer):
        return False
    return crossbar_class(module) is not None or reason_for(module) is not None


def _within(value: Any, depth: int) -> Iterator[tuple[str, torch.nn.Module]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        if isinstance(each, torch.nn.Module):
            yield f"[{key!r}]", each
        elif depth > 1 and isinstance(each, (list, tuple, dict)):
            yield from ((f"[{key!r}]{place}", found) for place, found in _within(each, depth - 1))
