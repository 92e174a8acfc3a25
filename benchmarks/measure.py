"""Measure one workload with one runner, in this process; `compare` starts one for each pair.

    python -m benchmarks.measure '{"workload": {...}, "runner": "numba", "runs": 5, "seconds": 10}'

Prints the figures as one line of JSON.
"""

import functools
import importlib.util
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from .baselines import EinsumMatrix, tensor_gb
from .workloads import Workload, flat_settings, make_engine, make_operands

__all__ = ["RUNNERS", "Runner", "Skip", "applies", "check", "measure", "prepare_once"]

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAUSE = 0.05  # s; the thread pools of NumPy's BLAS and of the kernels spin for a while after a call
VISIT = 0.3  # s; a visit goes on for at least so long: other work on the machine comes in bursts
BATCH = 2e-3  # s; a shorter call is timed together with others


class Skip(Exception):
    """Raised where a runner cannot run a workload on this machine; the message says why."""


@dataclass(frozen=True)
class Runner:
    """What computes a product.

    Attributes
    ----------
    name : str
        What ``--backends`` takes.
    title : str
    backend : str or None
        The backend forced on mpimpy; None leaves the choice to it.
    method : str
        ``mpimpy``, ``dot`` (the exact product) or ``einsum``.
    library : str
        ``numpy`` or ``torch``.
    where : str
        ``cpu`` or ``cuda``.
    slow : bool
        Left out on large workloads unless asked for.
    """

    name: str
    title: str
    backend: str | None = None
    method: str = "mpimpy"
    library: str = "numpy"
    where: str = "cpu"
    slow: bool = False


_ALL = (
    Runner("np.dot", "np.dot", method="dot"),
    Runner("torch.matmul", "torch.matmul", method="dot", library="torch"),
    Runner("einsum", "einsum, NumPy", method="einsum", slow=True),
    Runner("einsum-torch", "einsum, torch", method="einsum", library="torch", slow=True),
    Runner("numba", "numba", backend="numba"),
    Runner("numba-torch", "numba, torch CPU", backend="numba", library="torch"),
    Runner("reference", "reference", backend="reference", slow=True),
    Runner("reference-torch", "reference, torch CPU", backend="reference", library="torch", slow=True),
    Runner("matmul-cuda", "torch.matmul, CUDA", method="dot", library="torch", where="cuda"),
    Runner("einsum-cuda", "einsum, CUDA", method="einsum", library="torch", where="cuda", slow=True),
    Runner("cuda", "mpimpy, torch CUDA", library="torch", where="cuda"),
)

RUNNERS = {runner.name: runner for runner in _ALL}


# -- one product --------------------------------------------------------------------------------


def _settings_of_einsum(workload):
    settings = flat_settings(workload)
    return settings.pop("x_slices"), settings.pop("w_slices"), settings


def _move(array, runner):
    if runner.library == "numpy":
        return array
    import torch

    return torch.from_numpy(array).to(runner.where)


def _synchronise(runner):
    if runner.where == "cuda":
        import torch

        torch.cuda.synchronize()


def _program(workload, runner, w):
    """Return a programmed matrix, with a method ``read(x)``."""
    if runner.method == "mpimpy":
        return make_engine(workload, runner.backend).program(w)
    x_slices, w_slices, settings = _settings_of_einsum(workload)
    return EinsumMatrix(w, x_slices, w_slices, **settings)


def prepare(workload, runner, x, w):
    """Return ``(timed, product)``: the function that is timed, and one that returns a result.

    Programming the weights, where it is not what is timed, happens here.

    Parameters
    ----------
    workload : Workload
    runner : Runner
    x, w : arrays as `make_operands` returns them, of the runner's library and device
    """
    if runner.method == "dot":
        flat = x.reshape(-1, x.shape[-1])  # np.dot leaves BLAS for more than two axes
        product = functools.partial(_dot, flat, w)
        return product, product
    if workload.kind == "program":
        program = functools.partial(_program, workload, runner, w)
        return program, lambda: program().read(x)
    if workload.kind == "dot" and runner.method == "mpimpy":
        import mpimpy

        product = functools.partial(
            mpimpy.MapReducedot, x, w, seed=1, backend=runner.backend, **flat_settings(workload)
        )
        return product, product
    if workload.kind == "dot":
        product = lambda: _program(workload, runner, w).read(x)  # noqa: E731
        return product, product
    product = functools.partial(_program(workload, runner, w).read, x)
    return product, product


def prepare_once(workload, runner):
    """Return the function that is timed, made on the workload's operands and called once."""
    timed, product = prepare(workload, runner, *(_move(array, runner) for array in make_operands(workload)))
    product()

    def complete():
        timed()
        _synchronise(runner)

    return complete


def _dot(x, w):
    return x @ w


def warm_up(workload, runner):
    """Make a small product of the workload's settings: compiling and loading are not what is measured."""
    small = Workload(
        "", "", (2, 70), (70, 70), None, None, **_same(workload, ("x_slices", "w_slices", "settings", "kind"))
    )
    prepare(small, runner, *(_move(array, runner) for array in make_operands(small)))[1]()
    _synchronise(runner)


def _same(workload, names):
    return {name: getattr(workload, name) for name in names}


# -- time ---------------------------------------------------------------------------------------


def _batch(function, number, synchronise):
    start = time.perf_counter()
    for _ in range(number):
        function()
    synchronise()
    return (time.perf_counter() - start) / number


class Timer:
    """Times one function, the shortest of many visits.

    Parameters
    ----------
    function : callable
        Already warm.
    synchronise : callable, optional
        Waits for what `function` started.
    """

    def __init__(self, function, synchronise=lambda: None):
        self.function, self.synchronise = function, synchronise
        self.number, self.best = 1, float("inf")

    def visit(self):
        """Time the function a few times, after a pause in which other thread pools go to sleep."""
        time.sleep(PAUSE)
        calls = self.number
        once = _batch(self.function, calls, self.synchronise)
        if once * calls < BATCH:
            # the first call after a pause is slow, and not counted unless calls are long
            self.number = max(self.number, round(BATCH / once))
        else:
            self.best = min(self.best, once)
        spent, number = once * calls, self.number
        while spent < VISIT:
            once = _batch(self.function, number, self.synchronise)
            self.best = min(self.best, once)
            spent += once * number


def side_by_side(timers, runs, seconds):
    """Visit the timers in turn: `runs` rounds, or as many as begin within `seconds`."""
    start = time.perf_counter()
    for _ in range(runs):
        for timer in timers:
            timer.visit()
        if time.perf_counter() - start > seconds:
            break
    return [timer.best for timer in timers]


# -- memory -------------------------------------------------------------------------------------


def _status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


class Peak:
    """Measure by how much the process's memory rises at most above what it holds now, MB.

    On Linux the high-water mark is set back first, so that what came before does not hide anything.
    """

    def __init__(self, runner):
        self.torch = None
        if runner.where == "cuda":
            import torch

            self.torch = torch
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated() / 2**20
            return
        try:
            pathlib.Path("/proc/self/clear_refs").write_text("5")
            self.before = _status("VmRSS")
            self.high = lambda: _status("VmHWM")
        except OSError:
            unit = 2**20 if sys.platform == "darwin" else 2**10
            self.high = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
            self.before = self.high()

    def rise(self):
        """Return the rise until now, MB."""
        if self.torch is not None:
            return self.torch.cuda.max_memory_allocated() / 2**20 - self.before
        return max(0.0, self.high() - self.before)


# -- whole workloads ----------------------------------------------------------------------------


def _exact(x, w):
    import numpy as np

    flat = x.reshape(-1, x.shape[-1])
    return np.dot(flat.astype(np.float64), w.astype(np.float64))


def _snr(result, exact):
    import numpy as np

    import mpimpy

    result = result if isinstance(result, np.ndarray) else result.cpu().numpy()
    return mpimpy.SNR(result.reshape(exact.shape), exact)


def _chosen(array):
    import mpimpy

    return next(backend.name for backend in mpimpy.backends.available(array) if backend.chosen)


def _measure_product(workload, runner, runs, seconds):
    import numpy as np

    np.random.seed(1)  # noqa: NPY002  for the einsum baseline
    a, b = make_operands(workload)
    x, w = (_move(array, runner) for array in (a, b))
    warm_up(workload, runner)
    peak = Peak(runner)
    timed, product = prepare(workload, runner, x, w)
    result = product()
    _synchronise(runner)
    row = {"peak_MB": peak.rise()}
    row["SNR_dB"] = _snr(result, _exact(a, b))
    del result
    plain = Timer(functools.partial(np.dot, a.reshape(-1, a.shape[-1]), b))
    ours = Timer(timed, functools.partial(_synchronise, runner))
    plain.function()
    row["dot_seconds"], row["seconds"] = side_by_side([plain, ours], runs, seconds)
    row["value"] = workload.value(row["seconds"], row["dot_seconds"])
    if workload.reads:
        # the exact products count their own work, not that of slices which they do not have
        m, k, n = workload.mkn
        macs = m * k * n if runner.method == "dot" else workload.macs
        row["GMAC_per_s"] = macs / row["seconds"] / 1e9
    else:
        del row["dot_seconds"]
    if runner.method == "mpimpy":
        row["kernels"] = runner.backend or _chosen(x)
    if runner.where == "cuda" and runner.method == "mpimpy" and workload.reads:
        from . import card

        row |= card.share_of_bound(workload, row["seconds"])
    return row


def _measure_threads(workload, runner, runs, seconds):
    import numba

    import mpimpy

    if numba.config.NUMBA_NUM_THREADS < 2:
        msg = "there is one thread only"
        raise Skip(msg)
    a, b = make_operands(workload)
    x, w = (_move(array, runner) for array in (a, b))
    timed, product = prepare(workload, runner, x, w)
    exact = _exact(a, b)

    def on(threads):
        mpimpy.set_num_threads(threads)
        timed()

    timers = [Timer(functools.partial(on, threads)) for threads in (1, 2)]
    for timer in timers:
        timer.function()
    one, two = side_by_side(timers, runs, seconds)
    mpimpy.set_num_threads(None)
    return {
        "seconds": two,
        "one_thread_seconds": one,
        "value": one / two,
        "GMAC_per_s": workload.macs / two / 1e9,
        "SNR_dB": _snr(product(), exact),
    }


# The clock starts before NumPy and mpimpy are imported: a user needs both.
_CHILD = """
import json, sys, time
start = time.perf_counter()
import numpy as np
import mpimpy
task = json.loads(sys.argv[1])
rng = np.random.default_rng(0)
x, w = (rng.standard_normal(shape, dtype=np.float32) for shape in task["shapes"])
y = mpimpy.MapReducedot(x, w, seed=1, backend=task["backend"], **task["settings"])
seconds = time.perf_counter() - start
snr = mpimpy.SNR(y, x.astype(np.float64) @ w)
print(json.dumps({"seconds": seconds, "SNR_dB": snr}))
"""


def _in_new_process(workload, runner, cache):
    task = {
        "shapes": [workload.x_shape, workload.w_shape],
        "settings": flat_settings(workload),
        "backend": runner.backend,
    }
    command = [sys.executable, "-c", _CHILD, json.dumps(task)]
    # the same mpimpy as here, wherever it came from
    package = pathlib.Path(importlib.util.find_spec("mpimpy").origin).parent
    path = os.pathsep.join(filter(None, [str(package.parent), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cache, env=environment)
    return json.loads(done.stdout)


def _measure_process(workload, runner, runs, seconds):
    rows = []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        rows.append(_in_new_process(workload, runner, cache))
        while workload.kind == "process" and len(rows) <= runs:
            rows.append(_in_new_process(workload, runner, cache))
            if time.perf_counter() - start > seconds and len(rows) > 2:
                break
    # the first one compiled
    row = rows[0] if workload.kind == "first" else min(rows[1:], key=lambda row: row["seconds"])
    return {**row, "value": workload.value(row["seconds"], None)}


def applies(workload, runner):
    """Return whether a runner has anything to say about a workload."""
    if workload.kind in ("process", "first", "threads"):
        return runner.name == "numba"
    # an exact product programs nothing
    return workload.kind != "program" or runner.method != "dot"


def check(workload, runner):
    """Raise Skip where a product would not fit into memory."""
    if runner.method == "einsum" and workload.reads:
        need = 3 * tensor_gb(workload)  # the tensor, and two that rounding it makes on the way
        there = _memory_gb(runner)
        if need > there:
            msg = f"needs {need:.0f} GB for all slice pairs at once, and there are {there:.0f}"
            raise Skip(msg)


def _memory_gb(runner):
    if runner.where == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] / 2**30
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def measure(workload, runner, runs=5, seconds=10.0):
    """Return the figures of one workload with one runner, a dict.

    Parameters
    ----------
    workload : Workload
    runner : Runner
    runs : int
        Rounds: in each np.dot and the workload are timed in turn. The shortest times count.
    seconds : float
        No round begins after so long.

    Raises
    ------
    Skip
        If the machine cannot.
    """
    check(workload, runner)
    kinds = {"threads": _measure_threads, "process": _measure_process, "first": _measure_process}
    return kinds.get(workload.kind, _measure_product)(workload, runner, runs, seconds)


def main():
    """Measure what the command line asks for and print JSON."""
    task = json.loads(sys.argv[1])
    try:
        row = measure(Workload(**task["workload"]), RUNNERS[task["runner"]], task["runs"], task["seconds"])
    except Skip as reason:
        row = {"skipped": str(reason)}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
