"""The predecessor's engines under their names: configurations of the one algorithm.

`bitslicedpe` slices integers, `fpmemdpe` slices floating-point numbers with a shared exponent, `diffpairdpe` puts
whole codes on differential pairs. Each keeps the arguments, the granularity and the rounding of mPimPy. Its
mistakes are corrected: padding, exponents, and operands of one or of more than two axes. Their arguments have
the predecessor's names, so they differ from those of `Engine`.

Of L. Yang et al., mPimPy (NumPy), version 1.0.
"""

import math
from collections.abc import Sequence
from typing import Any

from ..arrays import namespace
from ..config import Config, Format
from ..config._config import Parts
from ..operands import edge
from ._predecessor import Predecessor, SlicingPredecessor, check_axes

__all__ = ["bitslicedpe", "diffpairdpe", "fpmemdpe"]

_INT8 = (1, 1, 2, 4)
_FP32 = (1,) * 23


class bitslicedpe(SlicingPredecessor):
    """Integers in slices: one scale per input row and weight column of each array.

    Digits are rounded to integers after the ADC.

    Parameters
    ----------
    HGS, LGS : float
        Highest and lowest conductance, S.
    g_level : int
        Conductance levels.
    var : float, optional
        Read variation, relative (lognormal sigma); by default 0.05.
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

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> engine = bitslicedpe(var=0, radc=4096, seed=1)
    >>> engine.MapReduceDot(np.ones((2, 40)), np.ones((40, 3))).round(2).tolist()
    [[40.0, 40.0, 40.0], [40.0, 40.0, 40.0]]
    """

    @staticmethod
    def _formats(config: Config) -> Parts:
        return {"inputs": Format(_INT8), "weights": Format(_INT8)}

    def MapReduceDot(  # type: ignore[override]
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
            Bits of each slice, most significant first; the first is the sign bit, 1.
        wire_factor : bool
            True: wires have the engine's `wire_resistance`.

        Returns
        -------
        array, shape (..., N) or (...)

        Raises
        ------
        TypeError, ValueError
            If the operands do not fit each other or the engine, or a setting is out of range.
        """
        config = self.config.replace(inputs=Format(xblk), weights=Format(mblk), wires=self._wired(wire_factor))
        return self._multiply(config, xin, matin)

    __call__ = MapReduceDot  # type: ignore[assignment]

    def BitSliceVMM(self, xin: Any, matin: Any, xblk: Sequence[int] = _INT8, mblk: Sequence[int] = _INT8) -> Any:
        """Multiply the sliced operands exactly, without crossbars.

        Parameters
        ----------
        xin, matin, xblk, mblk
            As for `MapReduceDot`; here one scale serves a whole input row, or weight column.

        Returns
        -------
        array, shape (..., N) or (...)

        Raises
        ------
        TypeError, ValueError
            If the operands do not fit each other or the engine, or a setting is out of range.
        """
        return self._exact(Format(xblk, granularity="per-row"), Format(mblk, granularity="per-col"), xin, matin)


class fpmemdpe(SlicingPredecessor):
    """Floating-point numbers in slices: one exponent per input row and weight column of each array.

    Lists of slices leave out the sign bit and the integer bit, which have slices of their own. Digits are
    rounded to integers after the ADC.

    Parameters
    ----------
    HGS, LGS : float
        Highest and lowest conductance, S.
    g_level : int
        Conductance levels.
    var : float, optional
        Read variation, relative (lognormal sigma); by default 0.1.
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

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> engine = fpmemdpe(var=0, seed=1)
    >>> float(engine.MapReduceDot(np.array([0.1, 1.5]), np.array([2.0, 4.0])).round(5))
    6.2
    """

    _var = 0.1

    @staticmethod
    def _formats(config: Config) -> Parts:
        return {"inputs": Format((1, 1, *_FP32), 8), "weights": Format((1, 1, *_FP32), 8)}

    def MapReduceDot(  # type: ignore[override]
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
            Bits of each slice of the mantissa behind the point, most significant first.
        bw_e : int
            Width of the shared exponents, bits.
        wire_factor : bool
            True: wires have the engine's `wire_resistance`.

        Returns
        -------
        array, shape (..., N) or (...)

        Raises
        ------
        TypeError, ValueError
            If the operands do not fit each other or the engine, or a setting is out of range.
        """
        inputs, weights = Format((1, 1, *xblk), bw_e), Format((1, 1, *mblk), bw_e)
        config = self.config.replace(inputs=inputs, weights=weights, wires=self._wired(wire_factor))
        return self._multiply(config, xin, matin)

    __call__ = MapReduceDot  # type: ignore[assignment]

    def fpvmm(
        self, xin: Any, matin: Any, xblk: Sequence[int] = _FP32, mblk: Sequence[int] = _FP32, bw_e: int = 8
    ) -> Any:
        """Multiply the sliced operands exactly, without crossbars.

        Parameters
        ----------
        xin, matin, xblk, mblk, bw_e
            As for `MapReduceDot`; here one exponent serves a whole input row, or weight column.

        Returns
        -------
        array, shape (..., N) or (...)

        Raises
        ------
        TypeError, ValueError
            If the operands do not fit each other or the engine, or a setting is out of range.
        """
        inputs = Format((1, 1, *xblk), bw_e, granularity="per-row")
        return self._exact(inputs, Format((1, 1, *mblk), bw_e, granularity="per-col"), xin, matin)


class diffpairdpe(Predecessor):
    """Whole codes on differential pairs, driven by positive and negative voltages.

    Inputs are one signed code of the DAC, weights one level of a pair; one scale per input row and weight
    column of each array. If the number of levels is not a power of two, codes use the power below it.

    Parameters
    ----------
    HGS, LGS : float
        Highest and lowest conductance, S.
    g_level : int
        Conductance levels.
    var : float, optional
        Read variation, relative (lognormal sigma); by default 0.02.
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

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range.

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
    def _formats(config: Config) -> Parts:
        x_bits, w_bits = (int(math.log2(n)) for n in (config.dac.rdac, config.device.g_level))
        return {"inputs": Format((1, x_bits), mapping="signed"), "weights": Format((1, w_bits), mapping="pair")}

    def MapReduceDot(  # type: ignore[override]
        self, xin: Any, matin: Any, wire_factor: bool = False
    ) -> Any:
        """Multiply on the crossbars.

        Parameters
        ----------
        xin : array, shape (..., K)
        matin : array, shape (K, N) or (K,)
        wire_factor : bool
            True: wires have the engine's `wire_resistance`.

        Returns
        -------
        array, shape (..., N) or (...)

        Raises
        ------
        TypeError, ValueError
            If the operands do not fit each other or the engine, or a setting is out of range.
        """
        return self._multiply(self.config.replace(wires=self._wired(wire_factor)), xin, matin)

    __call__ = MapReduceDot  # type: ignore[assignment]

    def _codes(self, data: Any, shape: str, levels: int, axis: int) -> Any:
        # signed codes, float64; the largest element of each row or column has the largest code
        data = edge.accept("data", data).array
        check_axes("data", data, shape)
        xp = namespace(data)
        data, top = xp.astype(data, xp.float64), 2 ** int(math.log2(levels)) - 1
        if not math.prod(data.shape):
            return data
        largest = xp.max(xp.abs(data), axis=axis, keepdims=True)
        scale = xp.where(largest > 0, largest, xp.ones_like(largest))
        return xp.round(data / scale * top) * ((levels - 1) // top)

    def Num2V(self, data: Any) -> Any:
        """Return the word line voltages of inputs, V: of the lines of g+ cells, then of the lines of g- cells.

        The largest input of each row has the read voltage.

        Parameters
        ----------
        data : array, shape (M, K)

        Returns
        -------
        float64 array, shape (M, 2 K)
            V.

        Raises
        ------
        TypeError, ValueError
            If `data` is not numeric and finite, or has not two axes.
        """
        dac = self.config.dac
        volts = self._codes(data, "(M, K)", dac.rdac, -1) * (dac.vread / (dac.rdac - 1))
        return namespace(volts).concat([volts, -volts], axis=-1)

    def Num2R(self, data: Any) -> Any:
        """Return the conductances of weights, S, with the variation of one read: of g+ cells, then of g- cells.

        The largest weight of each column has the highest level.

        Parameters
        ----------
        data : array, shape (K, N)

        Returns
        -------
        float64 array, shape (2 K, N)
            S, despite the name.

        Raises
        ------
        TypeError, ValueError
            If `data` is not numeric and finite, or has not two axes.
        """
        codes = self._codes(data, "(K, N)", self.config.device.g_level, 0)
        xp = namespace(codes)
        zero = xp.zeros_like(codes)
        return self._conductances(xp.concat([xp.where(codes > 0, codes, zero), xp.where(codes < 0, -codes, zero)]))
