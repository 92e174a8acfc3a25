"""Results of a search for designs."""

import importlib
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from ..checks import fail
from ..engine import Engine
from .grid import Grid

__all__ = ["Design", "DesignResult"]


@dataclass(frozen=True)
class Design:
    """One design: settings, cost and figures.

    Attributes
    ----------
    settings : dict
        Flat settings, as `DPETensor` takes them.
    cost : float
    scaled_dB : float or None
        SNR by a scaled budget, dB; None where the law does not hold.
    snr_dB : float or None
        Simulated SNR, dB; None if it was not simulated.
    """

    settings: dict[str, Any]
    cost: float
    scaled_dB: float | None
    snr_dB: float | None

    def __str__(self) -> str:
        scaled = "no figure" if self.scaled_dB is None else f"{self.scaled_dB:.2f} dB"
        simulated = "" if self.snr_dB is None else f"{self.snr_dB:.2f} dB"
        return f"{self.cost:<14.6g}{scaled:>12}{simulated:>12}  {_named(self.settings)}"


def _named(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())


@dataclass(frozen=True)
class DesignResult:
    """The cheapest design that reaches a wanted SNR, and how it was found; prints as a table.

    Attributes
    ----------
    settings : dict
        Flat settings of the design, as `DPETensor` takes them.
    engine : Engine
        The design, with the seed of the simulations, chip 0.
    snr_dB : float
        Simulated SNR, dB.
    cost : float
    target_dB : float
    front : tuple of Design
        Designs that no other one beats in both cost and SNR, the cheapest first: by simulation where there was one,
        else by scaled budgets, and without those that have neither.
    checks : tuple of Design
        Simulated designs, in order; the last one is the answer.
    designs : int
        Number of designs that can be built.
    budgets : int
        Error budgets that were simulated.
    skipped : int
        Designs that cannot be built.
    skipped_because : str
        Message of the first of them.
    chips : int
        Chips over which each simulation is a mean.
    grid : Grid
        Costs and scaled figures of all designs.
    """

    settings: dict[str, Any]
    engine: Engine = field(compare=False)
    snr_dB: float
    cost: float
    target_dB: float
    front: tuple[Design, ...]
    checks: tuple[Design, ...]
    designs: int
    budgets: int
    skipped: int
    skipped_because: str
    chips: int
    grid: Grid = field(repr=False, compare=False)

    def __str__(self) -> str:
        skipped = f"; {self.skipped} cannot be built: {self.skipped_because}" if self.skipped else ""
        means = f", means of {self.chips} chips" if self.chips > 1 else ""
        found = f"{self.snr_dB:.2f} dB simulated, {self.target_dB:g} dB wanted"
        head = f"{'cost':<14}{'scaled':>12}{'simulated':>12}  settings"
        shown = [one for one in self.front if one.cost >= self.cost][:10]
        return "\n".join(
            [
                f"design    {_named(self.settings)}",
                f"SNR       {found}, seed {self.engine.seed}{means}",
                f"cost      {self.cost:.6g}",
                f"searched  {self.designs} designs by {self.budgets} budgets, {len(self.checks)} simulations{skipped}",
                "",
                f"front, from the design up ({len(shown)} of {len(self.front)})",
                head,
                *map(str, shown),
            ]
        )

    def to_dataframe(self) -> Any:
        """Return all designs as a pandas DataFrame: settings, cost, scaled_dB (NaN where the law does not hold).

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        if find_spec("pandas") is None:
            fail(ImportError, "to_dataframe needs pandas, which is not installed: pip install pandas")
        pd: Any = importlib.import_module("pandas")
        rows = [self.grid.settings(index) for index in range(self.designs)]
        table = pd.DataFrame({name: [row.get(name) for row in rows] for name in self.settings})
        return table.assign(cost=self.grid.costs, scaled_dB=self.grid.known_dB)
