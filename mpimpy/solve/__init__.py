"""Linear systems and eigenvectors to more digits than a crossbar has: SciPy iterates, float64 checks.

>>> import numpy as np
>>> from mpimpy import Engine
>>> from mpimpy.solve import solve
>>> A, b = np.diag([1.0, 2.0, 3.0]) + 0.1, np.ones(3)
>>> bool(np.allclose(solve(A, b, Engine(seed=1)).x, np.linalg.solve(A, b), rtol=1e-10))
True
"""

from ._eigen import EigenPairs, eigsh
from ._pagerank import Ranks, pagerank
from ._power import EigenPair, power_iteration
from ._refine import solve
from ._solution import Inner, Solution

__all__ = ["EigenPair", "EigenPairs", "Inner", "Ranks", "Solution", "eigsh", "pagerank", "power_iteration", "solve"]
