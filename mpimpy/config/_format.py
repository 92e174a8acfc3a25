"""How operands become integers: the settings."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._caches import hashed_once
from ..checks import as_bool, as_int, as_int_pair, as_items, as_text, fail, set_fields
from ._hints import hinted, hinted_call
from ._shown import short_repr

__all__ = ["Format"]

MAX_BITS = 53  # an operand's code must fit the significand of a float64

# Slices of the named formats. Their widths are those of IEEE 754; a code aligned to a shared
# exponent carries two bits more than the mantissa: the sign and the leading one.
_NAMED: dict[str, tuple[tuple[int, ...], int | None]] = {
    "int4": ((1, 1, 2), None),
    "int8": ((1, 1, 2, 4), None),
    "bf16": ((1, 1, 3, 4), 8),
    "fp16": ((1, 1, 2, 4, 4), 5),
    "fp32": ((1, 1, 3, 4, 4, 4, 4, 4), 8),
}
_GRANULARITIES = ("finest", "per-matrix", "per-row", "per-col")
_MAPPINGS = ("twos", "signed", "offset")


@hinted
@hashed_once
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
    mapping : str
        Representation of a code's sign in hardware; see `mpimpy.cells.signs`. ``"twos"``: two's complement,
        the sign slice counts negatively. ``"signed"``, for weights also called ``"pair"``: sign and magnitude;
        inputs are positive or negative voltages, weights a differential pair of cells. ``"offset"``, weights
        only: half the range is added to every code, so that none is negative, and a unit column takes it
        away again.

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
    mapping: str = "twos"

    if TYPE_CHECKING:

        def __init__(
            self,
            slices: Iterable[int] = (1, 1, 2, 4),
            bw_e: int | None = None,
            double: bool = False,
            granularity: str | Iterable[int] = "finest",
            mapping: str = "twos",
        ) -> None: ...

    __repr__ = short_repr

    def __post_init__(self) -> None:
        slices = as_items("slices", self.slices)
        if not slices:
            fail(TypeError, f"slices={self.slices!r} must list the bits per slice, such as [1, 1, 2, 4]")
        slices = tuple(as_int("slices", bits, 1, 16) for bits in slices)
        if slices[0] != 1:
            fail(ValueError, f"slices={list(slices)} must begin with 1, the sign bit: put a 1 in front")
        if not 2 <= sum(slices) <= MAX_BITS:
            fail(
                ValueError, f"slices={list(slices)} have {sum(slices)} bits in all: an operand has 2 to {MAX_BITS} bits"
            )
        bw_e = None if self.bw_e is None else as_int("bw_e", self.bw_e, 1, 11)
        double = as_bool("double exponent (dbfp_en)", self.double)
        if double and bw_e is None:
            fail(ValueError, "a double exponent (dbfp_en=True) needs an exponent width: set bw_e, for example bw_e=8")
        granularity: Any = as_text(self.granularity)
        if granularity is not None:
            if granularity not in _GRANULARITIES:
                fail(
                    ValueError,
                    f"granularity {granularity!r} is unknown: use one of {', '.join(_GRANULARITIES)}, or a shape",
                )
        else:
            granularity = as_int_pair("granularity", self.granularity)
        mapping = as_text(self.mapping)
        mapping = "signed" if mapping == "pair" else mapping
        if mapping not in _MAPPINGS:
            names = "'twos', 'signed' (for weights also called 'pair') or 'offset'"
            fail(ValueError, f"mapping {self.mapping!r} is unknown: use {names}")
        set_fields(self, mapping=mapping, slices=slices, bw_e=bw_e, double=double, granularity=granularity)

    @classmethod
    @hinted_call
    def named(cls, name: str, granularity: str | Iterable[int] = "finest", mapping: str = "twos") -> "Format":
        """Return the format called ``int4``, ``int8``, ``bf16``, ``fp16`` or ``fp32``.

        Examples
        --------
        >>> Format.named("int8").slices
        (1, 1, 2, 4)
        """
        text = as_text(name)
        if text not in _NAMED:
            fail(ValueError, f"format {name!r} is unknown: use one of {', '.join(_NAMED)}, or list the slices")
        slices, bw_e = _NAMED[text]
        return cls(slices, bw_e=bw_e, granularity=granularity, mapping=mapping)

    @property
    def bits(self) -> int:
        """Bits of an operand's integer code."""
        return sum(self.slices)

    @property
    def signed(self) -> bool:
        """Whether digits carry the sign of their code."""
        return self.mapping == "signed"

    @property
    def offset(self) -> int:
        """Number that is added to every code before it is sliced."""
        return 2 ** (self.bits - 1) if self.mapping == "offset" else 0

    @property
    def digits(self) -> tuple[int, ...]:
        """Bits of each digit, most significant first: one for every array that holds part of a code.

        The slices themselves in two's complement. Sign and magnitude have no array for the sign,
        and with an offset the sign bit joins the slice below it.

        Examples
        --------
        >>> [Format((1, 1, 2, 4), mapping=mapping).digits for mapping in ("twos", "signed", "offset")]
        [(1, 1, 2, 4), (1, 2, 4), (2, 2, 4)]
        """
        if self.mapping == "twos":
            return self.slices
        first, *rest = self.slices[1:]
        return (first + (self.mapping == "offset"), *rest)

    @property
    def ascending(self) -> tuple[int, ...]:
        """Bits per digit, least significant first: the order in which digits are stored."""
        return self.digits[::-1]

    @property
    def shifts(self) -> tuple[int, ...]:
        """Weight of each digit, least significant first; negative for the sign slice of two's complement."""
        bits = self.ascending
        found = [2 ** sum(bits[:index]) for index in range(len(bits))]
        return (*found[:-1], -found[-1] if self.mapping == "twos" else found[-1])

    @property
    def planes(self) -> int:
        """Number of codes per element: 2 with a double exponent."""
        return 2 if self.double else 1

    @property
    def cells_per_digit(self) -> int:
        """Number of cells that hold one digit of a weight: 2 in a differential pair."""
        return 2 if self.signed else 1

    @property
    def arrays(self) -> int:
        """Number of arrays that hold a tile of weights: one per digit, plane and cell of a digit.

        Examples
        --------
        >>> Format((1, 1, 2, 4)).arrays, Format((1, 1, 2, 4), mapping="pair").arrays
        (4, 6)
        """
        return len(self.digits) * self.planes * self.cells_per_digit
