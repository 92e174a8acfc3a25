"""The table of a published figure: quantity, the paper's number, the number here, and what the paper leaves out."""

import textwrap
from typing import NamedTuple

WIDTH = 46  # of the last column


class Row(NamedTuple):
    """One figure.

    Attributes
    ----------
    quantity : str
    paper : str
        As published; "-" where the paper has no number that is public.
    here : str
    left_out : str
        What the source does not say, and what stands in its place.
    """

    quantity: str
    paper: str
    here: str
    left_out: str = ""


def show(title, rows):
    """Print the table."""
    heads = Row("quantity", "paper", "here", "what the paper leaves out")
    widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(3)]
    print(title)
    for row in (heads, *rows):
        lines = textwrap.wrap(row.left_out, WIDTH) or [""]
        cells = " | ".join(text.ljust(width) for text, width in zip(row[:3], widths, strict=True))
        print(f"{cells} | {lines[0]}".rstrip())
        for line in lines[1:]:
            print(" | ".join(" " * width for width in widths) + f" | {line}")
        if row is heads:
            print("-+-".join("-" * width for width in (*widths, WIDTH)))


def save(figure, path):
    """Write a picture, if there is a path for it."""
    if path:
        figure.savefig(path)
        print(f"picture: {path}")
