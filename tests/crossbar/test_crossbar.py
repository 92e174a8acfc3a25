"""The algorithm: against Python's integers, across backends, and under every way to cut it up."""

import tracemalloc

import array_api_strict
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import plain_reading, same_bits
from strategies import configs, examples, matrices, products, runners

from mpimpy import ADC, DAC, SNR, Config, Device, Engine, Format, Tile, backends
from mpimpy.backends.cpu import _jit
from mpimpy.crossbar import plan as plans
from mpimpy.matrix import backend_of
from mpimpy.operands import encoding

SEED = 0xFEDCBA9876543210


def engine_for(config, backend=None, **address):
    return Engine.from_config(config, **{"seed": SEED, "chip": 5} | address, backend=backend)


def frozen(array):
    array = np.array(array)
    array.flags.writeable = False
    return array


@pytest.mark.slow
@given(products(), runners())
@settings(max_examples=examples(40))
def test_every_backend_gives_the_same_bits(case, chosen):
    config, x, w = case
    results = {}
    for name, make, backend in chosen:
        a, b = (frozen(x), frozen(w)) if name.startswith("numpy") else (make(x), make(w))
        result = engine_for(config, backend).program(b).read(a, read=3)
        assert type(result) is type(a)
        assert str(result.dtype).rpartition(".")[2] == np.result_type(x, w).name
        results[name] = np.asarray(result)
    first = results["numpy reference"]
    assert first.shape == (*x.shape[:-1], w.shape[1])
    for name, result in results.items():
        if config.adc.radc is None:
            scale = np.abs(x).max() * np.abs(w).max() * x.shape[-1]
            np.testing.assert_allclose(result, first, rtol=1e-5, atol=1e-6 * scale, err_msg=name)
        else:
            assert same_bits(result, first), name


@pytest.mark.slow
@given(products(ideal=False))
def test_kernels_agree_with_integer_arithmetic(case):
    config, x, w = case
    x = x.reshape(-1, x.shape[-1])[:3].astype(np.float64)
    w = w[:, :4].astype(np.float64)
    blocks = [
        encoding.block_shape(fmt, a.shape, config.tile.rows, weight=weight)
        for fmt, a, weight in ((config.inputs, x, False), (config.weights, w, True))
    ]
    expected = oracle.product(x.tolist(), w.tolist(), config, *blocks, SEED, 5, 3)
    for backend in ("numba", "reference"):
        result = engine_for(config, backend).program(w).read(x, read=3)
        assert same_bits(result, np.array(expected)), backend


@given(products(ideal=False, drift=True), st.sampled_from([20.0, 3600.0, "3 y"]), st.booleans(), st.data(), runners())
@settings(max_examples=examples(30))
def test_aged_and_faulty_matrices_agree_with_integer_arithmetic(case, t, compensate, data, chosen):
    config, x, w = case
    x = x.reshape(-1, x.shape[-1])[:2].astype(np.float64)
    w = w[:12, :4].astype(np.float64)
    x = x[:, : w.shape[0]]
    blocks = [
        encoding.block_shape(fmt, a.shape, config.tile.rows, weight=weight)
        for fmt, a, weight in ((config.inputs, x, False), (config.weights, w, True))
    ]
    planes, pair, slices = config.weights.planes, config.weights.cells_per_digit, len(config.weights.digits)
    seed = data.draw(st.integers(0, 2**32))
    faults = np.random.default_rng(seed).choice([-1, 0, 0, 0, 0, 1], (planes, pair, slices, *w.shape))
    ascending = faults[:, :, ::-1].reshape(-1, *w.shape).tolist()
    faults = faults.reshape(*(n for n in (planes, pair) if n > 1), slices, *w.shape)
    options = {"time_s": 3 * 365.25 * 86400 if t == "3 y" else t, "faults": ascending, "compensate": compensate}
    expected = oracle.product(x.tolist(), w.tolist(), config, *blocks, SEED, 5, 3, **options)
    for name, make, backend in chosen:
        matrix = engine_for(config, backend).program(make(w), faults=make(faults))
        fresh = np.asarray(matrix.conductance())
        assert same_bits(matrix.at(t, compensate).read(make(x), read=3), np.array(expected)), name
        assert same_bits(matrix.conductance(), fresh), name


@given(configs(noise=False, ideal=False), st.data())
def test_lossless_adc_gives_the_integer_product(config, data):
    config = config.replace(inputs={"double": False}, weights={"double": False})
    full = plans.plan(config).full_scale
    every = data.draw(st.booleans()) or config.weights.mapping == "offset"
    per = config.adc.per
    config = config.replace(adc=ADC(range="lossless", per=per) if every else ADC(full + 1, per=per))
    depth = data.draw(st.integers(1, config.tile.rows))
    x = data.draw(matrices((3, depth), np.float64))
    w = data.draw(matrices((depth, 4), np.float64))
    for backend in ("numba", "reference"):
        matrix = engine_for(config, backend).program(w)
        block = encoding.block_shape(config.inputs, x.shape, config.tile.rows, weight=False)
        encoded = encoding.encode(backend_of(matrix), x[None], config.inputs, block)
        integers = encoding.integers(encoded)[0, 0].astype(object) @ matrix.codes().astype(object)
        scales = encoding.input_scales(encoded, config.tile.rows)[0] * plans.plan(config).sum_scale
        x_strides = plans.plan(config).x_strides if per == "slice" else (1,)  # whole codes are converted as they are
        u, v = (np.lcm.reduce(s) for s in (x_strides, plans.cell_format(config).strides))
        least = min(x_strides) * min(plans.cell_format(config).strides) if every else 1
        expected = (integers * (int(u) * int(v) // least)).astype(np.float64) * scales * matrix.programmed.scales[0]
        assert same_bits(matrix.read(x), expected), backend


@given(products(noise=False))
def test_ideal_adc_gives_the_product_of_the_quantised_operands(case):
    config, x, w = case
    config = config.replace(adc=ADC(None))
    matrix = engine_for(config).program(w)
    x2 = x.reshape(-1, *x.shape[-2:]).astype(np.float64)
    block = encoding.block_shape(config.inputs, x.shape[-2:], config.tile.rows, weight=False)
    encoded = encoding.encode(backend_of(matrix), x2, config.inputs, block)
    expected = encoding.decode(encoded) @ matrix.decoded()
    found = matrix.read(x).reshape(expected.shape)
    # a product below what float32 holds is 0
    atol = 1e-6 * float(np.abs(x).max()) * float(np.abs(w).max()) * x.shape[-1] + np.finfo(found.dtype).tiny
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=atol)


@pytest.mark.slow
@given(products(), st.data())
def test_cutting_up_the_columns_changes_nothing(case, data):
    config, x, w = case
    if config.adc.radc is None:
        config = config.replace(adc=ADC())
    cut = data.draw(st.integers(0, w.shape[1]))
    step = config.weights.granularity[1] if isinstance(config.weights.granularity, tuple) else 1
    cut = 0 if config.weights.granularity == "per-matrix" else cut // step * step
    engine = engine_for(config)
    whole = engine.program(w).read(x, read=1)
    parts = [engine.program(w[:, :cut]), engine.program(w[:, cut:], origin=(0, cut))]
    assert same_bits(np.concatenate([part.read(x, read=1) for part in parts], axis=-1), whole)
    if config.device.drift is not None:
        aged = engine.program(w).at("1 d").read(x, read=1)
        assert same_bits(np.concatenate([part.at("1 d").read(x, read=1) for part in parts], axis=-1), aged)


@pytest.mark.slow
@given(products(), st.data())
def test_cutting_up_the_inputs_changes_nothing(case, data):
    config, x, w = case
    if config.adc.radc is None:
        config = config.replace(adc=ADC())
    x = x.reshape(-1, x.shape[-1])
    gran = config.inputs.granularity
    step = gran[0] if isinstance(gran, tuple) else x.shape[0] if gran == "per-matrix" else 1
    cut = data.draw(st.integers(0, x.shape[0])) // step * step
    matrix = engine_for(config).program(w)
    whole = matrix.read(x, read=1)
    parts = [matrix.read(x[:cut], read=1), matrix.read(x[cut:], read=1, first_row=cut)]
    assert same_bits(np.concatenate(parts), whole)


def test_cutting_up_the_summed_axis_at_a_panel_changes_nothing(rng):
    x, w = rng.standard_normal((6, 50)), rng.standard_normal((50, 9))
    adc = ADC(noise_lsb=0.5, offset_lsb=0.5, gain_error=0.01)
    engine = Engine(Device(write_var=0.1, stuck_HGS=0.05), DAC(vnoise=0.05), adc, Tile(2, 4), seed=1)
    whole = engine.program(w).read(x, read=4)
    cut = 16 * 2  # sixteen tiles
    first = engine.program(w[:cut]).read(x[:, :cut], read=4)
    second = engine.program(w[cut:], origin=(cut, 0)).read(x[:, cut:], read=4)
    assert same_bits(first + second, whole)


@pytest.mark.slow
@given(products(ideal=False))
def test_a_batch_is_a_loop(case):
    config, x, w = case
    config = config.replace(
        dac={"vnoise": 0.0}, adc={"noise_lsb": 0.0}
    )  # whose draws number the rows of the whole batch
    x = np.stack([x, 2 * x, x[..., ::-1]])
    matrix = engine_for(config).program(w)
    assert same_bits(matrix.read(x, read=2), np.stack([matrix.read(part, read=2) for part in x]))


@pytest.mark.slow
@given(products(ideal=False))
@settings(max_examples=examples(20))
def test_layout_of_the_operands_changes_nothing(case):
    config, x, w = case
    whole = engine_for(config).program(w).read(x, read=0)
    strided = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    strided[..., ::2] = x
    assert same_bits(engine_for(config).program(np.asfortranarray(w)).read(strided[..., ::2], read=0), whole)
    assert same_bits(engine_for(config).program(w[::-1, ::-1][::-1, ::-1]).read(x, read=0), whole)


@pytest.mark.slow
@pytest.mark.parametrize("vnoise", [0.0, 0.05])
def test_thread_count_changes_nothing(rng, vnoise):
    x, w = rng.standard_normal((150, 200)), rng.standard_normal((200, 170))
    engine = Engine(Device(write_var=0.1, stuck_HGS=0.01), DAC(vnoise=vnoise), seed=1)
    threads = 3
    results = []
    try:
        for count in range(1, threads + 1):
            _jit.set_num_threads(count)
            results.append(engine.program(w).read(x, read=0))
    finally:
        _jit.set_num_threads(None)
    reference = Engine.from_config(engine.config, seed=1, backend="reference").program(w).read(x, read=0)
    assert all(same_bits(result, reference) for result in results)


def test_more_than_a_panel_of_tiles_sums_in_panels(rng):
    # 40 tiles: two panels and a half; the sum over tiles is a float sum whose order matters
    x, w = rng.standard_normal((70, 80)), rng.standard_normal((80, 90))
    config = Config(tile=Tile(2, 2))
    results = [engine_for(config, backend).program(w).read(x, read=0) for backend in ("numba", "reference")]
    assert same_bits(*results)
    expected = oracle.product(x[:2].tolist(), w[:, :2].tolist(), config, (1, 2), (2, 1), SEED, 5, 0)
    assert same_bits(results[0][:2, :2], np.array(expected))


def integer_engine(radc, rows=8, **adc):
    # digits of one bit each, two levels everywhere: a current counts coincidences
    fmt = Format((1, 1))
    return Engine(Device(g_level=2, var=0), DAC(rdac=2), ADC(radc, **adc), Tile(rows, 8), fmt, fmt, seed=0)


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("wide", [False, True])
def test_adc_saturates_at_the_ends_of_its_range(backend, wide):
    kernels = backends.select(np.zeros(1), backend)
    codes = np.ones((1, 1, 2), np.int8)
    grid = np.array([[[-3, -3, 1, 10, 12, 100], [0, 1, 1, 1, 1, 1]]], np.int8)

    def read(ends):
        one = np.ones((1, 1)), grid, np.ones((1, 6))
        reading = plain_reading(widths=(1,), signed=False, rows=2, bound=300, wide=wide, code_range=ends)
        return kernels.read(codes, *one, reading, "float64").tolist()[0]

    assert read((((0,),), ((12,),))) == [0, 0, 2, 11, 12, 12]
    assert read((((-2,),), ((5,),))) == [-2, -2, 2, 5, 5, 5]
    assert read(None) == [-3, -2, 2, 11, 13, 101]


def test_saturation_is_a_setting():
    x, w = np.ones((1, 64)), np.ones((64, 64))
    clipped = Engine(Device(var=0.5), seed=1).MapReduceDot(x, w)
    free = Engine(Device(var=0.5), adc=ADC(saturate=False), seed=1).MapReduceDot(x, w)
    # codes 127 on both sides: no current may be read above full scale
    assert clipped.max() <= 64 * (1 + 1e-12)
    assert free.max() > 66


def test_adc_rounds_half_to_even():
    # three codes over 8 coincidences: a current of 2 is exactly half way between 0 and 1, 6 between 1 and 2
    engine = integer_engine(3)
    for ones, code in ((1, 0), (2, 0), (3, 1), (5, 1), (6, 2), (7, 2)):
        x = np.zeros((1, 8))
        x[0, :ones] = 1
        assert engine.MapReduceDot(x, np.ones((8, 1)))[0, 0] == code * 4


def test_snap_makes_one_bit_slices_exact_with_a_6_bit_adc(rng):
    fmt = Format((1,) * 8)
    x, w = rng.standard_normal((20, 64)), rng.standard_normal((64, 32))
    parts = (Device(g_level=2, var=0), DAC(rdac=2))
    snapped = Engine(*parts, ADC(64, snap=True), Tile(32, 32), fmt, fmt, seed=0).MapReduceDot(x, w)
    ideal = Engine(*parts, ADC(None), Tile(32, 32), fmt, fmt, seed=0).MapReduceDot(x, w)
    plain = Engine(*parts, ADC(64), Tile(32, 32), fmt, fmt, seed=0).MapReduceDot(x, w)
    np.testing.assert_allclose(snapped, ideal, rtol=1e-12, atol=1e-12)
    assert SNR(plain, ideal) < 60


def test_one_adc_resolution_per_slice_counts_from_the_most_significant(rng):
    x, w = rng.standard_normal((30, 64)), rng.standard_normal((64, 30))
    exact = x @ w

    def snr(radc):
        return SNR(Engine(Device(var=0), adc=ADC(radc), seed=0).MapReduceDot(x, w), exact)

    assert snr((256,) * 4) == snr(256)
    # the least significant slice is the widest, [1, 1, 2, 4]: its resolution is what is missed least
    coarse_top, coarse_bottom = snr((16, 1024, 1024, 1024)), snr((1024, 1024, 1024, 16))
    assert coarse_bottom > coarse_top + 6


def test_fifty_one_bit_slices_keep_float64_precision(rng):
    fmt = Format((1,) * 53)
    x, w = rng.standard_normal((4, 20)), rng.standard_normal((20, 5))
    engine = Engine(Device(g_level=2, var=0), DAC(rdac=2), ADC(33), Tile(32, 32), fmt, fmt, seed=0)
    assert SNR(engine.MapReduceDot(x, w), x @ w) > 280
    assert engine.MapReduceDot(x, w).dtype == np.float64
    reference = Engine.from_config(engine.config, seed=0, backend="reference")
    assert same_bits(reference.MapReduceDot(x, w), engine.MapReduceDot(x, w))


@pytest.mark.parametrize(
    ("config", "fraction", "wide"),
    [
        (Config(), 10, False),
        (Config(Device(var=0)), 0, False),
        (Config(Device(var=0.005)), 13, False),
        (Config(Device(var=5e-4)), 16, False),
        (Config(Device(var=5e-4), tile=Tile(512, 64)), 13, False),  # lowered to what 32 bits hold
        (Config(Device(g_level=256, var=0.005), DAC(256), tile=Tile(512, 64)), 11, True),
        (
            Config(Device(LGS=0, g_level=2**16, var=0.0013), tile=Tile(1024, 64)),
            14,
            True,
        ),  # lowered to what an int32 cell holds
        (Config(dac=DAC(vnoise=0.05)), 10, True),
        (Config(adc=ADC(2**24 + 1)), 10, False),
        (Config(adc=ADC(2**24 + 2)), 10, True),
    ],
)
def test_grid_follows_the_configuration_alone(config, fraction, wide):
    grid = plans.cell_format(config)
    assert (grid.fraction, grid.wide) == (fraction, wide)


def test_grid_is_stored_in_the_narrowest_dtype():
    assert plans.cell_format(Config()).grid_dtype == "int16"  # 2 * 15 * 1024
    assert plans.cell_format(Config(Device(var=0))).grid_dtype == "int8"
    assert plans.cell_format(Config(Device(var=0.005))).grid_dtype == "int32"


def test_currents_beyond_53_bits_are_refused():
    config = Config(Device(g_level=2**16, var=0.001), DAC(2**16), tile=Tile(2**16, 1))
    with pytest.raises(ValueError, match=r"65536 rows with rdac=65536 and g_level=65536 pass the 53 bits"):
        Engine.from_config(config)


def test_a_scale_that_overflows_nothing_and_underflows_nothing(rng):
    x, w = rng.standard_normal((8, 64)), rng.standard_normal((64, 8))
    base = Engine(Device(var=0), seed=0).MapReduceDot(x, w)
    for scale in (2.0**-160, 2.0**160, 2.0**-400):
        np.testing.assert_array_equal(Engine(Device(var=0), seed=0).MapReduceDot(x * scale, w), base * scale)


def test_results_on_strict_arrays_stay_there(rng):
    x = array_api_strict.asarray(rng.standard_normal((3, 5)))
    w = array_api_strict.asarray(rng.standard_normal((5, 2)))
    for device in ("CPU_DEVICE", "device1"):
        where = array_api_strict.Device(device)
        a, b = (array_api_strict.asarray(v, device=where) for v in (x, w))
        result = Engine(seed=1).MapReduceDot(a, b)
        assert result.device == where
        back = array_api_strict.asarray(result, device=array_api_strict.Device("CPU_DEVICE"))
        assert same_bits(back, Engine(seed=1).MapReduceDot(np.asarray(x), np.asarray(w)))


@pytest.mark.slow
@given(products(ideal=False))
@settings(max_examples=examples(15))
def test_kernels_run_as_plain_python(case):
    config, x, w = case
    compiled = engine_for(config).program(w).read(x, read=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "launch", lambda kernel, tasks, work, *arguments: kernel.py_func(0, tasks, *arguments))
        assert same_bits(engine_for(config).program(w).read(x, read=3), compiled)


def test_a_device_without_float64_is_refused():
    where = array_api_strict.Device("no_float64")
    x = array_api_strict.ones((2, 2), dtype=array_api_strict.float32, device=where)
    with pytest.raises(ValueError, match=r"no_float64.* has no float64, in which products are added up"):
        Engine(backend="reference").MapReduceDot(x, x)
    y = Engine(seed=1).MapReduceDot(x, x)  # in NumPy's memory
    assert y.device == where
    assert same_bits(
        np.from_dlpack(y), Engine(seed=1).MapReduceDot(np.ones((2, 2), np.float32), np.ones((2, 2), np.float32))
    )


@pytest.mark.parametrize(("bits", "wide"), [(20, False), (24, False), (25, False), (31, False), (31, True), (53, True)])
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_currents_are_exact_up_to_their_bound(rng, backend, bits, wide):
    rows, code = 33, 127
    cell = min((2**bits - 1) // (rows * code), 2**31 - 1)
    bound = rows * code * cell
    codes = rng.integers(code - 1, code, (1, 3, rows), endpoint=True).astype(np.int8)
    grid = rng.integers(cell - cell // 100 - 1, cell, (1, rows, 70), endpoint=True).astype(np.int32)
    currents = codes[0].astype(object) @ grid[0].astype(object)
    assert currents.max() > bound * 0.97
    kernels = backends.select(np.zeros(1), backend)
    reading = plain_reading(rows=rows, bound=bound, wide=wide)
    ones = np.ones((3, 1)), np.ones((1, 70))
    result = kernels.read(codes, ones[0], grid, ones[1], reading, "float64")
    expected = currents.astype(np.float64) if wide else currents.astype(np.int64).astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(result, expected)


def test_memory_is_operands_codes_and_grid(rng):
    m, k, n = 700, 900, 800
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
    engine = Engine(seed=1)
    engine(x, w)  # compiling and tables are not what is measured
    tracemalloc.start()
    try:
        engine(x, w)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    digits, levels, grid, result = 4 * m * k, 4 * k * n, 2 * 4 * k * n, 4 * m * n
    packed = 2 * (m * k // 8) + 2 * (2 * m * (k + 64))  # two slices as bits, two as pairs of int16
    # 16 slice pairs of currents alone would be 34 MB
    assert peak < digits + levels + grid + result + packed + 2**21
