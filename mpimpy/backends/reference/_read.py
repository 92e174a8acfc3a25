"""The read in plain array-API calls: a part of the reference, and the fallback of all other backends."""

from collections.abc import Callable, Iterator
from typing import Any

from array_api_compat import array_namespace, device

from ..._integers import ceil_div
from ..reading import PANEL, Errors, Reading, RowDraw
from ._draws import perturb
from ._errors import disturb
from ._rows import redraw

__all__ = ["read", "read_paths", "reader", "row_reader", "takes_rows"]


def read_paths(height: int, digits_dtype: Any, grid_dtype: Any, reading: Reading) -> tuple[tuple[str, str], ...]:
    """Return how the currents of every input slice are found, and why: (path, reason) per slice.

    Parameters
    ----------
    height : int
        Input rows.
    digits_dtype, grid_dtype : dtype or its name
    reading : Reading
    """
    return (("float", "float64 products in plain array-API calls, exact to 2**53"),) * len(reading.strides)


def reader(perturb: Callable[..., Any], rows: RowDraw | None = None) -> Callable[..., Any]:
    """Return `read` in plain array-API calls, drawing the noise of ADCs with a backend's `perturb`.

    With `rows`, every input row draws its currents: the grid that is read holds means, and currents go through `redraw`
    before all else.
    """

    def read(
        digits: Any, x_scale: Any, grid: Any, w_scale: Any, reading: Reading, dtype: str, errors: Errors | None = None
    ) -> Any:
        """Read a programmed matrix: currents, ADC, shift-and-add, scale and reduce.

        For every tile t and pair of slices (j, i):
        ``I = (digits[i] * strides[i]) @ grid[j]`` exactly; ``adc = rint(I * adc_gain[j][i])``, clipped
        to the code range of that pair; if there are digit units ``adc = rint(adc * digit_units[j][i])``;
        ``acc += adc * shift_weights[j][i]``, j outermost; then ``y += (acc * x_scale[:, t]) * w_scale[t]``,
        tiles in ascending order within panels of 16, then panels. All sums are float64, never fused.

        Where code 0 stands for a current, ``adc = rint(I * adc_gain[j][i] - adc_origin[j][i])``, a multiplication and
        a subtraction; digit units multiply ``adc + adc_origin[j][i]``; and ``acc += tile_sum`` comes last.

        Parameters
        ----------
        digits : integer array, shape (input slices, R, K)
        x_scale : float64 array, shape (R, tiles)
        grid : integer array, shape (weight slices, K, N)
        w_scale : float64 array, shape (tiles, N)
        reading : Reading
            Everything else; its attributes are the names above.
        dtype : str
            Name of the floating dtype of the result.
        errors : Errors, optional
            Errors of the ADCs: currents go through `disturb` first.

        Returns
        -------
        array, shape (R, N)
        """
        xp = array_namespace(digits, grid)
        height, depth = digits.shape[1:]
        y = xp.zeros((height, grid.shape[2]), dtype=xp.float64, device=device(digits))
        tiles = ceil_div(depth, reading.rows)
        for panel in range(0, tiles, PANEL):
            total = xp.zeros_like(y)
            for tile in range(panel, min(panel + PANEL, tiles)):
                acc = xp.zeros_like(y)
                span = slice(tile * reading.rows, min((tile + 1) * reading.rows, depth))
                for j, i, codes, current in _currents(xp, digits, grid, span, reading):
                    if rows is not None:
                        current = redraw(xp, current, codes, rows, (tile, span), (j, i), perturb)
                    if errors is not None:
                        current = disturb(xp, current, errors, tile, j, i, perturb)
                    acc = acc + _codes(xp, current, reading, j, i) * reading.shift_weights[j][i]
                if reading.adc_origin is not None:
                    acc = acc + reading.tile_sum
                total = total + acc * x_scale[:, tile][:, None] * w_scale[tile, :][None, :]
            y = y + total
        return xp.astype(y, getattr(xp, dtype))

    return read


def _currents(xp: Any, digits: Any, grid: Any, span: slice, reading: Reading) -> Iterator[tuple[int, int, Any, Any]]:
    # (j, i, codes, currents) of every pair of slices of a tile: exact in float64, since every sum stays below 2**53
    for j in range(len(reading.shift_weights)):
        cells = xp.astype(grid[j, span, :], xp.float64)
        for i, stride in enumerate(reading.strides):
            codes = xp.astype(digits[i, :, span], xp.float64) * float(stride)
            yield j, i, codes, xp.matmul(codes, cells)


def _codes(xp: Any, current: Any, reading: Reading, j: int, i: int) -> Any:
    # the ADC of a pair of slices, as float64
    scaled = (current if reading.wide else xp.astype(current, xp.float32)) * reading.adc_gain[j][i]
    origin = None if reading.adc_origin is None else reading.adc_origin[j][i]
    adc = xp.round(scaled if origin is None else scaled - origin)
    if reading.code_range is not None:
        lows, tops = reading.code_range
        adc = xp.clip(adc, float(lows[j][i]), float(tops[j][i]))
    adc = xp.astype(adc, xp.float64)
    if reading.digit_units is None:
        return adc
    return xp.round((adc if origin is None else adc + origin) * reading.digit_units[j][i])


read = reader(perturb)


def takes_rows(reading: Reading, draw: RowDraw, errs: bool) -> bool:
    """Return whether a kernel draws the currents of input rows; plain array-API calls do where none does.

    Parameters
    ----------
    reading : Reading
    draw : RowDraw
        Its variances, and those of its reference columns, are not looked at.
    errs : bool
        The ADCs err.
    """
    return False


def row_reader(draw: RowDraw) -> Callable[..., Any]:
    """Return the `read` of a matrix whose currents every input row draws: the grid that it reads holds means."""
    return reader(perturb, draw)
