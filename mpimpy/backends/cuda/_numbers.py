"""Numbers as Triton kernels take them."""

from typing import Any

__all__ = ["flat", "signed"]


def signed(word: int) -> int:
    """Return a word of 32 bits as a signed number, so that all launches share one compiled kernel."""
    return word - (1 << 32) if word >> 31 else word


def flat(table: tuple[tuple[Any, ...], ...]) -> tuple[Any, ...]:
    """Return the numbers of all pairs of slices in one row, weight slices outermost."""
    return tuple(number for row in table for number in row)
