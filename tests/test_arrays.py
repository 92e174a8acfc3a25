"""The rooms at the bottom: lazy arrays, counters of reads, and the way in for operands."""

import copy
import pickle
import threading

import numpy as np
import pytest
from libraries import to_torch, torch

from mpimpy import Engine, MapReducedot, arrays
from mpimpy.operands import edge, values
from mpimpy.operators import RightOperand
from mpimpy.reads import ReadCounter


def test_arrays_that_are_not_computed_yet_are_handed_over(monkeypatch):
    lazy = type("Lazy", (), {"__module__": "lazylib.core"})()
    monkeypatch.setattr(arrays, "_LAZY", {})
    assert arrays.lazy_product(lazy, np.eye(2)) is None
    arrays.register_lazy("lazylib", lambda *given: given)
    engine = Engine(seed=1)
    assert MapReducedot(lazy, 3, engine) == (lazy, 3, engine, {})
    assert MapReducedot(3, lazy, seed=1) == (3, lazy, None, {"seed": 1})
    assert arrays.lazy_product(np.eye(2), 3) is None


def test_reads_are_counted_once_each_in_every_thread():
    counter, seen = ReadCounter(5), []
    threads = [threading.Thread(target=lambda: seen.extend(counter.next_read() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(5, 2005))
    assert counter.reads == 2005


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda counter: pickle.loads(pickle.dumps(counter))])
def test_a_copy_of_a_counter_counts_on(clone):
    counter = ReadCounter(3)
    other = clone(counter)
    assert (other.next_read(), other.reads, counter.reads) == (3, 4, 3)


def test_a_matrix_carries_a_counter_and_not_its_engine():
    engine = Engine(seed=1)
    matrix = engine.program(np.eye(3))
    assert not any(isinstance(value, Engine) for value in matrix.__dict__.values())
    matrix.read(np.ones(3))
    assert engine.reads == matrix.reads == 1


def test_an_operand_is_checked_once(monkeypatch):
    accepted = edge.accept("x", [[1.0, 2.0]])
    monkeypatch.setattr(values, "take", lambda *_, **__: pytest.fail("checked again"))
    assert edge.accept("other", accepted) is accepted
    assert (accepted.name, accepted.shape, accepted.dims, accepted.rows) == ("x", (1, 2), (1, 1, 2), 1)


def test_an_operand_fits_what_it_is_multiplied_by():
    w = edge.accept("w", np.eye(3))
    assert edge.accept("x", [1, 2, 3], w, depth=3).dims == (1, 1, 3)
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3, 3\) do not fit: the last axis of x \(2\)"):
        edge.accept("x", [1, 2], w, depth=3)
    if torch is not None:
        with pytest.raises(TypeError, match="x is a torch array and w a numpy one"):
            edge.accept("x", to_torch(np.eye(3)), w, depth=3)


def test_a_transposed_read_is_a_method_that_may_be_given():
    class Both(RightOperand):
        def _read_transposed(self, x):
            return "transposed", x

    assert Both() @ 3 == ("transposed", 3)
    with pytest.raises(NotImplementedError):
        RightOperand().read(1)
    with pytest.raises(TypeError, match="W @ x would drive the bit lines"):
        RightOperand() @ 3


# halves of a unit in the last place, and a little more or less: float32 does not hold the little
TIES = [
    sign * (1 + n * half) * (1 + little)
    for sign in (1, -1)
    for n in (1, 3, 5, 8)
    for half in (2**-11, 2**-8)
    for little in (0, 2**-40, -(2**-40))
]


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_a_result_of_16_bits_is_rounded_once(library):
    values = np.array(
        [*TIES, 65504.0, 65519.999999999, 65520.0, 1e300, 2.0**-25, 2.0**-25 * (1 + 2**-40), 1e-300, -0.0]
    )
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
        if library == "numpy":
            found = arrays.rounded(values, np.float16)
        elif library == "torch":
            torch = pytest.importorskip("torch")
            found = arrays.rounded(torch.asarray(values), torch.float16).numpy()
        else:
            jax = pytest.importorskip("jax")
            with jax.enable_x64(True):
                found = np.asarray(arrays.rounded(jax.numpy.asarray(values), jax.numpy.dtype("float16")))
    assert found.dtype == np.float16
    assert found.tobytes() == expected.tobytes()


@pytest.mark.skipif(torch is None, reason="needs torch")
def test_bfloat16_is_rounded_once():
    above, below, tie = 1 + 2**-8 + 2**-40, 1 + 2**-8 - 2**-40, 1 + 2**-8
    found = arrays.rounded(torch.asarray([above, below, tie, -above], dtype=torch.float64), torch.bfloat16)
    assert found.tolist() == [1 + 2**-7, 1.0, 1.0, -(1 + 2**-7)]
    assert arrays.rounded(torch.ones(2, dtype=torch.float64), torch.float32).dtype == torch.float32
