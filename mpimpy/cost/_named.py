"""Technologies by name: published laws at any node, and published chips."""

import difflib
import math
import re
from collections.abc import Callable

from ..checks import fail
from ._figure import Anchor, Figure
from ._laws import check_node, digital_factor, survey_law
from ._technology import Technology

__all__ = ["NAMES", "generic", "named"]

BAND = 2.0  # of laws that are scaled from another node

_WAN = "W. Wan et al., Nature 608 (2022) 504, doi:10.1038/s41586-022-04992-8"
_FIGURE = f"{_WAN}, read off its figure 12"
_FORGE = "calibration of AccelForge for this chip"
_HERMES = "R. Khaddam-Aljameh et al., IEEE JSSC 57 (2022) 1027"
_ISAAC = "A. Shafiee et al., ISCA 2016, 14, doi:10.1109/ISCA.2016.12: budget of a design"
_ALADDIN = "adder of Y. S. Shao et al., Aladdin, ISCA 2014, 97: 0.21 pJ for 32 bits at 40 nm"
_HOROWITZ = "M. Horowitz, ISSCC 2014, 10: 10 pJ for 64 bits of 8 KB at 45 nm and 0.9 V"
_BAAS = "scaled by A. Stillmaker and B. Baas, Integration 58 (2017) 74"


def _scaled(value: float, unit: str, factor: float, source: str, how: str) -> Figure:
    source = source if factor == 1 else f"{source}; {how}, times {factor:.3g}"
    return Figure(value * factor, unit, value * factor / BAND, value * factor * BAND, f"{source}; band of {BAND:g}")


def generic(node_nm: float) -> Technology:
    """Return a technology of published laws at a node, nm; see `Technology.generic`."""
    node = check_node(node_nm)
    lines, pitch = "scaled by pitch", node / 130
    return Technology(
        name=f"generic-{node:g}",
        node_nm=node,
        read_time=Figure.chosen(1e-7, "s", "chosen"),
        adc=survey_law(node),
        adc_rate=Figure.chosen(1e8, "Hz", "chosen"),
        cell_capacitance=_scaled(2.1e-15, "F", pitch, f"{_WAN}, 130 nm: a cell", lines),
        end_capacitance=_scaled(48e-15, "F", pitch, f"{_WAN}, 130 nm: an end", lines),
        adder=_scaled(6.6e-15, "J/bit", digital_factor(40, node), _ALADDIN, _BAAS),
        buffer=_scaled(10e-12 / 64, "J/bit", digital_factor(45, node, 0.9), _HOROWITZ, _BAAS),
    )


def _within(value: float, unit: str, source: str) -> Figure:
    # of a chip: the band of an anchor
    return Figure(value, unit, 0.9 * value, 1.1 * value, f"{source}; band of 10 % assumed")


def _neurram() -> Technology:
    base = generic(130)
    return base.replace(
        name="neurram-2022",
        note=f"{_WAN}: chip of 48 arrays of 256 x 256 cells; weights in pairs of cells, ternary inputs",
        read_time=_within(1e-8, "s", f"{_FORGE}: pulse"),
        read_cycle=_within(2.7e-7, "s", f"{_FORGE}: integration"),
        line_voltage=_within(1.3, "V", f"{_WAN}: gates from 0.9 to 2.2 V"),
        line_supply=_within(2.2, "V", _WAN),
        cell_capacitance=_within(2.1e-15, "F", _WAN),
        end_capacitance=_within(48e-15, "F", _WAN),
        adc=Anchor(13.436e-12, bits=8, source=f"{_FIGURE}: neuron, 8 bits"),
        adc_rate=_within(1 / 2.7e-6, "Hz", f"{_FORGE}: 8 bits of 0.3 us, and 0.3 us"),
        sample_and_hold=False,
        write_voltage=_within(1.75, "V", f"{_FORGE}: set"),
        write_time=_within(8.52e-6, "s", f"{_FORGE}: set"),
        cell_area=Anchor(2.13e-12, unit="m2", source=_WAN),
        adc_area=Anchor(1270e-12, unit="m2", source=f"{_WAN}: neuron"),
    )


def _hermes() -> Technology:
    return Technology(
        name="hermes-2022",
        node_nm=14,
        note=f"{_HERMES}: core of 256 x 256 unit cells of phase-change memory",
        read_time=_within(1e-9, "s", f"{_HERMES}: clock of 1 GHz, a step of the pulse width"),
        coding="width",
        adc=None,
        adc_rate=_within(1 / 132.9e-9, "Hz", f"{_HERMES}: 1.59 TOPS/mm2 on 0.62 mm2"),
        core=Anchor(12.48e-9, bits=8, source=f"{_HERMES}: 10.5 TOPS/W"),
        core_array=(256, 256),
        core_rdac=128,
        core_area=Anchor(0.62e-6, unit="m2", source=f"{_HERMES}: 1.59 TOPS/mm2, and one of 64 cores of 63.1 TOPS"),
    )


def _isaac() -> Technology:
    return Technology(
        name="isaac-2016",
        node_nm=32,
        note=f"{_ISAAC}; the chip that it cites for its ADC takes 1.6 times its energy",
        read_time=_within(1e-7, "s", _ISAAC),
        adc=Anchor(2e-3 / 1.28e9, bits=8, source=f"{_ISAAC}: 2 mW at 1.28 GS/s"),
        adc_rate=_within(1.28e9, "Hz", _ISAAC),
        adcs_per_array=1,
        dac=Anchor(3.9e-6 * 1e-7, bits=1, source=f"{_ISAAC}: 3.9 uW for 100 ns"),
        cell=Anchor(0.3e-3 * 1e-7 / 128**2, source=f"{_ISAAC}: 0.3 mW for 128 x 128 cells and 100 ns"),
        adder=_within(0.2e-3 / (8 * 1.28e9 * 16), "J/bit", f"{_ISAAC}: 0.2 mW for 16 bits of 8 ADCs"),
        buffer=_within(1.24e-3 * 1e-7 / (8 * 128), "J/bit", f"{_ISAAC}: input register of 1.24 mW"),
        cell_area=Anchor(25e-12 / 128**2, unit="m2", source=f"{_ISAAC}: 25 um2 for 128 x 128 cells"),
        adc_area=Anchor(1200e-12, bits=8, unit="m2", source=_ISAAC),
    )


_CHIPS: dict[str, Callable[[], Technology]] = {
    "neurram-2022": _neurram,
    "hermes-2022": _hermes,
    "isaac-2016": _isaac,
}
NAMES = ("generic-28", *_CHIPS)


def is_named(technology: Technology) -> bool:
    """Return whether a technology is that of its name."""
    known = technology.name in _CHIPS or re.fullmatch(r"generic-\d+(\.\d+)?", technology.name) is not None
    return known and named(technology.name) == technology


def named(name: str) -> Technology:
    """Return a technology by its name; see `Technology.named`."""
    name = name.lower()
    found = re.fullmatch(r"generic-([1-9]\d*(?:\.\d+)?)(?:nm)?", name)
    if found is not None and math.isfinite(float(found[1])):
        return generic(float(found[1]))
    if name not in _CHIPS:
        known = ", ".join(map(repr, NAMES))
        near = (
            difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5)
            or [n for n in NAMES if name and n.startswith(name)][:1]
        )
        hint = f"did you mean {near[0]!r}? " if near else ""
        if "/" in name or "." in name:
            hint = "a file of one has a name that ends in .toml or .json; "
        fail(ValueError, f"unknown technology {name!r}: {hint}known are {known}, and generic- with another node in nm")
    return _CHIPS[name]()
