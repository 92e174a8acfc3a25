"""Figures of the shell's commands as JSON."""

import argparse
import contextlib
import dataclasses
import io
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ._plain import plain
from .checks import fail
from .config import to_dict
from .engine import Engine

__all__ = ["add_json", "figures", "run"]


def add_json(commands: Iterable[argparse.ArgumentParser]) -> None:
    """Add the option ``--json`` to commands, which leave their figures in ``args.figures``."""
    for command in commands:
        command.add_argument("--json", action="store_true", help="print the figures as JSON, and no text")


def figures(value: Any) -> Any:
    """Return figures as JSON holds them: dataclasses and settings as dicts, infinite numbers as text.

    Examples
    --------
    >>> from mpimpy import DAC, Engine
    >>> figures({"snr_dB": float("inf"), "dac": DAC(32)})
    {'snr_dB': 'inf', 'dac': {'kind': 'DAC', 'rdac': 32, 'vread': 0.1, 'vnoise': 0.0}}
    """
    if isinstance(value, Engine):
        return {"seed": value.seed, "chip": value.chip, "settings": to_dict(value.config)}
    if callable(getattr(value, "to_dict", None)):
        return figures(value.to_dict())
    if dataclasses.is_dataclass(value):
        with contextlib.suppress(TypeError):
            return to_dict(value)
        return {field.name: figures(getattr(value, field.name)) for field in dataclasses.fields(value) if field.repr}
    if isinstance(value, Mapping):
        return {str(name): figures(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [figures(item) for item in value]
    value = value.tolist() if hasattr(value, "tolist") else value  # NumPy's numbers and arrays
    return plain(value) if isinstance(value, int | float | str | list | None) else str(value)


def run(args: argparse.Namespace) -> int | None:
    """Run a command; with ``--json``, print its figures in place of its text.

    Raises
    ------
    ValueError
        If the product goes to standard output as well.
    """
    if not vars(args).get("json"):
        found: int | None = args.run(args)
        return found
    out = str(vars(args).get("out") or "")
    if out == "-" or out.endswith(":-"):
        fail(ValueError, f"--json and --out {out} both write to standard output: give the product a file")
    with contextlib.redirect_stdout(io.StringIO()):
        found = args.run(args)
    json.dump(figures(args.figures), sys.stdout, indent=2, allow_nan=False)
    print()
    return found
