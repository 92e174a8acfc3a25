"""Text files of columns, as laboratories have them: encodings, separators, headers and decimal commas."""

import csv
import math
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..checks import check_names, fail

__all__ = ["UNITS", "Column", "Table", "as_number", "is_missing", "read_table", "shorten"]

UNITS = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "µS": 1e-6, "μS": 1e-6, "nS": 1e-9}
MOST_BYTES = 1 << 26  # 64 MiB, some million samples
MOST_CHARACTERS = 1 << 17  # of a line
MOST_COLUMNS = 4096
MOST_PREAMBLE = 50  # lines before the header
LONGEST_NUMBER = 64  # characters
MISSING = {
    "",
    "-",
    "--",
    "?",
    "nan",
    "-nan",
    "na",
    "n/a",
    "#n/a",
    "<na>",
    "null",
    "none",
    "#num!",
    "#value!",
    "#div/0!",
}
BINARY = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
WORDS = {"level": ("level", "target"), "measured": ("measured", "conductance")}

Line = tuple[int, str]  # number, text


@dataclass(frozen=True)
class Column:
    """A column of a table: number, unit if the header states one, and whether it holds targets, not levels."""

    at: int
    unit: str | None
    targets: bool


@dataclass(frozen=True)
class Table:
    """The lines of a file, and the columns that count.

    Attributes
    ----------
    level, measured : Column
    mark : str or None
        Separator of the columns; None: blanks.
    width : int or None
        Number of columns, if a header tells it.
    lines : list of (int, str)
        Number and text of each line of samples.
    """

    level: Column
    measured: Column
    mark: str | None
    width: int | None
    lines: list[Line]


def shorten(text: str) -> str:
    """Return a text, cut for a message."""
    return text if len(text) <= 80 else f"{text[:80]}..."


def is_missing(text: str) -> bool:
    """Return whether a cell holds no sample: blank, nan, NA, or another sign of that."""
    return len(text) < 10 and text.strip().casefold() in MISSING


def as_number(text: str, *, comma: bool) -> float | None:
    """Return the finite number that a cell holds, or None; `comma` permits a decimal comma."""
    text = text.strip()
    if comma and "," in text and "." not in text:
        text = text.replace(",", ".", 1)
    if "_" in text or len(text) > LONGEST_NUMBER:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def split(line: str, mark: str | None) -> list[str]:
    """Return the cells of a line; the separator None is any run of blanks.

    Raises
    ------
    ValueError
        If the line is no such cells.
    """
    if line.count(mark or " ") > MOST_COLUMNS:
        fail(ValueError, f"it has more than {MOST_COLUMNS} columns")
    if mark is None:
        return line.split()
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark, skipinitialspace=True))]
    except csv.Error as error:
        fail(ValueError, f"it cannot be cut into cells: {error}")


def _text(path: Any) -> str:
    try:
        kind = Path(path).stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # a pipe may wait without end
            fail(ValueError, f"{path}: it is no regular file: write the lines into one")
        with Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise type(error)(msg) from error
    if len(raw) > MOST_BYTES:
        fail(ValueError, f"{path}: it is larger than {MOST_BYTES >> 20} MiB: leave other columns out, or cut it up")
    try:
        text = raw.decode(_encoding(raw)).removesuffix("\x1a")  # DOS ends a text so
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    if BINARY.search(text):
        what = "write lines of level and conductance, with commas"
        fail(ValueError, f"{path}: it is not a text file, in UTF-8, UTF-16 or Latin-1: {what}")
    return text


def _encoding(raw: bytes) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    start = raw[:200]
    for odd, name in ((1, "utf-16-le"), (0, "utf-16-be")):  # without their mark: half of the bytes are 0
        if start and start[odd::2].count(0) > 0.9 * (len(start) // 2) > 0 and 0 not in start[1 - odd :: 2]:
            return name
    return "utf-8-sig"


def _sort_lines(path: Any) -> tuple[list[Line], list[Line], str | None]:
    # (lines, comments before them, separator that the file states)
    lines: list[Line] = []
    comments: list[Line] = []
    stated = None
    for number, line in enumerate(re.split(r"\r\n|\r|\n", _text(path)), 1):
        bare = line.strip()
        if len(line) > MOST_CHARACTERS:
            fail(ValueError, f"{path}, line {number}: it has {len(line)} characters: it is no line of samples")
        if not bare.strip(",;"):
            continue
        if bare[0] in "#%":
            if not lines:
                comments.append((number, bare.lstrip("#% ")))
        elif not lines and bare[:4].lower() == "sep=" and len(bare) == 5:
            stated = bare[4]
        else:
            lines.append((number, line))
    if not lines:
        fail(ValueError, f"{path}: it is empty: write lines of level and conductance, with commas")
    return lines, comments[-5:], stated


def _key(text: str) -> str:
    # capitals, blanks and the two signs for micro are no difference
    return " ".join(text.casefold().replace("µ", "u").replace("μ", "u").split())


def _name_and_unit(text: str) -> tuple[str, str | None]:
    # of a header's cell, such as "G_uS", "G [uS]" or "G / uS"
    text = text.strip()
    bare = text[:-1].rstrip() if text[-1:] in ("]", ")") else text
    for unit in sorted(UNITS, key=len, reverse=True):
        head = bare.removesuffix(unit)
        if head != bare and head[-1:] in set(" _/,:-([\t"):
            name = head.rstrip(" _/,:-([\t").removesuffix(" in")
            return (name, unit) if name else (text, None)
    return text, None


def _column(cells: list[str], role: str, given: str | None, taken: int | None) -> Column | None:
    # the only column of a role; None if there is none, or more than one
    named = [(at, *_name_and_unit(cell)) for at, cell in enumerate(cells) if at != taken]
    if given is None:
        found = [column for column in named if column[1].lower().startswith(WORDS[role])]
    else:
        found = [column for column in named if _key(cells[column[0]]) == _key(given)]
        found = found or [column for column in named if _key(column[1]) == _key(given)]
    if len(found) != 1:
        return None
    at, name, unit = found[0]
    aims = name.lower().startswith("target") or (given is not None and unit is not None)
    return Column(at, unit, aims and role == "level")


def _columns(cells: list[str], level: str | None, measured: str | None) -> tuple[Column, Column] | None:
    # a column that is named is found first
    first = _column(cells, "measured", measured, None) if measured is not None else None
    one = _column(cells, "level", level, first.at if first else None)
    two = first or (_column(cells, "measured", measured, one.at) if one and measured is None else None)
    return (one, two) if one and two else None


def _numeric(cells: list[str], mark: str | None) -> bool:
    return len(cells) > 1 and all(as_number(cell, comma=mark != ",") is not None for cell in cells[:2])


def _marks(lines: list[Line], stated: str | None) -> list[str | None]:
    # separators that a file may have, the surest first
    if stated:
        return [stated]
    start = [line for _, line in lines[:MOST_PREAMBLE]]
    found: list[str | None] = [mark for mark in "\t;," if any(mark in line for line in start)]
    return found or [None]


def read_table(path: Any, level: str | None = None, measured: str | None = None) -> Table:
    """Return the lines of a file, and where its levels and its conductances are.

    Parameters
    ----------
    path : str or path
    level, measured : str, optional
        Names of the columns, with or without unit; by default those that begin with level or target, and with
        measured or conductance.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no text, too large, or has no such columns.
    TypeError
        If it has columns, but none of a name that was given.
    """
    for name, value in (("level", level), ("measured", measured)):
        if value is not None and not isinstance(value, str):
            fail(TypeError, f"{name}={value!r} must be the name of a column, such as {name}='{WORDS[name][0]}'")
    lines, comments, stated = _sort_lines(path)
    try:
        marks = _marks(lines, stated)
        tables = [_headed(lines, comments, mark, (level, measured)) for mark in marks]
        found = [table for table in tables if table is not None]
        found = [table for table in found if _fits(table)] or found  # not by a separator of the header alone
        if not found and level is None and measured is None:
            plain = [mark for mark in marks if _numeric(split(lines[0][1], mark), mark)]
            found = [Table(Column(0, None, False), Column(1, None, False), mark, None, lines) for mark in plain]
        cells = split(lines[0][1], marks[0])
    except ValueError as error:
        fail(ValueError, f"{path}, line {lines[0][0]}: {shorten(lines[0][1])!r}: {error}")
    if not found:
        _refuse_header(path, lines[0][0], cells, (level, measured))
    return found[0]


def _refuse_header(path: Any, number: int, cells: list[str], names: Iterable[str | None]) -> NoReturn:
    for given in names:
        if given is not None:
            _check_column(path, cells, given)
    fail(
        ValueError,
        f"{path}, line {number}: the header {shorten(','.join(cells))!r} must name one column level (or target_uS) "
        "and one measured_uS (or conductance_uS), with the unit that holds; or give the names of the columns, such "
        "as level='state', measured='G (uS)'",
    )


def _check_column(path: Any, cells: list[str], given: str) -> None:
    keys = [_key(cell) for cell in cells] + [_key(_name_and_unit(cell)[0]) for cell in cells]
    if _key(given) not in keys:
        try:
            check_names([shorten(given)], [shorten(cell) for cell in cells[:50]], "column")
        except TypeError as error:
            fail(ValueError, f"{path}: {error}")


def _headed(lines: list[Line], comments: list[Line], mark: str | None, names: Iterable[str | None]) -> Table | None:
    # the table below a header, which may stand in a comment, as NumPy writes it
    level, measured = names
    above = 0
    for above, (_, line) in enumerate(lines[:MOST_PREAMBLE]):
        cells = split(line, mark)
        found = _columns(cells, level, measured)
        if found is not None:
            return _with_unit_below(Table(*found, mark, len(cells), lines[above + 1 :]))
        if _numeric(cells, mark):
            break
    if above:
        return None
    for _, line in reversed(comments):
        cells = split(line, mark)
        found = _columns(cells, level, measured)
        if found is not None and _numeric([*split(lines[0][1], mark), "0"][:2], mark):
            return Table(*found, mark, len(cells), lines)
    return None


def _fits(table: Table) -> bool:
    last = max(table.level.at, table.measured.at)
    return not table.lines or len(split(table.lines[0][1], table.mark)) > last


def _with_unit_below(table: Table) -> Table:
    # some programs write the units in a line of their own below the header
    if table.measured.unit is not None or not table.lines:
        return table
    cells = split(table.lines[0][1], table.mark)
    texts = [
        cells[column.at].strip("[]() ") if column.at < len(cells) else "" for column in (table.level, table.measured)
    ]
    if texts[1] not in UNITS or as_number(texts[0], comma=True) is not None:
        return table
    unit = texts[0] if texts[0] in UNITS and table.level.targets else table.level.unit
    level, measured = Column(table.level.at, unit, table.level.targets), Column(table.measured.at, texts[1], False)
    return Table(level, measured, table.mark, table.width, table.lines[1:])
