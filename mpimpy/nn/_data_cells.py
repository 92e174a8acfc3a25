"""Cells for matrices of data: written anew for every product."""

from typing import Any

from ..autograd.slots import Asked
from ..checks import fail
from ._cells import LayerCells

__all__ = ["DataCells"]


class DataCells(LayerCells):
    """Crossbars that hold data, such as the keys of an attention head: one matrix after another is written into them.

    All of them are written into the same cells of the chip, as those of ``engine(x, w)`` are, but under a name.
    """

    def matrix(self, w: Any, step: int = 0, traced: bool = True) -> Any:
        """Return data, (K, N), as written into the cells; the parameters are those of `LayerCells.matrix`."""
        try:
            return self._program(w.detach(), step)
        except (TypeError, ValueError) as error:
            fail(type(error), f"layer {self.name!r}: {error}")

    def _weights_seen(self, w: Any, asked: Asked) -> tuple[Any, Any]:
        values, beyond = self.engine._quantised_weights(w)
        return self.matrix(w, asked.step).effective() if self.gradient == "written" else values, beyond
