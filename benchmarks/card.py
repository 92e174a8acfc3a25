"""What a CUDA card could do at best, measured: the bound that its rows are a share of; and models on the card.

    python -m benchmarks.card

times models of MiniLM's and ResNet-18's shape on the card, digital and on crossbars in turn. Without a card it says so.
"""

import copy
import time

from . import models

__all__ = ["bound_seconds", "instruction_rate", "int8_rate", "main", "share_of_bound", "time_model"]

ADC_INSTRUCTIONS = 7  # per current: convert, scale, round, two for the clip, weigh, add


def _rate(function, work, where, repeats=5):
    import torch

    wait = torch.cuda.synchronize if where == "cuda" else lambda: None
    function()
    best = float("inf")
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        function()
        wait()
        best = min(best, time.perf_counter() - start)
    return work / best


def int8_rate(size=8192, where="cuda"):
    """Return the int8 multiply-accumulates per second of a large square product."""
    import torch

    a, b = (torch.randint(-100, 100, (size, size), dtype=torch.int8, device=where) for _ in "ab")
    return _rate(lambda: torch._int_mm(a, b), size**3, where)


def instruction_rate(size=8192, where="cuda"):
    """Return the float32 instructions per second: one per multiply-accumulate of a float32 product."""
    import torch

    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False  # the tensor cores would count as instructions
    try:
        a, b = (torch.randn(size, size, device=where) for _ in "ab")
        return _rate(lambda: torch.mm(a, b), size**3, where)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def bound_seconds(workload, int8, instructions, rows=64):
    """Return the time of a workload at the card's measured rates, s.

    All int8 products, two per pair where cells vary and take two bytes, and then the ADC of every
    current.
    """
    m, k, n = workload.mkn
    varies = workload.settings.get("var", 0.05) or workload.settings.get("write_var", 0)
    currents = workload.pairs * -(-k // rows) * m * n
    return workload.macs * (2 if varies else 1) / int8 + ADC_INSTRUCTIONS * currents / instructions


def share_of_bound(workload, seconds):
    """Return TOP/s, the bound and the share of it that `seconds` reach, a dict."""
    int8, instructions = int8_rate(), instruction_rate()
    bound = bound_seconds(workload, int8, instructions)
    return {
        "TOP_per_s": 2 * workload.macs / seconds / 1e12,
        "int8_TOP_per_s": 2 * int8 / 1e12,
        "fp32_Tinstructions_per_s": instructions / 1e12,
        "bound_seconds": bound,
        "share_of_bound": bound / seconds,
    }


def time_model(model, inputs, engine, where="cuda", repeats=5):
    """Return the times of a model, digital and on crossbars, the shortest of calls in turn, a dict.

    Parameters
    ----------
    model : torch.nn.Module
    inputs : tensor
    engine : mpimpy.Engine
    where : str
        Device.
    repeats : int

    Returns
    -------
    dict
        By ``"forward"`` and ``"step"`` (forward and backward pass in training) to (digital, crossbars), s; and
        ``"waits"``, whether a forward pass on crossbars made the host wait, or None where nothing could tell.
    """
    import torch

    import mpimpy.nn as ann

    digital = model.to(where)
    analog, x = copy.deepcopy(digital), inputs.to(where)
    ann.convert_(analog, engine)
    wait = torch.cuda.synchronize if where == "cuda" else lambda: None

    def forward(each):
        with torch.no_grad():
            each.eval()(x)

    def step(each):
        each.train()(x).square().mean().backward()
        each.zero_grad()

    found = {}
    for name, run in (("forward", forward), ("step", step)):
        best = [float("inf")] * 2
        for _ in range(repeats + 1):  # the first one compiles, and counts only if it is the shortest
            for index, each in enumerate((digital, analog)):
                wait()
                start = time.perf_counter()
                run(each)
                wait()
                best[index] = min(best[index], time.perf_counter() - start)
        found[name] = tuple(best)
    ann.check(analog)
    return found | {"waits": _waits(lambda: forward(analog), where)}


def _waits(run, where):
    import torch

    if where != "cuda":
        return None
    run()
    torch.cuda.set_sync_debug_mode("error")
    try:
        run()
    except RuntimeError as error:
        print(f"a forward pass made the host wait: {error}")
        return True
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return False


def main():
    """Time the models on the card, and print a table."""
    import torch

    import mpimpy

    if not torch.cuda.is_available():
        print("no CUDA card is here: nothing was timed")
        return
    engine = mpimpy.DPETensor(w_mapping="pair", x_mapping="signed", seed=0)
    print(torch.cuda.get_device_name())
    print("model              pass     digital ms  crossbars ms  times")
    for name, (model, inputs) in (("MiniLM's shape", models.encoder()), ("ResNet-18's shape", models.resnet18())):
        found = time_model(model, inputs, engine)
        for kind in ("forward", "step"):
            digital, analog = (1e3 * seconds for seconds in found[kind])
            print(f"{name:18} {kind:8} {digital:10.2f} {analog:13.2f} {analog / digital:6.1f}")
        print(f"{'':18} a forward pass {'made' if found['waits'] else 'did not make'} the host wait")


if __name__ == "__main__":
    main()
