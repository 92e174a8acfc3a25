"""Pictures of products: measured against exact values, compressed photographs, and error budgets."""

import math
from typing import Any

import numpy as np

from ..analysis.report import Report
from ._figure import axes, new_axes, to_numpy

__all__ = ["compression", "error", "error_budget", "grey", "scatter"]

MAX_POINTS = 20_000  # more points only blacken the picture
NOTHING_dB = 200  # as in a printed report, the rounding of float64 is no effect


def _real_values(values: Any) -> Any:
    # real and imaginary parts of complex numbers, one after the other
    values = np.ravel(to_numpy(values))
    return np.concatenate([values.real, values.imag]) if np.iscomplexobj(values) else values


def scatter(measured: Any, exact: Any, ax: Any = None, title: str | None = None) -> Any:
    """Draw measured against expected products; they agree on the diagonal.

    Parameters
    ----------
    measured, exact : array_like
        Of one shape. Real and imaginary parts of complex numbers are points of their own. At most 20 000
        points are drawn: the same ones for every array of one size.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
    """
    ax = axes(ax)
    exact, measured = _real_values(exact), _real_values(measured)
    label = "products"
    if exact.size > MAX_POINTS:
        # a random choice: a regular step could take one column of a matrix only
        chosen = np.random.default_rng(0).choice(exact.size, MAX_POINTS, replace=False)
        label = f"{MAX_POINTS} of {exact.size} products"
        exact, measured = exact[chosen], measured[chosen]
    ax.scatter(exact, measured, s=4, alpha=0.35, linewidths=0, color="C0", label=label, rasterized=True)
    if exact.size:
        ends = [float(min(exact.min(), measured.min())), float(max(exact.max(), measured.max()))]
        ax.plot(ends, ends, color="black", linewidth=0.8, linestyle="--", label="measured = expected")
    ax.locator_params(nbins=6)
    ax.set_box_aspect(1)
    ax.set_xlabel("Expected Value of Dot Product")
    ax.set_ylabel("Measured Value of Dot Product")
    ax.set_title("" if title is None else title)
    ax.legend(loc="upper left", fontsize="small", markerscale=3)
    return ax


def grey(picture: Any, ax: Any = None, title: str | None = None) -> Any:
    """Draw a picture in grey.

    Parameters
    ----------
    picture : array_like, shape (H, W)
        0 is black and 255 white; values beyond are drawn as these.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
    """
    ax = axes(ax)
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    return _frame(ax, title)


def _frame(ax: Any, title: str | None) -> Any:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title("" if title is None else title)
    return ax


def error(difference: Any, ax: Any = None, title: str | None = None) -> Any:
    """Draw an error in two colours, with a colour bar that covers 99.5 % of the elements.

    Parameters
    ----------
    difference : array_like, shape (H, W)
        Grey levels; zero is white.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
    """
    ax = axes(ax)
    # colours need a range even if there is no error
    limit = float(np.percentile(np.abs(difference), 99.5)) or 1.0
    image = ax.imshow(difference, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    bar = ax.inset_axes((0.0, -0.06, 1.0, 0.035))
    ax.figure.colorbar(image, cax=bar, label="grey levels", extend="both", orientation="horizontal")
    return _frame(ax, title)


def compression(result: Any) -> Any:
    """Draw a compressed picture: original, exact, crossbar, error and both products.

    Parameters
    ----------
    result : mpimpy.demo.Compression

    Returns
    -------
    Figure
    """
    from ..analysis.metrics import SNR

    panels = new_axes(2, 3, size=(4.2, 4.9))
    grey(result.original, panels[0, 0], "Original")
    for ax, name in zip(panels[0, 1:], ("exact", "crossbar"), strict=True):
        quality = f"PSNR {result.psnr(name, 'original'):.1f} dB to the original"
        grey(getattr(result, name), ax, f"{name.capitalize()}, {result.kept} of 64 coefficients\n{quality}")
    quality = f"PSNR {result.psnr('crossbar', 'exact'):.1f} dB"
    error(result.crossbar - result.exact, panels[1, 0], f"Crossbar minus exact\n{quality}")
    products = (("First product: coefficients", *result.coefficients), ("Second product: pixels", *result.pixels))
    for ax, (name, measured, exact) in zip(panels[1, 1:], products, strict=True):
        scatter(measured, exact, ax, f"{name}\nSNR {SNR(measured, exact):.1f} dB")
    panels[0, 0].figure.suptitle(f"Compression by 8 x 8 block DCT on memristor crossbars (seed {result.seed})")
    return panels[0, 0].figure


def error_budget(report: Report, ax: Any = None) -> Any:
    """Draw the error budget of a product: each effect alone, and everything but it.

    The dashed line is the product as configured. A short bar of an effect alone shows a high cost. A bar of
    the product without it, far beyond the line, shows that mending the effect would help much.

    Parameters
    ----------
    report : mpimpy.Report
        From `mpimpy.explain`, or a programmed matrix's ``report``.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If `report` is not a report.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import explain, plot
    >>> ax = plot.error_budget(explain(np.ones((2, 70)), np.ones((70, 3)), seed=1))  # doctest: +SKIP
    """
    if not hasattr(report, "effects"):
        msg = f"report must be a mpimpy.Report, from explain(x, w) or W.report(x), not a {type(report).__name__}"
        raise TypeError(msg)
    ax = axes(ax, (7.0, 1.2 + 0.45 * len(report.effects)))
    alone, without = ([getattr(effect, part) for effect in report.effects] for part in ("alone_dB", "without_dB"))
    for label, values, nothing, colour, shift in (
        ("alone", alone, "no cost", "C0", -0.2),
        ("without it", without, "no error", "C1", 0.2),
    ):
        heights = [row + shift for row in range(len(values))]
        shown = [_is_shown(value) for value in values]
        bars = ax.barh(
            heights, [v if s else 0.0 for v, s in zip(values, shown, strict=True)], 0.38, color=colour, label=label
        )
        # -inf dB: the exact product is zero, and all of the result is error
        words = [f"{v:.1f}" if s else nothing if v > 0 else "all error" for v, s in zip(values, shown, strict=True)]
        for text, bar in zip(ax.bar_label(bars, words, padding=3, fontsize="small"), shown, strict=True):
            text.set(style="normal" if bar else "italic", color="black" if bar else "0.4")
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5})  # over the line
    if _is_shown(report.snr_dB):
        label = f"as configured: {report.snr_dB:.1f} dB"
        ax.axvline(report.snr_dB, color="black", linestyle="--", linewidth=0.8, label=label)
    ax.set_yticks(range(len(report.effects)), [effect.name for effect in report.effects])
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlabel("SNR (dB)")
    # the legend stands between title and bars, where it covers nothing
    ax.set_title("Error budget", pad=24)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize="small", frameon=False)
    return ax


def _is_shown(value: float) -> bool:
    return math.isfinite(value) and value <= NOTHING_dB
