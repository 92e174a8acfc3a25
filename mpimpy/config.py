"""The settings of a simulated crossbar: frozen dataclasses, validated when built.

Units are SI: conductances in siemens, voltages in volts. Spreads (``var``, ``write_var``,
``vnoise``) are relative, so 0.05 means 5 %. ``None`` stands for an ideal part.
"""

import dataclasses
import math
from dataclasses import dataclass, field

from .checks import check_names, fail, flag, pair, real, spread, whole

__all__ = ["ADC", "DAC", "Config", "Device", "Format", "Tile"]

MAX_BITS = 53  # an operand's code must fit the significand of a float64
MAX_LEVELS = 1 << 16
MAX_ROWS = 1 << 16


def _set(instance, **values):
    for name, value in values.items():
        object.__setattr__(instance, name, value)


@dataclass(frozen=True)
class Device:
    """The memristors: conductance range, levels, variation and faults.

    Parameters
    ----------
    HGS, LGS : float
        Highest and lowest conductance that a cell is programmed to, S. ``0 <= LGS < HGS``.
    g_level : int
        Number of evenly spaced conductance levels, ends included.
    var : float
        Read variation: each read multiplies every conductance by ``exp(N(0, var))``.
        0 switches it off.
    write_var : float
        Write variation, of the same form, drawn once per chip when a cell is programmed.
    stuck_HGS, stuck_LGS : float
        Share of the cells (0 to 1) that sit at HGS, or at LGS, whatever is written.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or not a number.

    Examples
    --------
    >>> Device(g_level=32, var=0.02).step_S < 1e-6
    True
    """

    HGS: float = 1e-5
    LGS: float = 1e-7
    g_level: int = 16
    var: float = 0.05
    write_var: float = 0.0
    stuck_HGS: float = 0.0
    stuck_LGS: float = 0.0

    def __post_init__(self):
        _set(
            self,
            HGS=real("HGS", self.HGS, 0, above=True, unit=" S"),
            LGS=real("LGS", self.LGS, 0, unit=" S"),
            g_level=whole("g_level", self.g_level, 2, MAX_LEVELS),
            var=spread("var", self.var),
            write_var=spread("write_var", self.write_var),
            stuck_HGS=real("stuck_HGS", self.stuck_HGS, 0, 1),
            stuck_LGS=real("stuck_LGS", self.stuck_LGS, 0, 1),
        )
        if self.LGS >= self.HGS:
            fail(ValueError, f"LGS={self.LGS:g} S must be below HGS={self.HGS:g} S")
        if self.stuck_HGS + self.stuck_LGS > 1:
            fail(
                ValueError,
                f"stuck_HGS={self.stuck_HGS:g} and stuck_LGS={self.stuck_LGS:g} add up to more than 1: "
                "they are shares of all cells",
            )

    @property
    def step_S(self):
        """Conductance between two neighbouring levels, S."""
        return (self.HGS - self.LGS) / (self.g_level - 1)

    @property
    def rho(self):
        """LGS in levels: the conductance of the reference column's cells."""
        return self.LGS / self.step_S


@dataclass(frozen=True)
class DAC:
    """The input converters that drive the word lines.

    Parameters
    ----------
    rdac : int
        Number of output levels.
    vread : float
        Voltage of the highest level, V.
    vnoise : float
        Noise of each conversion, relative to its voltage: the factor is ``1 + N(0, vnoise)``.

    Examples
    --------
    >>> DAC(rdac=256).rdac
    256
    """

    rdac: int = 16
    vread: float = 0.1
    vnoise: float = 0.0

    def __post_init__(self):
        _set(
            self,
            rdac=whole("rdac", self.rdac, 2, MAX_LEVELS),
            vread=real("vread", self.vread, 0, above=True, unit=" V"),
            vnoise=spread("vnoise", self.vnoise),
        )


@dataclass(frozen=True)
class ADC:
    """The output converters that read the bit lines.

    Parameters
    ----------
    radc : int, sequence of int, or None
        Number of codes; a sequence holds one number per weight slice, most significant first.
        None is the ideal converter, which does not round.
    snap : bool
        Round each reconstructed partial product of two digits to the nearest integer before
        shift-and-add: the digital side knows that it is one.
    saturate : bool
        Clip at the ends of the range, as a real converter does. False lets codes run past
        them, to tell the cost of saturation from that of rounding.

    Examples
    --------
    >>> ADC(radc=None).radc is None
    True
    """

    radc: int | tuple[int, ...] | None = 256
    snap: bool = False
    saturate: bool = True

    def __post_init__(self):
        radc = self.radc
        if radc is not None:
            many = hasattr(radc, "__iter__") and not isinstance(radc, str) and getattr(radc, "ndim", 1) > 0
            radc = tuple(whole("radc", r, 2, 1 << 53) for r in radc) if many else whole("radc", radc, 2, 1 << 53)
        if radc == ():
            fail(ValueError, "radc=() gives no resolution: give one number, one per weight slice, or None for ideal")
        _set(self, radc=radc, snap=flag("snap", self.snap), saturate=flag("saturate", self.saturate))
        for name in ("snap",) * self.snap + ("saturate",) * (not self.saturate):
            if radc is None:
                fail(ValueError, f"{name}={getattr(self, name)} has no effect with radc=None (ideal ADC): leave it out")


@dataclass(frozen=True)
class Tile:
    """One physical array.

    Parameters
    ----------
    rows, cols : int
        Cells along the bit line and along the word line.

    Examples
    --------
    >>> Tile(128, 128).rows
    128
    """

    rows: int = 64
    cols: int = 64

    def __post_init__(self):
        _set(self, rows=whole("rows", self.rows, 1, MAX_ROWS), cols=whole("cols", self.cols, 1, MAX_ROWS))


# Slices of the named formats. Their widths are those of IEEE 754; a code aligned to a shared
# exponent carries two bits more than the mantissa: the sign and the leading one.
_NAMED = {
    "int4": ((1, 1, 2), None),
    "int8": ((1, 1, 2, 4), None),
    "bf16": ((1, 1, 3, 4), 8),
    "fp16": ((1, 1, 2, 4, 4), 5),
    "fp32": ((1, 1, 3, 4, 4, 4, 4, 4), 8),
}
_GRANULARITIES = ("finest", "per-matrix", "per-row", "per-col")


@dataclass(frozen=True)
class Format:
    """How an operand becomes integers.

    Parameters
    ----------
    slices : sequence of int
        Bits per slice, most significant first; the first is the sign bit, 1. At most 53 in all.
    bw_e : int or None
        None for INT (a scale per block). A number for block floating point: the bits of the
        exponent that a block shares, which then lies in ``-2**(bw_e-1) .. 2**(bw_e-1) - 1``.
    double : bool
        Double exponent: elements above their block's mean magnitude share one exponent, the
        others a second one. Needs `bw_e`.
    granularity : str or tuple of int
        The block that shares a scale: ``"finest"`` (one per input row, or weight column, within
        each tile), ``"per-matrix"``, ``"per-row"``, ``"per-col"``, or a shape such as ``(64, 64)``.
        Along the summed axis a block must hold whole tiles: a current is summed over a tile
        before any scale can be applied.

    Examples
    --------
    >>> Format((1, 1, 2, 4)).bits
    8
    >>> Format.named("fp16").bw_e
    5
    """

    slices: tuple[int, ...] = (1, 1, 2, 4)
    bw_e: int | None = None
    double: bool = False
    granularity: str | tuple[int, int] = "finest"

    def __post_init__(self):
        try:
            slices = tuple(self.slices)
        except TypeError:
            slices = ()
        if isinstance(self.slices, str) or not slices:
            fail(TypeError, f"slices={self.slices!r} must list the bits per slice, such as [1, 1, 2, 4]")
        slices = tuple(whole("slices", bits, 1, 16) for bits in slices)
        if slices[0] != 1:
            fail(ValueError, f"slices={list(slices)} must begin with 1, the sign bit: put a 1 in front")
        if not 2 <= sum(slices) <= MAX_BITS:
            fail(
                ValueError, f"slices={list(slices)} have {sum(slices)} bits in all: an operand has 2 to {MAX_BITS} bits"
            )
        bw_e = None if self.bw_e is None else whole("bw_e", self.bw_e, 1, 11)
        double = flag("double exponent (dbfp_en)", self.double)
        if double and bw_e is None:
            fail(ValueError, "a double exponent (dbfp_en=True) needs an exponent width: set bw_e, for example bw_e=8")
        granularity = self.granularity
        if isinstance(granularity, str):
            if granularity not in _GRANULARITIES:
                fail(
                    ValueError,
                    f"granularity {granularity!r} is unknown: use one of {', '.join(_GRANULARITIES)}, or a shape",
                )
        else:
            granularity = pair("granularity", granularity)
        _set(self, slices=slices, bw_e=bw_e, double=double, granularity=granularity)

    @classmethod
    def named(cls, name, granularity="finest"):
        """Return the format called ``int4``, ``int8``, ``bf16``, ``fp16`` or ``fp32``.

        Examples
        --------
        >>> Format.named("int8").slices
        (1, 1, 2, 4)
        """
        if name not in _NAMED:
            fail(ValueError, f"format {name!r} is unknown: use one of {', '.join(_NAMED)}, or list the slices")
        slices, bw_e = _NAMED[name]
        return cls(slices, bw_e=bw_e, granularity=granularity)

    @property
    def bits(self):
        """Bits of an operand's integer code."""
        return sum(self.slices)

    @property
    def ascending(self):
        """Bits per slice, least significant first: the order in which slices are stored."""
        return self.slices[::-1]

    @property
    def planes(self):
        """Number of codes per element: 2 with a double exponent."""
        return 2 if self.double else 1


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
