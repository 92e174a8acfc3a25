"""One product at any settings, as plain values, and a page with sliders that shows it.

`explore` is the function behind the page. `serve` gives the page to a browser on this machine; the command is
``mpimpy explore``.
"""

from ._explore import explore
from ._server import serve

__all__ = ["explore", "serve"]
