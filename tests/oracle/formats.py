"""Floats as integer codes, and codes as digits."""

from fractions import Fraction
from math import frexp


def exponent(value):
    return frexp(value)[1] - 1


def mean_of(sizes, block):
    """The mean magnitude that splits a block: in fixed point, with 53 bits below the largest, or what 63 bits hold."""
    places = min(53, 62 - (block[0] * block[1] - 1).bit_length())
    unit = Fraction(2) ** (exponent(max(sizes)) + 1 - places)
    return sum(round(Fraction(size) / unit) for size in sizes) // len(sizes) * unit


def quantise(values, fmt, block):
    """Return (codes, scales): per plane, codes[row][col] and scales[row][col]."""
    rows, cols, bits = len(values), len(values[0]), sum(fmt.slices)
    planes = 2 if fmt.double else 1
    codes = [[[0] * cols for _ in range(rows)] for _ in range(planes)]
    scales = [[[0.0] * cols for _ in range(rows)] for _ in range(planes)]
    for top in range(0, rows, block[0]):
        for left in range(0, cols, block[1]):
            cells = [
                (r, c) for r in range(top, min(top + block[0], rows)) for c in range(left, min(left + block[1], cols))
            ]
            sizes = {cell: abs(values[cell[0]][cell[1]]) for cell in cells}
            peak = max(sizes.values())
            if peak == 0:
                continue
            groups = [(cells, peak)]
            if fmt.double:
                mean = mean_of(sizes.values(), block)
                big = [cell for cell in cells if Fraction(sizes[cell]) > mean]
                groups = [(big, peak), ([cell for cell in cells if cell not in big], float(mean))]
            signed = fmt.mapping == "signed"
            for plane, (members, leader) in enumerate(groups):
                if not members or max(sizes[cell] for cell in members) == 0:
                    continue
                for r, c in members:
                    v = values[r][c]
                    if fmt.bw_e is None:
                        most = 2 ** (bits - 1) - 1
                        codes[plane][r][c] = round(v / peak * most)
                        scale = peak / most
                    else:
                        e = min(max(exponent(leader), -(2 ** (fmt.bw_e - 1))), 2 ** (fmt.bw_e - 1) - 1)
                        q = round(Fraction(v) * Fraction(2) ** (bits - 2 - e))
                        codes[plane][r][c] = min(max(q, signed - 2 ** (bits - 1)), 2 ** (bits - 1) - 1)
                        scale = 2.0 ** (e + 2 - bits)
                    scales[plane][r][c] = scale
                for r, c in cells:
                    scales[plane][r][c] = scale
    return codes, scales


def widths(fmt):
    """Bits of the digits, least significant first."""
    slices = list(fmt.slices)
    if fmt.mapping != "twos":
        sign = slices.pop(0)
        slices[0] += sign if fmt.mapping == "offset" else 0
    return slices[::-1]


def digits(code, fmt):
    """Digits of a code as the hardware holds them, least significant first."""
    bits = sum(fmt.slices)
    sign = -1 if fmt.mapping == "signed" and code < 0 else 1
    code = {"twos": code % 2**bits, "signed": abs(code), "offset": code + 2 ** (bits - 1)}[fmt.mapping]
    out = []
    for width in widths(fmt):
        out.append(sign * (code % 2**width))
        code >>= width
    assert code == 0
    return out


def ends_of_digits(fmt):
    """(lowest, highest) of each digit as currents count it."""
    ends = [(1 - 2**b if fmt.mapping == "signed" else 0, 2**b - 1) for b in widths(fmt)]
    if fmt.mapping == "offset":
        half = 2 ** (widths(fmt)[-1] - 1)
        ends[-1] = (-half, half - 1)
    return ends
