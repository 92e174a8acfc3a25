"""The resistor network of a tile, reduced node by node: the specification of `transfer`.

The circuit: word line i is driven at column 0 through one segment of wire, one segment lies
between neighbouring cells, bit line j ends below the last row, through one segment, at 0 V.

Nothing is subtracted anywhere, so nothing cancels: a network of conductances is held as what
connects its nodes, never as the diagonal of a matrix. Every word line is replaced by the links
that it makes between its cells' bit lines, and to its driver (`word_lines`). What is known of the
rows so far is a window of one node a bit line: its links to one another, and to the drivers. A
node p of total conductance d is eliminated as a star becomes a mesh, ``c_jk += c_jp * c_kp / d``,
and the node below it, one segment further down its bit line, takes its place. Below the last
row these are the outputs, and their links to the drivers are the transfer matrix.

Each element goes through the same multiplies, adds, divides and square roots in the same order
on every backend, none of them fused.
"""

from array_api_compat import array_namespace, device

__all__ = [
    "node_voltages",
    "one_sided",
    "segment",
    "solve_lines",
    "total",
    "transfer",
    "turn",
    "turned",
    "word_lines",
]


def turn(array):
    """Return the transposed network: word lines are bit lines and inputs outputs, the corner stays.

    Of a transfer matrix it is the transposed network's, by reciprocity.
    """
    xp = array_namespace(array)
    return xp.flip(xp.matrix_transpose(array), axis=(-2, -1))


def turned(shape, gw, gb):
    """Return whether a tile is reduced as its transposed network, the cheaper of the two.

    Parameters
    ----------
    shape : tuple of int
        Ends with the numbers of rows and columns.
    gw, gb : float
        Conductance of a segment of word line, of bit line; infinite for wires without resistance.
    """
    return gb == float("inf") if float("inf") in (gw, gb) else shape[-1] > shape[-2]


def total(xp, values):
    """Return the sum over the last axis, as a tree: the upper half is added to the lower one.

    Parameters
    ----------
    xp : namespace
    values : float64 array, shape (..., N)
        Counts as padded with zeros to the next power of two.
    """
    while values.shape[-1] > 1:
        size = values.shape[-1]
        half = 1 << (size - 1).bit_length() - 1
        low, high = values[..., : size - half] + values[..., half:], values[..., size - half : half]
        values = xp.concat([low, high], axis=-1)
    return values[..., 0]


def word_lines(xp, g, gw):
    """Return what eliminating the nodes of a word line takes.

    Parameters
    ----------
    xp : namespace
    g : float64 array, shape (..., cols)
        Conductance of the cells of a word line.
    gw : float
        Conductance of a segment.

    Returns
    -------
    passed : list of cols arrays, shape (...)
        Volts at a node per volt at the next one further from the driver, which is at 0 V.
    own : list of cols arrays, shape (...)
        Volts at a node per volt at the bit line's side of its own cell.
    """
    cols = g.shape[-1]
    cells = [g[..., j] for j in range(cols)]
    # what is left and right of each node, as one conductance to 0 V
    left, passed = [xp.full_like(cells[0], gw)], []
    for cell in cells:
        here = left[-1] + cell
        passed.append(gw / (gw + here))
        left.append(here * passed[-1])
    right = [xp.zeros_like(cells[0])]
    for cell in reversed(cells):
        here = right[-1] + cell
        right.append(here * (gw / (gw + here)))
    right = right[-2::-1]
    own = [cell / ((a + cell) + b) for cell, a, b in zip(cells, left, right, strict=False)]
    return passed, own


def _links(xp, g, gw):
    # (links between the bit lines, shape (..., cols, cols), links to the driver, shape (..., cols)) of word lines
    cols = g.shape[-1]
    passed, own = word_lines(xp, g, gw)
    index = xp.arange(cols, dtype=xp.int64, device=device(g))
    volts, rows = xp.zeros_like(g), []
    for j in range(cols - 1, -1, -1):
        # volts at node j per volt at the bit lines of the columns right of it
        volts = passed[j][..., None] * volts
        rows.append(g[..., j, None] * volts)
        volts = xp.where(index == j, own[j][..., None], volts)
    upper = xp.stack(rows[::-1], axis=-2)
    return upper + xp.matrix_transpose(upper), gw * volts


def one_sided(g, gb):
    """Return the transfer matrices of tiles whose word lines have no resistance.

    Parameters
    ----------
    g : float64 array, shape (batch, rows, cols)
    gb : float
        Conductance of a segment of bit line.

    Returns
    -------
    float64 array, shape (batch, rows, cols)
    """
    xp = array_namespace(g)
    above, passed = xp.zeros_like(g[:, 0, :]), []
    for i in range(g.shape[1]):
        here = above + g[:, i, :]
        passed.append(gb / (gb + here))
        above = here * passed[-1]
    share, out = xp.ones_like(above), []
    for i in range(g.shape[1] - 1, -1, -1):
        share = passed[i] * share
        out.append(g[:, i, :] * share)
    return xp.stack(out[::-1], axis=1)


def _eliminate(xp, links, here, p, driver, gb):
    # node p, which `here` marks: what it was connected to (a row, scaled by s), and the links without it
    row = xp.where(here, xp.zeros_like(links[:, p, :]), links[:, p, :])
    s = (1.0 / xp.sqrt((total(xp, row) + driver[:, p]) + gb))[:, None]
    row, down = row * s, (gb * s)[:, :, None]
    to, per = row[:, :, None], row[:, None, :]
    links = xp.where(here[:, None], down * per, xp.where(here, down * to, links + to * per))
    return row, s, down, to, links


def _two_sided(g, gw, gb):
    xp = array_namespace(g)
    batch, rows, cols = g.shape
    index = xp.arange(cols, dtype=xp.int64, device=device(g))
    links = xp.zeros((batch, cols, cols), dtype=xp.float64, device=device(g))
    # to all the drivers together, and to each of them
    sources = xp.zeros((batch, cols, 1), dtype=xp.float64, device=device(g))
    for i in range(rows):
        new, driven = _links(xp, g[:, i, :], gw)
        links = links + new
        driven = driven[:, :, None]
        sources = xp.concat([sources[:, :, :1] + driven, sources[:, :, 1:], driven], axis=2)
        for p in range(cols):
            here = index == p
            _, s, down, to, links = _eliminate(xp, links, here, p, sources[:, :, 0], gb)
            driven = (sources[:, p, :] * s)[:, None, :]
            sources = xp.where(here[:, None], down * driven, sources + to * driven)
    return xp.matrix_transpose(sources[:, :, 1:])


def solve_lines(g, current, segment):
    """Return the node voltages of lines that end, before their first node, at 0 V.

    Parameters
    ----------
    g : float64 array, shape (..., N, 1)
        Conductance from each node to 0 V: of its cell.
    current : float64 array, shape (..., N, inputs)
        What flows into each node.
    segment : float
        Conductance of a segment of the lines.

    Returns
    -------
    float64 array, shape (..., N, inputs)
    """
    xp = array_namespace(g, current)
    before, came, passed, own = xp.full_like(g[..., 0, :], segment), current[..., 0, :], [], []
    for j in range(g.shape[-2]):
        here = before + g[..., j, :]
        # the last node has no segment after it
        after = segment + here if j < g.shape[-2] - 1 else here
        passed.append(segment / after)
        own.append(came / after)
        before = here * passed[-1]
        if j < g.shape[-2] - 1:
            came = current[..., j + 1, :] + came * passed[-1]
    volts = [own[-1]]
    for j in range(g.shape[-2] - 2, -1, -1):
        volts.append(passed[j] * volts[-1] + own[j])
    return xp.stack(volts[::-1], axis=-2)


def _bit_nodes(g, voltages, gw, gb):
    # as `_two_sided`, then back: what each node was connected to when it was eliminated gives its voltage
    xp = array_namespace(g)
    batch, rows, cols = g.shape
    index = xp.arange(cols, dtype=xp.int64, device=device(g))
    links = xp.zeros((batch, cols, cols), dtype=xp.float64, device=device(g))
    driver = links[:, :, 0]
    current = xp.zeros((batch, cols, voltages.shape[2]), dtype=xp.float64, device=device(g))
    kept = []
    for i in range(rows):
        new, driven = _links(xp, g[:, i, :], gw)
        links, driver = links + new, driver + driven
        current = current + driven[:, :, None] * voltages[:, i, None, :]
        for p in range(cols):
            here = index == p
            row, s, down, to, links = _eliminate(xp, links, here, p, driver, gb)
            share, injected = driver[:, p, None] * s, current[:, p, :] * s
            driver = xp.where(here, down[:, :, 0] * share, driver + row * share)
            injected = injected[:, None, :]
            current = xp.where(here[:, None], down * injected, current + to * injected)
            kept.append((to, s, down[:, :, 0], injected[:, 0, :]))
    volts, found = xp.zeros_like(current), []
    for _ in range(rows):
        for p in range(cols - 1, -1, -1):
            to, s, down, injected = kept.pop()
            around = total(xp, xp.matrix_transpose(to * volts))
            here = s * ((around + injected) + down * volts[:, p, :])
            volts = xp.where((index == p)[:, None], here[:, None, :], volts)
        found.append(volts)
    return xp.stack(found[::-1], axis=1)


def node_voltages(g, voltages, r_word, r_bit):
    """See `reference.node_voltages`."""
    xp = array_namespace(g, voltages)
    gw, gb = segment(r_word), segment(r_bit)
    cells, driven = g[:, :, :, None], voltages[:, :, None, :]
    word = driven + xp.zeros_like(cells)
    if gb == float("inf"):
        bit = xp.zeros_like(word)
    elif gw == float("inf"):
        # from the outputs up
        cells, current = (xp.flip(xp.permute_dims(a, (0, 2, 1, 3)), axis=2) for a in (cells, cells * driven))
        bit = xp.permute_dims(xp.flip(solve_lines(cells, current, gb), axis=2), (0, 2, 1, 3))
    else:
        bit = _bit_nodes(g, voltages, gw, gb)
    if gw != float("inf"):
        current = cells * bit
        current = xp.concat([current[:, :, :1, :] + gw * driven, current[:, :, 1:, :]], axis=2)
        word = solve_lines(cells, current, gw)
    return word, bit


def transfer(g, r_word, r_bit, reduce=_two_sided):
    """See `reference.transfer`; tiles with resistance on both kinds of line go to ``reduce(g, gw, gb)``."""
    gw, gb = segment(r_word), segment(r_bit)
    turns = turned(g.shape, gw, gb)
    if turns:
        g, gw, gb = turn(g), gb, gw
    if gb == float("inf"):  # and so is gw
        out = g + 0.0
    else:
        out = one_sided(g, gb) if gw == float("inf") else reduce(g, gw, gb)
    return turn(out) if turns else out


def segment(resistance):
    """Return the conductance of a segment: infinite for 0, and for what has no finite inverse."""
    return 1.0 / resistance if resistance > 1e-308 else float("inf")
