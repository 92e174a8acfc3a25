"""Products under asv: time, peak memory, and what must not be traded for each other: P and SNR.

The workloads that take minutes or gigabytes are left to `benchmarks.compare`.
"""

from .measure import RUNNERS, measure, prepare_once
from .workloads import WORKLOADS

_NAMES = [name for name, workload in WORKLOADS.items() if workload.kind in ("read", "dot") and not workload.large]
_BACKENDS = ["numba", "numba-torch", "cuda"]


def _there(backend):
    # NotImplementedError is how asv is told to leave a benchmark out
    if RUNNERS[backend].library != "torch":
        return
    try:
        import torch
    except ImportError:
        raise NotImplementedError from None
    if RUNNERS[backend].where == "cuda" and not torch.cuda.is_available():
        raise NotImplementedError


class Products:
    """Time and memory of whole reads (through MapReducedot for W4-dot), weights programmed."""

    params = (_NAMES, _BACKENDS)
    param_names = ("workload", "backend")
    timeout = 600
    warmup_time = 0  # setup has called it
    min_run_count = 3

    def setup(self, workload, backend):
        """Make the operands, program the weights, and call once: nothing compiles while it is timed."""
        _there(backend)
        self.product = prepare_once(WORKLOADS[workload], RUNNERS[backend])

    def time_product(self, workload, backend):
        """Time one product."""
        self.product()

    def peakmem_product(self, workload, backend):
        """Measure the peak of the whole process, libraries and operands included."""
        self.product()


class Ratios:
    """Figures beside np.dot in the same process; the shortest times of a few rounds."""

    params = (_NAMES, _BACKENDS)
    param_names = ("workload", "backend")
    timeout = 600

    def setup(self, workload, backend):
        """Measure once for all tracked values."""
        _there(backend)
        self.row = measure(WORKLOADS[workload], RUNNERS[backend], runs=3, seconds=5)

    def track_P(self, workload, backend):
        """Return the time in np.dot calls per slice pair."""
        return self.row["seconds"] / (self.row["dot_seconds"] * WORKLOADS[workload].pairs)

    def track_gmacs(self, workload, backend):
        """Return 10**9 multiply-accumulates of slice pairs per second."""
        return self.row["GMAC_per_s"]

    def track_snr(self, workload, backend):
        """Return the SNR of the result against the exact product."""
        return self.row["SNR_dB"]

    track_P.unit = "P"
    track_gmacs.unit = "GMAC/s"
    track_snr.unit = "dB"
