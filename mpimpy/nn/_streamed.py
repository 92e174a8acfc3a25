"""Products of convolutions, streamed: the matrix of all patches never exists."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from ..arrays import traced_by_torch
from ..autograd.product import next_read
from ..checks import fail
from ._grouped import group_size, read_together
from ._layer import CrossbarLayer
from ._patches import Block, Ranges, blocks, images_at_a_time

__all__ = ["StreamedLayer", "place"]

BLOCK = 1 << 19  # elements of a block of patches, 2 MB of float32, where the weights are not more
_GRAPH_BLOCKS = 16  # of one product in a graph, which lists them all

Gather = Callable[[Any, Ranges], Any]


class StreamedLayer(CrossbarLayer):
    """Base of the convolutions on crossbars: a weight matrix per group, and blocks of positions.

    All blocks of a forward pass are one read, at the addresses of their rows in the matrix of all patches: how it is
    cut changes no bit.
    """

    weight: Any
    bias: Any
    in_channels: int
    out_channels: int
    groups: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]

    def _parts(self) -> tuple[str, ...]:
        return ("",) if self.groups == 1 else tuple(f"group {index}" for index in range(self.groups))

    def _clipped(self) -> list[Any]:
        return list(self.weight.chunk(self.groups))

    def _images(self, given: Any) -> Any:
        # (N, C, *sizes) of inputs as torch's layer takes them
        axes = len(self.kernel_size)
        if given.ndim not in (axes + 1, axes + 2):
            shapes = f"(N, {self.in_channels}, {', '.join('DHW'[-axes:])})"
            where = f"layer {self.name!r}: input has shape {tuple(given.shape)}"
            fail(ValueError, f"{where}: give {shapes}, or one image without N")
        images = given if given.ndim == axes + 2 else given.unsqueeze(0)
        if images.shape[1] != self.in_channels:
            fail(
                ValueError,
                f"layer {self.name!r}: input of shape {tuple(given.shape)} has {images.shape[1]} channels, and the "
                f"weights are for {self.in_channels}",
            )
        return images

    def _whole(self, x: Any) -> bool:
        # transforms and forward-mode gradients see one product: a map numbers the rows of all its samples
        forward = torch.autograd.forward_ad._current_level >= 0
        return forward or torch._C._functorch.peek_interpreter_stack() is not None

    def _in_place(self, x: Any) -> bool:
        """Return whether results may be written into one tensor: torch does not trace or transform what is done."""
        return not (self._whole(x) or traced_by_torch(x, self.weight))

    def _streamed(
        self, images: Any, positions: tuple[int, ...], width: int, gather: Gather, prepare: Any = None
    ) -> Iterator[tuple[Block, Any]]:
        """Yield the products of all positions, block by block, in order.

        Parameters
        ----------
        images : tensor, shape (N, C, *sizes)
        positions : tuple of int
            Per image.
        width : int
            Elements of a row, of the inputs or of the product, that count for the size of a block.
        gather : function of (tensor, ranges)
            Rows of inputs of one group, shape (n * positions, K), from its channels of n images.
        prepare : function of a tensor, optional
            Makes of n images those that `gather` takes.

        Yields
        ------
        block : Block
        y : tensor, shape (n * positions, columns of all groups)
        """
        sizes, weights = (images.shape[0], *positions), self._weights()
        rows = images.shape[0]
        for size in positions:
            rows *= size
        starts = {part: self._first_row(part, images, rows) for part in weights}
        # a read for each matrix, which its blocks share
        reads = {part: next_read(self._cells[part], images, w) for part, w in weights.items()}
        # a read draws the noise of all its cells: a block is no smaller than they are
        cells = max(w.shape[0] * w.shape[1] for w in weights.values())
        most = max(1, max(BLOCK, cells) // width)
        if self._whole(images):
            most = max(most, rows)
        elif not self._in_place(images):
            most = max(most, -(-rows // _GRAPH_BLOCKS))
        unit = self._unit(rows)
        # split, as its gradient is put together once, where each slice would have one of the whole
        step = images_at_a_time(sizes, most, unit)
        chunks, at = images.split(step), -1
        parts, together = list(weights), group_size(self, images, next(iter(weights.values())).shape[0])
        runs = [parts[start : start + together] for start in range(0, self.groups, together)]
        pieces: Any = ()
        for block in blocks(sizes, most, unit):
            (first, _), *ranges = block.ranges
            if first // step != at:
                at = first // step
                chunk = chunks[at] if prepare is None else prepare(chunks[at])
                pieces = chunk.split(self.in_channels // self.groups * together, dim=1)
            ys = []
            for run, piece in zip(runs, pieces, strict=True):
                some = {part: (weights[part], reads[part], starts[part] + block.first_row) for part in run}
                ys += self._read(lambda each, at=tuple(ranges): gather(each, at), piece, some)
            yield block, ys[0] if len(ys) == 1 else torch.cat(ys, -1)

    def _read(self, gather: Any, piece: Any, some: dict[str, Any]) -> list[Any]:
        # the products of some groups at a block of positions, side by side
        if len(some) > 1:
            y = read_together(
                [self._cells[part] for part in some], gather(piece), *list(zip(*some.values(), strict=True))[:2]
            )
            if y is not None:
                return [y]
        return [
            self._block(partial(gather, each), each, part, w, first_row, read)
            for each, (part, (w, read, first_row)) in zip(piece.chunk(len(some), dim=1), some.items(), strict=True)
        ]

    def _first_row(self, part: str, images: Any, rows: int) -> int:
        # a part of a batch begins at its place in the whole
        cells = self._cells[part]
        return 0 if cells.shard is None else cells.shard.first_row(self, cells, images, rows)

    def _unit(self, rows: int) -> int:
        # blocks of patches begin where blocks of a scale do
        granularity = self.engine.config.inputs.granularity
        if granularity == "per-matrix":
            return max(1, rows)
        return 1 if isinstance(granularity, str) else max(1, min(granularity[0], rows))

    def _block(self, make: Any, piece: Any, part: str, w: Any, first_row: int, read: Any) -> Any:
        x = make()
        if self._in_place(piece) and torch.is_grad_enabled() and (piece.requires_grad or w.requires_grad):
            kept = None if self.training_settings.input_ranges is None else x
            with _made_again(make, piece, w, kept):
                return self._product(x, w, part, first_row=first_row, read=read)
        return self._product(x, w, part, first_row=first_row, read=read)


def _made_again(make: Any, piece: Any, w: Any, patches: Any) -> Any:
    # what a product saves for its gradient: the weights, and instead of its patches the images to gather them from;
    # where a range clips `patches`, it and what it leaves of them are saved as they are
    of_images, of_weights = piece._version, w._version

    def pack(saved: Any) -> Any:
        own = saved if patches is None else patches
        return saved if saved.data_ptr() == w.data_ptr() or saved.data_ptr() != own.data_ptr() else saved.dtype

    def unpack(kept: Any) -> Any:
        if isinstance(kept, torch.Tensor):
            _check_version("the weights", of_weights, w._version)
            return kept
        _check_version("the inputs", of_images, piece._version)
        with torch.no_grad():
            return make().to(kept)

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


def _check_version(what: str, then: int, now: int) -> None:
    if now != then:
        msg = f"{what} of a convolution were changed in place between its forward and its backward pass"
        fail(RuntimeError, f"{msg}: give it a copy of what changes")


class _Placed(torch.autograd.Function):
    # values of one block written into the tensor of all, which stays one tensor

    @staticmethod
    def forward(context: Any, whole: Any, values: Any, write: Any, fetch: Any) -> Any:
        context.mark_dirty(whole)
        context.fetch, context.dtype = fetch, values.dtype
        write(whole, values)
        return whole

    @staticmethod
    def backward(context: Any, upstream: Any) -> Any:
        of_values = context.fetch(upstream).to(context.dtype) if context.needs_input_grad[1] else None
        return upstream, of_values, None, None


def place(whole: Any, values: Any, write: Any, fetch: Any) -> Any:
    """Write values into a part of a tensor that no other block has written, or add them; return it.

    Parameters
    ----------
    whole : tensor
        Changed in place.
    values : tensor
    write : function of (whole, values)
        Linear.
    fetch : function of a tensor
        Its adjoint: from the gradient of `whole` to that of `values`.
    """
    if torch.is_grad_enabled():
        return _Placed.apply(whole, values, write, fetch)  # type: ignore[no-untyped-call]
    write(whole, values)
    return whole
