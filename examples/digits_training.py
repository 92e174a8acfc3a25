"""Training on crossbars beside the same extra epochs without them: accuracy on chips that training never saw.

    pip install -e ".[examples]"
    python examples/digits_training.py [--seeds 3] [--chips 5] [--small] [--out digits_training.png]

A network for digits is trained, then trained on: digitally, with clipped weights on ideal crossbars, on crossbars,
and on crossbars with clipped weights. Only the difference between these is due to the crossbars: more epochs, and
clipping, change a network by themselves. The chips are bad: 10 % read and 50 % write variation, ADCs of 64 codes.
"""

import argparse
import copy

import torch
from digits import MAPPINGS, accuracy, load, mlp, on_chips, train

import mpimpy
import mpimpy.nn as ann
from mpimpy import plot

BAD = {"var": 0.1, "write_var": 0.5, "radc": 64}
IDEAL = {"var": 0, "radc": None}  # quantised, and nothing else
EPOCHS, EXTRA, RATE, CLIP = 60, 40, 3e-3, 2.0  # a regime with a gain: found on held-out training images
# by name: (settings of the crossbars in training, clipping in standard deviations); None: no crossbars
WAYS = {
    "no extra epochs": None,
    "digital": (None, None),
    "ideal crossbars, clipped": (IDEAL, CLIP),
    "crossbars": (BAD, None),
    "crossbars, clipped": (BAD, CLIP),
}


def train_on(model, way, mapping, data, epochs, seed):
    """Return a copy of the model, trained on in one of the WAYS, digital again."""
    model = copy.deepcopy(model)
    if way is None:
        return model
    settings, clip = way
    if settings is not None:
        engine = mpimpy.DPETensor(seed=seed, **settings, **mapping)
        ann.convert_(model, engine, training=ann.Training(noise="step", clip_weights=clip))
    train(model, data, epochs, RATE, seed=100 + seed)
    ann.revert_(model)
    return model


def main(arguments=None):
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="networks (3)")
    parser.add_argument("--chips", type=int, default=5, help="chips of each network (5)")
    parser.add_argument("--small", action="store_true", help="single epochs, few images")
    parser.add_argument("--out", default="digits_training.png", help="picture to write")
    given = parser.parse_args(arguments)
    learn, test = load()
    epochs, extra = (EPOCHS, EXTRA) if not given.small else (1, 1)
    if given.small:
        learn, test = (learn[0][:200], learn[1][:200]), (test[0][:50], test[1][:50])
    bases, results = [], {}  # results by mapping and way: accuracies, shape (seeds, chips)
    for seed in range(given.seeds):
        torch.manual_seed(seed)
        bases.append(train(mlp(), learn, epochs, RATE, seed=seed))
    print(f"{'mapping':<24}{'extra epochs':<26}{'digital':<10}on chips")
    for name, mapping in MAPPINGS.items():
        engine = mpimpy.DPETensor(seed=0, **BAD, **mapping)
        for label, way in WAYS.items():
            found, digital = [], 0.0
            for seed, base in enumerate(bases):
                model = train_on(base, way, mapping, learn, extra, seed)
                found.append(on_chips(model, engine, test, range(given.chips)))
                digital += accuracy(model, test) / given.seeds
            results[name, label] = torch.stack(found)
            mean, of_seeds = results[name, label].mean(), results[name, label].mean(1).std()
            print(f"{name:<24}{label:<26}{digital:<10.3f}{mean:.3f} (networks +- {of_seeds:.3f})", flush=True)
    ax = plot.new_axes(size=(6.6, 3.4))[0, 0]
    for group, name in enumerate(MAPPINGS):
        for number, label in enumerate(WAYS):
            every = results[name, label].ravel()
            where = group + (number - (len(WAYS) - 1) / 2) * 0.17
            ax.plot([where] * len(every), every, ".", color=f"C{number}", alpha=0.4, ms=5)
            how = {"fmt": "o", "color": f"C{number}", "ms": 6, "capsize": 3}
            ax.errorbar(where + 0.05, every.mean(), every.std(), **how, label=label if group == 0 else None)
    ax.set_xticks(range(len(MAPPINGS)), MAPPINGS)
    ax.set_ylabel("accuracy on unseen chips")
    ax.grid(axis="y", alpha=0.3)
    ax.figure.legend(loc="outside upper center", ncols=3, frameon=False, title="extra epochs")
    ax.figure.savefig(given.out, dpi=200)
    return results


if __name__ == "__main__":
    main()
