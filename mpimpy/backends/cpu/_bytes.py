"""Products of bytes inside Numba kernels; as in `_lanes`, the same functions run as plain Python.

Lanes of sixteen int32 hold thirty-two int16 here: the low halves those of one vector of columns, the high halves those
of the next.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from ._lanes import INT32, LANES, Lanes, _call, _compiled, _everywhere, _features

__all__ = ["byte_products", "pack_bytes"]

_SHORTS = ir.VectorType(ir.IntType(16), 2 * LANES)


def pack_bytes(low, high):
    """Return int32 lanes that hold two bytes each, in their low halves."""
    return low & 0xFF | (high & 0xFF) << 8


@_compiled(pack_bytes, lambda low, high: INT32, Lanes, Lanes)
def _(context, builder, signature, arguments):
    low, high = arguments
    mask, eight = (ir.Constant(low.type, [number] * LANES) for number in (0xFF, 8))
    return builder.or_(builder.and_(low, mask), builder.shl(builder.and_(high, mask), eight))


def byte_products(total, cells, code):
    """Return ``total`` plus the inner products of pairs of bytes, modulo 2**16 in each half of a lane.

    The bytes of `cells` are signed; those of `code`, twice the same two, are not. No sum of two products passes int16.
    """
    pairs, codes = cells.view(np.int8).astype(np.int16), np.array([code], np.int32).view(np.uint8).astype(np.int16)
    sums = pairs[::2] * codes[0] + pairs[1::2] * codes[1]
    return (total.view(np.int16) + sums).view(np.int32)


@_compiled(byte_products, lambda total, cells, code: INT32, Lanes, Lanes, types.Integer)
def _(context, builder, signature, arguments):
    total, cells, code = arguments
    code = _everywhere(builder, context.cast(builder, code, signature.args[2], types.int32), cells.type)
    product = _products(builder, cells, code, _features(context).split(","))
    return builder.bitcast(builder.add(builder.bitcast(total, _SHORTS), product), total.type)


def _products(builder, cells, code, features):
    # one instruction on processors that have it
    for feature, name, count in (("+avx512bw", "avx512.pmaddubs.w.512", 16), ("+avx2", "avx2.pmadd.ub.sw", 8)):
        if feature not in features:
            continue
        parts = []
        for start in range(0, LANES, count):
            mask = ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(start, start + count)))
            given, narrow = (ir.VectorType(ir.IntType(bits), 32 * count // bits) for bits in (8, 16))
            operands = [
                builder.bitcast(builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask), given)
                for value in (code, cells)
            ]
            parts.append(_call(builder, f"llvm.x86.{name}", narrow, operands))
        if len(parts) == 1:
            return parts[0]
        both = ir.Constant(ir.VectorType(ir.IntType(32), 2 * LANES), list(range(2 * LANES)))
        return builder.shuffle_vector(*parts, both)
    eight, mask = (ir.Constant(_SHORTS, [number] * 2 * LANES) for number in (8, 0xFF))
    cells, code = builder.bitcast(cells, _SHORTS), builder.bitcast(code, _SHORTS)
    low = builder.mul(builder.ashr(builder.shl(cells, eight), eight), builder.and_(code, mask))
    return builder.add(low, builder.mul(builder.ashr(cells, eight), builder.lshr(code, eight)))
