import numpy as np
import pytest

from motionsig.errors import InputError
from motionsig.quantization import Quantization


def test_rounds_to_nearest_and_clips_instead_of_wrapping():
    quantization = Quantization(((2, 0.5, 0), (1, 0.1, 10)))
    values = np.array([[0.26, -0.26, 0.0], [1e6, -1e6, 1e6]], np.float32)
    assert quantization.quantize(values).tolist() == [[1, -1, 10], [127, -128, 127]]


def test_dequantize_gives_back_values_within_half_a_step():
    quantization = Quantization(((3, 1 / 32, 0), (2, 0.07, -5)))
    values = np.random.default_rng(0).uniform(-2, 2, (100, 5)).astype(np.float32)
    error = np.abs(quantization.dequantize(quantization.quantize(values)) - values).max(axis=0)
    assert (error <= np.array([1 / 64] * 3 + [0.035] * 2) + 1e-6).all()


@pytest.mark.parametrize("group", [(0, 1.0, 0), (1, 0.0, 0), (1, -1.0, 0), (1, float("nan"), 0), (1, 1.0, 128)])
def test_a_group_that_cannot_be_inverted_is_refused(group):
    with pytest.raises(InputError, match="quantization group: expected"):
        Quantization((group,))
