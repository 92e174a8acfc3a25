"""Base of the predecessor's engines: constructor, products, and conversions of digits."""

import math
from collections.abc import Mapping
from typing import Any, Self

from .. import noise
from .._writing import choose_backend
from ..arrays import namespace
from ..cells import memristors
from ..checks import as_bool, as_float, as_int, as_int_pair, fail
from ..config import ADC, DAC, Config, Device, Format, Tile, Wires
from ..config._config import Parts
from ..config._hints import hinted
from ..crossbar import plan as plans
from ..engine import Engine
from ..operands import edge

__all__ = ["Predecessor", "SlicingPredecessor", "check_axes"]

_NO_DATA = "has settings in the calls of its products, and none to save or load: take the dict or file of an Engine"


def check_axes(name: str, array: Any, shape: str) -> None:
    """Raise ValueError if an array has not two axes; `shape` names them."""
    if array.ndim != 2:
        msg = f"{name} has shape {tuple(array.shape)}: it needs two axes, {shape}"
        raise ValueError(msg)


@hinted
class Predecessor(Engine):
    """Base of the three engines: their constructor and their products.

    Parameters
    ----------
    HGS, LGS : float
        Highest and lowest conductance, S.
    g_level : int
        Conductance levels.
    var : float, optional
        Read variation, relative (lognormal sigma); by default that of the engine.
    vnoise : float
        Noise of the DACs' voltages, relative. (mPimPy took 0.05 and never applied it.)
    wire_resistance : float
        Resistance of a segment of wire, Ohm; it counts in products with ``wire_factor=True``.
    rdac : int
        Levels of a DAC.
    radc : int
        Codes of an ADC.
    vread : float
        Read voltage, V.
    array_size : (int, int)
        Rows and columns of an array, cells.
    seed, chip, backend
        As for `Engine`.

    Attributes
    ----------
    config : Config
    wire_resistance : float
        Resistance of a segment of wire, Ohm.
    seed, chip, backend, reads
        As for `Engine`.
    """

    wire_resistance: float
    _wires: Wires | None
    _var: float = 0.05
    _snap: bool = True

    def __init__(
        self,
        HGS: float = 1e-5,
        LGS: float = 1e-7,
        g_level: int = 16,
        var: float | None = None,
        vnoise: float = 0.0,
        wire_resistance: float = 2.93,
        rdac: int = 256,
        radc: int = 1024,
        vread: float = 0.1,
        array_size: tuple[int, int] = (32, 32),
        *,
        seed: int | None = None,
        chip: int = 0,
        backend: str | None = None,
    ) -> None:
        config = Config(
            Device(HGS, LGS, g_level, self._var if var is None else var),
            DAC(rdac, vread, vnoise),
            ADC(radc, snap=self._snap),
            Tile(*as_int_pair("array_size", array_size)),
        )
        self.wire_resistance = as_float("wire_resistance", wire_resistance, 0, unit=" Ohm")
        # made here, where a user is warned of an odd resistance
        self._wires = Wires(self.wire_resistance, self.wire_resistance) if self.wire_resistance else None
        # formats of `program`; a product may have its own
        config = config.replace(**self._formats(config))
        self._setup(config, seed=seed, chip=chip, backend=backend, parts=())

    def to_dict(self) -> dict[str, Any]:
        """Raise TypeError: the settings of a product stand in its call."""
        fail(TypeError, f"{type(self).__name__} {_NO_DATA}")

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """Raise TypeError: the settings of a product stand in its call."""
        fail(TypeError, f"{cls.__name__} {_NO_DATA}")

    @staticmethod
    def _formats(config: Config) -> Parts:
        # default formats of the operands
        raise NotImplementedError

    @property
    def array_size(self) -> tuple[int, int]:
        """Rows and columns of an array, cells."""
        return self.config.tile.rows, self.config.tile.cols

    def _wired(self, wire_factor: bool) -> Wires | None:
        if not as_bool("wire_factor", wire_factor):
            return None
        if self.wire_resistance == 0:
            msg = "wire_factor=True has no effect with wire_resistance=0: give the engine a resistance, or leave it out"
            raise ValueError(msg)
        if self._wires is None or self._wires.r_word != self.wire_resistance:
            self._wires = Wires(self.wire_resistance, self.wire_resistance)
        return self._wires

    def _multiply(self, config: Config, xin: Any, matin: Any, read: int | None = None) -> Any:
        # shapes as in np.dot; seed, chip and next read of this engine
        w = edge.accept("matin", matin, edge.like(xin))
        x = edge.accept("xin", xin, like=w)
        if len(w.shape) not in (1, 2):
            msg = f"matin has shape {w.shape}: weights are one matrix, (K, N), or a vector, (K,)"
            raise ValueError(msg)
        x, column = edge.accept("xin", x, like=w, depth=w.shape[0]), len(w.shape) == 1
        if column:
            w = edge.Operand("matin", namespace(w.array).reshape(w.array, (-1, 1)), (*w.shape, 1), w.dtype)
        engine = Engine.from_config(config, seed=self.seed, chip=self.chip, backend=self.backend)
        engine._counter = self._counter
        y = engine.program(w).read(x, read)
        y = y[..., 0] if column else y
        # np.dot gives a NumPy number, not an array without axes
        return y if y.ndim else y[()]

    def _exact(self, inputs: Format, weights: Format, xin: Any, matin: Any) -> Any:
        # product of the sliced operands, without device and converters
        levels = 2 ** max(*inputs.digits, *weights.digits)
        ideal = Config(Device(g_level=levels, var=0.0), DAC(levels), ADC(None), Tile(64, 64), inputs, weights)
        # it draws nothing, so the engine does not count it
        return self._multiply(ideal, xin, matin, 0)

    def _conductances(self, levels: Any) -> Any:
        # conductances of cells at these levels in one read, S; the slices play no part
        cell_format = plans.cell_format(self.config.replace(adc=ADC(), weights=Format((1, 1))))
        backend, device = choose_backend(self, levels), self.config.device
        targets = backend.to_backend(levels)
        xp = namespace(targets)
        targets = xp.astype(targets, getattr(xp, cell_format.level_dtype))[None, :, :]
        number, stream = self._counter.next_read()
        address = noise.Address(self.seed, self.chip, number, 0).in_stream(stream)
        written = memristors.program(backend, device, cell_format, memristors.Targets(targets, address))
        seen = memristors.read(backend, device, cell_format, written, address)
        siemens = memristors.conductance(device, cell_format, written._replace(cells=seen, level_shift=0))
        return backend.from_backend(siemens[0, :, :], levels)


class SlicingPredecessor(Predecessor):
    """Base of the engines that slice: voltages and conductances of digits."""

    def _digit_levels(self, name: str, digits: Any, limit: str, largest: int, setting: str, levels: int) -> Any:
        # levels of digits, float64: each digit times the levels of one
        largest = as_int(limit, largest, 1)
        stride = (levels - 1) // largest
        if stride < 1:
            msg = f"digits up to {largest} need {largest + 1} levels but {setting}={levels}: use at most {levels - 1}"
            raise ValueError(msg)
        digits = edge.accept(name, digits).array
        xp = namespace(digits)
        digits = xp.astype(digits, xp.float64)
        if math.prod(digits.shape) and bool(xp.any((digits != xp.round(digits)) | (digits < 0) | (digits > largest))):
            msg = f"{name} must hold digits: whole numbers from 0 to {limit}={largest}"
            raise ValueError(msg)
        return digits * stride

    def Num2V(self, xint: Any, xmax: int) -> Any:
        """Return the word line voltages of digits, V.

        Parameters
        ----------
        xint : integer array
            Digits, 0 .. xmax.
        xmax : int
            Largest digit of the slice.

        Returns
        -------
        float64 array
            Of the shape of `xint`, V.

        Raises
        ------
        TypeError, ValueError
            If `xint` holds anything but such digits, or a DAC has too few levels for them.
        """
        dac = self.config.dac
        codes = self._digit_levels("xint", xint, "xmax", xmax, "rdac", dac.rdac)
        return codes * (dac.vread / (dac.rdac - 1))

    def Num2R(self, matint: Any, mmax: int) -> Any:
        """Return the conductances of cells that hold digits, S, with the variation of one read.

        Parameters
        ----------
        matint : integer array, shape (K, N)
            Digits, 0 .. mmax.
        mmax : int
            Largest digit of the slice.

        Returns
        -------
        float64 array, shape (K, N)
            S, despite the name.

        Raises
        ------
        TypeError, ValueError
            If `matint` holds anything but such digits, or a cell has too few levels for them.
        """
        levels = self._digit_levels("matint", matint, "mmax", mmax, "g_level", self.config.device.g_level)
        check_axes("matint", levels, "(K, N)")
        return self._conductances(levels)
