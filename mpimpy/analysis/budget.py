"""The law of one error budget: inner products of its errors, and the currents at its ADCs."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from array_api_compat import array_namespace
from array_api_compat import device as device_of

from .._integers import ceil_div
from ..cells.memristors import strides
from ..config import Config
from ..converters import adc_windows, conversions
from ..crossbar.programmed import Programmed
from ..operands import encoding
from ..operands.encoding import Encoded
from .law import PRODUCT, Law, Pair, Settings

__all__ = ["effects_on", "find_law"]

SAMPLE = 16  # input rows, and weight columns, whose currents are looked at


def effects_on(programmed: Programmed) -> list[str]:
    """Return the effects of hardware that cost something, ADC rounding left out."""
    config, device = programmed.config, programmed.config.device
    on = {
        "DAC noise": config.dac.vnoise > 0,
        "level rounding": device.levels is not None,
        "wire resistance": config.wires is not None,
        "write variation": device.write_var != 0,
        "read variation": device.var != 0,
        "stuck cells": device.stuck_HGS > 0 or device.stuck_LGS > 0 or programmed.faults is not None,
        "ADC errors": config.adc.errs,
        "ADC saturation": config.adc.radc is not None and config.adc.saturate and config.adc.range != "full",
    }
    return [name for name, is_on in on.items() if is_on]


def _refusals(programmed: Programmed) -> Iterator[tuple[str, str]]:
    config = programmed.config
    device, adc = config.device, config.adc
    if programmed.age is not None:
        yield "", "the matrix has aged, which moves its levels"
    if config.inputs.double or config.weights.double:
        yield "", "the planes of a double exponent have currents of their own"
    if adc.snap or adc.range == "lossless":
        name = "snap=True" if adc.snap else "range='lossless'"
        yield "", f"{name} rounds to whole digit products, which takes small errors away and lets large ones through"
    if adc.per == "product" and adc.radc is not None:
        yield "", "per='product' converts sums of all input slices, whose rounding follows no law"
    for name, law in (("var", device.var), ("write_var", device.write_var)):
        if not isinstance(law, float):
            yield name, f"it was simulated with {name}={law!r}, and only one lognormal spread for all levels scales"
        elif law == 0:
            yield name, f"it was simulated with {name}=0, which leaves nothing to scale"
    if device.verify is not None:
        yield "write_var", "cells were verified, and written again beyond a tolerance"
    if config.dac.vnoise == 0:
        yield "vnoise", "it was simulated with vnoise=0, which leaves nothing to scale"
    if adc.radc is None:
        yield "radc", "it was simulated with ideal ADCs, radc=None"
    elif adc.errs and (adc.gain_error > 0 or isinstance(adc.radc, tuple)):
        yield "radc", "the ADCs have errors of their gain, or several radc: not all of them count in one LSB"


def find_law(programmed: Programmed, inputs: Encoded, exact: Any, errors: Mapping[str, Any], quantised: Any) -> Law:
    """Return the `Law` of a budget.

    Parameters
    ----------
    programmed : Programmed
    inputs : Encoded
    exact : float64 array, shape (M, N)
        The product of the operands as given.
    errors : mapping of float64 arrays
        Error of the product by each effect alone.
    quantised : float64 array, shape (M, N)
        The product of the quantised operands.
    """
    config, xp = programmed.config, array_namespace(exact)
    peak = float(xp.max(xp.abs(exact))) or 1.0
    exact = exact / peak
    signal = float(xp.sum(exact * exact)) or 1.0
    parts = [*((name, error / peak) for name, error in errors.items()), (PRODUCT, quantised / peak)]
    gram = [[float(xp.sum(a * b)) / signal for _, b in parts[: i + 1]] for i, (_, a) in enumerate(parts)]
    refusals = dict(_refusals(programmed))
    if inputs.exponent is not None or programmed.encoded.exponent is not None:
        refusals[""] = "its scales are near the ends of what float64 holds"
    pairs: tuple[Pair, ...] = ()
    power = 0.0
    if config.adc.radc is not None and "" not in refusals:
        pairs = tuple(_pairs(config, inputs, programmed.encoded))
        power = _power(config, inputs, programmed.encoded) / (signal / math.prod(exact.shape) * peak**2)
    device = config.device
    var, write_var = (law if isinstance(law, float) else 0.0 for law in (device.var, device.write_var))
    return Law(
        Settings(config._radc_ascending, var, write_var, config.dac.vnoise),
        tuple(name for name, _ in parts),
        tuple(map(tuple, gram)),
        pairs,
        power,
        ceil_div(inputs.digits.shape[-1], config.tile.rows),
        config.adc.noise_lsb,
        tuple(refusals.items()),
        config,
        _outputs(inputs, programmed.encoded, config.tile.rows, exact),
    )


def _outputs(inputs: Encoded, weights: Encoded, rows: int, exact: Any) -> float:
    # number of outputs of equal scale whose squares have a mean that scatters as much: by scales, or by the product,
    # where one scale serves rows of unlike size
    xp = array_namespace(exact)
    x, w = encoding.input_scales(inputs, rows), encoding.weight_scales(weights, rows)
    by_scales = _equal(xp, x, (0, 2)) * _equal(xp, w, (0, 1))
    return min(by_scales, _equal(xp, exact, 1) * _equal(xp, exact, 0))


def _equal(xp: Any, values: Any, axes: Any) -> float:
    powers = xp.sum((values / (float(xp.max(xp.abs(values))) or 1.0)) ** 2, axis=axes)
    return float(xp.sum(powers)) ** 2 / (float(xp.sum(powers**2)) or 1.0)


def _power(config: Config, inputs: Encoded, weights: Encoded) -> float:
    # mean over outputs of the square of an error of 1 in the integer product of each tile and pair of planes
    xp = array_namespace(inputs.scales)
    rows = config.tile.rows
    x = xp.mean(encoding.input_scales(inputs, rows) ** 2, axis=1)
    w = xp.mean(encoding.weight_scales(weights, rows) ** 2, axis=2)
    return float(xp.sum(xp.sum(x, axis=0) * xp.sum(w, axis=0)))


def _thinned(xp: Any, digits: Any, axis: int) -> Any:
    # float64, shape (slices, rows, K) or (slices, K, columns): planes join the rows or columns
    step = max(1, digits.shape[axis] // SAMPLE)
    picked = digits[:, :, 0, ::step, :] if axis == 3 else digits[:, :, 0, :, ::step]
    picked = xp.astype(picked, xp.float64)
    return xp.concat([picked[plane, ...] for plane in range(picked.shape[0])], axis=axis - 2)


def _tiled(xp: Any, digits: Any, rows: int) -> Any:
    # float64, shape (slices, tiles, A, rows) of (slices, A, K), with zeros after the last row and some of many tiles
    slices, many, depth = digits.shape
    tiles = ceil_div(depth, rows)
    if tiles * rows > depth:
        more = xp.zeros((slices, many, tiles * rows - depth), dtype=xp.float64, device=device_of(digits))
        digits = xp.concat([digits, more], axis=2)
    found = xp.permute_dims(xp.reshape(digits, (slices, many, tiles, rows)), (0, 2, 1, 3))
    return found[:, :: max(1, tiles // SAMPLE), :, :]


def _weights(inputs: Encoded, weights: Encoded, rows: int) -> Any:
    # powers of the scales of what `_thinned` and `_tiled` pick, of mean 1, shape (tiles, A, B)
    xp = array_namespace(inputs.digits)
    x, w = encoding.input_scales(inputs, rows), xp.matrix_transpose(encoding.weight_scales(weights, rows))
    found = []
    for scales in (x, w):
        picked = scales[:, :: max(1, scales.shape[1] // SAMPLE), :: max(1, scales.shape[2] // SAMPLE)]
        powers = xp.concat(
            [(picked[plane, ...] / (float(xp.max(picked)) or 1.0)) ** 2 for plane in range(picked.shape[0])], axis=0
        )
        found.append(xp.matrix_transpose(powers))
    both = found[0][:, :, None] * found[1][:, None, :]
    return both / (float(xp.mean(both)) or 1.0)


def _pairs(config: Config, inputs: Encoded, weights: Encoded) -> Iterator[Pair]:
    xp, device, seen = array_namespace(inputs.digits), config.device, conversions(config)
    levels = strides(config.weights.ascending, device.g_level)
    windows = adc_windows(config, 1, seen, levels)
    rho = device.LGS / device.step_S
    x, w = _thinned(xp, inputs.digits, 3), xp.matrix_transpose(_thinned(xp, weights.digits, 4))
    x, w = (_tiled(xp, digits, config.tile.rows)[:, None, ...] for digits in (x, w))
    w = xp.matrix_transpose(xp.permute_dims(w, (1, 0, 2, 3, 4)))
    # weights are held with their strides, and an offset's unit column takes half a range away
    halves = [0.0] * len(levels)
    if config.weights.offset:
        halves[-1] = float(levels[-1] * 2 ** (config.weights.ascending[-1] - 1))
    half = xp.reshape(xp.asarray(halves, dtype=xp.float64, device=device_of(w)), (1, -1, 1, 1, 1))
    # shape (input slices, weight slices): all but the rows of a tile and the cells of a column are averaged
    axes = (2, 3, 4)
    sums = x @ (w - half)
    # the outputs and tiles of large scales make the error
    counted = _weights(inputs, weights, config.tile.rows)
    mean = xp.mean(counted * sums, axis=axes)
    spread = xp.sqrt(xp.mean(counted * (sums - mean[:, :, None, None, None]) ** 2, axis=axes))
    by_cells = xp.mean(counted * (x**2 @ ((xp.abs(w) + rho) ** 2 + rho**2)), axis=axes)
    by_volts = xp.mean(counted * (x**2 @ (w - half) ** 2), axis=axes)
    radc = config._radc_ascending
    assert radc is not None
    for j, v in enumerate(levels):
        for i, (u, a) in enumerate(zip(seen.strides, seen.shifts, strict=True)):
            step, codes = float(windows.steps[j][i]), radc[j] - 1
            yield Pair(
                slice=j,
                weight=a * weights.shifts[j] / (u * v * step) * codes,
                unit=u * v * step / codes,
                origin=float(windows.origins[j][i]),
                mean=float(mean[i, j]) / v,
                spread=float(spread[i, j]) / v,
                cells=float(by_cells[i, j]) * (u * step / codes) ** 2,
                voltages=float(by_volts[i, j]) * (u * step / codes) ** 2,
            )
