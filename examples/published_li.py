"""Li et al. 2018: products and image compression on hafnium oxide crossbars of up to 128 x 64 cells.

Source: Li et al., "Analogue signal and image processing with large memristor crossbars", Nature
Electronics 1, 52 (2018). Its abstract: arrays of up to 128 x 64 cells, a yield of 99.8 % of the
devices, an output precision of 5 to 8 bits, depending on the size of the array; signal processing,
image compression and convolution by crossbars.

Only the abstract was read. It leaves out the definition of precision, the spread with which cells
were written, the conductances, the resistance of the wires, and the converters. Here precision is
log2(range of the outputs / standard deviation of the error); weights are differential pairs of
cells with 64 levels; 0.2 % of the cells are stuck, half of them at either end; converters and wires
are ideal. The write spread, 1 % of the range, is a guess, and so the table has 0.5 and 2 % as well;
stuck cells take most of the precision. No value was chosen to match. It hardly depends on the size,
as errors and outputs both grow as the root of the rows; what made it depend on the size in the
paper, such as wires, the abstract does not say.

The second part is one of the paper's applications, image compression: a discrete cosine transform
of an image's blocks and back, on the same arrays. The abstract has no number of it.

python published_li.py [--small] [--out li.png]
"""

import argparse

import numpy as np
from _published import Row, save, show

from mpimpy import ADC, DAC, Device, Engine, Format, Gaussian, Tile, plot
from mpimpy.demo import dct_matrix, photograph

YIELD = 0.998
SIZES = ((16, 16), (32, 32), (64, 64), (128, 64))
SPREADS = (0.0, 0.005, 0.01, 0.02)  # of cells as written, in parts of the range
HGS, LGS = 1e-3, 1e-4  # S; only their ratio counts, as wires are ideal


def engine(spread, stuck=1 - YIELD, seed=0):
    """Return the arrays: one cell of 64 levels for each sign of a weight of 7 bits, inputs of 8 bits at once."""
    device = Device(
        HGS=HGS,
        LGS=LGS,
        g_level=64,
        var=0,
        write_var=Gaussian(spread * (HGS - LGS)) if spread else 0,
        stuck_HGS=stuck / 2,
        stuck_LGS=stuck / 2,
    )
    inputs, weights = Format((1, 7), mapping="signed"), Format((1, 6), mapping="pair")
    return Engine(device, DAC(rdac=128), ADC(None), Tile(128, 64), inputs=inputs, weights=weights, seed=seed)


def precision(machine, rows, columns, chips):
    """Return the bits of the outputs of a full array: their range over the standard deviation of the error."""
    random = np.random.default_rng(0)
    x, w = random.uniform(-1, 1, (200, rows)), random.uniform(-1, 1, (rows, columns))
    exact = x @ w
    errors = [machine.program(w, chip=chip).read(x, read=0) - exact for chip in range(chips)]
    return float(np.log2(np.ptp(exact) / np.std(errors)))


def precisions(chips=20):
    """Return the bits by spread and size of the array."""
    return {(spread, size): precision(engine(spread), *size, chips) for spread in SPREADS for size in SIZES}


def compressed(picture, forward, inverse):
    """Return a picture after a DCT of its 8 x 8 blocks, of which the 16 largest coefficients are kept, and back."""
    height, width = picture.shape
    blocks = picture.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 64)
    coefficients = (blocks - 128) @ forward
    coefficients[np.abs(coefficients) < np.sort(np.abs(coefficients), axis=1)[:, -16:-15]] = 0
    blocks = coefficients @ inverse + 128
    return blocks.reshape(height // 8, width // 8, 8, 8).swapaxes(1, 2).reshape(height, width)


def psnr(picture, original):
    """Return the peak signal-to-noise ratio, dB."""
    return 10 * float(np.log10(255**2 / np.mean((picture - original) ** 2)))


def draw(found, picture, quality):
    """Draw precision over the size of the array, and the compressed picture."""
    axes = plot.new_axes(1, 2, size=(4.6, 3.8))[0]
    places = range(len(SIZES))
    for spread in SPREADS:
        axes[0].plot(places, [found[spread, size] for size in SIZES], "o-", ms=4, label=f"{100 * spread:g} % spread")
    axes[0].set_xticks(places, [f"{rows} x {columns}" for rows, columns in SIZES])
    axes[0].set_xlabel("Cells of an array")
    axes[0].set_ylabel("Output precision (bits)")
    axes[0].set_title("Paper: 5 to 8 bits, depending on the size")
    axes[0].legend(frameon=False, fontsize="small")
    plot.grey(picture, axes[1], f"on crossbars, {quality:.1f} dB PSNR")
    return axes[0].figure


def main(arguments=None):
    """Print the table, and draw a picture if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few chips, a part of the picture")
    parser.add_argument("--out", help="file of a picture")
    given = parser.parse_args(arguments)
    found = precisions(3 if given.small else 20)
    picture = photograph()[:128, 192:320] if given.small else photograph()
    matrix, machine = dct_matrix(), engine(0.01)
    on_crossbars = compressed(picture, machine.program(matrix.T, name="DCT"), machine.program(matrix, name="back"))
    quality = {"exact": psnr(compressed(picture, matrix.T, matrix), picture), "here": psnr(on_crossbars, picture)}
    rows = []
    for spread in SPREADS:
        bits = [found[spread, size] for size in SIZES]
        said = "the spread; here a guess" if spread else "here no spread: stuck cells and quantisation alone"
        rows.append(
            Row(
                f"precision, {100 * spread:g} % spread",
                "5 to 8 bits",
                f"{min(bits):.1f} to {max(bits):.1f} bits",
                said,
            )
        )
    rows.append(Row("picture, 16 of 64 coefficients, exact", "-", f"{quality['exact']:.1f} dB PSNR", "any number"))
    rows.append(Row("the same, 1 % spread", "-", f"{quality['here']:.1f} dB PSNR", "any number"))
    show("Li et al. 2018: arrays of 16 x 16 to 128 x 64", rows)
    if given.out:
        save(draw(found, on_crossbars, quality["here"]), given.out)
    return found, quality


if __name__ == "__main__":
    main()
