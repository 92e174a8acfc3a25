"""Convolutions on crossbars."""

import math
from functools import partial
from typing import Any, ClassVar

import torch

from ..checks import fail
from ._patches import Block, Window
from ._streamed import StreamedLayer, place

__all__ = ["Conv1d", "Conv2d", "Conv3d"]


class _Convolution(StreamedLayer):
    padding: Any
    padding_mode: Any

    def _weights(self) -> dict[str, Any]:
        return {
            part: each.flatten(1).mT for part, each in zip(self._parts(), self.weight.chunk(self.groups), strict=True)
        }

    def _around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        # elements added before and behind each axis
        if isinstance(self.padding, str):
            gaps = [gap * (size - 1) for size, gap in zip(self.kernel_size, self.dilation, strict=True)]
            total = gaps if self.padding == "same" else [0] * len(gaps)
            return tuple(each // 2 for each in total), tuple(each - each // 2 for each in total)
        return tuple(self.padding), tuple(self.padding)

    def forward(self, input: Any) -> Any:
        """Return the convolution, shape (N, out_channels, *positions); without N for one image."""
        self._begin()
        images = self._images(input)
        before, after = self._around()
        window = Window(self.kernel_size, self.stride, self.dilation, before, after)
        positions = window.positions(tuple(images.shape[2:]))
        if min(positions) <= 0:
            fail(
                ValueError,
                f"layer {self.name!r}: input of shape {tuple(input.shape)} is smaller, with its padding, than the "
                f"kernel {self.kernel_size} at dilation {self.dilation}: give larger images, or more padding",
            )
        prepare = None
        if self.padding_mode != "zeros" and any(before + after):
            pads = [each for pair in zip(before[::-1], after[::-1], strict=True) for each in pair]
            prepare = partial(torch.nn.functional.pad, pad=pads, mode=self.padding_mode)
            window = Window(self.kernel_size, self.stride, self.dilation, (0,) * len(before), (0,) * len(before))
        depth = images.shape[1] // self.groups * math.prod(self.kernel_size)
        streamed = self._streamed(images, positions, max(depth, self.out_channels), window.patches, prepare)
        if not self._in_place(images):
            # rows in order are those of the whole
            whole = torch.cat([self._biased(y) for _, y in streamed])
            found = whole.reshape(images.shape[0], *positions, -1).movedim(-1, 1).contiguous()
            return found if input is images else found.squeeze(0)
        y: Any = None
        for block, rows in streamed:
            if y is None:
                y = rows.new_empty((images.shape[0], self.out_channels, *positions))
            y = place(y, self._biased(rows), partial(_write, block), partial(_fetch, block))
        return y if input is images else y.squeeze(0)

    def _biased(self, y: Any) -> Any:
        return y if self.bias is None else y + self.bias.to(y.dtype)


def _at(block: Block) -> tuple[slice, ...]:
    (first, last), *ranges = block.ranges
    return (slice(first, last), slice(None), *(slice(start, stop) for start, stop in ranges))


def _write(block: Block, whole: Any, rows: Any) -> None:
    counts = tuple(stop - start for start, stop in block.ranges)
    whole[_at(block)] = rows.reshape(*counts, rows.shape[-1]).movedim(-1, 1)


def _fetch(block: Block, whole: Any) -> Any:
    part = whole[_at(block)].movedim(1, -1)
    return part.reshape(math.prod(part.shape[:-1]), part.shape[-1])


class Conv1d(_Convolution, torch.nn.Conv1d):
    """``torch.nn.Conv1d`` whose products are read from crossbars; see `Conv2d`.

    Examples
    --------
    >>> import mpimpy
    >>> engine = mpimpy.DPETensor(seed=0)
    >>> layer = Conv1d.from_digital(torch.nn.Conv1d(2, 4, 3, padding=1), engine, "filter")
    >>> layer(torch.ones(5, 2, 16)).shape
    torch.Size([5, 4, 16])
    """

    digital: ClassVar[type] = torch.nn.Conv1d


class Conv2d(_Convolution, torch.nn.Conv2d):
    """``torch.nn.Conv2d`` whose products are read from crossbars; the bias is digital.

    Parameters, ``state_dict`` and arguments of `forward` are torch's. `convert_` makes it, or `from_digital`.

    The weights of a group are one matrix, (channels * elements of the kernel, output channels), with cells of its
    own; its inputs are the patches under the kernel, padding included. Patches are gathered in blocks, and again in
    the backward pass, so that their whole matrix never exists. All blocks are one read: the results are, to the last
    bit, those of a product with the whole matrix, whose rows are the positions of the first image, then of the next.
    An input format that shares a scale among rows is cut only where its blocks end, and "per-matrix" not at all.

    Raises
    ------
    ValueError
        If the input has another number of axes or channels, or is smaller than the kernel; or as a product does.

    Examples
    --------
    >>> import mpimpy
    >>> engine = mpimpy.DPETensor(seed=0)
    >>> layer = Conv2d.from_digital(torch.nn.Conv2d(3, 8, 3, stride=2), engine, "stem")
    >>> layer(torch.ones(2, 3, 9, 9)).shape
    torch.Size([2, 8, 4, 4])
    """

    digital: ClassVar[type] = torch.nn.Conv2d


class Conv3d(_Convolution, torch.nn.Conv3d):
    """``torch.nn.Conv3d`` whose products are read from crossbars; see `Conv2d`.

    Examples
    --------
    >>> import mpimpy
    >>> engine = mpimpy.DPETensor(seed=0)
    >>> layer = Conv3d.from_digital(torch.nn.Conv3d(1, 2, 3), engine, "volume")
    >>> layer(torch.ones(1, 1, 4, 4, 4)).shape
    torch.Size([1, 2, 2, 2, 2])
    """

    digital: ClassVar[type] = torch.nn.Conv3d
