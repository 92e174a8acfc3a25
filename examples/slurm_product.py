"""One large product on a SLURM cluster: a worker a node with all its cores, by dask-jobqueue.

Run it on a login node, or in a job of its own: ``python slurm_product.py``. It needs
``pip install -e ".[dask]" dask-jobqueue``, on the nodes too, and a folder that they share.
"""

import dask.array as da
import numpy as np
from dask_jobqueue import SLURMCluster
from distributed import Client

from mpimpy import Device, Engine
from mpimpy.cluster import prepare

NODES, CORES = 4, 64


def cluster():
    """Return a cluster of dask whose jobs are one worker process a node."""
    return SLURMCluster(
        queue="compute",
        walltime="02:00:00",
        processes=1,  # for a sweep: processes=64, cores=64, and no job_cpu
        cores=1,  # tasks at a time in a process; each uses all cores
        job_cpu=CORES,
        memory="240GB",
        # interface="ib0", if the nodes have a fast network of this name
        job_script_prologue=["export NUMBA_CACHE_DIR=$HOME/.cache/mpimpy"],
    )


def main():
    """Multiply, and write the product chunk by chunk."""
    workers = cluster()
    workers.scale(jobs=NODES)
    with Client(workers) as client:
        client.wait_for_workers(NODES)
        engine = Engine(Device(var=0.02), seed=1)
        print("dashboard", client.dashboard_link)
        print("threads  ", prepare(client, engine))
        random = da.random.default_rng(0)
        x = random.standard_normal((200_000, 50_000), chunks=(2048, 4096), dtype=np.float32)
        w = random.standard_normal((50_000, 10_000), chunks=(4096, 2048), dtype=np.float32)
        y = engine(x, w)
        da.to_npy_stack("product", y.rechunk({1: -1}))


if __name__ == "__main__":
    main()
