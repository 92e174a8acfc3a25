"""Cost of the products of one weight matrix, added up as they are made."""

from dataclasses import replace

from .._costing import cost_at
from ..analysis.counts import Counts
from ..checks import fail
from ..cost import Cost, Technology
from ..cost._cost import PARTS
from ._cells import Made

__all__ = ["Costs", "columns", "frame_columns", "total"]


class Costs:
    """Running sum of the costs of a matrix, whose inputs are not kept.

    Parameters
    ----------
    technology : Technology
    rewritten : bool
        Whether the cells are written anew for each product, so that the energy of writing adds up too.
    """

    def __init__(self, technology: Technology, rewritten: bool) -> None:
        self._technology, self._rewritten = technology, rewritten
        self._sum: Cost | None = None

    def add(self, name: str, made: Made) -> None:
        """Add the cost of a product.

        Raises
        ------
        ValueError
            If the technology has none for it; the message names the layer.
        """
        if made.matrix.programmed is None or 0 in made.x.shape:
            return
        try:
            found = cost_at(made.matrix, made.x.detach(), self._technology, made.read, made.first_row)
        except ValueError as error:
            fail(ValueError, f"layer {name!r}: {error}")
        found = replace(found, counts=())
        self._sum = found if self._sum is None else self._both(self._sum, found)

    def _both(self, one: Cost, other: Cost) -> Cost:
        # the same arrays serve both products
        areas = [each.area for each in (one, other) if each.area is not None]
        area = max(areas, key=lambda area: area.value, default=None)
        both = one + other
        return replace(both, area=area, writing=both.writing if self._rewritten else one.writing)

    def found(self, counts: Counts) -> Cost | None:
        """Return the sum, with the counts of all products together; None if there were none."""
        return None if self._sum is None else replace(self._sum, counts=(counts,))


def total(costs: list[Cost | None]) -> Cost | None:
    """Return the cost of matrices that are read one after the other; None if none was read."""
    found = [cost for cost in costs if cost is not None]
    return sum(found[1:], found[0]) if found else None


def columns(cost: Cost | None) -> tuple[str, str]:
    """Return the energy and the latency of a cost in a table, with their bands."""
    return ("", "") if cost is None else (str(cost.energy), str(cost.latency))


# of a cost beside the counts of a matrix
_COLUMNS = [f"{name}_energy_J" for name in PARTS]
for _name, _unit in (("energy", "J"), ("energy_per_mac", "J"), ("latency", "s"), ("area", "m2"), ("writing", "J")):
    _COLUMNS += [f"{_name}_{_unit}", f"{_name}_low_{_unit}", f"{_name}_high_{_unit}"]


def frame_columns(cost: Cost | None) -> dict[str, float | None]:
    """Return a cost in columns of a data frame: energies of the parts, and figures with the ends of their bands."""
    values = {} if cost is None else cost.to_dict()
    return {name: values.get(name) for name in ("macs", *_COLUMNS)}
