"""torch.einsum of `mpimpy.nn.crossbars`: two operands at a time, as products of matrices."""

import math
from typing import Any

import torch

from ..checks import fail
from ._mode_products import matmul

__all__ = ["einsum"]


def einsum(mode: Any, equation: Any, *operands: Any) -> Any:
    """Return ``torch.einsum``."""
    if not isinstance(equation, str):
        fail(TypeError, "torch.einsum on crossbars takes an equation, such as 'ij,jk->ik'")
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    if len(tensors) != 2:
        return torch.einsum(equation, *tensors) if len(tensors) == 1 else _chain(mode, equation, list(tensors))
    return _pair(mode, equation.replace(" ", ""), *tensors)


def _chain(mode: Any, equation: str, tensors: list[Any]) -> Any:
    # from the left, two by two; every letter that is still needed is kept
    left, _, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if "->" not in equation or "." in equation:
        fail(TypeError, f"torch.einsum({equation!r}) of more than two tensors needs '->' and letters alone here")
    while len(tensors) > 1:
        rest = set(out).union(*terms[2:])
        kept = "".join(dict.fromkeys(letter for letter in terms[0] + terms[1] if letter in rest))
        result = out if len(tensors) == 2 else kept
        y = _pair(mode, f"{terms[0]},{terms[1]}->{result}", *tensors[:2])
        tensors, terms = [y, *tensors[2:]], [result, *terms[2:]]
    return tensors[0]


def _spelled(equation: str, a: Any, b: Any) -> tuple[str, str, str]:
    # the terms of both operands and of the result, in letters alone
    left, arrow, out = equation.partition("->")
    if left.count(",") != 1:
        torch.einsum(equation, a, b)  # torch has the message
    first, second = left.split(",")
    names = ""
    if "." in equation:
        dots = max(a.ndim - len(first.replace("...", "")), b.ndim - len(second.replace("...", "")))
        names = "".join(chr(0x3B1 + k) for k in range(dots))  # letters that no equation has

        def spelled(term: str, ndim: int | None = None) -> str:
            count = dots if ndim is None else ndim - len(term.replace("...", ""))
            return term.replace("...", names[dots - count :])

        first, second, out = spelled(first, a.ndim), spelled(second, b.ndim), spelled(out)
    if not arrow:
        every = first + second
        out = names + "".join(sorted(each for each in set(every) - set(names) if every.count(each) == 1))
    return first, second, out


def _summed(tensor: Any, letters: str, needed: set[str]) -> tuple[Any, str]:
    # letters of one operand alone that the result does not have are summed before
    axes = [axis for axis, letter in enumerate(letters) if letter not in needed]
    return (tensor.sum(axes) if axes else tensor), "".join(letter for letter in letters if letter in needed)


def _sizes(equation: str, first: str, second: str, a: Any, b: Any) -> dict[str, int]:
    # of each letter; an axis of one element stands for as many as the other operand has
    sizes: dict[str, int] = {}
    for letter, size in zip(first + second, (*a.shape, *b.shape), strict=True):
        before = sizes.setdefault(letter, size)
        sizes[letter] = max(before, size) if 1 in (before, size) and 0 not in (before, size) else min(before, size)
        if before != size and 1 not in (before, size):
            fail(RuntimeError, f"torch.einsum({equation!r}): {letter!r} has {before} elements, and {size}")
    return sizes


def _pair(mode: Any, equation: str, a: Any, b: Any) -> Any:
    first, second, out = _spelled(equation, a, b)
    if len(set(first)) < len(first) or len(set(second)) < len(second):
        fail(TypeError, f"torch.einsum({equation!r}): diagonals are no products: take them before")
    if (len(first), len(second)) != (a.ndim, b.ndim) or set(out) - set(first + second) or len(set(out)) < len(out):
        return torch.einsum(equation, a, b)  # torch has the message
    sizes = _sizes(equation, first, second, a, b)
    a, b = (
        each.expand([sizes[letter] for letter in term]) if each.ndim else each
        for each, term in ((a, first), (b, second))
    )
    a, first = _summed(a, first, set(second) | set(out))
    b, second = _summed(b, second, set(first) | set(out))
    batch = [letter for letter in first if letter in second and letter in out]
    inner = [letter for letter in first if letter in second and letter not in out]
    rows = [letter for letter in first if letter not in second]
    cols = [letter for letter in second if letter not in first]
    if not inner:
        return torch.einsum(f"{first},{second}->{out}", a, b)  # nothing is summed

    def size(letters: list[str]) -> int:
        return math.prod(sizes[letter] for letter in letters)

    x = a.permute([first.index(letter) for letter in batch + rows + inner])
    w = b.permute([second.index(letter) for letter in batch + inner + cols])
    lead = [sizes[letter] for letter in batch]
    y = matmul(mode, x.reshape(*lead, size(rows), size(inner)), w.reshape(*lead, size(inner), size(cols)))
    found = batch + rows + cols
    return y.reshape([sizes[letter] for letter in found]).permute([found.index(letter) for letter in out])
