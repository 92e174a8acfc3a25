"""PageRank on crossbars."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from ..checks import MpimpyWarning, as_float, as_int, fail
from ..engine import Engine
from ._averaging import averaged
from ._crossbar import Products, as_matrix

__all__ = ["Ranks", "pagerank"]

TINY = 1e-300


@dataclass(frozen=True, eq=False, repr=False)
class Ranks:
    """Answer of `mpimpy.solve.pagerank`.

    Attributes
    ----------
    ranks : ndarray, shape (n,)
        At least 0; their sum is 1.
    error : ndarray, shape (n,)
        Standard error of each rank, from the spread of the iterates: the share of read noise.
    bound : float
        The sum of all ranks' errors is at most this, whatever their cause: the change by one step in float64 over
        ``1 - damping``, and 2 at most, by which any two rankings differ.
    changes : ndarray, shape (steps,)
        Sum of the magnitudes of each step's change.
    transient : int or None
        Steps before the mean; None: the changes fell till the end.
    reads : int
        Products on the crossbars.
    """

    ranks: Any
    error: Any
    bound: float
    changes: Any
    transient: int | None
    reads: int

    def __repr__(self) -> str:
        return f"<Ranks of {self.ranks.size} pages: errors add up to at most {self.bound:.2g}, {self.reads} reads>"


def pagerank(
    links: Any,
    engine: Any = None,
    *,
    damping: float = 0.85,
    tolerance: float = 0.5,
    steps: int = 1000,
    average: int = 64,
    read: int | None = None,
) -> Ranks:
    """Rank the pages of a web by its links (Brin and Page, Comput. Netw. 30, 107, 1998), on crossbars.

    ``p @ P``, P the shares of each page's links, is a read. Damping, and the ranks of dangling pages, those without
    links, are spread over all pages digitally. Iterates are averaged once their changes no longer fall.

    Parameters
    ----------
    links : array or sparse matrix of SciPy, shape (n, n)
        ``links[i, j]`` is the weight of the link from page i to page j, at least 0.
    engine : Engine, optional
        The machine; by default one of default settings.
    damping : float
        Share of readers who follow a link, 0 to 0.9999.
    tolerance : float
        `Ranks.bound` above which a warning is given, up to 2.
    steps : int
        Steps that the transient may last.
    average : int
        Iterates to average, at least 8.
    read : int, optional
        Number of the first read; by default the engine counts.

    Returns
    -------
    Ranks

    Warns
    -----
    MpimpyWarning
        If the bound is above the tolerance.

    Raises
    ------
    TypeError, ValueError
        If links are no real square matrix, one is negative, or a row is too small for its shares; if a setting is
        out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine
    >>> links = np.array([[0, 1, 1], [0, 0, 1], [1, 0, 0]])
    >>> pagerank(links, Engine(seed=1)).ranks.argmax().item()
    2
    """
    weights = as_matrix("links", links)
    if np.iscomplexobj(weights):
        fail(TypeError, "links are complex, and must be real weights")
    if weights.min() < 0:
        fail(ValueError, f"links has {weights.min():g}: weights of links must be at least 0")
    engine = Engine() if engine is None else engine
    if not isinstance(engine, Engine):
        fail(TypeError, f"engine is a {type(engine).__name__}, and must be an Engine, which programs shares of links")
    damping, tolerance = as_float("damping", damping, 0, 0.9999), as_float("tolerance", tolerance, 0)
    steps, average, n = as_int("steps", steps, 1), as_int("average", average, 8), weights.shape[0]
    totals = np.asarray(weights.sum(axis=1)).reshape(-1)
    dangling = totals == 0
    for page in np.flatnonzero(~dangling & (totals < TINY))[:1]:
        fail(ValueError, f"links of page {page} add up to {totals[page]:.1g}: give them larger weights, nearer to 1")
    shares = scipy.sparse.diags_array(1 / np.where(dangling, 1, totals)) @ weights
    first = None if read is None else as_int("read", read, 0)
    products = Products(engine.program(shares.toarray() if scipy.sparse.issparse(shares) else shares), first)

    def spread(followed: Any, p: Any) -> Any:
        return damping * (followed + p[dangling].sum() / n) + (1 - damping) / n

    def step(p: Any) -> Any:
        found = spread(np.maximum(products(p), 0), p)  # no noise makes a rank negative, and none is lost
        return found / found.sum()

    found = averaged(step, np.full(n, 1 / n), steps=steps, average=average, tolerance=1e-12)
    ranks = found.mean / found.mean.sum()
    bound = min(float(np.abs(spread(ranks @ shares, ranks) - ranks).sum()) / (1 - damping), 2.0)
    if bound > tolerance:
        warnings.warn(
            f"not converged: the ranks' errors may add up to {bound:.2g} (tolerance {tolerance:g}), of which the noise "
            f"of reads explains {found.error.sum():.2g}. The bound grows as 1 / (1 - damping), "
            f"{1 / (1 - damping):.0f} here: take less damping, cells of less variation or an ADC of more codes",
            MpimpyWarning,
            stacklevel=2,
        )
    return Ranks(ranks, found.error, bound, found.changes, found.transient, products.reads)
