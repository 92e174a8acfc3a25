"""The fast path of torch's transformers, which calls no layer inside them, so that crossbars would not be read."""

from typing import Any

import torch

from ._layer import CrossbarLayer

__all__ = ["close_fast_paths", "open_fast_paths"]

_KEPT = "_fast_path_kept"
# from a class of modules to the attribute that switches its fast path, and the value that does so
_SWITCHES: tuple[tuple[type, str, Any], ...] = (
    (torch.nn.TransformerEncoderLayer, "activation_relu_or_gelu", 0),
    (torch.nn.TransformerEncoder, "use_nested_tensor", False),
)


def _switches(model: torch.nn.Module) -> list[tuple[Any, str, Any]]:
    return [
        (module, name, off) for module in model.modules() for kind, name, off in _SWITCHES if isinstance(module, kind)
    ]


def close_fast_paths(model: torch.nn.Module) -> None:
    """Make every transformer layer with crossbars inside it call its layers one by one."""
    for module, name, off in _switches(model):
        if _KEPT not in module.__dict__ and any(isinstance(each, CrossbarLayer) for each in module.modules()):
            module.__dict__[_KEPT] = getattr(module, name)
            setattr(module, name, off)


def open_fast_paths(model: torch.nn.Module) -> None:
    """Give every transformer layer of a model that has left its crossbars the fast path back, if it had one."""
    for module, name, _ in _switches(model):
        if _KEPT in module.__dict__:
            setattr(module, name, module.__dict__.pop(_KEPT))
