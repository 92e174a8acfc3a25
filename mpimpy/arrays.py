"""Arrays of any library: their namespace, and the special cases of torch's tensors.

No array library is imported here: a tensor can only come from a torch that is imported already.
"""

import sys
from collections.abc import Callable
from typing import Any

from array_api_compat import array_namespace

__all__ = [
    "asarray",
    "detach",
    "is_numpy",
    "is_torch",
    "is_torch_cpu",
    "lazy_product",
    "namespace",
    "register_lazy",
    "rounded",
    "unusable",
    "wants_gradient",
]

_NAMESPACES: dict[type, Any] = {}


def namespace(array: Any) -> Any:
    """Return the array-API namespace of `array`, cached by its type."""
    kind = type(array)
    found = _NAMESPACES.get(kind)
    if found is None:
        found = _NAMESPACES[kind] = array_namespace(array)
    return found


def is_numpy(array: Any) -> bool:
    """Return whether `array` is NumPy's."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(array, (numpy.ndarray, numpy.generic))


def is_torch(array: Any) -> bool:
    """Return whether `array` is a torch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def is_torch_cpu(array: Any) -> bool:
    """Return whether `array` is a torch tensor in CPU memory."""
    return is_torch(array) and array.device.type == "cpu"


def wants_gradient(array: Any) -> bool:
    """Return whether torch would record operations on `array`."""
    return is_torch(array) and bool(array.requires_grad) and bool(sys.modules["torch"].is_grad_enabled())


def unusable(array: Any) -> str | None:
    """Return the reason why `array` has no plain values to compute with, or None."""
    if is_torch(array) and array.device.type == "meta":
        return "is on the meta device, without values: give it some, on another device"
    if is_torch(array) and array.layout is not sys.modules["torch"].strided:
        return "is a sparse tensor, and a crossbar holds every element: pass its .to_dense()"
    return None


def detach(array: Any) -> Any:
    """Return `array` without its history of gradients."""
    return array.detach() if is_torch(array) and array.requires_grad else array


def rounded(array: Any, dtype: Any) -> Any:
    """Return real floats as another floating dtype, rounded once.

    torch and JAX round float64 to 16 bits by way of float32. Two roundings to nearest may end elsewhere than one.
    So an inexact float32 is made odd: whatever side of a tie the float64 was on, the float32 is there too.
    """
    xp = namespace(array)
    if getattr(dtype, "itemsize", 8) == 2 and array.dtype.itemsize == 8 and not is_numpy(array):
        single = xp.astype(array, xp.float32)
        back, bits = xp.astype(single, xp.float64), single.view(xp.int32)
        odd = (bits - xp.astype(xp.abs(back) > xp.abs(array), xp.int32)) | 1  # towards zero, and the last bit set
        array = xp.where(back == array, bits, odd).view(xp.float32)
    return xp.astype(array, dtype, copy=False)


def asarray(values: Any) -> Any:
    """Return `values` (a number, nested lists, anything np.asarray takes) as a NumPy array."""
    import numpy as np

    return np.asarray(values)


_LAZY: dict[str, Callable[..., Any]] = {}  # by library: the product of arrays that are not computed yet


def register_lazy(library: str, product: Callable[..., Any]) -> None:
    """Register the product of a library whose arrays are not computed yet, such as dask's.

    `MapReducedot` hands arrays of such a library over, instead of computing them.

    Parameters
    ----------
    library : str
        The top module of the arrays' type, such as "dask".
    product : function
        Called as ``product(a, b, engine, settings)``.
    """
    _LAZY[library] = product


def lazy_product(*values: Any) -> Callable[..., Any] | None:
    """Return the registered product of the first value whose library is lazy, or None."""
    if not _LAZY:
        return None
    libraries = (type(value).__module__.partition(".")[0] for value in values)
    return next((_LAZY[name] for name in libraries if name in _LAZY), None)
