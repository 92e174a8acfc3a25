"""Search for the cheapest design by trials, for workloads that have no error budget."""

import importlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from typing import Any

from .. import noise
from ..checks import as_float, as_int, fail, install
from ..engine import Engine
from ..sweeps._plain import decoded
from ..sweeps._pools import pool_of
from ..sweeps._space import Point, Space, engine
from ..sweeps._store import Store
from ..sweeps._sweep import Sweep

__all__ = ["SearchResult", "Trial", "search"]

ASKS = 20  # suggestions for each evaluation, duplicates among them, before the search ends
LARGEST = 50  # designs of a generation


@dataclass(frozen=True)
class Trial:
    """One evaluated design.

    Attributes
    ----------
    settings : dict
        Flat settings.
    cost : float
    value : float
        Figure of the workload, a mean over chips.
    """

    settings: dict[str, Any]
    cost: float
    value: float

    def __str__(self) -> str:
        named = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"{self.cost:<14.6g}{self.value:<14.6g}{named}"


@dataclass(frozen=True)
class SearchResult:
    """The cheapest design that was found to reach a wanted figure; prints as a table.

    Attributes
    ----------
    settings : dict
        Flat settings of the design.
    engine : Engine
        With the seed that the workload saw, chip 0.
    value, cost, target : float
    front : tuple of Trial
        Evaluated designs that no other one beats in both cost and figure, the cheapest first.
    trials : tuple of Trial
        All evaluated designs, in order.
    skipped : int
        Designs of the space that cannot be built.
    failed : int
        Evaluated designs whose workload raised an error or returned NaN: they are left out.
    failed_because : str
        Message of the first of them; empty if there is none.
    """

    settings: dict[str, Any]
    engine: Engine
    value: float
    cost: float
    target: float
    front: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    skipped: int
    failed: int
    failed_because: str

    def __str__(self) -> str:
        named = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        failed = f"; {self.failed} failed: {self.failed_because}" if self.failed else ""
        lines = [
            f"design    {named}",
            f"figure    {self.value:.6g}, {self.target:g} wanted",
            f"cost      {self.cost:.6g}",
            f"searched  {len(self.trials)} designs evaluated; {self.skipped} cannot be built{failed}",
            "",
            f"{'cost':<14}{'figure':<14}settings of the front",
        ]
        return "\n".join([*lines, *map(str, self.front)])


def search(
    workload: Callable[[Any], Any],
    space: Mapping[str, Any],
    *,
    target: float,
    cost: Callable[[Any], float],
    evaluations: int = 100,
    repeats: int = 1,
    seed: int = 0,
    store: str | PathLike[str] | None = None,
) -> SearchResult:
    """Search for the cheapest design whose figure reaches a target, by the genetic algorithm NSGA-II of Optuna.

    It is for figures that have no error budget, such as the accuracy of a network; for the SNR of a product, `design`
    needs fewer simulations and finds the cheapest. A design is evaluated once, and never again if a store has it. The
    same seed gives the same trials. A design whose workload raises an error or returns NaN on any chip counts as
    evaluated and is left out; as in a sweep, the store keeps the message of an error, and the next search tries again.

    Parameters
    ----------
    workload : function of an engine
        As for `mpimpy.sweep`. It returns a number, or a dict with one; larger is better.
    space : dict
        Flat settings, each with a list of values. Combinations that cannot be built are left out.
    target : float
        Of the workload's number.
    cost : callable
        ``cost(engine)``: a number.
    evaluations : int
        Designs that are evaluated at most.
    repeats : int
        Chips over which the figure is a mean.
    seed : int
        Of the trials and of the noise; see `mpimpy.sweep`.
    store : path, optional
        A folder, as for `mpimpy.sweep`: `mpimpy.open_sweep` shows what is in it.

    Returns
    -------
    SearchResult

    Raises
    ------
    ImportError
        If Optuna is not installed.
    TypeError, ValueError
        If arguments are wrong; if no design can be built; if all that were evaluated failed; if none of them reaches
        the target: the message has the best.

    Examples
    --------
    >>> import numpy as np, mpimpy
    >>> x, w = np.random.default_rng(0).standard_normal((2, 32, 32))
    >>> def bits(engine):
    ...     return np.log2(engine.config.adc.radc)
    >>> found = search(mpimpy.workloads.product(x, w), {"radc": [64, 256, 1024], "var": [0.01]}, target=20, cost=bits)
    >>> found.value >= 20
    True
    """
    if find_spec("optuna") is None:
        fail(ImportError, f"search needs Optuna, which is not installed: {install('search')}")
    if not callable(cost):
        fail(TypeError, f"cost={cost!r} must be a function of an engine")
    wanted = as_float("target", target, -math.inf)
    number = as_int("evaluations", evaluations, 1)
    ready = Sweep(workload, Space.of(space, None, repeats, seed), Store(store))
    designs = _Designs(ready, cost)
    with designs.running(), _quiet():
        _ask_and_tell(designs, number)
    trials = tuple(designs.trials.values())
    failed = designs.failed
    if not trials:
        fail(ValueError, f"all of {len(failed)} evaluated designs failed: {next(iter(failed.values()))}")
    good = [trial for trial in trials if trial.value >= wanted]
    if not good:
        best = max(trials, key=lambda trial: trial.value)
        named = ", ".join(f"{name}={value!r}" for name, value in best.settings.items())
        msg = f"none of {len(trials)} evaluated designs reaches target={wanted:g}"
        fail(ValueError, f"{msg}: the best has {best.value:.6g}, at cost {best.cost:.6g} ({named})")
    found = min(good, key=lambda trial: (trial.cost, -trial.value))
    at = next(at for at, trial in designs.trials.items() if trial is found)
    return SearchResult(
        settings=found.settings,
        engine=designs.engine(at),
        value=found.value,
        cost=found.cost,
        target=wanted,
        front=_front(trials),
        trials=trials,
        skipped=designs.skipped,
        failed=len(failed),
        failed_because=next(iter(failed.values()), ""),
    )


class _Designs:
    """The designs of a space by their index, each evaluated once."""

    def __init__(self, sweep: Sweep, cost: Callable[[Any], float]) -> None:
        self._sweep, self._cost = sweep, cost
        self.axes = sweep.space.axes
        self.trials: dict[int, Trial] = {}
        self.failed: dict[int, str] = {}  # messages
        repeats = sweep.space.repeats
        self._points = [sweep.points[at : at + repeats] for at in range(0, len(sweep.points), repeats)]
        self._refused = {at: why for at, points in enumerate(self._points) if (why := _refusal(points[0]))}
        self.skipped = len(self._refused)
        if self.skipped == len(self._points):
            fail(ValueError, f"none of {self.skipped} designs can be built: {self._refused[0]}")
        self._pool = pool_of(None, sweep.workload)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write to the store."""
        store = self._sweep.store.create()
        store.begin(self._sweep.run_line)
        try:
            yield
        finally:
            self._pool.close()
            store.close()

    @property
    def left(self) -> int:
        """Number of designs that are not evaluated."""
        return len(self._points) - self.skipped - self.evaluated

    @property
    def evaluated(self) -> int:
        """Number of designs that are evaluated, failed ones included."""
        return len(self.trials) + len(self.failed)

    def index(self, chosen: Mapping[str, int]) -> int:
        """Return the index of a design by those of its values."""
        at = 0
        for name, values in self.axes.items():
            at = at * len(values) + chosen[name]
        return at

    def engine(self, at: int, point: Point | None = None) -> Engine:
        """Return the engine of a design."""
        point = self._points[at][0] if point is None else point
        assert point.case.config is not None
        key = noise.derive(self._sweep.space.seed, point.address)
        return engine(point.case.config, point.case.further, seed=key, chip=point.chip)

    def trial(self, at: int) -> Trial | None:
        """Return a design, evaluated; None if it cannot be built, or failed."""
        if at in self.trials:
            return self.trials[at]
        if at in self._refused or at in self.failed:
            return None
        points = self._points[at]
        self._sweep._run(self._pool, points, "record", progress=False)
        records = [record for point in points if (record := self._sweep.store.best(point.address)) is not None]
        wrong = next((record.error for record in records if record.error is not None), None)
        values = [] if wrong is not None else [_number(record.result) for record in records]
        if wrong is None and any(map(math.isnan, values)):
            wrong = "the workload returned NaN, which is no figure to search by"
        if wrong is not None:
            self.failed[at] = wrong
            return None
        cost = as_float("the cost of a design", self._cost(self.engine(at)), -math.inf)
        settings, rest = {}, at
        for name, choices in reversed(self.axes.items()):
            settings[name] = choices[rest % len(choices)]
            rest //= len(choices)
        found = Trial(dict(reversed(settings.items())), cost, sum(values) / len(values))
        self.trials[at] = found
        return found


def _refusal(point: Point) -> str | None:
    # a sweep leaves the slices to workloads that bring slices of their own
    if point.case.config is None:
        return point.case.error
    try:
        point.case.config._check("inputs", "weights")
    except ValueError as error:
        return str(error)
    return None


def _number(result: Any) -> float:
    values = list(result.values()) if isinstance(result, Mapping) else [result]
    if len(values) != 1:
        names = ", ".join(result) if isinstance(result, Mapping) else ""
        fail(
            ValueError, f"the workload returns {len(values)} figures ({names}), and search needs one: return one number"
        )
    if isinstance(values[0], list):
        fail(ValueError, "the workload returns an array, and search needs a number: return a mean, or a share")
    return float(decoded(values[0]))


def _ask_and_tell(designs: _Designs, evaluations: int) -> None:
    optuna: Any = importlib.import_module("optuna")
    population = max(4, min(LARGEST, evaluations // 4))
    sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=designs._sweep.space.seed % 2**32)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    choices = {
        name: optuna.distributions.CategoricalDistribution(tuple(range(len(values))))
        for name, values in designs.axes.items()
    }
    for _ in range(ASKS * evaluations):
        if designs.evaluated >= evaluations or not designs.left:
            return
        asked = study.ask(choices)
        found = designs.trial(designs.index(asked.params))
        if found is None:
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(asked, [found.cost, min(max(found.value, -1e300), 1e300)])


@contextmanager
def _quiet() -> Iterator[None]:
    # Optuna's own messages and warnings of experimental parts say nothing about designs
    optuna: Any = importlib.import_module("optuna")
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _front(trials: tuple[Trial, ...]) -> tuple[Trial, ...]:
    found: list[Trial] = []
    for trial in sorted(trials, key=lambda one: (one.cost, -one.value)):
        if not found or trial.value > found[-1].value:
            found.append(trial)
    return tuple(found)
