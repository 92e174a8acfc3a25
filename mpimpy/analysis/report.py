"""Reports of a product: size, conversions, and the cost of each effect."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace
from array_api_compat import device as device_of

from .. import converters, noise
from ..checks import fail
from ..config import ADC, ARITHMETIC, Config, Device, Ranges, Samples
from ..config._adc import MOST_LSB
from ..crossbar import plan as plans
from ..crossbar.product import product
from ..crossbar.programmed import Programmed, aged, given_ratio, wired, written
from ..operands import encoding
from . import metrics
from .counts import counts

__all__ = ["Effect", "Report", "check_weights", "measure"]

PROBE_ROWS = 64
PROBE_SEED = 0
FINEST = 1 << 10  # parts of a step that resolve the errors of ADCs

_LASTING = {"product": "the whole product", "slice": "each input slice", "row": "each input row and slice"}

Variant = tuple[Config, bool]  # a configuration, and whether the map of stuck cells applies


@dataclass(frozen=True)
class Effect:
    """The cost of one effect.

    Attributes
    ----------
    name : str
    alone_dB : float
        SNR of the product if this were its only error; infinite if the effect is off or costs nothing.
    without_dB : float
        SNR of the product as configured, without this effect.
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
        Memristors in the reference columns.
    dac_conversions, adc_conversions : int
        For the whole product; every array has converters of its own.
    full_scale_A : float
        Bit line current at the top of the ADC's range, A; the highest of all pairs of slices.
    snr_dB : float
        Of the product as configured, against the exact one.
    effects : tuple of Effect
    note : str
        Inputs of the measurement.
    age : str
        Age of a matrix that was aged with `CrossbarMatrix.at`.
    arithmetic : int
        Version of the arithmetic, `mpimpy.ARITHMETIC`.
    reference : str
        Reference columns of an array, and the SNR with ideal ones where real ones vary; empty for pairs.
    redraw : str
        How long a draw of read variation lasted, and the SNR with another choice; empty without read variation.
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
    reference: str = ""
    redraw: str = ""

    def __str__(self) -> str:
        down, across, slices = self.tiles
        arrays = f"{down * across * slices} of {_shape(self.array)}"
        lines = [
            f"product            {_shape(self.inputs)} by {_shape(self.weights)}",
            f"arrays             {arrays}, {down} x {across} tiles, {slices} slices",
            f"cells              {self.cells} and {self.reference_cells} in reference columns",
            *([f"reference columns  {self.reference}"] if self.reference else []),
            *([f"read variation     {self.redraw}"] if self.redraw else []),
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


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _decibels(value: float) -> str:
    # the rounding of float64 is no effect of the crossbar
    return "no cost" if value > 200 else f"{value:.2f} dB"


def _probe(xp: Any, depth: int, where: Any) -> Any:
    word = noise.words(xp, noise.Address(PROBE_SEED, 0, 0, 0), 0, (PROBE_ROWS, depth), where)
    table = xp.asarray(noise.table_values(noise.gaussian_table(1.0)), dtype=xp.float64, device=where)
    factor = xp.take(table, xp.reshape(word, (-1,)), axis=0) / 2.0**noise.TABLE_BITS - 1.0
    return xp.reshape(factor, (PROBE_ROWS, depth))


def _on_levels(device: Device) -> Device:
    # the device with evenly spaced levels, and its samples about the levels at which they were measured
    write = device.write_var
    if isinstance(write, Samples) and write.about_S is None and device.levels is not None:
        write = dataclasses.replace(write, about_S=device.levels)
    return dataclasses.replace(device, levels=None, write_var=write)


def _lossless(config: Config) -> Config:
    # ADCs without errors, with the same ends and a code for every unit of current: no rounding
    adc = config.adc
    span = "full" if adc.range == "lossless" else adc.range
    return config.replace(adc=ADC(plans.plan(config).full_scale + 1, saturate=adc.saturate, range=span, per=adc.per))


def _finer(config: Config) -> Config:
    # ADCs with the same errors and ends, and steps so fine that rounding is small beside the errors
    adc = config.adc
    radc, span = _as_ranges(config) if adc.range == "lossless" else (converters.radc_ascending(config)[::-1], adc.range)
    parts = int(min(FINEST, MOST_LSB / max(adc.noise_lsb, adc.offset_lsb, MOST_LSB / FINEST)))
    while parts > 1:
        more = tuple(parts * (r - 1) + 1 for r in radc)
        errors = {"noise_lsb": adc.noise_lsb * parts, "offset_lsb": adc.offset_lsb * parts}
        try:
            found = config.replace(adc={"radc": more, "range": span, "snap": False, **errors})
            plans.choose_grid(found)
        except ValueError:
            parts //= 2  # currents would not be exact on so fine a grid
        else:
            return found
    return config


def _as_ranges(config: Config) -> tuple[tuple[int, ...], Ranges]:
    # (radc, Ranges) with the steps of range="lossless", and ends that are no narrower
    plan = plans.plan(config)
    inputs = converters.conversions(config)
    found = converters.adc_windows(config, plan.current_unit, inputs, plan.cell_format.strides)
    ampere = converters.full_scale_amperes(config) / plan.full_scale
    radc = [
        1 + max(top - low for low, top in zip(*ends, strict=True)) for ends in zip(found.lows, found.tops, strict=True)
    ]
    rows = list(zip(found.steps, found.lows, radc, strict=True))
    low = [[float(low / step) * ampere for step, low in zip(steps, lows, strict=True)] for steps, lows, _ in rows]
    span = [[float((r - 1) / step) * ampere for step in steps] for steps, _, r in rows]
    return tuple(radc[::-1]), Ranges(*[[row[::-1] for row in table[::-1]] for table in (low, span)])


def _variants(config: Config, *, ageing: bool) -> dict[str, tuple[Variant, Variant]]:
    # {effect: (the variant with it alone, the variant with all but it)}
    device = _on_levels(config.device)
    still: dict[str, Any] = {
        "var": 0.0,
        "write_var": 0.0,
        "stuck_HGS": 0.0,
        "stuck_LGS": 0.0,
        "verify": None,
        "drift": None,
        "relaxation": None,
    }
    digital = config.replace(device=dataclasses.replace(device, **still), dac={"vnoise": 0.0}, wires=None)
    ideal = digital.replace(adc=ADC(radc=None))
    names: dict[str, tuple[str, ...]] = {
        "write variation": ("write_var", "verify"),
        "read variation": ("var",),
        "stuck cells": ("stuck_HGS", "stuck_LGS"),
    }
    if ageing:
        name = "drift" if device.relaxation is None else "relaxation"
        names[name] = (name,)
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
        # without read variation there is nothing to solve again for each read
        solved = wires if name == "read variation" else config.wires
        found[name] = (ideal.replace(device=on), config.replace(device=off, wires=solved))
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


def check_weights(backend: Any, programmed: Programmed, w: Any, statistics: Any = None) -> None:
    """Raise ValueError if weights are not those that a matrix was programmed with: their integers must be the same.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
    w : real floating array, shape (K, N)
        As the backend takes it, of the dtype that the matrix was programmed with.
    statistics : BlockStatistics, optional
        Of the blocks, if the matrix is a part with the scales of a larger one.
    """
    held, xp = programmed.encoded, array_namespace(programmed.encoded.digits)
    given = encoding.encode(backend, w[None, ...], programmed.config.weights, held.block, statistics=statistics)
    differ = xp.any(encoding.integers(given) != encoding.integers(held), axis=0)
    codes, scales = (int(xp.sum(xp.astype(array, xp.int64))) for array in (differ, given.scales != held.scales))
    if codes or scales:
        found = f"{codes} of {math.prod(programmed.shape)} codes and {scales} of {math.prod(held.scales.shape)} scales"
        msg = f"w is not what was programmed, for {found} differ: give the weights that went into engine.program(w)"
        fail(ValueError, f"{msg}, or leave w out")


def measure(backend: Any, programmed: Programmed, x: Any = None, w: Any = None) -> Report:
    """Return the `Report` of a programmed matrix.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
    x : real floating array, shape (M, K), optional
        Inputs, as the backend takes them; by default rows of standard normal numbers.
    w : real floating array, shape (K, N), optional
        The weights before quantisation, as the backend takes them.
    """
    config, bench = programmed.config, _Bench(backend, programmed, x, w)
    found = counts(config, bench.rows, *programmed.shape)
    return Report(
        inputs=(bench.rows, programmed.shape[0]),
        weights=programmed.shape,
        array=(config.tile.rows, config.tile.cols),
        tiles=found.tiles,
        cells=found.cells,
        reference_cells=found.reference_cells,
        dac_conversions=found.dac_conversions,
        adc_conversions=found.adc_conversions,
        full_scale_A=converters.highest_current(config),
        snr_dB=bench.snr_dB(bench.error),
        effects=(*bench.quantisation(), *bench.effects()),
        note=bench.note,
        age="" if programmed.age is None else str(programmed.age),
        reference=bench.reference(),
        redraw=bench.redraw(),
    )


class _Bench:
    """Products of a programmed matrix under variants of its configuration, and their errors."""

    def __init__(self, backend: Any, programmed: Programmed, x: Any, w: Any) -> None:
        self._backend, self._programmed, self._w_given = backend, programmed, w is not None
        config, weights = programmed.config, programmed.encoded
        self._xp = xp = array_namespace(weights.digits)
        self.note = "errors measured with the inputs given"
        if x is None:
            x = _probe(xp, programmed.shape[0], device_of(weights.digits))
            self.note = f"errors measured with {PROBE_ROWS} rows of standard normal inputs"
        self.rows = x.shape[0]
        block = encoding.block_shape(config.inputs, x.shape, config.tile.rows, weight=False)
        self._inputs = encoding.encode(backend, x[None, ...], config.inputs, block)
        # operands as given, and as quantised
        self._x, self._x_hat = xp.astype(x, xp.float64), encoding.decode(self._inputs)[0, :, :]
        self._w_hat = encoding.decode(weights)[0, :, :]
        if w is None:
            self.note += "; weight quantisation not known without the weights"
        self._w = self._w_hat if w is None else xp.astype(w, xp.float64)
        self._exact = xp.matmul(self._x, self._w)
        self._quantised = xp.matmul(self._x_hat, self._w_hat)
        self._done: dict[Variant, Any] = {}
        self.error = self._run((config, True)) - self._exact

    def snr_dB(self, error: Any) -> float:
        """SNR of the exact product plus an error, dB."""
        return metrics.SNR(self._exact + error, self._exact)

    def _run(self, variant: Variant) -> Any:
        # the product of a variant, which runs once
        if variant not in self._done:
            (config, mapped), backend, given = variant, self._backend, self._programmed
            faults = given.faults if mapped else None
            matrix = written(backend, config, given.encoded, given.address, faults)
            if given.age is None:
                matrix = wired(backend, matrix)
            else:
                moves = config.device.drift is not None or config.device.relaxation is not None
                ratio = given_ratio(given) if moves else None  # that of a larger matrix
                matrix = aged(backend, matrix, given.age.time_s, given.age.compensate if ratio is None else ratio)
            self._done[variant] = product(backend, matrix, self._inputs, 0, 0, "float64")
        return self._done[variant]

    def reference(self) -> str:
        """Return the reference columns in words, with the SNR if they were ideal."""
        config = self._programmed.config
        tile, columns = config.tile, self._programmed.as_programmed.columns
        if config.weights.signed:
            return ""
        if tile.reference == "ideal":
            return "ideal, without variation"
        each = f"{tile.reference_columns} an array, of real cells"
        if columns is None:
            return f"{each}, which nothing moves"
        ideal = self._run((config.replace(tile={"reference": "ideal", "reference_columns": 1}), True))
        return f"{each}; {_decibels(self.snr_dB(ideal - self._exact))} with ideal ones"

    def redraw(self) -> str:
        """Return how long a draw of read variation lasted in words, with the SNR of another choice."""
        config = self._programmed.config
        used, other = config.device.redraw, "slice" if config.device.redraw == "product" else "product"
        if config.device.var == 0:
            return ""
        if config.adc.per == "product":
            return f"drawn for {_LASTING[used]}"
        found = self._run((config.replace(device={"redraw": other}), True))
        choice = f"{_decibels(self.snr_dB(found - self._exact))} if for {_LASTING[other]} (redraw={other!r})"
        return f"drawn for {_LASTING[used]}; {choice}"

    def quantisation(self) -> Iterator[Effect]:
        """Effects of quantising each operand: they need no other read."""
        xp = self._xp
        drop_x = xp.matmul(self._x - self._x_hat, self._w_hat)
        alone_x = xp.matmul(self._x_hat - self._x, self._w)
        yield Effect("input quantisation", self.snr_dB(alone_x), self.snr_dB(self.error + drop_x))
        if self._w_given:
            drop_w = xp.matmul(self._x_hat, self._w - self._w_hat)
            alone_w = xp.matmul(self._x, self._w_hat - self._w)
            yield Effect("weight quantisation", self.snr_dB(alone_w), self.snr_dB(self.error + drop_w))

    def effects(self) -> Iterator[Effect]:
        """Every effect of the hardware, on alone and off alone."""
        given = self._programmed
        for name, variants in _variants(given.config, ageing=given.age is not None).items():
            alone, without = map(self._run, variants)
            yield Effect(name, self.snr_dB(alone - self._quantised), self.snr_dB(without - self._exact))
