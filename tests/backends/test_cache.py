"""The cache of compiled kernels: full disks, damaged files, and files of other sources and signatures."""

import errno
import importlib.util
import itertools
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from numba.core.caching import IndexDataCacheFile

from mpimpy.backends.cpu import _cache, _jit

SOURCE = "def double(a):\n    return a + a\n"
_names = itertools.count()


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Return a function that compiles `double` as a new process would, and keeps it in a folder of its own."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(_cache, "_warned", False)
    monkeypatch.setattr(_cache, "_told", False)

    def load(source=SOURCE):
        path = tmp_path / "module.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(f"cached_{next(_names)}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return _jit.kernel(module.double)

    return load


def files(tmp_path, ending):
    return sorted((tmp_path / "cache").rglob(f"*.{ending}"))


def hits(kernel):
    return sum(kernel.stats.cache_hits.values())


def test_a_kernel_is_compiled_once(build, tmp_path):
    assert build()(3) == 6
    again = build()
    assert (again(4), hits(again)) == (8, 1)
    assert (len(files(tmp_path, "nbi")), len(files(tmp_path, "nbc"))) == (1, 1)
    changed = build("def double(a):\n    return 2 * a + 1\n")
    assert (changed(4), hits(changed)) == (9, 0)


def test_who_waits_for_the_compiler_is_told_once(build, tmp_path, capsys, monkeypatch):
    kernel = build()
    assert capsys.readouterr().err == ""
    kernel(3), kernel(3.5), build("def double(a):\n    return 2 * a\n")(3)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mpimpy: compiling kernels for this machine, once, some seconds; they are kept in ")
    assert line.endswith(str(files(tmp_path, "nbi")[0].parent))
    monkeypatch.setattr(_cache, "_told", False)
    build("def double(a):\n    return 2 * a\n")(3)
    assert capsys.readouterr().err == ""  # nothing to wait for
    monkeypatch.setattr(sys, "stderr", None)
    build()(3)


DAMAGE = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "garbage": lambda data: b"\x00garbage" * 20,
    "a bit": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :],
    "another pickle": lambda data: b"\x80\x04K\x05.",
}


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_written_anew(build, tmp_path, ending, damage):
    build()(3)
    (path,) = files(tmp_path, ending)
    path.write_bytes(damage(path.read_bytes()))
    second, third = build(), build()
    assert second(3) == 6
    assert (third(3), hits(third)) == (6, 1)


def test_code_of_another_signature_is_not_run(build, tmp_path):
    kernel = build()
    kernel(3), kernel(3.5)
    first, second = files(tmp_path, "nbc")
    content = first.read_bytes(), second.read_bytes()
    first.write_bytes(content[1])
    second.write_bytes(content[0])
    again = build()
    assert (again(3), again(3.5), hits(again)) == (6, 7.0, 0)


def test_code_of_another_source_is_not_run(build, tmp_path, monkeypatch):
    # the disk gets full between the new index and the new code
    build("def double(a):\n    return a + a + 1\n")(3)
    save = IndexDataCacheFile._save_data
    monkeypatch.setattr(IndexDataCacheFile, "_save_data", lambda *_: os.strerror(errno.ENOSPC))
    build()(3)
    monkeypatch.setattr(IndexDataCacheFile, "_save_data", save)
    again = build()
    assert (again(3), hits(again)) == (6, 0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.ENOENT])
def test_a_cache_that_cannot_be_written_is_told_once(build, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(IndexDataCacheFile, "_open_for_write", refuse)
    kernel = build()
    with pytest.warns(RuntimeWarning, match=r"kernels cannot be kept in .*cache.*: make room there, or set NUMBA") as w:
        assert (kernel(3), kernel(2.5), build()(4)) == (6, 5.0, 8)
    assert len(w) == 1
    assert os.strerror(number) in str(w[0].message)


def test_a_cache_that_cannot_be_read(build, tmp_path):
    build()(3)
    (path,) = files(tmp_path, "nbi")
    path.unlink()
    path.mkdir()  # nobody can read it, not even root
    kernel = build()
    with pytest.warns(RuntimeWarning, match="kernels cannot be kept in"):
        assert kernel(3) == 6


def test_a_folder_that_is_gone_is_made_again(build, tmp_path):
    kernel = build()
    for folder in (tmp_path / "cache").iterdir():
        folder.rmdir()
    assert kernel(3) == 6
    again = build()
    assert (again(3), hits(again)) == (6, 1)


def test_no_folder_at_all(build, monkeypatch):
    def refuse(*_):
        msg = "cannot cache function: no locator available"
        raise RuntimeError(msg)

    monkeypatch.setattr(_jit, "KernelCache", refuse)
    assert build()(np.float64(3)) == 6


@pytest.mark.slow
@pytest.mark.posix
def test_kernels_on_a_full_disk(tmp_path):
    # writing a matrix takes several kernels, and none that takes long to compile
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
import warnings, numpy as np, mpimpy
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    W = mpimpy.Engine(seed=1).program(np.eye(3))
print(W.shape, [item.category.__name__ for item in seen])
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "(3, 3) ['RuntimeWarning']", done.stderr
    assert not [path for path in (tmp_path / "cache").rglob("*") if ".tmp." in path.name]
