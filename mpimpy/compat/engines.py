"""The predecessor's engines under their names: configurations of the one algorithm.

`bitslicedpe` slices integers, `fpmemdpe` slices floating-point numbers with a shared exponent, `diffpairdpe` puts
whole codes on differential pairs. Each keeps the arguments, the granularity and the rounding that mPimPy
gave it; what was wrong there is right here (padding, exponents, one and more than two axes).

Of L. Yang et al., mPimPy (NumPy), version 1.0.
"""

import math
from collections.abc import Sequence
from typing import Any

from .. import noise
from ..arrays import namespace
from ..cells import memristors
from ..checks import as_bool, as_float, as_int, as_int_pair
from ..config import ADC, DAC, Config, Device, Format, Tile, Wires
from ..crossbar import plan as plans
from ..engine import Engine
from ..operands import edge

__all__ = ["bitslicedpe", "diffpairdpe", "fpmemdpe"]

_INT8 = (1, 1, 2, 4)
_FP32 = (1,) * 23


def _check_axes(name, array, shape):
    if array.ndim != 2:
        msg = f"{name} has shape {tuple(array.shape)}: it needs two axes, {shape}"
        raise ValueError(msg)


class _Predecessor(Engine):
    """What the three engines share: their constructor and the shapes of operands.

    Parameters
    ----------
    HGS, LGS : float
        Highest and lowest conductance, S.
    g_level : int
        Conductance levels.
    var : float
        Read variation, relative (lognormal sigma).
    vnoise : float
        DAC voltage noise, relative. (mPimPy took 0.05 and never applied it.)
    wire_resistance : float
        Resistance of a wire segment, Ohm; it counts in products with ``wire_factor=True``.
    rdac, radc : int
        DAC levels and ADC codes.
    vread : float
        Read voltage, V.
    array_size : (int, int)
        Rows and columns of an array.
    seed, chip, backend
        As for `Engine`.
    """

    _var = 0.05
    _snap = True

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
    ):
        config = Config(
            Device(HGS, LGS, g_level, self._var if var is None else var),
            DAC(rdac, vread, vnoise),
            ADC(radc, snap=self._snap),
            Tile(*as_int_pair("array_size", array_size)),
        )
        self.wire_resistance = as_float("wire_resistance", wire_resistance, 0, unit=" Ohm")
        # these formats serve `program`; a product may bring its own
        config = config.replace(**self._formats(config))
        self._setup(config, seed=seed, chip=chip, backend=backend, parts=())

    @staticmethod
    def _formats(config):
        # of the operands, unless a product says otherwise
        raise NotImplementedError

    @property
    def array_size(self):
        """Rows and columns of an array."""
        return self.config.tile.rows, self.config.tile.cols

    def _wired(self, wire_factor):
        if not as_bool("wire_factor", wire_factor):
            return None
        if self.wire_resistance == 0:
            msg = "wire_factor=True has no effect with wire_resistance=0: give the engine a resistance, or leave it out"
            raise ValueError(msg)
        return Wires(self.wire_resistance, self.wire_resistance)

    def _multiply(self, config, xin, matin, read=None):
        # np.dot's shapes, on this engine's seed, chip and next read
        w = edge.accept("matin", matin)
        x = edge.accept("xin", xin, like=w)
        if len(w.shape) not in (1, 2):
            msg = f"matin has shape {w.shape}: weights are one matrix, (K, N), or a vector, (K,)"
            raise ValueError(msg)
        x, column = edge.accept("xin", x, like=w, depth=w.shape[0]), len(w.shape) == 1
        if column:
            w = edge.Operand("matin", namespace(w.array).reshape(w.array, (-1, 1)), (*w.shape, 1))
        matrix = Engine.from_config(config, seed=self.seed, chip=self.chip, backend=self.backend).program(w)
        y = matrix.read(x, self.next_read() if read is None else read)
        y = y[..., 0] if column else y
        # np.dot gives a NumPy number, not an array without axes
        return y if y.ndim else y[()]

    def _exact(self, inputs, weights, xin, matin):
        # the product of the sliced operands alone: no device, no converters
        levels = 2 ** max(*inputs.digits, *weights.digits)
        ideal = Config(Device(g_level=levels, var=0.0), DAC(levels), ADC(None), Tile(64, 64), inputs, weights)
        # nothing is drawn, so no read is counted
        return self._multiply(ideal, xin, matin, 0)

    def _digit_levels(self, name, digits, limit, largest, setting, levels):
        # digits, float64, times what one of them is in levels
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
        """Return the word line voltages of digits.

        Parameters
        ----------
        xint : integer array
            Digits, 0 .. xmax.
        xmax : int
            The largest digit of the slice.

        Returns
        -------
        float64 array
            V.
        """
        dac = self.config.dac
        codes = self._digit_levels("xint", xint, "xmax", xmax, "rdac", dac.rdac)
        return codes * (dac.vread / (dac.rdac - 1))

    def _conductances(self, levels):
        # as one read sees cells at these levels, S
        # on the grid of the device, whatever slices there are
        cell_format = plans.cell_format(self.config.replace(adc=ADC(), weights=Format((1, 1))))
        backend = self.backend_for(levels)
        targets = backend.to_backend(levels)
        targets = namespace(targets).astype(targets, getattr(namespace(targets), cell_format.level_dtype))[None, :, :]
        address = noise.Address(self.seed, self.chip, self.next_read(), 0)
        cells = memristors.program(backend, self.config.device, cell_format, memristors.Targets(targets, address))
        found = cells._replace(
            cells=memristors.read(backend, self.config.device, cell_format, cells, address), level_shift=0
        )
        siemens = memristors.conductance(self.config.device, cell_format, found)
        return backend.from_backend(siemens[0, :, :], levels)

    def Num2R(self, matint: Any, mmax: int) -> Any:
        """Return the conductances of cells that hold digits, as one read sees them.

        Parameters
        ----------
        matint : integer array, shape (K, N)
            Digits, 0 .. mmax.
        mmax : int
            The largest digit of the slice.

        Returns
        -------
        float64 array, shape (K, N)
            S, despite the name.
        """
        levels = self._digit_levels("matint", matint, "mmax", mmax, "g_level", self.config.device.g_level)
        _check_axes("matint", levels, "(K, N)")
        return self._conductances(levels)


class bitslicedpe(_Predecessor):
    """Integers in slices: one scale per input row and weight column of each array.

    Digits are rounded back to integers after the ADC. The parameters are those of mPimPy:
    HGS, LGS (S), g_level, var (0.05), vnoise, wire_resistance (Ohm), rdac, radc, vread (V),
    array_size; then, by name, seed, chip and backend as for `Engine`.

    Examples
    --------
    >>> import numpy as np
    >>> engine = bitslicedpe(var=0, radc=4096, seed=1)
    >>> engine.MapReduceDot(np.ones((2, 40)), np.ones((40, 3))).round(2).tolist()
    [[40.0, 40.0, 40.0], [40.0, 40.0, 40.0]]
    """

    @staticmethod
    def _formats(config):
        return {"inputs": Format(_INT8), "weights": Format(_INT8)}

    def MapReduceDot(
        self,
        xin: Any,
        matin: Any,
        xblk: Sequence[int] = _INT8,
        mblk: Sequence[int] = _INT8,
        wire_factor: bool = False,
    ) -> Any:
        """Multiply on the crossbars.

        Parameters
        ----------
        xin : array, shape (..., K)
        matin : array, shape (K, N) or (K,)
        xblk, mblk : sequence of int
            Slices, most significant first; the first is the sign bit, 1.
        wire_factor : bool
            Whether the wires have their resistance.

        Returns
        -------
        array, shape (..., N) or (...)
        """
        parts = {"inputs": Format(xblk), "weights": Format(mblk), "wires": self._wired(wire_factor)}
        return self._multiply(self.config.replace(**parts), xin, matin)

    __call__ = MapReduceDot

    def BitSliceVMM(self, xin: Any, matin: Any, xblk: Sequence[int] = _INT8, mblk: Sequence[int] = _INT8) -> Any:
        """Multiply the sliced operands exactly: the digital result that the crossbars aim at.

        Parameters
        ----------
        xin, matin, xblk, mblk
            As for `MapReduceDot`; here one scale serves a whole input row, or weight column.

        Returns
        -------
        array, shape (..., N) or (...)
        """
        return self._exact(Format(xblk, granularity="per-row"), Format(mblk, granularity="per-col"), xin, matin)


class fpmemdpe(_Predecessor):
    """Floating-point numbers in slices: one exponent per input row and weight column of each array.

    Slice lists leave out the sign bit and the integer bit, which get slices of their own. Digits
    are rounded back to integers after the ADC. The parameters are those of `bitslicedpe`, with
    ``var=0.1``.

    Examples
    --------
    >>> import numpy as np
    >>> engine = fpmemdpe(var=0, seed=1)
    >>> float(engine.MapReduceDot(np.array([0.1, 1.5]), np.array([2.0, 4.0])).round(5))
    6.2
    """

    _var = 0.1

    @staticmethod
    def _formats(config):
        return {"inputs": Format((1, 1, *_FP32), 8), "weights": Format((1, 1, *_FP32), 8)}

    def MapReduceDot(
        self,
        xin: Any,
        matin: Any,
        xblk: Sequence[int] = _FP32,
        mblk: Sequence[int] = _FP32,
        bw_e: int = 8,
        wire_factor: bool = False,
    ) -> Any:
        """Multiply on the crossbars.

        Parameters
        ----------
        xin : array, shape (..., K)
        matin : array, shape (K, N) or (K,)
        xblk, mblk : sequence of int
            Slices of the mantissa behind the point, most significant first.
        bw_e : int
            Bits of the shared exponents.
        wire_factor : bool
            Whether the wires have their resistance.

        Returns
        -------
        array, shape (..., N) or (...)
        """
        formats = {"inputs": Format((1, 1, *xblk), bw_e), "weights": Format((1, 1, *mblk), bw_e)}
        return self._multiply(self.config.replace(**formats, wires=self._wired(wire_factor)), xin, matin)

    __call__ = MapReduceDot

    def fpvmm(
        self, xin: Any, matin: Any, xblk: Sequence[int] = _FP32, mblk: Sequence[int] = _FP32, bw_e: int = 8
    ) -> Any:
        """Multiply the sliced operands exactly: the digital result that the crossbars aim at.

        Parameters
        ----------
        xin, matin, xblk, mblk, bw_e
            As for `MapReduceDot`; here one exponent serves a whole input row, or weight column.

        Returns
        -------
        array, shape (..., N) or (...)
        """
        inputs = Format((1, 1, *xblk), bw_e, granularity="per-row")
        return self._exact(inputs, Format((1, 1, *mblk), bw_e, granularity="per-col"), xin, matin)


class diffpairdpe(_Predecessor):
    """Whole codes on differential pairs, driven by positive and negative voltages.

    Inputs are one signed code of the DAC, weights one level of a pair; one scale per input row and weight
    column of each array. Where the number of levels is no power of two, the power below it is used.
    The parameters are those of `bitslicedpe`, with ``var=0.02``.

    Examples
    --------
    >>> import numpy as np
    >>> engine = diffpairdpe(var=0, radc=4096, seed=1)
    >>> engine.MapReduceDot(np.ones((2, 40)), -np.ones((40, 3))).round(1).tolist()
    [[-40.0, -40.0, -40.0], [-40.0, -40.0, -40.0]]
    """

    _var = 0.02
    _snap = False

    @staticmethod
    def _formats(config):
        x_bits, w_bits = (int(math.log2(n)) for n in (config.dac.rdac, config.device.g_level))
        return {
            "inputs": Format((1, x_bits), mapping="signed"),
            "weights": Format((1, w_bits), mapping="pair"),
        }

    def MapReduceDot(self, xin: Any, matin: Any, wire_factor: bool = False) -> Any:
        """Multiply on the crossbars.

        Parameters
        ----------
        xin : array, shape (..., K)
        matin : array, shape (K, N) or (K,)
        wire_factor : bool
            Whether the wires have their resistance.

        Returns
        -------
        array, shape (..., N) or (...)
        """
        return self._multiply(self.config.replace(wires=self._wired(wire_factor)), xin, matin)

    __call__ = MapReduceDot

    def _codes(self, data, shape, levels, axis):
        # signed codes, float64, each row or column by its largest
        data = edge.accept("data", data).array
        _check_axes("data", data, shape)
        xp = namespace(data)
        data, top = xp.astype(data, xp.float64), 2 ** int(math.log2(levels)) - 1
        if not math.prod(data.shape):
            return xp, data
        largest = xp.max(xp.abs(data), axis=axis, keepdims=True)
        scale = xp.where(largest > 0, largest, xp.ones_like(largest))
        return xp, xp.round(data / scale * top) * ((levels - 1) // top)

    def Num2V(self, data: Any) -> Any:
        """Return the voltages of inputs, each row by its largest: of the lines of the g+ cells, then of the g- cells.

        Parameters
        ----------
        data : array, shape (M, K)

        Returns
        -------
        float64 array, shape (M, 2 K)
            V.
        """
        dac = self.config.dac
        xp, codes = self._codes(data, "(M, K)", dac.rdac, -1)
        volts = codes * (dac.vread / (dac.rdac - 1))
        return xp.concat([volts, -volts], axis=-1)

    def Num2R(self, data: Any) -> Any:
        """Return the conductances of weights, as one read sees them: of the g+ cells, then of the g- cells.

        Each column by its largest weight.

        Parameters
        ----------
        data : array, shape (K, N)

        Returns
        -------
        float64 array, shape (2 K, N)
            S, despite the name.
        """
        xp, codes = self._codes(data, "(K, N)", self.config.device.g_level, 0)
        zero = xp.zeros_like(codes)
        return self._conductances(xp.concat([xp.where(codes > 0, codes, zero), xp.where(codes < 0, -codes, zero)]))
