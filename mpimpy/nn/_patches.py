"""Patches of images: the rows of the matrix that makes a convolution a product, gathered block by block."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

__all__ = ["Block", "Window", "blocks", "images_at_a_time"]

Ranges = tuple[tuple[int, int], ...]  # (start, stop) along each axis


class Block(NamedTuple):
    """Consecutive rows of a matrix whose rows are the positions of a grid, the last axis the fastest.

    Attributes
    ----------
    first_row : int
    ranges : tuple of (int, int)
        Start and stop along each axis of the grid.
    """

    first_row: int
    ranges: Ranges


def _cut(sizes: tuple[int, ...], most: int, unit: int) -> tuple[int, int]:
    # the axis that is cut, and the positions along it in a block: axes before it go one by one, axes behind it whole
    axis = next(axis for axis in range(len(sizes)) if math.prod(sizes[axis + 1 :]) <= most or axis == len(sizes) - 1)
    while axis and math.prod(sizes[axis:]) % unit:
        axis -= 1
    rows = math.prod(sizes[axis + 1 :])
    step = unit // math.gcd(rows, unit)
    return axis, max(step, most // rows // step * step)


def blocks(sizes: tuple[int, ...], most: int, unit: int = 1) -> Iterator[Block]:
    """Yield the blocks of a grid in the order of their rows; one without rows for an empty grid.

    Parameters
    ----------
    sizes : tuple of int
    most : int
        Rows of a block, where `unit` allows.
    unit : int
        A block begins at a multiple of this many rows.

    Examples
    --------
    >>> [block.first_row for block in blocks((2, 4, 5), 10)]
    [0, 10, 20, 30]
    >>> list(blocks((2, 3), 1, unit=4))
    [Block(first_row=0, ranges=((0, 2), (0, 3)))]
    """
    total = math.prod(sizes)
    if total <= most:
        yield Block(0, tuple((0, size) for size in sizes))
        return
    axis, step = _cut(sizes, most, unit)
    rows, behind = math.prod(sizes[axis + 1 :]), tuple((0, size) for size in sizes[axis + 1 :])
    for number, lead in enumerate(itertools.product(*map(range, sizes[:axis]))):
        for start in range(0, sizes[axis], step):
            ahead = tuple((index, index + 1) for index in lead)
            here = (start, min(start + step, sizes[axis]))
            yield Block((number * sizes[axis] + start) * rows, (*ahead, here, *behind))


def images_at_a_time(sizes: tuple[int, ...], most: int, unit: int = 1) -> int:
    """Return the positions along the first axis in a block of `blocks`, at most; the last block may have fewer."""
    if math.prod(sizes) <= most:
        return max(1, sizes[0])
    axis, step = _cut(sizes, most, unit)
    return 1 if axis else step


@dataclass(frozen=True)
class Window:
    """Window that a convolution moves over images.

    Attributes
    ----------
    kernel, stride, dilation, before, after : tuple of int
        Per axis of an image; the last two count the zeros around it.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def spans(self) -> tuple[int, ...]:
        """Elements from the first of a window to its last, per axis."""
        return tuple(gap * (size - 1) + 1 for size, gap in zip(self.kernel, self.dilation, strict=True))

    def positions(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the numbers of positions of the window on images, per axis; 0 or less where it does not fit."""
        around = zip(sizes, self.before, self.after, self.spans, self.stride, strict=True)
        return tuple((size + before + after - span) // stride + 1 for size, before, after, span, stride in around)

    def patches(self, images: Any, ranges: Ranges) -> Any:
        """Return the patches of images at a block of positions.

        Parameters
        ----------
        images : tensor, shape (n, C, *sizes)
        ranges : tuple of (int, int)
            Start and stop of the positions, per axis of an image.

        Returns
        -------
        tensor, shape (n * positions, C * prod(kernel))
        """
        around: list[int] = []
        for axis, (start, stop) in enumerate(ranges):
            size, first = images.shape[2 + axis], start * self.stride[axis] - self.before[axis]
            length = max(0, (stop - 1 - start) * self.stride[axis] + self.spans[axis])
            low = min(max(first, 0), size)
            high = max(low, min(first + length, size))
            images = images.narrow(2 + axis, low, high - low)
            zeros = min(max(-first, 0), length)
            around = [zeros, length - zeros - (high - low), *around]
        if any(around):
            images = torch.nn.functional.pad(images, around)
        for axis, (span, stride, gap) in enumerate(zip(self.spans, self.stride, self.dilation, strict=True)):
            images = images.unfold(2 + axis, span, stride)[..., ::gap]
        # (n, C, *positions, *kernel): the positions before the channels
        axes = len(self.kernel)
        rows = images.permute(0, *range(2, 2 + axes), 1, *range(2 + axes, 2 + 2 * axes))
        return rows.reshape(math.prod(rows.shape[: 1 + axes]), math.prod(rows.shape[1 + axes :]))

    def add_patches(self, images: Any, rows: Any, block: Block) -> None:
        """Add patches to images, in place, where they overlap: the adjoint of `patches`.

        Every element adds its patches in the order of their positions, so blocks in order give the bits of the whole.

        Parameters
        ----------
        images : tensor, shape (N, C, *sizes)
        rows : tensor, shape (n * positions, C * prod(kernel))
        block : Block
            Range of images, and ranges of positions.
        """
        (first, last), *ranges = block.ranges
        counts = tuple(stop - start for start, stop in ranges)
        values = rows.reshape(last - first, *counts, images.shape[1], *self.kernel)
        for offsets in itertools.product(*(range(size - 1, -1, -1) for size in self.kernel)):
            source, target = [slice(None)], [slice(first, last), slice(None)]
            for axis, (offset, (start, stop)) in enumerate(zip(offsets, ranges, strict=True)):
                stride, at = self.stride[axis], offset * self.dilation[axis] - self.before[axis]
                low = max(start, -(at // stride))
                high = min(stop, (images.shape[2 + axis] - 1 - at) // stride + 1)
                if high <= low:
                    break
                source.append(slice(low - start, high - start))
                target.append(slice(low * stride + at, (high - 1) * stride + at + 1, stride))
            else:
                images[tuple(target)] += values[(*source, slice(None), *offsets)].movedim(-1, 1)
