"""Small reads made ready: all that depends on neither the inputs nor the read is worked out once."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ..backends import DrawnCells, SmallRead, small_reader, takes_small_reads
from ..cells import memristors, references
from ..cells.memristors import Cells
from ..config import Config
from ..noise import READ, Address
from ..operands import encoding, powers
from . import plan as plans
from .product import plan_for, read_grid
from .programmed import Programmed

__all__ = ["SharedByReads", "reader"]

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
    _readers: dict[str | None, tuple[Programmed | None, Reader | None]] = field(default_factory=dict, init=False, repr=False)

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
        name = str(values.dtype).rpartition(".")[2]
        read = reader(backend, programmed, self.dims, (name, self.kernel_dtype))
        if len(self._readers) >= STREAMS:
            self._readers.clear()
        self._readers[stream] = of, read
        return read


def reader(
    backend: Any, programmed: Programmed, shape: tuple[int, int, int], dtypes: tuple[str, str]
) -> Reader | None:
    """Return a function that reads a small matrix in few calls of kernels; None if `product` has to do it.

    It takes most of what small matrices are read with: inputs in INT format, one plane of weights, ADCs without
    errors, at most read variation, drawn once a product.

    Parameters
    ----------
    backend : module
        A backend.
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
    config = programmed.config
    if not takes_small_reads(backend) or not _plain(config) or programmed.encoded.exponent is not None:
        return None
    plan, cell_format = plan_for(config, programmed.as_read), plans.cell_format(config)
    cells = _cells(backend, config, programmed)
    if plan.read_as is not plan or plan.by_blas or plan.added is not None or cells is None:
        return None
    block = encoding.block_shape(config.inputs, shape[1:], config.tile.rows, weight=False)
    return small_reader(
        backend,
        SmallRead(
            shape=shape,
            dtype=dtypes[0],
            result=dtypes[1],
            block=block,
            top=encoding.top_code(config.inputs),
            band=powers.BAND,
            slicing=encoding.slicing(config.inputs),
            cells=cells[0],
            beside=cells[1],
            place=(programmed.address.col % config.tile.cols, config.tile.cols, references.bound(cell_format)),
            pairs=config.weights.signed and isinstance(cells[0], DrawnCells),
            w_scale=programmed.scales[0, :, :],
            reading=plan.reading,
            sum_scale=plan.sum_scale,
        ),
    )


def _plain(config: Config) -> bool:
    device, formats = config.device, config.inputs.bw_e is None and config.weights.planes == 1
    draws = device.redraws or device.draws_rows or config.dac.noisy or config.adc.errs
    return formats and not draws and config.wires_per_read is None


def _cells(backend: Any, config: Config, programmed: Programmed) -> tuple[Any, DrawnCells | None] | None:
    # the cells and the reference columns that reads draw, or the grid of every read; None for other kinds of draws
    cells, address, cell_format = programmed.as_read, programmed.address, plans.cell_format(config)

    def drawn(some: Cells, address: Address) -> DrawnCells | None:
        draw, per_level = memristors.read_draw(config.device, cell_format, some)
        if draw is None or per_level or draw.additive:
            return None
        return DrawnCells(some.cells, draw, address._replace(read=0, purpose=READ))

    if memristors.read_draw(config.device, cell_format, cells)[0] is None:
        return read_grid(backend, config, cells, address), None
    found = drawn(cells, address)
    if cells.columns is None:
        # an ideal unit column is subtracted too
        return None if found is None or config.weights.offset else (found, None)
    if found is None or config.tile.reference_columns > 1:
        return None
    beside = drawn(cells.columns, references.array_address(config, address))
    return None if beside is None else (found, beside)
