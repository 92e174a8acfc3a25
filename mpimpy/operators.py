"""Products in the operators and functions of array libraries: ``x @ W``, ``np.dot(x, W)``, ``torch.matmul(x, W)``."""

from abc import ABC, abstractmethod
from typing import Any

__all__ = ["CrossbarOperand", "RightOperand"]


class CrossbarOperand(ABC):
    """An operand that holds integers already: it computes the product, not the engine."""

    @abstractmethod
    def multiply_on(self, engine: Any, x: Any, w: Any, read: int | None) -> Any:
        """Return the product of `x` and `w`, one of which is this operand, on an engine's crossbars."""


class RightOperand:
    """Right operand of a product: ``x @ W`` in any library calls its `read`."""

    # NumPy leaves ``x @ W`` to this class
    __array_priority__ = 101

    def read(self, x: Any, /) -> Any:
        """Return the product of `x` and this operand: a subclass does it."""
        raise NotImplementedError

    def __rmatmul__(self, x: Any) -> Any:
        return self.read(x)

    def __matmul__(self, x: Any) -> Any:
        return self._read_transposed(x)

    def _read_transposed(self, x: Any) -> Any:
        """Multiply the matrix by inputs on its right, ``W @ x``: a read that drives the bit lines.

        Raises
        ------
        TypeError
            Always, unless a subclass has cells that can be driven so.
        """
        msg = (
            "W @ x would drive the bit lines of the arrays; inputs drive the word lines: "
            "write x @ W, or program the transposed matrix, engine.program(w.T)"
        )
        raise TypeError(msg)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc.__name__ == "matmul" and method == "__call__" and not options and inputs[1] is self:
            return self.read(inputs[0])
        return NotImplemented

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        if function.__name__ == "dot" and len(inputs) == 2 and not options and inputs[1] is self:
            return self.read(inputs[0])
        return NotImplemented

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, inputs: Any = (), options: Any = None) -> Any:
        if function.__name__ in ("matmul", "__matmul__", "mm") and len(inputs) == 2 and isinstance(inputs[1], cls):
            return inputs[1].read(inputs[0])
        return NotImplemented
