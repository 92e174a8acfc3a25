"""Locks between processes: a kernel is compiled by one of them, and a killed one holds up nobody."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mpimpy import Engine, warm
from mpimpy.backends.cpu import _jit, _locks
from mpimpy.backends.cpu._cache import KernelCache

fcntl = pytest.importorskip("fcntl")

HOLD = """
import sys, time
from mpimpy.backends.cpu._locks import FileLock
lock = FileLock(sys.argv[1])
print(lock.acquire(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "kernel.lock")


def test_one_holder_at_a_time(path):
    first, second = _locks.FileLock(path), _locks.FileLock(path, patience=0.05)
    assert first.acquire()
    assert not second.acquire()  # it is not patient
    first.release()
    assert second.acquire()
    second.release()
    second.release()
    assert not _locks._held


def test_who_waits_gets_it_next(path):
    first, found = _locks.FileLock(path), []
    second = _locks.FileLock(path)
    first.acquire()
    waiting = threading.Thread(target=lambda: found.append(second.acquire()))
    waiting.start()
    time.sleep(0.05)
    assert found == []
    first.release()
    waiting.join()
    assert found == [True]
    second.release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks(path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not _locks.FileLock(path).acquire()
    assert not _locks._held


def test_a_folder_that_is_not_there_and_a_system_without_locks(path, monkeypatch):
    assert not _locks.FileLock("/no/such/folder/kernel.lock").acquire()
    monkeypatch.setattr(_locks, "fcntl", None)
    assert not _locks.FileLock(path).acquire()


def test_a_compilation_that_fails_gives_the_lock_back(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))

    def wrong(a):
        return a.no_such_attribute

    with pytest.raises(Exception, match="no_such_attribute"):
        _jit.kernel(wrong)(3)
    assert list(tmp_path.rglob("*.lock"))
    assert not _locks._held


def test_another_process_may_have_compiled_it_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))

    def double(a):
        return a + a

    first, second = _jit.kernel(double), _jit.kernel(double)
    acquire = _locks.FileLock.acquire

    def late(lock):
        monkeypatch.setattr(_locks.FileLock, "acquire", acquire)
        first(3)  # while `second` waits
        return lock.acquire()

    monkeypatch.setattr(_locks.FileLock, "acquire", late)
    assert second(3) == 6
    assert (sum(first.stats.cache_misses.values()), sum(second.stats.cache_misses.values())) == (1, 0)
    assert not _locks._held
    assert KernelCache(double)._lock.acquire()


@pytest.mark.fork
def test_a_fork_has_not_the_lock_of_its_parent(path):
    lock = _locks.FileLock(path)
    assert lock.acquire()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        lock.release()  # it is its parent's
        os.write(write, b"empty" if not _locks._held else b"held")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 5) == b"empty"
    os.close(read), os.close(write)
    assert not _locks.FileLock(path, patience=0).acquire()
    lock.release()


@pytest.mark.slow
@pytest.mark.posix
def test_a_killed_holder_holds_up_nobody(path):
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline().strip() == "True"
        lock = _locks.FileLock(path)
        assert not _locks.FileLock(path, patience=0).acquire()
        holder.send_signal(signal.SIGKILL)
        assert lock.acquire()
    lock.release()


COMPILE = """
import numpy as np, mpimpy, sys
from mpimpy.backends.cpu import _codes, _kernels
sys.stdin.readline()
mpimpy.Engine(mpimpy.Device(var=0), seed=1).program(np.eye(3))
kernels = [value for module in (_codes, _kernels) for value in vars(module).values() if hasattr(value, "stats")]
print({k.py_func.__name__ for k in kernels if sum(k.stats.cache_misses.values())} or "nothing", flush=True)
"""


@pytest.mark.slow
@pytest.mark.posix
def test_two_processes_compile_a_kernel_once(tmp_path):
    # writing a matrix takes several kernels, and none that takes long to compile
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    command = [sys.executable, "-c", COMPILE]
    both = [subprocess.Popen(command, env=environment, **pipes) for _ in range(2)]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    first, second = (process.communicate()[0].strip() for process in both)
    sets = [set() if text == "nothing" else eval(text) for text in (first, second)]
    assert sets[0] | sets[1] >= {"block_max", "digits"}
    assert not sets[0] & sets[1]


def test_warm_counts_no_reads_and_takes_engines():
    engine = Engine(seed=1)
    warm(engine)
    assert engine.reads == 0
    with pytest.raises(TypeError, match=r"warm takes engines, such as warm\(Engine\(seed=1\)\), not a int"):
        warm(3)


@pytest.mark.slow
def test_warm_makes_the_common_kernels_ready():
    warm()
    modules = [sys.modules[name] for name in list(sys.modules) if name.startswith("mpimpy.backends.cpu.")]
    kernels = [value for module in modules for value in vars(module).values() if hasattr(value, "signatures")]
    before = [len(kernel.signatures) for kernel in kernels]
    x = np.ones((3, 90), np.float32)
    Engine(seed=1)(x, x.T)
    assert sum(before) > 10
    assert [len(kernel.signatures) for kernel in kernels] == before
