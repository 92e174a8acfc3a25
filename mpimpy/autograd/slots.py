"""Slots: the numbers by which torch's graphs name the right factor of a product."""

import itertools
import weakref
from typing import Any, NamedTuple, Protocol

from ..checks import fail
from ..noise import MAX_READ
from ..reads import Read

__all__ = ["COUNTED", "GRADIENTS", "Asked", "Factor", "Slotted", "factor_in", "read_of"]

GRADIENTS = ("straight", "clipped", "written")
COUNTED = MAX_READ + 1  # marks the number of a counted read: it belongs to the stream of its counter


class Asked(NamedTuple):
    """How a product is asked for.

    Attributes
    ----------
    code : int
        Code of the read; see `read_of`.
    step : int
        Number of the training step, from 1, for a factor that is written anew in each; 0: none.
    first_row : int
        Row of the first input in a larger input matrix.
    traced : bool
        A graph asks. Its tensors have no version by which a change of weights would be seen.
    """

    code: int
    step: int
    first_row: int
    traced: bool


class Factor(Protocol):
    """Right factor of a product, as the operators of this room call it: values without gradients, and whole.

    Attributes
    ----------
    _slot : int
        Its number.
    gradient : str
        One of `GRADIENTS`.
    """

    _slot: int
    gradient: str

    def _count(self) -> int:
        """Return the code of the next read, and count it: its number, and `COUNTED` where a stream goes with it."""

    def _multiply_values(self, x: Any, w: Any, asked: Asked) -> Any:
        """Return the product of tensors; see `mpimpy.autograd.product.multiply`."""

    def _inputs_seen(self, x: Any) -> tuple[Any, Any]:
        """Return inputs as the digits hold them, float64, in the shape of `x`; and which lie beyond the codes."""

    def _weights_seen(self, w: Any, asked: Asked) -> tuple[Any, Any]:
        """Return weights (K, N) as the digits or the cells hold them, float64; and which lie beyond the codes."""


_FACTORS: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()
_numbers = itertools.count()


class Slotted:
    """Base of what stands in a slot. A copy gets one of its own.

    Attributes
    ----------
    _slot : int
        A whole number, unlike that of any other factor of the process.
    """

    _slot: int
    _trains: bool = False  # its reads may be made again in a backward pass, though torch does not record them now

    def _take_slot(self) -> None:
        self._slot = next(_numbers)
        _FACTORS[self._slot] = self


def factor_in(slot: int) -> Any:
    """Return the factor of a slot.

    Raises
    ------
    RuntimeError
        If it is gone: a graph may outlive the matrix that it was traced with.
    """
    found = _FACTORS.get(slot)
    if found is None:
        fail(
            RuntimeError,
            f"the crossbars of slot {slot} are gone: keep the matrix or the engine that a graph multiplies by",
        )
    return found


def read_of(code: int, factor: Any) -> Read:
    """Return the number and the stream of a read, of the code that stands in a graph."""
    return code % COUNTED, factor.stream if code >= COUNTED else None
