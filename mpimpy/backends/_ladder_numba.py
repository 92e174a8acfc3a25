"""The Numba kernel of `_ladder`, whose head says what is computed.

Nodes are eliminated eight at a time. First what connects those eight to everything (a panel of
eight rows) is brought to the state in which each of them is eliminated; then every other element
meets all eight in one pass over the memory. Each element sees the same operations in the same
order as one node at a time.
"""

import numpy as np

from ._jit import inline, kernel
from ._lanes import LANES, load, store

# Numba's cache sees a change in this file only: this digest of what is inlined from others brings it here.
INLINED = "40f64f318cdc4d22"
PANEL = 8  # nodes eliminated together


@inline
def _aligned(count):
    # float64 zeros that begin at a cache line
    scratch = np.zeros(count + 8, np.float64)
    skip = (-scratch.ctypes.data // 8) % 8
    return scratch[skip : skip + count]


@inline
def _add_word_line(cells, gw, links, pitch, wide, volts, passed, own, driver):
    # adds one word line to the window: see `_ladder.word_lines` and `_ladder._links`
    cols = cells.size
    left = gw
    for j in range(cols):
        here = left + cells[j]
        passed[j] = gw / (gw + here)
        own[j] = left + cells[j]
        left = here * passed[j]
    right = 0.0
    for j in range(cols - 1, -1, -1):
        own[j] = cells[j] / (own[j] + right)
        here = right + cells[j]
        right = here * (gw / (gw + here))
    volts[:] = 0.0
    for j in range(cols - 1, -1, -1):
        ratio, cell = passed[j], cells[j]
        for k in range(j & -8, wide, LANES):
            # zeros up to j, and beyond the last column
            h = load(volts, k) * ratio
            store(volts, k, h)
            store(links, j * pitch + k, load(links, j * pitch + k) + h * cell)
        volts[j] = own[j]
    for j in range(cols):
        driven = gw * volts[j]
        links[j * pitch + wide] += driven
        links[j * pitch + driver] = driven


@inline
def _tree(row, at, wide, sums):
    # `_ladder.total` of the first `wide` elements of a row; beyond them `sums` holds zeros
    half = sums.size // 2
    for k in range(wide):
        sums[k] = row[at + k]
    while half >= LANES:
        for k in range(0, half, LANES):
            store(sums, k, load(sums, k) + load(sums, half + k))
        half //= 2
    while half:
        for k in range(half):
            sums[k] += sums[half + k]
        half //= 2
    return sums[0]


@inline
def _fetch_panel(links, pitch, start, count, end, panel):
    # what connects the nodes from `start` on to all others: only links[j, k] with k > j is kept
    for k in range(start):
        for t in range(count):
            panel[t * pitch + k] = links[k * pitch + start + t]
    for t in range(count):
        row = (start + t) * pitch
        for k in range(start, end, LANES):
            store(panel, t * pitch + k, load(links, row + k))
        for other in range(t):
            panel[t * pitch + start + other] = panel[other * pitch + start + t]


@inline
def _keep_panel(links, pitch, start, count, end, panel):
    for k in range(start):
        for t in range(count):
            links[k * pitch + start + t] = panel[t * pitch + k]
    for t in range(count):
        row = (start + t) * pitch
        for k in range(start, end, LANES):
            store(links, row + k, load(panel, t * pitch + k))


@inline
def _eliminate_panel(panel, pitch, start, count, wide, end, gb, sums, stars):
    # eliminates the panel's nodes one by one, within the panel; stars[t] is what the others need of node t
    for t in range(count):
        at, p = t * pitch, start + t
        panel[at + p] = 0.0
        s = 1.0 / np.sqrt((_tree(panel, at, wide, sums) + panel[at + wide]) + gb)
        down = gb * s
        for k in range(0, end, LANES):
            star = load(panel, at + k) * s
            store(stars, at + k, star)
            store(panel, at + k, star * down)
        for other in range(count):
            if other != t:
                to = stars[at + start + other]
                for k in range(0, end, LANES):
                    star = load(stars, at + k)
                    store(panel, other * pitch + k, load(panel, other * pitch + k) + star * to)
                panel[other * pitch + p] = down * to


@inline
def _mesh(links, pitch, start, cols, end, stars):
    # every other row meets the eight eliminated nodes, two rows at a time
    for j in range(0, cols, 2):
        if j & -8 != start:
            a0, a1 = stars[j], stars[pitch + j]
            a2, a3 = stars[2 * pitch + j], stars[3 * pitch + j]
            a4, a5 = stars[4 * pitch + j], stars[5 * pitch + j]
            a6, a7 = stars[6 * pitch + j], stars[7 * pitch + j]
            b0, b1 = stars[j + 1], stars[pitch + j + 1]
            b2, b3 = stars[2 * pitch + j + 1], stars[3 * pitch + j + 1]
            b4, b5 = stars[4 * pitch + j + 1], stars[5 * pitch + j + 1]
            b6, b7 = stars[6 * pitch + j + 1], stars[7 * pitch + j + 1]
            for k in range(j & -8, end, LANES):
                a, b = load(links, j * pitch + k), load(links, (j + 1) * pitch + k)
                star = load(stars, k)
                a, b = a + star * a0, b + star * b0
                star = load(stars, pitch + k)
                a, b = a + star * a1, b + star * b1
                star = load(stars, 2 * pitch + k)
                a, b = a + star * a2, b + star * b2
                star = load(stars, 3 * pitch + k)
                a, b = a + star * a3, b + star * b3
                star = load(stars, 4 * pitch + k)
                a, b = a + star * a4, b + star * b4
                star = load(stars, 5 * pitch + k)
                a, b = a + star * a5, b + star * b5
                star = load(stars, 6 * pitch + k)
                a, b = a + star * a6, b + star * b6
                star = load(stars, 7 * pitch + k)
                a, b = a + star * a7, b + star * b7
                store(links, j * pitch + k, a)
                store(links, (j + 1) * pitch + k, b)


@kernel
def two_sided(first, last, conductance, gw, gb, out):
    """Write the transfer matrices of tiles with resistance on both kinds of line: see `_ladder`.

    A row of the window holds its node's links to the nodes right of it, from `wide` on those to
    all the drivers together and to each of them.
    """
    rows, cols = conductance.shape[1:]
    wide = (cols + 7) // 8 * 8
    # room for the last vector of a row, and an odd number of cache lines
    pitch = ((wide + rows + 1 + LANES) // 16 * 2 + 1) * 8
    links = _aligned((wide + 1) * pitch)
    panel, stars = _aligned(PANEL * pitch + LANES), _aligned(PANEL * pitch + LANES)
    size = LANES
    while size < wide:
        size *= 2
    sums, volts, passed, own = np.zeros(size), np.zeros(wide + LANES), np.empty(cols), np.empty(cols)
    for tile in range(first, last):
        links[:] = 0.0
        panel[:] = 0.0
        for i in range(rows):
            end = wide + i + 2
            _add_word_line(conductance[tile, i], gw, links, pitch, wide, volts, passed, own, end - 1)
            for start in range(0, cols, PANEL):
                count = min(PANEL, cols - start)
                if count < PANEL:
                    stars[:] = 0.0
                _fetch_panel(links, pitch, start, count, end, panel)
                _eliminate_panel(panel, pitch, start, count, wide, end, gb, sums, stars)
                _mesh(links, pitch, start, cols, end, stars)
                _keep_panel(links, pitch, start, count, end, panel)
        for i in range(rows):
            for j in range(cols):
                out[tile, i, j] = links[j * pitch + wide + 1 + i]
