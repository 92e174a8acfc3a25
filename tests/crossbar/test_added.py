"""Input slices whose currents are added before one conversion, ``ADC(per="product")``."""

import numpy as np
import oracle
import pytest
from hypothesis import assume, given, settings
from libraries import same_bits
from strategies import examples, products, some_runners

import mpimpy
from mpimpy import ADC, DAC, Config, Device, DPETensor, Engine, Format, MapReducedot, Ranges, SlicedData, Tile, Wires
from mpimpy import plot as pictures
from mpimpy.analysis.counts import counts
from mpimpy.converters import conversions
from mpimpy.crossbar import plan as plans
from mpimpy.crossbar.explain import explain
from mpimpy.crossbar.product import panels, reduce_panels
from mpimpy.matrix import backend_of, encode_inputs
from mpimpy.operands import encoding

SIGNED, PAIR = Format(mapping="signed"), Format(mapping="pair")
WHOLE = ADC(256, per="product")


@pytest.fixture
def operands(rng):
    return rng.standard_normal((33, 200)), rng.standard_normal((200, 40))


@given(products(ideal=False, drift=True))
@settings(max_examples=examples(60))
def test_whatever_is_added_agrees_with_integer_arithmetic(case):
    config, x, w = case
    assume(config.inputs.bits <= 20 and not isinstance(config.adc.range, Ranges))
    config = config.replace(adc={"per": "product", "snap": False})
    x, w = x.reshape(-1, x.shape[-1])[:2].astype(np.float64), w[:, :4].astype(np.float64)
    try:
        plans.plan(config)
    except ValueError:
        assume(False)  # more bits than are exact
    blocks = [
        encoding.block_shape(fmt, a.shape, config.tile.rows, weight=weight)
        for fmt, a, weight in ((config.inputs, x, False), (config.weights, w, True))
    ]
    expected = np.array(oracle.product(x.tolist(), w.tolist(), config, *blocks, 9, 5, 3))
    for backend in ("numba", "reference"):
        matrix = Engine.from_config(config, seed=9, chip=5, backend=backend).program(w)
        assert same_bits(matrix.read(x, read=3), expected), backend


@pytest.mark.parametrize("var", [0, 0.05])
@pytest.mark.parametrize("span", ["full", 1e-5, (-2e-6, 1.5e-5), "lossless"])
def test_one_conversion_is_that_of_whole_codes(span, var, operands):
    # DACs of 128 levels drive the magnitude of 8 bits at once: three weight slices, three conversions
    adc, shared = ADC(range=span), {"weights": PAIR, "seed": 1}
    at_once = Engine(Device(var=var), DAC(128), adc, inputs=Format((1, 7), mapping="signed"), **shared)
    added = Engine(Device(var=var), DAC(16), ADC(range=span, per="product"), inputs=SIGNED, **shared)
    sliced = added.replace(adc={"per": "slice"})
    x, w = operands
    assert same_bits(added(x, w, read=0), at_once(x, w, read=0))
    found = [counts(engine.config, 1, 64, 1).adc_conversions for engine in (at_once, added, sliced)]
    assert found == [3, 3, 9]


PARTS = [
    {},
    {"dac": DAC(20, vnoise=0.02)},
    {"adc": ADC((64, 300, 17), per="product", noise_lsb=0.7, offset_lsb=0.3, gain_error=0.02)},
    {"dac": DAC(20, vnoise=0.02), "adc": ADC(99, per="product", gain_error=0.02, range=(-1e-6, 1.3e-5))},
    {"adc": ADC(per="product", range="lossless"), "device": Device(var=0)},
    {"adc": ADC(70, per="product", range=Ranges([[0.0], [-1e-6], [3e-7]], [[9e-6], [1.7e-5], [1e-5]]))},
    {"inputs": Format((1, 2, 3), bw_e=8, double=True), "weights": Format((1, 2, 1), bw_e=8, double=True)},
    {"wires": Wires(2.93, 1.5)},
]


@pytest.mark.parametrize("number", range(len(PARTS)))
def test_every_library_and_backend_has_the_same_bits(number, rng):
    x, w = rng.standard_normal((5, 17)), rng.standard_normal((17, 35))
    made = {
        "adc": WHOLE,
        "inputs": Format((1, 2, 1, 4)),
        "weights": Format((1, 2, 1)),
        "tile": Tile(7, 64),
        **PARTS[number],
    }
    found = []
    for _, make, backend in some_runners(number):
        matrix = Engine(**made, seed=3, backend=backend).program(make(w))
        found.append(np.asarray(matrix.read(make(x), read=1)))
    assert all(same_bits(found[0], other) for other in found[1:])


@pytest.mark.parametrize("mapping", ["twos", "signed"])
def test_full_scale_is_all_whole_codes_at_their_highest(mapping):
    config = Config(Device(var=0), DAC(20), WHOLE, inputs=Format((1, 2, 1, 4), mapping=mapping))
    plan, highest = plans.plan(config), {"twos": 128, "signed": 127}[mapping]
    assert plan.full_scale == 64 * highest * 15
    assert plan.reading.code_range == (((-255,),) * 4, ((255,),) * 4)
    # strides of 19 // 15, 19, 19 // 3 and 19: their common multiple is 114
    noisy = plans.plan(config.replace(dac={"vnoise": 0.02}))
    assert conversions(noisy_config := config.replace(dac={"vnoise": 0.02})).highest == highest * 114
    assert noisy.full_scale == 64 * highest * 114 * 15 << noisy.cell_format.voltage_fraction
    assert plans.plan(noisy_config) is noisy


def test_noise_of_a_voltage_counts_with_the_weight_of_its_slice(rng):
    # an independent simulation, of fine ADCs
    sigma, rows = 0.05, 32
    config = Config(
        Device(var=0),
        DAC(vnoise=sigma),
        ADC(2**20, per="product", saturate=False),
        Tile(rows, 8),
        SIGNED,
        Format((1, 1)),
    )
    x, w = rng.standard_normal((3000, rows)), np.zeros((rows, 1))
    w[:, 0] = -1.0
    quiet = Engine.from_config(config.replace(dac={"vnoise": 0.0}), seed=1)(x, w)[:, 0]
    found = Engine.from_config(config, seed=1)(x, w)[:, 0] - quiet
    code = np.rint(x / np.abs(x).max(axis=1, keepdims=True) * 127).astype(int)
    digits = np.array(
        [np.sign(code) * (np.abs(code) >> below & 2**bits - 1) for below, bits in ((0, 4), (4, 2), (6, 1))]
    )
    noise = digits * np.array([1, 16, 64])[:, None, None] * sigma * rng.standard_normal(digits.shape)
    drawn = -noise.sum(axis=(0, 2)) * np.abs(x).max(axis=1) / 127
    assert found.mean() == pytest.approx(0, abs=5 * found.std() / 3000**0.5)
    assert found.std() == pytest.approx(drawn.std(), rel=5 / 3000**0.5)


def test_each_conversion_has_noise_of_its_own_and_one_only():
    quiet = Engine(Device(var=0), adc=ADC(2**12, per="product", saturate=False), seed=1)
    noisy = quiet.replace(adc={"noise_lsb": 3.0})
    plan = plans.plan(noisy.config)
    x, w = np.ones((33, 64)), np.ones((64, 400))
    found = (noisy(x, w) - quiet(x, w)) * 127 * 127
    # four conversions for each product, one for each weight slice
    weights = np.array(plan.reading.shift_weights)
    assert weights.shape == (4, 1)
    expected = np.sqrt((3**2 + 1 / 12) * (weights**2).sum()) * plan.sum_scale
    assert found.std() == pytest.approx(expected, rel=0.04)


def test_drops_bits_of_noisy_codes_where_currents_would_pass_53():
    given = Config(
        Device(var=0.05), DAC(20, vnoise=0.02), ADC(per="product", gain_error=0.01), inputs=Format((1, 2, 1, 4))
    )
    assert plans.plan(given).added.drop > 0
    assert plans.plan(given).current_unit < plans.plan(given).cell_format.current_unit
    assert plans.plan(given.replace(adc={"gain_error": 0.0})).added.drop == 0


def test_what_is_dropped_is_rounded_to_nearest(rng):
    config = Config(
        Device(var=0.05),
        DAC(20, vnoise=0.02),
        ADC(2**20, per="product", gain_error=0.01),
        Tile(64, 4),
        Format((1, 2, 1, 4)),
        Format((1, 2)),
    )
    assert plans.plan(config).added.drop > 0
    x, w = rng.standard_normal((2, 70)), rng.standard_normal((70, 2))
    shapes = ((config.inputs, x, False), (config.weights, w, True))
    blocks = [encoding.block_shape(fmt, a.shape, config.tile.rows, weight=weight) for fmt, a, weight in shapes]
    expected = np.array(oracle.product(x.tolist(), w.tolist(), config, *blocks, 9, 5, 3))
    for backend in ("numba", "reference"):
        assert same_bits(
            Engine.from_config(config, seed=9, chip=5, backend=backend).program(w).read(x, read=3), expected
        )


def test_codes_that_float32_cannot_tell_apart_take_64_bits():
    fine = Config(Device(var=0), DAC(256), ADC(range="lossless", per="product"), inputs=Format((1, 7, 8)))
    assert plans.plan(fine).reading.wide
    assert not plans.plan(fine.replace(inputs={"slices": (1, 7)})).reading.wide


def test_too_many_bits_are_refused():
    many = Config(Device(var=0.05), adc=WHOLE, inputs=Format((1,) + (4,) * 9, bw_e=8))
    with pytest.raises(ValueError, match=r"whole codes of 37 bits .* pass the 53 bits .* or per='slice'"):
        plans.plan(many)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ADC(per="row"), r"per='row' is unknown: use 'slice', a conversion for each input slice, or 'product'"),
        (lambda: ADC(None, per="product"), r"per='product' has no effect with radc=None \(ideal ADC\): leave it out"),
        (lambda: ADC(per="product", snap=True), r"snap=True rounds the product of two digits, and per='product' conv"),
        (
            lambda: Engine(adc=ADC(per="product", range=Ranges([[0.0] * 4] * 4, [[1e-5] * 4] * 4)))([[1.0]], [[1.0]]),
            r"is for 4 weight slices by 4 input slices, and there are 4 by 1: with per='product' give one number a row",
        ),
        (
            lambda: pictures.adc_codes(Engine(adc=WHOLE).program(np.eye(4)), np.eye(4), input_slice=1),
            r"input_slice=1 names no conversion: with per='product' there is one for all, so leave it out",
        ),
    ],
)
def test_what_is_wrong_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_flat_name_makes_the_same_machine(operands):
    x, w = operands
    assert DPETensor(adc_per="product", seed=1).config == Config(adc=WHOLE)
    assert same_bits(MapReducedot(x, w, seed=1, adc_per="product"), Engine(adc=WHOLE, seed=1)(x, w))


def test_settings_that_were_saved_before_there_was_one_convert_each_slice():
    plain = Config().to_dict()
    assert plain["adc"].pop("per") == "slice"
    assert Config.from_dict(plain) == Config()
    assert Config.from_dict(Config(adc=WHOLE).to_dict()) == Config(adc=WHOLE)


def test_a_saved_chip_reads_the_same(tmp_path, operands):
    x, w = operands
    matrix = Engine(adc=WHOLE, dac=DAC(vnoise=0.01), seed=1).program(w)
    matrix.save(tmp_path / "chip.npz")
    assert same_bits(mpimpy.load(tmp_path / "chip.npz").read(x, read=4), matrix.read(x, read=4))


def test_sliced_data_brings_formats_of_its_own(operands):
    x, w = operands
    engine = DPETensor(adc_per="product", seed=1, vnoise=0.02, gain_error=0.01)
    X, W = SlicedData([1, 3, 4, 4], bw_e=8), SlicedData([1, 1, 2], bw_e=8, is_weight=True)
    X.slice_data_imp(engine, x)
    W.slice_data_imp(engine, w)
    exact = x @ w
    assert mpimpy.SNR(engine(X, W), exact) > 8
    assert plans.cell_format(engine.config.replace(inputs=X.format)) == plans.cell_format(engine.config)


def test_transposed_reads_add_the_slices_of_their_inputs(operands):
    x, w = operands
    fmt = {
        "inputs": Format(mapping="signed", granularity="per-row"),
        "weights": Format(mapping="pair", granularity="per-matrix"),
    }
    added = Engine(Device(var=0.02), DAC(16), WHOLE, seed=1, **fmt)
    at_once = Engine(
        Device(var=0.02),
        DAC(128),
        ADC(256),
        seed=1,
        **fmt | {"inputs": Format((1, 7), mapping="signed", granularity="per-row")},
    )
    found = [engine.program(w).T.read(x[:, :40], read=2) for engine in (added, at_once)]
    assert same_bits(*found)


def test_panels_have_the_bits_of_the_whole(rng):
    x, w = rng.standard_normal((5, 40 * 8)), rng.standard_normal((40 * 8, 9))
    engine = Engine(adc=ADC(99, per="product", noise_lsb=0.5), dac=DAC(vnoise=0.02), tile=Tile(8, 8), seed=1)
    sums = []
    for span in (slice(0, 256), slice(256, 320)):
        part = engine.program(w[span], origin=(span.start, 0))
        sums += panels(backend_of(part), *encode_inputs(part, x[:, span]), 2)
    assert same_bits(reduce_panels(sums, "float64"), engine.program(w).read(x, read=2))


def test_report_explanation_and_counts_know_of_one_conversion(operands):
    x, w = operands
    for adc in (WHOLE, ADC(256, per="product", noise_lsb=0.5), ADC(range="lossless", per="product", noise_lsb=0.5)):
        engine = Engine(adc=adc, seed=1, dac=DAC(vnoise=0.01))
        report, sliced = (e.program(w).report(x) for e in (engine, engine.replace(adc={"per": "slice"})))
        assert sliced.adc_conversions == 4 * report.adc_conversions
        assert sliced.dac_conversions == report.dac_conversions
        assert report.full_scale_A == pytest.approx(64 * 0.1 * 9.9e-6)
        budget = {effect.name: effect for effect in report.effects}
        assert budget["ADC rounding"].without_dB >= report.snr_dB - 0.3
    matrix = Engine(adc=WHOLE, seed=1).program(w)
    notes = explain(backend_of(matrix), matrix.programmed, 33)[2]
    assert "the currents of all input slices are added before one conversion: whole codes are read" in notes


def test_the_picture_holds_the_currents_of_whole_codes():
    device = Device(HGS=1e-5, LGS=0.0, g_level=2, var=0)
    for dac in (DAC(16), DAC(16, vnoise=1e-3)):
        engine = Engine(device, dac, WHOLE, Tile(64, 64), SIGNED, Format((1, 1), mapping="pair"), seed=1)
        ax = pictures.adc_codes(engine.program(np.ones((64, 4))), np.ones((3, 64)))
        assert "all input slices together" in ax.get_title()
        ends = sorted(line.get_xdata()[0] for line in ax.get_lines())
        assert ends == pytest.approx([-64, 64])  # uA: 64 cells of 10 uS at 0.1 V
        bars = [patch for patch in ax.patches if np.any(patch.get_data().values)]
        edges, values = bars[0].get_data().edges, bars[0].get_data().values
        assert edges[np.argmax(values)] == pytest.approx(64, rel=0.02)
