"""What is not one product, under asv: programming, threads, new processes."""

from .measure import RUNNERS, Skip, measure
from .workloads import WORKLOADS


def _value(name):
    try:
        return measure(WORKLOADS[name], RUNNERS["numba"], runs=3, seconds=5)["value"]
    except Skip as reason:
        # asv leaves a benchmark out only when setup says so; a missing value it shows as one
        print(reason)
        return float("nan")


class Others:
    """Workloads with a value of their own."""

    timeout = 600

    def track_program(self):
        """Return the time of programming 4096 x 4096 with write variation."""
        return _value("program")

    def track_threads(self):
        """Return how much faster two threads are than one."""
        return _value("threads")

    def track_process(self):
        """Return the time of importing mpimpy and a first product, kernels in the cache."""
        return _value("process")

    def track_first(self):
        """Return the same with an empty cache."""
        return _value("first")

    track_program.unit = track_process.unit = track_first.unit = "s"
    track_threads.unit = "times"
