"""Whether weights are still those that were written into cells."""

import functools
from typing import Any

import torch

from ..arrays import shown

__all__ = ["Kept", "version_on_card"]

_fused_steps = 0


SMALL = 1 << 16  # bytes of weights that are compared as bytes: that is faster than a comparison of numbers


class Kept:
    """A copy of the weights that were written into cells.

    No count of changes stands for a look at the numbers: fused optimisers and edits through ``.data`` are not counted.

    Parameters
    ----------
    w : tensor
    """

    def __init__(self, w: Any) -> None:
        self._copy = w.detach().clone()
        self._numbers = numbers = shown(self._copy)
        self._bytes = numbers.tobytes("A") if numbers is not None and numbers.nbytes <= SMALL else None

    def same(self, w: Any) -> bool:
        """Return whether a tensor holds the same numbers; False where only the sign of a zero or a NaN tells."""
        numbers, kept = shown(w), self._numbers
        if self._copy.shape != w.shape:
            return False
        if numbers is None or kept is None:
            return torch.equal(self._copy, w)
        if self._bytes is not None and numbers.strides == kept.strides and numbers.dtype == kept.dtype:
            return bool(numbers.tobytes("A") == self._bytes)
        return bool((kept == numbers).all())  # NumPy is several times as fast as torch.equal


def version_on_card(w: Any) -> tuple[Any, ...] | None:
    """Return the memory of a tensor on a card, and counts that grow when it is written to; None if nothing counts.

    To look at the numbers would make the host wait. Edits through ``.data`` stay unseen.
    """
    if w.is_inference():
        return None
    _count_fused_steps()
    return w.data_ptr(), w._version, w.stride(), _fused_steps


@functools.cache
def _count_fused_steps() -> None:
    from torch.optim.optimizer import register_optimizer_step_post_hook

    register_optimizer_step_post_hook(_note_step)


def _note_step(optimiser: Any, *_: Any) -> None:
    # a fused step writes into weights, and torch does not count that
    global _fused_steps
    if any(group.get("fused") for group in optimiser.param_groups):
        _fused_steps += 1
