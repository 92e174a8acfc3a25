"""Small reads made ready: all that depends on neither the inputs nor the read is worked out once."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from .._caches import bounded
from ..backends import Draw, DrawnCells, SmallCells, SmallRead, small_reader, takes_small_reads
from ..cells import laws, memristors, references
from ..config import Config
from ..noise import READ
from ..operands import encoding, powers
from . import plan as plans
from .product import read_grid
from .programmed import Programmed

__all__ = ["SharedByReads", "reader", "takes_common_reads"]

STREAMS = 4  # for which a matrix keeps small reads of one kind of inputs

Reader = Callable[[Any, int], Any]
NOTHING: tuple[Programmed | None, Reader | None] = None, None


@dataclass(frozen=True, eq=False)
class SharedByReads:
    """All that reads of one matrix share, if their inputs have one shape and dtype.

    Attributes
    ----------
    dims : (int, int, int)
        (batch, M, K) of the inputs.
    shape : tuple of int
        Of the product.
    block : (int, int)
        Of the inputs.
    counts_as, dtype : dtype
        Of the inputs, and of the product.
    kernel_dtype : str
        Name of the dtype in which kernels return it.
    """

    dims: tuple[int, int, int]
    shape: tuple[int, ...]
    block: tuple[int, int]
    counts_as: Any
    dtype: Any
    kernel_dtype: str
    _readers: dict[str | None, tuple[Programmed | None, Reader | None]] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def empty(self) -> bool:
        """Whether the inputs have no elements."""
        return 0 in self.dims

    def small(self, backend: Any, programmed: Programmed, values: Any, number: int, stream: str | None) -> Any:
        """Return the product of some inputs, of `shape`, as the backend has it; None if `product` has to do it.

        Parameters
        ----------
        backend : module
            That of the matrix, always the same one.
        programmed : Programmed
        values : real floating array
            The inputs, as `to_backend` returns them.
        number, stream : int, str or None
            Of the read.
        """
        of, read = self._readers.get(stream, NOTHING)
        if of is not programmed:
            read = self._reader(backend, programmed, values, stream)
        y = None if read is None else read(values, number)
        return None if y is None else y.reshape(self.shape)

    def _reader(self, backend: Any, programmed: Programmed, values: Any, stream: str | None) -> Reader | None:
        of = programmed
        if stream is not None:
            programmed = replace(programmed, address=programmed.address.in_stream(stream))
        read = None
        if takes_small_reads(backend):
            name = "float32" if values.dtype.itemsize == 4 else "float64"
            read = reader(backend, programmed, self.dims, (name, self.kernel_dtype))
        if len(self._readers) >= STREAMS:
            self._readers.clear()
        self._readers[stream] = of, read
        return read


def reader(backend: Any, programmed: Programmed, shape: tuple[int, int, int], dtypes: tuple[str, str]) -> Reader | None:
    """Return a function that reads a small matrix in few calls of kernels; None if `product` has to do it.

    It takes most of what small matrices are read with: inputs in INT format, one plane of weights, ADCs without
    errors, at most read variation, drawn once a product.

    Parameters
    ----------
    backend : module
        One that `takes_small_reads`.
    programmed : Programmed
    shape : (int, int, int)
        (batch, M, K) of the inputs.
    dtypes : (str, str)
        Names of the floating dtypes of inputs, as the backend takes them, and product.

    Returns
    -------
    function or None
        ``read(values, number)`` has the bits of `product`, of the inputs' values and the number of the read; or it
        is None, and `product` has to read these values.
    """
    config, cells = programmed.config, programmed.as_read
    form = _form(config, cells.faulty, shape, dtypes)
    if form is None or programmed.encoded.exponent is not None:
        return None
    draw, per_level = memristors.read_draw(config.device, plans.cell_format(config), cells)
    if draw is None:
        grid, form = read_grid(backend, config, cells, programmed.address), replace(form, pairs=False)
        return small_reader(form, SmallCells(grid, None, (0, 0, 0), programmed.scales[0, :, :]))
    found = None if per_level or draw.additive else _drawn(config, programmed, draw)
    return None if found is None else small_reader(form, found)


def takes_common_reads(programmed: Programmed, shape: tuple[int, int, int], dtypes: tuple[str, str]) -> bool:
    """Return whether a matrix is read in the common way, whose settings are those of small reads; see `reader`."""
    form = _form(programmed.config, programmed.as_read.faulty, shape, dtypes)
    return form is not None and programmed.encoded.exponent is None


@bounded(256, lambda _, config, *__: laws.device_bytes(config.device))
def _form(config: Config, faulty: bool, shape: tuple[int, int, int], dtypes: tuple[str, str]) -> SmallRead | None:
    # numbers of a small read; None if `product` has to do it
    device, formats = config.device, config.inputs.bw_e is None and config.weights.planes == 1
    draws = device.redraws or device.draws_rows or config.dac.noisy or config.adc.errs
    plan = plans.plan(config)
    folds = plan.lossless_fold is not None and not faulty
    if not formats or draws or config._wires_per_read is not None or folds or plan.ideal or plan.added is not None:
        return None
    return SmallRead(
        shape=shape,
        dtype=dtypes[0],
        result=dtypes[1],
        block=encoding.block_shape(config.inputs, shape[1:], config.tile.rows, weight=False),
        top=encoding.top_code(config.inputs),
        band=powers.BAND,
        slicing=encoding.slicing(config.inputs),
        pairs=config.weights.signed,
        reading=plan.reading,
        sum_scale=plan.sum_scale,
    )


def _drawn(config: Config, programmed: Programmed, draw: Draw) -> SmallCells | None:
    # cells and reference columns that each read draws; None if they are subtracted in other ways
    cells, address = programmed.as_read, programmed.address._replace(read=0, purpose=READ)
    cell_format, columns, beside = plans.cell_format(config), cells.columns, None
    if columns is None and config.weights.offset:
        return None  # an ideal unit column is subtracted too
    if columns is not None:
        if config.tile.reference_columns > 1:
            return None
        draw_beside, _ = memristors.read_draw(config.device, cell_format, columns)
        assert draw_beside is not None
        beside = DrawnCells(columns.cells, draw_beside, references.array_address(config, address))
    place = address.col % config.tile.cols, config.tile.cols, references.bound(cell_format)
    return SmallCells(DrawnCells(cells.cells, draw, address), beside, place, programmed.scales[0, :, :])
