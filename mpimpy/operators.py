"""Products in the operators and functions of array libraries: ``x @ W``, ``np.dot(x, W)``, ``torch.matmul(x, W)``."""

import sys
from abc import ABC, abstractmethod
from typing import Any

__all__ = ["CrossbarOperand", "RightOperand"]

NO_ARRAY = (
    "a programmed matrix is no array, since its products come from crossbars: write x @ W, or W.read(x); "
    "W.decoded() has its quantised weights as an array"
)
TWO_MATRICES = "both factors are programmed matrices: the inputs of a product are an array, W.decoded() of one of them"
# functions of NumPy and torch whose result is the product of a matrix and vectors or matrices
_PRODUCTS = frozenset(("matmul", "rmatmul", "dot", "mm", "mv", "vecmat", "matvec"))
# axes that NumPy states for x @= W: the usual ones
_IN_PLACE = ([(-2, -1), (-2, -1), (-2, -1)], [(-1,), (-2, -1), (-1,)])


class CrossbarOperand(ABC):
    """An operand that holds integers already: it computes the product, not the engine."""

    @abstractmethod
    def _multiply_on(self, engine: Any, x: Any, w: Any, read: int | None) -> Any:
        """Return the product of `x` and `w`, one of which is this operand, on an engine's crossbars."""


class RightOperand:
    """Right operand of a product: ``x @ W`` in any library calls its `read`."""

    shape: tuple[int, int]
    config: Any
    T: Any

    # NumPy leaves ``x @ W`` to this class
    __array_priority__ = 101

    def read(self, x: Any, read: int | None = None) -> Any:
        """Return the product of `x` and this operand: a subclass does it."""
        raise NotImplementedError

    def __rmatmul__(self, x: Any) -> Any:
        return self.read(x)

    def __matmul__(self, x: Any) -> Any:
        if isinstance(x, RightOperand):
            raise TypeError(TWO_MATRICES)
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

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        """Refuse: an array of the weights would give exact products where one of the crossbars is meant.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(NO_ARRAY)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        name = ufunc.__name__
        if out is not None and options.get("axes") in _IN_PLACE:
            options.pop("axes")
        if method == "__call__" and name in _PRODUCTS and not options:
            y = self._product(*inputs)
            # NumPy's own copy: its rules of casting and of shapes hold
            return y if out is None else sys.modules["numpy"].positive(y, out=out)
        options_too = f" with {', '.join(options)}" if options and name in _PRODUCTS else ""
        msg = f"np.{name}{options_too}: {NO_ARRAY}"
        raise TypeError(msg)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        name = function.__name__
        if name in ("shape", "ndim", "size") and inputs and inputs[0] is self and len(inputs) == 1 and not options:
            return {"shape": self.shape, "ndim": 2, "size": self.shape[0] * self.shape[1]}[name]
        if name in _PRODUCTS and len(inputs) == 2 and options.keys() <= {"out"}:
            y, out = self._product(*inputs), options.get("out")
            return y if out is None else sys.modules["numpy"].positive(y, out=out)
        msg = f"np.{name}: {NO_ARRAY}"
        raise TypeError(msg)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, inputs: Any = (), options: Any = None) -> Any:
        torch, options = sys.modules["torch"], options or {}
        if torch.compiler.is_compiling():
            # a compiler knows functions, and not their names
            of = torch.Tensor
            known = function is of.matmul or function is of.__matmul__ or function is of.__rmatmul__
            known = known or function is torch.matmul or function is torch.mm or function is of.mm
            name = "matmul" if known else "this function, under torch.compile"
        else:
            name = function.__name__.strip("_")
        found = next((value for value in inputs if isinstance(value, RightOperand)), None)
        if found is not None and name in _PRODUCTS and len(inputs) == 2 and not options:
            return found._product(*inputs)
        if name == "linear" and found is inputs[1] and options.keys() <= {"bias"}:
            bias = (*inputs, None)[2] if len(inputs) > 2 else options.get("bias")
            y = found.T.read(inputs[0])
            return y if bias is None else y + bias
        msg = f"torch.{name}: {NO_ARRAY}"
        raise TypeError(msg)

    def _product(self, a: Any, b: Any) -> Any:
        # of a matrix and an array, in either order
        if isinstance(a, RightOperand) and isinstance(b, RightOperand):
            raise TypeError(TWO_MATRICES)
        return self.read(a) if b is self else self._read_transposed(b)
