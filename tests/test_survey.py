"""Parts of operands with the scales of the whole: equal to the whole with surveys, and equal or refused without."""

import functools
import itertools
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import same_bits
from strategies import examples, runners

from mpimpy import ADC, DAC, Device, Drift, Engine, Format, Partial, Relaxation, Tile, load

ROWS, PANEL = 2, 32  # rows of a tile, and of sixteen of them
M, K, N = 6, 96, 5
DOUBLE = {"bw_e": 5, "double": True}


def spans(cuts, size):
    return list(itertools.pairwise((0, *cuts, size)))


def joined(survey, parts):
    """The survey of all (part, origin), in as many rounds as it takes."""
    found = None
    while found is None or not found.settled:
        found = functools.reduce(operator.or_, [survey(part, origin=at, after=found) for part, at in parts])
    return found


def surveys(engine, x, w, cuts):
    """Surveys of the inputs and of the weights, of parts between the cuts along M, K and N."""
    rows, depths, cols = map(spans, cuts, (x.shape[0], *w.shape))
    x_parts = [(x[a:b, c:d], (a, c)) for a, b in rows for c, d in depths]
    w_parts = [(w[a:b, c:d], (a, c)) for a, b in depths for c, d in cols]
    of_x = joined(functools.partial(engine.survey_inputs, shape=x.shape), x_parts)
    return of_x, joined(functools.partial(engine.survey_weights, shape=w.shape), w_parts)


def cut_product(engine, x, w, cuts, found=(None, None), make=np.asarray, **place):
    """The product, put together from the parts between the cuts."""
    of_x, of_w = found
    rows, depths, cols = map(spans, cuts, (x.shape[0], *w.shape))
    columns = []
    for left, right in cols:
        matrices = [engine.program(make(w[a:b, left:right]), origin=(a, left), survey=of_w, **place) for a, b in depths]
        lines = []
        for top, bottom in rows:
            total = Partial()
            for W, (a, b) in zip(matrices, depths, strict=True):
                W.read(make(x[top:bottom, a:b]), read=0, first_row=top, survey=of_x, into=total)
            lines.append(np.asarray(total.result()))
        columns.append(np.concatenate(lines))
    return np.concatenate(columns, axis=1)


def shares(granularity, cuts, shape, summed):
    """Whether a cut goes through a block: by the words of the documentation, not by the code."""
    names = {"per-matrix": shape, "per-col": (shape[0], 1), "per-row": (1, shape[1])}
    names["finest"] = (ROWS, 1) if summed == 0 else (1, ROWS)
    block = names.get(granularity, granularity)
    return any(cut % size for edges, size in zip(cuts, block, strict=True) for cut in edges)


W_BLOCKS = ["finest", "per-col", "per-matrix", (32, 1), (64, 1), (2, 2), (96, 3), (200, 1)]
X_BLOCKS = ["finest", "per-row", "per-matrix", (1, 32), (1, 64), (2, 2), (3, 96), (1, 200)]
CUTS = {  # along M, K and N
    "K": ((), (32, 64), ()),
    "K of two panels": ((), (64,), ()),
    "N": ((), (), (2, 3)),
    "M": ((2, 4), (), ()),
    "M, K and N": ((3,), (32,), (4,)),
}


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("fmt", [{}, {"bw_e": 5}, DOUBLE], ids=["INT", "BFP", "double"])
@pytest.mark.parametrize("which", range(len(W_BLOCKS) + len(X_BLOCKS) - 1))
def test_a_cut_product_is_that_of_the_whole_or_refused(rng, which, fmt, cuts):
    w_block, x_block = (*W_BLOCKS, *["finest"] * 7)[which], (*["finest"] * 8, *X_BLOCKS[1:])[which]
    inputs, weights = Format(granularity=x_block, **fmt), Format(granularity=w_block, **fmt)
    engine = Engine(Device(var=0.05), DAC(vnoise=0.01), tile=Tile(ROWS, 4), inputs=inputs, weights=weights, seed=3)
    x, w = rng.standard_normal((M, K)), rng.standard_normal((K, N)) * 10.0 ** rng.integers(-2, 2, (K, N))
    whole = engine.program(w).read(x, read=0)
    assert same_bits(cut_product(engine, x, w, cuts, surveys(engine, x, w, cuts)), whole)
    cut_weights, cut_inputs = shares(w_block, cuts[1:], w.shape, 0), shares(x_block, cuts[:2], x.shape, 1)
    for place in ({}, {"shape": w.shape}):
        if cut_weights or cut_inputs:
            with pytest.raises(ValueError, match="gives one scale"):
                cut_product(engine, x, w, cuts, **place)
        else:
            assert same_bits(cut_product(engine, x, w, cuts, **place), whole)


def test_a_part_alone_is_refused_if_the_whole_is_known(rng):
    engine = Engine(weights=Format(granularity=(128, 1)), inputs=Format(granularity="per-row"), seed=1)
    w = rng.standard_normal((256, 4))
    with pytest.raises(
        ValueError,
        match=r"granularity \(128, 1\) of the weights gives one scale to elements of this part, of shape \(64, 4\) at "
        r"origin=\(0, 0\), and to others of the matrix of shape \(256, 4\): survey all parts \(engine.survey_weights\) "
        r"and give program\(survey=\), or cut at multiples of 128 rows",
    ):
        engine.program(w[:64], shape=(256, 4))
    first = engine.program(w[:128], shape=(256, 4))
    with pytest.raises(
        ValueError,
        match=r"granularity 'per-row' of the inputs gives one scale to inputs of this part, which holds rows 0 to 128 "
        r"of a matrix, and to inputs of other parts: survey all inputs \(engine.survey_inputs\) and give "
        r"read\(survey=\), or choose a granularity such as 'finest'",
    ):
        np.ones((2, 128)) @ first
    assert (np.ones((2, 128)) @ engine.program(w[:128])).shape == (2, 4)  # nobody has said that it is a part


def test_input_rows_that_begin_inside_a_block_are_refused(rng):
    x, w = rng.standard_normal((6, 8)), np.eye(8)
    for granularity, advice in (("per-matrix", r"read\(survey=\)$"), ((4, 64), "cut at multiples of 4 rows")):
        W = Engine(inputs=Format(granularity=granularity), seed=1).program(w)
        message = rf"one scale to inputs from first_row=2 on and to some before: .*{advice}"
        with pytest.raises(ValueError, match=message):
            W.read(x[2:], read=0, first_row=2)
        # matrices of a stack have scales of their own
        stack = np.stack([x, 3 * x])
        assert same_bits(W.read(stack[1:], read=0, first_row=6), W.read(stack, read=0)[1:])
        with pytest.raises(ValueError, match="first_row=2"):
            W.read(stack[1:], read=0, first_row=2)
    W = Engine(inputs=Format(granularity=(2, 64)), seed=1).program(w)
    assert same_bits(W.read(x[2:], read=0, first_row=2), W.read(x, read=0)[2:])


def test_the_transposed_read_of_a_part_refuses_shared_scales(rng):
    w = rng.standard_normal((64, 128))
    for granularity, refused in (("per-row", True), ("finest", False), ((1, 128), True), ((2, 64), True)):
        fmt = Format(granularity=granularity)
        engine = Engine(tile=Tile(reference="ideal"), inputs=fmt, weights=Format(granularity=(64, 64)), seed=1)
        part = engine.program(w[:, 64:], origin=(0, 64))
        if refused and granularity != (2, 64):
            with pytest.raises(ValueError, match="of the inputs gives one scale"):
                part.T.read(np.ones((4, 64)), read=0)
        else:
            assert part.T.read(np.ones((4, 64)), read=0).shape == (4, 64)
        if granularity == (2, 64):
            with pytest.raises(ValueError, match="first_row=1"):
                part.T.read(np.ones((4, 64)), read=0, first_row=1)


# surveys as values


def test_surveys_add_up_in_any_order(rng):
    w = rng.standard_normal((128, 12))
    engine = Engine(weights=Format(granularity=(128, 5), **DOUBLE), seed=1)
    parts = [(w[a:b, c:d], (a, c)) for a, b in spans((7, 64, 70), 128) for c, d in spans((3, 8), 12)]
    found = None
    for number in (1, 2, 3):
        some = [engine.survey_weights(part, shape=w.shape, origin=at, after=found) for part, at in parts]
        found = functools.reduce(operator.or_, some)
        assert found == functools.reduce(operator.or_, some[::-1])
        assert found == functools.reduce(lambda a, b: b | a, some[3:] + some[:3])
        assert found == (some[0] | some[1]) | functools.reduce(operator.or_, some[2:])
        assert found.round == number
        assert found.settled == (number == 3)
        assert found.complete
        assert not some[0].complete
        if number != 2:
            assert found | found == found | some[4] == found
    assert pickle.loads(pickle.dumps(found)) == found
    assert len(pickle.dumps(found)) < 2500
    assert repr(found).endswith("on tiles of 64 rows: all of it, round 3 of 3>")


def test_empty_parts_add_nothing():
    engine, w = Engine(weights=Format(granularity="per-matrix", **DOUBLE), seed=1), np.eye(64)
    found = joined(functools.partial(engine.survey_weights, shape=w.shape), [(w, (0, 0)), (w[:0], (64, 0))])
    assert found.complete
    assert engine.program(w[:, :0], origin=(0, 64), survey=found).shape == (64, 0)
    assert joined(functools.partial(engine.survey_weights, shape=w.shape), [(w[:0], (0, 0)), (w, (0, 0))]) == found


def test_a_survey_of_some_blocks_serves_parts_in_them(rng):
    engine = Engine(inputs=Format(granularity="per-row"), seed=1)
    x, w = rng.standard_normal((8, 128)), rng.standard_normal((128, 3))
    some = [engine.survey_inputs(x[2:4, k : k + 64], shape=x.shape, origin=(2, k)) for k in (0, 64)]
    W = engine.program(w[64:], origin=(64, 0))
    whole = engine.survey_inputs(x, shape=x.shape)
    found = W.read(x[2:4, 64:], read=0, first_row=2, survey=some[0] | some[1])
    assert same_bits(found, W.read(x[2:4, 64:], read=0, first_row=2, survey=whole))
    assert same_bits(found[0], W.read(x[2, 64:], read=0, first_row=2, survey=whole))
    lacking = r"lacks rows 2 to 4 and columns 0 to 64, which share scales with this part: survey all parts"
    with pytest.raises(ValueError, match=lacking):
        W.read(x[2:4, 64:], read=0, first_row=2, survey=some[1])


ENGINE = Engine(weights=Format(granularity="per-matrix"), inputs=Format(granularity="per-matrix"), seed=1)
DOUBLES = Engine(weights=Format(granularity="per-matrix", **DOUBLE), seed=1)
W = np.arange(1.0, 129).reshape(64, 2)
OF_W, OF_X = ENGINE.survey_weights(W, shape=(128, 2)), ENGINE.survey_inputs(W.T, shape=(4, 64))
FIRST = DOUBLES.survey_weights(W, shape=(64, 2))
SECOND = DOUBLES.survey_weights(W, shape=(64, 2), after=FIRST)
THIRD = DOUBLES.survey_weights(W, shape=(64, 2), after=SECOND)


REFUSALS = [
    (lambda: ENGINE.program(W, survey=3), TypeError, r"survey=3 must be a Survey, as engine.survey_weights returns it"),
    (
        lambda: ENGINE.program(W, survey=OF_X),
        ValueError,
        r"survey= is of inputs of shape \(4, 64\) .*, but these are w",
    ),
    (
        lambda: ENGINE.program(W, shape=(64, 2), survey=OF_W),
        ValueError,
        r"is of weights of shape \(128, 2\).*\(64, 2\)",
    ),
    (
        lambda: DOUBLES.program(W, survey=OF_W),
        ValueError,
        r"Format\(granularity='per-matrix'\).*but these are.*bw_e=5.*: survey the operand",
    ),
    (
        lambda: ENGINE.replace(tile={"rows": 32}).program(W, survey=OF_W),
        ValueError,
        r"tiles of 64 rows, but these are .*tiles of 32 rows",
    ),
    (
        lambda: ENGINE.program(W, survey=OF_W),
        ValueError,
        r"the survey of the weights lacks rows 64 to 128 and columns 0 to",
    ),
    (
        lambda: ENGINE.program(W, origin=(128, 0), survey=OF_W),
        ValueError,
        r"shape \(64, 2\) at origin=\(128, 0\) does not",
    ),
    (lambda: ENGINE.program(W, shape=(63, 2)), ValueError, r"does not lie inside a whole of shape=\(63, 2\)"),
    (lambda: ENGINE.program(W, shape=3), TypeError, r"shape=3 must be two whole numbers"),
    (lambda: ENGINE.survey_weights(W, shape=(64, 1)), ValueError, r"does not lie inside a whole of shape=\(64, 1\)"),
    (lambda: ENGINE.survey_weights(W[0], shape=(64, 1)), ValueError, r"w has shape \(2,\): weights are one matrix"),
    (lambda: ENGINE.survey_inputs(W[None], shape=(64, 2)), ValueError, r"x has shape \(1, 64, 2\): a survey is of one"),
    (lambda: ENGINE.survey_weights(W * np.nan, shape=(64, 2)), ValueError, r"w holds a NaN|w .*nan"),
    (
        lambda: ENGINE.survey_weights(W, shape=(128, 2), after=OF_W),
        ValueError,
        r"after= is of round 1, the last one of F",
    ),
    (lambda: DOUBLES.survey_weights(W, shape=(64, 2), after=3), TypeError, r"after=3 must be a Survey"),
    (
        lambda: DOUBLES.survey_weights(W, shape=(64, 3), after=FIRST),
        ValueError,
        r"after= is of weights of shape \(64, 2\)",
    ),
    (
        lambda: DOUBLES.program(W, survey=FIRST),
        ValueError,
        r"survey= is of round 1 of 3: survey all parts again, engine.su",
    ),
    (
        lambda: FIRST | SECOND,
        ValueError,
        r"surveys of rounds 1 and 2 do not add up: survey all parts with the same after",
    ),
    (
        lambda: SECOND | SECOND,
        ValueError,
        r"rows 0 to 64 and columns 0 to 2 .* overlap: sums of a double exponent would",
    ),
    (lambda: FIRST | OF_W, ValueError, r"surveys of two operands do not add up: weights of shape \(64, 2\)"),
    (lambda: FIRST | 3, TypeError, r"unsupported operand"),
    (
        lambda: THIRD | joined(functools.partial(DOUBLES.survey_weights, shape=(64, 2)), [(2 * W, (0, 0))]),
        ValueError,
        r"had other maxima in the first round",
    ),
    (
        lambda: DOUBLES.survey_weights(W[:, :1], shape=(64, 2), after=DOUBLES.survey_weights(W[:, :1], shape=(64, 2))),
        ValueError,
        r"lacks rows 0 to 64 and columns 1 to 2, which share scales with this part",
    ),
    (
        lambda: ENGINE.program(np.eye(64)).read(W.T, survey=OF_W),
        ValueError,
        r"survey= is of weights .*, but these are in",
    ),
    (
        lambda: ENGINE.program(np.eye(64)).read(W.T[None], survey=ENGINE.survey_inputs(W.T, shape=(2, 64))),
        ValueError,
        r"x has shape \(1, 2, 64\), and survey= is of one matrix of inputs, \(M, K\): read one at a time",
    ),
    (
        lambda: ENGINE.replace(weights=Format()).program(np.eye(64), shape=(128, 64)).read(W.T, survey=OF_X),
        ValueError,
        r"is of inputs of shape \(4, 64\).*, but these are inputs of shape \(4, 128\)",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSALS)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_row_mode_has_no_surveys():
    engine = Engine(seed=1)
    engine.input_size = (1, 64)
    with pytest.raises(ValueError, match="in row mode SlicedData encodes inputs, and takes no survey"):
        engine.survey_inputs(np.ones((2, 64)), shape=(2, 64))


def test_a_report_knows_the_weights_of_a_part(rng):
    engine = Engine(Device(var=0.05), weights=Format(granularity="per-matrix"), seed=1)
    w = rng.standard_normal((128, 4))
    found = joined(functools.partial(engine.survey_weights, shape=w.shape), [(w, (0, 0))])
    part = engine.program(w[64:], origin=(64, 0), survey=found)
    assert "weight quantisation" in str(part.report(w=w[64:]))
    with pytest.raises(ValueError, match="w is not what was programmed"):
        part.report(w=w[:64])


def test_a_saved_part_stays_a_part(rng, tmp_path):
    engine = Engine(weights=Format(granularity=(128, 6)), inputs=Format(granularity="per-row"), seed=1)
    w = rng.standard_normal((256, 16))
    found = joined(functools.partial(engine.survey_weights, shape=w.shape), [(w, (0, 0))])
    for at, part in (((64, 5), w[64:, 5:]), ((0, 0), w[:192])):
        matrix = engine.program(part, origin=at, survey=found)
        matrix.save(tmp_path / "part.npz")
        for other in (load(tmp_path / "part.npz"), pickle.loads(pickle.dumps(matrix)), matrix.in_stream("a")):
            assert same_bits(other.decoded(), w_of(engine, w)[at[0] : at[0] + part.shape[0], at[1] :])
            with pytest.raises(ValueError, match="gives one scale to inputs of this part"):
                other.read(np.ones(192))


def w_of(engine, w):
    return engine.program(w).decoded()


# parts age by the ratio of the whole


AGES = [
    Device(drift=Drift(0.05, 0.02), write_var=0.05),
    Device(var=0, drift=Drift(0.1)),
    Device(relaxation=Relaxation([1, 1e8], [1e-7, 4e-7])),
]


@pytest.mark.parametrize("device", AGES, ids=["drift", "plain drift", "relaxation"])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_parts_age_by_the_ratio_of_the_whole(rng, device, kind):
    engine = Engine(device, tile=Tile(16, 8), seed=1)
    w, x = rng.standard_normal((2, 64, 10))
    w, x = (w + 1j * rng.standard_normal(w.shape) if kind == "complex" else w), x.T
    cols = [(0, 10)] if kind == "complex" else [(0, 3), (3, 10)]
    places = [(slice(*rows), slice(*some)) for rows in ((0, 32), (32, 64)) for some in cols]
    parts = [engine.program(w[at], origin=(at[0].start, at[1].start), shape=w.shape) for at in places]
    before, after = map(sum, zip(*(part.totals("30 d") for part in parts), strict=True))
    whole = engine.program(w)
    assert whole.totals("30 d") == (before, after)
    aged = whole.at("30 d", compensate=True)
    assert before / after == aged.age.ratio != 1.0
    for at, part in zip(places, parts, strict=True):
        old = part.at("30 d", compensate=before / after)
        assert old.age == aged.age
        # only this part's rows drive the whole
        drive = np.zeros_like(x)
        drive[:, at[0]] = x[:, at[0]]
        assert np.array_equal(old.read(x[:, at[0]], read=0), aged.read(drive, read=0)[:, at[1]])


def test_columns_of_an_aged_matrix_have_its_bits(rng):
    engine = Engine(Device(drift=Drift(0.05, 0.02)), tile=Tile(16, 8), seed=1)
    w, x = rng.standard_normal((64, 10)), rng.standard_normal((3, 64))
    parts = [engine.program(w[:, a:b], origin=(0, a)) for a, b in ((0, 3), (3, 10))]
    before, after = map(sum, zip(*(part.totals("30 d") for part in parts), strict=True))
    found = [part.at("30 d", compensate=before / after).read(x, read=0) for part in parts]
    assert same_bits(np.concatenate(found, axis=1), engine.program(w).at("30 d", compensate=True).read(x, read=0))


def test_a_part_has_no_ratio_of_its_own(rng):
    engine, w = Engine(Device(drift=Drift(0.05, 0.02)), seed=1), rng.standard_normal((128, 4))
    for part in (engine.program(w[64:], origin=(64, 0)), engine.program(w[:64], shape=w.shape)):
        with pytest.raises(
            ValueError,
            match=r"^compensate=True would take the ratio of this part at \(\d+, 0\) of a larger matrix alone: add up "
            r"before, after = W.totals\(t\) of all parts, give each compensate=before / after$",
        ):
            part.at("2 h").at("1 d", compensate=True)
        assert part.at("1 d").age.ratio != 1.0
    W = engine.program(w, shape=w.shape)
    assert W.at("1 d", compensate=True).age == engine.program(w).at("1 d", compensate=True).age
    for wrong, error in ((0.0, ValueError), (-1.0, ValueError), (float("nan"), ValueError), (2, TypeError)):
        with pytest.raises(error, match=r"^compensate="):
            W.at("1 d", compensate=wrong)
    with pytest.raises(ValueError, match="time changes nothing"):
        Engine(seed=1).program(w).totals("1 d")
    assert engine.program(w[:0]).totals("1 d") == (0, 0)


def test_a_report_of_a_part_keeps_the_ratio_of_the_whole(rng):
    engine, w = Engine(Device(var=0, drift=Drift(0.2, 0.1)), adc=ADC(None), seed=1), rng.standard_normal((64, 8))
    W = engine.program(w)
    own = W.at("1 y", compensate=True)
    assert str(own.report()) == str(W.at("1 y", compensate=own.age.ratio).report())
    wide = W.at("1 y", compensate=1.5 * own.age.ratio).report()
    assert wide.snr_dB < own.report().snr_dB - 3
    without = [{each.name: each.without_dB for each in of.effects}["drift"] for of in (own.report(), wide)]
    assert without[0] == without[1]


# drawn


NUMBERS = st.sampled_from([1.0, 1.0, 1e-12, 1e12])


@st.composite
def cut_operands(draw):
    """A configuration, operands, and cuts of both along all axes, some of them inside tiles and blocks."""
    rows = draw(st.integers(1, 3))
    formats = []
    for weight in (False, True):
        bw_e = draw(st.sampled_from([None, 3, 8]))
        double = bw_e is not None and draw(st.booleans())
        block = (rows * draw(st.integers(1, 5)), draw(st.integers(1, 4)))
        names = ["finest", "per-matrix", "per-col" if weight else "per-row", block if weight else block[::-1]]
        formats.append(Format((1, 1, 2), bw_e=bw_e, double=double, granularity=draw(st.sampled_from(names))))
    shape = [draw(st.integers(1, 5)), draw(st.integers(1, 40)), draw(st.integers(1, 5))]
    dtype, seed = draw(st.sampled_from(["float32", "float64"])), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    x, w = (
        (rng.standard_normal(size) * 10.0 ** rng.integers(-2, 3, size) * draw(NUMBERS)).astype(dtype)
        for size in (shape[:2], shape[1:])
    )
    w[rng.random(w.shape) < draw(st.sampled_from([0.0, 0.5, 1.0]))] = 0
    measured = [sorted(draw(st.sets(st.integers(0, size), max_size=3))) for size in shape]
    step = (1, PANEL // ROWS * rows, 1)  # products of parts are added panel by panel
    used = [
        sorted({cut // s * s for cut in draw(st.sets(st.integers(0, n), max_size=3))})
        for n, s in zip(shape, step, strict=True)
    ]
    return Tile(rows, 4), formats, (x, w), measured, used


@given(cut_operands(), runners())
@settings(max_examples=examples(40))
def test_parts_with_surveys_are_parts_of_the_whole(case, chosen):
    tile, (inputs, weights), (x, w), measured, used = case
    for _, make, backend in chosen:
        engine = Engine(Device(var=0.05), DAC(vnoise=0.01), ADC(256), tile, inputs, weights, seed=3, backend=backend)
        whole = engine.program(make(w))
        found = surveys(engine, make(x), make(w), measured)
        assert found == surveys(Engine.from_config(engine.config, seed=3), x, w, [*measured[:1], [], []])
        cells = np.asarray(whole.conductance())
        for (a, b), (c, d) in itertools.product(spans(used[1], w.shape[0]), spans(used[2], w.shape[1])):
            part = engine.program(make(w[a:b, c:d]), origin=(a, c), survey=found[1])
            assert same_bits(part.codes(), np.asarray(whole.codes())[..., a:b, c:d])
            assert same_bits(part.decoded(), np.asarray(whole.decoded())[a:b, c:d])
            assert same_bits(part.conductance(), cells[..., a:b, c:d])
        y = np.asarray(whole.read(make(x), read=0))
        assert same_bits(cut_product(engine, x, w, used, found, make=make), y)


# complex operands, and tensors with gradients


def test_complex_parts_have_the_scales_of_the_whole(rng):
    fine = {"bw_e": 6, "double": True}
    engine = Engine(
        Device(var=0.05),
        tile=Tile(ROWS, 4),
        inputs=Format(granularity="per-matrix", **fine),
        weights=Format(granularity=(K, 3), **fine),
        seed=3,
    )
    (x, ix), (w, iw) = rng.standard_normal((2, M, K)), rng.standard_normal((2, K, N))
    x, w = x + 10j * ix, w + 1j * iw
    whole = engine.program(w).read(x, read=0)
    cuts = (3,), (32, 64), ()
    of_x, of_w = surveys(engine, x, w, cuts)
    assert (of_x.of.shape, of_w.of.shape) == ((2 * M, K), (K, 2 * N))
    total = Partial()
    for a, b in spans(cuts[1], K):
        part = engine.program(w[a:b], origin=(a, 0), shape=w.shape, survey=of_w)
        part.read(x[:, a:b], read=0, survey=of_x, into=total)
        with pytest.raises(ValueError, match="gives one scale to elements of this part"):
            engine.program(w[a:b], shape=w.shape, origin=(a, 0))
    assert same_bits(total.result(), whole)
    # some rows: real and imaginary parts apart
    V = engine.program(w)
    y = V.parts.read(x.real[2:4], read=0, first_row=2, survey=of_x)
    iy = V.parts.read(x.imag[2:4], read=0, first_row=M + 2, survey=of_x)
    assert same_bits(y[:, :N] - iy[:, N:], whole.real[2:4])
    for rows in (slice(2, 4), slice(0, 2)):
        with pytest.raises(ValueError, match=r"these are 2 complex rows from \d on: read x.real and x.imag apart"):
            V.read(x[rows], read=0, first_row=rows.start, survey=of_x)
    assert same_bits(V.read(x, read=0, survey=of_x), whole)


def test_complex_rows_that_share_scales_are_not_cut(rng):
    x, w = rng.standard_normal((8, 4)) + 1j, np.eye(4)
    for weights in (w, w + 1j):
        V = Engine(inputs=Format(granularity=(2, 64)), seed=1).program(weights)
        with pytest.raises(
            ValueError, match=r"scale to several rows, and first_row=2 to complex inputs: read x.real and"
        ):
            V.read(x[2:], read=0, first_row=2)
        V = Engine(seed=1).program(weights)
        assert same_bits(V.read(x[2:], read=0, first_row=2), V.read(x, read=0)[2:])
        V = Engine(dac=DAC(vnoise=0.01), seed=1).program(weights)
        with pytest.raises(
            ValueError, match=r"vnoise draws by rows, and first_row=2 is one of complex inputs: read x.re"
        ):
            V.read(x[2:], read=0, first_row=2)


def test_complex_columns_are_not_cut():
    engine, w = Engine(seed=1), np.ones((4, 3)) * 1j
    for call in (engine.program, engine.survey_weights):
        with pytest.raises(
            ValueError, match=r"of shape \(4, 3\) are some columns of a matrix of shape=\(4, 6\), whose"
        ):
            call(w, shape=(4, 6))


def test_a_survey_has_no_gradient():
    torch = pytest.importorskip("torch")
    w = torch.eye(64, dtype=torch.float64)
    of_w = ENGINE.survey_weights(w.clone().requires_grad_(), shape=(64, 64))
    of_x = ENGINE.survey_inputs(w.clone().requires_grad_(), shape=(64, 64))
    with pytest.raises(TypeError, match=r"a part with a survey has no gradient: give program\(w.detach\(\), survey=\)"):
        ENGINE.program(w.clone().requires_grad_(), survey=of_w)
    V = ENGINE.program(w, survey=of_w)
    with pytest.raises(
        TypeError, match=r"one with a survey has no gradient: detach its operands, or use torch.no_grad"
    ):
        V.read(w.clone().requires_grad_(), survey=of_x)
    with torch.no_grad():
        assert torch.equal(V.read(w.clone().requires_grad_(), 0, survey=of_x), V.read(w, 0))


def test_a_part_of_a_matrix_that_could_not_be_written_is_refused():
    # blocks that end inside a tile reach to the end of the matrix: no part lies behind them
    engine = Engine(tile=Tile(ROWS, 4), weights=Format(granularity=(33, 1)), seed=1)
    assert engine.program(np.ones((20, 2))).shape == (20, 2)
    with pytest.raises(ValueError, match=r"one scale to elements of this part.*or cut through no rows$"):
        engine.program(np.ones((20, 2)), origin=(66, 0))


def test_parts_of_numbers_near_the_ends_of_float64_have_the_bits_of_the_whole(rng):
    # a power of two is split off all scales of an operand alike, where some would leave the range
    engine = Engine(weights=Format(granularity="per-col"), seed=1)
    w = rng.standard_normal((192, 4)) * np.array([1e-320, 1e-310, 1.0, 1e300])
    x, found = rng.standard_normal((3, 192)), engine.survey_weights(w, shape=w.shape)
    whole = engine.program(w).read(x, read=0)
    parts = [engine.program(w[:, a:b], origin=(0, a), survey=found) for a, b in ((0, 2), (2, 4))]
    assert same_bits(np.concatenate([part.read(x, read=0) for part in parts], axis=1), whole)
