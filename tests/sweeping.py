"""Workloads of the tests of sweeps, which other processes can import, and a sweep that a test may kill."""

import os
import signal
import sys
import time

SPACE = {"radc": [16, 32, 64, 128], "var": [0.0, 0.05, 0.1]}


def seed_of(engine):
    """Numbers that tell seed and settings, two of them not finite."""
    return {"seed": engine.seed >> 40, "nan": float("nan"), "inf": float("-inf"), "radc": engine.config.adc.radc or -1}


def fails(engine):
    if engine.config.adc.radc == 32:
        raise ValueError(f"no {engine.config.device.var}")
    return 1.5


def poison(engine):
    if engine.config.adc.radc == 32 and engine.config.device.var == 0.05:
        os.kill(os.getpid(), signal.SIGKILL)
    return seed_of(engine)


def slowly(engine):
    time.sleep(0.03)
    return seed_of(engine)


if __name__ == "__main__":
    import mpimpy

    mpimpy.sweep(slowly, SPACE, 10, store=sys.argv[1], client=int(sys.argv[2]) or None, progress=False)
