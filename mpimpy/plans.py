"""The plain numbers that follow from a configuration: the grid of the cells, and what kernels are told."""

import functools
import math
from dataclasses import dataclass
from fractions import Fraction

from . import converters, device, formats

__all__ = ["EXACT", "SINGLE_CODES", "Grid", "Plan", "choose_grid", "make_grid", "plan"]

NARROW = 2**31 - 1  # currents that fit 32 bits
EXACT = 2**53  # currents that fit a float64 exactly
GOOD_FRACTION = 10  # a grid this fine is worth staying in 32 bits for
SINGLE_CODES = 2**24  # ADC codes that float32 tells apart


@dataclass(frozen=True)
class Grid:
    """The integers in which cells are held; it does not depend on the inputs' format.

    Attributes
    ----------
    rows : int
        Rows of a tile.
    strides : tuple of int
        Level of digit 1 per weight slice, least significant first.
    level_dtype, grid_dtype : str
        Integer dtypes of levels and of grid values.
    fraction, voltage_fraction : int
        A level is ``2**fraction`` grid units; a DAC code is ``2**voltage_fraction`` units.
    reference : int
        LGS in grid units.
    cell_bound, code_bound : int
        Cells and noisy DAC codes beyond saturate.
    wide : bool
        Currents take 64 bits and the ADC computes in float64.
    """

    rows: int
    strides: tuple
    level_dtype: str
    grid_dtype: str
    fraction: int
    voltage_fraction: int
    reference: int
    cell_bound: int
    code_bound: int
    wide: bool


@dataclass(frozen=True)
class Plan:
    """The plain numbers that follow from a configuration: what the kernels are told.

    Attributes
    ----------
    grid : Grid
    x_strides : tuple of int
        DAC code of digit 1 per input slice, least significant first.
    code_dtype, drive_dtype : str
        Integer dtypes of DAC codes without and with noise.
    bound : int
        No current exceeds it.
    full_scale : int
        The highest current that the ADC's range covers.
    ideal : bool
        No ADC.
    steps, tops, units, weights : tuples
        See `mpimpy.backends.reference.read`.
    factor : float
        Unit of the shift-and-add's sum, in products of integer codes.
    exact : tuple or None
        ``(weight, factor)`` where nothing is lost between the operands' integer codes and the
        shift-and-add: its sum is then `weight` times the sum of products of codes.
    limbs : tuple or None
        ``(bits, count)`` of the limbs in which noisy weights, their slices folded, multiply whole
        input codes exactly, for an ideal ADC.
    """

    grid: Grid
    x_strides: tuple
    code_dtype: str
    drive_dtype: str
    bound: int
    full_scale: int
    ideal: bool
    steps: tuple
    tops: tuple | None
    units: tuple | None
    weights: tuple
    factor: float
    exact: tuple | None
    limbs: tuple | None


def _finest(limit, unit, ceiling):
    # the largest fraction up to `ceiling` with unit * 2**fraction <= limit; -1 if none
    return next((f for f in range(ceiling, -1, -1) if unit << f <= limit), -1)


def _code_bound(config, voltage_fraction):
    # noisy codes get a factor 2 of head room, as cells always do
    codes = config.dac.rdac - 1
    return codes << (voltage_fraction + 1) if config.dac.vnoise > 0 else codes


@functools.lru_cache(maxsize=512)
def choose_grid(config):
    """Return (fraction, wide): the cells' grid, and the width of the currents on it.

    Raises
    ------
    ValueError
        If the currents of a tile cannot be held exactly.
    """
    levels = config.device.g_level - 1
    wanted = device.grid_bits(config.device)
    # a grid value has to fit int32
    wanted = min(wanted, _finest(NARROW, 2 * levels, wanted))
    unit = config.tile.rows * _code_bound(config, converters.voltage_bits(config.dac)) * 2 * levels
    radc = config.radc
    if radc is None or max(radc) - 1 <= SINGLE_CODES:
        fits = _finest(NARROW, unit, wanted)
        if fits == wanted or fits >= GOOD_FRACTION:
            return fits, False
    fits = _finest(EXACT, unit, wanted)
    if fits == wanted or fits >= GOOD_FRACTION:
        return fits, True
    msg = (
        f"currents of {config.tile.rows} rows with rdac={config.dac.rdac} and g_level={config.device.g_level} "
        "pass the 53 bits in which they are exact: use fewer rows, or a smaller rdac or g_level"
    )
    raise ValueError(msg)


@functools.lru_cache(maxsize=512)
def make_grid(config):
    """Return the grid of a configuration.

    Raises
    ------
    ValueError
        If the weights' slices need more levels than there are, or currents cannot be exact.
    """
    config.check("weights")
    levels = config.device.g_level - 1
    fraction, wide = choose_grid(config)
    voltage_fraction = converters.voltage_bits(config.dac)
    cell_bound = 2 * levels << fraction
    reference = device.reference_units(config.device, fraction)
    if reference + cell_bound > 2**31:
        msg = (
            f"LGS={config.device.LGS:g} S is {config.device.rho:.3g} levels, too many beside their variation: "
            "use a lower LGS or fewer levels"
        )
        raise ValueError(msg)
    return Grid(
        rows=config.tile.rows,
        strides=device.strides(config.weights.ascending, levels + 1),
        level_dtype=formats.narrowest(levels),
        grid_dtype=formats.narrowest(cell_bound),
        fraction=fraction,
        voltage_fraction=voltage_fraction,
        reference=reference,
        cell_bound=cell_bound,
        code_bound=_code_bound(config, voltage_fraction),
        wide=wide,
    )


@functools.lru_cache(maxsize=512)
def plan(config):
    """Return the numbers of a configuration.

    Raises
    ------
    ValueError
        If slices need more levels than there are, or currents cannot be exact.
    """
    config.check("inputs", "weights")
    grid = make_grid(config)
    x_bits, w_bits = config.inputs.ascending, config.weights.ascending
    levels, codes = config.device.g_level - 1, config.dac.rdac - 1
    unit = 1 << (grid.fraction + grid.voltage_fraction)
    full_scale = grid.rows * codes * levels * unit
    x_strides, radc = device.strides(x_bits, codes + 1), config.radc_ascending
    steps, units, weights, factor = converters.steps_and_weights(
        radc or (2,) * len(w_bits),
        full_scale,
        unit,
        x_strides,
        grid.strides,
        formats.shifts(x_bits),
        formats.shifts(w_bits),
        snap=config.adc.snap,
    )
    return Plan(
        grid=grid,
        x_strides=x_strides,
        code_dtype=formats.narrowest(codes),
        drive_dtype=formats.narrowest(grid.code_bound),
        bound=grid.rows * grid.code_bound * (grid.cell_bound if grid.fraction else levels),
        full_scale=full_scale,
        ideal=radc is None,
        steps=steps if grid.wide else tuple(converters.single(step) for step in steps),
        tops=tuple(r - 1 for r in radc) if radc and config.adc.saturate else None,
        units=units,
        weights=weights,
        factor=factor,
        exact=_exact(config, grid, x_strides, full_scale, weights, factor),
        limbs=_limbs(config, grid),
    )


def _exact(config, grid, x_strides, full_scale, weights, factor):
    # Slices fold back into one product of codes where cells sit on their levels and the ADC loses
    # nothing: it has whole codes per unit of current, or snaps from less than half a digit away.
    device, radc = config.device, config.radc_ascending
    if grid.fraction or grid.voltage_fraction or device.stuck_HGS or device.stuck_LGS:
        return None
    if grid.rows * 2 ** (config.inputs.bits + config.weights.bits - 2) > EXACT:
        return None
    if radc is None:
        return 1.0, 1.0
    if config.adc.snap:
        # half a code, and what float32 rounds when it scales a current
        worst = max((Fraction(1, 2) + Fraction(r, 2**22)) * Fraction(full_scale, r - 1) for r in radc)
        return (1.0, factor) if worst < Fraction(min(x_strides) * min(grid.strides), 2) else None
    if any((r - 1) % full_scale for r in radc) or sum(abs(w) for row in weights for w in row) * max(radc) > EXACT:
        return None
    unit = math.lcm(*x_strides) * math.lcm(*grid.strides)
    return float(unit * ((max(radc) - 1) // full_scale)), factor


MOST_LIMBS = 4  # more would cost more than a float64 product


def _limbs(config, grid):
    # An ideal ADC loses nothing: currents of whole codes and parts of the folded weights are exact
    # while they fit 32 bits.
    if config.radc is not None or config.dac.vnoise > 0 or config.inputs.bits > 15:
        return None
    _, weights = formats.shares(config.weights.ascending, grid.strides)
    largest = sum(map(abs, weights)) * grid.cell_bound
    bits = min(15, 30 - math.ceil(math.log2(grid.rows)) - (config.inputs.bits - 1))
    count = -(-(largest.bit_length() + 1) // bits) if bits > 0 else MOST_LIMBS + 1
    return (bits, count) if largest < 2**31 and count <= MOST_LIMBS else None
