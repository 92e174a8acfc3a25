"""Sweeps on processes of this machine and on dask, and processes that are killed in the middle of them."""

import contextlib
import functools
import os
import subprocess
import sys
import threading
import time

import pytest
import sweeping

import mpimpy
from mpimpy.sweeps import _loop, _pools
from mpimpy.sweeps._open import status
from mpimpy.sweeps._store import Store

pytest.importorskip("xarray")
SPACE = sweeping.SPACE
ENV = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}


def run(workload=sweeping.seed_of, store=None, space=SPACE, **options):
    return mpimpy.sweep(workload, space, store=store, progress=False, **options)


def stored(path):
    # whole lines of finished points
    return sum(file.read_bytes().count(b'"a":') for file in path.glob("*.jsonl"))


@pytest.fixture(scope="module")
def client():
    """Return a client of two workers in processes of their own."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
def test_processes_and_this_one_give_the_same(tmp_path):
    here = run(repeats=2)
    assert run(repeats=2, client=2, store=tmp_path).identical(here)
    assert run(sweeping.fails, client=1).identical(run(sweeping.fails))


@pytest.mark.slow
def test_a_point_that_kills_its_process_is_recorded_and_the_rest_goes_on(tmp_path):
    found = run(sweeping.poison, tmp_path, client=2)
    assert found.error.sel(radc=32, var=0.05).item() == _loop.KILLED
    assert (found.error == "").sum() == 11
    assert status(tmp_path).failed == 1
    # the next run tries it again, alone
    assert run(sweeping.poison, tmp_path, client=1).identical(found)
    assert sum(len(records) for records in Store(tmp_path).open().records.values()) == 13


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_gives_the_same_and_isolates_a_point_that_kills_its_worker(client, tmp_path):
    assert run(repeats=2, client=client).identical(run(repeats=2))
    found = run(sweeping.poison, tmp_path, client=client)
    assert found.error.sel(radc=32, var=0.05).item() == _loop.KILLED
    assert (found.error == "").sum() == 11


@pytest.mark.slow
def test_a_local_cluster_waits_for_workers_that_start_anew(client):
    import dask

    def given_up():
        return dask.config.get("distributed.deploy.lost-worker-timeout")

    before = given_up()
    pool = _pools.Dask(client, b"")
    assert given_up() == f"{_pools.LOST_s:g} s" != before
    pool.close()
    assert given_up() == before


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_loses_nothing(client, tmp_path):
    expected = run(sweeping.slowly, repeats=10)
    killed = []

    def kill():
        while stored(tmp_path) < 20:
            time.sleep(0.01)
        pid = next(iter(client.run(os.getpid).values()))
        client.run(lambda pid=pid: os.getpid() == pid and os.kill(pid, 9), on_error="ignore", wait=False)
        killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    found = run(sweeping.slowly, tmp_path, repeats=10, client=client)
    killer.join()
    assert killed
    assert found.identical(expected)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [0, 2])
def test_a_client_that_is_killed_twice_goes_on(tmp_path, processes):
    store = tmp_path / "s"
    command = [sys.executable, sweeping.__file__, str(store), str(processes)]
    for number in (20, 60):
        with subprocess.Popen(command, env=ENV) as client:
            while stored(store) < number and client.poll() is None:
                time.sleep(0.005)
            client.kill()
    assert number <= stored(store) < 120
    subprocess.run(command, check=True, env=ENV)
    found = mpimpy.open_sweep(store)
    workload = sweeping.seed_of  # of the same results
    assert found.drop_attrs().equals(_as_main(workload).drop_attrs())
    assert (found.error == "").all()
    assert stored(store) == 120  # none twice


def _as_main(workload):
    # what the script computes: its workload is that of __main__
    module, sweeping.slowly.__module__ = sweeping.slowly.__module__, "__main__"
    try:
        return run(sweeping.slowly, repeats=10)
    finally:
        sweeping.slowly.__module__ = module


@pytest.mark.slow
def test_two_runs_on_one_store_at_once(tmp_path):
    store = tmp_path / "s"
    command = [sys.executable, sweeping.__file__, str(store), "0"]
    both = [subprocess.Popen(command, env=ENV) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert status(store).done == 120
    assert mpimpy.open_sweep(store).equals(_as_main(sweeping.slowly))


@pytest.mark.slow
def test_processes_end_with_a_client_that_was_killed(tmp_path):
    code = (
        "import os, mpimpy.sweeps._pools as p, pickle, time\n"
        "if __name__ == '__main__':\n"
        "    pool = p.Processes(1, pickle.dumps(print)); pool._pool = pool._start()\n"
        "    print(next(iter(pool._pool._processes)), flush=True); time.sleep(600)\n"
    )
    (tmp_path / "client.py").write_text(code)
    with subprocess.Popen(
        [sys.executable, tmp_path / "client.py"], stdout=subprocess.PIPE, text=True, env=ENV
    ) as client:
        child = int(client.stdout.readline())
        os.kill(child, 0)
        client.kill()
    while _lives(child):
        time.sleep(0.01)


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_script_without_a_guard_is_told(tmp_path):
    (tmp_path / "script.py").write_text("import mpimpy\nmpimpy.sweep(len, {'radc': [16]}, client=1, version=1)\n")
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=False, env=ENV
    )
    assert "RuntimeError: processes for the sweep cannot be started. A script must begin its work under" in done.stderr


def test_an_unpicklable_workload_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match=r"seed_of cannot be sent to other processes: it holds lock \(a lock\)"):
        run(functools.partial(sweeping.seed_of, lock=threading.Lock()), tmp_path / "s", client=2, version=1)
    assert not (tmp_path / "s").exists()


def test_what_is_no_client_is_refused():
    for wrong in ("tcp://host:8786", True, 1.5):
        with pytest.raises(TypeError, match=r"must be a distributed.Client, a number of processes, or None"):
            run(client=wrong)
    with pytest.raises(ValueError, match="client=0 is out of range"):
        run(client=0)

    class Asynchronous:
        asynchronous = True
        get_executor = scheduler_info = None

    with pytest.raises(TypeError, match="client is asynchronous"):
        run(client=Asynchronous())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_lost_scheduler_names_the_store_and_the_call(tmp_path):
    distributed = pytest.importorskip("distributed")
    with subprocess.Popen([sys.executable, "-c", LOST], stdout=subprocess.PIPE, text=True, env=ENV) as scheduler:
        address = scheduler.stdout.readline().strip()
        client = distributed.Client(address, set_as_default=False)

        def kill():
            while stored(tmp_path) < 5:
                time.sleep(0.01)
            scheduler.kill()

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        text = rf"scheduler {address} is lost after \d+ of 360 points, which are in {tmp_path}\. To go on, .* store='{tmp_path}'\)"
        try:
            with pytest.raises(ConnectionError, match=text):
                run(sweeping.slowly, tmp_path, repeats=30, client=client)
        finally:
            scheduler.kill()
            with contextlib.suppress(TimeoutError):
                client.close(timeout=0.1)
    assert run(sweeping.slowly, tmp_path, repeats=30).error.values.ravel().tolist() == [""] * 360


LOST = """
import time
from distributed import LocalCluster
cluster = LocalCluster(
    n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
)
print(cluster.scheduler_address, flush=True)
time.sleep(600)
"""


def test_a_lost_scheduler_without_a_store(monkeypatch):
    class Lost(_pools.Here):
        def submit(self, tasks):
            raise _pools.SchedulerLostError

    monkeypatch.setattr("mpimpy.sweeps._sweep.pool_of", lambda client, workload: Lost(workload))
    with pytest.raises(ConnectionError, match="after 0 of 12 points, which are lost too: give store='folder'"):
        run()


def test_batches_take_a_fifth_of_a_second(monkeypatch):
    sizes = []

    class Timed(_pools.Here):
        def submit(self, tasks):
            sizes.append(len(tasks))
            future = super().submit([])
            future._result = [_loop.Outcome(1.0, None, 0.01)] * len(tasks)
            return future

    monkeypatch.setattr("mpimpy.sweeps._sweep.pool_of", lambda client, workload: Timed(workload))
    run(repeats=100)
    assert sizes[:2] == [1, 20]
    assert max(sizes) == 20


def test_a_worker_of_another_arithmetic_is_refused():
    from mpimpy.sweeps._outcome import run as run_tasks

    with pytest.raises(ValueError, match=r"a worker's mpimpy computes with arithmetic 2, and the client's with 3"):
        run_tasks(sweeping.seed_of, [], 3)
