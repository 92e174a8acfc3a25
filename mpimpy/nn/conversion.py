"""Conversion of models: layers of torch become layers on crossbars, in place, and back."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ..checks import as_choice, fail
from ..engine import Engine
from ._fast_path import close_fast_paths, open_fast_paths
from ._kinds import crossbar_class, kept_digital, owned_by, reason_for, unlisted
from ._layer import CrossbarLayer
from ._training import Training, check_training
from .attention import ATTENTIONS, MultiheadAttention

__all__ = ["Conversion", "convert_", "layers", "revert_"]

Filter = Callable[[torch.nn.Module, str], bool]
Engines = Mapping[Any, Engine | None]


@dataclass
class Conversion:
    """The layers of a model that `convert_` put on crossbars, and those that it did not.

    Attributes
    ----------
    converted : list of str
        Qualified names.
    skipped : list of (str, str)
        Qualified names of modules with weights that stay digital, and why.
    shared : dict
        From the further names of a layer that is used more than once to the name that its cells have.

    Examples
    --------
    >>> import mpimpy
    >>> layer = torch.nn.Linear(4, 4)
    >>> found = convert_(torch.nn.Sequential(layer, torch.nn.LayerNorm(4), layer), mpimpy.DPETensor(seed=0))
    >>> found.converted, found.shared, [name for name, reason in found.skipped]
    (['0'], {'2': '0'}, ['1'])
    """

    converted: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    shared: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        number = len(self.converted)
        lines = [f"converted {number} {'layer' if number == 1 else 'layers'}: {', '.join(self.converted)}"]
        lines += [f"{name} is the layer {first}" for name, first in self.shared.items()]
        lines += [f"digital: {name}: {reason}" for name, reason in self.skipped]
        return "\n".join(lines)


def layers(model: torch.nn.Module) -> Iterator[tuple[str, CrossbarLayer]]:
    """Yield the layers of a model that are on crossbars, each once, with its qualified name.

    Examples
    --------
    >>> import mpimpy
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    >>> _ = convert_(model, mpimpy.DPETensor(seed=0))
    >>> [name for name, layer in layers(model)]
    ['0']
    """
    for name, module in model.named_modules():
        if isinstance(module, CrossbarLayer):
            yield name, module


class Choice:
    """Engines of layers by their names: an exact name before a pattern, a class and the default."""

    def __init__(self, engine: Engine | None, engines: Engines | None) -> None:
        self.default, given = engine, {} if engines is None else dict(engines)
        self._patterns, self._classes, self._names = [], {}, {}
        for key, value in given.items():
            if value is not None and not isinstance(value, Engine):
                fail(TypeError, f"engines[{key!r}] is {value!r}: give an Engine, or None for a digital layer")
            if isinstance(key, type):
                self._classes[key] = value
            elif isinstance(key, str) and key.startswith("re:"):
                self._patterns.append((key, re.compile(key[3:]), value))
            elif isinstance(key, str):
                self._names[key] = value
            else:
                fail(TypeError, f"engines has the key {key!r}: use a name, a pattern 're:...' or a class of modules")
        self._unused = set(given)

    def __call__(self, name: str, module: torch.nn.Module) -> Engine | None:
        if name in self._names:
            self._unused.discard(name)
            return self._names[name]
        for key, pattern, engine in self._patterns:
            if pattern.fullmatch(name):
                self._unused.discard(key)
                return engine
        if type(module) in self._classes:
            self._unused.discard(type(module))
            return self._classes[type(module)]
        return self.default

    def check(self) -> None:
        if self._unused:
            names = ", ".join(map(repr, self._unused))
            fail(ValueError, f"engines names {names}, which no layer of the model is: see mpimpy.nn.inspect(model)")


def convert_(
    model: torch.nn.Module,
    engine: Engine | None,
    filter_fn: Filter | None = None,
    *,
    engines: Engines | None = None,
    training: Training | None = None,
    attention: str = "projections",
) -> Conversion:
    """Put the layers of a model on crossbars, in place.

    Each layer gets cells of its own: their random numbers have a key that is derived from the engine's seed and the
    layer's qualified name.

    Parameters
    ----------
    model : torch.nn.Module
        Any module; also a layer itself.
    engine : Engine or None
        Of the layers that `engines` does not name; None: these stay digital.
    filter_fn : function of (module, name), optional
        Whether a layer is converted.
    engines : dict, optional
        From the qualified name of a layer, a pattern ``"re:..."`` of whole names, or a class of modules to an
        Engine, or to None for digital layers. A name comes before a pattern, a pattern before a class.
    training : Training, optional
        What crossbars do while the model trains.
    attention : str
        Which products of ``MultiheadAttention`` layers are on crossbars: ``"projections"``, or ``"all"``, those of
        queries with keys and of attention weights with values too; see `mpimpy.nn.MultiheadAttention`.

    Returns
    -------
    Conversion
        What was converted, what was not and why.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind, or `engines` names what the model does not have. Nothing is converted then.

    Examples
    --------
    >>> import mpimpy
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2))
    >>> print(convert_(model, mpimpy.DPETensor(seed=0), engines={"0": None}))
    converted 1 layer: 2
    digital: 0: engines gives it None
    digital: 1: LayerNorm has no layer on crossbars
    """
    if not isinstance(model, torch.nn.Module):
        fail(TypeError, f"model is a {type(model).__name__}: give a torch.nn.Module")
    if engine is not None and not isinstance(engine, Engine):
        fail(TypeError, f"engine={engine!r} must be an Engine, such as DPETensor(var=0.05), or None")
    as_choice("attention", attention, ATTENTIONS)
    check_training(training)
    return convert_named("", model, Choice(engine, engines), filter_fn, training, attention)


def convert_named(
    prefix: str,
    model: torch.nn.Module,
    choice: Choice,
    filter_fn: Filter | None,
    training: Training | None,
    attention: str,
) -> Conversion:
    """Convert a model, or a part of one whose qualified name is `prefix`; see `convert_`."""
    found = Conversion()
    seen: dict[int, str] = {}
    owned: set[str] = set()  # modules whose weights another layer multiplies by
    wanted: list[tuple[str, torch.nn.Module, type[CrossbarLayer], Engine]] = []
    for name, module in model.named_modules(prefix=prefix, remove_duplicate=False):
        if name in owned:
            continue
        first = seen.setdefault(id(module), name)
        kind = crossbar_class(module)
        owned |= owned_by(name, module)
        if first != name:
            if kind is not None and any(module is each for _, each, _, _ in wanted):
                found.shared[name] = first
            continue
        if kind is None:
            if isinstance(module, CrossbarLayer):
                found.skipped.append((name, "it is on crossbars already: set its engine, or revert_ the model first"))
            elif reason := reason_for(module):
                found.skipped.append((name, reason))
            continue
        chosen = choice(name, module)
        if reason := kept_digital(module):
            found.skipped.append((name, reason))
        elif filter_fn is not None and not filter_fn(module, name):
            found.skipped.append((name, "filter_fn leaves it out"))
        elif chosen is None:
            found.skipped.append((name, "engines gives it None" if choice.default is not None else "it has no engine"))
        else:
            wanted.append((name, module, kind, chosen))
    found.skipped += unlisted(prefix, model)
    choice.check()
    if attention != "projections" and not any(kind is MultiheadAttention for _, _, kind, _ in wanted):
        fail(ValueError, f"attention={attention!r} is for MultiheadAttention, and none is converted: leave it out")
    for name, module, kind, chosen in wanted:
        layer = kind.take_over(module, chosen, name, training)
        if isinstance(layer, MultiheadAttention):
            layer.attention = attention
        found.converted.append(name or "(root)")
    close_fast_paths(model)
    return found


def revert_(model: torch.nn.Module) -> list[str]:
    """Make the layers of a model torch's own again, in place, and return their names.

    Parameters, with what training has made of them, stay. Ranges of inputs and of ADCs are kept for the next
    `convert_`, which drops those of ADCs with a warning where other settings decide the currents then.

    Parameters
    ----------
    model : torch.nn.Module

    Raises
    ------
    TypeError
        If something changed the class of a layer after conversion, other than `torch.nn.utils.parametrize`, or put a
        ``forward`` of its own there. No layer is changed then.

    Examples
    --------
    >>> import mpimpy
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    >>> _ = convert_(model, mpimpy.DPETensor(seed=0))
    >>> revert_(model), type(model[0]) is torch.nn.Linear
    (['0'], True)
    """
    found = list(layers(model))
    for _, layer in found:
        layer.check_leave()
    for _, layer in found:
        layer.leave()
    open_fast_paths(model)
    return [name for name, _ in found]
