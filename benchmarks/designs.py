"""The cheapest design: `mpimpy.design` against the simulation of every design, and against Optuna; scaled budgets.

python -m benchmarks.designs                 # 2,800 designs, targets of 20, 25, 30 and 35 dB
python -m benchmarks.designs --million       # a million designs
python -m benchmarks.designs --search        # `mpimpy.search` on the same space
"""

import argparse
import time

import numpy as np

import mpimpy
from mpimpy.designs.costs import COSTS
from mpimpy.designs.grid import make_grid
from mpimpy.designs.simulation import make_bench
from mpimpy.designs.space import as_space

SLICES = [[1, 1, 2, 4], [1] * 8, [1, 1, 2, 2], [1, 3, 4], [1, 1, 1, 1, 2, 2]]
TARGETS = (20, 25, 30, 35)
COST_NAMES = ("conversions*codes", "conversions*bits")


def space(var):
    """Return a space of 2,800 designs in 400 groups."""
    return {
        "array_size": [(rows, 64) for rows in (32, 64, 128, 256)],
        "x_slices": SLICES,
        "w_slices": SLICES,
        "x_mapping": ["twos", "signed"],
        "w_mapping": ["twos", "pair"],
        "radc": [32, 64, 128, 256, 512, 1024, 2048],
        "var": [var],
    }


def operands(seed):
    """Return x and w; every second pair has rectified inputs."""
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((32, 256)), rng.standard_normal((256, 32))
    return (np.maximum(x, 0) if seed % 2 else x), w


def simulated(grid, bench):
    """Return the simulated SNR of every design, dB."""
    return np.array([bench.snr_dB(bench.engine(grid.settings(at))) for at in range(len(grid.costs))])


def against_exhaustive(seed, var):
    """Print what design finds, and what the simulation of every design finds."""
    x, w = operands(seed)
    bench = make_bench(x, w, 0, 1)
    start = time.process_time()
    grid = make_grid(as_space(space(var)), bench, COSTS["cells"])
    budgets_s, start = time.process_time() - start, time.process_time()
    snr = simulated(grid, bench)
    print(f"operands {seed}, var={var}: {len(snr)} designs; {len(grid.groups)} budgets {budgets_s:.1f} s", end="; ")
    print(f"all simulated {time.process_time() - start:.1f} s (CPU); the law holds for {grid.holds.mean():.0%}")
    for name, kept in (("holds", grid.holds), ("holds, radc >= 256", grid.holds & (radc(grid) >= 256))):
        off = (grid.snr_dB - snr)[kept & (snr > 10)]
        print(f"  {name}: rms {np.sqrt(np.mean(off**2)):.2f} dB, worst {np.max(np.abs(off)):.2f}", end=", ")
        print(f"within 0.5 dB {np.mean(np.abs(off) < 0.5):.1%} of {len(off)}")
    for name in COST_NAMES:
        for target in TARGETS:
            costs = make_costs(grid, bench, name)
            if not np.any(snr >= target):
                print(f"  {name:<20}{target} dB: none reaches it, {snr.max():.1f} dB")
                continue
            found = mpimpy.design(x, w, space(var), target_dB=target, cost=name)
            best = costs[snr >= target].min()
            print(f"  {name:<20}{target} dB: cost / best {found.cost / best:.4f}, {len(found.checks)} simulations")


def radc(grid):
    """Return the radc of every design."""
    return np.array([grid.settings(at)["radc"] for at in range(len(grid.costs))])


def make_costs(grid, bench, name):
    """Return the cost of every design."""
    from mpimpy.analysis.counts import counts

    engines = (bench.engine(grid.settings(at)) for at in range(len(grid.costs)))
    return np.array([COSTS[name](engine, counts(engine.config, *bench.shape)) for engine in engines])


def million():
    """Print the time of a million designs."""
    x, w = operands(0)
    large = space(0.02) | {
        "radc": [int(2 ** (5 + i / 5)) for i in range(50)],
        "var": [0.01 * 1.1**i for i in range(10)],
        "vnoise": [0.002 * 1.2**i for i in range(5)],
    }
    bench = make_bench(x, w, 0, 1)
    start = time.process_time()
    grid = make_grid(as_space(large), bench, COSTS["conversions*codes"])
    print(f"{len(grid.costs)} designs, {len(grid.groups)} budgets: {time.process_time() - start:.1f} s (CPU)", end="")
    start = time.process_time()
    grid.front(grid.known_dB)
    print(f", their front {time.process_time() - start:.2f} s")


def by_search(seed, var, evaluations):
    """Print what search finds, over three seeds, against the cheapest of all designs by design."""
    x, w = operands(seed)
    levels = mpimpy.design(x, w, space(var), target_dB=30, cost="conversions*codes")
    from mpimpy.analysis.counts import counts

    shape = (x.shape[0], *w.shape)

    def cost(engine):
        return COSTS["conversions*codes"](engine, counts(engine.config, *shape))

    for trial_seed in range(3):
        found = mpimpy.search(
            mpimpy.workloads.product(x, w),
            space(var),
            target=30,
            cost=cost,
            evaluations=evaluations,
            seed=trial_seed,
        )
        print(f"search, seed {trial_seed}: {len(found.trials)} evaluations, cost / that of design", end=" ")
        print(f"{found.cost / levels.cost:.2f}")


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--evaluations", type=int, default=300)
    args = parser.parse_args()
    if args.million:
        million()
    elif args.search:
        by_search(0, 0.02, args.evaluations)
    else:
        for seed, var in ((0, 0.02), (1, 0.05), (2, 0.01)):
            against_exhaustive(seed, var)


if __name__ == "__main__":
    main()
