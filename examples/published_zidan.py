"""Zidan et al. 2018: Poisson's equation, with more precision than a cell has.

Source: Zidan et al., "A general memristor-based partial differential equation solver", Nature
Electronics 1, 411 (2018). Its abstract: cells of low native precision and high variability compute
"hard" tasks of high precision; shown with a tantalum oxide crossbar, static and time-evolving
problems, and a simulated plasma reactor. It has no number.

Only the abstract was read, and a report of the paper (Hackaday, 4 August 2018), which names an
array of 32 x 32 cells. They leave out the grid, the precision, the levels and the spread of the
cells, the converters and the errors. So this script shows the claim, and no figure of the paper:
Poisson's equation in two dimensions, solved by Jacobi iterations, "x <- A x + b", with the product
A x on crossbars. Cells have 4 levels, 2 bits; the digits of a number lie on many cells, which vary
in each read. An ADC with a code for each product of two digits rounds variation of 0.5 % away, so
that the digits, and their sum, are exact. Variation of 1 % is too much for that, and an ideal ADC,
which rounds nothing, passes all variation on. These spreads are guesses.

The errors are those of the solution against a direct one, relative to its maximum. With exact
digits they fall to what Jacobi iterations amplify of one rounding of x. With wrong digits they are
erratic: a wrong digit of high weight is rare, and its error dies out over some hundred steps. So the
table has the median over the last half of the steps, and the range. They are those of one seed.

python published_zidan.py [--small] [--out zidan.png]
"""

import argparse

import numpy as np
from _published import Row, save, show

from mpimpy import ADC, DAC, Device, Engine, Format, Tile, plot

SIDE = 8  # unknowns along one side
# bits of the numbers, variation of the cells, ADC
CASES = {
    "9 bits, 0.5 % variation": (9, 0.005, ADC(range="lossless")),
    "17 bits, 0.5 % variation": (17, 0.005, ADC(range="lossless")),
    "33 bits, 0.5 % variation": (33, 0.005, ADC(range="lossless")),
    "33 bits, 1 % variation": (33, 0.01, ADC(range="lossless")),
    "33 bits, 0.5 % variation, ideal ADC": (33, 0.005, ADC(None)),
}


def poisson(side=SIDE):
    """Return matrix, right-hand side and solution of Jacobi iterations: a source and a sink, zero at the rim."""
    line = np.eye(side, k=1) + np.eye(side, k=-1)
    neighbours = (np.kron(line, np.eye(side)) + np.kron(np.eye(side), line)) / 4
    source = np.zeros((side, side))
    source[side // 4, side // 4], source[-side // 4, -side // 4] = 1.0, -1.0
    goal = np.linalg.solve(np.eye(side**2) - neighbours, source.ravel())
    return neighbours, source.ravel(), goal


def engine(bits, var, adc):
    """Return the machine: all digits of 2 bits, but the sign."""
    numbers = Format((1, *(2,) * ((bits - 1) // 2)))
    device = Device(g_level=4, var=var)
    return Engine(device, DAC(rdac=4), adc, Tile(32, 32), inputs=numbers, weights=numbers, seed=0)


def errors(machine, steps):
    """Return the error of the solution after each Jacobi step, relative to the largest value."""
    neighbours, source, goal = poisson()
    written = machine.program(neighbours)  # symmetric: x @ A is A @ x
    x, found = source, []
    for step in range(steps):
        x = written.read(x, read=step) + source
        found.append(np.abs(x - goal).max() / np.abs(goal).max())
    return np.array(found)


def reproduce(steps):
    """Return the errors by name."""
    return {name: errors(engine(*case), steps) for name, case in CASES.items()}


def told(values):
    """Return the median over the last half of the steps, and the range, as text."""
    last = values[len(values) // 2 :]
    return f"{np.median(last):.1e} ({last.min():.1e} to {last.max():.1e})"


def draw(found):
    """Draw the errors over the steps."""
    ax = plot.new_axes(size=(5.0, 3.8))[0, 0]
    for name, values in found.items():
        ax.plot(np.arange(1, len(values) + 1), values, label=name)
    ax.set_yscale("log")
    ax.set_xlabel("Jacobi steps")
    ax.set_ylabel("Error, relative to the maximum")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize="small")
    return ax.figure


def main(arguments=None):
    """Print the table, and draw a picture if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few steps")
    parser.add_argument("--out", help="file of a picture")
    given = parser.parse_args(arguments)
    steps = 100 if given.small else 500
    found = reproduce(steps)
    rows = [
        Row(f"error, {name}", "-", told(values), "its error, and all settings but the array")
        for name, values in found.items()
    ]
    title = f"Zidan et al. 2018: Poisson's equation, {SIDE} x {SIDE} unknowns, 2-bit cells"
    show(f"{title}; median (range) of the last {steps - steps // 2} steps", rows)
    if given.out:
        save(draw(found), given.out)
    return found


if __name__ == "__main__":
    main()
