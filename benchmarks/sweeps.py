"""Cost of a sweep's points beside their work, and sweeps whose processes are killed.

python -m benchmarks.sweeps overhead   # ms a point of a workload that does nothing, of the store, and of opening it
python -m benchmarks.sweeps kill       # 1,000 points: client killed twice, a worker once, against an unkilled run
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mpimpy
from mpimpy.sweeps._outcome import Outcome
from mpimpy.sweeps._space import Space
from mpimpy.sweeps._store import Store
from mpimpy.sweeps._sweep import Sweep

SPACE = {"radc": [2**bits for bits in range(4, 14)], "var": [n / 100 for n in range(1, 11)]}
REPEATS = 10


def nothing(engine):
    return 1.0


def something(engine):
    time.sleep(0.02)  # as long as a simulation of some size
    return {"seed": engine.seed >> 40, "radc": engine.config.adc.radc}


def clocks():
    return time.perf_counter(), time.process_time()


def report(name, begin, points):
    wall, cpu = (after - before for after, before in zip(clocks(), begin, strict=True))
    print(f"{name:<50} {wall / points * 1e3:8.4f} ms a point, {cpu / points * 1e3:8.4f} ms of this process")


def overhead(points):
    mpimpy.sweep(nothing, {}, progress=False)  # imports
    begin = clocks()
    ready = Sweep(nothing, Space.of({"radc": list(range(64, 64 + points))}, None, 1, 0), Store(None))
    report("configurations and addresses, each of its own", begin, points)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder).create()
        store.begin(ready.run_line)
        begin = clocks()
        for point in ready.points:
            store.add(point, Outcome(1.0, None, 0.01))
        report("store, one line each", begin, points)
        store.close()
        begin = clocks()
        mpimpy.open_sweep(folder)
        report("open_sweep", begin, points)
    begin = clocks()
    mpimpy.sweep(nothing, {"radc": list(range(64, 64 + points))}, progress=False)
    report("sweep in this process, a configuration a point", begin, points)
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        mpimpy.sweep(nothing, SPACE, client=client, progress=False)  # imports
        for name, space, repeats in (
            ("dask, a configuration a point", {"radc": list(range(64, 64 + points))}, 1),
            ("dask, 100 chips a configuration", {"radc": list(range(64, 64 + points // 100))}, 100),
        ):
            begin = clocks()
            mpimpy.sweep(nothing, space, repeats, client=client, progress=False)
            report(name, begin, points)


def cluster_sweep(store):
    """Run the sweep of `kill` on two workers; the client's process may be killed."""
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        print(*client.run(os.getpid).values(), flush=True)
        mpimpy.sweep(something, SPACE, REPEATS, store=store, client=client, version="1", progress=False)


def stored(store):
    return sum(file.read_bytes().count(b'"a":') for file in Path(store).glob("*.jsonl"))


def kill():
    command = [sys.executable, "-m", "benchmarks.sweeps", "run"]
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "killed")
        for number, victim in ((250, "client"), (500, "worker"), (750, "client"), (None, None)):
            if victim != "client" or number == 250:
                process = subprocess.Popen(
                    [*command, store], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
                worker = int(process.stdout.readline().split()[0])
            while number is not None and stored(store) < number:
                time.sleep(0.01)
            if victim == "client":
                process.kill()
                process.wait()
            elif victim == "worker":
                os.kill(worker, 9)
            print(
                f"{stored(store):5d} points in the store: {f'killed the {victim}' if victim else 'resumed'}", flush=True
            )
        process.wait()
        found = mpimpy.open_sweep(store)
        lines = stored(store)
        begin = time.perf_counter()
        subprocess.run([*command, str(Path(folder) / "whole")], check=True, capture_output=True)
        print(f"an unkilled run: {time.perf_counter() - begin:.1f} s")
        whole = mpimpy.open_sweep(Path(folder) / "whole")
        print(f"{found.error.size} points, {lines} lines, {int((found.error != '').sum())} failed")
        print("identical to the unkilled run" if found.identical(whole) else "DIFFERENT FROM THE UNKILLED RUN")
        return found.identical(whole)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "kill", "run"))
    parser.add_argument("store", nargs="?")
    parser.add_argument("--points", type=int, default=10_000)
    args = parser.parse_args()
    if args.what == "run":
        cluster_sweep(args.store)
    elif args.what == "overhead":
        overhead(args.points)
    else:
        sys.exit(not kill())
