"""Pictures of products: measured against exact values, and compressed photographs."""

from typing import Any

import numpy as np

from ._figure import axes, new_axes, to_numpy
from ._style import COLUMN, label, legend_below, printed

__all__ = ["compression", "error", "grey", "scatter"]

MAX_POINTS = 20_000  # more points only blacken the picture


def _real_values(values: Any) -> Any:
    # real and imaginary parts of complex numbers, one after the other
    values = np.ravel(to_numpy(values))
    return np.concatenate([values.real, values.imag]) if np.iscomplexobj(values) else values


@printed
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
    ax = axes(ax, (COLUMN, 3.7))
    exact, measured = _real_values(exact), _real_values(measured)
    name = "products"
    if exact.size > MAX_POINTS:
        # a random choice: a regular step could take one column of a matrix only
        chosen = np.random.default_rng(0).choice(exact.size, MAX_POINTS, replace=False)
        name = f"{MAX_POINTS} of {exact.size} products"
        exact, measured = exact[chosen], measured[chosen]
    ax.scatter(exact, measured, s=2, alpha=0.35, linewidths=0, color="C0", label=name, rasterized=True)
    if exact.size:
        ends = [float(min(exact.min(), measured.min())), float(max(exact.max(), measured.max()))]
        ax.plot(ends, ends, color="black", linewidth=0.8, linestyle="--", label="measured = expected")
    ax.locator_params(nbins=6)
    ax.set_box_aspect(1)
    ax.set_xlabel("expected product")
    ax.set_ylabel("measured product")
    ax.set_title("" if title is None else title)
    legend_below(ax, markerscale=3)
    return ax


@printed
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


@printed
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
    ax.figure.colorbar(image, cax=bar, label=label("error", "grey levels"), extend="both", orientation="horizontal")
    return _frame(ax, title)


@printed
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

    panels = new_axes(2, 3, width="page", height=6.0)
    grey(result.original, panels[0, 0], "Original")
    for ax, name in zip(panels[0, 1:], ("exact", "crossbar"), strict=True):
        quality = f"PSNR {result.psnr(name, 'original'):.1f} dB to the original"
        grey(getattr(result, name), ax, f"{name.capitalize()}, {result.kept} of 64 coefficients\n{quality}")
    quality = f"PSNR {result.psnr('crossbar', 'exact'):.1f} dB"
    error(result.crossbar - result.exact, panels[1, 0], f"Crossbar minus exact\n{quality}")
    products = (("First product: coefficients", *result.coefficients), ("Second product: pixels", *result.pixels))
    for ax, (name, measured, exact) in zip(panels[1, 1:], products, strict=True):
        scatter(measured, exact, ax, f"{name}\nSNR {SNR(measured, exact):.1f} dB")
    chip = f"chip {result.chip}, seed {result.seed}"
    panels[0, 0].figure.suptitle(f"Compression by 8 x 8 block DCT on memristor crossbars\n{chip}")
    return panels[0, 0].figure
