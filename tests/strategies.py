"""What hypothesis draws: configurations and the operands of small products, as NumPy arrays."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mpimpy import ADC, DAC, Config, Device, Format, Ranges, Tile

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
        low = draw(st.sampled_from([-0.5, 0.0, 0.1])) * full
        return (low, low + draw(share) * full)
    low = st.sampled_from([-0.25 * full, 0.0, 0.03 * full])
    table = [[[draw(item) for _ in range(shape[1])] for _ in range(shape[0])] for item in (low, share)]
    return Ranges(table[0], [[item * full for item in row] for row in table[1]])


@st.composite
def configs(draw, *, noise=True, ideal=True):
    rows = draw(st.integers(1, 9))
    inputs, weights = draw(formats(rows, False)), draw(formats(rows, True))
    off = st.just(0.0)
    spread = st.sampled_from([0.0, 0.02, 0.05, 0.3]) if noise else off
    share = st.sampled_from([0.0, 0.0, 0.1]) if noise else off
    kind = draw(st.sampled_from(["one", "one", "per slice", "ideal"] if ideal else ["one", "per slice"]))
    radc = {
        "one": draw(st.sampled_from([2, 5, 17, 256, 1000, 2**20, 2**30])),
        "per slice": tuple(draw(st.sampled_from([9, 17, 256, 300])) for _ in weights.digits),
        "ideal": None,
    }[kind]
    real = kind != "ideal"
    low = draw(st.sampled_from([0.0, 1e-7, 2e-6]))
    span = "full"
    if real:
        span = draw(ranges((len(weights.digits), len(inputs.digits)), rows * 0.1 * (1e-5 - low)))
        if kind == "one" and draw(st.integers(0, 9)) == 0:
            radc, span = 256, "lossless"
    return Config(
        Device(
            LGS=low,
            g_level=2 ** max(weights.digits) + draw(st.integers(0, 9)),
            var=draw(spread),
            write_var=draw(spread),
            stuck_HGS=draw(share),
            stuck_LGS=draw(share),
        ),
        DAC(rdac=2 ** max(inputs.digits) + draw(st.integers(0, 9)), vnoise=draw(spread)),
        ADC(radc, snap=real and draw(st.booleans()), saturate=not real or draw(st.booleans()), range=span),
        Tile(rows, draw(st.integers(1, 5))),
        inputs,
        weights,
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
