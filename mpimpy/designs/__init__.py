"""The cheapest design for a wanted accuracy: by scaled error budgets, or by search."""

from .cheapest import design
from .costs import COSTS, looks_at
from .result import Design, DesignResult
from .trials import SearchResult, Trial, search

__all__ = ["COSTS", "Design", "DesignResult", "SearchResult", "Trial", "design", "looks_at", "search"]
