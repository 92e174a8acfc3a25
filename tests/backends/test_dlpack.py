"""Arrays of other libraries in CPU memory run on the CPU kernels, by DLPack: the bits of NumPy."""

import contextlib

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import same_bits, to_strict
from strategies import examples, products

from mpimpy import SNR, Engine, MapReducedot, arrays, backends, explain, load
from mpimpy.backends import reference
from mpimpy.wires import transfer


def jax_64():
    """JAX with float64, for a while."""
    jax = pytest.importorskip("jax")
    return jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64()


def to_jax(array):
    return pytest.importorskip("jax.numpy").asarray(np.array(array))


@pytest.fixture
def jnp():
    return pytest.importorskip("jax.numpy")


@pytest.mark.slow
@given(products(drift=True, wired=True), st.sampled_from(["jax", "strict"]))
@settings(max_examples=examples(40))
def test_the_bits_are_those_of_numpy(case, library):
    config, x, w = case
    make = {"jax": to_jax, "strict": to_strict}[library]
    with jax_64() if library == "jax" else contextlib.nullcontext():
        given_x, given_w = make(x), make(w)
        y = Engine.from_config(config, seed=5).program(given_w).read(given_x, 3)
        assert type(y) is type(given_x)
        assert y.device == given_x.device
        expected = Engine.from_config(config, seed=5).program(w).read(x, 3)
        assert same_bits(y, expected)


def test_jax_has_the_bits_of_numpy(rng):
    x, w = rng.standard_normal((10, 100)), rng.standard_normal((100, 30))
    expected = MapReducedot(x, w, seed=1)
    with jax_64():
        for backend in (None, "numba"):
            assert same_bits(MapReducedot(to_jax(x), to_jax(w), seed=1, backend=backend), expected)


@pytest.mark.slow
def test_jax_has_the_bits_of_numpy_by_the_reference(rng):
    x, w = rng.standard_normal((10, 70)), rng.standard_normal((70, 30))
    with jax_64():
        y = MapReducedot(to_jax(x), to_jax(w), seed=1, backend="reference")
        assert same_bits(y, MapReducedot(x, w, seed=1))
        assert same_bits(transfer(to_jax(np.abs(w) * 1e-6), 2.0, 1.0), transfer(np.abs(w) * 1e-6, 2.0, 1.0))


def test_jax_divides_as_numpy_does(rng):
    digits = rng.integers(0, 100, (2, 5, 9))
    with jax_64():
        found = reference.fold(to_jax(digits), (1.0, 3.0), 7.0)
        assert same_bits(found, reference.fold(digits, (1.0, 3.0), 7.0))


def test_jax_without_float64(rng, jnp, tmp_path):
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 70), (70, 3)))
    engine, W = Engine(seed=1), Engine(seed=1).program(to_jax(w))
    expected = engine.program(w).read(x, 0)
    for y in (W.read(to_jax(x), 0), to_jax(x) @ W, MapReducedot(to_jax(x), to_jax(w), seed=1)):
        assert isinstance(y, type(jnp.ones(1)))
        assert same_bits(y, expected)
    assert same_bits(W.codes(), engine.program(w).codes().astype(np.int32))
    W.save(tmp_path / "chip.npz")
    assert same_bits(load(tmp_path / "chip.npz", like=jnp.ones(1)).read(to_jax(x), 0), expected)
    assert explain(to_jax(x), to_jax(w), seed=1).snr_dB == explain(x, w, seed=1).snr_dB
    assert SNR(to_jax(expected), to_jax(x @ w)) == SNR(expected, x @ w)
    with pytest.raises(ValueError, match=r"has no float64.*enable jax_enable_x64 in JAX"):
        MapReducedot(to_jax(x), to_jax(w), backend="reference")


def test_numbers_beside_jax_without_float64(jnp):
    ones = jnp.ones((2, 1))
    for number in (1e300, 1e-60):
        with pytest.raises(
            ValueError,
            match=rf"a has {number:.0e}".replace("+", r"\+")
            + r" at index \(0, 0\), which is finite but beyond the range of",
        ):
            MapReducedot([[number, 1.0]], ones)
    with pytest.raises(ValueError, match=r"a has 1099511627776 at index \(0, 0\)"):
        MapReducedot([[2**40, 1]], ones)
    half = jnp.ones((2, 1), jnp.bfloat16)
    assert MapReducedot(jnp.asarray(2.0), half, seed=1).dtype == jnp.bfloat16  # JAX's own weak number
    assert MapReducedot(half.T, half, seed=1).dtype == jnp.bfloat16
    assert MapReducedot(ones.astype(jnp.int4).T, ones, seed=1).dtype == jnp.float32


def test_values_that_jax_traces_are_refused(jnp):
    import jax

    W, x = Engine(seed=1).program(np.eye(3)), jnp.ones((2, 3))
    for transform in (jax.jit, jax.vmap, lambda f: jax.grad(lambda v: f(v).sum())):
        for product in (lambda v: v @ W, lambda v: MapReducedot(v, np.eye(3)), lambda v: Engine()(np.eye(3), v)):
            with pytest.raises(TypeError, match=r"is traced by JAX \(jit, vmap, grad or scan\) and has no values"):
                transform(product)(x)


def test_arrays_are_handed_over_without_a_copy(jnp):
    for array in (jnp.ones(1000), array_api_strict.ones(1000)):
        shared = arrays.to_numpy(array)
        assert shared.__array_interface__["data"][0] == np.asarray(array).__array_interface__["data"][0]
        assert arrays.in_cpu_memory(array)


class Elsewhere:
    """An array in the memory of a GPU."""

    def __dlpack_device__(self):
        return (2, 0)


def test_what_is_not_in_cpu_memory_has_no_cpu_kernel():
    for array in (Elsewhere(), object()):
        assert not arrays.in_cpu_memory(array)
        with pytest.raises(
            ValueError, match=r"backend 'numba' takes NumPy arrays, torch CPU tensors, and arrays in CPU"
        ):
            backends.select(array, "numba")


class Scattered:
    """An array in CPU memory that DLPack cannot share."""

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **options):
        raise BufferError("in two parts")

    def __array__(self, dtype=None, copy=None):
        return np.arange(3.0)


def test_what_dlpack_cannot_share_is_copied():
    assert same_bits(arrays.to_numpy(Scattered()), np.arange(3.0))
