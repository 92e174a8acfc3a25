"""All settings of a product together."""

import dataclasses
import math
from dataclasses import dataclass, field

from ..checks import check_names, fail
from ._device import Device
from ._format import Format
from ._parts import ADC, DAC, Tile

__all__ = ["Config"]


@dataclass(frozen=True)
class Config:
    """Everything that decides what a product is, save the random numbers' seed.

    Parameters
    ----------
    device : Device
    dac : DAC
    adc : ADC
    tile : Tile
    inputs, weights : Format
        Formats of the two operands.

    Raises
    ------
    TypeError
        If a part is not of its class.

    Examples
    --------
    >>> Config(tile=Tile(128, 128)).tile.cols
    128
    """

    device: Device = field(default_factory=Device)
    dac: DAC = field(default_factory=DAC)
    adc: ADC = field(default_factory=ADC)
    tile: Tile = field(default_factory=Tile)
    inputs: Format = field(default_factory=Format)
    weights: Format = field(default_factory=Format)

    def __post_init__(self):
        for part in dataclasses.fields(self):
            kind, value = part.default_factory, getattr(self, part.name)
            if not isinstance(value, kind):
                fail(TypeError, f"{part.name}={value!r} must be a {kind.__name__}, such as {kind()!r}")

    def check(self, *parts):
        """Raise ValueError if the slices of `parts` ("inputs", "weights") need more than there is.

        Apart from building, because `SlicedData` may bring formats of its own.
        """
        for part in parts:
            operand, name, levels = {
                "inputs": ("input", "rdac", self.dac.rdac),
                "weights": ("weight", "g_level", self.device.g_level),
            }[part]
            widest = max(getattr(self, part).slices)
            if 2**widest > levels:
                fail(
                    ValueError,
                    f"{operand} slice of {widest} bits needs {2**widest} levels but {name}={levels}: "
                    f"use slices of at most {int(math.log2(levels))} bits, or {name}={2**widest}",
                )
        radc = self.adc.radc
        if "weights" in parts and isinstance(radc, tuple) and len(radc) != len(self.weights.slices):
            fail(
                ValueError,
                f"radc={radc} gives {len(radc)} ADC resolutions for {len(self.weights.slices)} weight slices: "
                "give one per slice, most significant first, or one number for all",
            )

    @property
    def radc(self):
        """ADC codes per weight slice, most significant first; None when ideal."""
        radc = self.adc.radc
        return radc if radc is None or isinstance(radc, tuple) else (radc,) * len(self.weights.slices)

    @property
    def radc_ascending(self):
        """ADC codes per weight slice, least significant first; None when ideal."""
        return None if self.radc is None else self.radc[::-1]

    def replace(self, **parts):
        """Return a copy with whole parts, or single settings of parts, replaced.

        Examples
        --------
        >>> Config().replace(device=dict(var=0.0)).device.var
        0.0
        """
        check_names(parts, [part.name for part in dataclasses.fields(self)], "part")
        for name, value in parts.items():
            if isinstance(value, dict):
                old = getattr(self, name)
                check_names(value, [item.name for item in dataclasses.fields(old)])
                parts[name] = dataclasses.replace(old, **value)
        return dataclasses.replace(self, **parts)
