"""The resistor network of a tile, reduced node by node: a part of the reference.

The circuit: word line i is driven at column 0 through one segment of wire, one segment lies
between neighbouring cells, bit line j ends below the last row, through one segment, at 0 V.

Nothing is subtracted, so nothing cancels: a network is stored as the conductances between its
nodes, never as a matrix with a diagonal. Each word line is replaced by links: between the bit lines
of its cells, and from them to its driver (`word_lines`). The rows so far are a window with one node
for each bit line, linked to one another and to the drivers. Eliminating a node p of total
conductance d turns a star into a mesh; the node below it, one segment further down its bit line,
takes its place. Below the last row the nodes are the outputs, and their links to the drivers are
the transfer matrix.

Every backend does the same multiplications, additions and divisions in the same order, none of
them fused: with ``e = 1 / d`` and j < k, ``c_jk += (c_jp * e) * c_kp``, for a driver s
``c_js += (c_jp * e) * c_ps``, and for the node below ``c_pk = (gb * e) * c_pk``. Square roots would
make this symmetric, but torch does not round them to the nearest.
"""

from collections.abc import Callable
from typing import Any

from array_api_compat import array_namespace, device

__all__ = [
    "bit_nodes",
    "node_voltages",
    "one_sided",
    "quotient",
    "reduce_lines",
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


def quotient(number, array):
    """Return ``number / array``, rounded once: torch would multiply by the reciprocal."""
    return array_namespace(array).full_like(array, number) / array


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
    """Return the voltage ratios by which the nodes of a word line are eliminated.

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
    # equivalent conductance to 0 V, left and right of each node
    left, passed = [xp.full_like(cells[0], gw)], []
    for cell in cells:
        here = left[-1] + cell
        passed.append(quotient(gw, gw + here))
        left.append(here * passed[-1])
    right = [xp.zeros_like(cells[0])]
    for cell in reversed(cells):
        here = right[-1] + cell
        right.append(here * quotient(gw, gw + here))
    right = right[-2::-1]
    own = [cell / ((a + cell) + b) for cell, a, b in zip(cells, left, right, strict=False)]
    return passed, own


def _links(xp, g, gw):
    # (links between bit lines j < k, shape (..., cols, cols), links to the driver, shape (..., cols)) of word lines
    cols = g.shape[-1]
    passed, own = word_lines(xp, g, gw)
    index = xp.arange(cols, dtype=xp.int64, device=device(g))
    volts, rows = xp.zeros_like(g), []
    for j in range(cols - 1, -1, -1):
        # volts at node j per volt at the bit lines of the columns right of it
        volts = passed[j][..., None] * volts
        rows.append(g[..., j, None] * volts)
        volts = xp.where(index == j, own[j][..., None], volts)
    return xp.stack(rows[::-1], axis=-2), gw * volts


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
        passed.append(quotient(gb, gb + here))
        above = here * passed[-1]
    share, out = xp.ones_like(above), []
    for i in range(g.shape[1] - 1, -1, -1):
        share = passed[i] * share
        out.append(g[:, i, :] * share)
    return xp.stack(out[::-1], axis=1)


def _eliminate(xp, links, index, p, driver, gb):
    # eliminates node p: (the others' shares of a current into it, that of the node below, 1 / d, the links)
    here = index == p
    star = links[:, p, :] + links[:, :, p]  # links[j, k] is 0 but for j < k
    inverse = quotient(1.0, (total(xp, star) + driver[:, p]) + gb)[:, None]
    share, down = star * inverse, gb * inverse
    links = xp.where(
        here[:, None],
        down[:, :, None] * star[:, None, :],
        xp.where(here, down[:, :, None] * star[:, :, None], links + share[:, :, None] * star[:, None, :]),
    )
    return share, down, inverse, xp.where(index[:, None] < index, links, xp.zeros_like(links))


def _after_elimination(xp: Any, quantity: Any, index: Any, p: int, share: Any, down: Any) -> Any:
    # a quantity of the nodes, (batch, cols, ...): that of node p is shared among the others and the node below it
    own = quantity[:, p, None, :]
    return xp.where((index == p)[:, None], down[:, :, None] * own, quantity + share[:, :, None] * own)


def reduce_lines(g: Any, gw: float, gb: float, start: Any = None, finish: bool = False) -> Any:
    """Return the conductances that tiles with resistance on both kinds of line reduce to.

    Parameters
    ----------
    g : float64 array, shape (batch, rows, cols)
        Conductance of the cells of word lines.
    gw, gb : float
        Conductance of a segment of word line, of bit line; finite.
    start : float64 array, shape (cols, cols + 1 + before), optional
        What lies above the first word line, as the nodes of this line see it: their links to one another,
        of which those right of the diagonal count; to all sources together; and to each of some sources.
    finish : bool
        Nothing lies below the last word line.

    Returns
    -------
    float64 array
        Shape (batch, before + rows, cols): links of the sources above and of the drivers to the outputs below.
        With `finish`, shape (batch, rows, before): links of the drivers to the sources above.
    """
    xp = array_namespace(g)
    batch, rows, cols = g.shape
    index = xp.arange(cols, dtype=xp.int64, device=device(g))
    # to one another; to all the sources together, and to each of them
    links = xp.zeros((batch, cols, cols), dtype=xp.float64, device=device(g))
    sources = xp.zeros((batch, cols, 1), dtype=xp.float64, device=device(g))
    if start is not None:
        upper = xp.where(index[:, None] < index, start[:, :cols], links[0, :, :])
        links = links + upper
        sources = start[:, cols:] + xp.zeros((batch, 1, 1), dtype=xp.float64, device=device(g))
    before = sources.shape[2] - 1
    found = xp.zeros((batch, 0, before), dtype=xp.float64, device=device(g))  # links of the drivers so far
    for i in range(rows):
        below = 0.0 if finish and i == rows - 1 else gb
        found = xp.concat([found, xp.zeros((batch, 1, before), dtype=xp.float64, device=device(g))], axis=1)
        new, driven = _links(xp, g[:, i, :], gw)
        links = links + new
        driven = driven[:, :, None]
        sources = xp.concat([sources[:, :, :1] + driven, sources[:, :, 1:], driven], axis=2)
        for p in range(cols):
            own = sources[:, p, :]
            share, down, inverse, links = _eliminate(xp, links, index, p, sources[:, :, 0], below)
            sources = _after_elimination(xp, sources, index, p, share, down)
            if finish:
                found = found + (own[:, 1 + before :] * inverse)[:, :, None] * own[:, None, 1 : 1 + before]
    return found if finish else xp.matrix_transpose(sources[:, :, 1:])


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
        passed.append(quotient(segment, after))
        own.append(came / after)
        before = here * passed[-1]
        if j < g.shape[-2] - 1:
            came = current[..., j + 1, :] + came * passed[-1]
    volts = [own[-1]]
    for j in range(g.shape[-2] - 2, -1, -1):
        volts.append(passed[j] * volts[-1] + own[j])
    return xp.stack(volts[::-1], axis=-2)


def bit_nodes(g: Any, voltages: Any, gw: float, gb: float) -> Any:
    """Return the voltages of the bit lines' nodes of tiles with resistance on both kinds of line.

    Nodes are eliminated as in `reduce_lines`; then, from the last to the first, a node's voltage follows from its
    links when it was eliminated.

    Parameters
    ----------
    g : float64 array, shape (batch, rows, cols)
    voltages : float64 array, shape (batch, rows, inputs)
    gw, gb : float
        Conductance of a segment of word line, of bit line; finite.

    Returns
    -------
    float64 array, shape (batch, rows, cols, inputs)
    """
    xp = array_namespace(g)
    batch, rows, cols = g.shape
    index = xp.arange(cols, dtype=xp.int64, device=device(g))
    links = xp.zeros((batch, cols, cols), dtype=xp.float64, device=device(g))
    driver = xp.zeros((batch, cols, 1), dtype=xp.float64, device=device(g))
    current = xp.zeros((batch, cols, voltages.shape[2]), dtype=xp.float64, device=device(g))
    kept = []
    for i in range(rows):
        new, driven = _links(xp, g[:, i, :], gw)
        links, driven = links + new, driven[:, :, None]
        driver, current = driver + driven, current + driven * voltages[:, i, None, :]
        for p in range(cols):
            share, down, inverse, links = _eliminate(xp, links, index, p, driver[:, :, 0], gb)
            kept.append((share, down, inverse * current[:, p, :]))
            driver = _after_elimination(xp, driver, index, p, share, down)
            current = _after_elimination(xp, current, index, p, share, down)
    volts, found = xp.zeros_like(current), []
    for _ in range(rows):
        for p in range(cols - 1, -1, -1):
            share, down, own = kept.pop()
            around = total(xp, xp.matrix_transpose(share[:, :, None] * volts))
            here = around + (own + down * volts[:, p, :])
            volts = xp.where((index == p)[:, None], here[:, None, :], volts)
        found.append(volts)
    return xp.stack(found[::-1], axis=1)


def node_voltages(
    conductance: Any,
    voltages: Any,
    r_word: float,
    r_bit: float,
    bit_nodes: Callable[[Any, Any, float, float], Any] = bit_nodes,
) -> tuple[Any, Any]:
    """Return the voltages of all nodes: (of the word lines, of the bit lines).

    Parameters
    ----------
    conductance : float64 array, shape (batch, rows, cols)
    voltages : float64 array, shape (batch, rows, inputs)
    r_word, r_bit : float
    bit_nodes : function, optional
        A backend's voltages of the bit lines' nodes: ``bit_nodes(g, voltages, gw, gb)``.

    Returns
    -------
    (float64 array, float64 array), shape (batch, rows, cols, inputs)
    """
    g, xp = conductance, array_namespace(conductance, voltages)
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
        bit = bit_nodes(g, voltages, gw, gb)
    if gw != float("inf"):
        current = cells * bit
        current = xp.concat([current[:, :, :1, :] + gw * driven, current[:, :, 1:, :]], axis=2)
        word = solve_lines(cells, current, gw)
    return word, bit


def transfer(
    conductance: Any, r_word: float, r_bit: float, reduce: Callable[[Any, float, float], Any] = reduce_lines
) -> Any:
    """Return the transfer matrices of tiles with wire resistance: currents = voltages @ matrix.

    Parameters
    ----------
    conductance : float64 array, shape (batch, rows, cols)
        Of the cells, at least 0.
    r_word, r_bit : float
        Resistance of a segment of word line, of bit line, at least 0.
    reduce : function, optional
        A backend's reduction of tiles with resistance on both kinds of line: ``reduce(g, gw, gb)``.

    Returns
    -------
    float64 array, shape (batch, rows, cols)
    """
    g, gw, gb = conductance, segment(r_word), segment(r_bit)
    turns = turned(g.shape, gw, gb)
    if turns:
        g, gw, gb = turn(g), gb, gw
    out = g + 0.0  # without -0.0, and the caller's own
    if gb != float("inf"):
        out = one_sided(out, gb) if gw == float("inf") else reduce(out, gw, gb)
    return turn(out) if turns else out


def segment(resistance: float) -> float:
    """Return the conductance of a segment: infinite for 0 Ohm, and where the inverse is not finite."""
    return 1.0 / resistance if resistance > 0 else float("inf")
