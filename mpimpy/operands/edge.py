"""The public edge: operands are checked once, before any work."""

import math
import sys
import warnings
from dataclasses import dataclass
from typing import Any

from .. import arrays
from ..arrays import device_of, namespace
from ..checks import MpimpyWarning, fail
from ..config import Format
from . import dtypes, values
from .dtypes import kind_of, result_dtype
from .values import first_index, library, like

__all__ = [
    "MpimpyWarning",
    "Operand",
    "accept",
    "as_faults",
    "as_tensors",
    "check_device",
    "check_together",
    "first_index",
    "float_dtype",
    "library",
    "like",
    "matrix_shape",
    "result_dtype",
    "unread",
]


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
    dtype : dtype, optional
        Dtype that it counts as in the dtype of a product; by default that of `array`.
    """

    name: str
    array: Any
    shape: tuple[int, ...]
    dtype: Any = None

    @property
    def counts_as(self) -> Any:
        """Dtype that it counts as in the dtype of a product."""
        return self.array.dtype if self.dtype is None else self.dtype

    @property
    def complex(self) -> bool:
        """Whether its numbers are complex."""
        return kind_of(namespace(self.array), self.array.dtype) == "complex floating"

    @property
    def dims(self) -> tuple[int, int, int]:
        """(batch, M, K) of inputs."""
        shape = self.shape
        return math.prod(shape[:-2]), shape[-2] if len(shape) > 1 else 1, shape[-1]

    @property
    def rows(self) -> int:
        """Number of input vectors."""
        return math.prod(self.shape[:-1])


def float_dtype(xp: Any, array: Any) -> Any:
    """Return the floating dtype that `array` counts as: its own, or its library's default."""
    return dtypes.float_dtype(xp, array.dtype, device_of(array))


def _check_real(name: str, array: Any, complex_too: bool) -> str | None:
    # the kind of its dtype, which may be complex where that is allowed
    kind = kind_of(namespace(array), array.dtype)
    if kind == "complex floating" and not complex_too:
        msg = (
            f"{name} has dtype {array.dtype}, which is complex where real numbers are wanted: "
            "pass its real and its imaginary part"
        )
        raise TypeError(msg)
    return kind


def check_finite(name: str, array: Any) -> None:
    """Raise ValueError, with the place, if a number of an array of floats is NaN or infinite."""
    if arrays.all_finite(array):
        return
    xp = namespace(array)
    index = first_index(xp, ~xp.isfinite(array))
    value = complex(array[index]) if xp.isdtype(array.dtype, "complex floating") else float(array[index])
    fail(ValueError, f"{name} has {value} at index {index}: every element must be finite")


def _finite(name: str, array: Any, complex_too: bool) -> Any:
    # the array, without its history of gradients
    kind = _check_real(name, array, complex_too)
    if kind not in ("bool", "integral"):
        check_finite(name, array)
    if arrays.wants_gradient(array):
        warnings.warn(
            f"{name} requires a gradient, and none flows through a crossbar product: "
            "use torch.no_grad(), or pass a detached tensor",
            MpimpyWarning,
            stacklevel=_users_level(),
        )
    return arrays.detach(array)


def _users_level() -> int:
    # the level of warnings.warn, called by our caller, that names the line of the user
    frame, level = sys._getframe(1), 1
    while (
        frame.f_back is not None
        and frame.f_globals.get("__name__", "").partition(".")[0] == __package__.partition(".")[0]
    ):
        frame, level = frame.f_back, level + 1
    return level


def accept(name: str, value: Any, like: Any = None, *, depth: int | None = None, complex_too: bool = False) -> Operand:
    """Return an operand that has passed all checks.

    Parameters
    ----------
    name : str
        Its name in messages.
    value : anything that holds numbers, or Operand
        See the table in docs/operands.md. An `Operand` is not checked again.
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
        array, dtype = values.take(name, value, like if other is None else other.array)
        operand = Operand(name, _finite(name, array, complex_too), tuple(array.shape), dtype)
    if other is not None:
        check_together(operand.array, other.array, name, other.name)
        if depth is not None:
            matrix_shape(operand.shape, depth, name, other.name, other.shape)
    return operand


def unread(name: str, tensor: Any, *, complex_too: bool = False) -> Operand:
    """Return a tensor on a card as an operand whose values nobody has looked at: the host does not wait for them.

    The caller sees to it that a NaN or an infinity is told of. The other parameters and errors are those of `accept`.
    """
    array, dtype = values.take(name, tensor)
    _check_real(name, array, complex_too)
    return Operand(name, arrays.detach(array), tuple(array.shape), dtype)


def check_together(x: Any, w: Any, x_name: str, w_name: str) -> None:
    """Raise TypeError for arrays of two libraries, ValueError for arrays on two devices."""
    if arrays.is_plain(x) and arrays.is_plain(w):
        return
    if namespace(x) is not namespace(w):
        msg = (
            f"{x_name} is a {library(x)} array and {w_name} a {library(w)} one: "
            "convert one of them, so that both belong to one library"
        )
        raise TypeError(msg)
    if device_of(x) != device_of(w):
        msg = f"{x_name} is on device {device_of(x)} and {w_name} on {device_of(w)}: move one of them"
        raise ValueError(msg)


def as_tensors(x: Any, w: Any, x_name: str, w_name: str) -> tuple[Any, Any]:
    """Return two operands, one of which is a torch tensor, as tensors of one device, with their gradients.

    Raises
    ------
    TypeError, ValueError
        As `accept` and `check_together`.
    """
    if not (arrays.is_torch(x) and arrays.is_torch(w)):
        other = like(x, w)
        x = x if arrays.is_torch(x) else accept(x_name, x, other).array
        w = w if arrays.is_torch(w) else accept(w_name, w, other).array
        check_together(x, w, x_name, w_name)
    elif x.device != w.device:
        msg = f"{x_name} is on device {x.device} and {w_name} on {w.device}: move one of them"
        raise ValueError(msg)
    return x, w


def check_device(array: Any, wanted: Any, name: str, owner: str, setting: str = "device") -> None:
    """Raise ValueError if `array` is not on the device that its `owner` was given, by a `setting`."""
    if wanted is None:
        return
    found = str(device_of(array))
    # torch: "cuda" is the current CUDA device, whose full name ends in a number
    if str(wanted).removesuffix(":0") != found.removesuffix(":0"):
        msg = f"{name} is on device {found} but {owner} has device={wanted}: move the array, or leave {setting} out"
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
