"""Results of a report: figures and error budget of a product, as text, table, plain values or a data frame."""

from dataclasses import dataclass, field
from typing import Any

from .._html import table
from .._plain import frame_of, plain
from ..checks import fail
from ..config import ARITHMETIC, Config
from ..config._hints import hinted_call
from ..cost import Cost
from .law import Law, Scaled
from .metrics import EXACT_dB

__all__ = ["Effect", "Report", "decibels"]

KEEP: Any = type("Keep", (), {"__repr__": lambda self: "<as simulated>"})()  # None is the ideal ADC


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
    alone_range_dB, without_range_dB : (float, float) or None
        Lowest and highest figure of a single read, of a report over several reads.
    """

    name: str
    alone_dB: float
    without_dB: float
    alone_range_dB: tuple[float, float] | None = None
    without_range_dB: tuple[float, float] | None = None


@dataclass(frozen=True, repr=False)
class Report:
    """Size, conversions and error budget of a product; prints as a table.

    An SNR above 200 dB is infinite here: so small an error is the rounding of float64, and no effect of a crossbar.
    Of several reads, an SNR is that of all their errors together, and the range beside it, such as `snr_range_dB`,
    goes from the lowest to the highest of the single reads. The median of all reads lies in the range of n with a
    probability of ``1 - 2**(1 - n)``: 99 % for 8.

    The same bits come again from ``Engine.from_config(report.settings, seed=report.seed, chip=report.chip)``, read by
    ``read=report.read``. A matrix that was aged, or has a map of faults, needs these as well.

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
    settings : Config
        All settings of the product.
    seed, chip : int
        Key of the random numbers, and number of the chip. A matrix with a name has a seed of its own, which this is.
    read : int
        Number of the read, or of the first of several.
    reads : int
        Number of reads.
    stream : str or None
        Stream of the read, if an engine in a copy counted it: ``engine.in_stream(report.stream, report.read)``.
    origin : (int, int)
        Row and column of the first weight in a larger matrix; see `Engine.program`.
    snr_range_dB : (float, float) or None
        Lowest and highest `snr_dB` of a single read, of several.
    cost : mpimpy.cost.Cost or None
        Energy, latency and area in a technology, if one was given.
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
    law: Law | None = field(default=None, compare=False)
    settings: Config = field(kw_only=True)
    seed: int = field(kw_only=True)
    chip: int = field(kw_only=True)
    read: int = 0
    reads: int = 1
    stream: str | None = None
    origin: tuple[int, int] = (0, 0)
    snr_range_dB: tuple[float, float] | None = None
    cost: Cost | None = None

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

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values that JSON can hold; `law` is left out.

        Numbers that JSON has no word for are text: "inf", "-inf" and "nan". Tuples are lists, and ``settings`` are
        those of `mpimpy.config.to_dict`.

        Examples
        --------
        >>> import json
        >>> import numpy as np
        >>> from mpimpy import explain
        >>> found = explain(np.eye(64), np.eye(64), seed=1).to_dict()
        >>> found["seed"], found["effects"][2]["name"], found["effects"][2]["alone_dB"]
        (1, 'DAC noise', 'inf')
        >>> json.loads(json.dumps(found)) == found
        True
        """
        names = [name for name in self.__dataclass_fields__ if name not in ("law", "settings", "effects", "cost")]
        found = {"kind": "Report"} | {name: plain(getattr(self, name)) for name in names}
        effects = [{name: plain(value) for name, value in vars(effect).items()} for effect in self.effects]
        cost = None if self.cost is None else {"technology": self.cost.technology.name} | self.cost.to_dict()
        return found | {"effects": effects, "cost": cost, "settings": self.settings.to_dict()}

    def to_frame(self) -> Any:
        """Return the error budget as a `pandas.DataFrame`: a row for each effect.

        The columns are ``alone_dB`` and ``without_dB``, and of several reads ``alone_low_dB``, ``alone_high_dB``,
        ``without_low_dB`` and ``without_high_dB``. All else is in ``attrs`` of the frame, as in `to_dict`.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import explain
        >>> frame = explain(np.eye(64), np.eye(64), seed=1).to_frame()
        >>> bool(frame.alone_dB["ADC rounding"] > 20), frame.attrs["seed"]
        (True, 1)
        """
        rows: list[dict[str, float]] = []
        for effect in self.effects:
            row = {"alone_dB": effect.alone_dB, "without_dB": effect.without_dB}
            for name, ends in (("alone", effect.alone_range_dB), ("without", effect.without_range_dB)):
                row |= {} if ends is None else {f"{name}_low_dB": ends[0], f"{name}_high_dB": ends[1]}
            rows.append(row)
        frame = frame_of(rows, "effect", [effect.name for effect in self.effects])
        frame.attrs = {name: value for name, value in self.to_dict().items() if name != "effects"}
        return frame

    def __repr__(self) -> str:
        sizes = f"{_shape(self.inputs)} by {_shape(self.weights)}"
        return f"<Report of {sizes}: SNR {self._snr()}, seed {self._address()}>"

    def _snr(self) -> str:
        return decibels(self.snr_dB, self.snr_range_dB)

    def _address(self) -> str:
        several = f"reads {self.read} to {self.read + self.reads - 1}" if self.reads > 1 else f"read {self.read}"
        stream = "" if self.stream is None else f" of stream {self.stream!r}"
        return f"{self.seed}, chip {self.chip}, {several}{stream}"

    def _figures(self) -> list[tuple[str, object]]:
        # all but the effects, in words
        down, across, slices = self.tiles
        arrays = f"{down * across * slices} of {_shape(self.array)}"
        return [
            ("product", f"{_shape(self.inputs)} by {_shape(self.weights)}"),
            ("arrays", f"{arrays}, {down} x {across} tiles, {slices} slices"),
            ("cells", f"{self.cells} and {self.reference_cells} in reference columns"),
            *([("reference columns", self.reference)] if self.reference else []),
            *([("read variation", self.redraw)] if self.redraw else []),
            ("DAC conversions", self.dac_conversions),
            ("ADC conversions", self.adc_conversions),
            ("ADC full scale", f"{self.full_scale_A:.4g} A"),
            *([("age", self.age)] if self.age else []),
            ("seed", self._address()),
            ("SNR", self._snr()),
        ]

    def _rows(self) -> list[tuple[str, str, str]]:
        # the effects, in words
        return [
            (
                effect.name,
                decibels(effect.alone_dB, effect.alone_range_dB, "no cost"),
                decibels(effect.without_dB, effect.without_range_dB, "no error"),
            )
            for effect in self.effects
        ]

    def __str__(self) -> str:
        wide = 0 if self.reads == 1 else 17
        lines = [f"{name:<19}{value}" for name, value in self._figures()]
        lines += ["", f"{'error budget':<22}{'alone':>{12 + wide}}{'without it':>{14 + wide}}"]
        lines += [f"{name:<22}{alone:>{12 + wide}}{without:>{14 + wide}}" for name, alone, without in self._rows()]
        lines.append(f"({self._note()})")
        return "\n".join([*lines, *([] if self.cost is None else ["", str(self.cost)])])

    def _note(self) -> str:
        ends = f"; {self.reads} reads together, and the lowest to the highest of them" if self.reads > 1 else ""
        return f"{self.note}{ends}"

    def _repr_html_(self) -> str:
        head = ("error budget", "alone", "without it")
        cost = "" if self.cost is None else self.cost._repr_html_()
        return table(self._figures()) + table(self._rows(), head=head, caption=self._note()) + cost


def decibels(value: float, ends: tuple[float, float] | None = None, nothing: str = "exact") -> str:
    """Return an SNR in words, with the range of single reads; `nothing` stands for an error that is none.

    Examples
    --------
    >>> decibels(20, (19.5, 20.25)), decibels(305.1)
    ('20.00 dB (19.50 to 20.25)', 'exact')
    """
    if value > EXACT_dB:
        return nothing
    if ends is None or ends[0] == ends[1]:
        return f"{value:.2f} dB"
    return f"{value:.2f} dB ({ends[0]:.2f} to {ends[1]:.2f})"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
