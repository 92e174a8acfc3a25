"""Products too large for one machine, on dask: lazy arrays, the same bits as in one process.

`mpimpy.MapReducedot`, ``engine(x, w)``, ``engine.program(w)`` and ``x @ W`` take dask arrays and give lazy ones.
`prepare` makes the workers of a `distributed.Client` ready. Needs dask: ``pip install "mpimpy[dask]"``.
"""

try:
    import dask.array  # noqa: F401
except ImportError as error:
    msg = 'mpimpy.cluster needs dask: pip install "mpimpy[dask]"'
    raise ImportError(msg) from error

from ._faces import multiply, product, program, read
from ._lost import compute
from ._matrix import ClusterMatrix
from ._workers import WorkerPlugin, prepare

__all__ = ["ClusterMatrix", "WorkerPlugin", "compute", "multiply", "prepare", "product", "program", "read"]
