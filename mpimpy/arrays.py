"""Arrays of any library: their namespace, where they lie, and what torch and JAX do to them.

No array library is imported here: a tensor can only come from a torch that is imported already.
"""

import contextlib
import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from array_api_compat import array_namespace, device, is_array_api_obj

__all__ = [
    "all_finite",
    "are_own_operations",
    "asarray",
    "constant",
    "detach",
    "device_of",
    "in_cpu_memory",
    "is_array",
    "is_complex",
    "is_numpy",
    "is_plain",
    "is_torch",
    "is_torch_cpu",
    "lazy_of",
    "lazy_product",
    "namespace",
    "on_card",
    "only_shapes",
    "own_operations",
    "plain_values",
    "quiet",
    "recorded",
    "register_lazy",
    "rounded",
    "to_numpy",
    "traced",
    "traced_by_torch",
    "unusable",
    "wants_gradient",
]

_NAMESPACES: dict[type, Any] = {}
_CPU = 1  # DLPack's number of CPU memory


def namespace(array: Any) -> Any:
    """Return the array-API namespace of `array`, cached by its type."""
    kind = type(array)
    found = _NAMESPACES.get(kind)
    if found is None:
        found = _NAMESPACES[kind] = array_namespace(array)
    return found


def device_of(array: Any) -> Any:
    """Return the device of `array`."""
    return "cpu" if is_plain(array) else device(array)


def is_array(value: Any) -> bool:
    """Return whether `value` is an array of NumPy, torch or another library that follows the array API."""
    return is_numpy(value) or is_torch(value) or bool(is_array_api_obj(value))


def is_numpy(array: Any) -> bool:
    """Return whether `array` is NumPy's."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(array, (numpy.ndarray, numpy.generic))


def is_complex(array: Any) -> bool:
    """Return whether `array` is a tensor of complex numbers."""
    return is_torch(array) and bool(array.is_complex())


def is_plain(value: Any) -> bool:
    """Return whether `value` is a NumPy array itself, of no subclass."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray


def all_finite(array: Any) -> bool:
    """Return whether an array holds no NaN and no infinity."""
    if not is_plain(array) and is_torch_cpu(array) and array.is_floating_point() and array.dtype.itemsize > 2:
        # NumPy is over ten times as fast as torch on a thread; inside its transforms a tensor shows no values
        with contextlib.suppress(RuntimeError):
            array = array.detach().resolve_neg().numpy()
    if is_plain(array):
        return bool(sys.modules["numpy"].isfinite(array).all())
    xp = namespace(array)
    return bool(xp.all(xp.isfinite(array)))


def shown(tensor: Any) -> Any:
    """Return the memory of a tensor of plain floats, on the CPU and outside of all transforms, as NumPy's; or None."""
    torch = sys.modules["torch"]
    if type(tensor) is not torch.Tensor or tensor.dtype not in (torch.float32, torch.float64):
        return None
    if tensor.layout is not torch.strided or torch._C._get_tracing_state() is not None:
        return None
    if torch.autograd.forward_ad._current_level >= 0:
        return None
    try:
        return tensor.detach().numpy()
    except (RuntimeError, TypeError):  # on another device, nested, negated, or inside a transform or a mode
        return None


def plain_values(array: Any, *beside: Any) -> Any:
    """Return the values of an array as NumPy's, without a copy; None if torch records it, or they are not at hand.

    Parameters
    ----------
    array : object
    *beside : tensors
        What else takes part in the operation that torch may record.
    """
    if is_plain(array):
        return array
    return shown(array) if is_torch(array) and not recorded(array, *beside) else None


def is_torch(array: Any) -> bool:
    """Return whether `array` is a torch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def is_torch_cpu(array: Any) -> bool:
    """Return whether `array` is a torch tensor in CPU memory."""
    return is_torch(array) and array.device.type == "cpu"


def on_card(array: Any) -> bool:
    """Return whether `array` is a torch tensor whose values the host has to wait for: on a card such as CUDA's."""
    return is_torch(array) and not (array.is_cpu or array.is_meta)


def in_cpu_memory(array: Any) -> bool:
    """Return whether `array` is NumPy's, a torch CPU tensor, or says by DLPack that it lies in CPU memory."""
    if is_numpy(array):
        return True
    if is_torch(array):
        return bool(array.device.type == "cpu")
    try:
        return int(array.__dlpack_device__()[0]) == _CPU
    except Exception:  # each library has its own error for memory that it cannot name
        return False


def to_numpy(array: Any) -> Any:
    """Return an array of any library in CPU memory as a NumPy array, sharing its memory by DLPack where it can."""
    import numpy as np

    if isinstance(array, np.ndarray):
        return array
    try:
        return np.from_dlpack(array)
    except Exception:  # what DLPack cannot share, such as an array in several parts, is copied
        return np.asarray(array)


def traced(value: Any) -> str | None:
    """Return the reason why `value` stands for values that a tracer of torch or JAX will put in, or None."""
    jax, fx = sys.modules.get("jax"), sys.modules.get("torch.fx")
    if jax is not None and isinstance(value, jax.core.Tracer):
        return (
            "is traced by JAX (jit, vmap, grad or scan) and has no values, which a crossbar needs: "
            "call mpimpy outside, or through jax.pure_callback"
        )
    if fx is not None and isinstance(value, fx.Proxy):
        return "is traced by torch.fx and has no values, which a crossbar needs: keep mpimpy out of the traced function"
    return None


def wants_gradient(array: Any) -> bool:
    """Return whether torch would record operations on `array`."""
    return is_torch(array) and bool(array.requires_grad) and bool(sys.modules["torch"].is_grad_enabled())


def _without_values(torch: Any, tensors: Any) -> bool:
    # whether a mode that replaces or writes down every operation is on, or a tensor stems from one
    if torch._C._len_torch_dispatch_stack():
        mode, modes = torch._C._get_dispatch_mode, torch._C._TorchDispatchModeKey
        if mode(modes.FAKE) is not None or mode(modes.PROXY) is not None:
            return True
    return any(type(tensor).__module__.startswith("torch._subclasses") for tensor in tensors)


def traced_by_torch(*tensors: Any) -> bool:
    """Return whether torch compiles or exports what is done to tensors: they may have no values."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    return bool(torch.compiler.is_compiling()) or _without_values(torch, tensors)


def only_shapes(tensor: Any) -> bool:
    """Return whether a tensor has no values, and no graph is made of what is done to it."""
    torch = sys.modules["torch"]
    if torch.compiler.is_compiling():
        return False
    mode, modes = torch._C._get_dispatch_mode, torch._C._TorchDispatchModeKey
    return mode(modes.PROXY) is None and type(tensor).__module__.startswith("torch._subclasses")


def recorded(*values: Any) -> bool:
    """Return whether torch records, transforms, compiles or casts what is done to one of the values.

    A real product of values would pass it by; see `mpimpy.autograd.product.multiply`.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    if not tensors:
        return False
    if torch.compiler.is_compiling():
        return True
    if torch._C._get_tracing_state() is not None:
        return False  # torch.jit.trace keeps constants: it is refused
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return True
    level = torch._C._functorch.peek_interpreter_stack()
    if level is not None:
        return bool(level.key() != torch._C._functorch.TransformType.Functionalize)
    if torch.autograd.forward_ad._current_level >= 0 or _without_values(torch, tensors):
        return True
    if not torch._C._is_any_autocast_enabled():
        return False
    kinds = {tensor.device.type for tensor in tensors}
    return any(torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind) for kind in kinds)


_NO_GRADIENT = "no gradient flows through a crossbar product"


def _transform(torch: Any, array: Any) -> str | None:
    # what a transform of torch does to this tensor, which a product of its values would silently ignore
    wrapped = torch._C._functorch
    if wrapped.is_functorch_wrapped_tensor(array):
        if wrapped.is_batchedtensor(array):
            return "is a batch inside torch.vmap, which a crossbar cannot see: pass the whole batch, of shape (..., K)"
        if wrapped.is_gradtrackingtensor(array):
            return f"is inside a gradient of torch.func, and {_NO_GRADIENT}: call mpimpy outside, or pass a constant"
        return "is traced by torch.func.functionalize and has no values: call mpimpy outside"
    if torch._C._get_tracing_state() is not None:
        return (
            "is traced by torch.jit.trace, which would keep the product of this example as a constant: "
            "call mpimpy outside the traced function"
        )
    forward = torch.autograd.forward_ad
    if forward._current_level >= 0 and forward.unpack_dual(array).tangent is not None:
        return f"carries a tangent, a forward-mode gradient, and {_NO_GRADIENT}: pass its primal, unpack_dual(x).primal"
    mode, modes = torch._C._get_dispatch_mode, torch._C._TorchDispatchModeKey
    if mode(modes.FAKE) is not None or type(array).__module__.startswith("torch._subclasses"):
        return "is traced by torch with fake tensors, without values, which a crossbar needs: call mpimpy outside"
    if mode(modes.PROXY) is not None:
        return "is traced by make_fx or torch.export, and the product would be a constant there: call mpimpy outside"
    if type(array).__module__.startswith("torch.masked"):
        return "is a masked tensor, and a crossbar has no masked cells: pass its .to_tensor(0)"
    return None


def unusable(array: Any) -> str | None:
    """Return the reason why `array` has no plain values to compute with, or None."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(array, torch.Tensor):
        return None
    if array.device.type == "meta":
        return "is on the meta device, without values: give it some, on another device"
    if array.is_nested:
        return "is a nested tensor, and a crossbar reads one matrix: pass its .to_padded_tensor(0.0)"
    if array.layout is not torch.strided:
        return "is a sparse tensor, and a crossbar holds every element: pass its .to_dense()"
    if array.is_quantized:
        return "is a quantised tensor: pass its .dequantize()"
    return _transform(torch, array)


class _Own(threading.local):
    depth = 0


_OWN = _Own()


class own_operations:
    """Context in which the operations of this thread are a backend's, and no part of the user's program."""

    __slots__ = ()

    def __enter__(self) -> None:
        _OWN.depth += 1

    def __exit__(self, *_: object) -> None:
        _OWN.depth -= 1


def are_own_operations() -> bool:
    """Return whether this thread is inside `own_operations`."""
    return _OWN.depth > 0


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


def asarray(values: Any, dtype: Any = None) -> Any:
    """Return `values` (a number, nested lists, anything np.asarray takes) as a NumPy array."""
    import numpy as np

    return np.asarray(values, dtype)


@functools.lru_cache(maxsize=256)
def constant(xp: Any, numbers: tuple[Any, ...], dtype: str, where: Any) -> Any:
    """Return few numbers as an array that stays on its device: copying them there makes the host wait for a card."""
    return xp.asarray(numbers, dtype=getattr(xp, dtype), device=where)


def quiet() -> Any:
    """Return a context in which NumPy does not warn of numbers that leave the range of a dtype."""
    import numpy as np

    return np.errstate(all="ignore")


class Lazy(NamedTuple):
    """The functions of a library whose arrays are not computed yet; see `register_lazy`."""

    product: Callable[..., Any]
    program: Callable[..., Any] | None = None
    multiply: Callable[..., Any] | None = None
    read: Callable[..., Any] | None = None


_LAZY: dict[str, Lazy] = {}  # by library


def register_lazy(library: str, product: Callable[..., Any], **others: Callable[..., Any]) -> None:
    """Register the products of a library whose arrays are not computed yet, such as dask's.

    `MapReducedot`, engines and programmed matrices hand arrays of such a library over, instead of computing them.

    Parameters
    ----------
    library : str
        The top module of the arrays' type, such as "dask".
    product : function
        Called as ``product(a, b, engine, settings)``, for `MapReducedot`.
    **others : functions, optional
        ``program(engine, w, options)``, for ``engine.program(w)``; ``multiply(engine, x, w, read)``, for
        ``engine(x, w)``; ``read(matrix, x, read, options)``, for ``matrix.read(x)``.
    """
    _LAZY[library] = Lazy(product, **others)


def lazy_of(*values: Any) -> Lazy | None:
    """Return the registered functions of the first value whose library is lazy, or None."""
    libraries = (type(value).__module__.partition(".")[0] for value in values)
    return next((_LAZY[name] for name in libraries if name in _LAZY), None)


def lazy_product(*values: Any) -> Callable[..., Any] | None:
    """Return the registered product of the first value whose library is lazy, or None."""
    lazy = lazy_of(*values)
    return None if lazy is None else lazy.product
