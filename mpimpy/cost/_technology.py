"""A technology: how arrays are operated, and what circuits beside the cells take."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._html import table
from ..checks import as_text, check_names, fail, set_fields
from ..config._sense import tell
from ._figure import Anchor, Figure, as_figure
from ._laws import AdcLaw
from ._settings import ANCHORS, FIGURES, check_anchor, checked, oddities
from ._sources import Sources, sources_of

__all__ = ["AnyTechnology", "Technology", "as_technology"]


@dataclass(frozen=True, kw_only=True, repr=False)
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
    core_rdac : int, optional
        Codes of the DACs of `core`; others are refused.
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
    core_rdac: int | None = None
    write_voltage: Figure | None = None
    write_time: Figure | None = None
    cell_area: Anchor | None = None
    adc_area: Anchor | None = None
    core_area: Anchor | None = None
    note: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        set_fields(self, **checked(self))
        tell(self, oddities)

    @classmethod
    def generic(cls, node_nm: float) -> "Technology":
        """Return a technology of published laws at a node; see `named`.

        Parameters
        ----------
        node_nm : float
            7 to 130 nm.

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
        from ._named import named  # it builds technologies

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
        for name, value in changes.items():
            if (name in ANCHORS or name == "adc") and isinstance(value, int | float):
                check_anchor(name, value, ANCHORS.get(name, "J"))
        for name in FIGURES.keys() & changes.keys():
            if changes[name] is not None and not isinstance(changes[name], Figure):
                changes[name] = as_figure(
                    name, changes[name], FIGURES[name][0], source, above=name != "end_capacitance"
                )
                used = True
        if source is not None and not used:
            fail(TypeError, f"source={source!r} has no effect, for no setting is given as a number: leave it out")
        found = dataclasses.replace(self, **changes)
        if "name" in changes or found == self or self.name.endswith("*"):
            return found
        return dataclasses.replace(found, name=f"{self.name}*")

    def to_dict(self) -> dict[str, Any]:
        """Return the technology as plain values that JSON can hold; what is None is left out.

        Examples
        --------
        >>> tech = Technology.named("generic-28")
        >>> Technology.from_dict(tech.to_dict()) == tech
        True
        """
        from ._described import described  # it builds technologies

        return described(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Technology":
        """Return the technology that plain values describe.

        Parameters
        ----------
        values : mapping
            As of `to_dict`. Or changes of another technology: ``base``, its name, and what is different. Numbers then
            need ``source``, as in `replace`.

        Raises
        ------
        TypeError, ValueError
            If a name is unknown, something is missing, or a value is out of range.

        Examples
        --------
        >>> changes = {"base": "generic-28", "adcs_per_array": 8, "read_time": 5e-8, "source": "user"}
        >>> Technology.from_dict(changes).read_time.value
        5e-08
        """
        from ._described import from_dict  # it builds technologies

        return from_dict(values)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the technology into a file, which `from_file` reads; the file appears whole or not at all.

        Parameters
        ----------
        path : str or path
            Its name ends in ``.toml`` or ``.json``.

        Raises
        ------
        OSError
            If the file cannot be written.
        TypeError, ValueError
            If `path` is no path, or its name ends otherwise.
        """
        from ._described import save  # it builds technologies

        save(self, path)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "Technology":
        """Return the technology of a TOML or JSON file, with the entries of `from_dict`.

        Raises
        ------
        OSError
            If the file cannot be read.
        TypeError, ValueError
            As `from_dict`; the message names the line and the key.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "mine.toml"
        ...     Technology.generic(45).replace(adcs_per_array=8).save(path)
        ...     Technology.from_file(path).adcs_per_array
        8
        """
        from ._described import from_file  # it builds technologies

        return from_file(path)

    def sources(self) -> Sources:
        """Return every constant with its band and its source; prints as a table. A core leaves out what it replaces.

        Examples
        --------
        >>> "Murmann" in str(Technology.named("generic-28").sources())
        True
        """
        return sources_of(self)

    def __repr__(self) -> str:
        from ._named import is_named  # it builds technologies

        if is_named(self):
            return f"Technology.named({self.name!r})"
        return f"<Technology {self.name}: {self.node_nm:g} nm>"

    def __str__(self) -> str:
        return f"technology {self.name}\n{self.sources()}"

    def _repr_html_(self) -> str:
        return table(self.sources(), head=("constant", "value", "source"), caption=f"technology {self.name}")


# a technology, its name or its file, its plain values
AnyTechnology = Technology | str | os.PathLike[str] | Mapping[str, Any]


def as_technology(value: Any) -> Technology:
    """Return a technology that is given itself, by its name, as plain values, or by the path of its file.

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If it is none of these, or not valid.
    """
    if isinstance(value, Technology):
        return value
    if isinstance(value, Mapping):
        return Technology.from_dict(value)
    if isinstance(value, os.PathLike):
        return Technology.from_file(value)
    if (name := as_text(value)) is None:
        fail(
            TypeError,
            f"technology={value!r} must be a cost.Technology, its name, such as 'generic-28', its file or its values",
        )
    return Technology.from_file(name) if name.lower().endswith((".toml", ".json")) else Technology.named(name)
