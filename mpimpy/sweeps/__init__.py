"""Sweeps: a workload at every point of a space of settings, on any number of processes, stored as it goes."""

from ._open import open_sweep
from ._sweep import sweep

__all__ = ["open_sweep", "sweep"]
