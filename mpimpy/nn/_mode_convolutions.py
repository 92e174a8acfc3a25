"""Convolutions and bilinear products of `mpimpy.nn.crossbars`: products of patches, as the layers make them."""

import math
from typing import Any

import torch

from ..checks import fail
from ._patches import Block, Window

__all__ = ["bilinear", "convolution", "transposed"]


def _each(value: Any, axes: int) -> tuple[int, ...]:
    # a setting for each axis of an image
    found = (value,) if isinstance(value, int) else tuple(value)
    return found * axes if len(found) == 1 else found


def _batched(name: str, images: Any, axes: int) -> Any:
    if images.ndim not in (axes + 1, axes + 2):
        shape = tuple(images.shape)
        fail(RuntimeError, f"{name}: input has shape {shape}: give images with {axes} axes and channels, or a batch")
    return images if images.ndim == axes + 2 else images.unsqueeze(0)


def _padding(padding: Any, kernel: tuple[int, ...], stride: Any, dilation: Any) -> tuple[Any, Any]:
    # zeros before and after images, per axis
    if not isinstance(padding, str):
        around = _each(padding, len(kernel))
        return around, around
    if padding not in ("same", "valid"):
        fail(RuntimeError, f"padding={padding!r} is unknown: use 'same', 'valid' or numbers")
    if padding == "valid":
        return (0,) * len(kernel), (0,) * len(kernel)
    if max(stride) > 1:
        fail(RuntimeError, f"padding='same' is for a stride of 1, not {stride}")
    total = [gap * (size - 1) for size, gap in zip(kernel, dilation, strict=True)]
    return tuple(each // 2 for each in total), tuple(each - each // 2 for each in total)


def _check_channels(name: str, images: Any, weight: Any, groups: int, wanted: int) -> None:
    if images.shape[1] != wanted or weight.shape[0] % groups:
        fail(
            RuntimeError,
            f"{name}: input of shape {tuple(images.shape)} and weight of shape {tuple(weight.shape)} do not fit with "
            f"groups={groups}",
        )


def _bias(y: Any, bias: Any) -> Any:
    return y if bias is None else y + bias.reshape(-1, *(1,) * (y.ndim - 2))


def convolution(axes: int) -> Any:
    """Return the handler of ``torch.nn.functional.conv1d``, ``conv2d`` or ``conv3d``, by the number of axes."""
    name = f"torch.conv{axes}d"

    def handle(
        mode: Any,
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        images, kernel = _batched(name, input, axes), tuple(weight.shape[2:])
        _check_channels(name, images, weight, groups, weight.shape[1] * groups)
        steps, gaps = _each(stride, axes), _each(dilation, axes)
        window = Window(kernel, steps, gaps, *_padding(padding, kernel, steps, gaps))
        positions = window.positions(tuple(images.shape[2:]))
        if min(positions) <= 0:
            fail(RuntimeError, f"{name}: the kernel {kernel} does not fit images of {tuple(images.shape[2:])}")
        found = []
        parts = zip(images.chunk(groups, 1), weight.chunk(groups), strict=True)
        for index, (part, kernels) in enumerate(parts):
            patches = window.patches(part, tuple((0, size) for size in positions))
            x = patches.reshape(images.shape[0], math.prod(positions), -1)
            factor = mode.factor(weight, f"group {index}" if groups > 1 else "")
            y = mode.product(x, kernels.reshape(kernels.shape[0], -1).mT, factor).mT
            found.append(y.reshape(*y.shape[:2], *positions))
        y = _bias(found[0] if groups == 1 else torch.cat(found, 1), bias)
        return y if images is input else y.squeeze(0)

    return handle


def transposed(axes: int) -> Any:
    """Return the handler of ``conv_transpose1d``, ``conv_transpose2d`` or ``conv_transpose3d``."""
    name = f"torch.conv_transpose{axes}d"

    def handle(
        mode: Any,
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Any:
        images, kernel = _batched(name, input, axes), tuple(weight.shape[2:])
        _check_channels(name, images, weight, groups, weight.shape[0])
        around = _each(padding, axes)
        window = Window(kernel, _each(stride, axes), _each(dilation, axes), around, around)
        positions, more = tuple(images.shape[2:]), _each(output_padding, axes)
        each = zip(positions, window.stride, window.spans, around, more, strict=True)
        sizes = tuple((size - 1) * step + span - 2 * zeros + extra for size, step, span, zeros, extra in each)
        wrong = any(
            extra >= max(step, gap) for extra, step, gap in zip(more, window.stride, window.dilation, strict=True)
        )
        if wrong or min(sizes) <= 0:
            fail(
                RuntimeError,
                f"{name}: output_padding={more} and padding={around} give no output of images of {positions}",
            )
        block = Block(0, tuple((0, size) for size in (images.shape[0], *positions)))
        found = []
        for index, (part, kernels) in enumerate(zip(images.chunk(groups, 1), weight.chunk(groups), strict=True)):
            x = part.movedim(1, -1).reshape(-1, part.shape[1])
            factor = mode.factor(weight, f"group {index}" if groups > 1 else "")
            rows = mode.product(x, kernels.flatten(1), factor)
            wide = torch.promote_types(rows.dtype, torch.float32)  # sums of narrow floats are rounded once
            y = rows.new_zeros((images.shape[0], weight.shape[1], *sizes), dtype=wide)
            window.add_patches(y, rows, block)
            found.append(y.to(rows.dtype))
        y = _bias(found[0] if groups == 1 else torch.cat(found, 1), bias)
        return y if images is input else y.squeeze(0)

    return handle


def bilinear(mode: Any, input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """Return ``torch.nn.functional.bilinear``: the products with `input2` are read, those with `input1` digital."""
    wanted = (*input1.shape[:-1], weight.shape[1]), (*input1.shape[:-1], weight.shape[2])
    if (tuple(input1.shape), tuple(input2.shape)) != wanted:
        given = [tuple(each.shape) for each in (input1, input2, weight)]
        fail(RuntimeError, f"torch.bilinear: inputs of shapes {given[0]} and {given[1]}, and weight {given[2]}: no fit")
    found = mode.product(input2, weight.flatten(0, 1).mT, mode.factor(weight))
    y = (found.unflatten(-1, tuple(weight.shape[:2])) * input1.unsqueeze(-2)).sum(-1)
    return y if bias is None else y + bias
