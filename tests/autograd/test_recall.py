"""Products that torch.utils.checkpoint computes again read what the forward pass read."""

import numpy as np
import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

from torch.utils.checkpoint import checkpoint

import mpimpy.nn as ann
from mpimpy import DPETensor, MpimpyWarning
from mpimpy.autograd import recall

NOISY = {"var": 0.3, "w_mapping": "pair", "x_mapping": "signed", "x_slices": (1, 2), "w_slices": (1, 2)}


class Twice(torch.nn.Module):
    """A layer that is used two times, and layers that read in blocks, by steps, and data."""

    def __init__(self):
        super().__init__()
        self.conv, self.inner = torch.nn.Conv1d(4, 4, 3, padding=1), torch.nn.Linear(6, 6)
        self.memory = torch.nn.GRU(6, 6, batch_first=True)
        self.look = torch.nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        x = torch.tanh(self.inner(torch.tanh(self.inner(self.conv(x)))))
        x = self.memory(x)[0]
        return self.look(x, x, x, need_weights=False)[0]


def gradients(model, x, passes, **given):
    """Gradients of every parameter and the outputs, of some passes whose segments are computed again."""
    model.zero_grad()
    x, outputs = x.clone().requires_grad_(), []
    for _ in range(passes):
        y = x
        for part in model:
            y = checkpoint(part, y, **given) if given else part(y)
        y.square().sum().backward()
        outputs.append(y.detach())
    return [x.grad, *(each.grad for each in model.parameters())], outputs


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("noise", ["step", "frozen"])
def test_a_checkpoint_reads_again_what_it_read(noise, reentrant):
    def model():
        torch.manual_seed(0)
        shared = Twice()
        found = torch.nn.Sequential(shared, Twice(), shared)
        ann.convert_(found, DPETensor(**NOISY, seed=0), training=ann.Training(noise=noise), attention="all")
        return found.train()

    x = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(1))
    wanted, plain = gradients(model(), x, 2)
    found, again = gradients(model(), x, 2, use_reentrant=reentrant)
    assert all(map(torch.equal, again, plain))
    assert not torch.equal(plain[0], plain[1])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_products_of_a_matrix_are_read_again_too():
    x, w = (torch.tensor(np.random.default_rng(0).standard_normal(size)) for size in ((3, 20), (20, 5)))
    grads = []
    for run in (lambda f, v: f(v), lambda f, v: checkpoint(f, v, use_reentrant=False)):
        W, leaf = DPETensor(**NOISY, seed=1).program(w), x.clone().requires_grad_()
        run(lambda v, W=W: torch.exp(v @ W), leaf).sum().backward()
        grads.append(leaf.grad)
        assert W.reads == 1
    assert torch.equal(*grads)


def test_a_read_that_is_not_remembered_is_told():
    layer = torch.nn.Linear(6, 3)
    ann.convert_(layer, DPETensor(**NOISY, seed=0))
    x = torch.randn(2, 6, requires_grad=True)
    y = checkpoint(layer.eval(), x, use_reentrant=True)
    told = r"layer '\(root\)' is computed in a backward pass.*use_reentrant=False"
    with pytest.warns(MpimpyWarning, match=told):
        y.sum().backward()
    W = DPETensor(**NOISY, seed=0).program(torch.ones(6, 3))
    y = checkpoint(lambda v: v @ W, x, use_reentrant=True)
    with pytest.warns(MpimpyWarning, match="a crossbar product is computed in a backward pass"):
        y.sum().backward()


def test_reads_are_recalled_by_segments_from_the_last_to_the_first(monkeypatch):
    monkeypatch.setattr(recall, "KEPT", 6)
    reads = recall._Reads()
    for code, kind in enumerate("xyaabaab"):
        reads.keep(kind, code)
    assert len(reads.made) == 6
    assert set(reads.places) == {"a", "b"}
    assert [reads.recall(kind, 1) for kind in "aabaabx"] == [5, 6, 7, 2, 3, 4, None]
    # the same backward pass once more, and then one of a further forward pass
    assert [reads.recall(kind, 2) for kind in "aabaab"] == [5, 6, 7, 2, 3, 4]
    reads.keep("a", 8)
    assert [reads.recall(kind, 3) for kind in "aa"] == [8, 5]
