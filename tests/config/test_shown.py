"""Short words for settings and engines, which Python can evaluate, and their tables."""

import html.parser

import pytest

import mpimpy
from mpimpy import (
    ADC,
    DAC,
    Config,
    Device,
    DPETensor,
    Drift,
    Engine,
    Flicker,
    Format,
    Gaussian,
    Ranges,
    Relaxation,
    Samples,
    Tile,
    Wires,
    WriteVerify,
    fpmemdpe,
    presets,
)  # fmt: skip

NAMES = {name: getattr(mpimpy, name) for name in mpimpy.__all__ if name[0].isupper()}

PARTS = {
    "Device()": Device(var=0.05, LGS=1e-7, HGS=1e-5),
    "Device(var=0.0)": Device(var=0),
    "Device(HGS=2e-05, g_level=32, stuck_LGS=0.1)": Device(2e-5, 1e-7, 32, stuck_LGS=0.1),
    "Device(levels=(1e-06, 2e-06, 4e-06))": Device(levels=[1e-6, 2e-6, 4e-6]),
    "Device(g_level=2, write_var=Gaussian(sigma_S=2e-07), verify=WriteVerify(tolerance_S=1e-07))": Device(
        g_level=2, write_var=Gaussian(2e-7), verify=WriteVerify(1e-7)
    ),
    "Device(drift=Drift(nu=0.05, t0_s=20.0), redraw='slice')": Device(drift=Drift(0.05, t0_s=20), redraw="slice"),
    "Device(var=Flicker(q=0.1))": Device(var=Flicker(0.1)),
    "Relaxation(times_s=(1.0, 86400.0), sigma_S=(0.0, 4e-07))": Relaxation([1, 86400], [0, 4e-7]),
    "DAC(rdac=32)": DAC(32),
    "ADC(radc=None)": ADC(None),
    "ADC(radc=(256, 512), range=(0.0, 1e-05), per='product')": ADC([256, 512], range=[0, 1e-5], per="product"),
    "ADC(range=Ranges(low=((0.0,),), span=((1e-05,),)))": ADC(range=Ranges([[0]], [[1e-5]])),
    "Tile(rows=32, reference='ideal')": Tile(32, 64, "ideal"),
    "Format(slices=(1, 4, 5), mapping='signed')": Format([1, 4, 5], mapping="pair"),
    "Wires(r_word=2.93, r_bit=1.0)": Wires(2.93, 1),
    "Config(tile=Tile(rows=8, cols=4), wires=Wires(r_word=1.0, r_bit=1.0))": Config(tile=Tile(8, 4), wires=Wires(1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("text", PARTS)
def test_settings_are_the_call_that_makes_them(text):
    assert repr(PARTS[text]) == text
    assert eval(text, dict(NAMES)) == PARTS[text]


ENGINES = {
    "Engine(seed=1)": Engine(seed=1),
    "Engine(device=Device(var=0.0), wires=Wires(r_word=1.0, r_bit=1.0), seed=1, chip=3, backend='reference', "
    "gradient='written')": Engine(
        Device(var=0), wires=Wires(1, 1), seed=1, chip=3, backend="reference", gradient="written"
    ),
    "Engine(seed=1).in_stream('copy', 3)": Engine(seed=1).in_stream("copy", 3),
    "DPETensor(seed=1)": DPETensor(seed=1),
    "DPETensor(HGS=2e-05, radc=None, wire_resistance=(2.93, 2.93), w_slices=(1, 3), w_mapping='pair', bw_e=8, "
    "seed=1, input_size=(2, 3))": DPETensor(
        HGS=2e-5, radc=None, wire_resistance=2.93, w_slices=[1, 3], w_mapping="pair", bw_e=8, seed=1, input_size=(2, 3)
    ),
    "DPETensor(stuck_LGS=0.1, array_size=(8, 4), x_slices=(1, 1, 2, 4, 4), w_slices=(1, 1, 2, 4, 4), bw_e=5, "
    "device='cpu', seed=1)": DPETensor(
        stuck_fault_ratio=0.1, array_size=[8, 4], format="fp16", device="cpu", seed=1
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", ENGINES)
def test_engines_are_the_call_that_makes_them(text):
    engine, again = ENGINES[text], eval(text, dict(NAMES))
    assert repr(engine) == text
    for name in ("config", "seed", "chip", "backend", "gradient", "reads", "stream", "input_size", "_operand_device"):
        assert getattr(again, name) == getattr(engine, name), name
    assert type(again) is type(engine)


def test_what_no_flat_setting_says_is_shown_by_part():
    engine = DPETensor(seed=1)
    engine.config = engine.config.replace(device={"drift": Drift(0.05)})
    assert repr(engine) == "Engine(device=Device(drift=Drift(nu=0.05)), seed=1)"
    assert repr(fpmemdpe(seed=1)).startswith("<fpmemdpe: Engine(device=Device(")
    engine.config = engine.config.replace(rdac=2)
    assert repr(engine).startswith("<DPETensor: Engine(device=")  # Engine refuses it
    beside = Engine.from_dict({"seed": 1, "operand_device": "cuda", "input_size": [2, 3]})
    assert repr(beside) == "<Engine: Engine(seed=1) with input_size=(2, 3), operand_device='cuda'>"
    assert all(text in beside._repr_html_() for text in ("operand_device", "cuda", "input_size", "(2, 3)"))


def test_long_lists_are_shortened():
    found = repr(presets.device("pcm-joshi"))
    assert "Flicker(q=(0.1963, 0.159, 0.1273, ..., 0.008737)" in found
    assert len(found) < 400
    assert repr(Samples([[1e-7] * 9] * 3)) == "Samples(3 levels, 9 samples each)"
    assert repr(Format([1] * 23)) == f"Format(slices=({', '.join('1' * 23)}))"


class _Balanced(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in ("table", "caption", "thead", "tbody", "tr", "th", "td")
        assert {name for name, _ in attrs} <= {"style"}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += f"{data}\n"


def test_tables_for_notebooks():
    page = _Balanced(Device(var=Samples([[1e-7, 2e-7], [8e-6]]), g_level=2)._repr_html_()).text
    assert "HGS\n1e-05 S\n" in page
    assert "var\nSamples(2 levels, 1 to 2 samples each)\n" in page
    page = _Balanced(Engine(Device(var=0), seed=5).in_stream("<b>&", 2)._repr_html_()).text
    assert "adc\nradc=256, snap=False, " in page
    assert "wires\nnone\n" in page
    assert "stream\n<b>&\n" in page
    assert "seed\n5\n" in page
