"""Kernels made ready before they are needed: compiled, kept on disk and loaded into this process."""

from .arrays import asarray
from .checks import fail
from .config import Device, Format
from .engine import Engine

__all__ = ["warm"]

_SIZE = 70  # rows and columns of the operands: more than one tile of the usual size
_HEIGHTS = 1, _SIZE  # of few inputs, and of more than the short way of small reads takes


def _common() -> list[Engine]:
    # settings that share no kernel; what else they need, others need too
    double = Format((1, 1, 2, 4), bw_e=8, double=True)
    return [
        Engine(Device(write_var=0.05, stuck_HGS=0.01, stuck_LGS=0.01), seed=0),
        Engine(inputs=double, weights=double, seed=0),
        Engine(weights=Format((1, 1, 2, 4), mapping="pair"), seed=0),
    ]


def warm(*engines: Engine) -> None:
    """Make the kernels of products on the CPU ready, so that no product waits for the compiler.

    A kernel that no process of this machine has compiled yet takes some seconds; it is then kept on disk, in the
    folder that ``NUMBA_CACHE_DIR`` names. Processes that want the same kernel at once wait for one of them, which
    compiles it. The command line has ``mpimpy info --warm``.

    Parameters
    ----------
    *engines : Engine
        Engines whose products, of float32 and of float64, will be wanted; none: read and write variation, stuck
        cells, differential pairs, every format. Their reads are not counted.

    Raises
    ------
    TypeError
        If one is no engine.

    Examples
    --------
    >>> from mpimpy import Engine, warm
    >>> engine = Engine(seed=1)
    >>> warm(engine)
    >>> engine.reads
    0
    """
    for engine in engines:
        if not isinstance(engine, Engine):
            fail(TypeError, f"warm takes engines, such as warm(Engine(seed=1)), not a {type(engine).__name__}")
    for engine in engines or _common():
        for dtype in ("float32", "float64"):
            w = asarray([[(row * col % 7) - 3.0 for col in range(_SIZE)] for row in range(_SIZE)], dtype)
            matrix = engine.program(w, name="warm")
            for height in _HEIGHTS:
                matrix.read(w[:height, :], read=0)
