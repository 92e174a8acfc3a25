"""Panel sums: a product cut along K where panels end has the bits of the whole."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import same_bits
from strategies import configs, examples, runners

from mpimpy import ADC, DAC, Config, Device, Engine, Format, Tile
from mpimpy.crossbar.product import panels, reduce_panels
from mpimpy.matrix import backend_of, encode_inputs

PANEL = 16


def sums_of(matrix, x, read=0):
    return list(panels(backend_of(matrix), *encode_inputs(matrix, x), read))


def cut(engine, make, x, w, rows):
    """Panel sums of every part, in ascending order."""
    found = []
    for start in range(0, w.shape[0], rows):
        part = engine.program(make(w[start : start + rows]), origin=(start, 0))
        found += sums_of(part, make(x[:, start : start + rows]))
    return found


@st.composite
def cut_products(draw):
    config = draw(configs(drift=False, wired=False))
    seed, rows = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 4))
    finest = {part: dataclasses.replace(getattr(config, part), granularity="finest") for part in ("inputs", "weights")}
    config = config.replace(tile=Tile(rows, 8), **finest)
    rng = np.random.default_rng(seed)
    depth = draw(st.integers(1, 2 * PANEL * rows + 3))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    x, w = rng.standard_normal((draw(st.integers(1, 3)), depth)), rng.standard_normal((depth, draw(st.integers(1, 4))))
    return config, x.astype(dtype), w.astype(dtype), PANEL * rows * draw(st.integers(1, 2))


@given(cut_products(), runners())
@settings(max_examples=examples(6))
def test_a_product_cut_along_K_has_the_bits_of_the_whole(case, chosen):
    config, x, w, rows = case
    exact = config.radc is not None  # the last bits of a float64 product of noisy codes belong to the BLAS
    results = []
    for _, make, backend in chosen:
        engine = Engine.from_config(config, seed=5, backend=backend)
        whole = np.asarray(engine.program(make(w)).read(make(x), read=0))
        parts = np.asarray(reduce_panels(cut(engine, make, x, w, rows), str(x.dtype)))
        if exact:
            assert same_bits(parts, whole)
            results.append(parts)
        else:
            np.testing.assert_allclose(parts, whole, rtol=2e-5, atol=1e-4 * np.abs(whole).max())
    assert all(same_bits(one, results[0]) for one in results)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("double", [False, True])
def test_sums_of_parts_differ_from_the_whole_and_panels_do_not(rng, dtype, double):
    # what a user of two engine.program(part) sees without panels
    fmt = Format((1, 1, 2, 4), bw_e=8, double=double)
    engine = Engine(inputs=fmt, weights=fmt, seed=1)
    x, w = rng.standard_normal((8, 40 * 64)).astype(dtype), rng.standard_normal((40 * 64, 16)).astype(dtype)
    whole = engine.program(w).read(x, read=0)
    half = PANEL * 64
    added = engine.program(w[:half]).read(x[:, :half], read=0)
    added = added + engine.program(w[half:], origin=(half, 0)).read(x[:, half:], read=0)
    assert not same_bits(added, whole)
    assert same_bits(reduce_panels(cut(engine, np.asarray, x, w, half), dtype), whole)


def test_panels_come_in_order_and_one_for_each_sixteen_tiles(rng):
    engine = Engine(tile=Tile(4, 8), seed=1)
    x, w = rng.standard_normal((2, 4 * 33)), rng.standard_normal((4 * 33, 5))
    found = sums_of(engine.program(w), x)
    assert [len(pairs) for pairs in found] == [1, 1, 1]
    assert [pairs[0].dtype for pairs in found] == [np.float64] * 3
    first = engine.program(w[:64]).read(x[:, :64], read=0)
    assert same_bits(found[0][0], first)


def test_noise_of_converters_is_that_of_the_whole(rng):
    config = Config(
        Device(var=0.05), DAC(vnoise=0.01), ADC(256, noise_lsb=0.5, offset_lsb=0.5, gain_error=0.01), Tile(4, 8)
    )
    engine = Engine.from_config(config, seed=1)
    x, w = rng.standard_normal((2, 4 * 33)), rng.standard_normal((4 * 33, 5))
    assert same_bits(reduce_panels(cut(engine, np.asarray, x, w, 64), "float64"), engine.program(w).read(x, read=0))


def test_a_part_that_cuts_a_panel_is_refused(rng):
    engine = Engine(tile=Tile(4, 8), seed=1)
    matrix = engine.program(rng.standard_normal((8, 3)), origin=(4, 0))
    with pytest.raises(ValueError, match=r"begins at row 4 has no panels of its own: cut at a multiple of 64 rows"):
        sums_of(matrix, np.ones((1, 8)))
