"""Reports of a product: size, conversions, and the cost of each effect."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from array_api_compat import array_namespace
from array_api_compat import device as device_of

from .. import converters, noise
from ..checks import as_int, fail
from ..config import Config
from ..cost import Cost, Technology, counts
from ..cost._model import cost_of
from ..crossbar.product import product
from ..crossbar.programmed import Programmed, aged, given_ratio, wired, written
from ..operands import encoding
from . import metrics
from .budget import effects_on, find_law
from .law import Law
from .results import Effect, Report, decibels
from .variants import Variant, variants

__all__ = ["Effect", "Reads", "Report", "check_reads", "check_weights", "measure"]

PROBE_ROWS = 64
PROBE_SEED = 0

_LASTING = {"product": "the whole product", "slice": "each input slice", "row": "each input row and slice"}


class Reads(NamedTuple):
    """Reads that a budget is measured by.

    Attributes
    ----------
    first, many : int
        Number of the first one, and how many there are.
    stream : str or None
        Their stream; None: that of the seed itself.
    """

    first: int = 0
    many: int = 1
    stream: str | None = None


FIRST = Reads()


def _probe(xp: Any, depth: int, where: Any) -> Any:
    word = noise.words(xp, noise.Address(PROBE_SEED, 0, 0, 0), 0, (PROBE_ROWS, depth), where)
    table = xp.asarray(noise.table_values(noise.gaussian_table(1.0)), dtype=xp.float64, device=where)
    factor = xp.take(table, xp.reshape(word, (-1,)), axis=0) / 2.0**noise.TABLE_BITS - 1.0
    return xp.reshape(factor, (PROBE_ROWS, depth))


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


def check_reads(read: Any, reads: Any) -> Reads:
    """Return the reads that are asked for, checked.

    Raises
    ------
    TypeError, ValueError
        If `read` or `reads` is no whole number or out of range.
    """
    first = as_int("read", read, 0, noise.MAX_READ)
    return Reads(first, as_int("reads", reads, 1, noise.MAX_READ + 1 - first))


def measure(
    backend: Any,
    programmed: Programmed,
    x: Any = None,
    w: Any = None,
    reads: Reads = FIRST,
    technology: Technology | None = None,
) -> Report:
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
    reads : Reads
    technology : Technology, optional
        For the cost of the product, by the first read.
    """
    config, bench = programmed.config, _Bench(backend, programmed, x, w, reads)
    address, cost = programmed.address, None if technology is None else bench.cost(technology)
    found = counts(config, bench.rows, *programmed.shape) if cost is None else cost.counts[0]
    budgets, law = [bench.budget()], bench.law()
    for read in range(reads.first + 1, reads.first + reads.many):
        bench.go_on(read)
        budgets.append(bench.budget())
    snr = [each.snr_dB for each in budgets]
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
        snr_dB=metrics.together(snr),
        effects=tuple(_together(each) for each in zip(*(each.effects for each in budgets), strict=True)),
        note=bench.note,
        age="" if programmed.age is None else str(programmed.age),
        reference=_reference(config, [each.ideal_dB for each in budgets]),
        redraw=_redraw(config, [each.redrawn_dB for each in budgets]),
        law=law,
        settings=config,
        seed=address.seed,
        chip=address.chip,
        read=reads.first,
        reads=reads.many,
        stream=reads.stream,
        origin=(address.row, address.col),
        cost=cost,
        snr_range_dB=_range(snr),
    )


def _range(values: list[float]) -> tuple[float, float] | None:
    return None if len(values) == 1 else (min(values), max(values))


def _together(effects: tuple[Effect, ...]) -> Effect:
    # one effect in several reads
    alone, without = [each.alone_dB for each in effects], [each.without_dB for each in effects]
    names = effects[0].name, metrics.together(alone), metrics.together(without)
    return Effect(*names, _range(alone), _range(without))


def _reference(config: Config, ideal: list[float | None]) -> str:
    # the reference columns in words, with the SNR if they were ideal
    tile = config.tile
    if config.weights.signed:
        return ""
    if tile.reference == "ideal":
        return "ideal, without variation"
    each = f"{tile.reference_columns} an array, of real cells"
    known = [value for value in ideal if value is not None]
    return f"{each}; {decibels(metrics.together(known))} with ideal ones" if known else f"{each}, which nothing moves"


def _redraw(config: Config, other: list[float | None]) -> str:
    # how long a draw of read variation lasted in words, with the SNR of another choice
    if config.device.var == 0:
        return ""
    lasted, choice = f"drawn for {_LASTING[config.device.redraw]}", _other_redraw(config)
    known = [value for value in other if value is not None]
    if not known:
        return lasted
    return f"{lasted}; {decibels(metrics.together(known))} if for {_LASTING[choice]} (redraw={choice!r})"


def _other_redraw(config: Config) -> str:
    return "slice" if config.device.redraw == "product" else "product"


def _draws(config: Config) -> bool:
    # whether two reads of one matrix differ
    return config.device.var != 0 or config.dac.noisy or config.adc.noise_lsb > 0


def budget(backend: Any, programmed: Programmed, x: Any, w: Any) -> tuple[float, Law]:
    """Return the SNR of a programmed matrix, dB, and the law of its error budget, by few reads.

    Parameters
    ----------
    backend, programmed, x, w
        As for `measure`.
    """
    bench = _Bench(backend, programmed, x, w)
    return bench.snr_dB(bench.error), bench.law()


class _Budget(NamedTuple):
    # the SNR of one read: as configured, with ideal reference columns and another redraw if these count, by effect
    snr_dB: float
    ideal_dB: float | None
    redrawn_dB: float | None
    effects: tuple[Effect, ...]


class _Bench:
    """Products of a programmed matrix under variants of its configuration, and their errors, in one read at a time."""

    def __init__(self, backend: Any, programmed: Programmed, x: Any, w: Any, reads: Reads = FIRST) -> None:
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
        self._reads, self._read = reads, reads.first
        self._done: dict[Variant, Any] = {}
        self._written: dict[Variant, Programmed] = {}  # for further reads
        self.error = self._run((config, True)) - self._exact

    def go_on(self, read: int) -> None:
        """Forget what belongs to the read before, and measure another one."""
        self._read = read
        self._done = {variant: y for variant, y in self._done.items() if not _draws(variant[0])}
        self.error = self._run((self._programmed.config, True)) - self._exact

    def snr_dB(self, error: Any) -> float:
        """SNR of the exact product plus an error, dB; infinite where only float64 rounds."""
        return metrics.told_dB(self._exact + error, self._exact)

    def budget(self) -> _Budget:
        """Return the figures of the read."""
        effects = (*self.quantisation(), *self.effects())
        return _Budget(self.snr_dB(self.error), self._ideal_dB(), self._redrawn_dB(), effects)

    def _run(self, variant: Variant) -> Any:
        # the product of a variant, which runs once
        if variant not in self._done:
            config = variant[0]
            matrix = self._written.get(variant)
            if matrix is None:
                matrix = self._write(variant)
                if self._reads.many > 1 and _draws(config):
                    self._written[variant] = matrix
            self._done[variant] = product(self._backend, matrix, self._inputs, self._read, 0, "float64")
        return self._done[variant]

    def _write(self, variant: Variant) -> Programmed:
        (config, mapped), backend, given = variant, self._backend, self._programmed
        faults = given.faults if mapped else None
        matrix = written(backend, config, given.encoded, given.address, faults)
        if given.age is None:
            matrix = wired(backend, matrix)
        else:
            moves = config.device.drift is not None or config.device.relaxation is not None
            ratio = given_ratio(given) if moves else None  # that of a larger matrix
            matrix = aged(backend, matrix, given.age.time_s, given.age.compensate if ratio is None else ratio)
        stream = self._reads.stream
        return matrix if stream is None else replace(matrix, address=matrix.address.in_stream(stream))

    def _ideal_dB(self) -> float | None:
        # with ideal reference columns, where real ones vary
        config = self._programmed.config
        if config.weights.signed or config.tile.reference == "ideal" or self._programmed.as_programmed.columns is None:
            return None
        ideal = self._run((config.replace(tile={"reference": "ideal", "reference_columns": 1}), True))
        return self.snr_dB(ideal - self._exact)

    def _redrawn_dB(self) -> float | None:
        # with read variation that lasts otherwise
        config = self._programmed.config
        if config.device.var == 0 or config.adc.per == "product":
            return None
        found = self._run((config.replace(device={"redraw": _other_redraw(config)}), True))
        return self.snr_dB(found - self._exact)

    def cost(self, technology: Technology) -> Cost:
        """Return the cost of the product."""
        matrix, stream = self._programmed, self._reads.stream
        if stream is not None:
            matrix = replace(matrix, address=matrix.address.in_stream(stream))
        return cost_of(self._backend, matrix, self._inputs, technology, read=self._read)

    def law(self) -> Law:
        """Return how the error budget scales."""
        given, xp = self._programmed, self._xp
        errors = {"input quantisation": xp.matmul(self._x_hat - self._x, self._w_hat)}
        if self._w_given:
            errors["weight quantisation"] = xp.matmul(self._x, self._w_hat - self._w)
        found = variants(given.config, ageing=given.age is not None)
        for name in effects_on(given):
            errors[name] = self._run(found[name][0]) - self._quantised
        return find_law(given, self._inputs, self._exact, errors, self._quantised)

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
        for name, pair in variants(given.config, ageing=given.age is not None).items():
            alone, without = map(self._run, pair)
            yield Effect(name, self.snr_dB(alone - self._quantised), self.snr_dB(without - self._exact))
