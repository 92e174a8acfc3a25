"""Two products of torch tensors on crossbars: block floating point with noise, and integers without.

Run ``python seed_example.py`` to print the signal-to-noise ratios, or
``python seed_example.py products.png`` to draw measured against expected elements too.
"""

import sys

import torch

from mpimpy import SNR, DPETensor, SlicedData, plot

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def tb_mode_0():
    """Two matrices times one: a shared exponent per 64 x 64 block, an 8-bit ADC, 5 % variation."""
    torch.manual_seed(42)
    x_data = torch.randn(2, 1000, 1000, dtype=torch.float64, device=device)
    mat_data = torch.randn(1000, 1000, dtype=torch.float64, device=device)
    mblk = torch.tensor([1, 1, 2, 4])
    xblk = torch.tensor([1, 1, 2, 4])
    mat = SlicedData(mblk, device=device, bw_e=8, is_weight=True, quant_gran=(64, 64), paral_size=(64, 64))
    x = SlicedData(xblk, device=device, bw_e=8, quant_gran=(64, 64), paral_size=(64, 64))
    engine = DPETensor(var=0.05, g_level=16, rdac=16, radc=2**8)
    mat.slice_data_imp(engine, mat_data)
    x.slice_data_imp(engine, x_data)
    result = engine(x, mat).cpu().numpy()
    rel_result = torch.matmul(x_data, mat_data).cpu().numpy()
    print("SNR(dB)", SNR(result, rel_result))
    return result, rel_result


def tb_mode_1():
    """Integers with a 12-bit ADC and no variation."""
    torch.manual_seed(42)
    x_data = torch.randn(1000, 1000, dtype=torch.float64, device=device)
    mat_data = torch.randn(1000, 1000, dtype=torch.float64, device=device)
    mblk = torch.tensor([1, 1, 2, 2])
    xblk = torch.tensor([1, 1, 2, 2])
    size = 64
    paral_size = size
    # blocks of (1, 64) are rounded up to whole arrays, and a warning says so
    mat = SlicedData(
        mblk, device=device, bw_e=None, is_weight=True, paral_size=(paral_size, paral_size), quant_gran=(1, size)
    )
    x = SlicedData(xblk, device=device, bw_e=None, paral_size=(paral_size, paral_size), quant_gran=(1, size))
    engine = DPETensor(var=0.00, g_level=16, rdac=16, radc=2**12)
    mat.slice_data_imp(engine, mat_data)
    x.slice_data_imp(engine, x_data)
    result = engine(x, mat).cpu().numpy()
    rel_result = torch.matmul(x_data, mat_data).cpu().numpy()
    print("SNR(dB)", SNR(result, rel_result))
    return result, rel_result


if __name__ == "__main__":
    products = [tb_mode_0(), tb_mode_1()]
    if len(sys.argv) > 1:
        axes = plot.new_axes(1, 2)[0]
        for mode, (ax, (result, rel_result)) in enumerate(zip(axes, products, strict=True)):
            plot.scatter(result, rel_result, ax, f"tb_mode {mode}")
        axes[0].figure.savefig(sys.argv[1])
