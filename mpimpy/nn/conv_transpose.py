"""Transposed convolutions on crossbars."""

import math
from functools import partial
from typing import Any, ClassVar

import torch

from ..checks import fail
from ._patches import Block, Ranges, Window
from ._streamed import StreamedLayer, place

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_TorchTransposed: Any = torch.nn.modules.conv._ConvTransposeNd


class _TransposedConvolution(StreamedLayer):
    padding: Any

    def _weights(self) -> dict[str, Any]:
        return {part: each.flatten(1) for part, each in zip(self._parts(), self.weight.chunk(self.groups), strict=True)}

    def forward(self, input: Any, output_size: list[int] | None = None) -> Any:
        """Return the transposed convolution, shape (N, out_channels, *sizes); without N for one image.

        Parameters
        ----------
        input : tensor, shape (N, in_channels, *sizes)
        output_size : list of int, optional
            Sizes of the output, where several fit.
        """
        self._begin()
        images, sizes = self._images(input), self._sizes(input, output_size)
        window = Window(self.kernel_size, self.stride, self.dilation, self.padding, self.padding)
        width = max(self.in_channels, self.out_channels * math.prod(self.kernel_size))
        positions = tuple(images.shape[2:])
        streamed = self._streamed(images, positions, width, _pixels)
        if self._in_place(images):
            y: Any = None
            dtype: Any = None
            for block, rows in streamed:
                if y is None:
                    y, dtype = self._zeros(rows, images.shape[0], sizes), rows.dtype
                y = place(y, rows, partial(_add, window, block), partial(_fetch, window, block))
        else:
            found = [rows for _, rows in streamed]
            rows, dtype = torch.cat(found), found[0].dtype
            y = self._zeros(rows, images.shape[0], sizes)
            whole = Block(0, tuple((0, size) for size in (images.shape[0], *positions)))
            window.add_patches(y, rows, whole)
        y = y.to(dtype)
        if self.bias is not None:
            y = y + self.bias.to(y.dtype).reshape(-1, *(1,) * len(sizes))
        return y if input is images else y.squeeze(0)

    def _zeros(self, rows: Any, number: int, sizes: tuple[int, ...]) -> Any:
        # sums of narrow floats are rounded once, at the end
        wide = torch.promote_types(rows.dtype, torch.float32)
        return rows.new_zeros((number, self.out_channels, *sizes), dtype=wide)

    def _sizes(self, given: Any, output_size: list[int] | None) -> tuple[int, ...]:
        axes, module = len(self.kernel_size), _TorchTransposed
        settings = (list(each) for each in (self.stride, self.padding, self.kernel_size))
        more = module._output_padding(self, given, output_size, *settings, axes, list(self.dilation))
        sizes = []
        for axis, (size, extra) in enumerate(zip(given.shape[-axes:], more, strict=True)):
            stride, gap = self.stride[axis], self.dilation[axis]
            if extra >= max(stride, gap):
                fail(
                    ValueError,
                    f"layer {self.name!r}: output_padding={tuple(more)} must be smaller than the stride {self.stride} "
                    f"or the dilation {self.dilation}",
                )
            sizes.append((size - 1) * stride - 2 * self.padding[axis] + gap * (self.kernel_size[axis] - 1) + extra + 1)
        if min(sizes) <= 0:
            fail(
                ValueError,
                f"layer {self.name!r}: input of shape {tuple(given.shape)} with padding={self.padding} gives an output "
                f"of sizes {tuple(sizes)}: give larger images, or less padding",
            )
        return tuple(sizes)


def _pixels(images: Any, ranges: Ranges) -> Any:
    # each position of images, its channels a row
    for axis, (start, stop) in enumerate(ranges):
        images = images.narrow(2 + axis, start, stop - start)
    rows = images.movedim(1, -1)
    return rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])


def _add(window: Window, block: Block, whole: Any, rows: Any) -> None:
    window.add_patches(whole, rows, block)


def _fetch(window: Window, block: Block, whole: Any) -> Any:
    (first, last), *ranges = block.ranges
    return window.patches(whole[first:last], tuple(ranges))


class ConvTranspose1d(_TransposedConvolution, torch.nn.ConvTranspose1d):
    """``torch.nn.ConvTranspose1d`` whose products are read from crossbars; see `ConvTranspose2d`.

    Examples
    --------
    >>> import mpimpy
    >>> engine = mpimpy.DPETensor(seed=0)
    >>> layer = ConvTranspose1d.from_digital(torch.nn.ConvTranspose1d(2, 4, 3, stride=2), engine, "up")
    >>> layer(torch.ones(5, 2, 8)).shape
    torch.Size([5, 4, 17])
    """

    digital: ClassVar[type] = torch.nn.ConvTranspose1d


class ConvTranspose2d(_TransposedConvolution, torch.nn.ConvTranspose2d):
    """``torch.nn.ConvTranspose2d`` whose products are read from crossbars; overlaps and bias are added digitally.

    Parameters, ``state_dict`` and arguments of `forward` are torch's. `convert_` makes it, or `from_digital`.

    The weights of a group are one matrix, (input channels, output channels * elements of the kernel), with cells of
    its own; its inputs are the channels of each position. Positions are multiplied in blocks that are one read, as
    those of `Conv2d` are, and each block's products are added into the output where they overlap.

    Raises
    ------
    ValueError
        If the input has another number of axes or channels, or no output of that size exists; or as a product does.

    Examples
    --------
    >>> import mpimpy
    >>> engine = mpimpy.DPETensor(seed=0)
    >>> layer = ConvTranspose2d.from_digital(torch.nn.ConvTranspose2d(4, 2, 2, stride=2), engine, "up")
    >>> layer(torch.ones(1, 4, 5, 5)).shape
    torch.Size([1, 2, 10, 10])
    """

    digital: ClassVar[type] = torch.nn.ConvTranspose2d


class ConvTranspose3d(_TransposedConvolution, torch.nn.ConvTranspose3d):
    """``torch.nn.ConvTranspose3d`` whose products are read from crossbars; see `ConvTranspose2d`.

    Examples
    --------
    >>> import mpimpy
    >>> engine = mpimpy.DPETensor(seed=0)
    >>> layer = ConvTranspose3d.from_digital(torch.nn.ConvTranspose3d(1, 2, 3), engine, "up")
    >>> layer(torch.ones(1, 1, 2, 2, 2)).shape
    torch.Size([1, 2, 4, 4, 4])
    """

    digital: ClassVar[type] = torch.nn.ConvTranspose3d
