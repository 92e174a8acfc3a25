"""Large products on dask: weak scaling from one worker to two, small products, and memory of workers that are small.

``python -m benchmarks.clusters small scaling`` times products of 512 and 4096; ``python -m benchmarks.clusters memory``
multiplies 12,000 x 12,000 matrices on two workers of 1.5 GB, from files into files. Run it on a quiet machine.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

import mpimpy
from mpimpy import Engine, MapReducedot
from mpimpy.cluster import prepare

__all__ = ["main", "memory", "scaling", "small", "weak"]

SEED = 20261126
PROGRAMMING = 21e-9  # seconds a weight on a core


def _best(run, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def _cluster(workers, memory_limit="8GB"):
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, memory_limit=memory_limit, dashboard_address=":0")
    client = Client(cluster)
    client.wait_for_workers(workers)
    prepare(client, Engine(seed=SEED), threads=1)
    return cluster, client


def _operand(shape, chunks, seed):
    import dask.array as da

    return da.random.default_rng(seed).standard_normal(shape, chunks=chunks, dtype=np.float32)


def small(size=512, repeats=5):
    """Print the time of a small product on dask, in this process, building its graph included."""
    import dask.array as da

    rng = np.random.default_rng(SEED)
    x, w = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    engine = Engine(seed=SEED)
    lazy = [da.from_array(each, size // 2) for each in (x, w)]
    plain = _best(lambda: MapReducedot(x, w, engine), repeats)
    built = _best(lambda: MapReducedot(*lazy, engine), repeats)
    whole = _best(lambda: MapReducedot(*lazy, engine).compute(), repeats)
    tasks = len(MapReducedot(*lazy, engine).dask)
    print(f"{size}^3: NumPy {plain:.3f} s, dask {whole:.3f} s with {tasks} tasks, graph {built:.4f} s")


def _timed(client, height, size, repeats):
    # seconds of a product on dask, whose operands are in the workers already
    import dask
    from distributed import wait

    x, w = dask.base.persist(_operand((height, size), (2048, 1024), 1), _operand((size, size), (1024, 2048), 2))
    wait([x, w])
    engine = Engine(seed=SEED)

    def run():
        y = MapReducedot(x, w, engine).persist()
        wait(y)

    run()
    found = _best(run, repeats)
    client.cancel([x, w])
    return found


def scaling(size=4096, repeats=3):
    """Print the times of one product on one worker, on two, and on two threads of one process."""
    times = {}
    for workers in (1, 2):
        cluster, client = _cluster(workers)
        times[workers] = _timed(client, size, size, repeats)
        client.close()
        cluster.close()
    rng = np.random.default_rng(SEED)
    x, w = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    engine, threads = Engine(seed=SEED), {}
    for number in (1, 2):
        mpimpy.set_num_threads(number)
        threads[number] = _best(lambda: engine(x, w), repeats)
    mpimpy.set_num_threads(None)
    print(f"{size}^3: threads 1: {threads[1]:.2f} s, 2: {threads[2]:.2f} s; workers 1: {times[1]:.2f} s, ", end="")
    print(f"2: {times[2]:.2f} s; 2 workers against 1: {times[1] / times[2]:.2f} times, ", end="")
    print(f"against 2 threads: {times[2] / threads[2]:.2f}")
    # docs/clusters.md: programming once for each block of 2,048 rows, and the scheduler beside the work
    one = threads[1] + size * size * -(-size // 2048) * PROGRAMMING
    print(f"the model says {one:.2f} s for 1 worker and {one / 2:.2f} s for 2")


def weak(size=3072, repeats=3):
    """Print the times of a product on one worker, and of one of twice the rows on two."""
    times = {}
    for workers in (1, 2):
        cluster, client = _cluster(workers)
        times[workers] = _timed(client, size * workers, size, repeats)
        client.close()
        cluster.close()
    macs = size**3
    rates = [workers * macs / seconds / 1e9 for workers, seconds in times.items()]
    print(f"weak scaling, {size} rows a worker by {size} x {size}: 1 worker {times[1]:.2f} s, 2 workers ", end="")
    print(f"{times[2]:.2f} s ({times[1] / times[2]:.2f} of the ideal), {rates[0]:.2f} and {rates[1]:.2f} GMAC/s")


def _write_chunk(folder, name, i, j, size):
    rng = np.random.default_rng([SEED, sum(map(ord, name)), i, j])
    np.save(Path(folder) / f"{name}-{i}-{j}.npy", rng.standard_normal(size, dtype=np.float32))


def _stored(folder, name, size, step):
    # a dask array whose chunks are files
    import dask.array as da

    chunks = da.core.normalize_chunks(step, size, dtype=np.float32)
    for i, high in enumerate(chunks[0]):
        for j, wide in enumerate(chunks[1]):
            _write_chunk(folder, name, i, j, (high, wide))

    def load(block_id=None):
        return np.load(Path(folder) / f"{name}-{block_id[0]}-{block_id[1]}.npy")

    return da.map_blocks(load, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32))


def _save(block, folder=None, block_id=None):
    np.save(Path(folder) / f"y-{block_id[0]}-{block_id[1]}.npy", block)
    return np.zeros((1, 1), bool)


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # MB, on Linux


def memory(size=12_000, limit="1.5GB"):
    """Print the time and the peak memory of two workers of `limit` for one product, from files into files."""
    import dask

    # chunks that wait for their next task go to disk early: what is left is for the task that runs
    early = {"distributed.worker.memory.target": 0.3, "distributed.worker.memory.spill": 0.5}
    with tempfile.TemporaryDirectory() as folder, dask.config.set(early):
        folder = str(Path(folder).resolve())
        x, w = (_stored(folder, name, (size, size), 1024) for name in "xw")
        cluster, client = _cluster(2, limit)
        before = client.run(_peak)
        start = time.perf_counter()
        y = MapReducedot(x, w, Engine(seed=SEED))
        y.map_blocks(_save, folder=folder, chunks=(1, 1), dtype=bool, meta=np.empty((0, 0), bool)).compute()
        seconds, after = time.perf_counter() - start, client.run(_peak)
        client.close()
        cluster.close()
        first, second = y.chunks
        print(f"{size}^3 on 2 workers of {limit}: {seconds:.0f} s, {len(y.dask)} tasks, chunks of y ", end="")
        print(f"{first[0]} x {second[0]}; peak of a worker {max(after.values()):.0f} MB, ", end="")
        print(f"{max(after[name] - before[name] for name in after):.0f} MB above the start")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=["small", "scaling", "weak", "memory"], default=["small"])
    parser.add_argument("--size", type=int, help="of the matrices of `scaling`, `weak` and `memory`")
    args = parser.parse_args()
    for part in args.parts:
        options = {"size": args.size} if args.size and part != "small" else {}
        {"small": small, "scaling": scaling, "weak": weak, "memory": memory}[part](**options)


if __name__ == "__main__":
    main()
