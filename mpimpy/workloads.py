"""Workloads of sweeps: functions of an engine that return numbers.

Any function will do. These three can be sent to other processes, and know by which data their results are told from
others.
"""

import copy
import hashlib
import importlib.util
import warnings
from typing import Any, ClassVar

import numpy as np

from .analysis.metrics import SNR
from .checks import MpimpyWarning, as_float, as_int, fail, install

__all__ = ["accuracy", "product", "solver_residual"]


def _digest(array: Any) -> bytes:
    array = np.ascontiguousarray(array)
    return f"{array.dtype.str}{array.shape}".encode() + hashlib.sha256(array.tobytes()).digest()


def _numpy(name: str, array: Any) -> Any:
    if hasattr(array, "detach"):
        array = array.detach().cpu()
    found = np.asarray(array)
    if found.dtype.kind not in "biufc":
        fail(TypeError, f"{name} holds {found.dtype} elements, not numbers")
    return found


class product:
    """Signal-to-noise ratio of a product, dB: ``engine(x, w)`` against the exact ``x @ w``.

    Parameters
    ----------
    x : array, shape (..., M, K)
    w : array, shape (K, N)

    Raises
    ------
    TypeError, ValueError
        If they hold no numbers, or do not fit.

    Examples
    --------
    >>> import mpimpy
    >>> workload = product(np.eye(8), np.eye(8))
    >>> workload(mpimpy.DPETensor(radc=None, var=0, seed=1))
    {'SNR': inf}
    """

    units: ClassVar[dict[str, str]] = {"SNR": "dB"}
    x: Any
    w: Any
    exact: Any

    def __init__(self, x: Any, w: Any) -> None:
        from threadpoolctl import threadpool_limits

        self.x, self.w = _numpy("x", x), _numpy("w", w)
        if self.w.ndim != 2 or self.x.ndim < 1 or self.x.shape[-1] != self.w.shape[0]:
            fail(ValueError, f"x of shape {self.x.shape} and w of shape {self.w.shape} have no product x @ w")
        with threadpool_limits(1):  # a float sum depends on how threads share it
            self.exact = self.x.astype(np.result_type(self.x, np.float64)) @ self.w

    def sweep_identity(self) -> str:
        """Return a text of the computation and its operands, by which results are told from others."""
        return "1 " + (_digest(self.x) + _digest(self.w)).hex()

    def __call__(self, engine: Any) -> dict[str, float]:
        """Return the SNR, dB, of the engine's read 0."""
        return {"SNR": SNR(engine(self.x, self.w, read=0), self.exact)}


class accuracy:
    """Share of right answers of a model whose layers are on crossbars.

    Each call puts a copy of the model on the engine's crossbars, by `mpimpy.nn.convert_`.

    Parameters
    ----------
    model : torch.nn.Module
        It returns a score for each class, shape (..., classes). It is used as for evaluation (``model.eval()``).
    data : tensor or array
        Inputs, the first axis over examples.
    labels : tensor or array of int
        Class of each example.
    batch : int
        Examples at a time.

    Raises
    ------
    ImportError
        If torch is not installed.
    TypeError, ValueError
        If model, data or labels do not fit.

    Examples
    --------
    >>> import mpimpy, torch
    >>> model = torch.nn.Linear(4, 3)
    >>> data = torch.randn(10, 4)
    >>> workload = accuracy(model, data, model(data).argmax(-1))
    >>> workload(mpimpy.DPETensor(radc=None, var=0, format="fp32", seed=1))
    {'accuracy': 1.0}
    """

    units: ClassVar[dict[str, str]] = {"accuracy": "1"}
    model: Any
    data: Any
    labels: Any
    batch: int

    def __init__(self, model: Any, data: Any, labels: Any, batch: int = 256) -> None:
        if importlib.util.find_spec("torch") is None:
            fail(ImportError, f"accuracy needs torch, which is not installed: {install('torch')}")
        import torch

        if not isinstance(model, torch.nn.Module):
            fail(TypeError, f"model is a {type(model).__name__}, and must be a torch.nn.Module")
        # tensors of torch travel through shared memory, which a process that is killed takes with it
        self.model = copy.deepcopy(model).eval()
        self.data, self.labels = _numpy("data", data), _numpy("labels", labels)
        self.batch = batch
        if self.labels.shape[:1] != self.data.shape[:1] or not self.labels.size:
            fail(
                ValueError,
                f"data has {self.data.shape[0]} examples and labels has {self.labels.shape[0]}: give a label to each",
            )

    def sweep_identity(self) -> str:
        """Return a text of the computation, its model and data, by which results are told from others."""
        parts = [b"1", repr(self.model).encode(), _digest(self.data), _digest(self.labels)]
        for name, tensor in self.model.state_dict().items():
            parts += [name.encode(), _digest(_numpy(name, tensor))]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def __call__(self, engine: Any) -> dict[str, float]:
        """Return the accuracy, 0 to 1."""
        import torch

        from .nn import convert_

        model = copy.deepcopy(self.model)
        convert_(model, engine)
        right = 0
        with torch.no_grad():
            for begin in range(0, len(self.data), self.batch):
                scores = model(torch.as_tensor(self.data[begin : begin + self.batch]))
                labels = torch.as_tensor(self.labels[begin : begin + self.batch])
                right += int((scores.argmax(-1) == labels).sum())
        return {"accuracy": right / self.labels.size}


class solver_residual:
    """Linear system solved on crossbars: the relative residual, and the steps and reads that it took.

    Parameters
    ----------
    A : array or sparse matrix of SciPy, shape (n, n)
    b : array, shape (n,) or (n, P)
    tolerance, steps, method, rtol, iterations
        As for `mpimpy.solve.solve` and `mpimpy.solve.Inner`.

    Raises
    ------
    TypeError, ValueError
        If they hold no numbers, or a setting is out of range; when it is called, also as `mpimpy.solve.solve`.
    numpy.linalg.LinAlgError
        If A has a row or a column of zeros.

    Examples
    --------
    >>> import mpimpy
    >>> workload = solver_residual(np.diag([1.0, 2.0, 3.0]), np.ones(3))
    >>> workload(mpimpy.DPETensor(seed=1))["residual"] < 1e-12
    True
    """

    units: ClassVar[dict[str, str]] = {"residual": "1", "steps": "1", "reads": "1"}

    def __init__(
        self,
        A: Any,
        b: Any,
        tolerance: float = 1e-12,
        steps: int = 100,
        *,
        method: str = "gmres",
        rtol: float = 0.3,
        iterations: int = 10,
    ) -> None:
        from scipy.sparse import issparse

        from .solve import Inner
        from .solve._refine import check_zeros

        self.A, self.b = _numpy("A", A.toarray() if issparse(A) else A), _numpy("b", b)
        if self.A.ndim == 2:
            check_zeros(self.A)
        self.inner = Inner(method, rtol, iterations)
        self.tolerance, self.steps = as_float("tolerance", tolerance, 0, 1), as_int("steps", steps, 1)

    def sweep_identity(self) -> str:
        """Return a text of the computation, its system and its settings, by which results are told from others."""
        settings = f"{self.tolerance!r} {self.steps} {self.inner!r}".encode()
        return "2 " + hashlib.sha256(_digest(self.A) + _digest(self.b) + settings).hexdigest()

    def __call__(self, engine: Any) -> dict[str, float]:
        """Return the largest relative residual of the columns of b, and the steps and reads, from read 0 on."""
        from threadpoolctl import threadpool_limits

        from .solve import solve

        with threadpool_limits(1), warnings.catch_warnings():  # a float sum depends on how threads share it
            warnings.filterwarnings("ignore", "not solved|ill-conditioned", MpimpyWarning)  # the residual tells
            found = solve(self.A, self.b, engine, tolerance=self.tolerance, steps=self.steps, inner=self.inner, read=0)
        columns = found.residuals.reshape(found.steps + 1, -1).T
        last = max(column[~np.isnan(column)][-1] for column in columns)
        return {"residual": float(last), "steps": found.steps, "reads": found.reads}
