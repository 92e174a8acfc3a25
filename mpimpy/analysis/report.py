"""What a product takes in hardware, and where its errors come from."""

import dataclasses
from dataclasses import dataclass

from array_api_compat import array_namespace
from array_api_compat import device as device_of

from .. import converters, noise
from ..config import ADC, ARITHMETIC, Ranges, Samples
from ..config._adc import MOST_LSB
from ..crossbar import product as crossbar
from ..operands import edge, encoding
from . import metrics

__all__ = ["Effect", "Report", "measure"]

PROBE_ROWS = 64
PROBE_SEED = 0
FINEST = 1 << 10  # parts of a step in which the ADCs' errors are looked at


@dataclass(frozen=True)
class Effect:
    """The cost of one effect.

    Attributes
    ----------
    name : str
    alone_dB : float
        SNR of the product if this were its only error; infinite if the effect is off or costs nothing.
    without_dB : float
        SNR of the product with everything as configured but this.
    """

    name: str
    alone_dB: float
    without_dB: float


@dataclass(frozen=True)
class Report:
    """Size, conversions and error budget of a product; prints as a table.

    Attributes
    ----------
    inputs, weights : tuple of int
        Shapes (M, K) and (K, N).
    array : (int, int)
        Rows and columns of one array.
    tiles : (int, int, int)
        Rows of tiles, columns of tiles, slices: their product is the number of arrays.
    cells : int
        Memristors that hold weights (the padding of ragged tiles left out).
    reference_cells : int
        Memristors in the reference columns, one column to an array.
    dac_conversions, adc_conversions : int
        For the whole product, every array having converters of its own.
    full_scale_A : float
        Bit line current at the top of the ADC's range, A; the highest where pairs of slices have ranges
        of their own.
    snr_dB : float
        Of the product as configured, against the exact one.
    effects : tuple of Effect
    note : str
        What was measured.
    age : str
        When, for a matrix that was aged with `CrossbarMatrix.at`.
    arithmetic : int
        Version of the arithmetic, `mpimpy.ARITHMETIC`.
    """

    inputs: tuple[int, ...]
    weights: tuple[int, int]
    array: tuple[int, int]
    tiles: tuple[int, int, int]
    cells: int
    reference_cells: int
    dac_conversions: int
    adc_conversions: int
    full_scale_A: float
    snr_dB: float
    effects: tuple[Effect, ...]
    note: str
    age: str = ""
    arithmetic: int = ARITHMETIC

    def __str__(self):
        down, across, slices = self.tiles
        arrays = f"{down * across * slices} of {_shape(self.array)}"
        lines = [
            f"product            {_shape(self.inputs)} by {_shape(self.weights)}",
            f"arrays             {arrays}, {down} x {across} tiles, {slices} slices",
            f"cells              {self.cells} and {self.reference_cells} in reference columns",
            f"DAC conversions    {self.dac_conversions}",
            f"ADC conversions    {self.adc_conversions}",
            f"ADC full scale     {self.full_scale_A:.4g} A",
            *([f"age                {self.age}"] if self.age else []),
            f"SNR                {_decibels(self.snr_dB).strip()}",
            "",
            f"{'error budget':<22}{'alone':>12}{'without it':>14}",
        ]
        lines += [f"{e.name:<22}{_decibels(e.alone_dB):>12}{_decibels(e.without_dB):>14}" for e in self.effects]
        lines.append(f"({self.note})")
        return "\n".join(lines)


def _shape(shape):
    return " x ".join(map(str, shape))


def _decibels(value):
    # float64's own rounding is no effect of the crossbar
    return "no cost" if value > 200 else f"{value:.2f} dB"


def _probe(xp, depth, where):
    word = noise.words(xp, noise.Address(PROBE_SEED, 0, 0, 0), 0, (PROBE_ROWS, depth), where)
    table = xp.asarray(noise.table_values(noise.gaussian_table(1.0)), dtype=xp.float64, device=where)
    factor = xp.take(table, xp.reshape(word, (-1,)), axis=0) / 2.0**noise.TABLE_BITS - 1.0
    return xp.reshape(factor, (PROBE_ROWS, depth))


def _on_levels(device):
    # the device with its levels evenly spaced, and its samples about the levels they were measured at
    write = device.write_var
    if isinstance(write, Samples) and write.about_S is None and device.levels is not None:
        write = dataclasses.replace(write, about_S=device.levels)
    return dataclasses.replace(device, levels=None, write_var=write)


def _lossless(config):
    # ADCs without errors, of the same ends, with a code for every unit of current: no rounding
    adc = config.adc
    span = "full" if adc.range == "lossless" else adc.range
    return config.replace(adc=ADC(crossbar.plan(config).full_scale + 1, saturate=adc.saturate, range=span))


def _finer(config):
    # ADCs of the same errors and ends, with steps so fine that rounding is little beside the errors
    adc = config.adc
    radc, span = _as_ranges(config) if adc.range == "lossless" else (adc.radc, adc.range)
    parts = int(min(FINEST, MOST_LSB / max(adc.noise_lsb, adc.offset_lsb, MOST_LSB / FINEST)))
    while parts > 1:
        more = tuple(parts * (r - 1) + 1 for r in radc) if isinstance(radc, tuple) else parts * (radc - 1) + 1
        errors = {"noise_lsb": adc.noise_lsb * parts, "offset_lsb": adc.offset_lsb * parts}
        try:
            found = config.replace(adc={"radc": more, "range": span, "snap": False, **errors})
            crossbar.choose_grid(found)
        except ValueError:
            parts //= 2  # on so fine a grid currents would not be exact
        else:
            return found
    return config


def _as_ranges(config):
    # (radc, Ranges) of the steps of range="lossless", and of no narrower ends
    numbers, (unit, full) = crossbar.plan(config), crossbar.current_unit(config)
    found = converters.codes(config, unit, numbers.x_strides, numbers.grid.strides)
    ampere = converters.full_scale_amperes(config) / full
    radc = [
        1 + max(top - low for low, top in zip(*ends, strict=True)) for ends in zip(found.lows, found.tops, strict=True)
    ]
    pairs = list(zip(found.steps, found.lows, radc, strict=True))
    low = [[float(low / step) * ampere for step, low in zip(steps, lows, strict=True)] for steps, lows, _ in pairs]
    span = [[float((r - 1) / step) * ampere for step in steps] for steps, _, r in pairs]
    return tuple(radc[::-1]), Ranges(*[[row[::-1] for row in table[::-1]] for table in (low, span)])


def _variants(config, *, ageing):
    """Return {effect: (configuration with it alone, configuration with all but it)}.

    A configuration comes with whether the map of stuck cells holds: (Config, bool).
    """
    device = _on_levels(config.device)
    still = {"var": 0.0, "write_var": 0.0, "stuck_HGS": 0.0, "stuck_LGS": 0.0, "verify": None, "drift": None}
    digital = config.replace(device=dataclasses.replace(device, **still), dac={"vnoise": 0.0}, wires=None)
    ideal = digital.replace(adc=ADC(radc=None))
    names = {
        "write variation": ("write_var", "verify"),
        "read variation": ("var",),
        "stuck cells": ("stuck_HGS", "stuck_LGS"),
    }
    if ageing:
        names["drift"] = ("drift",)
    found = {"DAC noise": (ideal.replace(dac={"vnoise": config.dac.vnoise}), config.replace(dac={"vnoise": 0.0}))}
    found["level rounding"] = (
        ideal.replace(device={"levels": config.device.levels}),
        config.replace(device=device),
    )
    wires = config.wires if config.wires is None else dataclasses.replace(config.wires, exact_reads=False)
    if wires is not None:
        found["wire resistance"] = (ideal.replace(wires=wires), config.replace(wires=None))
    for name, settings in names.items():
        on = {setting: getattr(device, setting) for setting in settings}
        off = {setting: still[setting] for setting in settings}
        # nothing to solve again for each read where reads do not vary
        lines = wires if name == "read variation" else config.wires
        found[name] = (ideal.replace(device=on), config.replace(device=off, wires=lines))
    if config.adc.radc is None:
        found["ADC rounding"] = found["ADC saturation"] = (ideal, config)
    else:
        quiet = dataclasses.replace(config.adc, noise_lsb=0.0, offset_lsb=0.0, gain_error=0.0)
        unbounded = dataclasses.replace(quiet, saturate=False)
        if config.adc.errs:
            found["ADC errors"] = (_finer(digital).replace(adc={"saturate": False}), config.replace(adc=quiet))
        found["ADC rounding"] = (
            digital.replace(adc=unbounded),
            _finer(config) if config.adc.errs else _lossless(config),
        )
        found["ADC saturation"] = (_lossless(digital), config.replace(adc={"saturate": False}))
    return {
        name: ((alone, name == "stuck cells"), (without, name != "stuck cells"))
        for name, (alone, without) in found.items()
    }


def measure(matrix, x=None, w=None):
    """Return the `Report` of a programmed matrix; see `CrossbarMatrix.report`."""
    config, kernels = matrix.config, matrix.kernels
    encoded_w = matrix.encoded
    if encoded_w is None:
        msg = f"a matrix of shape {matrix.shape} has no cells to report on"
        raise ValueError(msg)
    xp = array_namespace(encoded_w.digits)
    where = device_of(encoded_w.digits)
    note = "errors measured with the inputs given"
    if x is None:
        x = _probe(xp, matrix.shape[0], where)
        note = f"errors measured with {PROBE_ROWS} rows of standard normal inputs"
    else:
        x = edge.as_operand("x", x, like=matrix.prototype)
        edge.check_pair(x, matrix.prototype, "x", "the programmed matrix")
        dims = edge.matrix_shape(x.shape, matrix.shape[0], "x", "the programmed matrix", matrix.shape)
        if 0 in dims:
            msg = f"x has shape {tuple(x.shape)}: errors cannot be measured without inputs"
            raise ValueError(msg)
        x = kernels.enter(array_namespace(x).reshape(x, (-1, matrix.shape[0])))
    block = encoding.block_shape(config.inputs, x.shape, config.tile.rows, weight=False)
    encoded_x = encoding.encode(kernels, x[None, ...], config.inputs, block)
    x, x_hat = xp.astype(x, xp.float64), encoding.decode(encoded_x)[0, :, :]
    w_hat = encoding.decode(encoded_w)[0, :, :]
    if w is None:
        exact_w = w_hat
        note += "; weight quantisation not known without the weights"
    else:
        w = edge.as_operand("w", w, like=matrix.prototype)
        edge.check_pair(w, matrix.prototype, "w", "the programmed matrix")
        if tuple(w.shape) != matrix.shape:
            msg = f"w has shape {tuple(w.shape)}, but {matrix.shape} was programmed"
            raise ValueError(msg)
        exact_w = xp.astype(kernels.enter(w), xp.float64)
    exact, quantised = xp.matmul(x, exact_w), xp.matmul(x_hat, w_hat)
    place = matrix.address(0)

    age = matrix.age
    scales = matrix.scales if age is None or not age.compensate else encoding.weight_scales(encoded_w, config.tile.rows)

    def run(variant):
        config, mapped = variant
        targets, faults, ratio = crossbar.targets(config, encoded_w), matrix.faults if mapped else None, 1.0
        written = crossbar.program(kernels, config, targets, place, faults)
        if age is not None:
            written, ratio = crossbar.age(kernels, config, written, targets, place, age.time_s, faults)
        ratio = ratio if age is not None and age.compensate else 1.0
        written = crossbar.wire(kernels, config, written)
        return crossbar.product(kernels, config, encoded_x, scales * ratio, written, place, 0, "float64")

    def snr(error):
        return metrics.SNR(exact + error, exact)

    measured = run((config, True))
    total = measured - exact
    drop_x, drop_w = xp.matmul(x - x_hat, w_hat), xp.matmul(x_hat, exact_w - w_hat)
    effects = [Effect("input quantisation", snr(xp.matmul(x_hat - x, exact_w)), snr(total + drop_x))]
    if w is not None:
        effects.append(Effect("weight quantisation", snr(xp.matmul(x, w_hat - exact_w)), snr(total + drop_w)))
    done = {(config, True): measured}
    for name, pair in _variants(config, ageing=age is not None).items():
        for variant in pair:
            if variant not in done:
                done[variant] = run(variant)
        alone, without = (done[variant] for variant in pair)
        effects.append(Effect(name, snr(alone - quantised), snr(without - exact)))
    down, across, slices = matrix.tiles
    depth, width = matrix.shape
    drives = x.shape[0] * len(config.inputs.digits) * config.inputs.planes
    tile = config.tile
    return Report(
        inputs=tuple(x.shape),
        weights=matrix.shape,
        array=(tile.rows, tile.cols),
        tiles=matrix.tiles,
        cells=depth * width * slices,
        reference_cells=0 if config.weights.signed else down * across * slices * tile.rows,
        dac_conversions=drives * depth * across * slices,
        adc_conversions=drives * width * down * slices // config.weights.cells_per_digit,
        full_scale_A=converters.highest_current(config),
        snr_dB=snr(total),
        effects=tuple(effects),
        note=note,
        age="" if age is None else str(age),
    )
