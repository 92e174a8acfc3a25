"""Engine: a configuration that programs matrices and reads them."""

from collections.abc import Iterable
from typing import Any, Unpack

from array_api_compat import device as device_of

from . import backends, noise
from .analysis import calibration
from .arrays import namespace
from .checks import as_int, as_int_pair, fail
from .config import ADC, DAC, Config, Device, Format, Tile, Wires
from .config._config import Parts
from .crossbar import plan as plans
from .crossbar.programmed import program
from .files.chips import Chip
from .matrix import CrossbarMatrix, backend_of, encode_inputs
from .noise import Address
from .operands import edge, encoding
from .operators import CrossbarOperand
from .reads import CountedReads, ReadCounter

__all__ = ["Engine", "choose_backend", "write"]


class Engine(CountedReads):
    """Crossbar machine: it programs matrices and multiplies by them.

    Parameters
    ----------
    device : Device, optional
        The memristors.
    dac : DAC, optional
        Converters that drive the word lines.
    adc : ADC, optional
        Converters that read the bit lines.
    tile : Tile, optional
        Size of an array, cells.
    inputs, weights : Format, optional
        Integer formats of the operands.
    wires : Wires, optional
        Resistance of the wires, Ohm a segment; None: wires without resistance.
    seed : int, optional
        Key of all random numbers, 0 to 2**64 - 1. None takes a fresh one. The attribute `seed` and the
        repr show it, so any result can be replayed.
    chip : int
        Number of the chip, 0 to 2**20 - 1. The same seed and chip have the same write
        variation and stuck cells everywhere.
    backend : str, optional
        "numba", "torch" or "reference"; None takes the best one for the arrays. The bits are the same.

    Attributes
    ----------
    config : Config
    seed, chip : int
    backend : str or None
    reads : int
        Reads made so far: the number of the next one.
    stream : str or None
        Stream of the counted reads; None in an original. A copy in another process, a pickle and a deep copy draw
        one of their own, so that they do not repeat the original's noise. See `in_stream`.
    input_size : (int, int) or None
        Block of inputs in row mode: rows, and array rows. See `SlicedData`.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range, or slices need more levels than there are.

    Examples
    --------
    >>> import numpy as np
    >>> engine = Engine(Device(var=0.02), adc=ADC(radc=1024), seed=7)
    >>> W = engine.program(np.eye(4))
    >>> (np.ones((2, 4)) @ W).shape
    (2, 4)
    """

    config: Config
    backend: str | None
    seed: int
    chip: int
    input_size: tuple[int, int] | None = None
    _operand_device: Any = None  # device that operands must be on; None: any

    def __init__(
        self,
        device: Device | None = None,
        dac: DAC | None = None,
        adc: ADC | None = None,
        tile: Tile | None = None,
        inputs: Format | None = None,
        weights: Format | None = None,
        wires: Wires | None = None,
        *,
        seed: int | None = None,
        chip: int = 0,
        backend: str | None = None,
    ) -> None:
        self._setup(
            Config(
                Device() if device is None else device,
                DAC() if dac is None else dac,
                ADC() if adc is None else adc,
                Tile() if tile is None else tile,
                Format() if inputs is None else inputs,
                Format() if weights is None else weights,
                wires,
            ),
            seed=seed,
            chip=chip,
            backend=backend,
        )

    @classmethod
    def from_config(
        cls, config: Config, *, seed: int | None = None, chip: int = 0, backend: str | None = None
    ) -> "Engine":
        """Return an engine with a ready configuration.

        Parameters
        ----------
        config : Config
        seed, chip, backend
            As for `Engine`.

        Raises
        ------
        ValueError, TypeError
            As `Engine`.

        Examples
        --------
        >>> Engine.from_config(Config(), seed=3).seed
        3
        """
        engine = Engine.__new__(Engine)
        engine._setup(config, seed=seed, chip=chip, backend=backend)
        return engine

    def _setup(
        self,
        config: Config,
        *,
        seed: int | None,
        chip: int,
        backend: str | None,
        parts: Iterable[str] = ("inputs", "weights"),
    ) -> None:
        config.check(*parts)
        plans.choose_grid(config)  # raises now if currents cannot be exact
        if backend is not None:
            backends.check(backend)
        self.config, self.backend = config, backend
        self.seed = noise.new_seed() if seed is None else as_int("seed", seed, 0, noise.MAX_SEED)
        self.chip = as_int("chip", chip, 0, noise.MAX_CHIP)
        self._counter = ReadCounter()

    def program(
        self,
        w: Any,
        *,
        name: str | None = None,
        chip: int | None = None,
        origin: tuple[int, int] = (0, 0),
        faults: Any = None,
    ) -> CrossbarMatrix:
        """Write a matrix into crossbars, once.

        Parameters
        ----------
        w : array, shape (K, N)
        name : str, optional
            Name of the matrix, which gives it cells of its own: its random numbers have a key that is
            derived from the seed and the name. Without names, all matrices of one engine and chip are written
            on the same cells, element (0, 0) on the first.
        chip : int, optional
            Number of the chip to write on; by default the engine's.
        origin : (int, int)
            Row and column of ``w[0, 0]`` in a larger matrix, if `w` is a part of one. Its cells then have
            the random numbers that they have in the whole. The row must be a multiple of the tile's rows.
        faults : integer array, shape (K, N) or that of ``W.conductance()``, optional
            Map of stuck cells: 1 at HGS, -1 at LGS, 0 neither. Slices as in `CrossbarMatrix.conductance`,
            most significant first; (K, N) holds for all of them. The device's rates make further cells stuck.

        Returns
        -------
        CrossbarMatrix

        Raises
        ------
        TypeError, ValueError
            If `w` is not numeric and finite, or not two-dimensional; if `faults` does not fit it.

        Examples
        --------
        >>> import numpy as np
        >>> Engine(seed=1).program(np.eye(100)).tiles
        (2, 2, 4)
        """
        w = edge.accept("w", w)
        if len(w.shape) != 2:
            fail(ValueError, f"w has shape {w.shape}: weights are one matrix, (K, N)")
        config, (rows, cols) = self.config, (self.config.tile.rows, self.config.tile.cols)
        block = encoding.block_shape(config.weights, w.shape, rows, weight=True)
        origin = as_int_pair("origin", origin, 0, noise.MAX_ROW - max(w.shape))
        if origin[0] % rows:
            cut = f"origin={origin} cuts through a tile of {rows} rows"
            fail(ValueError, f"{cut}: its row must be a multiple of {rows}")
        if config.wires is not None and origin[1] % cols:
            cut = f"origin={origin} cuts through a tile of {cols} columns"
            fail(ValueError, f"{cut}, which its wires join: use a multiple of {cols}")
        if faults is not None:
            faults = edge.as_faults(faults, w.shape, config.weights)
        backend, encoded = choose_backend(self, w.array), None
        if 0 not in w.shape:
            cell_format, values = plans.cell_format(config), backend.to_backend(w.array[None, ...])
            strides, dtype = cell_format.strides, cell_format.level_dtype
            encoded = encoding.encode(backend, values, config.weights, block, strides, dtype)
        address = self._address(name, chip, origin)
        return write(self, w, encoded, address, faults=faults)

    def _address(self, name: str | None = None, chip: int | None = None, origin: tuple[int, int] = (0, 0)) -> Address:
        # of the first cell of a matrix
        chip = self.chip if chip is None else as_int("chip", chip, 0, noise.MAX_CHIP)
        return Address(self.seed if name is None else self._key_of(name), chip, 0, 0, *origin)

    def _key_of(self, name: str) -> int:
        if not isinstance(name, str):
            fail(TypeError, f"name={name!r} must be a text, such as name='layer1'")
        if not name:
            fail(ValueError, "name='' names nothing: give a text, such as name='layer1', or leave it out")
        return noise.derive(self.seed, "matrix", name)

    def calibrate(
        self, x: Any, w: Any, *, method: str = "error", percentile: float | None = None, ratios: str = "powers"
    ) -> "Engine":
        """Return an engine whose ADCs have ranges that fit the currents of ``x @ w``.

        Parameters
        ----------
        x : array, shape (..., K)
            Typical inputs; a few suffice.
        w : array, shape (K, N)
        method : str
            ``"error"``: each pair of slices gets the range of least mean squared error.
            ``"percentile"``: each pair gets the range that covers `percentile` of its currents.
        percentile : float, optional
            50 to 100, %; 99.9 by default. As many currents lie above the range as below it.
        ratios : str
            ``"powers"``: widths are full scale divided by powers of two, and shift-and-add stays a sum of
            integers. ``"free"``: any widths. Each pair of slices then has a smaller error, and mostly the
            product has.

        Returns
        -------
        Engine
            It has the same seed and chip. Its ``config.adc.range`` holds the ranges, A.

        Raises
        ------
        ValueError
            If the ADC is ideal, or has a code for every current; if there are no currents.

        Examples
        --------
        >>> import numpy as np
        >>> x, w = np.random.default_rng(0).standard_normal((2, 64, 64))
        >>> engine = Engine(Device(var=0), seed=1)
        >>> from mpimpy import SNR
        >>> SNR(engine.calibrate(x, w)(x, w), x @ w) > SNR(engine(x, w), x @ w) + 4
        True
        """
        if self.config.adc.radc is None or self.config.adc.range == "lossless":
            msg = "calibrate chooses ranges for ADCs of finite resolution: give the engine a radc, such as ADC(256)"
            raise ValueError(msg)
        matrix = self.program(w)
        programmed, inputs = encode_inputs(matrix, x)
        for name, encoded in (("x", inputs), ("w", programmed.encoded)):
            if not bool(namespace(encoded.scales).any(encoded.scales != 0)):
                msg = f"{name} holds nothing but zeros, and typical operands are what ranges are chosen by: give some"
                raise ValueError(msg)
        currents = calibration.samples(backend_of(matrix), programmed, inputs, noise.MAX_READ)
        ranges = calibration.ranges(self.config, currents, method=method, percentile=percentile, ratios=ratios)
        return self.replace(adc={"range": ranges})

    def MapReduceDot(self, x: Any, w: Any, *, read: int | None = None) -> Any:
        """Multiply `x` by `w` on the crossbars.

        Parameters
        ----------
        x : array or SlicedData, shape (..., K)
        w : array, SlicedData or CrossbarMatrix, shape (K, N)
            An array is programmed for this product only; `program` keeps it for more of them.
        read : int, optional
            Number of this read; by default the next one.

        Returns
        -------
        array, shape (..., N)

        Raises
        ------
        TypeError, ValueError
            As `program` and `CrossbarMatrix.read`.

        Examples
        --------
        >>> import numpy as np
        >>> Engine(seed=1).MapReduceDot(np.ones((2, 5, 4)), np.eye(4)).shape
        (2, 5, 4)
        """
        for operand in (x, w):
            if isinstance(operand, CrossbarOperand):
                return operand.multiply_on(self, x, w, read)
        if isinstance(w, CrossbarMatrix):
            return w.read(x, read)
        w = edge.accept("w", w)
        x = edge.accept("x", x, like=w, depth=w.shape[0] if len(w.shape) == 2 else None)
        return self.program(w).read(x, read)

    __call__ = MapReduceDot

    def replace(self, **parts: Unpack[Parts]) -> "Engine":
        """Return a new engine of the same seed, chip, backend and device, with parts of its configuration replaced.

        It counts its reads from 0, in this engine's stream.

        Parameters
        ----------
        **parts
            As for `Config.replace`.

        Raises
        ------
        ValueError, TypeError
            If a part or setting is unknown or out of range.

        Examples
        --------
        >>> Engine(seed=1).replace(device=dict(var=0.0)).config.device.var
        0.0
        """
        config = self.config.replace(**parts)
        engine = Engine.from_config(config, seed=self.seed, chip=self.chip, backend=self.backend)
        engine.input_size, engine._operand_device = self.input_size, self._operand_device
        engine._counter = ReadCounter(0, self.stream)
        return engine

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{name}={getattr(self.config, name)}" for name in ("device", "dac", "adc", "tile", "inputs", "weights")
        )
        parts += "" if self.config.wires is None else f", wires={self.config.wires}"
        stream = "" if self.stream is None else f", stream={self.stream!r}"
        return f"{type(self).__name__}({parts}, seed={self.seed}, chip={self.chip}{stream})"


def choose_backend(engine: Engine, array: Any) -> Any:
    """Return the backend, a module, that computes an engine's products of an array.

    Raises
    ------
    ValueError
        If the array is not where the engine's operands must be, or the engine's backend cannot take it.
    """
    edge.check_device(array, engine._operand_device, "an operand", "the engine")
    return backends.select(array, engine.backend)


def write(
    engine: Engine,
    w: edge.Operand,
    encoded: encoding.Encoded | None,
    address: Address | None = None,
    config: Config | None = None,
    faults: Any = None,
) -> CrossbarMatrix:
    """Write encoded weights into an engine's crossbars.

    Parameters
    ----------
    engine : Engine
    w : Operand
        Shape of the weights, and an array of their library, dtype and device.
    encoded : Encoded or None
        Integers of the weights, shape (1, K, N); None for a matrix without elements.
    address, config : Address and Config, optional
        Address of the first cell, and settings; by default the engine's.
    faults : int8 array, optional
        As for `mpimpy.crossbar.programmed.program`.
    """
    config = engine.config if config is None else config
    address = engine._address() if address is None else address
    backend, xp = choose_backend(engine, w.array), namespace(w.array)
    cells = None if encoded is None else program(backend, config, encoded, address, faults)
    prototype = xp.zeros((0,), dtype=edge.float_dtype(xp, w.array), device=device_of(w.array))
    return CrossbarMatrix(Chip(config, address, (w.shape[0], w.shape[1]), cells), prototype, backend, engine._counter)
