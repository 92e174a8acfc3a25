"""The description in a chip's file: JSON, checked before any array is read.

Nothing in a file is believed. Each number is compared with its range, and whatever follows from other entries is
computed from them and compared.
"""

import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .. import noise
from ..cells import laws, memristors
from ..cells.cell_format import CellFormat
from ..checks import as_bool, as_float, as_int, as_int_pair, fail
from ..config import Config
from ..config._plain import upgraded
from ..crossbar import plan as plans
from ..noise import Address
from ..operands import encoding, powers
from ..reads import check_stream

__all__ = ["CellNumbers", "Codes", "Description", "describe", "parse"]

_KEYS = ("format", "version", "config", "seed", "chip", "origin", "shape", "dtype", "reads", "encoded", "states")
_OPTIONAL = ("arithmetic", "stream", "whole")  # files had none before there was one
_DTYPE = re.compile(r"bool|u?int[0-9]{1,2}|(b?float|complex)[0-9]{1,3}(_[a-z0-9]+)*")
_LARGEST_BLOCK = 1 << 62


@dataclass(frozen=True)
class Codes:
    """How the integers of the weights are held; see `mpimpy.operands.encoding.Encoded`.

    Attributes
    ----------
    block : (int, int)
    strides : tuple of int
    dtypes : tuple of str
        Dtypes that the digits may have.
    exponent : int or None
    """

    block: tuple[int, int]
    strides: tuple[int, ...]
    dtypes: tuple[str, ...]
    exponent: int | None


@dataclass(frozen=True)
class CellNumbers:
    """Numbers of the cells of one state; see `mpimpy.cells.memristors.Cells`.

    Attributes
    ----------
    dtype : str or None
        Of the cells; None: that of the digits.
    level_shift, reference : int
    time_s : float or None
    faulty : bool
    """

    dtype: str | None
    level_shift: int
    reference: int
    time_s: float | None
    faulty: bool


@dataclass(frozen=True)
class Description:
    """A checked description of a chip.

    Attributes
    ----------
    config : Config
    address : Address
        Of the first cell.
    shape : (int, int)
        (K, N).
    dtype : str
        Name of the dtype that the weights count as.
    reads : int
        Reads made so far.
    stream : str or None
        Their stream.
    whole : (int, int) or None
        Shape of the whole matrix that this is a part of, if the file says one.
    codes : Codes or None
        None for a matrix without elements.
    fresh : CellNumbers or None
        Of the cells as programmed.
    aged : CellNumbers or None
        Of the cells at a later time; None for a matrix that was not aged.
    compensate : bool
    ratio : float
        Of the age; see `mpimpy.crossbar.programmed.Age`.
    """

    config: Config
    address: Address
    shape: tuple[int, int]
    dtype: str
    reads: int
    stream: str | None = None
    whole: tuple[int, int] | None = None
    codes: Codes | None = None
    fresh: CellNumbers | None = None
    aged: CellNumbers | None = None
    compensate: bool = False
    ratio: float = 1.0

    @property
    def cell_format(self) -> CellFormat:
        """Format of the cells."""
        return plans.cell_format(self.config)

    @property
    def states(self) -> dict[str, CellNumbers]:
        """States in the file by their names, the fresh one first."""
        if self.fresh is None:
            return {}
        return {"now": self.fresh} if self.aged is None else {"fresh": self.fresh, "now": self.aged}


def parse(data: bytes) -> dict[str, Any]:
    """Return the mapping that JSON text holds.

    Raises
    ------
    ValueError, RecursionError
        If it is no JSON, has a key twice, or a number that is not finite.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        return found if len(found) == len(pairs) else fail(ValueError, "its description has a key twice")

    def refuse(name: str) -> Any:
        fail(ValueError, f"its description holds {name}, which is no number")

    found = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refuse)
    return _mapping("its description", found)


def describe(meta: dict[str, Any]) -> Description:
    """Return the checked description of a file.

    Raises
    ------
    TypeError, ValueError
        If an entry is missing, unknown, out of range, or does not fit another one.
    """
    _check_keys("its description", meta, _KEYS, _OPTIONAL)
    if not isinstance(meta["version"], str):
        fail(TypeError, "version must be text")
    config = _config(meta)
    shape = as_int_pair("shape", meta["shape"], 0, noise.MAX_ROW)
    address = _address(config, shape, meta)
    dtype, reads = meta["dtype"], as_int("reads", meta["reads"], 0, noise.MAX_READ + 1)
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        fail(ValueError, f"dtype={dtype!r} is no numeric dtype")
    if dtype.startswith("complex") and shape[1] % 2:
        fail(ValueError, f"shape={shape} has no columns of imaginary parts beside as many of real parts")
    stream = None if "stream" not in meta else check_stream(meta["stream"])
    whole = _whole(address, shape, meta)
    states = _mapping("states", meta["states"])
    if 0 in shape:
        if meta["encoded"] is not None or states:
            fail(ValueError, f"a matrix of shape {shape} has no cells")
        return Description(config, address, shape, dtype, reads, stream, whole)
    _check_products(config)
    codes = _codes(config, shape, _mapping("encoded", meta["encoded"]))
    if "fresh" not in states:
        _check_keys("states", states, ("now",))
        return Description(config, address, shape, dtype, reads, stream, whole, codes, _fresh(config, states["now"]))
    _check_keys("states", states, ("now", "fresh"))
    fresh = _fresh(config, states["fresh"])
    return Description(
        config, address, shape, dtype, reads, stream, whole, codes, fresh, *_aged(config, fresh, states["now"])
    )


def _config(meta: dict[str, Any]) -> Config:
    # settings that give the bits of the arithmetic that the file was made with; files had none before there was one
    return Config.from_dict(upgraded(_mapping("config", meta["config"]), meta.get("arithmetic", 1)))


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        fail(TypeError, f"{name} is no mapping")
    return value


def _check_keys(name: str, value: Any, wanted: Collection[str], optional: Collection[str] = ()) -> None:
    known = {*wanted, *optional}
    for key in _mapping(name, value):
        if key not in known:
            fail(ValueError, f"{name} has an unknown entry {key!r}")
    for key in wanted:
        if key not in value:
            fail(ValueError, f"{name} lacks {key!r}")


def _address(config: Config, shape: tuple[int, int], meta: dict[str, Any]) -> Address:
    # the rules of `mpimpy.Engine.program`
    origin = as_int_pair("origin", meta["origin"], 0, noise.MAX_ROW - max(shape))
    rows, cols = config.tile.rows, config.tile.cols
    if origin[0] % rows or (config.wires is not None and origin[1] % cols):
        fail(ValueError, f"origin={origin} cuts through a tile of {rows} x {cols}")
    seed, chip = as_int("seed", meta["seed"], 0, noise.MAX_SEED), as_int("chip", meta["chip"], 0, noise.MAX_CHIP)
    return Address(seed, chip, 0, 0, *origin)


def _whole(address: Address, shape: tuple[int, int], meta: dict[str, Any]) -> tuple[int, int] | None:
    if "whole" not in meta:
        return None
    whole = as_int_pair("whole", meta["whole"], 0, noise.MAX_ROW)
    if address.row + shape[0] > whole[0] or address.col + shape[1] > whole[1]:
        fail(ValueError, f"whole={whole} does not hold a part of shape {shape} at {address.row, address.col}")
    return whole


def _check_products(config: Config) -> None:
    # Numbers and tables that programs, reads and reports will need. Inputs may have a format of their own, so a
    # configuration whose inputs do not fit its DACs is one that a matrix may have.
    device, cell_format = config.device, plans.cell_format(config)
    try:
        config._check("inputs")
    except ValueError:
        pass
    else:
        plans.plan(config)
    laws.read(device, cell_format.fraction, None)
    laws.write(device, cell_format.fraction)
    if device.verify is not None:
        memristors.tolerance_units(device.verify, device, cell_format)


def _codes(config: Config, shape: tuple[int, int], encoded: dict[str, Any]) -> Codes:
    fmt, cell_format = config.weights, plans.cell_format(config)
    _check_keys("encoded", encoded, ("block", "bits", "strides", "shifts", "offset"), ("exponent",))
    for name, wanted in (("bits", fmt.ascending), ("shifts", fmt.shifts), ("offset", fmt.offset)):
        found = encoded[name]
        if not _same(found, wanted):
            fail(ValueError, f"encoded.{name}={found!r} is not that of the format of the weights, {wanted!r}")
    # an engine encodes with the strides of the cells, SlicedData without
    plain = (1,) * len(fmt.ascending)
    digits = encoding.narrowest(max(2**bits - 1 for bits in fmt.ascending))
    allowed = [(cell_format.strides, cell_format.level_dtype), (plain, digits)]
    dtypes = tuple(dtype for strides, dtype in allowed if _same(encoded["strides"], strides))
    if not dtypes:
        fail(ValueError, f"encoded.strides={encoded['strides']!r} are not those of the cells, {cell_format.strides}")
    block = as_int_pair("encoded.block", encoded["block"], 1, _LARGEST_BLOCK)
    if block[0] % config.tile.rows or block[1] % config.tile.cols:
        try:
            right = encoding.block_shape(fmt, shape, config.tile.rows, weight=True)
        except ValueError:
            right = None
        # a part that was encoded by a survey may hold pieces of blocks
        wide = fmt.granularity[1] if isinstance(fmt.granularity, tuple) else 1
        if block != right and (block[0] % config.tile.rows or wide % block[1]):
            fail(ValueError, f"encoded.block={block} is no block of the format of the weights")
    strides = tuple(encoded["strides"])
    exponent = encoded.get("exponent")
    if exponent is not None:
        exponent = as_int("encoded.exponent", exponent, powers.LOWEST_SHIFT, 0)
    return Codes(block, strides, dtypes, exponent)


def _same(found: Any, wanted: Any) -> bool:
    # whether a value of JSON is the whole number or numbers that are wanted: 1.0 and True are not 1
    if isinstance(wanted, tuple):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_same, found, wanted))
    return type(found) is int and found == wanted


def _fresh(config: Config, state: Any) -> CellNumbers:
    device, cell_format = config.device, plans.cell_format(config)
    shift, dtype = cell_format.fraction, None
    even = laws.grid_positions(device, shift) is None
    if device.write_var != 0 or not even or (shift and device.var == 0):
        shift, dtype = 0, cell_format.grid_dtype
    wanted = CellNumbers(dtype, shift, cell_format.reference, None, faulty=_faulty(state))
    _check_state(config, "as programmed", state, wanted)
    return wanted


def _aged(config: Config, fresh: CellNumbers, state: Any) -> tuple[CellNumbers, bool, float]:
    # (numbers, compensate, ratio) of an aged matrix
    device, cell_format = config.device, plans.cell_format(config)
    age = _mapping("age", _mapping("states.now", state).get("age"))
    _check_keys("age", age, ("time_s", "compensate", "ratio"))
    start = laws.ages(device)
    if start is None:
        fail(ValueError, "age: time changes nothing in this device")
    time_s = as_float("age.time_s", age["time_s"], start, laws.known_until(device))
    compensate, ratio = as_bool("age.compensate", age["compensate"]), as_float("age.ratio", age["ratio"], -math.inf)
    dtype, shift, reference = fresh.dtype, fresh.level_shift, fresh.reference
    if device.drift is not None or device.relaxation is not None:
        if device.drift is not None:
            laws.drift(device.drift, device.g_level, time_s)
        else:
            laws.relaxation(device, cell_format.fraction, time_s)
        dtype, shift, reference = cell_format.grid_dtype, 0, laws.aged_reference(device, cell_format.fraction, time_s)
    laws.read(device, cell_format.fraction, time_s)
    wanted = CellNumbers(dtype, shift, reference, time_s, fresh.faulty)
    _check_state(config, "aged", state, wanted, aged=True)
    return wanted, compensate, ratio


def _faulty(state: Any) -> bool:
    written = _mapping("written", _mapping("a state", state).get("written"))
    return as_bool("faulty", written.get("faulty"))


def _check_state(config: Config, name: str, state: Any, wanted: CellNumbers, *, aged: bool = False) -> None:
    # cells behind wires have a state of their own, unless the wires are solved for each read
    parts = {"written": wanted.level_shift} | ({"wired": 0} if config._wires_once is not None else {})
    _check_keys(name, state, (*parts, "age") if aged else parts)
    for part, shift in parts.items():
        numbers, where = state[part], f"{name}: {part}"
        _check_keys(where, numbers, ("up", "reference", "time_s", "faulty"))
        for key, right in (("up", shift), ("reference", wanted.reference)):
            if not _same(numbers[key], right):
                fail(ValueError, f"{where}.{key}={numbers[key]!r} is not that of the configuration, {right}")
        time_s = numbers["time_s"] if wanted.time_s is None else as_float("time_s", numbers["time_s"], 0)
        if time_s != wanted.time_s or as_bool("faulty", numbers["faulty"]) is not wanted.faulty:
            fail(ValueError, f"{where}: time_s={time_s!r} or faulty={numbers['faulty']} does not fit the other cells")
