"""All settings of a product together."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from .._caches import hashed_once
from ..checks import fail
from ._adc import ADC, Ranges
from ._device import Device
from ._format import Format
from ._hints import hinted
from ._parts import DAC, Tile, Wires
from ._shown import short_repr

if TYPE_CHECKING:
    from ._changes import Changes

__all__ = ["Config", "Parts"]


class Parts(TypedDict, total=False):
    """Parts of a configuration that `Config.replace` takes: each a whole part, or a dict of single settings of it."""

    device: Device | dict[str, Any]
    dac: DAC | dict[str, Any]
    adc: ADC | dict[str, Any]
    tile: Tile | dict[str, Any]
    inputs: Format | dict[str, Any]
    weights: Format | dict[str, Any]
    wires: Wires | dict[str, Any] | None


@hinted
@hashed_once
@dataclass(frozen=True)
class Config:
    """All settings that decide a product; only the seed of the random numbers is apart.

    Parameters
    ----------
    device : Device
    dac : DAC
    adc : ADC
    tile : Tile
    inputs, weights : Format
        Formats of the two operands.
    wires : Wires or None
        None: wires without resistance.

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
    wires: Wires | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        kinds: dict[str, type] = {"device": Device, "dac": DAC, "adc": ADC, "tile": Tile}
        for name, kind in (kinds | {"inputs": Format, "weights": Format}).items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                fail(
                    TypeError,
                    f"{name}={value!r} must be {'an' if kind is ADC else 'a'} {kind.__name__}, such as {kind()!r}",
                )
        if self.wires is not None and not isinstance(self.wires, Wires):
            fail(TypeError, f"wires={self.wires!r} must be None or Wires, such as Wires(r_word=2.93, r_bit=2.93)")
        if self.inputs.mapping == "offset":
            fail(ValueError, "inputs cannot be mapped by an offset, which takes a column of cells: use 'signed'")
        if self.weights.signed and self.tile.reference_columns > 1:
            fail(
                ValueError,
                f"reference_columns={self.tile.reference_columns} has no effect with differential pairs, which have no "
                "reference column: leave it out",
            )
        if self.device.redraws or self.device.draws_rows:
            self._check_redraw()
        if self._wires_per_read is not None and self.device.var == 0:
            fail(ValueError, "exact_reads=True has no effect without read variation (var=0): leave it out")

    def _check_redraw(self) -> None:
        if self.adc.per == "product":
            fail(
                ValueError,
                f"redraw={self.device.redraw!r} draws read variation for each input slice, and per='product' takes the "
                "sum of their codes to the same cells: use redraw='product', or per='slice'",
            )
        if self.device.draws_rows and self._wires_per_read is not None:
            fail(
                ValueError,
                "exact_reads=True solves the circuit of cells that vary, and redraw='row' draws whole currents: use "
                "redraw='slice', or exact_reads=False",
            )

    def _check(self, *parts: str) -> None:
        """Raise ValueError if the slices of `parts` ("inputs", "weights") do not fit DACs, cells or ADCs.

        Building a configuration does not check this, because `SlicedData` may bring formats of its own.
        """
        for part in parts:
            operand, name, levels = {
                "inputs": ("input", "rdac", self.dac.rdac),
                "weights": ("weight", "g_level", self.device.g_level),
            }[part]
            widest, most = max(getattr(self, part).digits), int(math.log2(levels))
            if 2**widest > levels:
                mend, fmt = f"use slices of at most {most} bit{'s' * (most > 1)}", getattr(self, part)
                if fmt.digits[0] == widest > fmt.slices[1]:
                    there = f"at most {most - 1} bits there and {most} in the others" if most > 1 else "another mapping"
                    mend = f"an offset makes the slice of {widest - 1} bits after the sign's one bit wider: use {there}"
                fail(
                    ValueError,
                    f"{operand} slice of {widest} bits needs {2**widest} levels but {name}={levels}: "
                    f"{mend}, or {name}={2**widest}",
                )
        radc, ranges = self.adc.radc, self.adc.range
        count = len(self.weights.digits)
        if "weights" in parts and isinstance(radc, tuple) and len(radc) != count:
            fail(
                ValueError,
                f"radc={radc} gives {len(radc)} ADC resolutions for {count} weight slices: "
                "give one per slice, most significant first, or one number for all",
            )
        if isinstance(ranges, Ranges):
            shape = (len(ranges.low), len(ranges.low[0]))
            whole = self.adc.per == "product"
            wanted = (count, 1 if whole else len(self.inputs.digits))
            if any(part in parts and shape[axis] != wanted[axis] for axis, part in enumerate(("weights", "inputs"))):
                mend = "with per='product' give one number a row" if whole else "calibrate again with these formats"
                fail(
                    ValueError,
                    f"range=Ranges(...) is for {shape[0]} weight slices by {shape[1]} input slices, and there are "
                    f"{wanted[0]} by {wanted[1]}: {mend}",
                )

    def _check_written_with(self, other: "Config") -> None:
        """Raise an error unless a matrix that was written with `other` has these settings.

        Parameters
        ----------
        other : Config

        Raises
        ------
        ValueError
            If they differ: it names the settings.
        """
        if other is self or other == self:
            return
        found = list(_differences(other, self))
        shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        fail(
            ValueError,
            f"W was programmed with other settings than this engine's ({shown}), and keeps them: "
            "read it with x @ W, or program its weights with this engine",
        )

    @property
    def radc(self) -> tuple[int, ...] | None:
        """ADC codes per weight slice, most significant first; None when ideal."""
        radc = self.adc.radc
        return radc if radc is None or isinstance(radc, tuple) else (radc,) * len(self.weights.digits)

    @property
    def _radc_ascending(self) -> tuple[int, ...] | None:
        """ADC codes per weight slice, least significant first; None when ideal."""
        return None if self.radc is None else self.radc[::-1]

    @property
    def _wires_once(self) -> Wires | None:
        """Wires that are solved once, when a matrix is programmed; None if there are none."""
        return None if self.wires is None or self.wires.exact_reads else self.wires

    @property
    def _wires_per_read(self) -> Wires | None:
        """Wires that are solved again for each read; None if there are none."""
        return self.wires if self.wires is not None and self.wires.exact_reads else None

    def replace(self, **changes: Unpack["Changes"]) -> "Config":
        """Return a copy with whole parts, or single settings, replaced.

        Parameters
        ----------
        **changes
            ``device``, ``dac``, ``adc``, ``tile``, ``inputs``, ``weights`` or ``wires``: a whole part, or a dict
            of the settings to change in it. Or flat names of settings, such as ``radc=1024, x_slices=[1, 3]``.
            ``device`` is always the memristors. A part and a flat name of a setting in it cannot both be given.
            ``device_file`` replaces the levels and the write variation of the device, ``stuck_fault_ratio`` both
            shares of stuck cells.

        Returns
        -------
        Config

        Raises
        ------
        TypeError
            For an unknown part or setting, with the nearest known one; for a part beside a setting of it.
        ValueError
            If a setting is out of range, or belongs to wires that there are not.

        Examples
        --------
        >>> Config().replace(device=dict(var=0.0)).device.var
        0.0
        >>> Config().replace(radc=1024, array_size=(128, 64)).tile.rows
        128
        """
        from ._changes import changed

        return changed(self, changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values that JSON can hold; see `mpimpy.config.to_dict`.

        Examples
        --------
        >>> Config().to_dict()["dac"]
        {'kind': 'DAC', 'rdac': 16, 'vread': 0.1, 'vnoise': 0.0}
        """
        from ._plain import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "Config":
        """Return the configuration that plain values describe; see `mpimpy.config.from_dict`.

        Parameters
        ----------
        mapping : mapping
            One entry per part; what is left out has its default.

        Raises
        ------
        TypeError, ValueError
            If an entry is wrong. The message begins with its dotted key.

        Examples
        --------
        >>> Config.from_dict({"tile": {"rows": 32}, "adc": {"radc": 1024}}).tile.rows
        32
        """
        from ._plain import from_plain

        return from_plain(cls, mapping)


def _differences(one: Any, two: Any, prefix: str = "") -> Iterator[str]:
    # "device.var=0.05, not 0.0" for each setting that differs
    for name in (setting.name for setting in dataclasses.fields(one)):
        a, b = getattr(one, name), getattr(two, name)
        if a == b:
            continue
        if prefix == "" and dataclasses.is_dataclass(a) and dataclasses.is_dataclass(b):
            yield from _differences(a, b, f"{name}.")
        else:
            yield f"{prefix}{name}={a}, not {b}"
