"""Places of parts in whole operands: which scales a part has, and which cuts leave these unknown."""

from dataclasses import dataclass
from typing import Any

from .._integers import ceil_div
from ..checks import as_int_pair, fail
from ..config import Config, Format
from . import encoding
from .encoding import Encoded
from .survey import Survey, SurveyOf, part_statistics

__all__ = [
    "WHOLE",
    "Place",
    "as_shape",
    "block_of_inputs",
    "block_of_weights",
    "check_complex",
    "check_rows",
    "check_same_operand",
    "check_survey",
    "encode_part",
    "inside",
]

Block = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Place:
    """Where a matrix of weights lies in a larger one.

    Attributes
    ----------
    origin : (int, int)
        Row and column of its first element.
    shape : (int, int), optional
        Of the larger matrix; None: nobody has said.
    survey : Survey, optional
        Scales of the larger matrix.
    """

    origin: tuple[int, int] = (0, 0)
    shape: tuple[int, int] | None = None
    survey: Survey | None = None

    def is_part(self, shape: tuple[int, int]) -> bool:
        """Return whether a matrix of some shape is known to be a part of a larger one."""
        return self.origin != (0, 0) or (self.shape is not None and self.shape != shape)

    @property
    def depth(self) -> int | None:
        """Rows of the larger matrix, if they are known."""
        return None if self.shape is None else self.shape[0]

    def turned(self) -> "Place":
        """Return the place in the transposed matrix."""
        return Place(self.origin[::-1], None if self.shape is None else self.shape[::-1])


WHOLE = Place()


def _units(fmt: Format, rows: int, summed: int) -> tuple[int | None, int | None]:
    # multiples of these, in a matrix of any size, are where blocks begin along each axis; None: only 0 is
    name = fmt.granularity
    if name == "per-matrix":
        return None, None
    if name == "finest" or isinstance(name, str):
        along = rows if name == "finest" else None
        return (along, 1) if summed == 0 else (1, along)
    # blocks that end inside a tile are allowed if they reach to the end of the matrix
    found = [None if axis == summed and size % rows else size for axis, size in enumerate(name)]
    return found[0], found[1]


def _cuts(start: int, size: int, unit: int | None, whole: int | None) -> bool:
    # whether a part is known to begin or to end inside a block
    unit = whole if unit is None else unit
    if unit is None:
        return start > 0
    end = start + size
    return start % unit != 0 or (whole is not None and end != whole and end % unit != 0)


def _clipped(block: Block, size: Block, rows: int, summed: int) -> Block:
    # a block is no larger than its part has to be: kernels would fill it with zeros
    found = [
        min(b, ceil_div(n, rows) * rows if axis == summed else n)
        for axis, (b, n) in enumerate(zip(block, size, strict=True))
    ]
    return found[0], found[1]


def _shown_unit(fmt: Format, rows: int, summed: int) -> str:
    # where operands may be cut without a survey
    units = _units(fmt, rows, summed)
    words = []
    for unit, what in zip(units, ("rows", "columns"), strict=True):
        if unit is None:
            words.append(f"through no {what}")
        elif unit > 1:
            words.append(f"at multiples of {unit} {what}")
    return " and ".join(words)


def block_of_weights(fmt: Format, rows: int, size: Block, place: Place) -> Block:
    """Return the block of weights that are a part of a matrix, if the part shares scales with no other.

    Parameters
    ----------
    fmt : Format
    rows : int
        Rows of a tile.
    size : (int, int)
        Of the part.
    place : Place

    Raises
    ------
    ValueError
        If blocks are known to reach beyond the part.
    """
    if place.shape is None:
        block = encoding.block_shape(fmt, size, rows, weight=True)
    else:
        block = encoding.block_shape(fmt, place.shape, rows, weight=True)
        if place.shape == size:
            return block
    wholes: Any = (None, None) if place.shape is None else place.shape
    if 0 not in size and any(map(_cuts, place.origin, size, _units(fmt, rows, 0), wholes)):
        of = "" if place.shape is None else f" of shape {place.shape}"
        msg = (
            f"granularity {fmt.granularity!r} of the weights gives one scale to elements of this part, of shape {size} "
            f"at origin={place.origin}, and to others of the matrix{of}: survey all parts (engine.survey_weights) and "
            f"give program(survey=), or cut {_shown_unit(fmt, rows, 0)}"
        )
        fail(ValueError, msg)
    return block if place.shape is None else _clipped(block, size, rows, 0)


def block_of_inputs(fmt: Format, rows: int, dims: tuple[int, int, int], place: Place) -> Block:
    """Return the block of inputs of a matrix, if they share scales with none that other parts of a matrix read.

    Parameters
    ----------
    fmt : Format
    rows : int
        Rows of a tile.
    dims : (int, int, int)
        (batch, M, K) of the inputs.
    place : Place
        Of the weights.

    Raises
    ------
    ValueError
        If blocks are known to reach beyond the inputs of this matrix.
    """
    height, depth = dims[1:]
    if not place.origin[0] and place.depth in (None, depth):
        return encoding.block_shape(fmt, (height, depth), rows, weight=False)
    whole = (height, depth if place.depth is None else place.depth)
    block = encoding.block_shape(fmt, whole, rows, weight=False)
    if depth and _cuts(place.origin[0], depth, _units(fmt, rows, 1)[1], place.depth):
        start = place.origin[0]
        msg = (
            f"granularity {fmt.granularity!r} of the inputs gives one scale to inputs of this part, which holds rows "
            f"{start} to {start + depth} of a matrix, and to inputs of other parts: survey all inputs "
            "(engine.survey_inputs) and give read(survey=), or choose a granularity such as 'finest'"
        )
        fail(ValueError, msg)
    return _clipped(block, (height, depth), rows, 1)


def _row_unit(fmt: Format, rows: int) -> int | None:
    # number of input rows of which multiples begin a block; None: only row 0 does
    return _units(fmt, rows, 1)[0]


def check_rows(fmt: Format, rows: int, first_row: int, shape: tuple[int, ...]) -> None:
    """Raise ValueError if inputs that begin inside an input matrix begin inside a block.

    Parameters
    ----------
    fmt : Format
    rows : int
        Rows of a tile.
    first_row : int
        Row of the first input, not 0.
    shape : tuple of int
        Of the inputs. Matrices of a stack, (..., M, K), have scales of their own: such a part may hold some of them.
    """
    unit = _row_unit(fmt, rows)
    starts = not _cuts(first_row, 0, unit, None)
    if len(shape) > 2:
        starts = first_row % max(1, shape[-2]) == 0 or unit == 1
    if not starts:
        msg = (
            f"granularity {fmt.granularity!r} of the inputs gives one scale to inputs from first_row={first_row} on "
            "and to some before: survey all inputs (engine.survey_inputs) and give read(survey=)"
        )
        fail(ValueError, f"{msg}, or cut at multiples of {unit} rows" if unit else msg)


def check_complex(config: Config, first_row: int, height: int, survey: Any) -> None:
    """Raise ValueError if some rows of complex inputs cannot be what they are in the whole.

    Their imaginary parts are further rows, which lie behind those of the real parts of the whole.

    Parameters
    ----------
    config : Config
    first_row, height : int
        Of the inputs.
    survey : Survey or None
        Of the real and the imaginary parts.
    """
    apart = "read x.real and x.imag apart: the rows of the imaginary parts come behind those of all real parts"
    if isinstance(survey, Survey) and (first_row or 2 * height != survey.of.shape[0]):
        fail(ValueError, f"survey= is of {survey.of}, and these are {height} complex rows from {first_row} on: {apart}")
    if not first_row:
        return
    noises = {"vnoise": config.dac.noisy, "noise_lsb": config.adc.noise_lsb > 0, "redraw": config.device.draws_rows}
    if drawn := [name for name, on in noises.items() if on]:
        fail(ValueError, f"{drawn[0]} draws by rows, and first_row={first_row} is one of complex inputs: {apart}")
    fmt = config.inputs
    if survey is None and _row_unit(fmt, config.tile.rows) != 1:
        msg = (
            f"granularity {fmt.granularity!r} of the inputs gives one scale to several rows, and first_row={first_row}"
        )
        fail(ValueError, f"{msg} to complex inputs: {apart}")


def encode_part(backend: Any, values: Any, survey: Survey, origin: Block) -> Encoded:
    """Return a part of an operand in the codes that it has in the whole.

    Parameters
    ----------
    backend : module
        A backend.
    values : real floating array, shape (1, A, C), finite, not empty
    survey : Survey
        Of the whole, checked by `check_survey`.
    origin : (int, int)
        Row and column of the first element in the whole.
    """
    statistics, block = part_statistics(survey, values, origin)
    return encoding.encode(backend, values, survey.of.format, block, statistics=statistics)


def check_same_operand(name: str, survey: Any, of: SurveyOf) -> None:
    """Raise TypeError if a value is no survey, ValueError if it is one of another operand, shape or format."""
    if not isinstance(survey, Survey):
        fail(TypeError, f"{name}={survey!r} must be a Survey, as engine.survey_{of.operand} returns it")
    if survey.of != of:
        fail(ValueError, f"{name}= is of {survey.of}, but these are {of}: survey the operand that they are a part of")


def check_survey(survey: Any, of: SurveyOf, size: Block, origin: Block) -> None:
    """Raise unless a survey is that of an operand, and has measured all that the scales of a part depend on.

    Parameters
    ----------
    survey : Survey
    of : SurveyOf
        The operand, with the shape of the survey if nobody has said another.
    size, origin : (int, int)
        Of the part.

    Raises
    ------
    TypeError
        If it is no survey.
    ValueError
        If it is of another operand, shape or format, is not settled, or lacks elements.
    """
    check_same_operand("survey", survey, of)
    inside(size, origin, of.shape)
    if not survey.settled:
        msg = f"survey= is of round {survey.round} of {survey.of.rounds}"
        fail(ValueError, f"{msg}: survey all parts again, engine.survey_{of.operand}(part, ..., after=survey)")
    (top, left), (height, width) = origin, size
    if height and width:
        survey._check_covers(((top, top + height), (left, left + width)), "this part")


def inside(size: Block, origin: Block, shape: Block) -> None:
    """Raise ValueError unless a part lies inside the whole."""
    if any(at + n > whole for at, n, whole in zip(origin, size, shape, strict=True)):
        fail(ValueError, f"a part of shape {size} at origin={origin} does not lie inside a whole of shape={shape}")


def as_shape(shape: Any) -> Block:
    """Return the shape of a whole operand, checked."""
    return as_int_pair("shape", shape, 0)
