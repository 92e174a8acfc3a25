"""The commands ``mpimpy sweep`` and ``mpimpy plot``."""

import argparse
import contextlib
import importlib
import shlex
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from ..checks import check_names, fail, install
from ..files import tables

__all__ = ["add"]

_SWEEP = "Run a workload over settings, or show how far it is."
_EXAMPLES = "The exit status is 1 if points failed. See docs/sweeps.md for the file, and for parts in a job array."


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands, by the function of the command line that adds one."""
    sweep = command("sweep", _sweep, _SWEEP, settings=False)
    sweep.epilog = _EXAMPLES
    sweep.add_argument("file", metavar="FILE.toml", nargs="?", help="workload, settings and space")
    sweep.add_argument("--store", metavar="DIR", help="folder of the results; points that it has are not run again")
    sweep.add_argument("--status", metavar="DIR", help="print how many points of a store are done, and the time left")
    sweep.add_argument("--scheduler", metavar="ADDRESS", help="dask scheduler whose workers run the points")
    sweep.add_argument("--part", metavar="I/N", help="run only part I, 0 to N - 1, such as one task of a job array")
    sweep.add_argument("--processes", metavar="N", type=int, help="processes of this machine (default 1)")
    plot = command("plot", _plot, "Draw the results of a sweep as curves.", settings=False)
    plot.add_argument("store", metavar="DIR", help="folder of the results")
    plot.add_argument(
        "-o", "--out", metavar="PICTURE", default="sweep.png", help=f"{tables.either(tables.PICTURES)} (sweep.png)"
    )
    plot.add_argument("--x", metavar="SETTING", help="setting along the axis (default: that of most values)")
    plot.add_argument("--of", metavar="RESULT", help="result to draw (default: the first)")
    plot.add_argument(
        "--at", metavar="SETTING=VALUE", action="append", default=[], help="only points of one value; may be repeated"
    )


def _sweep(args: argparse.Namespace) -> int:
    if args.status is not None:
        others = {"FILE": args.file, "--store": args.store, "--scheduler": args.scheduler, "--part": args.part}
        given = [name for name, value in (others | {"--processes": args.processes}).items() if value is not None]
        if given:
            fail(ValueError, f"{given[0]} has no effect beside --status, which only reads: leave it out")
        from ._open import status

        args.figures = status(args.status, duplicates="first")
        print(args.figures)
        return 0
    if args.file is None or args.store is None:
        fail(ValueError, "sweep needs a file and a folder: mpimpy sweep FILE.toml --store DIR; or --status DIR")
    if args.scheduler is not None and (args.part is not None or args.processes is not None):
        other = "--part" if args.part is not None else "--processes"
        fail(ValueError, f"--scheduler and {other} are two ways to share out the points: give one of them")
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    from .. import _spec
    from ._file import sweep_of
    from ._open import status
    from ._sweep import as_part

    words = ["mpimpy", "sweep", args.file, "--store", args.store, "--scheduler", "ADDRESS"]
    part = as_part(args.part)
    ready = sweep_of(_spec.read(args.file), args.store, shlex.join(words), by_value=args.scheduler is not None)
    with _client(args.scheduler) as client:
        # A process of its own for the points: one that ends it does not end the sweep.
        ready.run((args.processes or 1) if client is None else client, part=part)
    args.figures = status(args.store, duplicates=ready.store.duplicates)
    print(args.figures)
    return int(ready.failed(part) > 0)


@contextlib.contextmanager
def _client(address: str | None) -> Iterator[Any]:
    if address is None:
        yield None
        return
    if find_spec("distributed") is None:
        fail(ImportError, f"--scheduler needs dask, which is not installed: {install('dask')}")
    distributed: Any = importlib.import_module("distributed")
    try:
        client = distributed.Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        msg = f"no scheduler answers at {address}: {error}"
        raise ConnectionError(msg) from error
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):  # a scheduler that is lost does not answer, which the sweep has said
            client.close(timeout=5)


def _plot(args: argparse.Namespace) -> None:
    target = tables.picture_target(args.out)
    from .. import plot
    from ._open import open_sweep

    found = open_sweep(args.store, duplicates="first")
    for text in args.at:
        name, _, value = text.partition("=")
        check_names([name], map(str, found.dims), "setting")
        values = found[name].values
        index = next((index for index, one in enumerate(values) if _same(one, value)), None)
        if index is None:
            fail(ValueError, f"--at {text}: {name} has the values {', '.join(map(str, values))}")
        found = found.isel({name: index})
    axes = plot.sweep(found, x=args.x, of=args.of)
    tables.save({target: tables.picture_writer(axes.figure, target)})
    print(f"written to {args.out}")


def _same(one: Any, text: str) -> bool:
    if isinstance(one, str):
        return one == text
    try:
        return bool(one == float(text))
    except ValueError:
        return False
