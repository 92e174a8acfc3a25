"""Keys for named parts: one for each seed and list of labels, the same everywhere, and none of them the seed's own."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import RUNNERS, same_bits
from strategies import each_runner

from mpimpy import Device, Engine, load
from mpimpy.noise import MAX_SEED, derive

labels = st.lists(st.one_of(st.text(max_size=5), st.integers(-5, 5)), min_size=1, max_size=3)


@given(st.integers(0, MAX_SEED), labels)
def test_a_key_is_what_its_docstring_says(seed, names):
    data = seed.to_bytes(8, "little")
    for name in names:
        text = str(name).encode()
        data += {str: b"s", int: b"i"}[type(name)] + len(text).to_bytes(8, "little") + text
    key = derive(seed, *names)
    assert key == int.from_bytes(hashlib.sha256(data).digest()[:8], "little")
    assert 0 <= key <= MAX_SEED


@given(st.integers(0, MAX_SEED), labels, st.integers(0, MAX_SEED), labels)
def test_keys_differ_where_seeds_or_labels_do(seed, names, other_seed, others):
    same = seed == other_seed and list(map(repr, names)) == list(map(repr, others))
    assert (derive(seed, *names) == derive(other_seed, *others)) == same


def test_known_keys():
    # results of today must come back with any later mpimpy
    assert derive(1, "matrix", "layer1") == 0xBFB37C195D41F162
    assert derive(2**64 - 1, "step", 7) == 0xF92EC1773C40F46D


def test_labels_do_not_run_into_each_other():
    keys = [
        derive(1, "a", "b"),
        derive(1, "ab"),
        derive(derive(1, "a"), "b"),
        derive(1, "1"),
        derive(1, 1),
        derive(1, ""),
    ]
    assert len({1, *keys}) == 7
    with pytest.raises(TypeError, match="derive needs at least one label"):
        derive(1)


@each_runner
def test_two_named_matrices_of_one_engine_are_different_silicon(runner, tmp_path):
    make, backend = RUNNERS[runner]
    engine = Engine(Device(var=0.02, write_var=0.1, stuck_HGS=0.01), seed=1, backend=backend)
    w, x = make(np.full((64, 32), 0.5)), make(np.ones((3, 64)))
    first, second = engine.program(w, name="layer1"), engine.program(w, name="layer2")
    assert not np.any(np.asarray(first.conductance()) == np.asarray(second.conductance()), axis=(0, 1)).all()
    assert not same_bits(first.read(x, read=0), second.read(x, read=0))
    # the same name is the same silicon, with another engine of the same seed and chip, too
    again = Engine(engine.config.device, seed=1, backend=backend).program(w, name="layer1")
    assert same_bits(first.conductance(), again.conductance())
    assert same_bits(first.read(x, read=0), again.read(x, read=0))
    assert first.seed == derive(1, "matrix", "layer1")
    # a matrix without a name has the seed's own numbers, and a chip on disk those of its name
    assert engine.program(w).seed == 1
    first.save(tmp_path / "chip.npz")
    assert same_bits(load(tmp_path / "chip.npz", like=x, backend=backend).read(x, read=0), first.read(x, read=0))


def test_parts_of_a_named_matrix_have_the_numbers_of_the_whole(rng):
    engine = Engine(Device(write_var=0.1), seed=3)
    w = rng.standard_normal((128, 40))
    whole, part = engine.program(w, name="a"), engine.program(w[64:, 8:], name="a", origin=(64, 8))
    assert same_bits(part.conductance(), whole.conductance()[:, 64:, 8:])


def test_what_is_no_name_is_refused():
    with pytest.raises(TypeError, match=r"name=3 must be a text, such as name='layer1'"):
        Engine(seed=1).program(np.eye(2), name=3)
    with pytest.raises(ValueError, match=r"name='' names nothing: give a text, such as name='layer1', or leave it out"):
        Engine(seed=1).program(np.eye(2), name="")
