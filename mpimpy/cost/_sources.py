"""Constants of a technology with their sources."""

import dataclasses
from typing import Any

from .._html import table
from ._figure import Anchor, Figure, si
from ._laws import AdcLaw

__all__ = ["Sources", "sources_of"]

# what a core replaces
_IN_CORE = {"adc", "adder", "buffer", "dac", "cell", "driver_supply"}
_IN_CORE |= {"line_voltage", "line_supply", "cell_capacitance", "end_capacitance"}


class Sources(tuple[tuple[str, str, str], ...]):
    """Constants of a technology: name, value with its band, source; prints as a table."""

    __slots__ = ()

    def __str__(self) -> str:
        wide = [max((len(row[i]) for row in self), default=0) for i in (0, 1)]
        return "\n".join(f"{name:<{wide[0]}}  {value:<{wide[1]}}  {source}" for name, value, source in self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return table(self, head=("constant", "value", "source"))


def sources_of(technology: Any) -> Sources:
    """Return every constant of a technology; a core leaves out what it replaces."""
    rows: list[tuple[str, str, str]] = [("node", si(technology.node_nm, "nm"), technology.note or "chosen")]
    rows += [(name, text, "chosen") for name, text in _operation(technology)]
    for item in dataclasses.fields(technology):
        value = getattr(technology, item.name)
        if technology.core is not None and item.name in _IN_CORE:
            continue
        if isinstance(value, AdcLaw):
            rows.append((item.name, f"{value.energy} a code at 28 nm", value.energy.source))
        elif isinstance(value, Anchor):
            rows.append((item.name, str(value).removesuffix(f": {value.source}"), value.source))
        elif isinstance(value, Figure):
            rows.append((item.name, str(value), value.source))
    return Sources(rows)


def _operation(technology: Any) -> list[tuple[str, str]]:
    # settings that are no numbers with a unit, in words
    each, whole = technology.adcs_per_array, technology.whole_arrays
    rows = [("coding", technology.coding), ("adcs_per_array", "one a column" if each is None else str(each))]
    rows += [(name, str(getattr(technology, name))) for name in ("sample_and_hold", "share_dacs")]
    if technology.core is None:
        return [*rows, ("whole_arrays", "as simulated" if whole is None else str(whole))]
    rows += [] if technology.core_array is None else [("core_array", " x ".join(map(str, technology.core_array)))]
    return rows + ([] if technology.core_rdac is None else [("core_rdac", str(technology.core_rdac))])
