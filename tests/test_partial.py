"""Running sums: a product cut along K, read part by part, has the bits of the whole."""

import contextlib
import copy
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits
from strategies import configs, each_runner, examples, runners

from mpimpy import ADC, DAC, Device, Drift, Engine, Format, Partial, Tile, _partial
from mpimpy.crossbar import plan as plans

PANEL = 16
DOUBLE = Format((1, 1, 2, 4), bw_e=8, double=True)


def summed(engine, make, x, w, cuts, *, read=3, faults=None, age=None, **given):
    """The running sum of the parts of a product that begin at the rows `cuts`."""
    total = Partial()
    for start, stop in zip(cuts, [*cuts[1:], w.shape[0]], strict=True):
        some = None if faults is None else faults[..., start:stop, :]
        part = engine.program(make(w[start:stop]), origin=(start, 0), faults=some)
        part = part if age is None else part.at(age)
        found = part.read(make(x[..., start:stop]), read=read, into=total, **given)
        assert found is total
    return total


@st.composite
def cut_products(draw):
    """(config, x, w, faults, age, rows where parts begin)."""
    config = draw(configs(drift=draw(st.integers(0, 3)) == 0, wired=draw(st.booleans())))
    rows = draw(st.integers(1, 3))
    some = st.sampled_from(["finest", "finest", (rows * 2, 3), (rows, 1)])
    granularity = {"inputs": draw(some), "weights": draw(some)}
    if isinstance(granularity["inputs"], tuple):
        granularity["inputs"] = granularity["inputs"][::-1]
    formats = {part: dataclasses.replace(getattr(config, part), granularity=granularity[part]) for part in granularity}
    config = config.replace(tile={"rows": rows}, **formats)
    if config.wires is None and config.device.var != 0 and draw(st.booleans()):
        redraw = draw(st.sampled_from(["slice", "row"]))
        if redraw == "slice" or (config.adc.radc is not None and config.adc.per == "slice"):
            with contextlib.suppress(ValueError):  # laws that a row cannot be drawn with
                changed = config.replace(device={"redraw": redraw} | ({"var": 0.02} if redraw == "row" else {}))
                plans.choose_grid(changed)
                config = changed
    rng, panel = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), PANEL * rows
    depth = draw(st.integers(1, 2 * panel + 3))
    edges = draw(st.lists(st.sampled_from(range(panel, max(depth, panel + 1), panel)), max_size=2, unique=True))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    shape = (*draw(st.sampled_from([(), (1,), (3,), (2, 2)])), depth)
    x, w = rng.standard_normal(shape).astype(dtype), rng.standard_normal((depth, draw(st.integers(1, 4))))
    w = w.astype(draw(st.sampled_from([dtype, dtype, "float32"])))
    imaginary = draw(st.sampled_from([(0, 0), (0, 0), (0, 1), (1, 0), (1, 1)]))
    x, w = (a + 1j * a[::-1] if many else a for a, many in zip((x, w), imaginary, strict=True))
    width = w.shape[1] * (1 + imaginary[1])
    faults = rng.choice([0, 0, 0, 1, -1], (depth, width)) if draw(st.integers(0, 3)) == 0 else None
    ages = config.device.drift is not None
    age = draw(st.sampled_from([None, "1 h", "30 d"])) if ages else None
    return config, x, w, faults, age, [0, *sorted(edge for edge in edges if edge < depth)]


@given(cut_products(), runners())
@settings(max_examples=examples(12))
def test_parts_add_up_to_the_bits_of_the_whole(case, chosen):
    config, x, w, faults, age, cuts = case
    plan, results = plans.plan(config), []
    for _, make, backend in chosen:
        engine = Engine.from_config(config, seed=5, chip=2, backend=backend)
        matrix = engine.program(make(w), faults=faults)
        matrix = matrix if age is None else matrix.at(age)
        whole, found = matrix.read(make(x), read=3), summed(engine, make, x, w, cuts, faults=faults, age=age).result()
        assert (type(found), found.dtype, found.shape) == (type(whole), whole.dtype, whole.shape)
        whole, found = np.asarray(whole), np.asarray(found)
        if not plan.ideal or (plan.lossless_fold or plan.limbs) is not None:
            assert same_bits(found, whole)
            results.append(found)
        else:  # by the BLAS
            np.testing.assert_allclose(found, whole, rtol=2e-5, atol=1e-4 * np.abs(whole).max())
            again = summed(engine, make, x, w, [0]).result() if faults is None and age is None else found
            assert same_bits(found, np.asarray(again))  # whatever the cuts
    assert all(same_bits(one, results[0]) for one in results)


SMALL = Engine(tile=Tile(4, 8), seed=1)  # a panel has 64 rows


@pytest.fixture
def operands(rng):
    return rng.standard_normal((2, 150)), rng.standard_normal((150, 3))


@each_runner
def test_sums_of_double_exponents_are_those_of_the_whole(operands, runner):
    # planes are added after the sum over K
    make, backend = RUNNERS[runner]
    engine = Engine(tile=Tile(4, 8), inputs=DOUBLE, weights=DOUBLE, seed=1, backend=backend)
    x, w = operands
    whole = engine.program(make(w)).read(make(x), read=3)
    assert same_bits(summed(engine, make, x, w, [0, 64, 128]).result(), whole)


def test_a_part_may_have_many_panels_and_end_anywhere_if_it_is_the_last(operands):
    x, w = operands
    whole = SMALL.program(w).read(x, read=3)
    for cuts in ([0], [0, 64], [0, 128], [0, 64, 128]):
        total = summed(SMALL, np.asarray, x, w, cuts)
        assert total.rows == 150
        assert same_bits(total.result(), whole)
    first = SMALL.program(w[:64]).read(x[:, :64], read=3)
    assert same_bits(summed(SMALL, np.asarray, x[:, :64], w[:64], [0]).result(), first)


def test_a_result_is_the_user_s(operands):
    total = summed(SMALL, np.asarray, *operands, [0])
    before = total.result().copy()
    total.result()[:] = 0
    assert same_bits(total.result(), before)


@pytest.mark.parametrize("again", [lambda p: pickle.loads(pickle.dumps(p)), copy.deepcopy, copy.copy])
def test_a_copy_of_a_sum_goes_on_from_where_it_was(operands, again):
    x, w = operands
    parts = [(SMALL.program(w[k : k + 64], origin=(k, 0)), x[:, k : k + 64]) for k in (0, 64, 128)]
    total = Partial()
    for number, (part, some) in enumerate(parts):
        part.read(some, read=3, into=total)
        other = again(total)
        assert (other.rows, repr(other)) == (total.rows, repr(total))
        for rest, columns in parts[number + 1 :]:
            rest.read(columns, read=3, into=other)
        assert same_bits(other.result(), SMALL.program(w).read(x, read=3))


def test_a_sum_of_tensors_is_a_tensor():
    torch = pytest.importorskip("torch")
    x, w = torch.randn(2, 150), torch.randn(150, 3)
    found = summed(SMALL, lambda t: t, x, w, [0, 64]).result()
    assert torch.equal(found, SMALL.program(w).read(x, read=3))
    half = summed(SMALL, lambda t: t, x.half(), w.half(), [0, 64]).result()
    assert torch.equal(half, SMALL.program(w.half()).read(x.half(), read=3))


def test_gradients_of_a_sum_are_refused(operands):
    torch = pytest.importorskip("torch")
    x, w = (torch.asarray(part) for part in operands)
    matrix = SMALL.program(w)
    with pytest.raises(TypeError, match="a running sum has no gradient: detach its operands"):
        matrix.read(x.clone().requires_grad_(), read=0, into=Partial())
    with pytest.raises(TypeError, match="a running sum has no gradient"):
        SMALL.program(w.clone().requires_grad_()).read(x, read=0, into=Partial())
    with torch.no_grad():
        matrix.read(x.clone().requires_grad_(), read=0, into=Partial())


@pytest.mark.parametrize("shape", [(0, 150), (2, 0, 150)])
def test_sums_without_inputs(operands, shape):
    whole = SMALL.program(operands[1]).read(np.empty(shape), read=3)
    assert same_bits(summed(SMALL, np.asarray, np.empty(shape), operands[1], [0, 64]).result(), whole)


def test_sums_of_no_columns_and_of_no_rows(operands):
    x, w = operands
    assert summed(SMALL, np.asarray, x, w[:, :0], [0, 64]).result().shape == (2, 0)
    whole = SMALL.program(w[:128]).read(x[:, :128], read=3)
    total = summed(SMALL, np.asarray, x[:, :128], w[:128], [0, 0, 64, 128])
    assert (total.rows, same_bits(total.result(), whole)) == (128, True)
    none = SMALL.program(w[:0]).read(x[:, :0], read=3, into=Partial())
    assert (none.rows, none.result().tolist()) == (0, [[0.0] * 3] * 2)
    assert repr(none) == "<Partial of a product (2, 3), without rows, read 3>"


def test_noise_of_converters_and_of_inputs_is_that_of_the_whole(operands):
    errs = ADC(256, noise_lsb=0.5, offset_lsb=0.5, gain_error=0.01)
    engine = Engine(Device(var=0.05), DAC(vnoise=0.01), errs, Tile(4, 8), seed=1)
    x, w = operands
    whole = engine.program(w).read(x, read=3, first_row=7)
    assert same_bits(summed(engine, np.asarray, x, w, [0, 64, 128], first_row=7).result(), whole)


def refused(kind, message, call):
    with pytest.raises(kind, match=message):
        call()


def test_parts_come_in_order_without_gaps(operands):
    x, w = operands
    parts = {k: (SMALL.program(w[k : k + 64], origin=(k, 0)), x[:, k : k + 64]) for k in (0, 64, 128)}

    def add(row, total):
        return parts[row][0].read(parts[row][1], read=0, into=total)

    total = Partial()
    refused(
        ValueError,
        r"begins at row 64, and the sum has no rows yet: add the part next that begins at row 0, programmed with origin",
        lambda: add(64, total),
    )
    before = add(0, total).result()
    for wrong in (0, 128):
        message = rf"begins at row {wrong}, and the sum has rows 0 to 63: add the part next that begins at row 64"
        refused(ValueError, message, lambda wrong=wrong: add(wrong, total))
    assert (total.rows, same_bits(total.result(), before)) == (64, True)  # as it was
    add(128, add(64, total))
    assert same_bits(total.result(), SMALL.program(w).read(x, read=0))


def test_a_part_after_one_that_ended_inside_a_panel_is_refused(operands):
    x, w = operands
    total = SMALL.program(w[:72]).read(x[:, :72], read=0, into=Partial())
    part = SMALL.program(w[72:], origin=(72, 0))
    message = (
        r"ended at row 71, inside the panel of rows 64 to 127, which is summed as a whole: let every part but the last "
        r"end after a multiple of 64 rows, 16 arrays of 4"
    )
    refused(ValueError, message, lambda: part.read(x[:, 72:], read=0, into=total))
    assert total.rows == 72


OTHERS = {
    "other settings than the parts before it": lambda x, w: (Engine(tile=Tile(4, 9), seed=1), x, w, {}),
    "seed 2, and the parts before it 1": lambda x, w: (Engine(tile=Tile(4, 8), seed=2), x, w, {}),
    "chip 3, and the parts before it 0": lambda x, w: (Engine(tile=Tile(4, 8), seed=1, chip=3), x, w, {}),
    "columns 0 to 1 of the matrix, and the parts before it 0 to 2": lambda x, w: (SMALL, x, w[:, :2], {}),
    "read 1, and the parts before it 0": lambda x, w: (SMALL, x, w, {"read": 1}),
    "first_row 5, and the parts before it 0": lambda x, w: (SMALL, x, w, {"first_row": 5}),
    r"inputs of shape and kind \(1, 'real'\), and the parts before it \(2, 'real'\)": lambda x, w: (
        SMALL,
        x[:1],
        w,
        {},
    ),
    r"kind \(2, 'complex'\), and the parts before it \(2, 'real'\)": lambda x, w: (SMALL, x * 1j, w, {}),
    "dtype float32, and the parts before it float64: those of one product have the same": lambda x, w: (
        SMALL,
        x.astype("float32"),
        w.astype("float32"),
        {},
    ),
    "backend reference, and the parts before it numba": lambda x, w: (
        Engine(tile=Tile(4, 8), seed=1, backend="reference"),
        x,
        w,
        {},
    ),
}


@pytest.mark.parametrize(("message", "other"), OTHERS.items())
def test_a_part_of_another_product_is_refused(operands, message, other):
    x, w = operands
    total = SMALL.program(w[:64]).read(x[:, :64], read=0, into=Partial())
    engine, inputs, weights, given = other(x[:, 64:], w[64:])
    part = engine.program(weights, origin=(64, 0))
    refused(ValueError, message, lambda: part.read(inputs, **{"read": 0} | given, into=total))
    assert total.rows == 64


def test_parts_have_one_age(operands):
    x, w = operands
    engine = Engine(Device(write_var=0.1, drift=Drift(0.05, 0.01)), tile=Tile(4, 8), seed=1)
    whole = engine.program(w).at("1 d").read(x, read=3)
    assert same_bits(summed(engine, np.asarray, x, w, [0, 64], age="1 d").result(), whole)
    parts = engine.program(w[:64]), engine.program(w[64:], origin=(64, 0))
    total = parts[0].at("1 d").read(x[:, :64], read=0, into=Partial())
    message = r"the age 2 d after programming, not compensated, and the parts before it 1 d after programming"
    refused(ValueError, message, lambda: parts[1].at("2 d").read(x[:, 64:], read=0, into=total))


def test_what_is_no_running_sum_or_has_no_number_is_refused(operands):
    x, w = operands
    matrix = SMALL.program(w)
    refused(TypeError, r"into=3 is no running sum: give the same mpimpy.Partial\(\)", lambda: matrix.read(x, 0, into=3))
    refused(
        ValueError,
        "a running sum needs the number of its read, since all parts of a product share its noise: give each the same "
        "one, such as read=0",
        lambda: matrix.read(x, into=Partial()),
    )
    refused(
        ValueError, r"this running sum has no part yet: W.read\(x, read=0, into=partial\) adds one", Partial().result
    )
    turned = Engine(tile=Tile(4, 8, "ideal"), seed=1).program(w).T
    refused(
        TypeError,
        "the transposed face of a matrix adds nothing to a running sum, into=: program it as a matrix of its own",
        lambda: turned.read(w[:, 0][None, :3], read=0, into=Partial()),
    )
    turned = Engine(tile=Tile(4, 8, "ideal"), seed=1).program(w * 1j)
    for face in (turned.T, turned.conj()):
        refused(TypeError, "adds nothing to a running sum", lambda face=face: face.read(x, read=0, into=Partial()))


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_magnitudes_that_are_scaled_as_a_whole_are_refused(operands, scale):
    x, w = operands
    for one, other in ((x * scale, w), (x, w * scale)):
        message = r"largest magnitude is below 2\*\*-340 or above 2\*\*340, .*: multiply the operand by a power of two"
        matrix = SMALL.program(other)
        refused(ValueError, message, lambda one=one, matrix=matrix: matrix.read(one, read=0, into=Partial()))


def test_a_sum_tells_its_rows_and_no_more(operands):
    x, w = operands
    total = Partial()
    assert (repr(total), total.rows) == ("<Partial without rows>", 0)
    SMALL.program(w[:64]).read(x[:, :64], read=7, into=total)
    assert repr(total) == "<Partial of a product (2, 3), rows 0 to 63, read 7>"
    matrix = SMALL.program(w[:64] + 1j)
    assert repr(matrix.read(x[0, :64], read=7, into=Partial())) == "<Partial of a product (3,), rows 0 to 63, read 7>"
    for name in ("rows", "sum"):
        with pytest.raises(AttributeError):
            setattr(total, name, 3)


def test_a_read_that_fails_leaves_the_sum_as_it_was(operands, monkeypatch):
    x, w = operands
    total = SMALL.program(w[:64]).read(x[:, :64], read=0, into=Partial())
    before, part = total.result(), SMALL.program(w[64:], origin=(64, 0))

    def interrupted(*given, panels=_partial.panels):
        yield next(panels(*given))
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(_partial, "panels", interrupted)
        refused(MemoryError, None, lambda: part.read(x[:, 64:], read=0, into=total))
    assert (total.rows, same_bits(total.result(), before)) == (64, True)
    assert same_bits(part.read(x[:, 64:], read=0, into=total).result(), SMALL.program(w).read(x, read=0))


def test_an_operator_adds_to_a_sum(operands):
    x, w = operands
    found = SMALL.operator(w).read(x, read=0, into=Partial())
    assert same_bits(found.result(), SMALL.program(w).read(x, read=0))
