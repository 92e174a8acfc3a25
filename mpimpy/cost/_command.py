"""The command ``mpimpy cost``."""

import argparse
from collections.abc import Callable

__all__ = ["add"]


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command, by the function of the command line that adds one."""
    text = "List the technologies that energy, latency and area are known for, or the constants of one."
    found = command("cost", _cost, text, settings=False)
    found.epilog = "The cost of a product is printed by mpimpy dot A B --cost TECHNOLOGY."
    found.add_argument(
        "--sources",
        metavar="TECHNOLOGY",
        help="print its constants with bands and sources: generic-28, or a file",
    )


def _cost(args: argparse.Namespace) -> None:
    from ._named import NAMES, named
    from ._technology import as_technology

    if args.sources is not None:
        tech = as_technology(args.sources)
        args.figures = tech
        print(tech.sources())
        return
    lines = {name: named(name).note or GENERIC for name in NAMES}
    args.figures = {"technologies": lines}
    width = max(map(len, lines))
    print(*(f"{name:<{width}}  {line}" for name, line in lines.items()), sep="\n")


GENERIC = "published laws at 28 nm; any node from 7 to 130 nm has a name, such as generic-45"
