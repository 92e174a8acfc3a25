"""The cheapest design for a wanted accuracy: by scaled error budgets, or by search."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cheapest import design
    from .costs import COSTS, looks_at
    from .result import Design, DesignResult
    from .trials import SearchResult, Trial, search

__all__ = ["COSTS", "Design", "DesignResult", "SearchResult", "Trial", "design", "looks_at", "search"]

# The command line adds its command from this package, and imports no array library for that.
_LATER = {
    "COSTS": "costs",
    "Design": "result",
    "DesignResult": "result",
    "SearchResult": "trials",
    "Trial": "trials",
    "design": "cheapest",
    "looks_at": "costs",
    "search": "trials",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    found = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = found
    return found
