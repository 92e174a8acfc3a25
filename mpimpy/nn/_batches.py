"""Batches of data, as a model takes them."""

import inspect
import math
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

from ..checks import fail

__all__ = ["A_BATCH", "all_zero", "calls"]

A_BATCH = "A batch is a tensor, a tuple of forward's arguments or a dict of its keywords; data are one, or several."

Call = tuple[tuple[Any, ...], dict[str, Any]]


def calls(model: torch.nn.Module, data: Any) -> Iterator[Call]:
    """Yield the arguments and keywords of forward for each batch of some data.

    Parameters
    ----------
    model : torch.nn.Module
    data : tensor, tuple, dict, or iterable of batches
        A batch, or several: a tensor is the model's only argument, a tuple are its arguments, a dict its keywords, and
        any other object is the only argument. In an iterable, a list is a batch as DataLoader makes it of a data set
        of tuples: its first elements are the arguments, as many as forward takes, and the rest, such as labels, is
        left out. A list that leaves open which elements are arguments, since forward has optional ones, is refused.

    Raises
    ------
    TypeError, ValueError
        If something is no batch, or an empty one.
    """
    if isinstance(data, torch.Tensor | tuple | dict) or hasattr(data, "keys"):
        yield _call(model, data, "data")
        return
    _refuse("data", data)
    if not isinstance(data, Iterable):
        fail(TypeError, f"data is a {type(data).__name__}: give a batch, or an iterable of batches. {A_BATCH}")
    for number, batch in enumerate(data):
        yield _call(model, batch, f"batch {number} of data")


def _refuse(where: str, value: Any) -> None:
    # what is no batch, and no model takes
    kind = type(value)
    if isinstance(value, np.ndarray | np.generic):
        fail(TypeError, f"{where} is a NumPy {kind.__name__}: give a tensor, such as torch.from_numpy(x). {A_BATCH}")
    if value is None or isinstance(value, (str, bytes, bool, int, float, complex)):
        fail(TypeError, f"{where} is a {kind.__name__}: give a batch, or an iterable of batches. {A_BATCH}")


def _call(model: torch.nn.Module, batch: Any, where: str) -> Call:
    _refuse(where, batch)
    args, keywords = _parts(model, batch, where)
    values = [*args, *keywords.values()]
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    for value in values if not tensors else ():
        if isinstance(value, np.ndarray):
            _refuse(f"an element of {where}", value)
    if not values or (tensors and not any(each.numel() for each in tensors)):
        shown = ", ".join(str(tuple(each.shape)) for each in tensors) or "no tensor"
        fail(ValueError, f"{where} is empty ({shown}): give some typical inputs. {A_BATCH}")
    return args, keywords


def _parts(model: torch.nn.Module, batch: Any, where: str) -> Call:
    if isinstance(batch, tuple) and not isinstance(batch, PackedSequence):
        return tuple(batch), {}
    if isinstance(batch, dict) or hasattr(batch, "keys"):
        return (), dict(batch)
    return (_of_list(model, batch, where) if isinstance(batch, list) else (batch,)), {}


def _of_list(model: torch.nn.Module, batch: list[Any], where: str) -> tuple[Any, ...]:
    number = len(batch)
    least, most, shown = _places(model)
    several = number > 1 and number != least
    if several and (least != most or number < least):
        _fail_of_list(where, number, shown)
    return tuple(batch[: int(least)] if several else batch)


def _fail_of_list(where: str, number: int, shown: str) -> NoReturn:
    fail(
        TypeError,
        f"{where} is a list of {number} elements, and forward takes {shown}: which of them are its arguments? Give "
        "tuples of them, such as data=((x,) for x, labels in loader)",
    )


def _places(model: torch.nn.Module) -> tuple[float, float, str]:
    # how many positional arguments forward needs, how many it takes, and its signature
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return 1, math.inf, "what it does not tell"
    every = list(signature.parameters.values())
    placed = [each for each in every if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    least = sum(each.default is each.empty for each in placed)
    several = any(each.kind is each.VAR_POSITIONAL for each in every)
    return least, math.inf if several else len(placed), str(signature)


def all_zero(args: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    """Return whether a batch has tensors of floats, and all its tensors are zero throughout."""
    tensors = [each for each in (*args, *keywords.values()) if isinstance(each, torch.Tensor)]
    if not any(each.is_floating_point() for each in tensors):
        return False
    return all(each.layout is torch.strided and not bool(each.any()) for each in tensors)
