"""The cache of compiled kernels on disk: it saves time, and neither a full disk nor a damaged file stops a product.

Numba lets every error of its files out, and takes whatever a file holds for machine code. Here a file is sealed
with its checksum, and names the source and the signature that it was compiled for. What does not fit is compiled anew.
"""

import hashlib
import pickle
import sys
import warnings

from numba.core.caching import FunctionCache, IndexDataCacheFile

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
        self._cache_file = _SealedFiles(self._cache_path, self._impl.filename_base, files._source_stamp)

    def load_overload(self, sig, target_context):
        """Return what was compiled for a signature; if there is nothing, tell once in a process what it waits for."""
        global _told
        found = super().load_overload(sig, target_context)
        if found is None and not _told and sys.stderr is not None:
            _told = True
            print(
                f"mpimpy: compiling kernels for this machine, once, some seconds; they are kept in {self._cache_path}",
                file=sys.stderr,
            )
        return found

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
