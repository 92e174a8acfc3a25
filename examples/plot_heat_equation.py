"""
The heat equation, and how to lose it
=====================================

``u' = Laplace(u)`` by explicit steps. Which product goes to the crossbars decides over everything: they are off by some
percent of what they multiply, so they should multiply what is small.

``python examples/draw.py plot_heat_equation`` saves its pictures.
"""

import numpy as np

from mpimpy import SNR, DPETensor, plot, presets

POINTS, STEPS = 64, 500
RATE = 0.4  # dt / dx**2; explicit steps are stable up to 0.5

position = np.arange(1, POINTS + 1) / (POINTS + 1)
start = np.sin(np.pi * position) + 0.5 * np.sin(3 * np.pi * position)
laplacian = -2 * np.eye(POINTS) + np.eye(POINTS, k=1) + np.eye(POINTS, k=-1)
differences = np.eye(POINTS, POINTS + 1) - np.eye(POINTS, POINTS + 1, k=1)  # walls at temperature 0

# %%
# Three ways to take a step. All are the same in float64:
#
# - the whole step, ``u @ (1 + RATE laplacian)``, on the crossbars: each step has the error of a product of u;
# - the increment, ``u @ laplacian``, on the crossbars, added digitally: the product is a small difference of large
#   terms, which noise in the cells does not spare;
# - the flux: differences of neighbours digitally, their divergence on the crossbars, added digitally. What drives the
#   crossbars is small itself, and so are their errors.


def ways(engine):
    """Return the functions that take a step, by name."""
    whole = engine.program(np.eye(POINTS) + RATE * laplacian, name="whole step")
    increment = engine.program(laplacian, name="increment")
    divergence = engine.program(-differences.T, name="divergence")
    return {
        "whole step": lambda u: u @ whole,
        "increment": lambda u: u + RATE * (u @ increment),
        "flux": lambda u: u + RATE * ((u @ differences) @ divergence),
    }


def run(step):
    """Return the temperatures after all steps."""
    u = start
    for _ in range(STEPS):
        u = step(u)
    return u


exact = run(lambda u: u + RATE * u @ laplacian)

# %%
# The machines: 8 bits and nothing else, and phase-change memory in differential pairs. Shared exponents (``bw_e=8``)
# hold the elements -2, -1 and 1 exactly. A scale of ``127 / 2`` would round 1 to 64 / 63.5, and the field would grow by
# that.

machines = {
    "8 bits": DPETensor(bw_e=8, var=0, adc_range="lossless", seed=1),
    "phase-change memory": DPETensor(bw_e=8, radc=1024, w_mapping="pair", seed=1).replace(
        device=presets.device("pcm-joshi", g_level=16)
    ),
}
found = {(name, way): run(step) for name, engine in machines.items() for way, step in ways(engine).items()}
for (name, way), u in found.items():
    print(f"{name:20} {way:10} {SNR(u, exact):6.1f} dB after {STEPS} steps")

# %%
# Only the flux keeps the field on both machines.

axes = plot.new_axes(1, 2, size=(4.6, 3.6))
for ax, name in zip(axes[0], machines, strict=True):
    ax.plot(position, exact, color="black", label="float64")
    for way in ("whole step", "flux"):
        ax.plot(position, found[name, way], label=way, linestyle="--")
    ax.set(title=name, xlabel="Position", ylabel="Temperature", ylim=(0, 1.2 * exact.max()))
    ax.legend(frameon=False, fontsize="small")
figure = axes[0, 0].figure
