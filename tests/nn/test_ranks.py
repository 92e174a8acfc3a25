"""Processes that share a batch: what they compare, and that they train to the weights of one process."""

import copy
import json
import os
import pathlib
import runpy
import subprocess
import sys

import numpy as np
import pytest
from libraries import torch
from strategies import by_night

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)
if not torch.distributed.is_available():
    pytest.skip("torch has no torch.distributed here", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import DPETensor

ROOT = pathlib.Path(__file__).parents[2]
PAIR = {"w_mapping": "pair", "x_mapping": "signed"}
EVERY = {"var": 0.05, "write_var": 0.1, "stuck_HGS": 0.01, "offset_lsb": 0.3, "gain_error": 0.02}
nn = torch.nn
# by name: (layer, shape of its inputs)
KINDS = {
    "linear": (lambda: nn.Linear(7, 3), (4, 7)),
    "linear of sequences": (lambda: nn.Linear(7, 3), (4, 2, 7)),
    "conv1d": (lambda: nn.Conv1d(2, 4, 3), (4, 2, 6)),
    "gru": (lambda: nn.GRU(5, 4), (3, 4, 5)),
}


def on_crossbars(layer, attention="projections"):
    model = layer().eval()
    ann.convert_(model, DPETensor(**EVERY, seed=5), attention=attention)
    return model


class Others:
    """torch.distributed with one other process, whose objects are made of one's own."""

    def __init__(self, monkeypatch, other=lambda own: own):
        self.other, self.calls = other, 0
        for name, value in {
            "is_initialized": lambda: True,
            "get_rank": lambda: 0,
            "get_world_size": lambda: 2,
            "all_gather_object": self.gather,
        }.items():
            monkeypatch.setattr(torch.distributed, name, value)

    def gather(self, found, own):
        self.calls += 1
        found[:] = [own, self.other(copy.deepcopy(own))]


def differing(**changes):
    def other(own):
        own[0] |= changes
        return own

    return other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"seed": 6},
            "ranks 0 and 1 differ in the seed of its cells: 5 and 6: give the engine a seed, the same on all",
        ),
        ({"chip": 3}, "the chip of its cells: 0 and 3: build and convert the model alike on all of them"),
        ({"name": "head"}, r"the name of its cells: '\(root\)' and 'head': build"),
        ({"age": (3.0, True)}, r"the age of its cells: None and \(3.0, True\): build"),
        ({"gradient": "written"}, "the gradient of its cells: 'straight' and 'written': build"),
        ({"configuration": None}, "the configuration of its cells: give all of them one engine, and calibrate_ with"),
    ],
)
def test_processes_compare_their_cells(monkeypatch, changes, message):
    Others(monkeypatch, differing(**changes))
    model = on_crossbars(lambda: nn.Linear(7, 3))
    with pytest.raises(ValueError, match=rf"layer '\(root\)': .*{message}"):
        ann.shard_(model)
    assert model._cells[""].shard is None


def test_processes_compare_their_layers(monkeypatch):
    Others(monkeypatch, lambda own: own[:1])
    with pytest.raises(
        ValueError, match="rank 1 has 1 weight matrices and rank 0 2: build and convert the model alike"
    ):
        ann.shard_(on_crossbars(lambda: nn.GRU(7, 3)))


def test_reads_go_on_from_rank_0(monkeypatch):
    model, others = on_crossbars(lambda: nn.MultiheadAttention(6, 2), attention="all"), Others(monkeypatch)

    def gather(found, own):
        found[:] = [[one | {"reads": 7 + k} for k, one in enumerate(own)], own]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    ann.shard_(model)
    assert [each.reads for each in (*model._cells.values(), *model._data.values())] == [7, 8, 9, 10, 11, 12]
    assert others.calls == 0


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_compared_in_the_first_pass_in_training(monkeypatch, kind):
    (layer, shape), others = KINDS[kind], Others(monkeypatch)
    x = torch.ones(shape)
    model = on_crossbars(layer)
    ann.shard_(model)
    assert others.calls == 1
    model(x)  # one process may evaluate for itself
    assert others.calls == 1
    model.train()
    for _ in range(2):
        model(x)
    assert others.calls == 2
    ann.shard_(model)
    others.other = lambda own: (own[0], own[1] + 1, own[2])
    wanted = (
        r"the ranks read different numbers of input rows \(rank 0: (\d+) of .*, rank 1: \d+ of .*\): give every rank"
    )
    with pytest.raises(ValueError, match=wanted):
        model(x)
    ann.shard_(model, 0, 2)
    model(x)  # given by hand, nothing is compared


def test_reads_are_compared_in_the_first_pass_in_training(monkeypatch):
    others, model = Others(monkeypatch), on_crossbars(lambda: nn.Linear(7, 3))
    ann.shard_(model)
    others.other = lambda own: (own[0], own[1], own[2] + 3)
    wanted = (
        r"layer '\(root\)': the ranks have made different numbers of reads \(0, 3\), so their noise would differ: let"
    )
    with pytest.raises(ValueError, match=wanted):
        model.train()(torch.ones(4, 7))


EXAMPLE = ROOT / "examples" / "several_processes.py"
# a process of two: it trains, and writes its weights, losses and refusals; without a port, as tests run side by side
PROCESS = """
import json, pathlib, runpy, sys
import torch
import mpimpy.nn as ann
example, folder, rank, steps, settings = sys.argv[1:]
folder, rank, steps = pathlib.Path(folder), int(rank), int(steps)
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo", init_method=(folder / "store").as_uri(), rank=rank, world_size=2)
code = runpy.run_path(example)
for number, each in enumerate(json.loads(settings)):
    model = code["network"](each)
    losses = code["train"](model, steps, rank, 2)
    torch.save((model.state_dict(), losses), folder / f"{number} {rank}.pt")
refused = []
model = code["network"]({"radc": 256 + rank})
for attempt in (
    lambda: ann.shard_(model),
    lambda: ann.shard_(same) or same(torch.ones(2 + rank, 1, 8, 8)),
):
    same = code["network"]({}).train()
    try:
        attempt()
    except ValueError as error:
        refused.append(str(error))
(folder / f"{rank}.json").write_text(json.dumps(refused))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch has no gloo here")
def test_two_processes_train_to_the_weights_of_one(tmp_path):
    every = EVERY | {"vnoise": 0.02, "noise_lsb": 0.5}
    # each kind of noise has kernels that take long to compile: by day those that the tests of parts in one process run
    kinds = (every, every) if by_night() else (EVERY | {"noise_lsb": 0.5}, EVERY)
    settings = [kinds[0] | PAIR, kinds[1] | {"redraw": "row"}]
    steps = 8 if by_night() else 4
    code = runpy.run_path(str(EXAMPLE))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROCESS, str(EXAMPLE), str(tmp_path)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(steps), json.dumps(settings)], stderr=subprocess.PIPE, env=environment
        )
        for rank in (0, 1)
    ]
    try:
        wanted = []
        for each in settings:
            model = code["network"](each)
            losses = code["train"](model, steps)
            wanted.append((model.state_dict(), losses))
        errors = [process.communicate()[1].decode() for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], errors
    for number, (weights, losses) in enumerate(wanted):
        for rank in (0, 1):
            found = torch.load(tmp_path / f"{number} {rank}.pt")
            apart = max(float((found[0][key] - value).abs().max()) for key, value in weights.items())
            assert apart < 1e-5, (number, rank)
            assert np.allclose(found[1], losses, rtol=0, atol=1e-5)
    for rank in (0, 1):
        first, second = json.loads((tmp_path / f"{rank}.json").read_text())
        assert first.startswith("layer '0': ranks 0 and 1 differ in the configuration of its cells: give all of them")
        rows = "rank 0: 72 of '0', rank 1: 108 of '0'"
        assert second.startswith(f"the ranks read different numbers of input rows ({rows}): give every rank as many")


@pytest.mark.slow
def test_the_example_runs_alone(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["several_processes.py", "--steps", "2"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert capsys.readouterr().out.startswith("step   0: loss 1.4")
