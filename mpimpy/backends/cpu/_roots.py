"""Square roots inside Numba kernels; as in `_lanes`, the same function runs as plain Python."""

import numpy as np

from ._lanes import Lanes, _call, _compiled, _suffix

__all__ = ["roots"]


def roots(lanes):
    """Return the square roots of real lanes, correctly rounded."""
    return np.sqrt(lanes)


@_compiled(roots, lambda lanes: lanes, Lanes)
def _(context, builder, signature, arguments):
    vector = arguments[0].type
    return _call(builder, f"llvm.sqrt.{_suffix(vector)}", vector, arguments)
