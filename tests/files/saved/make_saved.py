"""Write the chips of this folder, and products of them.

Those of 2.0.0 are kept as that release wrote them; a run adds those of arithmetic 2.
"""

import pathlib

import numpy as np

from mpimpy import Device, DPETensor, Drift, Engine, Flicker, Format, Gaussian, Tile, Wires, WriteVerify

FOLDER = pathlib.Path(__file__).parent


def inputs(matrix):
    """Return inputs that need no generator."""
    depth = matrix.shape[0]
    return np.sin(np.arange(3.0 * depth)).reshape(3, depth)


def chips_of_2_0_0():
    """Yield (name, matrix) of chips of many kinds."""
    w = np.cos(np.arange(70.0 * 3)).reshape(70, 3)
    small, faults = w[:5], np.resize([0, 1, 0, -1, 0, 0, 0], (5, 3))
    yield "plain", DPETensor(seed=7, chip=3).program(w)
    verified = Device(write_var=Gaussian(1e-7), verify=WriteVerify(1e-7, 5), var=(0.01,) * 16, drift=Drift(0.05))
    pair = Format((1, 2, 4), bw_e=8, double=True, mapping="pair")
    engine = Engine(verified, weights=pair, inputs=Format(mapping="signed"), seed=1)
    yield "aged", engine.program(small, faults=faults, origin=(128, 64)).at("30 d", compensate=True)
    yield "wired", Engine(Device(stuck_HGS=0.1), wires=Wires(5.0, 2.0), seed=2).program(small)
    uneven = Device(levels=(1e-6, 2e-6, 4e-6, 9e-6), var=Flicker(0.02))
    yield "uneven", Engine(uneven, weights=Format((1, 1, 2), mapping="offset"), seed=3).program(small).at("1 d")
    yield "empty", Engine(seed=5).program(np.zeros((0, 3)))


def chips():
    """Yield (name, matrix) of chips with reference columns of real cells."""
    w = np.cos(np.arange(5.0 * 3)).reshape(5, 3)
    wired = Device(write_var=0.1, var=0.05, stuck_HGS=0.05)
    offset = Format((1, 2, 4), mapping="offset")
    tile = Tile(8, 2, reference_columns=2)
    yield "columns", Engine(wired, tile=tile, weights=offset, wires=Wires(5.0, 2.0), seed=2).program(w)
    levels = Device(levels=(1e-6, 2e-6, 4e-6, 9e-6), var=0.02, drift=Drift(0.05, 0.01))
    yield "levels", Engine(levels, weights=Format((1, 1, 2), mapping="offset"), seed=3).program(w).at("1 d")
    written = Device(write_var=0.1, var=0, stuck_LGS=0.1)
    yield "settled", Engine(written, weights=Format((1, 2, 1)), tile=Tile(8, 2), seed=4).program(w, origin=(0, 1))


if __name__ == "__main__":
    with np.load(FOLDER / "products.npz") as found:
        products = dict(found)
    for name, matrix in chips():
        matrix.save(FOLDER / f"{name}.npz")
        products[name] = matrix.read(inputs(matrix), read=9)
    np.savez(FOLDER / "products.npz", **products)
