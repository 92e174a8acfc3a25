"""The page: one HTML document with its style and script, and what a browser may do with it."""

import base64
import functools
import hashlib
from importlib import resources

from ._controls import form

__all__ = ["ICON", "page"]

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M5 0v16M11 0v16M0 5h16M0 11h16" '
    'stroke="#0b5cad" stroke-width="2"/><circle cx="11" cy="5" r="3" fill="#d4660a"/></svg>'
)


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


@functools.cache
def page() -> tuple[str, str]:
    """Return the page, and its content security policy: nothing but this page's own script, style and requests."""
    parts = {"CSS": _part("page.css"), "JS": _part("page.js"), "FORM": form()}
    text = _part("page.html")
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    policy = (
        f"default-src 'none'; script-src {_source(parts['JS'])}; style-src {_source(parts['CSS'])}; img-src data: "
        "'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy
