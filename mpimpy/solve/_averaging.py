"""Fixed-point iterations whose every step has noise: the transient, then the mean of what follows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Averaged", "averaged"]

WINDOW, FALLING = 10, 0.9  # the transient lasts while the least change of so many steps falls below this share
BATCHES = 8  # successive iterates depend on each other, means of batches of them hardly


@dataclass(frozen=True, eq=False)
class Averaged:
    """Mean of the iterates after the transient.

    Attributes
    ----------
    mean : ndarray, shape (n,)
    error : ndarray, shape (n,)
        Standard error of the mean, by the method of batch means; 0 where iterates no longer changed.
    changes : ndarray, shape (steps,)
        Sum of the magnitudes of each step's change.
    transient : int or None
        Steps before the mean; None: the changes fell till the end.
    """

    mean: Any
    error: Any
    changes: Any
    transient: int | None


def averaged(step: Callable[[Any], Any], start: Any, *, steps: int, average: int, tolerance: float) -> Averaged:
    """Iterate until the changes no longer fall, and then average.

    Parameters
    ----------
    step : function
        From an iterate to the next one.
    start : ndarray, shape (n,)
    steps : int
        The transient is at most so long.
    average : int
        Iterates to average after it.
    tolerance : float
        Change at which the iteration is over, without a mean.
    """
    changes: list[float] = []

    def following(x: Any) -> Any:
        found = step(x)
        changes.append(float(np.abs(found - x).sum()))
        return found

    x, transient = start, None
    while transient is None and len(changes) < steps:
        x = following(x)
        if changes[-1] <= tolerance:
            return Averaged(x, np.zeros_like(x), np.asarray(changes), len(changes))
        earlier, later = changes[-2 * WINDOW : -WINDOW], changes[-WINDOW:]
        if len(earlier) == WINDOW and min(later) >= FALLING * min(earlier):
            transient = len(changes)
    iterates = np.empty((average, x.size))
    for place in range(average):
        iterates[place] = x = following(x)
    means = np.stack([part.mean(axis=0) for part in np.array_split(iterates, min(BATCHES, average))])
    error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
    return Averaged(iterates.mean(axis=0), error, np.asarray(changes), transient)
