"""Engine: a configuration that programs matrices and reads them."""

from collections.abc import Iterable
from typing import Any, Unpack

from . import noise
from ._complex import ComplexMatrix
from ._estimate import EstimatingEngine
from ._faces import ShownEngine
from ._neighbours import Neighbours
from ._operator import CrossbarOperator
from ._settings import SettingsEngine
from ._transposed import transposed_refusal
from ._writing import calibrated, place_of
from .arrays import detach, is_complex, lazy_of, namespace, recorded, wants_gradient
from .checks import fail
from .config import ADC, DAC, Config, Device, Format, Tile, Wires
from .config._changes import EngineChanges
from .config._hints import hinted, hinted_call
from .crossbar import plan as plans
from .matrix import CrossbarMatrix
from .operands import edge
from .operands.survey import Survey
from .operators import CrossbarOperand, RightOperand
from .reads import ReadCounter

__all__ = ["Engine"]


@hinted
class Engine(EstimatingEngine, SettingsEngine, ShownEngine):
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
    gradient : str
        Gradient that torch gets of a product. ``"straight"``: that of the product of the quantised operands, as if
        rounding were not there; ``"clipped"``: the same, but 0 for elements beyond the codes of their format;
        ``"written"``: with the weights that the cells hold, write variation and stuck cells included.

    Attributes
    ----------
    config : Config
    seed, chip : int
    backend : str or None
    gradient : str
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
    gradient: str
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
        gradient: str = "straight",
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
            gradient=gradient,
        )

    @classmethod
    @hinted_call
    def from_config(
        cls,
        config: Config,
        *,
        seed: int | None = None,
        chip: int = 0,
        backend: str | None = None,
        gradient: str = "straight",
    ) -> "Engine":
        """Return an engine with a ready configuration.

        Parameters
        ----------
        config : Config
        seed, chip, backend, gradient
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
        engine._setup(config, seed=seed, chip=chip, backend=backend, gradient=gradient)
        return engine

    def _setup(
        self,
        config: Config,
        *,
        seed: int | None,
        chip: int,
        backend: str | None,
        gradient: str = "straight",
        parts: Iterable[str] = ("inputs", "weights"),
    ) -> None:
        config._check(*parts)
        plans.choose_grid(config)  # raises now if currents cannot be exact
        # each is checked when it is set
        self.config, self.backend = config, backend
        self.seed, self.chip = noise.new_seed() if seed is None else seed, chip
        self.gradient = gradient
        self._counter, self._neighbours = ReadCounter(), Neighbours()
        self._take_slot()

    @hinted_call
    def program(
        self,
        w: Any,
        *,
        name: str | None = None,
        chip: int | None = None,
        origin: tuple[int, int] = (0, 0),
        shape: tuple[int, int] | None = None,
        survey: Survey | None = None,
        faults: Any = None,
    ) -> CrossbarMatrix | Any:
        """Write a matrix into crossbars, once.

        Parameters
        ----------
        w : array, shape (K, N)
            Complex weights take cells of their own for real and imaginary parts, side by side.
        name : str, optional
            Name of the matrix, which gives it cells of its own: its random numbers have a key that is
            derived from the seed and the name. Without names, all matrices of one engine and chip are written
            on the same cells, element (0, 0) on the first; two that live beside each other are warned of, once.
        chip : int, optional
            Number of the chip to write on; by default the engine's.
        origin : (int, int)
            Row and column of ``w[0, 0]`` in a larger matrix, if `w` is a part of one. Its cells then have
            the random numbers that they have in the whole. The row must be a multiple of the tile's rows.
        shape : (int, int), optional
            (K, N) of the larger matrix. Without it nobody knows whether the first part of a matrix is one.
        survey : Survey, optional
            Scales of the larger matrix, from `survey_weights`; a part needs it if it shares scales with others.
        faults : integer array, shape (K, N) or that of ``W.conductance()``, optional
            Map of stuck cells: 1 at HGS, -1 at LGS, 0 neither. Slices as in `CrossbarMatrix.conductance`,
            most significant first; (K, N) holds for all of them. The device's rates make further cells stuck.

        Returns
        -------
        CrossbarMatrix
            `ComplexMatrix` for complex weights; `faults` then have the shape of its real matrix, (K, 2 N).

        Raises
        ------
        TypeError, ValueError
            If `w` is not numeric and finite, or not two-dimensional; if `faults` does not fit it; if it is a part that
            is known to share scales with others, without a `survey` of these; if `survey` is of another matrix.

        Examples
        --------
        >>> import numpy as np
        >>> Engine(seed=1).program(np.eye(100)).tiles
        (2, 2, 4)
        """
        if (lazy := lazy_of(w)) is not None and lazy.program is not None:
            options = {"name": name, "chip": chip, "origin": origin, "shape": shape, "survey": survey}
            found: CrossbarMatrix = lazy.program(self, w, {**options, "faults": faults})
            return found
        source = w if wants_gradient(w) and not is_complex(w) else None
        weights = self._weights(w if source is None else detach(w))
        place = place_of(self, weights, origin, shape, survey)
        if source is not None and survey is not None:
            fail(TypeError, "a part with a survey has no gradient: give program(w.detach(), survey=)")
        matrix = self._program(weights, self._address(name, chip), place, faults)
        if isinstance(matrix, CrossbarMatrix):
            matrix._source = source
        if name is None:
            self._neighbours.add(matrix if isinstance(matrix, CrossbarMatrix) else matrix.parts)
        return matrix

    @hinted_call
    def operator(self, w: Any, *, name: str | None = None, chip: int | None = None) -> CrossbarOperator:
        """Write a matrix that is multiplied from both sides, ``x @ A`` and ``A @ x``.

        The cells are read from their word lines and from their bit lines. Where they have no transposed read
        (weights with an offset, wires with resistance, reference columns of real cells), the transposed matrix has
        cells of its own.

        Parameters
        ----------
        w : array, shape (K, N)
        name, chip
            As for `program`.

        Returns
        -------
        CrossbarOperator
            `scipy.sparse.linalg.aslinearoperator` and SciPy's solvers take it.

        Raises
        ------
        TypeError, ValueError
            As `program`.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy.sparse.linalg import cg
        >>> fine = Format.named("fp32")
        >>> engine = Engine(Device(var=0), adc=ADC(None), inputs=fine, weights=fine)
        >>> A = engine.operator(np.diag([1.0, 2.0, 4.0]))
        >>> cg(A, np.ones(3))[0].round(3).tolist()
        [1.0, 0.5, 0.25]
        """
        operand, address = self._weights(w), self._address(name, chip)
        matrix = self._program(operand, address)
        real = matrix.parts if isinstance(matrix, ComplexMatrix) else matrix
        if transposed_refusal(real) is None:
            return CrossbarOperator(matrix, matrix.T)
        array = namespace(operand.array).matrix_transpose(operand.array)
        twin = address._replace(seed=noise.derive(address.seed, "transposed matrix"))
        return CrossbarOperator(
            matrix, self._program(edge.Operand("w", array, operand.shape[::-1], operand.dtype), twin)
        )

    @hinted_call
    def calibrate(
        self, x: Any, w: Any, *, method: str = "error", percentile: float | None = None, ratios: str = "powers"
    ) -> "Engine":
        """Return an engine whose ADCs have ranges that fit the currents of ``x @ w``.

        Parameters
        ----------
        x : array, shape (..., K)
            Typical inputs; a few of every kind suffice.
        w : array, shape (K, N)
        method : str
            ``"error"``: ranges of least squared error of the product, by a sample of its outputs; full range where the
            whole product of `x`, with the noise of read 2**32 - 1, has less error with it.
            ``"percentile"``: each pair gets the range that covers `percentile` of its currents, whatever that costs.
        percentile : float, optional
            50 to 100, %; 99.9 by default. As many currents lie above the range as below it.
        ratios : str
            ``"powers"``: widths are full scale divided by powers of two, and shift-and-add stays a sum of
            integers. ``"free"``: any widths. Each pair of slices then has a smaller error, and mostly the
            product has.

        Returns
        -------
        Engine
            It has the same seed and chip. Its ``config.adc.range`` holds the ranges, A; or it is ``"full"``, where no
            ranges were found that are better.

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
        if self.config.device.draws_rows:
            msg = (
                "calibrate looks at single currents, and redraw='row' draws those of whole rows: calibrate an engine "
                "with redraw='slice', and give its ranges to this one, engine.replace(adc=calibrated.config.adc)"
            )
            raise ValueError(msg)
        w = self._weights(edge.accept("w", w))
        found: Engine = calibrated(self, x, w, method=method, percentile=percentile, ratios=ratios)
        return found

    def MapReduceDot(self, x: Any, w: Any, *, read: int | None = None) -> Any:
        """Multiply `x` by `w` on the crossbars.

        Parameters
        ----------
        x : array or SlicedData, shape (..., K)
        w : array, SlicedData or CrossbarMatrix, shape (K, N)
            An array is programmed for this product only; `program` keeps it for more of them. A programmed matrix
            keeps its seed, and must have been programmed with the settings of this engine.
        read : int, optional
            Number of this read; by default the next one.

        Returns
        -------
        array, shape (..., N)

        Raises
        ------
        TypeError, ValueError
            As `program` and `CrossbarMatrix.read`; if `w` was programmed with other settings.

        Examples
        --------
        >>> import numpy as np
        >>> Engine(seed=1).MapReduceDot(np.ones((2, 5, 4)), np.eye(4)).shape
        (2, 5, 4)
        """
        for operand in (x, w):
            if isinstance(operand, CrossbarOperand):
                return operand._multiply_on(self, x, w, read)
        if isinstance(w, RightOperand):
            self.config._check_written_with(w.config)
            return w.read(x, read)
        if (lazy := lazy_of(x, w)) is not None and lazy.multiply is not None:
            return lazy.multiply(self, x, w, read)
        if recorded(x, w) and not is_complex(x) and not is_complex(w):
            return self._recorded(x, w, read)
        w = edge.accept("w", w, edge.like(x), complex_too=True)
        x = edge.accept("x", x, like=w, depth=w.shape[0] if len(w.shape) == 2 else None, complex_too=True)
        return self._program(self._weights(w), self._address()).read(x, read)

    __call__ = MapReduceDot

    def replace(self, **changes: Unpack[EngineChanges]) -> "Engine":
        """Return a new engine, with parts and settings replaced; what is not named stays as it is.

        It counts its reads from 0, in this engine's stream.

        Parameters
        ----------
        **changes
            As for `Config.replace`: whole parts, dicts of settings in them, or flat names, ``radc=1024``. Also
            ``seed`` (None takes a fresh one), ``chip``, ``backend`` and ``gradient``.

        Raises
        ------
        ValueError, TypeError
            If a part or setting is unknown or out of range, or a part is given beside a setting of it.

        Examples
        --------
        >>> Engine(seed=1).replace(device=dict(var=0.0)).config.device.var
        0.0
        >>> Engine(seed=1).replace(radc=1024, chip=3).chip
        3
        """
        named: dict[str, Any] = {**changes}
        own = {name: named.pop(name, getattr(self, name)) for name in ("seed", "chip", "backend", "gradient")}
        engine = Engine.from_config(self.config.replace(**named), **own)
        engine.input_size, engine._operand_device = self.input_size, self._operand_device
        engine._counter = ReadCounter(0, self.stream)
        return engine
