"""Times of two calls that take turns, so that other work on the machine slows both alike."""

import statistics
import time

__all__ = ["in_turns"]


def in_turns(first, second, turns):
    """Return the shortest times of two functions, s, and the median of the ratio of the first to the second."""
    calls, times = (first, second), ([], [])
    for turn in range(turns + 1):
        for k in (0, 1) if turn % 2 else (1, 0):
            start = time.perf_counter()
            calls[k]()
            if turn:  # the first one warms up
                times[k].append(time.perf_counter() - start)
    return min(times[0]), min(times[1]), statistics.median(a / b for a, b in zip(*times, strict=True))
