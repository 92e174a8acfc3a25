"""Measure every workload with every backend beside np.dot, in one run, and print one table.

    python -m benchmarks.compare [--only NAME ...] [--backends NAME ...] [--skip-large] [--markdown]

Each row is measured in a process of its own, where np.dot and the workload are timed in turn and
the shortest times count. The figures are appended to a file, one line of JSON per run.
"""

import argparse
import contextlib
import datetime as dt
import importlib.metadata
import importlib.util
import json
import math
import os
import pathlib
import platform
import subprocess
import sys

from .measure import ROOT, RUNNERS, applies
from .workloads import TIMES, WORKLOADS, find, memory_budget

__all__ = ["main"]

PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "torch", "triton", "threadpoolctl")
RECORD = pathlib.Path(__file__).with_name("results.jsonl")
STEADY = 1.25  # times by which np.dot may differ between rows of a workload
BLAS_SETTING = "OPENBLAS_CORETYPE"


# -- machine and versions -----------------------------------------------------------------------


def _cpu():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _machine():
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = {"cpu": _cpu(), "cores": usable, "memory_GB": round(memory, 1), "system": platform.platform()}
    if _has_cuda():
        import torch

        machine["cuda"] = torch.cuda.get_device_name()
    return machine


def _blas():
    """Return what threadpoolctl says of each BLAS that NumPy and SciPy load."""
    import numpy as np  # noqa: F401
    import scipy.linalg.cython_blas  # noqa: F401
    from threadpoolctl import threadpool_info

    keys = ("internal_api", "architecture", "num_threads", "version")
    libraries = []
    for info in threadpool_info():
        if info["user_api"] == "blas":
            path = pathlib.Path(info["filepath"])
            libraries.append({"file": path.name, "folder": path.parent.name, **{key: info.get(key) for key in keys}})
    return libraries


def _versions():
    import mpimpy

    found = {"python": platform.python_version(), "mpimpy": mpimpy.__version__}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _git(*arguments):
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _commit():
    commit = _git("rev-parse", "HEAD")
    return commit and commit + ("-dirty" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _has_cuda():
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _runners():
    """Return the names of the runners that this machine has, in the order of the table."""
    import mpimpy

    backends = {backend.name: backend.available for backend in mpimpy.backends.available()}
    torch, cuda = importlib.util.find_spec("torch") is not None, _has_cuda()
    return [
        runner.name
        for runner in RUNNERS.values()
        if backends.get(runner.backend, True)
        and (runner.library != "torch" or torch)
        and (runner.where != "cuda" or cuda)
    ]


# -- rows ---------------------------------------------------------------------------------------


def _run(workload, name, options):
    task = {"workload": workload.to_json(), "runner": name, "runs": options.runs, "seconds": options.seconds}
    command = [sys.executable, "-m", "benchmarks.measure", json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else f"ended with {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def _row(workload, name, options):
    runner = RUNNERS[name]
    row = {"workload": workload.name, "backend": name, "unit": workload.unit}
    if runner.method == "mpimpy":
        row |= {"want": workload.want, "aim": workload.aim}
    if workload.large and runner.slow and not options.backends:
        return row | {"skipped": f"is large: ask for it with --backends {name}"}
    row |= _run(workload, name, options)
    if "value" in row:
        row["mark"] = workload.mark(row["value"]) if runner.method == "mpimpy" else ""
    if workload.memory and runner.method == "mpimpy" and "peak_MB" in row:
        operands, codes, grid, allowance = memory_budget(workload)
        # the peak counts the result, which is among the operands; x and w were there before
        m, k, n = workload.mkn
        row["memory_MB"] = row["peak_MB"] + 4 * (m * k + k * n) / 2**20
        row["memory_budget_MB"] = operands + codes + grid + allowance
        row["memory_parts_MB"] = {"operands": operands, "codes": codes, "grid": grid, "allowance": allowance}
    return row


def _compare_with_einsum(rows):
    times = {row["workload"]: row["seconds"] for row in rows if row["backend"] == "einsum-cuda" and "seconds" in row}
    for row in rows:
        if row["backend"] == "cuda" and "seconds" in row and row["workload"] in times:
            row["times_einsum"] = times[row["workload"]] / row["seconds"]


def _finite(value):
    # JSON has no infinity
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# -- table --------------------------------------------------------------------------------------


def _number(value, digits=3):
    if value is None:
        return ""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    # significant digits without exponents, which do not line up
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def _time(seconds):
    if seconds is None:
        return ""
    unit, size = next(((unit, size) for unit, size in TIMES.items() if seconds < 1000 * size), ("s", 1.0))
    return f"{_number(seconds / size)} {unit}"


def _bound(row, name):
    return f"{row[name]:g} {row['unit']}" if row.get(name) is not None else ""


_COLUMNS = {
    "workload": lambda row: row["workload"],
    "backend": lambda row: row["backend"],
    "time": lambda row: _time(row["seconds"]),
    "np.dot": lambda row: _time(row.get("dot_seconds")),
    "value": lambda row: f"{_number(row['value'])} {row['unit']}",
    "want": lambda row: _bound(row, "want"),
    "aim": lambda row: _bound(row, "aim"),
    "mark": lambda row: row["mark"],
    "GMAC/s": lambda row: _number(row.get("GMAC_per_s")),
    "SNR dB": lambda row: f"{row['SNR_dB']:.2f}" if row.get("SNR_dB") is not None else "",
    "peak MB": lambda row: f"{row['peak_MB']:.0f}" if row.get("peak_MB") is not None else "",
}
_CARD_COLUMNS = {
    "workload": lambda row: row["workload"],
    "backend": lambda row: row["backend"],
    "kernels": lambda row: row["kernels"],
    "TOP/s": lambda row: _number(row["TOP_per_s"]),
    "card int8 TOP/s": lambda row: _number(row["int8_TOP_per_s"]),
    "bound": lambda row: _time(row["bound_seconds"]),
    "of bound": lambda row: f"{100 * row['share_of_bound']:.0f} %",
    "times einsum": lambda row: _number(row.get("times_einsum")),
}
_LEFT = ("workload", "backend", "kernels", "mark", "effect", "network")


def format_table(columns, rows, markdown=False):
    """Return rows as aligned text, which is a Markdown table too if asked for.

    Parameters
    ----------
    columns : dict of str to callable
        Heading, and what makes a cell's text of a row.
    rows : list of dict
    markdown : bool
    """
    cells = [list(columns)] + [[show(row) for show in columns.values()] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    left = [name in _LEFT for name in columns]
    lines = []
    for line in cells:
        padded = [
            text.ljust(width) if to_left else text.rjust(width)
            for text, width, to_left in zip(line, widths, left, strict=True)
        ]
        lines.append("| " + " | ".join(padded) + " |" if markdown else "  ".join(padded).rstrip())
    rule = [
        "-" * width if to_left or not markdown else "-" * (width - 1) + ":"
        for width, to_left in zip(widths, left, strict=True)
    ]
    lines.insert(1, "| " + " | ".join(rule) + " |" if markdown else "  ".join(rule))
    return "\n".join(lines)


def _header(record):
    machine, versions = record["machine"], record["versions"]
    yield f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_GB']:g} GB" + (
        f", {machine['cuda']}" if "cuda" in machine else ""
    )
    yield ", ".join(f"{name} {version}" for name, version in versions.items())
    for blas in record["blas"]:
        yield (
            f"BLAS: {blas['internal_api']} {blas['version']}, {blas['architecture']}, {blas['num_threads']} threads "
            f"({blas['folder']})"
        )
    if BLAS_SETTING in os.environ:
        yield (
            f"WARNING: {BLAS_SETTING}={os.environ[BLAS_SETTING]} is set: np.dot may run a "
            "slower kernel than this CPU has, and every P depends on it"
        )
    yield f"backends: {'; '.join(record['backends'])}"
    yield record["timing"]


def _busy(rows):
    """Say where np.dot took longer beside one backend than beside another: both ratios are in doubt."""
    times = {}
    for row in rows:
        if row.get("dot_seconds"):
            times.setdefault(row["workload"], []).append(row["dot_seconds"])
    for workload, seconds in times.items():
        if max(seconds) > STEADY * min(seconds):
            yield (
                f"{workload}: np.dot took from {_time(min(seconds))} to {_time(max(seconds))}: "
                "the machine was busy, measure again"
            )


def _footer(rows):
    yield from _busy(rows)
    for row in rows:
        if "memory_MB" in row:
            parts = " + ".join(f"{size:.0f} {name}" for name, size in row["memory_parts_MB"].items())
            fits = "yes" if row["memory_MB"] <= row["memory_budget_MB"] else "no"
            yield (
                f"{row['workload']}, {row['backend']}: {row['memory_MB']:.0f} MB with operands; "
                f"wanted {row['memory_budget_MB']:.0f} ({parts}): {fits}"
            )
    for row in rows:
        if "skipped" in row:
            yield f"{row['workload']}, {row['backend']}: left out, {row['skipped']}"
        if "error" in row:
            yield f"{row['workload']}, {row['backend']}: FAILED, {row['error']}"


def _options(argv, workloads):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="workloads:\n" + "\n".join(f"  {w.name:<10}{w.title}" for w in workloads.values()),
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these workloads")
    parser.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME",
        help=f"these, slow ones on large workloads too; of {', '.join(RUNNERS)}",
    )
    parser.add_argument("--runs", type=int, default=5, help="rounds of timing (default 5)")
    parser.add_argument("--seconds", type=float, default=10.0, help="no round begins after so long (default 10)")
    parser.add_argument("--skip-large", action="store_true", help="leave out what takes minutes or gigabytes")
    parser.add_argument("--record", type=pathlib.Path, default=RECORD, metavar="FILE", help="appended to")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args(argv)
    if options.runs < 1:
        parser.error(f"--runs {options.runs} must be at least 1")
    try:
        chosen = find(options.only or list(workloads), workloads)
    except ValueError as error:
        parser.error(str(error))
    there = _runners()
    for name in options.backends or []:
        if name not in RUNNERS:
            parser.error(f"unknown backend {name!r}: use some of {', '.join(there)}")
        if name not in there:
            parser.error(f"backend {name!r} cannot run on this machine: use some of {', '.join(there)}")
    runners = [name for name in there if not options.backends or name in options.backends]
    return options, [w for w in chosen if not (options.skip_large and w.large)], runners


def main(argv=None, workloads=WORKLOADS):
    """Measure, print the table, append the record; return 1 if a row failed.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the command line's.
    workloads : dict of str to Workload
        What there is to choose from.
    """
    options, chosen, runners = _options(argv, workloads)
    import mpimpy

    record = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "blas": _blas(),
        "environment": {BLAS_SETTING: os.environ.get(BLAS_SETTING)},
        "versions": _versions(),
        "commit": _commit(),
        "backends": [f"{b.name}: {b.detail}" for b in mpimpy.backends.available()],
        "timing": f"shortest of up to {options.runs} rounds, np.dot and the workload in turn",
        "rows": [],
    }
    print("\n".join(_header(record)), end="\n\n", flush=True)
    rows = record["rows"]
    for workload in chosen:
        for name in runners:
            if not applies(workload, RUNNERS[name]):
                continue
            if sys.stderr.isatty():
                print(f"\r{workload.name}, {name} ...\033[K", end="", file=sys.stderr, flush=True)
            rows.append(_row(workload, name, options))
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    _compare_with_einsum(rows)
    print(format_table(_COLUMNS, [row for row in rows if "value" in row], options.markdown))
    card = [row for row in rows if "share_of_bound" in row]
    if card:
        print("\n" + format_table(_CARD_COLUMNS, card, options.markdown))
    notes = list(_footer(rows))
    if notes:
        print("\n" + "\n".join(notes))
    with options.record.open("a") as lines:
        lines.write(json.dumps(_finite(record), allow_nan=False) + "\n")
    return int(any("error" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
