"""Bits of sixty-four integers as one, inside Numba kernels; as in `_lanes`, the same function runs as plain Python."""

import numpy as np
from llvmlite import ir
from numba.core import types

from ._lanes import _address, _compiled, _load

__all__ = ["bits64"]


def bits64(array, at, bit):
    """Return bit number `bit` of 64 elements of an integer array, as the bits of one int64."""
    found = (array[at : at + 64].astype(np.int64) >> bit) & 1
    return np.int64(sum(int(value) << place for place, value in enumerate(found[:63])) - (int(found[63]) << 63))


@_compiled(bits64, lambda array, at, bit: types.int64, types.Array, types.Integer, types.Integer)
def _(context, builder, signature, arguments):
    kind, index_kind, bit_kind = signature.args
    vector = ir.VectorType(context.get_data_type(kind.dtype), 64)
    value = _load(builder, _address(context, builder, kind, arguments[0], index_kind, arguments[1], vector))
    bit = context.cast(builder, arguments[2], bit_kind, kind.dtype)
    one = builder.shl(ir.Constant(vector.element, 1), bit)
    place = ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64)
    empty = ir.Constant(vector, ir.Undefined)
    mask = builder.shuffle_vector(builder.insert_element(empty, one, ir.Constant(ir.IntType(32), 0)), empty, place)
    found = builder.icmp_signed("!=", builder.and_(value, mask), ir.Constant(vector, None))
    return builder.bitcast(found, ir.IntType(64))
