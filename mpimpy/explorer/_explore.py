"""One product at given settings: figures, pictures and the Python lines that repeat it, as JSON can hold them."""

import base64
import io
import math
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from ..analysis.report import Report
from ..cells.laws import ages
from ..checks import fail
from ..compat.dpetensor import DPETensor
from ..devices import presets
from ..operands.edge import MpimpyWarning
from ._code import lines
from ._problem import Problem, as_problem

__all__ = ["explore"]

OPERAND_SEED = 0
NOTHING_dB = 200  # as in a printed report, the rounding of float64 is no effect
DPI = 110


def _no_check() -> None:
    return None


def explore(
    settings: Mapping[str, Any] | None = None, *, pictures: bool = True, check: Callable[[], Any] = _no_check
) -> dict[str, Any]:
    """Return the figures of one product of standard normal matrices at given settings.

    Parameters
    ----------
    settings : mapping, optional
        Any flat settings, such as ``{"radc": 1024, "var": 0.02}``, and ``seed``, ``chip`` and ``backend``; lists
        stand for tuples, so JSON can hold them. The seed is 1 by default, so that two calls differ by their
        settings alone. Besides,

        - M, K, N: shape of the product, M x K by K x N, 1 to 4096 each; 64, 128 and 64 by default;
        - preset: name of a device, see `mpimpy.presets.listing`; settings of the device replace the preset's;
        - age: time since programming, s, or text such as ``"30 d"``; compensate: rescale for the drift as a whole;
        - technology: name of that of the cost, such as "generic-28"; without it there is none.
    pictures : bool
        Draw pictures too, if Matplotlib is installed.
    check : function, optional
        It is called between the steps, and may raise an exception to end the work.

    Returns
    -------
    dict
        Values that JSON can hold:

        - snr_dB, and alone_dB and without_dB of each of ``effects``: None is no error at all;
        - cost: ``figures``, names and texts of energy and latency with their bands, and the numbers of
          `mpimpy.cost.Cost.to_dict`; None without a technology;
        - counts: shapes of the matrices, arrays, cells and conversions; adc_full_scale_A, in A;
        - text: the printed report; notes: warnings; code: Python lines that print the same report;
        - pictures: title and alt text of each, and its PNG as a ``data:`` address, or a note where it is not drawn;
        - settings: those given; seconds: time of the work, s.

    Raises
    ------
    TypeError, ValueError
        If a setting is unknown or out of range.

    Examples
    --------
    >>> found = explore({"M": 8, "K": 64, "N": 8, "radc": 1024}, pictures=False)
    >>> found["snr_dB"] > 10, found["counts"]["arrays"]
    (True, 4)
    """
    start = time.perf_counter()
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping):
        fail(TypeError, f"settings must be a mapping, such as {{'radc': 1024}}, not a {type(settings).__name__}")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", MpimpyWarning)
        problem = as_problem(settings)
        W, x, w = _programmed(problem)
        check()
        report = W.report(x, w, technology=problem.technology)
        drawn = list(_pictures(W, x, w, report, check)) if pictures else []
    return {
        "settings": dict(settings),
        "snr_dB": _finite(report.snr_dB),
        "effects": [
            {"name": one.name, "alone_dB": _finite(one.alone_dB), "without_dB": _finite(one.without_dB)}
            for one in report.effects
        ],
        "counts": _counts(report),
        "cost": _cost(report),
        "adc_full_scale_A": report.full_scale_A,
        "text": str(report),
        "notes": list(dict.fromkeys(str(one.message) for one in told)),
        "code": lines(problem),
        "pictures": drawn,
        "seconds": time.perf_counter() - start,
    }


def _programmed(problem: Problem) -> tuple[Any, Any, Any]:
    import numpy as np

    engine: Any = DPETensor(**problem.flat)
    if problem.preset is not None:
        engine = engine.replace(device=presets.device(problem.preset, **problem.cells))
    M, K, N = problem.shape
    rng = np.random.default_rng(OPERAND_SEED)
    x, w = rng.standard_normal((M, K)), rng.standard_normal((K, N))
    age, start = problem.age, ages(engine.config.device)
    if age is not None and start is None:
        drifting = [name for name in presets.PRESETS if ages(presets.device(name)) is not None]
        fail(ValueError, f"age={age!r} changes nothing here: choose a preset that ages: {', '.join(drifting)}")
    W = engine.program(w)
    if age is None:
        return W, x, w
    try:
        return W.at(age, compensate=problem.compensate), x, w
    except ValueError as error:
        fail(ValueError, re.sub(r"^t=", "age=", str(error)))


def _finite(decibels: float) -> float | None:
    return float(decibels) if math.isfinite(decibels) and decibels <= NOTHING_dB else None


def _counts(report: Report) -> dict[str, Any]:
    return {
        "inputs": list(report.inputs),
        "weights": list(report.weights),
        "array": list(report.array),
        "tiles": list(report.tiles),
        "arrays": math.prod(report.tiles),
        "cells": report.cells,
        "reference_cells": report.reference_cells,
        "dac_conversions": report.dac_conversions,
        "adc_conversions": report.adc_conversions,
    }


def _cost(report: Report) -> dict[str, Any] | None:
    if (found := report.cost) is None:
        return None
    texts = {"energy": found.energy, "energy per MAC": found.energy_per_mac, "efficiency": found.tops_per_watt}
    texts |= {"latency": found.latency}
    figures = [[name, str(figure)] for name, figure in texts.items()]
    return {"technology": found.technology.name, "figures": figures, "note": found._note()} | found.to_dict()


def _pictures(W: Any, x: Any, w: Any, report: Report, check: Callable[[], Any]) -> Iterator[dict[str, Any]]:
    if find_spec("matplotlib") is None:
        return
    from .. import plot

    last = len(W.config.weights.digits) - 1
    snr = _finite(report.snr_dB)
    quality = "no error" if snr is None else f"SNR {snr:.1f} dB"
    todo: dict[str, tuple[str, Callable[[], Any]]] = {
        "Measured against expected": (
            f"Scatter of measured against exact elements of the product, {quality}",
            lambda: plot.scatter(W.read(x, read=0), x @ w),
        ),
        "Error budget": (
            "Bars: the SNR of each effect alone, and of the product without it; the same figures are in the table",
            lambda: plot.error_budget(report),
        ),
        "Cells of the first array": (
            "Map of the conductances of one array, as programmed, of the least significant slice",
            lambda: plot.conductance(W, slice=last),
        ),
    }
    if W.config.adc.radc is not None:
        alt = "Histogram of the codes that the ADCs of the least significant slices give"
        digits = len(W.config.inputs.digits) - 1
        todo["ADC codes"] = (alt, lambda: plot.adc_codes(W, x, slice=last, input_slice=digits))
    if W.config.wires is not None:
        alt = "Map of the voltage that is lost in the wires of one array"
        todo["IR drop"] = (alt, lambda: plot.ir_drop(W, slice=last))
    for title, (alt, draw) in todo.items():
        check()
        try:
            file = io.BytesIO()
            draw().figure.savefig(file, format="png", dpi=DPI)
        except (NotImplementedError, TypeError, ValueError) as error:  # a picture that these settings have not
            yield {"title": title, "alt": alt, "note": " ".join(str(error).split())}
            continue
        data = base64.b64encode(file.getvalue()).decode("ascii")
        yield {"title": title, "alt": alt, "png": f"data:image/png;base64,{data}"}
