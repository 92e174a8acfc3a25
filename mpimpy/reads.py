"""Numbers of reads: each counted read of an engine, or of one of its matrices, has the next number of its stream."""

import copy
import os
import secrets
import threading
from typing import Any, Self

from .checks import as_int, fail
from .noise import MAX_READ

__all__ = ["CountedReads", "Read", "ReadCounter", "check_stream"]

_process = object()  # this process: a fork gets another one
_renewal = threading.Lock()


def _after_fork() -> None:
    # another thread of the parent may have held the lock
    global _process, _renewal
    _process, _renewal = object(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


Read = tuple[int, str | None]  # number of a read, and its stream, None for that of the seed itself


class ReadCounter:
    """Counter of the reads of an engine and of every matrix that it programs.

    It is safe in several threads. A fork, a pickle and a deep copy count on from where they were made, in a stream
    of their own, so that no two processes repeat each other's noise.

    Parameters
    ----------
    reads : int
        Reads made so far.
    stream : str, optional
        Stream of the reads; None: that of the seed itself.

    Attributes
    ----------
    reads : int
        Reads made so far: the number of the next one.

    Examples
    --------
    >>> counter = ReadCounter()
    >>> counter.next_read(), counter.next_read(), counter.reads
    ((0, None), (1, None), 2)
    """

    reads: int

    def __init__(self, reads: int = 0, stream: str | None = None) -> None:
        self.reads = reads
        self._stream = stream
        self._lock = threading.Lock()
        self._process: object = _process

    @property
    def stream(self) -> str | None:
        """Stream of the next read: 16 hexadecimal digits that a copy drew, or None for that of the seed itself."""
        if self._process is not _process:
            self._draw_stream()
        return self._stream

    def next_read(self) -> Read:
        """Return the number and the stream of the next read, and count it.

        Raises
        ------
        ValueError
            If the stream has no number left.
        """
        if self._process is not _process:
            self._draw_stream()
        with self._lock:
            number = self.reads
            if number > MAX_READ:
                msg = f"all {MAX_READ + 1} numbers of reads are used"
                fail(ValueError, f"{msg}: take another stream, such as engine.in_stream('more'), or another seed")
            self.reads = number + 1
        return number, self._stream

    def _draw_stream(self) -> None:
        # a copy draws its stream when it is first asked, in its own process: copies of one pickle differ
        with _renewal:
            if self._process is not _process:
                self._stream, self._lock = secrets.token_hex(8), threading.Lock()
                self._process = _process

    def __getstate__(self) -> dict[str, Any]:
        # a lock cannot leave its process, and a stream must not
        return {"reads": self.reads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.reads, self._process = state["reads"], None


class CountedReads:
    """Base of what counts its reads: an engine, and the matrices that it programs, with one counter."""

    _counter: ReadCounter

    @property
    def reads(self) -> int:
        """Reads made so far by the engine and its matrices together: the number of the next one."""
        return self._counter.reads

    @property
    def stream(self) -> str | None:
        """Stream of the counted reads; None: that of the seed itself. See `in_stream`."""
        return self._counter.stream

    def in_stream(self, stream: str | None, reads: int = 0) -> Self:
        """Return the same with counted reads in a stream: that of a copy, to replay it, or a new one.

        A read in a stream has read variation, DAC noise and ADC noise of its own. Cells, with their write
        variation, and the offsets and gains of ADCs stay those of the seed and chip. Reads with a number,
        ``read=``, are the same in every stream.

        Parameters
        ----------
        stream : str or None
            As the attribute `stream` of the copy showed it, or a name, such as "worker 3"; None: the stream of the
            seed itself.
        reads : int
            Number of the next read, 0 to 2**32 - 1.

        Returns
        -------
        Engine or CrossbarMatrix
            With a counter of its own.

        Raises
        ------
        TypeError, ValueError
            If `stream` is no text or empty, or `reads` is out of range.

        Examples
        --------
        >>> import copy
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> engine, x, w = Engine(seed=1), np.ones(3), np.eye(3)
        >>> other = copy.deepcopy(engine)
        >>> y = other(x, w)
        >>> bool(np.all(engine(x, w) == y))
        False
        >>> bool(np.all(engine.in_stream(other.stream)(x, w) == y))
        True
        """
        counter = ReadCounter(as_int("reads", reads, 0, MAX_READ), check_stream(stream))
        other = copy.copy(self)
        other._counter = counter
        return other


def check_stream(stream: Any) -> str | None:
    """Return the name of a stream, checked.

    Raises
    ------
    TypeError, ValueError
        If it is neither a text nor None, or empty or not printable.
    """
    if stream is not None and not isinstance(stream, str):
        fail(TypeError, f"stream={stream!r} must be a text, as engine.stream shows it, or None")
    if stream is not None and not (stream and stream.isprintable()):
        fail(ValueError, f"stream={stream!r} is no name: give a printable text, as engine.stream shows it, or None")
    return stream
