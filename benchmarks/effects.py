"""Time each effect beside the default read of the same product.

    python -m benchmarks.effects [--size 512] [--only EFFECT ...] [--turns N] [--markdown]

Two programmed matrices stay open, one with the default settings and one with the effect, and are read in turn, so
that other work on the machine slows both alike. The ratio is the median of neighbours. Slices [1, 1, 2, 4] by
[1, 1, 2, 4], 64 x 64 arrays, 8-bit ADC, 5 % read variation, float32, unless the effect says otherwise.
"""

import argparse
import functools

import numpy as np

import mpimpy

from .compare import format_table
from .turns import in_turns

__all__ = ["EFFECTS", "main", "measure"]

PAIR = {"w_mapping": "pair", "x_mapping": "signed"}
ONE_SLICE = {"x_slices": (1, 7), "w_slices": (1, 7), "g_level": 128, "rdac": 128, **PAIR}

# by name: (settings, times the default read that is wanted, or None)
EFFECTS = {
    "no variation": ({"var": 0}, None),
    "ADC offset": ({"offset_lsb": 0.5}, 1.5),
    "ADC gain": ({"gain_error": 0.01}, 1.5),
    "ADC noise": ({"noise_lsb": 0.5}, 5),
    "DAC noise": ({"vnoise": 0.01}, 2),
    "wires": ({"wire_resistance": 2.93}, 1.1),
    "exact reads": ({"wire_resistance": 2.93, "exact_reads": True}, 12),
    "double exponent": ({"bw_e": 8, "dbfp_en": True}, 2.2),
    "fp32": ({"format": "fp32"}, 2.5),
    "pair": (PAIR, None),
    "offset mapping": ({"w_mapping": "offset"}, None),
    "one slice": (ONE_SLICE, None),
    "one slice, no variation": ({**ONE_SLICE, "var": 0}, None),
    "redraw slice": ({"redraw": "slice"}, 1.3),
    "redraw row": ({"redraw": "row"}, 8),
    "law per level": ({"var": tuple(np.linspace(0.08, 0.03, 16).tolist())}, None),
}

_COLUMNS = {
    "effect": lambda row: row["effect"],
    "ms": lambda row: f"{row['seconds'] * 1e3:.3g}",
    "default, ms": lambda row: f"{row['plain'] * 1e3:.3g}",
    "times": lambda row: f"{row['times']:.2f}",
    "wanted": lambda row: "" if row["wanted"] is None else f"{row['wanted']:g}",
}


def measure(settings, size, turns):
    """Return the shortest times of a read with settings and of the default read, s, and the median of their ratios.

    Parameters
    ----------
    settings : dict
        Flat settings of an engine.
    size : int
        Rows, columns and summed elements of the product.
    turns : int
        Reads of each.
    """
    x, w = np.random.default_rng(0).standard_normal((2, size, size)).astype(np.float32)
    matrices = [mpimpy.DPETensor(seed=1, **given).program(w) for given in ({}, settings)]
    plain, other = (functools.partial(matrix.read, x) for matrix in matrices)
    return in_turns(other, plain, turns)


def main(arguments=None):
    """Print a table with a row for each effect."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="rows, columns and summed elements (512)")
    parser.add_argument("--only", nargs="+", choices=EFFECTS, default=list(EFFECTS), metavar="EFFECT")
    parser.add_argument("--turns", type=int, default=7, help="reads of each (7)")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    given = parser.parse_args(arguments)
    rows = []
    for effect in given.only:
        settings, wanted = EFFECTS[effect]
        seconds, plain, times = measure(settings, given.size, given.turns)
        rows.append({"effect": effect, "seconds": seconds, "plain": plain, "times": times, "wanted": wanted})
    print(format_table(_COLUMNS, rows, given.markdown))


if __name__ == "__main__":
    main()
