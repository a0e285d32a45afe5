import hashlib

import numpy as np
import pytest

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.errors import InputError
from motionsig.fewer_bits import coarser
from motionsig.quantization import Quantization

SPEC = SignatureSpec(bytes(range(8)), Quantization(((3, 0.03125, 0), (1, 0.5, -3))), 3, 2_560_000_000)


def batch(codes):
    count = len(codes)
    return SignatureBatch(np.arange(count), np.array(codes, np.int8), np.zeros(count, np.uint8), 1, SPEC)


def test_sixteen_levels_of_another_encoder():
    made = coarser(batch([[0, 5, 7, -3], [-128, 127, -90, 9]]), 4)
    assert made.codes.tolist() == [[0, 0, 1, 0], [-8, 7, -8, 1]]
    assert made.spec.quantization.groups == ((3, 0.375, 0), (1, 6.0, 0))
    assert made.spec.fingerprint == hashlib.sha256(b"motionsig bits\x04" + SPEC.fingerprint).digest()[:8]
    assert (made.spec.motion_dim, made.spec.length_ns) == (SPEC.motion_dim, SPEC.length_ns)


def test_eight_bits_are_the_signatures_themselves_and_others_are_refused():
    given = batch([[1, 2, 3, 4]])
    assert coarser(given, 8) is given
    with pytest.raises(InputError, match="bits: expected one of 4, 8, got 5"):
        coarser(given, 5)
