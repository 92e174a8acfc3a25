"""Python lines that give the same result as the explorer."""

import json
import textwrap
from typing import Any

from ._problem import Problem

__all__ = ["lines"]

WIDTH = 88


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _call(start: str, given: dict[str, Any], first: tuple[str, ...] = ()) -> str:
    words = [*first, *(f"{name}={_shown(value)}" for name, value in given.items())]
    line = f"{start}({', '.join(words)})"
    if len(line) <= WIDTH:
        return line
    # a line never ends within a value
    filled = textwrap.fill(
        ", ".join(word.replace(" ", "\0") for word in words),
        WIDTH,
        initial_indent="    ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{start}(\n{filled},\n)".replace("\0", " ")


def lines(problem: Problem) -> str:
    """Return a program that prints the report of a product.

    Parameters
    ----------
    problem : Problem
    """
    M, K, N = problem.shape
    own = problem.preset is not None
    text = [
        "import numpy as np",
        f"from mpimpy import DPETensor{', presets' if own else ''}",
        "",
        "rng = np.random.default_rng(0)",
        f"x, w = rng.standard_normal(({M}, {K})), rng.standard_normal(({K}, {N}))",
        _call("engine = DPETensor", problem.flat),
    ]
    if own:
        text += [
            _call("device = presets.device", problem.cells, (_shown(problem.preset),)),
            "engine = engine.replace(device=device)",
        ]
    text.append("W = engine.program(w)")
    if problem.age is not None:
        text.append(f"W = W.at({_shown(problem.age)}{', compensate=True' if problem.compensate else ''})")
    priced = "" if problem.technology is None else f", technology={_shown(problem.technology)}"
    return "\n".join([*text, f"print(W.report(x, w{priced}))", ""])
