"""NaN and infinity that products of a model have met on a card."""

import torch

from ._data import every_cells
from ._flag import raise_flagged

__all__ = ["check"]


def check(model: torch.nn.Module) -> None:
    """Raise ValueError if the products of a model have met a NaN or an infinity on a card since the last look.

    On the CPU a product raises it at once. On a card the host would have to wait for every product; there each weight
    matrix keeps a flag on its device instead, and the products of operands that are not finite are NaN throughout. This
    function waits for the card once and lowers the flags. `report`, `calibrate_`, `program_`, `at_` and
    `save_chips`, which wait anyway, call it.

    Parameters
    ----------
    model : torch.nn.Module
        With layers on crossbars; see `convert_`.

    Raises
    ------
    ValueError
        Naming the weight matrices, and whether inputs or weights were not finite; if no layer is on crossbars.

    Examples
    --------
    >>> import mpimpy, mpimpy.nn as ann
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4))
    >>> _ = ann.convert_(model, mpimpy.DPETensor(seed=0))
    >>> y = model(torch.ones(8))
    >>> check(model)
    """
    raise_flagged((cells.name, cells.flag) for cells in every_cells(model))
