"""Configurations and operands from one seed, by NumPy's generator: quick enough for thousands of products."""

import numpy as np

from mpimpy import ADC, DAC, Config, Device, Format, Ranges, Tile

WIDEST_SLICE = 16
MOST_CONVERSIONS = 30


def conversions(config):
    """Conversions of a tile: one for each pair of slices and planes."""
    inputs, weights = config.inputs, config.weights
    count = 1 if config.adc.per == "product" else len(inputs.digits)
    return count * inputs.planes * len(weights.digits) * weights.planes


class Draw:
    """Random settings and numbers from one seed; it remembers which kinds it has drawn."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.kinds = set()

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def often(self, share):
        return bool(self.rng.random() < share)

    def between(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def kind(self, name, *choices):
        """Pick one of the choices, and remember it."""
        choice = self.pick(*choices)
        self.kinds.add(f"{name}: {choice}")
        return choice

    # -- settings ------------------------------------------------------------------------------

    def slices(self):
        bits = self.between(*self.pick((2, 8), (9, 24), (25, 40), (41, 53)))
        widest = self.pick(1, 2, 4, 8, 12, WIDEST_SLICE)
        widest = max(widest, -(-(bits - 1) // self.pick(2, 3, 3, 6)))  # not too many slices, or products take long
        parts, left = [1], bits - 1
        while left:
            parts.append(min(left, self.between(1, min(widest, WIDEST_SLICE))))
            left -= parts[-1]
        self.kinds.add(f"bits: {bits}")
        return tuple(parts)

    def format(self, rows, weight, mapping=None):
        """A format whose blocks hold whole tiles of some rows."""
        operand = "w" if weight else "x"
        mapping = mapping or self.kind(f"{operand} mapping", "twos", "signed", *(["offset"] if weight else []))
        exponent = self.kind(f"{operand} exponent", "none", "shared", "double")
        along, across = rows * self.between(1, 3), self.between(1, 4)
        if self.often(0.2):
            along = 1000 * rows + self.between(0, 1)  # beyond the matrix, where a block need not hold whole tiles
        block = (along, across) if weight else (across, along)
        gran = self.kind(f"{operand} block", "finest", "per-matrix", "per-col" if weight else "per-row", "shape")
        while True:
            fmt = Format(
                self.slices(),
                bw_e=None if exponent == "none" else self.between(1, 11),
                double=exponent == "double",
                granularity=block if gran == "shape" else gran,
                mapping=mapping,
            )
            if max(fmt.digits) <= WIDEST_SLICE:
                return fmt

    def stride(self, widest):
        """A number of levels for digits of some bits: their stride is 1 or more, with levels left over or not."""
        steps = 2**widest - 1
        most = min(self.pick(1, 1, 2, 3, 7), 65535 // steps)
        return most * steps + 1 + (self.between(0, min(9, 65535 - most * steps)) if self.often(0.5) else 0)

    def device(self, widest, **changes):
        levels, LGS = self.stride(widest), self.pick(0.0, 1e-7, 2e-6)
        if levels <= 40 and self.often(0.5):
            self.kinds.add("levels: uneven")
            steps = self.rng.choice([0.3, 1.0, 1.7], levels - 1)
            return Device(levels=np.cumsum([LGS, *(steps * 6e-7)]).tolist(), **{"var": 0.0} | changes)
        return Device(HGS=LGS + self.pick(1e-5, 3e-4), LGS=LGS, g_level=levels, **{"var": 0.0} | changes)

    def adc(self, inputs, weights, full):
        """An ADC of any kind; `full` is the full-scale current in A."""
        kind = self.kind("range", "ideal", "full", "full", "number", "window", "table", "lossless")
        if kind == "ideal":
            return ADC(None)
        snap, saturate = self.kind("snap", True, False), self.kind("saturate", True, False)
        # whole codes of more bits have no exact currents
        per = "slice" if snap or inputs.bits > 20 else self.kind("per", "slice", "product")
        if kind == "lossless":
            return ADC(range="lossless", snap=snap, saturate=saturate, per=per)
        codes = [2, 3, 5, 17, 256, 300, 1000, 2**16, 2**20, 2**24, 2**24 + 1, 2**30, 2**40, 2**53]
        radc = self.pick(*codes)
        if self.kind("radc", "one", "per slice") == "per slice":
            radc = tuple(self.pick(*codes) for _ in weights.digits)
        if np.max(radc) > 2**24:
            self.kinds.add("radc: beyond float32")
        share = (1.0, 0.5, 0.25, 2.0, 0.3, 0.01)
        span = kind
        if kind == "number":
            span = self.pick(*share) * full
        elif kind == "window":
            low = self.pick(-0.5, -0.37, 0.0, 0.1) * full
            span = (low, low + self.pick(*share) * full)
        elif kind == "table":
            shape = len(weights.digits), 1 if per == "product" else len(inputs.digits)
            span = Ranges(
                self.rng.choice([-0.25 * full, 0.0, 0.03 * full], shape).tolist(),
                (self.rng.choice(share, shape) * full).tolist(),
            )
        return ADC(radc, snap=snap, saturate=saturate, range=span, per=per)

    def config(self, **device):
        """A configuration; `device` changes its memristors, which have no random effect otherwise."""
        rows = self.pick(1, 2, self.between(3, 9), 16, 31, 33, 64, 300)
        inputs, weights = self.format(rows, False), self.format(rows, True)
        cells, dac = (
            self.device(max(weights.digits), **device),
            DAC(self.stride(max(inputs.digits)), vread=self.pick(0.1, 1.0)),
        )
        adc = self.adc(inputs, weights, rows * dac.vread * (cells.HGS - cells.LGS))
        tile = Tile(rows, self.pick(1, 3, 8, 64))
        self.kinds.add("tile: " + ("1 x 1" if tile == Tile(1, 1) else "of any size"))
        return Config(cells, dac, adc, tile, inputs, weights)

    # -- operands ------------------------------------------------------------------------------

    def shape(self, config):
        """(M, K, N) of a product that takes a few hundred conversions a result at most."""
        m = self.pick(1, self.between(1, 6), self.between(1, 6), self.between(30, 36))
        k = self.pick(1, self.between(1, 21), self.between(1, 21), self.between(30, 70))
        n = self.pick(1, self.between(1, 12), self.between(1, 12), self.between(30, 36))
        tiles = max(1, self.pick(1, 1, 1, 4) * MOST_CONVERSIONS // conversions(config))
        return m, min(k, tiles * config.tile.rows), n

    def dtype(self, name):
        return np.dtype(
            self.kind(name, "f8", "f8", "f4", "f4", "f2", "i1", "u1", "i4", "i8", "u8", "?", "i2", "u2", "u4")
        )

    def numbers(self, shape, dtype, bits):
        """An array of some kind: random or special numbers. Codes of `bits` bits meet ties among them."""
        kind = self.kind("numbers", "normal", "special", "whole", "ties", "constant", "sparse", "powers", "zeros")
        if dtype.kind == "b":
            return self.rng.random(shape) < 0.5
        if dtype.kind in "iu":
            return self.integers(kind, shape, dtype)
        info = np.finfo(dtype)
        top = 2.0 ** (bits - 1) - 1
        values = self.rng.standard_normal(shape)
        if kind == "special":
            # relative to the largest number that there is: ties, neighbours of one, numbers that vanish beside it
            some = [0.0, -0.0, 1.0, -1.0, 0.5, 1 / 3, 1 + float(info.eps), 1 - float(info.epsneg), 2.0**-60]
            values = self.rng.choice([*some, float(info.smallest_subnormal), 1e-5, 2.0, -2.0], shape)
        elif kind == "whole":
            values = self.rng.integers(-8, 9, shape).astype(float)
        elif kind == "ties" and shape[0] and shape[-1]:
            # the codes of these lie half way between two whole numbers, or on one
            values = np.trunc(self.rng.uniform(-2 * top, 2 * top, shape)) / 2
            values[self.rng.random(shape) < 0.3] = top
        elif kind == "constant":
            values = np.full(shape, self.rng.standard_normal())
        elif kind == "sparse":
            values *= self.rng.random(shape) < 0.2
        elif kind == "powers":
            values = self.rng.choice([-1.0, 1.0], shape) * 2.0 ** self.rng.integers(-12, 5, shape)
        elif kind == "zeros":
            values = np.zeros(shape)
        limit = {2: 4.0, 4: float(info.max), 8: 1e200}[dtype.itemsize]
        peak = np.abs(values).max(initial=0.0)
        if peak > limit:
            values *= limit / peak
        return values.astype(dtype)

    def integers(self, kind, shape, dtype):
        info = np.iinfo(dtype)
        low, high = max(info.min, -(2**53)), min(info.max, 2**53)
        if kind in ("special", "ties"):
            return self.rng.choice(np.array([0, 1, 2, 3, low, high, high - 1], dtype), shape)
        if kind == "zeros":
            return np.zeros(shape, dtype)
        if kind == "constant":
            return np.full(shape, high, dtype)
        low, high = (low, high) if kind == "normal" else (max(low, -9), min(high, 9))
        return self.rng.integers(low, high + 1, shape).astype(dtype)

    def scaled(self, x, w):
        """Multiply floats by factors that cancel: each operand's range is used, and no product leaves it."""
        if x.dtype.kind != "f" or w.dtype.kind != "f" or min(x.itemsize, w.itemsize) < 4 or not self.often(0.4):
            return x, w
        most = {4: 20, 8: 150}[min(x.itemsize, w.itemsize)]
        factor = 10.0 ** self.between(-most, most)
        peaks = np.abs(x).max(initial=0.0), np.abs(w).max(initial=0.0)
        if max(peaks) > 1e6:
            return x, w
        self.kinds.add("scale: far from 1")
        return (x * factor).astype(x.dtype), (w / factor).astype(w.dtype)

    def layout(self, array):
        """The same values in another layout of memory; NumPy only."""
        kind = self.kind(
            "layout", "C", "F", "strided", "reversed", "read-only", "swapped", "unaligned", "padded", "broadcast"
        )
        if kind == "F":
            return np.asfortranarray(array)
        if kind == "strided":
            wide = np.zeros(tuple(2 * size for size in array.shape), array.dtype)
            every = tuple(slice(0, None, 2) for _ in array.shape)
            wide[every] = array
            return wide[every]
        if kind == "reversed":
            back = tuple(slice(None, None, -1) for _ in array.shape)
            return np.ascontiguousarray(array[back])[back]
        if kind == "read-only":
            array = array.copy()
            array.flags.writeable = False
        elif kind == "swapped":
            return array.astype(array.dtype.newbyteorder())
        elif kind == "unaligned":
            memory = np.empty(array.nbytes + 1, np.uint8)
            found = memory[1:].view(array.dtype).reshape(array.shape) if array.size else array
            found[...] = array
            return found
        elif kind == "padded":
            memory = np.zeros((*array.shape[:-1], array.shape[-1] + 3), array.dtype)
            memory[..., : array.shape[-1]] = array
            return memory[..., : array.shape[-1]]
        return array

    def repeated(self, array):
        """A view that repeats one element along an axis, or the array itself: values change."""
        if not array.size or not self.often(0.1):
            return array
        self.kinds.add("layout: stride 0")
        axis = self.between(0, array.ndim - 1)
        return np.broadcast_to(array.take([0], axis), array.shape)
