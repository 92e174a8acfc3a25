"""What all layers on crossbars share: their engine, their cells, and the way to and from torch's own layers."""

import copy
from typing import Any, ClassVar, Self

import torch

from .._recorded import recorded_product
from ..checks import fail
from ..engine import Engine
from ._cells import LayerCells
from ._learned import LearnedRanges, use_engine
from ._training import Training, check_training

__all__ = ["CrossbarLayer", "check_engine"]


def check_engine(engine: Any) -> None:
    """Raise TypeError if a layer is given anything but an engine."""
    if not isinstance(engine, Engine):
        fail(TypeError, f"engine={engine!r} must be an Engine, such as DPETensor(var=0.05)")


def _copied(module: Any) -> Any:
    # a module that shares parameters and submodules with another, but no dict or list of them
    kind: Any = type(module)
    other = kind.__new__(kind)
    other.__dict__ = {
        key: copy.copy(value) if isinstance(value, (dict, list)) else value for key, value in module.__dict__.items()
    }
    return other


def _parametrized(kind: type, crossbars: type) -> bool:
    # whether torch.nn.utils.parametrize made a class of one of layers on crossbars
    return kind.__bases__ == (crossbars,) and kind.__name__ == f"Parametrized{crossbars.__name__}"


def _left(kind: type, crossbars: type, digital: type) -> type:
    # the class of a layer without its crossbars; what parametrize put into its class goes with it
    if kind is crossbars:
        return digital
    own = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__", "__module__")}
    return type(kind.__name__, (digital,), own)


class CrossbarLayer(LearnedRanges):
    """Base of the layers on crossbars, beside torch's own class of the layer.

    Parameters and keys of the ``state_dict`` are those of torch's layer, so that weights load both ways.

    Attributes
    ----------
    digital : type
        torch's class of the layer.
    name : str
        Qualified name in its model, by which its cells have random numbers of their own.
    training_settings : Training
    """

    digital: ClassVar[type]
    owned: ClassVar[tuple[str, ...]] = ()  # submodules whose weights this layer multiplies by
    batch_axis: ClassVar[int | None] = 0  # of inputs as `_product` takes them; None: the model decides
    name: str
    _digital_class: type
    _crossbar_class: type

    @classmethod
    def from_digital(cls, module: torch.nn.Module, engine: Engine, name: str, training: Training | None = None) -> Self:
        """Return a layer on crossbars with the parameters of one of torch's.

        Parameters
        ----------
        module : torch.nn.Module
            Of torch's class of the layer; it stays as it is, and shares its parameters.
        engine : Engine
        name : str
            Qualified name of the layer in its model.
        training : Training, optional

        Raises
        ------
        TypeError
            If `module` is of another class.
        """
        return cls.take_over(_copied(module), engine, name, training)

    @classmethod
    def take_over(cls, module: Any, engine: Engine, name: str, training: Training | None = None) -> Self:
        """Put one of torch's layers on crossbars, in place, and return it; the parameters are those of `from_digital`.

        Its class changes, so every name and reference that leads to it leads to crossbars.
        """
        if not cls._fits(type(module)):
            fail(TypeError, f"{name or 'the model'} is a {type(module).__name__}, not a {cls.digital.__name__}")
        check_engine(engine)
        check_training(training)
        module._digital_class, module._crossbar_class, module.__class__ = type(module), cls, cls
        layer: Self = module
        layer.name = name or "(root)"
        layer.training_settings = Training() if training is None else training
        layer._cells = {part: LayerCells(engine, layer._part_name(part)) for part in layer._parts()}
        layer._make_ranges()
        return layer

    @classmethod
    def _fits(cls, kind: type) -> bool:
        """Return whether a class is the one that this layer stands for."""
        return kind is cls.digital

    def leave(self) -> torch.nn.Module:
        """Make it torch's own layer again, in place, and return it: the same parameters, without crossbars."""
        self.check_leave()
        module: Any = self
        module._drop_ranges()
        module.__class__ = _left(type(module), module._crossbar_class, module._digital_class)
        for own in ("name", "training_settings", "_cells", "_digital_class", "_crossbar_class"):
            del module.__dict__[own]
        found: torch.nn.Module = module
        return found

    def check_leave(self) -> None:
        """Raise TypeError if something that was done to the layer after conversion would not outlive `leave`."""
        kind, name = type(self), f"layer {self.name!r}"
        if "forward" in self.__dict__:
            fail(TypeError, f"{name} has a forward of its own, which a hook or a wrapper put there: remove that first")
        if kind is not self._crossbar_class and not _parametrized(kind, self._crossbar_class):
            fail(
                TypeError, f"{name} is a {kind.__name__}, which something made of it after conversion: undo that first"
            )

    def to_digital(self) -> torch.nn.Module:
        """Return torch's own layer, with the same parameters; this one stays on crossbars."""
        found: torch.nn.Module = _copied(self).leave()
        return found

    def _parts(self) -> tuple[str, ...]:
        """Return the names of the weight matrices: "" for the only one."""
        return ("",)

    def _part_name(self, part: str) -> str:
        return f"{self.name}/{part}" if part else self.name

    @property
    def engine(self) -> Engine:
        """Engine of its cells. A new one takes effect at the next forward pass; it brings its own range of the ADCs."""
        return next(iter(self._cells.values())).engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        check_engine(engine)
        for cells in self._cells.values():
            use_engine(cells, engine)

    def _every_cells(self) -> list[LayerCells]:
        """Return the cells of its weight matrices, and those that data are written into."""
        return list(self._cells.values())

    def _weights(self) -> dict[str, Any]:
        """Return the weight matrices, (K, N), by part."""
        raise NotImplementedError

    def _begin(self) -> None:
        # first of all in a forward pass
        training: bool = self.training  # type: ignore[attr-defined]
        for cells in self._every_cells():
            cells._trains = training
        if training and self.training_settings.clip_weights is not None:
            self._clip(self.training_settings.clip_weights)

    def _clip(self, sigmas: float) -> None:
        # as `Training.clip_weights` says
        with torch.no_grad():
            for weight in self._clipped():
                if weight.numel() < 2:
                    continue
                # without a spread there is nothing to clip to; a NaN is left for the product, which names it
                low, high = torch.aminmax(weight)
                deviation = weight.std()
                bound = torch.where((high > low) & (deviation > 0), sigmas * deviation, torch.inf)
                weight.copy_(torch.minimum(torch.maximum(weight, -bound), bound))

    def _clipped(self) -> list[Any]:
        """Return the parameters that are programmed."""
        raise NotImplementedError

    def _steps(self) -> bool:
        # whether this forward pass writes its weights into fresh cells
        return bool(self.training) and self.training_settings.noise == "step"  # type: ignore[attr-defined]

    def _product(
        self, x: Any, w: Any, part: str = "", step: Any = None, first_row: Any = None, read: Any = None
    ) -> Any:
        """Return the product of inputs and a weight matrix, read from its cells.

        Parameters
        ----------
        x : tensor, shape (..., K)
        w : tensor, shape (K, N)
        part : str
            Name of the weight matrix.
        step : int or int64 tensor, optional
            Step whose cells are read, where several reads belong to one; by default every read in training is one.
        first_row : int, optional
            Row of the first input in the whole batch; by default these are all rows of this process.
        read : int or int64 tensor, optional
            Number of the read, where several products are one; by default the next one.
        """
        x = self._in_range(x, part)
        at, cells = self._steps() if step is None else step, self._cells[part]
        if first_row is None and cells.shard is not None:
            return cells.shard.product(self, cells, (x, w), read, at)
        return recorded_product(cells, x, w, read, step=at, first_row=0 if first_row is None else first_row)

    def extra_repr(self) -> str:
        """Return what torch's repr shows of the layer, and its name and seed."""
        shown = super().extra_repr()  # type: ignore[misc]
        return f"{shown}, name={self.name!r}, seed={self.engine.seed}"
