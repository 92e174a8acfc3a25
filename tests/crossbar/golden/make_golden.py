"""Write products.npz: products computed by the oracle, in Python's own integers.

PYTHONPATH=.:tests python tests/crossbar/golden/make_golden.py
"""

import pathlib

import numpy as np
import oracle

from mpimpy import ADC, DAC, Config, Device, Format, Gaussian, Tile
from mpimpy.operands import encoding

SEED, CHIP, READ = 20261124, 3, 5
SMALL = Tile(16, 8)
CASES = {
    "defaults": Config(),
    "everything": Config(
        Device(g_level=20, var=0.05, write_var=0.1, stuck_HGS=0.02, stuck_LGS=0.03),
        DAC(rdac=18, vnoise=0.02),
        ADC((200, 300, 1000, 256)),
        SMALL,
    ),
    "float": Config(
        Device(var=0.02),
        adc=ADC(4096),
        tile=SMALL,
        inputs=Format((1, 1, 2, 4, 4), bw_e=8, double=True),
        weights=Format((1, 3, 4), bw_e=5, granularity="per-col"),
    ),
    "snapped": Config(
        Device(g_level=2, var=0), DAC(2), ADC(64, snap=True), Tile(32, 32), Format((1,) * 8), Format((1,) * 8)
    ),
}
# Arithmetic 1, which knew no other: these values are older than real reference columns.
CASES |= {f"{name}, ideal reference": config.replace(tile={"reference": "ideal"}) for name, config in CASES.items()}
CASES["unit columns"] = Config(
    Device(LGS=1e-6, var=0.1, write_var=Gaussian(3e-7), stuck_HGS=0.01),
    tile=Tile(16, 4, reference_columns=3),
    weights=Format(mapping="offset"),
)


def operands():
    """Return x (4, 70) and w (70, 6): numbers that any generator can make again."""
    n = np.arange(4 * 70 + 70 * 6, dtype=np.float64)
    values = ((n * 7919 + 104729) % 1000 - 499.5) / 250
    return values[: 4 * 70].reshape(4, 70), values[4 * 70 :].reshape(70, 6)


def main():
    """Compute and write."""
    x, w = operands()
    results = {}
    for name, config in CASES.items():
        rows = config.tile.rows
        blocks = (
            encoding.block_shape(config.inputs, x.shape, rows, weight=False),
            encoding.block_shape(config.weights, w.shape, rows, weight=True),
        )
        results[name] = np.array(oracle.product(x.tolist(), w.tolist(), config, *blocks, SEED, CHIP, READ))
    np.savez(pathlib.Path(__file__).with_name("products.npz"), **results)


if __name__ == "__main__":
    main()
