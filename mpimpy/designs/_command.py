"""The command ``mpimpy design``."""

import argparse
from collections.abc import Callable

__all__ = ["add"]


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command, by the function of the command line that adds one."""
    text = "Find the cheapest design of a product that reaches an SNR."
    found = command("design", _design, text, settings=False)
    found.epilog = "See docs/designing.md for the file."
    found.add_argument("file", metavar="FILE.toml", help="matrices, settings, space and cost")
    found.add_argument("--target", metavar="DB", type=float, help="SNR, dB (default: that of the file)")


def _design(args: argparse.Namespace) -> None:
    from .. import _spec
    from ._file import design_of

    args.figures = design_of(_spec.read(args.file), args.target)
    print(args.figures)
