"""What hypothesis draws for read kernels: arrays with their `Reading`, and errors of the ADCs."""

import numpy as np
from hypothesis import strategies as st
from strategies import by_night

from mpimpy import noise
from mpimpy.backends import Errors, Reading

ROWS = [1, 3, 8, 63, 64, 65, 130]


@st.composite
def readings(draw, heights=(1, 2, 31, 32, 33, 37, 70), widths=(1, 5, 31, 32, 33, 64, 70), rarely_bounded=False):
    """Arguments of a read: arrays from a seed, everything else drawn.

    The bound of codes asks for kernels of their own, each of which takes long to compile: where it is `rarely_bounded`,
    it is told by night alone.
    """
    bounded = not rarely_bounded or by_night()
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.sampled_from(ROWS))
    depth = draw(st.integers(1, 3 * rows + 1 if rows < 60 else rows + 7))
    if draw(st.integers(0, 5)) == 0:
        depth = 17 * rows + 1 if rows < 4 else depth  # more than a panel of tiles
    height, width = draw(st.sampled_from(heights)), draw(st.sampled_from(widths))
    bits = draw(st.sampled_from([(1,), (1, 1), (4, 2, 1, 1), (3, 1), (5, 1), (1,) * 5, (8, 1), (16, 1)]))
    noisy, wide = draw(st.booleans()), draw(st.booleans())
    cell_bits = draw(st.sampled_from([3, 7, 15] if max(bits) < 16 else [3]))
    if wide or (max(bits) < 5 and rows < 60):
        cell_bits = draw(st.sampled_from([cell_bits, 20]))
    cell = 2**cell_bits - 1
    strides = tuple(int(s) for s in rng.integers(1, 4, len(bits)))
    signed = draw(st.booleans())
    if noisy:
        strides = (1,) * len(bits)
        digits = np.stack([rng.integers(-(2**b), 2 ** (b + 1), (height, depth)) for b in bits])
    else:
        digits = np.stack([rng.integers(1 - 2**b if signed else 0, 2**b, (height, depth)) for b in bits])
    code = int(np.abs(digits).max()) * max(strides)
    digits = digits.astype(draw(st.sampled_from([d for d in ("int8", "int16", "int32") if np.iinfo(d).max >= code])))
    slices = draw(st.integers(1, 3))
    grid = rng.integers(-cell // 4, cell, (slices, depth, width), endpoint=True)
    kinds = [d for d in ("int8", "int16", "int32") if np.iinfo(d).max >= cell]
    grid = grid.astype(draw(st.sampled_from(kinds)))
    bound = rows * max(code, 1) * cell
    wide = wide or bound > 2**31 - 1
    tiles = -(-depth // rows)
    choices = st.sampled_from([1, 20, 255, 1000, 2**20])
    tops = tuple(tuple(draw(choices) for _ in bits) for _ in range(slices))
    if draw(st.booleans()):
        tops = (tops[0][:1] * len(bits),) * slices
    lows = tuple(tuple(draw(st.sampled_from([0, 0, -top, top // 2])) for top in row) for row in tops)
    shared = [float(w) for w in rng.integers(-8, 9, len(bits))]
    weights = tuple(tuple(w * 2.0**j for w in shared) for j in range(slices))
    if draw(st.integers(0, 2)) == 0:
        weights = tuple(tuple(float(w) for w in rng.standard_normal(len(bits))) for _ in range(slices))
    units = None
    if draw(st.integers(0, 3)) == 0:
        units = tuple(tuple(float(u) for u in rng.uniform(0.1, 4, len(bits))) for _ in range(slices))
    steps = tuple(tuple(float(np.float32(top / bound * rng.uniform(0.5, 3))) for top in row) for row in tops)
    arrays = digits, rng.standard_normal((height, tiles)), grid, rng.standard_normal((tiles, width))
    reading = Reading(
        strides=strides,
        widths=None if noisy else bits,
        signed=noisy or signed,
        rows=rows,
        bound=bound,
        wide=wide,
        adc_gain=steps,
        code_range=draw(st.sampled_from([(lows, tops), None])),
        digit_units=units,
        shift_weights=weights,
        code_bound=draw(st.sampled_from([0, max(code, 1)])) if bounded else 0,
    )
    return arrays, reading, draw(st.sampled_from(["float32", "float64"]))


@st.composite
def addresses(draw):
    """Addresses at their ends and between; a read gives them their purpose."""
    return noise.Address(
        seed=draw(st.integers(0, 2**64 - 1)),
        chip=draw(st.sampled_from([0, 7, noise.MAX_CHIP])),
        read=draw(st.sampled_from([0, 3, noise.MAX_READ])),
        purpose=0,
        row=draw(st.sampled_from([0, 5, 2**22 - 70])),
        col=draw(st.sampled_from([0, 3, 8, 2**31 - 1])),
        stream=draw(st.sampled_from([None, 5])),
    )


@st.composite
def errors_of(draw, arrays, reading):
    """Errors of the ADCs of a read, at any address: gain, offset and noise, some of them off."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    slices, inputs = len(reading.shift_weights), len(reading.strides)

    def amplitudes():
        if draw(st.integers(0, 2)) == 0:
            return None
        most = draw(st.sampled_from([1, 2**10, 2**24 + 1, 2**40, 2**56]))
        return tuple(tuple(int(a) for a in row) for row in rng.integers(0, most, (slices, inputs), endpoint=True))

    address = draw(addresses())
    sigma = draw(st.sampled_from([0.0, 0.01, 1.0]))
    return Errors(
        address,
        tile=draw(st.sampled_from([0, 9, 1000])),
        array=draw(st.integers(0, 3)),
        pair=draw(st.integers(0, 200)),
        pairs=inputs * draw(st.integers(1, 2)),
        gain=noise.gaussian_table(sigma) if sigma else None,
        offset=amplitudes(),
        noise=amplitudes(),
    )
