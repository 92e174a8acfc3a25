"""What hypothesis draws: configurations and the operands of small products, as NumPy arrays."""

import warnings

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from libraries import RUNNERS

from mpimpy import (
    ADC,
    DAC,
    Config,
    Device,
    Drift,
    Flicker,
    Format,
    Gaussian,
    MpimpyWarning,
    Ranges,
    Relaxation,
    Samples,
    Tile,
    Wires,
    WriteVerify,
)


def examples(number, by_day=None):
    """Examples of a test that draws `number` of them where others draw 60: more by night, fewer in a hurry.

    A test whose examples take long draws at most `by_day` of them, but by night.
    """
    most = settings.default.max_examples
    drawn = number * most // 60
    return max(1, drawn if by_day is None or most > 60 else min(drawn, by_day))


def by_night():
    """Whether the run is one with fresh seeds and many examples: it leaves nothing out that other runs thin."""
    return examples(60) > 60


@st.composite
def runners(draw):
    """(name, maker, backend) of the reference, of Numba and of one other of all that there are; of all by night."""
    others = [name for name in RUNNERS if name not in ("numpy reference", "numpy numba")]
    if not by_night():
        others = [draw(st.sampled_from(others))]
    return [(name, *RUNNERS[name]) for name in ("numpy reference", "numpy numba", *others)]


def some_runners(number):
    """(name, maker, backend) of the reference, of Numba and of one other, by case `number`; of all by night."""
    reference, numba, strict, *others = ((name, *runner) for name, runner in RUNNERS.items())
    if by_night():
        return [reference, numba, strict, *others]
    if examples(60) >= 60:
        return [reference, numba, (strict, *others)[number % (1 + len(others))]]
    # the strict library is by far the slowest
    return [reference, numba, others[number % len(others)] if number and others else strict]


def thinned(cases, every):
    """Cases of a parametrised test: every so many-th one, and the others among the slow tests."""
    return [pytest.param(*case, marks=[pytest.mark.slow] * bool(n % every)) for n, case in enumerate(cases)]


def some(cases, every):
    """Cases of a parametrised test: every so many-th one by day, all by night."""
    return list(cases)[:: 1 if by_night() else every]


# the reference on other libraries' arrays is slow
_SLOW = ("strict reference", "torch reference")
each_runner = pytest.mark.parametrize(
    "runner", [pytest.param(name, marks=[pytest.mark.slow] * (name in _SLOW)) for name in RUNNERS]
)
SLICES = [(1, 1), (1, 3), (1, 1, 2, 4), (1, 2, 2, 1), (1,) * 8, (1, 4, 1, 5), (1, 1, 2, 4, 4)]


@st.composite
def formats(draw, rows, weight):
    bw_e = draw(st.sampled_from([None, None, 3, 8]))
    along = rows * draw(st.integers(1, 3))
    across = draw(st.integers(1, 4))
    block = (along, across) if weight else (across, along)
    mapping = draw(st.sampled_from(["twos", "twos", "pair", "offset"] if weight else ["twos", "twos", "signed"]))
    names = ["finest", "per-matrix", "per-col" if weight else "per-row", block]
    return Format(
        draw(st.sampled_from(SLICES)),
        bw_e=bw_e,
        double=bw_e is not None and draw(st.booleans()),
        granularity=draw(st.sampled_from(names)),
        mapping=mapping,
    )


# of factors: at 0.8 products of cells and factors pass 32 bits, at 2 most cells saturate
SPREADS = [0.0, 0.0, 0.02, 0.05, 0.3, 0.8, 2.0]
STEP = 6e-7  # about what the devices below have between two levels, S


@st.composite
def ranges(draw, shape, full):
    """ADC ranges: of every kind, in amperes, around a full scale."""
    kind = draw(st.sampled_from(["full"] * 3 + ["number", "window", "table"]))
    share = st.sampled_from([1.0, 0.5, 0.25, 2.0, 0.3])
    if kind == "full":
        return "full"
    if kind == "number":
        return draw(share) * full
    if kind == "window":
        low = draw(st.sampled_from([-0.5, -0.37, 0.0, 0.1])) * full
        return (low, low + draw(share) * full)
    low = st.sampled_from([-0.25 * full, 0.0, 0.03 * full])
    table = [[[draw(item) for _ in range(shape[1])] for _ in range(shape[0])] for item in (low, share)]
    return Ranges(table[0], [[item * full for item in row] for row in table[1]])


@st.composite
def variations(draw, count, LGS, kinds):
    """A kind of variation of a device with `count` levels."""
    kind = draw(st.sampled_from(["number", "number", *kinds] if count <= 40 else ["number"]))
    some = st.sampled_from([0.02, 0.05, 0.3, 1.5])
    many = st.lists(st.sampled_from([0.0, 0.02, 0.3, 0.8]), min_size=count, max_size=count).filter(any)
    if kind == "number":
        return draw(st.sampled_from(SPREADS))
    if kind == "per level":
        return draw(many)
    if kind == "Gaussian":
        sigma = draw(st.one_of(some, many))
        return Gaussian([s * STEP for s in sigma] if isinstance(sigma, list) else sigma * STEP)
    if kind == "Flicker" and draw(st.booleans()):
        places = draw(st.lists(st.sampled_from([0.0, 0.2, 0.9, 1.6, 2.0, 5.5, 40.0]), min_size=2, unique=True))
        q = draw(st.lists(st.sampled_from([0.01, 0.2, 0.8]), min_size=len(places), max_size=len(places)))
        return Flicker(q, t0_s=1.0, conductance_S=[LGS + STEP * at for at in sorted(places)])
    if kind == "Flicker":
        return Flicker(
            draw(st.one_of(st.sampled_from([0.01, 0.2, 0.8]), many)), t0_s=draw(st.sampled_from([1.0, 20.0]))
        )
    deviations = st.lists(st.sampled_from([-0.4, -0.1, 0.0, 0.05, 0.3, 4.0]), min_size=2, max_size=5, unique=True)
    rows = [[max(0.0, LGS + STEP * (level + d)) for d in draw(deviations)] for level in range(count)]
    about = draw(st.sampled_from([None, None, tuple(LGS + STEP * level for level in range(count))]))
    return Samples(rows, about)


@st.composite
def relaxations(draw, count):
    """A relaxation from 20 s or less to 10 years; of `count` levels, or of all."""
    number = st.sampled_from([0.0, 0.1, 2.0])
    either = st.one_of(number, st.lists(number, min_size=count, max_size=count)) if count > 1 else number

    def times(entry):
        rows = draw(st.lists(entry, min_size=3, max_size=3))
        return [[STEP * g for g in row] if isinstance(row, list) else STEP * row for row in rows]

    sigma, shift = times(either), times(either) if draw(st.booleans()) else 0.0
    down = draw(st.booleans())
    if shift and down:
        shift = [[-g for g in row] if isinstance(row, list) else -row for row in shift]
    sigma[draw(st.integers(0, 2))] = STEP
    return Relaxation([draw(st.sampled_from([1.0, 20.0])), "1 d", "10 y"], sigma, shift)


@st.composite
def devices(draw, widest, *, noise=True, drift=False):
    """A device whose slices are at most `widest` bits."""
    share = st.sampled_from([0.0, 0.0, 0.1]) if noise else st.just(0.0)
    count, LGS = 2**widest + draw(st.integers(0, 9)), draw(st.sampled_from([0.0, 1e-7, 2e-6]))
    given = {"stuck_HGS": draw(share), "stuck_LGS": draw(share), "LGS": LGS, "g_level": count}
    if not noise:
        return Device(var=0.0, **given)
    kinds = ["per level", "Gaussian", "Samples"]
    given["var"] = draw(variations(count, LGS, [*kinds, "Flicker"]))
    given["write_var"] = draw(variations(count, LGS, kinds))
    if given["write_var"] != 0 and draw(st.integers(0, 3)) == 0:
        given["verify"] = WriteVerify(draw(st.sampled_from([1e-8, 1e-7])), draw(st.sampled_from([1, 2, 6])))
    if count <= 40 and draw(st.integers(0, 3)) == 0:
        steps = draw(st.lists(st.sampled_from([0.3, 1.0, 1.7]), min_size=count - 1, max_size=count - 1))
        given["levels"] = np.cumsum([LGS, *np.multiply(steps, STEP)]).tolist()
    if drift and draw(st.integers(0, 2)) == 0:
        given["relaxation"] = draw(relaxations(count if count <= 40 else 1))
    elif drift or draw(st.integers(0, 5)) == 0:
        number = st.sampled_from([0.02, 0.1, 0.8])
        many = st.lists(st.sampled_from([0.0, 0.05]), min_size=count, max_size=count).filter(any)
        either = st.one_of(number, many) if count <= 40 else number
        given["drift"] = Drift(draw(either), draw(st.one_of(st.just(0.0), either)), draw(st.sampled_from([1.0, 20.0])))
    with warnings.catch_warnings():  # some samples lie beyond what cells hold
        warnings.simplefilter("ignore", MpimpyWarning)
        return Device(**given)


@st.composite
def tiles(draw, rows, pairs):
    """Tiles of some rows, with every kind of reference columns."""
    cols, reference = draw(st.integers(1, 5)), draw(st.sampled_from(["cells", "cells", "ideal"]))
    most = 1 if pairs or reference == "ideal" else 4
    return Tile(rows, cols, reference, draw(st.sampled_from([1, 1, 2, most])) if most > 1 else 1)


@st.composite
def configs(draw, *, noise=True, ideal=True, drift=False, wired=False):
    rows = draw(st.integers(1, 9))
    inputs, weights = draw(formats(rows, False)), draw(formats(rows, True))
    off = st.just(0.0)
    spread = st.sampled_from(SPREADS) if noise else off
    kind = draw(st.sampled_from(["one", "one", "per slice", "ideal"] if ideal else ["one", "per slice"]))
    radc = {
        "one": draw(st.sampled_from([2, 5, 17, 256, 1000, 2**20, 2**30])),
        "per slice": tuple(draw(st.sampled_from([9, 17, 256, 300])) for _ in weights.digits),
        "ideal": None,
    }[kind]
    real = kind != "ideal"
    device = draw(devices(max(weights.digits), noise=noise, drift=drift))
    span, wires, per = "full", None, "slice"
    if real:
        per = draw(st.sampled_from(["slice", "slice", "product"])) if inputs.bits <= 20 else "slice"
        columns = 1 if per == "product" else len(inputs.digits)
        span = draw(ranges((len(weights.digits), columns), rows * 0.1 * (device.HGS - device.LGS)))
        if kind == "one" and draw(st.integers(0, 9)) == 0:
            radc, span = 256, "lossless"
    errors = {}
    if real and noise and radc not in (2**20, 2**30) and draw(st.integers(0, 4)) == 0:  # finer codes than currents
        some = st.sampled_from([0.0, 0.3, 2.0])
        errors = {
            "noise_lsb": draw(some),
            "offset_lsb": draw(some),
            "gain_error": draw(st.sampled_from([0.0, 0.05, 0.5])),
        }
    if wired and draw(st.booleans()):
        ohms = draw(st.sampled_from([(2.93, 2.93), (0.0, 100.0), (1e4, 0.0)]))
        wires = Wires(*ohms, exact_reads=device.var != 0 and draw(st.booleans()))
    return Config(
        device,
        DAC(rdac=2 ** max(inputs.digits) + draw(st.integers(0, 9)), vnoise=draw(spread)),
        ADC(
            radc,
            snap=real and per == "slice" and draw(st.booleans()),
            saturate=not real or draw(st.booleans()),
            range=span,
            per=per,
            **errors,
        ),
        draw(tiles(rows, weights.signed)),
        inputs,
        weights,
        wires,
    )


@st.composite
def matrices(draw, shape, dtype=None):
    dtype = draw(st.sampled_from([np.float32, np.float64])) if dtype is None else dtype
    values = draw(hnp.arrays(dtype, shape, elements=st.floats(-4, 4, width=32, allow_subnormal=False)))
    scale = draw(st.sampled_from([1.0, 1.0, 1e-12, 1e12]))
    return (values * scale).astype(dtype)


@st.composite
def products(draw, **options):
    """A configuration and operands (x, w) that fit it."""
    config = draw(configs(**options))
    batch = draw(st.sampled_from([(), (), (2,)]))
    m, k, n = draw(st.integers(1, 6)), draw(st.integers(1, 21)), draw(st.integers(1, 12))
    return config, draw(matrices((*batch, m, k))), draw(matrices((k, n)))
