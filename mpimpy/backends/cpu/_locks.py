"""A lock between the processes of one host, by which one of them compiles a kernel and the others wait for it.

It is a lock of the system on an open file: if its holder is killed, the system gives it back. On a file system
without locks, or where the file cannot be written, nobody waits, and each process compiles for itself.
"""

import contextlib
import os
import time

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["FileLock"]

PATIENCE = 300.0  # seconds after which a holder counts as stuck, and the kernel is compiled without the lock
_POLL = 0.02  # seconds between two tries

_held = set()  # descriptors


def _after_fork():
    # the child has not the lock: it must not keep the file open that its parent locked
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class FileLock:
    """Lock on a file, which is made if it is missing and never removed.

    Parameters
    ----------
    path : str
    patience : float
        Seconds that `acquire` waits at most.
    """

    def __init__(self, path, patience=PATIENCE):
        self._path, self._patience, self._descriptor = path, patience, None

    def acquire(self):
        """Wait until nobody holds the lock, and take it. Return whether it is held now."""
        self.release()
        if fcntl is None:
            return False
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # a folder that is gone, or that is not ours
            return False
        try:
            if self._wait(descriptor):
                self._descriptor, descriptor = descriptor, None
                _held.add(self._descriptor)
                return True
        finally:
            if descriptor is not None:
                os.close(descriptor)
        return False

    def _wait(self, descriptor):
        end = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    return False
                time.sleep(_POLL)
            except OSError:  # a file system without locks
                return False
            else:
                return True

    def release(self):
        """Give the lock back, if it is held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor not in _held:  # not held, or held by the parent of this process
            return
        _held.discard(descriptor)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child may have the file open still
        os.close(descriptor)
