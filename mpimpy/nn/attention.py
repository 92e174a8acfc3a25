"""Attention on crossbars."""

import math
from typing import Any, ClassVar

import torch

from .._recorded import recorded_product
from ..checks import as_choice, fail
from ..engine import Engine
from ._attention_inputs import Inputs, added_mask, arranged
from ._cells import LayerCells
from ._data_cells import DataCells
from ._layer import CrossbarLayer
from ._step import one_step

__all__ = ["ATTENTIONS", "MultiheadAttention"]

ATTENTIONS = ("projections", "all")
_PROJECTIONS = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
_OUT = "out_proj.weight"
_PRODUCTS = ("scores", "values")


class MultiheadAttention(CrossbarLayer, torch.nn.MultiheadAttention):
    """``torch.nn.MultiheadAttention`` whose products are read from crossbars; biases and the softmax are digital.

    The projections of queries, keys and values, and that of the outputs, are four matrices with cells of their own,
    named ``q_proj_weight``, ``k_proj_weight``, ``v_proj_weight`` and ``out_proj.weight``.

    Attributes
    ----------
    attention : str
        ``"projections"``: queries times keys, and attention weights times values, are digital. ``"all"``: they are
        read from crossbars too, named ``scores`` and ``values``. Keys and values of each head and each sample are
        written for one product, and all of them into the same cells. ``"all"`` takes two writes and reads for
        each head of each sample.

    Notes
    -----
    `forward` has torch's arguments. ``is_causal`` needs ``attn_mask``, as in torch, and that mask is applied. A nested
    tensor is refused: torch takes it in its fast path only, which reads no crossbars.

    Examples
    --------
    >>> import mpimpy
    >>> digital = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> layer = MultiheadAttention.from_digital(digital, mpimpy.DPETensor(seed=0), "look")
    >>> layer.attention = "all"
    >>> x = torch.ones(2, 5, 8)
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 5, 5]))
    """

    digital: ClassVar[type] = torch.nn.MultiheadAttention
    owned = ("out_proj",)
    _data: dict[str, DataCells]

    @property
    def attention(self) -> str:
        """Which products are on crossbars: a new value takes effect at the next forward pass."""
        return ATTENTIONS[bool(self.__dict__.get("_data"))]

    @attention.setter
    def attention(self, attention: str) -> None:
        if as_choice("attention", attention, ATTENTIONS) == self.attention:
            return
        names = _PRODUCTS if attention == "all" else ()
        self._data = {name: DataCells(self.engine, self._part_name(name)) for name in names}

    # torch's encoder layers skip an attention layer that says so: crossbars would not be read
    _qkv_same_embed_dim = property(lambda self: False, lambda self, value: None)

    def leave(self) -> torch.nn.Module:
        """Make it torch's own layer again; see `CrossbarLayer.leave`."""
        self.__dict__.pop("_data", None)
        return super().leave()

    @property
    def engine(self) -> Engine:
        """Engine of its cells. A new one takes effect at the next forward pass."""
        return self._cells[_OUT].engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        CrossbarLayer.engine.fset(self, engine)  # type: ignore[attr-defined]
        for cells in self.__dict__.get("_data", {}).values():
            cells.use(engine)

    def _parts(self) -> tuple[str, ...]:
        return (*_PROJECTIONS, _OUT)

    def _every_cells(self) -> list[LayerCells]:
        return [*super()._every_cells(), *self.__dict__.get("_data", {}).values()]

    def _clipped(self) -> list[Any]:
        if self.in_proj_weight is None:
            found = [getattr(self, part) for part in _PROJECTIONS]
        else:
            found = [self.in_proj_weight[k * self.embed_dim : (k + 1) * self.embed_dim] for k in range(3)]
        return [*found, self.out_proj.weight]

    def _weights(self) -> dict[str, Any]:
        return {part: weight.mT for part, weight in zip(self._parts(), self._clipped(), strict=True)}

    def _affine(self, x: Any, part: str, w: Any, bias: Any, step: Any) -> Any:
        y = self._product(x, w, part, step)
        return y if bias is None else y + bias.to(y.dtype)

    def _of_data(self, name: str, x: Any, w: Any, step: Any) -> Any:
        # products of stacks, (batch, heads, M, K) and (batch, heads, K, N)
        if self.attention == "projections":
            return x @ w
        cells = self._data[name]
        cells.chip = self._cells[_OUT].chip
        pairs, shard = list(zip(x.flatten(0, 1), w.flatten(0, 1), strict=True)), self._cells[_OUT].shard
        reads = [None] * len(pairs) if shard is None else shard.reads_of_data(cells, len(pairs), x, w)
        found = [
            recorded_product(cells, rows, columns, read, step=step)
            for (rows, columns), read in zip(pairs, reads, strict=True)
        ]
        return torch.stack(found).view(*x.shape[:2], *found[0].shape)

    def _heads(self, inputs: Inputs, step: Any) -> tuple[Any, Any, Any]:
        # projected queries, keys and values, (batch, heads, time, size)
        weights = self._weights()
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        found = [
            self._affine(x, part, weights[part], bias, step)
            for x, part, bias in zip(inputs.tensors, _PROJECTIONS, biases, strict=True)
        ]
        for at, bias in ((1, self.bias_k), (2, self.bias_v)):
            if bias is not None:
                row = bias.to(found[at].dtype).expand(found[at].shape[0], 1, -1)
                found[at] = torch.cat([found[at], row], 1)
        q, k, v = (each.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2) for each in found)
        if self.add_zero_attn:
            k, v = (torch.nn.functional.pad(each, (0, 0, 0, 1)) for each in (k, v))
        return q, k, v

    def _attend(self, q: Any, k: Any, v: Any, mask: Any, need_weights: bool, step: Any) -> tuple[Any, Any]:
        # the outputs of heads, and their weights
        dropout = self.dropout if self.training else 0.0
        if not need_weights and self.attention == "projections":
            attend = torch.nn.functional.scaled_dot_product_attention
            return attend(q, k, v, None if mask is None else mask.to(q.dtype), dropout), None
        scores = self._of_data("scores", q * math.sqrt(1.0 / self.head_dim), k.mT, step)
        if mask is not None:
            scores = scores + mask.to(scores.dtype)
        weights = torch.softmax(scores, -1)
        if not need_weights and mask is not None:  # a query that may see nothing gets zeros, as torch gives then
            weights = weights.masked_fill((scores == -math.inf).all(-1, keepdim=True), 0.0)
        weights = torch.nn.functional.dropout(weights, dropout)
        return self._of_data("values", weights, v, step), weights if need_weights else None

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """Return the attended values and the attention weights (None without `need_weights`), shaped as torch does."""
        self._begin()
        if is_causal and attn_mask is None:
            fail(RuntimeError, "is_causal=True says of which kind attn_mask is: give attn_mask too")
        inputs = arranged(self, query, key, value)
        step = one_step(self, query)
        q, k, v = self._heads(inputs, step)
        mask = added_mask(self, inputs, key_padding_mask, attn_mask, k.shape[2])
        y, weights = self._attend(q, k, v, mask, need_weights, step)
        y = self._affine(y.transpose(1, 2).flatten(2), _OUT, self.out_proj.weight.mT, self.out_proj.bias, step)
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if not inputs.batched:
            return y.squeeze(0), None if weights is None else weights.squeeze(0)
        return (y if self.batch_first else y.transpose(0, 1)), weights
