"""Reads that are made again in a backward pass, as torch.utils.checkpoint makes them, keep the numbers that they had.

A segment of a network makes its reads again in the same order, of inputs with the same bits. Segments come from the
last to the first.
"""

import warnings
from typing import Any

import torch

from ..arrays import shown
from ..checks import MpimpyWarning

__all__ = ["number_of"]

KEPT = 2**15  # reads that are remembered, of all factors
SAMPLE = 64  # elements by which inputs are known


class _Reads:
    # the latest reads in their order, and which of them a backward pass has made again

    def __init__(self) -> None:
        self.made: dict[int, tuple[Any, int]] = {}  # by place: (kind, code)
        self.tasks: dict[int, int] = {}  # by place: the last backward pass that made it again
        self.places: dict[Any, list[int]] = {}  # by kind
        self.next, self.last = 0, (-1, -1)

    def keep(self, kind: Any, code: int) -> None:
        self.made[self.next] = kind, code
        self.places.setdefault(kind, []).append(self.next)
        self.next += 1
        if len(self.made) > KEPT:
            first = next(iter(self.made))
            old, _ = self.made.pop(first)
            self.tasks.pop(first, None)
            self.places[old].remove(first)
            if not self.places[old]:
                del self.places[old]

    def recall(self, kind: Any, task: int) -> int | None:
        place = self.last[1] + 1
        if self.last[0] != task or not self._waits(place, kind, task):
            waiting = [each for each in reversed(self.places.get(kind, [])) if self.tasks.get(each) != task]
            if not waiting:
                return None
            # a segment may begin with several reads of one kind
            place = waiting[0]
            while self._waits(place - 1, kind, task) and self.tasks.get(place - 1) == self.tasks.get(place):
                place -= 1
        self.last, self.tasks[place] = (task, place), task
        return self.made[place][1]

    def _waits(self, place: int, kind: Any, task: int) -> bool:
        return place in self.made and self.made[place][0] == kind and self.tasks.get(place) != task


_READS = _Reads()


def _kind(factor: Any, x: Any) -> Any:
    # computed again, inputs have the same bits; on a card a look at them would make the host wait
    values = shown(x.detach())
    sample = None if values is None else values.flat[:: max(1, values.size // SAMPLE)].tobytes()
    return hash((factor._slot, tuple(x.shape), x.dtype, sample))


def number_of(factor: Any, x: Any) -> int:
    """Return the code of a factor's next read, and count it; in a backward pass, that of the read that is made again.

    Parameters
    ----------
    factor : Factor
    x : tensor
        Inputs of the read.
    """
    task = torch._C._current_graph_task_id()
    if task < 0:
        code: int = factor._count()
        if torch.is_grad_enabled() or factor._trains:
            _READS.keep(_kind(factor, x), code)
        return code
    found = _READS.recall(_kind(factor, x), task)
    if found is not None:
        return found
    name = f"layer {factor.name!r}" if hasattr(factor, "name") else "a crossbar product"
    warnings.warn(
        f"{name} is computed in a backward pass, as torch.utils.checkpoint does it, with inputs of no remembered read: "
        "it is a read of its own, with other noise. Give checkpoint use_reentrant=False, or call train() before",
        MpimpyWarning,
        stacklevel=2,
    )
    return int(factor._count())
