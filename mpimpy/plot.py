"""Pictures of products. Matplotlib is imported when something is drawn, and needs no screen."""

__all__ = ["compression", "error", "grey", "levels", "new_axes", "scatter"]

MAX_POINTS = 20_000  # more points only blacken the picture
DPI = 160


def new_axes(rows=1, cols=1, size=(5.0, 5.0)):
    """Return the axes of a figure of its own, outside pyplot.

    Parameters
    ----------
    rows, cols : int
        Panels.
    size : (float, float)
        Width and height of a panel, inches.

    Returns
    -------
    ndarray of Axes, shape (rows, cols)
        Their ``figure`` can be saved as it is.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(cols * size[0], rows * size[1]), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure.subplots(rows, cols, squeeze=False)


def _axes(ax):
    return new_axes()[0, 0] if ax is None else ax


def _flat(values):
    import numpy as np

    values = np.ravel(np.asarray(values))
    return np.concatenate([values.real, values.imag]) if np.iscomplexobj(values) else values


def scatter(measured, exact, ax=None, title=None):
    """Draw measured against expected products; on the diagonal they agree.

    Parameters
    ----------
    measured, exact : array_like
        Of one shape. Real and imaginary parts of complex numbers are points of their own. Of
        more than 20 000 points as many are drawn, the same ones for every array of that size.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
    """
    import numpy as np

    ax = _axes(ax)
    exact, measured = _flat(exact), _flat(measured)
    label = "products"
    if exact.size > MAX_POINTS:
        # drawn by lot: a regular step could hit the same column of a matrix every time
        some = np.random.default_rng(0).choice(exact.size, MAX_POINTS, replace=False)
        label = f"{MAX_POINTS} of {exact.size} products"
        exact, measured = exact[some], measured[some]
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


def grey(picture, ax=None, title=None):
    """Draw a picture in grey.

    Parameters
    ----------
    picture : array_like, shape (H, W)
        0 is black and 255 white; what lies beyond is drawn as these.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    return _frame(ax, title)


def _frame(ax, title):
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title("" if title is None else title)
    return ax


def error(difference, ax=None, title=None):
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
    import numpy as np

    ax = _axes(ax)
    # no error at all still needs a range of colours
    limit = float(np.percentile(np.abs(difference), 99.5)) or 1.0
    image = ax.imshow(difference, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    bar = ax.inset_axes((0.0, -0.06, 1.0, 0.035))
    ax.figure.colorbar(image, cax=bar, label="grey levels", extend="both", orientation="horizontal")
    return _frame(ax, title)


def levels(measured, ax=None, title=None):
    """Draw the measured distribution of every level, and the Gaussian of its mean and spread.

    Parameters
    ----------
    measured : mpimpy.Measured
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
        Share of a level's samples that lie below a conductance, in uS.
    """
    from statistics import NormalDist

    import numpy as np

    ax = _axes(ax)
    for level, row in zip(measured.levels, measured.samples.conductance_S, strict=True):
        at, colour = np.asarray(row) * 1e6, f"C{level.level % 10}"
        ax.plot(np.repeat(at, 2), np.repeat(np.arange(at.size + 1) / at.size, 2)[1:-1], color=colour, linewidth=1.2)
        if level.spread_S > 0:
            fit = NormalDist(level.mean_S * 1e6, level.spread_S * 1e6)
            line = np.linspace(fit.mean - 3 * fit.stdev, fit.mean + 3 * fit.stdev, 61)
            ax.plot(line, [fit.cdf(g) for g in line], color="black", linewidth=0.6, linestyle="--")
    ax.plot([], [], color="C0", linewidth=1.2, label="measured, a colour per level")
    ax.plot([], [], color="black", linewidth=0.6, linestyle="--", label="Gaussian of same mean and spread")
    ax.set_xlabel("Conductance (uS)")
    ax.set_ylabel("Share of samples below")
    ax.set_title("" if title is None else title)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), fontsize="small", frameon=False)
    return ax


def compression(result):
    """Draw a compressed picture: original, exact, crossbar, error and both products.

    Parameters
    ----------
    result : mpimpy.demo.Compression

    Returns
    -------
    Figure
    """
    from .metrics import SNR

    axes = new_axes(2, 3, size=(4.2, 4.9))
    grey(result.original, axes[0, 0], "Original")
    for ax, name in zip(axes[0, 1:], ("exact", "crossbar"), strict=True):
        quality = f"PSNR {result.psnr(name, 'original'):.1f} dB to the original"
        grey(getattr(result, name), ax, f"{name.capitalize()}, {result.kept} of 64 coefficients\n{quality}")
    quality = f"PSNR {result.psnr('crossbar', 'exact'):.1f} dB"
    error(result.crossbar - result.exact, axes[1, 0], f"Crossbar minus exact\n{quality}")
    products = (("First product: coefficients", *result.coefficients), ("Second product: pixels", *result.pixels))
    for ax, (name, measured, exact) in zip(axes[1, 1:], products, strict=True):
        scatter(measured, exact, ax, f"{name}\nSNR {SNR(measured, exact):.1f} dB")
    axes[0, 0].figure.suptitle(f"Compression by 8 x 8 block DCT on memristor crossbars (seed {result.seed})")
    return axes[0, 0].figure
