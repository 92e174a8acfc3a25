"""Time and peak memory of simulated products beside np.dot, each case in a process of its own.

    python -m benchmarks.products [--sizes 1000 4096] [--backends numba reference torch]

The unit P is one float32 np.dot of the same shape, measured in the same process, times the
number of slice pairs. Memory is the process's peak beyond what it held before the product, less
the result; inputs are not counted in it. Times are the best of a few runs.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

BACKENDS = ("numba", "reference", "torch", "torch reference")


def best(function, runs):
    """Return the shortest time of `runs` calls, s."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def peak_mb():
    """Return the process's peak memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(size, backend, runs):
    """Return the figures of one case: float32 operands, the default engine, everything included."""
    import numpy as np

    from mpimpy import SNR, DPETensor

    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in "ab")
    plain = best(lambda: a @ b, 5)
    exact = a @ b
    x, w = a, b
    if backend.startswith("torch"):
        import torch

        x, w = torch.from_numpy(a), torch.from_numpy(b)
    force = "reference" if backend.endswith("reference") else None
    # a small product first: compiling and loading are not what is measured
    small = DPETensor(seed=1, backend=force)
    small(x[:70, :70], w[:70, :70])
    before = peak_mb()
    engine = DPETensor(seed=1, backend=force)
    start = time.perf_counter()
    result = engine(x, w)
    seconds = time.perf_counter() - start
    peak = peak_mb() - before - result.nbytes / 2**20
    if runs > 1:
        seconds = min(seconds, best(lambda: engine(x, w), runs - 1))
    pairs = len(engine.config.inputs.slices) * len(engine.config.weights.slices)
    return {
        "size": size,
        "backend": backend,
        "seconds": seconds,
        "np.dot": plain,
        "P": seconds / (plain * pairs),
        "peak_MB": peak,
        "SNR_dB": SNR(np.asarray(result), exact),
    }


def main():
    """Run the cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 4096])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=["numba", "reference"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(int(options.one[0]), options.one[1], options.runs)))
        return
    print(f"{'size':>6}  {'backend':<16}{'product s':>10}{'np.dot s':>10}{'P':>7}{'peak MB':>9}{'SNR dB':>8}")
    for size in options.sizes:
        for backend in options.backends:
            command = [sys.executable, "-m", "benchmarks.products", "--one", str(size), backend]
            command += ["--runs", str(options.runs)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            row = json.loads(done.stdout)
            print(
                f"{size:>6}  {backend:<16}{row['seconds']:>10.3f}{row['np.dot']:>10.4f}{row['P']:>7.2f}"
                f"{row['peak_MB']:>9.0f}{row['SNR_dB']:>8.2f}"
            )


if __name__ == "__main__":
    main()
