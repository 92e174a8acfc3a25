"""Measured conductances, read from a file of lines ``level, conductance``."""

import csv
import math
import re
from os import PathLike
from pathlib import Path
from typing import Any

from ..checks import fail
from ._variation import Samples

__all__ = ["FEWEST", "read_samples"]

UNITS = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "µS": 1e-6, "μS": 1e-6, "nS": 1e-9}
FEWEST = 8  # samples of a level from which a spread says something
MOST = 256  # levels
LOWEST_S, HIGHEST_S = 1e-9, 0.1  # a memristor's conductance is within
Column = tuple[int, str | None, bool]  # number, unit if stated, whether it holds targets
NAME = re.compile(r"(.*?)[ _]*[(\[]?(S|mS|uS|µS|μS|nS)[)\]]?")


def _header(cells: list[str]) -> tuple[Column, Column] | None:
    # (column of the level or target, column of the measured conductance)
    found: dict[str, Column] = {}
    for column, text in enumerate(cells):
        match = NAME.fullmatch(text.strip())
        name, unit = (match[1], match[2]) if match and match[1] else (text.strip(), None)
        for role, words in (("level", ("level", "target")), ("measured", ("measured", "conductance"))):
            if name.lower().startswith(words):
                if role in found:
                    return None
                found[role] = (column, unit, name.lower().startswith("target"))
    return (found["level"], found["measured"]) if len(found) == 2 else None


def _number(text: str) -> float | None:
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _unit(stated: str | None, given: str | None, path: Any) -> float:
    if given is not None and given not in UNITS:
        fail(ValueError, f"unit={given!r} is unknown: use one of {', '.join(repr(u) for u in UNITS if u.isascii())}")
    if stated and given and UNITS[stated] != UNITS[given]:
        fail(ValueError, f"{path}: the header says {stated} and unit={given!r}: leave unit out, or correct one of them")
    unit = stated or given
    if not unit:
        fail(
            ValueError,
            f"{path}: no unit of the conductances is stated: name the column measured_uS (or _S, _mS, _nS), "
            "or give unit='uS'",
        )
    return UNITS[unit]


def _lines(path: "str | PathLike[str]") -> list[tuple[int, list[str]]]:
    # (number, cells) of each line that is not empty or a comment
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise OSError(msg) from error
    except UnicodeDecodeError:
        fail(ValueError, f"{path}: it is not a text file: write lines of level and conductance, with commas")
    lines = [
        (n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        fail(ValueError, f"{path}: it is empty: write lines of level and conductance, with commas")
    mark = next((mark for mark in ",;\t" if mark in lines[0][1]), ",")
    return [(n, next(csv.reader([line], delimiter=mark))) for n, line in lines]


def read_samples(path: "str | PathLike[str]", unit: str | None = None) -> Samples:
    """Return the samples of a file; see `mpimpy.Measured.from_csv` for its layout.

    Returns
    -------
    Samples
    """
    lines = _lines(path)
    first = lines[0][1]
    columns: tuple[Column, Column] = (0, None, False), (1, None, False)
    if any(_number(text) is None for text in first[:2]):
        named = _header(first)
        if named is None:
            fail(
                ValueError,
                f"{path}, line {lines[0][0]}: the header {','.join(first)!r} must name one column level (or target_uS) "
                "and one measured_uS (or conductance_uS), with the unit that holds",
            )
        columns, lines = named, lines[1:]
    (at, target_unit, targets), (column, stated, _) = columns
    scale = _unit(stated, unit, path)
    target_scale = UNITS[target_unit] if target_unit else scale
    found: dict[float, list[float]] = {}
    for number, cells in lines:
        place, measured = (_number(cells[c]) if c < len(cells) else None for c in (at, column))
        if place is None or measured is None:
            fail(ValueError, f"{path}, line {number}: {','.join(cells)!r} is not a level and a conductance: correct it")
        key, value = place * target_scale if targets else place, measured * scale
        if not targets and (key != int(key) or key < 0):
            fail(
                ValueError,
                f"{path}, line {number}: level {cells[at]} is not a whole number from 0: "
                "number the levels 0, 1, 2, or name the column target_uS if it holds conductances",
            )
        if not 0 <= value <= HIGHEST_S:
            fail(ValueError, f"{path}, line {number}: {value:g} S is no memristor's conductance: is the unit right?")
        found.setdefault(key, []).append(value)
    return _checked_samples(path, found, targets)


def _checked_samples(path: Any, found: dict[float, list[float]], targets: bool) -> Samples:
    keys = sorted(found)
    if not targets and keys:
        missing = next((level for level in range(int(keys[-1]) + 1) if level not in found), None)
        if missing is not None:
            fail(
                ValueError,
                f"{path}: level {missing} is missing: levels count from 0 without gaps, up to {int(keys[-1])} here",
            )
    if not 2 <= len(keys) <= MOST:
        fail(ValueError, f"{path}: it holds {len(keys)} levels: measure from 2 to {MOST}")
    rows = [found[key] for key in keys]
    names = [f"target {key:g} S" if targets else f"level {int(key)}" for key in keys]
    for name, row in zip(names, rows, strict=True):
        if len(row) < FEWEST:
            fail(ValueError, f"{path}: {name} has {len(row)} samples: measure at least {FEWEST} of each level")
    samples = Samples(rows)
    means = samples.means_S
    for index, (name, mean) in enumerate(zip(names, means, strict=True)):
        if not LOWEST_S <= mean <= HIGHEST_S:
            fail(
                ValueError,
                f"{path}: {name} has a mean of {mean:g} S, and conductances are expected from {LOWEST_S:g} S "
                f"to {HIGHEST_S:g} S: is the unit right?",
            )
        if index and mean <= means[index - 1]:
            fail(
                ValueError,
                f"{path}: {name} has a mean of {mean:g} S, not above that of {names[index - 1]}, "
                f"{means[index - 1]:g} S: number the levels by rising conductance, and leave out those that "
                "cannot be told apart",
            )
    return samples
