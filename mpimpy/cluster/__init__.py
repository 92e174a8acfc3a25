"""Products too large for one machine, on dask: lazy arrays, the same bits as in one process.

`mpimpy.MapReducedot`, ``engine(x, w)``, ``engine.program(w)`` and ``x @ W`` take dask arrays and give lazy ones.
`prepare` makes the workers of a `distributed.Client` ready. Needs dask: ``pip install -e ".[dask]"`` in a checkout.
"""

from ..checks import install as _install

try:
    import dask.array  # noqa: F401
except ImportError as error:
    msg = f"mpimpy.cluster needs dask: {_install('dask')}"
    raise ImportError(msg) from error

from ._faces import multiply, product, program, read
from ._lost import compute
from ._matrix import ClusterMatrix
from ._workers import WorkerPlugin, prepare

__all__ = ["ClusterMatrix", "WorkerPlugin", "compute", "multiply", "prepare", "product", "program", "read"]
