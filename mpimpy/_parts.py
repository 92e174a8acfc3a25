"""Parts of input matrices, read with the scales of the whole."""

from typing import Any

from . import arrays, noise
from ._linear import as_complex, read_complex
from .arrays import namespace
from .checks import as_int, fail
from .operands.edge import Operand
from .operands.encoding import Encoded
from .operands.place import check_complex, check_rows, check_survey, encode_part
from .operands.survey import Survey, SurveyOf

__all__ = ["encode_inputs_of", "read_surveyed"]


def encode_inputs_of(matrix: Any, x: Operand, first_row: int, survey: Survey | None) -> Encoded:
    """Return real inputs of a matrix as integers; a part of an input matrix with the scales of the whole.

    Parameters
    ----------
    matrix : CrossbarMatrix
    x : Operand, shape (..., M, K) or (K,), not empty
    first_row : int
        Row of the first input in the whole.
    survey : Survey or None
        Of the whole.

    Raises
    ------
    TypeError
        If `survey` is no survey.
    ValueError
        If inputs share scales with others that are not known, or the survey is not theirs.
    """
    fmt, rows = matrix.config.inputs, matrix.config.tile.rows
    if survey is None:
        if first_row:
            check_rows(fmt, rows, first_row, x.shape)
        encoded: Encoded = matrix._encode(x.array, x.dims)
        return encoded
    origin, size = (first_row, matrix.origin[0]), x.dims[1:]
    shape = survey.of.shape if isinstance(survey, Survey) else size
    depth = matrix._place.depth
    check_survey(survey, SurveyOf("inputs", (shape[0], shape[1] if depth is None else depth), fmt, rows), size, origin)
    if len(x.shape) > 2:
        fail(ValueError, f"x has shape {x.shape}, and survey= is of one matrix of inputs, (M, K): read one at a time")
    values = matrix._backend.to_backend(namespace(x.array).reshape(x.array, x.dims))
    return encode_part(matrix._backend, values, survey, origin)


def read_surveyed(matrix: Any, x: Any, read: int | None, first_row: Any, survey: Any) -> Any:
    """Multiply a part of an input matrix by a programmed matrix, with the scales of the whole.

    Parameters
    ----------
    matrix : CrossbarMatrix
    x : array, shape (M, K) or (K,)
    read, first_row, survey
        As for `mpimpy.CrossbarMatrix.read`.

    Returns
    -------
    array, shape (M, N) or (N,)

    Raises
    ------
    TypeError
        If torch records the product.
    ValueError
        As `encode_inputs_of`.
    """
    if arrays.recorded(x, matrix._source):
        msg = "torch records or transforms this product, and one with a survey has no gradient: detach its operands"
        fail(TypeError, f"{msg}, or use torch.no_grad()")
    operand = matrix._accept(x)
    number = matrix._read_number(read)
    first_row = as_int("first_row", first_row, 0, noise.MAX_ROW - 2 * operand.rows)
    if operand.complex:
        check_complex(matrix.config, first_row, operand.rows, survey)
        return as_complex(*read_complex(lambda rows: _product(matrix, rows, number, first_row, survey), operand))
    return _product(matrix, operand, number, first_row, survey)


def _product(matrix: Any, x: Operand, number: Any, first_row: int, survey: Any) -> Any:
    encoded = None if 0 in x.dims else encode_inputs_of(matrix, x, first_row, survey)
    shape, xp = (*x.shape[:-1], matrix.shape[1]), namespace(matrix._prototype)
    if matrix.programmed is None or encoded is None:
        return xp.zeros(shape, dtype=matrix._result_dtype(x.counts_as), device=matrix.device)
    y = matrix._multiply(matrix.programmed, encoded, number, first_row, x.counts_as)
    return xp.reshape(y, shape)
