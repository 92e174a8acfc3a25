"""Thousands of products of every kind against exact arithmetic: the same bits, on every backend.

A test draws seeds, and each seed a configuration with a few products. A failure names its seed:
``products_of(seed)`` runs it again. The numbers of products are counted, and held.
"""

import warnings

import exact
import numpy as np
import pytest
from draws import Draw
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits, torch
from strategies import examples

from mpimpy import ADC, DAC, Config, Device, Engine, Format, SlicedData, Tile
from mpimpy.operands.edge import MpimpyWarning

PRODUCTS = 8  # of a seed
SEEDS = 55  # of a test, where others draw 60 examples: four tests of 440 products; more by night


def to_numpy(array):
    """An array of any library in NumPy, and bfloat16 as float32."""
    if torch is not None and isinstance(array, torch.Tensor):
        return array.float().numpy() if array.dtype == torch.bfloat16 else array.numpy()
    return np.asarray(array)


QUICK = ["numpy numba", "numpy reference", "torch numba"]


def runners(draw, *arrays):
    """Backends and libraries by name, (name, maker, backend): the quick ones, and often one of the others."""
    slow = [name for name in RUNNERS if name not in QUICK]
    if any(array.dtype == np.float16 for array in arrays):
        slow.remove("strict reference")  # the standard has no such dtype
    chosen = [name for name in QUICK if name in RUNNERS]
    if slow and draw.often(0.6):
        chosen.append(slow[draw.between(0, len(slow) - 1)])
    for name in chosen:
        draw.kinds.add(f"backend: {name}")
        yield name, *RUNNERS[name]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small products: threads of torch would wait for each other."""
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def native(array):
    return np.array(array, array.dtype.newbyteorder("="))


def judge(answer, y, x, w, name):
    """Raise AssertionError if a result is wrong."""
    found = to_numpy(y)
    if x.dtype.kind == w.dtype.kind == "f":
        assert found.dtype == np.result_type(x, w), (name, found.dtype)
    assert found.dtype.isnative
    wrong = answer.judge(found)
    assert wrong is None, f"{name}: {wrong}"


def whole(parts):
    """Answers of a batch, as one."""
    bounds = [part.bound for part in parts]
    values, tiny = np.stack([part.values for part in parts]), any(part.tiny for part in parts)
    return exact.Answer(values, None if bounds[0] is None else np.stack(bounds), tiny)


def expected(x, w, config, faults=None, blocks=None):
    """The answer for operands of any dtype and layout, x (..., M, K) or (K,)."""
    rows = config.tile.rows
    values = native(x).astype(np.float64).reshape(-1, *(x.shape[-2:] if x.ndim > 1 else (1, *x.shape)))
    x_block, w_block = blocks or (
        exact.block_of(config.inputs, values.shape[1:], rows, weight=False),
        exact.block_of(config.weights, w.shape, rows, weight=True),
    )
    w = native(w).astype(np.float64)
    y, bound, tiny = whole([exact.product(part, w, config, x_block, w_block, faults) for part in values])
    shape = (*x.shape[:-1], w.shape[1])
    return exact.Answer(y.reshape(shape), None if bound is None else bound.reshape(shape), tiny)


def judge_matrix(matrix, w, config, faults):
    """Raise AssertionError if the numbers that a programmed matrix shows are wrong."""
    fmt, device = config.weights, config.device
    w = native(w).astype(np.float64)
    codes, scales = exact.quantise(w, fmt, exact.block_of(fmt, w.shape, config.tile.rows, weight=True))
    np.testing.assert_array_equal(matrix.codes(), codes if fmt.double else codes[0])
    decoded = (codes * scales).sum(0)
    found = matrix.decoded()
    if exact.is_tiny((w, scales), (w, scales)):
        np.testing.assert_allclose(found, decoded, rtol=1e-12, atol=1e-300)
    else:
        assert same_bits(found, decoded)
    levels = exact.digits(codes, fmt) * np.array(exact.numbers(config).v)[:, None, None]
    if fmt.signed:
        levels = np.stack([np.maximum(levels, 0), np.maximum(-levels, 0)], axis=1)
    levels = levels.reshape(fmt.planes, fmt.cells_per_digit, *levels.shape[-3:])
    if faults is not None:
        levels = np.where(faults > 0, device.g_level - 1, np.where(faults < 0, 0, levels))
    siemens = np.array(device.levels or np.linspace(device.LGS, device.HGS, device.g_level))[levels][:, :, ::-1]
    shape = *(n for n in (fmt.planes, fmt.cells_per_digit) if n > 1), *siemens.shape[2:]
    # a cell lies on the grid, a fraction of a level
    unit = (device.HGS - device.LGS) / (device.g_level - 1) * 2.0 ** -exact.numbers(config).f
    room = unit if device.levels else 1e-9 * unit
    np.testing.assert_allclose(matrix.conductance(), siemens.reshape(shape), rtol=1e-12, atol=room)


def operands(draw, config):
    m, k, n = draw.shape(config)
    lead = draw.pick((m,), (m,), (m,), (2, m), (2, 1, min(m, 4)), ())
    x = draw.numbers((*lead, k), draw.dtype("x"), config.inputs.bits)
    w = draw.numbers((k, n), draw.dtype("w"), config.weights.bits)
    return tuple(map(draw.repeated, draw.scaled(x, w)))


def map_of_faults(draw, fmt, shape):
    """(the map as `program` takes it, as the oracle takes it), or two times None."""
    if not draw.often(0.1):
        return None, None
    draw.kinds.add("faults")
    planes, pair, slices = fmt.planes, fmt.cells_per_digit, len(fmt.digits)
    faults = draw.rng.choice([-1, 0, 0, 0, 0, 1], (planes, pair, slices, *shape)).astype(np.int8)
    return faults.reshape(*(n for n in (planes, pair) if n > 1), slices, *shape), faults[:, :, ::-1]


def one_product(draw, config):
    """Compare one product on every backend with exact arithmetic."""
    x, w = operands(draw, config)
    faults, ascending = map_of_faults(draw, config.weights, w.shape)
    answer = expected(x, w, config, ascending)
    for name, make, backend in runners(draw, x, w):
        a, b = (draw.layout(x), draw.layout(w)) if name.startswith("numpy") else (make(native(x)), make(native(w)))
        engine = Engine.from_config(config, seed=1, backend=backend)
        if faults is None and draw.often(0.5):
            y = engine(a, b)
        else:
            matrix = engine.program(b, faults=faults)
            y = matrix.read(a)
            if name == "numpy numba":
                judge_matrix(matrix, w, config, ascending)
        assert type(y) is type(a)
        judge(answer, y, x, w, name)


def rounded(gran, parallel, shape):
    """The predecessors' blocks: whole arrays."""
    asked = {None: parallel, "per-matrix": shape, "per-row": (1, shape[1]), "per-col": (shape[0], 1)}.get(gran, gran)
    return tuple(exact.round_up(size, step) for size, step in zip(asked, parallel, strict=True))


def one_sliced_product(draw, config):
    """Compare one product of `SlicedData` on every backend with exact arithmetic."""
    rows, cols = draw.pick(1, 2, 5, 16, 31, 64), draw.pick(1, 4, 64)
    grans = [
        draw.pick(None, "per-matrix", "per-row", "per-col", (draw.between(1, 9), draw.between(1, 40))) for _ in "xw"
    ]
    own = draw.kind("paral_size", "own", "the engine's")
    if own == "own":
        parallel = (draw.pick(1, 3, 64), rows), (rows, cols)
    else:
        rows = config.tile.rows
        parallel = (rows, rows), (rows, config.tile.cols)
    tile = {"rows": parallel[1][0], "cols": parallel[1][1]}
    x, w = operands(draw, config.replace(tile=tile))
    keep = [draw.kind("inference", True, False) for _ in "xw"]
    shape = x.shape[-2:] if x.ndim > 1 else (1, *x.shape)
    blocks = tuple(rounded(*each) for each in zip(grans, parallel, (shape, w.shape), strict=True))
    answer = expected(x, w, config.replace(tile=tile), blocks=blocks)
    for name, make, backend in runners(draw, x, w):
        a, b = (draw.layout(x), draw.layout(w)) if name.startswith("numpy") else (make(native(x)), make(native(w)))
        engine, sliced = Engine.from_config(config, seed=1, backend=backend), []
        for data, fmt, paral, gran, inference in zip(
            (a, b), (config.inputs, config.weights), parallel, grans, keep, strict=True
        ):
            one = SlicedData(
                fmt.slices,
                bw_e=fmt.bw_e,
                is_weight=bool(sliced),
                paral_size=paral if own == "own" else None,
                quant_gran=gran,
                inference=inference,
                dbfp_en=fmt.double,
            )
            one.slice_data_imp(engine, data)
            sliced.append(one)
        judge(answer, engine(*sliced), x, w, name)


def one_transposed_product(draw, config):
    """Compare one read from the bit lines, on every backend, with exact arithmetic."""
    rows, cols = config.tile.rows, config.tile.cols
    k, _, m = draw.shape(config)
    n = draw.shape(config.replace(tile={"rows": cols, "cols": rows}))[1]
    x = draw.numbers((*draw.pick((m,), (m,), (2, m), ()), n), draw.dtype("x"), config.inputs.bits)
    w = draw.numbers((k, n), draw.dtype("w"), config.weights.bits)
    x, w = map(draw.repeated, draw.scaled(x, w))
    faults, ascending = map_of_faults(draw, config.weights, w.shape)
    values = native(x).astype(np.float64).reshape(-1, *(x.shape[-2:] if x.ndim > 1 else (1, n)))
    blocks = (
        exact.block_of(config.inputs, values.shape[1:], cols, weight=False),
        exact.block_of(config.weights, w.shape, rows, weight=True),
    )
    draw.kinds.add(f"a scale for a tile: {blocks[1][1] >= n or blocks[1][1] % cols == 0}")
    answer = whole(
        [exact.transposed(part, native(w).astype(np.float64), config, *blocks, ascending) for part in values]
    )
    shape = (*x.shape[:-1], k)
    answer = exact.Answer(
        answer.values.reshape(shape), None if answer.bound is None else answer.bound.reshape(shape), answer.tiny
    )
    for name, make, backend in runners(draw, x, w):
        a, b = (draw.layout(x), draw.layout(w)) if name.startswith("numpy") else (make(native(x)), make(native(w)))
        matrix = Engine.from_config(config, seed=1, backend=backend).program(b, faults=faults)
        y = matrix.T.read(a) if a.ndim > 1 or draw.often(0.5) else matrix.matvec(a)
        assert type(y) is type(a)
        judge(answer, y, x, w, name)


def transposable(draw):
    """A configuration whose cells can be read from their bit lines: no unit columns, blocks of inputs of whole tiles."""
    tile = Tile(draw.pick(1, 2, draw.between(3, 9), 16, 31, 33, 64), draw.pick(1, 3, 8, 64))
    weights = draw.format(tile.rows, True, draw.kind("w mapping", "twos", "signed"))
    inputs = draw.format(tile.cols, False)
    device, dac = draw.device(max(weights.digits)), DAC(draw.stride(max(inputs.digits)), vread=draw.pick(0.1, 1.0))
    adc = draw.adc(inputs, weights, tile.cols * dac.vread * (device.HGS - device.LGS))
    return Config(device, dac, adc, tile, inputs, weights)


def products_of(seed, kind):
    """Run the products of a seed; return the kinds of settings and numbers that were drawn."""
    draw = Draw([seed, KINDS.index(kind)])
    config = transposable(draw) if kind == "transposed" else draw.config()
    for _ in range(PRODUCTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MpimpyWarning)  # blocks that are rounded up
            SORTS.get(kind, one_product)(draw, config)
    return draw.kinds


KINDS = ["first", "second", "transposed", "sliced"]
SORTS = {"sliced": one_sliced_product, "transposed": one_transposed_product}


# that a whole run of a test meets, whatever the seeds
MET = {
    *("x mapping: twos", "x mapping: signed", "w mapping: twos", "w mapping: signed", "w mapping: offset"),
    *(f"{operand} exponent: {kind}" for operand in "xw" for kind in ("none", "shared", "double")),
    *(f"range: {kind}" for kind in ("ideal", "full", "number", "window", "table", "lossless")),
    *(f"{name}: {on}" for name in ("snap", "saturate") for on in (True, False)),
    *("per: slice", "per: product"),
    *(f"layout: {kind}" for kind in ("F", "strided", "reversed", "read-only", "swapped", "unaligned", "stride 0")),
    *(f"{operand}: {kind}" for operand in "xw" for kind in ("f8", "f4", "f2", "i1", "i8", "u8", "?")),
    *("radc: per slice", "radc: beyond float32", "scale: far from 1", "levels: uneven"),
    *(f"backend: {name}" for name in RUNNERS),
}
MET_BY = {
    "sliced": {"inference: True", "inference: False", "paral_size: own"},
    "transposed": {"a scale for a tile: True", "a scale for a tile: False", "faults"},
}
UNMET = {"transposed": {"w mapping: offset"}}  # cells with unit columns have no transposed read


@pytest.mark.parametrize("kind", KINDS)
def test_products_of_every_kind_are_exact(kind):
    done, met, wanted = 0, set(), examples(65, by_day=SEEDS)

    # a smaller seed is no simpler case
    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=wanted, phases=[Phase.explicit, Phase.reuse, Phase.generate])
    def run(seed):
        nonlocal done
        met.update(products_of(seed, kind))
        done += PRODUCTS

    run()
    assert done >= wanted * PRODUCTS
    if wanted >= SEEDS:
        assert len(KINDS) * done >= 1700
    if wanted > SEEDS or (wanted == SEEDS and settings.default.derandomize):  # a fresh few may miss a kind by chance
        assert met >= (MET | MET_BY.get(kind, set())) - UNMET.get(kind, set())


def test_noise_is_the_same_on_every_backend():
    """Cells that vary have no exact twin here: backends are held to each other."""
    wanted = examples(20)

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=wanted, phases=[Phase.explicit, Phase.reuse, Phase.generate])
    def run(seed):
        draw = Draw([seed, len(KINDS)])
        config = draw.config(var=draw.pick(0.05, 0.3), write_var=draw.pick(0.0, 0.1))
        if config.adc.radc is None:
            return
        for _ in range(3):
            x, w = operands(draw, config)
            found = {}
            for name, make, backend in runners(draw, x, w):
                a, b = (
                    (draw.layout(x), draw.layout(w)) if name.startswith("numpy") else (make(native(x)), make(native(w)))
                )
                found[name] = to_numpy(
                    Engine.from_config(config, seed=seed, backend=backend).program(b).read(a, read=3)
                )
            if x.dtype.kind == w.dtype.kind == "f":
                assert all(same_bits(y, found["numpy reference"]) for y in found.values())

    run()


def test_empty_axes_make_zeros():
    for shape in ((0, 5), (2, 0, 5), (3, 0), (0,)):
        for columns in (0, 4):
            x, w = np.ones(shape), np.ones((shape[-1], columns))
            for make, backend in RUNNERS.values():
                y = Engine(seed=1, backend=backend)(make(x), make(w))
                assert same_bits(to_numpy(y), np.zeros((*shape[:-1], columns)))


@pytest.mark.parametrize("mapping", ["twos", "pair", "offset"])
def test_wide_codes_whose_strides_have_no_small_common_multiple(mapping):
    # Strides of 2 to 8197 levels: in units of their least common multiple, codes pass 2**53.
    w = np.array([[2.0**43 - 1, 2.0**43 - 2, 12345.0, -1.0, -(2.0**43) + 1]])
    weights = Format((1, 2, 10, 6, 3, 5, 12, 5), granularity="per-matrix", mapping=mapping)
    config = Config(Device(g_level=8198, var=0), DAC(2), ADC(None), Tile(1, 8), Format((1, 1)), weights)
    for make, backend in RUNNERS.values():
        y = Engine.from_config(config, seed=1, backend=backend)(make(np.ones((1, 1))), make(w))
        np.testing.assert_array_equal(to_numpy(y), w)
