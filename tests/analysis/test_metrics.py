"""SNR, RE and ABSE take what products take, of one library."""

import math

import numpy as np
import pytest
from libraries import torch

from mpimpy import ABSE, RE, SNR

MEASURES = pytest.mark.parametrize("measure", [SNR, RE, ABSE])


@MEASURES
def test_anything_that_holds_numbers_is_measured(measure):
    measured, exact = np.array([1.0, 2.5, 3.0]), np.array([1.0, 2.0, 3.0])
    expected = measure(measured, exact)
    assert measure([1, 2.5, 3], (1, 2, 3)) == expected
    assert measure(measured.astype(object), exact.astype(np.float16)) == expected
    if torch is not None:
        assert measure(torch.asarray(measured), torch.asarray(exact, requires_grad=True)) == pytest.approx(expected)
        assert measure(torch.asarray(measured).bfloat16(), [1, 2, 3]) == pytest.approx(expected)
        with pytest.raises(TypeError, match="measured is a torch array and exact a numpy one: convert one of them"):
            measure(torch.asarray(measured), exact)
    with pytest.raises(TypeError, match="exact is a str, which is not numeric"):
        measure(measured, "123")
    with pytest.raises(ValueError, match=r"measured has shape \(3,\) and exact \(2,\)"):
        measure(measured, exact[:2])


@MEASURES
def test_numbers_that_are_not_finite_are_refused(measure):
    with pytest.raises(ValueError, match=r"measured has nan at index \(1,\): every element must be finite"):
        measure([1.0, math.nan], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"exact has \(inf\+1j\) at index \(0,\): every element must be finite"):
        measure([1.0, 1.0], [complex(math.inf, 1), 1.0])
