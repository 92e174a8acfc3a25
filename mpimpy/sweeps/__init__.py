"""Sweeps: a workload at every point of a space of settings, on any number of processes, stored as it goes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._later import later

if TYPE_CHECKING:
    from ._open import open_sweep
    from ._sweep import sweep

__all__ = ["open_sweep", "sweep"]

# The command line adds its commands from this package, and imports no array library for that.
__getattr__: Callable[[str], Any] = later(__name__, {"open_sweep": "_open", "sweep": "_sweep"}, globals())
