"""Vectors of sixteen numbers inside Numba kernels.

Numba has no vector type, and LLVM's own vectoriser does not see through tables and packed
integers. So the kernels name vectors themselves: a value of these functions is sixteen int32,
float32 or float64 in registers. LLVM cuts them to the processor's width: four registers of an old
one, one or two of a new one. Run as plain Python, the same functions work on NumPy arrays of
sixteen elements, so a kernel's ``py_func`` can check it.

Arrays are one-dimensional and contiguous. Sums and products are ``+`` and ``*``.
"""

import operator

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.extending import lower_builtin, register_model, type_callable

__all__ = [
    "LANES",
    "cells8",
    "cells16",
    "cells32",
    "clip",
    "floor",
    "item",
    "load",
    "muladd",
    "pack",
    "pair_product",
    "prefetch",
    "put",
    "real64",
    "rint",
    "store",
    "upper",
    "whole32",
    "zeros",
]

LANES = 16


class Lanes(types.Type):
    """Numba's type of sixteen numbers, or of `count`."""

    def __init__(self, element, count=LANES):
        super().__init__(name=f"Lanes({element}, {count})")
        self.element, self.count = element, count


INT32, FLOAT32, FLOAT64 = (Lanes(element) for element in (types.int32, types.float32, types.float64))
_ELEMENTS = {types.int32: ir.IntType(32), types.float32: ir.FloatType(), types.float64: ir.DoubleType()}


def _vector(lanes):
    return ir.VectorType(_ELEMENTS[lanes.element], lanes.count)


_INT32 = _vector(INT32)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, _vector(lanes))


def _constant(value, count=LANES):
    return ir.Constant(ir.VectorType(ir.IntType(32), count), [value] * count)


def _everywhere(builder, value, vector):
    # one number in every lane
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, _constant(0, vector.count))


def _operand(context, builder, kind, value, lanes):
    # a vector as it is, a number in every lane
    if isinstance(kind, Lanes):
        return value
    return _everywhere(builder, context.cast(builder, value, kind, lanes.element), _vector(lanes))


def _element(context, builder, kind, array, index_kind, index):
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [context.cast(builder, index, index_kind, types.intp)])


def _address(context, builder, kind, array, index_kind, index, vector):
    # a pointer to `vector` at an element of an array
    data = context.make_array(kind)(context, builder, array).data
    pointer = builder.bitcast(data, vector.element.as_pointer())
    pointer = builder.gep(pointer, [context.cast(builder, index, index_kind, types.intp)])
    return builder.bitcast(pointer, vector.as_pointer())


def _load(builder, pointer):
    # aligned as its elements are, no more: rows begin anywhere
    vector = pointer.type.pointee
    value = builder.load(pointer)
    value.align = _size(vector.element)
    return value


def _size(element):
    return {"float": 4, "double": 8}.get(str(element)) or element.width // 8


def _call(builder, name, vector, arguments):
    signature = ir.FunctionType(vector, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), arguments)


def _suffix(vector):
    return f"v{vector.count}" + {"float": "f32", "double": "f64"}[str(vector.element)]


def _features(context):
    return context.codegen().magic_tuple()[2]


def _compiled(function, typer, *kinds):
    """Give a function of this module its type and, by decoration, its code."""
    type_callable(function)(lambda context: typer)
    return lower_builtin(function, *kinds)


def _kind(dtype):
    return next(lanes for lanes in (INT32, FLOAT32, FLOAT64) if lanes.element == dtype)


def _converted(builder, value, lanes, element):
    # rounded to the nearest, as a cast does
    if lanes.element == element:
        return value
    vector = _vector(Lanes(element, lanes.count))
    if lanes == INT32:
        return builder.sitofp(value, vector)
    if element == types.int32:
        return builder.fptosi(value, vector)
    return builder.fptrunc(value, vector) if element == types.float32 else builder.fpext(value, vector)


def load(array, at):
    """Return sixteen elements of an int32, float32 or float64 array."""
    return array[at : at + LANES].copy()


@_compiled(load, lambda array, at: _kind(array.dtype), types.Array, types.Integer)
def _(context, builder, signature, arguments):
    pointer = _address(
        context,
        builder,
        signature.args[0],
        arguments[0],
        signature.args[1],
        arguments[1],
        _vector(signature.return_type),
    )
    return _load(builder, pointer)


def item(array, at):
    """Return one element: Numba's own indexing asks each time whether `at` is negative."""
    return array[at]


@_compiled(item, lambda array, at: array.dtype, types.Array, types.Integer)
def _(context, builder, signature, arguments):
    return builder.load(_element(context, builder, signature.args[0], arguments[0], signature.args[1], arguments[1]))


def put(array, at, value):
    """Write one element: as `item`, without the question whether `at` is negative."""
    array[at] = value


@_compiled(put, lambda array, at, value: types.none, types.Array, types.Integer, types.Number)
def _(context, builder, signature, arguments):
    kind, index_kind, value_kind = signature.args
    pointer = _element(context, builder, kind, arguments[0], index_kind, arguments[1])
    builder.store(context.cast(builder, arguments[2], value_kind, kind.dtype), pointer)
    return context.get_dummy_value()


def _make_cells(width):
    dtype, element = np.dtype(f"int{width}"), ir.IntType(width)

    def cells(memory, at):
        return memory[at * dtype.itemsize : (at + LANES) * dtype.itemsize].view(dtype).astype(np.int32)

    @_compiled(cells, lambda memory, at: INT32, types.Array, types.Integer)
    def _(context, builder, signature, arguments):
        vector = ir.VectorType(element, LANES)
        kinds = signature.args
        value = _load(builder, _address(context, builder, kinds[0], arguments[0], kinds[1], arguments[1], vector))
        return builder.sext(value, _INT32) if width < 32 else value

    cells.__doc__ = f"Return sixteen int{width}, as int32, from memory (an int8 array) that holds nothing else."
    return cells


cells8, cells16, cells32 = (_make_cells(width) for width in (8, 16, 32))


def store(array, at, lanes):
    """Write all elements, rounded to the array's dtype."""
    array[at : at + len(lanes)] = lanes


@_compiled(store, lambda array, at, lanes: types.none, types.Array, types.Integer, Lanes)
def _(context, builder, signature, arguments):
    kind, index_kind, lanes = signature.args
    value = _converted(builder, arguments[2], lanes, kind.dtype)
    pointer = _address(context, builder, kind, arguments[0], index_kind, arguments[1], value.type)
    builder.store(value, pointer).align = _size(value.type.element)
    return context.get_dummy_value()


def zeros(number):
    """Return lanes of zeros, of the type of `number`: np.int32, np.float32 or np.float64."""
    return np.zeros(LANES, type(number))


@_compiled(zeros, lambda number: _kind(number), types.Number)
def _(context, builder, signature, arguments):
    return ir.Constant(_vector(signature.return_type), None)


def _arithmetic(function, integer, real):
    def typer(a, b):
        return a if isinstance(a, Lanes) and (a == b or isinstance(b, types.Number)) else None

    @_compiled(function, typer, Lanes, types.Any)
    def lower(context, builder, signature, arguments):
        lanes = signature.args[0]
        name = integer if lanes == INT32 else real
        return getattr(builder, name)(arguments[0], _operand(context, builder, signature.args[1], arguments[1], lanes))


_arithmetic(operator.add, "add", "fadd")
_arithmetic(operator.mul, "mul", "fmul")


def clip(lanes, low, high):
    """Return real lanes within ``low .. high``; -0.0 counts as 0.0."""
    return np.where(lanes > low, np.where(lanes < high, lanes, high), low).astype(lanes.dtype)


@_compiled(clip, lambda lanes, low, high: lanes, Lanes, types.Float, types.Float)
def _(context, builder, signature, arguments):
    value, low, high = (
        _operand(context, builder, kind, argument, signature.args[0])
        for kind, argument in zip(signature.args, arguments, strict=True)
    )
    value = builder.select(builder.fcmp_ordered(">", value, low), value, low)
    return builder.select(builder.fcmp_ordered("<", value, high), value, high)


def rint(lanes):
    """Return real lanes rounded to integers, half to even."""
    return np.rint(lanes)


def floor(lanes):
    """Return real lanes rounded down to integers."""
    return np.floor(lanes)


def _rounding(function):
    @_compiled(function, lambda lanes: lanes, Lanes)
    def _(context, builder, signature, arguments):
        vector = arguments[0].type
        return _call(builder, f"llvm.{function.__name__}.{_suffix(vector)}", vector, arguments)


_rounding(rint)
_rounding(floor)


def muladd(a, b, c):
    """Return ``a * b + c`` where it is exact: whether it is fused is the processor's choice."""
    return a * b + c


@_compiled(muladd, lambda a, b, c: a, Lanes, types.Any, Lanes)
def _(context, builder, signature, arguments):
    a, b, c = arguments
    b = _operand(context, builder, signature.args[1], b, signature.args[0])
    return _call(builder, f"llvm.fmuladd.{_suffix(a.type)}", a.type, [a, b, c])


def real64(lanes):
    """Return lanes as float64, exactly."""
    return lanes.astype(np.float64)


def whole32(lanes):
    """Return real lanes that hold integers as int32."""
    return lanes.astype(np.int32)


def _conversion(function, result):
    @_compiled(function, lambda lanes: result, Lanes)
    def _(context, builder, signature, arguments):
        return _converted(builder, arguments[0], signature.args[0], result.element)


_conversion(real64, FLOAT64)
_conversion(whole32, INT32)


def prefetch(memory, at):
    """Ask for the cache line that holds byte `at` of an int8 array; anything may be asked for."""


@_compiled(prefetch, lambda memory, at: types.none, types.Array, types.Integer)
def _(context, builder, signature, arguments):
    kind, index_kind = signature.args
    byte = ir.VectorType(ir.IntType(8), 1)
    pointer = _address(context, builder, kind, arguments[0], index_kind, arguments[1], byte)
    pointer = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    integer = ir.IntType(32)
    signature = ir.FunctionType(ir.VoidType(), [pointer.type, *[integer] * 3])
    function = cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0")
    # a read, of data that is needed soon and often
    builder.call(function, [pointer, integer(0), integer(3), integer(1)])
    return context.get_dummy_value()


def pack(low, high):
    """Return int32 lanes that hold two int16 each."""
    return low & 0xFFFF | high << 16


@_compiled(pack, lambda low, high: INT32, Lanes, Lanes)
def _(context, builder, signature, arguments):
    low = builder.and_(arguments[0], _constant(0xFFFF))
    return builder.or_(low, builder.shl(arguments[1], _constant(16)))


def upper(lanes):
    """Return int32 lanes of the upper halves: ``upper(v) * 2**16`` plus the lower half of v, an int16, is v."""
    return lanes + 0x8000 >> 16


@_compiled(upper, lambda lanes: INT32, Lanes)
def _(context, builder, signature, arguments):
    return builder.ashr(builder.add(arguments[0], _constant(0x8000)), _constant(16))


def _halves(value):
    return value << 16 >> 16, value >> 16


def pair_product(total, cells, code):
    """Return ``total`` plus the inner products of packed pairs: those of `cells`, and the one pair `code`."""
    (a, b), (c, d) = _halves(cells), _halves(np.int32(code))
    return total + a * c + b * d


@_compiled(pair_product, lambda total, cells, code: INT32, Lanes, Lanes, types.Integer)
def _(context, builder, signature, arguments):
    total, cells = arguments[:2]
    code = _operand(context, builder, signature.args[2], arguments[2], INT32)
    # one instruction on processors that have it; LLVM adds the sum to it where it can
    for feature, name, count in (("+avx512bw", "avx512.pmaddw.d.512", 16), ("+avx2", "avx2.pmadd.wd", 8)):
        if feature in _features(context).split(","):
            parts = []
            for start in range(0, LANES, count):
                mask = ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(start, start + count)))
                wide, narrow = ir.VectorType(ir.IntType(16), 2 * count), ir.VectorType(ir.IntType(32), count)
                operands = [
                    builder.bitcast(builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask), wide)
                    for value in (cells, code)
                ]
                parts.append(_call(builder, f"llvm.x86.{name}", narrow, operands))
            product = parts[0]
            if len(parts) == 2:
                product = builder.shuffle_vector(*parts, ir.Constant(_INT32, list(range(LANES))))
            return builder.add(total, product)
    sixteen = _constant(16)
    low, high = (
        builder.mul(*pair)
        for pair in zip(
            *(
                (builder.ashr(builder.shl(value, sixteen), sixteen), builder.ashr(value, sixteen))
                for value in (cells, code)
            ),
            strict=True,
        )
    )
    return builder.add(total, builder.add(low, high))
