"""A scheduler that is lost: one error for it, whatever dask.distributed raises."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["compute", "connected", "current_client"]


def current_client() -> Any:
    """Return the current client of dask.distributed, or None."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


@contextlib.contextmanager
def connected(client: Any) -> Iterator[None]:
    """Raise ConnectionError for an error inside, if a client has lost its scheduler by then."""
    if client is None:
        yield
        return
    address = getattr(client.scheduler, "address", None) or "an unknown address"
    msg = (
        f"the scheduler at {address} is lost: connect a new Client, build the product anew with the same seed and "
        "read=, and compute it; every bit will be the same"
    )
    if client.status in ("closed", "closing"):
        raise ConnectionError(msg)
    try:
        yield
    except Exception as error:
        if client.status != "running" or type(error).__name__ == "CommClosedError":
            raise ConnectionError(msg) from error
        raise


def compute(*arrays: Any) -> tuple[Any, ...]:
    """Compute lazy arrays, as `dask.compute` does, and tell plainly if the scheduler is lost meanwhile.

    Parameters
    ----------
    *arrays : dask arrays

    Returns
    -------
    tuple of arrays

    Raises
    ------
    ConnectionError
        If the current client has lost its scheduler.

    Examples
    --------
    >>> import dask.array as da
    >>> from mpimpy import MapReducedot
    >>> (y,) = compute(MapReducedot(da.eye(4), da.eye(4), seed=1))
    >>> y.shape
    (4, 4)
    """
    import dask

    with connected(current_client()):
        found: tuple[Any, ...] = dask.base.compute(*arrays)
    return found
