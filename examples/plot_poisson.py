"""
Poisson's equation, to twelve digits
====================================

A charge in a grounded box: the potential solves ``-Laplace(u) = f``. Crossbars of phase-change memory
get one digit of it. With residuals in float64 they get all of them.

``python examples/draw.py plot_poisson`` saves its pictures.
"""

import numpy as np

from mpimpy import DPETensor, plot, presets
from mpimpy.solve import solve

SIDE = 16  # grid points to a side


def laplacian(side):
    """Return the matrix of the 5-point Laplacian, negative, on a square grid with grounded walls."""
    line = 2 * np.eye(side) - np.eye(side, k=1) - np.eye(side, k=-1)
    return np.kron(line, np.eye(side)) + np.kron(np.eye(side), line)


# %%
# The machine: a published device in differential pairs, ADCs of 10 bits. A product is off by some 10 %.

engine = DPETensor(radc=1024, w_mapping="pair", seed=1)
engine = engine.replace(device=presets.device("pcm-joshi", g_level=16))

A = laplacian(SIDE)
charge = np.zeros((SIDE, SIDE))
charge[SIDE // 4, SIDE // 3], charge[-SIDE // 4, -SIDE // 3] = 1, -1
b = charge.reshape(-1)
print(f"{A.shape[0]} unknowns, condition number {np.linalg.cond(A):.0f}")

# %%
# One step takes what the crossbars give. Further steps correct what a residual in float64 shows to be wrong.

result = solve(A, b, engine, tolerance=1e-12, steps=300)
print(result)
print(f"a product is off by {100 * result.product_error:.0f} %")
for step in (0, 1, result.steps):
    print(f"after step {step}: relative residual {result.residuals[step]:.1e}")
exact = np.linalg.solve(A, b)
error = np.abs(result.x - exact).max() / np.abs(exact).max()
print(f"largest error of the potential: {error:.0e} of its maximum")

axes = plot.new_axes(1, 2, size=(4.2, 3.6))
result.plot(axes[0, 0])
limit = np.abs(result.x).max()
image = axes[0, 1].imshow(result.x.reshape(SIDE, SIDE), cmap="RdBu_r", vmin=-limit, vmax=limit)
axes[0, 1].set_title("Potential")
figure = axes[0, 0].figure
colorbar = figure.colorbar(image, ax=axes[0, 1])

# %%
# Finer grids have larger condition numbers, about ``0.4 * SIDE**2``. What counts is that number times the relative
# error of a product. Below 1, a step gains half a digit or more. Above some hundreds, refinement hardly moves, and
# says so.

sides = [side for side in (4, 8, 16) if side <= SIDE]
found = {}
for side in sides:
    A = laplacian(side)
    right = np.random.default_rng(0).standard_normal(side**2)
    found[side] = solve(A, right, engine, tolerance=1e-12, steps=300)
    factor = np.linalg.cond(A) * found[side].product_error
    print(f"{side} x {side}: condition x error {factor:.2f}, {found[side].steps} steps, {found[side].reads} reads")
