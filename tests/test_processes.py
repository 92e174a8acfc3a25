"""Threads and processes: products at once, forks, and homes that cannot hold a cache."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings

import numba
import numpy as np
import pytest
import threadpoolctl
from libraries import same_bits

import mpimpy
from mpimpy import DPETensor
from mpimpy.backends.cpu import _jit, numba_cpu

x, w = np.ones((4, 70)), np.eye(70)


def product(chip):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        y = DPETensor(write_var=0.1, vnoise=0.1, stuck_HGS=0.01, bw_e=8, dbfp_en=True, seed=1, chip=chip)(x, w)
    return y, [str(item.message) for item in seen]


@pytest.mark.fork
def test_forked_workers_give_the_same_bits():
    expected = [product(chip)[0] for chip in range(3)]  # the parent's threads are running now
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about forks beside threads
        with multiprocessing.get_context("fork").Pool(2) as pool:
            results = pool.map_async(product, range(3)).get(timeout=600)  # rather than a hang for ever
    for (result, messages), wanted in zip(results, expected, strict=True):
        assert same_bits(result, wanted)
        assert messages == []


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["workqueue", "omp", "tbb"])
def test_products_in_several_threads_give_the_right_bits(layer):
    # on every threading layer of Numba's, in a process of its own: one of them aborts when shared
    code = """
import threading, sys, numpy as np
from mpimpy import DPETensor, set_num_threads
set_num_threads(3)
rng = np.random.default_rng(0)
x, w = rng.standard_normal((300, 200)), rng.standard_normal((200, 150))
engine = DPETensor(write_var=0.1, vnoise=0.1, seed=1)
alone, found = [engine.program(w, chip=chip).read(x, read=1) for chip in range(4)], {}
def work(chip):
    for _ in range(5):
        found.setdefault(chip, []).append(engine.program(w, chip=chip).read(x, read=1))
threads = [threading.Thread(target=work, args=(chip,)) for chip in range(4)]
for thread in threads:
    thread.start()
set_num_threads(2)
for thread in threads:
    thread.join()
print(sum(y.tobytes() == alone[chip].tobytes() for chip, ys in found.items() for y in ys))
"""
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "20", done.stderr


@pytest.mark.slow
@pytest.mark.fork
def test_a_fork_in_the_middle_of_products_does_not_hang():
    code = """
import os, threading, numpy as np
from mpimpy import DPETensor, set_num_threads
set_num_threads(4)
rng = np.random.default_rng(0)
x, w = rng.standard_normal((300, 300)), rng.standard_normal((300, 300))
wanted, stop = DPETensor(seed=1)(x, w).tobytes(), threading.Event()
def work():
    while not stop.is_set():
        DPETensor(seed=1)(x, w)
thread = threading.Thread(target=work)
thread.start()
codes = []
for _ in range(10):
    child = os.fork()
    if child == 0:
        os._exit(0 if DPETensor(seed=1)(x, w).tobytes() == wanted else 1)
    codes.append(os.waitpid(child, 0)[1])
stop.set()
thread.join()
print(codes)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], capture_output=True, text=True, timeout=600
    )
    assert done.stdout.strip() == str([0] * 10), done.stderr


@pytest.mark.slow
@pytest.mark.fork
def test_a_forked_process_has_threads_of_its_own():
    code = """
import os, threading
from mpimpy import set_num_threads
from mpimpy.backends.cpu import _jit, numba_cpu

def meet():
    meeting, seen = threading.Barrier(2, timeout=60), set()
    def kernel(first, last):
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            meeting.wait()  # two threads at once, or an error
    _jit.launch(kernel, 100, 1e6)

set_num_threads(2)
meet()
with _jit._lock:  # as when another thread forks in the middle of a product
    child = os.fork()
if child == 0:
    threading.Timer(120, os._exit, (2,)).start()
    try:
        meet()
    except threading.BrokenBarrierError:
        os._exit(1)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], capture_output=True, text=True, timeout=600
    )
    assert done.stdout.strip() == "0", done.stderr


def test_the_number_of_threads_is_a_setting():
    assert mpimpy.get_num_threads() == numba.config.NUMBA_NUM_THREADS
    try:
        mpimpy.set_num_threads(5)
        assert mpimpy.get_num_threads() == 5
        assert "5 threads" in next(b.detail for b in mpimpy.backends.available() if b.name == "numba")
    finally:
        mpimpy.set_num_threads(None)
    for wrong, kind in ((0, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(kind, match="number of threads="):
            mpimpy.set_num_threads(wrong)


def test_work_is_shared_among_the_threads_that_were_set():
    # every task is done once, by no more threads than were set, and by more than one
    meeting, seen, done = threading.Barrier(3, timeout=60), set(), []

    def kernel(first, last):
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            meeting.wait()  # three threads at once, or this test fails
        done.extend(range(first, last))

    try:
        mpimpy.set_num_threads(3)
        _jit.launch(kernel, 100, 1e6)
        assert sorted(done) == list(range(100))
        assert len(seen) == 3
        alone = []
        _jit.launch(lambda *span: alone.append((span, threading.get_ident())), 100, 1.0)
        assert alone == [((0, 100), threading.get_ident())]  # too little work to share
    finally:
        mpimpy.set_num_threads(None)


def test_an_error_in_a_thread_is_raised():
    def kernel(first, last):
        raise MemoryError("no room")

    try:
        mpimpy.set_num_threads(2)
        with pytest.raises(MemoryError, match="no room"):
            _jit.launch(kernel, 10, 1e6)
    finally:
        mpimpy.set_num_threads(None)


def blas():
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture
def limited():
    """Set another number of threads than BLAS has by itself; return its own."""
    np.matmul(np.ones((2, 2)), np.ones((2, 2)))
    before = blas()
    mpimpy.set_num_threads(1 if max(before) > 1 else 2)
    yield before
    mpimpy.set_num_threads(None)


def test_threads_that_limit_blas_at_once_give_back_what_was_there(limited):
    inside, asked, left, seen = threading.Event(), threading.Event(), threading.Event(), []

    def first():
        with _jit.blas_threads():
            inside.set()
            asked.wait()
            time.sleep(0.2)  # the second is inside too, if it can be
        left.set()

    def second():
        inside.wait()
        asked.set()
        with _jit.blas_threads(), _jit.blas_threads():  # the same thread may ask again
            seen.append(blas())
            left.wait()  # the first that comes is the first that leaves

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [[mpimpy.get_num_threads()] * len(limited)]
    assert blas() == limited


def test_an_error_in_blas_gives_its_threads_back(limited):
    with pytest.raises(ValueError, match="mismatch"):
        numba_cpu.multiply(np.ones((2, 3)), np.ones((2, 3)))
    assert blas() == limited


@pytest.mark.fork
def test_a_fork_in_the_middle_of_a_blas_product_has_all_threads(limited):
    inside = threading.Event()

    def work():
        with _jit.blas_threads():
            inside.set()
            time.sleep(0.3)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        with _jit.blas_threads():
            pass
        os._exit(0 if blas() == limited else 1)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert blas() == limited


@pytest.mark.slow
def test_a_process_without_a_folder_for_the_cache():
    code = """
import numba.core.caching as caching, numpy as np
caching.CacheImpl._locator_classes = []  # as in a package and a home that are both read-only
from mpimpy import Device, Engine
print(Engine(Device(var=0), seed=1).program(np.eye(3)).shape)  # few kernels: they are compiled anew each time
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.strip() == "(3, 3)", done.stderr


def refuse_threads(monkeypatch, refused):
    """Let the starts of threads fail whose number, from 1, is refused; return the numbers that were asked for."""
    start, asked = threading.Thread.start, []

    def limited(thread):
        asked.append(len(asked) + 1)
        if refused(asked[-1]):
            msg = "can't start new thread"
            raise RuntimeError(msg)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    monkeypatch.setattr(_jit, "_pool", None)
    return asked


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(lambda n: True, id="all"),
        pytest.param(lambda n: n == 1, id="first"),
        pytest.param(lambda n: n == 3, id="middle"),
        pytest.param(lambda n: n > 2, id="last"),
        pytest.param(lambda n: n % 2 == 0, id="every second"),
        pytest.param(lambda n: n % 3 == 0, id="every third"),
    ],
)
def test_a_thread_that_cannot_start_only_makes_a_product_slower(monkeypatch, refused):
    x, w = np.random.default_rng(0).standard_normal((2, 300, 300))
    matrix = DPETensor(seed=1).program(w)
    mpimpy.set_num_threads(1)
    expected = matrix.read(x, read=3)
    asked = refuse_threads(monkeypatch, refused)
    monkeypatch.setattr(_jit, "SHARED", 1e-9)
    try:
        for threads in range(2, 12):
            mpimpy.set_num_threads(threads)
            assert same_bits(matrix.read(x, read=3), expected)
    finally:
        mpimpy.set_num_threads(None)
    assert any(map(refused, asked))


@pytest.mark.parametrize("refused", [lambda n: False, lambda n: n > 1, lambda n: True], ids=["none", "some", "all"])
@pytest.mark.parametrize("piece", [0, 5, 31])
def test_an_error_in_any_piece_is_raised_after_the_others_have_stopped(monkeypatch, refused, piece):
    refuse_threads(monkeypatch, refused)
    monkeypatch.setattr(_jit, "get_num_threads", lambda: 4)
    running = set()

    def kernel(first, last):
        running.add(first)
        time.sleep(0.002)
        running.remove(first)
        if first == piece:
            msg = f"piece {first} failed"
            raise ArithmeticError(msg)

    for _ in range(3):
        with pytest.raises(ArithmeticError, match=f"piece {piece} failed"):
            _jit.launch(kernel, 32, 1e9)
        assert not running
    done = []
    _jit.launch(lambda first, last: done.append(first), 32, 1e9)  # and the threads are there for the next product
    assert sorted(done) == list(range(32))


def test_no_result_leaves_while_a_helper_is_at_work(monkeypatch):
    # the helper starts, and the next thread cannot: the launch still waits for the helper's piece
    here, done = threading.get_ident(), []

    def kernel(first, last):
        if threading.get_ident() != here:
            time.sleep(0.2)
        done.append((first, last))

    start, asked = threading.Thread.start, [0]

    def limited(thread):
        asked[0] += 1
        if asked[0] > 1:
            msg = "can't start new thread"
            raise RuntimeError(msg)
        start(thread)
        time.sleep(0.05)  # so that it takes a piece

    monkeypatch.setattr(threading.Thread, "start", limited)
    monkeypatch.setattr(_jit, "_pool", None)
    monkeypatch.setattr(_jit, "get_num_threads", lambda: 4)
    _jit.launch(kernel, 8, 1e9)
    assert sorted(done) == [(task, task + 1) for task in range(8)]


def test_an_error_in_a_helper_is_raised_where_the_product_was_asked_for(monkeypatch):
    here = threading.get_ident()

    def kernel(first, last):
        if threading.get_ident() != here:
            msg = "a helper failed"
            raise ArithmeticError(msg)
        time.sleep(0.01)

    monkeypatch.setattr(_jit, "get_num_threads", lambda: 3)
    with pytest.raises(ArithmeticError, match="a helper failed"):
        _jit.launch(kernel, 50, 1e9)
