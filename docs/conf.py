"""Sphinx: the pages of this folder, and the public names from their docstrings.

pip install -e ".[docs]" and sphinx-build -W docs docs/_build
"""

from typing import Any

from pygments.lexers.special import TextLexer

from mpimpy import __version__

project = "mpimpy"
author = "The mpimpy developers"
project_copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3  # for links such as reproducibility.md#where-a-random-number-lives

autodoc_typehints = "none"  # numpydoc states the types
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = f"mpimpy {release}"
html_show_sourcelink = False


def setup(app: Any) -> None:
    """Show the list of floors in architecture.md as plain text."""
    app.add_lexer("rooms", TextLexer)
