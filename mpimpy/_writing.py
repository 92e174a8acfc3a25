"""Weights into an engine's crossbars: encoded, then written."""

from typing import Any

from . import backends, noise
from .analysis import calibration, sampling
from .arrays import device_of, namespace
from .checks import as_int_pair, fail
from .config import Config
from .crossbar import plan as plans
from .crossbar.programmed import program
from .files.chips import Chip
from .matrix import CrossbarMatrix, backend_of, encode_inputs
from .noise import Address
from .operands import edge, encoding
from .operands.edge import Operand

__all__ = ["calibrated", "choose_backend", "write", "write_real"]


def choose_backend(engine: Any, array: Any) -> Any:
    """Return the backend, a module, that computes an engine's products of an array.

    Raises
    ------
    ValueError
        If the array is not where the engine's operands must be, or the engine's backend cannot take it.
    """
    edge.check_device(array, engine._operand_device, "an operand", "the engine")
    return backends.select(array, engine.backend)


def write(
    engine: Any,
    w: Operand,
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
    prototype = xp.zeros((0,), dtype=w.counts_as, device=device_of(w.array))
    chip = Chip(config, address, (w.shape[0], w.shape[1]), cells)
    matrix = CrossbarMatrix(chip, prototype, backend, engine._counter)
    matrix.gradient = engine.gradient
    return matrix


def write_real(
    engine: Any, w: Operand, address: Address, origin: tuple[int, int] = (0, 0), faults: Any = None
) -> CrossbarMatrix:
    """Encode real weights and write them into an engine's crossbars; see `mpimpy.Engine.program`.

    Parameters
    ----------
    engine : Engine
    w : Operand, shape (K, N)
    address : Address
        Of the first cell of a whole matrix.
    origin, faults
        As for `mpimpy.Engine.program`.
    """
    config, (rows, cols), shape = engine.config, (engine.config.tile.rows, engine.config.tile.cols), w.dims[1:]
    block = encoding.block_shape(config.weights, shape, rows, weight=True)
    origin = as_int_pair("origin", origin, 0, noise.MAX_ROW - max(shape))
    if origin[0] % rows:
        cut = f"origin={origin} cuts through a tile of {rows} rows"
        fail(ValueError, f"{cut}: its row must be a multiple of {rows}")
    if config.wires is not None and origin[1] % cols:
        cut = f"origin={origin} cuts through a tile of {cols} columns"
        fail(ValueError, f"{cut}, which its wires join: use a multiple of {cols}")
    if faults is not None:
        faults = edge.as_faults(faults, shape, config.weights)
    backend, encoded = choose_backend(engine, w.array), None
    if 0 not in shape:
        cell_format, values = plans.cell_format(config), backend.to_backend(w.array[None, ...])
        strides, dtype = cell_format.strides, cell_format.level_dtype
        encoded = encoding.encode(backend, values, config.weights, block, strides, dtype)
    return write(engine, w, encoded, address._replace(row=origin[0], col=origin[1]), faults=faults)


def calibrated(engine: Any, x: Any, w: Operand, *, method: str, percentile: float | None, ratios: str) -> Any:
    """Return an engine whose ADCs have ranges that fit the currents of a product; see `mpimpy.Engine.calibrate`.

    Parameters
    ----------
    engine : Engine
    x : array, shape (..., K)
    w : Operand, shape (K, N)
    method, percentile, ratios
        As for `mpimpy.analysis.calibration.ranges`.
    """
    matrix = write_real(engine, w, engine._address())
    x = edge.accept("x", x, like=w, depth=w.shape[0])
    programmed, inputs = encode_inputs(matrix, x)
    for name, encoded in (("x", inputs), ("w", programmed.encoded)):
        if not bool(namespace(encoded.scales).any(encoded.scales != 0)):
            msg = f"{name} holds nothing but zeros, and typical operands are what ranges are chosen by: give some"
            raise ValueError(msg)
    even = method == "percentile"
    sample = sampling.samples(backend_of(matrix), programmed, inputs, noise.MAX_READ, even=even)
    ranges = calibration.ranges(engine.config, sample, method=method, percentile=percentile, ratios=ratios)
    found = engine.replace(adc={"range": ranges})
    if even:
        return found
    # the sample of currents may have missed what decides: whole products have not
    full = engine.replace(adc={"range": "full"})
    first = matrix if full.config == engine.config else write_real(full, w, engine._address())
    results = [each.read(x, noise.MAX_READ) for each in (first, write_real(found, w, engine._address()))]
    before, after = calibration.squared_errors(x.array, w.array, results)
    return found if after <= before else full
