"""Points are given out in batches, and each outcome is stored as it comes."""

import concurrent.futures
import math
from collections import deque
from collections.abc import Callable, Iterable

from .. import noise
from ._outcome import Outcome, Task
from ._pools import Future, Pool, SchedulerLostError
from ._space import Point

__all__ = ["run_points"]

BATCH_s = 0.2  # of work: long against the 0.5 ms of a batch's way, short against a lost one
MOST = 5000  # points of a batch
KILLED = "killed: the process that ran this point ended twice, the second time with this point alone"


def run_points(
    points: Iterable[Point], suspects: Iterable[Point], seed: int, pool: Pool, done: Callable[[Point, Outcome], None]
) -> None:
    """Run points in a pool.

    Parameters
    ----------
    points : iterable of Point
    suspects : iterable of Point
        Points whose process ended before: each is run alone, at the end, so that it takes no other with it.
    seed : int
    pool : Pool
    done : function of (point, outcome)
        Is called for each point, in the order in which they end.

    Raises
    ------
    SchedulerLostError
        If the scheduler is gone.
    """
    alone = list(suspects)
    alone += _run_batches(deque(points), seed, pool, done)
    for point in alone:
        # nothing else runs: a process that ends now was ended by this point
        while True:
            future = _submit(pool, [point], seed)
            if future is not None:
                break
            pool.mend()
        while not concurrent.futures.wait([future], 1.0).done:
            pool.check()
        outcomes = _result(pool, future)
        if outcomes is None:
            pool.mend()
            outcomes = [Outcome(None, KILLED, 0.0, killed=True)]
        done(point, outcomes[0])


def _submit(pool: Pool, points: list[Point], seed: int) -> Future | None:
    # None: the processes have ended, and the batch was not begun
    tasks = []
    for point in points:
        assert point.case.config is not None
        tasks.append(Task(point.case.config, point.case.further, noise.derive(seed, point.address), point.chip))
    try:
        return pool.submit(tasks)
    except pool.killed:
        return None


def _result(pool: Pool, future: Future) -> list[Outcome] | None:
    # None: its process has ended
    try:
        return future.result()
    except pool.killed:
        return None
    except concurrent.futures.CancelledError as error:
        raise SchedulerLostError from error


def _run_batches(waiting: deque[Point], seed: int, pool: Pool, done: Callable[[Point, Outcome], None]) -> list[Point]:
    # the points of batches whose process ended
    suspects: list[Point] = []
    running: dict[Future, list[Point]] = {}
    each: float | None = None  # seconds of a point, lately
    while waiting or running:
        cores, broken = pool.cores(), False
        while waiting and len(running) < pool.ahead and not broken:
            size = 1 if each is None else math.ceil(BATCH_s / max(each, BATCH_s / MOST))
            size = min(size, MOST, math.ceil(len(waiting) / cores))
            batch = [waiting.popleft() for _ in range(size)]
            future = _submit(pool, batch, seed)
            if future is None:
                waiting.extendleft(reversed(batch))
                broken = True
            else:
                running[future] = batch
                if future.done():
                    break
        if running:
            ended, _ = concurrent.futures.wait(running, 1.0, concurrent.futures.FIRST_COMPLETED)
            pool.check()
        else:
            ended = set()
        for future in ended:
            batch = running.pop(future)
            outcomes = _result(pool, future)
            if outcomes is None:
                suspects += batch
                broken = True
                continue
            for point, outcome in zip(batch, outcomes, strict=True):
                done(point, outcome)
            mean = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
            each = mean if each is None else (each + mean) / 2
        if broken and not running:
            pool.mend()
    return suspects
