"""How converted layers behave in training."""

from dataclasses import dataclass

from ..checks import as_float, fail, set_fields

__all__ = ["Training"]

_NOISES = ("step", "frozen")


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
        matrix; None: they are not.

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

    def __post_init__(self) -> None:
        if self.noise not in _NOISES:
            known = ", ".join(map(repr, _NOISES))
            fail(ValueError, f"noise={self.noise!r} is unknown: use one of {known}")
        if self.clip_weights is not None:
            set_fields(self, clip_weights=as_float("clip_weights", self.clip_weights, 0.0, above=True))
