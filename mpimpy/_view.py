"""Views of a programmed matrix: shape, seed, tiles, conductances, codes, and statistics of verified writing."""

import copy
import dataclasses
from typing import Any, Self

from . import backends
from .analysis.counts import counts
from .analysis.programming import Programming, write_statistics
from .arrays import device_of, namespace
from .cells import memristors, references
from .checks import fail
from .config import Config
from .crossbar import plan as plans
from .crossbar.programmed import Age, Programmed
from .crossbar.small import SharedByReads
from .files import chips
from .files.chips import Chip
from .operands import encoding
from .operands.edge import Operand, float_dtype
from .operands.place import Place
from .operands.statistics import BlockStatistics
from .reads import CountedReads, ReadCounter

__all__ = ["NAME", "MatrixView", "as_operand", "backend_of"]

NAME = "the programmed matrix"


class MatrixView(CountedReads):
    """Contents of a programmed matrix, in the library and on the device of its weights.

    Parameters
    ----------
    chip : mpimpy.files.chips.Chip
        Configuration, address, shape and cells.
    prototype : array, shape (0,)
        An empty array of the weights' library, dtype and device.
    backend : module
        The backend that reads it.
    counter : mpimpy.reads.ReadCounter
        Counter of the engine that programmed it.
    """

    config: Config
    shape: tuple[int, int]
    _statistics: BlockStatistics | None = None  # of a part that was encoded with the scales of the whole

    def __init__(self, chip: Chip, prototype: Any, backend: Any, counter: ReadCounter) -> None:
        self.config, self.shape = chip.config, chip.shape
        self._programmed, self._recipe = chip.programmed, None  # the recipe of a pickle, until the cells are needed
        self._prototype, self._whole = prototype, chip.whole
        self._backend, self._address, self._counter = backend, chip.address, counter
        self._operand = Operand(NAME, prototype, self.shape)
        self._shared: dict[Any, SharedByReads] = {}  # by shape and dtypes of the inputs

    @property
    def dtype(self) -> Any:
        """Floating dtype that the weights count as; for integers, the default of their library."""
        return float_dtype(self._xp, self._prototype)

    @property
    def seed(self) -> int:
        """Key of its random numbers."""
        return self._address.seed

    @property
    def chip(self) -> int:
        """Number of its chip, which names the physical cells."""
        return self._address.chip

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of its first element in the whole matrix, for the addresses of noise."""
        return self._address.row, self._address.col

    def __dir__(self) -> list[str]:
        # what rooms of this package share is nothing for users
        return [name for name in super().__dir__() if name != "programmed"]

    @property
    def programmed(self) -> Programmed | None:
        """Cells, scales and faults as one value, for other rooms; None for a matrix without elements."""
        recipe: Any = self._recipe
        if recipe is not None:
            self._programmed = recipe.write(self._backend, self._to_backend)
            self._recipe = None
        return self._programmed

    @property
    def _place(self) -> Place:
        return Place(self.origin, self._whole)

    @property
    def age(self) -> Age | None:
        """Age of a matrix that `at` returned; None as programmed."""
        found: Any = self._recipe or self._programmed
        return None if found is None else found.age

    def _to_backend(self, array: Any) -> Any:
        # a NumPy array, as the backend takes it
        return array if self._backend.NAME == "numba" else self._xp.asarray(array, device=self.device)

    def _state(self) -> dict[str, Any]:
        # a module has no pickle: the copy finds it by its name; what reads share is made anew
        kept = {name: value for name, value in self.__dict__.items() if name not in ("_backend", "_shared")}
        return kept | {"backend_name": self._backend.NAME}

    def __getstate__(self) -> dict[str, Any]:
        state, programmed = self._state(), self._programmed
        if state["_recipe"] is None and programmed is not None and not programmed.stored:
            from .files.recipes import recipe_of  # it imports NumPy

            state |= {"_recipe": recipe_of(programmed), "_programmed": None}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        name = state.pop("backend_name")
        self.__dict__.update(state)
        self._shared = {}
        self._backend = backends.select(self._prototype, name)

    def __copy__(self) -> Self:
        found = type(self).__new__(type(self))
        found.__setstate__(self._state())
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        found = memo[id(self)] = type(self).__new__(type(self))
        state = self._state()
        for cells in (state["_programmed"], state["_recipe"]):
            memo[id(cells)] = cells  # they never change: copies share them
        found.__setstate__(copy.deepcopy(state, memo))
        return found

    @property
    def _xp(self) -> Any:
        return namespace(self._prototype)

    @property
    def ndim(self) -> int:
        """Number of axes: 2."""
        return 2

    @property
    def device(self) -> Any:
        """Device of the weights and of the products."""
        return device_of(self._prototype)

    @property
    def tiles(self) -> tuple[int, int, int]:
        """Tiles along K, tiles along N, and slices; a double exponent doubles the slices, and so does a pair."""
        return counts(self.config, 0, *self.shape).tiles

    def _public(self, array: Any) -> Any:
        return self._backend.from_backend(array, self._prototype)

    def _slice_axes(self) -> tuple[int, ...]:
        # axes in front of (K, N) in what `conductance` returns
        fmt = self.config.weights
        return (2,) * fmt.double + (2,) * fmt.signed + (len(fmt.digits),)

    def _per_slice(self, array: Any) -> Any:
        # reorders (all slices, K, N) for the user: most significant slice first
        xp, axes = namespace(array), self._slice_axes()
        return self._public(xp.flip(xp.reshape(array, (*axes, *self.shape)), axis=len(axes) - 1))

    def _empty(self, *axes: int, dtype: Any) -> Any:
        return self._xp.zeros((*axes, *self.shape), dtype=dtype, device=self.device)

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
        if self.programmed is None:
            return self._empty(*self._slice_axes(), dtype=self._xp.float64)
        cell_format = plans.cell_format(self.config)
        return self._per_slice(memristors.conductance(self.config.device, cell_format, self.programmed.as_programmed))

    def reference_conductance(self) -> Any:
        """Return the conductances of the reference and unit columns as programmed, those of an array side by side.

        Returns
        -------
        float64 array, shape (slices, K, arrays * reference_columns)
            Siemens; most significant slice first. A double exponent has an axis of 2 in front, for its planes. Rows
            and arrays are those of the matrix; ideal columns are at LGS, or at the unit.

        Raises
        ------
        ValueError
            If there are none: differential pairs need no reference.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Device, Engine
        >>> W = Engine(Device(write_var=0.1), seed=1).program(np.eye(100))
        >>> W.reference_conductance().shape
        (4, 100, 2)
        """
        fmt = self.config.weights
        if fmt.signed:
            fail(ValueError, "differential pairs have no reference columns: their g- cells are subtracted")
        axes = (2,) * fmt.double + (len(fmt.digits),)
        if self.programmed is None:
            return self._xp.zeros((*axes, self.shape[0], 0), dtype=self._xp.float64, device=self.device)
        cell_format = plans.cell_format(self.config)
        array = references.conductance(self.config, cell_format, self.programmed.as_programmed, self._address)
        xp = namespace(array)
        shaped = xp.reshape(array, (*axes, *array.shape[1:]))
        return self._public(xp.flip(shaped, axis=len(axes) - 1))

    @property
    def programming(self) -> Programming | None:
        """Pulses and errors of verified writing (see `mpimpy.WriteVerify`); None if writing was not verified.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Device, Engine, WriteVerify
        >>> W = Engine(Device(write_var=0.1, verify=WriteVerify(2e-7)), seed=1).program(np.eye(64))
        >>> W.programming.error_S < 1.2e-7
        True
        """
        found = None if self.programmed is None else write_statistics(self.programmed)
        return found if found is None else dataclasses.replace(found, pulses=self._per_slice(found.pulses))

    def codes(self) -> Any:
        """Return the integer codes of the weights, int64, shape (K, N); (2, K, N) with a double exponent.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.array([[0.5], [-1.0]])).codes().tolist()
        [[64], [-127]]
        """
        if self.programmed is None:
            return self._empty(*(2,) * self.config.weights.double, dtype=self._xp.int64)
        codes = encoding.integers(self.programmed.encoded)[:, 0, :, :]
        return self._public(codes[0, :, :] if codes.shape[0] == 1 else codes)

    def decoded(self) -> Any:
        """Return the quantised weights, float64, shape (K, N): those of ideal cells.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.array([[0.5], [-1.0]])).decoded().round(3).tolist()
        [[0.504], [-1.0]]
        """
        if self.programmed is None:
            return self._empty(dtype=self._xp.float64)
        return self._public(encoding.decode(self.programmed.encoded)[0, :, :])

    def save(self, path: Any) -> None:
        """Write the matrix into a file: targets, cells, faults, wired cells, settings, seed and chip.

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
        self._save(path, self._prototype.dtype)

    def _save(self, path: Any, dtype: Any) -> None:
        chip = Chip(self.config, self._address, self.shape, self.programmed, self._whole)
        chips.save(chip, path, dtype=str(dtype).rpartition(".")[2], reads=(self.reads, self.stream))


def backend_of(matrix: MatrixView) -> Any:
    """Return the backend, a module, that reads a programmed matrix."""
    return matrix._backend


def as_operand(name: str, matrix: MatrixView) -> Operand:
    """Return the shape, library, dtype and device of a programmed matrix, under the name that messages use."""
    return Operand(name, matrix._prototype, matrix.shape)
