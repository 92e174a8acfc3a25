"""Points where they are computed: a batch of them, one after the other, errors and all."""

import pickle
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..checks import fail
from ..config import ARITHMETIC, Config
from ._plain import encoded
from ._space import engine

__all__ = ["Outcome", "Task", "run"]

LONGEST = 2000  # characters of a message that are kept


class Task(NamedTuple):
    """A point as it travels: its configuration, further settings of the engine, seed and chip."""

    config: Config
    further: dict[str, Any]
    seed: int
    chip: int


class Outcome(NamedTuple):
    """Result of a point, as JSON holds it, or the message of its error; and the seconds that it took."""

    result: Any
    error: str | None
    seconds: float
    raised: bytes | None = None  # the error, pickled
    killed: bool = False


def run(workload: Callable[[Any], Any], tasks: list[Task], arithmetic: int = ARITHMETIC) -> list[Outcome]:
    """Run a workload on the engine of each task. Errors are outcomes.

    Raises
    ------
    ValueError
        If the client computes with another version of the arithmetic.
    """
    if arithmetic != ARITHMETIC:
        fail(
            ValueError,
            f"a worker's mpimpy computes with arithmetic {ARITHMETIC}, and the client's with {arithmetic}: "
            "install the same mpimpy on both",
        )
    found = []
    for task in tasks:
        start = time.perf_counter()
        try:
            result = encoded(workload(engine(task.config, task.further, seed=task.seed, chip=task.chip)))
        except (Exception, SystemExit) as error:
            found.append(Outcome(None, _message(error), time.perf_counter() - start, _pickled(error)))
        else:
            found.append(Outcome(result, None, time.perf_counter() - start))
    return found


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as inner:  # any class may have a text that fails
        text = f"(its message cannot be made: {type(inner).__name__})"
    return f"{type(error).__name__}: {text}"[:LONGEST]


def _pickled(error: BaseException) -> bytes | None:
    try:
        data = pickle.dumps(error)
        pickle.loads(data)
    except Exception:  # any class may refuse, in either direction
        return None
    return data
