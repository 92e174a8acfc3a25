"""The command ``mpimpy explore``."""

import argparse
from collections.abc import Callable

__all__ = ["add"]


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command, by the function of the command line that adds one."""
    text = "Show one product on a page with sliders, in your browser."
    explore = command("explore", _explore, text, settings=False)
    explore.epilog = "The page is served on this machine only, until Ctrl-C."
    explore.add_argument("--port", metavar="N", type=int, help="port on 127.0.0.1 (default 8765; 0: any free one)")
    explore.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")


def _explore(args: argparse.Namespace) -> None:
    from ._server import PORT, serve

    serve(PORT if args.port is None else args.port, browser=not args.no_browser)
