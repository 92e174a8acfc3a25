"""Every picture of a small engine whose wires resist, in one file.

Run ``python pictures.py``: it saves pictures.png in the current folder. What is drawn, from the top left:
the conductances of one array, the voltage that its wires keep from its cells, all conductances by the level
that they were to be at, what the ADCs convert, measured against exact products, and the error budget.
"""

import numpy as np

from mpimpy import ADC, SNR, Device, Engine, Tile, Wires, plot


def main(size=64):
    """Draw a product on arrays of `size` x `size` cells and save it."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((100, 2 * size - 10)), rng.standard_normal((2 * size - 10, size))
    engine = Engine(
        Device(write_var=0.03, var=0.02, stuck_LGS=0.002),
        adc=ADC(radc=256, range=size * 4e-7),
        tile=Tile(size, size),
        wires=Wires(r_word=2.93, r_bit=2.93),
        seed=1,
    )
    W = engine.program(w)
    axes = plot.new_axes(3, 2, width="page", height=9.2)
    plot.conductance(W, axes[0, 0], slice=3)
    plot.ir_drop(W, axes[0, 1], slice=3, vmax=8)  # %: the same colours in the picture of another chip
    plot.levels(W, axes[1, 0])
    plot.adc_codes(W, x, axes[1, 1], slice=0, input_slice=0)
    measured, exact = x @ W, x @ w
    plot.scatter(measured, exact, axes[2, 0], f"Products, SNR {SNR(measured, exact):.1f} dB")
    plot.error_budget(W.report(x, w), axes[2, 1])
    axes[0, 0].figure.savefig("pictures.png")


if __name__ == "__main__":
    main()
