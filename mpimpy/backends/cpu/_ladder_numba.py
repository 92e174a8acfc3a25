"""The Numba kernel of the network that `reference._ladder` describes.

Nodes are eliminated eight at a time, a panel. First the links of those eight are brought to the state in which each
of them is eliminated. Then every other element meets all eight in one pass over the memory, in blocks of four rows by
eight columns that stay in registers. Each element sees the same operations, in the same order, as with one node at a
time: products and sums, rounded one by one.

What a panel hands on lies in blocks of eight by eight: that of node t and the elements k .. k + 7, where k is a
multiple of eight, begins at ``8 * k + 8 * t``.
"""

import numpy as np

from ._eights import EIGHT, after, from_one, load8, transpose, tree, up_to
from ._jit import inline, kernel
from ._lanes import item, put, store

# Numba's cache notices a change of this file alone, so the digest of the files inlined here is a part of it.
INLINED = "1c6805dff36e53d3"
BLOCK = EIGHT * EIGHT


@inline
def _aligned(count):
    # float64 zeros that begin at a cache line
    scratch = np.zeros(count + 8, np.float64)
    skip = (-scratch.ctypes.data // 8) % 8
    return scratch[skip : skip + count]


@inline
def _scratch(cols, beyond):
    # memory of one tile, where `beyond` columns follow those of the nodes: the first of these columns; elements of a
    # row of the window, and the window; of a panel; of a word line
    wide = (cols + 7) // 8 * 8
    # an odd number of cache lines
    pitch = ((wide + beyond + 7) // 16 * 2 + 1) * 8
    size = 4 * EIGHT
    while 2 * size < wide:
        size *= 2
    stars, shares, sums = _aligned(EIGHT * pitch), _aligned(EIGHT * wide), _aligned(size)
    panel = stars, shares, _aligned(BLOCK), _aligned(BLOCK), sums, _aligned(EIGHT)
    return wide, pitch, _aligned((wide + 1) * pitch), panel, (_aligned(wide), _aligned(wide), _aligned(wide))


@inline
def _add_word_line(cells, gw, links, pitch, wide, line, driver):
    # adds one word line to the window: see `reference._ladder.word_lines` and `reference._ladder._links`
    volts, passed, own = line
    cols = cells.size
    left, right = gw, 0.0
    for j in range(cols):
        # from both ends at once: neither waits for the other's divisions
        k = cols - 1 - j
        here, back = left + item(cells, j), right + item(cells, k)
        ratio = gw / (gw + here)
        put(passed, j, ratio)
        put(own, j, here)
        put(volts, k, right)
        left, right = here * ratio, back * (gw / (gw + back))
    for j in range(cols):
        put(own, j, item(cells, j) / (item(own, j) + item(volts, j)))
    zero = from_one(0.0)
    for k in range(0, wide, EIGHT):
        store(volts, k, zero)
    for j in range(cols - 1, -1, -1):
        ratio, cell, first = item(passed, j), item(cells, j), j & -8
        h = load8(volts, first) * ratio
        # elements up to j are written and never used; beyond the last column are zeros
        store(links, j * pitch + first, load8(links, j * pitch + first) + h * cell)
        store(volts, first, after(h, j & 7) + up_to(zero, j & 7, item(own, j)))
        for k in range(first + EIGHT, wide, EIGHT):
            h = load8(volts, k) * ratio
            store(volts, k, h)
            store(links, j * pitch + k, load8(links, j * pitch + k) + h * cell)
    for j in range(cols):
        driven = gw * item(volts, j)
        put(links, j * pitch + wide, item(links, j * pitch + wide) + driven)
        put(links, j * pitch + driver, driven)


@inline
def _total(stars, at, wide, sums):
    # `reference._ladder.total` of a node's links to nodes; `sums` holds zeros where a tree of these lacks blocks
    blocks, half = wide // EIGHT, 1
    if blocks == 8:  # without a detour by the memory
        low, high = load8(stars, at) + load8(stars, at + 4 * BLOCK), load8(stars, at + BLOCK)
        high = high + load8(stars, at + 5 * BLOCK)
        low = low + (load8(stars, at + 2 * BLOCK) + load8(stars, at + 6 * BLOCK))
        return tree(low + (high + (load8(stars, at + 3 * BLOCK) + load8(stars, at + 7 * BLOCK))))
    while 2 * half < blocks:
        half *= 2
    for b in range(half):
        number = load8(stars, at + b * BLOCK)
        if b + half < blocks:
            number = number + load8(stars, at + (b + half) * BLOCK)
        store(sums, EIGHT * b, number)
    while half > 4:
        half //= 2
        for b in range(half):
            store(sums, EIGHT * b, load8(sums, EIGHT * b) + load8(sums, EIGHT * (b + half)))
    low, high = load8(sums, 0) + load8(sums, 2 * EIGHT), load8(sums, EIGHT) + load8(sums, 3 * EIGHT)
    return tree(low + high)


@inline
def _eliminate_node(t, links, pitch, start, count, wide, gb, panel):
    # node t of the panel; `block` holds the links of later ones to the nodes below those that are eliminated
    stars, shares, mixed, block, sums, inverses = panel
    at, own = EIGHT * t, start * EIGHT
    for k in range(0, start, EIGHT):
        star = load8(stars, k * EIGHT + at)
        for before in range(0, at, EIGHT):
            star = star + load8(shares, k * EIGHT + before) * item(stars, own + before + t)
        store(stars, k * EIGHT + at, star)
    for k in range(start, wide + EIGHT, EIGHT):
        star = load8(links, (start + t) * pitch + k)
        for before in range(0, at, EIGHT):
            star = star + load8(stars, k * EIGHT + before) * item(shares, own + before + t)
        if k == start:
            star = after(star, t) + load8(block, at)
        store(stars, k * EIGHT + at, star)
    inverse = 1.0 / ((_total(stars, at, wide, sums) + item(stars, wide * EIGHT + at)) + gb)
    put(inverses, t, inverse)
    for k in range(0, wide, EIGHT):
        store(shares, k * EIGHT + at, load8(stars, k * EIGHT + at) * inverse)
    share = up_to(load8(shares, own + at), t, gb * inverse)
    store(mixed, at, share)
    for later in range(t + 1, count):
        store(block, EIGHT * later, load8(block, EIGHT * later) + share * item(stars, own + at + later))


@inline
def _four_stars(links, pitch, row, k, stars, shares, of_rows, first):
    # the links of four nodes of the panel, from node `first` on, to eight sources, when each is eliminated
    at, own, to = row * pitch + k, of_rows + EIGHT * first, k * EIGHT + EIGHT * first
    a, b = load8(links, at), load8(links, at + pitch)
    c, d = load8(links, at + 2 * pitch), load8(links, at + 3 * pitch)
    for t in range(0, EIGHT * first, EIGHT):
        star = load8(stars, k * EIGHT + t)
        a, b = a + star * item(shares, of_rows + t), b + star * item(shares, of_rows + t + 1)
        c, d = c + star * item(shares, of_rows + t + 2), d + star * item(shares, of_rows + t + 3)
    b = b + a * item(shares, own + 1)
    c = (c + a * item(shares, own + 2)) + b * item(shares, own + EIGHT + 2)
    d = ((d + a * item(shares, own + 3)) + b * item(shares, own + EIGHT + 3)) + c * item(shares, own + 2 * EIGHT + 3)
    store(stars, to, a)
    store(stars, to + EIGHT, b)
    store(stars, to + 2 * EIGHT, c)
    store(stars, to + 3 * EIGHT, d)


@inline
def _eliminate_panel(links, pitch, start, count, wide, end, gb, panel):
    # Eliminates the panel's nodes one by one. All others need their `stars` and `shares`; the nodes below, which take
    # their places, need `mixed`: the shares of the nodes eliminated after theirs, and what is left of their own links.
    stars, shares, _, block = panel[:4]
    for k in range(0, start, EIGHT):
        transpose(links, k * pitch + start, pitch, stars, k * EIGHT, EIGHT)
    for t in range(EIGHT):
        store(block, EIGHT * t, from_one(0.0))
    for t in range(count):
        _eliminate_node(t, links, pitch, start, count, wide, gb, panel)
    # no node waits for the rest; of nodes that are not there, it is written and never used
    for k in range(wide + EIGHT, end, EIGHT):
        _four_stars(links, pitch, start, k, stars, shares, start * EIGHT, 0)
        _four_stars(links, pitch, start + 4, k, stars, shares, start * EIGHT + 4, 4)


@inline
def _meet(links, at, pitch, rows, stars, of_columns, shares, of_rows, first, count):
    # four rows of eight elements meet the eliminated nodes from the first one on
    a, b, c, d = rows
    for t in range(EIGHT * first, EIGHT * count, EIGHT):
        star = load8(stars, of_columns + t)
        a, b = a + star * item(shares, of_rows + t), b + star * item(shares, of_rows + t + 1)
        c, d = c + star * item(shares, of_rows + t + 2), d + star * item(shares, of_rows + t + 3)
    store(links, at, a)
    store(links, at + pitch, b)
    store(links, at + 2 * pitch, c)
    store(links, at + 3 * pitch, d)


@inline
def _meet_all(links, at, pitch, rows, stars, of_columns, shares, of_rows):
    # `_meet` of a whole panel, which the compiler writes out
    a, b, c, d = rows
    for t in (0, 8, 16, 24, 32, 40, 48, 56):
        star = load8(stars, of_columns + t)
        a, b = a + star * item(shares, of_rows + t), b + star * item(shares, of_rows + t + 1)
        c, d = c + star * item(shares, of_rows + t + 2), d + star * item(shares, of_rows + t + 3)
    store(links, at, a)
    store(links, at + pitch, b)
    store(links, at + 2 * pitch, c)
    store(links, at + 3 * pitch, d)


@inline
def _take_places(links, pitch, start, count, end, gb, panel):
    # the nodes below the eliminated ones take their places in the window
    stars, _, mixed, block, _, inverses = panel
    for k in range(0, start + EIGHT, EIGHT):
        # links to nodes before them; what nodes of the panel that were eliminated later add follows in `_mesh`
        for t in range(count):
            store(block, EIGHT * t, load8(stars, k * EIGHT + EIGHT * t) * (gb * item(inverses, t)))
        transpose(block, 0, EIGHT, links, k * pitch + start, pitch)
    for t in range(count):
        at = start * EIGHT + EIGHT * t
        store(stars, at, up_to(load8(stars, at), t, 0.0))
    zero = from_one(0.0)
    rows = zero, zero, zero, zero
    for first in (0, 4):
        for k in range(start + EIGHT, end, EIGHT):
            _meet(links, (start + first) * pitch + k, pitch, rows, stars, k * EIGHT, mixed, first, first, count)


@inline
def _mesh(links, pitch, start, count, cols, end, panel):
    # every other element meets the eliminated nodes; of the panel's own rows, those of its own columns
    stars, shares = panel[:2]
    for j in range(0, cols, 4):
        first = j & -8
        of_rows = first * EIGHT + (j & 4)
        for k in range(first, start + EIGHT if first == start else end, EIGHT):
            at = j * pitch + k
            below, last = at + pitch, at + 3 * pitch
            rows = load8(links, at), load8(links, below), load8(links, below + pitch), load8(links, last)
            if count == EIGHT:
                _meet_all(links, at, pitch, rows, stars, k * EIGHT, shares, of_rows)
            else:
                _meet(links, at, pitch, rows, stars, k * EIGHT, shares, of_rows, 0, count)


@inline
def _star(stars, t, k):
    return stars[(k & -8) * EIGHT + EIGHT * t + (k & 7)]


@inline
def _join(panel, count, wide, before, out):
    # links of the drivers to the sources above, by way of a panel's nodes
    stars, inverses = panel[0], panel[5]
    for t in range(count):
        for i in range(out.shape[0]):
            share = _star(stars, t, wide + 1 + before + i) * inverses[t]
            for k in range(before):
                out[i, k] += share * _star(stars, t, wide + 1 + k)


@kernel
def reduce_lines(first, last, conductance, gw, gb, start_links, finish, out):
    """Reduce tiles with resistance on both kinds of line: see `reference.reduce_lines`.

    A row of the window holds its node's links to the nodes right of it, from `wide` on those to
    all the sources together and to each of them.
    """
    rows, cols = conductance.shape[1:]
    before = max(0, start_links.shape[1] - cols - 1)
    wide, pitch, links, panel, line = _scratch(cols, before + rows + 1)
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
            _add_word_line(conductance[tile, i], gw, links, pitch, wide, line, end - 1)
            for start in range(0, cols, EIGHT):
                count = min(EIGHT, cols - start)
                _eliminate_panel(links, pitch, start, count, wide, end, below, panel)
                if finish:
                    _join(panel, count, wide, before, out[tile, : i + 1])
                _take_places(links, pitch, start, count, end, below, panel)
                _mesh(links, pitch, start, count, cols, end, panel)
        if not finish:
            for i in range(before + rows):
                for j in range(cols):
                    out[tile, i, j] = links[j * pitch + wide + 1 + i]


@inline
def _join_pairs(panel, count, wide, own, out):
    # links between the drivers of the rows so far, by way of a panel's nodes
    stars, inverses = panel[0], panel[5]
    for t in range(count):
        for i in range(out.shape[0]):
            own[i] = _star(stars, t, wide + 1 + i)
        for i in range(out.shape[0]):
            share = own[i] * inverses[t]
            for k in range(i):
                out[i, k] += share * own[k]


@kernel
def join_drivers(first, last, conductance, gw, gb, out):
    """Link the drivers of tiles with resistance on both kinds of line: see `reference.driver_links`.

    The window is that of `reduce_lines`.
    """
    rows, cols = conductance.shape[1:]
    wide, pitch, links, panel, line = _scratch(cols, rows + 1)
    own = np.empty(rows)
    for tile in range(first, last):
        links[:] = 0.0
        out[tile] = 0.0
        for i in range(rows):
            end = wide + i + 2
            _add_word_line(conductance[tile, i], gw, links, pitch, wide, line, end - 1)
            for start in range(0, cols, EIGHT):
                count = min(EIGHT, cols - start)
                _eliminate_panel(links, pitch, start, count, wide, end, gb, panel)
                _join_pairs(panel, count, wide, own, out[tile, : i + 1])
                _take_places(links, pitch, start, count, end, gb, panel)
                _mesh(links, pitch, start, count, cols, end, panel)


@inline
def _around(shares, volts, wide, sums):
    # `reference._ladder.total` of shares times volts; beyond `wide`, `sums` holds zeros
    half = sums.size // 2
    for k in range(wide):
        sums[k] = shares[k] * volts[k]
    while half:
        for k in range(half):
            sums[k] += sums[half + k]
        half //= 2
    return sums[0]


@inline
def _go_back(shares, downs, owns, rows, cols, sums, volts, out):
    # the voltages of the nodes, from the last one that was eliminated to the first; zeros lie beyond the last column
    wide, inputs = shares.shape[1], volts.shape[0]
    volts[:] = 0.0
    for i in range(rows - 1, -1, -1):
        for p in range(cols - 1, -1, -1):
            node = i * cols + p
            for q in range(inputs):
                around = _around(shares[node], volts[q], wide, sums)
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
    wide, pitch, links, panel, line = _scratch(cols, inputs + 2)
    end = wide + 1 + inputs
    stars, shares, inverses = panel[0], panel[1], panel[5]
    size = EIGHT
    while size < wide:
        size *= 2
    sums, nodes = np.zeros(size), np.empty((inputs, wide))
    kept, downs, owns = np.empty((rows * cols, wide)), np.empty(rows * cols), np.empty((rows * cols, inputs))
    for tile in range(first, last):
        links[:] = 0.0
        for i in range(rows):
            _add_word_line(conductance[tile, i], gw, links, pitch, wide, line, end)
            for j in range(cols):
                driven = links[j * pitch + end]
                for q in range(inputs):
                    links[j * pitch + wide + 1 + q] += driven * voltages[tile, i, q]
            for start in range(0, cols, EIGHT):
                count = min(EIGHT, cols - start)
                _eliminate_panel(links, pitch, start, count, wide, end, gb, panel)
                for t in range(count):
                    node = i * cols + start + t
                    downs[node] = gb * inverses[t]
                    for k in range(wide):
                        kept[node, k] = _star(shares, t, k)
                    for q in range(inputs):
                        owns[node, q] = inverses[t] * _star(stars, t, wide + 1 + q)
                _take_places(links, pitch, start, count, end, gb, panel)
                _mesh(links, pitch, start, count, cols, end, panel)
        _go_back(kept, downs, owns, rows, cols, sums, nodes, out[tile])
