"""Values written down once, by an independent program: a change of any bit is a change of the rules."""

import importlib.util
import pathlib

import numpy as np
import pytest
from libraries import RUNNERS, same_bits

from mpimpy import Engine

FOLDER = pathlib.Path(__file__).parent / "golden"
spec = importlib.util.spec_from_file_location("make_golden", FOLDER / "make_golden.py")
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)


@pytest.mark.parametrize("name", golden.CASES)
@pytest.mark.parametrize("runner", RUNNERS)
def test_products_have_not_changed(name, runner):
    make, backend = RUNNERS[runner]
    x, w = (make(array) for array in golden.operands())
    engine = Engine.from_config(golden.CASES[name], seed=golden.SEED, chip=golden.CHIP, backend=backend)
    with np.load(FOLDER / "products.npz") as expected:
        assert same_bits(engine.program(w).read(x, read=golden.READ), expected[name])
