"""The read kernel of the CPU against its reference: every way to find a current, every edge."""

import dataclasses
import itertools
import json
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from libraries import plain_reading, same_bits
from oracle import word
from reads import errors_of, readings
from strategies import by_night, examples, products, thinned

from mpimpy import ADC, DAC, Config, Device, DPETensor, Engine, Format, Tile, backends, noise
from mpimpy.backends import Errors, Reading, reference
from mpimpy.backends.cpu import _bytes, _currents, _jit, _lanes, _paths, numba_cpu
from mpimpy.crossbar import plan as plans
from mpimpy.crossbar.small import SharedByReads


@given(readings(), st.sampled_from([(256, 256, 128), (8, 32, 9), (5, 64, 1)]), st.integers(1, 3))
@settings(max_examples=examples(120, by_day=60))
def test_the_kernel_gives_the_bits_of_the_reference(case, blocks, threads):
    arrays, *how = case
    expected = reference.read(*arrays, *how)
    for array in arrays:
        array.flags.writeable = False
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("ROW_BLOCK", "COL_BLOCK", "CHUNK"), blocks, strict=True):
            patch.setattr(numba_cpu, name, value)
        patch.setattr(_jit, "get_num_threads", lambda: threads)
        patch.setattr(_jit, "SHARED", 1e-9)  # little work is shared out too
        assert same_bits(numba_cpu.read(*arrays, *how), expected)


@given(
    st.data(),
    readings(rarely_bounded=True),
    st.sampled_from([(256, 256, 64), (8, 32, 9), (5, 64, 1)]),
    st.integers(1, 3),
)
@settings(max_examples=examples(120, by_day=60))
def test_errors_in_the_kernel_are_those_of_the_reference(data, case, blocks, threads):
    arrays, reading, dtype = case
    assume(reading.bound <= 2**43)  # as plans see to, where ADCs have errors
    errors = data.draw(errors_of(arrays, reading))
    expected = reference.read(*arrays, reading, dtype, errors)
    for array in arrays:
        array.flags.writeable = False
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("ROW_BLOCK", "COL_BLOCK", "DISTURBED"), blocks, strict=True):
            patch.setattr(numba_cpu, name, value)
        patch.setattr(numba_cpu, "PACKED", data.draw(st.sampled_from([2**26, 2**12])))  # in passes over the rows
        patch.setattr(_jit, "get_num_threads", lambda: threads)
        patch.setattr(_jit, "SHARED", 1e-9)
        patch.setattr(reference._read, "disturb", lambda *_: pytest.fail("took the plain way"))
        assert same_bits(numba_cpu.read(*arrays, reading, dtype, errors), expected)


@pytest.mark.parametrize(
    ("wide", "sigma"), [(False, 2**25 + 54321), (False, 2**43 + 54321), (True, 2**25), (True, 2**50 + 12345)]
)
def test_errors_are_exact_to_the_last_unit_of_current(rng, wide, sigma):
    # an ADC with a code for every unit: no rounding hides anything; in one of a thousand products the last bit counts
    most = 2**21 if wide else 2**10
    codes, cells = (rng.integers(-most, most, shape, dtype=np.int32) for shape in ((1, 90, 2), (1, 2, 370)))
    reading = plain_reading(rows=2, bound=2 * most**2, wide=wide)
    table = noise.gaussian_table(0.5)
    errors = Errors(noise.Address(7, 1, 2, 0, 5, 3), 4, 2, 6, 1, table, ((sigma,),), ((sigma - 777,),))
    ones = np.ones((90, 1)), np.ones((1, 370))
    read = (numba_cpu.read, reference.read)
    found = [each(codes, ones[0], cells, ones[1], reading, "float64", errors) for each in read]
    assert same_bits(*found)
    quiet = (codes[0].astype(np.int64) @ cells[0]).tolist()
    gain, normal = noise.table_values(table), noise.table_values(noise.normal_table())
    for m, n in ((0, 0), (89, 369), (31, 32)):
        value = quiet[m][n] * gain[word(7, 1, 0, noise.ADC_GAIN, 2, 4, 3 + n)] + 2**15 >> 16
        value += normal[word(7, 1, 0, noise.ADC_OFFSET, 2, 4, 3 + n)] * sigma + 2**23 >> 24
        draw = word(7, 1, 2, noise.ADC_NOISE, 6, 4 * 2**22 + 5 + m, 3 + n)
        value += normal[draw] * (sigma - 777) + 2**23 >> 24
        assert found[0][m, n] == (value if wide else np.float32(value))


@pytest.mark.slow
@given(st.data(), readings(heights=(1, 9), widths=(5, 33)))
@settings(max_examples=examples(4))
def test_errors_in_the_kernel_run_as_plain_python(data, case):
    arrays, reading, dtype = case
    assume(reading.bound <= 2**43)
    errors = data.draw(errors_of(arrays, reading))
    tiles = -(-9 // reading.rows)
    arrays = arrays[0][:, :, :9], arrays[1][:, :tiles], arrays[2][:, :9], arrays[3][:tiles]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "launch", lambda kernel, tasks, work, *rest: kernel.py_func(0, tasks, *rest))
        found = numba_cpu.read(*arrays, reading, dtype, errors)
    assert same_bits(found, reference.read(*arrays, reading, dtype, errors))


@pytest.mark.parametrize("height", [1, 3, 4, 37])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_limbs_of_the_largest_cells(rng, height, rows):
    # sums of the upper limbs leave 32 bits on the way, currents never do
    largest = (2**31 - 1) // (3 * rows)
    edges = np.array([largest, -largest, 2**15, 2**15 - 1, -(2**15), -(2**15) - 1, 2**16, 0])
    digits = rng.integers(-3, 4, (2, height, 2 * rows)).astype(np.int16)
    grid = rng.choice(edges, (3, 2 * rows, 40)).astype(np.int32)
    reading = Reading(
        strides=(1, 1),
        widths=(2, 2),
        signed=True,
        rows=rows,
        bound=3 * rows * largest,
        wide=True,
        adc_gain=((1.0, 1.0),) * 3,
        code_range=None,
        digit_units=None,
        shift_weights=((1.0, 4.0), (16.0, 64.0), (256.0, 1024.0)),
    )
    assert [path for path, _ in numba_cpu.read_paths(height, digits.dtype, grid.dtype, reading)] == ["pairs", "pairs"]
    arrays = digits, rng.standard_normal((height, 2)), grid, rng.standard_normal((2, 40))
    assert same_bits(numba_cpu.read(*arrays, reading, "float64"), reference.read(*arrays, reading, "float64"))


@pytest.mark.slow
@given(readings(heights=(1, 33), widths=(5, 33)))
@settings(max_examples=examples(6))
def test_the_kernel_runs_as_plain_python(case):
    arrays, *how = case
    tiles = -(-9 // how[0].rows)
    arrays = arrays[0][:, :, :9], arrays[1][:, :tiles], arrays[2][:, :9], arrays[3][:tiles]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "launch", lambda kernel, tasks, work, *rest: kernel.py_func(0, tasks, *rest))
        found = numba_cpu.read(*arrays, *how)
    assert same_bits(found, reference.read(*arrays, *how))


def test_a_read_in_passes_is_the_whole(rng, monkeypatch):
    x, w = rng.standard_normal((200, 100)), rng.standard_normal((100, 70))
    matrix = DPETensor(seed=1).program(w)
    whole = matrix.read(x, read=0)
    monkeypatch.setattr(numba_cpu, "PACKED", 10_000)
    assert same_bits(matrix.read(x, read=0), whole)


def test_a_read_by_blocks_of_columns_is_the_whole(rng, monkeypatch):
    x, w = rng.standard_normal((3, 200)), rng.standard_normal((200, 700))
    engine = Engine(Device(write_var=0.1), weights=Format(bw_e=8, double=True), seed=1)
    matrix = engine.program(w, origin=(0, 3))
    whole = matrix.read(x, read=0)
    drawn = []
    perturb = numba_cpu.perturb
    monkeypatch.setattr(numba_cpu, "perturb", lambda *a: drawn.append(a[3]) or perturb(*a))
    monkeypatch.setattr(numba_cpu, "STREAM", 2**17)
    assert same_bits(matrix.read(x, read=0), whole)
    assert len(drawn) > 3
    monkeypatch.setattr(reference, "STREAM", 2**17)
    again = Engine.from_config(engine.config, seed=1, backend="reference").program(w, origin=(0, 3))
    assert same_bits(again.read(x, read=0), whole)


packed = numba_cpu._packed


@given(products(), st.sampled_from([1, 40]))
def test_the_plan_of_a_read_tells_the_path_that_is_taken(case, copies):
    config, x, w = case
    x = np.concatenate([x.reshape(-1, x.shape[-1])] * copies)
    matrix = Engine.from_config(config, seed=1).program(w)
    told, taken = matrix.read_plan(x), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SharedByReads, "small", lambda *given: None)  # small reads pack their digits on their own
        patch.setattr(
            numba_cpu,
            "_packed",
            lambda digits, known, reading: taken.append(list(known.paths)) or packed(digits, known, reading),
        )
        matrix.read(x)
    assert (told.backend, bool(taken)) == ("numba", bool(told.slices))
    for found in taken:
        assert [way for _, way, _ in told.slices] == found[::-1]
    bits = [width for width, *_ in told.slices]
    quiet = config.device.var == config.device.write_var == 0
    assert bits in ([], [None] * len(bits), list(config.inputs.digits))
    assert told.currents.startswith("float64, ") == (not told.slices)
    assert told.notes or config.adc.radc is not None or not quiet


def test_the_plan_of_a_read_gives_reasons(rng):
    x, w = np.ones((2, 50, 300)), np.ones((300, 2000))

    def text(x=x, **given):
        return str(DPETensor(seed=1, **given).program(w).read_plan(x))

    assert text().splitlines() == [
        "numba: 32-bit currents, ADC in float32, cells int16",
        *["1-bit slice look-up: one bit asks for table entries, and 100 input rows pay for the tables"] * 2,
        "2-bit slice pairs: codes and cells fit 16 bits",
        "4-bit slice pairs: codes and cells fit 16 bits",
        "the reference column of real cells is subtracted again for each read, as it meets them",
    ]
    assert "pairs: codes and cells fit 16 bits, and 1 input rows do not pay for tables, 32 would" in text(x[0, 0])
    assert text(x[0, 0].tolist()) == text(x[0, 0])
    few = DPETensor(seed=1).program(np.ones((300, 5000))).read_plan(x[0, 0])
    assert few.notes[1:] == ("read variation is drawn and read 3456 columns at a time, within the cache",)
    limbs = "pairs: currents need more than 32 bits: codes are two limbs of 16 bits, and cells fit 16 bits"
    assert limbs in text(vnoise=0.05)
    assert "float: currents need more than 32 bits" in text(vnoise=0.05, var=0.0005)
    assert "look-up: cells take more than 16 bits, digits at most 4" in text(var=0.001)
    limbs = "pairs: codes fit 16 bits, and cells are two limbs of 16 bits"
    assert f"{limbs}, and 1 input rows do not pay for tables, 32 would" in text(x[0, 0], var=0.001)
    assert limbs in text(var=0.001, x_mapping="signed")
    assert limbs in text(var=0.001, x_slices=(1, 7), rdac=128)
    assert "codes       pairs: codes and cells fit 16 bits\nnothing is lost" in text(var=0, radc=14401)
    assert "the reference" not in text(var=0)
    assert "whole codes meet folded weights in 2 exact parts" in text(radc=None)
    assert text(radc=None, vnoise=0.1).endswith("the slices fold into one float64 product, by the BLAS at hand")
    assert "4 such products, one for each pair of planes" in text(bw_e=8, dbfp_en=True)
    assert "float: float64 products in plain array-API calls" in text(backend="reference")
    assert str(DPETensor().program(w).read_plan(x[:0])) == "numba: no products to compute"
    with pytest.raises(ValueError, match="do not fit"):
        DPETensor().program(w).read_plan(x[..., :5])


def test_the_old_name_of_a_plan_warns_and_gives_the_same(rng):
    x, w = rng.standard_normal((50, 70)), rng.standard_normal((70, 9))
    matrix = DPETensor(seed=1).program(w)
    with pytest.warns(DeprecationWarning, match=r"backends.explain\(x, W\) is deprecated: use W.read_plan\(x\)"):
        assert backends.explain(x, matrix) == matrix.read_plan(x)
    with (
        pytest.warns(DeprecationWarning, match="deprecated"),
        pytest.raises(TypeError, match=r"W is a ndarray, not a programmed matrix: make one with engine.program\(w\)"),
    ):
        backends.explain(x, w)


LOSSLESS = [
    (Config(Device(var=0), adc=ADC(64 * 15 * 15 + 1)), True),
    (Config(Device(var=0), adc=ADC(2 * 64 * 15 * 15 + 1)), True),
    (Config(Device(var=0), adc=ADC(64 * 15 * 15 + 1, saturate=False)), True),
    (Config(Device(var=0), adc=ADC(64 * 15 * 15)), False),
    (Config(Device(var=0, stuck_HGS=0.01), adc=ADC(64 * 15 * 15 + 1)), False),
    (Config(Device(var=0), DAC(vnoise=0.01), ADC(2**32 * 64 * 225 + 1)), False),
    (Config(Device(write_var=0.1, var=0), adc=ADC(2**40)), False),
    (Config(Device(g_level=2, var=0), DAC(2), ADC(34, snap=True), Tile(32, 8), Format([1, 1]), Format([1, 1])), True),
    (Config(Device(g_level=2, var=0), DAC(2), ADC(33, snap=True), Tile(32, 8), Format([1, 1]), Format([1, 1])), False),
    (Config(Device(g_level=2, var=0), DAC(2), ADC(18, snap=True), Tile(32, 8), Format([1, 1]), Format([1, 1])), False),
    (Config(Device(g_level=17, var=0), DAC(19), ADC(64 * 18 * 16 + 1), inputs=Format(bw_e=8, double=True)), True),
]


@pytest.mark.parametrize(("config", "exact"), LOSSLESS)
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_slices_fold_only_where_nothing_changes(rng, monkeypatch, config, exact, backend):
    x, w = rng.standard_normal((40, 150)), rng.standard_normal((150, 40))
    engine = Engine.from_config(config, seed=1, backend=backend)
    plan = plans.plan(config)
    assert (plan.lossless_fold is not None) == exact
    folded = engine.program(w).read(x, read=0)
    monkeypatch.setattr(plans, "plan", lambda config: dataclasses.replace(plan, lossless_fold=None))
    assert same_bits(engine.program(w).read(x, read=0), folded)


FOLDED = [
    {"var": 0},
    {},
    {"write_var": 0.1, "stuck_HGS": 0.01, "stuck_LGS": 0.1},
    {"var": 0, "stuck_HGS": 0.1},
    {"var": 0.3, "LGS": 2e-6, "bw_e": 8, "dbfp_en": True},
    {"array_size": (500, 8), "g_level": 18, "w_slices": [1, 3, 2], "x_slices": [1, 4]},
]


@pytest.mark.parametrize("given", FOLDED)
def test_an_ideal_product_of_whole_codes_has_the_same_bits_everywhere(rng, monkeypatch, given):
    x, w = rng.standard_normal((40, 150)), rng.standard_normal((150, 40))
    engine = DPETensor(radc=None, seed=1, **given)
    plan = plans.plan(engine.config)
    assert (plan.lossless_fold or plan.limbs) is not None
    result = engine.program(w).read(x, read=0)
    reference_ = DPETensor(radc=None, seed=1, backend="reference", **given)
    assert same_bits(reference_.program(w).read(x, read=0), result)
    # and is what the float64 product of the same noisy operands is
    monkeypatch.setattr(plans, "plan", lambda config: dataclasses.replace(plan, lossless_fold=None, limbs=None))
    np.testing.assert_allclose(engine.program(w).read(x, read=0), result, rtol=1e-12, atol=1e-12 * np.abs(result).max())


def test_limbs_put_together_are_the_weights():
    rng = np.random.default_rng(5)
    digits, weights = rng.integers(-30720, 30720, (3, 7, 40)).astype(np.int16), (15, -240, 7000)
    total = sum(int(b) * digits[s].astype(np.int64) for s, b in enumerate(weights))
    for bits, count in ((15, 2), (11, 3), (9, 4)):
        for kernels in (numba_cpu, reference):
            limbs = kernels.limbs(digits, weights, bits, count)
            assert limbs.dtype == np.int16
            np.testing.assert_array_equal(sum(limbs[k].astype(np.int64) << (bits * k) for k in range(count)), total)
            assert limbs[:-1].min() >= 0
            assert limbs[:-1].max() < 2**bits


# each runs kernels that the others do not
PRODUCTS = (
    {"write_var": 0.1, "stuck_HGS": 0.01},
    {"vnoise": 0.05, "snap": True},
    {"var": 0.001, "radc": 1000, "noise_lsb": 0.5, "offset_lsb": 0.3, "gain_error": 0.1},
)
CODE = """
import json, sys
import numpy as np
from mpimpy import DPETensor
rng = np.random.default_rng(7)
x, w = rng.standard_normal((70, 200)), rng.standard_normal((200, 90))
for given in json.loads(sys.argv[1]):
    y = DPETensor(seed=1, **given)(x, w)
    print(y.tobytes().hex()[:4000], float(y.sum()).hex())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("cpu", "by_day"), [("generic", PRODUCTS[:2]), ("haswell", PRODUCTS[2:])])
def test_processors_without_wide_vectors_give_the_same_bits(cpu, by_day, monkeypatch, capsys):
    # all kernels are compiled anew for such a processor: by day a part of them for each
    if cpu == "haswell" and "avx2" not in _features():
        pytest.skip("this processor has no AVX2")
    asked = PRODUCTS if by_night() else by_day
    arguments = [CODE, json.dumps(asked)]
    processor = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "" if cpu == "generic" else "+avx2,+fma,+avx"}
    command, environment = [sys.executable, "-c", *arguments], os.environ | processor
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(sys, "argv", arguments)
    exec(CODE, {})
    assert done.stdout == capsys.readouterr().out
    assert len(done.stdout.splitlines()) == len(asked)


def _features():
    import llvmlite.binding as llvm

    return [name for name, on in llvm.get_host_cpu_features().items() if on]


def test_digits_wider_than_a_word_and_tables_of_many_groups():
    # rows of one word, two, and part of one; every group asked for alone
    for rows in (4, 64, 68, 128):
        grid = np.arange(rows * 32).reshape(1, rows, 32).astype(np.int16)
        digits = np.eye(rows, dtype=np.int8)[None]
        reading = plain_reading(widths=(1,), signed=False, rows=rows, bound=rows * 2**12)
        result = numba_cpu.read(digits, np.ones((rows, 1)), grid, np.ones((1, 32)), reading, "float64")
        np.testing.assert_array_equal(result, grid[0])
    assert _currents.WORD == 64


def _agrees(digits, grid, *, steps, weights, **how):
    tiles = -(-grid.shape[1] // how["rows"])
    arrays = digits, np.ones((digits.shape[1], tiles)), grid, np.ones((tiles, grid.shape[2]))
    gain = tuple((step,) * len(digits) for step in steps)
    how = {"strides": (1,) * len(digits), "adc_gain": gain, "shift_weights": weights} | how
    reading = plain_reading(**how)
    expected = reference.read(*arrays, reading, "float64")
    assert same_bits(numba_cpu.read(*arrays, reading, "float64"), expected)
    return expected


@pytest.mark.parametrize("top", [2**19 - 1, 2**20 - 1])
def test_shift_and_add_leaves_float32_before_it_rounds(top):
    # five odd codes with odd weights: beyond 2**24 float32 cannot add them up
    digits, grid = np.ones((5, 1, 1), np.int8), np.full((1, 1, 32), top, np.int32)
    how = {"rows": 1, "bound": top, "wide": False, "steps": (1.0,), "weights": ((7.0, 5.0, 3.0, 9.0, 11.0),)}
    assert _agrees(digits, grid, **how)[0, 0] == 35 * top


@pytest.mark.parametrize("outer", [1.0, 2.0**9])
def test_shift_and_add_leaves_int32_before_it_wraps(outer):
    digits, grid = np.ones((2, 1, 1), np.int8), np.full((3, 1, 32), 2**20 - 1, np.int32)
    weights = tuple((outer * 2.0**j, 3 * outer * 2.0**j) for j in (0, 4, 9))
    how = {"rows": 1, "bound": 2**20, "wide": False, "steps": (1.0,) * 3, "weights": weights}
    assert _agrees(digits, grid, **how)[0, 0] == (2**20 - 1) * 4 * outer * (1 + 16 + 512)


@pytest.mark.parametrize("rows", [3, 16])
def test_currents_of_pairs_leave_32_bits_before_they_wrap(rows):
    digits, grid = np.full((1, 2, rows), 2**14, np.int16), np.full((1, rows, 32), 2**15 - 1, np.int16)
    bound = rows * 2**14 * (2**15 - 1)
    assert (bound < 2**31) == (rows == 3)
    how = {"rows": rows, "bound": bound, "wide": True, "steps": (1.0,), "weights": ((1.0,),)}
    assert _agrees(digits, grid, **how)[0, 0] == bound


@pytest.mark.parametrize(
    ("kind", "rows", "height"), thinned(itertools.product(["int8", "int16"], [1, 7, 64, 2**10], [1, 2, 35]), every=5)
)
def test_limbs_of_the_largest_codes(rng, height, rows, kind):
    # codes of two limbs: either one's currents use all of 32 bits, or both use all of 16
    cell = np.iinfo(kind).max
    bits = max(bits for bits in range(1, 17) if rows * cell << (bits - 1) < 2**31)
    half, top = 1 << (bits - 1), min((2**31 - 1) // (rows * cell), 2**15 - 1)
    largest = ((top + 1) << bits) - half - 1
    edges = np.array([largest, -largest, half, half - 1, -half, -half - 1, 3 * half, 0, 1, -1])
    digits = rng.choice(edges, (3, height, 2 * rows)).astype(np.int32)
    digits[0], digits[1] = largest, -half  # every product at its end
    grid = rng.choice([cell, -cell, 1, 0], (2, 2 * rows, 40)).astype(kind)
    grid[0] = cell
    reading = plain_reading(
        strides=(1,) * 3,
        rows=rows,
        bound=rows * largest * cell,
        wide=True,
        adc_gain=((1.0,) * 3,) * 2,
        shift_weights=((1.0, 4.0, 16.0), (64.0, 256.0, 1024.0)),
        code_bound=largest,
    )
    more = dataclasses.replace(reading, code_bound=largest + 1, bound=rows * (largest + 1) * cell)
    for told, path in ((reading, "pairs"), (more, "float"), (dataclasses.replace(reading, code_bound=0), "float")):
        assert {way for way, _ in numba_cpu.read_paths(height, digits.dtype, grid.dtype, told)} == {path}
    arrays = digits, rng.standard_normal((height, 2)), grid, rng.standard_normal((2, 40))
    assert same_bits(numba_cpu.read(*arrays, reading, "float64"), reference.read(*arrays, reading, "float64"))


@pytest.mark.parametrize("height", [1, 2, 35])
@pytest.mark.parametrize("rows", [1, 7, 64])
@pytest.mark.parametrize("code", [1, 127])
def test_upper_limbs_of_cells_are_bytes_up_to_the_largest(rng, height, rows, code):
    largest = min((65 << 16) - 2**15 - 1, (2**31 - 1) // (rows * code))
    edges = np.array([largest, -largest, 2**15, 2**15 - 1, -(2**15), -(2**15) - 1, 2**16, 0])
    digits = rng.integers(-code, code + 1, (2, height, 2 * rows - 1)).astype(np.int8)
    digits[0] = code  # every product at its end
    grid = rng.choice(edges, (3, 2 * rows - 1, 40)).astype(np.int32)
    grid[0], grid[1] = largest, -largest
    reading = plain_reading(
        strides=(1, 1),
        rows=rows,
        bound=code * rows * largest,
        wide=True,
        adc_gain=((1.0, 1.0),) * 3,
        shift_weights=((1.0, 4.0), (16.0, 64.0), (256.0, 1024.0)),
        code_bound=code,
    )
    arrays = digits, rng.standard_normal((height, 2)), grid, rng.standard_normal((2, 40))
    expected = reference.read(*arrays, reading, "float64")
    # what is not told, or wider by one, is read as limbs of 16 bits
    wider = dataclasses.replace(reading, bound=rows * code * ((65 << 16) - 2**15))
    for told, small in ((reading, True), (dataclasses.replace(reading, code_bound=0), False), (wider, False)):
        known = _paths.constants(height, digits.dtype, grid.dtype, told)
        if told.bound < 2**31:
            assert (known.paths, known.byte_cells) == (("pairs", "pairs"), small)
            assert same_bits(numba_cpu.read(*arrays, told, "float64"), expected)


def test_products_of_bytes_compile_to_what_they_are_in_python(rng):
    @numba.njit
    def compiled(total, cells, code, low, high):
        _lanes.store(total, 0, _bytes.byte_products(_lanes.load(total, 0), _lanes.load(cells, 0), code))
        _lanes.store(low, 0, _bytes.pack_bytes(_lanes.load(low, 0), _lanes.load(high, 0)))

    for code in (0, 0x0101, 0xFFFF, 0x80FF, 0xFF00, 0x7F80):
        code = np.int32(np.uint32(code << 16 | code).astype(np.int32))
        total, low, high = rng.integers(-(2**31), 2**31, (3, 16)).astype(np.int32)
        cells = rng.choice([-64, 64, 63, 0, 1, -1], 64).astype(np.int8).view(np.int32)
        products = cells.view(np.int8).reshape(32, 2) @ np.array([code & 255, code >> 8 & 255])
        expected = (total.view(np.int16) + products).astype(np.int16).view(np.int32)
        assert same_bits(_bytes.byte_products(total, cells, code), expected)
        bytes_ = (low & 255) + (high & 255) * 256
        assert same_bits(_bytes.pack_bytes(low, high), bytes_.astype(np.int32))
        compiled(total, cells, code, low, high)
        assert same_bits(total, expected)
        assert same_bits(low, bytes_.astype(np.int32))


@pytest.mark.parametrize("stride", [2184, 2185, 3000])
def test_codes_leave_pairs_before_they_pass_16_bits(stride):
    digits, grid = np.full((1, 2, 2), 15, np.int8), np.full((1, 2, 32), 100, np.int16)
    how = {"rows": 2, "bound": 3000 * 15 * 200, "wide": False, "steps": (1.0,), "weights": ((1.0,),)}
    assert _agrees(digits, grid, strides=(stride,), widths=(4,), **how)[0, 0] == 15 * stride * 200


@given(st.integers(2, 53), st.integers(2, 15), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=examples(40))
def test_codes_of_every_width_have_one_product(w_bits, x_bits, split, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((3, 5)), rng.standard_normal((5, 2))
    if w_bits + x_bits - 2 > 49:
        x_bits = 51 - w_bits if w_bits < 50 else 2
    settings = {"var": 0, "radc": None, "x_slices": [1] * x_bits, "w_slices": [1] * w_bits, "array_size": (4, 4)}
    if split and w_bits > 8:
        settings["w_slices"] = [1, *[4] * ((w_bits - 1) // 4), *[1] * ((w_bits - 1) % 4)]
    found = [DPETensor(**settings, seed=1, backend=backend)(x, w) for backend in ("numba", "reference")]
    assert same_bits(*found)
    error = np.abs(x).max() * np.abs(w).max() * 5 * (2.0 ** (1 - x_bits) + 2.0 ** (1 - w_bits))
    assert np.abs(found[0] - x @ w).max() <= error


@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8"])
def test_kernels_refuse_memory_that_they_cannot_read(dtype):
    with pytest.raises(TypeError, match=rf"kernels read int8, int16 and int32, not {dtype}"):
        numba_cpu._memory(np.zeros(3, dtype))


def test_no_kernel_is_offered_cells_of_64_bits():
    reading = plain_reading(widths=(1,), signed=False, bound=2**20)
    assert numba_cpu.read_paths(64, "int8", "int64", reading) == (
        ("float", "cells take more than 32 bits: float64 products in plain array-API calls"),
    )
