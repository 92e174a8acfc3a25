"""Numbers of reads: each counted read of an engine, or of one of its matrices, has the next number."""

import threading

__all__ = ["ReadCounter"]


class ReadCounter:
    """Counter of the reads of an engine and of every matrix that it programs.

    It is safe in several threads. A pickle or a deep copy counts on from where it was made.

    Parameters
    ----------
    reads : int
        Reads made so far.

    Attributes
    ----------
    reads : int
        Reads made so far: the number of the next one.

    Examples
    --------
    >>> counter = ReadCounter()
    >>> counter.next_read(), counter.next_read(), counter.reads
    (0, 1, 2)
    """

    reads: int

    def __init__(self, reads: int = 0) -> None:
        self.reads = reads
        self._lock = threading.Lock()

    def next_read(self) -> int:
        """Return the number of the next read, and count it."""
        with self._lock:
            number = self.reads
            self.reads = number + 1
        return number

    def __getstate__(self) -> dict[str, int]:
        # a lock cannot leave its process
        return {"reads": self.reads}

    def __setstate__(self, state: dict[str, int]) -> None:
        self.__init__(**state)  # type: ignore[misc]
