"""Arrays, cells and conversions of a product, counted without a read: `mpimpy.cost.counts`, by its older name."""

from ..cost._counts import Counts, counts

__all__ = ["Counts", "counts"]
