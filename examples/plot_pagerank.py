"""
PageRank under read noise
=========================

Iterates of a noisy product never settle. Their mean does, and one step in float64 tells how far it may be off.

``python examples/draw.py plot_pagerank`` saves its pictures.
"""

import numpy as np

from mpimpy import DPETensor, plot
from mpimpy.solve import pagerank

PAGES = 200

rng = np.random.default_rng(0)
fame = 1 / np.arange(1, PAGES + 1)  # few pages have most of the links
links = rng.random((PAGES, PAGES)) < 20 * fame / fame.sum()
links[rng.random(PAGES) < 0.1] = False  # dangling pages: no links at all
links = links.astype(float)

# %%
# Damping, and the ranks of dangling pages, are spread digitally; the crossbars hold the links alone.

found = pagerank(links, DPETensor(var=0.05, radc=1024, seed=1))
print(found)
print(f"transient of {found.transient} steps, then a mean of {found.reads - found.transient}")
print("first ten pages:", np.argsort(-found.ranks)[:10])

# %%
# The same in float64, to compare with.

shares = links / np.maximum(links.sum(axis=1, keepdims=True), 1)
exact = np.full(PAGES, 1 / PAGES)
for _ in range(300):
    exact = 0.85 * (exact @ shares + exact[links.sum(axis=1) == 0].sum() / PAGES) + 0.15 / PAGES
errors = np.abs(found.ranks - exact)
print(f"errors add up to {errors.sum():.4f}; bound {found.bound:.4f}, read noise {found.error.sum():.4f}")

axes = plot.new_axes(1, 2, size=(4.4, 3.6))
axes[0, 0].semilogy(np.arange(1, found.changes.size + 1), found.changes)
axes[0, 0].axvline(found.transient, color="black", linewidth=0.6, linestyle="--")
axes[0, 0].set(xlabel="Step", ylabel="Change of the ranks", title="Reads keep the iterates moving")
axes[0, 1].plot(100 * exact, 100 * found.ranks, ".", color="C0")
axes[0, 1].axline((0, 0), slope=1, color="black", linewidth=0.6)
axes[0, 1].set(xlabel="Rank in float64 (%)", ylabel="Rank on crossbars (%)", title="Ranks")
figure = axes[0, 0].figure
