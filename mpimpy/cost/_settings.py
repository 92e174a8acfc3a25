"""Settings of a technology: their units, their checks, and numbers that no machine has."""

from typing import Any

from ..checks import as_bool, as_choice, as_float, as_int, as_int_pair, fail
from ..config._sense import Quantity
from ._figure import Anchor, as_figure
from ._laws import AdcLaw

__all__ = ["ANCHORS", "FIGURES", "check_anchor", "checked", "oddities"]

CODINGS = ("amplitude", "width")

# unit of each figure of a technology, and whether it may be left out
FIGURES = {
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
ANCHORS = {"dac": "J", "cell": "J", "core": "J", "cell_area": "m2", "adc_area": "m2", "core_area": "m2"}


_VOLTS = Quantity("V", 1e-4, 20.0, "circuits of arrays have between 0.1 mV and 20 V")
_SHORT = Quantity("s", 1e-13, 1e-2, "pulses last between 0.1 ps and 10 ms")
_SENSE = {
    "read_time": _SHORT,
    "read_cycle": _SHORT,
    "write_time": Quantity("s", 1e-13, 1.0, "programming pulses last between 0.1 ps and 1 s"),
    "adc_rate": Quantity("Hz", 1e2, 2e11, "converters make between 100 and 2e11 conversions a second"),
    "driver_supply": _VOLTS,
    "line_voltage": _VOLTS,
    "line_supply": _VOLTS,
    "write_voltage": _VOLTS,
    "cell_capacitance": Quantity("F", 1e-20, 1e-11, "a cell has less than 10 pF"),
    "end_capacitance": Quantity("F", 0.0, 1e-9, "the end of a line has less than 1 nF"),
    "adder": Quantity("J/bit", 1e-20, 1e-9, "a bit takes less than 1 nJ"),
    "buffer": Quantity("J/bit", 1e-20, 1e-9, "a bit takes less than 1 nJ"),
    "adc": Quantity("J", 1e-17, 1e-6, "a conversion takes between 10 aJ and 1 uJ"),
    "dac": Quantity("J", 1e-19, 1e-6, "a conversion takes between 0.1 aJ and 1 uJ"),
    "cell": Quantity("J", 1e-20, 1e-6, "a cell takes less than 1 uJ in a pulse"),
    "core": Quantity("J", 1e-16, 1e-3, "an array and its converters take less than 1 mJ in a read"),
    "cell_area": Quantity("m2", 1e-17, 1e-8, "a cell has between 10 nm2 and 0.01 mm2"),
    "adc_area": Quantity("m2", 1e-13, 1e-6, "a converter has between 0.1 um2 and 1 mm2"),
    "core_area": Quantity("m2", 1e-12, 1e-3, "a core has between 1 um2 and 1000 mm2"),
}


def checked(technology: Any) -> dict[str, Any]:
    """Return settings of a technology as it keeps them.

    Raises
    ------
    TypeError, ValueError
        If one is out of range, in another unit, or has no effect.
    """
    if not isinstance(technology.name, str) or not technology.name:
        fail(TypeError, f"name={technology.name!r} of a technology must be text, and not empty")
    node = as_float("node_nm", technology.node_nm, 0, above=True, unit=" nm")
    found: dict[str, Any] = {"node_nm": node, "coding": as_choice("coding", technology.coding, CODINGS)}
    for name, (unit, optional) in FIGURES.items():
        value = getattr(technology, name)
        if value is not None or not optional:
            found[name] = as_figure(name, value, unit, None, above=name not in ("end_capacitance",))
    for name, unit in ANCHORS.items():
        check_anchor(name, getattr(technology, name), unit)
    if not isinstance(technology.adc, AdcLaw):
        check_anchor("adc", technology.adc, "J", optional=technology.core is not None)
        if technology.adc is not None and technology.adc.bits is None:
            fail(
                ValueError, f"adc={technology.adc.value:g} J needs the bits of that converter: cost.Anchor(..., bits=8)"
            )
    if technology.adcs_per_array is not None:
        found["adcs_per_array"] = as_int("adcs_per_array", technology.adcs_per_array, 1)
    for name in ("sample_and_hold", "share_dacs"):
        found[name] = as_bool(name, getattr(technology, name))
    if technology.whole_arrays is not None:
        found["whole_arrays"] = as_bool("whole_arrays", technology.whole_arrays)
    if technology.core_array is not None:
        found["core_array"] = as_int_pair("core_array", technology.core_array)
    if technology.core_rdac is not None:
        found["core_rdac"] = as_int("core_rdac", technology.core_rdac, 2)
    for name in ("core_array", "core_rdac"):
        if name in found and technology.core is None:
            fail(ValueError, f"{name} has no effect without core=: leave it out")
    if technology.read_cycle is not None and found["read_cycle"].low < found["read_time"].low:
        fail(
            ValueError,
            f"read_cycle={technology.read_cycle} is shorter than read_time={technology.read_time}, a part of it",
        )
    if technology.line_supply is not None and technology.line_voltage is None:
        fail(ValueError, "line_supply has no effect without line_voltage=: leave it out")
    if (technology.cell_capacitance is None) != (technology.end_capacitance is None):
        fail(ValueError, "cell_capacitance and end_capacitance belong together: give both, or neither")
    if (technology.write_voltage is None) != (technology.write_time is None):
        fail(ValueError, "write_voltage and write_time belong together: give both, or neither")
    return found


def check_anchor(name: str, value: Any, unit: str, *, optional: bool = True) -> None:
    """Raise TypeError or ValueError if a setting is no anchor in a unit."""
    if optional and value is None:
        return
    if not isinstance(value, Anchor):
        fail(TypeError, f"{name}={value!r} must be a cost.Anchor in {unit}, with its source; in a file, a table")
    if value.unit != unit:
        fail(ValueError, f"{name} is an anchor in {value.unit}, and must be in {unit}: cost.Anchor(..., unit={unit!r})")
    if value.bits is not None and name in ("cell", "cell_area", "core_area"):
        fail(ValueError, f"bits={value.bits:g} of {name} has no effect, for it is no converter: leave it out")


def oddities(technology: Any) -> list[str]:
    """Return sentences about numbers that no machine has."""
    found = []
    for name, quantity in _SENSE.items():
        figure = getattr(technology, name)
        found += [] if figure is None or isinstance(figure, AdcLaw) else quantity.oddity(name, figure.value)
    return found
