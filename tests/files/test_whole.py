"""Files that appear whole: savers at once, modes, and nothing left behind."""

import os
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from libraries import same_bits

import mpimpy
from mpimpy import DPETensor
from mpimpy.files.whole import write_whole


def test_threads_save_one_path_at_once(tmp_path):
    chips, failures = [DPETensor(seed=seed).program(np.eye(8)) for seed in (1, 2)], []
    path, x = tmp_path / "chip.npz", np.ones((1, 8))

    def save(chip):
        try:
            for _ in range(30):
                chip.save(path)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=save, args=(chips[turn % 2],)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [other.name for other in tmp_path.iterdir()] == ["chip.npz"]
    assert any(same_bits(mpimpy.load(path).read(x, read=0), chip.read(x, read=0)) for chip in chips)


@pytest.mark.posix
@pytest.mark.parametrize("seconds", [0.2, pytest.param(2, marks=pytest.mark.slow)])
def test_two_processes_save_and_load_one_path(tmp_path, rng, seconds):
    path, x, w = tmp_path / "chip.npz", np.ones((1, 64)), rng.standard_normal((64, 64))
    chips = [DPETensor(seed=1, var=0).program(w), DPETensor(seed=2, var=0, array_size=(16, 64)).program(3 * w)]
    for number, chip in enumerate(chips):
        chip.save(tmp_path / f"{number}.npz")
    expected = [chip.read(x, read=0) for chip in chips]
    chips[0].save(path)
    code = f"""
import time, sys, numpy as np, mpimpy
chips = [mpimpy.load(r"{tmp_path}/{{}}.npz".format(number)) for number in (0, 1)]
x = np.ones((1, 64))
expected = [chip.read(x, read=0) for chip in chips]
print("ready", flush=True)
sys.stdin.readline()
start, turn = time.monotonic(), 0
while time.monotonic() < start + {seconds} or turn < 4:
    chips[turn % 2].save(r"{path}")
    y, turn = mpimpy.load(r"{path}").read(x, read=0), turn + 1
    assert any(np.array_equal(y, one) for one in expected)
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as other:
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        start, turn = time.monotonic(), 0
        while time.monotonic() < start + seconds or turn < 4:
            chips[turn % 2].save(path)
            y, turn = mpimpy.load(path).read(x, read=0), turn + 1
            assert any(same_bits(y, one) for one in expected)
    assert other.returncode == 0
    assert sorted(found.name for found in tmp_path.iterdir()) == ["0.npz", "1.npz", "chip.npz"]


@pytest.mark.posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_a_file_that_is_there_keeps_its_mode(tmp_path, mode):
    path, seen = tmp_path / "out", []
    path.write_bytes(b"before")
    path.chmod(mode)

    def write(file):
        # nobody may look at a private file while it is written
        seen.append(stat.S_IMODE(os.fstat(file.fileno()).st_mode))
        file.write(b"after")

    write_whole({path: write})
    assert path.read_bytes() == b"after"
    assert seen == [mode]
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.posix
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path):
    (tmp_path / "other").write_bytes(b"")
    write_whole({tmp_path / "out": lambda file: file.write(b"x")})
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.posix
def test_a_mode_that_cannot_be_set_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "out"
    path.write_bytes(b"before")
    path.chmod(0o606)

    def refuse(self, mode):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.chmod", refuse)
    with pytest.raises(OSError, match=r"out: cannot be written: Operation not permitted"):
        write_whole({path: lambda file: file.write(b"after")})
    assert path.read_bytes() == b"before"
    assert [other.name for other in tmp_path.iterdir()] == ["out"]


def test_long_names_are_written(tmp_path):
    path = tmp_path / ("a" * 251 + ".npz")
    write_whole({path: lambda file: file.write(b"x")})
    assert path.read_bytes() == b"x"


def test_an_error_of_any_kind_leaves_nothing(tmp_path):
    def fail(file):
        file.write(b"half")
        raise MemoryError

    with pytest.raises(MemoryError):
        write_whole({tmp_path / "out": fail})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(OSError, match="cannot be written: it is a folder, a device, a pipe or a socket"):
        write_whole({tmp_path: lambda file: None})
