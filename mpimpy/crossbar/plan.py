"""The plain numbers that follow from a configuration: the grid of the cells, and how it is read."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from .. import converters, noise
from .._caches import bounded
from .._integers import ceil_div
from ..backends import Reading
from ..cells import laws, memristors, moments
from ..cells.cell_format import CellFormat
from ..config import ADC, Config
from ..converters import Conversions, ShiftWeights
from ..operands import encoding
from .added import EXACT, GAIN_BITS, NARROW, SINGLE_CODES, Added, added

__all__ = ["EXACT", "SINGLE_CODES", "Limbs", "LosslessFold", "Plan", "cell_format", "choose_grid", "plan"]
__all__ += ["sum_of_products"]

GOOD_FRACTION = 10  # a grid this fine is worth staying in 32 bits for
LARGEST_ERROR = 2**49  # rms of an ADC's offset or noise, in units of current: their sum stays below 2**53
MOST_CODE_BITS = 100  # of a current: float32 holds 127


@dataclass(frozen=True)
class LosslessFold:
    """One product of whole integer codes, into which all slices fold where nothing is lost.

    Attributes
    ----------
    reading : mpimpy.backends.Reading
        Of whole codes.
    sum_scale : float
        See `Plan`.
    """

    reading: Reading
    sum_scale: float


@dataclass(frozen=True)
class Limbs:
    """Noisy weights, their slices folded and cut into limbs, which whole input codes multiply exactly.

    Attributes
    ----------
    reading : mpimpy.backends.Reading
        Of whole codes; each limb is a weight slice.
    sum_scale : float
        See `Plan`.
    weights : tuple of int
        Weight of each weight slice in the folded integers.
    bits, count : int
        Bits of a limb, and number of limbs.
    """

    reading: Reading
    sum_scale: float
    weights: tuple[int, ...]
    bits: int
    count: int


@dataclass(frozen=True)
class Plan:
    """The plain numbers that follow from a configuration.

    Attributes
    ----------
    cell_format : CellFormat
    x_strides, input_shifts : tuples of int
        Per input slice, least significant first: DAC code of digit 1, and weight in the code.
    code_dtype, drive_dtype : str
        Integer dtypes of DAC codes without and with noise.
    full_scale : int
        The highest current that the ADC covers at full range.
    ideal : bool
        The ADC is ideal: it rounds nothing. False also where its currents are drawn one by one, in `reading`.
    reading : mpimpy.backends.Reading
        How the slices are read, one by one, digits or noisy codes.
    sum_scale : float
        Unit of the shift-and-add's sum, in products of integer codes.
    lossless_fold : LosslessFold or None
        None where something is lost between the operands' codes and the shift-and-add.
    limbs : Limbs or None
        For an ideal ADC; None where the limbs are not exact, or too many.
    added : Added or None
        Input slices that are converted together; None where each is converted on its own.
    """

    cell_format: CellFormat
    x_strides: tuple[int, ...]
    input_shifts: tuple[int, ...]
    code_dtype: str
    drive_dtype: str
    full_scale: int
    ideal: bool
    reading: Reading
    sum_scale: float
    lossless_fold: LosslessFold | None
    limbs: Limbs | None
    added: Added | None

    @property
    def by_blas(self) -> bool:
        """Whether an ideal ADC leaves one float64 product of folded slices, by the BLAS at hand."""
        return self.ideal and self.lossless_fold is None and self.limbs is None

    @property
    def current_unit(self) -> int:
        """Current of one level under code 1, in the integers that reads count currents in."""
        return self.cell_format.current_unit >> (0 if self.added is None else self.added.drop)

    @property
    def read_as(self) -> "Plan | LosslessFold | Limbs":
        """The form in which operands are read: whole codes if they fold without loss, else limbs, else slices."""
        return self.lossless_fold or self.limbs or self


def _config_bytes(_: object, config: Config, *__: object) -> int:
    # of a configuration and its plan: a device with measured samples is large
    return laws.device_bytes(config.device)


def _finest(limit: int, unit: int, ceiling: int) -> int:
    # the largest fraction up to `ceiling` with unit * 2**fraction <= limit; -1 if none
    return next((f for f in range(ceiling, -1, -1) if unit << f <= limit), -1)


def _code_bound(config: Config, voltage_fraction: int) -> int:
    # noisy codes get a factor 2 of head room, as cells always do
    codes = config.dac.rdac - 1
    return codes << (voltage_fraction + 1) if config.dac.noisy else codes


def _most_codes(config: Config) -> int:
    # the largest code, whatever the grid; ranges only move codes
    if config.adc.range == "lossless":
        x, w = (
            max(max(map(abs, ends)) for ends in converters.digit_bounds(f)) for f in (config.inputs, config.weights)
        )
        return config.tile.rows * x * w
    return max(map(abs, converters.outermost_codes(config)))


@bounded(512, _config_bytes)
def choose_grid(config: Config, given: int | None = None) -> tuple[int, bool]:
    """Return (fraction, wide): the cells' grid, and the width of the currents on it.

    With a `given` fraction, cells are on their grid already: that of a configuration with another tile.

    Raises
    ------
    ValueError
        If the currents of a tile cannot be held exactly.
    """
    found = _choose_grid(config, given)
    if config.device.draws_rows:
        moments.check(config, found[0])
    return found


def _choose_grid(config: Config, given: int | None) -> tuple[int, bool]:
    levels = config.device.g_level - 1
    wanted = noise.MAX_FRACTION if config.wires is not None else memristors.grid_bits(config.device)
    limit = EXACT >> GAIN_BITS if config.adc.errs else EXACT
    if config.adc.errs:
        # Sub-LSB grid for noise and offset; GAIN_BITS of headroom for current x gain.
        least = min(filter(None, (1.0, config.adc.noise_lsb, config.adc.offset_lsb)))
        wanted = max(wanted, noise.fraction_bits(converters.finest_step(config) * least))
    # a grid value has to fit int32
    wanted = min(wanted, _finest(NARROW, 2 * levels, wanted)) if given is None else given
    enough = GOOD_FRACTION if given is None else given
    unit = config.tile.rows * _code_bound(config, converters.voltage_bits(config.dac)) * 2 * levels
    if config.radc is None or _most_codes(config) <= SINGLE_CODES:
        fits = _finest(NARROW, unit, wanted)
        if fits == wanted or fits >= enough:
            return fits, False
    fits = _finest(limit, unit, wanted)
    if fits == wanted or fits >= enough:
        return fits, True
    msg = (
        f"currents of {config.tile.rows} rows with rdac={config.dac.rdac} and g_level={config.device.g_level} "
        "pass the 53 bits in which they are exact: use fewer rows, or a smaller rdac or g_level"
    )
    raise ValueError(msg)


@bounded(512, _config_bytes)
def cell_format(config: Config, fraction: int | None = None) -> CellFormat:
    """Return the format of the cells of a configuration, on the grid that it chooses or on a given one.

    Raises
    ------
    ValueError
        If the weights' slices need more levels than there are, or currents cannot be exact.
    """
    config._check("weights")
    levels = config.device.g_level - 1
    fraction, wide = choose_grid(config, fraction)
    voltage_fraction = converters.voltage_bits(config.dac)
    cell_bound = 2 * levels << fraction
    reference = memristors.reference_units(config.device, fraction)
    if reference + cell_bound > 2**31:
        msg = (
            f"LGS={config.device.LGS:g} S is {config.device.rho:.3g} levels, too many beside their variation: "
            "use a lower LGS or fewer levels"
        )
        raise ValueError(msg)
    return CellFormat(
        rows=config.tile.rows,
        strides=memristors.strides(config.weights.ascending, levels + 1),
        level_dtype=encoding.narrowest(levels),
        grid_dtype=encoding.narrowest(cell_bound),
        fraction=fraction,
        voltage_fraction=voltage_fraction,
        reference=reference,
        cell_bound=cell_bound,
        code_bound=_code_bound(config, voltage_fraction),
        wide=wide,
    )


@bounded(512, _config_bytes)
def plan(config: Config, fraction: int | None = None) -> Plan:
    """Return the numbers of a configuration, on the grid that it chooses or on a given one.

    Raises
    ------
    ValueError
        If slices need more levels than there are, or currents cannot be exact.
    """
    config._check("inputs", "weights")
    cells = cell_format(config, fraction)
    codes = config.dac.rdac - 1
    x_strides = memristors.strides(config.inputs.ascending, codes + 1)
    ideal, by_rows = config.radc is None, config.device.draws_rows
    real = config.replace(adc=ADC(2)) if ideal else config
    inputs = converters.conversions(real)
    whole = added(config, cells, inputs)
    unit = cells.current_unit >> (0 if whole is None else whole.drop)
    found = converters.adc_windows(real, unit, inputs, cells.strides)
    if ideal and by_rows:
        found = _as_they_are(found)
    _check_steps(config, found, unit)
    _check_errors(config, found)
    sums = converters.shift_weights(config, found, unit, inputs, cells.strides)
    reading = _reading(config, cells, x_strides, found, sums, whole)
    if ideal and by_rows:
        reading = replace(reading, wide=True)
    return Plan(
        cell_format=cells,
        x_strides=x_strides,
        input_shifts=config.inputs.shifts,
        code_dtype=encoding.narrowest(codes),
        drive_dtype=encoding.narrowest(cells.code_bound),
        full_scale=converters.full_scale(config, unit),
        ideal=ideal and not by_rows,
        reading=reading,
        sum_scale=sums.sum_scale,
        lossless_fold=_lossless_fold(config, reading, cells, inputs, found, sums),
        limbs=None if config.device.draws_rows else _limbs(config, cells),
        added=whole,
    )


def _as_they_are(found: converters.AdcWindows) -> converters.AdcWindows:
    # windows of ADCs with a code for every current: an ideal ADC of currents that are drawn one by one
    return replace(found, steps=tuple((Fraction(1),) * len(row) for row in found.steps))


def _reading(
    config: Config,
    cell_format: CellFormat,
    x_strides: tuple[int, ...],
    found: converters.AdcWindows,
    sums: ShiftWeights,
    whole: Added | None,
) -> Reading:
    # of slices, one by one, or added up; noisy codes are no digits any more
    noisy, saturate = config.dac.noisy, config.adc.saturate and config.radc is not None
    largest_cell = cell_format.cell_bound if cell_format.fraction else config.device.g_level - 1
    strides, code_bound, wide = (1,) * len(x_strides) if noisy else x_strides, cell_format.code_bound, cell_format.wide
    if whole is not None:
        strides, code_bound, wide = (whole.stride,), whole.code_bound, whole.wide or found.most > SINGLE_CODES
    rounded = float if wide else lambda step: converters.single(float(step))

    def table(numbers: tuple[tuple[Fraction, ...], ...]) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(map(rounded, row)) for row in numbers)

    origins = table(found.origins) if found.off_zero and config.radc is not None else None
    return Reading(
        strides=strides,
        widths=None if noisy or whole else config.inputs.ascending,
        signed=config.inputs.signed or whole is not None,
        rows=cell_format.rows,
        bound=cell_format.rows * code_bound * largest_cell,
        wide=wide,
        adc_gain=table(found.steps),
        code_range=(found.lows, found.tops) if saturate else None,
        digit_units=sums.digit_units,
        shift_weights=sums.weights,
        adc_origin=origins,
        tile_sum=0.0 if origins is None or config.adc.snap else sum_of_products(origins, sums.weights),
        code_bound=code_bound,
    )


def sum_of_products(*tables: tuple[tuple[float, ...], ...]) -> float:
    """Return the sum of the products of the numbers of two tables, exact and rounded once."""
    rows = (zip(*row, strict=True) for row in zip(*tables, strict=True))
    return float(sum(Fraction(a) * Fraction(b) for row in rows for a, b in row))


def _code_reading(rows: int, bits: int, weights: tuple[float, ...]) -> Reading:
    # of whole codes, by an ADC that takes currents of `bits` bits a row as they are; a weight slice for each weight
    bound = rows * 2**bits
    return Reading(
        strides=(1,),
        widths=None,
        signed=True,
        rows=rows,
        bound=bound,
        wide=bound > SINGLE_CODES,
        adc_gain=((1.0,),) * len(weights),
        code_range=None,
        digit_units=None,
        shift_weights=tuple((weight,) for weight in weights),
    )


def _check_steps(config: Config, found: converters.AdcWindows, unit: int) -> None:
    # the codes of any current are finite in float32
    if max(map(max, found.steps)) * converters.full_scale(config, unit) > 2**MOST_CODE_BITS:
        msg = (
            f"range={config.adc.range} A is so narrow that {converters.full_scale_amperes(config):.3g} A, full scale, "
            f"would be more than 2**{MOST_CODE_BITS} codes: check its unit"
        )
        raise ValueError(msg)


def _check_errors(config: Config, found: converters.AdcWindows) -> None:
    # normal numbers of at most half a unit of current would mostly round to none
    finest, coarsest = max(map(max, found.steps)), min(map(min, found.steps))
    for name in ("noise_lsb", "offset_lsb"):
        lsb = getattr(config.adc, name)
        if lsb and round(lsb / finest) == 0:
            msg = (
                f"{name}={lsb:g} LSB is less than the grid of the currents shows, {float(finest):.3g} LSB: "
                "use fewer codes (radc), or leave it out"
            )
            raise ValueError(msg)
        if lsb / coarsest > LARGEST_ERROR:
            msg = (
                f"{name}={lsb:g} LSB is {lsb / coarsest:.3g} units of current, more than the {LARGEST_ERROR:.3g} in "
                "which currents stay exact: use more codes (radc), or a narrower range"
            )
            raise ValueError(msg)


def _lossless_fold(
    config: Config,
    reading: Reading,
    cell_format: CellFormat,
    inputs: Conversions,
    found: converters.AdcWindows,
    sums: ShiftWeights,
) -> LosslessFold | None:
    # Slices fold back into one product of codes where cells sit on their levels and the ADC loses
    # nothing: it has whole codes per digit product, or snaps from less than half a digit away.
    device, bits = config.device, config.inputs.bits + config.weights.bits - 2
    if config.adc.errs or cell_format.fraction or cell_format.voltage_fraction or device.stuck_HGS or device.stuck_LGS:
        return None
    if cell_format.rows * 2**bits > EXACT or reading.adc_origin is not None:
        return None
    if config.radc is None:
        return LosslessFold(_code_reading(cell_format.rows, bits, (1.0,)), 1.0)
    strides = [[u * v for u in inputs.strides] for v in cell_format.strides]
    bounds = inputs.ends, converters.digit_bounds(config.weights)
    safe = 2 ** (50 if reading.wide else 22)  # codes that the ADC's own arithmetic cannot put a half off
    for j, (row, steps) in enumerate(zip(strides, found.steps, strict=True)):
        for i, (stride, step) in enumerate(zip(row, steps, strict=True)):
            ends = [cell_format.rows * a * b for a in bounds[0][i] for b in bounds[1][j]]
            low, top = min(ends) * stride * step, max(ends) * stride * step
            if config.adc.saturate and not (found.lows[j][i] <= low and top <= found.tops[j][i]):
                return None
            if config.adc.snap:
                # half a code, and what float32 rounds when it scales a current
                if (Fraction(1, 2) + Fraction(found.tops[j][i] + 1, 2**22)) / step >= Fraction(stride, 2):
                    return None
            elif (step * stride).denominator > 1 or max(-low, top) > safe:
                return None
    if config.adc.snap:
        return LosslessFold(_code_reading(cell_format.rows, bits, (1.0,)), sums.sum_scale)
    weight = math.lcm(*inputs.strides) * math.lcm(*cell_format.strides) * max(map(max, found.steps))
    flat = [weight for row in sums.weights for weight in row]
    if weight.denominator > 1 or not all(map(float.is_integer, flat)) or sum(map(abs, flat)) * found.most > EXACT:
        return None
    return LosslessFold(_code_reading(cell_format.rows, bits, (float(weight),)), sums.sum_scale)


MOST_LIMBS = 4  # more would cost more than a float64 product


def _limbs(config: Config, cell_format: CellFormat) -> Limbs | None:
    # An ideal ADC loses nothing: currents of whole codes and limbs of the folded weights are exact
    # while they fit 32 bits.
    if config.radc is not None or config.dac.noisy or config.inputs.bits > 15:
        return None
    common, weights = encoding.digit_weights(config.weights.shifts, cell_format.strides)
    largest = sum(map(abs, weights)) * cell_format.cell_bound
    bits = min(15, 30 - math.ceil(math.log2(cell_format.rows)) - (config.inputs.bits - 1))
    count = ceil_div(largest.bit_length() + 1, bits) if bits > 0 else MOST_LIMBS + 1
    if largest >= 2**31 or count > MOST_LIMBS:
        return None
    reading = _code_reading(
        cell_format.rows, config.inputs.bits - 1 + bits, tuple(2.0 ** (bits * k) for k in range(count))
    )
    return Limbs(reading, 1.0 / (common << cell_format.fraction), weights, bits, count)
