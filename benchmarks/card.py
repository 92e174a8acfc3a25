"""What a CUDA card could do at best, measured: the bound that its rows are a share of."""

import time

__all__ = ["bound_seconds", "instruction_rate", "int8_rate", "share_of_bound"]

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
