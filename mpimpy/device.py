"""The memristors: levels to a noisy grid of integer conductances."""

from array_api_compat import array_namespace

from . import random

__all__ = ["conductance", "grid_bits", "program", "read", "reference_units", "strides"]

SHARE_BITS = 32  # shares of stuck cells count in units of 2**-32


def strides(bits, levels):
    """Return the level (or DAC code) of digit 1 for every slice: ``floor((levels - 1) / (2**b - 1))``.

    Examples
    --------
    >>> strides((4, 2, 1, 1), 16)
    (1, 5, 15, 15)
    """
    return tuple((levels - 1) // (2**b - 1) for b in bits)


def grid_bits(device):
    """Return how fine the grid of a device must be: the f of ``2**f`` grid units a level.

    Fine enough for the smallest spread, in levels, that any variation gives a cell at level 1;
    0 when every cell sits exactly on a level.
    """
    spreads = [sigma * (1 + device.rho) for sigma in (device.var, device.write_var) if sigma > 0]
    return max((random.fraction_bits(spread) for spread in spreads), default=0)


def reference_units(device, fraction):
    """Return the conductance of the reference column's cells, LGS, in grid units."""
    return round(device.rho * 2**fraction)


def _share(rate):
    return 0 if rate == 0 else max(1, round(rate * 2**SHARE_BITS))


def program(kernels, device, grid, targets, address):
    """Write target levels into cells.

    Parameters
    ----------
    kernels : module
        A backend.
    device : Device
    grid : mpimpy.plans.Grid
    targets : integer array, shape (slices, K, N)
        Levels.
    address : mpimpy.random.Address

    Returns
    -------
    cells : integer array, shape (slices, K, N)
        `targets` itself when nothing disturbs them.
    up : int
        A cell's conductance above the reference is ``cells << up`` grid units: the cells hold
        levels while no write variation moves them off.
    """
    cells, up, high = targets, grid.fraction, device.g_level - 1
    if device.write_var > 0:
        cells = kernels.perturb(
            targets,
            random.lognormal_table(device.write_var),
            address._replace(purpose=random.WRITE),
            up=grid.fraction,
            reference=grid.reference,
            shift=random.TABLE_BITS,
            bound=grid.cell_bound,
            dtype=grid.grid_dtype,
        )
        up, high = 0, high << grid.fraction
    if device.stuck_HGS > 0 or device.stuck_LGS > 0:
        cells = kernels.stick(
            cells,
            address._replace(purpose=random.STUCK),
            high_share=_share(device.stuck_HGS),
            low_share=_share(device.stuck_LGS),
            high=high,
        )
    return cells, up


def read(kernels, device, grid, cells, up, address, columns=None):
    """Return the grid that one read sees, integers of shape (slices, K, N): read variation applied.

    Of all columns, or of ``columns = (first, last)`` alone.
    """
    if device.var == 0:
        return cells if columns is None else cells[:, :, slice(*columns)]
    return kernels.perturb(
        cells,
        random.lognormal_table(device.var),
        address._replace(purpose=random.READ),
        up=up,
        reference=grid.reference,
        shift=random.TABLE_BITS,
        bound=grid.cell_bound,
        dtype=grid.grid_dtype,
        columns=columns,
    )


def conductance(device, cells, up, fraction):
    """Return conductances in siemens, float64, of cells that hold ``cells << up`` grid units."""
    xp = array_namespace(cells)
    return xp.astype(cells, xp.float64) * (device.step_S * 2.0 ** (up - fraction)) + device.LGS
