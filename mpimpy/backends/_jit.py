"""The one place that owns Numba's options, and the gate into parallel kernels."""

import contextlib
import functools
import threading

import numba

__all__ = ["blas_on_one_thread", "inline", "kernel", "parallel_region"]

# fastmath stays off: it may fuse or reorder float sums, and results are held to the bit.
_OPTIONS = {"cache": True, "nogil": True, "fastmath": False, "error_model": "numpy"}

kernel = numba.njit(parallel=True, **_OPTIONS)
inline = numba.njit(inline="always", **_OPTIONS)

_LOCK = threading.RLock()


@contextlib.contextmanager
def parallel_region():
    """Hold the lock while a parallel kernel runs.

    A kernel uses all cores, so two at once gain nothing, and Numba's ``workqueue`` layer aborts
    the process when two Python threads enter it together.
    """
    with _LOCK:
        yield


@functools.cache
def _controller():
    # Numba's np.dot calls SciPy's BLAS: load it before looking for thread pools
    import scipy.linalg.cython_blas  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextlib.contextmanager
def blas_on_one_thread():
    """Keep BLAS calls inside a parallel kernel from starting threads of their own.

    The limit belongs to the process, so the lock is held until it is lifted again.
    """
    with _LOCK, _controller().limit(limits=1, user_api="blas"):
        yield
