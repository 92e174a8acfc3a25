"""Errors of the ADCs, made ready for the Triton read kernel."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ... import noise
from ..frozen import column_entries
from ..reading import ROW_BITS, Errors
from ._numbers import flat, signed

__all__ = ["KernelErrors", "kernel_errors", "no_errors"]


class KernelErrors(NamedTuple):
    """Errors of ADCs, as the kernel takes them.

    Attributes
    ----------
    tensors : tuple of tensors
        Gains and normal numbers of the columns, amplitudes of the offset, table of normal numbers,
        amplitudes of the noise.
    numbers : tuple of int
        Addresses of the noise, as the kernel's arguments have them from `lead` to `key_1`.
    on : dict
        Which are on.
    lead : int
        Columns before the first one in its group of eight.
    """

    tensors: tuple[Any, ...]
    numbers: tuple[int, ...]
    on: dict[str, bool]
    lead: int


def no_errors(none: Any) -> KernelErrors:
    """Return the arguments of a kernel that knows no errors; `none` is any tensor."""
    return KernelErrors((none,) * 5, (0,) * 8, {"GAIN": False, "OFFSET": False, "NOISE": False}, 0)


def kernel_errors(
    errors: Errors, zeros: Any, none: Any, constant: Callable[..., Any], perturb: Callable[..., Any]
) -> KernelErrors:
    """Return errors of ADCs as the kernel takes them.

    Parameters
    ----------
    errors : Errors
    zeros : int8 tensor, shape (``errors.array`` + weight slices, tiles, columns)
        On the device.
    none : tensor
        Stands for what is off.
    constant, perturb : functions
        Of this backend.
    """
    where, lead, numbers = zeros.device, 0, (0,) * 8
    gains = offsets = offset = normals = sigmas = none
    if errors.gain is not None:
        gains = column_entries(zeros, errors.gain, noise.ADC_GAIN, errors, perturb)
    if errors.offset is not None:
        offsets = column_entries(zeros, noise.normal_table(), noise.ADC_OFFSET, errors, perturb)
        offset = constant(flat(errors.offset), torch.int64, where)
    if errors.noise is not None:
        normals = constant(noise.normal_table(), torch.int32, where)
        sigmas = constant(flat(errors.noise), torch.int64, where)
        address = errors.address._replace(purpose=noise.ADC_NOISE)
        first, lead = divmod(address.col, 8)
        words = first, (errors.tile << ROW_BITS) + address.row, address.read, noise.counter_word(address, errors.pair)
        numbers = lead, *map(signed, words), errors.pairs, *map(signed, address.key)
    on = {"GAIN": errors.gain is not None, "OFFSET": errors.offset is not None, "NOISE": errors.noise is not None}
    return KernelErrors((gains, offsets, offset, normals, sigmas), numbers, on, lead)
