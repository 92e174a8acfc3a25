"""NaN and infinity on a card: a flag that stays there is raised, and the host does not wait to see it."""

from collections.abc import Iterable
from typing import Any

import torch

from ..checks import fail

__all__ = ["Flag", "not_finite", "raise_flagged", "spoilt"]

_SHOWN = 8  # matrices that a message names


def not_finite(tensor: Any) -> Any:
    """Return whether a tensor holds a NaN or an infinity, a bool tensor of shape () there; None if it cannot."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.numel():
        return None
    return ~torch.isfinite(tensor.detach()).all()


def spoilt(y: Any, *flags: Any) -> Any:
    """Return a product, NaN throughout where a flag is up: what came of such operands must not pass for numbers."""
    for flag in flags:
        if flag is not None:
            y = torch.where(flag, torch.nan, y)
    return y


class Flag:
    """Flags of one matrix of weights: whether its products have met a NaN or an infinity since somebody looked.

    They stay on the device of the operands, and each product costs one reduction there.
    """

    def __init__(self) -> None:
        self._up: dict[tuple[Any, str], Any] = {}

    def note(self, operand: str, found: Any) -> None:
        """Raise the flag of an operand, "inputs" or "weights", by what `not_finite` returned."""
        if found is not None:
            key = found.device, operand
            before = self._up.get(key)
            # no change in place: a tensor that was made in inference mode allows none later
            self._up[key] = found if before is None else before | found

    def take(self) -> list[tuple[str, Any]]:
        """Return the operands and their flags, and lower these."""
        found = [(operand, flag) for (_, operand), flag in self._up.items()]
        self._up = {}
        return found


def raise_flagged(flags: Iterable[tuple[str, Flag]]) -> None:
    """Raise ValueError if a flag is up, and lower all. The host waits for the card, once for each device.

    Parameters
    ----------
    flags : iterable of (str, Flag)
        With the names of the matrices.
    """
    by_device: dict[Any, list[tuple[str, Any]]] = {}
    for name, flag in flags:
        for operand, up in flag.take():
            by_device.setdefault(up.device, []).append((f"{name!r} ({operand})", up))
    met = []
    for found in by_device.values():
        ups = torch.stack([up for _, up in found]).tolist()
        met += [where for (where, _), up in zip(found, ups, strict=True) if up]
    if met:
        more = f" and {len(met) - _SHOWN} more" if len(met) > _SHOWN else ""
        fail(
            ValueError,
            f"layers met a NaN or an infinity on the card: {', '.join(met[:_SHOWN])}{more}. Every element must be "
            "finite, and their products are NaN since: look at the first layer that the data reach",
        )
