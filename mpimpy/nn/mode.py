"""A look at any code on crossbars, without conversion: inside a ``with``, products of torch are read from cells."""

import functools
import inspect
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils import _pytree as pytree

from .._recorded import recorded_product
from ..arrays import are_own_operations
from ..checks import fail
from ..engine import Engine
from ._cells import LayerCells
from ._flag import raise_flagged
from ._layer import check_engine
from ._mode_below import Below
from ._mode_products import matmul
from ._mode_table import NOTED, PRODUCTS, REFUSED, Handler

__all__ = ["crossbars"]


class crossbars(TorchFunctionMode):
    """Context in which the products that functions of torch make are read from crossbars.

    ``linear``, ``matmul`` and ``@``, ``mm``, ``bmm``, ``mv``, ``dot``, ``vecdot``, ``addmm`` and its kin, ``einsum``,
    ``tensordot``, ``inner``, convolutions, ``bilinear`` and ``scaled_dot_product_attention`` are sent there, of any
    code. Outer products and solvers, which are no sums of products of their operands, are digital, and listed in
    `passed`. The right factor is programmed, the left one drives it: a
    parameter has cells of its own as long as the context lasts, data are written for each product. Models that are kept
    are converted instead, by `mpimpy.nn.convert_`.

    It sees the functions and operators of torch, in its own thread. It cannot see products in other threads, those that
    elementwise functions spell out, such as ``(a * b).sum()``, and those inside of custom operators and of other
    libraries. Gradients are digital.

    Parameters
    ----------
    engine : Engine
    composites : str
        ``"error"``: functions that torch computes as a whole, such as those of nn.LSTM and nn.MultiheadAttention,
        are refused, since their products cannot be seen, and so are products of operators that are called below
        torch's functions: by ``torch.ops``, by ``torch.jit``, by exported graphs. ``"digital"``: they are computed
        digitally, and listed in `passed`.

    Attributes
    ----------
    products : int
        Products that were read from crossbars.
    passed : dict
        From the name of a composite to how often it was computed digitally. Products of integers, which are exact,
        outer products and solvers are always listed here.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind; inside, for composites, complex numbers, ``out=`` and options that
        crossbars do not have. At the end, on a card, if a parameter or its inputs were not finite.

    Examples
    --------
    >>> import mpimpy, mpimpy.nn as ann
    >>> a, b = torch.eye(4), torch.ones(4, 3)
    >>> with ann.crossbars(mpimpy.DPETensor(seed=0)) as run:
    ...     y = a @ b
    >>> run.products, bool((y != b).any())
    (1, True)
    """

    def __init__(self, engine: Engine, composites: str = "error") -> None:
        super().__init__()
        check_engine(engine)
        if composites not in ("error", "digital"):
            fail(ValueError, f"composites={composites!r} is unknown: use 'error' or 'digital'")
        self.engine, self.composites = engine, composites
        self.products = 0
        self.passed: dict[str, int] = {}
        self._cells: dict[tuple[int, str], tuple[Any, LayerCells]] = {}
        self._below = Below(self._refuse_below, self._note)
        self._refused_below: Exception | None = None

    def __enter__(self) -> Any:
        found = super().__enter__()  # type: ignore[no-untyped-call]
        self._below.__enter__()  # type: ignore[no-untyped-call]
        return found

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._below.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        if isinstance(error, RuntimeError) and self._refused_below is not None:
            raise self._refused_below from error  # the interpreter of torch.jit raises an error without a reason
        if error is None:  # on a card, what parameters have met is seen here
            raise_flagged((cells.name, cells.flag) for _, cells in self._cells.values())

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = {} if kwargs is None else dict(kwargs)
        if are_own_operations():  # of a layer that is on crossbars already
            return self._digital(function, args, options)
        handler = PRODUCTS.get(function)
        if handler is not None:
            return self._read(function, handler, args, options)
        if (name := REFUSED.get(function)) is not None:
            self._pass(name, "is computed as a whole, and the products inside it cannot be sent to crossbars")
            return self._digital(function, args, options)
        if (name := NOTED.get(function)) is not None:
            self._note(name)
        return function(*args, **options)

    def _digital(self, function: Any, args: Any, options: dict[str, Any]) -> Any:
        with self._below.away():
            return function(*args, **options)

    def _read(self, function: Any, handler: Handler, args: Any, options: dict[str, Any]) -> Any:
        name = "torch.mm" if function is torch.mm else resolve_name(function)  # torch.spmm is the same function
        if options.pop("out", None) is not None:
            fail(TypeError, f"{name} with out= is no product on crossbars: assign its result")
        given, rest = _positional(handler.names, args, options)
        tensors = [each for each in pytree.tree_leaves(given[: handler.factors]) if isinstance(each, torch.Tensor)]
        if any(each.is_complex() for each in tensors):
            # no TypeError, which Python's @ would hide
            self._pass(f"{name} of complex numbers", "has no cells: multiply real and imaginary parts", ValueError)
            return self._digital(function, args, options)
        if not all(each.is_floating_point() for each in tensors):
            kind = next(each.dtype for each in tensors if not each.is_floating_point())
            self._note(f"{name} of {kind}")  # indices and counts are exact
            return self._digital(function, args, options)
        try:
            _signature(handler.call).bind(self, *given, **rest)
        except TypeError as error:
            fail(TypeError, f"{name} on crossbars: {error}: leave that out, or use mpimpy.nn.convert_(model, engine)")
        before = self.products
        with self._below.away():
            y = handler.call(self, *given, **rest)
        if self.products == before and len(tensors) > 1 and y.numel():
            self._note(name)  # an outer product, or an axis that torch spreads
        return args[0].copy_(y) if handler.in_place else y

    def _pass(self, name: str, reason: str, error: type[Exception] = TypeError) -> None:
        # what is not read from crossbars is refused, or listed
        if self.composites == "error":
            msg = f"{name} {reason}: use mpimpy.nn.convert_(model, engine), or composites='digital' to let it pass"
            fail(error, msg)
        self._note(name)

    def _refuse_below(self, name: str) -> None:
        try:
            self._pass(name, _BELOW)
        except TypeError as error:
            self._refused_below = error
            raise

    def _note(self, name: str) -> None:
        self.passed[name] = self.passed.get(name, 0) + 1

    def factor(self, w: Any, part: str = "") -> Any:
        """Return the cells of weights: a parameter has its own, what is computed from data is written for each product.

        `part` is the name of a part of a parameter that has cells of its own, such as a group of a convolution.
        """
        source = w if w._base is None else w._base
        if not isinstance(source, torch.nn.Parameter):
            return self.engine
        found = self._cells.get((id(source), part))
        if found is None:
            name = f"parameter {len(self._cells)}"
            cells = LayerCells(self.engine, f"{name}/{part}" if part else name)
            found = self._cells[id(source), part] = (source, cells)
        return found[1]

    def product(self, x: Any, w: Any, factor: Any = None) -> Any:
        """Return the product of tensors, (..., K) by (K, N), read from crossbars."""
        self.products += 1
        return recorded_product(self.factor(w) if factor is None else factor, x, w)

    def matmul(self, a: Any, b: Any) -> Any:
        """Return ``torch.matmul(a, b)``, read from crossbars."""
        return matmul(self, a, b)


_BELOW = (
    "is an operator below the functions of torch, called directly, by torch.jit or by an exported graph, and cannot be "
    "sent to crossbars"
)
_signature = functools.cache(inspect.signature)


def _positional(names: tuple[str, ...], args: Any, options: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    # tensors in their order, however they were given, and the other options
    given, rest = list(args), dict(options)
    for name in names[len(given) :]:
        if name not in rest:
            break
        given.append(rest.pop(name))
    return given, rest
