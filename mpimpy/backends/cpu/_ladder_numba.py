"""The Numba kernel of the network that `reference._ladder` describes.

Nodes are eliminated eight at a time. First the links of those eight (a panel of eight rows) are
brought to the state in which each of them is eliminated. Then every other element meets all eight
in one pass over the memory. Each element sees the same operations, in the same order, as with one
node at a time.
"""

import numpy as np

from ._jit import inline, kernel
from ._lanes import LANES, load, store

# Numba's cache notices a change of this file alone, so the digest of the files inlined here is a part of it.
INLINED = "9c4e9926999ed5ed"
PANEL = 8  # nodes eliminated together


@inline
def _aligned(count):
    # float64 zeros that begin at a cache line
    scratch = np.zeros(count + 8, np.float64)
    skip = (-scratch.ctypes.data // 8) % 8
    return scratch[skip : skip + count]


@inline
def _add_word_line(cells, gw, links, pitch, wide, volts, passed, own, driver):
    # adds one word line to the window: see `reference._ladder.word_lines` and `reference._ladder._links`
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
    for j in range(cols - 1, -1, -1):
        ratio, cell = passed[j], cells[j]
        for k in range(j & -8, wide, LANES):
            # beyond the last column are zeros; elements up to j are written and never used
            h = load(volts, k) * ratio
            store(volts, k, h)
            store(links, j * pitch + k, load(links, j * pitch + k) + h * cell)
        volts[j] = own[j]
    for j in range(cols):
        driven = gw * volts[j]
        links[j * pitch + wide] += driven
        links[j * pitch + driver] = driven


@inline
def _tree(left, left_at, right, at, start, wide, sums):
    # `reference._ladder.total` of the first `wide` elements of a row; beyond them `sums` holds zeros
    half = sums.size // 2
    for k in range(start):
        sums[k] = left[left_at + k]
    for k in range(start, wide):
        sums[k] = right[at + k]
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
def _fetch_panel(links, pitch, start, count, end, left, room, right):
    # links of the panel's nodes: `left` to the nodes before `start`, `right` to the others
    for k in range(start):
        for t in range(count):
            left[t * room + k] = links[k * pitch + start + t]
    for t in range(count):
        for k in range(start, end, LANES):
            store(right, t * pitch + k, load(links, (start + t) * pitch + k))


@inline
def _keep_panel(links, pitch, start, count, end, left, room, right):
    for k in range(start):
        for t in range(count):
            links[k * pitch + start + t] = left[t * room + k]
    for t in range(count):
        for k in range(start, end, LANES):
            store(links, (start + t) * pitch + k, load(right, t * pitch + k))


@inline
def _eliminate_panel(left, room, right, pitch, start, count, wide, end, gb, sums, shares, stars, inverses):
    # eliminates the panel's nodes one by one, within the panel; all others need shares[t * room + j]
    # and stars[t * pitch + k] of them
    for t in range(count):
        at, left_at, p = t * pitch, t * room, start + t
        for other in range(t):
            right[at + start + other] = right[other * pitch + p]
        right[at + p] = 0.0
        inverse = 1.0 / ((_tree(left, left_at, right, at, start, wide, sums) + right[at + wide]) + gb)
        inverses[t] = inverse
        down = gb * inverse
        # vectors may reach beyond `start`: those elements are written again, or never used
        for k in range(0, start, LANES):
            star = load(left, left_at + k)
            store(stars, at + k, star)
            store(shares, left_at + k, star * inverse)
            store(left, left_at + k, star * down)
        for k in range(start, end, LANES):
            star = load(right, at + k)
            store(stars, at + k, star)
            store(right, at + k, star * down)
        for k in range(start, wide):
            shares[left_at + k] = stars[at + k] * inverse
        for other in range(count):
            if other != t:
                star, share = stars[at + start + other], shares[left_at + start + other]
                for k in range(0, start, LANES):
                    store(left, other * room + k, load(left, other * room + k) + load(shares, left_at + k) * star)
                for k in range(start, end, LANES):
                    store(right, other * pitch + k, load(right, other * pitch + k) + load(stars, at + k) * share)
                if other < t:
                    right[other * pitch + p] = right[at + start + other]


@inline
def _mesh(links, pitch, start, cols, end, shares, room, stars):
    # every other row meets the eight eliminated nodes, two rows at a time
    for j in range(0, cols, 2):
        if j & -8 != start:
            a0, a1 = shares[j], shares[room + j]
            a2, a3 = shares[2 * room + j], shares[3 * room + j]
            a4, a5 = shares[4 * room + j], shares[5 * room + j]
            a6, a7 = shares[6 * room + j], shares[7 * room + j]
            b0, b1 = shares[j + 1], shares[room + j + 1]
            b2, b3 = shares[2 * room + j + 1], shares[3 * room + j + 1]
            b4, b5 = shares[4 * room + j + 1], shares[5 * room + j + 1]
            b6, b7 = shares[6 * room + j + 1], shares[7 * room + j + 1]
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


@inline
def _join(stars, pitch, count, wide, before, inverses, out):
    # links of the drivers to the sources above, by way of a panel's nodes
    for t in range(count):
        above, drivers = t * pitch + wide + 1, t * pitch + wide + 1 + before
        for i in range(out.shape[0]):
            share = stars[drivers + i] * inverses[t]
            for k in range(before):
                out[i, k] += share * stars[above + k]


@kernel
def reduce_lines(first, last, conductance, gw, gb, start_links, finish, out):
    """Reduce tiles with resistance on both kinds of line: see `reference.reduce_lines`.

    A row of the window holds its node's links to the nodes right of it, from `wide` on those to
    all the sources together and to each of them.
    """
    rows, cols = conductance.shape[1:]
    before = max(0, start_links.shape[1] - cols - 1)
    wide = (cols + 7) // 8 * 8
    # room for the last vector of a row, and an odd number of cache lines
    pitch = ((wide + before + rows + 1 + LANES) // 16 * 2 + 1) * 8
    links = _aligned((wide + 1) * pitch)
    room = wide + 8
    left, shares = _aligned(PANEL * room), _aligned(PANEL * room)
    right, stars = _aligned(PANEL * pitch), _aligned(PANEL * pitch)
    size = LANES
    while size < wide:
        size *= 2
    sums, volts, passed, own = np.zeros(size), np.zeros(wide + LANES), np.empty(cols), np.empty(cols)
    inverses = np.empty(PANEL)
    for tile in range(first, last):
        links[:] = 0.0
        for j in range(start_links.shape[0]):
            for k in range(j + 1, cols):
                links[j * pitch + k] = start_links[j, k]
            for k in range(before + 1):
                links[j * pitch + wide + k] = start_links[j, cols + k]
        if finish:
            out[tile] = 0.0
        for i in range(rows):
            end = wide + before + i + 2
            below = 0.0 if finish and i == rows - 1 else gb
            _add_word_line(conductance[tile, i], gw, links, pitch, wide, volts, passed, own, end - 1)
            for start in range(0, cols, PANEL):
                count = min(PANEL, cols - start)
                if count < PANEL:
                    stars[:] = 0.0  # of nodes that are not there
                _fetch_panel(links, pitch, start, count, end, left, room, right)
                _eliminate_panel(
                    left, room, right, pitch, start, count, wide, end, below, sums, shares, stars, inverses
                )
                if finish:
                    _join(stars, pitch, count, wide, before, inverses, out[tile, : i + 1])
                _mesh(links, pitch, start, cols, end, shares, room, stars)
                _keep_panel(links, pitch, start, count, end, left, room, right)
        if not finish:
            for i in range(before + rows):
                for j in range(cols):
                    out[tile, i, j] = links[j * pitch + wide + 1 + i]


@inline
def _go_back(shares, downs, owns, rows, cols, sums, products, volts, out):
    # the voltages of the nodes, from the last one that was eliminated to the first; zeros lie beyond the last column
    wide, inputs = shares.shape[1], volts.shape[0]
    volts[:] = 0.0
    for i in range(rows - 1, -1, -1):
        for p in range(cols - 1, -1, -1):
            node = i * cols + p
            for q in range(inputs):
                for k in range(wide):
                    products[k] = shares[node, k] * volts[q, k]
                around = _tree(products, 0, products, 0, wide, wide, sums)
                volts[q, p] = around + (owns[node, q] + downs[node] * volts[q, p])
        for p in range(cols):
            for q in range(inputs):
                out[i, p, q] = volts[q, p]


@kernel
def bit_nodes(first, last, conductance, voltages, gw, gb, out):
    """Find the voltages of the bit lines' nodes: see `reference.node_voltages`.

    A row of the window holds its node's links to the nodes right of it, at `wide` that to all the drivers
    together, and then the current of each input into the node.
    """
    (rows, cols), inputs = conductance.shape[1:], voltages.shape[2]
    wide = (cols + 7) // 8 * 8
    end = wide + 1 + inputs
    pitch = ((end + 1 + LANES) // 16 * 2 + 1) * 8
    links = _aligned((wide + 1) * pitch)
    room = wide + 8
    left, shares = _aligned(PANEL * room), _aligned(PANEL * room)
    right, stars = _aligned(PANEL * pitch), _aligned(PANEL * pitch)
    size = LANES
    while size < wide:
        size *= 2
    sums, volts, passed, own = np.zeros(size), np.zeros(wide + LANES), np.empty(cols), np.empty(cols)
    inverses, products, nodes = np.empty(PANEL), np.empty(wide), np.empty((inputs, wide))
    kept, downs, owns = np.empty((rows * cols, wide)), np.empty(rows * cols), np.empty((rows * cols, inputs))
    for tile in range(first, last):
        links[:] = 0.0
        for i in range(rows):
            _add_word_line(conductance[tile, i], gw, links, pitch, wide, volts, passed, own, end)
            for j in range(cols):
                driven = links[j * pitch + end]
                for q in range(inputs):
                    links[j * pitch + wide + 1 + q] += driven * voltages[tile, i, q]
            for start in range(0, cols, PANEL):
                count = min(PANEL, cols - start)
                if count < PANEL:
                    stars[:] = 0.0  # of nodes that are not there
                _fetch_panel(links, pitch, start, count, end, left, room, right)
                _eliminate_panel(left, room, right, pitch, start, count, wide, end, gb, sums, shares, stars, inverses)
                for t in range(count):
                    node = i * cols + start + t
                    downs[node] = gb * inverses[t]
                    for k in range(wide):
                        kept[node, k] = shares[t * room + k]
                    for q in range(inputs):
                        owns[node, q] = inverses[t] * stars[t * pitch + wide + 1 + q]
                _mesh(links, pitch, start, cols, end, shares, room, stars)
                _keep_panel(links, pitch, start, count, end, left, room, right)
        _go_back(kept, downs, owns, rows, cols, sums, products, nodes, out[tile])
