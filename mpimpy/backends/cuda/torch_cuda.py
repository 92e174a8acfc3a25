"""The backend "torch": on CUDA, Triton for noise and reads, plain torch for the rest.

Each function has the signature, the meaning and the bits of its twin in `reference`, whose
docstrings are the specification. Without Triton, everything is the reference on torch tensors:
its products are float64, which no torch setting (TF32, autocast, default dtype) makes inexact.
"""

import contextlib
import functools
import math
import os
import threading
from collections.abc import Callable
from typing import Any

import torch

from ... import noise
from ..._integers import ceil_div
from .. import reference
from ..fallback import with_fallback
from ..reading import PANEL, Draw, Errors, Reading, RowDraw
from ._errors import kernel_errors, no_errors
from ._launcher import usable
from ._numbers import flat as _flat
from ._numbers import signed as _signed

NAME = "torch"
STREAM = None  # bytes of a noisy grid drawn at once; None: all of it
KEPT = 256  # constants that stay on a device
KEPT_BYTES = 2**28  # of memory that they take together
BUSY = 256  # blocks of outputs that keep a card busy
_INTEGERS = (torch.int8, torch.int16, torch.int32)


def to_backend(array: Any) -> Any:
    """Return `array` without its history of gradients; kernels take any real dtype."""
    return array.detach()


def from_backend(array: Any, like: Any) -> Any:
    """Return a kernel's result unchanged: it is a tensor on the operand's device already."""
    return array


_usable = functools.cache(usable)


def _kernels(array: Any) -> Any:
    return _usable(array.device.type, array.device.index)


def _without_autocast(function: Callable[..., Any]) -> Callable[..., Any]:
    # the caller's context must not choose the precision of anything here
    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        with torch.autocast(arguments[0].device.type, enabled=False):
            return function(*arguments, **options)

    return run


block_max = _without_autocast(reference.block_max)
block_sums = _without_autocast(reference.block_sums)
differences = _without_autocast(reference.differences)
digits = _without_autocast(reference.digits)
fold = _without_autocast(reference.fold)
limbs = _without_autocast(reference.limbs)
moments = _without_autocast(reference.moments)
multiply = _without_autocast(reference.multiply)
reduce_lines = _without_autocast(reference.reduce_lines)
transfer = _without_autocast(reference.transfer)
driver_links = _without_autocast(reference.driver_links)
node_voltages = _without_autocast(reference.node_voltages)


_constants: dict[Any, Any] = {}
_lock = threading.Lock()


def _after_fork() -> None:
    # another thread of the parent may have held the lock; plain torch runs in forks, on tensors of the CPU
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _held() -> int:
    return sum(tensor.nbytes for tensor, *_ in _constants.values())


def _constant(numbers: Any, dtype: Any, device: Any) -> Any:
    """Return a tuple of numbers, or a packed quantile table, as a tensor that stays on `device`.

    It is copied once, from pinned memory, on the current stream, and the host does not wait. Another
    stream that asks for it waits for the copy.
    """
    key = (numbers, dtype, device)
    with _lock:
        found = _constants.pop(key, None)
        large = found is None and len(numbers) > 2**16
        if found is None:
            values = noise.table_entries(numbers).copy() if isinstance(numbers, bytes) else numbers
            tensor = torch.tensor(values, dtype=dtype, device="cpu")
            if device.type == "cuda":
                tensor = tensor.pin_memory().to(device, non_blocking=True)
                stream = torch.cuda.current_stream(device)
                found = tensor, stream, stream.record_event()
            else:
                found = tensor, None, None
        _constants[key] = found  # last: used most recently
        while len(_constants) > KEPT or (large and len(_constants) > 1 and _held() > KEPT_BYTES):
            del _constants[next(iter(_constants))]
    tensor, stream, copied = found
    if stream is not None:
        current = torch.cuda.current_stream(device)
        if current != stream:
            current.wait_event(copied)
            tensor.record_stream(current)  # keeps the tensor alive if the cache evicts it while a kernel runs
    return tensor


def _launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, warps: int = 4, **constants: Any) -> None:
    """Launch a kernel on the arrays' own device, on its current stream; `arguments[0]` is an array."""
    where = arguments[0].device
    options = {"num_warps": warps, "enable_fp_fusion": False}
    if where.type == "cuda":
        options["sanitize_overflow"] = False  # sums of 32 bits may wrap on their way
    with torch.cuda.device(where) if where.type == "cuda" else contextlib.nullcontext():
        kernel[grid](*arguments, **constants, **options)


def _ceil_power(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()


def _layout(cells: Any, address: noise.Address) -> tuple[tuple[int, int], tuple[int, ...], dict[str, int]]:
    """Return (grid, plain numbers, constants) of a launch that draws for every cell."""
    slices, rows, cols = cells.shape
    first, lead = divmod(address.col, 8)
    groups = (lead + cols + 7) // 8
    wide = min(256, _ceil_power(groups))
    high = min(256 // wide, _ceil_power(rows))
    grid = (slices * ceil_div(rows, high), ceil_div(groups, wide))
    numbers = (rows, cols, _signed(address.row), _signed(first), lead, _signed(address.read))
    return grid, numbers, {"ROWS": high, "GROUPS": wide}


def _tag(address: noise.Address) -> int:
    return _signed(noise.counter_word(address, 0))


def perturb(
    cells: Any, draw: Draw, address: noise.Address, columns: tuple[int, int] | None = None, which: Any = None
) -> Any:
    """See `reference.perturb`."""
    if columns is not None:
        cells, address = cells[:, :, slice(*columns)], address._replace(col=address.col + columns[0])
        which = which if which is None else which[:, :, slice(*columns)]
    kernels = _kernels(cells)
    if kernels is None:
        return _plain_perturb(cells, draw, address, which=which)
    cells = cells.contiguous()
    out = torch.empty(cells.shape, dtype=getattr(torch, draw.dtype), device=cells.device)
    if not out.numel():
        return out
    grid, numbers, constants = _layout(cells, address)
    entries = _constant(draw.table, torch.int32, cells.device)
    numbers = *numbers, _tag(address), *map(_signed, address.key), draw.level_shift, draw.reference
    if which is None and not draw.additive and draw.after == draw.reference:
        _launch(kernels.perturb, grid, cells, entries, out, *numbers, draw.shift, draw.bound, **constants)
        return out
    low = -min(draw.reference, draw.bound) if draw.additive else -draw.bound
    numbers = *numbers, draw.after, draw.shift, low, draw.bound
    levels = cells if which is None else which.contiguous()
    constants |= {"MANY": which is not None, "ADDITIVE": draw.additive}
    _launch(kernels.perturb_levels, grid, cells, levels, entries, out, *numbers, **constants)
    return out


_plain_perturb = _without_autocast(reference.perturb)


def subtract(grid: Any, columns: Any, lead: int, width: int, bound: int) -> Any:
    """See `reference.subtract`."""
    kernels = _kernels(grid)
    if kernels is None:
        return _plain_subtract(grid, columns, lead, width, bound)
    grid, columns = grid.contiguous(), columns.contiguous()
    out = torch.empty_like(grid)
    if out.numel():
        lines, cols = grid.shape[0] * grid.shape[1], grid.shape[2]
        across = min(256, _ceil_power(cols))
        down = min(2048 // across, _ceil_power(lines))
        numbers = cols, lines, columns.shape[2], lead, width, bound
        launch = (ceil_div(lines, down), ceil_div(cols, across))
        _launch(kernels.subtract, launch, grid, columns, out, *numbers, LINES=down, COLS=across)
    return out


_plain_subtract = _without_autocast(reference.subtract)


def apply_stuck_cells(
    cells: Any, address: noise.Address, *, high_share: int, low_share: int, high: int, low: int = 0
) -> Any:
    """See `reference.apply_stuck_cells`."""
    kernels = _kernels(cells)
    if kernels is None:
        return _plain_stuck(cells, address, high_share=high_share, low_share=low_share, high=high, low=low)
    cells = cells.contiguous()
    out = torch.empty_like(cells)
    if out.numel():
        grid, numbers, constants = _layout(cells, address)
        tags = _tag(address), _tag(address._replace(purpose=noise.STUCK_FINE))
        numbers = *numbers, *tags, *map(_signed, address.key), high_share, low_share, high, low
        _launch(kernels.apply_stuck_cells, grid, cells, out, *numbers, **constants)
    return out


_plain_stuck = _without_autocast(reference.apply_stuck_cells)


@functools.lru_cache(maxsize=256)
def _sum_dtype(reading: Reading, errs: bool = False) -> Any:
    """Return the dtype in which shift-and-add is exact and equal to the float64 sum."""
    if reading.code_range is None:
        if errs:  # they may carry codes beyond those of any current
            return torch.float64
        highest = max(math.ceil(reading.bound * gain * (1 + 2**-20)) + 1 for gain in _flat(reading.adc_gain))
    else:
        lows, tops = reading.code_range
        highest = max(map(abs, _flat(lows) + _flat(tops)))
    weights, snap = _flat(reading.shift_weights), reading.digit_units is not None
    if reading.wide or snap or highest > 2**22 or any(weight != int(weight) for weight in weights):
        return torch.float64
    largest = highest * sum(abs(int(weight)) for weight in weights)
    if largest < 2**31:
        return torch.int32
    return torch.int64 if largest < 2**53 else torch.float64


def _tile_sizes(height: int, wide: bool) -> tuple[int, int, int]:
    """Return (BM, BN, warps): 16 to 32 outputs a thread, half as many where sums take 64 bits."""
    down = min(64, max(16, _ceil_power(height)))
    return down, 64, 8 if wide and down == 64 else 4


def read_paths(height: int, digits_dtype: Any, grid_dtype: Any, reading: Reading) -> tuple[tuple[str, str], ...]:
    """See `reference.read_paths`."""
    limbs = {"int8": 1, "int16": 2, "int32": 4}
    if {digits_dtype, grid_dtype} - set(limbs):
        return (("float", "64-bit operands take float64 products in plain torch"),) * len(reading.strides)
    products = (1 if _fits_int8(reading) else limbs[digits_dtype]) * limbs[grid_dtype]
    reason = f"{products} int8 product{'s' * (products > 1)} on tensor cores, exact in int32"
    reason += "; float64 products in plain torch where Triton cannot run"
    return (("limbs", reason),) * len(reading.strides)


def _fits_int8(reading: Reading) -> bool:
    return reading.widths is not None and max(reading.widths) <= 7


def _takes(digits: Any, grid: Any, reading: Reading, errors: Errors | None) -> bool:
    integers = digits.dtype in _INTEGERS and grid.dtype in _INTEGERS
    return integers and digits.numel() > 0 and grid.numel() > 0 and _kernels(digits) is not None


def _apply_strides(digits: Any, reading: Reading) -> tuple[Any, tuple[int, ...]]:
    # (digits, strides that are left to apply): a pass over the digits costs less than one over the currents
    strides = reading.strides
    if reading.widths is None or max(strides) == 1:
        return digits, strides
    codes = ((2**bits - 1) * max(stride, 1) for bits, stride in zip(reading.widths, strides, strict=True))
    if max(codes) > 127:
        return digits, strides
    return digits.to(torch.int8) * _constant(strides, torch.int8, digits.device)[:, None, None], (1,) * len(strides)


def _read_constants(kernels: Any, reading: Reading, strides: tuple[int, ...], sums: Any, where: Any) -> list[Any]:
    # tensors of the ADC and the shift-and-add, in the order of the kernel's arguments
    real = torch.float64 if reading.wide else torch.float32
    gain, weights = _flat(reading.adc_gain), _flat(reading.shift_weights)
    origin = gain if reading.adc_origin is None else _flat(reading.adc_origin)
    units = weights if reading.digit_units is None else _flat(reading.digit_units)
    lows, tops = (gain, gain) if reading.code_range is None else map(_flat, reading.code_range)
    # MAGIC_BITS of all codes, as they enter the weighted sum, modulo 2**32
    excess = kernels.MAGIC_BITS * sum(map(int, weights)) if sums is torch.int32 else 0
    return [
        _constant(gain, real, where),
        _constant(origin, real, where),
        _constant(lows, real, where),
        _constant(tops, real, where),
        _constant((*units, reading.tile_sum), torch.float64, where),
        _constant(weights, sums, where),
        _constant((*strides, _signed(excess & 0xFFFFFFFF)), torch.int32, where),
    ]


def _panel_launcher(
    kernels: Any, arrays: list[Any], reading: Reading, errors: Errors | None
) -> tuple[Callable[..., Any], int]:
    # (function that launches the read of `count` panels of tiles from `panel` on, number of blocks of outputs)
    digits, x_scale, grid, w_scale = arrays
    digits, strides = _apply_strides(digits, reading)
    arrays = [array.contiguous() for array in (digits, x_scale, grid, w_scale)]
    sums, rows, where = _sum_dtype(reading, errors is not None), reading.rows, digits.device
    (slices, height, depth), width = digits.shape, grid.shape[2]
    numbers, none = _read_constants(kernels, reading, strides, sums, where), _constant((0,), torch.int32, where)
    wrong = no_errors(none)
    if errors is not None:
        zeros = torch.zeros((errors.array + len(grid), ceil_div(depth, rows), width), dtype=torch.int8, device=where)
        wrong = kernel_errors(errors, zeros, none, _constant, perturb)
    down, across, warps = _tile_sizes(height, reading.wide or sums is not torch.int32)
    chunk = max(32, _ceil_power(rows)) if rows <= 128 else 64
    blocks = ceil_div(height, down) * ceil_div(wrong.lead + width, across)
    options = {
        "X_LIMBS": 1 if _fits_int8(reading) else digits.dtype.itemsize,
        "G_LIMBS": grid.dtype.itemsize,
        "WIDE": reading.wide,
        "ORIGIN": reading.adc_origin is not None,
        "SATURATE": reading.code_range is not None,
        "SNAP": reading.digit_units is not None,
        "STRIDES": max(strides) > 1,
        "SUM": getattr(kernels.tl, str(sums).removeprefix("torch.")),
        "ONE_CHUNK": rows <= chunk,
        **wrong.on,
        "BM": down,
        "BN": across,
        "BK": chunk,
        "warps": warps,
    }

    def launch(out: Any, panel: int, count: int, *, add: bool) -> Any:
        shape = height, depth, width, rows, ceil_div(depth, rows), panel, slices, len(grid)
        tables = *numbers, *wrong.tensors
        _launch(kernels.read, (blocks, count), *arrays, out, *tables, *shape, *wrong.numbers, ADD=add, **options)
        return out

    return launch, blocks


def _read_with_triton(
    digits: Any, x_scale: Any, grid: Any, w_scale: Any, reading: Reading, dtype: str, errors: Errors | None
) -> Any:
    """Read with the int8 tensor cores.

    Integers of more than 8 bits are cut into bytes, each less 128 so that it fits int8. Products of
    bytes are exact in int32. Their weighted sum has 32 bits, and may wrap on the way, where every
    current fits 32 bits; else it has 64. So all operands of up to 32 bits are exact.
    """
    launch, blocks = _panel_launcher(_kernels(digits), [digits, x_scale, grid, w_scale], reading, errors)
    shape, real = (digits.shape[1], grid.shape[2]), getattr(torch, dtype)
    panels = ceil_div(digits.shape[2], reading.rows * PANEL)

    def empty(*shape: int, dtype: Any = torch.float64) -> Any:
        return torch.empty(shape, dtype=dtype, device=digits.device)

    if panels == 1:
        return launch(empty(*shape, dtype=real), 0, 1, add=False)
    if blocks < BUSY:
        # few outputs: panels side by side keep the card busy, and their sums are added up after
        first, *others = launch(empty(panels, *shape), 0, panels, add=False)
        return functools.reduce(torch.add, others, first).to(real)
    total = launch(empty(*shape), 0, 1, add=False)
    for panel in range(1, panels):
        launch(total, panel, 1, add=True)
    return total.to(real)


read = with_fallback(_read_with_triton, _takes, _without_autocast(reference.reader(perturb)))


def takes_rows(reading: Reading, draw: RowDraw, errs: bool) -> bool:
    """See `reference.takes_rows`."""
    return False


def row_reader(draw: RowDraw) -> Any:
    """See `reference.row_reader`: in plain torch, which draws normal numbers with this backend's kernels."""
    return _without_autocast(reference.reader(perturb, draw))
