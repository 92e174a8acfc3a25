"""The law by which a simulated error budget scales with radc, var, write_var and vnoise."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..checks import as_int, as_items, as_sigma, fail
from ..config import Config
from ..crossbar import plan as plans

__all__ = ["DEVIATION", "LARGEST_SPREAD", "LEAST_RADC", "READ", "WRITE", "Law", "Pair", "Scaled", "Settings"]

DAC, WRITE, READ, ERRORS, PRODUCT = "DAC noise", "write variation", "read variation", "ADC errors", "product"
ROUNDING = "ADC rounding"
LEAST_RADC = 32
DEVIATION = 0.05  # of the ADC's error from a uniform one, beyond which no figure is given
LEAST_OUTPUTS = 32  # of equal scale: the SNR of fewer scatters by more than 1.1 dB, 10 / ln(10) sqrt(2 / n)
LARGEST_SPREAD = 0.3  # of cells, lognormal, write and read variation together: beyond, many of them clip
HARMONICS = 3
NOTHING = 18  # exponent of a harmonic that is not counted
_PARTS = {"var": "device", "write_var": "device", "vnoise": "dac", "radc": "adc"}


@dataclass(frozen=True)
class Settings:
    """Settings that a budget scales with.

    Attributes
    ----------
    radc : tuple of int, or None
        ADC codes per weight slice, least significant first; None: ideal ADCs.
    var, write_var, vnoise : float
        Relative standard deviations; 0 where a law is no lognormal one, so that it does not scale.
    """

    radc: tuple[int, ...] | None
    var: float
    write_var: float
    vnoise: float


@dataclass(frozen=True)
class Pair:
    """Currents of one input slice and one weight slice at an ADC, in units of ``full scale / (radc - 1)``.

    Attributes
    ----------
    slice : int
        Weight slice, least significant first.
    weight : float
        Weight of one LSB in the sum, times ``radc - 1``, in products of two digits.
    unit : float
        Current of a product of two digits, LSB for each code above one.
    origin : float
        Current of code 0, LSB.
    mean, spread : float
        Mean and standard deviation of the sum of the products of digits, over outputs and tiles.
    cells, voltages : float
        Variance of the current by cells, for a relative variance of 1, and by voltages: LSB^2 for each code
        above one, squared.
    """

    slice: int
    weight: float
    unit: float
    origin: float
    mean: float
    spread: float
    cells: float
    voltages: float


@dataclass(frozen=True)
class Scaled:
    """Figures of a budget at other settings than those of its simulation; prints as a table.

    Attributes
    ----------
    snr_dB : float
        Of the product.
    parts : tuple of (str, float)
        Each effect, with the SNR if it were the only one, dB.

    Examples
    --------
    >>> print(Scaled(20.0, (("read variation", 20.0),)))
    SNR                   20.00 dB, scaled
    read variation        20.00 dB
    """

    snr_dB: float
    parts: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        rows = [f"{name:<22}{snr:.2f} dB" for name, snr in self.parts if snr < math.inf]
        return "\n".join([f"{'SNR':<22}{self.snr_dB:.2f} dB, scaled", *rows])


@dataclass(frozen=True)
class Law:
    """A simulated error budget as powers, and how they scale.

    Powers are relative to that of the exact product, and the errors of the effects add as vectors: `gram` holds their
    inner products. With V(s) = exp(s^2) (exp(s^2) - 1) and m(s) = exp(s^2 / 2) - 1, the variance and the mean of a
    lognormal factor less 1, the error of a variation is its part about m(s) times the product, which scales with
    V(s)^(1/2), and that mean part. Cells that vary twice are lognormal with the sum of both s^2. DAC noise scales with
    vnoise. ADC rounding is LSB^2 / 12 of each conversion, LSB = full scale / (radc - 1); `Pair` has what tells how far
    the error of an ADC is from a uniform one.

    Attributes
    ----------
    simulated : Settings
        Of the simulation.
    names : tuple of str
        Effects, and the product.
    gram : tuple of tuples of float
        Inner products of their errors.
    pairs : tuple of Pair
        Empty with ideal ADCs.
    power : float
        Power of an error of 1 in the product of two integers, in every tile.
    tiles : int
        Tiles that are added.
    noise_lsb : float
        Noise of the ADCs, LSB.
    refusals : tuple of (str, str)
        Settings that do not scale, with the reason; the setting "" stands for all.
    config : Config
        Of the simulation.
    outputs : float
        Number of outputs of equal scale whose error would scatter as much.
    """

    simulated: Settings
    names: tuple[str, ...]
    gram: tuple[tuple[float, ...], ...]
    pairs: tuple[Pair, ...]
    power: float
    tiles: int
    noise_lsb: float
    refusals: tuple[tuple[str, str], ...]
    config: Config = field(repr=False)
    outputs: float

    def refusal(self, name: str) -> str | None:
        """Return why a setting does not scale; None if it does."""
        reasons = dict(self.refusals)
        return reasons.get("", reasons.get(name))

    def scaled(self, asked: Mapping[str, Any]) -> Scaled:
        """Return the figures at other settings; see `mpimpy.Report.scaled`."""
        given: dict[str, Any] = {}
        for name, value in asked.items():
            checked = self._checked(name, value)
            if not self._is_own(name, checked):
                given[name] = checked
        simulate = self._advice(given)
        for name in given or ("",):
            reason = self.refusal(name)
            if reason is not None:
                fail(ValueError, f"{'this budget' if name == '' else name} does not scale, for {reason}: {simulate}")
        if "radc" in given and min(given["radc"]) < LEAST_RADC:
            msg = f"radc={asked['radc']} is below {LEAST_RADC} codes, where the errors of ADCs follow no law"
            fail(ValueError, f"{msg}: {simulate}")
        settings = dataclasses.replace(self.simulated, **given)
        for one in (self.simulated, settings):
            if ("var" in given or "write_var" in given) and math.hypot(one.var, one.write_var) > LARGEST_SPREAD:
                msg = f"var={one.var:g} and write_var={one.write_var:g} together are more than {LARGEST_SPREAD}"
                fail(ValueError, f"{msg}, where many cells clip and errors do not scale: {simulate}")
        if given and self.outputs < LEAST_OUTPUTS:
            msg = f"the error of {self.outputs:.0f} outputs decides, by number and scale, and of fewer than"
            fail(ValueError, f"{msg} {LEAST_OUTPUTS} it scatters by more than 1 dB: {simulate}")
        if given:
            changes: Any = _by_part(given)
            plans.choose_grid(self.config.replace(**changes))  # raises what an engine raises
        parts, total, deviation = self.powers(math, settings)
        if deviation > DEVIATION:
            fail(ValueError, self._too_coarse(settings, simulate))
        return Scaled(_decibels(total), tuple((name, _decibels(power)) for name, power in parts.items()))

    def _checked(self, name: str, value: Any) -> Any:
        if name != "radc":
            if value is None:
                fail(TypeError, f"{name}=None is no number: give 0 for none, or leave {name} out to keep it")
            return as_sigma(name, value)
        own = self.simulated.radc
        if value is None and own is not None:
            msg = "radc=None is the ideal ADC, which has no step that a budget scales to: leave radc out to keep it, or"
            fail(ValueError, f"{msg} {self._advice({'radc': None})}")
        items = as_items("radc", value)
        if value is None or own is None:
            return None if value is None else (as_int("radc", value, 2, 1 << 53),) if items is None else items
        found = (value,) * len(own) if items is None else items[::-1]
        if len(found) != len(own):
            msg = f"radc={value} gives {len(found)} resolutions for {len(own)} weight slices"
            fail(ValueError, f"{msg}: give one for each")
        return tuple(as_int("radc", one, 2, 1 << 53) for one in found)

    def _is_own(self, name: str, value: Any) -> bool:
        config = self.config
        if name == "radc":
            return bool(value == self.simulated.radc)
        own = config.dac.vnoise if name == "vnoise" else getattr(config.device, name)
        return isinstance(own, float) and bool(value == own)

    def _advice(self, given: Mapping[str, Any]) -> str:
        parts = ", ".join(f"{part}={values!r}" for part, values in _by_part(given).items())
        return f"simulate these settings, engine{f'.replace({parts})' if parts else ''}.program(w).report(x, w)"

    def _too_coarse(self, settings: Settings, simulate: str) -> str:
        codes = settings.radc[::-1] if settings.radc and len(set(settings.radc)) > 1 else (settings.radc or (0,))[0]
        msg = f"at radc={codes}, var={settings.var:g}, write_var={settings.write_var:g}, vnoise={settings.vnoise:g}"
        msg += " a step of the ADC is larger than the spread of the currents about multiples of one product of digits"
        return f"{msg}, so that its error is not uniform: {simulate}, or take more codes or more variation"

    def powers(self, f: Any, at: Any) -> tuple[dict[str, Any], Any, Any]:
        """Return the powers of the parts, the power of the whole error, and the deviation of the ADC's.

        Nothing is refused.

        Parameters
        ----------
        f : module
            `math` for numbers, `numpy` for arrays.
        at : Settings
            Of numbers, or of arrays that broadcast.
        """
        own, factors, mean = self.simulated, dict.fromkeys(self.names, 1.0), 0.0
        for name, old, new in ((WRITE, own.write_var, at.write_var), (READ, own.var, at.var)):
            if old > 0:
                factors[name] = f.sqrt(_variance(f, new) / _variance(math, old))
                mean = mean + _mean(f, new) - factors[name] * _mean(math, old)
        if own.vnoise > 0:
            factors[DAC] = at.vnoise / own.vnoise
        if ERRORS in factors and own.radc:
            # one number for all slices: more are refused
            factors[ERRORS] = (own.radc[0] - 1) / (at.radc[0] - 1)
        factors[PRODUCT] = mean
        total = 0.0
        parts: dict[str, Any] = {}
        for a, name in enumerate(self.names):
            if name != PRODUCT:
                parts[name] = factors[name] ** 2 * self.gram[a][a]
            for b, other in enumerate(self.names[: a + 1]):
                total = total + factors[name] * factors[other] * ((1 + (a != b)) * self.gram[a][b])
        both = f.sqrt(at.var * at.var + at.write_var * at.write_var)
        if own.var > 0 and own.write_var > 0:
            total = total + self._twice() * (_variance(f, both) - _variance(f, at.var) - _variance(f, at.write_var))
        if not self.pairs:
            return parts, total, 0.0 * total
        rounding, deviation = self._rounding(f, at, _variance(f, both))
        parts[ROUNDING] = rounding
        return parts, total + rounding, deviation

    def _twice(self) -> float:
        # power of the error for a relative variance of 1, the mean part left out
        own, product = self.simulated, self.gram[self.names.index(PRODUCT)][self.names.index(PRODUCT)]
        found = []
        for name, s in ((WRITE, own.write_var), (READ, own.var)):
            at = self.names.index(name)
            found.append((self.gram[at][at] - _mean(math, s) ** 2 * product) / _variance(math, s))
        return float(max(0.0, sum(found) / 2))

    def _rounding(self, f: Any, at: Any, cells: Any) -> tuple[Any, Any]:
        # Fourier series of the error of rounding, for currents that are normal about multiples of one digit product
        squares: Any = 0.0
        shared: Any = 0.0
        deviation: Any = 0.0
        weights: Any = 0.0
        noise = at.vnoise * at.vnoise
        for pair in self.pairs:
            steps = at.radc[pair.slice] - 1.0
            unit, weight = pair.unit * steps, pair.weight / steps
            blur = (cells * pair.cells + noise * pair.voltages) * (steps * steps) + self.noise_lsb**2
            least = 2 * math.pi**2 * (blur if f is math else blur.min())
            variance: Any = 1 / 12
            mean: Any = 0.0
            shared_noise: Any = 0.0
            beyond: Any = 0.0
            # what is left of the series: their sums without any spread, less the terms that are counted
            place = (unit - f.floor(unit + 0.5)) * pair.mean - pair.origin
            place = place - f.floor(place + 0.5)
            left: Any = (place * place - 1 / 12, -place, -1 / 2)
            for k in range(1, HARMONICS + 2):
                if k * k * least > NOTHING:
                    break
                off = k * unit - f.floor(k * unit + 0.5)
                lattice = f.exp(-2 * math.pi**2 * (pair.spread * pair.spread) * (off * off))
                seen = lattice * f.exp(-2 * math.pi**2 * k * k * blur)
                angle = 2 * math.pi * (off * pair.mean - k * pair.origin)
                sign = (-1.0) ** k / (math.pi * k)
                terms = (sign / (math.pi * k) * f.cos(angle), sign * f.sin(angle), (-1.0) ** k * f.cos(angle))
                if k > HARMONICS:
                    terms = left
                else:
                    beyond = beyond + seen / (k * k)
                    left = tuple(rest - term for rest, term in zip(left, terms, strict=True))
                variance = variance + terms[0] * seen
                mean = mean + terms[1] * seen
                shared_noise = shared_noise + terms[2] * seen
            # rounding takes away noise that does not reach the next code
            variance = variance + 4 * blur * shared_noise
            squares = squares + weight * weight * (variance - mean * mean)
            shared = shared + weight * mean
            deviation = deviation + weight * weight * beyond
            weights = weights + weight * weight
        return self.power * (squares + self.tiles * shared * shared), deviation / weights


def _by_part(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    # as `Config.replace` takes them
    found: dict[str, dict[str, Any]] = {}
    for name, value in given.items():
        if name == "radc" and value is not None:
            value = value[0] if len(set(value)) == 1 else value[::-1]
        found.setdefault(_PARTS[name], {})[name] = value
    return found


def _variance(f: Any, s: Any) -> Any:
    # of exp(N(0, s))
    return f.exp(s * s) * f.expm1(s * s)


def _mean(f: Any, s: Any) -> Any:
    # of exp(N(0, s)), less 1
    return f.expm1(s * s / 2)


def _decibels(power: float) -> float:
    return -10 * math.log10(power) if power > 0 else math.inf
