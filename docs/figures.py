"""Pictures for the gallery: figures that an example has bound to names.

`mpimpy.plot` makes figures outside pyplot, where sphinx-gallery looks for them.
"""

import pathlib
from typing import Any

seen: set[tuple[str, int]] = set()


def scrape(block: Any, variables: dict[str, Any], conf: dict[str, Any]) -> str:
    """Save the new figures among an example's names; return text that shows them."""
    from matplotlib.figure import Figure
    from sphinx_gallery.scrapers import figure_rst

    saved = []
    for value in list(variables["example_globals"].values()):
        figure = getattr(value, "figure", value)
        key = variables["src_file"], id(figure)
        if isinstance(figure, Figure) and key not in seen:
            seen.add(key)
            saved.append(next(variables["image_path_iterator"]))
            pathlib.Path(saved[-1]).parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(saved[-1], dpi=150)
    return figure_rst(saved, conf["src_dir"])


def _get_sg_image_scraper() -> Any:
    return scrape
