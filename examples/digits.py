"""Handwritten digits on crossbars: accuracy over codes of the ADCs, over write variation, and by mapping.

    pip install -e ".[examples]"
    python examples/digits.py [--chips 5] [--small] [--out digits.png]

Two small networks learn scikit-learn's 8 x 8 digits digitally, and their test images are then read by crossbars. Each
point is the mean over chips, and its bar the standard deviation: chips differ in their write variation and in their
read noise. "calibrated": the ADCs of each chip have ranges that fit its currents on 200 training images.
"""

import argparse
import copy

import torch

import mpimpy
import mpimpy.nn as ann
from mpimpy import plot

MAPPINGS = {"two's complement": {}, "pairs, signed inputs": {"w_mapping": "pair", "x_mapping": "signed"}}
CODES = (8, 16, 32, 64, 128, 256, 512)  # at a write variation of 0
SPREADS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # at 256 codes
STEPS = 20  # batches of an epoch, each of a twentieth of the images


def load():
    """Return the images, values 0 to 1, and labels for training, and those of the test."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ModuleNotFoundError as error:
        msg = "the digits need scikit-learn, which is not installed: pip install scikit-learn"
        raise SystemExit(msg) from error
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels), random_state=0)
    return (split[0], split[2]), (split[1], split[3])


def mlp():
    """Return a network of two linear layers, 64-128-10."""
    return torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))


def cnn():
    """Return a network of two convolutions and a linear layer."""
    first = [torch.nn.Unflatten(1, (1, 8, 8)), torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.ReLU()]
    second = [torch.nn.MaxPool2d(2), torch.nn.Conv2d(16, 32, 3, padding=1), torch.nn.ReLU()]
    return torch.nn.Sequential(*first, *second, torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(128, 10))


def train(model, data, epochs, rate=1e-3, seed=0):
    """Train a model in place, by Adam on cross-entropy, and return it in `eval` mode."""
    images, labels = data
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), rate)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=random).chunk(STEPS):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimiser.step()
    return model.eval()


def accuracy(model, data):
    """Return the share of images whose label the model finds."""
    with torch.no_grad():
        return (model(data[0]).argmax(1) == data[1]).double().mean().item()


def copies_on_chips(model, engine, chips, calibration=None):
    """Yield a copy of the model on each of some chips, whose ADCs the inputs `calibration` calibrate."""
    for chip in chips:
        copied = copy.deepcopy(model)
        ann.convert_(copied, engine)
        ann.program_(copied, chip)
        if calibration is not None:
            ann.calibrate_(copied, calibration)
        yield copied


def on_chips(model, engine, data, chips, calibration=None):
    """Return the accuracies of copies of the model; see `copies_on_chips`."""
    return torch.tensor([accuracy(each, data) for each in copies_on_chips(model, engine, chips, calibration)])


def main(arguments=None):
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chips", type=int, default=5, help="chips of each point (5)")
    parser.add_argument("--small", action="store_true", help="one point a panel, and networks that have learned little")
    parser.add_argument("--out", default="digits.png", help="picture to write")
    given = parser.parse_args(arguments)
    learn, test = load()
    sample = 20 if given.small else 200
    sweeps = {"radc": ("codes of an ADC", CODES), "write_var": ("write variation (relative)", SPREADS)}
    if given.small:
        test, sweeps = (test[0][:50], test[1][:50]), {name: (label, v[1:2]) for name, (label, v) in sweeps.items()}
    axes, results = plot.new_axes(2, 2, size=(3.9, 2.8)), {}
    print(f"{'network':<8}{'mapping':<34}{'setting':<18}accuracy")
    for row, build in enumerate((mlp, cnn)):
        torch.manual_seed(0)
        network, model = build.__name__.upper(), train(build(), learn, 1 if given.small else 40)
        digital = results[network, "digital"] = accuracy(model, test)
        print(f"{network:<8}{'digital':<52}{digital:.3f}")
        for ax, (setting, (label, values)) in zip(axes[row], sweeps.items(), strict=True):
            ax.axhline(digital, color="0.5", lw=1, ls="--", label="digital")
            for color, (mapping, settings) in enumerate(MAPPINGS.items()):
                for images, line, suffix in ((None, "o:", ""), (learn[0][:sample], "s-", ", calibrated")):
                    name, found = mapping + suffix, []
                    for value in values:
                        engine = mpimpy.DPETensor(seed=0, **settings, **{setting: value})
                        found.append(on_chips(model, engine, test, range(given.chips), images))
                        text = f"{setting}={value}"
                        print(f"{network:<8}{name:<34}{text:<18}{found[-1].mean():.3f} +- {found[-1].std():.3f}")
                    results[network, name, setting] = found
                    mean, spread = torch.stack(found).mean(1), torch.stack(found).std(1)
                    ax.errorbar(values, mean, spread, fmt=line, color=f"C{color}", ms=4, lw=1, capsize=2, label=name)
            ax.set(xlabel=label, ylabel=f"accuracy of the {network} (share)", ylim=(0, 1.03))
        axes[row, 0].set_xscale("log", base=2)
        axes[row, 0].set_xticks(sweeps["radc"][1], sweeps["radc"][1])
    axes[0, 0].figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
    )
    axes[0, 0].figure.savefig(given.out, dpi=200)
    return results


if __name__ == "__main__":
    main()
