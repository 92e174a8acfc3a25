"""The one place that owns Numba's options, and the gate into parallel kernels."""

import contextlib
import functools
import os
import threading

import numba

__all__ = ["blas_on_one_thread", "inline", "kernel", "parallel_region", "pool_is_lost"]

# fastmath stays off: it may fuse or reorder float sums, and results are held to the bit.
_OPTIONS = {"nogil": True, "fastmath": False, "error_model": "numpy"}


def _compiler(**options):
    def decorate(function):
        try:
            return numba.njit(cache=True, **options, **_OPTIONS)(function)
        except RuntimeError:
            # no folder that could hold the cache: compiled anew in every process
            return numba.njit(**options, **_OPTIONS)(function)

    return decorate


kernel = _compiler(parallel=True)
inline = _compiler(inline="always")

_LOCK = threading.RLock()
_started = _forked = False


def _after_fork():
    global _LOCK, _forked
    _LOCK = threading.RLock()  # another thread may have held the parent's
    _forked = _started


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def pool_is_lost():
    """Return whether this process was forked from one whose OpenMP threads ran kernels.

    They are not there in the child, where OpenMP would end the process at the next kernel.
    """
    return _forked and numba.threading_layer() == "omp"


@contextlib.contextmanager
def parallel_region():
    """Hold the lock while a parallel kernel runs.

    A kernel uses all cores, so two at once gain nothing, and Numba's ``workqueue`` layer aborts
    the process when two Python threads enter it together.
    """
    global _started
    with _LOCK:
        yield
        _started = True


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
