"""Workloads of sweeps: what they compute, and by which data they are told apart."""

import pickle

import numpy as np
import pytest
import scipy.sparse

import mpimpy
from mpimpy import workloads
from mpimpy.sweeps._identity import identify


def test_product_is_the_snr(rng):
    x, w = rng.standard_normal((2, 5, 40)), rng.standard_normal((40, 3))
    workload = pickle.loads(pickle.dumps(workloads.product(x, w)))
    engine = mpimpy.DPETensor(seed=3)
    assert workload(engine) == {"SNR": mpimpy.SNR(mpimpy.DPETensor(seed=3)(x, w, read=0), x @ w)}
    assert workload(engine) == workload(engine)  # the read has a number
    assert workload.units == {"SNR": "dB"}


def test_products_of_integers_do_not_overflow():
    x = np.full((1, 64), 127, np.int8)
    assert workloads.product(x, x.T).exact.item() == 64 * 127**2


def test_products_are_told_apart_by_their_operands(rng):
    x, w = rng.standard_normal((5, 40)), rng.standard_normal((40, 3))
    found = [(x, w), (x[:4], w), (x, -w), (x.astype(np.float32), w), (x + 1e-15, w)]
    names = [identify(workloads.product(*pair)) for pair in found]
    assert len(set(names)) == len(found)
    assert identify(workloads.product(x.copy(), np.asfortranarray(w))) == names[0]
    # results of users depend on it
    assert identify(workloads.product(np.eye(2), np.eye(2))) == "mpimpy.workloads.product d6143832c4f70886"


def test_operands_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"x of shape \(2, 3\) and w of shape \(2, 3\) have no product x @ w"):
        workloads.product(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(TypeError, match="w holds <U1 elements, not numbers"):
        workloads.product(np.ones((2, 3)), np.array([["a"]]))


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def test_accuracy_of_a_model_on_crossbars(torch):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.ReLU(), torch.nn.Linear(30, 4), torch.nn.Dropout(0.9))
    data = torch.randn(50, 20)
    with torch.no_grad():
        labels = model[:3](data).argmax(-1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    workload = pickle.loads(pickle.dumps(workloads.accuracy(model, data, labels, batch=16)))
    exact = workload(mpimpy.DPETensor(radc=None, var=0, format="fp32", seed=1))
    assert exact == {"accuracy": 1.0}
    noisy = workload(mpimpy.DPETensor(var=1.0, seed=1))
    assert noisy["accuracy"] < 1
    assert noisy == workload(mpimpy.DPETensor(var=1.0, seed=1))
    assert type(model[0]) is torch.nn.Linear
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_accuracies_are_told_apart_by_model_and_data(torch):
    torch.manual_seed(0)
    model, data, labels = torch.nn.Linear(4, 3), torch.randn(6, 4), torch.arange(6) % 3
    names = [identify(workloads.accuracy(model, data, labels)), identify(workloads.accuracy(model, data, labels + 1))]
    names.append(identify(workloads.accuracy(model, data + 1, labels)))
    assert identify(workloads.accuracy(model, data.numpy(), labels.numpy())) == names[0]
    with torch.no_grad():
        model.bias += 1
    names.append(identify(workloads.accuracy(model, data, labels)))
    assert len(set(names)) == 4


def test_wrong_arguments_of_accuracy(torch, monkeypatch):
    with pytest.raises(TypeError, match=r"model is a int, and must be a torch\.nn\.Module"):
        workloads.accuracy(3, np.ones((2, 4)), np.ones(2))
    with pytest.raises(ValueError, match="data has 2 examples and labels has 3: give a label to each"):
        workloads.accuracy(torch.nn.Linear(4, 3), np.ones((2, 4)), np.ones(3))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[torch\]"'):
        workloads.accuracy(torch.nn.Linear(4, 3), np.ones((2, 4)), np.ones(2))


def test_the_residual_of_a_solver():
    a, b = np.diag(np.arange(1.0, 9)) + 0.1, np.arange(8.0)
    workload = pickle.loads(pickle.dumps(workloads.solver_residual(a, b, steps=30)))
    engine = mpimpy.DPETensor(seed=3)
    found = workload(engine)
    assert found["residual"] < 1e-12
    assert found == workload(engine)  # its reads have numbers
    assert set(found) == set(workload.units)
    stalled = workloads.solver_residual(a, np.stack([b, 0 * b], axis=1), steps=2)(engine)  # without a warning
    assert 1e-12 < stalled["residual"] < 1
    assert stalled["steps"] == 2
    sparse = workloads.solver_residual(scipy.sparse.csr_array(a), b, steps=30)
    assert sparse(engine) == found
    singular = np.eye(8) + np.pad(np.ones((1, 1)), ((0, 7), (7, 0)))
    singular[7] = singular[0]
    assert 0.1 < workloads.solver_residual(singular, b)(engine)["residual"] < 1  # without an error
    assert workloads.solver_residual(singular, singular @ b)(engine)["residual"] < 1e-12  # and without a warning
    with pytest.raises(np.linalg.LinAlgError, match="row 2 holds nothing but zeros"):
        workloads.solver_residual(np.diag([1, 2, 0]), np.ones(3))


def test_solver_residuals_are_told_apart_by_system_and_settings():
    a, b = np.eye(3), np.ones(3)
    given = [(a, b), (2 * a, b), (a, 2 * b), (a, b, 1e-6), (a, b, 1e-12, 9)]
    found = [workloads.solver_residual(*each) for each in given] + [workloads.solver_residual(a, b, iterations=3)]
    assert len({identify(each) for each in found}) == len(found)
    assert identify(workloads.solver_residual(a.copy(), b)) == identify(found[0])
    with pytest.raises(ValueError, match="method='x' is unknown"):
        workloads.solver_residual(a, b, method="x")
    with pytest.raises(ValueError, match="steps=0 is out of range"):
        workloads.solver_residual(a, b, steps=0)
