"""Progress of a sweep, on stderr."""

import math
import sys
import time

__all__ = ["Progress", "duration"]

EVERY_s, APART_s = 0.5, 10.0  # between lines, on a terminal and elsewhere


def duration(seconds: float) -> str:
    """Return a time in words, such as "2 h 05 min"."""
    if not math.isfinite(seconds):
        return "unknown"
    if 0 < seconds < 1:
        return "under 1 s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """Counts points, and says now and then how many there are, and how long the rest takes."""

    def __init__(self, total: int, stored: int, *, shown: bool) -> None:
        self._total, self._done, self._failed, self._new = total, stored, 0, 0
        self._start = self._told = time.monotonic()
        self._tty = shown and sys.stderr is not None and sys.stderr.isatty()
        self._shown = shown and sys.stderr is not None

    def add(self, *, failed: bool) -> None:
        """Count one point."""
        self._done += 1
        self._new += 1
        self._failed += failed
        now = time.monotonic()
        if self._shown and now - self._told >= (EVERY_s if self._tty else APART_s):
            self._told = now
            self._tell(now)

    def end(self) -> None:
        """Say the last word, if anything was said or done."""
        if self._shown and self._new:
            self._tell(time.monotonic())
            if self._tty:
                print(file=sys.stderr)

    def _tell(self, now: float) -> None:
        rate = self._new / max(now - self._start, 1e-9)
        failed = f", {self._failed} failed" if self._failed else ""
        left = f", {duration((self._total - self._done) / rate)} left" if self._done < self._total else ""
        text = f"sweep: {self._done} of {self._total} points{failed}, {rate:.3g} points/s{left}"
        print(f"\r{text:<78}" if self._tty else text, end="" if self._tty else "\n", file=sys.stderr, flush=True)
