"""CACTUS: where the codes of an ADC belong for binary dot products of 256.

Source: Kavishwar and Shanbhag, "Compute SNR-optimal analog-to-digital converters for analog
in-memory computing", arXiv 2507.09776, and the code that it names. A dot product of 256 bits, a
quarter of whose products are ones; ADC noise of 0.5 mV; a product of bits is 0.9 V / (256 * 1.3) =
2.70 mV. The abstract states 3 bits fewer and 6 dB more than the usual choice. The paper's law gives
these figures:

- CSNR-optimal: codes k products apart (k = 1, 2, ...), their thresholds half way between whole
  numbers, the first one where the error is least: 38.5 dB from 6 bits on.
- SQNR-optimal: the range that is best for a Gaussian current of the same mean and spread: 31.3 dB
  with 9 bits.

Here both kinds of ADC are windows of a crossbar of 256 rows with 1-bit cells, whose converters have
that noise; nothing else errs. "here" is measured with 400 x 300 products. The last row lets
`Engine.calibrate` find the range by itself, from the currents alone.

Only the abstract and the code were read. The code leaves out the mismatch of the cells, and so does
this script.

python published_cactus.py [--small] [--out cactus.png]
"""

import argparse
import math

import numpy as np
from _published import Row, save, show
from scipy import optimize, special, stats

from mpimpy import ADC, DAC, Device, Engine, Format, Tile, plot

ROWS, SHARE = 256, 0.25
NOISE = 0.5e-3 / (0.9 / (ROWS * 1.3))  # of the ADC, in products
MEAN, VARIANCE = ROWS * SHARE, ROWS * SHARE * (1 - SHARE)
ONES = np.arange(ROWS + 1)[:, None]
CHANCE = stats.binom.pmf(ONES[:, 0], ROWS, SHARE)  # of so many ones
PAPER = {"CSNR-optimal, 6 bits": 38.5, "SQNR-optimal, 9 bits": 31.3}


def law(codes):
    """Return the SNR, dB, of an ADC whose codes stand for these numbers of products, by the paper's law."""
    below = special.ndtr(((codes[:-1] + codes[1:]) / 2 - ONES) / NOISE)
    error = (np.diff(below, axis=1, prepend=0, append=1) * (codes - ONES) ** 2).sum(axis=1)
    return 10 * math.log10(VARIANCE / (CHANCE @ error))


def csnr_optimal(bits):
    """Return the codes that the paper's search finds: whole steps, from the best beginning."""
    codes = np.arange(2**bits, dtype=float)
    steps = range(1, max(2, math.ceil(ROWS / 2**bits) + 1))
    # thresholds lie at whole numbers and a half
    begins = [(begin + step / 2 - 0.5, step) for step in steps for begin in range(max(1, ROWS - step * 2**bits + 2))]
    begin, step = max(begins, key=lambda each: law(each[0] + each[1] * codes))
    return begin + step * codes


def sqnr_optimal(bits):
    """Return the codes of least error for a Gaussian of the same mean and spread, in 2**bits equal steps."""
    edges = np.linspace(-1, 1, 2**bits + 1)
    middles = (edges[:-1] + edges[1:]) / 2

    def error(reach):
        # of a standard normal number in steps from -reach to reach; the outer ones go on
        ends = np.array([-np.inf, *(edges[1:-1] * reach), np.inf])
        density, below = stats.norm.pdf(ends), stats.norm.cdf(ends)
        tails = np.nan_to_num(ends, posinf=0, neginf=0) * density
        mass, first = np.diff(below), -np.diff(density)
        return float(np.sum(mass - np.diff(tails) - 2 * reach * middles * first + (reach * middles) ** 2 * mass))

    reach = optimize.minimize_scalar(error, bounds=(1, 8), method="bounded").x
    return MEAN + math.sqrt(VARIANCE) * reach * middles


def engine(codes=None):
    """Return a crossbar of 256 rows and bits, whose ADCs have these codes; None: the full range, without noise."""
    # A current of one product is the read voltage times the highest conductance, 1 uA with these.
    device = Device(HGS=1e-5, LGS=0.0, g_level=2, var=0)
    adc = ADC(2**9)
    if codes is not None:
        ends = (float(codes[0]) * 1e-6, float(codes[-1]) * 1e-6)
        adc = ADC(len(codes), range=ends, noise_lsb=NOISE / (codes[1] - codes[0]))
    inputs, weights = Format((1, 1), mapping="signed"), Format((1, 1), mapping="pair")  # one bit each, and a sign
    return Engine(device, DAC(rdac=2), adc, Tile(ROWS, 64), inputs=inputs, weights=weights, seed=1)


def measured(machine, size):
    """Return the SNR of `size` products, dB; the signal is the variance, as in the paper."""
    random = np.random.default_rng(0)
    x, w = ((random.random(shape) < math.sqrt(SHARE)).astype(float) for shape in ((size, ROWS), (ROWS, 300)))
    exact = x @ w
    return 10 * math.log10(VARIANCE / np.mean((machine(x, w, read=0) - exact) ** 2))


def figures(small=False):
    """Return CSNR by bits: of the law and measured, for both kinds of ADC, dB."""
    size = 100 if small else 400
    found = {}
    for name, choose in (("CSNR-optimal", csnr_optimal), ("SQNR-optimal", sqnr_optimal)):
        for bits in (6, 9) if small else range(3, 10):
            codes = choose(bits)
            found[name, bits] = law(codes), measured(engine(codes), size)
    return found


def draw(found):
    """Draw CSNR over the resolution."""
    ax = plot.new_axes(size=(5.0, 3.8))[0, 0]
    for name, marker in (("CSNR-optimal", "o"), ("SQNR-optimal", "s")):
        bits = [each for kind, each in found if kind == name]
        laws, here = zip(*(found[name, each] for each in bits), strict=True)
        (line,) = ax.plot(bits, laws, label=f"{name}, law")
        ax.plot(bits, here, marker, color=line.get_color(), label=f"{name}, simulated")
    ax.set_xlabel("ADC resolution (bits)")
    ax.set_ylabel("CSNR (dB)")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize="small")
    return ax.figure


def main(arguments=None):
    """Print the table, and draw a picture if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="6 and 9 bits alone, fewer products")
    parser.add_argument("--out", help="file of a picture")
    given = parser.parse_args(arguments)
    found = figures(given.small)
    rows = []
    for (name, bits), (expected, here) in found.items():
        quantity = f"{name}, {bits} bits"
        paper = f"{PAPER[quantity]:.1f} dB" if quantity in PAPER else "-"
        rows.append(Row(quantity, paper, f"{here:.2f} dB", f"nothing; its law, computed here: {expected:.2f} dB"))
    fitted = calibrated(6)
    rows.append(Row("Engine.calibrate, 6 bits", "-", f"{fitted:.2f} dB", "no part of the paper"))
    show("CACTUS: binary dot products of 256, CSNR", rows)
    if given.out:
        save(draw(found), given.out)
    return found | {("calibrate", 6): fitted}


def calibrated(bits):
    """Return the SNR, dB, of ADCs whose ranges are calibrated on other products of the same kind."""
    random = np.random.default_rng(1)
    x, w = ((random.random(shape) < math.sqrt(SHARE)).astype(float) for shape in ((100, ROWS), (ROWS, 300)))
    # the noise counts in steps, whose size is found: first about one product
    fitted = engine().replace(adc=ADC(2**bits, noise_lsb=NOISE)).calibrate(x, w, ratios="free")
    step = fitted.config.adc.range.span[0][0] / (2**bits - 1) / 1e-6
    return measured(fitted.replace(adc={"noise_lsb": NOISE / step}), 400)


if __name__ == "__main__":
    main()
