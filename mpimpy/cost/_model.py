"""The cost of a product of a programmed matrix: cells as they are, the circuits beside them by a technology."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import converters
from .._integers import ceil_div
from ..arrays import namespace
from ..cells import memristors
from ..checks import fail
from ..config import Config
from ..crossbar import plan as plans
from ..crossbar.programmed import Programmed
from ..operands.encoding import Encoded
from ._cells import cell_energy
from ._cost import PARTS, Bits, Cost
from ._counts import Counts, adc_codes, counts
from ._driving import Driving, drives
from ._figure import Anchor, Figure, together
from ._technology import Technology

__all__ = ["cost_of"]

_NO_LAW = "no law with a source; give dac=cost.Anchor(...)"


class _Product(NamedTuple):
    # what all parts of a cost need: rows of the inputs, their drives, and how much of everything there is
    config: Config
    technology: Technology
    height: int
    shape: tuple[int, int]
    counts: Counts
    codes: list[list[int]]

    @property
    def lines(self) -> int:
        """Word lines that one row of the inputs drives: one in each array."""
        return self.counts.tiles[1] * self.counts.tiles[2]

    @property
    def cores(self) -> int:
        """Arrays with converters of their own: those of a pair share them."""
        return self.counts.arrays // self.config.weights.cells_per_digit

    @property
    def line_cells(self) -> int:
        """Cells on a word line, reference columns included."""
        tile = self.config.tile
        return tile.cols + (0 if self.config.weights.signed else tile.reference_columns)


def cost_of(
    backend: Any, programmed: Programmed, inputs: Encoded, technology: Technology, *, read: int = 0, first_row: int = 0
) -> Cost:
    """Return the `Cost` of a product.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
    inputs : Encoded
        The inputs, shape (batch, M, K).
    technology : Technology
    read : int
        Number of the read, which addresses the noise of DACs.
    first_row : int
        Row of the first input in the whole input matrix.

    Raises
    ------
    ValueError
        If the ADC is ideal, or has bits for which the technology has no figure; if the tile is not that of its core.
    """
    config, height = programmed.config, inputs.digits.shape[2] * inputs.digits.shape[3]
    found = counts(config, height, *programmed.shape, share_dacs=technology.share_dacs)
    product = _Product(config, technology, height, programmed.shape, found, adc_codes(config))
    missing: dict[str, str] = {}
    parts: dict[str, Any] = dict.fromkeys(PARTS)
    if technology.core is not None:
        parts |= _core(product)
    else:
        parts |= _parts(backend, programmed, inputs, product, (read, first_row), missing)
    area = _area(product)
    if area is None:
        missing["area"] = "no anchor; give cell_area= and adc_area=, or core_area= (cost.Anchor(..., unit='m2'))"
    writing = _writing(programmed, technology, missing)
    notes = [] if programmed.age is None else [str(programmed.age)]
    if config.device.var != 0 and technology.core is None and technology.cell is None:
        notes.append("read variation of cells by its mean")
    if technology.cell is not None and technology.core is None:
        notes.append("cells as they were measured, whatever their voltage and pulse")
    bits = [math.log2(code) for row in product.codes for code in row]
    return Cost(
        technology=technology,
        macs=height * math.prod(programmed.shape),
        bits=(Bits(config.inputs.bits, config.weights.bits, (min(bits), max(bits))),),
        counts=(found,),
        **parts,
        latency=_latency(product),
        area=area,
        writing=writing,
        missing=tuple(missing.items()),
        note="; ".join(notes),
    )


def _reads(product: _Product) -> int:
    # pulses of the whole product: of every input row, slice and plane
    inputs = product.config.inputs
    return product.height * len(inputs.digits) * inputs.planes


def _core(product: _Product) -> dict[str, Figure]:
    tech, tile = product.technology, product.config.tile
    anchor: Any = tech.core
    if tech.core_array is not None and tech.core_array != (tile.rows, tile.cols):
        rows, cols = tech.core_array
        msg = (
            f"the core of technology {tech.name} has arrays of {rows} x {cols} cells, and these are {tile.rows} x "
            f"{tile.cols}: use array_size=({rows}, {cols}), or a technology without core="
        )
        fail(ValueError, msg)
    rdac = product.config.dac.rdac
    if tech.core_rdac is not None and tech.core_rdac != rdac:
        msg = (
            f"the core of technology {tech.name} has DACs of {tech.core_rdac} codes, and these have {rdac}: use "
            f"rdac={tech.core_rdac}, or a technology without core="
        )
        fail(ValueError, msg)
    each = _mean_over_pairs(product, anchor.at) if anchor.bits is not None else anchor.figure
    return {"core": each.times(_reads(product) * product.cores)}


def _parts(
    backend: Any,
    programmed: Programmed,
    inputs: Encoded,
    product: _Product,
    at: tuple[int, int],
    missing: dict[str, str],
) -> dict[str, Figure]:
    tech, config, found = product.technology, product.config, product.counts
    driven = drives(backend, programmed, inputs, *at)
    pulse = config.dac.vread
    parts: dict[str, Figure | None] = {}
    if tech.cell is None:
        parts["cells"] = _exact(cell_energy(backend, programmed, inputs, _driving(product), *at, driven), product)
    else:
        on_row = product.line_cells * product.lines if _whole(product) else _cells_on_row(product)
        parts["cells"] = tech.cell.figure.times(driven.nonzero * on_row)
    parts["lines"] = _lines(product, driven, pulse)
    if parts["lines"] is None:
        missing["lines"] = "no capacitance; give cell_capacitance= and end_capacitance="
    parts["dacs"] = None
    if tech.dac is None:
        missing["dacs"] = _NO_LAW
    else:
        dac = tech.dac.figure if tech.dac.bits is None else tech.dac.at(math.log2(config.dac.rdac), "rdac")
        parts["dacs"] = dac.times(found.dac_conversions)
    parts["adcs"] = _mean_over_pairs(product, _converter(tech)).times(found.adc_conversions)
    width = _accumulator_bits(product)
    for name, bits in (("adder", found.additions * width), ("buffer", _buffered_bits(product, width))):
        figure = getattr(tech, name)
        parts[f"{name}s"] = None if figure is None else figure.times(bits, "J")
        if figure is None:
            missing[f"{name}s"] = f"no figure; give {name}="
    return {name: part for name, part in parts.items() if part is not None}


def _driving(product: _Product) -> Driving:
    tech, config = product.technology, product.config
    supply, highest = None if tech.driver_supply is None else tech.driver_supply.value, config.dac.vread
    if supply is not None and supply < highest:
        msg = (
            f"driver_supply={supply:g} V of technology {tech.name} is below vread={highest:g} V, to which it drives "
            f"word lines: use at least {highest:g} V, or a lower vread"
        )
        fail(ValueError, msg)
    if tech.whole_arrays is False and config.wires is not None and product.shape[1] % config.tile.cols:
        msg = (
            f"whole_arrays=False leaves out the unused cells beyond column {product.shape[1]}, which wires of arrays "
            f"of {config.tile.cols} columns join to the others: use whole_arrays=None"
        )
        fail(ValueError, msg)
    return Driving(tech.read_time.value, tech.coding == "width", supply, tech.whole_arrays)


def _whole(product: _Product) -> bool:
    whole, wires = product.technology.whole_arrays, product.config.wires is not None
    return wires if whole is None else whole


def _cells_on_row(product: _Product) -> int:
    tile, (_, across, arrays) = product.config.tile, product.counts.tiles
    references = 0 if product.config.weights.signed else across * tile.reference_columns
    return arrays * (product.shape[1] + references)


def _exact(energy: float, product: _Product) -> Figure:
    # exact but for the read time and the supply
    tech = product.technology
    found = Figure.chosen(energy, "J", "exact for these inputs and cells")
    low = high = 1.0
    for figure in filter(None, (tech.read_time, tech.driver_supply)):
        low, high = low * figure.low / figure.value, high * figure.high / figure.value
    return Figure(energy, "J", energy * low, energy * high, found.source)


def _lines(product: _Product, driven: Any, pulse: float) -> Figure | None:
    # C V dV of every word line that is charged: the swing is that of the line, the charge comes from its supply
    tech = product.technology
    if tech.cell_capacitance is None or tech.end_capacitance is None:
        return None
    line = together((tech.cell_capacitance.times(product.line_cells), tech.end_capacitance), "F")
    line = line.times(product.lines)
    full = pulse / driven.unit
    if tech.line_voltage is not None:
        volts = tech.line_voltage
        pulses = _reads(product) * product.shape[0]  # gates of all rows
        swing = volts.by(volts if tech.line_supply is None else tech.line_supply, "V2").times(pulses)
    elif tech.driver_supply is not None:
        volts = driven.nonzero * pulse if tech.coding == "width" else sum(driven.sums) * full
        swing = tech.driver_supply.times(volts, "V2")
    else:
        squares = driven.nonzero * pulse**2 if tech.coding == "width" else sum(driven.squares) * full**2
        swing = Figure.chosen(squares, "V2", "voltages of the word lines")
    return line.by(swing, "J")


def _converter(technology: Technology) -> Callable[[float], Figure]:
    # energy of one conversion, from bits
    adc = technology.adc
    assert adc is not None  # beside a core alone
    return adc.at if isinstance(adc, Anchor) else functools.partial(adc.at, rate_Hz=technology.adc_rate.value)


def _mean_over_pairs(product: _Product, value: Callable[[float], Figure]) -> Figure:
    # of a figure of an ADC's bits, over the pairs of slices, which have as many conversions each
    found = [value(math.log2(code)) for row in product.codes for code in row]
    return together(found, found[0].unit, found[0].source).times(1 / len(found))


def _accumulator_bits(product: _Product) -> int:
    # of the sum of all codes of an output
    weights = plans.plan(product.config).reading.shift_weights
    flat = [
        (abs(weight), code)
        for row, codes in zip(weights, product.codes, strict=True)
        for weight, code in zip(row, codes, strict=True)
    ]
    least = min(weight for weight, _ in flat)
    most = sum(weight / least * code for weight, code in flat) * product.counts.tiles[0]
    return math.ceil(math.log2(most))


def _buffered_bits(product: _Product, width: int) -> int:
    # codes of the DACs are read, and the sum of each tile is written, once
    config, (down, across, arrays) = product.config, product.counts.tiles
    height, (depth, columns) = product.height, product.shape
    reads = 1 if product.technology.share_dacs else across * arrays
    inputs = height * depth * config.inputs.planes * sum(config.inputs.ascending) * reads
    return inputs + height * columns * down * config.inputs.planes * config.weights.planes * width


def _pulse(product: _Product) -> list[Figure]:
    # duration of the pulse of each input slice
    tech, config = product.technology, product.config
    step = tech.read_time if tech.read_cycle is None else tech.read_cycle
    if tech.coding == "amplitude":
        return [step] * len(config.inputs.digits)
    strides = plans.plan(config).x_strides
    bounds = converters.digit_bounds(config.inputs)
    return [step.times(max(map(abs, ends)) * u) for ends, u in zip(bounds, strides, strict=True)]


def _latency(product: _Product) -> Figure:
    tech, config = product.technology, product.config
    columns = min(config.tile.cols, product.shape[1])
    shared = 1 if tech.adcs_per_array is None else ceil_div(columns, tech.adcs_per_array)
    rate = tech.adc_rate
    conversion = Figure(shared / rate.value, "s", shared / rate.high, shared / rate.low, rate.source)
    pulses = _pulse(product)
    if config.adc.per == "product":
        pulses = [together(pulses, "s")]
    if tech.sample_and_hold:
        cycles = [_longer(pulse, conversion) for pulse in pulses]
    else:
        cycles = [together((pulse, conversion), "s") for pulse in pulses]
    return together(cycles, "s").times(product.height * config.inputs.planes, source="cycles")


def _longer(a: Figure, b: Figure) -> Figure:
    longer = a if a.value >= b.value else b
    return Figure(longer.value, "s", max(a.low, b.low), max(a.high, b.high), longer.source)


def _area(product: _Product) -> Figure | None:
    tech, config, found = product.technology, product.config, product.counts
    if tech.core_area is not None:
        return tech.core_area.figure.times(product.cores)
    if tech.cell_area is None or tech.adc_area is None:
        return None
    cells = found.arrays * config.tile.rows * product.line_cells
    each = config.tile.cols if tech.adcs_per_array is None else tech.adcs_per_array
    converters_ = each * found.arrays // config.weights.cells_per_digit
    adc = _mean_over_pairs(product, tech.adc_area.at) if tech.adc_area.bits is not None else tech.adc_area.figure
    return together((tech.cell_area.figure.times(cells), adc.times(converters_)), "m2")


def _writing(programmed: Programmed, technology: Technology, missing: dict[str, str]) -> Figure | None:
    # pulses of verified writing, at the conductance that they left
    if technology.write_voltage is None or technology.write_time is None:
        missing["writing"] = "no pulse; give write_voltage= and write_time="
        return None
    fresh = programmed.youngest
    cells, device = fresh.as_programmed, fresh.config.device
    if cells.pulses is None:
        missing["writing"] = "pulses are counted where writing is verified, Device(verify=WriteVerify(...))"
        return None
    low, high = memristors.conductance_of(device, plans.cell_format(fresh.config), cells, (0, 1))
    xp = namespace(cells.pulses)
    pulses = xp.astype(cells.pulses, xp.int64)
    weighted = int(xp.sum(pulses * xp.astype(cells.cells, xp.int64), dtype=xp.int64))
    total = (high - low) * weighted + low * int(xp.sum(pulses, dtype=xp.int64))
    volts = technology.write_voltage
    return volts.by(volts, "V2").by(technology.write_time, "V2 s").times(total, "J", "pulses of the writing")
