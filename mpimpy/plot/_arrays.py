"""Pictures of arrays: conductances, their levels, and the voltage lost on wires."""

from typing import Any, TypedDict, Unpack

import numpy as np

from .. import arrays, wires
from ..cells import wiring
from ..checks import as_float, as_int, as_int_pair, check_names, fail
from ..config import Format
from ..crossbar import plan as plans
from ..crossbar.programmed import Programmed, target_levels
from ..matrix import CrossbarMatrix
from ..operands import edge
from ._figure import axes, to_numpy
from ._style import COLUMN, PALEST, SEQUENTIAL, chip_of, label, printed, set_titles

__all__ = ["cells_of", "check_slice", "conductance", "ir_drop", "levels"]

MAP = (COLUMN, 3.1)  # inches, with a colour bar
CURVES = (COLUMN, 2.7)
MOST_CURVES = 64  # more histograms cannot be told apart
BINS, MOST_BINS = 200, 2000


class Choice(TypedDict, total=False):
    """Choice of one array of a programmed matrix, as `conductance` takes it."""

    slice: int
    tile: tuple[int, int]
    pair: str | None
    plane: int | None


DEFAULT: Choice = {"slice": 0, "tile": (0, 0), "pair": None, "plane": None}


def cells_of(W: CrossbarMatrix) -> Programmed:
    """Return the cells of a programmed matrix.

    Raises
    ------
    TypeError
        If `W` is not a programmed matrix.
    ValueError
        If it has no cells.
    """
    if not isinstance(W, CrossbarMatrix):
        fail(TypeError, f"W must be a programmed matrix, such as Engine().program(w), not a {type(W).__name__}")
    if W.programmed is None:
        fail(ValueError, f"a matrix of shape {W.shape} has no cells to draw")
    return W.programmed


def check_slice(name: str, value: Any, fmt: Format, operand: str) -> int:
    """Return the number of a slice, checked.

    Raises
    ------
    TypeError, ValueError
        If there is no such slice; the message lists them.
    """
    number, bits = as_int(name, value, 0), fmt.digits
    if number >= len(bits):
        msg = (
            f"{name}={number} is out of range: the {operand} have {len(bits)} slices, most significant first, "
            f"0 to {len(bits) - 1} of {', '.join(map(str, bits))} bits"
        )
        raise ValueError(msg)
    return number


def _check_tile(W: CrossbarMatrix, tile: Any) -> tuple[int, int]:
    row, col = as_int_pair("tile", tile, 0)
    down, across, _ = W.tiles
    if row >= down or col >= across:
        msg = (
            f"tile=({row}, {col}) is out of range: the matrix has {down} x {across} tiles, "
            f"(0, 0) to ({down - 1}, {across - 1})"
        )
        raise ValueError(msg)
    return row, col


def _check_pair(W: CrossbarMatrix, pair: str | None) -> str:
    if not W.config.weights.signed:
        if pair is None:
            return ""
        msg = f"pair={pair!r} has no effect: each weight digit of this matrix has one cell: leave it out"
        raise ValueError(msg)
    if pair not in (None, "+", "-"):
        msg = f"pair={pair!r} is unknown: use '+' for the g+ cells of the differential pairs, '-' for their g- cells"
        raise ValueError(msg)
    return pair or "+"


def _check_plane(W: CrossbarMatrix, plane: int | None) -> int | None:
    if not W.config.weights.double:
        if plane is None:
            return None
        msg = f"plane={plane!r} has no effect: this matrix has no double exponent: leave it out"
        raise ValueError(msg)
    return 0 if plane is None else as_int("plane", plane, 0, 1)


def _pick(W: CrossbarMatrix, choice: Choice) -> tuple[Any, str]:
    # conductances of one array, S, and its name
    cells_of(W)
    choice = {**DEFAULT, **choice}
    fmt, array = W.config.weights, W.config.tile
    number, (row, col) = check_slice("slice", choice["slice"], fmt, "weights"), _check_tile(W, choice["tile"])
    pair, plane = _check_pair(W, choice["pair"]), _check_plane(W, choice["plane"])
    found = W.conductance()
    name = f"tile ({row}, {col}), slice {number} ({fmt.digits[number]}-bit)"
    if plane is not None:
        found, name = found[plane, ...], f"{name}, plane {plane}"
    if pair:
        found, name = found["+-".index(pair), ...], f"{name}, g{pair}"
    top, left = row * array.rows, col * array.cols
    return to_numpy(found[number, :, :])[top : top + array.rows, left : left + array.cols], name


def _map(values: Any, ax: Any, title: tuple[str, list[str]], bar: str, colours: dict[str, Any], extend: str) -> Any:
    ax = axes(ax, MAP)
    image = ax.imshow(values, **colours, interpolation="nearest", aspect="auto")
    ax.figure.colorbar(image, ax=ax, label=bar, extend=extend)
    ax.locator_params(integer=True, min_n_ticks=1)
    ax.set_xlabel("bit line (column of the tile)")
    ax.set_ylabel("word line (row of the tile)")
    set_titles(ax, *title)
    return ax


@printed
def conductance(
    W: CrossbarMatrix,
    ax: Any = None,
    *,
    slice: int = 0,
    tile: tuple[int, int] = (0, 0),
    pair: str | None = None,
    plane: int | None = None,
) -> Any:
    """Draw the conductances of one array as programmed, write variation and stuck cells included.

    Colours run from LGS to HGS. An end of the colour bar is pointed if cells lie beyond it.

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
        Of a double exponent, the plane of the elements above their block's mean (0, by default), or the
        plane of the others (1).

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
    cells, name = _pick(W, {"slice": slice, "tile": tile, "pair": pair, "plane": plane})
    cells, low, high = cells * 1e6, W.config.device.LGS * 1e6, W.config.device.HGS * 1e6
    # a rounded last digit does not count as beyond
    beyond = (cells.min() < low - 1e-9 * high, cells.max() > high * (1 + 1e-9))
    extend = ("neither", "max", "min", "both")[2 * beyond[0] + beyond[1]]
    title, bar = ("Conductances", [name, *chip_of(W)]), label("conductance", "uS")
    return _map(cells, ax, title, bar, {"cmap": SEQUENTIAL, "vmin": low, "vmax": high}, extend)


def _whole_array(W: CrossbarMatrix, cells: Any, choice: Choice) -> tuple[Any, Any]:
    # Conductances of an array with its unused cells, S, and the voltage of each row, as a share of full scale.
    # The last columns are the reference's, or the unit columns.
    number, (row, col) = choice.get("slice", 0), choice.get("tile", (0, 0))
    config, cell_format, cells_now = W.config, plans.cell_format(W.config), cells_of(W).as_programmed
    rows, cols, unit = config.tile.rows, config.tile.cols, config.device.grid_unit_S(cell_format.fraction)
    # the reference drifts as well
    columns = config.tile.reference_columns
    found = np.full((rows, cols + columns), config.device.LGS + (cells_now.reference - cell_format.reference) * unit)
    found[: cells.shape[0], : cells.shape[1]] = cells
    if number == 0:
        found[:, cols:] += wiring.unit_column(config, cell_format, cells_now) * unit
    if not config.weights.signed:
        beside, lead = W.reference_conductance(), W.origin[1] % cols
        beside = to_numpy(beside[choice.get("plane") or 0, ...] if config.weights.double else beside)
        top, at = row * rows, (lead + col * cols) // cols * columns
        found[: cells.shape[0], cols:] = beside[number, top : top + rows, at : at + columns]
    return found, (np.arange(rows) < cells.shape[0]).astype(float)


def _resistances(W: CrossbarMatrix, r_word: float | None, r_bit: float | None) -> tuple[float, float]:
    wires = W.config.wires
    if wires is not None:
        return wires.r_word if r_word is None else r_word, wires.r_bit if r_bit is None else r_bit
    if r_word is None or r_bit is None:
        fail(
            ValueError,
            "the matrix was programmed without wire resistance: program it with wires=Wires(r_word, r_bit), "
            "or wire_resistance=(r_word, r_bit), or pass r_word and r_bit here, Ohm",
        )
    return r_word, r_bit


@printed
def ir_drop(
    conductance: Any,
    ax: Any = None,
    *,
    r_word: float | None = None,
    r_bit: float | None = None,
    vmax: float | None = None,
    **choice: Unpack[Choice],
) -> Any:
    """Draw the share of the driving voltage that is lost on the wires, cell by cell.

    Every input is at full scale. A cell's voltage is that between its word line and its bit line. Of a
    programmed matrix the whole array is solved, with the conductances as programmed, its unused cells and its
    reference column included; it takes seconds.

    Parameters
    ----------
    conductance : CrossbarMatrix, or array of shape (rows, cols)
        A programmed matrix, or conductances of one array's cells, S.
    ax : Axes, optional
    slice, tile, pair, plane
        Which array of a programmed matrix, as for `conductance`.
    r_word, r_bit : float, optional
        Resistance of one segment of word line, of bit line, Ohm; by default that of the matrix's wires.
    vmax : float, optional
        Top of the colour scale, %, so that several pictures can be compared; by default the largest loss. The colour
        bar is pointed if cells lose more.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If there is no such array, or no resistance, or `vmax` is not above 0 and at most 100.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import plot
    >>> ax = plot.ir_drop(np.full((64, 64), 1e-5), r_word=2.0, r_bit=2.0)  # doctest: +SKIP
    """
    check_names(choice, DEFAULT)
    top = None if vmax is None else as_float("vmax", vmax, 0.0, 100.0, above=True, unit="%")
    of_chip: list[str] = []
    if isinstance(conductance, CrossbarMatrix):
        of_chip = chip_of(conductance)
        r_word, r_bit = _resistances(conductance, r_word, r_bit)
        cells, name = _pick(conductance, choice)
        found, driven = _whole_array(conductance, cells, choice)
    else:
        if r_word is None or r_bit is None:
            fail(ValueError, "an array of conductances has no wires of its own: pass r_word and r_bit, Ohm")
        for setting, value in choice.items():
            if value != DEFAULT[setting]:  # type: ignore[literal-required]
                what = f"{setting}={value!r} has no effect on an array of conductances"
                fail(ValueError, f"{what}, which is one tile: leave it out")
        cells = found = to_numpy(edge.accept("conductance", arrays.detach(conductance)).array)
        if found.ndim != 2:
            fail(ValueError, f"conductance has shape {found.shape}: a picture is of one tile, (rows, cols)")
        driven, name = np.ones(found.shape[0]), f"array of {found.shape[0]} x {found.shape[1]}"
    word, bit = wires.node_voltages(found, driven, r_word, r_bit)
    lost = 100 * (1 - (word - bit))[: cells.shape[0], : cells.shape[1]]
    title = f"IR drop, {r_word:g} and {r_bit:g} Ω a segment", [name, *of_chip]
    top, largest = top or lost.max() or 1.0, lost.max()
    colours = {"cmap": "inferno", "vmin": 0, "vmax": top}
    return _map(lost, ax, title, label("driving voltage lost", "%"), colours, "max" if largest > top else "neither")


@printed
def levels(W: CrossbarMatrix, ax: Any = None) -> Any:
    """Draw histograms of the programmed conductances, one for each target level.

    They count the cells of all slices and tiles, on a logarithmic scale; neighbouring levels may overlap.
    Write variation and stuck cells are included, read variation is not. With more than 64 levels,
    neighbours share a histogram.

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
    programmed = cells_of(W)
    ax = axes(ax, CURVES)
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.ticker import MaxNLocator

    device, cells = W.config.device, to_numpy(W.conductance()) * 1e6
    # levels come least significant slice first
    target = np.flip(to_numpy(target_levels(W.config, programmed.encoded)).reshape(cells.shape), axis=-3).ravel()
    order, present = np.argsort(target, kind="stable"), np.unique(target)
    cells, target = cells.ravel()[order], target[order]
    low, high = min(cells.min(), device.LGS * 1e6), max(cells.max(), device.HGS * 1e6)
    bins = max(BINS, min(4 * device.g_level, MOST_BINS))
    edges = np.linspace(low - (high - low) / bins, high + (high - low) / bins, bins + 3)
    scale, peak = Normalize(0, device.g_level - 1), 1
    colours = ListedColormap(colormaps[SEQUENTIAL](np.linspace(0, PALEST, 256)))
    for group in np.array_split(present, min(len(present), MOST_CURVES)):
        first, last = np.searchsorted(target, group[0], "left"), np.searchsorted(target, group[-1], "right")
        counts, _ = np.histogram(cells[first:last], edges)
        peak = max(peak, counts.max())
        colour = colours(scale(group.mean()))
        name = f"level {group[0]}" if len(group) == 1 else f"levels {group[0]} to {group[-1]}"
        ax.stairs(counts, edges, fill=True, color=colour, alpha=0.5, linewidth=0, label=name)
        ax.stairs(counts, edges, color=colour, linewidth=0.6)
    ax.set_yscale("log")
    ax.set_ylim(0.7, 2.0 * peak)
    ticks = MaxNLocator(integer=True)
    ax.figure.colorbar(ScalarMappable(scale, colours), ax=ax, label="target level", ticks=ticks)
    ax.set_xlabel(label("programmed conductance", "uS"))
    ax.set_ylabel("number of cells")
    number = f"{target.size} cells at {len(present)} of {device.g_level} levels"
    set_titles(ax, "Conductances by level", [number, *chip_of(W)])
    return ax
