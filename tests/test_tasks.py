"""Copies in tasks: whatever carries an engine or a matrix to a worker, no two repeat each other's noise."""

import pickle
import warnings

import numpy as np
import pytest
from libraries import same_bits

from mpimpy import ADC, Device, DPETensor, Engine, Tile

x, w = np.random.default_rng(0).standard_normal((2, 40, 40))
x = x[:3]
NOISY = Engine(Device(var=0.1, write_var=0.1), tile=Tile(16, 16), seed=3)


def through_cloudpickle(value):
    cloudpickle = pytest.importorskip("cloudpickle")
    return cloudpickle.loads(cloudpickle.dumps(value))


def through_a_closure(value):
    cloudpickle = pytest.importorskip("cloudpickle")
    return pickle.loads(cloudpickle.dumps(lambda: value))()


def through_dask(value):
    protocol = pytest.importorskip("distributed.protocol")
    return protocol.deserialize(*protocol.serialize(value))


def through_a_task(value):
    protocol = pytest.importorskip("distributed.protocol")
    return protocol.loads(protocol.dumps({"function": protocol.to_serialize(value)}))["function"]


CARRIERS = {
    "cloudpickle": through_cloudpickle,
    "closure": through_a_closure,
    "dask": through_dask,
    "task": through_a_task,
}
FACES = {
    "engine": (lambda: NOISY, lambda engine: engine(x, w)),
    "matrix": (lambda: NOISY.program(w), lambda matrix: x @ matrix),
    "complex": (lambda: NOISY.program(w + 1j * w.T), lambda matrix: x @ matrix),
    "transposed": (lambda: NOISY.replace(tile={"reference": "ideal"}).program(w).T, lambda turned: turned.read(x)),
    "operator": (lambda: NOISY.operator(w), lambda operator: x @ operator),
    "method": (lambda: NOISY.program(w).read, lambda read: read(x)),
    "predecessor": (lambda: DPETensor(seed=3), lambda engine: engine(x, w)),
}


@pytest.mark.parametrize("carry", CARRIERS.values(), ids=CARRIERS)
@pytest.mark.parametrize(("make", "count"), FACES.values(), ids=FACES)
def test_copies_in_tasks_draw_noise_of_their_own(carry, make, count):
    original = make()
    copies = [carry(original), carry(original), carry(carry(original))]
    found = [count(each) for each in (*copies, original, copies[0])]
    assert len({y.tobytes() for y in found}) == len(found)


@pytest.mark.parametrize("carry", CARRIERS.values(), ids=CARRIERS)
def test_numbered_reads_in_tasks_are_the_same(carry):
    for weights in (w, w + 1j * w.T):
        matrix = NOISY.program(weights)
        assert same_bits(carry(matrix).read(x, read=5), matrix.read(x, read=5))


@pytest.mark.slow
def test_workers_of_dask_do_not_repeat_each_other():
    distributed = pytest.importorskip("distributed")
    matrix = Engine(Device(var=0.1), adc=ADC(256, noise_lsb=0.5), seed=3).program(w)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about ports and open files
        with distributed.Client(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, set_as_default=False
        ) as client:
            counted = client.gather([client.submit(matrix.read, x, pure=False) for _ in range(4)])
            numbered = client.gather([client.submit(matrix.read, x, 5, pure=False) for _ in range(2)])
    assert len({y.tobytes() for y in [*counted, matrix.read(x)]}) == 5
    assert all(same_bits(y, matrix.read(x, read=5)) for y in numbered)
