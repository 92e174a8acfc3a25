"""How a product is cut into tasks: for the workers at hand, their threads and their memory."""

import math
import os
import weakref
from dataclasses import dataclass
from typing import Any

from .._integers import ceil_div
from ..backends import PANEL
from ..checks import fail
from ..config import Config, Format
from ..crossbar import plan as plans
from ..operands import encoding
from ._lost import connected, current_client

__all__ = ["THREADS", "Cuts", "Whole", "Workers", "choose", "crossed", "edges", "workers", "workers_of"]

THREADS: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()  # of mpimpy in a worker, by client

RATE = 8e10  # products of digits a second on one thread: 5 GMAC/s with 4 by 4 slices, on a usual core
SECONDS = 3.0  # of work in a task, at most
SHARE = 4  # a task takes at most this part of a worker's memory
LEAST = 512  # rows of inputs and columns of weights that a task should have: fewer cost a tenth of the time and more
NEAR = 0.7  # of the size of a piece: an edge of a chunk beyond is taken for its end
MOST = 4096  # of a task on one thread: with more of them, a panel alone takes too long


@dataclass(frozen=True)
class Workers:
    """The workers that a graph is made for.

    Attributes
    ----------
    count : int
        Tasks that run at the same time.
    threads : float
        Threads of mpimpy that a task has.
    memory : float
        Memory that a worker has for each task that it runs at the same time, bytes.
    """

    count: int
    threads: float
    memory: float


@dataclass(frozen=True)
class Whole:
    """What else decides how a product is cut.

    Attributes
    ----------
    itemsizes : (int, int)
        Of inputs and weights, bytes.
    stack : int or None
        Rows of inputs that stay together, since the inputs are a stack of matrices of so many.
    matrix : bool
        Whether the matrix is programmed already, and not cut.
    """

    itemsizes: tuple[int, int]
    stack: int | None = None
    matrix: bool = False


@dataclass(frozen=True)
class Cuts:
    """Where a product is cut: ascending, from 0 to its size along each axis."""

    m: tuple[int, ...]
    k: tuple[int, ...]
    n: tuple[int, ...]


def _host_memory() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # not POSIX
        return 4e9


def workers() -> Workers:
    """Return the workers of the current client of dask.distributed; without one, the threads of this process.

    Raises
    ------
    ConnectionError
        If the client has lost its scheduler.
    """
    client = current_client()
    if client is not None:
        return _of_client(client)
    from dask.system import CPU_COUNT

    return Workers(CPU_COUNT, 1.0, _host_memory() / CPU_COUNT)


def _of_client(client: Any) -> Workers:
    with connected(client):
        found = workers_of(client)
    if not found:
        return Workers(1, 1.0, _host_memory())
    # those that `prepare` gave them; else the cores of a host like this one
    threads = THREADS.get(client) or max(1, (os.cpu_count() or 1) * len({w["host"] for w in found}) // len(found))
    total = sum(worker["nthreads"] for worker in found)
    memory = min((worker["memory_limit"] or _host_memory()) / worker["nthreads"] for worker in found)
    return Workers(total, max(1.0, threads * len(found) / total), memory)


def workers_of(client: Any) -> list[dict[str, Any]]:
    """Return what the scheduler tells of each worker of a client."""
    return list(client.scheduler_info(n_workers=-1)["workers"].values())


def _bytes_an_element(fmt: Format, itemsize: int, held: int) -> float:
    # of an operand in a task: its values twice (a copy puts chunks together), its digits and a kernel's form of them
    return 2 * itemsize + fmt.planes * fmt.cells_per_digit * len(fmt.digits) * 2 * held


def choose(
    config: Config, shape: tuple[int, int, int], chunks: tuple[Any, Any, Any], whole: Whole, at: Workers
) -> Cuts:
    """Return where to cut a product of shape (M, K, N).

    Parameters
    ----------
    config : Config
    shape : (int, int, int)
        M, K, N.
    chunks : (tuple of int, tuple of int, tuple of int)
        Sizes of the chunks of the operands along M, K and N, where cuts cost least.
    whole : Whole
    at : Workers

    Raises
    ------
    ValueError
        If a worker has not the memory for the smallest task.
    """
    height, depth, width = shape
    cells = plans.cell_format(config)
    grid = {"int8": 1, "int16": 2}.get(cells.grid_dtype, 4)
    x_bytes = _bytes_an_element(config.inputs, whole.itemsizes[0], 1)
    w_bytes = _bytes_an_element(config.weights, whole.itemsizes[1], grid) + 8 * (config.wires is not None)
    planes = config.inputs.planes * config.weights.planes
    pairs = len(config.inputs.digits) * len(config.weights.digits) * planes
    budget, panel = at.memory / SHARE, PANEL * config.tile.rows
    # a narrow product has long sides; one with few inputs is programming alone
    most = int(MOST * math.sqrt(at.threads))
    m, n = min(height, most), width if whole.matrix else min(width, most)
    while ceil_div(height, m) * ceil_div(width, n) < 2 * at.count and (m if whole.matrix else max(m, n)) > LEAST:
        m, n = _halve(m, n, whole.matrix)

    def needs(m: int, n: int, k: int) -> float:
        return 4 * 8 * m * n * planes + k * (m * x_bytes + n * w_bytes)

    least = depth if whole.matrix else min(depth, panel)
    if whole.matrix:
        w_bytes = 0.0  # it is there
    while needs(m, n, least) > budget and (m if whole.matrix else max(m, n)) > max(64, whole.stack or 0):
        m, n = _halve(m, n, whole.matrix)
    if needs(m, n, least) > budget:
        msg = (
            f"a task of {m} x {least} inputs and {least} x {n} weights needs {needs(m, n, least) / 1e6:.0f} MB, and a "
            f"worker has {at.memory / 1e6:.0f} MB a task, of which a task takes a quarter at most"
        )
        fail(ValueError, f"{msg}: give the workers more memory or fewer threads, or take tiles of fewer rows")
    fits = int((budget - needs(m, n, 0)) / (m * x_bytes + n * w_bytes))
    works = int(SECONDS * RATE * at.threads / (m * n * pairs))
    k = max(panel, min(fits, max(works, panel)))
    units = _units(config, shape, (m, k, n))
    if whole.stack is not None:
        units = (whole.stack, *units[1:])
    found = [tuple(edges(*each)) for each in zip(chunks, (m, k, n), units, strict=True)]
    return Cuts(found[0], (0, depth), (0, width)) if whole.matrix else Cuts(*found)


def _halve(m: int, n: int, only_rows: bool) -> tuple[int, int]:
    return (ceil_div(m, 2), n) if only_rows or m > n else (m, ceil_div(n, 2))


def _units(config: Config, shape: tuple[int, int, int], sizes: tuple[int, int, int]) -> tuple[int, int, int]:
    # cuts are at multiples of these: where no block is cut, if that is possible, and no tile that wires join
    height, depth, width = shape
    rows, panel = config.tile.rows, PANEL * config.tile.rows
    x_block = encoding.block_shape(config.inputs, (height, depth), rows, weight=False)
    w_block = encoding.block_shape(config.weights, (depth, width), rows, weight=True)
    cols = 1 if config.wires is None else config.tile.cols
    m = x_block[0] if x_block[0] <= sizes[0] else 1
    n = math.lcm(w_block[1], cols)
    n = n if n <= max(sizes[2], cols) else cols
    k = math.lcm(panel, x_block[1], w_block[0])
    return m, k if k <= sizes[1] else panel, n


def edges(chunks: tuple[int, ...], size: int, unit: int) -> list[int]:
    """Return ascending cuts of an axis: pieces of `size` at most, at edges of chunks where these are near, else equal.

    Parameters
    ----------
    chunks : tuple of int
        Sizes of the chunks.
    size, unit : int
        Largest piece, though a piece has at least one unit; cuts are at multiples of `unit`.

    Examples
    --------
    >>> edges((100, 100, 100, 500), 200, 10)
    [0, 200, 400, 600, 800]
    """
    ends = [0]
    for chunk in chunks:
        ends.append(ends[-1] + chunk)
    total, cuts = ends[-1], [0]
    ends = [end for end in ends if end % unit == 0 or end == total]
    while cuts[-1] < total:
        start = cuts[-1]
        within = [end for end in ends if start < end <= start + size]
        if within and (within[-1] == total or within[-1] - start > NEAR * size):
            cuts.append(within[-1])
            continue
        left = total - start
        step = ceil_div(ceil_div(left, ceil_div(left, size)), unit) * unit
        step = step if step <= size else max(unit, size // unit * unit)
        cuts.append(min(total, start + step))
    return cuts


def crossed(cuts: tuple[int, ...], block: int) -> bool:
    """Return whether an axis is cut inside a block."""
    return any(cut % block for cut in cuts[1:-1])
