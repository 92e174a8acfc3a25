"""Numba's options, in one place, and the threads that run kernels.

Kernels are serial: they take a range of tasks and release Python's lock. Threads of our own share
the tasks. So no threading layer of Numba is involved: nothing aborts when several
Python threads multiply at once, a forked process works as its parent did, and kernels compile
in half the time.
"""

import concurrent.futures
import contextlib
import os
import threading

import numba

from ._cache import KernelCache

__all__ = ["blas_threads", "get_num_threads", "inline", "kernel", "launch", "set_num_threads"]

# fastmath stays off: it may fuse or reorder float sums, and results are held to the bit.
_OPTIONS = {"nogil": True, "fastmath": False, "error_model": "numpy"}
PIECES = 8  # pieces of work a thread: a thread that finishes early takes more of them
SHARED = 100  # microseconds of work that pay for one more thread


def _keep(dispatcher, cache):
    # what is compiled is kept in a cache, whose lock is given back however a compilation ends
    compile_ = dispatcher.compile

    def compile_once(sig):
        try:
            return compile_(sig)
        finally:
            cache.release()

    dispatcher._cache, dispatcher.compile = cache, compile_once


def _compiler(**options):
    def decorate(function):
        compiled = numba.njit(**options, **_OPTIONS)(function)
        if compiled is not function:  # with NUMBA_DISABLE_JIT it is
            # without a folder that could hold the cache, it is compiled anew in every process
            with contextlib.suppress(RuntimeError, OSError):
                _keep(compiled, KernelCache(function))
        return compiled

    return decorate


kernel = _compiler()
inline = numba.njit(forceinline=True, **_OPTIONS)

_lock = threading.Lock()
_threads = None
_pool, _size = None, 0


def _after_fork():
    # the child has none of the parent's threads, and one of them may have held the lock
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


def get_num_threads():
    """Return how many threads a product uses: as set, else NUMBA_NUM_THREADS, else one a core."""
    return numba.config.NUMBA_NUM_THREADS if _threads is None else _threads


def set_num_threads(number):
    """Set how many threads a product uses; None for the default."""
    global _threads
    _threads = number


# The limit of BLAS belongs to the whole process, and who sets it must give back what was there: one thread at a time.
_blas = threading.RLock()


@contextlib.contextmanager
def blas_threads():
    """Let BLAS use the threads that were set, one product at a time; by default it uses its own number."""
    number = _threads
    if number is None:
        yield
        return
    from threadpoolctl import ThreadpoolController

    with _blas, ThreadpoolController().select(user_api="blas").limit(limits=number, user_api="blas"):
        yield


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
    # a fork waits for the product: a child would keep its limit, and nobody in it would give the threads back
    os.register_at_fork(before=_blas.acquire, after_in_parent=_blas.release, after_in_child=_blas.release)


def _call_helpers(count, function):
    # start `count` calls of `function` in other threads; fewer if the system starts no more threads
    global _pool, _size
    with _lock:
        if _pool is None or count > _size:
            if _pool is not None:
                _pool.shutdown(wait=False)  # it still finishes the pieces it has
            _pool, _size = concurrent.futures.ThreadPoolExecutor(count, "mpimpy"), count
        for _ in range(count):
            try:
                _pool.submit(function)
            except RuntimeError:  # no more threads, or Python is shutting down
                return


class _Pieces:
    """The pieces of one launch: each thread that asks gets the next one.

    Pieces are counted, not threads: nobody waits for a thread that could not start, or starts late,
    and no result is returned while a piece is running.
    """

    def __init__(self, kernel, bounds, arguments):
        self._kernel, self._bounds, self._arguments = kernel, bounds, arguments
        self._next, self._running, self._error = 0, 0, None
        self._changed = threading.Condition()

    def _take(self):
        with self._changed:
            if self._error is not None or self._next == len(self._bounds) - 1:
                return None
            self._next, self._running = self._next + 1, self._running + 1
            return self._next - 1

    def _done(self, error=None):
        with self._changed:
            self._running -= 1
            self._error = self._error or error
            self._changed.notify_all()

    def work_on(self):
        """Run pieces until none is left; an error ends the launch."""
        while (piece := self._take()) is not None:
            try:
                self._kernel(self._bounds[piece], self._bounds[piece + 1], *self._arguments)
            except BaseException as error:
                self._done(error)
                return
            self._done()

    def finish(self):
        """Wait for the pieces that other threads still run; raise the first error of any."""
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0)
        if self._error is not None:
            raise self._error


def launch(kernel, tasks, work, *arguments):
    """Run ``kernel(first, last, *arguments)`` over all tasks, in as many threads as pay off.

    Parameters
    ----------
    kernel : function
        Each task writes outputs of its own.
    tasks : int
    work : float
        Rough time of all tasks on one thread, in microseconds: little work stays on this thread.
    *arguments
    """
    threads = min(get_num_threads(), tasks, 1 + int(work / SHARED))
    if threads < 2:
        kernel(0, tasks, *arguments)
        return
    pieces = min(tasks, threads * PIECES)
    bounds = [tasks * piece // pieces for piece in range(pieces + 1)]
    work = _Pieces(kernel, bounds, arguments)
    _call_helpers(threads - 1, work.work_on)
    work.work_on()
    work.finish()
