"""The algorithm as a first version would be written: one einsum over all slice pairs and tiles.

Plain and readable, for NumPy arrays and torch tensors on any device. It does the arithmetic of
mpimpy (README, "The arithmetic") in float32 with the library's own random numbers, and holds all
currents at once: ``x slices * w slices * tiles * M * N`` of them.
"""

import numpy as np

__all__ = ["EinsumMatrix", "einsum_product", "tensor_gb"]


def _library(array):
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def _lognormal(like, spread):
    # exp(N(0, spread)) from the generator of the array's library
    if isinstance(like, np.ndarray):
        return np.exp(np.float32(spread) * np.random.randn(*like.shape).astype(like.dtype))  # noqa: NPY002
    return (spread * _library(like).randn_like(like)).exp()


def _tiled(array, rows):
    # (A, K) -> (tiles, A, rows) with zeros beyond the ragged edge
    xp = _library(array)
    height, depth = array.shape
    tiles = -(-depth // rows)
    where = {} if xp is np else {"device": array.device}
    padded = xp.zeros((height, tiles * rows), dtype=array.dtype, **where)
    padded[:, :depth] = array
    return xp.swapaxes(padded.reshape(height, tiles, rows), 0, 1)


def _encode(array, rows, slices):
    """Return digits, (slices, tiles, A, rows), and scales, (tiles, A, 1), of blocks of `rows` elements."""
    xp = _library(array)
    blocks = _tiled(array, rows)
    peak = xp.amax(xp.abs(blocks), -1)[..., None]
    peak = xp.where(peak > 0, peak, xp.ones_like(peak))
    top = 2 ** (sum(slices) - 1) - 1
    code = xp.round(blocks / peak * top)
    code = xp.where(code < 0, code + 2 ** sum(slices), code)  # two's complement
    digits, below = [], sum(slices)
    for bits in slices:
        below -= bits
        digits.append(xp.floor(code / 2**below) % 2**bits)
    return xp.stack(digits), peak / top


def _weights(like, slices, strides):
    # what a slice counts in the shift-and-add, most significant first: the sign counts negatively
    below = [sum(slices[index + 1 :]) for index in range(len(slices))]
    signs = [-1] + [1] * (len(slices) - 1)
    values = [sign * 2**shift / stride for sign, shift, stride in zip(signs, below, strides, strict=True)]
    xp = _library(like)
    where = {} if xp is np else {"device": like.device}
    return xp.asarray(values, dtype=like.dtype, **where)


def _times_stride(digits, strides):
    xp = _library(digits)
    return xp.stack([digit * stride for digit, stride in zip(digits, strides, strict=True)])


def _einsum(xp, subscripts, *operands):
    # NumPy hands a contraction to BLAS only when asked
    return xp.einsum(subscripts, *operands, **({"optimize": True} if xp is np else {}))


class EinsumMatrix:
    """A matrix programmed into crossbars.

    Parameters
    ----------
    w : float32 array, NumPy or torch, shape (K, N)
    x_slices, w_slices : sequence of int
        Bits of the slices, most significant first.
    rows : int
        Rows of an array. Its columns do not matter to the arithmetic.
    g_level, rdac : int
        Levels of a cell and of a DAC.
    radc : int or None
        ADC codes; None for an ideal one.
    var, write_var : float
        Read and write variation.
    HGS, LGS : float
        Conductance range, S.
    """

    def __init__(
        self,
        w,
        x_slices=(1, 1, 2, 4),
        w_slices=(1, 1, 2, 4),
        *,
        rows=64,
        g_level=16,
        rdac=16,
        radc=256,
        var=0.05,
        write_var=0.0,
        HGS=1e-5,
        LGS=1e-7,
    ):
        self.x_slices, self.w_slices, self.rows, self.radc, self.var = x_slices, w_slices, rows, radc, var
        self.full_scale = rows * (rdac - 1) * (g_level - 1)
        self.x_strides = [(rdac - 1) // (2**bits - 1) for bits in x_slices]
        self.w_strides = [(g_level - 1) // (2**bits - 1) for bits in w_slices]
        self.reference = LGS / (HGS - LGS) * (g_level - 1)  # LGS in levels
        digits, self.scale = _encode(w.T, rows, w_slices)
        self.cells = self._vary(_times_stride(digits, self.w_strides), write_var)  # (slices, tiles, N, rows)

    def _vary(self, cells, spread):
        return (cells + self.reference) * _lognormal(cells, spread) - self.reference if spread else cells

    def read(self, x):
        """Return the product of inputs, shape (..., K), by the matrix."""
        xp = _library(x)
        inputs = x.reshape(-1, x.shape[-1])
        digits, scale = _encode(inputs, self.rows, self.x_slices)
        codes = _times_stride(digits, self.x_strides)
        cells = self._vary(self.cells, self.var)
        step = self.full_scale / (self.radc - 1) if self.radc else 1
        result = _einsum(xp, "itmk,jtnk->ijtmn", codes, cells)
        if self.radc:
            result = xp.clip(xp.round(result * (1 / step)), 0, self.radc - 1)
        x_weights = _weights(result, self.x_slices, self.x_strides)
        w_weights = _weights(result, self.w_slices, self.w_strides) * step
        result = _einsum(xp, "ijtmn,i,j->tmn", result, x_weights, w_weights)
        result = _einsum(xp, "tmn,tm,tn->mn", result, scale[..., 0], self.scale[..., 0])
        return result.reshape(*x.shape[:-1], -1)


def einsum_product(x, w, x_slices=(1, 1, 2, 4), w_slices=(1, 1, 2, 4), **settings):
    """Return ``x @ w`` as crossbars would compute it; settings as for `EinsumMatrix`."""
    return EinsumMatrix(w, x_slices, w_slices, **settings).read(x)


def tensor_gb(workload, rows=64):
    """Return the size of the tensor of all currents of a workload, GB."""
    m, k, n = workload.mkn
    return 4 * workload.pairs * -(-k // rows) * m * n / 2**30
