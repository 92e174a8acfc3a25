"""Arithmetic of whole numbers."""

__all__ = ["ceil_div"]


def ceil_div(a: int, b: int) -> int:
    """Return ``a / b``, rounded up: the number of parts of size `b` that hold `a`.

    Examples
    --------
    >>> ceil_div(65, 64), ceil_div(64, 64)
    (2, 1)
    """
    return -(-a // b)
