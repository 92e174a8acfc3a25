"""The result of a study: a table with units, settings to replay it, and a picture."""

import importlib
import math
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any

from .. import config
from .._plain import plain
from ..checks import fail
from ..engine import Engine
from . import _pictures

__all__ = ["Study"]


@dataclass(frozen=True, repr=False)
class Study:
    """Table of a study; `str` prints it, `plot` draws it.

    Attributes
    ----------
    kind : str
        Name of the study's function, such as "drift".
    columns : tuple of str
        Names of the columns.
    units : tuple of str
        Their units; "" for a number without one.
    rows : tuple of tuple
        The table. None stands where there is no figure.
    chips : tuple of int
        Numbers of the simulated chips.
    by_chip : dict
        Figures of the single chips: for the name of a column, a row of numbers, one a chip, for each row of the table.
    facts : dict
        Single figures beside the table, by name with their unit.
    call : dict
        Arguments of the call, operands and functions left out: with these and `engine` they give the same table again.
    operands : str
        The product that was simulated.
    settings : dict
        Configuration of the engine, as `mpimpy.config.to_dict` gives it.
    seed : int
        Of all random numbers.
    notes : tuple of str
        What a reader of the figures must know of the settings.

    Examples
    --------
    >>> from mpimpy import studies
    >>> found = studies.chip_yield(chips=3)
    >>> found.columns
    ('target', 'reached', 'yield', 'from', 'to')
    >>> again = studies.chip_yield(found.engine(), **found.call)
    >>> again == found
    True
    """

    kind: str
    columns: tuple[str, ...]
    units: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    chips: tuple[int, ...]
    by_chip: dict[str, tuple[tuple[float, ...], ...]]
    facts: dict[str, float]
    call: dict[str, Any]
    operands: str
    settings: dict[str, Any]
    seed: int
    notes: tuple[str, ...] = ()

    def __hash__(self) -> int:
        # the dicts cannot be hashed; studies that differ in them alone are rare
        return hash((self.kind, self.rows, self.chips, self.seed, self.operands))

    def engine(self) -> Engine:
        """Return an engine with the settings and the seed of the study, chip 0."""
        return Engine.from_config(config.from_dict(self.settings), seed=self.seed)

    def column(self, name: str) -> tuple[Any, ...]:
        """Return a column of the table.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if name not in self.columns:
            fail(ValueError, f"there is no column {name!r}: the table has {', '.join(map(repr, self.columns))}")
        at = self.columns.index(name)
        return tuple(row[at] for row in self.rows)

    def __repr__(self) -> str:
        table = f"{len(self.rows)} x {len(self.columns)} table"
        return f"<Study {self.kind}: {table}, {len(self.chips)} chips, seed {self.seed}>"

    def __str__(self) -> str:
        lines = [self.columns, self.units, *([_text(value) for value in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(map(str.rjust, line, widths)) for line in lines]
        head = {"study": self.kind, "product": self.operands, "chips": _range(self.chips), "seed": f"{self.seed}"}
        facts = head | {name: _text(value) for name, value in self.facts.items()}
        lines_above = [*facts.items(), *(("note", note) for note in self.notes)]
        width = max(len(name) for name, _ in lines_above)
        return "\n".join([*(f"{name:<{width}}  {text}" for name, text in lines_above), "", *table])

    def to_dict(self) -> dict[str, Any]:
        """Return the study as plain values that JSON can hold; an infinite figure is the text "inf"."""
        return {part.name: plain(getattr(self, part.name)) for part in fields(self)}

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame; its ``attrs["units"]`` are the units of the columns.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        if find_spec("pandas") is None:
            fail(ImportError, "to_frame needs pandas, which is not installed: pip install pandas")
        pandas: Any = importlib.import_module("pandas")
        frame = pandas.DataFrame(list(self.rows), columns=list(self.columns))
        frame.attrs["units"] = dict(zip(self.columns, self.units, strict=True))
        return frame

    def plot(self, ax: Any = None) -> Any:
        """Draw the study.

        Parameters
        ----------
        ax : Axes, optional
            By default those of a new figure: ``study.plot().figure.savefig("study.png")``.

        Returns
        -------
        Axes

        Raises
        ------
        ModuleNotFoundError
            If Matplotlib is not installed.
        """
        return _pictures.draw(self, ax)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        if not math.isfinite(value):
            return f"{value}"
        return f"{value:.2f}" if abs(value) < 1000 else f"{value:.6g}"
    return str(value)


def _range(numbers: tuple[int, ...]) -> str:
    if len(numbers) > 2 and numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))
