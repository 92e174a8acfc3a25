"""Cost of a product of a programmed matrix: energy, latency and area."""

from typing import Any

from ._ageing import AgeingMatrix
from ._linear import parts_of, stacked
from .arrays import namespace
from .checks import as_int, fail
from .cost import Cost, Technology
from .cost._model import cost_of
from .cost._technology import AnyTechnology, as_technology
from .noise import MAX_READ

__all__ = ["CostedMatrix", "cost_at"]


class CostedMatrix(AgeingMatrix):
    """Programmed matrix that tells the cost of its products."""

    def cost(self, x: Any, technology: AnyTechnology, *, read: int = 0) -> Cost:
        """Return the energy, the latency and the area of ``x @ W``, without computing it.

        The energy of the cells is exact for these inputs and these cells, aged and stuck ones, with the mean of their
        read variation; the circuits beside them follow the laws and the anchors of the technology. docs/cost.md says
        how far both can be trusted.

        Parameters
        ----------
        x : array, shape (..., K) or (K,)
            Inputs, as for `read`.
        technology : mpimpy.cost.Technology, str, path or dict
            Or its name, such as ``"generic-28"``, its file, or its plain values.
        read : int
            Number of the read, which addresses the noise of the DACs.

        Returns
        -------
        mpimpy.cost.Cost
            Prints as a table.

        Raises
        ------
        TypeError, ValueError
            If `x` does not fit, or is empty; if the technology is unknown, or has no figure for the bits of the ADCs;
            if the ADC is ideal.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> found = Engine(seed=1).program(np.eye(64)).cost(np.ones((10, 64)), "generic-28")
        >>> found.macs, round(found.latency.value, 9)
        (40960, 4e-06)
        """
        return cost_at(self, x, as_technology(technology), as_int("read", read, 0, MAX_READ))


def cost_at(matrix: Any, x: Any, technology: Technology, read: int, first_row: int = 0) -> Cost:
    """Return the cost of a product at an address; see `CostedMatrix.cost`.

    Parameters
    ----------
    matrix : CostedMatrix
    x : array, shape (..., K) or (K,)
    technology : Technology
    read : int
    first_row : int
        Row of the first input in a larger input matrix.
    """
    if matrix.programmed is None:
        fail(ValueError, f"a matrix of shape {matrix.shape} has no cells, and no cost")
    operand = matrix._accept(x)
    if 0 in operand.dims:
        fail(ValueError, f"x has shape {operand.shape}: without inputs there is no product, and no cost")
    if operand.complex:
        operand = stacked(operand, parts_of(namespace(operand.array), operand.array))
    inputs = matrix._encode(operand.array, operand.dims)
    return cost_of(matrix._backend, matrix.programmed, inputs, technology, read=read, first_row=first_row)
