"""Plain settings as the text of TOML and JSON files."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

__all__ = ["as_json", "as_toml"]

WIDTH = 88  # columns of a list of numbers

_HEAD = """\
# A crossbar machine of mpimpy, in SI units: Engine.from_file reads it.
# "none" stands for None. What is left out has its default.
"""


def as_toml(described: dict[str, Any], head: str = _HEAD) -> str:
    """Return plain settings as TOML, which has no null: None is the text "none"; `head` has comments.

    Examples
    --------
    >>> print(as_toml({"seed": 1, "wires": None, "adc": {"radc": [64, 256]}}).partition("default.")[2].strip())
    seed = 1
    wires = "none"
    <BLANKLINE>
    [adc]
    radc = [64, 256]
    """
    return head + "\n".join(_tables(described, ())) + "\n"


def _tables(described: dict[str, Any], where: tuple[str, ...]) -> Iterator[str]:
    tables = {name: value for name, value in described.items() if isinstance(value, dict)}
    if where:
        yield f"\n[{'.'.join(where)}]"
    for name, value in described.items():
        if name not in tables:
            yield f"{name} = {_value(value)}"
    for name, value in tables.items():
        yield from _tables(value, (*where, name))


def _value(value: Any) -> str:
    if value is None:
        return '"none"'
    if not isinstance(value, list):
        return json.dumps(value)
    items = [_value(item) for item in value]
    inline = f"[{', '.join(items)}]"
    if len(inline) <= WIDTH:
        return inline
    if any(isinstance(item, list) for item in value):
        return "[\n" + "".join(f"{textwrap.indent(item, '    ')},\n" for item in items) + "]"
    return "[\n" + textwrap.fill(", ".join(items), WIDTH, initial_indent="    ", subsequent_indent="    ") + "\n]"


def as_json(value: Any, indent: str = "") -> str:
    """Return plain settings as JSON, an entry a line.

    Examples
    --------
    >>> print(as_json({"seed": 1, "adc": {"radc": [64, 256]}}))
    {
      "seed": 1,
      "adc": {
        "radc": [64, 256]
      }
    }
    """
    if not isinstance(value, dict):
        return json.dumps(value)
    deeper = indent + "  "
    rows = [f"{deeper}{json.dumps(name)}: {as_json(item, deeper)}" for name, item in value.items()]
    return "{\n" + ",\n".join(rows) + "\n" + indent + "}"
