"""Products in the operators and functions of array libraries: ``x @ W``, ``np.dot(x, W)``, ``torch.matmul(x, W)``."""

from typing import Any

__all__ = ["RightOperand"]


class RightOperand:
    """What stands on the right of a product, and knows how to `read` what stands on the left."""

    # NumPy leaves ``x @ W`` to this class
    __array_priority__ = 101

    def __rmatmul__(self, x: Any) -> Any:
        return self.read(x)

    def __matmul__(self, other):
        msg = (
            "W @ x would drive the bit lines of the arrays; inputs drive the word lines: "
            "write x @ W, or program the transposed matrix, engine.program(w.T)"
        )
        raise TypeError(msg)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if ufunc.__name__ == "matmul" and method == "__call__" and not options and inputs[1] is self:
            return self.read(inputs[0])
        return NotImplemented

    def __array_function__(self, function, types, inputs, options):
        if function.__name__ == "dot" and len(inputs) == 2 and not options and inputs[1] is self:
            return self.read(inputs[0])
        return NotImplemented

    @classmethod
    def __torch_function__(cls, function, types, inputs=(), options=None):
        if function.__name__ in ("matmul", "__matmul__", "mm") and len(inputs) == 2 and isinstance(inputs[1], cls):
            return inputs[1].read(inputs[0])
        return NotImplemented
