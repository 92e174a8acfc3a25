"""Configurations with one effect alone, and with all but one."""

import dataclasses
from typing import Any

from .. import converters
from ..config import ADC, Config, Device, Ranges, Samples
from ..config._adc import MOST_LSB
from ..crossbar import plan as plans

__all__ = ["Variant", "variants"]

FINEST = 1 << 10  # parts of a step that resolve the errors of ADCs

Variant = tuple[Config, bool]  # a configuration, and whether the map of stuck cells applies


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


def variants(config: Config, *, ageing: bool) -> dict[str, tuple[Variant, Variant]]:
    """Return, for each effect, the variant with it alone and the variant with all but it.

    Parameters
    ----------
    config : Config
    ageing : bool
        Whether the matrix has aged, so that drift or relaxation is an effect.
    """
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
