"""Kernels on plain arrays and numbers, and the choice among them.

``reference`` runs on any array-API library; ``numba`` on NumPy arrays and torch CPU tensors;
``torch`` on torch tensors, with Triton kernels on CUDA. All return the same bits.
"""

import functools
import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass

from array_api_compat import device

from ..arrays import is_numpy, is_torch, is_torch_cpu, namespace
from ..checks import as_int

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

_MODULES = {"numba": "numba_cpu", "torch": "torch_cuda", "reference": "reference"}
_RUNS = {
    "numba": "NumPy arrays and torch CPU tensors",
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
    """How a product is computed, and why; made by `explain`, printed as a few lines.

    Attributes
    ----------
    backend : str
        Name of the backend.
    currents : str
        What the currents are held in, and the cells' grid.
    slices : tuple of (int or None, str, str)
        Per input slice, most significant first: its bits (None: noisy codes, or a whole code),
        the way its currents are found, and why.
    notes : tuple of str
        What else was decided.
    """

    backend: str
    currents: str
    slices: tuple
    notes: tuple

    def __str__(self):
        lines = [f"{self.backend}: {self.currents}"]
        for bits, way, why in self.slices:
            slice_ = "codes" if bits is None else f"{bits}-bit slice"
            lines.append(f"{slice_:<12}{way}: {why}")
        return "\n".join([*lines, *self.notes])


def differentiable(transfer, r_word, r_bit):
    """Return `transfer`, a function of torch tensors of conductances, with a gradient."""
    from . import _ladder_torch

    return lambda conductance: _ladder_torch.transfer(conductance, r_word, r_bit, transfer)


def _takes(name, array):
    if name == "numba":
        return is_numpy(array) or is_torch_cpu(array)
    return name == "reference" or is_torch(array)


def _name_for(array):
    if _takes("numba", array):
        return "numba"
    return "torch" if is_torch(array) and array.device.type == "cuda" else "reference"


def _detail(name):
    version = importlib.metadata.version
    if name == "reference":
        return True, f"array-api-compat {version('array-api-compat')}"
    if importlib.util.find_spec(name) is None:
        return False, f"{name.replace('numba', 'Numba')} is not installed: pip install {name}"
    if name == "torch":
        import torch

        triton = f"Triton {version('triton')}" if importlib.util.find_spec("triton") else "no Triton"
        devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return True, f"torch {torch.__version__}, {triton}, {', '.join(devices) or 'no CUDA device'}"
    return True, f"Numba {version('numba')}, {get_num_threads()} threads"


def available(array=None):
    """List the backends: what is there, why something is not, and which one `array` would get.

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
    chosen = "numba" if array is None else _name_for(array)
    return [Backend(name, *_detail(name), _RUNS[name], name == chosen) for name in _MODULES]


def select(array, force=None):
    """Return the module whose kernels `array` gets.

    Parameters
    ----------
    array : array
    force : str, optional
        Name of the backend to use instead of the best one.

    Raises
    ------
    ValueError
        If `force` is unknown, or cannot take this array.
    """
    name = _name_for(array) if force is None else check(force)
    if not _takes(name, array):
        kind = f"{type(array).__module__}.{type(array).__name__}"
        msg = f"backend {name!r} takes {_RUNS[name]}, not {kind}: use backend=None"
        raise ValueError(msg)
    if name != "numba" and not is_numpy(array):
        _check_float64(namespace(array), device(array))
    return importlib.import_module(f".{_MODULES[name]}", __name__)


@functools.cache
def _check_float64(xp, where):
    if "float64" not in xp.__array_namespace_info__().dtypes(device=where, kind="real floating"):
        msg = f"device {where} has no float64, in which products are added up: move the operands to another device"
        raise ValueError(msg)


def check(name):
    """Return `name` if it is a backend's, else raise ValueError."""
    if name not in _MODULES:
        msg = f"backend {name!r} is unknown: use one of {', '.join(map(repr, _MODULES))}, or None for the best"
        raise ValueError(msg)
    return name


def explain(x, W):
    """Return which way a product ``x @ W`` takes, and why. Nothing is multiplied.

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

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine
    >>> W = Engine(seed=1).program(np.eye(64))
    >>> [way for bits, way, why in explain(np.ones((100, 64)), W).slices]
    ['look-up', 'look-up', 'pairs', 'pairs']
    """
    if not hasattr(W, "explain_read"):
        msg = f"W is a {type(W).__name__}, not a programmed matrix: make one with engine.program(w)"
        raise TypeError(msg)
    return W.explain_read(x)


def get_num_threads():
    """Return how many threads a product on the CPU uses.

    As `set_num_threads` was told; else the environment variable NUMBA_NUM_THREADS; else one for
    each core that this process may use.

    Returns
    -------
    int

    Examples
    --------
    >>> get_num_threads() >= 1
    True
    """
    from . import _jit

    return _jit.get_num_threads()


def set_num_threads(number):
    """Set how many threads a product on the CPU uses, from the next product on.

    It holds for the whole process, and for the BLAS that multiplies for an ideal ADC as well.
    Products that run in several Python threads at once share these threads: each adds only the
    thread that called it. The number changes nothing but time.

    Parameters
    ----------
    number : int or None
        At least 1; None for the default of `get_num_threads`.

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number of at least 1.

    Examples
    --------
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(None)
    """
    from . import _jit

    _jit.set_num_threads(None if number is None else as_int("number of threads", number, 1))
