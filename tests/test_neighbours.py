"""Matrices without names on the same cells are told once; whatever cannot share noise is not."""

import copy
import pickle
import warnings

import numpy as np
import pytest

from mpimpy import ADC, Device, DPETensor, Drift, Engine, Format, MpimpyWarning

A, B = np.random.default_rng(0).standard_normal((2, 64, 64))
X = np.ones((1, 64))
WRITTEN = Device(write_var=0.1)


@pytest.fixture
def engine():
    return Engine(WRITTEN, seed=0)


@pytest.mark.parametrize(
    "part",
    [
        dict(device=WRITTEN),
        dict(device=Device(stuck_LGS=0.01)),
        dict(device=Device(stuck_HGS=0.01)),
        dict(device=Device(drift=Drift(0.05, nu_spread=0.01))),
        dict(device=Device(g_level=2, drift=Drift(0.05, nu_spread=(0.0, 0.01))), weights=Format([1, 1, 1, 1])),
        dict(adc=ADC(offset_lsb=1)),
        dict(adc=ADC(gain_error=0.1)),
    ],
)
def test_two_live_matrices_on_the_same_cells_are_told_once(part):
    engine = Engine(**part, seed=0)
    first, second = engine.program(A), engine.program(B[:, :30])
    assert first.origin == second.origin
    told = "two matrices, 64 x 30 and 64 x 64, were programmed without names on the same cells of chip 0.*name='layer1'"
    with pytest.warns(MpimpyWarning, match=told):
        X @ second
    third = engine.program(B)
    X @ third
    X @ second


def test_a_complex_matrix_is_one_of_them(engine):
    first, second = engine.program(A + 1j * B), engine.program(B)
    assert first.shape == second.shape
    with pytest.warns(MpimpyWarning, match="64 x 64 and 64 x 128"):
        X @ second


def test_nothing_is_told_where_nothing_is_shared(engine):
    live = [
        engine.program(A),
        engine.program(A),  # the same matrix twice
        engine.program(A[:, :10]),  # and parts of it
        engine.program(np.concatenate([B, A]), chip=2),
        engine.program(A[:, 30:], origin=(64, 30), chip=2),
        engine.program(B, name="other"),
        engine.program(B, chip=1),
        engine.program(B, origin=(64, 0)),
        engine.program(B, origin=(0, 64)),
        engine.replace(device=WRITTEN).program(B),
        pickle.loads(pickle.dumps(engine)).program(B),
        copy.deepcopy(engine).program(B),
        engine.program(np.zeros((0, 3))),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for matrix in live:
            np.ones((1, matrix.shape[0])) @ matrix
        engine(X, B)
        same_decay = Engine(Device(drift=Drift(0.05)), seed=0)  # of every cell
        for exact in (DPETensor(seed=0), same_decay):
            for matrix in [exact.program(A), exact.program(B)]:
                X @ matrix


def test_a_matrix_that_no_longer_lives_is_forgotten(engine):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for weights in (A, B):
            matrix = engine.program(weights)
            X @ matrix
