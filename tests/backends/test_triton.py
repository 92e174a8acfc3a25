"""The Triton kernels, interpreted on CPU, against the other backends; `test_cuda` runs this file."""

import dataclasses
import os

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from libraries import plain_reading, same_bits, to_torch, torch
from strategies import by_night, examples, products
from vectors import VECTORS, addresses, parse

from mpimpy import Engine, noise
from mpimpy.backends import Draw, Errors, reference
from mpimpy.cells import laws
from mpimpy.crossbar import plan as plans

if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("test_cuda runs these with TRITON_INTERPRET=1", allow_module_level=True)
interpreter = pytest.importorskip("triton.runtime.interpreter")
_triton = pytest.importorskip("mpimpy.backends.cuda._triton")
torch_cuda = pytest.importorskip("mpimpy.backends.cuda.torch_cuda")

SEED = 0xFEDCBA9876543210
LOWEST, HIGHEST = -(2**31), 2**31 - 1


@pytest.fixture(autouse=True, scope="module")
def tensor_cores():
    """Products as cards of before Hopper compute them: sums of 32 numbers that saturate at 32 bits."""

    def dot(self, a, b, d, *_):
        total = d.data.astype(np.int64)
        for k in range(0, a.data.shape[1], 32):
            part = a.data[:, k : k + 32].astype(np.int64) @ b.data[k : k + 32].astype(np.int64)
            total = np.clip(total + part, LOWEST, HIGHEST)
        return interpreter.TensorHandle(total.astype(np.int32), d.dtype.scalar)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter.InterpreterBuilder, "create_dot", dot)
        yield


@pytest.fixture(autouse=True, scope="module")
def launches():
    """Names of the kernels that ran."""
    names = []
    launch = torch_cuda._launch

    def run(kernel, *arguments, **options):
        names.append(kernel.fn.__name__)
        return launch(kernel, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_cuda, "_launch", run)
        yield names


@given(products(ideal=False))
@settings(max_examples=examples(4), phases=[Phase.explicit, Phase.generate])  # the interpreter is too slow to shrink
def test_every_configuration_gives_the_same_bits(launches, case):
    config, x, w = case
    x, w = x[..., :7], w[:7]  # the interpreter takes one program after the other; panels have a test
    launches.clear()
    results = [
        Engine.from_config(config, seed=SEED, chip=5, backend=backend).program(make(w)).read(make(x), read=3)
        for make, backend in ((to_torch, "torch"), (np.asarray, "reference"))
    ]
    assert isinstance(results[0], torch.Tensor)
    assert same_bits(*results)
    device = config.device
    fraction = plans.cell_format(config).fraction
    found = [law for law in (laws.write(device, fraction), laws.read(device, fraction, None)) if law is not None]
    special = [law.per_level or law.additive for law in found]
    assert ("perturb" in launches) == (config.dac.vnoise > 0 or not all(special))
    frozen = config.adc.offset_lsb or config.adc.gain_error
    assert ("perturb_levels" in launches) == bool(any(special) or frozen)
    assert ("apply_stuck_cells" in launches) == (device.stuck_HGS > 0 or device.stuck_LGS > 0)
    assert "read" in launches


@given(products(ideal=False, drift=True), st.booleans())
@settings(max_examples=examples(4, by_day=2), phases=[Phase.explicit, Phase.generate])
def test_aged_matrices_give_the_same_bits(launches, case, compensate):
    config, x, w = case
    x, w = x[..., :7], w[:7]
    launches.clear()
    results = [
        Engine.from_config(config, seed=SEED, backend=backend)
        .program(make(w))
        .at("2 h", compensate)
        .read(make(x), read=3)
        for make, backend in ((to_torch, "torch"), (np.asarray, "reference"))
    ]
    assert same_bits(*results)
    assert {"perturb", "perturb_levels"} & set(launches)


@pytest.mark.parametrize(("counter", "key", "output"), VECTORS)
def test_published_vectors(counter, key, output):
    words, key = ([torch_cuda._signed(word) for word in parse(text)] for text in (counter, key))
    out = torch.zeros(4, dtype=torch.int32)
    _triton.philox[(1,)](torch.tensor(words, dtype=torch.int32), *key, out)
    assert [int(word) & noise.MASK for word in out] == parse(output)


@given(
    addresses,
    st.sampled_from([(1, 1, 1), (2, 3, 9), (3, 40, 17), (1, 3, 2100)]),
    st.sampled_from(["int8", "int16", "int32"]),
    st.sampled_from([(0, 0, 0, 2**31 - 1), (10, 51, 16, 30720), (3, 2**30, 1, 100), (0, 0, 6, 2**15 - 1)]),
)
@settings(max_examples=examples(4), phases=[Phase.explicit, Phase.generate])
def test_noise_is_the_reference_s(address, shape, dtype, numbers):
    up, lowest, shift, bound = numbers
    levels = np.random.default_rng(sum(shape)).integers(0, 127, shape)
    cells = torch.from_numpy(levels).to(getattr(torch, dtype))
    words = np.arange(65536, dtype="<i4").tobytes()
    plain = Draw(words, up, lowest, lowest, shift, bound, dtype="int32")
    for draw in (plain, dataclasses.replace(plain, table=noise.lognormal_table(0.3))):
        assert same_bits(torch_cuda.perturb(cells, draw, address), reference.perturb(cells, draw, address))
    which = torch.from_numpy(levels % 3).to(torch.int8)
    rows = b"".join(noise.offset_table(sigma) for sigma in (1.0, 30.0, 1000.0))
    for each, changes in (
        (None, {"additive": True}),
        (which, {"additive": True}),
        (which, {}),
        (None, {"after": lowest // 3}),
    ):
        table = noise.offset_table(50.0) if each is None else rows
        draw = dataclasses.replace(plain, table=table, **changes)
        assert same_bits(
            torch_cuda.perturb(cells, draw, address, which=each), reference.perturb(cells, draw, address, which=each)
        )
    for high_share, low_share in ((0, 0), (2**30, 2**31), (2**32, 0), (0, 2**32), (1, 1)):
        shares = {"high_share": high_share, "low_share": low_share, "high": 127, "low": -5}
        assert same_bits(
            torch_cuda.apply_stuck_cells(cells, address, **shares),
            reference.apply_stuck_cells(cells, address, **shares),
        )


def pairs(number, reading):
    """The same number for each weight slice and input slice."""
    return tuple((number,) * len(row) for row in reading.adc_gain)


def operands(m, k, n, rows, codes, grid, slices=(2, 2), *, strides=None, widths=(4, 4), seed=0):
    """Operands of `read` and its reading, of extreme and of random integers."""
    rng = np.random.default_rng(seed)
    inputs, outputs = slices
    low, high = (0, 2 ** max(widths) - 1) if widths else (np.iinfo(codes).min, np.iinfo(codes).max)

    def integers(low, high, shape):
        kind = rng.integers(0, 3, shape)
        return np.choose(
            kind, [np.full(shape, low), np.full(shape, high), rng.integers(low, high, shape, endpoint=True)]
        )

    cells = integers(np.iinfo(grid).min, np.iinfo(grid).max, (outputs, k, n)).astype(grid)
    digits = integers(low, high, (inputs, m, k)).astype(codes)
    strides = strides or (1,) * inputs
    bound = max(1, min(rows, k)) * max(abs(low), high) * max(strides) * 2 ** (np.iinfo(grid).bits - 1)
    tiles = -(-k // rows)
    steps = tuple(tuple(float(np.float32(300 * (j + i + 1) / bound)) for i in range(inputs)) for j in range(outputs))
    reading = plain_reading(
        strides=strides,
        widths=widths,
        signed=False,
        rows=rows,
        bound=bound,
        wide=bound >= 2**31,
        adc_gain=steps,
        shift_weights=tuple(tuple(float(3 * (-2) ** (i + 2 * j)) for i in range(inputs)) for j in range(outputs)),
    )
    reading = dataclasses.replace(reading, code_range=(pairs(0, reading), pairs(255, reading)))
    arrays = digits, rng.standard_normal((m, tiles)), cells, rng.standard_normal((tiles, n))
    return [torch.from_numpy(a) for a in arrays], reading


def check(case, dtype="float64", **changes):
    arrays, reading = case
    reading = dataclasses.replace(reading, **changes)
    assert same_bits(torch_cuda.read(*arrays, reading, dtype), reference.read(*arrays, reading, dtype))


I8, I16, I32 = np.int8, np.int16, np.int32


@pytest.mark.parametrize(
    ("shape", "codes", "grid", "widths"),
    [
        ((1, 1, 1, 1), I8, I8, (4, 4)),
        ((70, 130, 67, 64), I8, I16, (4, 4)),
        ((5, 40, 65, 9), I8, I16, (4, 7)),
        ((3, 40, 5, 2), I8, I8, (1, 1)),  # 20 tiles
        ((17, 7, 9, 1), I8, I32, (1, 1)),
        ((17, 300, 9, 129), I8, I16, (1, 2)),  # tiles of more than a chunk
        ((17, 200, 9, 100), I8, I16, (1, 2)),
        ((5, 20, 9, 1000), I8, I16, (3, 3)),  # a tile of more rows than there are
        ((5, 200, 9, 90), I16, I16, None),
        ((5, 40, 9, 33), I16, I8, (8, 9)),
        ((5, 40, 9, 33), I16, I8, (2, 3)),  # int16, but nothing in it is wide
        ((5, 40, 9, 33), I8, I8, None),
        ((5, 300, 9, 150), I32, I8, None),
        ((5, 40, 9, 33), I16, I32, None),
        ((5, 18, 9, 1), I32, I16, None),
    ],
)
def test_integers_of_every_width(shape, codes, grid, widths):
    case = operands(*shape, codes, grid, widths=widths)
    check(case)
    check(case, code_range=None, dtype="float32")
    if by_night():
        check(case, code_range=None)
        check(case, dtype="float32")
    if widths:
        case[0][0][::2] *= -1
        check(case, signed=True)
    if case[1].bound < 2**31:
        check(case, wide=True)


@pytest.mark.parametrize("seed", range(4))
def test_sums_that_wrap_on_the_way(seed):
    # currents just inside 32 bits, whose high bytes alone are not
    k = 500
    arrays, reading = operands(5, k, 33, k, I8, I16, widths=(7, 7), seed=seed)
    arrays[0][:] = 127
    arrays[2][:] = torch.where(arrays[2] > 0, 32767, -32768 + (seed % 2) * 255)
    arrays[2][..., :4], arrays[2][..., 4:8] = 32767, -32768
    assert 2**30 < reading.bound < 2**31
    check((arrays, reading), code_range=None)


@pytest.mark.parametrize("value", [32767, 32512, -32768, -32640, -129])
def test_limbs_of_both_operands_that_wrap_on_the_way(value):
    arrays, reading = operands(5, 2, 33, 2, I16, I16, widths=None)
    arrays[0][:], arrays[0][:, 0, 1] = 32767, -32767
    arrays[2][:], arrays[2][..., 3] = value, -value - 1
    check((arrays, reading), code_range=None, wide=False, bound=2**31 - 1)


def test_sums_of_chunks_that_wrap_on_the_way():
    arrays, reading = operands(5, 512, 33, 512, I8, I16, widths=(7, 7))
    arrays[0][..., 128:] = 0  # within the bound for all that
    arrays[2][..., :4], arrays[2][..., 4:8] = 32767, -32768
    check((arrays, reading), code_range=None, wide=False, bound=2**31 - 1)


@pytest.mark.parametrize(("busy", "dtype"), [(0, "float64"), (256, "float64"), (256, "float32")])
def test_panels_one_after_the_other_or_side_by_side(monkeypatch, busy, dtype):
    monkeypatch.setattr(torch_cuda, "BUSY", busy)
    for k in (32, 67) if dtype == "float64" else (67,):  # panels of 16 tiles, and a last one of two
        check(operands(17, k, 66, 2, I8, I16), dtype=dtype)


ERRORS = [
    (0, {}, {}),
    (5, {}, {"code_range": None}),
    (2**31 - 1, {"gain": None}, {"wide": True}),
    (3, {"offset": None}, {"digit_units": ((0.1, 1.0), (2.5, 0.5))}),
    (3, {"noise": None}, {}),
    (3, {"gain": None, "offset": None}, {}),
]


@pytest.mark.parametrize(("col", "off", "changes"), ERRORS)
def test_errors_of_adcs(launches, col, off, changes):
    # two tiles, or two panels; a block of columns that begins within a group of eight
    arrays, reading = operands(5, *((34, 9, 2) if col == 0 else (34, 65, 20)), I8, I16)
    address = noise.Address(SEED, noise.MAX_CHIP, noise.MAX_READ, 0, row=2**22 - 19, col=col, stream=9)
    table = noise.gaussian_table(0.3)
    errors = Errors(
        address, 983, 2, 100, 4, table, ((2**24 + 9, 3), (7, 2**36)), ((2**21 + 1, 2**25 - 1), (300, 2**40))
    )
    how = dataclasses.replace(reading, **changes), "float64", dataclasses.replace(errors, **off)
    launches.clear()
    assert same_bits(torch_cuda.read(*arrays, *how), reference.read(*arrays, *how))
    assert "read" in launches


@pytest.mark.parametrize("strides", [(1, 7), (15, 1), (17, 100), (1, 1)])
def test_strides(strides):
    check(operands(5, 40, 9, 9, I8, I16, strides=strides))
    check(operands(5, 40, 9, 9, I8, I32, strides=strides))
    check(operands(5, 40, 9, 9, I16, I16, strides=strides, widths=(8, 8)))
    check(operands(5, 40, 9, 9, I8, I16, strides=strides, widths=None))


@pytest.mark.parametrize("top", [1, 255, 2**22 - 1, 2**22, 2**22 + 1, 2**24])
@pytest.mark.parametrize("step", [0.5, 1.0, 1 / 3])
def test_rounding_half_to_even_at_every_size(top, step):
    arrays, reading = operands(5, 4, 40, 1, I8, I16, widths=(7, 7))
    steps = (step, step * 2), (step * 4, step)
    ends = [(pairs(low, reading), pairs(top, reading)) for low in sorted({0, -1, -top})]
    if top == 1:  # what saturates at nothing has no top
        ends.append(None)
    for number, end in enumerate(ends):
        for wide in (False, True) if by_night() or end is None else (number % 2 == 0,):
            check((arrays, reading), adc_gain=steps, code_range=end, wide=wide)


def test_sums_of_codes_of_every_size():
    case = operands(5, 20, 9, 9, I8, I16, slices=(3, 2), widths=(4, 4, 4))
    for exponent in (0, 20, 22, 23, 28, 40, 44, 45, 46, 48, 50, 52, 60):
        for step in (1e-4, 1.0):
            weights = ((2.0**exponent + exponent,) * 3, (3.0, 5.0, 7.0))
            check(case, shift_weights=weights, adc_gain=((step,) * 3,) * 2)
    check(case, shift_weights=((0.1, 1.0, 0.3), (3.0, 5.5, 7.0)))
    check(case, shift_weights=((-1.0, -2.0, -3.0),) * 2, digit_units=((0.1, 1.0, 0.3), (2.5, 0.5, 1 / 3)))


def test_code_and_weight_meet_as_a_product_and_a_sum():
    check(operands(5, 20, 9, 9, I8, I16), shift_weights=((0.1, 0.7), (1 / 3, 1e-3)))


def test_constants_of_the_module_are_the_exact_ones():
    assert np.float32(12582912.0).view(np.int32) == _triton.MAGIC_BITS
    assert _triton._MAGIC_SINGLE.value == 1.5 * 2**23
    assert _triton._MAGIC_DOUBLE.value == 1.5 * 2**52


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 9), (3, 40, 17), (1, 3, 700)])
@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32])
def test_references_are_subtracted_as_the_reference_does(launches, shape, dtype):
    rng, most = np.random.default_rng(sum(shape)), torch.iinfo(dtype).max
    for width, lead in ((1, 0), (5, 3), (64, 63), (1000, 0)):
        for bound in (most, most // 3):
            cells = rng.integers(-bound, bound, shape, endpoint=True)
            columns = rng.integers(-bound, bound, (*shape[:2], (lead + shape[2] - 1) // width + 1), endpoint=True)
            given = [torch.from_numpy(array).to(dtype) for array in (cells, columns)]
            launches.clear()
            found = torch_cuda.subtract(*given, lead, width, bound)
            assert "subtract" in launches
            assert same_bits(found, reference.subtract(*given, lead, width, bound))


def test_operands_in_any_layout():
    arrays, reading = operands(5, 20, 9, 9, I8, I16)
    turned = [array.flip(0).transpose(-1, -2).contiguous().transpose(-1, -2).flip(0) for array in arrays]
    assert not turned[0].is_contiguous()
    assert same_bits(torch_cuda.read(*turned, reading, "float64"), reference.read(*arrays, reading, "float64"))
    cells, address = arrays[2], noise.Address(1, 2, 3, noise.READ, 4, 5)
    draw = Draw(noise.lognormal_table(0.3), 0, 3, 3, shift=16, bound=30000, dtype="int16")
    assert same_bits(torch_cuda.perturb(turned[2], draw, address), reference.perturb(cells, draw, address))
    shares = {"high_share": 2**30, "low_share": 2**30, "high": 9}
    assert same_bits(
        torch_cuda.apply_stuck_cells(turned[2], address, **shares),
        reference.apply_stuck_cells(cells, address, **shares),
    )


def test_nothing_to_do():
    for shape in ((0, 20, 9), (5, 0, 9), (5, 20, 0)):
        check(operands(*shape, 9, I8, I16))
    cells, address = torch.zeros((2, 0, 3), dtype=torch.int8), noise.Address(1, 2, 3, noise.READ)
    draw = Draw(noise.lognormal_table(0.3), 0, 0, 0, shift=0, bound=1, dtype="int16")
    assert torch_cuda.perturb(cells, draw, address).shape == (2, 0, 3)
    assert torch_cuda.apply_stuck_cells(cells, address, high_share=1, low_share=1, high=1).shape == (2, 0, 3)
    assert torch_cuda.subtract(cells, cells, 0, 3, 1).shape == (2, 0, 3)


def test_torch_settings_change_nothing():
    case = operands(5, 40, 9, 2, I16, I16, widths=None)
    default = torch.get_default_dtype()
    try:
        for dtype in (torch.float16, torch.float64):
            torch.set_default_dtype(dtype)
            torch_cuda._constants.clear()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                check(case)
    finally:
        torch.set_default_dtype(default)
