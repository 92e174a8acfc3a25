"""Parts that all studies share: the standard product, the chips, progress."""

import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np

from .. import config, noise
from ..analysis.metrics import told_dB
from ..checks import as_bool, as_int, as_items, fail
from ..engine import Engine
from ..workloads import product

__all__ = [
    "SEED",
    "Problem",
    "checked",
    "chip_numbers",
    "distinct",
    "listed",
    "on_chip",
    "progressing",
    "spread",
    "told",
]

SEED = 0  # of the engines that studies build themselves, and of the standard product
DELAY_s = 2.0  # quicker studies show no progress

Item = TypeVar("Item")


class Problem:
    """A product and its exact result.

    Attributes
    ----------
    x, w, exact : ndarray
    text : str
        The product in words.
    """

    def __init__(self, x: Any, w: Any, shape: tuple[int, int, int]) -> None:
        if (x is None) != (w is None):
            given, other = ("x", "w") if w is None else ("w", "x")
            fail(ValueError, f"{given} is given without {other}: give both, or neither for the standard product")
        rows, depth, columns = shape
        if x is None:
            random = np.random.default_rng(SEED)
            x, w = random.standard_normal((rows, depth)), random.standard_normal((depth, columns))
            words = f", standard normal, numpy.random.default_rng({SEED})"
        else:
            words = ", of the caller"
        found = product(x, w)
        if not found.x.size or not found.w.size:
            fail(ValueError, f"x of shape {found.x.shape} and w of shape {found.w.shape} have an empty product")
        self.x, self.w, self.exact = found.x, found.w, found.exact
        self.text = f"{' x '.join(map(str, self.x.shape))} by {' x '.join(map(str, self.w.shape))}{words}"

    def snr(self, result: Any) -> float:
        """Return the SNR of a result, dB; infinite where the error is the rounding of float64."""
        return told_dB(result, self.exact)


def checked(engine: Any) -> Engine:
    """Return an engine; raise TypeError if it is none."""
    if not isinstance(engine, Engine):
        fail(TypeError, f"engine is a {type(engine).__name__}: give an Engine, such as mpimpy.Engine(seed=1)")
    return engine


def listed(name: str, value: Any, example: str) -> tuple[Any, ...]:
    """Return the items of an argument, one for a single value; raise ValueError if there are none."""
    found = as_items(name, value)
    if found is None:
        return (value,)
    return found or fail(ValueError, f"{name} is empty: give at least one value, such as {example}")


def distinct(name: str, values: Iterable[Item]) -> tuple[Item, ...]:
    """Return the values of an argument; raise ValueError if one is there twice."""
    found = tuple(values)
    for at, value in enumerate(found):
        if value in found[:at]:
            fail(ValueError, f"{name} has {value} twice, which tells nothing new: give each value once")
    return found


def chip_numbers(chips: Any) -> tuple[int, ...]:
    """Return the numbers of chips: of a count, those from 0; else the numbers themselves, without repetition."""
    given = as_items("chips", chips)  # once: a generator has its items but once
    if given is None:
        return tuple(range(as_int("chips", chips, 1, noise.MAX_CHIP + 1)))
    listed("chips", given, "range(10)")
    return distinct("chips", [as_int("chips", chip, 0, noise.MAX_CHIP) for chip in given])


def on_chip(engine: Engine, chip: int) -> Engine:
    """Return the same engine on a chip, whose reads count from 0."""
    found = engine.replace()
    found.chip = chip
    return found


def told(engine: Engine) -> dict[str, Any]:
    """Return the settings and the seed of an engine, as `Study` holds them."""
    return {"settings": config.to_dict(engine.config), "seed": engine.seed}


def spread(figures: Iterable[float]) -> tuple[float, float, float]:
    """Return the mean, the lowest and the highest of figures; infinite ones count."""
    found = tuple(figures)
    return float(np.mean(found)), min(found), max(found)


def progressing(items: Iterable[Item], total: int, name: str, progress: Any) -> Iterator[Item]:
    """Yield items, with a progress bar of tqdm on stderr, if it is installed, once they take more than two seconds."""
    if not as_bool("progress", progress) or sys.stderr is None or find_spec("tqdm") is None:
        yield from items
        return
    from tqdm import tqdm

    # lines of a file are far apart
    often = 0.1 if sys.stderr.isatty() else 10.0
    yield from tqdm(items, desc=name, total=total, delay=DELAY_s, mininterval=often, leave=False)
