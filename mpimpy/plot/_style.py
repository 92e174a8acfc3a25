"""The look of pictures in print: widths, sizes of letters, colours of ordered things, labels and captions."""

import functools
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Literal, ParamSpec, TypeVar

from ..checks import as_float, fail, install
from ..matrix import CrossbarMatrix

__all__ = [
    "COLUMN",
    "DPI",
    "PALEST",
    "SEQUENTIAL",
    "STYLE",
    "Width",
    "chip_of",
    "inches",
    "label",
    "legend_below",
    "matplotlib",
    "ordered",
    "ours",
    "printed",
    "set_titles",
]

Width = Literal["column", "page"]

WIDTHS: dict[str, float] = {"column": 3.5, "page": 7.0}  # inches, of most journals
COLUMN = WIDTHS["column"]

DPI = 300
SMALL, TEXT = 7.0, 8.0  # points; journals ask for 5 to 7 at least
STYLE: Any = {
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "figure.titlesize": TEXT,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "axes.titlepad": 4.0,
    "axes.labelpad": 2.5,
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
}
SEQUENTIAL = "viridis"
PALEST = 0.9  # the end of the colour map is too pale for lines on white paper

UNITS = {"uS": "µS", "uA": "µA", "Ohm": "Ω", "ohm": "Ω", "1": "", "relative": ""}

ours: "weakref.WeakSet[Any]" = weakref.WeakSet()  # figures that `new_axes` made: others keep their own style

P = ParamSpec("P")
R = TypeVar("R")


def inches(width: Width | float) -> float:
    """Return the width of a figure, inches.

    Raises
    ------
    ValueError
        If it is neither a name nor a number from 1 to 40.
    """
    if isinstance(width, str):
        if width not in WIDTHS:
            fail(
                ValueError, f"width={width!r} is unknown: use 'column' (3.5 inches), 'page' (7), or a number of inches"
            )
        return WIDTHS[width]
    return as_float("width", width, 1.0, 40.0)


def matplotlib() -> Any:
    """Return Matplotlib, or tell how to install it.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    try:
        import matplotlib as mpl
        import matplotlib.figure
    except ModuleNotFoundError as error:
        msg = f"pictures need Matplotlib, which is not installed: {install('plot')}"
        raise ModuleNotFoundError(msg) from error
    return mpl


def printed(draw: Callable[P, R]) -> Callable[P, R]:
    """Return a drawing function whose letters and lines fit a journal, on figures of `new_axes`.

    Axes of other figures keep the style of their user.
    """

    @functools.wraps(draw)
    def drawn(*given: P.args, **named: P.kwargs) -> R:
        both: tuple[Any, ...] = (*given, *named.values())
        ax = next((each for each in both if hasattr(each, "figure") and hasattr(each, "get_xlabel")), None)
        if ax is not None and ax.figure not in ours:
            return draw(*given, **named)
        with matplotlib().rc_context(STYLE):
            return draw(*given, **named)

    return drawn


def label(quantity: str, unit: str | None = None) -> str:
    """Return the label of an axis, ``quantity (unit)``, with units spelt alike in all pictures."""
    unit = UNITS.get(unit or "", unit)
    return f"{quantity} ({unit})" if unit else quantity


def ordered(count: int) -> list[Any]:
    """Return colours of `count` ordered things, dark to bright, which also print in grey."""
    from matplotlib import colormaps

    return [colormaps[SEQUENTIAL](PALEST * place / max(1, count - 1)) for place in range(count)]


def chip_of(W: CrossbarMatrix) -> list[str]:
    """Return the chip, the seed and the age of a matrix, for a caption."""
    age = [] if W.age is None else [str(W.age).partition(",")[0]]
    return [f"chip {W.chip}, seed {W.seed}", *age]


def set_titles(ax: Any, title: str, parts: Iterable[str] = ()) -> None:
    """Write a title above axes, and the parts of a caption below it, on as many lines as the axes are wide for."""
    most = max(26, int(72 * ax.get_window_extent().width / ax.figure.dpi / (0.5 * ax.title.get_fontsize())))
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 2 <= most:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    ax.set_title("\n".join([title, *lines]))


def legend_below(ax: Any, side: Literal["center", "right"] = "center", lines: float = 3.4, **options: Any) -> None:
    """Write a legend below the ticks and the label of an axis, `lines` high, where it covers nothing."""
    from matplotlib.transforms import offset_copy

    below = -lines * ax.xaxis.label.get_fontsize()
    where = offset_copy(ax.transAxes, ax.figure, y=below, units="points")
    at = (0.5 if side == "center" else 1.0, 0.0)
    ax.legend(loc=f"upper {side}", bbox_to_anchor=at, bbox_transform=where, borderaxespad=0, **options)
