"""What is measured: shapes, settings and wants, one frozen dataclass per workload.

Every figure of speed stands beside float32 np.dot of the same M, K and N in the same run: 1 P is
that time times the number of slice pairs, so that a figure means the same on every machine.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["TIMES", "WORKLOADS", "Workload", "find", "make_engine", "make_operands", "memory_budget"]

SEED = 20261124
_INT8 = (1, 1, 2, 4)
_INT6 = (1, 1, 2, 2)

# unit -> seconds per unit, for the units that are plain times
TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Workload:
    """One thing to measure.

    Attributes
    ----------
    name : str
        What ``--only`` takes.
    title : str
        What it is, in a few words.
    x_shape, w_shape : tuple of int
        Shapes of the operands, (..., K) and (K, N).
    want, aim : float or None
        What is wanted and aimed for, in `unit`. None: nothing said.
    unit : str
        ``P``, ``np.dot``, ``us``, ``ms`` or ``s``, of which less is better; or ``times``, of which
        more is.
    x_slices, w_slices : tuple of int
        Slices of the operands, most significant first.
    settings : mapping
        Other settings of the engine, as `mpimpy.DPETensor` takes them.
    kind : str
        ``read``: the weights are programmed, a read is timed, everything in it included.
        ``dot``: a call of `mpimpy.MapReducedot`. ``program``: the programming is timed.
        ``threads``: a read on one thread against a read on two. ``process``: importing mpimpy and
        a first product in a new process, whose kernels are in Numba's cache. ``first``: the same
        with an empty cache.
    memory : bool
        Hold the peak memory against `memory_budget`.
    """

    name: str
    title: str
    x_shape: tuple[int, ...]
    w_shape: tuple[int, int]
    want: float | None
    aim: float | None
    unit: str = "P"
    x_slices: tuple[int, ...] = _INT8
    w_slices: tuple[int, ...] = _INT8
    settings: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "read"
    memory: bool = False

    def __post_init__(self):
        # lists, as JSON returns them, become what was written
        for name in ("x_shape", "w_shape", "x_slices", "w_slices"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def mkn(self):
        """M, K and N of the product, leading axes of the inputs taken together."""
        rows = 1
        for size in self.x_shape[:-1]:
            rows *= size
        return rows, *self.w_shape

    @property
    def pairs(self):
        """Number of slice pairs."""
        return len(self.x_slices) * len(self.w_slices)

    @property
    def macs(self):
        """Multiply-accumulates of all slice pairs: what the arrays do in one product."""
        m, k, n = self.mkn
        return m * k * n * self.pairs

    @property
    def reads(self):
        """Whether a product of these operands is what is timed."""
        return self.kind in ("read", "dot", "threads")

    @property
    def large(self):
        """Whether it is out of proportion for a backend that is not tuned."""
        return self.macs > 10**11 or self.w_shape[0] * self.w_shape[1] > 10**7

    def value(self, seconds, dot_seconds):
        """Return a time in `unit`."""
        if self.unit == "P":
            return seconds / (dot_seconds * self.pairs)
        if self.unit == "np.dot":
            return seconds / dot_seconds
        return seconds / TIMES[self.unit]

    def mark(self, value):
        """Return ``aim``, ``want`` or ``no``: the best that `value` reaches."""
        sign = -1 if self.unit == "times" else 1
        for name, bound in (("aim", self.aim), ("want", self.want)):
            if bound is not None and sign * value <= sign * bound:
                return name
        return "no"

    def to_json(self):
        """Return a dict that JSON holds and ``Workload(**dict)`` takes back."""
        return asdict(self)


def _square(size):
    return {"x_shape": (size, size), "w_shape": (size, size)}


_EXACT = {"var": 0.0, "radc": 64 * 15 * 15 + 1}  # one ADC code per unit of the full scale: nothing is rounded

_ALL = (
    Workload("W1", "1000 cube, 8 bits by 8 bits", **_square(1000), want=0.9, aim=0.5),
    Workload("W1-1bit", "W1 with eight 1-bit input slices", **_square(1000), want=0.45, aim=0.3, x_slices=(1,) * 8),
    Workload(
        "W2",
        "1000 cube, 6 bits by 6 bits, no variation, 12-bit ADC",
        **_square(1000),
        want=0.8,
        aim=0.4,
        x_slices=_INT6,
        w_slices=_INT6,
        settings={"var": 0.0, "radc": 4096},
    ),
    Workload("W3", "batch of 2 x 1000 x 1000", (2, 1000, 1000), (1000, 1000), want=0.9, aim=0.5),
    Workload("W4", "32 cube, programmed", **_square(32), want=80, aim=50, unit="us"),
    Workload(
        "W4-row",
        "1 x 70 by 70 x 30, pair and signed",
        (1, 70),
        (70, 30),
        want=150,
        aim=None,
        unit="us",
        settings={"x_mapping": "signed", "w_mapping": "signed"},
    ),
    Workload("W4-dot", "32 cube through MapReducedot", **_square(32), want=200, aim=None, unit="us", kind="dot"),
    Workload("W5", "a layer: 4096 x 512 by 512 x 512", (4096, 512), (512, 512), want=0.9, aim=0.5),
    Workload(
        "W6", "1 x 4096 by 4096 x 4096, no variation", (1, 4096), (4096, 4096), 50, 15, "ms", settings={"var": 0.0}
    ),
    Workload("W6-var", "1 x 4096 by 4096 x 4096, read variation", (1, 4096), (4096, 4096), 120, 50, "ms"),
    Workload("cube", "4096 cube, as W1", **_square(4096), want=0.9, aim=0.5, memory=True),
    Workload(
        "ideal", "W1 with an ideal ADC", **_square(1000), want=3, aim=None, unit="np.dot", settings={"radc": None}
    ),
    Workload(
        "lossless", "W1, lossless ADC, no variation", **_square(1000), want=4, aim=None, unit="np.dot", settings=_EXACT
    ),
    # the inputs are for its SNR: what is programmed wrong shows in a product
    Workload(
        "program",
        "programming 4096 x 4096, write variation",
        (64, 4096),
        (4096, 4096),
        want=0.5,
        aim=0.2,
        unit="s",
        settings={"var": 0.0, "write_var": 0.05},
        kind="program",
    ),
    Workload(
        "threads", "W1, two threads against one", **_square(1000), want=1.8, aim=None, unit="times", kind="threads"
    ),
    Workload(
        "process", "second process: import, first product", **_square(100), want=1.5, aim=0.7, unit="s", kind="process"
    ),
    Workload("first", "first ever product, compiled", **_square(100), want=20, aim=8, unit="s", kind="first"),
)

WORKLOADS = {workload.name: workload for workload in _ALL}


def find(names, workloads=WORKLOADS):
    """Return the workloads called `names`, or raise ValueError that lists what there is."""
    unknown = [name for name in names if name not in workloads]
    if unknown:
        msg = f"unknown workload {', '.join(map(repr, unknown))}: use some of {', '.join(workloads)}"
        raise ValueError(msg)
    return [workloads[name] for name in names]


def make_operands(workload):
    """Return float32 operands ``(x, w)`` of standard normal numbers, always the same ones."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    return tuple(rng.standard_normal(shape, dtype=np.float32) for shape in (workload.x_shape, workload.w_shape))


def flat_settings(workload):
    """Return the settings as `mpimpy.DPETensor` and `mpimpy.MapReducedot` take them."""
    slices = {"x_slices": workload.x_slices, "w_slices": workload.w_slices}
    return {**slices, **workload.settings}


def make_engine(workload, backend=None):
    """Return the engine that a workload asks for."""
    import mpimpy

    return mpimpy.DPETensor(**flat_settings(workload), seed=1, backend=backend)


def memory_budget(workload):
    """Return ``(operands, codes, grid, allowance)``, MB: what a product may hold at its peak.

    Operands are inputs, weights and result, float32. Codes are one byte per slice of an element
    of inputs and of weights. The grid has two bytes per cell where cells vary, else none: the
    codes of the weights are the cells.
    """
    m, k, n = workload.mkn
    varies = workload.settings.get("var", 0.05) or workload.settings.get("write_var", 0)
    operands = 4 * (m * k + k * n + m * n)
    codes = len(workload.x_slices) * m * k + len(workload.w_slices) * k * n
    grid = 2 * len(workload.w_slices) * k * n if varies else 0
    return *(size / 2**20 for size in (operands, codes, grid)), 200.0
