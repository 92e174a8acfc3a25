"""The flat names of all settings, and how they make a configuration.

One table serves `DPETensor`, `MapReducedot` and the command line.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Iterable
from typing import Any, TypedDict, TypeVar

from ..checks import as_bool, as_float, as_int, as_int_pair, as_items, check_names, fail
from . import ADC, DAC, Config, Device, Flicker, Format, Gaussian, Ranges, Samples, Tile, Wires
from ._sense import times_told

__all__ = ["ENGINE", "SETTINGS", "FlatSettings", "FurtherSettings", "Settings", "build", "measured"]

T = TypeVar("T")

# Default, unit and meaning of each flat setting: the settings table of the README is made of it.
SETTINGS = {
    "HGS": ("1e-5", "S", "highest conductance of a cell"),
    "LGS": ("1e-7", "S", "lowest conductance of a cell, and of the reference column"),
    "g_level": ("16", "levels", "conductance levels of a cell"),
    "var": (
        "0.05",
        "relative",
        "read variation: each read multiplies a conductance by exp(N(0, var)); or one per level, or another law",
    ),
    "write_var": ("0", "relative", "write variation, of the same form, frozen when a chip is programmed"),
    "device_file": (
        "None",
        "",
        "CSV file of a measured device; its levels and samples take the place of HGS, LGS, g_level and write_var; "
        "on its own, var is 0 by default",
    ),
    "redraw": (
        "product",
        "",
        "a draw of read variation lasts for a whole product, or for one input slice, of all rows or of a row",
    ),
    "stuck_fault_ratio": ("0", "share", "share of stuck cells, 0 to 1"),
    "stuck_fault_value": ("0", "0 or 1", "where they sit: 0 at LGS, 1 at HGS"),
    "stuck_HGS": ("0", "share", "share of cells stuck at HGS"),
    "stuck_LGS": ("0", "share", "share of cells stuck at LGS"),
    "rdac": ("16", "levels", "levels of a DAC"),
    "vread": ("0.1", "V", "voltage of the highest DAC level; the result does not depend on it, currents do"),
    "vnoise": ("0", "relative", "voltage noise: each conversion is multiplied by 1 + N(0, vnoise)"),
    "radc": ("256", "codes", "codes of an ADC, or one number per weight slice; None: ideal, no rounding"),
    "snap": ("False", "", "round each partial product to the nearest integer after the ADC"),
    "saturate": ("True", "", "clip at the ends of the ADC's range"),
    "adc_range": ("full", "A", "currents that the codes cover: full, lossless, the highest, or (lowest, highest)"),
    "noise_lsb": ("0", "LSB", "noise of each conversion of an ADC, rms"),
    "offset_lsb": ("0", "LSB", "spread of the ADCs' offsets over the columns, frozen on a chip"),
    "gain_error": ("0", "relative", "spread of the ADCs' gains over the columns, frozen on a chip"),
    "adc_per": ("slice", "", "one conversion for each input slice, or for all of a product"),
    "array_size": ("(64, 64)", "cells", "rows and columns of an array"),
    "reference": ("cells", "", "reference and unit columns: real cells, which vary, or ideal ones"),
    "reference_columns": ("1", "columns", "real reference columns of an array, whose mean is subtracted"),
    "wire_resistance": ("0", "Ohm", "resistance of a wire segment, or of a word line's and a bit line's"),
    "exact_reads": ("False", "", "with wires: solve the circuit again for each read"),
    "x_slices": ("[1, 1, 2, 4]", "bits", "slices of the inputs, most significant first"),
    "w_slices": ("[1, 1, 2, 4]", "bits", "slices of the weights"),
    "bw_e": ("None", "bits", "None: INT; else the width of a shared exponent (block floating point)"),
    "dbfp_en": ("False", "", "double exponent, for both operands"),
    "format": ("None", "", "int4, int8, bf16, fp16 or fp32 for both operands, instead of slices and bw_e"),
    "x_mapping": ("twos", "", "sign of the inputs: twos (complement), or signed voltages"),
    "w_mapping": ("twos", "", "sign of the weights: twos (complement), (differential) pair, or offset"),
    "x_quant_gran": ("finest", "", "block of the inputs that shares a scale"),
    "w_quant_gran": ("finest", "", "block of the weights that shares a scale"),
}
ENGINE = {
    "seed": ("None", "", "key of all random numbers; None takes a fresh one and shows it"),
    "chip": ("0", "", "number of the chip: its write variation and stuck cells"),
    "backend": ("None", "", "numba, torch or reference; None takes the best one for the arrays"),
    "gradient": ("straight", "", "gradient that torch gets: straight, clipped or written"),
    "device": ("None", "", "where operands must be, such as 'cuda'; None: wherever they are"),
    "input_size": ("None", "", "block of inputs in row mode, see SlicedData(input_en=True)"),
}


class FurtherSettings(TypedDict, total=False):
    """Types of the flat settings that `DPETensor` takes by name only."""

    device_file: str | os.PathLike[str] | None
    write_var: float | Iterable[float] | Gaussian | Samples
    redraw: str
    stuck_HGS: float
    stuck_LGS: float
    snap: bool
    saturate: bool
    adc_range: str | float | Iterable[float] | Ranges
    noise_lsb: float
    offset_lsb: float
    gain_error: float
    adc_per: str
    reference: str
    reference_columns: int
    exact_reads: bool
    x_slices: Iterable[int] | None
    w_slices: Iterable[int] | None
    bw_e: int | None
    dbfp_en: bool
    format: str | None
    x_mapping: str
    w_mapping: str
    x_quant_gran: str | Iterable[int] | None
    w_quant_gran: str | Iterable[int] | None


class FlatSettings(FurtherSettings, total=False):
    """Types of the flat settings of a configuration."""

    HGS: float
    LGS: float
    g_level: int
    var: float | Iterable[float] | Gaussian | Samples | Flicker
    stuck_fault_ratio: float
    stuck_fault_value: int
    rdac: int
    vread: float
    vnoise: float
    radc: int | Iterable[int] | None
    array_size: Iterable[int]
    wire_resistance: float | tuple[float, float] | list[float]


class Settings(FlatSettings, total=False):
    """Types of all flat settings, those of the engine included."""

    seed: int | None
    chip: int
    backend: str | None
    gradient: str
    device: Any
    input_size: Iterable[int] | None


# Settings that only the parts of an Engine have, and the call that gives them.
_PARTS = {
    "levels": "Engine(Device(levels=[1e-6, 2e-6, 4e-6, 9e-6]))",
    "verify": "Engine(Device(write_var=0.05, verify=WriteVerify(1e-7)))",
    "drift": "Engine(Device(drift=Drift(0.05)))",
    "relaxation": "Engine(Device(relaxation=Relaxation([1, 86400], [0, 4e-7])))",
    "wires": "Engine(wires=Wires(2.93, 2.93)), or give wire_resistance=2.93",
    "tile": "Engine(tile=Tile(64, 64)), or give array_size=(64, 64)",
    "adc": "Engine(adc=ADC(256)), or give radc=256",
    "dac": "Engine(dac=DAC(16)), or give rdac=16",
}


# Arguments of calls, which are no settings.
_ARGUMENTS = {
    "read": "it is an argument of explain, and of products of a programmed matrix, such as W.read(x, read=3)",
    "reads": "it is an argument of explain and of W.report: explain(x, w, reads=8)",
}


def refuse_arguments(given: Iterable[str]) -> None:
    """Raise TypeError for names that are no settings, but arguments of calls."""
    for name in given:
        if name in _ARGUMENTS:
            fail(TypeError, f"{name} is no setting: {_ARGUMENTS[name]}")


def _formats(given: dict[str, Any]) -> dict[str, Any]:
    name = given.pop("format", None)
    slices = {part: given.pop(f"{part}_slices", None) for part in "xw"}
    bw_e, double = given.pop("bw_e", None), given.pop("dbfp_en", False)
    made = {}
    for part, field in (("x", "inputs"), ("w", "weights")):
        granularity, mapping = given.pop(f"{part}_quant_gran", None), given.pop(f"{part}_mapping", "twos")
        granularity = "finest" if granularity is None else granularity
        if name is None:
            bits = slices[part]
            bits = Format().slices if bits is None else bits
            options = {"granularity": granularity, "mapping": mapping}
            made[field] = _build_part(field, Format, bits, bw_e=bw_e, double=double, **options)
            continue
        if slices[part] is not None or bw_e is not None or double:
            msg = f"format={name!r} already says what slices, bw_e and dbfp_en are: give one or the other"
            raise ValueError(msg)
        made[field] = _build_part(field, Format.named, name, granularity, mapping)
    return made


def _build_part(where: str, build: Callable[..., T], *given: Any, **options: Any) -> T:
    # messages begin with the operand or setting that they are about
    try:
        return build(*given, **options)
    except (TypeError, ValueError) as error:
        msg = f"{where}: {error}"
        raise type(error)(msg) from None


def _stuck(given: dict[str, Any]) -> None:
    ratio = as_float("stuck_fault_ratio", given.pop("stuck_fault_ratio", 0), 0, 1)
    value = given.pop("stuck_fault_value", 0)
    try:
        where = as_int("stuck_fault_value", int(value) if isinstance(value, bool) else value, 0, 1)
    except (TypeError, ValueError):
        msg = f"stuck_fault_value={value!r} must be 0 (cells stuck at LGS) or 1 (stuck at HGS)"
        raise ValueError(msg) from None
    if where and not ratio:
        msg = "stuck_fault_value=1 has no effect while stuck_fault_ratio is 0: set the ratio, or leave both out"
        raise ValueError(msg)
    if ratio:
        name = "stuck_HGS" if where else "stuck_LGS"
        if name in given:
            msg = f"stuck_fault_ratio and {name} both give the share of cells stuck at {name[-3:]}: give one"
            raise ValueError(msg)
        given[name] = ratio


def _wires(given: dict[str, Any]) -> Wires | None:
    resistance, exact = given.pop("wire_resistance", 0), given.pop("exact_reads", False)
    items = as_items("wire_resistance", resistance)
    both = (resistance, resistance) if items is None else items
    if len(both) != 2:
        msg = f"wire_resistance={resistance!r} must be one number, or two: of a word line's segment and a bit line's"
        raise ValueError(msg)
    word, bit = (as_float("wire_resistance", one, 0, unit=" Ohm") for one in both)
    if word or bit:
        return Wires(word, bit, exact_reads=exact)
    if as_bool("exact_reads", exact):
        msg = "exact_reads=True has no effect without wires: set wire_resistance, or leave it out"
        raise ValueError(msg)
    return None


def build(**given: Any) -> Config:
    """Return the configuration that flat settings describe.

    Parameters
    ----------
    **given
        Any of the names in `SETTINGS`.

    Returns
    -------
    Config

    Raises
    ------
    TypeError
        For an unknown name, with the nearest known one.
    ValueError
        For a value out of range, or two settings that say the same.

    Examples
    --------
    >>> build(radc=1024, var=0).adc.radc
    1024
    """
    if given.get("device_file") is not None:  # the file may change
        return _build(given)
    try:
        key = tuple(given), tuple(map(_plain, given.values()))
    except TypeError:
        return _build(given)
    found = _kept.get(key)
    if found is None:
        before = times_told()
        found = _build(given)
        if before == times_told():  # oddities are told each time
            if len(_kept) >= KEPT:
                _kept.clear()
            _kept[key] = found
    return found


KEPT = 64  # configurations of plain settings, which are not checked and built again
_kept: dict[Any, Config] = {}


def _plain(value: Any) -> Any:
    # a number, a text or a sequence of them, with its types, since 1 == 1.0 == True; TypeError for anything else
    kind = type(value)
    if value is None or kind in (int, float, str, bool):
        return kind, value
    if kind in (tuple, list):
        return kind, tuple(map(_plain, value))
    raise TypeError


# what a file of measured cells says of a device
_MEASURED = ("HGS", "LGS", "g_level", "levels", "write_var")


def measured(path: Any, settings: dict[str, Any], before: Device | None = None) -> Device:
    """Return the measured device of ``device_file=``, with further flat settings; None is what the file says.

    The device that was there `before` keeps all that the file does not say.

    Raises
    ------
    TypeError
        If `path` is no path.
    OSError, ValueError
        As `mpimpy.Device.from_csv`; if a law of the device that was there has another number of levels.
    """
    if path == "":
        fail(ValueError, "device_file='' names no file: give a path, such as 'cells.csv', or None for no file")
    if not isinstance(path, str | os.PathLike):
        msg = (
            f"device_file={path!r} must be the path of a CSV file, such as 'cells.csv'; "
            "a Device is for Engine(device), and Measured has device() to make one"
        )
        raise TypeError(msg)
    if before is not None:
        kept = {item.name: getattr(before, item.name) for item in dataclasses.fields(Device)}
        settings = {name: value for name, value in kept.items() if name not in _MEASURED} | settings
    return Device.from_csv(path, **{name: value for name, value in settings.items() if value is not None})


def _build(given: dict[str, Any]) -> Config:
    for name in given:
        if name in _PARTS:
            msg = f"{name} is no flat setting: build the machine from parts, such as {_PARTS[name]}"
            raise TypeError(msg)
    refuse_arguments(given)
    check_names(given, [*SETTINGS, *ENGINE])
    wires, file = _wires(given), given.pop("device_file", None)
    _stuck(given)
    for name in ("range", "per"):
        if f"adc_{name}" in given:
            given[name] = given.pop(f"adc_{name}")
    made = _formats(given)
    kinds: tuple[tuple[str, type[Any]], ...] = (("device", Device), ("dac", DAC), ("adc", ADC))
    for field, kind in kinds:
        names = [item.name for item in dataclasses.fields(kind) if item.name in given]
        own = {name: given.pop(name) for name in names}
        made[field] = kind(**own) if kind is not Device or file is None else measured(file, own)
    tile = {name: given.pop(name) for name in ("reference", "reference_columns") if name in given}
    if "array_size" in given:
        size = as_int_pair("array_size", given.pop("array_size"), -math.inf)
        made["tile"] = _build_part("array_size", Tile, *size)
    if tile:
        made["tile"] = dataclasses.replace(made.get("tile", Tile()), **tile)
    check_names(given, [])
    return Config(**made, wires=wires)
