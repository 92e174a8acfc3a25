"""Compare the speed of two checkouts of mpimpy, call by call in turn.

    python -m benchmarks.in_turn ../other-checkout --pairs 10

Two processes stay open, one for each checkout, and every workload is timed in one and then in the other, 20 times:
what else the machine does then slows both alike. Each pair of processes is new, since the place of a process in
memory costs or saves some percent. A line shows the median over pairs of three ratios, this checkout to the other:
of neighbouring calls, of medians, of shortest times. Over 1: this checkout is slower.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

__all__ = ["CALLS", "compare"]

ROOT = pathlib.Path(__file__).resolve().parent.parent
CALLS = ("read 1x32", "read 32x32", "MapReducedot", "program 32", "read 64x1000", "double exponent", "few rows")
CALLS += ("pair", "ADC noise", "report", "program 1000")
TURNS = 20


def _workloads(mp):
    # by name: a function that prepares the call, and how often it is called at a time
    import numpy as np

    random = np.random.default_rng(0)
    x, w = (random.standard_normal(shape).astype(np.float32) for shape in ((64, 1000), (1000, 1000)))
    small, square, engine = w[:32, :32].copy(), x[:32, :32].copy(), mp.DPETensor(seed=1)

    def read(a, b, **settings):
        matrix = mp.DPETensor(seed=1, **settings).program(b)
        return lambda: a @ matrix

    double, pair = {"bw_e": 8, "dbfp_en": True}, {"w_mapping": "pair", "x_mapping": "signed"}
    workloads = (
        (lambda: read(square[:1], small), 60),
        (lambda: read(square, small), 40),
        (lambda: lambda: mp.MapReducedot(square, small, engine), 20),
        (lambda: lambda: engine.program(small), 60),
        (lambda: read(x, w), 1),
        (lambda: read(x, w, **double), 1),
        (lambda: read(x[:4], w, **double), 2),
        (lambda: read(x, w, **pair), 1),
        (lambda: read(x[:16, :256], w[:256, :256], noise_lsb=0.5), 3),
        (lambda: lambda: mp.explain(x[:32, :128], w[:128, :128], seed=1), 3),
        (lambda: lambda: engine.program(w), 1),
    )
    return dict(zip(CALLS, workloads, strict=True))


def _serve(threads):
    import warnings

    import mpimpy

    warnings.simplefilter("ignore")
    mpimpy.set_num_threads(threads)
    workloads, calls = _workloads(mpimpy), {}
    print("ready", flush=True)
    for line in sys.stdin:
        prepare, times = workloads[name := line.strip()]
        if name not in calls:
            calls[name] = prepare()
            for _ in range(2):
                calls[name]()
        start = time.perf_counter()
        for _ in range(times):
            calls[name]()
        print((time.perf_counter() - start) / times, flush=True)


@contextlib.contextmanager
def _open(tree, cache, threads):
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(threads)],
        cwd=cache,
        env=dict(os.environ, PYTHONPATH=str(tree), NUMBA_CACHE_DIR=cache),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout.readline() != "ready\n":
            msg = f"the checkout {tree} could not run: see the error above"
            raise RuntimeError(msg)
        yield process
    finally:
        process.communicate()


def _ask(process, name):
    process.stdin.write(name + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def compare(other, names=CALLS, pairs=10, threads=1):
    """Return, by workload, the seconds of both checkouts and the three ratios, medians over pairs of processes.

    Parameters
    ----------
    other : path
        The other checkout.
    names : sequence of str
        Of `CALLS`.
    pairs : int
        Pairs of processes.
    threads : int
        Threads of each process.

    Returns
    -------
    dict of str to (float, float, float, float, float)
        Seconds of a call in the other checkout and in this one; ratios of neighbouring calls, of medians
        and of shortest times.
    """
    found = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as cache_other, tempfile.TemporaryDirectory() as cache_this:
        trees = [(pathlib.Path(other).resolve(), cache_other), (ROOT, cache_this)]
        for number in range(pairs):
            order = (0, 1) if number % 2 == 0 else (1, 0)
            with contextlib.ExitStack() as opened:
                processes = {k: opened.enter_context(_open(*trees[k], threads)) for k in order}
                for name in names:
                    found[name].append(_ratios(processes, order, name))
    return {name: tuple(map(statistics.median, zip(*rows, strict=True))) for name, rows in found.items()}


def _ratios(processes, order, name):
    # seconds in the other checkout and in this one, and three ratios of them
    times = [[], []]
    for turn in range(TURNS):
        for k in order if turn % 2 == 0 else reversed(order):
            times[k].append(_ask(processes[k], name))
    before, after = map(statistics.median, times)
    neighbours = statistics.median(b / a for a, b in zip(*times, strict=True))
    return before, after, neighbours, after / before, min(times[1]) / min(times[0])


def _main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", nargs="?", help="folder of the other checkout")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of processes (10)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process (1)")
    parser.add_argument("--only", nargs="+", choices=CALLS, default=CALLS, metavar="CALL", help=", ".join(CALLS))
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        _serve(arguments.serve)
        return
    if arguments.other is None:
        parser.error("give the folder of the other checkout")
    print(f"{'call':16s} {'other, us':>11s} {'this, us':>11s} {'neighbours':>11s} {'medians':>8s} {'shortest':>9s}")
    rows = compare(arguments.other, arguments.only, arguments.pairs, arguments.threads)
    for name, (before, after, *ratios) in rows.items():
        print(
            f"{name:16s} {before * 1e6:11.1f} {after * 1e6:11.1f} {ratios[0]:11.3f} {ratios[1]:8.3f} {ratios[2]:9.3f}"
        )


if __name__ == "__main__":
    _main()
