"""Choice of a backend for an array, the list of backends, and the number of threads."""

import functools
import importlib
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from array_api_compat import device

from ..arrays import in_cpu_memory, is_numpy, is_torch, namespace
from ..checks import as_int
from ..config._sense import warn

__all__ = [
    "Backend",
    "Explanation",
    "available",
    "check",
    "differentiable",
    "explain",
    "get_num_threads",
    "select",
    "set_num_threads",
]

_MODULES = {"numba": "cpu.numba_cpu", "torch": "cuda.torch_cuda", "reference": "reference"}
_RUNS = {
    "numba": "NumPy arrays, torch CPU tensors, and arrays in CPU memory that speak DLPack, such as JAX's",
    "torch": "torch tensors: Triton kernels on CUDA, plain torch elsewhere",
    "reference": "any array-API library, on any device",
}


@dataclass(frozen=True)
class Backend:
    """One backend, as `available` lists it.

    Attributes
    ----------
    name : str
    available : bool
    detail : str
        Versions and threads, or why the backend cannot run.
    runs : str
        The arrays it takes.
    chosen : bool
        Whether the array given to `available` would get it.
    """

    name: str
    available: bool
    detail: str
    runs: str
    chosen: bool


@dataclass(frozen=True)
class Explanation:
    """How a product is computed, and why; made by `mpimpy.CrossbarMatrix.read_plan`.

    Printed, it is a few lines of text.

    Attributes
    ----------
    backend : str
        Name of the backend.
    currents : str
        Arithmetic of the currents and the ADC, and dtype of the cells.
    slices : tuple of (int or None, str, str)
        Per input slice, most significant first: its bits (None: noisy codes, or a whole code),
        the path by which its currents are found, and the reason.
    notes : tuple of str
        Other decisions.
    """

    backend: str
    currents: str
    slices: tuple[tuple[int | None, str, str], ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.backend}: {self.currents}"]
        for bits, path, why in self.slices:
            slice_ = "codes" if bits is None else f"{bits}-bit slice"
            lines.append(f"{slice_:<12}{path}: {why}")
        return "\n".join([*lines, *self.notes])


def differentiable(transfer: Callable[[Any], Any], r_word: float, r_bit: float) -> Callable[[Any], Any]:
    """Return `transfer`, a function of torch tensors of conductances, with a gradient."""
    from . import gradient

    return lambda conductance: gradient.transfer(conductance, r_word, r_bit, transfer)


def _takes(name: str, array: Any) -> bool:
    if name == "numba":
        return in_cpu_memory(array)
    return name == "reference" or is_torch(array)


def _name_for(array: Any) -> str:
    if _takes("numba", array):
        return "reference" if _without_numba() else "numba"
    return "torch" if is_torch(array) and array.device.type == "cuda" else "reference"


@functools.cache
def _without_numba() -> str | None:
    # why the kernels of Numba cannot run; None: they can
    try:
        _module("numba")
    except ImportError as error:
        return f"Numba cannot be imported ({error.__cause__})" if _installed("numba") else _absent("numba")
    return None


@functools.cache
def _tell_once(why: str) -> None:
    warn(f"{why}. Products take the reference kernels instead: the same bits, several times slower")


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # it is blocked in sys.modules
        return False


def _absent(name: str) -> str:
    return f"{name.replace('numba', 'Numba')} is not installed: pip install {name}"


def _detail(name: str) -> tuple[bool, str]:
    version = importlib.metadata.version
    if name == "reference":
        return True, f"array-api-compat {version('array-api-compat')}"
    if not _installed(name):
        return False, _absent(name)
    if name == "torch":
        import torch

        triton = f"Triton {version('triton')}" if importlib.util.find_spec("triton") else "no Triton"
        devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return True, f"torch {torch.__version__}, {triton}, {', '.join(devices) or 'no CUDA device'}"
    if why := _without_numba():
        return False, why
    return True, f"Numba {version('numba')}, {get_num_threads()} threads"


def available(array: Any = None) -> list[Backend]:
    """List the backends: which can run here, why the others cannot, and which one `array` would get.

    Parameters
    ----------
    array : array, optional
        Any array; by default a NumPy array is meant.

    Returns
    -------
    list of Backend

    Examples
    --------
    >>> [backend.name for backend in available() if backend.chosen]
    ['numba']
    """
    best = "reference" if _without_numba() else "numba"
    chosen = best if array is None else _name_for(array)
    return [Backend(name, *_detail(name), _RUNS[name], name == chosen) for name in _MODULES]


def select(array: Any, force: str | None = None) -> Any:
    """Return the backend of an array: a module of kernels.

    Parameters
    ----------
    array : array
    force : str, optional
        Name of the backend to use instead of the best one.

    Raises
    ------
    ValueError
        If `force` is unknown, or cannot take this array.
    ImportError
        If the backend's package is not installed: the message says how to install it.
    """
    name = _name_for(array) if force is None else check(force)
    if force is None and name == "reference" and _takes("numba", array):
        _tell_once(_without_numba() or "")
    if not _takes(name, array):
        kind = f"{type(array).__module__}.{type(array).__name__}"
        msg = f"backend {name!r} takes {_RUNS[name]}, not {kind}: use backend=None"
        raise ValueError(msg)
    if name != "numba" and not is_numpy(array):
        xp = namespace(array)
        # JAX has float64 at some times only
        (_check_float64.__wrapped__ if xp.__name__.startswith("jax") else _check_float64)(xp, device(array))
    return _module(name)


@functools.cache
def _module(name: str) -> Any:
    try:
        return importlib.import_module(f".{_MODULES[name]}", __package__)
    except ImportError as error:
        missing = name != "reference" and not _installed(name)
        detail = _detail(name)[1] if missing else str(error)
        msg = f"backend {name!r}, which takes {_RUNS[name]}, cannot run: {detail}"
        raise ImportError(msg) from error


@functools.cache
def _check_float64(xp: Any, where: Any) -> None:
    if "float64" not in xp.__array_namespace_info__().dtypes(device=where, kind="real floating"):
        msg = (
            f"device {where} has no float64, in which products are added up: move the operands to another device, "
            "or enable jax_enable_x64 in JAX"
        )
        raise ValueError(msg)


def check(name: str) -> str:
    """Return `name` if it is a backend's, else raise ValueError."""
    if name not in _MODULES:
        msg = f"backend {name!r} is unknown: use one of {', '.join(map(repr, _MODULES))}, or None for the best"
        raise ValueError(msg)
    return name


def explain(x: Any, W: Any) -> Explanation:
    """Return ``W.read_plan(x)``; deprecated.

    .. deprecated:: 2.0.0
        Use `mpimpy.CrossbarMatrix.read_plan`.

    Parameters
    ----------
    x : array, shape (..., K)
        Inputs; only their shape counts.
    W : mpimpy.CrossbarMatrix, shape (K, N)

    Returns
    -------
    Explanation

    Raises
    ------
    TypeError
        If `W` is not a programmed matrix.
    ValueError
        If the shapes do not fit.
    """
    warnings.warn("backends.explain(x, W) is deprecated: use W.read_plan(x)", DeprecationWarning, stacklevel=2)
    if not hasattr(W, "read_plan"):
        msg = f"W is a {type(W).__name__}, not a programmed matrix: make one with engine.program(w)"
        raise TypeError(msg)
    plan: Explanation = W.read_plan(x)
    return plan


def get_num_threads() -> int:
    """Return how many threads a product on the CPU uses.

    The number that `set_num_threads` set; else the environment variable NUMBA_NUM_THREADS; else one
    for each core that this process may use. Without Numba it is 1.

    Returns
    -------
    int

    Examples
    --------
    >>> get_num_threads() >= 1
    True
    """
    if _without_numba():
        return 1
    from .cpu import _jit

    return _jit.get_num_threads()


def set_num_threads(number: int | None) -> None:
    """Set how many threads a product on the CPU uses, from the next product on.

    The number holds for the whole process, and for the BLAS that multiplies for an ideal ADC, where it then
    multiplies for one Python thread at a time.
    Products that run in several Python threads at once share these threads: each adds only the
    thread that called it. The number changes the time alone, never a result.

    Parameters
    ----------
    number : int or None
        At least 1; None for the default of `get_num_threads`.

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number of at least 1.
    ImportError
        If there are to be several, and Numba is missing, whose kernels use them.

    Examples
    --------
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(None)
    """
    number = None if number is None else as_int("number of threads", number, 1)
    if why := _without_numba():
        if number in (None, 1):
            return
        msg = f"set_num_threads({number}) has no effect: {why}, and the reference kernels use one thread"
        raise ImportError(msg)
    from .cpu import _jit

    _jit.set_num_threads(number)
