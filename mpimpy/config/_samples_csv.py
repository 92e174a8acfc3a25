"""Measured conductances, read from a file of lines ``level, conductance``."""

from dataclasses import dataclass, field
from typing import Any

from ..checks import fail
from ._csv_text import UNITS, Column, Table, as_number, is_missing, read_table, shorten, split
from ._outliers import limit, outliers
from ._sense import warn
from ._variation import Samples

__all__ = ["FEWEST", "Layout", "read_samples"]

FEWEST = 8  # samples of a level from which a spread says something
MOST = 256  # levels
LOWEST_S, HIGHEST_S = 1e-9, 0.1  # a memristor's conductance is within


@dataclass(frozen=True)
class Layout:
    """How a file is to be read; see `mpimpy.Measured.from_csv`."""

    unit: str | None = None
    level: str | None = None
    measured: str | None = None
    missing: str = "error"
    outliers: str = "warn"
    negative: str = "error"

    def __post_init__(self) -> None:
        if self.unit is not None and self.unit not in UNITS:
            known = ", ".join(repr(unit) for unit in UNITS if unit.isascii())
            fail(ValueError, f"unit={self.unit!r} is unknown: use one of {known}")
        if self.missing not in ("error", "skip"):
            fail(ValueError, f"missing={self.missing!r} is unknown: use 'error' or 'skip'")
        if self.negative not in ("error", "zero"):
            fail(ValueError, f"negative={self.negative!r} is unknown: use 'error' or 'zero'")
        if self.outliers not in ("warn", "keep", "drop"):
            fail(ValueError, f"outliers={self.outliers!r} is unknown: use 'warn', 'keep' or 'drop'")


@dataclass
class _Found:
    # samples by level or target, S, and what was left out
    rows: dict[float, list[float]] = field(default_factory=dict)
    missing: dict[float | None, int] = field(default_factory=dict)
    points: set[str] = field(default_factory=set)
    negative: dict[float, list[float]] = field(default_factory=dict)


def _unit(stated: str | None, given: str | None, path: Any) -> float:
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


def read_samples(path: Any, layout: Layout | None = None) -> Samples:
    """Return the samples of a file; see `mpimpy.Measured.from_csv` for its layout.

    Returns
    -------
    Samples
    """
    layout = Layout() if layout is None else layout
    table = read_table(path, layout.level, layout.measured)
    scale = _unit(table.measured.unit, layout.unit, path)
    found = _Found()
    for number, line in table.lines:
        _read_line(f"{path}, line {number}", line, (table, scale), found, layout)
    names = _names(path, found, table.level)
    return _checked_samples(path, found, names, layout)


def _read_line(where: str, line: str, table_and_scale: tuple[Table, float], found: _Found, layout: Layout) -> None:
    table, scale = table_and_scale
    level, measured, comma = table.level, table.measured, table.mark != ","
    try:
        cells = split(line, table.mark)
    except ValueError as error:
        fail(ValueError, f"{where}: {error}")
    if table.width is not None and any(cells[table.width :]):
        why = f"it has {len(cells)} cells, and the header {table.width}"
        fail(ValueError, f"{where}: {why}: separate the columns with semicolons where the comma is a decimal mark")
    texts = [cells[column.at] if column.at < len(cells) else "" for column in (level, measured)]
    place, value = (as_number(text, comma=comma) for text in texts)
    absent = [number is None and is_missing(text) for number, text in zip((place, value), texts, strict=True)]
    for number, gone in zip((place, value), absent, strict=True):
        if number is None and not (gone and layout.missing == "skip"):
            hint = ", or give missing='skip'" if gone else ""
            shown = shorten(",".join(cells))
            fail(ValueError, f"{where}: {shown!r} is not a level and a conductance: correct it{hint}")
    key = None
    if place is not None:
        key = place * (UNITS[level.unit] if level.unit else scale) if level.targets else place
        if not level.targets and (place != int(place) or place < 0):
            fail(
                ValueError,
                f"{where}: level {shorten(texts[0])} is not a whole number from 0: "
                "number the levels 0, 1, 2, or name the column target_uS if it holds conductances",
            )
    if key is None or value is None:
        found.missing[key] = found.missing.get(key, 0) + 1
        return
    found.points.update(mark for mark in ".," if mark in texts[1])
    if len(found.points) > 1:
        fail(ValueError, f"{where}: {shorten(texts[1])} has another decimal mark than the lines before: use one")
    if value < 0 and layout.negative == "error":
        mend = "is it noise of the instrument? negative='zero' counts such samples as 0, with a warning"
        fail(ValueError, f"{where}: {value * scale:g} S is negative, and no conductance is: {mend}")
    if abs(value * scale) > HIGHEST_S:
        fail(ValueError, f"{where}: {value * scale:g} S is no memristor's conductance: is the unit right?")
    if value < 0:
        found.negative.setdefault(key, []).append(value * scale)
    found.rows.setdefault(key, []).append(max(value, 0.0) * scale)


def _names(path: Any, found: _Found, level: Column) -> dict[float, str]:
    # names of the levels, lowest first
    keys = sorted({*found.rows, *(key for key in found.missing if key is not None)})
    if not level.targets and keys:
        first = 0 if keys[0] == 0 else 1
        missing = next((n for n in range(first, int(keys[-1]) + 1) if n not in keys), None)
        if missing is not None:
            fail(
                ValueError,
                f"{path}: level {missing} is missing: levels count from 0 or 1 without gaps, up to {keys[-1]:g} here",
            )
    if not 2 <= len(keys) <= MOST:
        fail(ValueError, f"{path}: it holds {len(keys)} levels: measure from 2 to {MOST}")
    return {key: f"target {key:g} S" if level.targets else f"level {int(key)}" for key in keys}


def _checked_samples(path: Any, found: _Found, names: dict[float, str], layout: Layout) -> Samples:
    rows = [sorted(found.rows.get(key, [])) for key in names]
    _check_counts(path, names, rows, found)
    far: list[tuple[float, ...]] = [()] * len(rows)
    if layout.outliers != "keep":
        far = outliers(rows)
    _tell(path, names, found, (rows, far), drop=layout.outliers == "drop")
    if layout.outliers == "drop":
        for row, gone in zip(rows, far, strict=True):
            for value in gone:
                row.remove(value)
        _check_counts(path, names, rows, found)
    samples = Samples(rows)
    means = samples.means_S
    left = outliers(rows) if layout.outliers != "drop" else []
    texts = list(names.values())
    for index, (name, mean) in enumerate(zip(texts, means, strict=True)):
        if not LOWEST_S <= mean <= HIGHEST_S:
            fail(
                ValueError,
                f"{path}: {name} has a mean of {mean:g} S, and conductances are expected from {LOWEST_S:g} S "
                f"to {HIGHEST_S:g} S: is the unit right?",
            )
        if index and mean <= means[index - 1]:
            fail(
                ValueError,
                f"{path}: {name} has a mean of {mean:g} S, not above that of {texts[index - 1]}, "
                f"{means[index - 1]:g} S: {_why(texts, left, index)}number the levels by rising conductance, and leave "
                "out those that cannot be told apart",
            )
    return samples


def _why(texts: list[str], far: list[tuple[float, ...]], index: int) -> str:
    # outliers may be why two means are not in order
    told = [f"{max(far[n], key=abs):g} S in {texts[n]}" for n in (index - 1, index) if far and far[n]]
    return f"outliers may be why ({', '.join(told)}), and outliers='drop' leaves them out; else " if told else ""


def _check_counts(path: Any, names: dict[float, str], rows: list[list[float]], found: _Found) -> None:
    for (key, name), row in zip(names.items(), rows, strict=True):
        if len(row) < FEWEST:
            gone = f" ({found.missing[key]} missing)" if key in found.missing else ""
            fail(ValueError, f"{path}: {name} has {len(row)} samples{gone}: measure at least {FEWEST} of each level")


def _tell(
    path: Any,
    names: dict[float, str],
    found: _Found,
    samples: tuple[list[list[float]], list[tuple[float, ...]]],
    *,
    drop: bool,
) -> None:
    # one warning that counts, level by level
    rows, far = samples
    parts = []
    if found.missing:
        texts = [f"{names[key]}: {count}" for key, count in found.missing.items() if key is not None]
        texts += [f"of no level: {found.missing[None]}"] if None in found.missing else []
        parts.append(f"missing samples left out: {sum(found.missing.values())} ({', '.join(texts)})")
    if found.negative:
        texts = [f"{names[key]}: {len(gone)}, down to {min(gone):g} S" for key, gone in found.negative.items()]
        parts.append(f"negative samples counted as 0: {sum(map(len, found.negative.values()))} ({', '.join(texts)})")
    if any(far):
        each = zip(names.values(), rows, far, strict=True)
        texts = [f"{name}: {len(gone)} of {len(row)}" for name, row, gone in each if gone]
        least = min(limit(len(row)) for row, gone in zip(rows, far, strict=True) if gone)
        many = f"{sum(map(len, far))} beyond a robust z of {least:.1f} ({', '.join(texts)})"
        advice = ": look at them, then give outliers='drop' or 'keep'"
        parts.append(f"outliers dropped: {many}" if drop else f"outliers kept: {many}{advice}")
    if parts:
        warn(f"{path}: {'; '.join(parts)}")
