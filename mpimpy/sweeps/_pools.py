"""Processes that run batches: this one, some of this machine, or the workers of a dask client."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from ..backends import get_num_threads, set_num_threads
from ..checks import as_int, fail
from ..config import ARITHMETIC
from ..config._sense import warn
from ._identity import pickled
from ._outcome import Outcome, Task, run

__all__ = ["Here", "Pool", "pool_of"]

Future = concurrent.futures.Future[list[Outcome]]


class SchedulerLostError(Exception):
    """The connection to the scheduler is gone."""


class Pool(Protocol):
    """Runs batches of points. `cores` batches run at once; `killed` are the errors of a process that died."""

    killed: tuple[type[Exception], ...]

    @property
    def ahead(self) -> int:
        """Return the number of batches that are given out at once."""
        ...

    def cores(self) -> int:
        """Return the number of batches that run at once."""
        ...

    def submit(self, tasks: list[Task]) -> Future:
        """Give a batch out."""
        ...

    def mend(self) -> None:
        """Make processes anew after one has died."""
        ...

    def check(self) -> None:
        """Raise `SchedulerLostError` if nobody is there to answer."""
        ...

    def close(self) -> None:
        """End the processes that were started here."""
        ...


def pool_of(client: Any, workload: Callable[[Any], Any]) -> Pool:
    """Return the pool of the argument `client` of `mpimpy.sweep`.

    Raises
    ------
    TypeError
        If `client` is no client, or the workload cannot be sent to its processes.
    ConnectionError
        If `client` is closed.
    """
    if client is None:
        return Here(workload)
    if hasattr(client, "get_executor") and hasattr(client, "scheduler_info"):
        if getattr(client, "asynchronous", False):
            fail(TypeError, "client is asynchronous, and sweep waits for results: give a Client(...) of its own")
        if getattr(client, "status", None) in ("closed", "closing"):
            fail(ConnectionError, "client is closed: give one that is connected, Client(...)")
        return Dask(client, pickled(workload))
    if isinstance(client, bool) or not hasattr(client, "__index__"):
        fail(TypeError, f"client={client!r} must be a distributed.Client, a number of processes, or None for this one")
    return Processes(as_int("client", client, 1), pickled(workload))


class Here:
    """The client's own process: a batch is run when it is given out."""

    killed: tuple[type[Exception], ...] = ()
    ahead = 1

    def __init__(self, workload: Callable[[Any], Any]) -> None:
        self._workload = workload

    def cores(self) -> int:
        """Return 1: products use all threads."""
        return 1

    def submit(self, tasks: list[Task]) -> Future:
        """Run one batch."""
        done: Future = concurrent.futures.Future()
        done.set_result(run(self._workload, tasks))
        return done

    def mend(self) -> None:
        """Do nothing."""

    def check(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


# -- processes of this machine ---------------------------------------------------------------

_payload: bytes = b""
_workload: Callable[[Any], Any] | None = None


def _prepare(payload: bytes, threads: int) -> None:
    # of a new process: cores are shared out, so that processes do not wait for each other
    global _payload
    _payload = payload
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)  # of libraries that are still to be imported
    set_num_threads(min(threads, get_num_threads()))
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # a client that was killed cannot end its processes, which would wait for ever
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _hello() -> None:
    global _workload
    if _workload is None:
        _workload = pickle.loads(_payload)


def _run_here(tasks: list[Task]) -> list[Outcome]:
    _hello()
    assert _workload is not None
    return run(_workload, tasks)


class Processes:
    """A number of processes of this machine, each with its share of the cores."""

    killed: tuple[type[Exception], ...] = (BrokenProcessPool,)

    def __init__(self, number: int, payload: bytes) -> None:
        self._number, self._payload = number, payload
        self.ahead = 2 * number
        self._threads = max(1, (os.cpu_count() or 1) // number)
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None

    def cores(self) -> int:
        """Return the number of processes."""
        return self._number

    def _start(self) -> concurrent.futures.ProcessPoolExecutor:
        # Not forked: threads of Numba and of BLAS do not survive a fork.
        pool = concurrent.futures.ProcessPoolExecutor(
            self._number,
            multiprocessing.get_context("spawn"),
            initializer=_prepare,
            initargs=(self._payload, self._threads),
        )
        try:
            pool.submit(_hello).result()
        except BrokenProcessPool as error:
            pool.shutdown(wait=False)
            msg = (
                "processes for the sweep cannot be started. A script must begin its work under "
                "if __name__ == '__main__':, since each new process imports it; or leave client out"
            )
            raise RuntimeError(msg) from error
        except BaseException:
            pool.shutdown(wait=False)
            raise
        return pool

    def submit(self, tasks: list[Task]) -> Future:
        """Give a batch to the processes, which start with the first one."""
        if self._pool is None:
            self._pool = self._start()
        return self._pool.submit(_run_here, tasks)

    def mend(self) -> None:
        """Leave the broken processes; the next batch starts new ones."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def check(self) -> None:
        """Do nothing: a process that dies ends its batch."""

    def close(self) -> None:
        """End the processes."""
        self.mend()


# -- dask ------------------------------------------------------------------------------------

START_s = 300.0  # time in which a worker's process may be starting still
LOST_s = 600.0  # time that a local cluster leaves a dead worker to start anew, before it gives the worker up
LONELY_s = 60.0  # time without workers after which a sweep says that it waits for some
SMALL = 100_000  # bytes of a workload that travel with each batch; workers that wait for another may wait long
_last: tuple[bytes, Callable[[Any], Any]] | None = None


def _run_there(payload: bytes, tasks: list[Task], arithmetic: int) -> list[Outcome]:
    global _last
    last = _last
    if last is None:
        _outlive_the_start()
    if last is None or last[0] != payload:
        last = _last = payload, pickle.loads(payload)
    return run(last[1], tasks, arithmetic)


def _outlive_the_start() -> None:
    # A nanny gives up if its worker dies while it starts: a point that kills its workers would end the cluster.
    import psutil
    from distributed import get_worker
    from distributed.utils import sync

    worker, born = get_worker(), psutil.Process().create_time()
    if worker.nanny is None:
        return
    nanny = str(worker.nanny)  # its address

    async def ask() -> Any:
        return await worker.rpc(nanny).run(function=pickle.dumps(_status_of))

    while time.time() - born < START_s and sync(worker.loop, ask).get("result") != "running":
        time.sleep(0.05)


def _status_of(dask_worker: Any) -> str:
    # dask calls it with the nanny, whose own status stays "running" while it starts a process anew
    process = dask_worker.process
    return "none" if process is None else str(process.status.name)


def _patience(client: Any) -> Any:
    # A local cluster gives up workers that are dead for 15 s, which on a busy machine is less than a start takes. Other
    # clusters keep their own time, in which they replace lost jobs.
    import dask
    from distributed import LocalCluster

    if not isinstance(getattr(client, "cluster", None), LocalCluster):
        return contextlib.nullcontext()
    return dask.config.set({"distributed.deploy.lost-worker-timeout": f"{LOST_s:g} s"})


class Dask:
    """The workers of a client, however many there are."""

    def __init__(self, client: Any, payload: bytes) -> None:
        from distributed import KilledWorker

        self.killed: tuple[type[Exception], ...] = (KilledWorker,)
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._threads, self._counted = 1, 0.0
        self._met: float | None = time.monotonic()  # when workers were there last; None: their lack was told
        self._payload: Any = payload
        self._held = contextlib.ExitStack()
        self._held.enter_context(_patience(client))
        if len(payload) > SMALL:
            # Sent once, as a result, which is computed again when its worker is lost; scattered data could not be.
            with self._connection():
                self._payload = client.submit(bytes, payload, pure=False)

    @contextlib.contextmanager
    def _connection(self) -> Any:
        try:
            yield
        except (OSError, RuntimeError, concurrent.futures.CancelledError) as error:
            if self._client.status == "running":
                raise
            raise SchedulerLostError from error

    @property
    def ahead(self) -> int:
        """Two batches for each thread, so that none waits for the client."""
        return 2 * self._threads

    def cores(self) -> int:
        """Return the threads of all workers, which may come and go."""
        if time.monotonic() - self._counted > 5:
            with self._connection():
                threads = sum(self._client.nthreads().values())
            self._threads, self._counted = max(1, threads), time.monotonic()
            self._note(threads)
        return self._threads

    def _note(self, threads: int) -> None:
        if threads:
            self._met = self._counted
        elif self._met is not None and self._counted - self._met > LONELY_s:
            self._met = None
            warn("the cluster has had no workers for a minute: the sweep goes on when some come; Ctrl-C ends it")

    def submit(self, tasks: list[Task]) -> Future:
        """Give a batch to the scheduler."""
        with self._connection():
            found: Future = self._executor.submit(_run_there, self._payload, tasks, ARITHMETIC)
        return found

    def mend(self) -> None:
        """Do nothing: nannies start new workers."""

    def check(self) -> None:
        """Raise `SchedulerLostError` if the client has lost its scheduler; warn if no workers are there for long."""
        if self._client.status != "running":
            raise SchedulerLostError
        self.cores()

    def close(self) -> None:
        """Take back the batches that are not done."""
        self._held.close()
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self._executor.shutdown(wait=False)
            if not isinstance(self._payload, bytes):
                self._payload.release()
