"""A programmed matrix: written once, read as often as you like."""

from typing import Any

from array_api_compat import device as device_of

from . import backends, converters
from ._integers import ceil_div
from .analysis import calibration, programming, report
from .arrays import namespace
from .cells import memristors
from .checks import as_int
from .crossbar import product as crossbar
from .files import chips
from .noise import MAX_READ, MAX_ROW, Address
from .operands import edge, encoding
from .operators import RightOperand

__all__ = ["CrossbarMatrix"]


class CrossbarMatrix(RightOperand):
    """A matrix that sits in crossbars; made by `mpimpy.Engine.program`.

    ``x @ W``, ``np.matmul(x, W)``, ``np.dot(x, W)`` and ``torch.matmul(x, W)`` all read it.

    Attributes
    ----------
    shape : (int, int)
        (K, N).
    dtype : dtype
        Floating dtype that the weights count as.
    config : Config
    seed, chip : int
        Address of its random numbers; `chip` names the physical cells.
    origin : (int, int)
        Row and column of its first element in the whole matrix, for noise addresses.
    prototype : array, shape (0,)
        An empty array of the weights' library, dtype and device.
    kernels : module
        The backend that reads it.
    encoded : mpimpy.operands.encoding.Encoded
        The weights as integers.
    scales : float64 array, shape (planes, tiles, N)
        Scale of every column in every tile.
    written : mpimpy.cells.memristors.Written
        The cells, least significant slice first.
    wired : mpimpy.cells.memristors.Written
        The same as reads meet them: through the wires, if these have resistance.
    faults : int8 array, shape (planes * cells per digit * slices, K, N), or None
        Map of stuck cells, as given.
    age : mpimpy.analysis.programming.Age or None
        Of a matrix made by `at`; `fresh` is then the matrix as programmed.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine
    >>> W = Engine(seed=1).program(np.eye(3))
    >>> (np.ones(3) @ W).shape
    (3,)
    """

    def __init__(self, config, kernels, like, shape, encoded, *, seed, chip, origin, counter, faults=None):
        self.prepare(config, kernels, like, shape, encoded, seed=seed, chip=chip, origin=origin, counter=counter)
        if encoded is not None:
            if faults is not None:
                of = encoded.digits
                self.faults = namespace(of).asarray(faults, device=device_of(of))
            levels = crossbar.targets(config, encoded)
            self.scales = encoding.weight_scales(encoded, config.tile.rows)
            self.written = crossbar.program(kernels, config, levels, self.address(0), self.faults)
            self.wired = crossbar.wire(kernels, config, self.written)

    def prepare(self, config, kernels, like, shape, encoded, *, seed, chip, origin, counter):
        """Set everything but the cells, which are written, or come from a file."""
        xp = namespace(like)
        self.config, self.seed, self.chip, self.origin = config, seed, chip, origin
        self.shape = shape
        self.dtype = edge.float_dtype(xp, like)
        self._xp, self._where, self.kernels, self._counter = xp, device_of(like), kernels, counter
        self.prototype = xp.zeros((0,), dtype=self.dtype, device=self._where)
        self.encoded = encoded
        self.written = self.wired = self.scales = self.faults = self.age = self.fresh = None

    @property
    def reads(self) -> int:
        """Reads made so far by the engine that programmed it: the number of the next one."""
        return self._counter.reads

    def __getstate__(self):
        # modules are found again from the arrays
        return {name: value for name, value in self.__dict__.items() if name not in ("_xp", "kernels")} | {
            "_backend": self.kernels.NAME
        }

    def __setstate__(self, state):
        name = state.pop("_backend")
        self.__dict__.update(state)
        self._xp, self.kernels = namespace(self.prototype), backends.select(self.prototype, name)

    def address(self, read):
        """Return where the random numbers of a read are; see `mpimpy.noise.Address`."""
        return Address(self.seed, self.chip, read, 0, *self.origin)

    @property
    def ndim(self) -> int:
        """Number of axes: 2."""
        return 2

    @property
    def device(self):
        """The device that the weights came from."""
        return self._where

    @property
    def tiles(self) -> tuple[int, int, int]:
        """(rows of tiles, columns of tiles, slices); a double exponent, and a pair, has twice the slices."""
        tile, fmt = self.config.tile, self.config.weights
        return (ceil_div(self.shape[0], tile.rows), ceil_div(self.shape[1], tile.cols), fmt.arrays)

    def _public(self, array):
        return self.kernels.leave(array, self.prototype)

    def per_slice(self, array):
        """Return what the kernels hold per slice, (all slices, K, N), as `conductance` is given out."""
        xp = namespace(array)
        lead = self._lead()
        return self._public(xp.flip(xp.reshape(array, (*lead, *self.shape)), axis=len(lead) - 1))

    def _lead(self):
        fmt = self.config.weights
        return (2,) * fmt.double + (2,) * fmt.signed + (len(fmt.digits),)

    def _empty(self, *lead, dtype):
        return self._xp.zeros((*lead, *self.shape), dtype=dtype, device=self._where)

    def conductance(self) -> Any:
        """Return the conductances as programmed, write variation and stuck cells included.

        Returns
        -------
        float64 array, shape (slices, K, N)
            Siemens; most significant slice first. A double exponent has an axis of 2 in front for
            its planes, and a differential pair one for its g+ and g- cells: ([2,] [2,] slices, K, N).

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> float(Engine(seed=1).program(np.eye(3)).conductance().max())
        1e-05
        """
        if self.written is None:
            return self._empty(*self._lead(), dtype=self._xp.float64)
        siemens = memristors.conductance(self.config.device, crossbar.make_grid(self.config), self.written)
        return self.per_slice(siemens)

    @property
    def programming(self) -> programming.Programming | None:
        """What verified writing took (see `mpimpy.WriteVerify`), or None if writing was not verified.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Device, Engine, WriteVerify
        >>> W = Engine(Device(write_var=0.1, verify=WriteVerify(2e-7)), seed=1).program(np.eye(64))
        >>> W.programming.error_S < 1.2e-7
        True
        """
        return programming.programming(self)

    def at(self, t: float | str, compensate: bool = False) -> "CrossbarMatrix":
        """Return the matrix as it is at a time after programming; this one does not change.

        Cells decay as the device's `Drift` says, each with the same exponent at all times, and the
        reference columns with the mean exponent of LGS. Stuck cells stay where they are. Read noise
        of `Flicker` kind is that of the time.

        Parameters
        ----------
        t : float or str
            Time since programming: seconds, or text such as "30 d" (s, min, h, d or y).
        compensate : bool
            Multiply every product by one number, the matrix's total conductance as programmed over
            what it is now. A part of a matrix is compensated by its own total.

        Returns
        -------
        CrossbarMatrix

        Raises
        ------
        ValueError
            If `t` is no time, or earlier than the device's ``t0_s``, or if time changes nothing.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Device, Drift, Engine
        >>> W = Engine(Device(var=0, drift=Drift(0.05)), seed=1).program(np.eye(64))
        >>> print(W.at("30 d").age)
        30 d after programming, not compensated
        """
        return programming.aged(self, t, compensate)

    def codes(self) -> Any:
        """Return the integer codes of the weights, int64, shape (K, N); (2, K, N) with a double exponent.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.array([[0.5], [-1.0]])).codes().tolist()
        [[64], [-127]]
        """
        if self.encoded is None:
            return self._empty(*(2,) * self.config.weights.double, dtype=self._xp.int64)
        codes = encoding.integers(self.encoded)[:, 0, :, :]
        return self._public(codes[0, :, :] if codes.shape[0] == 1 else codes)

    def decoded(self) -> Any:
        """Return the quantised weights, float64, shape (K, N): what ideal cells would multiply by.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.array([[0.5], [-1.0]])).decoded().round(3).tolist()
        [[0.504], [-1.0]]
        """
        if self.encoded is None:
            return self._empty(dtype=self._xp.float64)
        return self._public(encoding.decode(self.encoded)[0, :, :])

    def read(self, x: Any, read: int | None = None, *, first_row: int = 0) -> Any:
        """Multiply inputs by the programmed matrix.

        Parameters
        ----------
        x : array, shape (..., K) or (K,)
            Inputs; an array of the library and on the device of the weights.
        read : int, optional
            Number of this read, which addresses its noise; by default the engine's next one.
        first_row : int
            Row of the first input in a larger input matrix, for the addresses of DAC noise.

        Returns
        -------
        array, shape (..., N)

        Raises
        ------
        TypeError
            If `x` is not numeric, or of another library.
        ValueError
            If its shape or device does not fit, or it holds a NaN or an infinity.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> W = Engine(seed=1).program(np.eye(3))
        >>> bool(np.all(W.read(np.ones(3), read=0) == W.read(np.ones(3), read=0)))
        True
        """
        x = edge.as_operand("x", x, like=self.prototype)
        edge.check_pair(x, self.prototype, "x", "the programmed matrix")
        return self.read_checked(x, read, first_row=first_row)

    def read_checked(self, x, read=None, *, first_row=0):
        """Multiply inputs that have passed `mpimpy.operands.edge.as_operand`; see `read`."""
        dims = edge.matrix_shape(x.shape, self.shape[0], "x", "the programmed matrix", self.shape)
        xp = self._xp
        dtype = edge.result_dtype(xp, edge.float_dtype(xp, x), self.dtype)
        out_shape = (*x.shape[:-1], self.shape[1])
        encode = self._encoder(x, dims)
        number = self._read_number(read)
        first_row = as_int("first_row", first_row, 0, MAX_ROW - dims[0] * dims[1])
        if self.encoded is None or 0 in dims:
            return xp.zeros(out_shape, dtype=dtype, device=self._where)
        return xp.reshape(self._product(self.config, encode(), number, first_row, dtype), out_shape)

    def _encoder(self, x, dims):
        # what turns inputs into integers, once blocks that do not fit would have been refused
        fmt = self.config.inputs
        block = encoding.block_shape(fmt, dims[1:], self.config.tile.rows, weight=False)
        return lambda: encoding.encode(self.kernels, self.kernels.enter(self._xp.reshape(x, dims)), fmt, block)

    def read_encoded(self, encoded, fmt, dtype, read=None):
        """Multiply inputs that are integers already; see `mpimpy.SlicedData`.

        Parameters
        ----------
        encoded : Encoded
            Shape (batch, M, K).
        fmt : Format
            Format of `encoded`.
        dtype : dtype
            Floating dtype that the inputs count as.
        read : int, optional

        Returns
        -------
        array, shape (batch * M, N)
        """
        dtype = edge.result_dtype(self._xp, dtype, self.dtype)
        return self._product(self.config.replace(inputs=fmt), encoded, self._read_number(read), 0, dtype)

    def save(self, path: Any) -> None:
        """Write the matrix into a file: targets, cells, faults, what wires pass on, settings, seed and chip.

        The file is an ``.npz`` of plain arrays, with JSON and a checksum, and no pickles. It appears whole or not
        at all. `mpimpy.load` reads it, on any backend.

        Parameters
        ----------
        path : str or path
            Its name ends in ``.npz``.

        Raises
        ------
        ValueError
            If the name does not.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Engine(seed=1).program(np.eye(3)).save(pathlib.Path(folder) / "chip.npz")
        """
        chips.save(self, path)

    def encode(self, x):
        """Return inputs as integers, of which there must be some: `mpimpy.operands.encoding.Encoded`."""
        x = edge.as_operand("x", x, like=self.prototype)
        edge.check_pair(x, self.prototype, "x", "the programmed matrix")
        dims = edge.matrix_shape(x.shape, self.shape[0], "x", "the programmed matrix", self.shape)
        if self.encoded is None or 0 in dims:
            msg = f"x of shape {tuple(x.shape)} and weights of shape {self.shape} make no currents to look at"
            raise ValueError(msg)
        return self._encoder(x, dims)()

    def currents(self, x):
        """Return samples of the currents of ``x @ W``; see `mpimpy.analysis.calibration.samples`."""
        return calibration.samples(self.kernels, self.config, self.encode(x), self.wired, self.address(MAX_READ))

    def _read_number(self, read):
        return self._counter.next_read() if read is None else check_read(read)

    def _product(self, config, encoded, number, first_row, dtype):
        height, depth = encoded.digits.shape[2] * encoded.digits.shape[3], self.origin[0] + self.shape[0]
        converters.check_addresses(config, first_row, height, ceil_div(depth, config.tile.rows))
        kernel_dtype = "float32" if dtype == self._xp.float32 else "float64"
        y = crossbar.product(
            self.kernels,
            config,
            encoded,
            self.scales,
            self.wired,
            self.address(number),
            first_row,
            kernel_dtype,
        )
        return self._xp.astype(self._public(y), dtype, copy=False)

    def explain_read(self, x):
        """Return how ``x @ W`` would be computed; see `mpimpy.backends.explain`."""
        dims = edge.matrix_shape(x.shape, self.shape[0], "x", "the programmed matrix", self.shape)
        height = dims[0] * dims[1]
        if self.encoded is None or not height:
            return backends.Explanation(self.kernels.NAME, "no products to compute", (), ())
        return backends.Explanation(self.kernels.NAME, *crossbar.explain(self.kernels, self.config, height, self.wired))

    def report(self, x: Any = None, w: Any = None) -> report.Report:
        """Return what the matrix takes in hardware, and where its errors come from.

        Parameters
        ----------
        x : array, shape (M, K), optional
            Inputs to measure the errors with; by default 64 rows of standard normal numbers.
        w : array, shape (K, N), optional
            The weights before quantisation; without them the cost of weight quantisation is
            not known and its row is left out.

        Returns
        -------
        mpimpy.Report

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.eye(100)).report().cells
        40000
        """
        return report.measure(self, x, w)

    def __repr__(self):
        down, across, slices = self.tiles
        tile, age = self.config.tile, "" if self.age is None else f", {self.age}"
        return (
            f"<CrossbarMatrix {self.shape[0]} x {self.shape[1]}, {down} x {across} tiles of "
            f"{tile.rows} x {tile.cols}, {slices} slices, seed={self.seed}, chip={self.chip}{age}>"
        )


def check_read(read):
    """Return a read number, or say what is wrong with it."""
    return as_int("read", read, 0, MAX_READ)
