"""The flat names of all settings, and how they make a configuration.

One table serves `DPETensor`, `MapReducedot` and the command line.
"""

import math

from ..checks import check_names, flag, pair, real
from . import ADC, DAC, Config, Device, Format, Tile, Wires

__all__ = ["ENGINE", "SETTINGS", "build"]

# What each flat setting means and its unit: the settings table of the README is made of it.
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
    "array_size": ("(64, 64)", "cells", "rows and columns of an array"),
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
    "device": ("None", "", "where operands must be, such as 'cuda'; None: wherever they are"),
    "input_size": ("None", "", "block of inputs in row mode, see SlicedData(input_en=True)"),
}


# What only the parts of an Engine have, and how it is given.
_PARTS = {
    "levels": "Engine(Device(levels=[1e-6, 2e-6, 4e-6, 9e-6]))",
    "verify": "Engine(Device(write_var=0.05, verify=WriteVerify(1e-7)))",
    "drift": "Engine(Device(drift=Drift(0.05)))",
    "wires": "Engine(wires=Wires(2.93, 2.93)), or give wire_resistance=2.93",
    "tile": "Engine(tile=Tile(64, 64)), or give array_size=(64, 64)",
    "adc": "Engine(adc=ADC(256)), or give radc=256",
    "dac": "Engine(dac=DAC(16)), or give rdac=16",
}


def _formats(given):
    name = given.pop("format", None)
    slices = {part: given.pop(f"{part}_slices", None) for part in "xw"}
    bw_e, double = given.pop("bw_e", None), given.pop("dbfp_en", False)
    made = {}
    for part, field in (("x", "inputs"), ("w", "weights")):
        granularity, mapping = given.pop(f"{part}_quant_gran", None), given.pop(f"{part}_mapping", "twos")
        granularity = "finest" if granularity is None else granularity
        if name is None:
            bits = slices[part]
            bits = bits.tolist() if hasattr(bits, "tolist") else bits
            bits = Format().slices if bits is None else bits
            options = {"granularity": granularity, "mapping": mapping}
            made[field] = _told(field, Format, bits, bw_e=bw_e, double=double, **options)
            continue
        if slices[part] is not None or bw_e is not None or double:
            msg = f"format={name!r} already says what slices, bw_e and dbfp_en are: give one or the other"
            raise ValueError(msg)
        made[field] = _told(field, Format.named, name, granularity, mapping)
    return made


def _told(where, build, *given, **options):
    # say in a message which operand or setting it is about
    try:
        return build(*given, **options)
    except (TypeError, ValueError) as error:
        msg = f"{where}: {error}"
        raise type(error)(msg) from None


def _stuck(given):
    ratio = real("stuck_fault_ratio", given.pop("stuck_fault_ratio", 0), 0, 1)
    where = given.pop("stuck_fault_value", 0)
    if where not in (0, 1):
        msg = f"stuck_fault_value={where!r} must be 0 (cells stuck at LGS) or 1 (stuck at HGS)"
        raise ValueError(msg)
    if where and not ratio:
        msg = "stuck_fault_value=1 has no effect while stuck_fault_ratio is 0: set the ratio, or leave both out"
        raise ValueError(msg)
    if ratio:
        name = "stuck_HGS" if where else "stuck_LGS"
        if name in given:
            msg = f"stuck_fault_ratio and {name} both give the share of cells stuck at {name[-3:]}: give one"
            raise ValueError(msg)
        given[name] = ratio


def _wires(given):
    resistance, exact = given.pop("wire_resistance", 0), given.pop("exact_reads", False)
    both = resistance if isinstance(resistance, tuple | list) else (resistance, resistance)
    if len(both) != 2:
        msg = f"wire_resistance={resistance!r} must be one number, or two: of a word line's segment and a bit line's"
        raise ValueError(msg)
    both = [real("wire_resistance", one, 0, unit=" Ohm") for one in both]
    if any(both):
        return Wires(*both, exact_reads=exact)
    if flag("exact_reads", exact):
        msg = "exact_reads=True has no effect without wires: set wire_resistance, or leave it out"
        raise ValueError(msg)
    return None


def build(**given):
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
    for name in given:
        if name in _PARTS:
            msg = f"{name} is no flat setting: build the machine from parts, such as {_PARTS[name]}"
            raise TypeError(msg)
    check_names(given, [*SETTINGS, *ENGINE])
    wires = _wires(given)
    _stuck(given)
    if "adc_range" in given:
        given["range"] = given.pop("adc_range")
    made = _formats(given)
    for field, kind in (("device", Device), ("dac", DAC), ("adc", ADC)):
        names = [name for name in kind.__dataclass_fields__ if name in given]
        made[field] = kind(**{name: given.pop(name) for name in names})
    if "array_size" in given:
        size = pair("array_size", given.pop("array_size"), -math.inf)
        made["tile"] = _told("array_size", Tile, *size)
    check_names(given, [])
    return Config(**made, wires=wires)
