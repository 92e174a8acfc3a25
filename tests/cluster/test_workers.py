"""Workers of dask.distributed: prepared, restarted, lost, and their bits."""

import importlib.util
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from libraries import same_bits

import mpimpy
from mpimpy import ADC, Device, Drift, Engine, Format, MapReducedot, Tile

distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

from mpimpy.cluster import WorkerPlugin, _matrix, _workers, compute, prepare  # noqa: E402
from mpimpy.cluster._layout import Cuts  # noqa: E402

ROOT = pathlib.Path(mpimpy.__file__).parent.parent
EXAMPLES = ROOT / "examples"

# sockets of a cluster that was closed, and of a worker that was killed
closing = pytest.mark.filterwarnings("ignore")


def cluster(**options):
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": "2GB"} | options
    return distributed.LocalCluster(**options)


@pytest.fixture(scope="module")
def client():
    with cluster() as local, distributed.Client(local) as found:
        yield found


def test_versions_that_differ_are_told():
    plugin = WorkerPlugin()
    plugin.check_versions("tcp://here")
    plugin.versions["arithmetic"] = "1"
    plugin.versions["NumPy"] = "1.0"
    with pytest.raises(
        RuntimeError,
        match=r"worker at tcp://here has arithmetic \d+ \(client: 1\), NumPy .*: install the same versions",
    ):
        plugin.check_versions("tcp://here")


def test_what_prepare_takes(monkeypatch):
    with pytest.raises(TypeError, match=r"prepare takes engines, as mpimpy\.warm does, not a int"):
        prepare(None, 3)
    with pytest.raises(ValueError, match="threads"):
        WorkerPlugin(threads=0)
    monkeypatch.setattr(_workers, "_WorkerPlugin", object)
    with pytest.raises(ImportError, match=r'workers are those of dask.distributed: pip install -e "\.\[dask\]"'):
        prepare(None)


def test_without_dask_the_extra_is_named():
    code = "import sys; sys.modules['dask'] = None\nimport mpimpy\nimport mpimpy.cluster"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'ImportError: mpimpy.cluster needs dask: pip install -e ".[dask]" in the checkout of mpimpy' in done.stderr


def test_importing_mpimpy_imports_no_dask():
    code = "import sys, mpimpy; print([name for name in ('dask', 'distributed', 'xarray') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def threads_everywhere():
    import threadpoolctl

    blas = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    return mpimpy.get_num_threads(), blas, os.getpid()


@closing
@pytest.mark.slow
def test_threads_are_shared_and_survive_a_restart(client):
    assert list(prepare(client, threads=3).values()) == [3, 3]
    shared = max(1, os.cpu_count() // 2)
    found = prepare(client, Engine(seed=1))
    assert list(found.values()) == [shared] * 2
    before = client.run(threads_everywhere)
    assert all(threads == shared and blas <= {shared} for threads, blas, _ in before.values())
    client.restart()
    client.wait_for_workers(2)
    after = client.run(threads_everywhere)
    assert {pid for *_, pid in after.values()}.isdisjoint({pid for *_, pid in before.values()})
    assert all(threads == shared and blas <= {shared} for threads, blas, _ in after.values())


@closing
@pytest.mark.slow
def test_a_worker_of_another_version_is_refused(client, monkeypatch):
    monkeypatch.setattr(_workers, "__version__", "1.9.0")
    with pytest.raises(RuntimeError, match=r"has mpimpy .* \(client: 1.9.0\): install the same versions"):
        prepare(client)
    monkeypatch.undo()
    assert len(prepare(client)) == 2  # the plugin that was refused is gone


@closing
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_processes_give_the_bits_of_one(client, rng, monkeypatch, dtype):
    double = Format((1, 1, 2, 4), bw_e=8, double=True, granularity="per-matrix")
    engines = [
        Engine(Device(write_var=0.1), tile=Tile(4, 4), seed=1),
        Engine(Device(drift=Drift(0.05, 0.01)), inputs=double, weights=double, tile=Tile(4, 4), seed=1),
        Engine(adc=ADC(256, noise_lsb=0.5), weights=Format(granularity="per-col"), tile=Tile(4, 4), seed=1),
    ]
    x, w = rng.standard_normal((9, 300)).astype(dtype), rng.standard_normal((300, 7)).astype(dtype)
    monkeypatch.setattr(_matrix, "choose", lambda *_: Cuts((0, 5, 9), (0, 64, 192, 300), (0, 2, 7)))
    for engine in engines:
        W, lazy = engine.program(w), engine.program(da.from_array(w, (110, 3)))
        if engine.config.device.drift is not None:
            W, lazy = W.at("1 d", compensate=True), lazy.at("1 d", compensate=True)
        for inputs in (da.from_array(x, (4, 70)), x):
            assert same_bits(compute(lazy.read(inputs, read=2))[0], W.read(x, read=2))
        assert same_bits(lazy.persist().read(x, read=2).compute(), W.read(x, read=2))
    # beside lazy inputs, a matrix in memory travels once
    monkeypatch.setattr(_matrix, "choose", lambda *_: Cuts((0, 5, 9), (0, 300), (0, 7)))
    W = engines[0].program(w)
    assert same_bits(W.read(da.from_array(x, (4, 70)), read=2).compute(), W.read(x, read=2))


@closing
@pytest.mark.slow
def test_large_operands_in_memory_are_scattered(client, rng):
    w = rng.standard_normal((600, 500))
    y = MapReducedot(da.from_array(w.T, 100), w, seed=1)
    assert sum(key.startswith("mpimpy-operand") for key, *_ in (k for k in dict(y.dask) if isinstance(k, tuple))) >= 1
    assert same_bits(y.compute(), MapReducedot(w.T, w, seed=1))


@closing
@pytest.mark.slow
@pytest.mark.posix
def test_a_killed_worker_costs_no_bit(client, rng, monkeypatch):
    x, w = rng.standard_normal((64, 2048)), rng.standard_normal((2048, 64))
    monkeypatch.setattr(_matrix, "choose", lambda *_: Cuts(tuple(range(0, 65, 8)), (0, 1024, 2048), (0, 32, 64)))
    engine = Engine(Device(write_var=0.1), seed=1)
    y = engine(da.from_array(x, 500), da.from_array(w, 700), read=0).persist()
    victim = next(iter(client.run(os.getpid).values()))
    os.kill(victim, signal.SIGKILL)  # a process of our own cluster
    assert same_bits(y.compute(), engine(x, w, read=0))


@closing
@pytest.mark.slow
def test_a_scheduler_that_is_lost():
    local = cluster(n_workers=1, processes=False)
    client = distributed.Client(local)
    y = Engine(seed=1)(da.ones((4, 4)), da.ones((4, 4)))
    local.close()
    client.close()
    with pytest.raises(ConnectionError, match=r"scheduler at .* is lost: connect a new Client, build the product anew"):
        prepare(client)
    assert y.compute(scheduler="synchronous").shape == (4, 4)
    assert compute(y)[0].shape == (4, 4)


def example(name):
    path = EXAMPLES / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@closing
def test_the_jobs_of_the_example_are_one_worker_a_node():
    pytest.importorskip("dask_jobqueue")
    with example("slurm_product").cluster() as found:
        script = found.job_script()
    for line in ("#SBATCH -n 1", "#SBATCH --cpus-per-task=64", "#SBATCH -p compute", "#SBATCH -t 02:00:00"):
        assert f"{line}\n" in script
    assert "export NUMBA_CACHE_DIR=$HOME/.cache/mpimpy\n" in script
    assert " --nthreads 1 " in script  # one task at a time
    assert "--nworkers" not in script  # of one process


@pytest.mark.posix
def test_the_array_of_jobs_runs_a_part_each(tmp_path):
    script = EXAMPLES / "slurm_sweep.sh"
    assert "#SBATCH --array=0-99\n" in script.read_text()
    (tmp_path / "mpimpy").write_text('#!/bin/sh\necho "$@" $NUMBA_NUM_THREADS\n')
    (tmp_path / "mpimpy").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "7", "HOME": "/"}
    done = subprocess.run(
        ["bash", script, "f.toml", "out"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "sweep f.toml --store out --part 7/100 1\n"


@closing
@pytest.mark.slow
def test_the_page_runs_as_a_script(tmp_path):
    page = (EXAMPLES.parent / "docs" / "clusters.md").read_text()
    (tmp_path / "start.py").write_text(page.split("```python\n")[1].split("```")[0])
    subprocess.run([sys.executable, "start.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
