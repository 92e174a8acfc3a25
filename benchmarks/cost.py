"""Time the cost of a product beside its read.

    python -m benchmarks.cost [--size 1000] [--only SETTINGS ...] [--turns N] [--markdown]

The inputs are encoded once. Then the first cost of a matrix, with these digits, and the read of them take turns, so
that other work on the machine slows both alike; the ratio is the median of neighbours. A second pair is whole calls,
``W.cost(x, technology)`` and ``W.read(x)``, each of which encodes its inputs: these are further costs of the matrix,
whose sums over its cells are kept. Slices [1, 1, 2, 4] by [1, 1, 2, 4],
64 x 64 arrays, 8-bit ADC, 5 % read variation, float32, unless the settings say otherwise. Wires are left out unless
they are named: their cost solves a circuit for each array.
"""

import argparse

import numpy as np

import mpimpy
from mpimpy.cost import Technology, _cells
from mpimpy.cost._model import cost_of
from mpimpy.crossbar.product import product
from mpimpy.matrix import encode_inputs

from .compare import format_table
from .turns import in_turns

__all__ = ["SETTINGS", "main", "measure"]

TECHNOLOGY = "generic-28"
WANTED = 0.05  # of the read, with shared digits

# by name: settings of the engine
SETTINGS = {
    "default": {},
    "no variation": {"var": 0},
    "pair": {"w_mapping": "pair", "x_mapping": "signed"},
    "offset": {"w_mapping": "offset"},
    "DAC noise": {"vnoise": 0.01},
    "wires": {"wire_resistance": 2.93},
}

_COLUMNS = {
    "settings": lambda row: row["name"],
    "cost, ms": lambda row: f"{row['shared'][0] * 1e3:.3g}",
    "read, ms": lambda row: f"{row['shared'][1] * 1e3:.3g}",
    "ratio": lambda row: f"{row['shared'][2]:.1%}",
    "wanted": lambda row: f"{WANTED:.0%}",
    "W.cost, ms": lambda row: f"{row['whole'][0] * 1e3:.3g}",
    "W.read, ms": lambda row: f"{row['whole'][1] * 1e3:.3g}",
    "of W.read": lambda row: f"{row['whole'][2]:.1%}",
}


def measure(settings, size, turns):
    """Return the times and the ratio of cost and read, with shared digits and as whole calls; see `in_turns`.

    Parameters
    ----------
    settings : dict
        Flat settings of an engine.
    size : int
        Rows, columns and summed elements of the product.
    turns : int
        Calls of each.
    """
    x, w = np.random.default_rng(0).standard_normal((2, size, size)).astype(np.float32)
    matrix, tech = mpimpy.DPETensor(seed=1, **settings).program(w), Technology.named(TECHNOLOGY)
    programmed, encoded = encode_inputs(matrix, x)
    backend = matrix._backend

    def first():
        _cells._loads.clear()
        cost_of(backend, programmed, encoded, tech)

    shared = in_turns(
        first,
        lambda: product(backend, programmed, encoded, 0, 0, "float32"),
        turns,
    )
    return shared, in_turns(lambda: matrix.cost(x, tech), lambda: matrix.read(x, 0), turns)


def main(arguments=None):
    """Print a table with a row for each of the settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1000, help="rows, columns and summed elements (1000)")
    quick = [name for name in SETTINGS if name != "wires"]  # whose circuits are solved for each cost
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=quick, metavar="SETTINGS")
    parser.add_argument("--turns", type=int, default=7, help="calls of each (7)")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    given = parser.parse_args(arguments)
    rows = []
    for name in given.only:
        shared, whole = measure(SETTINGS[name], given.size, given.turns)
        rows.append({"name": name, "shared": shared, "whole": whole})
    print(format_table(_COLUMNS, rows, given.markdown))


if __name__ == "__main__":
    main()
