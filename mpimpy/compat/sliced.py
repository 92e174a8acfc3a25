"""SlicedData: an operand in slices, under the predecessors' name and with their granularity rule."""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

from array_api_compat import device as device_of

from .._integers import ceil_div
from ..arrays import namespace
from ..checks import as_bool, as_int_pair, fail
from ..config import Config, Format, Tile
from ..engine import Engine
from ..matrix import CrossbarMatrix
from ..operands import edge, encoding
from ..operators import CrossbarOperand

__all__ = ["SlicedData"]


class SlicedData(CrossbarOperand):
    """An operand quantised and sliced, ready to be multiplied by `DPETensor`.

    Parameters
    ----------
    slice_method : sequence of int
        Bits per slice, most significant first, beginning with 1: a list, array or tensor.
    bw_e : int, optional
        Bits of a shared exponent (block floating point); None for INT.
    is_weight : bool
        Whether this is the second operand, which is written into the arrays.
    paral_size : (int, int), optional
        Weights: rows and columns of an array. Inputs: rows applied in parallel, and array rows.
        By default the engine's `array_size`, 64 x 64 unless set.
    quant_gran : str or (int, int), optional
        Block that shares a scale: "per-matrix", "per-row", "per-col" or a shape, rounded up to a
        multiple of `paral_size`, with a warning when that changes what was asked. By default
        `paral_size`.
    device : device, optional
        Where the data must be; by default, wherever it is.
    inference : bool
        Keep only what products need: weights are programmed as soon as they are sliced, and
        `quantized_data`, `sliced_data` and `t` are not available.
    input_en : bool
        Inputs only: slice by the engine's `input_size` (row mode) instead of its array size.
    dbfp_en : bool
        Double exponent; needs `bw_e`.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range, or has no effect on this operand.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import DPETensor
    >>> x, w = SlicedData([1, 1, 2, 4]), SlicedData([1, 1, 2, 4], is_weight=True)
    >>> engine = DPETensor(var=0, seed=0)
    >>> x.slice_data_imp(engine, np.ones((2, 5)))
    >>> w.slice_data_imp(engine, np.ones((5, 3)))
    >>> engine(x, w).shape
    (2, 3)
    """

    def __init__(
        self,
        slice_method: Sequence[int],
        bw_e: int | None = None,
        is_weight: bool = False,
        paral_size: tuple[int, int] | None = None,
        quant_gran: str | tuple[int, int] | None = None,
        device: Any = None,
        inference: bool = False,
        input_en: bool = False,
        dbfp_en: bool = False,
    ):
        if hasattr(slice_method, "tolist"):
            slice_method = slice_method.tolist()
        self.is_weight = as_bool("is_weight", is_weight)
        self.inference, self.input_en = as_bool("inference", inference), as_bool("input_en", input_en)
        if self.input_en and self.is_weight:
            msg = "input_en=True has no effect on weights, which are sliced by the array size: leave it out"
            raise ValueError(msg)
        if self.input_en and paral_size is not None:
            msg = f"input_en=True slices by the engine's input_size: paral_size={paral_size} would have no effect"
            raise ValueError(msg)
        self.paral_size = None if paral_size is None else as_int_pair("paral_size", paral_size)
        gran = "per-matrix" if quant_gran is None else quant_gran  # checked here, resolved when the data is known
        self.quant_gran = None if quant_gran is None else Format(granularity=gran).granularity
        if self.quant_gran == "finest":
            msg = "quant_gran 'finest' is a granularity of Format: give per-matrix, per-row, per-col or a shape"
            raise ValueError(msg)
        self.format = Format(slice_method, bw_e=bw_e, double=dbfp_en, granularity=gran)
        self.device = device
        self.shape = None
        self.encoded = None
        self._engine = self._matrix = self.prototype = self._backend = None

    @property
    def slice_method(self):
        """Bits per slice, most significant first."""
        return self.format.slices

    @property
    def bw_e(self):
        """Bits of the shared exponent, or None."""
        return self.format.bw_e

    def __len__(self):
        """Return the number of slices."""
        return len(self.format.slices)

    def size(self, axis=None):
        """Return the shape of the data, or the length of one axis."""
        self._need_data()
        return self.shape if axis is None else self.shape[axis]

    def _need_data(self):
        if self.shape is None:
            msg = "this SlicedData holds no data yet: call slice_data_imp(engine, data) first"
            raise ValueError(msg)

    def _need_digits(self, name):
        self._need_data()
        if self.inference:
            msg = f"{name} is not kept with inference=True: build the SlicedData with inference=False"
            raise AttributeError(msg)

    def _parallel(self, engine):
        tile = engine.config.tile
        if self.input_en:
            if engine.input_size is None:
                msg = "input_en=True slices by the engine's input_size: give DPETensor(input_size=(rows, array rows))"
                raise ValueError(msg)
            return engine.input_size
        if self.paral_size is not None:
            return self.paral_size
        return (tile.rows, tile.cols) if self.is_weight else (tile.rows, tile.rows)

    def _block(self, parallel, shape):
        asked = {
            None: parallel,
            "per-matrix": shape,
            "per-row": (1, shape[1]),
            "per-col": (shape[0], 1),
        }.get(self.quant_gran, self.quant_gran)
        block = tuple(ceil_div(want, step) * step for want, step in zip(asked, parallel, strict=True))
        # rounding past the edge of the data changes nothing
        changed = any(min(got, size) != min(want, size) for got, want, size in zip(block, asked, shape, strict=True))
        if changed:
            warnings.warn(
                f"quant_gran={self.quant_gran} was rounded up to {block}, a multiple of paral_size={parallel}: "
                "elements in one such block share a scale. Engine takes finer ones",
                edge.MpimpyWarning,
                stacklevel=3,
            )
        return block

    def slice_data_imp(self, engine: Any, data: Any) -> None:
        """Quantise and slice `data`.

        Parameters
        ----------
        engine : Engine
            Whose levels the slices must fit.
        data : array, shape (..., M, K) or (K,) for inputs, (K, N) for weights

        Raises
        ------
        TypeError, ValueError
            If the data is not numeric and finite, or its shape or device does not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import DPETensor
        >>> x = SlicedData([1, 3])
        >>> x.slice_data_imp(DPETensor(), np.array([[1.0, -0.4]]))
        >>> x.quantized_data.round(3).tolist()
        [[1.0, -0.429]]
        """
        name = "the weight data" if self.is_weight else "the input data"
        data = edge.as_operand(name, data)
        xp = namespace(data)
        edge.check_device(data, self.device, name, "this SlicedData")
        if data.ndim < 1 or (self.is_weight and data.ndim != 2):
            wanted = "two axes (K, N)" if self.is_weight else "at least one axis"
            msg = f"{name} has shape {tuple(data.shape)}: it needs {wanted}"
            raise ValueError(msg)
        if 0 in data.shape:
            msg = f"{name} has shape {tuple(data.shape)}, without any element: pass arrays to the engine itself"
            raise ValueError(msg)
        part = "weights" if self.is_weight else "inputs"
        # the sign's way into hardware is the engine's
        self.format = dataclasses.replace(self.format, mapping=getattr(engine.config, part).mapping)
        config = engine.config.replace(**{part: self.format})
        config.check(part)
        parallel = self._parallel(engine)
        matrix = (1, *data.shape) if data.ndim == 1 else data.shape
        dims = (math.prod(matrix[:-2]), *matrix[-2:])
        block = self._block(parallel, dims[1:])
        self._backend = backend = engine.backend_for(data)
        self.prototype = xp.zeros((0,), dtype=edge.float_dtype(xp, data), device=device_of(data))
        self._resolved = parallel
        self.encoded = encoding.encode(backend, backend.to_backend(xp.reshape(data, dims)), self.format, block)
        self.shape = tuple(data.shape)
        self._engine = self._matrix = None
        if self.inference and self.is_weight:
            self.programmed(engine)

    @property
    def rows(self):
        """Array rows that the data is cut for."""
        self._need_data()
        return self._resolved[0 if self.is_weight else 1]

    @property
    def cols(self):
        """Array columns that weights are cut for."""
        self._need_data()
        return self._resolved[1]

    @property
    def dtype(self):
        """Floating dtype that the data counts as."""
        self._need_data()
        return self.prototype.dtype

    def configuration(self, config):
        """Return an engine's configuration for these weights: their format, and arrays of the size they are cut for."""
        return config.replace(weights=self.format, tile=Tile(self.rows, self.cols))

    def programmed(self, engine):
        """Return these weights programmed by `engine`; written once, then kept."""
        if self._matrix is None or self._engine is not engine:
            if self.encoded is None:
                msg = "these weights were programmed by another engine, and inference=True kept nothing else"
                raise ValueError(msg)
            config = self.configuration(engine.config)
            weights = edge.Operand("w", self.prototype, self.shape)
            self._matrix = engine.write(weights, self.encoded, config)
            self._engine = engine
            if self.inference:
                self.encoded = None
        return self._matrix

    def multiply_on(self, engine: Engine, x: Any, w: Any, read: int | None) -> Any:
        """Return the product of `x` and `w` on an engine's crossbars, one or both of which are in slices.

        Parameters
        ----------
        engine : Engine
        x : array or SlicedData, shape (..., K)
        w : array, SlicedData or CrossbarMatrix, shape (K, N)
        read : int or None
            Number of this read; None: the next one.

        Returns
        -------
        array, shape (..., N)

        Raises
        ------
        TypeError, ValueError
            If the operands do not fit each other, or the engine.
        """
        if isinstance(x, SlicedData) and x.is_weight:
            fail(ValueError, "x is a SlicedData of weights (is_weight=True): the inputs come first, engine(x, w)")
        if isinstance(w, SlicedData) and not w.is_weight:
            fail(ValueError, "w is a SlicedData of inputs: build it with is_weight=True")
        if isinstance(w, SlicedData):
            config, left = w.configuration(engine.config), edge.Operand("w", w.prototype, w.shape)
        elif isinstance(w, CrossbarMatrix):
            config, left = w.config, edge.Operand("w", w.prototype, w.shape)
        else:
            config, left = engine.config, edge.accept("w", w)
        depth = left.shape[0] if len(left.shape) == 2 else None
        if isinstance(x, SlicedData):
            _check_cut(x, config)
            if depth is not None:
                edge.matrix_shape(x.shape, depth, "x", "w", left.shape)
        else:
            x = edge.accept("x", x, like=left, depth=depth)
        if isinstance(w, SlicedData):
            w = w.programmed(engine)
        elif not isinstance(w, CrossbarMatrix):
            w = engine.program(left)
        if not isinstance(x, SlicedData):
            return w.read(x, read)
        edge.check_together(x.prototype, w.prototype, "x", "w")
        y = w.read_codes(x.encoded, x.format, x.dtype, read)
        return namespace(y).reshape(y, (*x.shape[:-1], w.shape[1]))

    def _public(self, array):
        return self._backend.from_backend(array, self.prototype)

    @property
    def sliced_data(self):
        """Digits of the slices, shape (slices, ..., A, C), most significant first.

        With a double exponent the two planes come first.
        """
        self._need_digits("sliced_data")
        xp = namespace(self.encoded.digits)
        digits = xp.flip(self.encoded.digits, axis=1)
        lead = digits.shape[:2] if self.format.double else (digits.shape[1],)
        return self._public(xp.reshape(xp.astype(digits, digits.dtype, copy=True), (*lead, *self.shape)))

    @property
    def quantized_data(self):
        """The values that the codes stand for, in the dtype and shape of the data."""
        self._need_digits("quantized_data")
        xp = namespace(self.prototype)
        values = self._public(encoding.decode(self.encoded))
        return xp.astype(xp.reshape(values, self.shape), self.prototype.dtype)

    def t(self) -> "SlicedData":
        """Return the transposed operand: last two axes of elements, blocks and arrays swapped.

        Returns
        -------
        SlicedData
        """
        self._need_digits("t()")
        if len(self.shape) < 2:
            msg = f"t() swaps the last two axes, and the data has shape {self.shape}"
            raise ValueError(msg)
        other = SlicedData.__new__(SlicedData)
        other.__dict__.update(self.__dict__)
        other.encoded = self.encoded.transpose()
        other.shape = (*self.shape[:-2], self.shape[-1], self.shape[-2])
        other._resolved = self._resolved[::-1]
        other.paral_size = other._resolved
        other._engine = other._matrix = None
        return other

    def __repr__(self):
        kind = "weights" if self.is_weight else "inputs"
        return f"<SlicedData {kind} {self.shape}, slices {list(self.slice_method)}, bw_e={self.bw_e}>"


def _check_cut(x: SlicedData, config: Config) -> None:
    # inputs have to be cut for the arrays that the weights are in
    config.replace(inputs=x.format).check("inputs")
    if x.rows != config.tile.rows:
        msg = (
            f"inputs are cut for arrays of {x.rows} rows and weights for {config.tile.rows}: "
            f"give the inputs paral_size=(..., {config.tile.rows})"
        )
        raise ValueError(msg)
