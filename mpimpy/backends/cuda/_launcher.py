"""Whether Triton can launch kernels on a device."""

import os
import warnings
from typing import Any

import torch

__all__ = ["usable"]


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=3)


def usable(kind: str, index: int | None) -> Any:
    """Return the module of Triton kernels, or None where plain torch runs instead.

    Parameters
    ----------
    kind : str
        Type of a device, such as "cuda".
    index : int or None
        Its number.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if kind != "cuda" and not interpreted:
        return None
    if kind == "cuda" and torch.cuda.get_device_capability(index) < (8, 0):
        return None  # Triton has no int8 tensor cores there
    try:
        from . import _triton

        if not interpreted:
            _triton.triton.runtime.driver.active.get_current_target()  # builds the launcher of kernels
    except ImportError as error:
        if kind == "cuda":
            name = "Triton is not installed" if error.name == "triton" else f"Triton cannot be imported ({error})"
            _warn(f"{name}, and slower plain torch runs on the card instead: pip install triton")
        return None
    except Exception as error:  # a driver or C compiler that Triton cannot use
        _warn(f"Triton cannot launch kernels here, and slower plain torch runs instead: {error}")
        return None
    return _triton
