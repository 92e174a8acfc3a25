"""HTML tables for notebooks: plain elements, all text escaped, nothing loaded from outside."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["table"]


def table(rows: Iterable[Sequence[object]], *, head: Sequence[object] = (), caption: str = "") -> str:
    """Return an HTML table; the first cell of a row is its heading.

    Parameters
    ----------
    rows : iterable of sequences
        Cells, which are shown by their text.
    head : sequence, optional
        Headings of the columns.
    caption : str

    Examples
    --------
    >>> table([("rows", "<64>")])
    '<table><tbody><tr><th style="text-align: left">rows</th><td>&lt;64&gt;</td></tr></tbody></table>'
    """
    top = f'<caption style="caption-side: top">{escape(caption)}</caption>' if caption else ""
    if head:
        top += f"<thead><tr>{''.join(f'<th>{escape(str(cell))}</th>' for cell in head)}</tr></thead>"
    lines = [
        f'<tr><th style="text-align: left">{escape(str(first))}</th>'
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    ]
    return f"<table>{top}<tbody>{''.join(lines)}</tbody></table>"
