"""SNR against energy: what a better result costs, over ADC codes, mappings and sizes of the arrays."""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..checks import as_choice, as_int, as_int_pair, as_items, check_names, fail
from ..cost import Cost, Figure
from ..cost._counts import adc_codes
from ..cost._figure import together
from ..cost._named import is_named
from ..cost._technology import AnyTechnology, as_technology
from ..engine import Engine
from ._problem import SEED, Problem, checked, chip_numbers, distinct, listed, on_chip, progressing, told
from ._study import Study

__all__ = ["snr_energy"]

SHAPE = (64, 128, 64)
MOST = 24  # bits of an ADC
# mapping of the inputs beside that of the weights: pairs take signed ones
MAPPINGS = {"twos": "twos", "offset": "twos", "pair": "signed"}
SPACE: dict[str, Any] = {"mapping": tuple(MAPPINGS), "array_size": (64,), "bits": range(5, 13)}
FEMTO, MICRO = 1e-15, 1e-6


def snr_energy(
    engine: Engine | None = None,
    x: Any = None,
    w: Any = None,
    *,
    technology: AnyTechnology = "generic-28",
    space: Mapping[str, Any] | None = None,
    chips: int | Iterable[int] = 1,
    progress: bool = True,
) -> Study:
    """Return the SNR and the energy of a product over ADC codes, mappings and array sizes.

    Mappings are compared at equal codes: an ADC for currents of two signs has codes on both sides of zero, and here
    half as many on either side.

    Parameters
    ----------
    engine : Engine, optional
        By default the defaults, among them 5 % read variation, seed 0. Mappings, array size and codes are replaced, and
        the range of ADCs is the full one.
    x, w : arrays, shape (..., K) and (K, N), optional
        Operands; by default the standard product of 64 x 128 by 128 x 64 standard normal numbers.
    technology : mpimpy.cost.Technology, str, path or dict
        Or its name, its file, or its plain values, as `call` of the study has them.
    space : mapping, optional
        Values of ``"mapping"``: "twos" and "offset", with inputs in two's complement, and "pair", with signed inputs;
        of ``"array_size"``: rows and columns of an array, a number n is n x n; and of ``"bits"``: ADCs of at most
        2**bits codes. What is left out: all three mappings, 64 x 64 cells, 5 to 12 bits.
    chips : int or sequence of int
        Number of chips, or their numbers.
    progress : bool
        Show a progress bar, if tqdm is installed and the study takes more than 2 s.

    Returns
    -------
    Study
        A row for each design: SNR, dB; energy with the ends of its band, and that of the cells alone, fJ/MAC; latency
        of the product, us. Figures are means over chips. A technology with a core has none for the cells: NaN.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the technology has no figure for a design.

    Examples
    --------
    >>> from mpimpy import studies
    >>> found = studies.snr_energy(space={"mapping": "pair", "bits": [6, 8]})
    >>> snr, energy = found.column("SNR"), found.column("energy")
    >>> snr[1] > snr[0] + 5, energy[1] > energy[0]
    (True, True)
    """
    engine, tech = checked(Engine(seed=SEED) if engine is None else engine), as_technology(technology)
    axes, problem, numbers = _axes(space), Problem(x, w, SHAPE), chip_numbers(chips)
    designs = list(itertools.product(*axes.values()))
    rows: list[tuple[Any, ...]] = []
    by_chip: dict[str, list[tuple[float, ...]]] = {"SNR": [], "energy": []}
    costs: list[Cost] = []
    for mapping, shape, bits in progressing(designs, len(designs), "designs", progress):
        here = _design(engine, mapping, shape, bits)
        figures, costs = [], []
        for chip in numbers:
            matrix = on_chip(here, chip).program(problem.w)
            figures.append(problem.snr(matrix.read(problem.x, read=0)))
            try:
                costs.append(matrix.cost(problem.x, tech))
            except ValueError as error:
                fail(ValueError, f"design mapping={mapping!r}, array_size={shape}, bits={bits}: {error}")
        energy = _per_mac([cost.energy for cost in costs], costs)
        known = [cost.cells for cost in costs if cost.cells is not None]  # none beside a core
        cells = _per_mac(known, costs).value if known else math.nan
        by_chip["SNR"].append(tuple(figures))
        by_chip["energy"].append(tuple(cost.energy_per_mac.value / FEMTO for cost in costs))
        snr, latency = sum(figures) / len(figures), costs[0].latency.value / MICRO
        rows.append((mapping, *shape, bits, snr, energy.value, energy.low, energy.high, cells, latency))
    told_tech = tech.name if is_named(tech) else tech.to_dict()
    return Study(
        kind="snr_energy",
        columns=("mapping", "rows", "columns", "bits", "SNR", "energy", "low", "high", "cells", "latency"),
        units=("", "", "", "", "dB", *("fJ/MAC",) * 4, "us"),
        rows=tuple(rows),
        chips=numbers,
        by_chip={name: tuple(values) for name, values in by_chip.items()},
        facts={"MACs": costs[0].macs},
        call={"space": _plain(axes), "technology": told_tech, "chips": list(numbers)},
        operands=problem.text,
        notes=(f"energy and latency in {tech.name}; {costs[0]._note()}",),
        **told(engine),
    )


def _axes(space: Mapping[str, Any] | None) -> dict[str, tuple[Any, ...]]:
    # the values of each axis, checked
    if space is not None and not isinstance(space, Mapping):
        fail(TypeError, f"space={space!r} must be a dict of lists, such as {{'bits': [6, 8], 'mapping': ['pair']}}")
    check_names(space or {}, SPACE, "axis of the space")
    found: dict[str, tuple[Any, ...]] = {}
    for name, default in SPACE.items():
        values = listed(f"space[{name!r}]", (space or {}).get(name, default), repr(next(iter(default))))
        if name == "mapping":
            values = tuple(as_choice(name, one, tuple(MAPPINGS)) for one in values)
        elif name == "bits":
            values = tuple(sorted(as_int(name, one, 1, MOST) for one in values))
        else:
            values = tuple(as_int_pair(name, (one, one) if as_items(name, one) is None else one) for one in values)
        found[name] = distinct(name, values)
    return found


def _plain(axes: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    return {name: [list(one) if isinstance(one, tuple) else one for one in axis] for name, axis in axes.items()}


def _design(engine: Engine, mapping: str, shape: tuple[int, int], bits: int) -> Engine:
    # ADCs of at most 2**bits codes, one number for each weight slice
    found = engine.replace(
        weights={"mapping": mapping},
        inputs={"mapping": MAPPINGS[mapping]},
        tile={"rows": shape[0], "cols": shape[1]},
        adc={"radc": 2**bits, "range": "full"},
    )
    signed = [max(codes) > 2**bits for codes in adc_codes(found.config)]
    if not any(signed):
        return found
    if bits == 1:
        fail(ValueError, f"bits=1 is out of range: ADCs for the two signs of {mapping!r} have at least 3 codes: bits=2")
    # slices are given most significant first
    slices = tuple(2 ** (bits - 1) if both else 2**bits for both in reversed(signed))
    return found.replace(adc={"radc": slices if len(set(slices)) > 1 else slices[0]})


def _per_mac(figures: Iterable[Figure], costs: list[Cost]) -> Figure:
    # the mean over chips, fJ/MAC
    return together(figures, "J").times(1 / (FEMTO * sum(cost.macs for cost in costs)), "fJ/MAC")
