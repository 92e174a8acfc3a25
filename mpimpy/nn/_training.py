"""How converted layers behave in training."""

from dataclasses import dataclass
from typing import Any

from ..checks import as_choice, as_float, as_int, fail, set_fields

__all__ = ["InputRanges", "Training", "check_training"]

_NOISES = ("step", "frozen")


@dataclass(frozen=True)
class InputRanges:
    """Ranges of inputs that layers learn; inputs beyond are clipped, in training and in inference.

    A range starts as so many standard deviations of the inputs, and follows them for some forward passes. Then it
    is a parameter like others: what it clips widens it, and while enough inputs are inside it decays. The recipe is
    that of Rasch et al., "Hardware-aware training for large-scale and diverse deep learning inference workloads
    using in-memory computing-based accelerators", Nature Communications 14, 5282 (2023).

    Attributes
    ----------
    sigmas : float
        Standard deviations of the inputs that a range starts with.
    from_data : int
        Forward passes in training during which it follows the inputs.
    decay : float
        Gradient that shrinks it, relative, while at least `min_share` of the inputs are inside.
    min_share : float
        0 to 1.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.

    Examples
    --------
    >>> InputRanges(decay=0.01).from_data
    100
    """

    sigmas: float = 3.0
    from_data: int = 100
    decay: float = 0.001
    min_share: float = 0.95

    def __post_init__(self) -> None:
        set_fields(
            self,
            sigmas=as_float("sigmas", self.sigmas, 0.0, above=True),
            from_data=as_int("from_data", self.from_data, 1),
            decay=as_float("decay", self.decay, 0.0),
            min_share=as_float("min_share", self.min_share, 0.0, 1.0),
        )


@dataclass(frozen=True)
class Training:
    """What crossbars do while a model trains; see `convert_`.

    Attributes
    ----------
    noise : str
        ``"step"``: every forward pass in training mode writes the weights into fresh cells, so that a network
        learns to bear any chip. ``"frozen"``: into those of the engine's chip, the cells that inference uses.
    clip_weights : float or None
        Weights are clipped, before each forward pass in training mode, to this many standard deviations of their
        matrix, if they have a spread; None: they are not.
    input_ranges : InputRanges or None
        Ranges of inputs that the layers learn; None: inputs are not clipped.

    Raises
    ------
    TypeError, ValueError
        If a value is unknown or out of range.

    Examples
    --------
    >>> Training(clip_weights=2.5).noise
    'step'
    """

    noise: str = "step"
    clip_weights: float | None = None
    input_ranges: InputRanges | None = None

    def __post_init__(self) -> None:
        as_choice("noise", self.noise, _NOISES)
        if self.clip_weights is not None:
            set_fields(self, clip_weights=as_float("clip_weights", self.clip_weights, 0.0, above=True))
        if self.input_ranges is not None and not isinstance(self.input_ranges, InputRanges):
            fail(TypeError, f"input_ranges={self.input_ranges!r} must be InputRanges(), or None")


def check_training(training: Any) -> None:
    """Raise TypeError if a layer is given anything but a `Training` or None."""
    if training is not None and not isinstance(training, Training):
        fail(TypeError, f"training={training!r} must be a Training, such as Training(noise='step'), or None")
