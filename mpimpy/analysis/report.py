"""Reports of a product: size, conversions, and the cost of each effect."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from array_api_compat import array_namespace
from array_api_compat import device as device_of

from .. import converters, noise
from ..checks import fail
from ..config import ARITHMETIC
from ..config._hints import hinted_call
from ..crossbar.product import product
from ..crossbar.programmed import Programmed, aged, given_ratio, wired, written
from ..operands import encoding
from . import metrics
from .budget import effects_on, find_law
from .counts import counts
from .law import Law, Scaled
from .variants import Variant, variants

__all__ = ["Effect", "Report", "check_weights", "measure"]

PROBE_ROWS = 64
PROBE_SEED = 0

KEEP: Any = type("Keep", (), {"__repr__": lambda self: "<as simulated>"})()  # None is the ideal ADC

_LASTING = {"product": "the whole product", "slice": "each input slice", "row": "each input row and slice"}


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
    law : Law
        How the figures scale with other settings; see `scaled`.
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
    law: Law | None = field(default=None, repr=False, compare=False)

    @hinted_call
    def scaled(self, *, radc: Any = KEEP, var: Any = KEEP, write_var: Any = KEEP, vnoise: Any = KEEP) -> Scaled:
        """Return an estimate of the figures of this budget at other settings, without a simulation.

        It is no guarantee. Against simulations with the same seed it was 0.1 to 0.4 dB off (rms) for Gaussian, integer
        and rectified operands, 1 dB for sparse or low-rank ones, 2 dB for rows and columns of unlike scales and for
        outliers, 4.5 dB for heavy tails, and 19 dB at worst: simulate what you decide on. docs/designing.md has the
        formulas and what was measured. At the settings of the simulation, it may differ from `snr_dB` by some tenths of
        a dB, for it computes the rounding of ADCs by a formula. A setting that is left out is kept.

        Parameters
        ----------
        radc : int or sequence of int, optional
            Codes of an ADC, at least 32; a sequence has one number per weight slice, most significant first. ADC
            rounding scales with ``1 / (radc - 1)**2``.
        var, write_var : float, optional
            Read and write variation, relative. The power of their error scales with ``exp(s**2) (exp(s**2) - 1)``.
        vnoise : float, optional
            Voltage noise of the DACs, relative: its power scales with ``vnoise**2``.

        Returns
        -------
        Scaled
            SNR, dB, and the SNR of each effect alone. What was simulated is in `snr_dB`.

        Raises
        ------
        TypeError
            For None, or what is no number.
        ValueError
            If an engine of these settings cannot be built; for ``radc=None``, the ideal ADC.
            Where the law does not hold: ``adc_per="product"``, a setting that was off or ideal in the simulation,
            another law of variation than one lognormal spread, ``snap``, ``"lossless"``, an aged matrix, an ADC whose
            step is larger than the spread of the currents. Simulate there.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> w = np.random.default_rng(0).standard_normal((100, 50))
        >>> report = Engine(seed=1).program(w).report()
        >>> report.scaled(radc=1024).snr_dB > report.snr_dB + 1
        True
        """
        if self.law is None:
            fail(ValueError, "this report has no law to scale by: make it with W.report(x, w)")
        given = {"radc": radc, "var": var, "write_var": write_var, "vnoise": vnoise}
        return self.law.scaled({name: value for name, value in given.items() if value is not KEEP})

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
        law=bench.law(),
    )


def budget(backend: Any, programmed: Programmed, x: Any, w: Any) -> tuple[float, Law]:
    """Return the SNR of a programmed matrix, dB, and the law of its error budget, by few reads.

    Parameters
    ----------
    backend, programmed, x, w
        As for `measure`.
    """
    bench = _Bench(backend, programmed, x, w)
    return bench.snr_dB(bench.error), bench.law()


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
