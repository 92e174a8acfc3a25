"""A network trained on crossbars by several processes, which give it the noise of one process with the whole batch.

    pip install -e ".[torch]"
    torchrun --nproc_per_node 2 examples/several_processes.py [--steps 20]
    python examples/several_processes.py [--steps 20]

A convolution and a linear layer learn classes of random images, a batch of 16 in each step. Two processes read eight
images each. `mpimpy.nn.shard_` gives their rows the addresses that they have in the whole batch, so read variation, the
noise of converters and the cells of each step are those of one process: both commands print the same losses, and
weights that differ by the order of floating-point sums alone.
"""

import argparse

import torch

import mpimpy
import mpimpy.nn as ann

SETTINGS = {
    "w_mapping": "pair",
    "x_mapping": "signed",
    "var": 0.05,
    "write_var": 0.1,
    "vnoise": 0.01,
    "noise_lsb": 0.5,
    "stuck_HGS": 0.005,
}
BATCH, CLASSES = 16, 4


def network(settings: dict, training: ann.Training | None = None) -> torch.nn.Module:
    """Return a small network on crossbars, the same in every process: the engine has a seed."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 6 * 6, CLASSES)
    )
    ann.convert_(model, mpimpy.DPETensor(**settings, seed=0), training=training)
    return model


def train(model: torch.nn.Module, steps: int, rank: int = 0, world: int = 1) -> list[float]:
    """Train a network in one process, or in each of those that ``torch.distributed`` joins; return the losses."""
    net = model.train()
    if world > 1:
        ann.shard_(model)
        net = torch.nn.parallel.DistributedDataParallel(model)
    random = torch.Generator().manual_seed(1)
    patterns = torch.randn(CLASSES, 1, 8, 8, generator=random)
    optimiser = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    losses = []
    for _ in range(steps):
        labels = torch.randint(CLASSES, (BATCH,), generator=random)
        images = patterns[labels] + torch.randn(BATCH, 1, 8, 8, generator=random)
        x, wanted = (each.chunk(world)[rank] for each in (images, labels))
        loss = torch.nn.functional.cross_entropy(net(x), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mean = loss.detach()
        if world > 1:
            torch.distributed.all_reduce(mean)
        losses.append(float(mean) / world)
    return losses


def main() -> None:
    """Train, and print the losses."""
    parser = argparse.ArgumentParser(description="train on crossbars in several processes")
    parser.add_argument("--steps", type=int, default=20)
    steps = parser.parse_args().steps
    rank, world = 0, 1
    if torch.distributed.is_torchelastic_launched():
        torch.distributed.init_process_group("gloo")
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    model = network(SETTINGS)
    losses = train(model, steps, rank, world)
    if rank == 0:
        for step in range(0, steps, max(1, steps // 5)):
            print(f"step {step:3d}: loss {losses[step]:.6f}")
        size = sum(float(weight.detach().double().square().sum()) for weight in model.parameters()) ** 0.5
        print(f"norm of the weights after {steps} steps: {size:.6f}")
    if world > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
