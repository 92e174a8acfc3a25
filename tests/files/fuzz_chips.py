"""Fuzzer of chips' files: fuzz_chips.py FOLDER COUNT SEED mutates descriptions and arrays, with a right checksum.

It runs in a process of its own, since a kernel that reads what it must not may end it. Each file must give
ValueError, or the right numbers: those of the chip as it was saved, if nothing was changed that makes another chip of
it; else finite ones, the same on the reference backend.
"""

import contextlib
import copy
import json
import math
import pathlib
import random
import sys
import warnings

import numpy as np

import mpimpy
from mpimpy.files import npz

SAVED = pathlib.Path(__file__).parent / "saved"
NAMES = ("plain", "aged", "wired", "columns", "levels", "settled")

# entries that make another chip, or another machine, whose numbers are as right as those before
FREE = ("seed", "chip", "origin", "dtype", "config", "arithmetic")
# cells that a draw moved may be any cells in their range
DRAWN = {
    "aged": ("fresh/written/cells", "now/written/cells"),
    "wired": ("now/wired/cells",),
    "columns": ("now/written/cells", "now/wired/cells", "now/wired/columns"),
    "levels": ("now/written/cells",),
    "settled": ("now/written/cells",),
}
NUMBERS = (0, 1, 2, -1, 3, 64, 255, 1e-9, 0.5, 1.0, -0.0, 2**31, 2**63, 2**64, 10**12, 10**400, 1e308, -1e308, 5e-324)
OTHERS = (
    math.nan,
    math.inf,
    -math.inf,
    True,
    False,
    None,
    "",
    "abc",
    "none",
    "1",
    [],
    {},
    [1, 2],
    [[1]],
    {"kind": "Tile"},
)
DTYPES = (
    "int8",
    "uint8",
    "int16",
    "int32",
    "int64",
    ">i4",
    ">f8",
    "float16",
    "float32",
    "float64",
    "bool",
    "complex128",
)


def read(name):
    """Return (description, arrays) of a saved chip."""
    with np.load(SAVED / f"{name}.npz") as found:
        arrays = dict(found)
    del arrays["sha256"]
    return json.loads(arrays.pop("mpimpy").tobytes()), arrays


def write(path, meta, arrays):
    """Write a chip's file with a right checksum."""
    arrays = dict(arrays)
    arrays["mpimpy"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    arrays["sha256"] = np.frombuffer(npz.digest(arrays).encode(), np.uint8)
    np.savez(path, **arrays)


def places(value, path=()):
    """Yield the paths of all entries of a description."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def at(value, path):
    """Return the entry at a path."""
    for key in path:
        value = value[key]
    return value


def mutate_description(rng, meta):
    """Change one entry; return its path, as text."""
    path = rng.choice(list(places(meta)))
    owner, key = at(meta, path[:-1]), path[-1]
    old, kind = owner[key], rng.randrange(10)
    if kind == 0:
        del owner[key]
    elif kind == 1:
        owner[key] = copy.deepcopy(at(meta, rng.choice(list(places(meta)))))
    elif kind == 2 and isinstance(owner, dict):
        owner[rng.choice(["more", "kind", "age", "wired", "arithmetic"])] = rng.choice(OTHERS)
    elif kind == 3 and isinstance(old, list):
        owner[key] = rng.choice([old[:-1], old * 2, old[::-1], [old]])
    elif kind < 7 and isinstance(old, int | float) and not isinstance(old, bool):
        owner[key] = rng.choice([old + 1, old - 1, old * 2, -old, old / 2, str(old), float(old), [old]])
    else:
        owner[key] = rng.choice(NUMBERS if rng.random() < 0.6 else OTHERS)
    return ".".join(map(str, path))


def mutate_array(rng, arrays):
    """Change one array; return its name."""
    name = rng.choice(sorted(arrays))
    array, kind = arrays[name].copy(), rng.randrange(12)
    if not array.size or not array.ndim or array.dtype.kind not in "if":
        kind = 11  # a second change of one array
    if kind < 5:  # single numbers
        info = np.iinfo(array.dtype) if array.dtype.kind == "i" else np.finfo(array.dtype)
        values = [info.min, info.max, 0, 1, -1, 2, 7, 16]
        values += [np.nan, np.inf, -np.inf, 5e-324] if array.dtype.kind == "f" else []
        array.reshape(-1)[rng.randrange(array.size)] = rng.choice(values)
    elif kind == 5:
        array = array * rng.choice([-1, 2, 0])
    elif kind == 6:
        axis = rng.randrange(array.ndim)
        array = np.delete(array, 0, axis) if rng.random() < 0.5 else np.concatenate([array, array], axis)
    elif kind == 7:
        array = array.astype(rng.choice(DTYPES))
    elif kind == 8:
        array = rng.choice([array.T, np.asfortranarray(array), array[None], array.reshape(-1), np.float64(1.0)])
        array = np.asarray(array)
    elif kind == 9:
        array = np.roll(array, 1)
    elif kind == 10:
        other = rng.choice(sorted(arrays))
        array = arrays[other] if rng.random() < 0.5 else array.reshape(-1)[:0]
    if kind == 11:
        if rng.random() < 0.5:
            arrays[rng.choice(["more", "faults", "now/wired/cells", "fresh/scales"])] = array
        else:
            del arrays[name]
    else:
        arrays[name] = array
    return name


def free(name, changed):
    """Return whether a change may make another chip."""
    return changed.split(".")[0] in FREE or changed in DRAWN.get(name, ())


def judge(path, name, changes, inputs, expected):
    """Return a complaint about a file, "refused" or "loaded"."""
    try:
        matrix = mpimpy.load(path)
    except ValueError:
        return "refused"
    other = any(free(name, change) for change in changes)
    try:
        y = matrix.read(inputs, read=1)
    except ValueError as error:
        # formats of inputs and converters may wait for operands in slices
        return "loaded" if other else f"read: {error}"
    for view in (matrix.conductance(), matrix.codes(), matrix.decoded(), matrix.programming, matrix.tiles, matrix.age):
        repr(view)
    with contextlib.suppress(ValueError):
        matrix.at("9 y").read(inputs)
    if not other:
        return "loaded" if np.array_equal(y, expected) else f"other numbers: {y} instead of {expected}"
    if not np.all(np.isfinite(y)):
        return f"not finite: {y}"
    if matrix.config.adc.radc is None:
        return "loaded"  # the last bits belong to the BLAS
    reference = mpimpy.load(path, backend="reference").read(inputs, read=1)
    return "loaded" if np.array_equal(y, reference) else f"{y}, but on the reference backend {reference}"


def main(folder, count, seed):
    """Judge `count` files; exit with a complaint about the first wrong one."""
    warnings.simplefilter("ignore")
    path = pathlib.Path(folder) / "crafted.npz"
    inputs = {name: np.cos(np.arange(2.0 * (70 if name == "plain" else 5))).reshape(2, -1) for name in NAMES}
    expected = {name: mpimpy.load(SAVED / f"{name}.npz").read(inputs[name], read=1) for name in NAMES}
    found = {"refused": 0, "loaded": 0}
    for turn in range(count):
        rng = random.Random(f"{seed} {turn}")
        name = rng.choice(NAMES)
        meta, arrays = read(name)
        changes = []
        for _ in range(rng.choice([1, 1, 1, 2])):
            changes.append(mutate_description(rng, meta) if rng.random() < 0.6 else mutate_array(rng, arrays))
        print(f"seed {seed}, file {turn}: {name}, {changes}", flush=True)
        write(path, meta, arrays)
        verdict = judge(path, name, changes, inputs[name], expected[name])
        if verdict not in found:
            sys.exit(verdict)
        found[verdict] += 1
    print(f"{found['refused']} refused, {found['loaded']} loaded")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
