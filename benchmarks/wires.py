"""Time transfer matrices of square tiles beside two other ways to find them.

    python -m benchmarks.wires [--sizes N ...] [--runs N] [--markdown]

One tile on one thread against the block elimination that a first version would be, with a general
inverse a row, and against a sparse nodal solve with one right-hand side a word line; then a batch
of tiles on all threads. The shortest of all runs counts; errors are against the sparse solve. Last,
a product of --read rows, columns and summed elements, on arrays of 64 x 64 with and without wires:
programming once, then reading.
"""

import argparse
import time

import numpy as np

import mpimpy

from .compare import format_table

__all__ = ["block_elimination", "main", "sparse_nodal"]

R_WORD, R_BIT = 2.5, 1.5
BATCH = 16

_COLUMNS = {
    "tile": lambda row: f"{row['size']} x {row['size']}",
    "ms": lambda row: f"{row['alone'] * 1e3:.2f}",
    "GFLOP/s": lambda row: f"{2 * row['size'] ** 4 / row['alone'] / 1e9:.1f}",
    "ms a tile, all threads": lambda row: f"{row['batch'] * 1e3:.2f}",
    "block elimination": lambda row: f"{row['blocks'] * 1e3:.1f} ms",
    "times": lambda row: f"{row['blocks'] / row['alone']:.1f}",
    "sparse nodal": lambda row: f"{row['sparse'] * 1e3:.0f} ms",
    "times ": lambda row: f"{row['sparse'] / row['alone']:.0f}",
    "error": lambda row: f"{row['error']:.0e}",
}


def block_elimination(g, r_word, r_bit):
    """Return the transfer matrix as plain NumPy finds it, row by row from the top.

    Parameters
    ----------
    g : float64 array, shape (rows, cols)
        Conductance of the cells.
    r_word, r_bit : float
        Resistance of a segment, above 0.
    """
    cols = g.shape[1]
    gw, gb = 1 / r_word, 1 / r_bit
    line = gw * (2 * np.eye(cols) - np.eye(cols, k=1) - np.eye(cols, k=-1))
    line[-1, -1] -= gw
    carried, found = np.zeros((cols, cols)), np.zeros((cols, 0))
    for i, cells in enumerate(g):
        solved = np.linalg.inv(line + np.diag(cells))
        block = np.diag(cells + gb * (2 if i else 1)) - cells[:, None] * solved * cells - gb * carried
        carried = gb * np.linalg.inv(block)
        found = carried @ np.column_stack([found, gw * cells * solved[:, 0]])
    return found.T


def sparse_nodal(g, r_word, r_bit):
    """Return the transfer matrix by one sparse factorisation and a right-hand side a word line.

    Parameters
    ----------
    g : float64 array, shape (rows, cols)
        Conductance of the cells.
    r_word, r_bit : float
        Resistance of a segment, above 0.
    """
    from scipy.sparse import block_array, coo_array, diags_array
    from scipy.sparse.linalg import splu

    rows, cols = g.shape
    gw, gb, count = 1 / r_word, 1 / r_bit, rows * cols
    nodes = np.arange(count).reshape(rows, cols)

    def wire(ends, segment, terminal):
        a, b = (end.ravel() for end in ends)
        links = coo_array((np.full(a.size, segment), (a, b)), (count, count)).tocsr()
        links = links + links.T
        at_end = np.zeros(count)
        at_end[terminal] = segment
        return diags_array(links.sum(axis=1) + at_end) - links

    cells = diags_array(g.ravel())
    word = wire((nodes[:, :-1], nodes[:, 1:]), gw, nodes[:, 0]) + cells
    bit = wire((nodes[:-1], nodes[1:]), gb, nodes[-1]) + cells
    driven = np.zeros((2 * count, rows))
    driven[nodes[:, 0], np.arange(rows)] = gw
    volts = splu(block_array([[word, -cells], [-cells, bit]], format="csc")).solve(driven)
    return gb * volts[count + nodes[-1]].T


def _shortest(function, runs):
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - start)
    return best, result


def _row(size, runs):
    from threadpoolctl import threadpool_limits

    batch = np.random.default_rng(size).uniform(1e-7, 1e-5, (BATCH, size, size))
    g, r = batch[0], (R_WORD, R_BIT)
    row = {"size": size}
    mpimpy.wires.transfer(g[:2, :2], *r)  # compiled before
    mpimpy.set_num_threads(1)
    try:
        with threadpool_limits(1):
            row["alone"], found = _shortest(lambda: mpimpy.wires.transfer(g, *r), runs)
            row["blocks"], _ = _shortest(lambda: block_elimination(g, *r), max(1, runs // 2))
            row["sparse"], wanted = _shortest(lambda: sparse_nodal(g, *r), 1)
    finally:
        mpimpy.set_num_threads(None)
    seconds, _ = _shortest(lambda: mpimpy.wires.transfer(batch, *r), max(1, runs // 2))
    row["batch"], row["error"] = seconds / BATCH, np.max(np.abs(found / wanted - 1))
    return row


_READS = {
    "product": lambda row: row["name"],
    "programming": lambda row: f"{row['program'] * 1e3:.0f} ms",
    "reading": lambda row: f"{row['read'] * 1e3:.1f} ms",
    "times": lambda row: f"{row['read'] / row['plain']:.2f}",
}


def _reads(size, runs):
    # the same product with and without wires, in turns, so that what else runs here hits both alike
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, size, size)).astype(np.float32)
    kinds = {"without wires": {}, "wires of 2.93 Ohm": {"wire_resistance": 2.93}}
    rows = [{"name": name, "program": float("inf"), "read": float("inf")} for name in kinds]
    for _ in range(runs + 1):  # the first compiles
        for row, given in zip(rows, kinds.values(), strict=True):
            start = time.perf_counter()
            matrix = mpimpy.DPETensor(seed=1, **given).program(w)
            written = time.perf_counter()
            matrix.read(x, read=0)
            row["program"] = min(row["program"], written - start)
            row["read"] = min(row["read"], time.perf_counter() - written)
    return [row | {"plain": rows[0]["read"]} for row in rows]


def main(argv=None):
    """Measure and print the table.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the command line's.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wires", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256], metavar="N", help="rows and columns")
    parser.add_argument("--runs", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--read", type=int, default=1000, metavar="N", help="size of the product (default 1000)")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args(argv)
    if min(options.runs, options.read, *options.sizes) < 1:
        parser.error("sizes and runs must be at least 1")
    print(f"{BATCH} tiles a batch, {mpimpy.get_num_threads()} threads, NumPy {np.__version__}\n", flush=True)
    rows = [_row(size, options.runs) for size in options.sizes]
    print(format_table(_COLUMNS, rows, options.markdown))
    print()
    print(format_table(_READS, _reads(options.read, options.runs), options.markdown))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
