"""Dtypes of operands: those that kernels take, and the dtype of a product."""

import functools
import sys
from typing import Any, NamedTuple

__all__ = ["Dtype", "dtype_of", "float_dtype", "kind_of", "number_dtype", "real_dtype", "result_dtype"]

_KINDS = ("bool", "integral", "real floating", "complex floating")  # a product has the later of two


class Dtype(NamedTuple):
    """What happens to arrays of one dtype.

    Attributes
    ----------
    kind : str or None
        Its kind in the array API; None: it is not numeric.
    held_as : dtype or None
        Dtype into which the values are widened (or, for long doubles, narrowed); None: they stay.
    counts_as : dtype
        Dtype that the operand has in the rules of `result_dtype`.
    """

    kind: str | None
    held_as: Any
    counts_as: Any


def _name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


@functools.lru_cache(maxsize=256)
def kind_of(xp: Any, dtype: Any) -> str | None:
    """Return the array API's kind of a dtype, bfloat16 and other dtypes of ml_dtypes too; None if it is not numeric."""
    try:
        found = next((kind for kind in _KINDS if xp.isdtype(dtype, kind)), None)
    except (TypeError, ValueError):
        found = None
    if found is None and getattr(getattr(dtype, "type", None), "__module__", "") == "ml_dtypes":
        return "integral" if "int" in _name(dtype) else "real floating"
    return found


@functools.lru_cache(maxsize=256)
def dtype_of(xp: Any, dtype: Any) -> Dtype:
    """Return the `Dtype` of a dtype of the library `xp`."""
    kind, name = kind_of(xp, dtype), _name(dtype)
    if kind is None or name.endswith("_x2"):
        return Dtype(None, None, dtype)  # torch's _x2: two numbers in one element
    if kind in ("real floating", "complex floating"):
        if name.startswith(("float8_", "float6_", "float4_")):
            return Dtype(kind, xp.float32, xp.float32)
        if name == "bfloat16" and "torch" not in xp.__name__:
            return Dtype(kind, xp.float32, dtype)
        if getattr(dtype, "itemsize", 0) > (8 if kind == "real floating" else 16):
            return Dtype(kind, xp.float64 if kind == "real floating" else xp.complex128, dtype)
    elif getattr(getattr(dtype, "type", None), "__module__", "") == "ml_dtypes":
        return Dtype(kind, xp.int8, xp.int8)
    return Dtype(kind, None, dtype)


def _default(xp: Any, kind: str, device: Any) -> Any:
    return xp.__array_namespace_info__().default_dtypes(device=device)[kind]


def float_dtype(xp: Any, dtype: Any, device: Any = None) -> Any:
    """Return the floating dtype of a result of `dtype`: for integers, the library's default."""
    if kind_of(xp, dtype) in ("real floating", "complex floating"):
        return dtype
    return _default(xp, "real floating", device)


@functools.lru_cache(maxsize=256)
def real_dtype(xp: Any, dtype: Any) -> Any:
    """Return the dtype of the real part of numbers of a floating `dtype`."""
    return xp.real(xp.zeros((), dtype=dtype)).dtype if kind_of(xp, dtype) == "complex floating" else dtype


@functools.lru_cache(maxsize=256)
def _promote(xp: Any, first: Any, second: Any, number_1: bool, number_2: bool) -> Any:
    kinds = kind_of(xp, first), kind_of(xp, second)
    whole = [kind in ("bool", "integral") for kind in kinds]
    if all(whole):
        return None
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(first, torch.dtype):
        # tensors without axes yield to tensors with axes, as in torch
        shapes = ((1,) * (not number_1), first), ((1,) * (not number_2), second)
        return torch.result_type(*(torch.empty(shape, dtype=dtype) for shape, dtype in shapes))
    try:
        return xp.result_type(first, second)
    except TypeError:
        if any(whole):
            return second if whole[0] else first
        msg = f"{first} and {second} have no common dtype: convert one of the operands to the dtype of the other"
        raise TypeError(msg) from None


def result_dtype(
    xp: Any, first: Any, second: Any, device: Any = None, *, first_number: bool = False, second_number: bool = False
) -> Any:
    """Return the dtype of a product of operands that count as `first` and `second`.

    It is that of ``np.dot``, or of ``torch.result_type``, or of the library's own ``result_type``. A library without a
    rule for integers beside floats gets the float. Two integers give the library's default float.

    Parameters
    ----------
    xp : namespace
    first, second : dtype
    device : device, optional
        Where the default float is looked up.
    first_number, second_number : bool
        Whether an operand has no axes, which counts in torch.

    Raises
    ------
    TypeError
        If the library has no common dtype.
    """
    found = _promote(xp, first, second, first_number, second_number)
    return _default(xp, "real floating", device) if found is None else found


def number_dtype(xp: Any, beside: Any, kind: str, device: Any = None) -> Any:
    """Return the dtype that numbers of Python count as beside an array of the dtype `beside`.

    They have a kind, but no width: the array's dtype, unless their kind is above its.

    Parameters
    ----------
    xp : namespace
    beside : dtype
    kind : str
        Kind of the numbers.
    device : device, optional
    """
    own, torch = kind_of(xp, beside), sys.modules.get("torch")
    if torch is not None and isinstance(beside, torch.dtype):
        return torch.result_type(torch.empty(1, dtype=beside), dict(zip(_KINDS, (True, 1, 1.0, 1j), strict=True))[kind])
    if own is not None and _KINDS.index(kind) <= _KINDS.index(own):
        return beside
    if kind == "complex floating" and own == "real floating":
        return xp.complex128 if getattr(beside, "itemsize", 0) >= 8 or beside == xp.float64 else xp.complex64
    return _default(xp, kind, device)
