"""Sweeps: the call."""

import pickle
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from ..checks import MpimpyWarning, as_choice, as_int, fail
from ._dataset import failures, need_xarray, of_points
from ._identity import identify, name_of
from ._loop import run_points
from ._outcome import Outcome
from ._pools import Pool, SchedulerLostError, pool_of
from ._progress import Progress
from ._space import Point, Space, named
from ._store import Run, Store

__all__ = ["Sweep", "sweep"]


@dataclass
class Sweep:
    """A sweep that is ready to run: workload and space, and how to go on after it was stopped."""

    workload: Callable[[Any], Any]
    space: Space
    store: Store
    version: str | int | None = None
    resume: str | None = None  # the command that goes on; None: the call

    def __post_init__(self) -> None:
        identity = identify(self.workload, self.version)
        self.points = self.space.points(identity)
        units = getattr(self.workload, "units", {})
        self.run_line = Run(
            identity,
            name_of(self.workload),
            self.space.seed,
            self.space.plain_settings,
            self.space.plain_axes,
            self.space.repeats,
            {str(name): str(unit) for name, unit in units.items()} if isinstance(units, Mapping) else {},
            time.time(),
        )

    def run(
        self,
        client: Any = None,
        *,
        part: tuple[int, int] = (0, 1),
        errors: str = "record",
        progress: bool = True,
    ) -> None:
        """Run the points that the store has no result of; see `sweep`."""
        as_choice("errors", errors, ("record", "raise"))
        pool = pool_of(client, self.workload)
        store = self.store.create()
        self._tell_of_others()
        store.begin(self.run_line)
        try:
            self._run(pool, self.points[part[0] :: part[1]], errors, progress)
            store.refresh()  # another run may have found another result
        except SchedulerLostError as lost:
            raise ConnectionError(self._lost(client)) from lost.__cause__
        finally:
            pool.close()
            store.close()

    def failed(self, part: tuple[int, int] = (0, 1)) -> int:
        """Return the number of points of a part that failed."""
        records = ((point.address, self.store.best(point.address)) for point in self.points)
        wrong = failures([(address, record) for address, record in records if record is not None])
        return sum(point.address in wrong for point in self.points[part[0] :: part[1]])

    def _run(self, pool: Pool, points: Sequence[Point], errors: str, progress: bool) -> None:
        waiting: list[Point] = []
        suspects: list[Point] = []
        for point in self._once(points):
            record = self.store.best(point.address)
            if point.case.error is not None:
                if record is None or record.error != point.case.error:
                    self._take(point, Outcome(None, point.case.error, 0.0), errors)
            elif record is None or record.error is not None:
                (suspects if record is not None and record.killed else waiting).append(point)
            elif not self._is_named(point):
                self.store.copy(record, point)
        told = Progress(len(points), len(points) - len(waiting) - len(suspects), shown=progress)

        def done(point: Point, outcome: Outcome) -> None:
            self._take(point, outcome, errors)
            told.add(failed=outcome.error is not None)

        try:
            run_points(waiting, suspects, self.space.seed, pool, done)
        finally:
            told.end()
        for point in points:  # one result may be that of several names
            record = self.store.best(point.address)
            if record is not None and not self._is_named(point):
                self.store.copy(record, point)

    def _once(self, points: Sequence[Point]) -> list[Point]:
        return list({point.address: point for point in reversed(points)}.values())[::-1]

    def _is_named(self, point: Point) -> bool:
        # whether a stored line has the settings of a point, by name
        wanted = self.run_line.settings | point.case.varied
        return any(
            record.run is not None and record.run.settings | record.varied == wanted
            for record in self.store.records[point.address]
        )

    def _take(self, point: Point, outcome: Outcome, errors: str) -> None:
        self.store.add(point, outcome)
        if outcome.error is None or errors == "record":
            return
        error = RuntimeError(outcome.error) if outcome.raised is None else pickle.loads(outcome.raised)
        where = self.run_line.settings | point.case.varied
        error.add_note(f"at the point {named(where, point.chip)}; errors='record' keeps the message and goes on")
        raise error

    def _tell_of_others(self) -> None:
        # results that this sweep does not count
        own = self.run_line
        others = Counter(
            record.run.identity
            for records in self.store.records.values()
            for record in records
            if record.run is not None and record.run.identity != own.identity
        )
        names = {run.identity: run.name for run in self.store.runs}
        for (workload, seed), number in others.items():
            if workload == own.workload:
                why = f"have seed {seed}, not {own.seed}"
            elif names[workload, seed] == own.name:
                why = (
                    f"are no longer valid: the code, the data or the version of the workload {own.name} has changed. "
                    "If it computes what it did, give the same version= to both"
                )
            else:
                why = f"are of the workload {names[workload, seed]}, not {own.name}"
            warnings.warn(
                f"{number} points in the store {self.store.path} {why}; they are kept, and none of them counts here",
                MpimpyWarning,
                stacklevel=4,
            )

    def _lost(self, client: Any) -> str:
        done = sum(self.store.best(point.address) is not None for point in self.points)
        where = getattr(getattr(client, "scheduler", None), "address", "")
        text = f"the connection to the scheduler {where} is lost after {done} of {len(self.points)} points"
        if self.store.path is None:
            return f"{text}, which are lost too: give store='folder', and the same call goes on where it stopped"
        call = self.resume or f"mpimpy.sweep(..., client=Client(...), store={str(self.store.path)!r})"
        return f"{text}, which are in {self.store.path}. To go on, start a scheduler and run {call}"


def as_part(part: Any) -> tuple[int, int]:
    """Return (index, number of parts) of a text such as "3/100" or a pair; None is all of a sweep.

    Raises
    ------
    TypeError, ValueError
        If it is anything else, or the index is not below the number.
    """
    if part is None:
        return 0, 1
    items = part.split("/") if isinstance(part, str) else part
    try:
        index, number = (int(item) if isinstance(item, str) else item for item in items)
    except (TypeError, ValueError):
        fail(ValueError, f"part={part!r} must be an index and a number of parts, such as part='3/100'")
    number = as_int("number of parts", number, 1)
    if not 0 <= as_int("part", index, 0) < number:
        fail(ValueError, f"part={part!r} is out of range: parts are numbered from 0 to {number - 1}")
    return index, number


def sweep(
    workload: Callable[[Any], Any],
    space: Mapping[str, Any],
    repeats: int = 1,
    *,
    seed: int = 0,
    client: Any = None,
    store: str | PathLike[str] | None = None,
    errors: str = "record",
    progress: bool = True,
    settings: Mapping[str, Any] | None = None,
    version: str | int | None = None,
    duplicates: str = "equal",
    part: str | tuple[int, int] | None = None,
) -> Any:
    """Run a workload at every point of a space of settings, on several chips.

    Each point has an address: a hash of its whole configuration, chip and seed, of the workload, and of the version
    of the arithmetic. Its random numbers follow from the address, so its result does not depend on where and when it
    is computed. Points that a store has are not computed again.

    Parameters
    ----------
    workload : function of an engine
        It gets a `DPETensor`, and returns a number, an array, or a dict of them by name. See `mpimpy.workloads`.
    space : dict
        A list of values for each setting that varies, by the flat names of `DPETensor`. Every combination is a point.
    repeats : int
        Chips at each combination, numbered from 0.
    seed : int
        Of the sweep. The engine of a point has the seed ``mpimpy.noise.derive(seed, address)``.
    client : distributed.Client or int, optional
        Workers of a dask client; or a number of processes on this machine. None: this process. A script that starts
        processes begins under ``if __name__ == "__main__":``.
    store : path, optional
        A folder for the results. Any number of sweeps may write into one folder at once, on any file system.
    errors : str
        ``"record"``: the message of a point that fails is kept in its place, and the next run tries it again.
        ``"raise"``: the first error ends the sweep.
    progress : bool
        Whether points done and time left are shown on stderr.
    settings : dict, optional
        Settings that are the same at all points.
    version : str or int, optional
        Version of the workload. By default, its code and data tell it from another.
    duplicates : str
        For points that were computed twice: ``"equal"``, two results that differ end the sweep; ``"first"``, the
        first counts, for workloads that have randomness of their own.
    part : str or (int, int), optional
        ``"3/100"``: only the fourth of a hundred parts, numbered from 0. Parts need a store, and no scheduler.

    Returns
    -------
    xarray.Dataset
        Dimensions are the settings of `space`, with their units, and ``chip``. A workload that returns numbers has a
        variable ``value``; one that returns dicts has a variable for each name. All are float64, NaN where a point
        failed or was not run; ``error`` holds the message, "not run", or "".

    Raises
    ------
    TypeError
        For unknown settings, with the nearest known name; for a workload that cannot be sent to other processes, or
        told from others.
    ValueError
        If a setting is out of range at every point; if a store is of another arithmetic; if two results of a point
        differ; with ``errors="raise"``, if results have different shapes.
    ConnectionError
        If the scheduler is lost: the message has the call that goes on. If the client is closed.
    ImportError
        If xarray is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import sweep, workloads
    >>> x, w = np.random.default_rng(0).standard_normal((2, 32, 32))
    >>> found = sweep(workloads.product(x, w), {"radc": [64, 1024], "var": [0.0, 0.1]}, repeats=2, progress=False)
    >>> dict(found.sizes)
    {'radc': 2, 'var': 2, 'chip': 2}
    >>> bool(found.SNR.sel(radc=1024, var=0).mean() > found.SNR.sel(radc=64, var=0.1).mean())
    True
    """
    need_xarray()
    index = as_part(part)
    if index[1] > 1 and store is None:
        fail(ValueError, f"part={part!r} needs a store: give store='folder', the same for all parts")
    ready = Sweep(workload, Space.of(space, settings, repeats, seed), Store(store, duplicates), version)
    ready.run(client, part=index, errors=errors, progress=progress)
    return of_points(ready.points, ready.run_line, ready.store, errors)
