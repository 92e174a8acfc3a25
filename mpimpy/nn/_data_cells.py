"""Cells for matrices of data: written anew for every product."""

from typing import Any

from ..autograd.slots import Asked
from ._cells import LayerCells, operand_of

__all__ = ["DataCells"]


class DataCells(LayerCells):
    """Crossbars that hold data, such as the keys of an attention head: one matrix after another is written into them.

    All of them are written into the same cells of the chip, as those of ``engine(x, w)`` are, but under a name.
    """

    def _matrix(self, w: Any, step: int, traced: bool) -> tuple[Any, Any]:
        return self._write(w, step)

    def _weights_seen(self, w: Any, asked: Asked) -> tuple[Any, Any]:
        values, beyond = self.engine._quantised_weights(operand_of("w", w))
        return self.matrix(w, asked.step).effective() if self.gradient == "written" else values, beyond
