"""Input slices that meet cells of their own: a read for each, where read variation is drawn anew for every slice.

The products of the slices are added up in order: the planes of the inputs one after the other, in each the least
significant slice first. Each is rounded as a product of one slice is.
"""

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from .. import noise
from .._caches import bounded
from ..backends import Errors
from ..noise import Address
from .plan import Plan, sum_of_products

__all__ = ["Piece", "address_of", "pieces"]


class Piece(NamedTuple):
    """One input slice of one plane: which it is, and what a product of it alone takes.

    Attributes
    ----------
    number : int
        Of the slice, planes counted.
    plane : int
        Of the inputs.
    plan : Plan
    errors : mpimpy.backends.Errors or None
        Their random numbers are those of the slice in a read of all slices.
    """

    number: int
    plane: int
    plan: Plan
    errors: Errors | None


@bounded(256, lambda *_: 256)
def _key(key: int, number: int) -> int:
    return noise.derive(key, "input slice", number)


def address_of(address: Address, number: int | None) -> Address:
    """Return the address of what cells draw while an input slice is read: keys of its own, from seed and stream.

    None: while all slices are.
    """
    if number is None:
        return address
    stream = None if address.stream is None else _key(address.stream, number)
    return address._replace(seed=_key(address.seed, number), stream=stream)


@functools.lru_cache(maxsize=256)
def _plan_of(plan: Plan, index: int) -> Plan:
    # of one input slice alone
    def column(table: Any) -> Any:
        return None if table is None else tuple(row[index : index + 1] for row in table)

    reading, one = plan.reading, slice(index, index + 1)
    origins, weights = column(reading.adc_origin), column(reading.shift_weights)
    reading = replace(
        reading,
        strides=reading.strides[one],
        widths=None if reading.widths is None else reading.widths[one],
        adc_gain=column(reading.adc_gain),
        code_range=None if reading.code_range is None else tuple(map(column, reading.code_range)),
        digit_units=column(reading.digit_units),
        shift_weights=weights,
        adc_origin=origins,
        tile_sum=sum_of_products(origins, weights) if reading.tile_sum else 0.0,
    )
    return replace(plan, x_strides=plan.x_strides[one], input_shifts=plan.input_shifts[one], reading=reading)


def pieces(plan: Plan, planes: int, errors: Errors | None) -> Iterator[Piece]:
    """Yield every input slice, in the order in which their products are added.

    Parameters
    ----------
    plan : Plan
        Of all slices.
    planes : int
        Planes of the inputs.
    errors : mpimpy.backends.Errors or None
        Of all slices.
    """
    slices = len(plan.x_strides)
    for number in range(planes * slices):
        plane, index = divmod(number, slices)
        own = errors
        if errors is not None:
            offset, jitter = (
                None if table is None else tuple(row[index : index + 1] for row in table)
                for table in (errors.offset, errors.noise)
            )
            own = replace(errors, pair=errors.pair + number, offset=offset, noise=jitter)
        yield Piece(number, plane, _plan_of(plan, index), own)
