"""The arrays in a chip's file, checked against its description: names, dtypes and shapes, then every number.

A kernel trusts what it is given: a level beyond the tables, or too few scales, would make it read memory of others.
Whatever programming without chance gives is computed again here, and compared. Cells that a draw moved are held to
their range.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import backends
from .._integers import ceil_div
from ..cells import classes, laws, memristors, references
from ..cells.memristors import Cells, Targets
from ..checks import fail
from ..config import Device, Format
from ..crossbar.programmed import Age, Programmed, settled, target_levels
from ..operands import encoding
from ..operands.encoding import Encoded
from ._description import CellNumbers, Codes, Description

__all__ = ["Expected", "expected", "programmed"]

# shape, and dtypes of which it has one
Expected = tuple[tuple[int, ...], tuple[str, ...]]
Arrays = Mapping[str, Any]


def expected(about: Description) -> dict[str, Expected]:
    """Return {name: (shape, dtypes)} of the arrays that the file of a described chip holds."""
    codes, fresh = about.codes, about.fresh
    if codes is None or fresh is None:
        return {}
    config, fmt, (depth, width) = about.config, about.config.weights, about.shape
    cells = (fmt.arrays, depth, width)
    blocks = ceil_div(depth, codes.block[0]), ceil_div(width, codes.block[1])
    found: dict[str, Expected] = {
        "encoded/digits": ((fmt.planes, len(fmt.digits), 1, depth, width), codes.dtypes),
        "encoded/scales": ((fmt.planes, 1, *blocks), ("float64",)),
    }
    if fresh.faulty:
        found["faults"] = cells, ("int8",)
    law = laws.read(config.device, about.cell_format.fraction)
    more: dict[str, tuple[str, ...]] = {"levels": codes.dtypes} if law is not None and law.per_level else {}
    if law is not None and law.bounds is not None:
        more["levels"] = (classes.dtype(law.bounds),)
    more |= {"pulses": ("int32",)} if config.device.verify is not None else {}
    for state, numbers in about.states.items():
        found[f"{state}/scales"] = (fmt.planes, ceil_div(depth, config.tile.rows), width), ("float64",)
        parts = {"written": codes.dtypes if numbers.dtype is None else (numbers.dtype,)}
        if config._wires_once is not None:
            parts["wired"] = (about.cell_format.grid_dtype,)
            if config.device.var != 0 and references.held(config, about.cell_format):
                beside = fmt.arrays, depth, references.columns_beside(config, about.address, width)
                found[f"{state}/wired/columns"] = beside, parts["wired"]
        for part, dtypes in parts.items():
            arrays = {"cells": dtypes} | more
            found |= {f"{state}/{part}/{name}": (cells, kinds) for name, kinds in arrays.items()}
    return found


def programmed(about: Description, arrays: Arrays) -> Programmed | None:
    """Return the programmed matrix that a file holds, of NumPy arrays; None for one without elements.

    Parameters
    ----------
    about : Description
    arrays : mapping
        The arrays by their names, of the dtypes and shapes that `expected` gives.

    Raises
    ------
    ValueError
        If a number in them is out of range, or does not fit the others.
    """
    if about.codes is None or about.fresh is None:
        return None
    encoded, faults = _encoded(about, about.codes, arrays), arrays.get("faults")
    if faults is not None:
        _check_range("faults", faults, -1, 1)
    targets = Targets(target_levels(about.config, encoded), about.address, faults)
    scales = encoding.weight_scales(encoded, about.config.tile.rows)
    name = next(iter(about.states))
    cells = _cells(f"{name}/written", about.fresh, arrays)
    _check_fresh(about, name, cells, targets)
    backend = backends.select(targets.levels, None)
    cells = references.write(backend, about.config, about.cell_format, cells, targets)
    found = _state(about, encoded, name, cells, scales, arrays)
    if about.aged is None:
        return found
    cells, fresh = _cells("now/written", about.aged, arrays), found.as_programmed
    _check_aged(about, fresh, cells, targets)
    at_s = float(cells.time_s or 0)
    cells = cells._replace(
        columns=references.age(backend, about.config, about.cell_format, fresh, targets, at_s).columns
    )
    ratio = _ratio(found.as_programmed, cells)
    if ratio != about.ratio:
        fail(ValueError, f"age.ratio={about.ratio} is not that of the cells, {ratio}")
    scales = scales * ratio if about.compensate else scales
    age = Age(at_s, about.compensate, ratio)
    return dataclasses.replace(_state(about, encoded, "now", cells, scales, arrays), age=age, fresh=found)


def _state(about: Description, encoded: Encoded, name: str, cells: Cells, scales: Any, arrays: Arrays) -> Programmed:
    # a state whose written cells are checked
    if not _same_bits(arrays[f"{name}/scales"], scales):
        fail(ValueError, f"{name}/scales are not those of the codes")
    as_read = cells
    if about.config._wires_once is not None:
        numbers = dataclasses.replace(about.states[name], level_shift=0)
        as_read, bound = _cells(f"{name}/wired", numbers, arrays), about.cell_format.cell_bound
        _check_range(f"{name}/wired/cells", as_read.cells, -bound, bound)
        _check_copies(f"{name}/wired", as_read, cells)
        if (beside := arrays.get(f"{name}/wired/columns")) is not None and cells.columns is not None:
            _check_range(f"{name}/wired/columns", beside, -bound, bound)
            as_read = as_read._replace(columns=cells.columns._replace(cells=beside, level_shift=0))
    found = Programmed(about.config, encoded, scales, cells, cells, arrays.get("faults"), about.address, stored=True)
    return settled(backends.select(cells.cells, None), found, as_read)


def _cells(name: str, numbers: CellNumbers, arrays: Arrays) -> Cells:
    return Cells(
        cells=arrays[f"{name}/cells"],
        level_shift=numbers.level_shift,
        reference=numbers.reference,
        levels=arrays.get(f"{name}/levels"),
        time_s=numbers.time_s,
        pulses=arrays.get(f"{name}/pulses"),
        faulty=numbers.faulty,
    )


def _encoded(about: Description, codes: Codes, arrays: Arrays) -> Encoded:
    fmt, digits, scales = about.config.weights, arrays["encoded/digits"], arrays["encoded/scales"]
    for index, (bits, stride) in enumerate(zip(fmt.ascending, codes.strides, strict=True)):
        part, top = digits[:, index, ...], (2**bits - 1) * stride
        _check_range("encoded/digits", part, -top if fmt.signed else 0, top)
        if stride > 1 and bool(np.any(part % stride)):
            fail(ValueError, f"encoded/digits of slice {index} are not multiples of {stride}")
    if fmt.signed and bool(np.any(np.any(digits > 0, axis=1) & np.any(digits < 0, axis=1))):
        fail(ValueError, "encoded/digits of one weight have two signs")
    if fmt.bw_e is None and bool(np.any(_is_lowest(fmt, digits))):
        fail(
            ValueError, f"encoded/digits hold the code {-(2 ** (fmt.bits - 1))}, which integers with a scale leave out"
        )
    _check_scales(fmt, scales, codes.exponent or 0)
    plain = fmt.ascending, codes.strides, fmt.shifts, fmt.offset, codes.exponent
    return Encoded(digits, scales, codes.block, *plain)


def _is_lowest(fmt: Format, digits: Any) -> Any:
    # where a code is the lowest of its bits, which has no counterpart above 0
    if fmt.signed:
        return np.zeros(1, bool)
    lower = digits if fmt.offset else digits[:, :-1, ...]
    lowest = ~np.any(lower, axis=1)
    return lowest if fmt.offset else lowest & (digits[:, -1, ...] != 0)


def _check_scales(fmt: Format, scales: Any, shared: int) -> None:
    if not bool(np.all(np.isfinite(scales))) or bool(np.any(np.signbit(scales))):
        fail(ValueError, "encoded/scales must be finite, and not negative")
    if fmt.bw_e is None:
        return
    significand, exponent = np.frexp(scales)
    lowest, highest = -(2 ** (fmt.bw_e - 1)), 2 ** (fmt.bw_e - 1) - 1
    exponent = exponent + shared - 1 + fmt.bits - 2
    right = (significand == 0.5) & (exponent >= lowest) & (exponent <= highest)
    if not bool(np.all(right | (scales == 0))):
        fail(ValueError, f"encoded/scales are no powers of two that an exponent of {fmt.bw_e} bits can have")


def _check_fresh(about: Description, name: str, cells: Cells, targets: Targets) -> None:
    device, cell_format = about.config.device, about.cell_format
    law = laws.read(device, cell_format.fraction)
    if law is not None and law.bounds is not None:
        if not _equal(cells.levels, classes.numbers(law.bounds, cells.cells, cells.level_shift)):
            fail(ValueError, f"{name}/written/levels are not those that the cells ask for")
        if device.write_var != 0:
            cells = cells._replace(levels=None)  # checked
    if device.write_var == 0 or cells.levels is not None:
        # without write variation nothing but stuck cells leaves its level
        still = device if device.write_var == 0 else dataclasses.replace(device, write_var=0.0, verify=None)
        right = memristors.program(backends.select(targets.levels, None), still, cell_format, targets)
        for part, wanted in (("levels", right.levels), ("cells", right.cells)):
            found = getattr(cells, part)
            if (part == "levels" or device.write_var == 0) and not _equal(found, wanted):
                fail(ValueError, f"{name}/written/{part} are not those that the codes ask for")
    if device.write_var != 0:
        high = (device.g_level - 1) << cell_format.fraction
        _check_moved(f"{name}/written", cells, targets, (high, 0), cell_format.cell_bound)
    if device.verify is not None:
        _check_range(f"{name}/written/pulses", cells.pulses, 1, device.verify.pulses)


def _check_aged(about: Description, fresh: Cells, cells: Cells, targets: Targets) -> None:
    device, cell_format = about.config.device, about.cell_format
    _check_copies("now/written", cells, fresh)
    if device.drift is None and device.relaxation is None:
        if not _equal(cells.cells, fresh.cells):
            fail(ValueError, "now/written/cells are not those as programmed, and nothing drifts")
        return
    # stuck cells keep their conductance, above a reference that moved
    before, after, bound = fresh.reference, cells.reference, cell_format.cell_bound
    ends = _stuck(device, cell_format.fraction, before - after, bound)
    _check_moved("now/written", cells, targets, ends, bound)


def _stuck(device: Device, fraction: int, above: int, bound: int) -> tuple[int, int]:
    return min(((device.g_level - 1) << fraction) + above, bound), min(above, bound)


def _check_moved(name: str, cells: Cells, targets: Targets, stuck: tuple[int, int], bound: int) -> None:
    # cells that a draw moved: no conductance is below 0, and cells that a map calls stuck are at (high, low)
    _check_range(f"{name}/cells", cells.cells, -min(cells.reference, bound), bound)
    if targets.faults is None:
        return
    for kind, at in zip((1, -1), stuck, strict=True):
        if not bool(np.all(cells.cells[targets.faults == kind] == at)):
            fail(ValueError, f"{name}/cells do not fit the map of faults")


def _check_copies(name: str, cells: Cells, fresh: Cells) -> None:
    # time and wires change neither levels nor pulses
    for part in ("levels", "pulses"):
        if not _equal(getattr(cells, part), getattr(fresh, part)):
            fail(ValueError, f"{name}/{part} are not those as programmed")


def _ratio(fresh: Cells, aged: Cells) -> float:
    before, after = memristors.total(fresh), memristors.total(aged)
    return before / after if after else 1.0


def _check_range(name: str, array: Any, low: int, high: int) -> None:
    least, most = int(array.min()), int(array.max())
    if least < low or most > high:
        fail(ValueError, f"{name} holds {least if least < low else most}, out of the range from {low} to {high}")


def _equal(found: Any, wanted: Any) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return bool(found.dtype == wanted.dtype) and np.array_equal(found, wanted)


def _same_bits(found: Any, wanted: Any) -> bool:
    return np.array_equal(found.view(np.int64), np.ascontiguousarray(wanted).view(np.int64))
