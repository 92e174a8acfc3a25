"""Weights into an engine's crossbars: encoded, then written."""

from collections.abc import Callable
from typing import Any

from . import backends, noise
from ._complex import ComplexMatrix, side_by_side
from ._recorded import RecordedEngine
from .analysis import calibration, sampling
from .arrays import device_of, namespace
from .autograd.slots import GRADIENTS
from .checks import as_choice, as_int, as_int_pair, fail
from .config import Config
from .crossbar import plan as plans
from .crossbar.programmed import program
from .files.chips import Chip
from .matrix import CrossbarMatrix, backend_of, encode_inputs
from .noise import Address
from .operands import edge, encoding
from .operands.edge import Operand
from .operands.place import WHOLE, Place, as_shape, block_of_weights, check_survey, inside
from .operands.survey import Survey, SurveyOf, part_statistics

__all__ = ["WritingEngine", "calibrated", "choose_backend", "place_of", "real_shape", "write", "write_real"]


def _settings(config: Any) -> Config:
    if not isinstance(config, Config):
        fail(TypeError, f"config={config!r} must be a Config, such as engine.config.replace(adc={{'radc': 1024}})")
    return config


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "config": _settings,
    "seed": lambda seed: as_int("seed", seed, 0, noise.MAX_SEED),
    "chip": lambda chip: as_int("chip", chip, 0, noise.MAX_CHIP),
    "backend": lambda backend: None if backend is None else backends.check(backend),
    "gradient": lambda gradient: as_choice("gradient", gradient, GRADIENTS),
}


def _annotated(kind: type, name: str) -> bool:
    return any(name in vars(each).get("__annotations__", ()) for each in kind.__mro__)


class WritingEngine(RecordedEngine):
    """Engine that writes weights: it turns them into operands, and names into addresses."""

    seed: int
    chip: int

    def __setattr__(self, name: str, value: Any) -> None:
        # an attribute that nothing reads would be a setting without effect
        if name in _CHECKS:
            value = _CHECKS[name](value)
        elif not name.startswith("_") and not _annotated(type(self), name):
            fail(
                AttributeError,
                f"an engine has no attribute {name!r} to set, and its settings do not change: "
                "engine.replace(adc={'radc': 1024}) returns an engine with others",
            )
        super().__setattr__(name, value)

    def _weights(self, w: Any) -> Operand:
        operand = edge.accept("w", w, complex_too=True)
        if len(operand.shape) != 2:
            fail(ValueError, f"w has shape {operand.shape}: weights are one matrix, (K, N)")
        return operand

    def _program(
        self, w: Operand, address: Address, place: Place = WHOLE, faults: Any = None
    ) -> CrossbarMatrix | ComplexMatrix:
        if not w.complex:
            return write_real(self, w, address, place, faults)
        xp = namespace(w.array)
        parts = write_real(self, side_by_side(w), address, place, faults)
        return ComplexMatrix(parts, xp.zeros((0,), dtype=w.counts_as, device=device_of(w.array)))

    def _address(self, name: str | None = None, chip: int | None = None) -> Address:
        # of the first cell of a matrix
        chip = self.chip if chip is None else as_int("chip", chip, 0, noise.MAX_CHIP)
        return Address(self.seed if name is None else self._key_of(name), chip, 0, 0)

    def _key_of(self, name: str) -> int:
        if not isinstance(name, str):
            fail(TypeError, f"name={name!r} must be a text, such as name='layer1'")
        if not name:
            fail(ValueError, "name='' names nothing: give a text, such as name='layer1', or leave it out")
        return noise.derive(self.seed, "matrix", name)


def real_shape(w: Operand, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the shape of the real matrix of a whole of which weights are a part, inside the whole.

    Raises
    ------
    ValueError
        If they are some columns of a complex matrix.
    """
    if not w.complex:
        return shape
    if w.shape[1] != shape[1]:
        msg = f"complex weights of shape {w.shape} are some columns of a matrix of shape={shape}, whose real and"
        fail(ValueError, f"{msg} imaginary parts lie side by side: take whole rows, or w.real and w.imag apart")
    return shape[0], 2 * shape[1]


def place_of(engine: Any, w: Operand, origin: Any, shape: Any, survey: Any) -> Place:
    """Return the place of weights in a whole matrix, checked; see `mpimpy.Engine.program`.

    Parameters
    ----------
    engine : Engine
    w : Operand, shape (K, N)
    origin, shape, survey
        As for `mpimpy.Engine.program`.
    """
    config, width = engine.config, w.shape[1] * (1 + w.complex)
    origin = as_int_pair("origin", origin, 0, noise.MAX_ROW - max(w.shape[0], width))
    if w.complex and origin[1]:
        msg = f"origin={origin} is inside a complex matrix, whose real and imaginary parts lie side by side"
        fail(ValueError, f"{msg}: program them apart, w.real and w.imag")
    whole = None
    if shape is not None:
        shape = as_shape(shape)
        inside(w.dims[1:], origin, shape)
        whole = real_shape(w, shape)
    if survey is not None:
        whole = survey.of.shape if whole is None and isinstance(survey, Survey) else whole
        of = SurveyOf("weights", whole or (w.shape[0], width), config.weights, config.tile.rows)
        check_survey(survey, of, (w.shape[0], width), origin)
    return Place(origin, whole, survey)


def choose_backend(engine: Any, array: Any) -> Any:
    """Return the backend, a module, that computes an engine's products of an array.

    Raises
    ------
    ValueError
        If the array is not where the engine's operands must be, or the engine's backend cannot take it.
    """
    setting = "device= of DPETensor, operand_device in a file of settings,"
    edge.check_device(array, engine._operand_device, "an operand", "the engine", setting)
    return backends.select(array, engine.backend)


def write(
    engine: Any,
    w: Operand,
    encoded: encoding.Encoded | None,
    address: Address | None = None,
    config: Config | None = None,
    faults: Any = None,
    whole: tuple[int, int] | None = None,
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
    whole : (int, int), optional
        Shape of a larger matrix that they are a part of.
    """
    config = engine.config if config is None else config
    address = engine._address() if address is None else address
    backend, xp = choose_backend(engine, w.array), namespace(w.array)
    cells = None if encoded is None else program(backend, config, encoded, address, faults)
    prototype = xp.zeros((0,), dtype=w.counts_as, device=device_of(w.array))
    chip = Chip(config, address, (w.shape[0], w.shape[1]), cells, whole)
    matrix = CrossbarMatrix(chip, prototype, backend, engine._counter)
    matrix.gradient = engine.gradient
    return matrix


def write_real(engine: Any, w: Operand, address: Address, place: Place = WHOLE, faults: Any = None) -> CrossbarMatrix:
    """Encode real weights and write them into an engine's crossbars; see `mpimpy.Engine.program`.

    Parameters
    ----------
    engine : Engine
    w : Operand, shape (K, N)
    address : Address
        Of the first cell of a whole matrix.
    place : Place
        Of `place_of`.
    faults
        As for `mpimpy.Engine.program`.
    """
    config, (rows, cols), shape = engine.config, (engine.config.tile.rows, engine.config.tile.cols), w.dims[1:]
    origin = place.origin
    if origin[0] % rows:
        cut = f"origin={origin} cuts through a tile of {rows} rows"
        fail(ValueError, f"{cut}: its row must be a multiple of {rows}")
    if config.wires is not None and origin[1] % cols:
        cut = f"origin={origin} cuts through a tile of {cols} columns"
        fail(ValueError, f"{cut}, which its wires join: use a multiple of {cols}")
    block = (0, 0) if place.survey is not None else block_of_weights(config.weights, rows, shape, place)
    if faults is not None:
        faults = edge.as_faults(faults, shape, config.weights)
    backend, encoded, statistics = choose_backend(engine, w.array), None, None
    if 0 not in shape:
        cell_format, values = plans.cell_format(config), backend.to_backend(w.array[None, ...])
        strides, dtype = cell_format.strides, cell_format.level_dtype
        if place.survey is not None:
            statistics, block = part_statistics(place.survey, values, origin)
        encoded = encoding.encode(backend, values, config.weights, block, strides, dtype, statistics)
    matrix = write(engine, w, encoded, address._replace(row=origin[0], col=origin[1]), faults=faults, whole=place.shape)
    matrix._statistics = statistics
    return matrix


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
