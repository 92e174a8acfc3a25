"""Sphinx: guides, a gallery of the examples, and a reference from the docstrings.

pip install -e ".[docs]" and python -m sphinx -W --keep-going -b html -j 2 docs site
"""

import pathlib
import re
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # reference, figures

import reference
from pygments.lexers.special import TextLexer

from mpimpy import __version__

HERE = pathlib.Path(__file__).parent

project = "mpimpy"
author = "The mpimpy developers"
project_copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "gallery/*.ipynb"]
suppress_warnings = ["config.cache"]
# for links such as reproducibility.md#where-a-random-number-lives
myst_heading_anchors = 3

default_role = "py:obj"
autodoc_typehints = "none"  # numpydoc states the types
autosummary_generate = False
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!(.*[/\\])?plot_).*\.py$",
    "image_scrapers": ("figures",),  # figures are made outside pyplot
    "reset_modules": (),
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "plot_gallery": True,
    "abort_on_example_error": True,
    "within_subsection_order": "FileNameSortKey",
}
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = f"mpimpy {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
}
html_sidebars = {"*": [], "gallery/*": [], "reference/*": ["sidebar-nav-bs"]}

# pages of the root of the repository, and what their links are called here
ROOT_PAGES = {
    "start": "README.md",
    "changes": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "security": "SECURITY.md",
    "benchmarks": "benchmarks/README.md",
}
LINKS = {f"]({path}": f"]({name}.md" for name, path in ROOT_PAGES.items()} | {
    "](CITATION.cff": "](citing.md",
    "](docs/": "](",
    "](../docs/": "](",
}


def read_root_page(app: Any, name: str, source: list[str]) -> None:
    """Put a page of the root in the place of a page that stands for it."""
    if name in ROOT_PAGES:
        path = HERE.parent / ROOT_PAGES[name]
        app.env.note_dependency(str(path))
        text = path.read_text("utf-8")
        for old, new in LINKS.items():
            text = text.replace(old, new)
        # files that are no pages have no link
        text = re.sub(
            r"(?<!!)\[([^\]]+)\]\((?!https?:|#|[\w-]+\.md)[^)]*\)", r"\1", text
        )
        source[0] = text.replace("# mpimpy\n", "# Start here\n", 1)


def list_guides(app: Any, name: str, source: list[str]) -> None:
    """Put the guides that index.md does not name at the end of its list of guides."""
    if name == "index":
        named = set(re.findall(r"<([\w/]+)>$", source[0], re.MULTILINE))
        pages = sorted({path.stem for path in HERE.glob("*.md")} - named - {"index"})
        others = "".join(f"{page.capitalize()} <{page}>\n" for page in pages)
        source[0] = source[0].replace("Speed <speed>\n", f"Speed <speed>\n{others}")


def setup(app: Any) -> None:
    """Write the pages of the reference, and show the list of floors as plain text."""
    app.add_lexer("rooms", TextLexer)
    app.connect("builder-inited", lambda app: reference.write(HERE / "reference"))
    app.connect("source-read", read_root_page)
    app.connect("source-read", list_guides)
    app.connect("env-check-consistency", reference.check)
