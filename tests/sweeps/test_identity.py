"""Identities of workloads, and those that cannot be sent to other processes."""

import functools
import threading

import pytest
import sweeping

from mpimpy.sweeps._identity import identify, name_of, pickled


def make(offset, lock=None):
    def inner(engine, scale=1):
        return engine.seed * scale + offset + (lock is None)

    return inner


class Callable:
    def __init__(self, offset):
        self.offset = offset

    def __call__(self, engine):
        return self.offset

    def method(self, engine):
        return self.offset


def test_an_identity_is_that_of_source_and_data():
    assert identify(sweeping.fails) == identify(sweeping.fails)
    assert identify(sweeping.fails).startswith("sweeping.fails ")
    assert identify(make(1)) == identify(make(1))
    assert identify(functools.partial(make(1), scale=2)) == identify(functools.partial(make(1), scale=2))
    assert name_of(functools.partial(sweeping.fails)) == "sweeping.fails"
    found = [
        sweeping.fails,
        sweeping.poison,
        make(1),
        make(2),
        functools.partial(make(1), scale=2),
        functools.partial(make(1), scale=3),
        functools.partial(make(1), 3),
        Callable(1),
        Callable(2),
        Callable(1).method,
        Callable(2).method,
        make(make(1)),
        make(make(2)),
    ]
    assert len({identify(one) for one in found}) == len(found)


def test_defaults_are_data():
    def f(engine, a=1, *, b=2):
        return a + b

    one = identify(f)
    f.__defaults__ = (3,)
    two = identify(f)
    f.__kwdefaults__ = {"b": 3}
    assert len({one, two, identify(f)}) == 3


def test_a_function_that_was_typed_in_has_an_identity():
    found = []
    for text in (
        "return 1",
        "return 2",
        "return (lambda: 3)()",
        "return (lambda: 4)()",
        "return engine.seed",
        "return engine.chip",
    ):
        scope = {"__name__": "typed"}
        exec(f"def f(engine): {text}", scope)
        found.append(identify(scope["f"]))
    assert len(set(found)) == 6


def test_a_version_stands_for_source_and_data():
    assert identify(make(1), 2) == identify(make(2), "2")
    assert identify(make(1), 2) != identify(make(1), 3)
    with pytest.raises(TypeError, match=r"version=1\.5 must be a text or a whole number"):
        identify(make(1), 1.5)


def test_a_workload_that_cannot_be_called_or_told_apart_is_refused():
    with pytest.raises(TypeError, match="workload=3 must be a function of an engine"):
        identify(3)
    with pytest.raises(TypeError, match=r"holds lock \(a lock\), by which .* give a version, such as version='1'"):
        identify(make(1, threading.Lock()))
    assert identify(make(1, threading.Lock()), version=1)


def test_what_cannot_be_pickled_is_named():
    with pytest.raises(TypeError, match=r"inner cannot be sent to other processes: it holds lock \(a lock\), which"):
        pickled(make(1, threading.Lock()))
    held = Callable({"a": [1, threading.Lock()]})
    with pytest.raises(TypeError, match=r"it holds offset\.\['a'\]\.\[1\] \(a lock\)"):
        pickled(held)
    with pytest.raises(TypeError, match=r"it holds scale \(a lock\)"):
        pickled(functools.partial(sweeping.fails, scale=threading.Lock()))
    with pytest.raises(TypeError, match=r"it holds self\.offset \(a lock\)"):
        pickled(Callable(threading.Lock()).method)


def test_without_cloudpickle_an_inner_function_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TypeError, match="it is a function inside another, which cannot be pickled"):
        pickled(make(1))
