"""The one place that owns Numba's options, and the threads that run kernels.

Kernels are serial: they take a range of tasks and let go of Python's lock. Threads of our own
share out the tasks. So no threading layer of Numba's is involved: nothing aborts when several
Python threads multiply at once, a forked process works as its parent did, and kernels compile
in half the time.
"""

import concurrent.futures
import contextlib
import os
import threading

import numba

__all__ = ["blas_threads", "get_num_threads", "inline", "kernel", "launch", "set_num_threads"]

# fastmath stays off: it may fuse or reorder float sums, and results are held to the bit.
_OPTIONS = {"nogil": True, "fastmath": False, "error_model": "numpy"}
PIECES = 8  # pieces of work a thread: who finishes early takes from those who are late
SHARED = 100  # microseconds of work for which a thread more pays


def _compiler(**options):
    def decorate(function):
        try:
            return numba.njit(cache=True, **options, **_OPTIONS)(function)
        except RuntimeError:
            # no folder that could hold the cache: compiled anew in every process
            return numba.njit(**options, **_OPTIONS)(function)

    return decorate


kernel = _compiler()
inline = numba.njit(forceinline=True, **_OPTIONS)

_lock = threading.Lock()
_threads = None
_pool, _size = None, 0


def _after_fork():
    # the parent's threads are not here, and one of them may have held the lock
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def get_num_threads():
    """Return how many threads a product uses: as set, else NUMBA_NUM_THREADS, else one a core."""
    return numba.config.NUMBA_NUM_THREADS if _threads is None else _threads


def set_num_threads(number):
    """Set how many threads a product uses; None for the default."""
    global _threads
    _threads = number


@contextlib.contextmanager
def blas_threads():
    """Let BLAS use the threads that were set; by default it uses its own number."""
    if _threads is None:
        yield
        return
    from threadpoolctl import ThreadpoolController

    with ThreadpoolController().limit(limits=_threads, user_api="blas"):
        yield


def _call_helpers(count, function):
    # the futures of `count` calls of `function` in other threads; none when Python is shutting down
    global _pool, _size
    with _lock:
        if _pool is None or count > _size:
            if _pool is not None:
                _pool.shutdown(wait=False)  # what it was given it still finishes
            _pool, _size = concurrent.futures.ThreadPoolExecutor(count, "mpimpy"), count
        try:
            return [_pool.submit(function) for _ in range(count)]
        except RuntimeError:
            return []


def launch(kernel, tasks, work, *arguments):
    """Run ``kernel(first, last, *arguments)`` over all tasks, in as many threads as pay.

    Parameters
    ----------
    kernel : function
        Each task writes outputs of its own.
    tasks : int
    work : float
        Rough time that all tasks take on one thread, microseconds: little work stays here.
    *arguments
    """
    threads = min(get_num_threads(), tasks, 1 + int(work / SHARED))
    if threads < 2:
        kernel(0, tasks, *arguments)
        return
    pieces = min(tasks, threads * PIECES)
    bounds = [tasks * piece // pieces for piece in range(pieces + 1)]
    pieces_left, turn = iter(range(pieces)), threading.Lock()

    def work_on():
        while True:
            with turn:
                piece = next(pieces_left, None)
            if piece is None:
                return
            kernel(bounds[piece], bounds[piece + 1], *arguments)

    futures = _call_helpers(threads - 1, work_on)
    work_on()
    for future in futures:
        if not future.cancel():
            future.result()
