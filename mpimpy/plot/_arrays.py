"""Pictures of what is in the arrays: conductances, their levels, and the voltage that wires lose."""

import numpy as np

from .. import arrays, wires
from ..cells import wiring
from ..checks import as_int, as_int_pair
from ..crossbar import plan as plans
from ..crossbar.programmed import target_levels
from ..matrix import CrossbarMatrix
from ..operands import edge
from ._figure import axes, numbers

__all__ = ["check_matrix", "check_slice", "conductance", "ir_drop", "levels"]

MAP = (5.6, 4.8)  # inches, with a colour bar
CURVES = (6.4, 4.4)
MOST_CURVES = 64  # more histograms cannot be told apart
BINS, MOST_BINS = 200, 2000


def check_matrix(W):
    """Raise TypeError if `W` is not a programmed matrix, ValueError if it has no cells."""
    if not isinstance(W, CrossbarMatrix):
        msg = f"W must be a programmed matrix, such as Engine().program(w), not a {type(W).__name__}"
        raise TypeError(msg)
    if W.programmed is None:
        msg = f"a matrix of shape {W.shape} has no cells to draw"
        raise ValueError(msg)


def check_slice(name, value, fmt, operand):
    """Return the number of a slice, or say which there are."""
    number, bits = as_int(name, value, 0), fmt.digits
    if number >= len(bits):
        msg = (
            f"{name}={number} is out of range: the {operand} have {len(bits)} slices, most significant first, "
            f"0 to {len(bits) - 1} of {', '.join(map(str, bits))} bits"
        )
        raise ValueError(msg)
    return number


def _check_tile(W, tile):
    row, col = as_int_pair("tile", tile, 0)
    down, across, _ = W.tiles
    if row >= down or col >= across:
        msg = (
            f"tile=({row}, {col}) is out of range: the matrix has {down} x {across} tiles, "
            f"(0, 0) to ({down - 1}, {across - 1})"
        )
        raise ValueError(msg)
    return row, col


def _check_pair(W, pair):
    if not W.config.weights.signed:
        if pair is None:
            return ""
        msg = f"pair={pair!r} has no effect: each weight digit of this matrix has one cell: leave it out"
        raise ValueError(msg)
    if pair not in (None, "+", "-"):
        msg = f"pair={pair!r} is unknown: use '+' for the g+ cells of the differential pairs, '-' for their g- cells"
        raise ValueError(msg)
    return pair or "+"


def _check_plane(W, plane):
    if not W.config.weights.double:
        if plane is None:
            return ""
        msg = f"plane={plane!r} has no effect: this matrix has no double exponent: leave it out"
        raise ValueError(msg)
    return 0 if plane is None else as_int("plane", plane, 0, 1)


def _pick(W, number, tile, pair, plane):
    # (S of the cells of one tile, its name)
    check_matrix(W)
    fmt, array = W.config.weights, W.config.tile
    number, (row, col) = check_slice("slice", number, fmt, "weights"), _check_tile(W, tile)
    pair, plane = _check_pair(W, pair), _check_plane(W, plane)
    found = W.conductance()
    name = f"tile ({row}, {col}), slice {number} ({fmt.digits[number]}-bit)"
    if plane != "":
        found, name = found[plane, ...], f"{name}, plane {plane}"
    if pair:
        found, name = found["+-".index(pair), ...], f"{name}, g{pair}"
    top, left = row * array.rows, col * array.cols
    return numbers(found[number, :, :])[top : top + array.rows, left : left + array.cols], name


def _map(values, ax, *, title, label, cmap, low, high, extend="neither"):
    ax = axes(ax, MAP)
    image = ax.imshow(values, cmap=cmap, vmin=low, vmax=high, interpolation="nearest", aspect="auto")
    ax.figure.colorbar(image, ax=ax, label=label, extend=extend)
    ax.locator_params(integer=True, min_n_ticks=1)
    ax.set_xlabel("bit line (column of the tile)")
    ax.set_ylabel("word line (row of the tile)")
    ax.set_title(title)
    return ax


def conductance(W, ax=None, *, slice=0, tile=(0, 0), pair=None, plane=None):
    """Draw the conductances of one array, as programmed: write variation and stuck cells included.

    Colours run from LGS to HGS; the ends of the colour bar are pointed where cells lie beyond.

    Parameters
    ----------
    W : CrossbarMatrix
    ax : Axes, optional
    slice : int
        Slice of the weights, most significant first.
    tile : (int, int)
        Row and column of the tile.
    pair : {"+", "-"}, optional
        Of differential pairs, the g+ cells (by default) or the g- cells.
    plane : {0, 1}, optional
        Of a double exponent, the plane of the elements above their block's mean (by default), or
        of the others.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If there is no such array; the message says what there is.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine, plot
    >>> W = Engine(seed=1).program(np.eye(3))
    >>> plot.conductance(W, slice=3).figure.savefig("cells.png")  # doctest: +SKIP
    """
    cells, name = _pick(W, slice, tile, pair, plane)
    cells, low, high = cells * 1e6, W.config.device.LGS * 1e6, W.config.device.HGS * 1e6
    # the last digit of a conductance is rounded, and not beyond
    beyond = (cells.min() < low - 1e-9 * high, cells.max() > high * (1 + 1e-9))
    extend = ("neither", "max", "min", "both")[2 * beyond[0] + beyond[1]]
    title, label = f"Conductances\n{name}", "conductance (µS)"
    return _map(cells, ax, title=title, label=label, cmap="viridis", low=low, high=high, extend=extend)


def _whole_array(W, cells, number):
    # (S of a whole array, its last column that of the reference or the unit, share of full scale on each row)
    config, cell_format, cells_now = W.config, plans.cell_format(W.config), W.programmed.as_programmed
    rows, cols, unit = config.tile.rows, config.tile.cols, config.device.grid_unit_S(cell_format.fraction)
    # the reference drifts, too
    found = np.full((rows, cols + 1), config.device.LGS + (cells_now.reference - cell_format.reference) * unit)
    found[: cells.shape[0], : cells.shape[1]] = cells
    if number == 0:
        found[:, -1] += wiring.unit_column(config, cell_format, cells_now) * unit
    return found, (np.arange(rows) < cells.shape[0]).astype(float)


def ir_drop(conductance, ax=None, *, slice=0, tile=(0, 0), pair=None, plane=None, r_word=None, r_bit=None):
    """Draw how much of the driving voltage the wires of an array keep from each cell.

    With every input at full scale: the share of the voltage that is not across the cell, between its
    word line and its bit line. Of a programmed matrix the whole array is solved, its unused cells and
    its reference column included, with the conductances as programmed; it takes seconds.

    Parameters
    ----------
    conductance : CrossbarMatrix, or array of shape (rows, cols)
        A programmed matrix, or conductances of one array's cells, S.
    ax : Axes, optional
    slice, tile, pair, plane
        Which array of a programmed matrix, as for `conductance`.
    r_word, r_bit : float, optional
        Resistance of one segment of word line, of bit line, Ohm; by default that of the matrix's wires.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If there is no such array, or no resistance.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import plot
    >>> ax = plot.ir_drop(np.full((64, 64), 1e-5), r_word=2.0, r_bit=2.0)  # doctest: +SKIP
    """
    matrix = isinstance(conductance, CrossbarMatrix)
    known = conductance.config.wires if matrix else None
    r_word = known.r_word if r_word is None and known is not None else r_word
    r_bit = known.r_bit if r_bit is None and known is not None else r_bit
    if r_word is None or r_bit is None:
        msg = "an array of conductances has no wires of its own: pass r_word and r_bit, Ohm"
        if matrix:
            msg = (
                "the matrix was programmed without wire resistance: program it with wires=Wires(r_word, r_bit), "
                "or wire_resistance=(r_word, r_bit), or pass r_word and r_bit here, Ohm"
            )
        raise ValueError(msg)
    if matrix:
        cells, name = _pick(conductance, slice, tile, pair, plane)
        found, driven = _whole_array(conductance, cells, slice)
    else:
        given = {"slice": (slice, 0), "tile": (tile, (0, 0)), "pair": (pair, None), "plane": (plane, None)}
        for setting, (value, usual) in given.items():
            if value != usual:
                msg = f"{setting}={value!r} has no effect on an array of conductances, which is one tile: leave it out"
                raise ValueError(msg)
        cells = found = numbers(edge.accept("conductance", arrays.detach(conductance)).array)
        if found.ndim != 2:
            msg = f"conductance has shape {found.shape}: a picture is of one tile, (rows, cols)"
            raise ValueError(msg)
        driven, name = np.ones(found.shape[0]), f"array of {found.shape[0]} x {found.shape[1]}"
    word, bit = wires.node_voltages(found, driven, r_word, r_bit)
    lost = 100 * (1 - (word - bit))[: cells.shape[0], : cells.shape[1]]
    title, label = f"IR drop, {r_word:g} and {r_bit:g} Ω a segment\n{name}", "share of the driving voltage lost (%)"
    return _map(lost, ax, title=title, label=label, cmap="inferno", low=0, high=lost.max() or 1.0)


def levels(W, ax=None):
    """Draw histograms of the programmed conductances, one for each level that cells were to be at.

    All slices and tiles together, on a logarithmic scale; what two levels share is their overlap.
    Write variation and stuck cells are in it, read variation is not. Of more than 64 levels,
    neighbours are drawn together.

    Parameters
    ----------
    W : CrossbarMatrix
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Device, Engine, plot
    >>> W = Engine(Device(write_var=0.02), seed=1).program(np.eye(100))
    >>> plot.levels(W).figure.savefig("levels.png")  # doctest: +SKIP
    """
    check_matrix(W)
    ax = axes(ax, CURVES)
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator

    device, cells = W.config.device, numbers(W.conductance()) * 1e6
    # cells are kept least significant slice first
    target = np.flip(numbers(target_levels(W.config, W.programmed.encoded)).reshape(cells.shape), axis=-3).ravel()
    order, present = np.argsort(target, kind="stable"), np.unique(target)
    cells, target = cells.ravel()[order], target[order]
    low, high = min(cells.min(), device.LGS * 1e6), max(cells.max(), device.HGS * 1e6)
    bins = max(BINS, min(4 * device.g_level, MOST_BINS))
    edges = np.linspace(low - (high - low) / bins, high + (high - low) / bins, bins + 3)
    scale, peak = Normalize(0, device.g_level - 1), 1
    for group in np.array_split(present, min(len(present), MOST_CURVES)):
        first, last = np.searchsorted(target, group[0], "left"), np.searchsorted(target, group[-1], "right")
        counts, _ = np.histogram(cells[first:last], edges)
        peak = max(peak, counts.max())
        colour = colormaps["turbo"](scale(group.mean()))
        label = f"level {group[0]}" if len(group) == 1 else f"levels {group[0]} to {group[-1]}"
        ax.stairs(counts, edges, fill=True, color=colour, alpha=0.5, linewidth=0, label=label)
        ax.stairs(counts, edges, color=colour, linewidth=0.8)
    ax.set_yscale("log")
    ax.set_ylim(0.7, 2.0 * peak)
    ticks = MaxNLocator(integer=True)
    ax.figure.colorbar(ScalarMappable(scale, "turbo"), ax=ax, label="target level (number)", ticks=ticks)
    ax.set_xlabel("programmed conductance (µS)")
    ax.set_ylabel("cells (number)")
    ax.set_title(f"Conductances by level\n{target.size} cells at {len(present)} of {device.g_level} levels")
    return ax
