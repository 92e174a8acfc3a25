"""Workers of dask.distributed made ready: threads that share the cores, compiled kernels, equal versions."""

import contextlib
import importlib.metadata
import inspect
import sys
from collections import Counter
from importlib.util import find_spec
from typing import Any

from .. import __version__, set_num_threads, warm
from ..checks import as_int, fail, install
from ..config import ARITHMETIC
from ..engine import Engine
from ._layout import THREADS, workers_of
from ._lost import connected

_WorkerPlugin: Any = object
with contextlib.suppress(ImportError):  # with dask.array alone, `prepare` says what to install
    from distributed import WorkerPlugin as _WorkerPlugin

__all__ = ["WorkerPlugin", "limit_threads", "prepare", "versions"]

NAME = "mpimpy"


def versions() -> dict[str, str]:
    """Return the versions on which the bits of a product and the reading of its graph depend.

    Examples
    --------
    >>> sorted(versions())
    ['NumPy', 'Numba', 'arithmetic', 'mpimpy']
    """
    return {
        "mpimpy": __version__,
        "arithmetic": str(ARITHMETIC),
        "Numba": importlib.metadata.version("numba") if find_spec("numba") else "none",
        "NumPy": importlib.metadata.version("numpy"),
    }


def limit_threads(number: int) -> None:
    """Let products, the BLAS and torch, if it is imported, use so many threads of this process."""
    from threadpoolctl import threadpool_limits

    set_num_threads(number if find_spec("numba") else 1)
    threadpool_limits(number)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(number)


def _cores() -> int:
    from dask.system import cpu_count

    # of the host, or of the share of it that a container has
    found: int = cpu_count()
    return found


class WorkerPlugin(_WorkerPlugin):  # type: ignore[misc]
    """Plugin that makes each worker of a cluster ready for mpimpy; `prepare` registers it.

    When a worker joins or is restarted, it checks that its versions are those of the client, divides the cores of its
    host among the worker processes there, and compiles the kernels, which one process of a host does for all.

    Parameters
    ----------
    threads : int, optional
        Threads of mpimpy, the BLAS and torch in each worker; by default the cores of its host over the number of worker
        processes on it, rounded down, at least 1.
    engines : tuple of Engine
        Engines whose kernels are compiled, as `mpimpy.warm` takes them.
    processes : dict, optional
        Worker processes by host, where it is known; a restarted worker then counts those that are still away.

    Examples
    --------
    >>> WorkerPlugin(threads=2).threads
    2
    """

    name = NAME

    def __init__(
        self, threads: int | None = None, engines: tuple[Engine, ...] = (), processes: dict[str, int] | None = None
    ) -> None:
        self.threads = None if threads is None else as_int("threads", threads, 1)
        self.engines, self.processes = tuple(engines), dict(processes or {})
        self.versions = versions()

    async def setup(self, worker: Any) -> None:
        """Make a worker ready.

        Raises
        ------
        RuntimeError
            If it has other versions than the client.
        """
        self.check_versions(worker.address)
        limit_threads(self.threads or max(1, _cores() // await self._processes_beside(worker)))
        # in another thread: the worker goes on answering its scheduler
        import asyncio

        await asyncio.get_running_loop().run_in_executor(None, lambda: warm(*self.engines))

    def check_versions(self, address: str) -> None:
        """Raise RuntimeError if this process has other versions than the client that made the plugin."""
        here = versions()
        client = self.versions.items()
        differ = [f"{name} {here[name]} (client: {there})" for name, there in client if here[name] != there]
        if differ:
            msg = f"the worker at {address} has {', '.join(differ)}: install the same versions on client and workers"
            raise RuntimeError(msg)

    async def _processes_beside(self, worker: Any) -> int:
        identity = worker.scheduler.identity(n_workers=-1)
        if inspect.isawaitable(identity):
            identity = await identity
        host = _host(worker.address)
        there = sum(_host(address) == host for address in identity["workers"])
        return max(1, there, self.processes.get(host, 0))


def _host(address: str) -> str:
    from distributed.comm.addressing import get_address_host

    found: str = get_address_host(address)
    return found


def prepare(client: Any, *engines: Engine, threads: int | None = None) -> dict[str, int]:
    """Make all workers of a client ready, those that are there and those that join later.

    Each checks its versions, takes its share of the cores of its host, and compiles the kernels or waits for
    the process of its host that does. Call it when the workers are there (``client.wait_for_workers(n)``): the cores
    are divided among those. Large products want one worker a node with all its threads, sweeps one process a core.

    Parameters
    ----------
    client : distributed.Client
    *engines : Engine
        Engines whose kernels are wanted, as for `mpimpy.warm`.
    threads : int, optional
        As for `WorkerPlugin`.

    Returns
    -------
    dict
        Threads of mpimpy by address of the worker.

    Raises
    ------
    ImportError
        If dask.distributed is not installed here, or mpimpy not in a worker.
    RuntimeError
        If a worker has other versions of mpimpy, Numba, NumPy or the arithmetic.
    ConnectionError
        If the client has lost its scheduler.

    Examples
    --------
    >>> from distributed import Client
    >>> with Client(processes=False, n_workers=1, dashboard_address=None) as client:  # doctest: +SKIP
    ...     list(prepare(client, threads=1).values())
    [1]
    """
    if _WorkerPlugin is object:
        msg = f"workers are those of dask.distributed: {install('dask')}"
        raise ImportError(msg)
    for engine in engines:
        if not isinstance(engine, Engine):
            fail(TypeError, f"prepare takes engines, as mpimpy.warm does, not a {type(engine).__name__}")
    with connected(client):
        processes = Counter(worker["host"] for worker in workers_of(client))
        plugin = WorkerPlugin(threads, engines, dict(processes))
        try:
            client.register_plugin(plugin)
        except Exception as error:
            # a worker that joins later must not meet a plugin that was refused
            with contextlib.suppress(Exception):
                client.unregister_worker_plugin(NAME)
            if isinstance(error, ModuleNotFoundError) and error.name == "mpimpy":
                msg = f"a worker has no mpimpy: install it there too, {install('dask')}"
                raise ImportError(msg) from error
            raise
        found: dict[str, int] = client.run(_threads_here)
    if found:
        THREADS[client] = min(found.values())
    return found


def _threads_here() -> int:
    from .. import get_num_threads

    return get_num_threads()
