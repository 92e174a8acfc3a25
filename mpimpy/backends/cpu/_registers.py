"""The number of a processor's vector registers, a constant inside Numba kernels; see `_lanes`."""

from numba.core import types

from ._lanes import _compiled, _features

__all__ = ["registers"]


def registers():
    """Return how many vectors a processor holds in registers: 32, of sixteen numbers each, or 16 smaller ones."""
    return 32


@_compiled(registers, lambda: types.intp)
def _(context, builder, signature, arguments):
    return context.get_constant(types.intp, 32 if "+avx512f" in _features(context).split(",") else 16)
