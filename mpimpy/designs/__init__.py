"""The cheapest design for a wanted accuracy: by scaled error budgets, or by search."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._later import later

if TYPE_CHECKING:
    from .cheapest import design
    from .costs import COSTS, looks_at
    from .result import Design, DesignResult
    from .trials import SearchResult, Trial, search

__all__ = ["COSTS", "Design", "DesignResult", "SearchResult", "Trial", "design", "looks_at", "search"]

# The command line adds its command from this package, and imports no array library for that.
__getattr__: Callable[[str], Any] = later(
    __name__,
    {
        "COSTS": "costs",
        "Design": "result",
        "DesignResult": "result",
        "SearchResult": "trials",
        "Trial": "trials",
        "design": "cheapest",
        "looks_at": "costs",
        "search": "trials",
    },
    globals(),
)
