"""The cache of compiled kernels on disk: it saves time, and neither a full disk nor a damaged file stops a product.

Numba lets every error of its files out, and takes whatever a file holds for machine code. Here a file is sealed
with its checksum, and names the source and the signature that it was compiled for. What does not fit is compiled anew.
Processes that want one kernel at the same time wait for the first of them, which compiles it.
"""

import hashlib
import os
import pickle
import sys
import warnings

from numba.core.caching import FunctionCache, IndexDataCacheFile

from ._locks import FileLock

__all__ = ["KernelCache"]

SEAL = 32  # bytes of a SHA-256
_warned = _told = False


class _SealedFiles(IndexDataCacheFile):
    """Files of one kernel: an index, and one file for each signature."""

    def save(self, key, data):
        """Save an entry. An index that cannot be understood is begun anew."""
        content = pickle.dumps((self._source_stamp, key, data), protocol=-1)
        sealed = hashlib.sha256(content).digest() + content
        try:
            super().save(key, sealed)
        except OSError:
            raise
        except Exception:
            self.flush()
            super().save(key, sealed)

    def load(self, key):
        """Return an entry; None if there is none, or if it is damaged or of another source or signature."""
        try:
            sealed = super().load(key)
            if not isinstance(sealed, bytes) or hashlib.sha256(sealed[SEAL:]).digest() != sealed[:SEAL]:
                return None
            *found, data = pickle.loads(sealed[SEAL:])
        except Exception:  # a damaged pickle may raise anything
            return None
        return data if found == [self._source_stamp, key] else None


class KernelCache(FunctionCache):
    """Cache of one kernel, for each signature that it is compiled for.

    Parameters
    ----------
    function : function
        The kernel in Python.

    Raises
    ------
    RuntimeError, OSError
        If there is no folder that could hold the cache.
    """

    def __init__(self, function):
        super().__init__(function)
        files = self._cache_file
        name = self._impl.filename_base
        self._cache_file = _SealedFiles(self._cache_path, name, files._source_stamp)
        self._lock = FileLock(os.path.join(self._cache_path, f"{name}.lock"))

    def load_overload(self, sig, target_context):
        """Return what was compiled for a signature; if there is nothing, tell once in a process what it waits for.

        If nothing is returned, this process is the one to compile: others wait until `release`.
        """
        found = super().load_overload(sig, target_context)
        if found is not None:
            return found
        self._tell()
        if self._lock.acquire() and (found := super().load_overload(sig, target_context)) is not None:
            self.release()  # another process has compiled it meanwhile
        return found

    def release(self):
        """Let other processes compile, or read what this one has saved."""
        self._lock.release()

    def _tell(self):
        global _told
        if not _told and sys.stderr is not None:
            _told = True
            print(
                f"mpimpy: compiling kernels for this machine, once, some seconds; they are kept in {self._cache_path}",
                file=sys.stderr,
            )

    def save_overload(self, sig, data):
        """Save what was compiled for a signature; tell once in a process if that is not possible."""
        global _warned
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a full or read-only disk, a quota, a folder that is gone
            if _warned:
                return
            _warned = True
            warnings.warn(
                f"compiled kernels cannot be kept in {self._cache_path}: {error}. Products are right, but each new "
                "process compiles its kernels anew: make room there, or set NUMBA_CACHE_DIR to another folder",
                RuntimeWarning,
                stacklevel=2,
            )
