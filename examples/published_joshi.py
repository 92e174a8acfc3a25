"""Joshi et al. 2020: how long a network on phase-change memory keeps its accuracy.

Source: Joshi et al., "Accurate deep neural network inference using computational phase-change
memory", Nature Communications 11, 2473 (2020). ResNet-32 on CIFAR-10: 93.7 % after its weights were
written, and above 93.5 % over one day; two devices to a weight, as a differential pair; drift is
compensated by the parameters of batch normalisation.

That network and its noise-aware training do not fit in an example. What can be held against the
paper is the claim that accuracy is kept for a day. Here a classifier of one layer learns
scikit-learn's 8 x 8 digits by least squares, and its weights go into pairs of the preset
"pcm-joshi": the paper's write variation, drift and 1/f noise of Nandakumar et al. 2019. The
training knows nothing of the cells. Ten chips, from 25 s to a year. The class is that of the
largest score, which needs no scale: so the raw accuracy holds as well, and the SNR shows what
compensation gains.

Only the abstract was read, and the law of write variation in its figure 3b, by the preset. The
abstract leaves out the law of drift, the read noise, the times and the converters. Here inputs take
slices of at most 4 bits, and ADCs have 8 bits with ranges that fit the inputs.

python published_joshi.py [--small] [--out joshi.png]
"""

import argparse
import sys

import numpy as np
from _published import Row, save, show

from mpimpy import ADC, SNR, Engine, Format, plot, presets

TIMES = {"25 s": 25.0, "1 h": 3600.0, "1 d": 86400.0, "30 d": 30 * 86400.0, "1 y": 365.25 * 86400.0}


def digits():
    """Return inputs and labels to learn from, and to test with: images with a constant pixel, 0 to 1."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        sys.exit("this example needs scikit-learn: pip install scikit-learn")
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    inputs = np.column_stack([images / 16, np.ones(len(labels))])[order]
    labels = labels[order]
    return (inputs[450:], labels[450:]), (inputs[:450], labels[:450])


def learn(inputs, labels):
    """Return the weights of a classifier of one layer, (65, 10): ridge regression to the classes."""
    goals = np.eye(10)[labels]
    return np.linalg.solve(inputs.T @ inputs + np.eye(inputs.shape[1]), inputs.T @ goals)


def ageing(chips):
    """Return digital accuracy, and accuracy and SNR by time and compensation, an array over chips each."""
    learning, (inputs, labels) = digits()
    weights = learn(*learning)
    exact = inputs @ weights
    inputs_as, weights_as = Format(mapping="signed"), Format(mapping="pair")
    device = presets.device("pcm-joshi")
    engine = Engine(device, adc=ADC(256), inputs=inputs_as, weights=weights_as, seed=0)
    engine = engine.calibrate(learning[0][:200], weights)
    found = {}
    for chip in range(chips):
        matrix = engine.program(weights, chip=chip)
        for compensate in (False, True):
            for name, time in TIMES.items():
                y = matrix.at(time, compensate=compensate).read(inputs, read=0)
                right, snr = (y.argmax(axis=1) == labels).mean(), SNR(y, exact)
                found.setdefault((name, compensate), []).append((100 * right, snr))
    digital = 100 * (exact.argmax(axis=1) == labels).mean()
    return float(digital), {key: np.array(values) for key, values in found.items()}


def draw(digital, found):
    """Draw accuracy and SNR over time."""
    axes = plot.new_axes(1, 2, size=(4.6, 3.8))[0]
    times = list(TIMES.values())
    for at, (ax, label) in enumerate(zip(axes, ("Accuracy (%)", "SNR of the scores (dB)"), strict=True)):
        for compensate, name, marker in ((False, "raw", "o"), (True, "compensated", "s")):
            chips = np.array([found[time, compensate][:, at] for time in TIMES])
            (line,) = ax.plot(times, chips.mean(axis=1), marker=marker, markersize=4, label=name)
            ax.fill_between(times, chips.min(axis=1), chips.max(axis=1), alpha=0.2, color=line.get_color())
        ax.set_xscale("log")
        ax.set_xticks(times, list(TIMES))
        ax.minorticks_off()
        ax.set_xlabel("Time since programming")
        ax.set_ylabel(label)
        ax.grid(alpha=0.3)
    axes[0].axhline(digital, color="black", linestyle="--", linewidth=0.8, label="digital")
    axes[0].legend(frameon=False, fontsize="small")
    return axes[0].figure


def main(arguments=None):
    """Print the table, and draw a picture if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="two chips")
    parser.add_argument("--out", help="file of a picture")
    given = parser.parse_args(arguments)
    digital, found = ageing(2 if given.small else 10)
    first, day = (found[time, True][:, 0].mean() for time in ("25 s", "1 d"))
    network = "ResNet-32 and CIFAR-10 there, one layer and digits here"
    rows = [
        Row("accuracy, digital", "-", f"{digital:.1f} %", network),
        Row("accuracy after writing", "93.7 %", f"{first:.1f} %", network),
        Row("accuracy after a day", "> 93.5 %", f"{day:.1f} %", network),
        Row(
            "lost in a day",
            "< 0.2 points",
            f"{first - day:.1f} points",
            "raw and compensated alike here: a largest score needs no scale",
        ),
    ]
    for (time, compensate), values in found.items():
        accuracy, snr = values.mean(axis=0)
        kind = "compensated" if compensate else "raw"
        rows.append(
            Row(
                f"{time}, {kind}",
                "-",
                f"{accuracy:.1f} %, {snr:.1f} dB",
                "mean of the chips: accuracy, SNR of the scores",
            )
        )
    show("Joshi et al. 2020: accuracy on phase-change memory over time", rows)
    if given.out:
        save(draw(digital, found), given.out)
    return digital, found


if __name__ == "__main__":
    main()
