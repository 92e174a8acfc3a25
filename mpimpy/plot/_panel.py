"""Axes whose titles and legends stay as small as the rest, whoever writes them."""

from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes

from ._style import STYLE

__all__ = ["Panel"]


class Panel(Axes):
    """Axes of `new_axes`: Matplotlib takes the size of a title from its settings when the title is written."""

    def set_title(self, *given: Any, **how: Any) -> Any:
        """Write a title, in letters of 8 points by default."""
        with rc_context(STYLE):
            return super().set_title(*given, **how)

    def legend(self, *given: Any, **how: Any) -> Any:
        """Write a legend, in letters of 7 points by default."""
        with rc_context(STYLE):
            return super().legend(*given, **how)
