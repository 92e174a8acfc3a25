"""The command line: ``mpimpy demo``, ``mpimpy dot``, ``mpimpy sweep``, ``mpimpy cost``, ``mpimpy info`` and others."""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import __version__, _shell, backends, noise
from ._dot import MapReducedot, cost_of, explain
from ._warm import warm
from .analysis.metrics import told_dB
from .checks import check_names
from .compat.dpetensor import DPETensor
from .config._flat import ENGINE, SETTINGS
from .cost import _command as cost
from .cost._technology import as_technology
from .designs import _command as designs
from .engine import Engine
from .explorer import _command as explorer
from .files import tables
from .machines import MACHINES
from .operands.edge import MpimpyWarning
from .sweeps import _command as sweeps

__all__ = ["main"]

_ENGINE = {name: ENGINE[name] for name in ("seed", "chip", "backend")}
_OPTIONS = SETTINGS | _ENGINE


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # main prints every error in the same way
        raise ValueError(_worded(message))


def _worded(message: str) -> str:
    # argparse names each spelling of an option, and does not say how to mend a call
    found = re.fullmatch(r"argument (--[\w-]+)(?:/(\S+))?: (.*)", message)
    if found is None:
        return message
    name, other, why = found.groups()
    if why == "expected one argument":
        return f"{name} needs a value; one that begins with - is joined by =, {name}=VALUE"
    if why.startswith("ignored explicit argument"):
        return f"{name} takes no value: give {name}{f' or {other}' if other else ''}, or leave it out"
    if why.startswith("invalid int value: "):
        return f"{name} {why.removeprefix('invalid int value: ')} must be a whole number"
    return message


def _value(text: str) -> Any:
    """Return the value of a setting's text: None, a number, a tuple of them, or the text itself."""
    if text.lower() == "none":
        return None
    if "," in text:
        return tuple(_value(part) for part in text.strip("()[] ").split(","))
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _path(text: str) -> str | None:
    # a name may hold commas
    return None if text.lower() == "none" else text


def _add_settings(parser: argparse.ArgumentParser) -> None:
    machine = (
        f"machine: a .toml or .json file of settings, or {tables.either(tuple(MACHINES))}; the options below change it"
    )
    parser.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help=machine)
    for title, table in (("settings", SETTINGS), ("random numbers and backend", _ENGINE)):
        group = parser.add_argument_group(title)
        for name, (default, unit, meaning) in table.items():
            text = f"{meaning} ({f'{unit}; ' if unit else ''}default {default})"
            kind: dict[str, Any] = {"type": _path if name == "device_file" else _value, "metavar": "VALUE"}
            if default in ("True", "False"):
                kind = {"action": argparse.BooleanOptionalAction}
            # both spellings count; help shows the first
            for spelling in dict.fromkeys((name, name.replace("_", "-"))):
                shown = text if spelling == name else argparse.SUPPRESS
                group.add_argument(f"--{spelling}", dest=name, default=argparse.SUPPRESS, help=shown, **kind)


def _chosen(args: argparse.Namespace, names: Iterable[str] = _OPTIONS) -> dict[str, Any]:
    # options of the command line, without the defaults
    return {name: vars(args)[name] for name in names if name in args}


def _engine(args: argparse.Namespace) -> Engine:
    # the machine of --config, changed by the other options; without it, that of the options
    given, machine = _chosen(args), vars(args).get("config")
    if machine is None:
        return DPETensor(**given)
    engine = Engine.from_file(machine) if Path(machine).suffix else Engine.named(machine)
    return engine.replace(**given) if given else engine


def _build_parser() -> tuple[_Parser, dict[str, _Parser]]:
    parser = _Parser(prog="mpimpy", description="Matrix products on memristor crossbars.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"mpimpy {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    lists = "Lists take commas: --x_slices 1,1,2,4; negative numbers =: --adc_range=-1e-5,1e-5. "
    lists += "Names may be written with - for _. Other laws of variation than numbers are for Python."

    def command(
        name: str, run: Callable[[argparse.Namespace], int | None], text: str, *, settings: bool = True
    ) -> argparse.ArgumentParser:
        epilog = lists if settings else None
        sub = commands.add_parser(name, help=text, description=text, epilog=epilog, allow_abbrev=False)
        if settings:
            _add_settings(sub)
        sub.set_defaults(run=run)
        return sub

    demo = command("demo", _demo, "Compress a photograph on crossbars, or run two matrix products.")
    demo.add_argument(
        "what",
        nargs="?",
        choices=("picture", "matmul"),
        default="picture",
        help="picture (default): 8 x 8 block DCT of a photograph; matmul: two products with settings of their own",
    )
    demo.add_argument(
        "-o", "--out", metavar="PICTURE", help=f"{tables.either(tables.PICTURES)} (picture: default mpimpy_demo.png)"
    )
    only: dict[str, Any] = {"default": argparse.SUPPRESS}
    demo.add_argument("--keep", type=_value, help="picture: share of the coefficients kept (default 0.25)", **only)
    demo.add_argument("--mode", type=int, choices=(0, 1), help="matmul: run only this one of the two", **only)

    dot = command("dot", _dot, "Multiply two matrices on crossbars.")
    matrix = f"{tables.either(tables.MATRICES)} file; file.npz:name picks one array of several; - is standard input"
    dot.add_argument("a", metavar="A", help=f"inputs: {matrix}; .csv has commas and no header")
    dot.add_argument("b", metavar="B", help="weights, likewise")
    kinds = f"{tables.either(tables.MATRICES)}; - is standard output as csv, npy:- as npy, with the figures on stderr"
    dot.add_argument("-o", "--out", metavar="OUT", help=f"write the product: {kinds}")
    dot.add_argument(
        "--plot", metavar="FILE", help=f"draw measured against expected elements: {tables.either(tables.PICTURES)}"
    )
    dot.add_argument("--explain", action="store_true", help="print size, conversions and the cost of each effect")
    technology = "print energy and latency in a technology: generic-28, or a .toml or .json file; see mpimpy cost"
    dot.add_argument("--cost", metavar="TECHNOLOGY", help=technology)
    dot.add_argument("--estimate", action="store_true", help="print memory and time of the product, and end")

    sweeps.add(command)
    designs.add(command)
    explorer.add(command)
    cost.add(command)
    info = command("info", _info, "Print versions, threads and backends.", settings=False)
    info.add_argument("--warm", action="store_true", help="compile the kernels of common products, and keep them")
    _shell.add_json(commands.choices[name] for name in ("demo", "dot", "sweep", "design", "cost", "info"))
    return parser, commands.choices


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser, commands = _build_parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        names = [text.partition("=")[0] for text in unknown if text.startswith("-")]
        asked = parser if args.command is None else commands[args.command]
        known = ["--help", *re.findall(r"--[\w-]+", asked.format_usage())]
        check_names(names, known, "option")
        msg = f"unexpected argument {unknown[0]!r}"
        raise ValueError(msg)
    if args.command is None:
        args.run = lambda _: parser.print_help()
    return args


def _check_csv(name: str, a: Any, b: Any) -> None:
    axes = a.ndim + b.ndim - (2 if a.ndim and b.ndim else 0)
    if axes > 2 or "c" in (a.dtype.kind, b.dtype.kind):
        start, other = (f"{name}: .csv", ".npy or .npz") if name not in tables.STREAMS else ("--out -: csv", "npy:-")
        msg = f"{start} holds only real numbers, in one or two axes: write this product as {other}"
        raise ValueError(msg)


def _exact(a: Any, b: Any) -> Any:
    import numpy as np

    # integers could overflow
    return np.dot(*(array.astype(np.result_type(array, np.float64), copy=False) for array in (a, b)))


def _dot(args: argparse.Namespace) -> None:
    if args.a == args.b == "-":
        msg = "A and B are both -, and there is one standard input: give one of them as a file"
        raise ValueError(msg)
    stream = tables.STREAMS.get(args.out)
    out = None if stream or args.out is None else tables.target(args.out, tables.MATRICES)
    picture = None if args.plot is None else tables.picture_target(args.plot)
    if out:
        tables.check_spared(args.out, out, (args.a, args.b))
    engine, tech = _engine(args), None if args.cost is None else as_technology(args.cost)
    a, b = tables.load(args.a), tables.load(args.b)
    if args.estimate:
        _estimate(args, engine, a, b)
        return
    if ".csv" in (stream, out and out.suffix.lower()):
        _check_csv(args.out, a, b)
    measured = MapReducedot(a, b, engine)
    exact = _exact(a, b)
    table = explain(a, b, engine, technology=tech) if args.explain else None
    price = None if tech is None else cost_of(a, b, engine, tech) if table is None else table.cost
    shapes = {"inputs": a.shape, "weights": b.shape, "product": measured.shape}
    args.figures = {**shapes, "snr_dB": told_dB(measured, exact), "seed": engine.seed, "chip": engine.chip}
    args.figures |= {} if table is None else {"report": table}
    args.figures |= {} if price is None else {"cost": {"technology": price.technology.name, **price.to_dict()}}
    outputs = {out: tables.matrix_writer(measured, out)} if out else {}
    if picture:
        from . import plot

        outputs[picture] = tables.picture_writer(plot.scatter(measured, exact).figure, picture)
    tables.save(outputs)
    if stream:
        tables.to_stdout(measured, stream)
    lines = [
        f"product  {a.shape} by {b.shape} is {measured.shape}",
        f"SNR      {told_dB(measured, exact):.2f} dB against np.dot",
        f"seed     {engine.seed}, chip {engine.chip}",
        *(f"\n{found}" for found in (table or price,) if found is not None),
    ]
    print(*lines, sep="\n", file=sys.stderr if stream else sys.stdout)


def _estimate(args: argparse.Namespace, engine: Engine, a: Any, b: Any) -> None:
    idle = [f"--{name}" for name in ("out", "plot", "explain", "cost") if vars(args)[name]]
    if idle:
        msg = f"{idle[0]} has no effect beside --estimate, which computes no product: leave it out"
        raise ValueError(msg)
    if a.ndim < 1 or b.ndim != 2 or a.shape[-1] != b.shape[0]:
        msg = f"shapes {a.shape} and {b.shape}: --estimate takes inputs (..., K) and weights (K, N)"
        raise ValueError(msg)
    args.figures = engine.estimate(max(1, a.size // a.shape[-1]), *b.shape)
    print(args.figures)


def _demo(args: argparse.Namespace) -> None:
    matmul = args.what == "matmul"
    idle = ["config", *SETTINGS, "keep"] if matmul else ["mode"]
    useless = [name for name in idle if name in args]
    if useless:
        msg = f"{', '.join(f'--{name}' for name in useless)} has no effect on the demo {args.what}: leave it out"
        raise ValueError(msg)
    out = "mpimpy_demo.png" if args.out is None and not matmul else args.out
    picture = None if out is None else tables.picture_target(out)
    if matmul or picture is None:
        _demo_matmul(args, picture)
    else:
        _demo_picture(args, picture)
    if picture:
        print(f"written to {out}")


def _demo_picture(args: argparse.Namespace, picture: Path) -> None:
    from . import demo, plot

    engine = _engine(args)
    result = demo.compress(demo.photograph(), engine, **_chosen(args, ["keep"]))
    tables.save({picture: tables.picture_writer(plot.compression(result), picture)})
    args.figures = result.figures() | {"picture": args.out or str(picture)}
    print(result)


def _demo_matmul(args: argparse.Namespace, picture: Path | None) -> None:
    from . import demo, plot

    settings = {"seed": None} | _chosen(args, _ENGINE)
    if settings["seed"] is None:
        settings["seed"] = noise.new_seed()
    results = [demo.matmul(mode, **settings) for mode in ([args.mode] if "mode" in args else [0, 1])]
    args.figures = {"products": [result.figures() for result in results], "chip": 0, **settings}
    if picture:
        axes = plot.new_axes(1, len(results))[0]
        for ax, result in zip(axes, results, strict=True):
            plot.scatter(result.measured, result.exact, ax, f"mode {result.mode}")
        tables.save({picture: tables.picture_writer(axes[0].figure, picture)})
    print(*results, f"seed {settings['seed']}, chip {settings.get('chip', 0)}", sep="\n")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _info(args: argparse.Namespace) -> None:
    packages = {package: _version(package) for package in ("numpy", "scipy", "numba", "torch", "matplotlib")}
    args.figures = {"mpimpy": __version__, "Python": platform.python_version(), **packages}
    args.figures |= {"processors": os.cpu_count(), "backends": backends.available()}
    print(f"{'mpimpy':<12}{__version__}")
    print(f"{'Python':<12}{platform.python_version()}")
    for package in ("numpy", "scipy", "numba", "torch", "matplotlib"):
        print(f"{package:<12}{_version(package)}")
    print(f"{'processors':<12}{os.cpu_count()}")
    print("backends")
    for backend in backends.available():
        state = "" if backend.available else "not available: "
        print(f"  {backend.name:<10}{state}{backend.detail}; for {backend.runs}")
    if args.warm:
        warm()
        print("kernels of common products are compiled")


def _complain(text: str) -> None:
    print(f"mpimpy: {' '.join(text.split())}", file=sys.stderr)


def _run(argv: Sequence[str] | None) -> int:
    try:
        args = _parse(argv)
    except SystemExit as done:  # --help and --version have printed their text
        return done.code if isinstance(done.code, int) else 0
    seen: set[str] = set()

    def show_once(message: Warning | str, *_: Any, **__: Any) -> None:
        # one plain line; Python prints two, with a line of source
        if str(message) not in seen:
            seen.add(str(message))
            _complain(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show_once
        warnings.simplefilter("always", MpimpyWarning)
        return _shell.run(args) or 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments after the program's name; by default those of the process.

    Returns
    -------
    int
        Exit status: 0; 1 if points of a sweep failed; 2 after an error, which is one line on stderr.

    Examples
    --------
    >>> main(["--version"])  # doctest: +ELLIPSIS
    mpimpy ...
    0
    """
    try:
        status = _run(argv)
        if sys.stdout is not None:  # it may be closed
            sys.stdout.flush()
    except BrokenPipeError:
        # the reader has gone: at its end, the interpreter must not flush into the same pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (ArithmeticError, ImportError, MemoryError, NotImplementedError, OSError, TypeError, ValueError) as error:
        _complain(str(error) or type(error).__name__)
        return 2
    return status
