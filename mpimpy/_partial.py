"""Running sums: a product cut along the summed axis, added up part by part, with the bits of the whole."""

import operator
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from . import arrays, backends, converters, noise
from ._linear import assembled, parts_of, stacked, unstacked
from ._parts import encode_inputs_of
from .arrays import device_of, namespace
from .backends import PANEL
from .checks import as_int, fail
from .config import Config
from .crossbar.product import add_planes, panels
from .crossbar.programmed import Age
from .operands.edge import Operand, library
from .operands.encoding import Encoded
from .operands.place import check_complex

__all__ = ["Partial", "add_part"]


class _Shape(NamedTuple):
    # of the inputs, but for their last axis; how many real rows stand for one of theirs; columns of complex weights
    inputs: tuple[int, ...]
    parts: int
    complex_width: int | None

    @property
    def rows(self) -> tuple[int, ...]:
        # of the real rows
        if self.parts == 1:
            return self.inputs
        return (*self.inputs[:-1], self.parts * self.inputs[-1]) if self.inputs else (self.parts,)


@dataclass(frozen=True)
class _Shared:
    # all that the parts of one product have in common, by the names that messages use
    settings: Config
    seed: int
    chip: int
    columns: tuple[int, int]
    age: Age | None
    read: int
    first_row: int
    inputs: _Shape
    dtype: str
    library: str
    device: str
    backend: str


@dataclass(frozen=True, eq=False)
class _Sum:
    # of the rows before `rows`; `products` are float64 arrays of the backend, one for each pair of planes
    shared: _Shared
    rows: int
    products: tuple[Any, ...] | None
    prototype: Any


class Partial:
    """Running sum of a product that is cut along its summed axis; `CrossbarMatrix.read` adds parts to it.

    ``W.read(x, read=0, into=partial)`` adds the product of one part: of some rows of a matrix, programmed with their
    `origin`, and of the columns of the inputs that meet them. Parts come in ascending order, without gaps. Each but
    the last ends where a panel does: after a multiple of 16 arrays, counted from the first row of the whole
    matrix. `result` then has the bits of the product of the whole. With an ideal ADC whose slices fold into one
    floating-point product (see ``W.read_plan(x)``), the last bits belong to the BLAS, and are the same for all cuts.

    A part that cannot be added leaves the sum as it was. A pickle and a copy go on from where the sum was.

    Attributes
    ----------
    rows : int
        Rows of the whole matrix that the sum has: the row at which the next part begins.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine, Partial
    >>> x, w = np.random.default_rng(0).standard_normal((2, 1500, 1500))
    >>> engine, total = Engine(seed=1), Partial()
    >>> for first in (0, 1024):
    ...     W = engine.program(w[first : first + 1024], origin=(first, 0))
    ...     total = W.read(x[:, first : first + 1024], read=0, into=total)
    >>> total
    <Partial of a product (1500, 1500), rows 0 to 1499, read 0>
    >>> bool(np.all(total.result() == engine.program(w).read(x, read=0)))
    True
    """

    __slots__ = ("_sum",)

    def __init__(self) -> None:
        self._sum: _Sum | None = None

    @property
    def rows(self) -> int:
        """Rows of the whole matrix that the sum has: the row at which the next part begins."""
        return 0 if self._sum is None else self._sum.rows

    def result(self) -> Any:
        """Return the product of the rows so far, rounded once.

        Returns
        -------
        array, shape (..., N)
            Of the library, dtype and device that the product of the whole has.

        Raises
        ------
        ValueError
            If no part was added.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.eye(3)).read(np.ones(3), read=0, into=Partial()).result().round()
        array([1., 1., 1.])
        """
        found = self._sum
        if found is None:
            fail(ValueError, "this running sum has no part yet: W.read(x, read=0, into=partial) adds one")
        shared, xp, prototype = found.shared, namespace(found.prototype), found.prototype
        shape, dtype = shared.inputs, getattr(xp, shared.dtype)
        whole = *shape.rows, shared.columns[1]
        if found.products is None:
            y = xp.zeros(whole, dtype=dtype, device=device_of(prototype))
        else:
            y = add_planes(found.products, "float32" if shared.dtype == "float32" else "float64")
            if y is found.products[0]:
                y = namespace(y).asarray(y, copy=True)
            y = backends.select(prototype, shared.backend).from_backend(y, prototype)
            y = xp.reshape(y if y.dtype == dtype else arrays.rounded(y, dtype), whole)
        return assembled(unstacked(y, shape.parts, not shape.inputs), shape.complex_width)

    def _check_next(self, row: int, depth: int, panel: int) -> None:
        # whether a part of `depth` rows from `row` on comes next
        if row != self.rows:
            has = f"the sum has rows 0 to {self.rows - 1}" if self.rows else "the sum has no rows yet"
            fail(
                ValueError,
                f"this part of the matrix begins at row {row}, and {has}: add the part next that begins at row "
                f"{self.rows}, programmed with origin=({self.rows}, ...)",
            )
        if depth and row % panel:
            fail(
                ValueError,
                f"the part before this one ended at row {row - 1}, inside the panel of rows {row // panel * panel} to "
                f"{(row // panel + 1) * panel - 1}, which is summed as a whole: let every part but the last end "
                f"after a multiple of {panel} rows, {PANEL} arrays of {panel // PANEL}",
            )

    def _check_shared(self, shared: _Shared) -> None:
        # whether a part belongs to the product of the others
        if self._sum is None or self._sum.shared == shared:
            return
        before = self._sum.shared
        name = next(each.name for each in fields(shared) if getattr(shared, each.name) != getattr(before, each.name))
        pair: tuple[Any, Any] = getattr(shared, name), getattr(before, name)
        if name == "settings":
            fail(ValueError, "this part has other settings than the parts before it: use one engine for all of them")
        if name == "columns":
            ends = [f"{first} to {first + width - 1}" for first, width in pair]
            fail(ValueError, f"this part has columns {ends[0]} of the matrix, and the parts before it {ends[1]}")
        if name == "inputs":
            one, other = ((*shape.inputs, "complex" if shape.parts > 1 else "real") for shape in pair)
            pair = one, other
        what = {"inputs": "inputs of shape and kind", "dtype": "a product of dtype", "age": "the age"}.get(name, name)
        fail(
            ValueError,
            f"this part has {what} {pair[0]}, and the parts before it {pair[1]}: those of one product have the same",
        )

    def __repr__(self) -> str:
        if self._sum is None:
            return "<Partial without rows>"
        shared = self._sum.shared
        width = shared.columns[1] if shared.inputs.complex_width is None else shared.inputs.complex_width
        rows = f"rows 0 to {self.rows - 1}" if self.rows else "without rows"
        return f"<Partial of a product {(*shared.inputs.inputs, width)}, {rows}, read {shared.read}>"


def _refuse_recorded(x: Any, source: Any) -> None:
    if arrays.recorded(x, source):
        fail(
            TypeError,
            "torch records or transforms this product, and a running sum has no gradient: detach its operands, use "
            "torch.no_grad(), or read the product as a whole",
        )


def add_part(matrix: Any, x: Any, into: Any, at: tuple[Any, Any], survey: Any = None) -> Partial:
    """Add the product of a part of a matrix to a running sum; see `mpimpy.CrossbarMatrix.read`.

    Parameters
    ----------
    matrix : CrossbarMatrix or ComplexMatrix
    x : array, shape (..., K) or (K,)
    into : Partial
    at : (int, int)
        Number of the read, and row of the first input in a larger input matrix.
    survey : Survey, optional
        Of the larger input matrix.

    Raises
    ------
    TypeError
        If `into` is no running sum, or torch records the product.
    ValueError
        If the read has no number, the part does not come next, or it does not belong to the product of the others.
    """
    if not isinstance(into, Partial):
        fail(TypeError, f"into={into!r} is no running sum: give the same mpimpy.Partial() to all parts of a product")
    read, first_row = at
    if read is None:
        msg = "a running sum needs the number of its read, since all parts of a product share its noise"
        fail(ValueError, f"{msg}: give each the same one, such as read=0")
    cells = getattr(matrix, "parts", matrix)
    _refuse_recorded(x, cells._source)
    operand: Operand = matrix._accept(x)
    shared, rows = _shared(matrix, cells, operand, read, first_row)
    if operand.complex:
        check_complex(cells.config, shared.first_row, operand.rows, survey)
    row, depth = cells.origin[0], cells.shape[0]
    into._check_next(row, depth, PANEL * cells.config.tile.rows)
    into._check_shared(shared)
    products = None if into._sum is None else into._sum.products
    if cells.programmed is not None and 0 not in rows.dims:
        encoded = encode_inputs_of(cells, rows, shared.first_row, survey)
        products = _added(cells, (rows.rows, encoded), products, shared)
    into._sum = _Sum(shared, row + depth, products, cells._prototype)
    return into


def _shared(matrix: Any, cells: Any, operand: Operand, read: Any, first_row: Any) -> tuple[_Shared, Operand]:
    # what a part has in common with the others, and its real inputs
    parts = parts_of(namespace(operand.array), operand.array)
    rows = operand if len(parts) == 1 else stacked(operand, parts)
    shape = _Shape(operand.shape[:-1], len(parts), None if matrix is cells else matrix.shape[1])
    shared = _Shared(
        settings=cells.config,
        seed=cells.seed,
        chip=cells.chip,
        columns=(cells.origin[1], cells.shape[1]),
        age=_age(cells.age),
        read=as_int("read", read, 0, noise.MAX_READ),
        first_row=as_int("first_row", first_row, 0, noise.MAX_ROW - rows.rows),
        inputs=shape,
        dtype=str(cells._result_dtype(rows.counts_as)).rpartition(".")[2],
        library=library(cells._prototype),
        device=str(cells.device),
        backend=cells._backend.NAME,
    )
    return shared, rows


def _age(age: Age | None) -> Age | None:
    # the ratio of a part's own conductances counts only if products are multiplied by it
    return age if age is None or age.compensate else replace(age, ratio=1.0)


def _added(cells: Any, inputs: tuple[int, Encoded], before: tuple[Any, ...] | None, shared: _Shared) -> tuple[Any, ...]:
    # the products of all pairs of planes, with those of the panels of a part; `inputs` are so many rows
    config, programmed, (height, encoded) = cells.config, cells.programmed, inputs
    if (encoded.exponent, programmed.encoded.exponent) != (None, None):
        fail(
            ValueError,
            "x or the matrix has blocks whose largest magnitude is below 2**-340 or above 2**340, whose sums are "
            "scaled as a whole: multiply the operand by a power of two, and the result by its inverse",
        )
    converters.check_addresses(config, shared.first_row, height)
    sums = panels(cells._backend, programmed, encoded, shared.read, shared.first_row)
    found = next(sums)
    if before is not None:
        # the arrays of the sum so far stay as they are: a read that fails leaves them behind
        found = tuple(map(operator.add, before, found))
    for panel in sums:
        found = tuple(map(operator.iadd, found, panel))
    return found
