"""A technology: how arrays are operated, and what circuits beside the cells take."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from .._html import table
from ..checks import as_bool, as_choice, as_float, as_int, as_int_pair, as_text, check_names, fail, set_fields
from ._figure import Anchor, Figure, as_figure, si
from ._laws import AdcLaw

__all__ = ["Sources", "Technology", "as_technology"]

CODINGS = ("amplitude", "width")

# unit of each figure of a technology, and whether it may be left out
_FIGURES = {
    "read_time": ("s", False),
    "read_cycle": ("s", True),
    "driver_supply": ("V", True),
    "line_voltage": ("V", True),
    "line_supply": ("V", True),
    "cell_capacitance": ("F", True),
    "end_capacitance": ("F", True),
    "adc_rate": ("Hz", False),
    "adder": ("J/bit", True),
    "buffer": ("J/bit", True),
    "write_voltage": ("V", True),
    "write_time": ("s", True),
}
_ANCHORS = {"dac": "J", "cell": "J", "core": "J", "cell_area": "m2", "adc_area": "m2", "core_area": "m2"}


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


@dataclass(frozen=True, kw_only=True)
class Technology:
    """How arrays are operated, and what the circuits beside the cells take, each constant with its source.

    `Technology.generic` and `Technology.named` make one, `replace` changes it. Every number is a `Figure`; an `Anchor`,
    something that was measured, stands in place of a law. None means: not there, or not known, and the cost says so.

    Parameters
    ----------
    name : str
    node_nm : float
        Node of the digital and the analog circuits, nm.
    read_time : Figure
        Duration of a read pulse, s; with ``coding="width"`` that of one step, so that a pulse takes it times the code.
    read_cycle : Figure, optional
        Time from one pulse, or step of a pulse, to the next, s. None: `read_time`.
    coding : str
        ``"amplitude"``: the voltage of a word line is its DAC code. ``"width"``: the duration of a pulse of full
        voltage is.
    driver_supply : Figure, optional
        Supply that regulated drivers take the current of the cells from, V. None: the cells' own voltage.
    line_voltage : Figure, optional
        Voltage swing of the gates of a row, V, where gates select the rows: those of every row in use are charged in
        each pulse. None: the line is charged to the voltage of the read, where that is not 0.
    line_supply : Figure, optional
        Supply that this charge comes from, V. None: `line_voltage` itself.
    cell_capacitance, end_capacitance : Figure, optional
        Capacitance of a word line for each cell, and beside its cells, F. None: lines are not counted.
    adc : AdcLaw, Anchor or None
        Energy of a conversion; None beside `core`, which holds it.
    adc_rate : Figure
        Conversions a second of one ADC, Hz.
    adcs_per_array : int, optional
        ADCs that the columns of an array share. None: one for each column.
    sample_and_hold : bool
        Whether an array reads the next input while the ADCs convert the last one.
    share_dacs : bool
        Whether the arrays that the same inputs drive share drivers and a read of the buffer.
    whole_arrays : bool, optional
        Whether cells that a ragged matrix leaves unused, at LGS, take energy on driven rows. None: as the product is
        simulated; behind wires they do, without wires they do not.
    adder, buffer : Figure, optional
        Energy of an addition, and of an access to a buffer, J a bit. None: not counted.
    dac : Anchor, optional
        Energy of one conversion of a DAC, J. None: not counted.
    cell : Anchor, optional
        Energy of one cell in a pulse, J, in place of that of its conductance.
    core : Anchor, optional
        Energy of one array and its converters in a read of one input slice, J, in place of everything else. A core
        holds both arrays of a differential pair, for they share converters.
    core_array : (int, int), optional
        Rows and columns of the array of `core`; other arrays are refused.
    write_voltage, write_time : Figure, optional
        Of a programming pulse, V and s. None: the energy of writing is not known.
    cell_area, adc_area : Anchor, optional
        m2. None: the area is not known.
    core_area : Anchor, optional
        Area of one core, m2, in place of these two.

    Raises
    ------
    TypeError, ValueError
        If a setting is out of range, or in another unit.

    Examples
    --------
    >>> tech = Technology.named("generic-28").replace(adcs_per_array=8)
    >>> tech.node_nm, tech.adcs_per_array
    (28.0, 8)
    """

    name: str
    node_nm: float
    read_time: Figure
    adc: AdcLaw | Anchor | None
    adc_rate: Figure
    read_cycle: Figure | None = None
    coding: str = "amplitude"
    driver_supply: Figure | None = None
    line_voltage: Figure | None = None
    line_supply: Figure | None = None
    cell_capacitance: Figure | None = None
    end_capacitance: Figure | None = None
    adcs_per_array: int | None = None
    sample_and_hold: bool = True
    share_dacs: bool = False
    whole_arrays: bool | None = None
    adder: Figure | None = None
    buffer: Figure | None = None
    dac: Anchor | None = None
    cell: Anchor | None = None
    core: Anchor | None = None
    core_array: tuple[int, int] | None = None
    write_voltage: Figure | None = None
    write_time: Figure | None = None
    cell_area: Anchor | None = None
    adc_area: Anchor | None = None
    core_area: Anchor | None = None
    note: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            fail(TypeError, f"name={self.name!r} of a technology must be text")
        node = as_float("node_nm", self.node_nm, 0, above=True, unit=" nm")
        found: dict[str, Any] = {"node_nm": node, "coding": as_choice("coding", self.coding, CODINGS)}
        for name, (unit, optional) in _FIGURES.items():
            value = getattr(self, name)
            if value is not None or not optional:
                found[name] = as_figure(name, value, unit, None, above=name not in ("end_capacitance",))
        for name, unit in _ANCHORS.items():
            _check_anchor(name, getattr(self, name), unit)
        if not isinstance(self.adc, AdcLaw):
            _check_anchor("adc", self.adc, "J", optional=self.core is not None)
            if self.adc is not None and self.adc.bits is None:
                fail(ValueError, f"adc={self.adc.value:g} J needs the bits of that converter: cost.Anchor(..., bits=8)")
        if self.adcs_per_array is not None:
            found["adcs_per_array"] = as_int("adcs_per_array", self.adcs_per_array, 1)
        for name in ("sample_and_hold", "share_dacs"):
            found[name] = as_bool(name, getattr(self, name))
        if self.whole_arrays is not None:
            found["whole_arrays"] = as_bool("whole_arrays", self.whole_arrays)
        if self.core_array is not None:
            found["core_array"] = as_int_pair("core_array", self.core_array)
            if self.core is None:
                fail(ValueError, "core_array has no effect without core=: leave it out")
        if self.read_cycle is not None and found["read_cycle"].low < found["read_time"].low:
            fail(ValueError, f"read_cycle={self.read_cycle} is shorter than read_time={self.read_time}, a part of it")
        if self.line_supply is not None and self.line_voltage is None:
            fail(ValueError, "line_supply has no effect without line_voltage=: leave it out")
        if (self.cell_capacitance is None) != (self.end_capacitance is None):
            fail(ValueError, "cell_capacitance and end_capacitance belong together: give both, or neither")
        if (self.write_voltage is None) != (self.write_time is None):
            fail(ValueError, "write_voltage and write_time belong together: give both, or neither")
        set_fields(self, **found)

    @classmethod
    def generic(cls, node_nm: float) -> "Technology":
        """Return a technology of published laws at a node; see `named`.

        Parameters
        ----------
        node_nm : float
            7 to 180 nm.

        Raises
        ------
        TypeError, ValueError
            If it is outside the data of the laws.

        Examples
        --------
        >>> Technology.generic(45).name
        'generic-45'
        """
        from ._named import generic  # it builds technologies

        return generic(node_nm)

    @classmethod
    def named(cls, name: str) -> "Technology":
        """Return a technology by its name.

        Parameters
        ----------
        name : str
            ``"generic-28"``, or another node; or the name of a published chip: "neurram-2022", "hermes-2022",
            "isaac-2016".

        Raises
        ------
        TypeError, ValueError
            If it is unknown, or the node outside the data of the laws.

        Examples
        --------
        >>> Technology.named("generic-28").coding
        'amplitude'
        """
        from ._named import named

        text = as_text(name)
        if text is None:
            fail(TypeError, f"technology={name!r} must be the name of one, such as 'generic-28'")
        return named(text)

    def replace(self, *, source: str | None = None, **changes: Any) -> "Technology":
        """Return the technology with other values of some parameters, named as in `Technology`.

        Parameters
        ----------
        source : str, optional
            Source of those that are given as numbers; ``"user"`` is one. They have no band.
        **changes
            Other values. The node cannot be changed, for the constants belong to it: see `generic`.

        Raises
        ------
        TypeError, ValueError
            If a name is unknown, a number has no source, or a value is out of range.

        Examples
        --------
        >>> tech = Technology.generic(28)
        >>> tech.replace(read_time=2e-8, source="user").read_time.value
        2e-08
        """
        check_names(changes, [item.name for item in dataclasses.fields(self)], "setting of a technology")
        if "node_nm" in changes:
            fail(TypeError, "node_nm cannot be replaced, for the constants belong to it: take Technology.generic(node)")
        used = False
        for name in _FIGURES.keys() & changes.keys():
            if changes[name] is not None and not isinstance(changes[name], Figure):
                changes[name] = as_figure(
                    name, changes[name], _FIGURES[name][0], source, above=name != "end_capacitance"
                )
                used = True
        if source is not None and not used:
            fail(TypeError, f"source={source!r} has no effect, for no setting is given as a number: leave it out")
        changes.setdefault("name", self.name if self.name.endswith("*") else f"{self.name}*")
        return dataclasses.replace(self, **changes)

    def sources(self) -> Sources:
        """Return every constant with its band and its source; prints as a table. A core leaves out what it replaces.

        Examples
        --------
        >>> "Murmann" in str(Technology.named("generic-28").sources())
        True
        """
        rows: list[tuple[str, str, str]] = [("node", si(self.node_nm, "nm"), self.note or "chosen")]
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if self.core is not None and item.name in _IN_CORE:
                continue
            if isinstance(value, AdcLaw):
                rows.append((item.name, f"{value.energy} a code at 28 nm", value.energy.source))
            elif isinstance(value, Anchor):
                rows.append((item.name, str(value).removesuffix(f": {value.source}"), value.source))
            elif isinstance(value, Figure):
                rows.append((item.name, str(value), value.source))
        return Sources(rows)

    def __str__(self) -> str:
        return f"technology {self.name}, {self.node_nm:g} nm"


def _check_anchor(name: str, value: Any, unit: str, *, optional: bool = True) -> None:
    if optional and value is None:
        return
    if not isinstance(value, Anchor):
        fail(TypeError, f"{name}={value!r} must be a cost.Anchor in {unit}, with the source of the measurement")
    if value.unit != unit:
        fail(ValueError, f"{name} is an anchor in {value.unit}, and must be in {unit}: cost.Anchor(..., unit={unit!r})")


def as_technology(value: Any) -> Technology:
    """Return a technology that is given itself, or by its name.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    if isinstance(value, Technology):
        return value
    if (name := as_text(value)) is None:
        fail(TypeError, f"technology={value!r} must be a cost.Technology, or the name of one, such as 'generic-28'")
    return Technology.named(name)
