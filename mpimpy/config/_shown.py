"""Settings in a few words: what differs from the defaults, and tables of all of it for notebooks."""

import dataclasses
from typing import Any

from .._html import table

__all__ = ["settings_table", "settings_text", "short_repr", "value_text"]

LONGEST = 72  # characters of a list that is shown in full
_UNITS = {"HGS": " S", "LGS": " S"}


def value_text(value: Any) -> str:
    """Return the text of a setting's value; of a long list, the first values and the last.

    Examples
    --------
    >>> value_text(tuple(range(100)))
    '(0, 1, 2, ..., 99)'
    """
    if not isinstance(value, tuple):
        return repr(value)
    whole = f"({', '.join(map(value_text, value))}{',' * (len(value) == 1)})"
    if len(whole) <= LONGEST or len(value) <= 4:
        return whole
    some = [f"{item:.4g}" if isinstance(item, float) else value_text(item) for item in (*value[:3], value[-1])]
    return f"({', '.join(some[:3])}, ..., {some[3]})"


def _default(part: Any, field: Any) -> Any:
    # what a setting is if it is not given: some follow from others
    implied: dict[str, Any] = getattr(part, "_implied", {})
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return implied.get(field.name, field.default)


def short_repr(self: Any) -> str:
    """Return the call that makes a part of the settings, without what has its default.

    It is the ``__repr__`` of these classes. Python can evaluate it, unless it
    holds a list that is too long to show, or measured samples.

    Examples
    --------
    >>> from mpimpy import Device
    >>> Device(var=0.02, LGS=1e-7)
    Device(var=0.02)
    """
    shown = [
        f"{field.name}={value_text(value)}"
        for field in dataclasses.fields(self)
        if field.init and field.repr and (value := getattr(self, field.name)) != _default(self, field)
    ]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def settings_text(part: Any) -> str:
    """Return all settings of a part in a line, but for what is None; "none" for no part."""
    if part is None:
        return "none"
    values = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return ", ".join(f"{name}={value_text(value)}" for name, value in values.items() if value is not None)


def settings_table(self: Any) -> str:
    """Return all settings of a part as an HTML table; it is the ``_repr_html_`` of a `Device`.

    Examples
    --------
    >>> from mpimpy import Device
    >>> "<td>1e-05 S</td>" in Device()._repr_html_()
    True
    """
    rows = [
        (field.name, value_text(getattr(self, field.name)) + _UNITS.get(field.name, ""))
        for field in dataclasses.fields(self)
    ]
    return table(rows, caption=type(self).__name__)
