"""The public edge: operands are checked once, before any work."""

import functools
import math
import warnings
from dataclasses import dataclass
from typing import Any

from array_api_compat import device as device_of
from array_api_compat import is_array_api_obj

from .. import arrays
from ..arrays import namespace
from ..config import Format

__all__ = [
    "MpimpyWarning",
    "Operand",
    "accept",
    "as_faults",
    "as_operand",
    "check_device",
    "check_together",
    "first_index",
    "float_dtype",
    "library",
    "matrix_shape",
    "result_dtype",
]


class MpimpyWarning(UserWarning):
    """A result that is probably not the intended one."""


@dataclass(frozen=True)
class Operand:
    """An array that has passed the public edge: numeric, finite, without history of gradients.

    Attributes
    ----------
    name : str
        Its name in messages.
    array : array
        Its values; for a programmed matrix, an empty array of its library, dtype and device.
    shape : tuple of int
    """

    name: str
    array: Any
    shape: tuple[int, ...]

    @property
    def dims(self) -> tuple[int, int, int]:
        """(batch, M, K) of inputs."""
        shape = self.shape
        return math.prod(shape[:-2]), shape[-2] if len(shape) > 1 else 1, shape[-1]

    @property
    def rows(self) -> int:
        """Number of input vectors."""
        return math.prod(self.shape[:-1])

    @property
    def complex(self) -> bool:
        """Whether its numbers are complex."""
        return _kind(namespace(self.array), self.array.dtype) == "complex floating"


def library(array: Any) -> str:
    """Return the name of the library that `array` belongs to."""
    name: str = namespace(array).__name__
    return name.removeprefix("array_api_compat.").partition(".")[0]


@functools.lru_cache(maxsize=128)
def _kind(xp: Any, dtype: Any) -> str | None:
    # the array API's kind of a dtype; None: one that it does not know
    try:
        kinds = ("bool", "integral", "real floating", "complex floating")
        return next((kind for kind in kinds if xp.isdtype(dtype, kind)), None)
    except (TypeError, ValueError):
        return None


def float_dtype(xp: Any, array: Any) -> Any:
    """Return the floating dtype that `array` counts as: its own, or its library's default."""
    if _kind(xp, array.dtype) == "real floating":
        return array.dtype
    return xp.__array_namespace_info__().default_dtypes(device=device_of(array))["real floating"]


def result_dtype(xp: Any, first: Any, second: Any) -> Any:
    """Return the dtype of a product of operands that count as `first` and `second`."""
    return xp.result_type(first, second)


def _convert(name: str, value: Any, like: Any) -> Any:
    if is_array_api_obj(value) and (like is None or value.ndim or library(value) != "numpy"):
        return value  # a NumPy number counts as a number beside any library
    if hasattr(value, "todense"):
        msg = f"{name} is a sparse {type(value).__name__}, and a crossbar holds every element: pass {name}.toarray()"
        raise TypeError(msg)
    array = arrays.asarray(value)
    if array.dtype.kind not in "biufc":
        msg = f"{name} has dtype {array.dtype}, which is not numeric: pass integers or floats"
        raise TypeError(msg)
    if like is None or library(like) == "numpy":
        return array
    xp = namespace(like)
    return xp.asarray(array.tolist(), device=device_of(like))


def first_index(xp: Any, marked: Any) -> tuple[int, ...]:
    """Return the index of the first True of a bool array, a tuple of int."""
    first = int(xp.argmax(xp.astype(xp.reshape(marked, (-1,)), xp.int8)))
    index: list[int] = []
    for size in reversed(marked.shape):
        first, position = divmod(first, size)
        index.append(position)
    return tuple(reversed(index))


def as_operand(name: str, value: Any, *, like: Any = None, complex_too: bool = False) -> Any:
    """Return `value` as an array of finite numbers.

    Parameters
    ----------
    name : str
        Its name in messages.
    value : array, nested lists or number
    like : array, optional
        Lists and numbers become arrays of this one's library and device.
    complex_too : bool
        Whether complex numbers may pass.

    Raises
    ------
    TypeError
        If `value` is not numeric, or complex where that is not allowed.
    ValueError
        If it holds a NaN or an infinity.
    """
    for mark, kind, mend in (
        ("conductance", "a programmed matrix", "write x @ W, or W.report(x)"),
        ("slice_data_imp", "a SlicedData", "multiply with engine(x, w)"),
    ):
        if hasattr(value, mark):
            msg = f"{name} is {kind}, not an array: {mend}"
            raise TypeError(msg)
    if hasattr(value, "mask") and hasattr(value, "filled"):
        msg = f"{name} is a masked array, and a crossbar has no masked cells: pass {name}.filled(0)"
        raise TypeError(msg)
    array = _convert(name, value, like)
    if reason := arrays.unusable(array):
        msg = f"{name} {reason}"
        raise TypeError(msg)
    xp = namespace(array)
    kind_of_dtype = _kind(xp, array.dtype)
    imaginary = kind_of_dtype == "complex floating"
    if kind_of_dtype is None or (imaginary and not complex_too):
        kind = (
            "is complex where real numbers are wanted: pass its real and its imaginary part"
            if imaginary
            else "is not numeric"
        )
        msg = f"{name} has dtype {array.dtype}, which {kind}"
        raise TypeError(msg)
    if kind_of_dtype not in ("bool", "integral") and not bool(xp.all(xp.isfinite(array))):
        index = first_index(xp, ~xp.isfinite(array))
        value = complex(array[index]) if imaginary else float(array[index])
        msg = f"{name} has {value} at index {index}: every element must be finite"
        raise ValueError(msg)
    if arrays.wants_gradient(array):
        warnings.warn(
            f"{name} requires a gradient, and none flows through a crossbar product: "
            "use torch.no_grad(), or pass a detached tensor",
            MpimpyWarning,
            stacklevel=5,
        )
    return arrays.detach(array)


def accept(name: str, value: Any, like: Any = None, *, depth: int | None = None, complex_too: bool = False) -> Operand:
    """Return an operand that has passed all checks.

    Parameters
    ----------
    name : str
        Its name in messages.
    value : array, nested lists, number, or Operand
        An `Operand` is not checked again.
    like : Operand or array, optional
        Lists and numbers become arrays of its library and device. An `Operand` is the other factor of a
        product: both must then belong to one library and device.
    depth : int, optional
        Length of the last axis, which is summed.
    complex_too : bool
        Whether complex numbers may pass.

    Returns
    -------
    Operand

    Raises
    ------
    TypeError
        If `value` is not numeric, complex where that is not allowed, or of another library than `like`.
    ValueError
        If it holds a NaN or an infinity, lies on another device, or its shape does not fit.
    """
    other = like if isinstance(like, Operand) else None
    if isinstance(value, Operand):
        operand = value
    else:
        array = as_operand(name, value, like=like if other is None else other.array, complex_too=complex_too)
        operand = Operand(name, array, tuple(array.shape))
    if other is not None:
        check_together(operand.array, other.array, name, other.name)
        if depth is not None:
            matrix_shape(operand.shape, depth, name, other.name, other.shape)
    return operand


def check_together(x: Any, w: Any, x_name: str, w_name: str) -> None:
    """Raise TypeError for arrays of two libraries, ValueError for arrays on two devices."""
    if namespace(x) is not namespace(w):
        msg = (
            f"{x_name} is a {library(x)} array and {w_name} a {library(w)} one: "
            "convert one of them, so that both belong to one library"
        )
        raise TypeError(msg)
    if device_of(x) != device_of(w):
        msg = f"{x_name} is on device {device_of(x)} and {w_name} on {device_of(w)}: move one of them"
        raise ValueError(msg)


def check_device(array: Any, wanted: Any, name: str, owner: str) -> None:
    """Raise ValueError if `array` is not on the device that its `owner` was given."""
    found = str(device_of(array))
    # torch: "cuda" is the current CUDA device, whose full name ends in a number
    if wanted is not None and str(wanted).removesuffix(":0") != found.removesuffix(":0"):
        msg = f"{name} is on device {found} but {owner} has device={wanted}: move the array, or leave device out"
        raise ValueError(msg)


def matrix_shape(
    shape: tuple[int, ...], depth: int, x_name: str, w_name: str, w_shape: tuple[int, ...]
) -> tuple[int, int, int]:
    """Return (batch, M, K) of inputs of `shape`, whose last axis must be `depth` long."""
    if not shape:
        msg = f"{x_name} is a number: a crossbar reads vectors, so it needs at least one axis of length {depth}"
        raise ValueError(msg)
    if shape[-1] != depth:
        msg = (
            f"shapes {tuple(shape)} and {tuple(w_shape)} do not fit: the last axis of {x_name} ({shape[-1]}) "
            f"must be as long as the summed axis of {w_name} ({depth})"
        )
        raise ValueError(msg)
    return (math.prod(shape[:-2]), shape[-2] if len(shape) > 1 else 1, depth)


def as_faults(faults: Any, shape: tuple[int, ...], fmt: Format) -> Any:
    """Return a map of stuck cells as a NumPy int8 array, (all slices, K, N), least significant slice first.

    Parameters
    ----------
    faults : integer array, shape `shape` or that of ``W.conductance()``
        1: stuck at HGS, -1: at LGS, 0: neither.
    shape : (int, int)
        (K, N).
    fmt : Format
        Format of the weights.

    Raises
    ------
    TypeError, ValueError
        If it is not of integers, does not fit a matrix of this shape, or holds more than -1, 0 and 1.
    """
    found = arrays.asarray(faults.cpu() if hasattr(faults, "cpu") else faults)
    if found.dtype.kind not in "iu":
        msg = f"faults has dtype {found.dtype}: use integers, 1 for stuck at HGS, -1 for stuck at LGS, 0 for neither"
        raise TypeError(msg)
    slices, planes, per_digit = len(fmt.digits), fmt.planes, fmt.cells_per_digit
    whole = (*(planes,) * (planes > 1), *(per_digit,) * (per_digit > 1), slices, *shape)
    groups = planes * per_digit
    if tuple(found.shape) not in (tuple(shape), whole):
        msg = f"faults has shape {tuple(found.shape)}: use {tuple(shape)} for all slices alike, or {whole}"
        raise ValueError(msg)
    wrong = (found < -1) | (found > 1)
    if wrong.any():
        index = tuple(map(int, next(zip(*wrong.nonzero(), strict=True))))
        msg = f"faults has {found[index]} at index {index}: use 1 (stuck at HGS), -1 (stuck at LGS) or 0 (neither)"
        raise ValueError(msg)
    full = arrays.asarray([[found] * slices] * groups) if found.ndim == 2 else found.reshape(groups, slices, *shape)
    return full[:, ::-1].reshape(groups * slices, *shape).astype("int8")
