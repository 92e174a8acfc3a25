"""Granularity of the predecessors: blocks that share a scale are whole arrays, as high as those of the weights."""

import warnings

from .._integers import ceil_div
from ..config import Config, Format
from ..operands.edge import MpimpyWarning

__all__ = ["check_cut", "round_block"]


def round_block(
    granularity: str | tuple[int, int] | None, parallel: tuple[int, int], shape: tuple[int, int]
) -> tuple[int, int]:
    """Return the rows and columns of the blocks that share a scale.

    Parameters
    ----------
    granularity : str, (int, int) or None
        "per-matrix", "per-row", "per-col", or rows and columns; None: `parallel`.
    parallel : (int, int)
        Unit of rows and columns, to whose multiples a block is rounded up.
    shape : (int, int)
        Rows and columns of the data.

    Warns
    -----
    MpimpyWarning
        If rounding changes the blocks of this data.
    """
    if isinstance(granularity, tuple):
        asked = granularity
    elif granularity is None:
        asked = parallel
    else:
        asked = {"per-matrix": shape, "per-row": (1, shape[1]), "per-col": (shape[0], 1)}[granularity]
    block = ceil_div(asked[0], parallel[0]) * parallel[0], ceil_div(asked[1], parallel[1]) * parallel[1]
    # rounding past the edge of the data changes nothing
    if any(min(got, size) != min(want, size) for got, want, size in zip(block, asked, shape, strict=True)):
        warnings.warn(
            f"quant_gran={granularity} was rounded up to {block}, a multiple of paral_size={parallel}: "
            "elements in one such block share a scale. Engine takes finer ones",
            MpimpyWarning,
            stacklevel=3,
        )
    return block


def check_cut(rows: int, fmt: Format, config: Config) -> None:
    """Raise ValueError if inputs of a format, cut for arrays of some rows, do not fit those of the weights."""
    config.replace(inputs=fmt)._check("inputs")
    if rows != config.tile.rows:
        msg = (
            f"inputs are cut for arrays of {rows} rows and weights for {config.tile.rows}: "
            f"give the inputs paral_size=(..., {config.tile.rows})"
        )
        raise ValueError(msg)
