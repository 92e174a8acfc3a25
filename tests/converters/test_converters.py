"""What ADCs cover, step by step, and what they add of their own: against the laws, the addresses and theory."""

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from libraries import RUNNERS, plain_reading, same_bits, sampled
from oracle import word
from scipy import stats

from mpimpy import (
    ADC,
    DAC,
    SNR,
    Config,
    Device,
    Engine,
    Format,
    Ranges,
    Tile,
    Wires,
    converters,
    explain,
    noise,
    wires,
)
from mpimpy.backends import reference
from mpimpy.backends.cpu import numba_cpu
from mpimpy.crossbar import plan as plans
from mpimpy.crossbar import product

ONE = Format((1, 1), granularity="per-matrix", mapping="signed")  # codes -1, 0, 1: one digit, one pair of slices
ROWS = 8


def bare(adc, **given):
    """An engine without any error but the ADC's, of which every product is a code."""
    return Engine(Device(var=0), adc=adc, tile=Tile(ROWS, 32), inputs=ONE, weights=ONE, **{"seed": 5, **given})


def weights(count, cols, *, tiles=1):
    """`count` ones in each column but the last, whose ones set the scale, below which zeros follow."""
    w = np.zeros((ROWS * tiles, cols + 1))
    w[:count] = 1.0
    w[0, -1] = 1.0
    return w


def codes_of(engine, w, *, height=1, read=0, **program):
    """Codes of the ADCs: shape (height, columns), of all-ones inputs."""
    y = engine.program(w, **program).read(np.ones((height, w.shape[0])), read=read)
    return (y / plans.plan(engine.config).sum_scale)[:, :-1]


def smooth(codes):
    return (codes + np.random.default_rng(0).uniform(-0.5, 0.5, codes.shape)).ravel()


def errors_of(engine, read=0, first_row=0, origin=(0, 0)):
    steps = plans.plan(engine.config).reading.adc_gain
    place = noise.Address(engine.seed, engine.chip, read, 0, *origin)
    return converters.errors(engine.config, steps, place, first_row)


def seen(engine, shape, *, tile=0, j=0, i=0, current=0, **place):
    """What the ADCs make of currents that are all the same, in LSB."""
    found = errors_of(engine, **place)
    value = reference.disturb(np, np.full(shape, float(current)), found, tile, j, i, reference.perturb)
    return (value - current) * float(plans.plan(engine.config).reading.adc_gain[j][i])


# -- noise ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rms", [0.5, 8.0, 64.0])
@pytest.mark.parametrize("count", [0, 3])
def test_noise_is_gaussian_of_that_many_steps(rms, count):
    w = weights(count, 400)
    codes = codes_of(bare(ADC(4097, noise_lsb=rms)), w, height=50)
    quiet = codes_of(bare(ADC(4097)), w, height=50)
    assert np.all(quiet == 4096 * count / ROWS)
    noise = codes - quiet
    assert np.all(noise == np.round(noise))
    whole = np.arange(-5 * math.ceil(rms), 5 * math.ceil(rms) + 1)
    share = stats.norm(0, rms).cdf(whole + 0.5) - stats.norm(0, rms).cdf(whole - 0.5)
    n, spread = noise.size, math.sqrt(np.sum(share * whole**2))  # rounding adds about 1 / 12
    assert abs(noise.mean()) < 5 * spread / math.sqrt(n)
    assert abs(noise.std() / spread - 1) < 5 / math.sqrt(2 * n)
    if rms >= 8:
        assert stats.kstest(smooth(noise), stats.norm(0, rms).cdf).pvalue > 1e-3
    else:
        edges = np.array([-np.inf, -1.5, -0.5, 0.5, 1.5, np.inf])
        found, _ = np.histogram(noise, edges)
        assert stats.chisquare(found, np.diff(stats.norm(0, rms).cdf(edges)) * n).pvalue > 1e-3


def test_noise_is_in_steps_of_each_slices_own_code():
    # steps differ by weight slice and by range: noise in codes does not
    config = {"weights": Format((1, 2)), "inputs": Format((1, 3))}
    for adc in (
        ADC((1000, 50), noise_lsb=4, offset_lsb=4),
        ADC(200, noise_lsb=4, range=1e-6),
        ADC(range="lossless", noise_lsb=4, offset_lsb=4),
        ADC(200, noise_lsb=4, range=Ranges([[0, 0], [0, 0]], [[1e-5, 1e-6], [2e-5, 3e-6]])),
    ):
        engine = Engine(Device(var=0), adc=adc, seed=1, **config)
        quiet = engine.replace(adc={"offset_lsb": 0.0})
        for j, i in itertools.product(range(2), repeat=2):
            assert seen(quiet, (50, 400), j=j, i=i).std() == pytest.approx(4, rel=0.03)


def test_noise_of_a_product_adds_up_over_slices_and_tiles(rng):
    x, w = np.ones((200, 128)), np.ones((128, 200))
    engine = Engine(Device(var=0), adc=ADC(4096, noise_lsb=3, saturate=False), seed=2)
    plan = plans.plan(engine.config)
    quiet = engine.replace(adc={"noise_lsb": 0.0})
    found = (engine(x, w) - quiet(x, w)) * 127 * 127
    expected = (
        math.sqrt(2 * (3**2 + 1 / 12) * sum(weight**2 for row in plan.reading.shift_weights for weight in row))
        * plan.sum_scale
    )
    assert found.std() == pytest.approx(expected, rel=0.03)


def test_noise_is_independent_between_all_conversions():
    engine = Engine(
        Device(var=0), adc=ADC(noise_lsb=2), inputs=Format((1, 2, 3)), weights=Format((1, 3)), chip=3, seed=1
    )
    shape = (64, 120)
    samples = [seen(engine, shape, tile=t, j=j, i=i) for t in range(2) for j in range(2) for i in range(3)]
    samples.append(seen(engine, shape, read=1))
    samples.append(seen(engine, shape, first_row=64))
    samples.append(seen(engine, shape, origin=(0, 120)))
    for other in ({"seed": 2}, {"chip": 4}):
        changed = Engine.from_config(engine.config, **{"seed": 1, "chip": 3, **other})
        samples.append(seen(changed, shape))
    for a, b in itertools.combinations(samples, 2):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / math.sqrt(a.size)
    first = samples[0]
    for shift in ((1, 0), (0, 1), (0, 8), (3, 1)):
        assert abs(np.corrcoef(first.ravel(), np.roll(first, shift, (0, 1)).ravel())[0, 1]) < 5 / math.sqrt(first.size)


def test_planes_of_a_double_exponent_have_conversions_of_their_own(monkeypatch):
    fmt = Format((1, 1, 2), bw_e=8, double=True)
    engine = Engine(Device(var=0), adc=ADC(noise_lsb=1), inputs=fmt, weights=fmt, seed=1, backend="reference")
    drawn = []
    true = noise.words

    def note(xp, address, index, shape, device=None):
        if address.purpose == noise.ADC_NOISE:
            drawn.append((address.chip >> 20, address.row))
        return true(xp, address, index, shape, device)

    monkeypatch.setattr(noise, "words", note)
    engine(np.arange(1.0, 71).reshape(1, 70), np.arange(1.0, 71).reshape(70, 1))
    pairs = [number for number, row in drawn if row == 0]
    assert sorted(pairs) == list(range(36))
    assert len(set(drawn)) == len(drawn) == 72


# -- offset and gain -----------------------------------------------------------------------------


def test_offsets_add_and_gains_multiply():
    cols, sizes = 3000, (0, 2, 5)
    offsets = [codes_of(bare(ADC(2**16, offset_lsb=20)), weights(count, cols))[0] for count in sizes]
    steps = [round(65535 * count / ROWS) for count in sizes]
    for found, count in zip(offsets, steps, strict=True):
        assert np.max(np.abs((found - count) - offsets[0])) <= 1
    assert stats.kstest(smooth(offsets[0]), stats.norm(0, 20).cdf).pvalue > 1e-3
    assert offsets[0].std() == pytest.approx(20, rel=5 / math.sqrt(2 * cols))

    gains = [codes_of(bare(ADC(2**16, gain_error=0.02)), weights(count, cols))[0] for count in sizes]
    assert np.all(gains[0] == 0)
    factor = gains[2] / steps[2]
    assert np.max(np.abs(gains[1] / steps[1] - factor)) < 2 / steps[1]
    assert stats.kstest(factor, stats.norm(1, 0.02).cdf).pvalue > 1e-3
    assert factor.std() == pytest.approx(0.02, rel=5 / math.sqrt(2 * cols))

    # an offset is added behind the gain, which leaves it alone
    both = codes_of(bare(ADC(2**16, offset_lsb=20, gain_error=0.02)), weights(5, cols))[0]
    assert np.max(np.abs(both - gains[2] - offsets[0])) <= 1
    assert abs(np.corrcoef(gains[2], offsets[0])[0, 1]) < 5 / math.sqrt(cols)


@pytest.mark.parametrize("errors", [{"offset_lsb": 5.0}, {"gain_error": 0.05}])
def test_offset_and_gain_are_frozen_on_a_chip(errors):
    w, engine = weights(5, 500), bare(ADC(4096, **errors))
    one = codes_of(engine, w, height=7)
    assert np.all(one == one[0])  # every input row
    assert same_bits(codes_of(engine, w, height=7, read=9), one)
    assert same_bits(codes_of(bare(ADC(4096, **errors)), w, height=7), one)
    chips = [codes_of(engine, w, chip=chip)[0] for chip in range(3)] + [
        codes_of(bare(ADC(4096, **errors), seed=6), w)[0]
    ]
    for a, b in itertools.combinations(chips, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(a.size)


@pytest.mark.parametrize("errors", [{"offset_lsb": 5.0}, {"gain_error": 0.05}])
def test_every_column_and_array_has_a_converter_of_its_own(errors):
    engine = Engine(Device(var=0), adc=ADC(4096, **errors), inputs=Format((1, 2, 3)), weights=Format((1, 2, 2)), seed=1)
    current = 100_000
    arrays = [
        seen(engine, (3, 2000), tile=tile, j=j, current=current)[0]
        / float(plans.plan(engine.config).reading.adc_gain[j][0])
        for tile in range(2)
        for j in range(3)
    ]
    for a, b in itertools.combinations(arrays, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(a.size)
    assert np.std(arrays[0]) > 10
    # the input slices of an array go through the same one, and so do all rows
    for i in range(3):
        again = seen(engine, (3, 2000), i=i, current=current)
        assert np.all(again == again[0])
        assert same_bits(again[0], seen(engine, (3, 2000), current=current)[0])


def test_addresses_and_rounding_are_those_that_are_written_down():
    engine = Engine(
        Device(var=0),
        adc=ADC((300, 77, 256), noise_lsb=1.5, offset_lsb=2.5, gain_error=0.05),
        tile=Tile(16, 16),
        inputs=Format((1, 3)),
        weights=Format((1, 2, 2)),
        seed=2**40 + 7,
        chip=9,
    )
    plan = plans.plan(engine.config)
    found = errors_of(engine, read=4, first_row=11, origin=(48, 5))
    current = np.array([[12345.0, -777.0, 0.0], [-1.0, 1.0, 2.0**29]])
    normal, gain = (noise.table_values(table) for table in (noise.normal_table(), noise.gaussian_table(0.05)))
    for tile, j, i in itertools.product(range(2), range(3), range(2)):
        value = reference.disturb(np, current, found, tile, j, i, numba_cpu.perturb)
        step, row = plan.reading.adc_gain[j][i], 48 // 16 + tile
        for m, n in itertools.product(range(2), range(3)):
            expected = int(current[m, n])
            expected = (expected * gain[word(engine.seed, 9, 0, 7, j, row, 5 + n)] + 2**15) >> 16
            expected += (normal[word(engine.seed, 9, 0, 8, j, row, 5 + n)] * round(2.5 / step * 256) + 2**23) >> 24
            place = row * 2**22 + 11 + m
            sigma = round(1.5 / step * 256)
            expected += (normal[word(engine.seed, 9, 4, 9, j * 2 + i, place, 5 + n)] * sigma + 2**23) >> 24
            assert value[m, n] == expected


ALL = {"noise_lsb": 0.7, "offset_lsb": 1.5, "gain_error": 0.02}


@pytest.mark.slow
@pytest.mark.parametrize("runner", RUNNERS)
def test_errors_do_not_depend_on_the_cut_or_the_backend(rng, runner):
    make, backend = RUNNERS[runner]
    x, w = rng.standard_normal((12, 40)), rng.standard_normal((40, 21))
    config = Config(Device(var=0.05), DAC(vnoise=0.02), ADC(**ALL), Tile(16, 8))
    whole = Engine.from_config(config, seed=1, chip=2).program(w).read(x, read=3)
    engine = Engine.from_config(config, seed=1, chip=2, backend=backend)
    for columns, rows in ((slice(0, 21), slice(0, 12)), (slice(5, 21), slice(0, 7)), (slice(3, 4), slice(7, 12))):
        part = engine.program(make(w[:, columns]), origin=(0, columns.start))
        y = np.asarray(part.read(make(x[rows]), read=3, first_row=rows.start))
        assert same_bits(y, np.ascontiguousarray(whole[rows, columns]))


def test_few_rows_read_in_blocks_of_columns_have_the_same_errors(rng, monkeypatch):
    x, w = rng.standard_normal((3, 64)), rng.standard_normal((64, 300))
    engine = Engine(adc=ADC(**ALL), seed=1)
    whole = engine.program(w).read(x, read=0)
    monkeypatch.setattr(numba_cpu, "STREAM", 1)
    assert len(product.column_spans(numba_cpu, engine.config, plans.plan(engine.config), 3, (4, 64, 300))) == 3
    assert same_bits(engine.program(w).read(x, read=0), whole)


@pytest.mark.parametrize("off", [*ALL, None])
def test_an_error_that_is_off_draws_nothing(monkeypatch, rng, off):
    x, w = rng.standard_normal((4, 64)), rng.standard_normal((64, 4))
    purposes = {"gain_error": noise.ADC_GAIN, "offset_lsb": noise.ADC_OFFSET, "noise_lsb": noise.ADC_NOISE}
    drawn, true = set(), noise.words

    def note(xp, address, *rest):
        drawn.add(address.purpose)
        return true(xp, address, *rest)

    monkeypatch.setattr(noise, "words", note)
    errors = {name: value for name, value in ALL.items() if off is not None and name != off}
    engine = Engine(Device(var=0), adc=ADC(**errors), seed=1, backend="reference")
    if off is None:
        # nor is there a table, or anything to come in between
        for name in ("gaussian_table", "normal_table"):
            monkeypatch.setattr(noise, name, lambda *_: pytest.fail("made a table"))
        monkeypatch.setattr(reference._read, "disturb", lambda *_: pytest.fail("disturbed a current"))
        assert errors_of(engine) is None
    engine(x, w)
    assert drawn == {purposes[name] for name in errors}


def test_noise_says_where_its_addresses_end():
    finest = {"inputs": Format(), "weights": Format()}  # a part shares no scale
    engine, w = bare(ADC(noise_lsb=1)).replace(**finest), weights(1, 3)
    matrix, x = engine.program(w), np.ones((2, ROWS))
    matrix.read(x, first_row=2**22 - 2)
    with pytest.raises(
        ValueError,
        match=r"^4194305 input rows are more than ADC noise has addresses for in one read, 4194304: give the",
    ):
        matrix.read(x, first_row=2**22 - 1)
    engine.program(w, origin=(1023 * ROWS, 0)).read(x)
    many = [Format((1,) * bits) for bits in (16, 17)]
    x, w = np.ones((1, 4)), np.ones((4, 1))
    Engine(adc=ADC(noise_lsb=1), inputs=many[0], weights=many[0], seed=1)(x, w)
    seventeen = Engine(adc=ADC(noise_lsb=1), inputs=many[0], weights=many[1], seed=1)
    with pytest.raises(
        ValueError, match=r"^272 pairs of slices are more than ADC noise has addresses for, 256: use formats"
    ):
        seventeen(x, w)
    double = Format((1,) * 9, bw_e=8, double=True)
    with pytest.raises(ValueError, match=r"^324 pairs of slices"):
        Engine(adc=ADC(noise_lsb=1), inputs=double, weights=double, seed=1)(x, w)
    # what is frozen has an address for every column and array
    frozen = bare(ADC(offset_lsb=1, gain_error=0.1)).replace(**finest)
    frozen.program(weights(1, 3), origin=(1024 * ROWS, 0)).read(np.ones((2, ROWS)), first_row=2**22)


def every_entry(zeros, *_):
    """Stands for `perturb`: each normal number once, which is all that a conversion may see."""
    return zeros + np.asarray(noise.table_values(noise.normal_table()))[None, None, :]


def test_amplitudes_keep_eight_bits_more_than_currents():
    # currents of 47.33 units: 1.6 % less would be wrong codes of 0.00626, not 0.00663
    engine = bare(ADC(256, noise_lsb=0.1849, saturate=False))
    steps = plans.plan(engine.config).reading.adc_gain
    found = dataclasses.replace(errors_of(engine), noise=((round(0.1849 * 256 * 2**8),),))
    assert errors_of(engine).noise == ((round(0.1849 / steps[0][0] * 2**8),),)
    rms = 0.1849 * 256
    seen = reference.disturb(np, np.zeros((1, 2**16)), found, 0, 0, 0, every_entry)
    assert math.sqrt(np.mean(seen**2) - 1 / 12) == pytest.approx(rms, rel=2e-4)
    assert np.mean(np.abs(seen) > 128) == pytest.approx(2 * stats.norm.sf(128.5 / rms), rel=0.01)
    # and as they are drawn, 2**21 conversions at a step of 256 units
    drawn = reference.disturb(np, np.zeros((2**11, 2**10)), found, 0, 0, 0, numba_cpu.perturb)
    wrong = np.count_nonzero(np.rint(drawn / 256))
    expected = 2 * stats.norm.sf(128.5 / rms) * drawn.size
    assert abs(wrong - expected) < 4 * math.sqrt(expected)
    assert abs(wrong - 2 * stats.norm.sf(128.5 / 47) * drawn.size) > 4 * math.sqrt(expected)


def test_amplitudes_of_any_size_stay_exact():
    values = noise.table_values(noise.normal_table())
    for sigma in (1, 2**23, 2**24 - 1, 2**24, 2**40 + 12345, 2**57):
        found = dataclasses.replace(errors_of(bare(ADC(256, noise_lsb=1))), noise=((sigma,),))
        seen = reference.disturb(np, np.zeros((1, 2**16)), found, 0, 0, 0, every_entry)[0]
        assert all(int(a) == (z * sigma + 2**23) >> 24 for a, z in zip(seen[::97], values[::97], strict=True))


@pytest.mark.parametrize("name", ["noise_lsb", "offset_lsb"])
@pytest.mark.filterwarnings("ignore:range=.* is odd")
def test_errors_that_pass_the_currents_are_refused(name):
    plans.plan(Config(adc=ADC(2, range=20.0, **{name: 64})))
    message = (
        rf"^{name}=64 LSB is 1\.49e\+22 units of current, more than the 5\.63e\+14 in which currents stay exact: use"
    )
    with pytest.raises(ValueError, match=message):
        plans.plan(Config(adc=ADC(2, range=1e9, **{name: 64})))


@pytest.mark.parametrize("name", ["noise_lsb", "offset_lsb"])
def test_errors_that_the_grid_would_lose_are_refused(name):
    message = rf"^{name}=0.3 LSB is less than the grid of the currents shows, 1.14 LSB: use fewer codes \(radc\), or"
    with pytest.raises(ValueError, match=message):
        Engine(Device(var=0), adc=ADC(2**30, **{name: 0.3}), seed=1)(np.ones((1, 64)), np.ones((64, 1)))
    engine = Engine(Device(var=0), adc=ADC(2**28, **{name: 0.5}), seed=1)
    assert seen(engine, (20, 500)).std() > 0.4


# -- what is said about them ---------------------------------------------------------------------


def rows_of(report):
    return {effect.name: effect for effect in report.effects}


def test_the_report_has_a_row_of_errors_only_if_there_are_any(rng):
    x, w = rng.standard_normal((60, 64)), rng.standard_normal((64, 60))
    assert "ADC errors" not in rows_of(explain(x, w, seed=1))
    for name, value in ALL.items():
        assert "ADC errors" in rows_of(explain(x, w, seed=1, **{name: value}))


@pytest.mark.slow
@pytest.mark.parametrize("span", ["full", "number", "window", "lossless", "ranges"])
@pytest.mark.parametrize("rms", [0.1, 2.0])
def test_the_report_tells_what_noise_costs_alone(rng, rms, span):
    x, w = rng.standard_normal((200, 64)), rng.standard_normal((64, 200))
    amperes = converters.full_scale_amperes(Config())
    given = {
        "number": amperes / 4,
        "window": (-amperes / 64, amperes / 4),
        "ranges": Ranges([[0.0] * 4] * 4, [[amperes / k for k in (2, 4, 3, 2)]] * 4),
    }.get(span, span)
    engine = Engine(Device(var=0), adc=ADC(range=given, noise_lsb=rms), seed=1)
    plan = plans.plan(engine.config)
    sigma = math.sqrt(sum(weight**2 for row in plan.reading.shift_weights for weight in row)) * plan.sum_scale * rms
    scale = np.abs(x).max(axis=1)[:, None] * np.abs(w).max(axis=0) / 127**2
    expected = 10 * np.log10(np.mean((x @ w) ** 2) / np.mean((sigma * scale) ** 2))
    effect = rows_of(engine.program(w).report(x, w))["ADC errors"]
    assert effect.alone_dB == pytest.approx(expected, abs=0.15)
    quiet = engine.replace(adc={"noise_lsb": 0.0})
    assert effect.without_dB == pytest.approx(SNR(quiet(x, w), x @ w), abs=1e-9)


def test_the_report_tells_what_a_gain_error_costs_alone(rng):
    # one array: signed inputs, a pair, a single digit; every column has its gain
    x, w = np.sign(rng.standard_normal((100, 64))), np.sign(rng.standard_normal((64, 2000)))
    engine = Engine(Device(var=0), adc=ADC(16, gain_error=1e-3), inputs=ONE, weights=ONE, seed=1)
    assert rows_of(engine.program(w).report(x, w))["ADC errors"].alone_dB == pytest.approx(60, abs=0.3)


@pytest.mark.slow
def test_the_report_leaves_errors_in_where_it_leaves_rounding_out(rng):
    x, w = rng.standard_normal((100, 64)), rng.standard_normal((64, 100))
    effects = rows_of(explain(x, w, var=0.0, noise_lsb=4.0, seed=1))
    assert effects["ADC rounding"].without_dB == pytest.approx(effects["ADC errors"].alone_dB, abs=0.3)
    assert effects["ADC saturation"].alone_dB > 200


def test_explain_says_that_errors_come_in_and_how_currents_are_found_for_all_that(rng):
    x, w = rng.standard_normal((4, 64)), rng.standard_normal((64, 4))
    quiet = Engine(seed=1).program(w).read_plan(x)
    assert "errors" not in str(quiet)
    for name, value in ALL.items():
        found = Engine(adc=ADC(**{name: value}), seed=1).program(w).read_plan(x)
        assert found.slices == quiet.slices
        drawn = ", a normal number for every conversion" if name == "noise_lsb" else ""
        assert found.notes[-1] == f"errors of the ADCs come between currents and codes{drawn}"


# -- what codes cover ----------------------------------------------------------------------------

DIGITS = Format((1, 2))  # two's complement: digits of 2 bits and 1 bit
AMPERES = 4 * 0.1 * 3e-6  # of 4 rows


def small(adc, **given):
    device = Device(HGS=4e-6, LGS=1e-6, g_level=4, var=0)
    return Config(device, DAC(4), adc, Tile(4, 4), **{"inputs": DIGITS, "weights": DIGITS, **given})


def found_codes(config):
    # unit 1, strides of 2-bit and 1-bit digits
    found = converters.adc_windows(config, 1, converters.conversions(config), (1, 3)[: len(config.weights.digits)])
    return [[(s, low, top) for s, low, top in zip(*rows, strict=True)] for rows in zip(found.steps, found.lows, found.tops, strict=True)]  # fmt: skip


def test_full_range_by_hand():
    # 4 rows of code 3 and level 3: 36; the radc of the sign slice comes first
    half, quarter = (Fraction(1, 2), 0, 18), (Fraction(1, 4), 0, 9)
    assert found_codes(small(ADC((10, 19)))) == [[half, half], [quarter, quarter]]
    signed = Format((1, 2), mapping="signed")
    assert found_codes(small(ADC(19), inputs=signed)) == [[(Fraction(1, 2), -18, 18)]] * 2
    assert found_codes(small(ADC(19), weights=signed)) == [[(Fraction(1, 2), -18, 18)] * 2]


def test_the_unit_column_halves_the_full_range_by_hand():
    offset = small(ADC(25), weights=Format((1, 1), mapping="offset"))
    # one digit of two bits, -2 .. 1: the lowest is 4 rows * 3 * 2 = 24 units below 0
    assert found_codes(offset) == [[(Fraction(1), -24, 24)] * 2]


def test_a_number_by_hand():
    found = found_codes(small(ADC((10, 19), range=AMPERES / 2)))
    assert found == [[(Fraction(1), 0, 18)] * 2, [(Fraction(1, 2), 0, 9)] * 2]
    signed = small(ADC(19, range=AMPERES / 2), inputs=Format((1, 2), mapping="signed"))
    assert found_codes(signed) == [[(Fraction(1), -18, 18)]] * 2


@pytest.mark.parametrize("mapping", ["twos", "signed"])
def test_a_window_by_hand(mapping):
    # the same codes whether currents have a sign or not: as many as radc, and no more
    inputs = Format((1, 2), mapping=mapping)
    count = len(inputs.digits)
    found = found_codes(small(ADC((10, 19), range=(AMPERES / 4, AMPERES / 2)), inputs=inputs))
    assert found == [[(Fraction(2), 18, 36)] * count, [(Fraction(1), 9, 18)] * count]
    found = found_codes(small(ADC(19, range=(-AMPERES / 4, AMPERES / 4)), inputs=inputs))
    assert found == [[(Fraction(1), -9, 9)] * count] * 2


def test_ranges_by_hand():
    # tables are most significant first, and what `codes` returns is not
    low = [[0.0, AMPERES / 4], [AMPERES / 2, -AMPERES / 4]]
    span = [[AMPERES / 2, AMPERES / 4], [AMPERES, AMPERES / 2]]
    found = found_codes(small(ADC((10, 19), range=Ranges(low, span))))
    least = [(Fraction(1), -9, 9), (Fraction(1, 2), 9, 27)]
    most = [(Fraction(1), 9, 18), (Fraction(1, 2), 0, 9)]
    assert found == [least, most]


def test_lossless_by_hand():
    found = found_codes(small(ADC(range="lossless")))
    assert found == [
        [(Fraction(1), 0, 36), (Fraction(1, 3), 0, 12)],
        [(Fraction(1, 3), 0, 12), (Fraction(1, 9), 0, 4)],
    ]
    signed = small(ADC(range="lossless"), weights=Format((1, 2), mapping="signed"))
    assert found_codes(signed) == [[(Fraction(1), -36, 36), (Fraction(1, 3), -12, 12)]]
    offset = small(ADC(range="lossless"), weights=Format((1, 1), mapping="offset"))
    assert found_codes(offset) == [[(Fraction(1), -24, 24), (Fraction(1, 3), -8, 8)]]


@pytest.mark.parametrize(
    ("span", "lowest", "highest"),
    [("full", -7, 7), (0.5, -7, 7), ((0.0, 0.5), 0, 7), ((-0.25, 0.625), -2, 5), ((0.125, 0.25), 7, 14)],
)
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_codes_saturate_at_both_ends(span, lowest, highest, backend):
    # 8 rows, currents of -8 to 8 eighths of full scale, 8 codes
    amperes = ROWS * 0.1 * (1e-5 - 1e-7)
    given = span if span == "full" else tuple(np.multiply(span, amperes)) if isinstance(span, tuple) else span * amperes
    width = 1.0 if span == "full" else span[1] - span[0] if isinstance(span, tuple) else span
    ones = np.arange(-8, 9)
    w = np.sign(ones) * (np.arange(ROWS)[:, None] < np.abs(ones))
    engine = bare(ADC(8, range=given), backend=backend)
    factor = plans.plan(engine.config).sum_scale
    x = np.ones((1, ROWS))
    found = engine(x, w)[0] / factor
    wanted = np.round(ones / 8 * 7 / width)
    assert np.all(found == np.clip(wanted, lowest, highest))
    assert (found.min(), found.max()) == (max(lowest, wanted.min()), min(highest, wanted.max()))
    # in units of the operands
    assert factor == pytest.approx(8 * width / 7)
    if span != "full":
        free = engine.replace(adc={"saturate": False})
        assert np.all(free(x, w)[0] / factor == wanted)


def test_lossless_has_a_code_for_every_current(rng):
    x, w = rng.standard_normal((30, 100)), rng.standard_normal((100, 30))
    for mapping in ("twos", "pair", "offset"):
        fmt = Format(mapping=mapping)
        lossless = Engine(Device(32e-6, 1e-6, 32, var=0), adc=ADC(range="lossless"), weights=fmt, seed=1)
        ideal = Engine(Device(32e-6, 1e-6, 32, var=0), adc=ADC(None), weights=fmt, seed=1)
        assert SNR(lossless(x, w), ideal(x, w)) > 250


@pytest.mark.parametrize("bits", [6, 8, 10, 12])
@pytest.mark.parametrize("backend", [numba_cpu, reference])
@pytest.mark.parametrize(("wave", "more"), [("uniform", 0.0), ("sine", 1.76)])
@pytest.mark.parametrize("window", [False, True])
def test_resolution_is_worth_6_dB_a_bit(bits, backend, wave, more, window):
    amperes = 64 * 0.1 * (1e-5 - 1e-7)
    # write variation makes the grid fine enough to be a continuous signal
    config = Config(
        Device(var=0, write_var=1e-4), adc=ADC(2**bits, range=(-amperes / 2, amperes / 2) if window else "full")
    )
    plan = plans.plan(config)
    shape = np.linspace(-1, 1, 20001) if wave == "uniform" else np.sin(np.linspace(0, 2 * np.pi, 20001))
    step, (low, top) = plan.reading.adc_gain[0][0], (end[0][0] for end in plan.reading.code_range)
    assert top - low == 2**bits - 1
    middle = round((low + top) / 2 / step)  # of what the codes stand for
    signal = np.round(shape * (plan.full_scale // 2)).astype(np.int32)
    one = np.ones((1, 1))
    found = backend.read(
        np.ones((1, 1, 1), np.int8),
        one,
        (signal + middle)[None, None, :],
        np.ones((1, signal.size)),
        plain_reading(
            rows=64,
            bound=plan.reading.bound,
            wide=plan.cell_format.wide,
            adc_gain=((step,),),
            code_range=(((low,),), ((top,),)),
            shift_weights=((1 / step,),),
        ),
        "float64",
    )
    assert SNR(found[0] - middle, signal) == pytest.approx(6.0206 * bits + more, abs=0.2)


@pytest.mark.parametrize(("bits", "ends", "decibels"), [(6, 3.33, 29.83), (8, 3.94, 40.57), (10, 4.50, 51.55)])
def test_the_optimum_for_a_gaussian_is_the_one_quoted(bits, ends, decibels):
    # integrals, not samples: error of 2**bits codes that end `ends` standard deviations from the mean
    def loss(end):
        step = 2 * end / 2**bits
        level = (np.arange(2**bits) - (2**bits - 1) / 2) * step
        edge = np.concatenate([[-np.inf], (level[1:] + level[:-1]) / 2, [np.inf]])
        # of each bin: integral of (v - level)**2 times the density
        density = stats.norm.pdf(edge)
        moment = np.where(np.isinf(edge), 0, edge) * density
        share, first = np.diff(stats.norm.cdf(edge)), -np.diff(density)
        return np.sum(share - np.diff(moment) - 2 * level * first + level**2 * share)

    tried = np.arange(2.5, 6, 0.005)
    losses = [loss(end) for end in tried]
    best = int(np.argmin(losses))
    assert tried[best] == pytest.approx(ends, abs=0.01)
    assert -10 * math.log10(losses[best]) == pytest.approx(decibels, abs=0.01)


# -- with wires ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ohms", [(2.93, 2.93), (0.0, 5.0), (40.0, 0.0), (1.0, 300.0), (1e4, 0.1)])
@pytest.mark.parametrize("rows", [1, 7, 64, 256])
def test_the_share_of_a_column_is_that_of_the_circuit(ohms, rows):
    device = Device(HGS=3e-5, LGS=2e-6)
    high, low = (float(wires.transfer(np.full((rows, 1), g), *ohms).sum()) for g in (device.HGS, device.LGS))
    expected = (high - low) / (rows * (device.HGS - device.LGS))
    assert float(converters.column_share(device, Wires(*ohms), rows)) == pytest.approx(expected, rel=1e-10)


def test_full_scale_is_what_a_column_behind_wires_delivers():
    engine = Engine(Device(var=0), wires=Wires(20, 20), tile=Tile(64, 1), seed=1)
    share = converters.column_share(engine.config.device, engine.config.wires, 64)
    assert converters.column_share(engine.config.device, None, 64) == 1
    assert 0.7 < share < 0.9
    full = converters.full_scale(engine.config, 1 << 16)
    assert full == round(64 * 15 * 15 * 2**16 * share)
    assert converters.full_scale_amperes(engine.config) == pytest.approx(64 * 0.1 * 9.9e-6 * float(share))
    # the highest code is within reach, and not passed by more than the reference column's own loss
    top = sampled(engine.program(np.ones((64, 1))), np.ones((1, 64)))[0][0][-1]
    assert top / full == pytest.approx(1, abs=0.02)
