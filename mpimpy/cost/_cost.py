"""Energy, latency and area of a product, each with its band."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from .._html import table
from .._plain import plain
from ..checks import as_int, fail
from ._counts import Counts
from ._figure import Figure, together
from ._technology import Technology

__all__ = ["PARTS", "Bits", "Cost", "Rate"]

# parts of the energy, in the order of the signal
PARTS = ("dacs", "lines", "cells", "adcs", "adders", "buffers", "core")
_NAMES = {"dacs": "DACs", "adcs": "ADCs", "core": "cores"}
_NAME = 19  # columns of a name
_CORRELATED = "bands are added as if all constants erred together"
WIDTH = 88  # columns of a printed cost


def _line(name: str, text: str) -> str:
    # a row of a printed cost, with as many lines as it needs
    if len(text) + _NAME <= WIDTH:
        return f"{name:<{_NAME}}{text}"
    more = " " * _NAME
    return textwrap.fill(text, WIDTH, initial_indent=f"{name:<{_NAME}}", subsequent_indent=more, break_on_hyphens=False)


@dataclass(frozen=True)
class Bits:
    """Bits of the numbers of a product, without which no efficiency means anything.

    Attributes
    ----------
    inputs, weights : int
        Of the operands, signs included.
    adc : (float, float)
        log2 of the fewest and of the most codes of an ADC.
    """

    inputs: int
    weights: int
    adc: tuple[float, float]

    def __str__(self) -> str:
        low, high = (f"{bits:.3g}" for bits in self.adc)
        adc = f"{low}-bit" if low == high else f"{low}- to {high}-bit"
        return f"{self.inputs}-bit inputs, {self.weights}-bit weights, {adc} ADCs"


@dataclass(frozen=True)
class Rate(Figure):
    """A figure that means nothing without the bits of the numbers that it is for, and prints with them.

    Attributes
    ----------
    bits : tuple of Bits
    """

    bits: tuple[Bits, ...] = ()

    def __str__(self) -> str:
        return f"{super().__str__()}, with {'; '.join(map(str, self.bits))}"


@dataclass(frozen=True)
class Cost:
    """Energy, latency and area of a product; prints as a table.

    A part of the energy is None where it is not counted; `missing` says why. Costs of several products add up: their
    energies, their latencies, for they follow one another, and areas and writing, as of matrices of their own;
    ``32 * cost`` is that of 32 such products.

    Attributes
    ----------
    technology : Technology
    macs : int
        Multiplications of the product, each with its addition: M K N of the real matrices that are multiplied, which
        is two or four times as many for complex operands.
    bits : tuple of Bits
        One for each format of the products.
    counts : tuple of Counts
        One for each product.
    dacs, lines, cells, adcs, adders, buffers, core : Figure or None
        Energy of the drivers, the word lines, the cells, the ADCs, the shift-and-add, the buffers, J; or of whole cores
        in place of all of these. That of the cells is exact for the inputs given, at the read time of the technology.
    latency : Figure
        s.
    area : Figure or None
        m2.
    writing : Figure or None
        Energy of programming the matrix once, J; not in `energy`.
    missing : tuple of (str, str)
        What is not counted, or not known, and why.
    note : str
        Age of the matrix, and where its cells come from.
    times : tuple of int
        How many products each of `counts` stands for; empty: one each.
    """

    technology: Technology
    macs: int
    bits: tuple[Bits, ...]
    counts: tuple[Counts, ...]
    dacs: Figure | None
    lines: Figure | None
    cells: Figure | None
    adcs: Figure | None
    adders: Figure | None
    buffers: Figure | None
    core: Figure | None
    latency: Figure
    area: Figure | None
    writing: Figure | None
    missing: tuple[tuple[str, str], ...] = ()
    note: str = ""
    times: tuple[int, ...] = ()

    @property
    def _times(self) -> tuple[int, ...]:
        return self.times or (1,) * len(self.counts)

    @property
    def energy(self) -> Figure:
        """Energy of the product, J: the sum of all parts that are counted."""
        return together((getattr(self, name) for name in PARTS), "J", "sum of the parts")

    @property
    def energy_per_mac(self) -> Figure:
        """Energy for each multiplication and addition, J."""
        return self.energy.times(1 / self.macs, "J/MAC")

    @property
    def tops_per_watt(self) -> "Rate":
        """Operations for each joule, two for each multiplication and addition, 10^12; prints with `bits`."""
        return self._rate(self.energy, "TOPS/W")

    @property
    def throughput(self) -> "Rate":
        """Operations a second, two for each multiplication and addition, 10^12; prints with `bits`."""
        return self._rate(self.latency, "TOPS")

    def _rate(self, figure: Figure, unit: str) -> "Rate":
        # operations over a figure
        low, value, high = (2e-12 * self.macs / each for each in (figure.high, figure.value, figure.low))
        return Rate(value, unit, low, high, figure.source, self.bits)

    def __add__(self, other: Any) -> "Cost":
        if isinstance(other, int) and other == 0:
            return self  # sum begins with it
        if not isinstance(other, Cost):
            return NotImplemented
        if other.technology != self.technology:
            names = f"{self.technology.name} and {other.technology.name}"
            fail(ValueError, f"costs of two technologies, {names}, do not add up: take one for both")
        both: dict[str, Any] = {}
        for name, unit in (*((name, "J") for name in PARTS), ("area", "m2"), ("writing", "J")):
            pair = getattr(self, name), getattr(other, name)
            whole = name in PARTS or None not in pair
            both[name] = together(pair, unit) if whole and pair != (None, None) else None
        return replace(
            self,
            **both,
            macs=self.macs + other.macs,
            bits=tuple(dict.fromkeys(self.bits + other.bits)),
            counts=self.counts + other.counts,
            times=self._times + other._times,
            latency=together((self.latency, other.latency), "s"),
            missing=tuple(dict.fromkeys(self.missing + other.missing)),
            note="; ".join(dict.fromkeys(filter(None, (self.note, other.note)))),
        )

    __radd__ = __add__

    def __mul__(self, count: Any) -> "Cost":
        """Return the cost of several products like this one, each on arrays of its own, one after the other."""
        if isinstance(count, bool) or not isinstance(count, int):
            return NotImplemented
        as_int("the number of products", count, 1)
        names = (*PARTS, "latency", "area", "writing")
        figures = {name: each.times(count) for name in names if (each := getattr(self, name)) is not None}
        return replace(self, **figures, macs=self.macs * count, times=tuple(count * each for each in self._times))

    __rmul__ = __mul__

    def to_dict(self) -> dict[str, Any]:
        """Return the cost as numbers by name, as workloads of sweeps return them; unknown ones are None.

        The name of the technology is no number, and left out. The ends of a band have the names ``low`` and ``high``:
        ``energy_J``, ``energy_low_J``, ``energy_high_J``.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> found = Engine(seed=1).program(np.eye(64)).cost(np.eye(64), "generic-28").to_dict()
        >>> found["energy_low_J"] < found["energy_J"] < found["energy_high_J"], found["area_m2"]
        (True, None)
        """
        names = (*_FIGURES, *PARTS)
        figures = {f"{name}_energy" if name in PARTS else name: getattr(self, name) for name in names}
        found: dict[str, Any] = {}
        for name, figure in figures.items():
            unit = _FIGURES.get(name, "J")
            for end in ("", "low", "high"):
                value = None if figure is None else getattr(figure, end or "value")
                found["_".join(filter(None, (name, end, unit)))] = plain(value)
        found["macs"] = self.macs
        for i, (end, pick) in enumerate((("low", min), ("high", max))):
            found[f"input_{end}_bits"] = pick(each.inputs for each in self.bits)
            found[f"weight_{end}_bits"] = pick(each.weights for each in self.bits)
            found[f"adc_{end}_bits"] = pick(each.adc[i] for each in self.bits)
        for name in ("cells", "reference_cells", "arrays", "dac_conversions", "adc_conversions", "additions"):
            found[name] = sum(n * getattr(each, name) for n, each in zip(self._times, self.counts, strict=True))
        return found

    def _energies(self) -> Iterator[tuple[str, str, str]]:
        why, total = dict(self.missing), self.energy
        for name in PARTS:
            figure = getattr(self, name)
            shown = _NAMES.get(name, name)
            if figure is not None:
                share = f"{figure.value / total.value:.1%}".replace("%", " %")
                yield shown, str(figure), share
            elif name in why:
                yield shown, f"not counted: {why[name]}", ""

    def _figures(self) -> list[tuple[str, str]]:
        why = dict(self.missing)
        rows = [("per MAC", f"{self.energy_per_mac}, {self.macs:,} MAC{'s' if self.macs != 1 else ''}")]
        rows += [
            ("efficiency", str(self.tops_per_watt)),
            ("latency", str(self.latency)),
            ("throughput", str(self.throughput)),
        ]
        for name in ("area", "writing"):
            figure = getattr(self, name)
            text = f"not known: {why.get(name, 'of some products')}" if figure is None else str(figure)
            matrices = sum(self._times)
            if figure is not None and matrices > 1:
                text += f", of {matrices:,} matrices"
            alone = name == "area" and figure is not None and self.core is None
            rows.append((name, f"{text}, cells and ADCs alone" if alone else text))
        return rows

    def _note(self) -> str:
        left = [_NAMES.get(name, name) for name, _ in self.missing if name in PARTS]
        left = ["what the cores do not hold"] if self.core is not None else [*left, "routers, leakage, control"]
        return "; ".join(filter(None, (f"not counted: {', '.join(left)}", _CORRELATED, self.note)))

    def __str__(self) -> str:
        rows = [("technology", self.technology.name), ("energy", str(self.energy))]
        rows += [(f"  {name}", f"{text:<34}{share:>8}".rstrip()) for name, text, share in self._energies()]
        lines = [_line(*row) for row in (*rows, *self._figures())]
        return "\n".join([*lines, *textwrap.wrap(f"({self._note()})", WIDTH, break_on_hyphens=False)])

    def __repr__(self) -> str:
        return f"<Cost of {self.macs:,} MACs in {self.technology.name}: {self.energy}, {self.latency}>"

    def _repr_html_(self) -> str:
        rows = [("technology", self.technology.name, ""), ("energy", str(self.energy), ""), *self._energies()]
        return table([*rows, *((*row, "") for row in self._figures())], caption=self._note())


_FIGURES = {
    "energy": "J",
    "energy_per_mac": "J",
    "tops_per_watt": "",
    "latency": "s",
    "throughput": "TOPS",
    "area": "m2",
    "writing": "J",
}
