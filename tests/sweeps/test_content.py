"""Changes of a workload that its identity must see, and some that it must not."""

import abc
import code as console
import collections
import dataclasses
import enum
import functools
import linecache
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import sweeping

from mpimpy import workloads
from mpimpy.sweeps._identity import identify


def differ(*found):
    names = [identify(one) for one in found]
    assert len(set(names)) == len(names)
    assert names == [identify(one) for one in found]


def base(engine):
    return 1.0


def of(data, use=float):
    def work(engine):
        return use(data)

    return work


def test_functions_that_have_the_source_of_others():
    a, b = (lambda e: 1.0), (lambda e: 2.0)
    c = lambda e: 1.0; d = lambda e: 2.0  # noqa: E702, E731  # fmt: skip
    differ(a, b)
    differ(c, d)
    differ(of(1, lambda d: d + 1), of(1, lambda d: d + 2))


def twice(f):
    @functools.wraps(f)
    def g(engine):
        return 2 * f(engine)

    return g


def thrice(f):
    @functools.wraps(f)
    def g(engine):
        return 3 * f(engine)

    return g


def times(k):
    def decorate(f):
        @functools.wraps(f)
        def g(engine):
            return k * f(engine)

        return g

    return decorate


def test_decorators():
    differ(base, twice(base), thrice(base), times(2)(base), times(3)(base), twice(twice(base)))
    differ(*(functools.lru_cache(one) for one in (base, twice(base))))


def test_attributes_of_functions():
    differ(with_attribute(of(1), 1), with_attribute(of(1), 2))


def test_a_class_that_was_typed_in():
    found = []
    for result in ("1", "2", "self.a", "self.b"):
        shell = console.InteractiveConsole()
        for line in ("class Work:", f"    def __call__(self, e): return {result}", "", "work = Work()"):
            shell.push(line)
        found.append(shell.locals["work"])
    differ(*found)


@dataclasses.dataclass(slots=True)
class Slotted:
    k: float

    def __call__(self, engine):
        return self.k


class Slots:
    __slots__ = ("__own", "k")

    def __init__(self, k):
        self.k = self.__own = k


class Below(Slots):
    __slots__ = ()

    def __call__(self, engine):
        return self.k


def test_attributes_without_a_dict():
    differ(Slotted(1.0), Slotted(2.0))
    differ(Below(1.0), Below(2.0))


class Base:
    def __call__(self, engine):
        return self.value()


def made(result):
    class Work(Base):
        def value(self):
            return result

    return Work()


class Holder(Base):
    k = 1.0

    def value(self):
        return self.k


class Lower(Holder):
    """It has all of its code from the classes above."""


def test_classes_and_what_their_methods_hold(monkeypatch):
    differ(made(1), made(2))
    before = identify(Lower()), identify(Lower().value), identify(of(Lower))
    monkeypatch.setattr(Holder, "k", 2.0)
    after = identify(Lower()), identify(Lower().value), identify(of(Lower))
    monkeypatch.setattr(Base, "__call__", lambda self, engine: -self.value())
    last = identify(Lower()), identify(Lower().value), identify(of(Lower))
    assert len({*before, *after, *last}) == 9


@pytest.mark.parametrize(
    "wrap", [property, staticmethod, classmethod, functools.partialmethod, functools.cached_property]
)
def test_methods_of_all_kinds(wrap):
    def work(k):
        def f(*args):
            return k

        return type("Work", (Base,), {"value": wrap(f), "__module__": __name__})()

    differ(work(1), work(2))


class Array(np.ndarray):
    pass


class Words(dict):
    pass


def with_attribute(value, a):
    value.a = a
    return value


def test_data_of_all_kinds():
    kinds = [
        lambda k: np.ones(2).view(Array) * k,
        lambda k: with_attribute(np.ones(2).view(Array), k),
        lambda k: with_attribute(Words(), k),
        lambda k: Words(a=k),
        lambda k: np.ma.array([1.0, 2.0], mask=[0, k - 1]),
        lambda k: np.array([k, "a"], object),
        lambda k: types.SimpleNamespace(a=k),
        lambda k: collections.deque([k]),
        lambda k: bytearray([k]),
        lambda k: {"a": [{k}]},
        lambda k: np.random.default_rng(k),
        lambda k: np.random.default_rng(k).normal,
        lambda k: functools.partial(base, k),
        lambda k: np.dtype([("ab"[k - 1], "f8")]),
        lambda k: np.zeros(1, [("ab"[k - 1], "f8")]),
        lambda k: workloads.product(np.eye(2), np.eye(2) * k),
        lambda k: [(1, True)[k - 1]],
        lambda k: (0.0, -0.0)[k - 1],
        lambda k: collections.namedtuple("Pair", ("a", "b"))(k, 1),
        lambda k: enum.Enum("Kind", {"A": k}).A,
        lambda k: dataclasses.make_dataclass("Data", [("k", int, k)]),
    ]
    differ(*(of(kind(k)) for kind in kinds for k in (1, 2)))


def test_tensors():
    torch = pytest.importorskip("torch")
    differ(*(of(torch.ones(2, dtype=kind) * k) for k in (1, 2) for kind in (torch.float32, torch.bfloat16)))
    differ(of(torch.ones(2, 3)), of(torch.ones(3, 2)), of(torch.ones(3, 2).T), of(torch.nn.Parameter(torch.ones(2, 3))))
    differ(*(of(torch.eye(3).to_sparse() * k) for k in (1, 2)))
    linear = [torch.nn.Linear(2, 2) for _ in range(2)]
    differ(*(of(one) for one in linear))
    with torch.no_grad():
        before = identify(of(linear[0]))
        linear[0].bias += 1
    assert identify(of(linear[0])) != before


FACTOR, TABLE = 1.0, {"a": np.ones(2)}


def helper(x):
    return x * FACTOR


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def uses_globals(engine):
    inner = [helper(t) for t in TABLE["a"]]
    return sum(inner) + even(3) + sweeping.seed_of(engine)["seed"]


def test_globals_that_the_code_names(monkeypatch):
    names = [identify(uses_globals)]
    assert names[0] == identify(uses_globals)
    for name, value in (
        ("FACTOR", 2.0),
        ("TABLE", {"a": np.zeros(2)}),
        ("helper", lambda x: x),
        ("odd", lambda n: True),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(globals(), name, value)
            names.append(identify(uses_globals))
    monkeypatch.setattr(sweeping, "seed_of", base)  # by its module
    names.append(identify(uses_globals))
    assert len(set(names)) == 6


def test_a_class_that_adds_to_one_with_an_identity_of_its_own():
    class Loud(workloads.product):
        def __init__(self, k, result):
            super().__init__(np.eye(2), np.eye(2))
            self.k = k

    class Other(workloads.product):
        def __call__(self, engine):
            return super().__call__(engine)["SNR"]

    Other.__qualname__ = Loud.__qualname__
    differ(Loud(1, 1), Loud(2, 1), Other(np.eye(2), np.eye(2)))


def test_compiled_functions():
    numba = pytest.importorskip("numba")

    def made(k, **options):
        def f(x):
            return x * k

        return of(numba.njit(**options)(f))

    differ(made(1), made(2), made(1, fastmath=True))
    assert identify(made(1)) == identify(made(1))


class Abstract(abc.ABC):
    @abc.abstractmethod
    def value(self):
        """Give a number."""


class Concrete(Abstract):
    def value(self):
        return super().__init__

    def __call__(self, engine):
        return {"a", "b", "c"} & {self.value()}


def test_cycles_and_classes_with_a_hidden_part():
    one = Concrete()
    one.self = [one]
    assert identify(one) == identify(one)
    nested = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(TypeError, match="data that are nested too deeply"):
        identify(of(nested))
    while nested:  # an end of it all at once would be too deep as well
        nested = nested.pop()


def test_what_has_no_identity_is_refused():
    for held, message in (
        (memoryview(b"a"), r"holds data \(a memoryview\)"),
        ({"a": [memoryview(b"a")]}, r"holds data\['a'\] \(a memoryview\)"),
        (types.SimpleNamespace(m=(i for i in ())), r"holds data\.m \(a generator\)"),
        (np.frompyfunc(lambda x: x, 1, 1), r"holds data \(a ufunc\)"),
    ):
        with pytest.raises(TypeError, match=message + ", by which its results cannot be told from others: give a ver"):
            identify(of(held))


SCRIPT = """
import dataclasses
from collections import namedtuple
{comment}
NAMES, Pair = {{"a", "b", "c"}}, namedtuple("Pair", "a b")
one, two = (lambda a: a in {{"x", "y", "z", "u", "v"}}), (lambda a: 2)
@dataclasses.dataclass
class Work:
    k: float = 1.0
    more: list = dataclasses.field(default_factory=list)
    def __call__(self, engine):
        return (engine in {{"x", "y", "z"}}), NAMES, one(1), two(2), Pair(1, 2)
from mpimpy.sweeps._identity import identify
print(identify(Work()))
"""


@pytest.mark.slow
def test_an_identity_is_that_of_other_processes(tmp_path):
    found = set()
    for seed, comment in (("1", ""), ("2", "# a comment")):
        script = tmp_path / f"{seed}.py"
        script.write_text(SCRIPT.format(comment=comment))
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        run = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
        found.add(run.stdout)
    assert len(found) == 1


def loaded(path, text, now=None):
    path.write_text(text)
    scope = {"__name__": "written", "__file__": str(path)}
    exec(compile(text, str(path), "exec"), scope)
    if now is not None:
        path.write_text(now)
    linecache.checkcache(str(path))
    return scope["f"]


def test_source_tells_where_it_is_that_of_the_code(tmp_path):
    path = tmp_path / "written.py"
    text = "def f(engine):\n    return 1\n"
    one = identify(loaded(path, text))
    assert identify(loaded(path, "# a comment\n\n" + text)) == one
    edited = text.replace("1", "22")
    # the file was edited since: what runs is the old code, which is not that of the new file
    old = identify(loaded(path, text, edited))
    assert len({one, old, identify(loaded(path, edited))}) == 3
