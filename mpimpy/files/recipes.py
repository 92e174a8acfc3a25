"""Recipes of programmed matrices: what a pickle holds of one, from which the same cells are written again.

Writing is a function of the integer codes, their scales, the settings, the addresses and the map of faults, and ageing
of the time as well. So the cells stay behind: a recipe takes one byte a weight for codes of 8 bits.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends import BlockScales, Slicing
from ..checks import fail
from ..config import ARITHMETIC, Config
from ..crossbar.programmed import Age, Programmed, aged, program
from ..noise import Address
from ..operands.encoding import Encoded
from .chips import ToBackend
from .npz import to_numpy

__all__ = ["Recipe", "recipe_of"]

_AT_ONCE = 1 << 20  # weights whose codes are packed or unpacked at once: what is needed beside the result stays small
_SINGLE = 25  # bits of a signed code that float32 holds


@dataclass(frozen=True, eq=False)
class Recipe:
    """A programmed matrix without its cells.

    Attributes
    ----------
    arithmetic : int
        Version of the arithmetic: the next one might write other cells.
    config : Config
    address : Address
    encoded : Encoded
        Of NumPy arrays, without digits: an empty array of their dtype stands for them.
    shape : (int, int)
        (K, N).
    codes : tuple of uint8 arrays
        Codes, plus half of their range: whole bytes of all of them, least significant first, then their single bits,
        packed.
    planes : uint8 array or None
        Of a double exponent: packed bits, 1 where the second plane holds the code.
    faults : int8 array, (integer array, integer array), or None
        Map of stuck cells; where it has few, their flat places at HGS and at LGS.
    age : Age or None
    """

    arithmetic: int
    config: Config
    address: Address
    encoded: Encoded
    shape: tuple[int, int]
    codes: tuple[Any, ...]
    planes: Any
    faults: Any
    age: Age | None

    def __setstate__(self, state: dict[str, Any]) -> None:
        if (found := state["arithmetic"]) != ARITHMETIC:
            fail(
                ValueError,
                f"this matrix was pickled by an mpimpy of arithmetic {found}, and one of arithmetic {ARITHMETIC} "
                "would write other cells: use the same mpimpy on both sides, or program the weights again",
            )
        self.__dict__.update(state)

    def write(self, backend: Any, to_backend: ToBackend) -> Programmed:
        """Return the matrix, its cells written again.

        Parameters
        ----------
        backend : module
            A backend.
        to_backend : function
            Converts a NumPy array to an array of the backend.
        """
        digits, scales = (
            to_backend(self._digits(backend, to_backend)),
            to_backend(self.encoded.scales.astype("float64")),
        )
        encoded = dataclasses.replace(self.encoded, digits=digits, scales=scales)
        found = program(backend, self.config, encoded, self.address, self._fault_map())
        if (age := self.age) is None:
            return found
        found = aged(backend, found, age.time_s, False)
        return dataclasses.replace(found, scales=found.scales * age.ratio if age.compensate else found.scales, age=age)

    def _digits(self, backend: Any, to_backend: ToBackend) -> Any:
        fmt, encoded, (depth, width) = self.config.weights, self.encoded, self.shape
        slicing = Slicing(encoded.bits, encoded.strides, encoded.digits.dtype.name, fmt.signed, encoded.offset)
        found = np.empty((fmt.planes, len(encoded.bits), 1, depth, width), encoded.digits.dtype)
        step, one = max(1, _AT_ONCE // width), to_backend(np.ones((1, 1, 1)))
        for start in range(0, depth, step):
            rows = slice(start, min(start + step, depth))
            codes = self._whole_codes(rows)
            second = None if self.planes is None else _bits(self.planes, rows, self.shape)
            for plane in range(fmt.planes):
                own = codes if second is None else np.where(second == plane, codes, 0)
                values = to_backend(own[None, ...].astype("float32" if fmt.bits <= _SINGLE else "float64"))
                digits = backend.digits(values, own.shape, BlockScales(one), slicing)
                found[plane, :, :, rows, :] = to_numpy(digits)
        return found

    def _whole_codes(self, rows: slice) -> Any:
        # the codes of some rows, int64
        bits, width = self.config.weights.bits, self.shape[1]
        total = np.full((rows.stop - rows.start, width), -(1 << (bits - 1)), np.int64)
        for place, part in enumerate(self.codes):
            whole = place < bits // 8
            shift = 8 * place if whole else 8 * (bits // 8) + place - bits // 8
            total += (part[rows] if whole else _bits(part, rows, self.shape)).astype(np.int64) << shift
        return total

    def _fault_map(self) -> Any:
        if not isinstance(self.faults, tuple):
            return self.faults
        found = np.zeros((self.config.weights.arrays, *self.shape), np.int8)
        for value, places in zip((1, -1), self.faults, strict=True):
            found.reshape(-1)[places] = value
        return found


def _bits(packed: Any, rows: slice, shape: tuple[int, int]) -> Any:
    # packed bits of some rows, each row in bytes of its own
    return np.unpackbits(packed[rows], axis=1, count=shape[1])


def recipe_of(programmed: Programmed) -> Recipe:
    """Return the recipe of a matrix whose cells were programmed here.

    Parameters
    ----------
    programmed : Programmed
        Not `stored`: its cells are those that programming gives.
    """
    config, encoded, shape = programmed.config, programmed.encoded, programmed.shape
    digits, scales = to_numpy(encoded.digits), to_numpy(encoded.scales)
    codes, planes = _packed(config, encoded, digits, shape)
    if np.array_equal(single := _single(scales), scales):
        scales = single  # powers of two, mostly
    return Recipe(
        arithmetic=ARITHMETIC,
        config=config,
        address=programmed.address,
        encoded=dataclasses.replace(encoded, digits=np.empty(0, digits.dtype), scales=scales),
        shape=shape,
        codes=codes,
        planes=planes,
        faults=None if programmed.faults is None else _sparse(to_numpy(programmed.faults)),
        age=programmed.age,
    )


def _single(scales: Any) -> Any:
    with np.errstate(all="ignore"):
        return scales.astype(np.float32)


def _packed(config: Config, encoded: Encoded, digits: Any, shape: tuple[int, int]) -> tuple[tuple[Any, ...], Any]:
    (depth, width), bits = shape, config.weights.bits
    whole, single, packed = bits // 8, bits % 8, -(-width // 8)
    codes = [np.empty((depth, width if place < whole else packed), np.uint8) for place in range(whole + single)]
    planes = np.empty((depth, packed), np.uint8) if config.weights.double else None
    step = max(1, _AT_ONCE // width)
    for start in range(0, depth, step):
        rows = slice(start, min(start + step, depth))
        found = _integers(encoded, digits[:, :, 0, rows, :])
        if planes is not None:
            planes[rows] = np.packbits(found[1] != 0, axis=1)
        total = found.sum(axis=0) + (1 << (bits - 1))  # an element has its code in one plane
        for place, part in enumerate(codes):
            shift = 8 * place if place < whole else 8 * whole + place - whole
            some = total >> shift
            part[rows] = some & 255 if place < whole else np.packbits((some & 1).astype(bool), axis=1)
    return tuple(codes), planes


def _integers(encoded: Encoded, digits: Any) -> Any:
    # as `encoding.integers`, of digits of shape (planes, slices, A, C)
    total = np.full((digits.shape[0], *digits.shape[2:]), -encoded.offset, np.int64)
    for index, (shift, stride) in enumerate(zip(encoded.shifts, encoded.strides, strict=True)):
        part = digits[:, index]
        total += (part if stride == 1 else part // stride).astype(np.int64) * shift
    return total


def _sparse(faults: Any) -> Any:
    flat = faults.reshape(-1)
    places = tuple(np.flatnonzero(flat == value) for value in (1, -1))
    narrow = np.int32 if flat.size < 2**31 else np.int64
    places = tuple(each.astype(narrow) for each in places)
    return places if sum(each.nbytes for each in places) < flat.nbytes else faults
