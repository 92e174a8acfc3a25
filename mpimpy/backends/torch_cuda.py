"""Kernels for torch tensors on CUDA: Triton for noise and reads, plain torch for the rest.

Each function has the signature, the meaning and the bits of its twin in `reference`, whose
docstrings are the specification. Without Triton, everything is the reference on torch tensors:
its products are float64, which no torch setting (TF32, autocast, default dtype) makes inexact.
"""

import contextlib
import functools
import math
import os
import threading
import warnings

import torch

from .. import noise
from . import reference

NAME = "torch"
STREAM = None  # bytes of a noisy grid drawn at once; None: all of it
KEPT = 256  # constants that stay on a device
KEPT_BYTES = 2**28  # and what they may take together
BUSY = 256  # blocks of outputs that keep a card busy
_INTEGERS = (torch.int8, torch.int16, torch.int32)


def enter(array):
    """Return `array` without its history of gradients; kernels take any real dtype."""
    return array.detach()


def leave(array, like):
    """Return a kernel's result as it is: a tensor on the operand's device."""
    return array


@functools.cache
def _usable(kind, index):
    # the module of Triton kernels, or None: then plain torch runs
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if kind != "cuda" and not interpreted:
        return None
    if kind == "cuda" and torch.cuda.get_device_capability(index) < (8, 0):
        return None  # Triton has no int8 tensor cores there
    try:
        from . import _triton

        if not interpreted:
            _triton.triton.runtime.driver.active.get_current_target()  # builds what launches kernels
    except ImportError:
        return None
    except Exception as error:  # a driver or C compiler that Triton cannot use
        warnings.warn(
            f"Triton cannot launch kernels here, and slower plain torch runs instead: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return _triton


def _kernels(array):
    return _usable(array.device.type, array.device.index)


def _plain(function):
    # no autocast: nothing here may run in a precision that the caller's context chooses
    @functools.wraps(function)
    def run(*arguments, **options):
        with torch.autocast(arguments[0].device.type, enabled=False):
            return function(*arguments, **options)

    return run


peaks = _plain(reference.peaks)
totals = _plain(reference.totals)
digits = _plain(reference.digits)
fold = _plain(reference.fold)
limbs = _plain(reference.limbs)
multiply = _plain(reference.multiply)
transfer = _plain(reference.transfer)
node_voltages = _plain(reference.node_voltages)


_constants = {}
_lock = threading.Lock()


def _held():
    return sum(tensor.nbytes for tensor, *_ in _constants.values())


def _constant(numbers, dtype, device):
    """Return a tuple of numbers, or a packed quantile table, as a tensor that stays on `device`.

    The copy waits for nothing: it goes from pinned memory, on the current stream, once. Another
    stream that asks while the copy may still be under way is told to wait for it, not the host.
    """
    key = (numbers, dtype, device)
    with _lock:
        found = _constants.pop(key, None)
        large = found is None and len(numbers) > 2**16
        if found is None:
            values = noise.table_values(numbers) if isinstance(numbers, bytes) else numbers
            tensor = torch.tensor(values, dtype=dtype, device="cpu")
            if device.type == "cuda":
                tensor = tensor.pin_memory().to(device, non_blocking=True)
                stream = torch.cuda.current_stream(device)
                found = tensor, stream, stream.record_event()
            else:
                found = tensor, None, None
        _constants[key] = found  # the latest asked for is last
        while len(_constants) > KEPT or (large and len(_constants) > 1 and _held() > KEPT_BYTES):
            del _constants[next(iter(_constants))]
    tensor, stream, copied = found
    if stream is not None:
        current = torch.cuda.current_stream(device)
        if current != stream:
            current.wait_event(copied)
            tensor.record_stream(current)  # should the cache let go of it while kernels use it
    return tensor


def _launch(kernel, grid, *arguments, warps=4, **constants):
    """Launch a kernel on the arrays' own device, on its current stream; `arguments[0]` is an array."""
    where = arguments[0].device
    options = {"num_warps": warps, "enable_fp_fusion": False}
    if where.type == "cuda":
        options["sanitize_overflow"] = False  # sums of 32 bits may wrap on their way
    with torch.cuda.device(where) if where.type == "cuda" else contextlib.nullcontext():
        kernel[grid](*arguments, **constants, **options)


def _signed(word):
    # 32 bits as a signed number: all launches then share one compiled kernel
    return word - (1 << 32) if word >> 31 else word


def _ceil_power(number):
    return 1 << max(0, number - 1).bit_length()


def _layout(cells, address):
    """Return (grid, plain numbers, constants) of a launch that draws for every cell."""
    slices, rows, cols = cells.shape
    first, lead = divmod(address.col, 8)
    groups = (lead + cols + 7) // 8
    wide = min(256, _ceil_power(groups))
    high = min(256 // wide, _ceil_power(rows))
    grid = (slices * -(-rows // high), -(-groups // wide))
    numbers = (rows, cols, _signed(address.row), _signed(first), lead, _signed(address.read))
    return grid, numbers, {"ROWS": high, "GROUPS": wide}


def _tag(address):
    return _signed(noise.counter_word(address, 0))


def perturb(
    cells, table, address, *, up, reference, shift, bound, dtype, columns=None, which=None, additive=False, after=None
):
    """See `reference.perturb`."""
    if columns is not None:
        cells, address = cells[:, :, slice(*columns)], address._replace(col=address.col + columns[0])
        which = which if which is None else which[:, :, slice(*columns)]
    kernels = _kernels(cells)
    if kernels is None:
        options = {"up": up, "reference": reference, "shift": shift, "bound": bound, "dtype": dtype}
        return _plain_perturb(cells, table, address, which=which, additive=additive, after=after, **options)
    cells = cells.contiguous()
    out = torch.empty(cells.shape, dtype=getattr(torch, dtype), device=cells.device)
    if not out.numel():
        return out
    grid, numbers, constants = _layout(cells, address)
    entries = _constant(table, torch.int32, cells.device)
    numbers = *numbers, _tag(address), *map(_signed, address.key), up, reference
    if which is None and not additive and after in (None, reference):
        _launch(kernels.perturb, grid, cells, entries, out, *numbers, shift, bound, **constants)
        return out
    after, low = reference if after is None else after, -min(reference, bound) if additive else -bound
    levels = cells if which is None else which.contiguous()
    constants |= {"MANY": which is not None, "ADDITIVE": additive}
    _launch(kernels.perturb_levels, grid, cells, levels, entries, out, *numbers, after, shift, low, bound, **constants)
    return out


_plain_perturb = _plain(reference.perturb)


def stick(cells, address, *, high_share, low_share, high, low=0):
    """See `reference.stick`."""
    kernels = _kernels(cells)
    if kernels is None:
        return _plain_stick(cells, address, high_share=high_share, low_share=low_share, high=high, low=low)
    cells = cells.contiguous()
    out = torch.empty_like(cells)
    if out.numel():
        grid, numbers, constants = _layout(cells, address)
        tags = _tag(address), _tag(address._replace(purpose=noise.STUCK_FINE))
        key = map(_signed, address.key)
        _launch(kernels.stick, grid, cells, out, *numbers, *tags, *key, high_share, low_share, high, low, **constants)
    return out


_plain_stick = _plain(reference.stick)


def _sum_dtype(*, bound, wide, steps, ends, units, weights):
    """Return the dtype in which shift-and-add is exact and equal to the float64 sum."""
    if ends is None:
        highest = max(math.ceil(bound * step * (1 + 2**-20)) + 1 for step in _flat(steps))
    else:
        highest = max(map(abs, _flat(ends[0]) + _flat(ends[1])))
    flat = _flat(weights)
    if wide or units is not None or highest > 2**22 or any(weight != int(weight) for weight in flat):
        return torch.float64
    largest = highest * sum(abs(int(weight)) for weight in flat)
    if largest < 2**31:
        return torch.int32
    return torch.int64 if largest < 2**53 else torch.float64


def _flat(table):
    return tuple(number for row in table for number in row)


def _blocks(height, wide):
    """Return (BM, BN, warps): 16 to 32 outputs a thread, half as many where sums take 64 bits."""
    down = min(64, max(16, _ceil_power(height)))
    return down, 64, 8 if wide and down == 64 else 4


_plain_read = _plain(reference.read)


def ways(height, digits_dtype, grid_dtype, *, strides, widths, signed, bound):
    """Return how the currents of every input slice are found, and why; see `numba_cpu.ways`."""
    limbs = {"int8": 1, "int16": 2, "int32": 4}
    if {digits_dtype, grid_dtype} - set(limbs):
        return (("float", "64-bit operands take float64 products in plain torch"),) * len(strides)
    codes = 1 if widths is not None and max(widths) <= 7 else limbs[digits_dtype]
    products = codes * limbs[grid_dtype]
    reason = f"{products} int8 product{'s' * (products > 1)} on tensor cores, exact in int32"
    return (("limbs", f"{reason}; float64 products in plain torch where Triton cannot run"),) * len(strides)


def read(
    digits,
    x_scale,
    grid,
    w_scale,
    *,
    strides,
    widths,
    signed,
    rows,
    bound,
    wide,
    steps,
    ends,
    units,
    weights,
    dtype,
    errors=None,
):
    """See `reference.read`.

    Products run on the int8 tensor cores. Whatever is wider than 8 bits is cut into bytes, each
    less 128 so that it fits; products of bytes are exact in int32, and their weighted sum wraps in
    32 bits where every current fits 32 bits, and has 64 bits where not. So all integer operands of
    up to 32 bits are exact; 64-bit ones go to float64 products in plain torch.
    """
    kernels = _kernels(digits)
    height, depth, width = *digits.shape[1:], grid.shape[2]
    out_dtype = getattr(torch, dtype)
    integers = digits.dtype in _INTEGERS and grid.dtype in _INTEGERS
    if kernels is None or errors is not None or not integers or not height * depth * width:
        options = {"strides": strides, "widths": widths, "signed": signed, "rows": rows, "bound": bound, "wide": wide}
        options |= {"steps": steps, "ends": ends, "units": units, "weights": weights, "dtype": dtype}
        options |= {"errors": errors, "draw": perturb}
        return _plain_read(digits, x_scale, grid, w_scale, **options)
    where = digits.device
    highest = (
        None
        if widths is None
        else max((2**bits - 1) * max(stride, 1) for bits, stride in zip(widths, strides, strict=True))
    )
    narrow = widths is not None and max(widths) <= 7
    if highest is not None and highest <= 127 and max(strides) > 1:
        # a pass over the digits costs less than one over the currents
        digits = digits.to(torch.int8) * _constant(strides, torch.int8, where)[:, None, None]
        strides = (1,) * len(strides)
    real = torch.float64 if wide else torch.float32
    sums = _sum_dtype(bound=bound, wide=wide, steps=steps, ends=ends, units=units, weights=weights)
    flat, (lows, tops) = _flat(weights), ends or (steps, steps)
    # what MAGIC_BITS adds to a sum of codes, modulo 2**32
    excess = kernels.MAGIC_BITS * sum(map(int, flat)) if sums is torch.int32 else 0
    numbers = [
        _constant(_flat(steps), real, where),
        _constant(_flat(lows), real, where),
        _constant(_flat(tops), real, where),
        _constant(flat if units is None else _flat(units), torch.float64, where),
        _constant(flat, sums, where),
        _constant((*strides, _signed(excess & 0xFFFFFFFF)), torch.int32, where),
    ]
    tiles = -(-depth // rows)
    panels = -(-tiles // reference.PANEL)
    down, across, warps = _blocks(height, wide or sums is not torch.int32)
    chunk = max(32, _ceil_power(rows)) if rows <= 128 else 64
    x_limbs, g_limbs = 1 if narrow else digits.dtype.itemsize, grid.dtype.itemsize
    blocks = -(-height // down) * -(-width // across)

    def launch(out, panel, count, *, add):
        _launch(
            kernels.read,
            (blocks, count),
            digits,
            x_scale,
            grid,
            w_scale,
            out,
            *numbers,
            height,
            depth,
            width,
            rows,
            tiles,
            panel,
            len(strides),
            len(steps),
            X_LIMBS=x_limbs,
            G_LIMBS=g_limbs,
            WIDE=wide,
            SATURATE=ends is not None,
            SNAP=units is not None,
            STRIDES=max(strides) > 1,
            SUM=getattr(kernels.tl, str(sums).removeprefix("torch.")),
            ADD=add,
            ONE_CHUNK=rows <= chunk,
            BM=down,
            BN=across,
            BK=chunk,
            warps=warps,
        )
        return out

    digits, grid, x_scale, w_scale = (a.contiguous() for a in (digits, grid, x_scale, w_scale))

    def empty(*shape, dtype):
        return torch.empty(shape, dtype=dtype, device=where)

    if panels == 1:
        return launch(empty(height, width, dtype=out_dtype), 0, 1, add=False)
    if blocks < BUSY:
        # few outputs: panels side by side keep the card busy, and their sums are added up after
        first, *others = launch(empty(panels, height, width, dtype=torch.float64), 0, panels, add=False)
        return functools.reduce(torch.add, others, first).to(out_dtype)
    total = launch(empty(height, width, dtype=torch.float64), 0, 1, add=False)
    for panel in range(1, panels):
        launch(total, panel, 1, add=True)
    return total.to(out_dtype)
