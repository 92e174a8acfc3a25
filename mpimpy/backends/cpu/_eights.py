"""Vectors of eight float64 inside Numba kernels: see `_lanes`, whose ``+``, ``*`` and `store` take them.

Where blocks of a few rows stay in registers, sixteen are too many.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from ._lanes import Lanes, _address, _compiled, _load, _operand, _vector

__all__ = ["EIGHT", "after", "from_one", "load8", "transpose", "tree", "up_to"]

EIGHT = 8
EIGHTS = Lanes(types.float64, EIGHT)
_PLACES = list(range(EIGHT))


def load8(array, at):
    """Return eight elements of a float64 array."""
    return array[at : at + EIGHT].copy()


@_compiled(load8, lambda array, at: EIGHTS, types.Array, types.Integer)
def _(context, builder, signature, arguments):
    kinds = signature.args
    return _load(builder, _address(context, builder, kinds[0], arguments[0], kinds[1], arguments[1], _vector(EIGHTS)))


def from_one(number):
    """Return a float in every lane."""
    return np.full(EIGHT, number)


@_compiled(from_one, lambda number: EIGHTS, types.Float)
def _(context, builder, signature, arguments):
    return _operand(context, builder, signature.args[0], arguments[0], EIGHTS)


def after(lanes, place):
    """Return lanes with zeros up to `place`."""
    return np.where(np.arange(EIGHT) > place, lanes, 0.0)


def up_to(lanes, place, last):
    """Return lanes before `place`, then `last`, then zeros."""
    return np.where(np.arange(EIGHT) < place, lanes, np.where(np.arange(EIGHT) == place, last, 0.0))


def _compare(context, builder, kind, place, sign):
    integers = ir.VectorType(ir.IntType(64), EIGHT)
    place = context.cast(builder, place, kind, types.int64)
    empty = ir.Constant(integers, ir.Undefined)
    first = builder.insert_element(empty, place, ir.Constant(ir.IntType(32), 0))
    everywhere = builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(ir.IntType(32), EIGHT), [0] * EIGHT))
    return builder.icmp_signed(sign, ir.Constant(integers, _PLACES), everywhere)


@_compiled(after, lambda lanes, place: lanes, Lanes, types.Integer)
def _(context, builder, signature, arguments):
    chosen = _compare(context, builder, signature.args[1], arguments[1], ">")
    return builder.select(chosen, arguments[0], ir.Constant(_vector(EIGHTS), None))


@_compiled(up_to, lambda lanes, place, last: lanes, Lanes, types.Integer, types.Float)
def _(context, builder, signature, arguments):
    lanes, place, last = arguments
    kinds, zero = signature.args, ir.Constant(_vector(EIGHTS), None)
    last = _operand(context, builder, kinds[2], last, EIGHTS)
    lanes = builder.select(_compare(context, builder, kinds[1], place, "<"), lanes, zero)
    return builder.select(_compare(context, builder, kinds[1], place, "=="), last, lanes)


def tree(lanes):
    """Return the sum of all lanes: the upper half is added to the lower one, and so on."""
    for half in (4, 2, 1):
        lanes = lanes[:half] + lanes[half : 2 * half]
    return lanes[0]


def _part(builder, value, places):
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask)


@_compiled(tree, lambda lanes: types.float64, Lanes)
def _(context, builder, signature, arguments):
    (lanes,) = arguments
    for half in (4, 2, 1):
        lanes = builder.fadd(_part(builder, lanes, _PLACES[:half]), _part(builder, lanes, _PLACES[half : 2 * half]))
    return builder.extract_element(lanes, ir.Constant(ir.IntType(32), 0))


def transpose(source, at, pitch, target, to, step):
    """Write eight rows of eight, from `at` on and `pitch` apart, as columns of rows from `to` on, `step` apart."""
    block = np.array([source[at + row * pitch : at + row * pitch + EIGHT] for row in range(EIGHT)])
    for row in range(EIGHT):
        target[to + row * step : to + row * step + EIGHT] = block[:, row]


def _pairs(builder, a, b, width):
    # of two rows: even groups of `width` elements of both in turn, and odd ones
    low = [k + (EIGHT if k // width % 2 else 0) - (width if k // width % 2 else 0) for k in _PLACES]
    masks = low, [k + width for k in low]
    return [builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), EIGHT), mask)) for mask in masks]


@_compiled(
    transpose,
    lambda source, at, pitch, target, to, step: types.none,
    types.Array,
    types.Integer,
    types.Integer,
    types.Array,
    types.Integer,
    types.Integer,
)
def _(context, builder, signature, arguments):
    kinds, vector = signature.args, _vector(EIGHTS)

    def place(first, row):
        # a pointer to a row of the array that is argument `first`
        array, start, apart = (
            context.cast(builder, arguments[first + k], kinds[first + k], types.intp) if k else arguments[first]
            for k in range(3)
        )
        start = builder.add(start, builder.mul(apart, ir.Constant(apart.type, row)))
        return _address(context, builder, kinds[first], array, types.intp, start, vector)

    rows = [_load(builder, place(0, row)) for row in _PLACES]
    for width in (1, 2, 4):
        for row in _PLACES:
            if not row & width:
                rows[row], rows[row + width] = _pairs(builder, rows[row], rows[row + width], width)
    for row in _PLACES:
        builder.store(rows[row], place(3, row)).align = 8
    return context.get_dummy_value()
