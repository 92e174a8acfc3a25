"""MemIntelli's first example: a 400 x 500 by 500 x 600 product, INT and block floating point.

Source: MemIntelli (arXiv 2511.17418), its file examples/01_matrix_multiplication.py as its fork
memintelli_flash ships it: slices [1, 1, 2, 2, 2], arrays of 32 x 32, 4 levels, 4-level DACs,
4096-code ADCs, HGS 10 uS, LGS 10 nS, 5 % read variation, 5 % DAC noise, 0.1 % of the cells stuck at
HGS, blocks of 1 x 128 inputs and 128 x 128 weights.

That code printed, when it was run, 12.65 dB (INT) and 8.70 dB (FP); without DAC noise and stuck
cells 15.38 and 10.92. Its README has a picture with 15.47 and 11.61 dB. It does not say which
settings drew it: the INT figure fits the run without noise and stuck cells, the FP figure fits
neither.

The example divides the energy of the *measured* product by that of the error, which is up to 0.7 dB
more than the SNR of the exact one. This script does the same, for the figures to be of one kind.
The operands are the example's, by torch.manual_seed(42); noise and stuck cells are other draws. The
example subtracts the lowest conductance without error, so reference columns are ideal.

python published_memintelli.py
"""

import sys

import numpy as np
from _published import Row, show

from mpimpy import ADC, DAC, SNR, Device, Engine, Format, Tile

SETTINGS = {"as shipped": (0.05, 1e-3), "no DAC noise, no stuck cells": (0.0, 0.0)}
PRINTED = {
    ("as shipped", "INT"): 12.65,
    ("as shipped", "FP"): 8.70,
    ("no DAC noise, no stuck cells", "INT"): 15.38,
    ("no DAC noise, no stuck cells", "FP"): 10.92,
}


def engine(vnoise, stuck, exponent, seed=0):
    """Return the example's machine."""
    slices = (1, 1, 2, 2, 2)
    return Engine(
        Device(HGS=1e-5, LGS=1e-8, g_level=4, var=0.05, stuck_HGS=stuck),
        DAC(rdac=4, vnoise=vnoise),
        ADC(2**12),
        Tile(32, 32, reference="ideal"),
        inputs=Format(slices, bw_e=exponent, granularity=(1, 128)),
        weights=Format(slices, bw_e=exponent, granularity=(128, 128)),
        seed=seed,
    )


def operands():
    """Return the operands of the example, float64."""
    try:
        import torch
    except ModuleNotFoundError:
        sys.exit("this example needs torch, for the operands of the original: pip install torch")
    random = torch.Generator().manual_seed(42)
    x, w = torch.randn(400, 500, generator=random), torch.randn(500, 600, generator=random)
    return x.numpy().astype(np.float64), w.numpy().astype(np.float64)


def measured(vnoise, stuck, exponent, seed=0):
    """Return the figure that the example prints, dB: energy of the measured product over that of its error."""
    x, w = operands()
    y = engine(vnoise, stuck, exponent, seed)(x, w, read=0)
    return SNR(x @ w, y)


def reproduce():
    """Return the figures by settings and format, dB."""
    return {
        (name, kind): measured(*settings, exponent)
        for name, settings in SETTINGS.items()
        for kind, exponent in (("INT", None), ("FP", 8))
    }


def main():
    """Print the table."""
    found = reproduce()
    rows = [
        Row(
            f"{kind}, {name}",
            f"{PRINTED[name, kind]:.2f} dB",
            f"{figure:.2f} dB",
            "nothing: its code is public" if name == "as shipped" else f"the picture's {picture} dB: no settings named",
        )
        for ((name, kind), figure), picture in zip(found.items(), ("", "", "15.47", "11.61"), strict=True)
    ]
    show("MemIntelli, example 1: 400 x 500 by 500 x 600", rows)
    return found


if __name__ == "__main__":
    main()
