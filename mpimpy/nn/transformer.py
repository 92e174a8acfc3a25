"""The encoder and decoder layers of transformers on crossbars."""

import copy
from typing import Any, ClassVar, Self

import torch

from ..checks import as_choice, fail
from ..engine import Engine
from ._layer import check_engine
from ._training import Training
from .attention import ATTENTIONS
from .conversion import Choice, convert_named, layers, revert_

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]


def _with_the_same_parameters(module: Any) -> Any:
    # a copy whose submodules are its own
    return copy.deepcopy(module, {id(each): each for each in (*module.parameters(), *module.buffers())})


class _Composed:
    # of layers that are on crossbars; it has no cells of its own

    digital: ClassVar[type]

    @classmethod
    def from_digital(
        cls,
        module: torch.nn.Module,
        engine: Engine,
        name: str,
        training: Training | None = None,
        attention: str = "projections",
    ) -> Self:
        """Return a layer with the parameters of one of torch's, whose attention and linear layers are on crossbars.

        Parameters
        ----------
        module : torch.nn.Module
            Of torch's class of the layer; it stays as it is, and shares its parameters.
        engine : Engine
        name : str
            Qualified name of the layer in its model. The layers inside have the names that `convert_` gives them.
        training : Training, optional
        attention : str
            ``"projections"`` or ``"all"``; see `mpimpy.nn.MultiheadAttention`.

        Raises
        ------
        TypeError, ValueError
            If `module` is of another class, or has layers on crossbars already, or an argument is of another kind.
        """
        if type(module) is not cls.digital:
            fail(TypeError, f"{name or 'the model'} is a {type(module).__name__}, not a {cls.digital.__name__}")
        check_engine(engine)
        as_choice("attention", attention, ATTENTIONS)
        if inside := [part for part, _ in layers(module)]:
            fail(ValueError, f"{', '.join(inside)} of {name or 'the model'} are on crossbars already: revert_ it first")
        layer: Any = _with_the_same_parameters(module)
        convert_named(name, layer, Choice(engine, None), None, training, attention)
        layer.__class__ = cls
        found: Self = layer
        return found

    def to_digital(self) -> torch.nn.Module:
        """Return torch's own layer, with the same parameters; this one stays on crossbars."""
        digital: Any = _with_the_same_parameters(self)
        digital.__class__ = self.digital
        revert_(digital)
        found: torch.nn.Module = digital
        return found


class TransformerEncoderLayer(_Composed, torch.nn.TransformerEncoderLayer):
    """``torch.nn.TransformerEncoderLayer`` whose attention and linear layers are read from crossbars.

    `convert_` puts the layers inside torch's own class on crossbars, with the same cells. torch's fast path, which
    would call none of them, is closed in both.

    Examples
    --------
    >>> import mpimpy
    >>> digital = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> layer = TransformerEncoderLayer.from_digital(digital, mpimpy.DPETensor(seed=0), "encoder.0")
    >>> layer(torch.ones(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    digital: ClassVar[type] = torch.nn.TransformerEncoderLayer


class TransformerDecoderLayer(_Composed, torch.nn.TransformerDecoderLayer):
    """``torch.nn.TransformerDecoderLayer`` whose two attentions and linear layers are read from crossbars.

    Examples
    --------
    >>> import mpimpy
    >>> digital = torch.nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    >>> layer = TransformerDecoderLayer.from_digital(digital, mpimpy.DPETensor(seed=0), "decoder.0")
    >>> layer(torch.ones(3, 5, 8), torch.ones(3, 4, 8)).shape
    torch.Size([3, 5, 8])
    """

    digital: ClassVar[type] = torch.nn.TransformerDecoderLayer
