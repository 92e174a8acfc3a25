"""Spaces of settings: the groups of designs that share a simulation."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..checks import as_items, check_names, fail
from ..config import _flat as flat
from .costs import SCALED

__all__ = ["Group", "as_space", "groups"]


UNCLIPPED = 0.2  # lognormal spread of a variation


@dataclass(frozen=True)
class Group:
    """Designs that differ in radc, var, write_var and vnoise alone, by numbers.

    Attributes
    ----------
    fixed : dict
        Flat settings that all of them share.
    order : tuple of str
        Names of all settings, in the order of the space.
    axes : tuple of tuples of numbers
        Values of radc, var, write_var and vnoise; an empty one has its value in `fixed`, or its default.
    """

    fixed: dict[str, Any]
    order: tuple[str, ...]
    axes: tuple[tuple[Any, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of radc, var, write_var and vnoise, at least 1."""
        return tuple(max(1, len(axis)) for axis in self.axes)

    def settings(self, index: tuple[int, ...]) -> dict[str, Any]:
        """Return the flat settings of a design of the group."""
        chosen = {name: axis[i] for name, axis, i in zip(SCALED, self.axes, index, strict=True) if axis}
        both = self.fixed | chosen
        return {name: both[name] for name in self.order}

    def simulated(self) -> tuple[int, ...]:
        """Return the index of the design whose budget is simulated: of the largest numbers that clip no cells."""
        return tuple(
            axis.index(max([v for v in axis if name == "radc" or v <= UNCLIPPED] or [min(axis)])) if axis else 0
            for name, axis in zip(SCALED, self.axes, strict=True)
        )


def as_space(space: Any) -> dict[str, tuple[Any, ...]]:
    """Return a checked space: flat names of settings, each with its values.

    Raises
    ------
    TypeError, ValueError
        If it is no mapping, a name is unknown, or its values are no list or repeat themselves; if a number of radc,
        var, write_var or vnoise is out of range.
    """
    if not isinstance(space, Mapping) or not space:
        fail(TypeError, f"space={space!r} must be a dict of settings and their values, such as {{'radc': [256, 1024]}}")
    for name in ("seed", "chip"):
        if name in space:
            fail(
                TypeError, f"{name} is no setting of a design: use design(..., {'chips' if name == 'chip' else name}=)"
            )
    check_names(space, flat.SETTINGS)
    found = {}
    for name, values in space.items():
        items = as_items(f"space[{name!r}]", values)
        if not items:
            fail(TypeError, f"space[{name!r}]={values!r} must be a list of values, such as [{values!r}]")
        if any(a == b and type(a) is type(b) for i, a in enumerate(items) for b in items[:i]):
            fail(ValueError, f"space[{name!r}]={values!r} has a value twice: leave one out")
        found[name] = items
    for name in SCALED:
        for value in found.get(name, ()):
            if _scales(name, value):
                flat.build(**{name: value})
    return found


def _scales(name: str, value: Any) -> bool:
    kinds = (int,) if name == "radc" else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool)


def groups(space: Mapping[str, tuple[Any, ...]]) -> Iterator[Group]:
    """Return the groups of a space, in its order."""
    choices: list[list[tuple[str, Any]]] = []
    for name, values in space.items():
        if name in SCALED:
            # numbers scale, so they are one choice; anything else has a budget of its own
            numbers = tuple(value for value in values if _scales(name, value))
            rest = [(name, (value,)) for value in values if not _scales(name, value)]
            choices.append([*([(name, numbers)] if numbers else []), *rest])
        else:
            choices.append([(name, value) for value in values])
    for chosen in itertools.product(*choices):
        fixed: dict[str, Any] = {}
        axes: dict[str, tuple[Any, ...]] = dict.fromkeys(SCALED, ())
        for name, value in chosen:
            if name not in SCALED:
                fixed[name] = value
            elif _scales(name, value[0]):
                axes[name] = value
            else:
                fixed[name] = value[0]
        yield Group(fixed, tuple(space), tuple(axes.values()))
