"""SlicedData: a sliced operand under the predecessors' name, with their granularity rule."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, overload

from array_api_compat import device as device_of

from .. import arrays, backends
from .._writing import choose_backend, write
from ..arrays import namespace
from ..checks import as_bool, as_int_pair, fail
from ..config import Config, Format
from ..config._config import Parts
from ..engine import Engine
from ..matrix import CrossbarMatrix, as_operand, read_codes
from ..operands import edge, encoding
from ..operators import CrossbarOperand
from ._granularity import check_cut, round_block

__all__ = ["SlicedData"]


class SlicedData(CrossbarOperand):
    """Operand quantised and sliced, for products by `DPETensor`.

    Parameters
    ----------
    slice_method : sequence of int
        Bits of each slice, most significant first; the first slice has 1 bit. A list, array or tensor.
    bw_e : int, optional
        Width of a shared exponent, bits (block floating point); None for INT.
    is_weight : bool
        True for the second operand, which is written into the arrays.
    paral_size : (int, int), optional
        Weights: rows and columns of an array, cells. Inputs: rows applied in parallel, and rows of an array.
        By default the engine's `array_size`, 64 x 64 unless set.
    quant_gran : str or (int, int), optional
        Block that shares a scale: "per-matrix", "per-row", "per-col", or rows and columns in elements. It is
        rounded up to a multiple of `paral_size`; a warning tells of a change. By default `paral_size`.
    device : device, optional
        Device that the data must be on; None: any.
    inference : bool
        Keep only what products need. Weights are then programmed as soon as they are sliced, and
        `quantized_data`, `sliced_data` and `t` are not available.
    input_en : bool
        Inputs only: slice by the engine's `input_size` (row mode) instead of its array size.
    dbfp_en : bool
        Double exponent; needs `bw_e`.

    Attributes
    ----------
    format : Format
        Slices, exponent and granularity. The mapping of signs is that of the engine that sliced the data.
    shape : tuple of int or None
        Shape of the data; None before `slice_data_imp`.
    encoded : mpimpy.operands.encoding.Encoded or None
        Integers of the data; None before `slice_data_imp`, and for programmed weights with ``inference=True``.
    is_weight, paral_size, quant_gran, device, inference, input_en
        As given.

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

    format: Format
    is_weight: bool
    inference: bool
    input_en: bool
    shape: tuple[int, ...] | None
    encoded: encoding.Encoded | None
    paral_size: tuple[int, int] | None
    quant_gran: str | tuple[int, int] | None
    _prototype: Any  # an empty array of the data's library, floating dtype and device
    _backend: Any
    _parallel: tuple[int, int]  # `paral_size`, or its default
    _engine: Engine | None
    _matrix: CrossbarMatrix | None

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
    ) -> None:
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
        gran = "per-matrix" if quant_gran is None else quant_gran  # `round_block` resolves it, once there is data
        self.quant_gran = None if quant_gran is None else Format(granularity=gran).granularity
        if self.quant_gran == "finest":
            msg = "quant_gran 'finest' is a granularity of Format: give per-matrix, per-row, per-col or a shape"
            raise ValueError(msg)
        self.format = Format(slice_method, bw_e=bw_e, double=dbfp_en, granularity=gran)
        self.device = device
        self.shape = None
        self.encoded = None
        self._engine = self._matrix = self._prototype = self._backend = None

    @property
    def slice_method(self) -> tuple[int, ...]:
        """Bits per slice, most significant first."""
        return self.format.slices

    @property
    def bw_e(self) -> int | None:
        """Width of the shared exponent, bits; None for INT."""
        return self.format.bw_e

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self.format.slices)

    @overload
    def size(self, axis: None = None) -> tuple[int, ...]: ...

    @overload
    def size(self, axis: int) -> int: ...

    def size(self, axis: int | None = None) -> tuple[int, ...] | int:
        """Return the shape of the data, or the length of one axis.

        Raises
        ------
        ValueError
            If there is no data yet.
        """
        shape = self._data_shape()
        return shape if axis is None else shape[axis]

    def __getstate__(self) -> dict[str, Any]:
        # a module has no pickle: the copy finds it by its name
        return self.__dict__ | {"_backend": None if self._backend is None else self._backend.NAME}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._backend is not None:
            self._backend = backends.select(self._prototype, self._backend)

    def _data_shape(self) -> tuple[int, ...]:
        if self.shape is None:
            fail(ValueError, "this SlicedData holds no data yet: call slice_data_imp(engine, data) first")
        return self.shape

    def _kept(self, name: str) -> encoding.Encoded:
        # integers of the data; `name` is computed from them
        self._data_shape()
        if self.inference or self.encoded is None:
            fail(AttributeError, f"{name} is not kept with inference=True: build the SlicedData with inference=False")
        return self.encoded

    def _choose_parallel(self, engine: Engine) -> tuple[int, int]:
        tile = engine.config.tile
        if self.input_en:
            if engine.input_size is None:
                msg = "input_en=True slices by the engine's input_size: give DPETensor(input_size=(rows, array rows))"
                raise ValueError(msg)
            return engine.input_size
        if self.paral_size is not None:
            return self.paral_size
        return (tile.rows, tile.cols) if self.is_weight else (tile.rows, tile.rows)

    def slice_data_imp(self, engine: Engine, data: Any) -> None:
        """Quantise and slice `data`.

        Parameters
        ----------
        engine : Engine
            Its levels must suffice for the slices.
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
        operand = edge.accept(name, data)
        data, counts_as, xp = operand.array, operand.counts_as, namespace(operand.array)
        edge.check_device(data, self.device, name, "this SlicedData")
        if data.ndim < 1 or (self.is_weight and data.ndim != 2):
            wanted = "two axes (K, N)" if self.is_weight else "at least one axis"
            msg = f"{name} has shape {tuple(data.shape)}: it needs {wanted}"
            raise ValueError(msg)
        if 0 in data.shape:
            msg = f"{name} has shape {tuple(data.shape)}, without any element: pass arrays to the engine itself"
            raise ValueError(msg)
        part = "weights" if self.is_weight else "inputs"
        # the engine decides how signs are mapped
        self.format = dataclasses.replace(self.format, mapping=getattr(engine.config, part).mapping)
        formats: Parts = {"weights": self.format} if self.is_weight else {"inputs": self.format}
        engine.config.replace(**formats)._check(part)
        parallel = self._choose_parallel(engine)
        matrix = (1, *data.shape) if data.ndim == 1 else data.shape
        dims = (math.prod(matrix[:-2]), *matrix[-2:])
        block = round_block(self.quant_gran, parallel, (matrix[-2], matrix[-1]))
        self._backend = backend = choose_backend(engine, data)
        self._prototype = xp.zeros((0,), dtype=counts_as, device=device_of(data))
        self._parallel = parallel
        self.encoded = encoding.encode(backend, backend.to_backend(xp.reshape(data, dims)), self.format, block)
        self.shape = tuple(data.shape)
        self._engine = self._matrix = None
        if self.inference and self.is_weight:
            self.programmed(engine)

    @property
    def rows(self) -> int:
        """Rows of the arrays that the data is cut for."""
        self._data_shape()
        return self._parallel[0 if self.is_weight else 1]

    @property
    def cols(self) -> int:
        """Columns of the arrays that weights are cut for."""
        self._data_shape()
        return self._parallel[1]

    @property
    def dtype(self) -> Any:
        """Floating dtype that the data counts as."""
        self._data_shape()
        return edge.float_dtype(namespace(self._prototype), self._prototype)

    def _configure(self, config: Config) -> Config:
        # the engine's configuration with the format of these weights, and with arrays of the size they are cut for
        return config.replace(weights=self.format, tile={"rows": self.rows, "cols": self.cols})

    def programmed(self, engine: Engine) -> CrossbarMatrix:
        """Return these weights programmed by an engine; written once, then kept.

        Parameters
        ----------
        engine : Engine

        Returns
        -------
        CrossbarMatrix

        Raises
        ------
        ValueError
            If there is no data yet, or another engine programmed the weights and ``inference=True`` dropped them.
        """
        if self._matrix is None or self._engine is not engine:
            shape = self._data_shape()
            if self.encoded is None:
                msg = "these weights were programmed by another engine, and inference=True kept nothing else"
                raise ValueError(msg)
            weights = edge.Operand("w", self._prototype, shape)
            self._matrix = write(engine, weights, self.encoded, config=self._configure(engine.config))
            self._engine = engine
            if self.inference:
                self.encoded = None
        return self._matrix

    def _multiply_on(self, engine: Engine, x: Any, w: Any, read: int | None) -> Any:
        """Return the product of `x` and `w` on an engine's crossbars; one of them is in slices, or both are.

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
            If the operands do not fit each other, or do not fit the engine.
        """
        if isinstance(x, SlicedData) and x.is_weight:
            fail(ValueError, "x is a SlicedData of weights (is_weight=True): the inputs come first, engine(x, w)")
        if isinstance(w, SlicedData) and not w.is_weight:
            fail(ValueError, "w is a SlicedData of inputs: build it with is_weight=True")
        if isinstance(w, SlicedData):
            config, weights = w._configure(engine.config), edge.Operand("w", w._prototype, w._data_shape())
        elif isinstance(w, CrossbarMatrix):
            engine.config._check_written_with(w.config)
            config, weights = w.config, as_operand("w", w)
        else:
            config, weights = engine.config, edge.accept("w", w)
        depth = weights.shape[0] if len(weights.shape) == 2 else None
        if isinstance(x, SlicedData):
            check_cut(x.rows, x.format, config)
            if depth is not None:
                edge.matrix_shape(x._data_shape(), depth, "x", "w", weights.shape)
        else:
            x = edge.accept("x", x, like=weights, depth=depth)
        if isinstance(w, SlicedData):
            w = w.programmed(engine)
        elif not isinstance(w, CrossbarMatrix):
            w = engine.program(weights)
        if not isinstance(x, SlicedData):
            return w.read(x, read)
        edge.check_together(x._prototype, weights.array, "x", "w")
        encoded: Any = x.encoded  # `check_cut` has asked for data
        y = read_codes(w, encoded, x.format, x._prototype.dtype, read)
        return namespace(y).reshape(y, (*x._data_shape()[:-1], w.shape[1]))

    def _public(self, array: Any) -> Any:
        return self._backend.from_backend(array, self._prototype)

    @property
    def sliced_data(self) -> Any:
        """Digits of the slices, shape (slices, ..., A, C), most significant first.

        With a double exponent the two planes come first.
        """
        encoded, shape = self._kept("sliced_data"), self._data_shape()
        xp = namespace(encoded.digits)
        digits = xp.flip(encoded.digits, axis=1)
        slices = digits.shape[:2] if self.format.double else (digits.shape[1],)
        return self._public(xp.reshape(xp.astype(digits, digits.dtype, copy=True), (*slices, *shape)))

    @property
    def quantized_data(self) -> Any:
        """Quantised values, in the dtype and shape of the data."""
        encoded, shape = self._kept("quantized_data"), self._data_shape()
        xp = namespace(self._prototype)
        values = self._public(encoding.decode(encoded))
        return arrays.rounded(xp.reshape(values, shape), self._prototype.dtype)

    def t(self) -> "SlicedData":
        """Return the transposed operand: last two axes of elements, blocks and arrays swapped.

        Returns
        -------
        SlicedData

        Raises
        ------
        ValueError
            If there is no data yet, or it has one axis.
        AttributeError
            With ``inference=True``.
        """
        encoded, shape = self._kept("t()"), self._data_shape()
        if len(shape) < 2:
            msg = f"t() swaps the last two axes, and the data has shape {shape}"
            raise ValueError(msg)
        other = SlicedData.__new__(SlicedData)
        other.__dict__.update(self.__dict__)
        other.encoded = encoded.transpose()
        other.shape = (*shape[:-2], shape[-1], shape[-2])
        other._parallel = self._parallel[1], self._parallel[0]
        other.paral_size = other._parallel
        other._engine = other._matrix = None
        return other

    def __repr__(self) -> str:
        kind = "weights" if self.is_weight else "inputs"
        return f"<SlicedData {kind} {self.shape}, slices {list(self.slice_method)}, bw_e={self.bw_e}>"
