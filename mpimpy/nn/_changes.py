"""Whether weights are still those that were written into cells."""

import functools
from typing import Any

import torch

from ..arrays import shown

__all__ = ["same_values", "version_on_card"]

_fused_steps = 0


def same_values(kept: Any, w: Any) -> bool:
    """Return whether two tensors hold the same numbers.

    No count of changes stands for a look at the numbers: fused optimisers and edits through ``.data`` are not counted.
    """
    numbers = shown(kept), shown(w)
    if numbers[0] is None or numbers[1] is None:
        return kept.shape == w.shape and torch.equal(kept, w)
    # NumPy is several times as fast as torch.equal
    return kept.shape == w.shape and bool((numbers[0] == numbers[1]).all())


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
